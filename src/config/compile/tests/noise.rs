//! No text makes the builder panic, and it always ends with a configuration or an alert.

use proptest::prelude::*;
use proptest::sample::select;

use super::super::entries;
use super::super::testing::{build_on, build_text};

/// Words that lines are made of: every keyword, and arguments that some of them understand.
fn words() -> Vec<String> {
    let arguments = [
        "",
        "if",
        "unless",
        "{",
        "}",
        "TRUE",
        "!",
        "s1",
        "b",
        "127.0.0.1:80",
        ":1",
        "*",
        "fd@",
        "abns@",
        "/x",
        "-1",
        "0",
        "1",
        "99999999999999999999",
        "10s",
        "1d",
        "us",
        "64k",
        "%[src]",
        "%",
        "\\",
        "path",
        "status",
        "200",
        "len",
        "header",
        "request",
        "content",
        "connection",
        "accept",
        "deny",
        "return",
        "on",
        "from",
        "no",
        "default",
        "é",
    ];
    let names = entries()
        .flat_map(|(_, e)| e.example.split(' ').chain([e.name]).map(str::to_owned).collect::<Vec<_>>());
    names.chain(arguments.map(str::to_owned)).collect()
}

fn line() -> impl Strategy<Value = String> {
    prop::collection::vec(select(words()), 1..6).prop_map(|words| words.join(" "))
}

fn section() -> impl Strategy<Value = String> {
    let heads =
        ["global", "defaults", "defaults d", "frontend f", "listen l from d", "backend b", "http-errors e"];
    (select(heads.to_vec()), prop::collection::vec(line(), 0..8))
        .prop_map(|(head, lines)| format!("{head}\n {}\n", lines.join("\n ")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_lines(sections in prop::collection::vec(section(), 1..5)) {
        let (built, diags) = build_text(&sections.concat());
        prop_assert_eq!(built.is_none(), diags.has_alerts());
        if let Some(built) = built {
            // What was built can be built upon.
            let _ = build_on("defaults\n", Some(&built.config));
        }
    }
}
