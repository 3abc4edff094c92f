//! Variables.

use std::borrow::Cow;

use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;
use crate::rules::vars;
use crate::rules::vars::{VarId, VarScope};

use super::entry::{Cursor, Fetch, Needs};

/// The value of a variable, those of converters that have not been stored yet included.
pub fn value<'a>(ctx: Ctx<'a>, id: VarId) -> Option<Sample<'a>> {
    if let Some(pending) = ctx.txn.pending.value(id) {
        return pending;
    }
    if id.scope == VarScope::Proc {
        return vars::process(id);
    }
    ctx.txn.vars.value(id).map(Sample::borrow)
}

fn var<'a>(args: &'a [Arg], ctx: Ctx<'a>, _: &mut Cursor) -> Option<Sample<'a>> {
    let Some(Arg::Var(id)) = args.first() else { return None };
    value(ctx, *id).or_else(|| args.get(1).map(|d| Sample::Str(Cow::Borrowed(d.bytes()))))
}

/// Turns the name at `args[at]` into a variable.
pub fn check_name(args: &mut [Arg], at: usize, ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    let name = String::from_utf8_lossy(args.str(at)).into_owned();
    if let Some(arg) = args.get_mut(at) {
        *arg = Arg::Var(ctx.names.var(&name)?);
    }
    Ok(())
}

fn check(args: &mut [Arg], ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    check_name(args, 0, ctx)
}

pub static FETCHES: &[Fetch] = &[Fetch::new(
    Entry::full(
        "var",
        "<name>[,<default>]",
        "The value of a variable, such as txn.x; <default> (a string) when it was never set.",
        "var(txn.country,none)",
        "1.6",
    ),
    T::Any,
    Needs::Nothing,
    var,
)
.args(ArgSpec::new(1, &[ArgKind::Str, ArgKind::Str]))
.check(|args, ctx| check(args, ctx))];
