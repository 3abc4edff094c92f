//! Which repositories of a registry, and which of their tags.

use std::cmp::Ordering;

use regex::Regex;
use semver::{Version, VersionReq};

use super::pattern::Glob;
use crate::mirror::copy::subject_of;

/// A line `images`.
#[derive(Clone, Debug)]
pub struct Images {
    pub repositories: Vec<Glob>,
    /// Any of them; all tags where there is none.
    pub tags: Vec<Tags>,
    pub except: Vec<Tags>,
    /// So many of the highest versions.
    pub newest: Option<usize>,
}

#[derive(Clone, Debug)]
pub enum Tags {
    Glob(Glob),
    /// As a Cargo requirement; the tag may begin with `v`.
    Semver(VersionReq),
    Regex(Regex),
}

impl Tags {
    /// `v*`, `semver:>=1.2, <2`, `regex:^v[0-9]+$`.
    pub fn parse(text: &str) -> Result<Tags, String> {
        if let Some(range) = text.strip_prefix("semver:") {
            return range
                .parse()
                .map(Tags::Semver)
                .map_err(|e| format!("'{range}' is no range of versions: {e}"));
        }
        if let Some(pattern) = text.strip_prefix("regex:") {
            return super::pattern::bounded(pattern)
                .map(Tags::Regex)
                .map_err(|e| format!("'{pattern}': {e}"));
        }
        Glob::new(text).map(Tags::Glob)
    }

    fn takes(&self, tag: &str) -> bool {
        match self {
            Tags::Glob(glob) => glob.is_match(tag),
            Tags::Semver(range) => version(tag).is_some_and(|version| range.matches(&version)),
            Tags::Regex(regex) => regex.is_match(tag),
        }
    }
}

/// A tag as a version: `1.2` is `1.2.0`.
pub fn version(tag: &str) -> Option<Version> {
    let text = tag.strip_prefix('v').unwrap_or(tag);
    if let Ok(version) = Version::parse(text) {
        return Some(version);
    }
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let dots = numbers.matches('.').count();
    (dots < 2)
        .then(|| format!("{numbers}{}{rest}", ".0".repeat(2 - dots)))
        .and_then(|text| Version::parse(&text).ok())
}

/// Versions below those that are later; what is no version, below those, by its numbers and letters.
pub fn order(a: &str, b: &str) -> Ordering {
    match (version(a), version(b)) {
        (Some(x), Some(y)) => x.cmp(&y).then_with(|| a.cmp(b)),
        (x, y) => {
            x.is_some().cmp(&y.is_some()).then_with(|| natural(a).cmp(&natural(b))).then_with(|| a.cmp(b))
        }
    }
}

/// Runs of digits as numbers.
fn natural(text: &str) -> Vec<(u128, char)> {
    let (mut parts, mut digits) = (Vec::new(), String::new());
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            parts.push((digits.parse().unwrap_or(u128::MAX), '0'));
            digits.clear();
        }
        parts.push((0, c));
    }
    parts
}

impl Images {
    pub fn has(&self, repository: &str) -> bool {
        self.repositories.iter().any(|glob| glob.is_match(repository))
    }

    /// Those of a repository's tags. Tags that stand for what refers to an image are no images: they travel with it.
    pub fn select<'a>(&self, tags: impl Iterator<Item = &'a String>) -> Vec<&'a String> {
        let takes = |tag: &str| {
            (self.tags.is_empty() || self.tags.iter().any(|tags| tags.takes(tag)))
                && !self.except.iter().any(|tags| tags.takes(tag))
                && subject_of(tag).is_none()
        };
        let mut found: Vec<&String> = tags.filter(|tag| takes(tag)).collect();
        if let Some(newest) = self.newest {
            found.sort_by(|a, b| order(b, a));
            found.truncate(newest);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(tags: &[&str], except: &[&str], newest: Option<usize>) -> Images {
        let parse = |list: &[&str]| list.iter().map(|text| Tags::parse(text).expect("tags")).collect();
        Images { repositories: Vec::new(), tags: parse(tags), except: parse(except), newest }
    }

    fn select(images: &Images) -> String {
        let all = ["latest", "v1.2.0", "v1.10.0", "1.9", "v2.0.0-rc.1", "v2.0.0", "nightly-9", "nightly-10"];
        let mut all: Vec<String> = all.iter().map(|tag| (*tag).to_owned()).collect();
        all.push(format!("sha256-{}.sig", "0".repeat(64)));
        images.select(all.iter()).iter().map(|tag| tag.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn tags_are_selected() {
        assert_eq!(select(&images(&["latest", "v1*"], &[], None)), "latest v1.2.0 v1.10.0");
        assert_eq!(select(&images(&["semver:>=1.9, <2"], &[], None)), "v1.10.0 1.9");
        assert_eq!(select(&images(&["regex:^nightly-[0-9]$"], &[], None)), "nightly-9");
        assert_eq!(select(&images(&["v*"], &["*-rc*"], None)), "v1.2.0 v1.10.0 v2.0.0");
        assert_eq!(select(&images(&[], &[], Some(3))), "v2.0.0 v2.0.0-rc.1 v1.10.0");
        assert_eq!(select(&images(&["nightly-*"], &[], Some(1))), "nightly-10");
        assert_eq!(select(&images(&[], &["*"], None)), "");
    }

    #[test]
    fn what_selects_nothing_is_refused() {
        assert!(Tags::parse("semver:1..2").is_err());
        assert!(Tags::parse("regex:(").is_err());
        assert!(Tags::parse(&format!("regex:{}", "(a{1000}){1000}")).is_err(), "too large");
    }
}
