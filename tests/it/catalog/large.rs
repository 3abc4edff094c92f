//! Large answers: in pieces, in gzip, and for many who take them slowly.

use std::io::{Read, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use super::served::{Served, receive};

/// What curl is answered: head and body.
fn curl(node: &Served, path: &str, more: &[&str]) -> (String, String) {
    let address = format!("http://{}{path}", node.address);
    let told =
        Command::new("curl").args(["-sS", "-m", "60", "-D", "/dev/stderr", &address]).args(more).output();
    let told = told.expect("curl runs");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&told.stderr).to_lowercase(), text(&told.stdout))
}

fn filled() -> Served {
    let node = Served::start();
    for n in 0..300 {
        node.ok(&format!("/v1/kv/app/{n:03}"), &"v".repeat(2000));
        let service = format!(r#"{{"Service":"web","ID":"w{n:03}","Port":80,"Meta":{{"n":"{n}"}}}}"#);
        let node_name = format!(r#"{{"Node":"h{n:03}","Address":"10.0.0.1","Service":{service}}}"#);
        node.ok("/v1/catalog/register", &node_name);
    }
    node
}

const LONG: [&str; 4] =
    ["/v1/kv/app/?recurse", "/v1/catalog/service/web", "/v1/health/service/web", "/v1/catalog/nodes?stale"];

#[test]
fn an_answer_is_the_same_however_it_is_taken() {
    let node = filled();
    for path in LONG {
        let (head, plain) = curl(&node, path, &[]);
        assert!(
            head.contains("vary: accept-encoding") && !head.contains("content-encoding"),
            "{path}: {head}"
        );
        let (head, zipped) = curl(&node, path, &["--compressed"]);
        assert!(head.contains("content-encoding: gzip"), "{path}: {head}");
        assert!(
            head.contains("x-consul-index: ") && head.contains("content-type: application/json"),
            "{path}"
        );
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
        assert!(length.is_some_and(|length: usize| length < plain.len() / 4), "{path}: {head}");
        assert_eq!(plain, zipped, "{path}");
        let rows: serde_json::Value = serde_json::from_str(&plain).expect("a list");
        assert!(rows.as_array().is_some_and(|rows| rows.len() >= 300), "{path}");
        let more = if path.contains('?') { "&pretty" } else { "?pretty" };
        let (_, pretty) = curl(&node, &format!("{path}{more}"), &["--compressed"]);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&pretty).expect("a list"), rows, "{path}");
        let (head, nothing) = curl(&node, path, &["-I", "--compressed"]);
        assert!(head.starts_with("http/1.1 200") && nothing.to_lowercase() == head, "{path}: {head}");
    }
    let (_, some) = curl(&node, "/v1/catalog/service/web?filter=ServiceMeta.n%20==%207", &["--compressed"]);
    let some: serde_json::Value = serde_json::from_str(&some).expect("a list");
    assert_eq!((some.as_array().map(Vec::len), &some[0]["ServiceID"]), (Some(1), &"w007".into()));
}

#[test]
fn what_is_short_or_has_no_end_is_not_compressed() {
    let node = Served::start();
    node.ok("/v1/kv/short", &"v".repeat(1_399));
    node.ok("/v1/kv/long", &"v".repeat(1_400));
    let encoding = |path: &str, accepts: &str| {
        let accepts = format!("Accept-Encoding: {accepts}\r\n");
        let answer = node.ask("GET", path, &accepts, b"");
        assert_eq!((answer.status, &*answer.headers["vary"]), (200, "Accept-Encoding"), "{path}");
        answer.headers.get("content-encoding").cloned()
    };
    assert_eq!(encoding("/v1/kv/short?raw", "gzip"), None);
    assert_eq!(encoding("/v1/kv/long?raw", "gzip, deflate").as_deref(), Some("gzip"));
    for accepts in ["identity", "gzip;q=0", "br"] {
        assert_eq!(encoding("/v1/kv/long?raw", accepts), None, "{accepts}");
    }
    let mut saved = Vec::new();
    node.send("GET", "/v1/snapshot", "Accept-Encoding: gzip\r\n", b"")
        .read_to_end(&mut saved)
        .expect("an answer");
    assert!(!String::from_utf8_lossy(&saved).to_lowercase().contains("content-encoding"));
    let mut listens = node.send("GET", "/v1/agent/monitor?loglevel=error", "Accept-Encoding: gzip\r\n", b"");
    let mut head = [0; 600];
    let read = listens.read(&mut head).expect("a head, at once");
    assert!(!String::from_utf8_lossy(&head[..read]).to_lowercase().contains("content-encoding"));
}

/// As a client of Consul in Python reads: a session that says what it takes and unpacks what comes.
#[test]
fn a_client_in_python_reads_it() {
    let node = filled();
    let program = r#"
import base64, gzip, json, sys, urllib.request
ask = urllib.request.Request(sys.argv[1], headers={"Accept-Encoding": "gzip, deflate", "Connection": "keep-alive"})
with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(ask, timeout=60) as answer:
    assert answer.headers["Content-Encoding"] == "gzip", answer.headers
    index, rows = int(answer.headers["X-Consul-Index"]), json.loads(gzip.decompress(answer.read()))
assert len(rows) == 300 and all(base64.b64decode(row["Value"]) == b"v" * 2000 for row in rows)
assert index == max(row["ModifyIndex"] for row in rows)
"#;
    let path = format!("http://{}/v1/kv/app/?recurse", node.address);
    let told = Command::new("python3").args(["-c", program, &path]).output().expect("python3 runs");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
}

/// Sixty of them ask for 20 MB each, and take none of it: that is not 1,200 MB here, nor is anybody sent away.
#[test]
fn what_many_take_slowly_is_made_as_they_take_it() {
    let node = Served::start();
    let value = vec![b'v'; 500 << 10];
    for n in 0..30 {
        assert_eq!(node.ask("PUT", &format!("/v1/kv/big/{n:02}"), "", &value).body, "true");
    }
    let before = resident();
    let mut slow: Vec<_> = (0..60).map(|_| node.send("GET", "/v1/kv/big/?recurse", "", b"")).collect();
    for stream in &mut slow {
        let mut head = [0; 15];
        stream.read_exact(&mut head).expect("a head");
        assert_eq!(&head, b"HTTP/1.1 200 OK");
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 300 << 20, "{} MB", grown >> 20);
    assert_eq!(node.put("/v1/kv/small", "v").body, "true");
    // One of them takes it after all: what was there when it asked.
    node.ok("/v1/kv/big/00", "changed");
    let mut whole = Vec::new();
    slow.pop().expect("one").read_to_end(&mut whole).expect("an answer");
    assert!(whole.len() > 20_000_000 && whole.ends_with(b"]\r\n0\r\n\r\n"), "{} bytes", whole.len());
}

/// Of this process, in bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("a file");
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number") * 4096
}

#[test]
fn heads_that_come_slowly_hold_no_more_than_all_may() {
    isobar::os::limits::raise_descriptors(4_000).expect("descriptors");
    let node = Served::start();
    let head = format!("GET /v1/status/leader HTTP/1.1\r\nHost: x\r\nX-Long: {}", "a".repeat(60_000));
    let mut slow: Vec<_> =
        (0..1_500).map(|_| std::net::TcpStream::connect(node.address).expect("connected")).collect();
    let began = Instant::now();
    // Those for whose heads there is no room are cut off.
    let mut sent = 0;
    for stream in &mut slow {
        stream.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
        sent += usize::from(stream.write_all(head.as_bytes()).is_ok());
    }
    let mut is_cut = |stream: &mut std::net::TcpStream| !matches!(stream.read(&mut [0; 1]), Err(e) if e.kind() == std::io::ErrorKind::WouldBlock);
    let mut cut = 0;
    while cut < 200 && began.elapsed() < Duration::from_secs(30) {
        cut = slow.iter_mut().map(&mut is_cut).filter(|cut| *cut).count();
    }
    assert!((200..800).contains(&cut), "{cut} of {sent} were cut off");
    // Short ones are none of them.
    assert_eq!(node.get("/v1/status/leader").status, 200);
    let mut first = slow.swap_remove(0);
    first.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    first.write_all(b"\r\nConnection: close\r\n\r\n").expect("sent");
    assert_eq!(receive(first).status, 200);
}
