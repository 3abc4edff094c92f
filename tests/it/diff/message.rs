//! Bodies and the messages that have none: HEAD, 204, 304, chunked, 100-continue, Upgrade, big ones.

use super::HTTP;
use crate::support::differential::{Run, same};
use crate::support::{Client, Origin, Step, origin};

fn config() -> String {
    format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    default_backend be
backend be
    server s1 {{s1}}
"
    )
}

fn by_path() -> Vec<(&'static str, Origin)> {
    let head = |start: &str, more: &str| format!("HTTP/1.1 {start}\r\nX-Origin: s1\r\n{more}\r\n");
    let answer = move |path: &str| match path {
        "/204" => head("204 No Content", ""),
        "/304" => head("304 Not Modified", "ETag: \"x\"\r\n"),
        "/head" => head("200 OK", "Content-Length: 42\r\n"),
        "/empty" => head("200 OK", "Content-Length: 0\r\n"),
        "/chunked" => {
            head("200 OK", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
        }
        "/trailer" => {
            head("200 OK", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
        }
        "/103" => "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n".to_string() + &origin::ok("late"),
        "/big" => head("200 OK", "Content-Length: 300000\r\n") + &"big!".repeat(75_000),
        "/bigchunks" => {
            head("200 OK", "Transfer-Encoding: chunked\r\n")
                + &format!("10000\r\n{}\r\n", "c".repeat(65_536)).repeat(4)
                + "0\r\n\r\n"
        }
        "/reason" => head("200 A Reason of its own", "Content-Length: 0\r\n"),
        "/cookies" => head("200 OK", "Set-Cookie: a=1\r\nContent-Length: 0\r\nSet-Cookie: b=2\r\n"),
        _ => origin::ok("s1"),
    };
    let to_close = |path: &str| path == "/untilclose";
    vec![(
        "s1",
        Origin::serve(move |request| {
            let path = request.target();
            if to_close(path) {
                let bytes = b"HTTP/1.1 200 OK\r\nX-Origin: s1\r\n\r\nuntil the end".to_vec();
                return vec![Step::Send(bytes), Step::Close];
            }
            vec![Step::Send(answer(path).into())]
        }),
    )]
}

#[test]
fn bodies() {
    same(&config(), by_path, 11, |run| {
        for path in ["/204", "/304", "/empty", "/chunked", "/trailer", "/103", "/big", "/bigchunks"] {
            run.get("fe", path, "");
        }
        for path in ["/reason", "/cookies", "/untilclose"] {
            run.get("fe", path, "");
        }
    });
}

#[test]
fn heads() {
    same(&config(), by_path, 3, |run| {
        let mut client = Client::connect(run.addr("fe"));
        for path in ["/head", "/chunked", "/204"] {
            client.send(format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
            run.note_response(&mut client, "HEAD", path);
        }
    });
}

#[test]
fn uploads() {
    same(&config(), by_path, 4, |run| {
        let big = "u".repeat(200_000);
        run.ask("fe", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
        run.ask("fe", &format!("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n{big}"));
        run.ask(
            "fe",
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        );
        let mut client = Client::connect(run.addr("fe"));
        let pause = std::time::Duration::from_millis(60);
        client.send_slowly(&["POST / HTTP/1.1\r\nHost: x\r\nContent-Len", "gth: 4\r\n\r\nab", "cd"], pause);
        run.note_response(&mut client, "POST", "in pieces");
    });
}

#[test]
fn expect_continue() {
    same(&config(), by_path, 2, |run: &mut Run| {
        let mut client = Client::connect(run.addr("fe"));
        client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
        let interim = client.response_to("POST").map(|r| r.start);
        run.note("interim", &format!("{interim:?}"));
        client.send("hello");
        run.note_response(&mut client, "POST", "after 100");
        let mut client = Client::connect(run.addr("fe"));
        client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello");
        run.note_response(&mut client, "POST", "with the body at once");
    });
}

fn upgrading() -> Vec<(&'static str, Origin)> {
    let early = |request: &crate::support::message::Message| {
        (request.target() == "/ws").then(|| {
            let head =
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello";
            vec![
                Step::Send(head.into()),
                Step::Sleep(std::time::Duration::from_millis(200)),
                Step::Send(b"bye".into()),
            ]
        })
    };
    vec![("s1", Origin::serve_early(early, |_| vec![Step::Send(origin::ok("no upgrade").into())]))]
}

#[test]
fn upgrade_refused() {
    same(&config(), upgrading, 1, |run| {
        run.get("fe", "/refused", "Connection: Upgrade\r\nUpgrade: echo\r\n");
    });
}

#[test]
fn upgrade() {
    same(&config(), upgrading, 2, |run| {
        let mut client = Client::connect(run.addr("fe"));
        client.send("GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
        run.note_response(&mut client, "GET", "upgrade");
        let (tunnel, end) = client.rest();
        run.note("tunnel", &format!("{} {end:?}", String::from_utf8_lossy(&tunnel)));
        run.get("fe", "/refused", "Connection: Upgrade\r\nUpgrade: echo\r\n");
    });
}

#[test]
fn request_bodies_leave_nothing_for_the_next_request() {
    let config = config().replace("default_backend", "no log\n    default_backend");
    same(&config, by_path, 0, |run| {
        let mut client = Client::connect(run.addr("fe"));
        let pause = std::time::Duration::from_millis(40);
        let pieces: [(&str, &[&str]); 5] = [
            ("whole", &["POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"]),
            ("behind", &["POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n", "abc"]),
            ("halves", &["POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc", "def"]),
            (
                "chunked",
                &["POST /d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
            ),
            ("none", &["GET /e HTTP/1.1\r\nHost: x\r\n\r\n"]),
        ];
        for (label, pieces) in pieces {
            client.send_slowly(pieces, pause);
            run.note_response(&mut client, "POST", label);
        }
    });
}
