//! Names of repositories and tags by pattern.

use regex::Regex;

/// `*` stands for any characters but `/`, `**` for those too, `?` for one.
#[derive(Clone, Debug)]
pub struct Glob {
    text: Box<str>,
    regex: Regex,
}

/// Bytes of a compiled pattern.
const COMPILED: usize = 1 << 20;

impl Glob {
    pub fn new(text: &str) -> Result<Glob, String> {
        let mut pattern = String::from("^");
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("**") {
                pattern.push_str("(.*)");
                rest = after;
                continue;
            }
            match c {
                '*' => pattern.push_str("([^/]*)"),
                '?' => pattern.push_str("([^/])"),
                c => pattern.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
            }
            rest = &rest[c.len_utf8()..];
        }
        pattern.push('$');
        Ok(Glob { text: text.into(), regex: bounded(&pattern)? })
    }

    pub fn is_match(&self, name: &str) -> bool {
        self.regex.is_match(name)
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The one name it matches, if it has no wildcards.
    pub fn literal(&self) -> Option<&str> {
        (!self.text.contains(['*', '?'])).then_some(&self.text)
    }

    pub fn wildcards(&self) -> usize {
        self.regex.captures_len() - 1
    }

    /// `template` with its wildcards replaced, in turn, by what those of this pattern stand for in a name.
    pub fn rewrite(&self, name: &str, template: &str) -> Option<String> {
        let found = self.regex.captures(name)?;
        let mut parts = found.iter().skip(1).map(|part| part.map_or("", |part| part.as_str()));
        let (mut out, mut rest) = (String::new(), template);
        while let Some(at) = rest.find(['*', '?']) {
            out.push_str(&rest[..at]);
            out.push_str(parts.next()?);
            rest = rest[at..].strip_prefix("**").unwrap_or(&rest[at + 1..]);
        }
        out.push_str(rest);
        Some(out)
    }
}

impl PartialEq for Glob {
    fn eq(&self, other: &Glob) -> bool {
        self.text == other.text
    }
}

/// A regular expression that costs no more than it may.
pub fn bounded(pattern: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(pattern).size_limit(COMPILED).build().map_err(|e| {
        let text = e.to_string();
        text.lines().last().unwrap_or_default().trim().to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stop_at_slashes_unless_there_are_two() {
        let is = |pattern: &str, name: &str| Glob::new(pattern).expect("a pattern").is_match(name);
        assert!(is("app/*", "app/web") && !is("app/*", "app/web/x") && !is("app/*", "xapp/web"));
        assert!(is("app/**", "app/web/x") && is("**", "a/b/c") && is("v?", "v1") && !is("v?", "v10"));
        assert!(is("a.b", "a.b") && !is("a.b", "axb"));
    }

    #[test]
    fn names_are_rewritten() {
        let glob = Glob::new("library/*").expect("a pattern");
        assert_eq!(glob.rewrite("library/alpine", "hub/*"), Some("hub/alpine".into()));
        assert_eq!(glob.rewrite("other/alpine", "hub/*"), None);
        let glob = Glob::new("*/**").expect("a pattern");
        assert_eq!(glob.rewrite("a/b/c", "x-*/y/**"), Some("x-a/y/b/c".into()));
        assert_eq!(Glob::new("a").expect("a pattern").rewrite("a", "b"), Some("b".into()));
        assert_eq!(Glob::new("a").expect("a pattern").literal(), Some("a"));
    }
}
