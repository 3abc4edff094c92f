//! Log formats.

use super::support::*;
use crate::base::clock::MS;
use crate::rules::*;

fn render(text: &str, used: LogUse, txn: &Txn) -> String {
    let word = word(text);
    let format = good(text, |ctx| LogFormat::parse(&word, used, ctx));
    let env = FakeEnv::default();
    let mut out = Vec::new();
    format.render(Ctx { txn, env: &env }, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn logged() -> Txn {
    let mut txn = usual();
    under_way(&mut txn);
    txn
}

/// Gives a transaction its times and numbers.
pub fn under_way(txn: &mut Txn) {
    txn.timers = Timers {
        accepted: 1000 * MS,
        handshake: 0,
        request_start: 1006 * MS,
        request_done: 1007 * MS,
        queue_done: 1009 * MS,
        connected: 1012 * MS,
        response: 1017 * MS,
        closed: 1030 * MS,
    };
    txn.bytes_in = 200;
    txn.bytes_out = 5000;
    txn.status = 404;
    txn.actconn = 4;
    txn.feconn = 3;
    txn.beconn = 2;
    txn.srvconn = 1;
    txn.request_no = 255;
}

/// Local time is the test machine's: the date is checked by its length and cut out.
fn without_date(line: &str) -> String {
    let (start, rest) = line.split_once('[').unwrap();
    let (date, end) = rest.split_once(']').unwrap();
    assert!(matches!(date.len(), 24 | 26), "{date}");
    format!("{start}[]{end}")
}

#[test]
fn the_default_formats() {
    let txn = logged();
    let env = FakeEnv::default();
    let line = |format: LogFormat| {
        let mut out = Vec::new();
        format.render(Ctx { txn: &txn, env: &env }, &mut out);
        without_date(&String::from_utf8_lossy(&out))
    };
    assert_eq!(
        line(LogFormat::httplog()),
        "10.1.2.3:4000 [] fe be/s1 1/2/3/5/24 404 5000 - - ---- 4/3/2/1/0 0/0 \
         \"GET /img/logo.png?a=1&b=two%20words&a=3 HTTP/1.1\""
    );
    assert_eq!(line(LogFormat::tcplog()), "10.1.2.3:4000 [] fe be/s1 2/3/30 5000 -- 4/3/2/1/0 0/0");
    assert_eq!(
        line(LogFormat::clf()),
        "10.1.2.3 - - [] \"GET /img/logo.png?a=1&b=two%20words&a=3 HTTP/1.1\" 404 5000 \"\" \"\" 4000 \
         774 \"fe\" \"be\" \"s1\" 1 2 3 5 24 ---- 4 3 2 1 0 0 0 \"\" \"\" "
    );
    assert!(LogFormat::httplog().needs_end() && !LogFormat::httplog().is_empty());
}

#[test]
fn fields_and_flags() {
    let mut txn = logged();
    [Some(&b"a|b"[..]), None, Some(b"x\"y")].into_iter().for_each(|value| txn.req_captures.push(value));
    for (text, expected) in [
        ("%ci %cp %fi %fp", "10.1.2.3 4000 127.0.0.1 80"),
        ("%{+X}ci:%{+X}cp_%{+X}Ts_%{+X}rt:%{+X}pid", "0A010203:0FA0_662B5A97_00FF:1092"),
        ("%T", "26/Apr/2024:07:41:11 +0000"),
        ("%trg", "26/Apr/2024:07:41:11 +0000"),
        ("%Ts.%ms", "1714117271.774"),
        ("%HM %HU %HV", "GET /img/logo.png?a=1&b=two%20words&a=3 HTTP/1.1"),
        ("%HP %HPO %HQ", "/img/logo.png /img/logo.png ?a=1&b=two%20words&a=3"),
        ("%hr", "{a#7Cb||x#22y}"),
        ("%hrl", "a#7Cb - x#22y"),
        ("%{+Q}hr", "\"{a#7Cb||x#22y}\""),
        ("[%hs]", "[]"),
        ("a %hs b", "a b"),
        ("%ST %B %U %tsc %ts", "404 5000 200 ---- --"),
        ("%Ta %Tt %Tq %TR %Ti %Tw %Tc %Tr %Td %Th %Tu", "24 30 7 1 6 2 3 5 13 0 24"),
        ("%f %ft %b %s %H %pid %rt", "fe fe be s1 box 4242 255"),
        ("%ac %fc %bc %sc %rc %sq %bq %lc", "4 3 2 1 0 0 0 0"),
        ("%bi:%bp|%CS", "-:-|-"),
        ("%ID|%CC|%si:%sp", "-|-|-:-"),
        ("%[path] %[req.hdr(nope)]", "/img/logo.png -"),
        ("%{+Q}[req.hdr(host)] %{+Q}[req.hdr(nope)]", "\"www.Example.com:8080\" \"\""),
        ("%{+E}[str('a]b\"c')]", "a\\]b\\\"c"),
        ("%{+Q}o %s %{-Q}s", "\"s1\" s1"),
        ("100%% %(name)s", "100% s1"),
        ("  lead   and  merge ", "lead and merge "),
        ("%[src,ipmask(16)]", "10.1.0.0"),
        ("%[bool(1)]%[int(3)]", "13"),
    ] {
        assert_eq!(render(text, LogUse::Log, &txn), expected, "{text}");
    }
}

/// Local time is the test machine's.
#[test]
fn dates_of_every_form() {
    for (text, len) in [("%t", 24), ("%tr", 24), ("%trl", 26), ("%trg", 26), ("%T", 26), ("%Tl", 26)] {
        assert_eq!(render(text, LogUse::Log, &logged()).len(), len, "{text}");
    }
}

#[test]
fn unsafe_bytes_depend_on_the_use() {
    let mut txn = logged();
    txn.uri_line = b"GET /a#b\x01\xff\"c HTTP/1.1".to_vec();
    assert_eq!(render("%r", LogUse::Log, &txn), "GET /a#23b#01#FF#22c HTTP/1.1");
    assert_eq!(render("%[str(\"a\\nb\")]x", LogUse::Http, &txn), "a%0Abx");
    assert_eq!(render("%[str(\"a\\nb\")]x", LogUse::Text, &txn), "a\nbx");
    assert_eq!(render("  two  spaces", LogUse::Http, &txn), "  two  spaces");
    assert_eq!(render("%[req.hdr(nope)]x", LogUse::Http, &txn), "x");
    assert_eq!(render("%{+X}o\\ %ci:%cp", LogUse::UniqueId, &txn), "\\ 0A010203:0FA0");
    txn.uri_line.clear();
    assert_eq!(render("%r %HM %HQ", LogUse::Log, &txn), "<BADREQ> <BADREQ> <BADREQ>");
}

#[test]
fn early_lines_mark_what_still_grows() {
    let mut txn = logged();
    txn.log_early = true;
    assert_eq!(render("%Tt %B %TR", LogUse::Log, &txn), "+30 +5000 1");
    assert!(!good("stage", |ctx| LogFormat::parse(&words("%ci")[0], LogUse::Log, ctx)).needs_end());
}

#[test]
fn mistakes_are_told() {
    for (text, part) in [
        ("%nope", "no such format alias 'nope'"),
        ("%OG", "format alias 'OG' is not supported"),
        ("%[nope]", "failed to parse sample expression <nope]> : unknown fetch method 'nope'"),
        ("%[path", "missing ']' after 'path'"),
        ("%{+Q}", "truncated line after '+Q'"),
        ("100% sure", "Maybe you want to write a single '%'"),
        ("%{+json}o", "not supported"),
        ("%[path lower]", "expected ']' after"),
    ] {
        let word = word(text);
        let (made, said) = build(|ctx| LogFormat::parse(&word, LogUse::Log, ctx));
        assert!(made.is_none() && said.join(" ").contains(part), "{text}: {said:?}");
    }
    let (made, said) = build(|ctx| {
        ctx.mode_http = false;
        LogFormat::parse(&words("%r")[0], LogUse::Log, ctx)
    });
    assert!(made.is_none() && said[0].contains("HTTP mode"), "{said:?}");
}
