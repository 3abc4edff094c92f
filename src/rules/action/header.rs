//! Header fields: `set-header`, `add-header`, `del-header`, `replace-header`, `replace-value`.

use crate::http::Prepared;
use crate::http::list::element_end;
use crate::http::token::{same, trim};
use crate::lang::Entry;
use crate::rules::logformat::{LogFormat, LogUse};
use crate::rules::pattern::Match;
use crate::rules::regex::Regex;
use crate::rules::words::Failed;

use super::entry::{Action, ActionKeyword, Input, Run, Sets, Step};
use super::rewrite::Value;

/// `set-header` and `add-header`.
#[derive(Debug)]
struct SetHeader {
    name: Box<[u8]>,
    value: Value,
    /// The name as it is written, with the value where it is the same for every message.
    prepared: Prepared,
    /// Fields of this name go first.
    replaces: bool,
}

impl Action for SetHeader {
    fn run(&self, run: &mut Run<'_>) -> Step {
        if let Value::Constant(value) = &self.value {
            return self.apply(value, run);
        }
        let value = run.render(&self.value);
        let step = self.apply(&value, run);
        *run.scratch = value;
        step
    }
}

impl SetHeader {
    fn apply(&self, value: &[u8], run: &mut Run<'_>) -> Step {
        let line = |value: &[u8]| (self.name.len() + value.len() + 4) as i64;
        let old: i64 = if self.replaces { run.head().values(&self.name).map(line).sum() } else { 0 };
        if !run.grow(line(value) - old) {
            return Step::NoRoom;
        }
        if old > 0 {
            run.head().remove(&self.name);
        }
        match &self.value {
            Value::Constant(_) => run.head().add_line(&self.prepared),
            Value::Format(_) => run.head().add_named(&self.prepared, value),
        }
        Step::Next
    }
}

fn parse_set(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let name = input.words.want("exactly 2 arguments")?;
    let value = input.words.want("exactly 2 arguments")?;
    let format = LogFormat::parse(value, LogUse::Http, input.ctx).unwrap_or_default();
    let (name, value) = (header_name(name.bytes()), Value::new(format));
    let prepared = match &value {
        Value::Constant(value) => Prepared::line(&name, value),
        Value::Format(_) => Prepared::name(&name),
    };
    Ok(Box::new(SetHeader { name, value, prepared, replaces: input.name == "set-header" }))
}

/// HAProxy writes the names of fields it adds in lower case.
fn header_name(name: &[u8]) -> Box<[u8]> {
    name.to_ascii_lowercase().into()
}

/// `del-header`.
#[derive(Debug)]
struct DelHeader {
    name: Box<[u8]>,
    method: Match,
    regex: Option<Regex>,
}

/// Whether a field's name is the pattern, or begins with it, ends with it, has it inside.
pub fn name_matches(method: Match, pattern: &[u8], name: &[u8]) -> bool {
    let len = pattern.len();
    match method {
        Match::Beg => name.get(..len).is_some_and(|n| n.eq_ignore_ascii_case(pattern)),
        Match::End => {
            let start = name.len().checked_sub(len);
            start.is_some_and(|at| name[at..].eq_ignore_ascii_case(pattern))
        }
        Match::Sub => len == 0 || name.windows(len).any(|w| w.eq_ignore_ascii_case(pattern)),
        _ => same(name, pattern),
    }
}

impl DelHeader {
    fn matches(&self, name: &[u8]) -> bool {
        match &self.regex {
            Some(regex) => regex.is_match(&name.to_ascii_lowercase()),
            None => name_matches(self.method, &self.name, name),
        }
    }
}

impl Action for DelHeader {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let mut won = 0;
        let head = run.head();
        let mut at = 0;
        while let Some(field) = head.fields.get(at) {
            if self.matches(head.bytes(field.name)) {
                won += field.name.len() + field.value.len() + 4;
                head.remove_at(at);
            } else {
                at += 1;
            }
        }
        run.grow(-(won as i64));
        Step::Next
    }
}

fn parse_del(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let name = input.words.want("at least 1 argument")?;
    let mut method = Match::Str;
    if input.words.take("-m") {
        let word = input.words.want("a matching method behind -m")?;
        method = match word.str() {
            "str" => Match::Str,
            "beg" => Match::Beg,
            "end" => Match::End,
            "sub" => Match::Sub,
            "reg" => Match::Reg,
            other => {
                let message = format!(
                    "-m matching method '{other}' not supported, expects 'str', 'beg', 'end', 'sub' or 'reg'"
                );
                return Err((word.span, message));
            }
        };
    }
    let regex = match method {
        Match::Reg => Some(Regex::new(name.str(), true).map_err(|e| (name.span, e))?),
        _ => None,
    };
    Ok(Box::new(DelHeader { name: header_name(name.bytes()), method, regex }))
}

/// `replace-header` and `replace-value`.
#[derive(Debug)]
struct ReplaceHeader {
    name: Box<[u8]>,
    regex: Regex,
    format: Value,
    /// Each element of a list rather than the whole value.
    elements: bool,
}

impl Action for ReplaceHeader {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let replacement = run.render(&self.format);
        let step = self.replace(&replacement, run);
        *run.scratch = replacement;
        step
    }
}

impl ReplaceHeader {
    fn replace(&self, replacement: &[u8], run: &mut Run<'_>) -> Step {
        for at in 0..run.head().fields.len() {
            let head = run.head();
            let field = head.fields[at];
            if !head.bytes(field.name).eq_ignore_ascii_case(&self.name) {
                continue;
            }
            let old = head.bytes(field.value);
            let mut new = Vec::new();
            let changed = if self.elements {
                self.replace_elements(old, replacement, &mut new)
            } else {
                self.replace_whole(old, replacement, &mut new)
            };
            if !changed {
                continue;
            }
            let more = new.len() as i64 - old.len() as i64;
            if !run.grow(more) {
                return Step::NoRoom;
            }
            run.head().set_value(at, &new);
        }
        Step::Next
    }

    fn replace_whole(&self, old: &[u8], replacement: &[u8], new: &mut Vec<u8>) -> bool {
        let Some(groups) = self.regex.groups(old, 0) else { return false };
        groups.expand(old, replacement, new);
        true
    }

    fn replace_elements(&self, old: &[u8], replacement: &[u8], new: &mut Vec<u8>) -> bool {
        let mut changed = false;
        let mut rest = old;
        loop {
            let end = element_end(rest);
            // The blanks around an element go with it.
            if self.replace_whole(trim(&rest[..end]), replacement, new) {
                changed = true;
            } else {
                new.extend_from_slice(&rest[..end]);
            }
            if end >= rest.len() {
                return changed;
            }
            new.push(b',');
            rest = &rest[end + 1..];
        }
    }
}

fn parse_replace(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let name = input.words.want("exactly 3 arguments")?;
    let pattern = input.words.want("exactly 3 arguments")?;
    let value = input.words.want("exactly 3 arguments")?;
    let regex = Regex::new(pattern.str(), false).map_err(|e| (pattern.span, e))?;
    let format = LogFormat::parse(value, LogUse::Http, input.ctx).unwrap_or_default();
    Ok(Box::new(ReplaceHeader {
        name: header_name(name.bytes()),
        regex,
        format: Value::new(format),
        elements: input.name == "replace-value",
    }))
}

pub static ACTIONS: &[ActionKeyword] = &[
    ActionKeyword::new(
        Entry::full(
            "set-header",
            "<name> <fmt>",
            "Sets a header field: others of this name are removed.",
            "set-header X-Src %[src]",
            "1.5",
        ),
        Sets::HTTP,
        parse_set,
    ),
    ActionKeyword::new(
        Entry::full(
            "add-header",
            "<name> <fmt>",
            "Adds a header field behind the others.",
            "add-header Via proxy",
            "1.5",
        ),
        Sets::HTTP,
        parse_set,
    ),
    ActionKeyword::new(
        Entry::full(
            "del-header",
            "<name> [-m <meth>]",
            "Removes the fields of this name, or those that match it: str, beg, end, sub, reg.",
            "del-header x-internal- -m beg",
            "1.5",
        ),
        Sets::HTTP,
        parse_del,
    ),
    ActionKeyword::new(
        Entry::full(
            "replace-header",
            "<name> <regex> <fmt>",
            "Where the expression matches a field's whole value, the value becomes <fmt>; \\1 is a group.",
            "replace-header Cookie foo=([^;]*) foo=\\1",
            "1.5",
        ),
        Sets::HTTP,
        parse_replace,
    ),
    ActionKeyword::new(
        Entry::full(
            "replace-value",
            "<name> <regex> <fmt>",
            "Like replace-header for each element of a list separated by commas.",
            "replace-value X-Forwarded-For ^192.168.(.*) 172.16.\\1",
            "1.5",
        ),
        Sets::HTTP,
        parse_replace,
    ),
];
