//! The list of cases: each names the test that runs it, whose text has to speak of it.

use crate::support::program;

/// The file of a test's module, and the test's own name.
fn place(test: &str) -> (String, &str) {
    let (module, name) = test.rsplit_once("::").expect("a module");
    let path = module.replace("::", "/");
    let path =
        path.strip_prefix("it/").map_or_else(|| format!("src/{path}"), |rest| format!("tests/it/{rest}"));
    (format!("{path}.rs"), name)
}

/// A function with what is written above it.
fn function<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let at = text.find(&format!("\nfn {name}("))?;
    let begin = text[..at].rfind("\n\n").unwrap_or(0);
    let end = text[at..].find("\n}").map_or(text.len(), |n| at + n);
    Some(&text[begin..end])
}

#[test]
fn every_case_is_run_by_a_test() {
    let rows: Vec<Vec<&str>> =
        include_str!("cases.tsv").lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows.len(), 282);
    let mut wrong = Vec::new();
    for row in rows {
        let [case, _answer, test] = row[..] else { panic!("{row:?}") };
        let (file, name) = place(test);
        let text = std::fs::read_to_string(program::tree().join(&file)).unwrap_or_default();
        let found = function(&text, name).is_some_and(|text| {
            let speaks = text.match_indices(case).any(|(at, _)| {
                let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '-');
                is_edge(text[..at].chars().last()) && is_edge(text[at + case.len()..].chars().next())
            });
            speaks || name.starts_with(&case.replace('-', "_"))
        });
        if !found {
            wrong.push(format!("{case}: {test} does not speak of it"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
