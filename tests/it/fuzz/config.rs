//! Configuration files, starting from real ones: reading and reporting never panic.

use std::path::Path;

use isobar::lang::render::{Style, report};
use isobar::lang::{Env, Facts, Input, LoadOptions, load};

use super::mutate::drive;
use crate::support::program;

/// Every configuration of `conf` and of the tests.
fn examples() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(program::tree().join("conf")).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|e| e == "cfg") {
            found.extend(std::fs::read(entry.path()));
        }
    }
    for entry in std::fs::read_dir(program::tree().join("tests/it/diff")).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        // Configurations are the strings that span lines.
        found.extend(text.split('"').filter(|s| s.lines().count() > 3).map(|s| s.as_bytes().to_vec()));
    }
    found
}

#[test]
fn configuration_files() {
    drive("configuration files", &examples(), |bytes, _| {
        let facts = Facts { version: "3.4.0", ..Facts::default() };
        let options = LoadOptions {
            read: &|_| Ok(bytes.to_vec()),
            list: &|path| Ok((path != Path::new("a.cfg")).then(|| vec!["b.cfg".to_owned()])),
            ..LoadOptions::new(
                &facts,
                Env::default(),
                &["global", "defaults", "frontend", "backend", "listen"],
            )
        };
        let loaded = load(&[Input::Path("a.cfg".into())], options);
        for pretty in [false, true] {
            let style = Style { pretty, diag: true, ..Style::default() };
            report(&loaded.diagnostics, &loaded.sources, &style);
        }
    });
}
