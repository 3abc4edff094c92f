//! Which rule had the last word, and the stream's order in queues.

use std::borrow::Cow;

use crate::lang::{Entry, Span};
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{Fetch, FetchFn, Needs};

const N: Needs = Needs::Nothing;

/// `file:line`.
fn place(ctx: Ctx<'_>, span: Option<Span>) -> Option<Sample<'static>> {
    let span = span?;
    let text = format!("{}:{}", ctx.env.file(span.file)?, span.line);
    Some(Sample::Str(Cow::Owned(text.into_bytes())))
}

const fn row(name: &'static str, doc: &'static str, since: &'static str, out: T, run: FetchFn) -> Fetch {
    Fetch::new(Entry::full(name, "", doc, name, since), out, N, run)
}

pub static FETCHES: &[Fetch] = &[
    row(
        "last_rule_file",
        "The file of the last rule that ended its rule set.",
        "2.6",
        T::Str,
        |_, ctx, _| Some(Sample::Str(Cow::Borrowed(ctx.env.file(ctx.txn.last_rule?.file)?.as_bytes()))),
    ),
    row(
        "last_rule_line",
        "The line of the last rule that ended its rule set.",
        "2.6",
        T::Int,
        |_, ctx, _| Some(Sample::Int(ctx.txn.last_rule?.line.into())),
    ),
    row(
        "last_entity",
        "What ended the last evaluation: file and line of a rule.",
        "3.2",
        T::Str,
        |_, ctx, _| place(ctx, ctx.txn.last_rule),
    ),
    row(
        "waiting_entity",
        "What was waited for when the stream ended: file and line of a rule.",
        "3.2",
        T::Str,
        |_, ctx, _| place(ctx, ctx.txn.waiting_rule),
    ),
    row("prio_class", "The class that set-priority-class gave the stream.", "1.9", T::Int, |_, ctx, _| {
        Some(Sample::Int(ctx.txn.priority.class.into()))
    }),
    row("prio_offset", "The offset that set-priority-offset gave the stream.", "1.9", T::Int, |_, ctx, _| {
        Some(Sample::Int(ctx.txn.priority.offset_ms.into()))
    }),
];
