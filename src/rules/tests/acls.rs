//! ACLs and conditions.

use super::support::*;
use crate::lang::{Line, Span};
use crate::rules::acl::Verdict;
use crate::rules::*;

fn define(acls: &mut Acls, text: &str, ctx: &mut BuildCtx<'_>) {
    acls.define(&Line { words: words(text), span: Span::default() }, ctx);
}

fn holds_in(lines: &[&str], condition: &str, txn: &Txn) -> bool {
    let condition = good(condition, |ctx| {
        let mut acls = Acls::default();
        for line in lines {
            define(&mut acls, line, ctx);
        }
        Condition::parse(&words(condition), &acls, ctx)
    });
    let env = FakeEnv::default();
    condition.eval(Ctx { txn, env: &env })
}

fn holds(condition: &str) -> bool {
    holds_in(&[], condition, &usual())
}

#[test]
fn anonymous_conditions() {
    for (condition, expected) in [
        ("if { path /img/logo.png }", true),
        ("unless { path /img/logo.png }", false),
        ("if { path_beg /img /css }", true),
        ("if { path_end .css .png }", true),
        ("if { path_dir img }", true),
        ("if { path_reg ^/img/.*\\.png$ }", true),
        ("if { path_sub logo }", true),
        ("if { path_len 13 }", true),
        ("if { path_len gt 20 }", false),
        ("if { path_beg -i /IMG }", true),
        ("if { path_beg /IMG }", false),
        ("if { hdr(host) -i www.example.com:8080 }", true),
        ("if { hdr(host) www.example.com:8080 }", false),
        ("if { hdr_dom(host) -i example }", true),
        ("if { hdr_beg(host) -i www. }", true),
        // Every value of a list is tried.
        ("if { hdr_ip(x-forwarded-for) 10.0.0.0/8 }", true),
        ("if { req.hdr_ip(x-forwarded-for,-1) 10.0.0.0/8 }", false),
        ("if { hdr(x-forwarded-for) 192.168.7.9 }", true),
        ("if { urlp(a) 3 }", true),
        ("if { cook(id) 42 }", true),
        ("if { src 10.1.0.0/16 192.168.0.0/16 }", true),
        ("if { src -f nets.lst }", true),
        ("if { src 11.0.0.0/8 }", false),
        ("if { src_port 1024:65535 }", true),
        ("if { src_port lt 4000 }", false),
        ("if { src_port le 4000 }", true),
        ("if { dst_port 80 443 }", true),
        ("if { method GET HEAD }", true),
        ("if { method POST }", false),
        ("if METH_GET", true),
        ("if !METH_GET", false),
        ("if !!METH_GET", true),
        ("if ! METH_GET", false),
        ("if HTTP_1.1 TRUE", true),
        ("if HTTP_1.0 or TRUE", true),
        ("if FALSE || FALSE", false),
        ("if LOCALHOST", false),
        ("if HTTP_CONTENT", true),
        ("if HTTP_URL_SLASH !HTTP_URL_ABS", true),
        ("if { req.hdr(nope) -m found }", false),
        ("if !{ req.hdr(nope) -m found }", true),
        ("if { req.hdr(user-agent) -m found }", true),
        ("if { nbsrv(be) gt 1 }", true),
        ("if { nbsrv -m bool }", true),
        ("if { req.hdr_cnt(x-forwarded-for) eq 3 }", true),
        ("if { path,upper -m str /IMG/LOGO.PNG }", true),
        ("if { path_beg,upper /IMG/LOGO.PNG }", true),
        ("if { path -m beg /img }", true),
        ("if { req.body -m sub q=x }", true),
        ("if { req.body,hex -m beg 713D }", true),
        ("if { req.body -m bin 00 }", false),
        ("if { int(5) -m str 5 }", true),
        ("if { str(12) -m int 10:20 }", true),
        ("if { ssl_fc }", false),
        ("if { always_true } { always_false }", false),
        ("if { always_true } { always_false } or { always_true }", true),
        ("if { http_auth_user -m str user } !{ http_auth_pass x }", true),
        ("if { status 404 }", true),
        ("if { res.hdr(vary) b }", true),
        ("if { path -- -x /img/logo.png }", true),
        ("if { req.ver 1.1 }", true),
        ("if { path,map(virt@x) -m found }", false),
    ] {
        assert_eq!(holds(condition), expected, "{condition}");
    }
}

#[test]
fn named_acls_are_ored() {
    let lines = ["acl static path_beg /css", "acl static path_end .png", "acl host_www hdr_beg(host) -i www"];
    let txn = usual();
    for (condition, expected) in [
        ("if static", true),
        ("if static host_www", true),
        ("if static !host_www", false),
        ("if !static or host_www", true),
        ("unless static", false),
    ] {
        assert_eq!(holds_in(&lines, condition, &txn), expected, "{condition}");
    }
}

#[test]
fn mistakes_are_told() {
    for (line, part) in [
        ("acl a path -m", "unknown matching method ''"),
        ("acl a path -m nope x", "unknown matching method 'nope'"),
        ("acl a path -x y", "'-x' is not a valid ACL option"),
        ("acl a req.body x", "matching method must be specified first"),
        ("acl a src 10.0.0.999", "is not a valid IPv4 or IPv6 address"),
        ("acl a path_reg (", "is invalid"),
        ("acl a src_port x", "neither a number nor a supported operator"),
        ("acl a ssl_fc -m ip 1.2.3.4", "cannot be used with fetch keyword 'ssl_fc'"),
        ("acl a! path /", "character '!' is not permitted in acl name"),
        ("acl or path /", "will never match"),
        ("acl a", "expects <name> and <criterion>"),
        ("acl a path -f missing.lst", "failed to open pattern file"),
        ("acl a path", "no pattern to match against"),
        ("acl a path_beg -m str x", "was overwritten"),
        ("acl a path -f nets.lst -m beg", "'-m' must only be specified before"),
        (
            "acl a path_bge /",
            "unknown fetch method 'path_bge'; did you mean 'path_beg' maybe ? in ACL expression",
        ),
        ("acl a nope /", "unknown fetch method 'nope' in ACL expression 'nope'"),
    ] {
        let (_, said) = build(|ctx| {
            define(&mut Acls::default(), &line.replace("acl a path_reg (", "acl a path_reg '('"), ctx)
        });
        assert!(said.join(" ").contains(part), "{line}: {said:?}");
    }
    for (condition, part) in [
        ("if nope", "no such ACL : 'nope'"),
        ("if { path /", "missing closing '}'"),
        ("if", "requires a condition"),
        ("when x", "expects either 'if' or 'unless'"),
    ] {
        let (made, said) = build(|ctx| Condition::parse(&words(condition), &Acls::default(), ctx));
        assert!(made.is_none() && said.join(" ").contains(part), "{condition}: {said:?}");
    }
}

#[test]
fn missing_data_is_neither_yes_nor_no() {
    let mut txn = Txn { req_body: b"\x16\x03".as_slice().into(), ..Txn::default() };
    let env = FakeEnv::default();
    for (condition, early, late) in [
        ("if { req.ssl_hello_type 1 }", Verdict::Miss, Verdict::Fail),
        ("if { req.payload(0,4) -m bin 16030100 }", Verdict::Miss, Verdict::Fail),
        ("if { req.payload(0,2) -m bin 1603 }", Verdict::Pass, Verdict::Pass),
        ("if { req.len ge 2 }", Verdict::Pass, Verdict::Pass),
        ("if { req.len ge 3 }", Verdict::Miss, Verdict::Fail),
        ("unless { req.len ge 3 }", Verdict::Miss, Verdict::Pass),
        ("if WAIT_END", Verdict::Miss, Verdict::Pass),
        ("if { req.len ge 3 } or TRUE", Verdict::Pass, Verdict::Pass),
        ("if { req.len ge 3 } FALSE", Verdict::Miss, Verdict::Fail),
        ("if FALSE { req.len ge 3 }", Verdict::Fail, Verdict::Fail),
    ] {
        let parsed = good(condition, |ctx| Condition::parse(&words(condition), &Acls::default(), ctx));
        txn.inspect_over = false;
        assert_eq!(parsed.verdict(Ctx { txn: &txn, env: &env }, false), early, "{condition}");
        txn.inspect_over = true;
        assert_eq!(parsed.verdict(Ctx { txn: &txn, env: &env }, true), late, "{condition}");
    }
}

#[test]
fn acls_by_name() {
    let lines = [
        "acl image path_end .png",
        "acl local always_true",
        "acl image path_end .jpg",
        "acl no always_false",
    ];
    for (condition, expected) in [
        ("if { acl(image) }", true),
        ("if { acl(image,local) }", true),
        ("if { acl(image,no) }", false),
        ("if { acl(image,!no) }", true),
        ("if { acl(!image) }", false),
        ("if !{ acl(no) }", true),
    ] {
        assert_eq!(holds_in(&lines, condition, &usual()), expected, "{condition}");
    }
    // One may be made of others.
    let both = [&lines[..], &["acl both acl(image,local)"]].concat();
    assert!(holds_in(&both, "if both", &usual()));
}
