//! What goes from hop to hop: the PROXY protocol, and TLS in TCP mode.

use std::io::{Read, Write};

use super::harness::{OLD, Site, ask, each};
use crate::diff::one;
use crate::support::differential::Run;
use crate::support::{Client, Origin};
use crate::tls::curl;

pub const ACCEPT: Site = Site {
    name: "the_proxy_protocol_before_tls",
    text: "
frontend fe
    bind {ip}:{port:fe} accept-proxy ssl crt {files}/a.pem alpn h2,http/1.1
    bind {ip}:{port:clear} accept-proxy
    option forwardfor
    http-request return status 200 {told} if { path /told }
    default_backend be
backend be
    server s1 {s1}
",
    logs: 6,
    origins: one,
    traffic: |run| {
        let rows = [
            ("https://a.test/told", "--haproxy-protocol --http2"),
            ("https://a.test/told", "--haproxy-protocol --http1.1"),
            ("https://a.test/x", "--haproxy-protocol --http2"),
            ("https://a.test/without", "--http1.1"),
        ];
        each(run, "fe", &rows);
        ask(run, "clear", "http://a.test/told", "--haproxy-protocol");
        let get = "GET /v1 HTTP/1.1\r\nHost: x\r\n\r\n";
        run.ask("clear", &format!("PROXY TCP4 10.1.2.3 10.4.5.6 4000 80\r\n{get}"));
    },
};

/// A header of version 2 from 10.1.2.3:4000 to 10.4.5.6:80, with these fields, and then a request.
fn introduced(run: &mut Run, port: &str, fields: &[(u8, &[u8])]) {
    let mut rest = vec![10, 1, 2, 3, 10, 4, 5, 6, 15, 160, 0, 80];
    for (kind, value) in fields {
        rest.push(*kind);
        rest.extend((value.len() as u16).to_be_bytes());
        rest.extend_from_slice(value);
    }
    let header = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11"[..], &(rest.len() as u16).to_be_bytes(), &rest].concat();
    let mut client = Client::connect(run.addr(port));
    client.send([&header[..], b"GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"].concat());
    let answer = client.rest().0;
    run.note(&format!("{port} {fields:?}"), &String::from_utf8_lossy(&answer));
}

pub const FIELDS: Site = Site {
    name: "fields_of_the_proxy_protocol_from_hop_to_hop",
    text: "
frontend last
    no log
    bind {ip}:{port:last} accept-proxy
    http-request return status 200 content-type text/plain lf-string \"%[src] %[src_port] %[dst] %[fc_rcvd_proxy] %[fc_pp_authority] %[fc_pp_unique_id] %[req.hdr(x-told)]\"
frontend fe
    bind {ip}:{port:fe} accept-proxy
    unique-id-format id-%ci-%cp
    http-request set-header x-told \"%[fc_pp_authority] %[fc_pp_unique_id] %[src] %[dst_port]\"
    use_backend one if { fc_pp_authority one.test }
    default_backend two
backend one
    server s1 {ip}:{port:last} send-proxy-v2 proxy-v2-options authority,unique-id,crc32c
backend two
    server s1 {ip}:{port:last} send-proxy
",
    logs: 5,
    origins: one,
    traffic: |run| {
        introduced(run, "fe", &[]);
        introduced(run, "fe", &[(2, b"one.test")]);
        introduced(run, "fe", &[(2, b"two.test"), (5, b"their-id")]);
        introduced(run, "fe", &[(2, b"one.test"), (5, b"their-id"), (0xe0, b"more")]);
        introduced(run, "fe", &[(4, b"\0\0\0\0"), (2, b"one.test"), (0x30, b"ns")]);
    },
};

/// An origin that answers with what stands before the request, but for the client's port.
fn telling() -> Vec<(&'static str, Origin)> {
    let origin = Origin::raw(|mut stream, _| {
        let (mut all, mut room) = (Vec::new(), [0; 4096]);
        let begin = |all: &[u8]| all.windows(5).position(|five| five == b"GET /");
        while begin(&all).is_none() || !all.ends_with(b"\r\n\r\n") {
            match stream.read(&mut room) {
                Ok(n) if n > 0 => all.extend_from_slice(&room[..n]),
                _ => return,
            }
        }
        let mut header = all[..begin(&all).unwrap_or_default()].to_vec();
        let text = String::from_utf8_lossy(&header).into_owned();
        let body = match text.strip_prefix("PROXY ") {
            Some(line) => line.split_whitespace().take(3).collect::<Vec<_>>().join(" "),
            None => {
                header.splice(24..26.min(header.len()), *b"XX");
                header.iter().map(|byte| format!("{byte:02x}")).collect()
            }
        };
        let len = body.len();
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{body}");
    });
    vec![("s1", origin)]
}

pub const SEND: Site = Site {
    name: "the_proxy_protocol_tells_servers_of_tls",
    text: "
frontend fe
    bind {ip}:{port:fe} ssl crt {files}/a.pem ca-file {files}/ca.pem verify optional alpn h2,http/1.1
    use_backend %[path,word(1,/)]
backend one
    server s1 {s1} send-proxy
backend two
    server s1 {s1} send-proxy-v2
backend tls
    server s1 {s1} send-proxy-v2-ssl
backend cn
    server s1 {s1} send-proxy-v2-ssl-cn
backend all
    server s1 {s1} send-proxy-v2 proxy-v2-options cert-cn,ssl-cipher,cert-sig,cert-key,authority
",
    logs: 15,
    origins: telling,
    traffic: |run| {
        for backend in ["one", "two", "tls", "cn", "all"] {
            let url = format!("https://a.test/{backend}");
            each(run, "fe", &[(&url, "--http1.1"), (&url, "--http2 --cert @alice.pem"), (&url, OLD)]);
        }
    },
};

pub const ROUTING: Site = Site {
    name: "routing_by_name_without_termination",
    text: "
frontend fe
    mode tcp
    bind {ip}:{port:fe}
    log-format \"%ft %b/%s sni=%[var(sess.sni)] %[var(sess.ver)]\"
    tcp-request inspect-delay 5s
    tcp-request content set-var(sess.sni) req.ssl_sni
    tcp-request content set-var(sess.ver) req.ssl_ver
    tcp-request content accept if { req.ssl_hello_type 1 }
    tcp-request content reject if { req.len gt 4 }
    use_backend b if { req.ssl_sni -i b.test }
    use_backend wild if { req.ssl_sni -m end .wild.test }
    use_backend none if { req.ssl_sni -m found } !{ req.ssl_sni a.test }
    default_backend a
backend a
    mode tcp
    server s1 {ip}:{port:a}
backend b
    mode tcp
    server s1 {ip}:{port:b} send-proxy-v2
backend wild
    mode tcp
    server s1 {ip}:{port:a}
backend none
    mode tcp
frontend at_a
    no log
    bind {ip}:{port:a} ssl crt {files}/a.pem crt {files}/wild.pem alpn h2,http/1.1
    http-request return status 200 {told}
frontend at_b
    no log
    bind {ip}:{port:b} accept-proxy ssl crt {files}/b.pem alpn h2,http/1.1
    http-request return status 200 {told}
",
    logs: 7,
    origins: one,
    traffic: |run| {
        // First: the line about it comes at once, and that about a tunnel when both sides have ended it.
        run.ask("fe", "GET / HTTP/1.1\r\nHost: not TLS\r\n\r\n");
        let rows = [
            ("https://a.test/1", "--http2"),
            ("https://B.test/2", "--http1.1"),
            ("https://x.wild.test/3", "--http2"),
            ("https://other.test/4", "--http2"),
            ("https://a.test/5", OLD),
        ];
        each(run, "fe", &rows);
        // By the address alone: without a name.
        let url = format!("https://{}/no-name", run.addr("fe"));
        let output = curl(&["-w", "|%{http_version} %{http_code}", &url]);
        run.note("no name", &String::from_utf8_lossy(&output.stdout));
    },
};

pub const TERMINATED: Site = Site {
    name: "tls_that_ends_in_tcp_mode",
    text: "
listen fe
    mode tcp
    bind {ip}:{port:fe} ssl crt {files}/a.pem crt {files}/b.pem alpn http/1.1
    log-format \"%ft %b/%s %tsc %sslv %sslc %[ssl_fc_sni] %[ssl_fc_alpn]\"
    tcp-request content reject if { ssl_fc_sni b.test }
    server s1 {s1}
listen again
    mode tcp
    bind {ip}:{port:again} ssl crt {files}/a.pem ca-file {files}/ca.pem verify required alpn http/1.1
    log-format \"%ft %b/%s %sslv %sslc %[ssl_c_s_dn(CN)] %[ssl_bc_protocol]\"
    server s1 {ip}:{port:deep} ssl verify required ca-file {files}/ca.pem sni str(a.test) verifyhost a.test
listen deep
    mode tcp
    no log
    log-format %ft
    bind {ip}:{port:deep} ssl crt {files}/a.pem
    server s1 {s1}
",
    logs: 5,
    origins: one,
    traffic: |run| {
        let posted = format!("{OLD} -d posted");
        each(run, "fe", &[("https://a.test/1", ""), ("https://b.test/2", ""), ("https://a.test/3", &posted)]);
        ask(run, "again", "https://a.test/4", "--cert @alice.pem");
        ask(run, "again", "https://a.test/5", "--tls-max 1.2");
    },
};
