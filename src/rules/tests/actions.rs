//! Actions and rule sets.

use super::support::*;
use crate::rules::*;

/// A rule set of these lines.
fn set(kind: RuleSetKind, lines: &[&str]) -> RuleSet {
    good(&lines.join("; "), |ctx| {
        let mut set = RuleSet::default();
        for line in lines {
            set.push(kind, &words(line), &Acls::default(), ctx);
        }
        Some(set)
    })
}

pub fn run(kind: RuleSetKind, lines: &[&str], txn: &mut Txn) -> Outcome {
    set(kind, lines).run(txn, &FakeEnv::default(), &mut 0)
}

fn request(lines: &[&str]) -> Txn {
    let mut txn = usual();
    let outcome = run(RuleSetKind::HttpRequest, lines, &mut txn);
    assert!(matches!(outcome, Outcome::Continue), "{lines:?}");
    txn
}

fn all(txn: &Txn, name: &str) -> Vec<String> {
    txn.req.values(name.as_bytes()).map(|v| String::from_utf8_lossy(v).into_owned()).collect()
}

fn target(lines: &[&str]) -> String {
    String::from_utf8_lossy(request(lines).req.target_bytes()).into_owned()
}

fn reply(kind: RuleSetKind, line: &str) -> (Reply, bool) {
    match run(kind, &[line], &mut usual()) {
        Outcome::Final { reply, denied } => (reply, denied),
        Outcome::Tarpit { reply } => (reply, true),
        _ => panic!("{line}: no reply"),
    }
}

fn field<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    let found = reply.fields.iter().find(|(n, _)| **n == *name.as_bytes());
    found.map(|(_, v)| std::str::from_utf8(v).unwrap())
}

fn body(reply: &Reply) -> String {
    match &reply.body {
        ReplyBody::Bytes(b) | ReplyBody::Raw(b) => String::from_utf8_lossy(b).into_owned(),
        ReplyBody::Empty => String::new(),
    }
}

#[test]
fn header_fields() {
    let txn =
        request(&["set-header X-Forwarded-For %[src]", "add-header X-New \"a b\"", "add-header x-new c"]);
    assert_eq!(all(&txn, "x-forwarded-for"), ["10.1.2.3"]);
    assert_eq!(all(&txn, "X-New"), ["a b", "c"]);
    for (line, left) in [
        (
            "del-header cookie",
            vec![
                "host",
                "user-agent",
                "x-forwarded-for",
                "x-forwarded-for",
                "authorization",
                "content-length",
            ],
        ),
        (
            "del-header x- -m beg",
            vec!["host", "user-agent", "cookie", "cookie", "authorization", "content-length"],
        ),
        (
            "del-header T -m end",
            vec!["x-forwarded-for", "x-forwarded-for", "cookie", "cookie", "authorization", "content-length"],
        ),
        ("del-header or -m sub", vec!["host", "user-agent", "cookie", "cookie", "content-length"]),
        ("del-header ^[a-h] -m reg", vec!["user-agent", "x-forwarded-for", "x-forwarded-for"]),
    ] {
        let left: Vec<String> = left.into_iter().map(str::to_owned).collect();
        let mut txn = usual();
        run(RuleSetKind::HttpRequest, &[line], &mut txn);
        let names: Vec<String> =
            txn.req.fields().map(|(n, _)| String::from_utf8_lossy(n).to_lowercase()).collect();
        assert_eq!(names, left, "{line}");
    }
}

#[test]
fn replacing_values() {
    let txn = request(&["replace-header Cookie id=([^;]*) 'id=<\\1>'"]);
    assert_eq!(all(&txn, "cookie"), ["id=<42>", "id=<43>"]);
    let txn = request(&["replace-header X-Forwarded-For ^10\\. no"]);
    assert_eq!(all(&txn, "x-forwarded-for"), ["no", "172.16.1.1"]);
    let txn = request(&["replace-value X-Forwarded-For ^192\\.168\\.(.*) 172.16.\\1"]);
    assert_eq!(all(&txn, "x-forwarded-for"), ["10.0.0.1,172.16.7.9", "172.16.1.1"]);
    let txn = request(&["replace-header user-agent (.*) %[src]-\\1"]);
    assert_eq!(all(&txn, "user-agent"), ["10.1.2.3-curl/8.0 (a, b)"]);
}

/// An escaped quote does not end the quotes, as for `hdr()`.
#[test]
fn quoted_elements_are_replaced_whole() {
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-List: \"a\\\",b\", c\r\n\r\n";
    let mut txn = txn(request, None);
    run(RuleSetKind::HttpRequest, &["replace-value X-List ^(.*)$ <\\1>"], &mut txn);
    assert_eq!(all(&txn, "x-list"), ["<\"a\\\",b\">,<c>"]);
}

#[test]
fn host_follows_an_absolute_target() {
    for (line, host) in [
        ("set-uri http://h:8080/p", "h:8080"),
        ("replace-uri ^/(.*) http://x/\\1", "x"),
        ("set-uri /p", "www.Example.com:8080"),
        ("set-path /p", "www.Example.com:8080"),
    ] {
        assert_eq!(all(&request(&[line]), "host"), [host], "{line}");
    }
}

/// Rules of the connection change the connection, others what the stream is said to be.
#[test]
fn addresses_by_rule_set() {
    use RuleSetKind::{HttpRequest, TcpConnection, TcpContent, TcpSession};
    for kind in [TcpConnection, TcpSession, TcpContent, HttpRequest] {
        let mut txn = usual();
        (txn.conn_client, txn.conn_local) = (txn.client, txn.local);
        let lines =
            ["set-src src,ipmask(24)", "set-src-port int(1)", "set-dst dst,ipmask(8)", "set-dst-port int(2)"];
        run(kind, &lines, &mut txn);
        let inet = |text: &str| Endpoint::Inet(text.parse().unwrap());
        assert_eq!((txn.client, txn.local), (inet("10.1.2.0:1"), inet("127.0.0.0:2")), "{kind:?}");
        let own = match kind {
            TcpConnection => (txn.client, txn.local),
            _ => (inet("10.1.2.3:4000"), inet("127.0.0.1:80")),
        };
        assert_eq!((txn.conn_client, txn.conn_local), own, "{kind:?}");
    }
}

#[test]
fn the_request_line() {
    let query = "?a=1&b=two%20words&a=3";
    for (line, expected) in [
        ("set-path /x", format!("/x{query}")),
        ("set-path /%[hdr(host),host_only]%[path]", format!("/www.example.com/img/logo.png{query}")),
        ("set-pathq /x?y=1", "/x?y=1".into()),
        ("set-query z=2", "/img/logo.png?z=2".into()),
        ("set-query ''%[str()]", "/img/logo.png?".into()),
        ("set-uri http://h/p", "http://h/p".into()),
        ("replace-path /img/(.*) /pic/\\1", format!("/pic/logo.png{query}")),
        ("replace-path /nope /pic", format!("/img/logo.png{query}")),
        ("replace-pathq '([^?]*)(\\?.*)?' '\\1/foo\\2'", format!("/img/logo.png/foo{query}")),
        ("replace-uri ^/(.*) http://x/\\1", format!("http://x/img/logo.png{query}")),
    ] {
        assert_eq!(target(&[line]), expected, "{line}");
    }
    assert_eq!(request(&["set-method POST"]).req.method_bytes(), b"POST");
    let mut txn = usual();
    run(RuleSetKind::HttpResponse, &["set-status 503 reason \"Slow Down\""], &mut txn);
    assert_eq!((txn.res.status, txn.res.bytes(txn.res.reason)), (503, &b"Slow Down"[..]));
    run(RuleSetKind::HttpAfterResponse, &["set-status 418"], &mut txn);
    assert_eq!(txn.res.bytes(txn.res.reason), b"I'm a teapot");
}

#[test]
fn answers() {
    use RuleSetKind::{HttpRequest, HttpResponse};
    for (kind, line, status, denied, start) in [
        (HttpRequest, "deny", 403, true, "<html><body><h1>403"),
        (HttpRequest, "deny deny_status 429", 429, true, "<html><body><h1>429"),
        (HttpRequest, "deny status 400", 400, true, "<html><body><h1>400"),
        (HttpResponse, "deny", 502, true, "<html><body><h1>502"),
        (HttpRequest, "tarpit", 500, true, "<html><body><h1>500"),
        (HttpRequest, "return", 200, false, ""),
        (HttpRequest, "return status 403", 403, false, ""),
        (HttpRequest, "return content-type text/plain string hello", 200, false, "hello"),
        (
            HttpRequest,
            "return content-type text/plain lf-string \"path is %[path]\"",
            200,
            false,
            "path is /img/logo.png",
        ),
        (
            HttpRequest,
            "return status 200 content-type text/plain lf-file lf.txt",
            200,
            false,
            "path is /img/logo.png\n",
        ),
        (HttpRequest, "return file empty", 200, false, ""),
        (HttpRequest, "deny deny_status 403 errorfile 403.http", 403, true, "no!"),
        (HttpRequest, "return status 200 default-errorfiles", 200, false, "<html><body><h1>200"),
    ] {
        let (reply, was_denied) = reply(kind, line);
        assert_eq!((reply.status, was_denied), (status, denied), "{line}");
        assert!(
            body(&reply).starts_with(start) && start.is_empty() == body(&reply).is_empty(),
            "{line}: {}",
            body(&reply)
        );
    }
    let (reply, _) = reply(
        HttpRequest,
        "return hdr X-Url %[url] hdr x-none %[req.hdr(nope)] content-type text/css string x",
    );
    assert_eq!(field(&reply, "x-url"), Some("/img/logo.png?a=1&b=two%20words&a=3"));
    assert_eq!(field(&reply, "x-none"), None, "an empty value makes no field");
    assert_eq!(field(&reply, "content-type"), Some("text/css"));
}

#[test]
fn authentication_is_asked_for() {
    let (reply, denied) = reply(RuleSetKind::HttpRequest, "auth realm \"my realm\"");
    assert_eq!((reply.status, denied), (401, false));
    assert_eq!(field(&reply, "www-authenticate"), Some("Basic realm=\"my realm\""));
    let mut proxied = txn("GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", None);
    let outcome = run(RuleSetKind::HttpRequest, &["auth"], &mut proxied);
    assert!(
        matches!(outcome, Outcome::Final { reply, .. } if reply.status == 401 && field(&reply, "proxy-authenticate").is_none())
    );
}

#[test]
fn redirects() {
    for (line, code, location) in [
        ("redirect location /x", 302, "/x"),
        ("redirect location http://%[hdr(host),host_only]/ code 301", 301, "http://www.example.com/"),
        ("redirect prefix https://new code 308", 308, "https://new/img/logo.png?a=1&b=two%20words&a=3"),
        ("redirect prefix / drop-query append-slash", 302, "/img/logo.png/"),
        ("redirect scheme https", 302, "https://www.Example.com:8080/img/logo.png?a=1&b=two%20words&a=3"),
        ("redirect location /y?z keep-query", 302, "/y?z&a=1&b=two%20words&a=3"),
        ("redirect location /y? keep-query", 302, "/y?a=1&b=two%20words&a=3"),
        ("redirect location /y keep-query", 302, "/y?a=1&b=two%20words&a=3"),
    ] {
        let (reply, denied) = reply(RuleSetKind::HttpRequest, line);
        assert_eq!(
            (reply.status, denied, field(&reply, "location")),
            (code, false, Some(location)),
            "{line}"
        );
        assert_eq!(field(&reply, "cache-control").is_some(), matches!(code, 302 | 303 | 307), "{line}");
    }
    let (reply, _) = reply(RuleSetKind::HttpRequest, "redirect location / set-cookie SEEN=1");
    assert_eq!(field(&reply, "set-cookie"), Some("SEEN=1; path=/;"));
    let (reply, _) = self::reply(RuleSetKind::HttpRequest, "redirect location / clear-cookie USERID=");
    assert_eq!(field(&reply, "set-cookie"), Some("USERID=; path=/; Max-Age=0;"));
    request(&["redirect location %[req.hdr(nope)] ignore-empty"]);
}

#[test]
fn the_redirect_keyword_takes_text_as_it_is() {
    let set = good("redirect", |ctx| {
        let mut set = RuleSet::default();
        set.push_redirect(&words("location /100%[path] if { path_beg /img }"), &Acls::default(), ctx);
        Some(set)
    });
    match set.run(&mut usual(), &FakeEnv::default(), &mut 0) {
        Outcome::Final { reply, .. } => assert_eq!(field(&reply, "location"), Some("/100%[path]")),
        _ => panic!("no redirect"),
    }
}

#[test]
fn flow() {
    use RuleSetKind::*;
    let outcome = |kind, lines: &[&str]| run(kind, lines, &mut usual());
    assert!(matches!(outcome(HttpRequest, &["allow if TRUE", "deny"]), Outcome::Stop));
    assert!(matches!(outcome(HttpRequest, &["deny if FALSE", "allow if TRUE"]), Outcome::Stop));
    assert!(matches!(outcome(TcpConnection, &["reject"]), Outcome::Close { drop: None }));
    assert!(matches!(outcome(TcpContent, &["accept if TRUE"]), Outcome::Stop));
    assert!(matches!(
        outcome(HttpRequest, &["silent-drop"]),
        Outcome::Close { drop: Some(SilentDrop { rst_ttl: None }) }
    ));
    assert!(matches!(outcome(HttpRequest, &["use-service echo"]), Outcome::Service(_)));
    assert!(matches!(outcome(HttpRequest, &["deny unless { path /img/logo.png }"]), Outcome::Continue));
}

#[test]
fn variables() {
    let txn = request(&[
        "set-var(txn.a) path,length",
        "set-var(txn.a,ifnotexists) int(1)",
        "set-var(txn.b,ifexists) int(2)",
        "set-var-fmt(txn.c) %[src]:%[var(txn.a)]",
        "set-var(txn.d) str(x)",
        "unset-var(txn.d)",
        "set-var(txn.a,ifgt) int(20)",
        "set-var(sess.e) req.hdr(nope)",
        "set-header x-a %[var(txn.a)] if { var(txn.a) -m int 13 }",
        "set-header x-c %[var(txn.c)]",
    ]);
    assert_eq!(all(&txn, "x-a"), ["13"]);
    assert_eq!(all(&txn, "x-c"), ["10.1.2.3:13"]);
    assert_eq!(txn.vars.list.len(), 2, "{:?}", txn.vars);
}

#[test]
fn captures() {
    let mut captures = Captures::default();
    let ((), said) = build_with(&mut captures, &HttpErrors::default(), |ctx| {
        let mut set = RuleSet::default();
        for line in ["capture req.hdr(host) len 4", "capture src id 0 if FALSE"] {
            set.push(RuleSetKind::HttpRequest, &words(line), &Acls::default(), ctx);
        }
        let mut txn = usual();
        txn.req_captures.push(None);
        set.run(&mut txn, &FakeEnv::default(), &mut 0);
        assert_eq!(txn.req_captures.get(0), Some(&b"www."[..]));
        assert_eq!(value_in("capture.req.hdr(0)", Dir::Request, &txn).as_deref(), Some("www."));
        set.push(RuleSetKind::HttpRequest, &words("capture src id 3"), &Acls::default(), ctx);
    });
    assert_eq!(captures.req, [Capture { name: None, len: 4 }]);
    assert!(said.len() == 1 && said[0].contains("unable to find capture id '3'"), "{said:?}");
}

#[test]
fn properties_of_the_stream() {
    let txn = request(&[
        "set-log-level silent",
        "set-timeout server 5s",
        "set-timeout tunnel int(250)",
        "set-src hdr_ip(x-forwarded-for,1)",
        "set-src-port int(9)",
        "set-nice 5",
    ]);
    assert_eq!(txn.log_level, Some(255));
    assert_eq!((txn.timeouts.server_ms, txn.timeouts.tunnel_ms), (Some(5000), Some(250)));
    assert_eq!(txn.client, Endpoint::Inet("10.0.0.1:9".parse().unwrap()));
}

#[test]
fn rewrites_without_room_are_errors_unless_told_otherwise() {
    let long = "x".repeat(60);
    let line = format!("set-header a {long}");
    let run = |lines: &[&str]| {
        let (set, said) = build(|ctx| {
            ctx.maxrewrite = 100;
            let mut set = RuleSet::default();
            for line in lines {
                set.push(RuleSetKind::HttpRequest, &words(line), &Acls::default(), ctx);
            }
            set
        });
        assert!(said.is_empty(), "{said:?}");
        let mut txn = usual();
        // The buffer is full: what is left is the reserve.
        let free = txn.req.buf.room_len();
        txn.req.buf.advance(free);
        let outcome = set.run(&mut txn, &FakeEnv::default(), &mut 0);
        (
            matches!(outcome, Outcome::Error),
            txn.failed_rewrites,
            txn.req.values(b"a").count() + txn.req.values(b"b").count(),
        )
    };
    let second = line.replace("header a", "header b");
    assert_eq!(run(&[&line]), (false, 0, 1));
    assert_eq!(run(&[&line, &line]), (false, 0, 1), "the same field again takes no more room");
    assert_eq!(run(&[&line, &second]), (true, 1, 1));
    assert_eq!(run(&["strict-mode off", &line, &second]), (false, 1, 1));
    assert_eq!(run(&["strict-mode off", "strict-mode on", &line, &second]), (true, 1, 1));
    assert_eq!(run(&["del-header cookie", &line, &second]), (false, 0, 2), "removed fields make room");
}

#[test]
fn waiting() {
    let mut txn = usual();
    txn.body_awaited = false;
    let set = set(RuleSetKind::HttpRequest, &["wait-for-body time 1s at-least 2k", "set-header done yes"]);
    let (env, mut at) = (FakeEnv::default(), 0);
    assert!(matches!(set.run(&mut txn, &env, &mut at), Outcome::Wait));
    assert_eq!(txn.wait, Wait::Body { time_ms: 1000, at_least: 2048 });
    txn.body_awaited = true;
    assert!(matches!(set.run(&mut txn, &env, &mut at), Outcome::Continue));
    assert_eq!(all(&txn, "done"), ["yes"]);

    let content = self::set(
        RuleSetKind::TcpContent,
        &["reject if { req.payload(0,1) -m bin 00 }", "accept if { req.ssl_hello_type 1 }", "reject"],
    );
    let (mut txn, mut at) = (Txn::default(), 0);
    assert!(matches!(content.run(&mut txn, &env, &mut at), Outcome::Wait));
    txn.req_body = b"\x16".as_slice().into();
    assert!(matches!(content.run(&mut txn, &env, &mut at), Outcome::Wait));
    assert_eq!(at, 1, "the first rule is done");
    txn.inspect_over = true;
    assert!(matches!(content.run(&mut txn, &env, &mut at), Outcome::Close { .. }));
}

#[test]
fn rules_of_defaults_come_with_them() {
    let base = set(RuleSetKind::HttpRequest, &["set-header a 1"]);
    let mut set = RuleSet::default();
    assert!(set.is_empty());
    set.extend_from(&base);
    let mut txn = usual();
    set.run(&mut txn, &FakeEnv::default(), &mut 0);
    assert_eq!((set.len(), all(&txn, "a")), (1, vec!["1".to_owned()]));
}

#[test]
fn lists_change_while_rules_run() {
    let mut refs = PatternRefs::default();
    let (set, said) = build(|ctx| {
        let mut set = RuleSet::default();
        for line in [
            "set-header seen yes if { src -f virt@seen }",
            "set-header last %[src,map_str(virt@last,none)]",
            "add-acl(virt@seen) %[src]",
            "set-map(virt@last) %[src] %[path]",
            "del-acl(virt@seen) %[src] if { path /forget }",
        ] {
            set.push(RuleSetKind::HttpRequest, &words(line), &Acls::default(), ctx);
        }
        std::mem::swap(ctx.patterns, &mut refs);
        set
    });
    assert!(said.iter().all(|s| s.starts_with("Warning")), "{said:?}");
    let ask = |path: &str| {
        let mut txn = txn(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"), None);
        set.run(&mut txn, &FakeEnv::default(), &mut 0);
        (all(&txn, "seen"), all(&txn, "last"))
    };
    let strings = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    assert_eq!(ask("/a"), (vec![], strings(&["none"])));
    assert_eq!(ask("/forget"), (strings(&["yes"]), strings(&["/a"])));
    assert_eq!(ask("/b"), (vec![], strings(&["/forget"])));
    let list = refs.find("virt@last").unwrap();
    assert_eq!(list.versions().2, 1);
}

#[test]
fn mistakes_are_told() {
    use RuleSetKind::*;
    for (kind, line, part) in [
        (
            HttpRequest,
            "nope",
            "error detected while parsing an 'http-request nope' rule : unknown action 'nope'",
        ),
        (HttpRequest, "set-haeder a b", "did you mean 'set-header'"),
        (HttpRequest, "track-sc3 src", "'3' is no counter, which have numbers from 0 to 2"),
        (HttpRequest, "sc-inc-gpc(0) if TRUE", "expects an index and a counter"),
        (HttpRequest, "sc-set-gpt0(0)", "expects a number or an expression"),
        (HttpRequest, "set-header a", "expects exactly 2 arguments"),
        (HttpRequest, "set-header a b c", "expects 'if', 'unless' or end of line but found 'c'"),
        (HttpRequest, "deny if nope", "no such ACL : 'nope'"),
        (HttpRequest, "set-status 200", "unknown action 'set-status'"),
        (TcpConnection, "set-header a b", "unknown action 'set-header'"),
        (HttpRequest, "return status 99", "Unexpected status code '99'"),
        (HttpRequest, "return string x", "a content type must be defined"),
        (HttpRequest, "return status 204 content-type a string x", "No body expected for 204"),
        (HttpRequest, "return errorfile 403.http file empty", "'errorfile' already defined"),
        (HttpRequest, "return errorfile bad.http", "does not match the announced content-length"),
        (HttpRequest, "return errorfiles nope", "unable to find the http-errors section 'nope'"),
        (HttpRequest, "return hdr content-length 5", "always ignored"),
        (HttpRequest, "deny deny_status 418", "status code '418' not handled, using default code '403'"),
        (HttpRequest, "redirect location", "expects an argument for 'location'"),
        (HttpRequest, "redirect code 200 location /", "unsupported HTTP code '200'"),
        (HttpRequest, "redirect code 301", "redirection type expected"),
        (HttpResponse, "redirect prefix /", "only supports redirect type 'location'"),
        (HttpRequest, "set-var txn.a int(1)", "expects a variable in parentheses"),
        (HttpRequest, "set-var(txn.a", "expects ')'"),
        (HttpRequest, "set-var(txn.a)", "expects an expression"),
        (HttpRequest, "set-var(x.a) int(1)", "invalid variable name 'x.a'"),
        (HttpRequest, "use-service nope", "unknown service 'nope'"),
        (HttpRequest, "strict-mode maybe", "Only 'on' and 'off' are supported"),
        (HttpRequest, "replace-path '(' x", "is invalid"),
        (HttpRequest, "wait-for-body time x", "unexpected character 'x'"),
        (HttpRequest, "capture src", "expects 'len' or 'id'"),
        (HttpRequest, "set-timeout nope 5s", "'nope' is not a valid timeout"),
        (HttpRequest, "set-log-level loud", "log level name"),
    ] {
        let (set, said) = build(|ctx| {
            let mut set = RuleSet::default();
            set.push(kind, &words(line), &Acls::default(), ctx);
            set
        });
        assert!(said.join(" ").contains(part), "{line}: {said:?}");
        let is_warning = said.iter().all(|s| s.starts_with("Warning"));
        assert_eq!(set.len(), usize::from(is_warning), "{line}");
    }
    let (_, said) = build(|ctx| {
        let mut set = RuleSet::default();
        for line in ["deny", "allow"] {
            set.push(HttpRequest, &words(line), &Acls::default(), ctx);
        }
    });
    assert!(said[0].contains("further entries are NOOP"), "{said:?}");
}

#[test]
fn fields_as_bytes() {
    let txn = request(&[
        "set-var(txn.old) req.hdrs_bin",
        "del-header host",
        "del-header user-agent",
        "set-headers-bin var(txn.old)",
        "add-headers-bin bin(0378782d0161017802780d0a780000)",
    ]);
    assert_eq!(all(&txn, "host"), ["www.Example.com:8080"]);
    assert_eq!(all(&txn, "x-forwarded-for").len(), 2);
    let txn = request(&["add-headers-bin bin(0378782d016103782d62017a0000) prefix x-"]);
    assert_eq!((all(&txn, "xx-").len(), all(&txn, "x-b")), (0, vec!["z".to_owned()]));
    // A value that would end the field adds none.
    let txn = request(&["add-headers-bin bin(03782d63020d0a0000)"]);
    assert_eq!(all(&txn, "x-c").len(), 0);
    let txn = request(&["del-headers-bin bin(0363696506636f6f6b6965)", "del-headers-bin bin(04686f7374)"]);
    assert_eq!((all(&txn, "cookie").len(), all(&txn, "host").len()), (0, 0));
}

/// What packets say, by rule set: of the client's connection at once, of the server's when it is made.
#[test]
fn packets_say_what_rules_want() {
    use RuleSetKind::*;
    for kind in [TcpConnection, TcpSession, TcpContent, TcpResponse, HttpRequest, HttpResponse] {
        for (line, expected) in [
            ("set-fc-mark 0x2a", Packets { mark: Some(42), tos: None }),
            ("set-mark int(7)", Packets { mark: Some(7), tos: None }),
            ("set-fc-tos 16", Packets { mark: None, tos: Some(16) }),
            ("set-tos int(32)", Packets { mark: None, tos: Some(32) }),
        ] {
            let env = FakeEnv::default();
            set(kind, &[line]).run(&mut usual(), &env, &mut 0);
            assert_eq!(env.told.get(), Some(expected), "{kind:?} {line}");
        }
    }
    for kind in [TcpContent, HttpRequest] {
        let mut txn = usual();
        run(kind, &["set-bc-mark 0x10", "set-bc-tos int(8)"], &mut txn);
        assert_eq!(txn.server_packets, Packets { mark: Some(16), tos: Some(8) }, "{kind:?}");
    }
    for (line, wrong) in [("set-tos 256", "out of range"), ("set-mark 0xzz", "invalid value")] {
        let (_, said) = build(|ctx| {
            RuleSet::default().push(RuleSetKind::HttpRequest, &words(line), &Acls::default(), ctx);
        });
        assert!(said.iter().any(|m| m.contains(wrong)), "{line}: {said:?}");
    }
}

#[test]
fn resets_of_dropped_connections() {
    use RuleSetKind::*;
    for kind in [TcpConnection, TcpSession, TcpContent, TcpResponse, HttpRequest, HttpResponse] {
        for (line, rst_ttl) in [("silent-drop", None), ("silent-drop rst-ttl 5", Some(5))] {
            let outcome = run(kind, &[line], &mut usual());
            let Outcome::Close { drop } = outcome else { panic!("{kind:?} {line}") };
            assert_eq!(drop, Some(SilentDrop { rst_ttl }), "{kind:?} {line}");
        }
    }
}
