//! Whole lines of a head, the first one included: `replace-line` and `del-line`, which HAProxy's `reqrep` and `reqdel`
//! become where they name no field.

use crate::lang::Entry;
use crate::rules::fetch::version;
use crate::rules::regex::Regex;
use crate::rules::words::Failed;

use super::entry::{Action, ActionKeyword, Input, Run, Sets, Step};

/// `replace-line`.
#[derive(Debug)]
struct ReplaceLine {
    regex: Regex,
    replacement: Box<[u8]>,
}

impl Action for ReplaceLine {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let first = first_line(run);
        if let Some(new) = self.replaced(&first) {
            return if run.kind.is_response() {
                set_status_line(run, &first, &new)
            } else {
                set_request_line(run, &first, &new)
            };
        }
        let mut at = 0;
        // Fields that get another name go to the end, and are not looked at again.
        let mut left = run.head().fields.len();
        while left > 0 {
            left -= 1;
            let Some(old) = field_line(run, at) else { break };
            let Some(new) = self.replaced(&old) else {
                at += 1;
                continue;
            };
            if !run.grow(new.len() as i64 - old.len() as i64) {
                return Step::NoRoom;
            }
            at += usize::from(set_field_line(run, at, &new));
        }
        Step::Next
    }
}

impl ReplaceLine {
    /// What stands for a line that matches.
    fn replaced(&self, line: &[u8]) -> Option<Vec<u8>> {
        let groups = self.regex.groups(line, 0)?;
        let mut new = Vec::new();
        groups.expand(line, &self.replacement, &mut new);
        Some(new)
    }
}

/// `METHOD target HTTP/1.1` or `HTTP/1.1 200 OK`.
fn first_line(run: &mut Run<'_>) -> Vec<u8> {
    let is_response = run.kind.is_response();
    let head = run.head();
    if is_response {
        let status = head.status.to_string();
        return [b"HTTP/", version(head.version), b" ", status.as_bytes(), b" ", head.bytes(head.reason)]
            .concat();
    }
    [head.method_bytes(), b" ", head.target_bytes(), b" HTTP/", version(head.version)].concat()
}

/// `Name: value` of the field at this place.
fn field_line(run: &mut Run<'_>, at: usize) -> Option<Vec<u8>> {
    let head = run.head();
    let field = head.fields.get(at)?;
    Some([head.bytes(field.name), b": ", head.bytes(field.value)].concat())
}

/// Method and target; the version is the connection's, and stays. A line without a target changes nothing.
fn set_request_line(run: &mut Run<'_>, old: &[u8], new: &[u8]) -> Step {
    let mut parts = new.split(|b| *b == b' ').filter(|part| !part.is_empty());
    let (Some(method), Some(target)) = (parts.next(), parts.next()) else { return Step::Next };
    if !run.grow(new.len() as i64 - old.len() as i64) {
        return Step::NoRoom;
    }
    let head = run.head();
    if method != head.method_bytes() {
        head.set_method(method);
    }
    if target != head.target_bytes() {
        head.set_target(target);
    }
    Step::Next
}

/// Status and reason.
fn set_status_line(run: &mut Run<'_>, old: &[u8], new: &[u8]) -> Step {
    let mut parts = new.splitn(3, |b| *b == b' ');
    let status = parts.nth(1).and_then(|text| std::str::from_utf8(text).ok()?.parse::<u16>().ok());
    let Some(status) = status.filter(|status| (200..=599).contains(status)) else { return Step::Next };
    if !run.grow(new.len() as i64 - old.len() as i64) {
        return Step::NoRoom;
    }
    run.head().set_status(status, parts.next().unwrap_or_default());
    Step::Next
}

/// Gives the field at this place another line; false when it is there no longer.
fn set_field_line(run: &mut Run<'_>, at: usize, new: &[u8]) -> bool {
    let head = run.head();
    let colon = new.iter().position(|b| *b == b':');
    let Some(colon) = colon.filter(|at| *at > 0 && new[..*at].iter().all(|b| b.is_ascii_graphic())) else {
        // No field any more.
        head.remove_at(at);
        return false;
    };
    let (name, value) = (&new[..colon], new[colon + 1..].trim_ascii());
    if head.fields.get(at).is_some_and(|field| head.bytes(field.name).eq_ignore_ascii_case(name)) {
        head.set_value(at, value);
        return true;
    }
    head.remove_at(at);
    head.add(name, value);
    false
}

fn parse_replace(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let pattern = input.words.want("exactly 2 arguments <regex> and <line>")?;
    let line = input.words.want("exactly 2 arguments <regex> and <line>")?;
    let regex = Regex::new(pattern.str(), false).map_err(|e| (pattern.span, e))?;
    Ok(Box::new(ReplaceLine { regex, replacement: line.bytes().into() }))
}

/// `del-line`.
#[derive(Debug)]
struct DelLine {
    regex: Regex,
}

impl Action for DelLine {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let mut at = 0;
        while let Some(line) = field_line(run, at) {
            if self.regex.is_match(&line) {
                run.grow(-(line.len() as i64 + 2));
                run.head().remove_at(at);
            } else {
                at += 1;
            }
        }
        Step::Next
    }
}

fn parse_del(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let pattern = input.words.want("exactly 1 argument <regex>")?;
    let regex = Regex::new(pattern.str(), false).map_err(|e| (pattern.span, e))?;
    Ok(Box::new(DelLine { regex }))
}

pub static ACTIONS: &[ActionKeyword] = &[
    ActionKeyword::new(
        Entry::full(
            "replace-line",
            "<regex> <line>",
            "Where the expression matches the first line, as it is sent, that becomes <line>; else every field, as 'Name: value', \
             that it matches does. \\1 is a group. The version of HTTP stays.",
            "replace-line '^X-(Old-.*)' 'X-New-\\1'",
            "isobar",
        ),
        Sets::HTTP_REQ_RES,
        parse_replace,
    ),
    ActionKeyword::new(
        Entry::full(
            "del-line",
            "<regex>",
            "Removes the fields that the expression matches, as 'Name: value'.",
            "del-line '^Set-Cookie: old='",
            "isobar",
        ),
        Sets::HTTP_REQ_RES,
        parse_del,
    ),
];
