//! The length of functions, from the line of `fn` to the line of the closing brace.

const LINES: usize = 70;

/// The functions of a file that are too long: path, name, lines.
pub fn long(path: &str, code: &str) -> Vec<(String, String, usize)> {
    let found = functions(code).into_iter().filter(|(_, lines)| *lines > LINES);
    found.map(|(name, lines)| (path.to_owned(), name, lines)).collect()
}

/// Functions that no row allows at their length, and rows without a long function.
pub fn complaints(found: &[(String, String, usize)], allowed: &[(&str, &str, usize)]) -> Vec<String> {
    let at = |row: &(&str, &str, usize), path: &str, name: &str| row.0 == path && row.1 == name;
    let new = found
        .iter()
        .filter(|(path, name, lines)| !allowed.iter().any(|row| at(row, path, name) && *lines <= row.2));
    let mut out: Vec<String> =
        new.map(|(path, name, lines)| format!("{path}: {name} has {lines} lines, at most {LINES}")).collect();
    let stale = allowed.iter().filter(|row| !found.iter().any(|(path, name, _)| at(row, path, name)));
    out.extend(stale.map(|(path, name, _)| {
        format!("{path}: {name} is short or gone, take it out of tests/tidy/allowed.rs")
    }));
    out
}

/// The functions of a text whose comments and strings are blank: name and lines.
fn functions(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let Some(name) = super::words(&code[at + 3..]).next() else { continue };
        if let Some(len) = body_end(&code[at..]) {
            let lines = code[at..at + len].matches('\n').count() + 1;
            found.push((name.to_owned(), lines));
        }
    }
    found
}

/// Where the body ends; `None` for a declaration, and for a type such as `fn(u8) -> u8`.
fn body_end(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut open = false;
    for (at, c) in text.char_indices() {
        match c {
            '{' | '(' | '[' => {
                open |= c == '{' && depth == 0;
                depth += 1;
            }
            '}' | ')' | ']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 && open {
                    return Some(at + 1);
                }
            }
            ';' | ',' | '=' if depth == 0 && !open && !in_generics(&text[..at]) => return None,
            _ => {}
        }
    }
    None
}

/// `<A, B = C>` and the bounds of a `where` hold commas of their own.
fn in_generics(signature: &str) -> bool {
    let closed = signature.matches('>').count() - signature.matches("->").count();
    signature.matches('<').count() > closed || signature.contains("where")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        functions(&crate::code(text)).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn functions_are_found_with_their_bodies() {
        assert_eq!(
            names("fn a() {}\npub async fn b<T: X<A, B>>(c: [u8; 4]) -> [u8; 2] where T: D, E: F { { } }"),
            ["a", "b"]
        );
        assert_eq!(names("trait T { fn a(&self); fn b(&self) -> u8 { 1 } }"), ["b"]);
        assert_eq!(
            names("type F = fn(u8) -> u8; struct S { f: fn(u8), g: u8 } // fn x() {}"),
            Vec::<String>::new()
        );
        assert_eq!(
            functions("fn a(\n) {\n  match x {\n  }\n}\nfn b() {}\n"),
            [("a".into(), 5), ("b".into(), 1)]
        );
    }

    #[test]
    fn a_long_function_is_found() {
        let text = |lines: usize| format!("fn a() {{{}}}\n", "\n".repeat(lines - 1));
        assert_eq!(long("x", &text(70)), []);
        let found = long("x", &text(71));
        assert_eq!(found, [("x".into(), "a".into(), 71)]);
        assert_eq!(complaints(&found, &[]).len(), 1);
        assert_eq!(complaints(&found, &[("x", "a", 71)]), Vec::<String>::new());
        assert_eq!(complaints(&found, &[("x", "a", 70)]).len(), 1);
        assert_eq!(complaints(&[], &[("x", "a", 71)]).len(), 1);
    }
}
