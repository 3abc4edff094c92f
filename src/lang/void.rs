//! The switch that makes one entry do nothing, so that a test which names the entry can be seen to fail.
//!
//! `ISOBAR_VOID=KIND:NAME`, with the kind as the generated pages call it (`sample fetch:src`), in builds with debug
//! assertions alone. The entry is known and its arguments are read as far as that is its own dispatcher's work; then
//! a line is skipped, a fetch finds nothing, a converter passes its sample through, a rule goes on, a command answers
//! nothing. Each kind asks in the one place where its entries are dispatched.

use std::sync::OnceLock;

use super::registry::Kind;
use super::source::Word;

/// Whether this entry is to do nothing.
pub fn is_void(kind: Kind, name: &str) -> bool {
    voided().is_some_and(|(label, void)| void == name && *label == kind.label())
}

/// The same for the action of a rule set, by the words before it: `http-request`.
pub fn is_void_action(rules: &str, name: &str) -> bool {
    voided().is_some_and(|(label, void)| void == name && label.strip_suffix(" action") == Some(rules))
}

/// The same for a keyword of a section.
pub fn is_void_in(section: &str, name: &str) -> bool {
    voided().is_some_and(|(label, void)| void == name && label.strip_suffix(" keyword") == Some(section))
}

/// The same for a line, whose first words are the name: `timeout client 5s`.
pub fn is_void_line(kind: Kind, words: &[Word]) -> bool {
    voided().is_some_and(|(label, void)| {
        let mut given = words.iter().map(Word::str);
        // An argument in parentheses is none of the name (`http-check set-var(check.a)`).
        let is_given = |word: &str, given: &str| {
            given == word || given.split_once('(').is_some_and(|(name, _)| name == word)
        };
        *label == kind.label()
            && void.split(' ').all(|word| given.next().is_some_and(|given| is_given(word, given)))
    })
}

/// Kind and name.
fn voided() -> Option<&'static (String, String)> {
    static VOID: OnceLock<Option<(String, String)>> = OnceLock::new();
    if !cfg!(debug_assertions) {
        return None;
    }
    let read = || {
        let value = std::env::var("ISOBAR_VOID").ok()?;
        value.split_once(':').map(|(kind, name)| (kind.to_owned(), name.to_owned()))
    };
    VOID.get_or_init(read).as_ref()
}
