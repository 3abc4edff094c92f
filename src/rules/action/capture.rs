//! `capture`: keeps a sample for logs.

use crate::lang::{Entry, Word};
use crate::rules::capture::Capture;
use crate::rules::expr::Expr;
use crate::rules::sample::{Sample, SampleType};
use crate::rules::txn::Store;
use crate::rules::words::Failed;

use super::entry::{Action, ActionKeyword, Input, Run, Sets, Step};

#[derive(Debug)]
struct Keep {
    expr: Expr,
    slot: usize,
    len: usize,
    is_response: bool,
}

impl Action for Keep {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let slots = if self.is_response { run.txn.res_captures.len() } else { run.txn.req_captures.len() };
        // A backend's rule may name a slot that this frontend has not.
        if self.slot >= slots {
            return Step::Next;
        }
        let found = match self.expr.eval_as(run.ctx(), SampleType::Str) {
            Some(Sample::Str(s)) => Some(s[..s.len().min(self.len)].to_vec()),
            _ => None,
        };
        if let Some(value) = found {
            let store =
                if self.is_response { Store::ResCapture(self.slot) } else { Store::ReqCapture(self.slot) };
            run.txn.pending.push(store, Some(Sample::Str(value.into())));
        }
        Step::Next
    }
}

fn parse(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let (words, at) = input.words.slice();
    let is_end = |w: &Word| matches!(w.str(), "len" | "id" | "if" | "unless");
    let end = words[at..].iter().position(is_end).map_or(words.len(), |n| at + n);
    let Some((expr, used)) = Expr::parse(&words[..end], at, input.ctx) else {
        return input.words.fail("expects <expression> [ 'len' <length> | id <idx> ]");
    };
    input.words.skip(used);
    let is_response = input.kind.is_response();
    let (slot, len) = if input.words.take("len") {
        let word = input.words.want("a length value")?;
        let len = word.str().parse().ok().filter(|n| *n > 0);
        let len = len.ok_or_else(|| (word.span, "a positive 'len' argument is mandatory".to_owned()))?;
        if is_response {
            return input.words.fail("'len' is not supported in responses: use 'id'");
        }
        if !input.ctx.caps.front {
            return input.words.fail("proxy has no frontend capability: use 'id' of a declared slot");
        }
        input.ctx.captures.req.push(Capture { name: None, len });
        (input.ctx.captures.req.len() - 1, len)
    } else if input.words.take("id") {
        let word = input.words.want("an id value")?;
        let slot: usize =
            word.str().parse().map_err(|_| (word.span, format!("cannot parse id '{}'", word.str())))?;
        let slots = if is_response { &input.ctx.captures.res } else { &input.ctx.captures.req };
        match slots.get(slot) {
            Some(capture) => (slot, capture.len),
            // Backends serve frontends that may declare it.
            None if !input.ctx.caps.front => (slot, usize::MAX),
            None => {
                return Err((
                    word.span,
                    format!(
                        "unable to find capture id '{slot}' referenced by {} capture rule",
                        if is_response { "http-response" } else { "http-request" }
                    ),
                ));
            }
        }
    } else {
        return input.words.fail("expects 'len' or 'id' argument");
    };
    Ok(Box::new(Keep { expr, slot, len, is_response }))
}

pub static ACTIONS: &[ActionKeyword] = &[ActionKeyword::new(
    Entry::full(
        "capture",
        "<sample> len <length> | id <id>",
        "Keeps a sample in a capture slot, a new one with len.",
        "capture req.hdr(user-agent) len 32",
        "1.6",
    ),
    Sets::HTTP.union(Sets::TCP_CONTENT),
    parse,
)];
