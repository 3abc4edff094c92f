//! Conditions: `if` and `unless` with ACLs joined by AND (nothing between them), `or`, `||` and `!`.

use crate::lang::{Span, Word, suggest};

use super::acl::{self, Acls, Term, Test, Verdict};
use super::build::BuildCtx;
use super::txn::Ctx;
use super::witness::{self, Event};

/// `if ...` or `unless ...`.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    /// Where it begins.
    at: Span,
    unless: bool,
    /// One of these lists must hold entirely.
    any: Box<[Box<[Term]>]>,
}

impl Condition {
    /// Reads a condition; `words[0]` is `if` or `unless`, and all words belong to it.
    pub fn parse(words: &[Word], acls: &Acls, ctx: &mut BuildCtx<'_>) -> Option<Condition> {
        let first = words.first()?;
        let unless = match first.str() {
            "if" => false,
            "unless" => true,
            other => {
                ctx.error(first.span, format!("expects either 'if' or 'unless' but found '{other}'"));
                return None;
            }
        };
        let any = parse_terms(&words[1..], acls, ctx)?;
        if any.is_empty() {
            ctx.error(first.span, format!("'{}' requires a condition.", first.str()));
            return None;
        }
        Some(Condition { at: first.span, unless, any: any.into() })
    }

    /// Whether it holds now.
    pub fn eval(&self, ctx: Ctx<'_>) -> bool {
        self.verdict(ctx, true) == Verdict::Pass
    }

    /// As [`Condition::eval`], but unless `is_final` it tells when the answer depends on what was not received yet.
    pub fn verdict(&self, ctx: Ctx<'_>, is_final: bool) -> Verdict {
        let mut verdict = Verdict::Fail;
        for all in &self.any {
            verdict = verdict.max(holds(all, ctx, is_final));
            if verdict == Verdict::Pass {
                break;
            }
        }
        let verdict = if self.unless { verdict.negated() } else { verdict };
        witness::note(|| Event::Condition { at: self.at, holds: verdict == Verdict::Pass });
        verdict
    }

    /// Every line of an ACL that it may ask.
    pub(super) fn tests(&self) -> impl Iterator<Item = &Test> {
        let terms = self.any.iter().flat_map(|all| all.iter());
        terms.flat_map(|term| term.acl.tests()).map(|test| &**test)
    }

    /// Tests of this kind of which one must pass if the condition is to hold; `None`: it may hold without.
    pub(super) fn needed(&self, is_of_kind: impl Fn(&Test) -> bool) -> Option<Vec<&Test>> {
        if self.unless {
            return None;
        }
        let is_one = |term: &&Term| !term.negated && term.acl.tests().iter().all(|test| is_of_kind(test));
        let mut tests = Vec::new();
        for all in &self.any {
            tests.extend(all.iter().find(is_one)?.acl.tests().iter().map(|test| &**test));
        }
        Some(tests)
    }
}

fn holds(all: &[Term], ctx: Ctx<'_>, is_final: bool) -> Verdict {
    for term in all {
        let verdict = term.eval(ctx, is_final);
        if verdict != Verdict::Pass {
            return verdict;
        }
    }
    Verdict::Pass
}

fn parse_terms(words: &[Word], acls: &Acls, ctx: &mut BuildCtx<'_>) -> Option<Vec<Box<[Term]>>> {
    let mut any = Vec::new();
    let mut all = Vec::new();
    let (mut negated, mut is_wrong) = (false, false);
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        let name = word.str().trim_start_matches('!');
        negated ^= (word.str().len() - name.len()) % 2 == 1;
        if name.is_empty() {
            continue;
        }
        if name.eq_ignore_ascii_case("or") || name == "||" {
            any.extend((!all.is_empty()).then(|| std::mem::take(&mut all).into_boxed_slice()));
            negated = false;
            continue;
        }
        let acl = if name == "{" {
            let Some(len) = words[at..].iter().position(|w| w.str() == "}") else {
                ctx.error(word.span, "missing closing '}' in condition");
                return None;
            };
            let inside = &words[at..at + len];
            at += len + 1;
            acl::anonymous(inside, ctx)
        } else if let Some(found) = acls.find(name) {
            Some(found.clone())
        } else if let Some(found) = acl::predefined(name, word.span, ctx) {
            Some(found)
        } else {
            let hint = suggest::hint(name, acls.names().chain(acl::predefined_names()));
            ctx.diags.alert_hint(word.span, format!("no such ACL : '{name}'"), hint);
            None
        };
        // What is wrong was told; what follows may be wrong too.
        is_wrong |= acl.is_none();
        all.extend(acl.map(|acl| Term { negated, acl }));
        negated = false;
    }
    if is_wrong {
        return None;
    }
    any.extend((!all.is_empty()).then(|| all.into_boxed_slice()));
    Some(any)
}
