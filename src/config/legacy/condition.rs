//! Conditions of old lines, with one more term.

use crate::lang::{Span, Word};

use super::change::word;

/// `{ fetch flags value }` as words.
pub fn term<const N: usize>(texts: [&str; N], at: Span) -> Vec<Word> {
    let inside = texts.into_iter().map(|text| word(text, at));
    std::iter::once(word("{", at)).chain(inside).chain([word("}", at)]).collect()
}

/// The same term, when it must not hold.
pub fn not(mut term: Vec<Word>) -> Vec<Word> {
    if let Some(first) = term.first_mut() {
        *first = word(format!("!{}", first.str()), first.span);
    }
    term
}

/// A condition (`if ...`, `unless ...` or nothing) that `term` has to fulfil too.
pub fn and(condition: &[Word], term: &[Word]) -> Vec<Word> {
    let at = term.first().map_or_else(Span::default, |word| word.span);
    let Some((first, rest)) = condition.split_first() else {
        return std::iter::once(word("if", at)).chain(term.iter().cloned()).collect();
    };
    let mut all = vec![first.clone()];
    if first.str() == "unless" {
        // Not (term and not rest): the opposite of the term suffices.
        all.extend(not(term.to_vec()));
        all.push(word("or", at));
        all.extend_from_slice(rest);
        return all;
    }
    for (i, alternative) in alternatives(rest).into_iter().enumerate() {
        if i > 0 {
            all.push(word("or", at));
        }
        all.extend(term.iter().chain(alternative).cloned());
    }
    all
}

/// The parts between `or` and `||`.
fn alternatives(words: &[Word]) -> Vec<&[Word]> {
    let mut list = Vec::new();
    let (mut from, mut inside) = (0, false);
    for (i, word) in words.iter().enumerate() {
        match word.str() {
            "}" => inside = false,
            text if text.trim_start_matches('!') == "{" => inside = true,
            "or" | "||" if !inside => {
                list.push(&words[from..i]);
                from = i + 1;
            }
            _ => {}
        }
    }
    list.push(&words[from..]);
    list
}
