//! Passing over rules that cannot hold changes nothing: the plain way through a list is the measure.

use proptest::prelude::*;

use super::support::*;
use crate::lang::{Line, Span};
use crate::rules::*;

/// ACLs of every kind that conditions here may name.
const ACLS: &[&str] = &[
    "acl host_a hdr(host) -i a.example",
    "acl host_ab hdr(host) -i a.example",
    "acl host_ab hdr(host) -i b.example B2.example",
    "acl in_img path_beg /img/",
    "acl is_png path_end .png .PNG",
    "acl is_reg path_reg ^/[a-c]",
    "acl port_80 dst_port 80 8080",
    "acl marked req.hdr(x-mark),lower m1 m2",
    "acl never hdr(host) -i",
    "acl random rand(2) -m int 0",
];

/// Pieces that conditions are made of.
const TERMS: &[&str] = &[
    "host_a",
    "!host_a",
    "host_ab",
    "in_img",
    "!in_img",
    "is_png",
    "is_reg",
    "port_80",
    "marked",
    "never",
    "{ hdr(host) -i a.example }",
    "{ hdr(host) -i b.example c.example }",
    "{ hdr(host) A.example }",
    "{ hdr(host) d.example }",
    "{ hdr(host) -m beg -i A. b }",
    "{ hdr(host) -m end .example }",
    "{ path /img/a.png }",
    "{ path /b }",
    "{ path /c /d }",
    "{ path_beg / }",
    "{ path_beg /img }",
    "{ path_beg /d }",
    "{ path_end g }",
    "{ dst_port 80 }",
    "{ dst_port 443 }",
    "{ dst_port 80:90 }",
    "{ dst_port 8080 }",
    "{ dst_port 81 }",
    "{ src 10.0.0.0/8 }",
    "{ url_len gt 4 }",
    "METH_GET",
    "{ var(txn.v) -m str one }",
    "{ var(txn.v) -m str two }",
    "{ var(txn.v) -m str three }",
    "{ var(txn.v) -m str four }",
];

fn condition() -> impl Strategy<Value = Option<String>> {
    let term = prop::sample::select(TERMS);
    let all = prop::collection::vec(term, 1..3).prop_map(|terms| terms.join(" "));
    let any = prop::collection::vec(all, 1..3).prop_map(|any| any.join(" or "));
    let word = prop_oneof![8 => Just("if"), 1 => Just("unless")];
    prop_oneof![
        12 => (word, any).prop_map(|(word, any)| Some(format!("{word} {any}"))),
        8 => prop::sample::select(TERMS).prop_map(|term| Some(format!("if {term}"))),
        1 => Just(None),
    ]
}

fn request() -> impl Strategy<Value = Txn> {
    let host = prop::sample::select(
        &["a.example", "A.Example", "b.example", "b2.EXAMPLE", "d.example", "x", ""][..],
    );
    let more = prop::sample::select(&["", "X-Mark: M2\r\n", "X-Mark: q, m1\r\n"][..]);
    let path =
        prop::sample::select(&["/", "/b", "/c", "/img/a.png", "/img/", "/d/x", "/img/b.PNG", "/e"][..]);
    let port = prop::sample::select(&[80u16, 443, 8080, 85][..]);
    (host, more, path, port).prop_map(|(host, more, path, port)| {
        let host = if host.is_empty() { String::new() } else { format!("Host: {host}\r\n") };
        let mut txn = txn(&format!("GET {path} HTTP/1.1\r\n{host}{more}\r\n"), None);
        txn.local = Endpoint::Inet(([127, 0, 0, 1], port).into());
        txn
    })
}

fn acls(ctx: &mut BuildCtx<'_>) -> Acls {
    let mut acls = Acls::default();
    for line in ACLS {
        acls.define(&Line { words: words(line), span: Span::default() }, ctx);
    }
    acls
}

fn parsed(conditions: &[Option<String>]) -> Vec<Option<Condition>> {
    build(|ctx| {
        let acls = acls(ctx);
        let mut parse = |text: &String| Condition::parse(&words(text), &acls, ctx).expect("a condition");
        conditions.iter().map(|text| text.as_ref().map(&mut parse)).collect()
    })
    .0
}

/// The places of all rules that hold, by trying each, and by way of candidates.
fn both_ways(conditions: &[Option<Condition>], mixes: bool, txn: &Txn) -> (Vec<usize>, Vec<usize>) {
    let env = FakeEnv::default();
    let ctx = Ctx { txn, env: &env };
    let holds = |at: usize| conditions[at].as_ref().is_none_or(|condition| condition.eval(ctx));
    let list: Vec<_> = conditions.iter().map(Option::as_ref).collect();
    let candidates = Candidates::of(&list, mixes);
    let (mut at, mut found, mut short) = (0, Found::default(), Vec::new());
    loop {
        at = candidates.next(at, ctx, &mut found);
        if at >= conditions.len() {
            break;
        }
        if holds(at) {
            short.push(at);
        }
        at += 1;
    }
    ((0..conditions.len()).filter(|at| holds(*at)).collect(), short)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_holds_is_what_holds_when_each_is_tried(
        conditions in prop::collection::vec(condition(), 0..40),
        requests in prop::collection::vec(request(), 1..4),
        mixes: bool,
    ) {
        let conditions = parsed(&conditions);
        for txn in &requests {
            let (long, short) = both_ways(&conditions, mixes, txn);
            prop_assert_eq!(long, short);
        }
    }

    /// Rules change what later rules look at.
    #[test]
    fn rules_do_what_they_do_when_each_is_tried(
        rules in prop::collection::vec((0..6usize, condition()), 0..30),
        mut request in request(),
    ) {
        let actions = ["set-path /d/x", "set-header Host b.example", "del-header Host", "set-var(txn.v) str(two)",
            "add-header X-Mark m1", "set-header X-Seen %[path]"];
        let lines: Vec<String> = rules.iter().map(|(action, condition)| {
            format!("{} {}", actions[*action], condition.clone().unwrap_or_default())
        }).collect();
        let made = |is_sealed: bool| build(|ctx| {
            let acls = acls(ctx);
            let mut set = RuleSet::default();
            for line in &lines {
                set.push(RuleSetKind::HttpRequest, &words(line), &acls, ctx);
            }
            if is_sealed {
                set.seal();
            }
            set
        }).0;
        let text = String::from_utf8_lossy(request.req.buf.data()).into_owned();
        let mut other = txn(&text, None);
        other.local = request.local;
        let env = FakeEnv::default();
        made(false).run(&mut request, &env, &mut 0);
        made(true).run(&mut other, &env, &mut 0);
        let head = |txn: &Txn| txn.req.fields().map(|(n, v)| format!("{n:?}{v:?}")).collect::<Vec<_>>();
        prop_assert_eq!(head(&request), head(&other));
        prop_assert_eq!(request.req.target_bytes(), other.req.target_bytes());
    }
}

/// A thousand rules about one sample are one lookup, and a few of them are tried.
#[test]
fn many_rules_are_one_lookup() {
    let conditions: Vec<_> = (0..1000)
        .map(|i| Some(format!("if {{ hdr(host) -i h{i}.example www{}.example }}", i % 10)))
        .collect();
    let conditions = parsed(&conditions);
    let list: Vec<_> = conditions.iter().map(Option::as_ref).collect();
    let candidates = Candidates::of(&list, true);
    let env = FakeEnv::default();
    for (host, first) in
        [("H7.Example", 7), ("h999.example", 999), ("www3.example", 3), ("none.example", 1000)]
    {
        let txn = txn(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), None);
        let ctx = Ctx { txn: &txn, env: &env };
        assert_eq!(candidates.next(0, ctx, &mut Found::default()), first, "{host}");
    }
}

/// What the runtime API adds to a line's patterns counts at once.
#[test]
fn changed_patterns_are_looked_at() {
    let (found, _) = build(|ctx| {
        let parse = |i: usize, ctx: &mut BuildCtx<'_>| {
            let text = format!("if {{ hdr(host) -i h{i}.example }}");
            Condition::parse(&words(&text), &Acls::default(), ctx)
        };
        let conditions: Vec<_> = (0..100).map(|i| parse(i, ctx)).collect();
        let list: Vec<_> = conditions.iter().map(Option::as_ref).collect();
        let candidates = Candidates::of(&list, true);
        let env = FakeEnv::default();
        let txn = txn("GET / HTTP/1.1\r\nHost: new.example\r\n\r\n", None);
        let next = || {
            let ctx = Ctx { txn: &txn, env: &env };
            let at = candidates.next(0, ctx, &mut Found::default());
            list.get(at).is_some_and(|condition| condition.is_some_and(|c| c.eval(ctx))).then_some(at)
        };
        let before = next();
        ctx.patterns.find("#42").expect("a list").add(b"new.example", None, None).expect("a pattern");
        (before, next())
    });
    assert_eq!(found, (None, Some(42)));
}
