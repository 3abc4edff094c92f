//! What to answer to a name that no table implements: HAProxy has it and we do not, or nobody knows it.

use crate::lang::registry::{Known, NOT_YET, Shape, Vocabulary};
use crate::lang::suggest;

/// `what` is as in HAProxy's messages: `fetch method`, `converter`.
pub fn complaint<'a>(
    what: &str,
    name: &str,
    words: &Vocabulary,
    implemented: impl IntoIterator<Item = &'a str>,
) -> String {
    let is_known = |w: &Known| {
        w.name == name || w.shape == Shape::Prefix && name.strip_prefix(w.name).is_some_and(is_number)
    };
    if words.words.iter().any(is_known) {
        return format!("{what} '{name}' is not supported: {NOT_YET}");
    }
    match suggest::hint(name, implemented) {
        Some(hint) => format!("unknown {what} '{name}'; {hint}"),
        None => format!("unknown {what} '{name}'"),
    }
}

/// What follows a name at once in `track-sc0`.
fn is_number(rest: &str) -> bool {
    rest.bytes().all(|c| c.is_ascii_digit())
}
