//! Variables: `set-var`, `set-var-fmt`, `unset-var`.

use crate::lang::{Entry, Word};
use crate::rules::expr::Expr;
use crate::rules::fetch::{self, Cursor};
use crate::rules::logformat::{LogFormat, LogUse};
use crate::rules::sample::Sample;
use crate::rules::store::{Only, is_allowed};
use crate::rules::txn::Outcome;
use crate::rules::vars::{VarId, VarScope};
use crate::rules::words::Failed;

use super::entry::{Action, ActionKeyword, Input, Run, Sets, Step};
use super::rewrite::Value;

#[derive(Debug)]
struct SetVar {
    id: VarId,
    only: Box<[Only]>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Expr(Expr),
    Format(Value),
}

impl Action for SetVar {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let value = match &self.source {
            Source::Expr(expr) => {
                let mut cursor = Cursor::default();
                let value = expr.eval_at(run.ctx(), &mut cursor).map(Sample::into_owned);
                let is_final = !run.kind.waits() || run.txn.has_req || run.txn.inspect_over;
                if value.is_none() && cursor.may_change && !is_final {
                    return Step::Done(Outcome::Wait);
                }
                value
            }
            Source::Format(format) => {
                let out = run.render(format);
                let value = Sample::Str(out.clone().into());
                *run.scratch = out;
                Some(value)
            }
        };
        // What cannot be evaluated leaves the variable as it was.
        if let Some(value) = value
            && self.is_allowed(&value, run)
        {
            run.txn.set_var(self.id, Some(value));
        }
        Step::Next
    }
}

impl SetVar {
    fn is_allowed(&self, value: &Sample<'_>, run: &Run<'_>) -> bool {
        if self.only.is_empty() {
            return true;
        }
        let old = fetch::variable_value(run.ctx(), self.id);
        is_allowed(&self.only, self.id.scope == VarScope::Proc, old.as_ref(), value)
    }
}

/// `(name[,cond]*)`.
fn parse_name(input: &mut Input<'_, '_, '_>) -> Result<(VarId, Box<[Only]>), Failed> {
    let Some(inside) = input.inside else {
        return input.words.fail(format!(
            "invalid or incomplete action '{}': expects a variable in parentheses",
            input.name
        ));
    };
    let mut parts = inside.split(',').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let mut only = Vec::new();
    for condition in parts {
        match Only::parse(condition) {
            Some(found) => only.push(found),
            None => {
                let message = format!("unsupported condition '{condition}' for '{}'", input.name);
                return Err((input.words.start(), message));
            }
        }
    }
    match input.ctx.names.var(name) {
        Ok(id) => Ok((id, only.into())),
        Err(e) => Err((input.words.start(), e)),
    }
}

fn parse_set(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let (id, only) = parse_name(input)?;
    let (words, at) = input.words.slice();
    let end =
        words[at..].iter().position(|w| matches!(w.str(), "if" | "unless")).map_or(words.len(), |n| at + n);
    if at == end {
        return input.words.fail("expects an expression");
    }
    let Some((expr, used)) = Expr::parse(&words[..end], at, input.ctx) else {
        // The error was reported; the rule is not used.
        input.words.skip(end - at);
        return Ok(Box::new(Nothing));
    };
    input.words.skip(used);
    Ok(Box::new(SetVar { id, only, source: Source::Expr(expr) }))
}

fn parse_format(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let (id, only) = parse_name(input)?;
    let word: &Word = input.words.want("a format")?;
    let format = LogFormat::parse(word, LogUse::Text, input.ctx).unwrap_or_default();
    Ok(Box::new(SetVar { id, only, source: Source::Format(Value::new(format)) }))
}

#[derive(Debug)]
struct UnsetVar(VarId);

impl Action for UnsetVar {
    fn run(&self, run: &mut Run<'_>) -> Step {
        run.txn.set_var(self.0, None);
        Step::Next
    }
}

fn parse_unset(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let (id, _) = parse_name(input)?;
    Ok(Box::new(UnsetVar(id)))
}

/// Stands for an action whose error was reported.
#[derive(Debug)]
struct Nothing;

impl Action for Nothing {
    fn run(&self, _: &mut Run<'_>) -> Step {
        Step::Next
    }
}

const ALL: Sets = Sets::all();

pub static ACTIONS: &[ActionKeyword] = &[
    ActionKeyword::new(
        Entry::full(
            "set-var",
            "(<name>[,<cond>]*) <expr>",
            "Stores the value of an expression in a variable.",
            "set-var(txn.host) req.hdr(host),lower",
            "1.6",
        ),
        ALL,
        parse_set,
    ),
    ActionKeyword::new(
        Entry::full(
            "set-var-fmt",
            "(<name>[,<cond>]*) <fmt>",
            "Stores a log-format in a variable.",
            "set-var-fmt(txn.from) %[src]:%[src_port]",
            "2.5",
        ),
        ALL,
        parse_format,
    ),
    ActionKeyword::new(
        Entry::full("unset-var", "(<name>)", "Removes a variable.", "unset-var(txn.host)", "1.8"),
        ALL,
        parse_unset,
    ),
];
