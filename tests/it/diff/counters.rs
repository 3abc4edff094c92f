//! What `show stat` says after traffic that went wrong: who failed, how often, and what the try after it counts as.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::HTTP;
use crate::support::differential::{Run, same};
use crate::support::message::Message;
use crate::support::{Client, Origin, Step, origin};

const COLUMNS: [&str; 17] = [
    "stot",
    "econ",
    "eresp",
    "wretr",
    "wredis",
    "srv_abrt",
    "lbtot",
    "dreq",
    "ereq",
    "hrsp_1xx",
    "hrsp_2xx",
    "hrsp_4xx",
    "hrsp_5xx",
    "req_tot",
    "dresp",
    "intercepted",
    "connect",
];

/// Notes the columns of each proxy and server.
fn counters(run: &mut Run) {
    let mut stream = UnixStream::connect(run.proxy.dir().join("sock")).expect("connect");
    stream.write_all(b"show stat\n").expect("write");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("read");
    let mut lines = text.trim_start_matches("# ").lines().filter(|line| !line.is_empty());
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let shown: String = names
            .iter()
            .zip(&cells)
            .filter(|(name, _)| COLUMNS.contains(name))
            .map(|(name, cell)| format!("{name}={cell} "))
            .collect();
        run.note(&format!("{}/{}", cells[0], cells[1]), &shown);
    }
}

fn head() -> String {
    HTTP.replace("    nbthread 1\n", "    nbthread 1\n    stats socket {dir}/sock level admin\n")
}

/// What each server does wrong is in its path.
fn faulty() -> Vec<(&'static str, Origin)> {
    let answer = |path: &str| -> Vec<Step> {
        match path {
            "/empty" => vec![Step::Close],
            "/cut" => vec![Step::Send(b"HTTP/1.1 200 OK\r\nX".to_vec()), Step::Close],
            "/junk" => vec![Step::Send(b"who is there?\r\n\r\n".to_vec()), Step::Close],
            "/chunks" => {
                let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec();
                vec![Step::Send(bytes), Step::Close]
            }
            "/half" => {
                let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_vec();
                vec![Step::Send(bytes), Step::Close]
            }
            _ => vec![Step::Send(origin::ok("fine").into())],
        }
    };
    vec![("s1", Origin::serve(move |request| answer(request.target())))]
}

#[test]
fn responses_that_are_none() {
    let config = format!(
        "{}
frontend fe
    bind {{ip}}:{{port:fe}}
    monitor-uri /monitor
    http-request return status 200 if {{ path /own }}
    default_backend be
backend be
    stats uri /stats
    http-request return status 200 if {{ path /theirs }}
    http-request redirect location / if {{ path /away }}
    server s1 {{s1}}
",
        head()
    );
    same(&config, faulty, 10, |run| {
        for path in ["/fine", "/empty", "/cut", "/junk", "/chunks", "/own", "/theirs", "/away"] {
            run.get("fe", path, "");
        }
        for path in ["/half", "/stats;csv"] {
            let mut client = Client::connect(run.addr("fe"));
            client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
            client.rest();
        }
        run.get("fe", "/monitor", "");
        counters(run);
    });
}

/// Whoever does not care for one particular server asks another one at once, also where the connect fails on the spot.
#[test]
fn servers_that_cannot_be_reached() {
    let backends: String = ["roundrobin", "leastconn", "first"]
        .iter()
        .map(|name| {
            format!(
                "
backend {name}
    balance {name}
    server s1 {{dead}}
    server s2 {{s1}}
backend {name}-unix
    balance {name}
    server s1 unix@{{dir}}/nobody
    server s2 {{s1}}
"
            )
        })
        .collect();
    let config = format!(
        "{}
    option redispatch
    retries 3
    timeout connect 300ms
frontend fe
    bind {{ip}}:{{port:fe}}
    use_backend %[path,field(2,/)]
{backends}
backend alone
    retries 2
    server s1 unix@{{dir}}/nobody
backend held
    cookie S insert indirect
    retries 2
    balance roundrobin
    server s1 unix@{{dir}}/nobody cookie a
    server s2 {{s1}} cookie b
",
        head()
    );
    same(&config, faulty, 8, |run| {
        for name in ["roundrobin", "leastconn", "first"] {
            run.get("fe", &format!("/{name}/"), "");
            run.get("fe", &format!("/{name}-unix/"), "");
        }
        run.get("fe", "/alone/", "");
        run.get("fe", "/held/", "Cookie: S=a\r\n");
        counters(run);
    });
}

/// A queue that takes nobody any more: who asks for that server goes to another one, or away.
#[test]
fn full_queues() {
    let slow = || {
        let answer = |request: &Message| {
            let pause = if request.target() == "/slow" { 900 } else { 0 };
            vec![Step::Sleep(Duration::from_millis(pause)), Step::Send(origin::ok("one").into())]
        };
        vec![("s1", Origin::serve(answer)), ("s2", Origin::named("two"))]
    };
    let config = format!(
        "{}
frontend fe
    bind {{ip}}:{{port:fe}}
    http-request set-log-level silent if !{{ path /too-many }}
    use_backend moves if {{ hdr(x-to) moves }}
    use_backend stays if {{ hdr(x-to) stays }}
backend moves
    option redispatch
    use-server s1 if TRUE
    server s1 {{s1}} maxconn 1 maxqueue 1
    server s2 {{s2}}
backend stays
    use-server s1 if TRUE
    server s1 {{s1}} maxconn 1 maxqueue 1
    server s2 {{s2}}
",
        head()
    );
    same(&config, slow, 2, |run| {
        for to in ["moves", "stays"] {
            let mut waiting = Vec::new();
            for path in ["/slow", "/queued"] {
                let mut client = Client::connect(run.addr("fe"));
                client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-To: {to}\r\n\r\n"));
                waiting.push((client, path));
                std::thread::sleep(Duration::from_millis(100));
            }
            run.get("fe", "/too-many", &format!("X-To: {to}\r\n"));
            for (mut client, path) in waiting {
                run.note_response(&mut client, "GET", path);
                run.finish(client, path);
            }
        }
        counters(run);
    });
}
