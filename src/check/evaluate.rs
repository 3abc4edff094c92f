//! Whether what was received meets an expectation. No I/O.

use memchr::memmem;

use super::answer::{self, Answer, Progress};
use super::rule::{Expect, Match, Text};
use super::status::{Finding, Status};

/// Where an expectation stands.
#[derive(Debug, PartialEq)]
pub enum Eval {
    /// More data may decide it.
    Wait,
    Met,
    Failed(Finding),
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
    pub comment: Option<&'a str>,
}

/// The HTTP status seen goes to `number` as soon as it is known.
pub fn evaluate(expect: &Expect, input: &Input<'_>, number: &mut Option<u16>) -> Eval {
    match expect.pattern {
        Match::Bytes(_) | Match::BytesRegex(_) | Match::HexRegex(_) => evaluate_bytes(expect, input),
        _ => evaluate_http(expect, input, number),
    }
}

fn evaluate_http(expect: &Expect, input: &Input<'_>, number: &mut Option<u16>) -> Eval {
    let answer = match answer::parse(input.bytes, input.is_head) {
        Progress::Head(answer) => answer,
        Progress::Partial if !input.is_last => return Eval::Wait,
        _ => return failure(expect, input, Status::L7Rsp, None, true),
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
        Match::Header { name, value, full } => has_header(&answer, name, value.as_ref(), *full),
        _ => return evaluate_body(expect, input, &answer),
    };
    if is_match != expect.inverse {
        return Eval::Met;
    }
    let reason = Some(answer.reason.as_str()).filter(|r| !r.is_empty());
    failure(expect, input, expect.error_status.unwrap_or(Status::L7Sts), reason, false)
}

fn evaluate_body(expect: &Expect, input: &Input<'_>, answer: &Answer) -> Eval {
    let is_last = input.is_last || answer.is_whole;
    let status = expect.error_status.unwrap_or(Status::L7Rsp);
    if answer.body.is_empty() {
        let message = "HTTP content check could not find a response body";
        return if is_last { failure(expect, input, status, Some(message), false) } else { Eval::Wait };
    }
    let (is_match, needed) = match &expect.pattern {
        Match::Body(text) => (memmem::find(&answer.body, text).is_some(), text.len()),
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
    failure(expect, input, status, Some(message), false)
}

fn evaluate_bytes(expect: &Expect, input: &Input<'_>) -> Eval {
    let (is_match, needed) = match &expect.pattern {
        Match::Bytes(text) => (memmem::find(input.bytes, text).is_some(), text.len()),
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
    failure(expect, input, status, None, input.bytes.is_empty())
}

/// More data is needed before `is_match` decides.
fn is_short(expect: &Expect, received: usize, needed: usize, is_match: bool) -> bool {
    let least = usize::try_from(expect.min_recv).unwrap_or(0);
    received < needed || received < least || (!is_match && expect.min_recv == -1)
}

fn has_header(answer: &Answer, name: &Text, value: Option<&Text>, full: bool) -> bool {
    answer.fields.iter().filter(|(n, _)| matches(name, n.as_bytes())).any(|(_, line)| match value {
        None => true,
        Some(value) if full => matches(value, line),
        Some(value) => line.split(|&b| b == b',').any(|part| matches(value, part.trim_ascii())),
    })
}

fn matches(text: &Text, bytes: &[u8]) -> bool {
    match text {
        Text::Equal(t) => bytes == t.as_bytes(),
        Text::Begin(t) => bytes.starts_with(t.as_bytes()),
        Text::End(t) => bytes.ends_with(t.as_bytes()),
        Text::Inside(t) => memmem::find(bytes, t.as_bytes()).is_some(),
        Text::Regex(pattern) => pattern.is_match(bytes),
    }
}

/// The finding of an expectation that was not met, with HAProxy's words.
fn failure(expect: &Expect, input: &Input<'_>, status: Status, desc: Option<&str>, is_empty: bool) -> Eval {
    let mut info = match (desc, &expect.on_error) {
        (_, Some(text)) => text.clone(),
        (Some(text), None) => text.to_owned(),
        (None, None) if is_empty => format!("TCPCHK got an empty response at step {}", input.step),
        (None, None) => mismatch(expect, input.step),
    };
    if let Some(comment) = input.comment {
        info.push_str(" comment: ");
        info.push_str(comment);
    }
    Eval::Failed(Finding::new(status, info))
}

fn mismatch(expect: &Expect, step: usize) -> String {
    let is_tcp = matches!(expect.pattern, Match::Bytes(_) | Match::BytesRegex(_) | Match::HexRegex(_));
    let verb = if is_tcp && expect.inverse { "matched unwanted content" } else { "did not match content" };
    let what = match &expect.pattern {
        Match::Status(_) => "(status codes)".to_owned(),
        Match::Bytes(text) | Match::Body(text) => match std::str::from_utf8(text) {
            Ok(text) => format!(" '{text}'"),
            Err(_) => " (binary)".to_owned(),
        },
        Match::StatusRegex(_) | Match::BodyRegex(_) | Match::BytesRegex(_) => " (regex)".to_owned(),
        Match::HexRegex(_) => " (binary regex)".to_owned(),
        Match::Header { .. } => " (header pattern)".to_owned(),
    };
    format!("TCPCHK {verb}{what} at step {step}")
}
