//! Parameters that say nothing, too much, or no text: refused or without effect, on every endpoint, never the end of
//! anything.

use hyper::Method;

use super::served::Served;

const PARAMS: [&str; 24] = [
    "index",
    "wait",
    "near",
    "tag",
    "passing",
    "node-meta",
    "filter",
    "separator",
    "keys",
    "recurse",
    "raw",
    "cas",
    "flags",
    "acquire",
    "release",
    "limit",
    "stale",
    "wan",
    "format",
    "hash",
    "id",
    "address",
    "piece",
    "archive",
];

/// A path of a route, with something in the place of what it captures.
fn path(pattern: &str) -> String {
    let piece = |part: &str| if part.starts_with([':', '*']) { "x".to_owned() } else { part.to_owned() };
    pattern.split('/').map(piece).collect::<Vec<_>>().join("/")
}

/// What Consul too answers with a 5xx: what it cannot know, or does not do.
fn is_said(status: u16, body: &str) -> bool {
    let known =
        ["No ", "no ", "Unknown", "unknown", "not ", "invalid", "Invalid", "agent: ", "keyring", "archive"];
    status < 500 || status == 501 || known.iter().any(|word| body.contains(word))
}

#[test]
fn odd_values_are_refused_or_mean_nothing_and_no_text_is_refused() {
    let node = Served::start();
    node.ok("/v1/kv/x", "before");
    let long = "y".repeat(6000);
    let values = ["", "-1", "18446744073709551616", "%00", long.as_str()];
    let mut asked = 0;
    for route in isobar::catalog::endpoints::routes() {
        let goes_on = ["/v1/agent/monitor", "/ui/events"].contains(&route.path);
        if goes_on || !route.methods.contains(&Method::GET) {
            continue;
        }
        let path = path(route.path);
        let bad = node.get(&format!("{path}?index=%FF"));
        assert_eq!(bad.status, 400, "{path}: {bad:?}");
        // All at once where they do not stand in each other's way, one by one where a value decides.
        for value in values {
            let all: Vec<String> = PARAMS.iter().map(|name| format!("{name}={value}")).collect();
            let answer = node.get(&format!("{path}?{}", all.join("&")));
            assert!(
                is_said(answer.status, &answer.body),
                "{path} {value:.20}: {} {:.200}",
                answer.status,
                answer.body
            );
            asked += 1;
        }
        for (name, value) in [("index", "-1"), ("index", "18446744073709551616"), ("wait", "-1")] {
            let other = if name == "wait" { "&index=1" } else { "" };
            let answer = node.get(&format!("{path}?{name}={value}{other}"));
            assert!(
                answer.status < 500 || is_said(answer.status, &answer.body),
                "{path}?{name}={value}: {answer:?}"
            );
        }
    }
    assert!(asked > 200, "{asked}");
    assert_eq!(node.get("/v1/kv/x?raw").body, "before");
}

#[test]
fn a_change_with_an_odd_condition_changes_nothing() {
    let node = Served::start();
    node.ok("/v1/kv/x", "before");
    for name in ["cas", "acquire", "release", "flags"] {
        for value in ["", "-1", "18446744073709551616", "1.5", "%FF", "1&NAME=2"] {
            let query = format!("{name}={}", value.replace("NAME", name));
            let answer = node.put(&format!("/v1/kv/x?{query}"), "after");
            assert!(answer.status != 200 || answer.body == "false", "PUT {query}: {answer:?}");
            if name == "cas" {
                let answer = node.ask("DELETE", &format!("/v1/kv/x?{query}"), "", b"");
                assert!(answer.status != 200 || answer.body == "false", "DELETE {query}: {answer:?}");
            }
            assert_eq!(node.get("/v1/kv/x?raw").body, "before", "{query}");
        }
    }
}

#[test]
fn fields_of_the_wrong_type_are_refused() {
    let node = Served::start();
    let endpoints = [
        ("/v1/agent/service/register", "Name"),
        ("/v1/catalog/register", "Node"),
        ("/v1/session/create", "Name"),
        ("/v1/agent/check/register", "Name"),
    ];
    for (path, field) in endpoints {
        for value in ["7", "[]", "{}", "true"] {
            let answer = node.put(path, &format!(r#"{{"{field}":{value}}}"#));
            assert_eq!(answer.status, 400, "{path} {field}={value}: {answer:?}");
        }
        for body in ["[]", "7", "\"x\"", "{", "{\"a\":\"\u{1}\"}"] {
            let answer = node.put(path, body);
            assert_eq!(answer.status, 400, "{path} {body}: {answer:?}");
        }
    }
    for port in ["-1", "70000", "\"x\"", "1.5", "[]"] {
        let answer = node.put("/v1/agent/service/register", &format!(r#"{{"Name":"web","Port":{port}}}"#));
        assert_eq!(answer.status, 400, "{port}: {answer:?}");
    }
    assert!(node.get("/v1/catalog/service/web").json().as_array().is_some_and(Vec::is_empty));
}
