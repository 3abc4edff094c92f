//! Many header fields at once, as bytes (`req.hdrs_bin`).

use crate::http::Head;
use crate::http::token::token_end;
use crate::lang::Entry;
use crate::rules::binary;
use crate::rules::expr::Expr;
use crate::rules::pattern::Match;
use crate::rules::sample::{Sample, SampleType};
use crate::rules::words::Failed;

use super::entry::{Action, ActionKeyword, Input, Run, Sets, Step};
use super::header::name_matches;
use super::packets::expression;

/// The bytes that an expression gives now.
fn data(expr: &Expr, run: &Run<'_>) -> Option<Vec<u8>> {
    match expr.eval_as(run.ctx(), SampleType::Bin)? {
        Sample::Bin(data) => Some(data.into_owned()),
        _ => None,
    }
}

fn line(name: &[u8], value: &[u8]) -> i64 {
    (name.len() + value.len() + 4) as i64
}

/// `add-headers-bin` and `set-headers-bin`.
#[derive(Debug)]
struct Put {
    expr: Expr,
    /// Only names that begin so.
    prefix: Box<[u8]>,
    /// Fields of these names go first.
    replaces: bool,
}

impl Put {
    /// What would end the field, or the head, is sent to nobody.
    fn takes(&self, name: &[u8], value: &[u8]) -> bool {
        let begins = name.get(..self.prefix.len()).is_some_and(|n| n.eq_ignore_ascii_case(&self.prefix));
        let is_token = token_end(name, 0) == name.len();
        begins && is_token && !value.iter().any(|c| matches!(c, b'\r' | b'\n' | 0))
    }
}

impl Action for Put {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let Some(data) = data(&self.expr, run) else { return Step::Next };
        let Some(mut pairs) = binary::pairs(&data) else { return Step::Next };
        pairs.retain(|(name, value)| self.takes(name, value));
        let mut growth: i64 = pairs.iter().map(|(name, value)| line(name, value)).sum();
        if self.replaces {
            growth -= size_of(run.head(), |name| pairs.iter().any(|(new, _)| new.eq_ignore_ascii_case(name)));
        }
        if !run.grow(growth) {
            return Step::NoRoom;
        }
        if self.replaces {
            for (name, _) in &pairs {
                run.head().remove(name);
            }
        }
        for (name, value) in &pairs {
            run.head().add(&name.to_ascii_lowercase(), value);
        }
        Step::Next
    }
}

/// How many bytes the fields of these names take.
fn size_of(head: &Head, takes: impl Fn(&[u8]) -> bool) -> i64 {
    head.fields().filter(|(name, _)| takes(name)).map(|(name, value)| line(name, value)).sum()
}

fn parse_put(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let replaces = input.name == "set-headers-bin";
    let expr = expression(input)?;
    let mut prefix = Box::default();
    if input.words.take("prefix") {
        prefix = input.words.want("a prefix")?.bytes().into();
    }
    Ok(Box::new(Put { expr, prefix, replaces }))
}

/// `del-headers-bin`.
#[derive(Debug)]
struct Del {
    expr: Expr,
    method: Match,
}

/// Names up to an empty one or the end.
fn names(mut data: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while let Some((name, rest)) = binary::cut(data).filter(|(name, _)| !name.is_empty()) {
        all.push(name);
        data = rest;
    }
    all
}

impl Action for Del {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let Some(data) = data(&self.expr, run) else { return Step::Next };
        let patterns = names(&data);
        let takes = |name: &[u8]| patterns.iter().any(|pattern| name_matches(self.method, pattern, name));
        let won = size_of(run.head(), takes);
        let head = run.head();
        let mut at = 0;
        while let Some(field) = head.fields.get(at) {
            if takes(head.bytes(field.name)) {
                head.remove_at(at);
            } else {
                at += 1;
            }
        }
        run.grow(-won);
        Step::Next
    }
}

fn parse_del(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let expr = expression(input)?;
    let mut method = Match::Str;
    if input.words.take("-m") {
        let word = input.words.want("a matching method behind -m")?;
        method = match word.str() {
            "str" => Match::Str,
            "beg" => Match::Beg,
            "end" => Match::End,
            "sub" => Match::Sub,
            other => return Err((word.span, format!("unsupported matching method '{other}'"))),
        };
    }
    Ok(Box::new(Del { expr, method }))
}

const fn put(name: &'static str, doc: &'static str, example: &'static str) -> ActionKeyword {
    ActionKeyword::new(Entry::full(name, "<expr> [prefix <str>]", doc, example, "3.3"), Sets::HTTP, parse_put)
}

pub static ACTIONS: &[ActionKeyword] = &[
    put(
        "add-headers-bin",
        "Adds the fields that an expression gives as req.hdrs_bin does.",
        "add-headers-bin var(txn.fields)",
    ),
    put(
        "set-headers-bin",
        "The same in the place of those of their names.",
        "set-headers-bin var(txn.fields) prefix x-",
    ),
    ActionKeyword::new(
        Entry::full(
            "del-headers-bin",
            "<expr> [-m <method>]",
            "Removes the fields whose names an expression gives, each behind its length.",
            "del-headers-bin var(txn.names) -m beg",
            "3.3",
        ),
        Sets::HTTP,
        parse_del,
    ),
];
