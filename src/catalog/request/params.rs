//! The query of a URL: `?stale&index=7&wait=10s&tag=a&tag=b`.

use percent_encoding::percent_decode_str;

/// Parameters in the order of the URL; one without `=` has an empty value.
#[derive(Debug, Clone, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    pub fn parse(query: &str) -> Self {
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode_form(name), decode_form(value))
        };
        Params { pairs: query.split('&').filter(|part| !part.is_empty()).map(pair).collect() }
    }

    pub fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(n, _)| n == name)
    }

    /// The first value; `None` when it is not there or empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        found.filter(|value| !value.is_empty())
    }

    /// Every value of a parameter that may be repeated.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Whether it is there and does not say no: `?passing`, `?passing=1`, `?passing=True`.
    pub fn flag(&self, name: &str) -> bool {
        let says_no = |value: &str| ["0", "f", "false"].iter().any(|no| value.eq_ignore_ascii_case(no));
        self.pairs.iter().any(|(n, v)| n == name && !says_no(v))
    }
}

/// Percent-encoding, and `+` for a space, as forms do.
fn decode_form(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// A piece of a path: percent-encoding alone, `+` stays.
pub fn decode_path(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_be_missing_or_repeated() {
        let params = Params::parse("stale&index=7&tag=a&tag=b%20c&keys=True&recurse=&passing=false&f=a+b");
        assert!(params.has("stale") && params.flag("stale"));
        assert_eq!(params.text("index"), Some("7"));
        assert_eq!(params.all("tag").collect::<Vec<_>>(), ["a", "b c"]);
        assert!(params.flag("keys") && params.flag("recurse") && !params.flag("passing"));
        assert_eq!(params.text("recurse"), None);
        assert_eq!(params.text("f"), Some("a b"));
        assert!(!params.has("wait"));
    }

    #[test]
    fn paths_keep_their_plus() {
        assert_eq!(decode_path("app%23127+1"), "app#127+1");
    }
}
