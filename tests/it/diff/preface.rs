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
