//! Keep-alive on both sides, what is written into Connection and X-Forwarded-For, reuse of server connections.

use super::{HTTP, one};
use crate::support::differential::{Run, same};
use crate::support::{Client, Origin, origin};

fn with(frontend: &str, backend: &str) -> String {
    format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
{frontend}    default_backend be
backend be
{backend}    server s1 {{s1}}
"
    )
}

/// Three requests on one connection if it lasts, and what the others say.
fn conversation(run: &mut Run) {
    let asks = [
        "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /2 HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
        "GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ];
    let mut client = Client::connect(run.addr("fe"));
    for ask in asks {
        client.send(ask);
        run.note_response(&mut client, "GET", ask);
    }
    run.ask("fe", "GET /4 HTTP/1.0\r\n\r\n");
    run.ask("fe", "GET /5 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
}

#[test]
fn keep_alive() {
    same(&with("    option http-keep-alive\n", ""), one, 5, conversation);
}

#[test]
fn server_close() {
    same(&with("    option http-server-close\n", ""), one, 5, conversation);
}

#[test]
fn http_close() {
    same(&with("    option httpclose\n", ""), one, 3, conversation);
}

#[test]
fn server_that_closes() {
    let closing = || {
        vec![("s1", Origin::canned(origin::ok("bye").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")))]
    };
    same(&with("", ""), closing, 5, conversation);
}

#[test]
fn http_10_server() {
    let old = || vec![("s1", Origin::canned(origin::ok("old").replace("HTTP/1.1", "HTTP/1.0")))];
    same(&with("", ""), old, 5, conversation);
}

#[test]
fn forwardfor() {
    let asks = |run: &mut Run| {
        run.get("fe", "/", "");
        run.get("fe", "/", "X-Forwarded-For: 10.0.0.1\r\n");
        run.get(
            "fe",
            "/",
            "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2\r\nX-Client: 10.0.0.3\r\n",
        );
    };
    same(&with("    option forwardfor\n", ""), one, 3, asks);
    same(&with("    option forwardfor except 127.0.0.0/8\n", ""), one, 3, asks);
    same(&with("    option forwardfor header X-Client\n", ""), one, 3, asks);
    same(&with("    option forwardfor if-none\n", ""), one, 3, asks);
    same(
        &with(
            "",
            "    option forwardfor\n    option originalto\n    http-request set-header X-Forwarded-Proto http\n",
        ),
        one,
        3,
        asks,
    );
}

#[test]
fn unique_id() {
    let format = "    unique-id-format %{+X}o-%rc-%[path,hex]-id\n    unique-id-header X-Unique-ID\n    log-format \"%ID %ST %r\"\n";
    same(&with(format, ""), one, 2, |run| {
        run.get("fe", "/a", "");
        run.get("fe", "/b", "X-Unique-ID: mine\r\n");
    });
}

#[test]
fn reuse() {
    for mode in ["never", "safe", "aggressive", "always"] {
        same(&with("", &format!("    http-reuse {mode}\n")), one, 6, |run| {
            for n in 0..3 {
                let mut client = Client::connect(run.addr("fe"));
                for m in 0..2 {
                    client.send(format!("GET /{n}/{m} HTTP/1.1\r\nHost: x\r\n\r\n"));
                    run.note_response(&mut client, "GET", "reuse");
                }
            }
        });
    }
}

/// An origin that says on which connection a request came, and asks for NTLM at `/login`.
fn numbered() -> Vec<(&'static str, Origin)> {
    let talk = |mut stream: std::net::TcpStream, connection: usize| {
        let mut head = Vec::new();
        let mut byte = [0];
        while matches!(std::io::Read::read(&mut stream, &mut byte), Ok(1)) {
            head.push(byte[0]);
            if !head.ends_with(b"\r\n\r\n") {
                continue;
            }
            let body = format!("connection {connection}");
            let start = match head.starts_with(b"GET /login ") {
                true => "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"a\", nTlM",
                false => "200 OK",
            };
            let answer = format!("HTTP/1.1 {start}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if std::io::Write::write_all(&mut stream, answer.as_bytes()).is_err() {
                return;
            }
            head.clear();
        }
    };
    vec![("s1", Origin::raw(talk))]
}

/// A server connection that a client has authenticated stays that client's, however many requests later.
#[test]
fn authenticated_connections_are_not_shared() {
    for reuse in ["always", "safe"] {
        let config = format!(
            "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    default_backend be
backend be
    http-reuse {reuse}
    server s1 {{s1}}
"
        );
        same(&config, numbered, 7, |run| {
            let get = |run: &mut Run, client: &mut Client, path: &str| {
                client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
                run.note_response(client, "GET", path);
            };
            let (mut one, mut two) = (Client::connect(run.addr("fe")), Client::connect(run.addr("fe")));
            get(run, &mut one, "/login");
            get(run, &mut two, "/two");
            get(run, &mut one, "/one");
            get(run, &mut two, "/two/again");
            get(run, &mut one, "/one/again");
            run.finish(one, "one");
            get(run, &mut two, "/two/at/last");
            run.finish(two, "two");
            run.get("fe", "/three", "");
        });
    }
}

/// The next request of a connection goes where the last one went, where that is wanted.
#[test]
fn prefer_last_server() {
    let servers = "    server s2 {s2}\n    server s3 {s3}\n";
    for option in [
        "",
        "    option prefer-last-server\n",
        "    http-reuse never\n",
        "    http-reuse never\n    option prefer-last-server\n",
    ] {
        let config = format!("{}{servers}", with("", &format!("    balance roundrobin\n{option}")));
        same(&config, super::three, 7, |run| {
            let mut client = Client::connect(run.addr("fe"));
            for ask in ["/1", "/2", "/3", "/4", "/5"] {
                client.send(format!("GET {ask} HTTP/1.1\r\nHost: x\r\n\r\n"));
                run.note_response(&mut client, "GET", ask);
            }
            run.finish(client, "the end");
            run.get("fe", "/6", "");
            run.get("fe", "/7", "");
        });
    }
}
