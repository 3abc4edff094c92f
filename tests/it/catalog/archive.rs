//! The map as an archive: `/v1/snapshot`.

use std::io::Read;

use super::served::{Served, settings};
use isobar::catalog::Settings;

/// The body of a chunked answer, as bytes.
fn archive(node: &Served, headers: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    node.send("GET", "/v1/snapshot", headers, b"").read_to_end(&mut bytes).expect("an answer");
    let at = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&bytes[..at]).to_lowercase();
    assert!(head.starts_with("http/1.1 200") && head.contains("application/x-gzip"), "{head}");
    assert!(head.contains("x-consul-index: "), "{head}");
    let mut rest = &bytes[at + 4..];
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|w| w == b"\r\n").expect("a chunk's size");
        let size = usize::from_str_radix(&String::from_utf8_lossy(&rest[..end]), 16).expect("a size");
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
}

#[test]
fn what_was_saved_is_restored_elsewhere_and_nothing_else_is_there() {
    let (one, other) = (Served::start(), Served::start());
    for n in 0..300 {
        one.ok(&format!("/v1/kv/app/{n}"), &"v".repeat(5000));
    }
    one.ok("/v1/agent/service/register", r#"{"Name":"web","Port":80,"Tags":["a"],"Check":{"TTL":"30s"}}"#);
    other.ok("/v1/kv/own", "gone after it");
    let saved = archive(&one, "");
    assert!(saved.starts_with(&[0x1f, 0x8b]));
    let before = one.get("/v1/kv/app/?recurse").body;
    one.ok("/v1/kv/app/1", "later");
    let answer = other.ask("PUT", "/v1/snapshot", "", &saved);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(other.get("/v1/kv/app/?recurse").body, before, "keys, values and indexes");
    assert_eq!(other.get("/v1/kv/own").status, 404);
    assert_eq!(other.get("/v1/catalog/service/web").json()[0]["ServicePort"], 80);
    // Who waits is told.
    other.ok("/v1/kv/after", "1");
    assert_eq!(other.get("/v1/kv/after?raw").body, "1");
    for bad in [&saved[..saved.len() / 2], b"text", b""] {
        let answer = other.ask("PUT", "/v1/snapshot", "", bad);
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    assert_eq!(other.get("/v1/kv/after?raw").body, "1", "nothing of it happened");
}

#[test]
fn an_archive_comes_in_pieces_in_their_order() {
    let (one, other) = (Served::start(), Served::start());
    one.ok("/v1/kv/a", &"v".repeat(100_000));
    let saved = isobar::region::map::unzip_archive(&archive(&one, "")).expect("an archive");
    let half = saved.len() / 2;
    let put = |query: &str, data: &[u8]| {
        other.ask("PUT", &format!("/v1/isobar/cluster/restore?{query}"), "", data).status
    };
    assert_eq!(put("archive=x&piece=1&last", &saved[half..]), 500, "the first is missing");
    assert_eq!(put("archive=x&piece=0", &saved[..half]), 200);
    assert_eq!(put("archive=y&piece=1&last", &saved[half..]), 500, "of another");
    assert_eq!(put("archive=&piece=0", &saved), 400);
    assert_eq!(put("piece=0", &saved), 400);
    assert_eq!(put("archive=x&piece=-1", &saved), 400);
    assert_eq!(other.get("/v1/kv/a").status, 404);
    assert_eq!(put("archive=x&piece=1&last", &saved[half..]), 200);
    assert_eq!(other.get("/v1/kv/a").status, 200);
}

#[test]
fn an_archive_is_for_managers_of_the_cluster_alone() {
    let all = Settings { write_token: Some("root".into()), read_token: Some("look".into()), ..settings() };
    let node = Served::with(all);
    let root = "X-Consul-Token: root\r\n";
    for token in ["", "X-Consul-Token: look\r\n"] {
        assert_eq!(node.ask("GET", "/v1/snapshot", token, b"").status, 403);
        assert_eq!(node.ask("PUT", "/v1/snapshot", token, b"x").status, 403);
        assert_eq!(node.ask("PUT", "/v1/isobar/cluster/restore?archive=a&piece=0", token, b"x").status, 403);
    }
    node.ask("PUT", "/v1/kv/a", root, b"v");
    assert!(!archive(&node, root).is_empty());
}
