//! The query of a URL: `?stale&index=7&wait=10s&tag=a&tag=b`.

use percent_encoding::percent_decode_str;

use crate::catalog::request::fault::Fault;

/// Parameters in the order of the URL; one without `=` has an empty value.
#[derive(Debug, Clone, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// An error when it is not UTF-8: what was meant cannot be told from anything else that is not.
    pub fn parse(query: &str) -> Result<Self, Fault> {
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decode_form(name)?, decode_form(value)?))
        };
        let pairs: Result<_, std::str::Utf8Error> =
            query.split('&').filter(|part| !part.is_empty()).map(pair).collect();
        let pairs = pairs.map_err(|e| Fault::bad_request(format!("Invalid URL: the query: {e}")))?;
        Ok(Params { pairs })
    }

    pub fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(n, _)| n == name)
    }

    /// The first value; `None` when it is not there or empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        found.filter(|value| !value.is_empty())
    }

    /// The value of a parameter that decides what is done to what: `None` when it is not there. Said twice in two ways,
    /// or said without a value as a script with an unset variable does, it is an error, never as if it were not there.
    pub fn one(&self, name: &str) -> Result<Option<&str>, Fault> {
        let mut values = self.pairs.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str());
        let Some(first) = values.next() else { return Ok(None) };
        if values.any(|other| other != first) {
            return Err(Fault::bad_request(format!("Conflicting values of {name}")));
        }
        match first.is_empty() {
            true => Err(Fault::bad_request(format!("Missing value of {name}"))),
            false => Ok(Some(first)),
        }
    }

    /// The same, of a number.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Fault> {
        let wrong = |_| Fault::bad_request(format!("Invalid {name} value, must be an unsigned number"));
        self.one(name)?.map(|text| text.parse().map_err(wrong)).transpose()
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
fn decode_form(text: &str) -> Result<String, std::str::Utf8Error> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().map(|text| text.into_owned())
}

/// Whether a path says the same after it is decoded and encoded again: two keys must not become one.
pub fn is_text(path: &str) -> bool {
    percent_decode_str(path).decode_utf8().is_ok()
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
        let params =
            Params::parse("stale&index=7&tag=a&tag=b%20c&keys=True&recurse=&passing=false&f=a+b").unwrap();
        assert!(params.has("stale") && params.flag("stale"));
        assert_eq!(params.text("index"), Some("7"));
        assert_eq!(params.all("tag").collect::<Vec<_>>(), ["a", "b c"]);
        assert!(params.flag("keys") && params.flag("recurse") && !params.flag("passing"));
        assert_eq!(params.text("recurse"), None);
        assert_eq!(params.text("f"), Some("a b"));
        assert!(!params.has("wait"));
    }

    #[test]
    fn what_decides_is_said_once_and_has_a_value() {
        let params =
            Params::parse("cas=&acquire=a&acquire=b&release=s&release=s&flags=-1&n=18446744073709551616");
        let params = params.unwrap();
        for name in ["cas", "acquire", "flags", "n"] {
            assert!(params.number(name).is_err(), "{name}");
        }
        assert!(params.one("cas").is_err() && params.one("acquire").is_err());
        assert_eq!(params.one("release").unwrap(), Some("s"));
        assert_eq!((params.one("none").unwrap(), params.number("none").unwrap()), (None, None));
        assert!(Params::parse("a=%FF").is_err() && Params::parse("%FF").is_err());
        assert!(is_text("/v1/kv/%C3%BC") && !is_text("/v1/kv/%FC"));
    }

    #[test]
    fn paths_keep_their_plus() {
        assert_eq!(decode_path("app%23127+1"), "app#127+1");
    }
}
