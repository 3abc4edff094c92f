//! The PROXY protocol, towards servers and from clients.

use super::one;
use crate::support::differential::{Run, same};
use crate::support::message::Reader;
use crate::support::{Client, Origin};

/// Says what it received, up to the client's end.
fn telling() -> Vec<(&'static str, Origin)> {
    use std::io::Write;
    let origin = Origin::raw(|mut stream, _| {
        let Ok(half) = stream.try_clone() else { return };
        let (all, _) = Reader::new(half).rest();
        let hex: String = all.iter().map(|b| format!("{b:02x}")).collect();
        // As long as what came, whatever the bytes of a port are: the log tells the length.
        let text: String = all.iter().map(|b| if b.is_ascii() { char::from(*b) } else { '?' }).collect();
        let _ = stream.write_all(format!("{text} {hex}").as_bytes());
    });
    vec![("s1", origin)]
}

const TCP: &str = "
global
    nbthread 1
    log {log} local0
defaults
    mode tcp
    log global
    option tcplog
    timeout connect 5s
    timeout client 5s
    timeout server 5s
";

fn note(run: &mut Run, port: &str, bytes: &str) {
    let mut client = Client::connect(run.addr(port));
    let source = client.local_addr().port();
    let answer = client.send(bytes).half_close().rest().0;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    // The kernel picks the port.
    let text = answer.rsplit_once(' ').map_or("", |(text, _)| text);
    run.note(bytes, &text.replace(&source.to_string(), "PORT"));
}

#[test]
fn towards_servers() {
    let config = format!(
        "{TCP}
listen one
    bind {{ip}}:{{port:one}}
    server s1 {{s1}} send-proxy
listen two
    bind {{ip}}:{{port:two}}
    server s1 {{s1}} send-proxy-v2
"
    );
    same(&config, telling, 3, |run| {
        note(run, "one", "hello");
        note(run, "one", "");
        let mut client = Client::connect(run.addr("two"));
        let source = client.local_addr().port();
        let answer = client.send("hello").half_close().rest().0;
        let text = String::from_utf8_lossy(&answer);
        let hex = text.rsplit(' ').next().unwrap_or("").replace(&format!("{source:04x}"), "PORT");
        run.note("two", &hex);
    });
}

#[test]
fn towards_http_servers() {
    use crate::support::{Step, origin};
    fn after_a_line() -> Vec<(&'static str, Origin)> {
        vec![(
            "s1",
            Origin::raw(|stream, _| {
                let Ok(half) = stream.try_clone() else { return };
                let mut reader = Reader::new(half);
                let _ = reader.request_head();
                origin::play(&stream, vec![Step::Send(origin::ok("x").into()), Step::Close]);
            }),
        )]
    }
    let config = format!(
        "{}
listen one
    bind {{ip}}:{{port:one}}
    server s1 {{s1}} send-proxy
",
        super::HTTP
    );
    same(&config, after_a_line, 2, |run| {
        run.get("one", "/a", "");
        run.get("one", "/b", "");
    });
}

#[test]
fn from_clients() {
    let config = format!(
        "{}
frontend fe
    bind {{ip}}:{{port:fe}} accept-proxy
    http-request set-header X-From %[src]-%[dst]:%[dst_port]
    default_backend be
frontend closed
    bind {{ip}}:{{port:closed}} accept-proxy
    no log
    tcp-request session reject if {{ src 10.9.9.9 }}
    default_backend be
backend be
    option forwardfor
    server s1 {{s1}}
",
        super::HTTP
    );
    same(&config, one, 3, |run| {
        let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        run.ask("fe", &format!("PROXY TCP4 10.1.2.3 10.4.5.6 4000 80\r\n{get}"));
        run.ask("fe", &format!("PROXY TCP6 2001:db8::1 2001:db8::2 4000 80\r\n{get}"));
        run.ask("fe", &format!("PROXY UNKNOWN\r\n{get}"));
        for start in ["PROXY TCP4 10.9.9.9 10.4.5.6 1 2\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"] {
            let answer = Client::connect(run.addr("closed")).send(start).rest().0;
            run.note("rejected", &String::from_utf8_lossy(&answer));
        }
    });
}

/// A header of version 2 from 10.1.2.3:4000 to 10.4.5.6:80, with what follows the addresses.
fn v2(rest: &[u8]) -> Vec<u8> {
    let addresses = [10, 1, 2, 3, 10, 4, 5, 6, 15, 160, 0, 80];
    let len = (addresses.len() + rest.len()) as u16;
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11"[..], &len.to_be_bytes(), &addresses, rest].concat()
}

fn field(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind][..], &(value.len() as u16).to_be_bytes(), value].concat()
}

/// What a client gets that begins so and then asks.
fn introduced(run: &mut Run, label: &str, header: &[u8]) {
    let mut client = Client::connect(run.addr("fe"));
    client.send([header, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"].concat());
    let answer = client.rest().0;
    run.note(label, &String::from_utf8_lossy(&answer));
}

const FIELDS: &str = "
frontend fe
    bind {ip}:{port:fe} accept-proxy
    http-request return status 200 content-type text/plain lf-string \"%[src] %[fc_rcvd_proxy] %[fc_pp_authority] %[fc_pp_unique_id]\"
";

/// The header tells for whom the client speaks; the connection keeps its own ends, or those that a rule gave it.
#[test]
fn whose_ends_are_seen() {
    let ends = "%[fc_src] %[fc_dst] %[src] %[src_port] %[dst] %[dst_port]";
    let config = format!(
        "{}
frontend fe
    bind {{ip}}:{{port:fe}} accept-proxy
    http-request return status 200 content-type text/plain lf-string \"{ends}\"
frontend given
    bind {{ip}}:{{port:given}} accept-proxy
    tcp-request connection set-src ipv4(10.1.0.1)
    http-request return status 200 content-type text/plain lf-string \"{ends}\"
",
        super::HTTP
    );
    same(&config, one, 2, |run| {
        for name in ["fe", "given"] {
            run.ask(name, "PROXY TCP4 1.2.3.4 5.6.7.8 99 88\r\nGET / HTTP/1.0\r\n\r\n");
        }
    });
}

#[test]
fn fields_from_clients() {
    same(&format!("{}{FIELDS}", super::HTTP), one, 9, |run| {
        introduced(run, "none", &v2(b""));
        introduced(run, "authority", &v2(&field(2, b"www.example.test")));
        introduced(run, "id", &v2(&[field(4, b"\0\0\0"), field(5, b"abc-1")].concat()));
        introduced(run, "twice", &v2(&[field(2, b"one"), field(2, b"two")].concat()));
        introduced(run, "longest", &v2(&[field(2, &[b'a'; 255]), field(5, &[b'b'; 128])].concat()));
        introduced(run, "others", &v2(&[field(0x20, b"\x01\0\0\0\0"), field(0xe0, &[b'x'; 300])].concat()));
        // The checksum of this very header.
        let sum = 0x0a0b_0c0d_u32.to_be_bytes();
        let wrong = v2(&field(3, &sum));
        introduced(run, "wrong checksum", &wrong);
        let right = v2(&field(3, &checksum(&v2(&field(3, &[0; 4]))).to_be_bytes()));
        introduced(run, "right checksum", &right);
        introduced(run, "local", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
    });
}

/// CRC32c, bit by bit.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 })
    })
}

#[test]
fn headers_that_are_none() {
    same(&format!("{}{FIELDS}    timeout client 1s\n", super::HTTP), one, 14, |run| {
        for (label, rest) in [
            ("short checksum", field(3, b"\x01\x02")),
            ("overrun", b"\x02\0\x09abc".to_vec()),
            ("stub", b"\x02\0".to_vec()),
            ("long authority", field(2, &[b'a'; 256])),
            ("long id", field(5, &[b'a'; 129])),
        ] {
            introduced(run, label, &v2(&rest));
        }
        for text in [
            "PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY TCP4 1.1.1.x 2.2.2.2 1 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n",
            "",
            "\r\n\r\n\0\r\nQUIT\n\x22\x11\0\x0c123456789012",
            "\r\n\r\n\0\r\nQUIT\n\x11\x11\0\x0c123456789012",
            "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0812345678",
        ] {
            introduced(run, text, text.as_bytes());
        }
        drop(Client::connect(run.addr("fe")));
        let answer = Client::connect(run.addr("fe")).rest().0;
        run.note("silent", &String::from_utf8_lossy(&answer));
    });
}

#[test]
fn fields_towards_servers() {
    let config = format!(
        "{TCP}
listen one
    bind {{ip}}:{{port:one}} accept-proxy
    unique-id-format id-%ci-%cp
    server s1 {{s1}} send-proxy-v2 proxy-v2-options crc32c,authority,unique-id
listen two
    bind {{ip}}:{{port:two}} accept-proxy
    server s1 {{s1}} send-proxy-v2-ssl
listen three
    bind {{ip}}:{{port:three}} accept-proxy
    server s1 {{s1}} send-proxy-v2-ssl-cn proxy-v2-options ssl-cipher,cert-sig,cert-key
listen four
    bind {{ip}}:{{port:four}} accept-proxy
    server s1 {{s1}} send-proxy-v2 proxy-v2-options crc32c
"
    );
    same(&config, telling, 5, |run| {
        let headers = [
            ("one", v2(&field(2, b"www.example.test"))),
            ("one", v2(b"")),
            ("two", v2(b"")),
            ("three", v2(b"")),
            ("four", v2(b"")),
        ];
        for (port, header) in headers {
            let mut client = Client::connect(run.addr(port));
            let answer = client.send([&header[..], b"hello"].concat()).half_close().rest().0;
            let answer = String::from_utf8_lossy(&answer).into_owned();
            run.note(port, answer.rsplit(' ').next().unwrap_or(""));
        }
    });
}

#[test]
fn expected_by_rule() {
    let config = format!(
        "{}
frontend fe
    bind {{ip}}:{{port:fe}}
    tcp-request connection expect-proxy layer4
    http-request return status 200 content-type text/plain lf-string \"%[src] %[fc_rcvd_proxy]\"
frontend none
    bind {{ip}}:{{port:none}}
    no log
    tcp-request connection expect-proxy layer4 if {{ src 10.0.0.0/8 }}
    http-request return status 200 content-type text/plain lf-string \"%[fc_rcvd_proxy]\"
",
        super::HTTP
    );
    same(&config, one, 2, |run| {
        introduced(run, "a header", &v2(b""));
        introduced(run, "no header", b"");
        run.get("none", "/", "");
    });
}

/// Newer than the HAProxy beside: fields of one's own, out and in.
#[test]
fn fields_of_ones_own() {
    let config = format!(
        "{}
listen outer
    no log
    bind {{ip}}:{{port:outer}}
    server s1 {{ip}}:{{port:inner}} send-proxy-v2 set-proxy-v2-tlv-fmt(0xE1) %[req.hdr(x-own)] set-proxy-v2-tlv-fmt(0x02) host-%[dst_port] set-proxy-v2-tlv-fmt(0xE1) second
frontend inner
    no log
    bind {{ip}}:{{port:inner}} accept-proxy
    http-request return status 201 if {{ fc_pp_tlv(225) second }}
    http-request return status 200 content-type text/plain lf-string \"%[fc_pp_tlv(0xE1)] %[fc_pp_tlv(AUTHORITY)] %[fc_pp_authority] %[fc_pp_tlv(9)]\"
",
        super::HTTP
    );
    let proxy =
        crate::support::Proxy::on(&config.replace("log global", "")).with("log", "127.0.0.1:9").start();
    let port = proxy.addr("outer").port();
    let ask = |own: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\nx-own: {own}\r\n\r\n");
        Client::connect(proxy.addr("outer")).ask(&request)
    };
    assert_eq!(ask("first").status(), 201, "each of them is looked at");
    let text = config.replace("    http-request return status 201 if { fc_pp_tlv(225) second }\n", "");
    drop(proxy);
    let proxy = crate::support::Proxy::on(&text).with("log", "127.0.0.1:9").port("outer", port).start();
    let request = "GET / HTTP/1.1\r\nHost: x\r\nx-own: first\r\n\r\n";
    let body = Client::connect(proxy.addr("outer")).ask(request).body;
    assert_eq!(String::from_utf8_lossy(&body), format!("first host-{port} host-{port} "));
}
