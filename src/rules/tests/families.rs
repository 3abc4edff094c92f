//! Whole families of names, a row for each: criteria, matching methods, maps, and what the other tables lack.

use super::support::*;
use crate::rules::*;

const MESSAGE: &str = "GET /aa/bb.cc?p=/aa/bb.cc HTTP/1.1\r\nHost: h\r\nX: /aa/bb.cc\r\nCookie: c=/aa/bb.cc\r\n\
    Authorization: Basic YW5uOnNlY3JldA==\r\nContent-Length: 4\r\n\r\n\x02abc";
const ANSWER: &str = "HTTP/1.1 200 OK\r\nY: /aa/bb.cc\r\nSet-Cookie: s=/aa/bb.cc\r\n\r\n";

fn holds(condition: &str) -> bool {
    let test = good(condition, |ctx| Condition::parse(&words(condition), &Acls::default(), ctx));
    let env = FakeEnv::default();
    let mut txn = txn(MESSAGE, Some(ANSWER));
    txn.inspect_over = true;
    test.eval(Ctx { txn: &txn, env: &env })
}

fn all_right(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Endings of criteria (and `-m` words) with a pattern that matches `/aa/bb.cc`.
const METHODS: [(&str, &str); 8] = [
    ("str", "/aa/bb.cc"),
    ("beg", "/aa/"),
    ("dir", "aa"),
    ("dom", "bb"),
    ("end", "b.cc"),
    ("len", "9"),
    ("reg", "a/b+[.]c"),
    ("sub", "a/b"),
];

#[test]
fn criteria_of_strings() {
    let mut wrong = Vec::new();
    for (name, args, before, after) in [
        ("base", "", "h", ""),
        ("cook", "(c)", "", ""),
        ("hdr", "(x)", "", ""),
        ("path", "", "", ""),
        ("scook", "(s)", "", ""),
        ("shdr", "(y)", "", ""),
        ("url", "", "", "?p=/aa/bb.cc"),
        ("urlp", "(p)", "", ""),
    ] {
        for (method, pattern) in METHODS {
            let whole = format!("{before}/aa/bb.cc{after}");
            let (criterion, pattern) = match method {
                "str" => (name.to_owned(), whole),
                "len" => (format!("{name}_len"), whole.len().to_string()),
                "beg" => (format!("{name}_beg"), format!("{before}{pattern}")),
                _ => (format!("{name}_{method}"), pattern.to_owned()),
            };
            for (pattern, expected) in [(&*pattern, true), (if method == "len" { "1" } else { "zz" }, false)]
            {
                let condition = format!("if {{ {criterion}{args} {pattern} }}");
                if holds(&condition) != expected {
                    wrong.push(condition);
                }
            }
        }
    }
    all_right(wrong);
}

#[test]
fn criteria_of_other_types() {
    let rows = [
        ("http_auth_group(people) staff", true),
        ("http_auth_group(people) board", false),
        ("method GET", true),
        ("method POST", false),
        ("req_ver 1.1", true),
        ("req_ver 1.0", false),
        ("resp_ver 1.1", true),
        ("resp_ver 1.0", false),
    ];
    let wrong = rows.iter().map(|(test, expected)| (format!("if {{ {test} }}"), *expected));
    all_right(wrong.filter(|(test, expected)| holds(test) != *expected).map(|(test, _)| test).collect());
}

#[test]
fn matching_methods() {
    let mut rows = vec![
        ("src -m ip 10.1.0.0/16".to_owned(), true),
        ("src -m ip 11.0.0.0/8".to_owned(), false),
        ("src_port -m int 4000".to_owned(), true),
        ("src_port -m int 1:3999".to_owned(), false),
        ("path -m bin 2f61612f62622e6363".to_owned(), true),
        ("path -m bin 2f".to_owned(), false),
        ("path -m found".to_owned(), true),
        ("req.hdr(none) -m found".to_owned(), false),
        ("src_port -m bool".to_owned(), true),
        ("int(0) -m bool".to_owned(), false),
    ];
    for (method, pattern) in METHODS {
        rows.push((format!("path -m {method} {pattern}"), true));
        rows.push((format!("path -m {method} {}", if method == "len" { "1" } else { "zz" }), false));
    }
    let wrong = rows.into_iter().map(|(test, expected)| (format!("if {{ {test} }}"), expected));
    all_right(wrong.filter(|(test, expected)| holds(test) != *expected).map(|(test, _)| test).collect());
}

/// A map of one line is called `KEY=VALUE.map`.
#[test]
fn maps() {
    let mut wrong = Vec::new();
    let mut expect = |text: String, expected: Option<&str>| {
        let found = value(&text);
        if found.as_deref() != expected {
            wrong.push(format!("{text}: {found:?}"));
        }
    };
    for (method, input, other, key) in [
        ("str", "str(abc)", "str(b)", "abc"),
        ("beg", "str(abcd)", "str(b)", "abc"),
        ("sub", "str(xabcx)", "str(b)", "abc"),
        ("dir", "str(x/abc/y)", "str(b)", "abc"),
        ("dom", "str(x.abc.y)", "str(b)", "abc"),
        ("end", "str(xabc)", "str(b)", "abc"),
        ("reg", "str(xabc)", "str(b)", "a.c"),
        ("int", "int(5)", "int(6)", "5"),
        ("ip", "src", "ipv4(11.0.0.1)", "10.0.0.0/8"),
    ] {
        for (ending, value, found) in
            [("", "found", "found"), ("_int", "7", "7"), ("_ip", "9.8.7.6", "9.8.7.6"), ("_key", "x", key)]
        {
            expect(format!("{input},map_{method}{ending}({key}={value}.map)"), Some(found));
            expect(format!("{other},map_{method}{ending}({key}={value}.map)"), None);
        }
    }
    all_right(wrong);
}

const UNDER_WAY: &[(&str, &str)] = &[
    ("act_conn", "9"),
    ("always_false", "0"),
    ("baseq", "www.Example.com:8080/img/logo.png?a=1&b=two%20words&a=3"),
    ("bytes_in", "200"),
    ("bytes_out", "5000"),
    ("req.bytes_in", "200"),
    ("res.bytes_in", "5000"),
    ("be_id", "3"),
    ("srv_id", "1"),
    ("cook_cnt(id)", "2"),
    ("cook_val(id)", "43"),
    ("cookie(id)", "43"),
    ("dst", "127.0.0.1"),
    ("fc_http_major", "1"),
    ("hdr_cnt(cookie)", "2"),
    ("hdr_val(content-length)", "11"),
    ("meth(GET)", "GET"),
    ("method", "GET"),
    ("req.cook(id)", "43"),
    ("req.timer.idle", "6"),
    ("req.timer.tq", "7"),
    ("req.timer.hdr", "1"),
    ("req.timer.queue", "2"),
    ("bc.timer.connect", "3"),
    ("res.timer.hdr", "5"),
    ("res.timer.data", "13"),
    ("fc.timer.handshake", "0"),
    ("fc.timer.total", "30"),
    ("txn.timer.total", "24"),
    ("txn.timer.user", "24"),
    ("req_ver", "1.1"),
    ("resp_ver", "1.1"),
    ("request_date(ms)", "1714117271780"),
    ("res.cook(SID)", "abc"),
    ("res.cook_cnt(SID)", "1"),
    ("res.cook_names", "SID"),
    ("scook_cnt(SID)", "1"),
    ("res.fhdr(vary)", "a, b"),
    ("res.fhdr_cnt(vary)", "1"),
    ("res.hdr_names", "server,set-cookie,vary"),
    ("res.hdr_val(age)", "7"),
    ("res.hdr_ip(via)", "9.8.7.6"),
    ("shdr(server)", "s/1"),
    ("shdr_cnt(vary)", "2"),
    ("shdr_val(age)", "7"),
    ("shdr_ip(via)", "9.8.7.6"),
    ("res.cook_val(n)", "5"),
    ("scook_val(n)", "5"),
    ("txn.status", "404"),
    ("txn.id32", "255"),
    ("txn.sess_term_state", "SD"),
    ("txn.conn_retries", "2"),
    ("txn.redispatched", "1"),
    ("uptime", "10"),
    ("thread", "0"),
    ("tgroup", "1"),
    ("queue(be)", "0"),
    ("be_sess_rate(be)", "0"),
    ("fe_conn(fe)", "0"),
    ("fe_req_rate(fe)", "0"),
    ("fe_sess_rate(fe)", "0"),
    ("quic_enabled", "0"),
    ("req.proto_http", "1"),
    ("req_proto_http", "1"),
    ("url_ip", "1.2.3.4"),
    ("url_port", "81"),
    ("http_auth(people)", "1"),
    ("http_auth_group(people)", "staff"),
    ("http_auth_bearer", "token"),
];

#[test]
fn fetches_of_a_transaction_under_way() {
    let mut wrong = Vec::new();
    for &(text, expected) in UNDER_WAY {
        let request = match text {
            "url_ip" | "url_port" => "GET http://1.2.3.4:81/ HTTP/1.1\r\n\r\n".to_owned(),
            "http_auth_bearer" => REQUEST.replace("Basic dXNlcjpwYTpzcw==", "Bearer token"),
            _ if text.starts_with("http_auth") => MESSAGE.to_owned(),
            _ => REQUEST.to_owned(),
        };
        let answer = RESPONSE.replace("Vary", "Age: 7\r\nVia: 9.8.7.6\r\nVary");
        let answer = match text {
            "res.hdr_names" => RESPONSE.to_owned(),
            _ if text.contains("cook_val") => answer.replace("SID=abc", "n=5"),
            _ => answer,
        };
        let mut txn = txn(&request, Some(&answer));
        super::formats::under_way(&mut txn);
        txn.termination = *b"SD--";
        txn.retries = 2;
        txn.redispatched = true;
        let found = value_in(text, Dir::Request, &txn);
        if found.as_deref() != Some(expected) {
            wrong.push(format!("{text}: {found:?}"));
        }
    }
    all_right(wrong);
}

#[test]
fn converters_that_other_tables_lack() {
    let rows = [
        ("str(a),add_item(;,,b)", "a;b"),
        ("int(5),base2", "0000000000000000000000000000000000000000000000000000000000000101"),
        ("int(7),bool", "1"),
        ("bin(610d0a62),cut_crlf", "a"),
        ("str('Thu, 01 Jan 1970 00:01:00 GMT'),date", "60"),
        ("int(3600),ltime(x%M)", "x00"),
        ("int(1500),ms_ltime(x%S)", "x01"),
        ("int(1500000),us_ltime(x%S)", "x01"),
        ("int(1500000),us_utime(x%S)", "x01"),
        ("str(abc),xxh64", "4952883123889572249"),
        ("str(abc),xxh3", "8696274497037089104"),
        ("str(abc),wt6", "2483038440"),
    ];
    let found = rows.map(|(text, expected)| (text, value(text), expected));
    let wrong = found.iter().filter(|(_, found, expected)| found.as_deref() != Some(*expected));
    all_right(wrong.map(|(text, found, _)| format!("{text}: {found:?}")).collect());
}

/// What rules lead to, the log level they set, and what they make of a field of the response.
fn effect(kind: RuleSetKind, lines: &[&str]) -> String {
    let mut txn = usual();
    let outcome = match super::actions::run(kind, lines, &mut txn) {
        Outcome::Continue => "goes on",
        Outcome::Stop => "stops",
        Outcome::Final { .. } => "answers",
        Outcome::Close { .. } => "closes",
        _ => "does something else",
    };
    let vary: Vec<_> = txn.res.values(b"vary").map(String::from_utf8_lossy).collect();
    format!("{outcome} {:?} {}", txn.log_level, vary.join("|"))
}

#[test]
fn actions_of_every_rule_set() {
    use RuleSetKind::*;
    let mut rows: Vec<(RuleSetKind, Vec<&str>, &str)> = Vec::new();
    for kind in [HttpResponse, HttpAfterResponse] {
        rows.extend([
            (kind, vec!["set-header Vary z"], "goes on None z"),
            (kind, vec!["add-header Vary z"], "goes on None a, b|z"),
            (kind, vec!["del-header Vary"], "goes on None "),
            (kind, vec!["replace-header Vary .* z"], "goes on None z"),
            (kind, vec!["replace-value Vary a z"], "goes on None z, b"),
            (kind, vec!["allow if TRUE", "set-header Vary z"], "stops None a, b"),
        ]);
    }
    for kind in [TcpConnection, TcpSession, TcpContent, TcpResponse] {
        rows.extend([(kind, vec!["accept"], "stops None a, b"), (kind, vec!["reject"], "closes None a, b")]);
    }
    for kind in [TcpContent, TcpResponse, HttpResponse, HttpAfterResponse] {
        rows.push((kind, vec!["set-log-level err"], "goes on Some(3) a, b"));
    }
    for kind in [TcpConnection, TcpSession, TcpContent, TcpResponse, HttpResponse, HttpAfterResponse] {
        let (then, done, not) = match kind {
            HttpResponse | HttpAfterResponse => {
                ("set-header Vary z if { var(txn.f) -m str 1 }", "goes on None z", "goes on None a, b")
            }
            _ => ("reject if { var(txn.f) -m str 1 }", "closes None a, b", "goes on None a, b"),
        };
        rows.extend([
            (kind, vec!["set-var(txn.f) int(1)", then], done),
            (kind, vec!["set-var-fmt(txn.f) 1", then], done),
            (kind, vec!["set-var(txn.f) int(1)", "unset-var(txn.f)", then], not),
        ]);
    }
    rows.extend([
        (TcpResponse, vec!["close"], "closes None a, b"),
        (HttpRequest, vec!["reject"], "closes None a, b"),
        (HttpResponse, vec!["return status 200"], "answers None a, b"),
        (HttpResponse, vec!["redirect location /"], "answers None a, b"),
    ]);
    for kind in [HttpResponse, HttpAfterResponse] {
        rows.extend([
            (kind, vec!["add-headers-bin bin(047661727901780000)"], "goes on None a, b|x"),
            (kind, vec!["add-headers-bin bin(047661727901780000) prefix x-"], "goes on None a, b"),
            // Cut short: nothing of it is taken.
            (kind, vec!["add-headers-bin bin(04766172790178)"], "goes on None a, b"),
            (kind, vec!["set-headers-bin bin(047661727901780000)"], "goes on None x"),
            (kind, vec!["del-headers-bin bin(0476617279)"], "goes on None "),
            (kind, vec!["del-headers-bin bin(027661) -m beg"], "goes on None "),
            (kind, vec!["del-headers-bin bin(027661)"], "goes on None a, b"),
        ]);
    }
    let found = rows.iter().map(|(kind, lines, expected)| (kind, lines, effect(*kind, lines), *expected));
    let wrong = found.filter(|(_, _, found, expected)| found != expected);
    all_right(wrong.map(|(kind, lines, found, _)| format!("{kind:?} {lines:?}: {found}")).collect());
}
