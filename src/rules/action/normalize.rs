//! `normalize-uri`: one way of writing what can be written in many.

use crate::lang::Entry;
use crate::rules::fetch::path_of;
use crate::rules::reply::ReplySpec;
use crate::rules::txn::Outcome;
use crate::rules::words::Failed;

use super::entry::{Action, ActionKeyword, Input, Run, Sets, Step};

/// What is brought into one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Normalizer {
    FragmentEncode,
    FragmentStrip,
    PathMergeSlashes,
    PathStripDot,
    /// `full`: leading `/../` go too.
    PathStripDotdot {
        full: bool,
    },
    PercentDecodeUnreserved {
        strict: bool,
    },
    PercentToUppercase {
        strict: bool,
    },
    QuerySortByName,
}

#[derive(Debug)]
struct Normalize(Normalizer);

impl Action for Normalize {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let target = run.txn.req.target_bytes();
        let Some(old) = path_of(target) else { return Step::Next };
        let Ok(new) = self.0.apply(old) else {
            let reply = ReplySpec::default_errors(400).render(run.ctx());
            // As one that was never read.
            run.txn.timers.request_done = 0;
            return Step::Done(Outcome::Final { reply, denied: true });
        };
        if new == old {
            return Step::Next;
        }
        let more = new.len() as i64 - old.len() as i64;
        let whole = [&target[..target.len() - old.len()], &new[..]].concat();
        if !run.grow(more) {
            return Step::NoRoom;
        }
        run.txn.req.set_uri(&whole);
        Step::Next
    }
}

/// A percent sign without two hexadecimal digits where that is not forgiven.
struct Invalid;

impl Normalizer {
    /// The path, with what follows it, in the one form.
    fn apply(self, path: &[u8]) -> Result<Vec<u8>, Invalid> {
        let fragment = memchr::memchr(b'#', path).unwrap_or(path.len());
        let end = memchr::memchr2(b'?', b'#', path).unwrap_or(path.len());
        let (way, rest) = path.split_at(end);
        let joined = |way: Vec<u8>| [&way[..], rest].concat();
        Ok(match self {
            Normalizer::FragmentStrip => path[..fragment].to_vec(),
            Normalizer::FragmentEncode => {
                let mut out = Vec::with_capacity(path.len() + 2);
                for byte in path {
                    if *byte == b'#' {
                        out.extend(b"%23");
                    } else {
                        out.push(*byte);
                    }
                }
                out
            }
            Normalizer::PathMergeSlashes => {
                let mut way = way.to_vec();
                way.dedup_by(|a, b| *a == b'/' && *b == b'/');
                joined(way)
            }
            Normalizer::PathStripDot => joined(strip_dot(way)),
            Normalizer::PathStripDotdot { full } => joined(strip_dotdot(way, full)),
            Normalizer::PercentDecodeUnreserved { strict } => {
                percent(path, strict, |byte, digits| match byte {
                    b'-' | b'.' | b'_' | b'~' => vec![byte],
                    _ if byte.is_ascii_alphanumeric() => vec![byte],
                    _ => [&b"%"[..], digits].concat(),
                })?
            }
            Normalizer::PercentToUppercase { strict } => {
                percent(path, strict, |_, digits| [&b"%"[..], &digits.to_ascii_uppercase()[..]].concat())?
            }
            Normalizer::QuerySortByName => sort_query(&path[..fragment], &path[fragment..]),
        })
    }
}

/// Without `/./`.
fn strip_dot(path: &[u8]) -> Vec<u8> {
    let Some(rest) = path.strip_prefix(b"/") else { return path.to_vec() };
    let mut out = Vec::with_capacity(path.len());
    let mut segments = rest.split(|b| *b == b'/').peekable();
    while let Some(segment) = segments.next() {
        if segment != b"." {
            out.push(b'/');
            out.extend_from_slice(segment);
        } else if segments.peek().is_none() {
            out.push(b'/');
        }
    }
    out
}

/// Each `/../` takes the segment before it along. One that finds none stays, unless `full`.
fn strip_dotdot(path: &[u8], full: bool) -> Vec<u8> {
    let Some(rest) = path.strip_prefix(b"/") else { return path.to_vec() };
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut segments = rest.split(|b| *b == b'/').peekable();
    while let Some(segment) = segments.next() {
        if segment != b".." {
            kept.push(segment);
            continue;
        }
        let is_last = segments.peek().is_none();
        match kept.last() {
            Some(before) if *before != b".." => {
                kept.pop();
            }
            _ if full => {}
            _ => kept.push(segment),
        }
        if is_last {
            kept.push(b"");
        }
    }
    kept.iter().flat_map(|segment| [&b"/"[..], *segment].concat()).collect()
}

/// What each `%XX` becomes. Others stay, or make the whole invalid where that is `strict`.
fn percent(path: &[u8], strict: bool, form: impl Fn(u8, &[u8]) -> Vec<u8>) -> Result<Vec<u8>, Invalid> {
    let value = |digit: u8| char::from(digit).to_digit(16).map(|n| n as u8);
    let mut out = Vec::with_capacity(path.len());
    let mut at = 0;
    while at < path.len() {
        if path[at] != b'%' {
            out.push(path[at]);
            at += 1;
            continue;
        }
        match path.get(at + 1..at + 3) {
            Some(digits @ [high, low]) if value(*high).is_some() && value(*low).is_some() => {
                let byte = value(*high).unwrap_or(0) << 4 | value(*low).unwrap_or(0);
                out.extend(form(byte, digits));
                at += 3;
            }
            _ if strict => return Err(Invalid),
            _ => {
                out.push(b'%');
                at += 1;
            }
        }
    }
    Ok(out)
}

/// The parameters of the query by their names; those of one name keep their order.
fn sort_query(path: &[u8], fragment: &[u8]) -> Vec<u8> {
    let Some(question) = memchr::memchr(b'?', path) else { return [path, fragment].concat() };
    let mut parameters: Vec<&[u8]> = path[question + 1..].split(|b| *b == b'&').collect();
    parameters.sort_by_key(|parameter| parameter.split(|b| *b == b'=').next().unwrap_or_default());
    [&path[..=question], &parameters.join(&b'&')[..], fragment].concat()
}

fn parse(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let word = input.words.want("a <normalizer>")?;
    let normalizer = match word.str() {
        "fragment-encode" => Normalizer::FragmentEncode,
        "fragment-strip" => Normalizer::FragmentStrip,
        "path-merge-slashes" => Normalizer::PathMergeSlashes,
        "path-strip-dot" => Normalizer::PathStripDot,
        "path-strip-dotdot" => Normalizer::PathStripDotdot { full: input.words.take("full") },
        "percent-decode-unreserved" => {
            Normalizer::PercentDecodeUnreserved { strict: input.words.take("strict") }
        }
        "percent-to-uppercase" => Normalizer::PercentToUppercase { strict: input.words.take("strict") },
        "query-sort-by-name" => Normalizer::QuerySortByName,
        other => {
            let message = format!(
                "unknown normalizer '{other}', expects 'fragment-encode', 'fragment-strip', 'path-merge-slashes', \
                 'path-strip-dot', 'path-strip-dotdot', 'percent-decode-unreserved', 'percent-to-uppercase' or \
                 'query-sort-by-name'"
            );
            return Err((word.span, message));
        }
    };
    Ok(Box::new(Normalize(normalizer)))
}

pub static ACTIONS: &[ActionKeyword] = &[ActionKeyword::new(
    Entry::full(
        "normalize-uri",
        "{ fragment-encode | fragment-strip | path-merge-slashes | path-strip-dot | path-strip-dotdot [full] | \
         percent-decode-unreserved [strict] | percent-to-uppercase [strict] | query-sort-by-name }",
        "Writes the target in one of the ways that mean the same.",
        "normalize-uri path-merge-slashes",
        "2.4",
    ),
    Sets::HTTP_REQUEST,
    parse,
)];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(normalizer: Normalizer, path: &str) -> String {
        match normalizer.apply(path.as_bytes()) {
            Ok(new) => String::from_utf8(new).expect("text"),
            Err(Invalid) => "invalid".to_owned(),
        }
    }

    #[test]
    fn each_has_one_form() {
        use Normalizer::*;
        let (lax, strict) =
            (PercentDecodeUnreserved { strict: false }, PercentDecodeUnreserved { strict: true });
        let (some, full) = (PathStripDotdot { full: false }, PathStripDotdot { full: true });
        let upper = PercentToUppercase { strict: false };
        for (normalizer, path, new) in [
            (FragmentEncode, "/a#b#c", "/a%23b%23c"),
            (FragmentStrip, "/a?b#c", "/a?b"),
            (PathMergeSlashes, "//a///b/?c=//", "/a/b/?c=//"),
            (PathStripDot, "/.", "/"),
            (PathStripDot, "/./bar/", "/bar/"),
            (PathStripDot, "/a/./a", "/a/a"),
            (PathStripDot, "/.well-known/", "/.well-known/"),
            (PathStripDot, "/a?/./", "/a?/./"),
            (some, "/foo/../", "/"),
            (some, "/foo/../bar/", "/bar/"),
            (some, "/foo/bar/../", "/foo/"),
            (some, "/foo/bar/..", "/foo/"),
            (some, "/../bar/", "/../bar/"),
            (some, "/bar/../../", "/../"),
            (some, "/foo//../", "/foo/"),
            (some, "/a/../..", "/../"),
            (some, "/..a/../b", "/b"),
            (full, "/../bar/", "/bar/"),
            (full, "/bar/../../", "/"),
            (lax, "/%61%2f%7E%2?%5F%zz", "/a%2f~%2?_%zz"),
            (strict, "/%2", "invalid"),
            (upper, "/%2f%zz?%aB", "/%2F%zz?%AB"),
            (PercentToUppercase { strict: true }, "/%2f%zz", "invalid"),
            (QuerySortByName, "/?c=3&a=1&b=2", "/?a=1&b=2&c=3"),
            (QuerySortByName, "/?aaa=3&a=1&aa=2", "/?a=1&aa=2&aaa=3"),
            (QuerySortByName, "/?a=3&b=4&a=1&b=5&a=2#z", "/?a=3&a=1&a=2&b=4&b=5#z"),
            (QuerySortByName, "/x", "/x"),
        ] {
            assert_eq!(of(normalizer, path), new, "{normalizer:?} {path}");
        }
    }
}
