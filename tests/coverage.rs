//! The keyword tables hold what they promise: unique names, documentation, a fresh page.

use expect_test::expect_file;
use isobar::app::{explain::keywords_markdown, keywords::registry};
use isobar::lang::{Env, FileId, Status, lexer};

#[test]
fn names_are_unique_in_their_kind() {
    assert_eq!(registry().duplicates(), []);
}

#[test]
fn what_works_is_documented() {
    for item in registry().items() {
        let Some(entry) = item.entry else { continue };
        if matches!(entry.status, Status::Refused(_)) {
            continue;
        }
        let what = format!("{} '{}'", item.kind.label(), entry.name);
        assert!(entry.doc.ends_with('.') && !entry.doc.contains('\n'), "{what}: doc is one sentence or more");
        assert!(!entry.example.is_empty(), "{what}: no example");
        assert!(!entry.since.is_empty(), "{what}: no version");
    }
}

#[test]
fn examples_are_lines() {
    for entry in registry().items().iter().filter_map(|item| item.entry) {
        let env = Env::default();
        let place = lexer::Place {
            file: FileId(0),
            file_name: "example",
            line: 1,
            section: "",
            env: &env,
            comments: true,
        };
        let words = lexer::split(entry.example.as_bytes(), place);
        assert!(words.is_ok_and(|w| w.empty.is_none()), "{}: {}", entry.name, entry.example);
    }
}

#[test]
fn the_page_of_keywords_is_fresh() {
    expect_file!["../conf/KEYWORDS.md"].assert_eq(&keywords_markdown(&registry()));
}
