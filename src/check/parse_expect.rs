//! The arguments of `expect` steps.

use super::parse_step::{Words, hex};
use super::phrase::Phrase;
use super::rule::{Expect, Match, Pattern, Text};
use super::rules::Fault;
use super::spec::Protocol;
use super::status::Status;

/// `expect [min-recv <n>] [comment <text>] [ok-status <st>] ... [!] <match> <pattern>`.
pub(super) fn parse_expect(
    words: &mut Words<'_, '_>,
    protocol: Protocol,
) -> Result<(Expect, Option<String>), Fault> {
    let mut expect = Expect::new(Match::Status(Vec::new()));
    let mut pattern: Option<Match> = None;
    let mut comment = None;
    if words.peek().is_none() {
        return Err(Fault::new(0, "expects at least a matching pattern as arguments"));
    }
    while let Some((mut i, mut word)) = words.next() {
        let mut negated = false;
        while let Some(rest) = word.strip_prefix('!') {
            negated = true;
            expect.inverse = !expect.inverse;
            word = rest;
            if word.is_empty() {
                (i, word) = words.next().ok_or_else(|| Fault::new(i, "pattern not found"))?;
            }
        }
        if let Some(found) = parse_match(words, i, word, protocol)? {
            if pattern.replace(found).is_some() {
                return Err(Fault::new(i, "only one pattern expected"));
            }
            continue;
        }
        if negated {
            return Err(Fault::new(i, format!("[!] not supported with '{word}'")));
        }
        parse_option(words, i, word, &mut expect, &mut comment, protocol)?;
    }
    expect.pattern = pattern.ok_or_else(|| Fault::new(0, "pattern not found"))?;
    Ok((expect, comment))
}

fn parse_option(
    words: &mut Words<'_, '_>,
    i: usize,
    word: &str,
    expect: &mut Expect,
    comment: &mut Option<String>,
    protocol: Protocol,
) -> Result<(), Fault> {
    let missing = format!("'{word}' expects a string as argument");
    match word {
        "min-recv" => {
            let text = words.argument(i, "'min-recv' expects a integer as argument")?;
            expect.min_recv = match text.parse() {
                Ok(n) if (-1..=i64::from(i32::MAX)).contains(&n) => n,
                _ => return Err(Fault::new(i + 1, "'min-recv' expects -1 or an integer from 0 to INT_MAX")),
            };
        }
        "comment" => *comment = Some(words.argument(i, &missing)?.to_owned()),
        "on-success" | "on-error" => {
            let text = words.argument(i, &missing)?;
            let said = Some(words.phrase(i + 1, text)?);
            *(if word == "on-error" { &mut expect.on_error } else { &mut expect.on_success }) = said;
        }
        "ok-status" => {
            expect.ok_status = Some(status(words, i, word, "'L4OK', 'L6OK', 'L7OK' or 'L7OKC'")?);
        }
        "error-status" => {
            expect.error_status =
                Some(status(words, i, word, "'L4CON', 'L6RSP', 'L7RSP', 'L7STS' or 'L7OKC'")?);
        }
        "tout-status" => {
            expect.timeout_status = Some(status(words, i, word, "'L4TOUT', 'L6TOUT' or 'L7TOUT'")?);
        }
        "status-code" => {
            expect.status_code = Some(words.formula(i, "'status-code' expects an expression as argument")?);
        }
        _ if protocol == Protocol::Http => {
            return Err(Fault::new(
                i,
                format!(
                    "'only supports min-recv, [!]string', '[!]rstring', '[!]string-lf', '[!]status', '[!]rstatus', \
                     [!]hdr, [!]fhdr or comment but got '{word}' as argument"
                ),
            ));
        }
        _ => {
            return Err(Fault::new(
                i,
                format!(
                    "'only supports min-recv, '[!]binary', '[!]string', '[!]rstring', '[!]string-lf''[!]rbinary', \
                     '[!]binary-lf' or comment but got '{word}' as argument"
                ),
            ));
        }
    }
    Ok(())
}

/// One of the statuses named in `allowed`.
fn status(words: &mut Words<'_, '_>, i: usize, word: &str, allowed: &str) -> Result<Status, Fault> {
    let code = words.argument(i, &format!("'{word}' expects a string as argument"))?;
    Status::by_code(code)
        .filter(|s| allowed.contains(&format!("'{}'", s.code())))
        .ok_or_else(|| Fault::new(i + 1, format!("'{word}' only supports {allowed} status (got '{code}')")))
}

/// The match that `word` begins, `None` when it is not the name of one.
fn parse_match(
    words: &mut Words<'_, '_>,
    i: usize,
    word: &str,
    protocol: Protocol,
) -> Result<Option<Match>, Fault> {
    let is_http = protocol == Protocol::Http;
    let known = match word {
        "string" | "rstring" | "string-lf" => true,
        "status" | "rstatus" | "hdr" | "fhdr" => is_http,
        "binary" | "rbinary" | "binary-lf" => !is_http,
        _ => false,
    };
    if !known {
        return Ok(None);
    }
    if matches!(word, "hdr" | "fhdr") {
        return parse_header(words, i, word).map(Some);
    }
    let text = words.argument(i, &format!("'{word}' expects a <pattern> as argument"))?;
    let regex = || Pattern::new(text, false).map_err(|e| Fault::new(i + 1, e));
    Ok(Some(match word {
        "status" => Match::Status(parse_statuses(i + 1, text)?),
        "rstatus" => Match::StatusRegex(regex()?),
        "string" if is_http => Match::Body(Phrase::fixed(text)),
        "string-lf" if is_http => Match::Body(words.phrase(i + 1, text)?),
        "rstring" if is_http => Match::BodyRegex(regex()?),
        "string" => Match::Bytes(Phrase::fixed(text)),
        "string-lf" => Match::Bytes(words.phrase(i + 1, text)?),
        "rstring" => Match::BytesRegex(regex()?),
        "rbinary" => Match::HexRegex(regex()?),
        "binary-lf" => match words.phrase(i + 1, text)? {
            Phrase::Fixed(text) => Match::Bytes(Phrase::fixed(hex(i + 1, &String::from_utf8_lossy(&text))?)),
            made => Match::Hex(made),
        },
        _ => Match::Bytes(Phrase::fixed(hex(i + 1, text)?)),
    }))
}

/// `200,300-310`.
fn parse_statuses(word: usize, text: &str) -> Result<Vec<(u32, u32)>, Fault> {
    let number = |part: &str| match part.bytes().find(|b| !b.is_ascii_digit()) {
        Some(b) => Err(Fault::new(
            word,
            format!("invalid character '{}' in the list of status codes", char::from(b)),
        )),
        None => Ok(part.parse().unwrap_or(0)),
    };
    text.split(',')
        .map(|range| {
            let (low, high) = range.split_once('-').unwrap_or((range, range));
            let (low, high) = (number(low)?, number(high)?);
            if low > high {
                return Err(Fault::new(word, format!("invalid range of status codes '{text}'")));
            }
            Ok((low, high))
        })
        .collect()
}

/// `hdr name [-m <how>] <name> [value [-m <how>] <value>]`.
fn parse_header(words: &mut Words<'_, '_>, i: usize, word: &str) -> Result<Match, Fault> {
    let missing = format!("'{word}' expects at the name keyword as first argument followed by a pattern");
    let is_format = match words.argument(i, &missing)? {
        "name" => false,
        "name-lf" => true,
        _ => return Err(Fault::new(i + 1, missing)),
    };
    let name = parse_text(words, i, word, &missing, is_format, true)?;
    let value = match words.peek() {
        Some(keyword @ ("value" | "value-lf")) => {
            words.next();
            let missing = format!("'{word}' expect a pattern with the value keyword");
            Some(parse_text(words, i, word, &missing, keyword == "value-lf", false)?)
        }
        _ => None,
    };
    Ok(Match::Header { name, value, full: word == "fhdr" })
}

fn parse_text(
    words: &mut Words<'_, '_>,
    i: usize,
    word: &str,
    missing: &str,
    is_format: bool,
    is_name: bool,
) -> Result<Text, Fault> {
    let mut how = "str";
    if words.peek() == Some("-m") {
        words.next();
        let choices = "('str', 'beg', 'end', 'sub' or 'reg')";
        how = words.argument(i, &format!("'{word}' : '-m' expects at a matching pattern {choices}"))?;
    }
    let text = words.argument(i, missing)?;
    // Header names compare without regard to case.
    let plain = |words: &mut Words<'_, '_>| match (is_format, is_name) {
        (true, _) => words.phrase(i, text),
        (false, true) => Ok(Phrase::fixed(text.to_ascii_lowercase())),
        (false, false) => Ok(Phrase::fixed(text)),
    };
    Ok(match how {
        "str" => Text::Equal(plain(words)?),
        "beg" => Text::Begin(plain(words)?),
        "end" => Text::End(plain(words)?),
        "sub" => Text::Inside(plain(words)?),
        "reg" if is_format => {
            let message =
                format!("'{word}': log-format string is not supported with a regex matching method");
            return Err(Fault::new(i, message));
        }
        "reg" => Text::Regex(Pattern::new(text, is_name).map_err(|e| Fault::new(i, e))?),
        _ => {
            let message =
                format!("'{word}' : '-m' only supports 'str', 'beg', 'end', 'sub' or 'reg' (got '{how}')");
            return Err(Fault::new(i, message));
        }
    })
}
