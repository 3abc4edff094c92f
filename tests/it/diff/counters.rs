//! What `show stat` says after traffic that went wrong: who failed, how often, and what the try after it counts as.

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

fn counters(run: &mut Run) {
    run.columns(&COLUMNS);
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

/// A connection is idle a little after the client has its answer.
fn settle() {
    std::thread::sleep(Duration::from_millis(50));
}

/// Idle connections by what is known of them, and how many are thought to be needed.
#[test]
fn idle_connections() {
    let config = format!(
        "{}
frontend fe
    bind {{ip}}:{{port:fe}}
    use_backend %[path,field(2,/)]
backend shared
    http-reuse always
    server s1 {{s1}}
backend none
    server s1 {{s1}} pool-max-conn 0
backend own
    http-reuse never
    server s1 {{s1}}
",
        head()
    );
    const IDLE: [&str; 8] = [
        "srv_icur",
        "src_ilim",
        "idle_conn_cur",
        "safe_conn_cur",
        "used_conn_cur",
        "need_conn_est",
        "connect",
        "reuse",
    ];
    same(&config, super::one, 15, |run| {
        let mut clients = [Client::connect(run.addr("fe")), Client::connect(run.addr("fe"))];
        for backend in ["shared", "none", "own"] {
            for _ in 0..2 {
                for client in &mut clients {
                    client.send(format!("GET /{backend}/ HTTP/1.1\r\nHost: x\r\n\r\n"));
                    run.note_response(client, "GET", backend);
                }
                settle();
                run.columns(&IDLE);
            }
        }
        for client in clients {
            run.finish(client, "the end");
        }
        for _ in 0..3 {
            run.get("fe", "/shared/", "");
        }
        settle();
        run.columns(&IDLE);
    });
}

/// Edits of a head that find no room: counted, and where the rules are strict the end of the transaction.
#[test]
fn rewrites_without_room() {
    let config = format!(
        "{}
frontend fe
    bind {{ip}}:{{port:fe}}
    http-request set-var(txn.long) str(0123456789abcdef),concat(,txn.long),bytes(0,16)
    http-request strict-mode off if {{ path /lax }}
    http-request set-header X-Big %[req.hdr(x-long)]%[req.hdr(x-long)] if {{ path /front /lax }}
    default_backend be
backend be
    http-request set-header X-Big %[req.hdr(x-long)]%[req.hdr(x-long)] if {{ path /back }}
    http-request set-var(txn.long) req.hdr(x-long)
    http-response set-header X-Big %[var(txn.long)]%[var(txn.long)] if {{ capture.req.uri /response }}
    server s1 {{s1}}
",
        head()
    );
    same(&config, super::one, 5, |run| {
        let long = format!("X-Long: {}\r\n", "x".repeat(9000));
        for path in ["/none", "/front", "/lax", "/back", "/response"] {
            run.get("fe", path, &long);
            run.columns(&["wrew", "eint", "hrsp_5xx", "hrsp_2xx", "dreq"]);
        }
    });
}

/// What `tcp-request content` rules reject before it is a request, and in the backend.
#[test]
fn rejected_before_it_is_a_request() {
    let config = format!(
        "{}
frontend fe
    bind {{ip}}:{{port:fe}}
    tcp-request inspect-delay 5s
    tcp-request content reject if {{ path /front }}
    http-request reject if {{ path /http }}
    default_backend be
backend be
    tcp-request content reject if {{ path /back }}
    server s1 {{s1}}
",
        head()
    );
    same(&config, super::one, 6, |run| {
        for path in ["/ok", "/front", "/back", "/http"] {
            run.get("fe", path, "");
            run.columns(&["stot", "req_tot", "hrsp_2xx", "hrsp_other", "ereq"]);
        }
        let mut client = Client::connect(run.addr("fe"));
        client.send("GET /ok HTTP/1.1\r\nHost: x\r\n\r\nGET /front HTTP/1.1\r\nHost: x\r\n\r\n");
        run.note_response(&mut client, "GET", "/ok, and then");
        let (rest, end) = client.rest();
        run.note("/front behind it", &format!("{rest:?} {end:?}"));
        run.columns(&["stot", "req_tot", "hrsp_2xx", "hrsp_other"]);
    });
}

/// A line for each `bind`, where that is wanted.
#[test]
fn listeners() {
    let config = format!(
        "{}
frontend fe
    bind {{ip}}:{{port:one}} name first
    bind {{ip}}:{{port:two}} id 7
    option socket-stats
    http-request deny if {{ path /deny }}
    http-response deny if {{ path /never }}
    default_backend be
frontend silent
    bind {{ip}}:{{port:three}}
    default_backend be
backend be
    server s1 {{s1}}
",
        head()
    );
    same(&config, super::one, 8, |run| {
        let wanted = [
            "type", "sid", "scur", "smax", "stot", "dreq", "dresp", "ereq", "status", "dcon", "dses", "wrew",
            "eint", "addr", "mode", "hrsp_2xx", "req_tot", "weight", "econ",
        ];
        for (port, path) in [("one", "/"), ("two", "/"), ("two", "/deny"), ("one", "/x"), ("three", "/")] {
            run.get(port, path, "");
        }
        run.ask("two", "what is this?\r\n\r\n");
        let mut client = Client::connect(run.addr("two"));
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        run.note_response(&mut client, "GET", "stays");
        run.columns(&wanted);
        run.finish(client, "the end");
        run.cli("clear counters all");
        run.columns(&wanted);
        let only = run.cli("show stat fe 8 7").lines().count();
        run.note("one listener", &only.to_string());
        let names = run.cli("disable frontend fe");
        run.note("disabled", &names);
        run.columns(&["status"]);
    });
}
