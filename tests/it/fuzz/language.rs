//! Configuration text.

use std::path::Path;

use isobar::lang::render::{Style, report};
use isobar::lang::{Env, Facts, Input, LoadOptions, check, load};

/// Reads the bytes as a file that also includes itself, and shows every message in both forms.
fn read(bytes: &[u8]) {
    let facts = Facts { version: "3.4.0", ..Facts::default() };
    let options = LoadOptions {
        read: &|_| Ok(bytes.to_vec()),
        list: &|path| Ok((path != Path::new("a.cfg")).then(|| vec!["b.cfg".to_owned()])),
        ..LoadOptions::new(&facts, Env::default(), &["global", "frontend"])
    };
    let loaded = load(&[Input::Path("a.cfg".into())], options);
    for pretty in [false, true] {
        let style = Style { pretty, diag: true, ..Style::default() };
        report(&loaded.diagnostics, &loaded.sources, &style);
    }
}

#[test]
fn a_configuration_file() {
    bolero::check!().for_each(read);
}

#[test]
fn a_condition() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let _ = check(&String::from_utf8_lossy(bytes), &Facts::default(), &Env::default());
    });
}
