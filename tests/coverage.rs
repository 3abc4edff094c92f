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
            quotes: true,
        };
        let words = lexer::split(entry.example.as_bytes(), place);
        assert!(words.is_ok_and(|w| w.empty.is_none()), "{}: {}", entry.name, entry.example);
    }
}

#[test]
fn the_page_of_keywords_is_fresh() {
    expect_file!["../conf/KEYWORDS.md"].assert_eq(&keywords_markdown(&registry()));
}

/// Entries that work and name no test. The number only falls: a new entry names its test.
const UNTESTED: usize = 190;

const NO_TEST: &str = "no test yet";

/// Rows of `tests/truth.tsv`: what the entry is, its name, and the test that fails when it does nothing.
fn truth() -> Vec<[&'static str; 3]> {
    let row = |line: &'static str| {
        let cells: Vec<&str> = line.split('\t').collect();
        cells.try_into().unwrap_or_else(|_| panic!("kind, name and test, parted by tabs: {line}"))
    };
    include_str!("truth.tsv").lines().filter(|line| !line.starts_with('#')).map(row).collect()
}

#[test]
fn what_works_names_its_test_or_says_that_it_has_none() {
    let works: Vec<(String, &str)> = registry()
        .items()
        .iter()
        .filter(|item| item.status == Status::Full)
        .map(|item| (item.kind.label(), item.name))
        .collect();
    let rows = truth();
    let is = |row: &[&str; 3], item: &(String, &str)| row[0] == item.0 && row[1] == item.1;
    let mut wrong: Vec<String> = works
        .iter()
        .filter(|item| rows.iter().filter(|row| is(row, item)).count() != 1)
        .map(|(kind, name)| {
            format!("{kind} '{name}' works and needs one row in tests/truth.tsv: scripts/truth find '{name}'")
        })
        .collect();
    let gone = rows.iter().filter(|row| !works.iter().any(|item| is(row, item)));
    wrong.extend(gone.map(|[kind, name, _]| format!("{kind} '{name}' does not work: take out its row")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let untested = rows.iter().filter(|row| row[2] == NO_TEST).count();
    assert!(untested <= UNTESTED, "{untested} entries that work name no test, at most {UNTESTED}");
    assert!(untested > UNTESTED.saturating_sub(20), "only {untested} name no test: lower UNTESTED");
}

#[test]
fn tests_that_are_named_exist() {
    let missing: Vec<&str> =
        truth().iter().map(|row| row[2]).filter(|test| *test != NO_TEST && !exists(test)).collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// Whether a file of the test's path has a function of its name, or a macro that is given it first.
fn exists(test: &str) -> bool {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (base, path) = match test.strip_prefix("it::") {
        Some(path) => (root.join("tests/it"), path),
        None => (root.join("src"), test),
    };
    let parts: Vec<&str> = path.split("::").collect();
    let Some((name, modules)) = parts.split_last() else { return false };
    (1..=modules.len()).any(|n| {
        let file = base.join(modules[..n].join("/"));
        [file.with_extension("rs"), file.join("mod.rs")].iter().any(|file| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let squeezed: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
            squeezed.contains(&format!("fn {name}(")) || squeezed.contains(&format!("!( {name},"))
        })
    })
}

#[test]
fn a_test_that_is_not_there_is_found_out() {
    assert!(exists("rules::tests::expressions::fetches"));
    assert!(exists("http::status::tests::codes_are_written_with_three_digits"));
    assert!(exists("it::diff::expressions::requests"));
    assert!(!exists("rules::tests::expressions::nothing"));
    assert!(!exists("it::rules::tests::expressions::fetches"));
}
