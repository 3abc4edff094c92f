//! When a value is stored in a variable: the conditions of `set-var` (manual section 4.4).

use super::cast::text;
use super::sample::Sample;

/// One word behind the variable's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    Exists,
    NotExists,
    Empty,
    NotEmpty,
    Set,
    NotSet,
    /// The value stored so far is greater than the new one.
    Greater,
    Less,
}

impl Only {
    pub fn parse(word: &str) -> Option<Only> {
        Some(match word {
            "ifexists" => Only::Exists,
            "ifnotexists" => Only::NotExists,
            "ifempty" => Only::Empty,
            "ifnotempty" => Only::NotEmpty,
            "ifset" => Only::Set,
            "ifnotset" => Only::NotSet,
            "ifgt" => Only::Greater,
            "iflt" => Only::Less,
            _ => return None,
        })
    }
}

/// Whether `new` may take the place of `old`.
///
/// `is_process`: a `proc` variable exists from the moment a configuration names it.
pub fn is_allowed(conditions: &[Only], is_process: bool, old: Option<&Sample<'_>>, new: &Sample<'_>) -> bool {
    let is_text = matches!(new, Sample::Str(_) | Sample::Bin(_));
    let is_empty = || is_text && text(new.borrow()).is_empty();
    let order = match (old, new) {
        (Some(Sample::Int(old)), Sample::Int(new)) => Some(old.cmp(new)),
        _ => None,
    };
    conditions.iter().all(|only| match only {
        Only::Exists => is_process || old.is_some(),
        Only::NotExists => !is_process && old.is_none(),
        Only::Set => old.is_some(),
        Only::NotSet => old.is_none(),
        Only::Empty => is_empty(),
        Only::NotEmpty => !is_empty(),
        Only::Greater => order.is_none_or(|o| o.is_gt()),
        Only::Less => order.is_none_or(|o| o.is_lt()),
    })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn conditions() {
        let (three, five) = (Sample::Int(3), Sample::Int(5));
        let (empty, some) = (Sample::Str(Cow::Borrowed(b"")), Sample::Str(Cow::Borrowed(b"x")));
        for (word, old, new, expected) in [
            ("ifexists", None, &three, false),
            ("ifexists", Some(&five), &three, true),
            ("ifnotset", Some(&five), &three, false),
            ("ifempty", None, &empty, true),
            ("ifempty", None, &three, false),
            ("ifnotempty", None, &empty, false),
            ("ifnotempty", None, &some, true),
            ("ifgt", Some(&five), &three, true),
            ("ifgt", Some(&three), &five, false),
            ("ifgt", None, &five, true),
            ("iflt", Some(&three), &five, true),
            ("iflt", Some(&some), &five, true),
        ] {
            let only = Only::parse(word).unwrap();
            assert_eq!(is_allowed(&[only], false, old, new), expected, "{word} {old:?} {new:?}");
        }
        assert_eq!(Only::parse("ifnot"), None);
        assert!(is_allowed(&[Only::Exists], true, None, &three));
        assert!(!is_allowed(&[Only::NotExists], true, None, &three));
    }
}
