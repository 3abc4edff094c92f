//! The start line: method, target and its parts, status.

use crate::http::status::reason_phrase;
use crate::lang::Entry;
use crate::rules::fetch::{path_of, without_query};
use crate::rules::logformat::{LogFormat, LogUse};
use crate::rules::regex::Regex;
use crate::rules::reply::parse_status;
use crate::rules::words::Failed;

use super::entry::{Action, ActionKeyword, Input, Run, Sets, Step};
use super::rewrite::Value;

/// A part of the request line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Method,
    Path,
    PathAndQuery,
    Query,
    Uri,
}

fn part_of(name: &str) -> Part {
    match name {
        "set-method" => Part::Method,
        "set-path" | "replace-path" => Part::Path,
        "set-pathq" | "replace-pathq" => Part::PathAndQuery,
        "set-query" => Part::Query,
        _ => Part::Uri,
    }
}

fn store(run: &mut Run<'_>, part: Part, value: &[u8]) -> Step {
    let req = &run.txn.req;
    let target = req.target_bytes();
    let old = match part {
        Part::Method => req.method_bytes(),
        Part::Uri => target,
        Part::Path => path_of(target).map_or(&[][..], without_query),
        Part::PathAndQuery => path_of(target).unwrap_or_default(),
        Part::Query => req.query(),
    };
    let more = value.len() as i64 - old.len() as i64;
    if !run.grow(more) {
        return Step::NoRoom;
    }
    let req = &mut run.txn.req;
    match part {
        Part::Method => req.set_method(value),
        Part::Uri => req.set_uri(value),
        Part::Path => req.set_path(value),
        Part::PathAndQuery => req.set_path_and_query(value),
        Part::Query => req.set_query(value),
    }
    Step::Next
}

/// `set-path` and friends.
#[derive(Debug)]
struct SetPart {
    part: Part,
    value: Value,
}

impl Action for SetPart {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let value = run.render(&self.value);
        let step = store(run, self.part, &value);
        *run.scratch = value;
        step
    }
}

fn parse_set(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let value = input.words.want("exactly 1 argument <format>")?;
    let format = LogFormat::parse(value, LogUse::Http, input.ctx).unwrap_or_default();
    Ok(Box::new(SetPart { part: part_of(input.name), value: Value::new(format) }))
}

/// `replace-path`, `replace-pathq`, `replace-uri`.
#[derive(Debug)]
struct ReplacePart {
    part: Part,
    regex: Regex,
    format: Value,
}

impl Action for ReplacePart {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let target = run.txn.req.target_bytes();
        let old = match self.part {
            Part::Path => path_of(target).map(without_query),
            Part::PathAndQuery => path_of(target),
            _ => Some(target),
        };
        let Some(old) = old.filter(|o| !o.is_empty()) else { return Step::Next };
        let Some(groups) = self.regex.groups(old, 0) else { return Step::Next };
        let old = old.to_vec();
        let replacement = run.render(&self.format);
        let mut new = Vec::new();
        groups.expand(&old, &replacement, &mut new);
        *run.scratch = replacement;
        store(run, self.part, &new)
    }
}

fn parse_replace(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let pattern = input.words.want("exactly 2 arguments <match-regex> and <replace-format>")?;
    let value = input.words.want("exactly 2 arguments <match-regex> and <replace-format>")?;
    let regex = Regex::new(pattern.str(), false).map_err(|e| (pattern.span, e))?;
    let format = LogFormat::parse(value, LogUse::Http, input.ctx).unwrap_or_default();
    Ok(Box::new(ReplacePart { part: part_of(input.name), regex, format: Value::new(format) }))
}

/// `set-status`.
#[derive(Debug)]
struct SetStatus {
    status: u16,
    reason: Option<Box<[u8]>>,
}

impl Action for SetStatus {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let reason = self.reason.as_deref().unwrap_or_else(|| reason_phrase(self.status).as_bytes());
        let more = reason.len() as i64 - run.txn.res.bytes(run.txn.res.reason).len() as i64;
        if !run.grow(more) {
            return Step::NoRoom;
        }
        run.txn.res.set_status(self.status, reason);
        Step::Next
    }
}

fn parse_status_action(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let word = input.words.want("<status> as argument")?;
    let status = match word.str().parse::<u16>() {
        Ok(code @ (100..=199 | 600..=999)) => code,
        _ => parse_status(word)?,
    };
    let mut reason = None;
    if input.words.take("reason") {
        reason = Some(input.words.want("a reason string")?.bytes().into());
    }
    Ok(Box::new(SetStatus { status, reason }))
}

const REQ: Sets = Sets::HTTP_REQUEST;

pub static ACTIONS: &[ActionKeyword] = &[
    ActionKeyword::new(
        Entry::full("set-method", "<fmt>", "Replaces the method.", "set-method GET", "1.6"),
        REQ,
        parse_set,
    ),
    ActionKeyword::new(
        Entry::full(
            "set-path",
            "<fmt>",
            "Replaces the path; the query stays.",
            "set-path /%[hdr(host)]%[path]",
            "1.6",
        ),
        REQ,
        parse_set,
    ),
    ActionKeyword::new(
        Entry::full("set-pathq", "<fmt>", "Replaces path and query.", "set-pathq /x?a=1", "2.2"),
        REQ,
        parse_set,
    ),
    ActionKeyword::new(
        Entry::full(
            "set-query",
            "<fmt>",
            "Replaces the query (without its question mark).",
            "set-query a=1",
            "1.6",
        ),
        REQ,
        parse_set,
    ),
    ActionKeyword::new(
        Entry::full("set-uri", "<fmt>", "Replaces the whole target.", "set-uri /x", "1.6"),
        REQ,
        parse_set,
    ),
    ActionKeyword::new(
        Entry::full(
            "replace-path",
            "<regex> <fmt>",
            "Where the expression matches the path, it becomes <fmt>.",
            "replace-path /(.*) /foo/\\1",
            "2.2",
        ),
        REQ,
        parse_replace,
    ),
    ActionKeyword::new(
        Entry::full(
            "replace-pathq",
            "<regex> <fmt>",
            "Where the expression matches path and query, they become <fmt>.",
            "replace-pathq ([^?]*)(.*) \\1/foo\\2",
            "2.2",
        ),
        REQ,
        parse_replace,
    ),
    ActionKeyword::new(
        Entry::full(
            "replace-uri",
            "<regex> <fmt>",
            "Where the expression matches the target, it becomes <fmt>.",
            "replace-uri ^http://(.*) https://\\1",
            "1.6",
        ),
        REQ,
        parse_replace,
    ),
    ActionKeyword::new(
        Entry::full(
            "set-status",
            "<status> [reason <str>]",
            "Replaces the response's status.",
            "set-status 431 reason \"Too much\"",
            "1.6",
        ),
        Sets::HTTP_RESPONSE.union(Sets::HTTP_AFTER),
        parse_status_action,
    ),
];
