//! "did you mean": the nearest of several names.

/// The candidate that `word` most probably stands for, if one is near enough.
///
/// Near is at most one edit for every three letters, or most letter pairs in common (words swapped around an
/// underscore, a missing prefix).
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(f64, &str)> = None;
    for candidate in candidates {
        let score = likeness(word, candidate);
        if score > 0.0 && best.is_none_or(|(s, _)| score > s) {
            best = Some((score, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// [`nearest`] as the second half of an error message, in HAProxy's words.
pub fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|name| format!("did you mean '{name}' maybe ?"))
}

/// A message with the name that was meant, in HAProxy's words.
pub fn with_hint<'a>(message: String, word: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    match hint(word, names) {
        Some(hint) => format!("{message}; {hint}"),
        None => message,
    }
}

/// The names that a message has in quotes.
fn quoted(message: &str) -> impl Iterator<Item = &str> {
    message.split('\'').skip(1).step_by(2)
}

/// A message has a part of this word in quotes.
pub fn names_part_of(word: &str, message: &str) -> bool {
    quoted(message).any(|part| part.len() > 1 && word.contains(part))
}

/// What was meant by a word that a message refuses, of the words which that message says there are.
pub fn hint_within(word: &str, message: &str) -> Option<String> {
    // One name is what the message is about; two or more are a list.
    let names = || quoted(message).filter(move |name| *name != word && !name.contains(' ') && name.len() > 1);
    if names().count() < 3 { None } else { hint(word, names()) }
}

/// Whether a word behind one that nobody knows, and whose arguments nobody knows either, is meant as a name of its own.
pub fn is_meant<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> bool {
    let mut names = names.into_iter();
    // Short arguments resemble much.
    if word.len() < 4 { names.any(|name| name == word) } else { nearest(word, names).is_some() }
}

/// 0 for too far, at most 2 for equal.
fn likeness(word: &str, candidate: &str) -> f64 {
    let longest = word.len().max(candidate.len());
    // Long words cost time in proportion to both lengths and are no typing mistakes.
    if word.is_empty() || candidate.is_empty() || longest > 64 {
        return 0.0;
    }
    let (lower_word, lower_candidate) = (word.to_ascii_lowercase(), candidate.to_ascii_lowercase());
    let edits = strsim::osa_distance(&lower_word, &lower_candidate);
    if edits <= longest.div_ceil(3).min(4) && edits < longest.min(word.len()) {
        return 2.0 - edits as f64 / longest as f64;
    }
    let shared = strsim::sorensen_dice(&lower_word, &lower_candidate);
    if shared >= 0.6 { shared } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_mistakes() {
        let names = ["bind", "mode", "timeout", "default_backend", "use_backend", "option", "http-request"];
        for (word, expected) in [
            ("bnd", Some("bind")),
            ("Mode", Some("mode")),
            ("timeuot", Some("timeout")),
            ("backend_default", Some("default_backend")),
            ("use-backend", Some("use_backend")),
            ("httprequest", Some("http-request")),
            ("server", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, names), expected, "{word}");
        }
        assert_eq!(hint("bnd", names).as_deref(), Some("did you mean 'bind' maybe ?"));
    }
}
