//! File name patterns: `*`, `?` and `[a-z]`, as in a shell.

/// Whether `pattern` has anything but literal bytes.
pub fn is_pattern(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// Whether the whole `name` matches. A leading dot must be matched by a dot.
pub fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to resume when a later literal fails: one more byte taken by the last star.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, n));
            p += 1;
            continue;
        }
        if let Some(len) = one(&pattern[p..], name[n]) {
            p += len;
            n += 1;
        } else if let Some((star_p, star_n)) = star {
            star = Some((star_p, star_n + 1));
            p = star_p + 1;
            n = star_n + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

/// The length of the pattern's first element if it matches `byte`.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern.first()? {
        b'?' => Some(1),
        b'[' => {
            let Some(len) = pattern.iter().skip(2).position(|b| *b == b']') else {
                return (byte == b'[').then_some(1);
            };
            let set = &pattern[1..len + 2];
            let (negated, set) = match set {
                [b'!' | b'^', rest @ ..] if !rest.is_empty() => (true, rest),
                _ => (false, set),
            };
            (in_set(set, byte) != negated).then_some(len + 3)
        }
        literal => (*literal == byte).then_some(1),
    }
}

fn in_set(mut set: &[u8], byte: u8) -> bool {
    while let [first, rest @ ..] = set {
        match rest {
            [b'-', last, after @ ..] => {
                if (*first..=*last).contains(&byte) {
                    return true;
                }
                set = after;
            }
            _ => {
                if *first == byte {
                    return true;
                }
                set = rest;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name) in [
            ("*.cfg", "a.cfg"),
            ("*", "x"),
            ("a*b*c", "aXbYbc"),
            ("?[0-9x].c", "a5.c"),
            ("[!a]b", "bb"),
            ("[", "["),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.cfg", ".a.cfg"),
            ("*.cfg", "a.cfg~"),
            ("a?", "a"),
            ("[0-9]", "a"),
            ("[!a]b", "ab"),
            ("", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(pattern in "[*?a\\[\\]!-]{0,12}", name in "[a\\]!-]{0,12}") {
            let _ = matches(&pattern, &name);
        }
    }
}
