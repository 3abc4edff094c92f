//! What to answer to a name that no table implements: HAProxy has it and we do not, or nobody knows it.

use crate::lang::registry::{NOT_YET, Vocabulary};
use crate::lang::suggest;

/// `what` is as in HAProxy's messages: `fetch method`, `converter`.
pub fn complaint<'a>(
    what: &str,
    name: &str,
    words: &Vocabulary,
    implemented: impl IntoIterator<Item = &'a str>,
) -> String {
    if words.words.iter().any(|w| w.name == name) {
        return format!("{what} '{name}' is not supported: {NOT_YET}");
    }
    match suggest::hint(name, implemented) {
        Some(hint) => format!("unknown {what} '{name}'; {hint}"),
        None => format!("unknown {what} '{name}'"),
    }
}
