//! Rule sets: actions with their conditions, in order.

use std::cell::Cell;
use std::sync::Arc;

use crate::lang::{Frame, Severity, Span, Word, suggest};

use super::acl::{Acls, Verdict};
use super::action::{self, Action, Input, Run, Step};
use super::build::{BuildCtx, Dir};
use super::candidates::{Candidates, Found};
use super::condition::Condition;
use super::expr::with_dir;
use super::kind::RuleSetKind;
use super::known;
use super::txn::{Ctx, Env, Outcome, Txn};
use super::witness::{self, Event};
use super::words::{Failed, Words};

/// One line.
#[derive(Debug)]
struct Rule {
    action: Box<dyn Action>,
    condition: Option<Condition>,
    /// Where it stands.
    span: Span,
}

/// The rules of one set (`http-request`, ...) in order; clones share them.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
    /// How many of them come from `defaults`.
    inherited: usize,
    /// What spares trying each of many rules that look at the same.
    candidates: Candidates,
    kind: RuleSetKind,
    maxrewrite: usize,
    bufsize: usize,
}

thread_local! {
    /// Memory for rendered texts, so that rules need not allocate.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl RuleSet {
    /// One line as one rule; `words` begin behind the keyword (`http-request`, `tcp-request content`...).
    pub fn push(&mut self, kind: RuleSetKind, words: &[Word], acls: &Acls, ctx: &mut BuildCtx<'_>) {
        let dir = if kind.is_response() { Dir::Response } else { Dir::Request };
        let result = with_dir(ctx, dir, |ctx| self.parse(kind, words, acls, ctx));
        if let Err((span, message)) = result {
            let name = words.first().map_or("", Word::str);
            let rule = format!("{} {name}", kind.keyword());
            ctx.error(
                span,
                format!("error detected while parsing an '{}' rule : {message}.", rule.trim_end()),
            );
            with_dir(ctx, dir, |ctx| rest_of(words, span, acls, ctx));
        }
    }

    /// A `redirect` line; `words` begin behind the keyword. It is an `http-request` rule.
    pub fn push_redirect(&mut self, words: &[Word], acls: &Acls, ctx: &mut BuildCtx<'_>) {
        let span = words.first().map_or(Span::default(), |w| w.span);
        let mut reader = Words::new(words, span);
        let result = action::legacy_redirect(&mut reader, ctx)
            .and_then(|action| self.finish(RuleSetKind::HttpRequest, action, reader, span, acls, ctx));
        if let Err((span, message)) = result {
            ctx.error(
                span,
                format!("error detected in {} while parsing redirect rule : {message}.", ctx.section),
            );
            rest_of(words, span, acls, ctx);
        }
    }

    fn parse(
        &mut self,
        kind: RuleSetKind,
        words: &[Word],
        acls: &Acls,
        ctx: &mut BuildCtx<'_>,
    ) -> Result<(), Failed> {
        let Some(first) = words.first() else {
            return Err((Span::default(), "missing action".into()));
        };
        let (name, inside) = match first.str().split_once('(') {
            Some((name, rest)) => (
                name,
                Some(rest.strip_suffix(')').ok_or_else(|| {
                    (first.span, format!("invalid variable or argument '{}': expects ')'", first.str()))
                })?),
            ),
            None => (first.str(), None),
        };
        let Some(keyword) = action::find(name, kind) else {
            return Err((first.span, unknown(name, kind)));
        };
        let covers = |r: &Arc<Rule>| r.condition.is_none() && r.action.is_last();
        if kind.warns_of_final() && self.rules[self.inherited..].last().is_some_and(covers) {
            let message = format!(
                "previous '{}' action is final and has no condition attached, further entries are NOOP.",
                kind.keyword()
            );
            ctx.diags.framed(Severity::Warning, Frame::Line, first.span, message);
        }
        let mut reader = Words::new(&words[1..], first.span);
        let mut input = Input { words: &mut reader, ctx, kind, name, inside };
        let action = keyword.read(&mut input)?;
        if !reader.at_end() {
            let word = reader.peek();
            let message = format!("expects 'if', 'unless' or end of line but found '{word}'");
            return reader.fail(suggest::with_hint(message, word, words_of(keyword.entry.args)));
        }
        self.finish(kind, action, reader, first.span, acls, ctx)
    }

    /// Reads the condition behind an action and keeps the rule.
    fn finish(
        &mut self,
        kind: RuleSetKind,
        action: Box<dyn Action>,
        reader: Words<'_>,
        span: Span,
        acls: &Acls,
        ctx: &mut BuildCtx<'_>,
    ) -> Result<(), Failed> {
        if !reader.at_end() {
            let word = reader.peek();
            return reader.fail(format!("expects 'if', 'unless' or end of line but found '{word}'"));
        }
        let mut condition = None;
        if !reader.rest().is_empty() {
            condition = Condition::parse(reader.rest(), acls, ctx);
            if condition.is_none() {
                // It was reported; a rule without its condition must not stand.
                return Ok(());
            }
        }
        self.kind = kind;
        self.maxrewrite = ctx.maxrewrite;
        self.bufsize = ctx.bufsize;
        self.rules.push(Arc::new(Rule { action, condition, span }));
        Ok(())
    }

    /// Appends the rules of a `defaults` section; they are shared, not copied.
    pub fn extend_from(&mut self, other: &RuleSet) {
        if !other.is_empty() {
            self.rules.extend(other.rules.iter().cloned());
            self.inherited = self.rules.len();
            self.kind = other.kind;
            self.maxrewrite = other.maxrewrite;
            self.bufsize = other.bufsize;
        }
    }

    /// All rules are there.
    pub fn seal(&mut self) {
        let conditions: Vec<_> = self.rules.iter().map(|rule| rule.condition.as_ref()).collect();
        self.candidates = Candidates::of(&conditions, false);
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Where a rule stands in the configuration.
    pub fn span(&self, index: usize) -> Option<Span> {
        self.rules.get(index).map(|r| r.span)
    }

    /// Runs from rule `*at` on; `*at` is where to resume after [`Outcome::Wait`]. Start with 0.
    pub fn run(&self, txn: &mut Txn, env: &dyn Env, at: &mut usize) -> Outcome {
        if self.rules.is_empty() {
            return Outcome::Continue;
        }
        let mut scratch = SCRATCH.take();
        let outcome = self.run_with(&mut scratch, txn, env, at);
        SCRATCH.set(scratch);
        outcome
    }

    fn run_with(&self, scratch: &mut Vec<u8>, txn: &mut Txn, env: &dyn Env, at: &mut usize) -> Outcome {
        let mut strict = true;
        // Whole requests and finished waits leave nothing to wait for.
        let is_final = !self.kind.waits() || txn.has_req || txn.inspect_over;
        let skips = is_final && !self.candidates.is_empty();
        let mut found = Found::default();
        loop {
            if skips {
                *at = self.candidates.next(*at, Ctx { txn, env }, &mut found);
            }
            let Some(rule) = self.rules.get(*at) else { break };
            if let Some(condition) = &rule.condition {
                let verdict = condition.verdict(Ctx { txn, env }, is_final);
                if verdict == Verdict::Miss {
                    txn.waiting_rule = Some(rule.span);
                    return Outcome::Wait;
                }
                txn.settle();
                if verdict == Verdict::Fail {
                    *at += 1;
                    continue;
                }
            }
            let mut run = Run {
                txn,
                env,
                kind: self.kind,
                maxrewrite: self.maxrewrite,
                bufsize: self.bufsize,
                strict: &mut strict,
                scratch,
            };
            let step = rule.action.run(&mut run);
            txn.settle();
            found.forget();
            witness::note(|| Event::Rule { set: self.kind.keyword(), at: rule.span, outcome: step.word() });
            match step {
                Step::Next => {}
                Step::Done(Outcome::Wait) => {
                    txn.waiting_rule = Some(rule.span);
                    return Outcome::Wait;
                }
                Step::Done(outcome) => {
                    txn.last_rule = Some(rule.span);
                    txn.waiting_rule = None;
                    return outcome;
                }
                Step::NoRoom => {
                    txn.failed_rewrites += 1;
                    if strict {
                        return Outcome::Error;
                    }
                }
            }
            *at += 1;
        }
        txn.waiting_rule = None;
        Outcome::Continue
    }
}

/// The words that stand for themselves in a notation of arguments.
fn words_of(notation: &str) -> impl Iterator<Item = &str> {
    let words = notation.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '<' | '>')));
    words.filter(|word| word.len() > 1 && !word.contains(['<', '>']))
}

/// Tells what is wrong with the condition of a rule whose action is wrong at `wrong`, before it.
fn rest_of(words: &[Word], wrong: Span, acls: &Acls, ctx: &mut BuildCtx<'_>) {
    let begins = |word: &Word| matches!(word.str(), "if" | "unless") && word.span.col > wrong.col;
    if let Some(at) = words.iter().position(begins) {
        Condition::parse(&words[at..], acls, ctx);
    }
}

/// What to say of an action that this set has not.
fn unknown(name: &str, kind: RuleSetKind) -> String {
    let tables = action::ACTIONS.iter().flat_map(|t| t.iter());
    let names = tables.filter(|a| a.sets.contains(kind.bit())).map(|a| a.entry.name);
    known::complaint("action", name, kind.words(), names)
}
