//! Which files an `include` names.

use std::io;
use std::path::{Path, PathBuf};

/// Most files that one pattern may match.
const MAX_FILES: usize = 1_000;

/// `include`, and its forms that say what of a missing file: `r` readable, `m` match, `w` wildcard match, `b` brace match,
/// `a` all.
pub(super) fn is_keyword(word: &str) -> bool {
    matches!(word, "include" | "includer" | "includem" | "includew" | "includeb" | "includea")
}

/// The files that a path or pattern names, in order. Patterns may stand in any part of the path.
pub(super) fn matching(
    base: &Path,
    target: &str,
    list: &dyn Fn(&Path) -> io::Result<Vec<String>>,
) -> Vec<PathBuf> {
    if target.is_empty() {
        return Vec::new();
    }
    let absolute = target.starts_with('/');
    let mut found = vec![if absolute { PathBuf::from("/") } else { base.to_path_buf() }];
    let mut has_pattern = false;
    for part in target.split('/').filter(|part| !part.is_empty()) {
        if !part.contains(['*', '?', '[']) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        has_pattern = true;
        let mut next = Vec::new();
        for directory in &found {
            let here = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
            let mut names = list(here).unwrap_or_default();
            names.retain(|name| (part.starts_with('.') || !name.starts_with('.')) && fits(part, name));
            names.sort_unstable();
            next.extend(names.into_iter().map(|name| directory.join(name)).take(MAX_FILES));
        }
        next.truncate(MAX_FILES);
        found = next;
    }
    // Reading says whether a file without pattern is there; of a pattern's parts after the first some may not be.
    if has_pattern {
        found.retain(|path| {
            let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
            else {
                return false;
            };
            list(directory).is_ok_and(|names| names.iter().any(|known| known == name))
        });
    }
    found
}

/// `*`, `?` and `[a-z]`, `[!a]`.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // The last star, and what of the name it has taken.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
                continue;
            }
            Some('?') => Some(1),
            Some('[') => class(&pattern[p..], name[n]),
            Some(c) if *c == name[n] => Some(1),
            _ => None,
        };
        match (step, star) {
            (Some(len), _) => (p, n) = (p + len, n + 1),
            (None, Some((at, taken))) => {
                star = Some((at, taken + 1));
                (p, n) = (at + 1, taken + 1);
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// The length of a bracket expression that has this character in it.
fn class(pattern: &[char], c: char) -> Option<usize> {
    let negated = matches!(pattern.get(1), Some('!' | '^'));
    let start = 1 + usize::from(negated);
    // A bracket that comes first is one of the characters.
    let end = start + 1 + pattern.get(start + 1..)?.iter().position(|c| *c == ']')?;
    let (mut at, mut is_in) = (start, false);
    while at < end {
        if pattern.get(at + 1) == Some(&'-') && at + 2 < end {
            is_in |= (pattern[at]..=pattern[at + 2]).contains(&c);
            at += 3;
        } else {
            is_in |= pattern[at] == c;
            at += 1;
        }
    }
    (is_in != negated).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_shells_do() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("?", "ä", true),
            ("?", "", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]x]y", "]y", true),
            ("[a", "a", false),
            ("**", "", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_may_stand_in_any_part() {
        let list = |path: &Path| {
            Ok(match path.to_str() {
                Some("/etc") => vec!["a".into(), "b".into(), ".hidden".into()],
                Some("/etc/a") => vec!["x.conf".into(), "k".into()],
                Some("/etc/b") => vec!["k".into()],
                _ => return Err(io::Error::other("no directory")),
            })
        };
        let found = |target: &str| matching(Path::new("/etc"), target, &list);
        assert_eq!(found("*/x.conf"), [PathBuf::from("/etc/a/x.conf")]);
        assert_eq!(found("/etc/*/*"), ["/etc/a/k", "/etc/a/x.conf", "/etc/b/k"].map(PathBuf::from));
        assert_eq!(found("gone.conf"), [PathBuf::from("/etc/gone.conf")]);
        assert!(found("*.none").is_empty());
    }
}
