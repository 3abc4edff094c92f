//! Whether what was received meets an expectation. No I/O.

use memchr::memmem;

use crate::rules::Ctx;

use super::answer::{self, Answer, Progress};
use super::parse_step::hex;
use super::rule::{Expect, Match, Text, Told};
use super::status::Status;

/// Where an expectation stands.
#[derive(Debug, PartialEq)]
pub enum Eval {
    /// More data may decide it.
    Wait,
    Met,
    Failed(Status, Details),
}

/// Words about an expectation that was not met.
#[derive(Debug, PartialEq)]
pub enum Details {
    /// Whatever the step says.
    Told(String),
    /// Where the step has no `on-error`.
    Unless(String),
}

/// What an expectation is held against.
pub struct Input<'a> {
    pub bytes: &'a [u8],
    /// No more can come.
    pub is_last: bool,
    /// `HEAD` was asked: no body comes.
    pub is_head: bool,
    /// `http-check disable-on-404` for a server that is not down.
    pub spare_404: bool,
    /// Number of the step for messages, from 1.
    pub step: usize,
    /// Steps of `tcp-check`: what did not match is told.
    pub is_script: bool,
    /// For what the step makes anew for each check.
    pub now: Option<Ctx<'a>>,
}

/// The HTTP status seen goes to `number` as soon as it is known.
pub fn evaluate(expect: &Expect, input: &Input<'_>, number: &mut Option<u16>) -> Eval {
    match &expect.pattern {
        Match::Own(reader) => match (reader.read)(input.bytes, !input.is_last) {
            Told::Wait => Eval::Wait,
            Told::Met => Eval::Met,
            Told::Failed(status, code, text) => {
                *number = code.or(*number);
                Eval::Failed(status, Details::Told(text))
            }
        },
        Match::Bytes(_) | Match::Hex(_) | Match::BytesRegex(_) | Match::HexRegex(_) => {
            evaluate_bytes(expect, input)
        }
        _ => evaluate_http(expect, input, number),
    }
}

fn evaluate_http(expect: &Expect, input: &Input<'_>, number: &mut Option<u16>) -> Eval {
    let answer = match answer::parse(input.bytes, input.is_head) {
        Progress::Head(answer) => answer,
        Progress::Partial if !input.is_last => return Eval::Wait,
        _ => return Eval::Failed(Status::L7Rsp, Details::Told(String::new())),
    };
    *number = Some(answer.status);
    if answer.status == 404 && input.spare_404 {
        return Eval::Met;
    }
    let is_match = match &expect.pattern {
        Match::Status(ranges) => {
            let status = u32::from(answer.status);
            ranges.iter().any(|(low, high)| (*low..=*high).contains(&status))
        }
        Match::StatusRegex(pattern) => pattern.is_match(answer.status.to_string().as_bytes()),
        Match::Header { name, value, full } => has_header(&answer, (name, value.as_ref(), *full), input.now),
        _ => return evaluate_body(expect, input, &answer),
    };
    if is_match != expect.inverse {
        return Eval::Met;
    }
    Eval::Failed(expect.error_status.unwrap_or(Status::L7Sts), Details::Unless(answer.reason.to_owned()))
}

fn evaluate_body(expect: &Expect, input: &Input<'_>, answer: &Answer<'_>) -> Eval {
    let is_last = input.is_last || answer.is_whole;
    let status = expect.error_status.unwrap_or(Status::L7Rsp);
    if answer.body.is_empty() {
        let message = "HTTP content check could not find a response body";
        return if is_last { unless(status, message) } else { Eval::Wait };
    }
    let (is_match, needed) = match &expect.pattern {
        Match::Body(text) => {
            let text = text.bytes(input.now);
            (memmem::find(&answer.body, &text).is_some(), text.len())
        }
        Match::BodyRegex(pattern) => (pattern.is_match(&answer.body), 0),
        _ => (false, 0),
    };
    if !is_last && is_short(expect, answer.body.len(), needed, is_match) {
        return Eval::Wait;
    }
    if is_match != expect.inverse {
        return Eval::Met;
    }
    let message = if expect.inverse {
        "HTTP check matched unwanted content"
    } else {
        "HTTP content check did not match"
    };
    unless(status, message)
}

fn unless(status: Status, text: &str) -> Eval {
    Eval::Failed(status, Details::Unless(text.to_owned()))
}

fn evaluate_bytes(expect: &Expect, input: &Input<'_>) -> Eval {
    let (is_match, needed) = match &expect.pattern {
        Match::Bytes(text) => {
            let text = text.bytes(input.now);
            (memmem::find(input.bytes, &text).is_some(), text.len())
        }
        Match::Hex(digits) => {
            // Digits that are none match nothing.
            let wanted = hex(0, &digits.text(input.now)).ok().filter(|wanted| !wanted.is_empty());
            let found = |wanted: &Vec<u8>| memmem::find(input.bytes, wanted).is_some();
            (wanted.as_ref().is_some_and(found), wanted.map_or(0, |wanted| wanted.len()))
        }
        Match::BytesRegex(pattern) => (pattern.is_match(input.bytes), 0),
        Match::HexRegex(pattern) => {
            let hex: String = input.bytes.iter().map(|b| format!("{b:02X}")).collect();
            (pattern.is_match(hex.as_bytes()), 0)
        }
        _ => (false, 0),
    };
    if !input.is_last && is_short(expect, input.bytes.len(), needed, is_match) {
        return Eval::Wait;
    }
    if is_match != expect.inverse {
        return Eval::Met;
    }
    let status = expect.error_status.unwrap_or(Status::L7Rsp);
    if input.bytes.is_empty() {
        let text = format!("TCPCHK got an empty response at step {}", input.step);
        return Eval::Failed(status, Details::Told(text));
    }
    let text = if input.is_script { mismatch(expect, input) } else { String::new() };
    Eval::Failed(status, Details::Unless(text))
}

/// More data is needed before `is_match` decides.
fn is_short(expect: &Expect, received: usize, needed: usize, is_match: bool) -> bool {
    let least = usize::try_from(expect.min_recv).unwrap_or(0);
    received < needed || received < least || (!is_match && expect.min_recv == -1)
}

/// Name, value if one is asked for, and whether commas do not split it.
type Field<'a> = (&'a Text, Option<&'a Text>, bool);

fn has_header(answer: &Answer<'_>, (name, value, full): Field<'_>, now: Option<Ctx<'_>>) -> bool {
    let named = answer.fields.iter().filter(|(n, _)| is_named(name, n.to_ascii_lowercase().as_bytes(), now));
    let mut lines = named.map(|(_, line)| *line);
    lines.any(|line| match value {
        None => true,
        Some(value) if full => matches(value, line, now),
        Some(value) => line.split(|&b| b == b',').any(|part| matches(value, part.trim_ascii(), now)),
    })
}

/// Names are in lower case, and those that formats make compare as such.
fn is_named(text: &Text, name: &[u8], now: Option<Ctx<'_>>) -> bool {
    match text {
        Text::Equal(wanted) if wanted.is_made() => wanted.bytes(now).eq_ignore_ascii_case(name),
        _ => matches(text, name, now),
    }
}

fn matches(text: &Text, bytes: &[u8], now: Option<Ctx<'_>>) -> bool {
    match text {
        Text::Equal(t) => *bytes == *t.bytes(now),
        Text::Begin(t) => bytes.starts_with(&t.bytes(now)),
        Text::End(t) => bytes.ends_with(&t.bytes(now)),
        Text::Inside(t) => memmem::find(bytes, &t.bytes(now)).is_some(),
        Text::Regex(pattern) => pattern.is_match(bytes),
    }
}

/// What a step of `tcp-check` looked for, in HAProxy's words.
fn mismatch(expect: &Expect, input: &Input<'_>) -> String {
    let verb = if expect.inverse { "matched unwanted content" } else { "did not match content" };
    let what = match &expect.pattern {
        Match::Bytes(text) => match std::str::from_utf8(&text.bytes(input.now)) {
            Ok(text) => format!(" '{text}'"),
            Err(_) => " (binary)".to_owned(),
        },
        Match::BytesRegex(_) => " (regex)".to_owned(),
        Match::HexRegex(_) => " (binary regex)".to_owned(),
        _ => " (binary)".to_owned(),
    };
    format!("TCPCHK {verb}{what} at step {}", input.step)
}
