//! `--option value` pairs and bare `--flags` of the load generator's command line.

use std::str::FromStr;

/// The options of one invocation, in the order given.
pub struct Args {
    pairs: Vec<(String, String)>,
}

impl Args {
    /// Reads `--name value` and `--flag`; a word that does not start with `--` must follow a name.
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for word in words {
            match (word.strip_prefix("--"), pairs.last_mut()) {
                (Some(name), _) => pairs.push((name.to_owned(), String::new())),
                (None, Some((_, value))) if value.is_empty() => *value = word,
                (None, _) => return Err(format!("unexpected word '{word}'")),
            }
        }
        Ok(Self { pairs })
    }

    /// Whether the option was given, with or without a value.
    pub fn flag(&self, name: &str) -> bool {
        self.pairs.iter().any(|(key, _)| key == name)
    }

    /// The value of an option, if it was given one.
    pub fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.pairs.iter().find(|(key, _)| key == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// The value of an option, or an error that names it.
    pub fn required(&self, name: &str) -> Result<&str, String> {
        self.text(name).ok_or_else(|| format!("--{name} is needed"))
    }

    /// The value of an option, parsed; `None` if it was not given.
    pub fn optional<T: FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        self.text(name)
            .map(|text| text.parse().map_err(|_| format!("--{name}: bad value '{text}'")))
            .transpose()
    }

    /// The value of an option, parsed, or the default.
    pub fn or<T: FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        Ok(self.optional(name)?.unwrap_or(default))
    }

    /// A comma-separated list; empty if the option was not given.
    pub fn list<T: FromStr>(&self, name: &str) -> Result<Vec<T>, String> {
        self.text(name)
            .unwrap_or_default()
            .split(',')
            .filter(|item| !item.is_empty())
            .map(|item| item.parse().map_err(|_| format!("--{name}: bad value '{item}'")))
            .collect()
    }
}
