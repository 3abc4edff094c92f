//! The tables themselves: every example parses, names are unique, everything HAProxy's own lists name is known.

use std::collections::HashSet;

use super::support::*;
use crate::lang::Entry;
use crate::lang::registry::Shape;
use crate::rules::args::ArgSpec;
use crate::rules::*;

fn check_entry(entry: &Entry, seen: &mut HashSet<&'static str>) {
    assert!(seen.insert(entry.name), "{} is there twice", entry.name);
    assert!(entry.doc.ends_with('.') && !entry.doc.contains('\n'), "{}: one sentence", entry.name);
    assert!(!entry.since.is_empty(), "{}", entry.name);
}

#[test]
fn fetch_examples_parse() {
    let mut seen = HashSet::new();
    for fetch in FETCHES.iter().flat_map(|t| t.iter()) {
        check_entry(&fetch.entry, &mut seen);
        let example = fetch.entry.example;
        let name = example.split(['(', ',']).next();
        assert_eq!(name, Some(fetch.entry.name), "{example}");
        if fetch.entry.name == "acl" {
            continue; // names ACLs of its section
        }
        good(example, |ctx| {
            ctx.captures.req.push(Capture { name: None, len: 10 });
            Expr::parse(&[word(example)], 0, ctx)
        });
    }
}

#[test]
fn converter_examples_parse() {
    let mut seen = HashSet::new();
    for converter in CONVERTERS.iter().flat_map(|t| t.iter()) {
        check_entry(&converter.entry, &mut seen);
        let example = converter.entry.example;
        assert!(example.contains(&format!(",{}", converter.entry.name)), "{example}");
        let mut captures = Captures::default();
        let slot = Capture { name: None, len: 10 };
        captures.req.push(slot.clone());
        captures.res.push(slot);
        let (made, said) =
            build_with(&mut captures, &HttpErrors::default(), |ctx| Expr::parse(&[word(example)], 0, ctx));
        assert!(made.is_some() && said.is_empty(), "{example}: {said:?}");
    }
}

#[test]
fn match_examples_parse() {
    let mut seen = HashSet::new();
    for keyword in MATCHES {
        check_entry(&keyword.entry, &mut seen);
        let line = format!("if {{ {} }}", keyword.entry.example);
        good(&line, |ctx| Condition::parse(&words(&line), &Acls::default(), ctx));
    }
}

#[test]
fn log_tag_examples_parse() {
    let mut seen = HashSet::new();
    for tag in LOG_TAGS {
        check_entry(&tag.entry, &mut seen);
        assert_eq!(tag.entry.example, format!("%{}", tag.entry.name));
        let word = &words(tag.entry.example)[0];
        good(tag.entry.example, |ctx| LogFormat::parse(word, LogUse::Log, ctx));
    }
}

#[test]
fn action_examples_parse_in_every_set() {
    let kinds = [
        RuleSetKind::TcpConnection,
        RuleSetKind::TcpSession,
        RuleSetKind::TcpContent,
        RuleSetKind::TcpResponse,
        RuleSetKind::HttpRequest,
        RuleSetKind::HttpResponse,
        RuleSetKind::HttpAfterResponse,
    ];
    let mut seen = HashSet::new();
    for action in ACTIONS.iter().flat_map(|t| t.iter()) {
        check_entry(&action.entry, &mut seen);
        for kind in kinds.into_iter().filter(|k| action.sets.contains(k.bit())) {
            let mut example = action.entry.example.to_owned();
            if kind.is_response() {
                example = match action.entry.name {
                    "redirect" => "redirect location /x".into(),
                    "capture" => "capture res.hdr(server) id 0".into(),
                    _ => example,
                };
            }
            let mut captures = Captures::default();
            captures.res.push(Capture { name: None, len: 10 });
            let (set, said) = build_with(&mut captures, &HttpErrors::default(), |ctx| {
                let mut set = RuleSet::default();
                set.push(kind, &words(&example), &Acls::default(), ctx);
                set
            });
            // The sections of resolvers are not here.
            if said.iter().any(|line| line.contains("Can't find resolvers section")) {
                continue;
            }
            assert!(said.is_empty() && set.len() == 1, "{kind:?} {example}: {said:?}");
        }
    }
}

fn shape_of(words: &'static [crate::lang::registry::Known], name: &str) -> Option<Shape> {
    words.iter().find(|w| w.name == name).map(|w| w.shape)
}

/// What `-dK` prints of arguments.
fn printed(spec: ArgSpec) -> String {
    let mut out = String::new();
    for (i, kind) in spec.kinds.iter().enumerate() {
        if i == spec.min {
            out.push('[');
        }
        if i > 0 {
            out.push(',');
        }
        out.push_str(kind.name());
    }
    if spec.kinds.len() > spec.min {
        out.push(']');
    }
    out
}

#[test]
fn arguments_and_types_are_those_of_haproxy() {
    for fetch in FETCHES.iter().flat_map(|t| t.iter()) {
        let name = fetch.entry.name;
        match shape_of(vocabulary::fetch::FETCHES.words, name) {
            Some(Shape::Fetch { args, out, .. }) => {
                assert_eq!(printed(fetch.args), args, "{name}");
                assert_eq!(fetch.out.name(), out, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    for converter in CONVERTERS.iter().flat_map(|t| t.iter()) {
        let name = converter.entry.name;
        match shape_of(vocabulary::converter::CONVERTERS.words, name) {
            Some(Shape::Converter { args, .. }) => assert_eq!(printed(converter.args), args, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn every_criterion_of_haproxy_is_there_or_refused() {
    for word in vocabulary::acl::CRITERIA.words {
        let Shape::Criterion { fetch, matching } = word.shape else { continue };
        let ours = criterion::find(word.name);
        if fetch::find(fetch).is_some() {
            let ours = ours.unwrap_or_else(|| panic!("{} is missing", word.name));
            assert_eq!((ours.fetch, Some(ours.method)), (fetch, pattern::find(matching)), "{}", word.name);
        }
    }
}
