//! Error pages.

use super::support::*;
use crate::lang::Section;
use crate::rules::*;

fn page(pages: &ErrorPages, status: u16) -> Option<Reply> {
    let env = FakeEnv::default();
    let txn = usual();
    pages.page(status).map(|p| p.render(Ctx { txn: &txn, env: &env }))
}

fn body(reply: &Reply) -> String {
    match &reply.body {
        ReplyBody::Bytes(b) => String::from_utf8_lossy(b).into_owned(),
        ReplyBody::Raw(_) => "closes".into(),
        ReplyBody::Empty => String::new(),
    }
}

fn sections() -> HttpErrors {
    let mut errors = HttpErrors::default();
    let section = Section {
        head: line("http-errors site"),
        lines: vec![line("errorfile 403 403.http"), line("errorfile 500 empty")],
    };
    let ((), said) = build(|ctx| http_errors_section(&mut errors, &section, ctx));
    assert!(said.is_empty(), "{said:?}");
    errors
}

#[test]
fn pages_of_a_proxy() {
    let errors = sections();
    let (pages, said) = build_with(&mut Captures::default(), &errors, |ctx| {
        let mut pages = ErrorPages::default();
        pages.errorfile(&words("400 403.http"), ctx);
        pages.errorfiles(&words("site"), ctx);
        pages.errorloc(302, &words("404 /sorry"), ctx);
        pages.http_error(
            &words("status 429 content-type text/plain hdr x-p %[path] lf-string 'slow %[src]'"),
            ctx,
        );
        pages.http_error(&words("status 503 default-errorfiles"), ctx);
        pages.http_error(&words("status 502 errorfiles site"), ctx);
        pages
    });
    assert!(said.is_empty(), "{said:?}");
    assert_eq!(page(&pages, 400).map(|r| (r.status, body(&r))), Some((403, "no!\n".into())));
    assert_eq!(page(&pages, 403).map(|r| body(&r)), Some("no!\n".into()));
    assert_eq!(page(&pages, 500).map(|r| body(&r)), Some("closes".into()));
    let moved = page(&pages, 404).unwrap();
    assert_eq!(moved.status, 302);
    assert!(moved.fields.iter().any(|(n, v)| &**n == b"location" && &**v == b"/sorry"));
    let slow = page(&pages, 429).unwrap();
    assert_eq!((slow.status, body(&slow)), (429, "slow 10.1.2.3".into()));
    assert!(page(&pages, 503).is_some_and(|r| body(&r).contains("503 Service Unavailable")));
    assert!(
        page(&pages, 502).is_some_and(|r| body(&r).contains("502 Bad Gateway")),
        "not in the section: built in"
    );
    assert!(page(&pages, 408).is_none());
}

#[test]
fn the_last_page_of_a_status_wins_and_deny_finds_it() {
    let errors = sections();
    let (pages, said) = build_with(&mut Captures::default(), &errors, |ctx| {
        let mut pages = ErrorPages::default();
        pages.errorfiles(&words("site 403"), ctx);
        pages.http_error(&words("status 403 content-type text/plain string mine"), ctx);
        pages
    });
    assert!(said.is_empty(), "{said:?}");
    assert!(page(&pages, 500).is_none(), "only the named status is taken from the section");
    let env = FakeEnv { pages, ..FakeEnv::default() };
    let set = good("deny", |ctx| {
        let mut set = RuleSet::default();
        set.push(RuleSetKind::HttpRequest, &words("deny"), &Acls::default(), ctx);
        Some(set)
    });
    match set.run(&mut usual(), &env, &mut 0) {
        Outcome::Final { reply, denied: true } => assert_eq!(body(&reply), "mine"),
        _ => panic!("not denied"),
    }
}

#[test]
fn mistakes_are_told() {
    let errors = sections();
    type Parse = fn(&mut ErrorPages, &[crate::lang::Word], &mut BuildCtx<'_>);
    let cases: [(Parse, &str, &str); 9] = [
        (ErrorPages::errorfile, "403", "expects <status_code> and <file>"),
        (ErrorPages::errorfile, "418 403.http", "status code '418' not handled"),
        (ErrorPages::errorfile, "403 missing.http", "error opening file 'missing.http'"),
        (ErrorPages::errorfile, "403 bad.http", "does not match the announced content-length"),
        (ErrorPages::errorfiles, "nope", "unable to find the http-errors section 'nope'"),
        (ErrorPages::errorfiles, "site 404", "status '404' not declared"),
        (ErrorPages::http_error, "content-type a string b", "expects at least a <status>"),
        (ErrorPages::http_error, "status 418", "status code '418' not handled"),
        (ErrorPages::http_error, "status 403 nope", "unknown keyword 'nope'"),
    ];
    for (parse, text, part) in cases {
        let (pages, said) = build_with(&mut Captures::default(), &errors, |ctx| {
            let mut pages = ErrorPages::default();
            parse(&mut pages, &words(text), ctx);
            pages
        });
        assert!(said.join(" ").contains(part), "{text}: {said:?}");
        assert!(pages.is_empty(), "{text}");
    }
}
