//! Whole commands on files, as they are typed.

use std::path::{Path, PathBuf};

use super::script::{Expected, Script};
use super::*;
use crate::app::node::Node;

const CONFIG: &str = "\
global
    log 127.0.0.1:9 local0
defaults
    mode http
    log global
    option httplog
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend www
    bind :80
    acl is_api path_beg /api/
    acl is_bad src 203.0.113.0/24
    tcp-request content reject if { src 198.51.100.9 }
    http-request deny if is_bad !is_api
    http-request set-header X-From %[src]
    http-request tarpit if { path /slow }
    redirect location https://www.example.com/ if { path /old }
    use_backend api if is_api
    use_backend %[req.hdr(x-to)] if { req.hdr(x-to) -m found }
    default_backend web
backend web
    balance roundrobin
    cookie SRV insert indirect nocache
    server w1 192.0.2.1:80 cookie one
    server w2 192.0.2.2:80 cookie two
backend api
    http-request set-path %[path,regsub(^/api,)]
    use-server a2 if { path_beg /v2 }
    server a1 192.0.2.3:80 send-proxy
    server a2 192.0.2.4:443 ssl verify none proto h2
    balance roundrobin
frontend tls-by-name
    mode tcp
    option tcplog
    bind :443
    tcp-request inspect-delay 5s
    tcp-request content accept if { req.ssl_hello_type 1 }
    use_backend raw if { req.ssl_sni -i raw.example.com }
backend raw
    mode tcp
    server r1 192.0.2.5:443
";

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        let files = Files(tempfile::tempdir().expect("a folder"));
        files.write("ha.cfg", CONFIG);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).expect("a file");
        self.path(name)
    }

    fn try_trace(&self, words: &[&str]) -> Result<String, String> {
        let file = self.path("ha.cfg").display().to_string();
        let words: Vec<String> = ["-f", &file].iter().chain(words).map(|word| (*word).to_owned()).collect();
        let asked = Asked::parse(&words)?;
        let text = trace(Node::default(), &asked)?;
        Ok(text.replace(&format!("{}/", self.0.path().display()), ""))
    }

    fn trace(&self, words: &[&str]) -> String {
        self.try_trace(words).unwrap_or_else(|e| panic!("{words:?}: {e}"))
    }

    fn test(&self, script: &str) -> Result<(bool, Vec<String>), String> {
        let path = self.write("ha.cfg.test", script);
        let trial = Trial { scripts: vec![path], ..Trial::default() };
        let mut lines = Vec::new();
        let folder = format!("{}/", self.0.path().display());
        let done = test(Node::default(), &trial, |line| lines.push(line.replace(&folder, "")));
        done.map(|all| (all, lines)).map_err(|e| e.replace(&folder, ""))
    }
}

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn a_request_is_followed_from_its_frontend_to_the_log() {
    let files = Files::new();
    let text = files.trace(&["--from", "203.0.113.7", "GET", "http://www.example.com/api/v1?a=b"]);
    has(
        &text,
        &[
            "frontend www  (the first that listens on port 80)\n    ha.cfg:11: bind :80\n",
            "ha.cfg:15: http-request deny if is_bad !is_api\n    is_bad  (ha.cfg:13 src 203.0.113.0/24)  \"203.0.113.7\"  yes\n",
            "    is_api  (ha.cfg:12 path_beg /api/)  \"/api/v1\"  yes\n    does not apply\n",
            "ha.cfg:16: http-request set-header X-From %[src]\n    applies: goes on\n",
            "backend api  (use_backend, ha.cfg:19)\n",
            "server a1  (balance roundrobin)\n",
            "request to the server:\n    PROXY TCP4 203.0.113.7 ",
            "    GET /v1?a=b HTTP/1.1\n    Host: www.example.com\n    x-from: 203.0.113.7\n",
            "answer:\n    HTTP/1.1 200 OK\n",
            "log:\n    203.0.113.7:40000 [",
            " www api/a1 ",
            "\"GET /api/v1?a=b HTTP/1.1\"",
        ],
    );
}

#[test]
fn other_ends() {
    let files = Files::new();
    has(
        &files.trace(&["--from", "203.0.113.7", "GET", "/"]),
        &[
            "frontend www  (the first HTTP frontend)\n",
            "    applies: answers\nno server is asked\nanswer:\n    HTTP/1.1 403 Forbidden\n",
            " www www/<NOSRV> ",
        ],
    );
    has(
        &files.trace(&["GET", "http://a/old"]),
        &["    HTTP/1.1 302 Found\n", "location: https://www.example.com/\n"],
    );
    has(&files.trace(&["GET", "/slow"]), &["(after waiting for some ", "HTTP/1.1 500 Internal"]);
    has(
        &files.trace(&["--from", "198.51.100.9", "GET", "/"]),
        &["applies: closes the connection\n", "no answer: the "],
    );
    // A server that speaks TLS and HTTP/2 is shown what it would get.
    let text = files.trace(&["-H", "X-A: b", "--data", "x=y", "POST", "/api/v2/z"]);
    has(&text, &["server a2  (use-server)\n", "    POST /v2/z HTTP/1.1\n", "X-A: b\n", "\n\n    x=y\n"]);
    has(&files.trace(&["-H", "X-To: api", "GET", "/"]), &["backend api  (use_backend, ha.cfg:20)\n"]);
    has(&files.trace(&["-H", "Cookie: SRV=two", "GET", "/"]), &["server w2  (persistence)\n"]);
}

#[test]
fn connections_are_switched_by_their_name() {
    let files = Files::new();
    let text = files.trace(&["GET", "https://raw.example.com/"]);
    has(
        &text,
        &[
            "frontend tls-by-name  (",
            "\"raw.example.com\"  yes",
            "backend raw  (",
            "server r1  (",
            "to the server:\n",
        ],
    );
    has(
        &files.trace(&["--frontend", "tls-by-name", "--sni", "other", "GET", "/"]),
        &["no server is asked\n"],
    );
}

#[test]
fn the_same_for_programs() {
    let files = Files::new();
    let text = files.trace(&["--json", "GET", "/api/x"]);
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value["backend"], "api");
    assert_eq!(value["server"], "a1");
    assert_eq!(value["request"]["line"], "GET /x HTTP/1.1");
    assert_eq!(value["log"][0]["is_sent"], true);
    let rules: Vec<_> =
        value["steps"].as_array().expect("steps").iter().filter(|s| s["step"] == "rule").collect();
    assert_eq!(rules[0]["rule"]["text"], "http-request set-header X-From %[src]");
}

#[test]
fn what_cannot_be_asked() {
    let files = Files::new();
    for (words, said) in [
        (&["GET"][..], "which request? 'isobar trace -f <file> [<option>...] <method> <url>' is the form"),
        (&["GET", "x"], "'x' is neither an absolute URL nor a path"),
        (&["G T", "/"], "'G T' is no method"),
        (&["--form", "x", "GET", "/"], "unknown option '--form'; did you mean '--from' maybe ?"),
        (&["--from", "x", "GET", "/"], "'x' is no address"),
        (&["-H", "x", "GET", "/"], "'x' is no header field: 'Name: value' is the form"),
        (&["--frontend", "none", "GET", "/"], "there is no frontend 'none'"),
        (&["GET", "/", "--sni"], "--sni expects a value"),
    ] {
        assert_eq!(files.try_trace(words).unwrap_err(), said);
    }
}

#[test]
fn expectations_hold_or_do_not() {
    let files = Files::new();
    let (all, lines) = files
        .test(
            "# about the site\n\
             GET http://www.example.com/api/v1 from 203.0.113.7 with 'X-A: b'\n\
             \tfrontend www\n\
             \tbackend api\n\
             \tserver any\n\
             \tstatus 200\n\
             \trequest-line GET /v1\n\
             \trequest-header X-From 203.0.113.7\n\
             \trequest-header x-a\n\
             \tno-request-header X-B\n\
             \tlog \"GET /api/v1 HTTP/1.1\"\n\
             GET /old\n\
             \tstatus 301\n\
             \theader location https://www.example.com/\n\
             \tbackend none\n\
             \tserver w1\n\
             GET / from 198.51.100.9\n\
             \tclosed\n",
        )
        .expect("a script");
    assert!(!all);
    let failed: Vec<_> = lines.iter().filter(|line| line.starts_with("FAIL")).collect();
    assert_eq!(
        failed,
        ["FAIL  ha.cfg.test:13: status 301: it is 302", "FAIL  ha.cfg.test:16: server w1: it is 'none'",]
    );
    assert_eq!(lines.len(), 15);
    assert_eq!(lines[0], "ok    ha.cfg.test:3: frontend www");
    assert_eq!(lines[14], "14 expectations, 2 failed");
    // Each request finds everything as it is at the start.
    let twice = "GET /\n server w1\nGET /\n server w1\n";
    assert!(files.test(twice).expect("a script").0);
}

#[test]
fn scripts_are_refused_with_their_place() {
    let files = Files::new();
    for (script, said) in [
        ("GET /\n", "ha.cfg.test:1: nothing is expected of this request"),
        ("GET\n", "ha.cfg.test:1: 'GET' is no request: '<method> <url>' is the form"),
        (
            " status 200\n",
            "ha.cfg.test:1: 'status' belongs to no request: one begins at the line's beginning",
        ),
        ("GET /\n stats 200\n", "ha.cfg.test:2: unknown expectation 'stats'; did you mean 'status' maybe ?"),
        ("GET /\n status many\n", "ha.cfg.test:2: 'many' is no status"),
        ("GET /\n backend\n", "ha.cfg.test:2: 'backend' expects a value"),
        ("GET / form 10.0.0.1\n", "ha.cfg.test:1: unknown word 'form'; did you mean 'from' maybe ?"),
        ("GET / from\n", "ha.cfg.test:1: 'from' expects a value"),
        ("GET / with 'a: b\n", "ha.cfg.test:1: a quote is not closed"),
        ("\nGET / frontend no\n status 200\n", "ha.cfg.test:2: there is no frontend 'no'"),
    ] {
        assert_eq!(files.test(script).unwrap_err(), said);
    }
    let script =
        Script::parse(Path::new("x/site.test"), "config a.cfg b.cfg\nlegacy\nGET /\n closed\n").expect("one");
    assert_eq!(script.files, [PathBuf::from("x/a.cfg"), PathBuf::from("x/b.cfg")]);
    assert!(script.legacy && script.cases[0].expectations[0].expected == Expected::Closed);
}
