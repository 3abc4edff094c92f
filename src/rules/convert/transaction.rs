//! Converters that leave something in the transaction: variables and captures. They pass their input on.

use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::cast::text;
use crate::rules::fetch;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::store::{Only, is_allowed};
use crate::rules::txn::{Ctx, Store, Txn};
use crate::rules::vars::VarScope;

use super::entry::Converter;

const SLOT: ArgSpec = ArgSpec::new(1, &[ArgKind::Int]);

fn set_var<'a>(sample: Sample<'a>, args: &'a [Arg], ctx: Ctx<'a>) -> Option<Sample<'a>> {
    if let Some(Arg::Var(id)) = args.first() {
        let conditions: smallvec::SmallVec<[Only; 4]> =
            args[1..].iter().filter_map(|c| Only::parse(std::str::from_utf8(c.bytes()).ok()?)).collect();
        let allowed = conditions.is_empty()
            || is_allowed(
                &conditions,
                id.scope == VarScope::Proc,
                fetch::variable_value(ctx, *id).as_ref(),
                &sample,
            );
        if allowed {
            ctx.txn.pending.push(Store::Var(*id), Some(sample.clone().into_owned()));
        }
    }
    Some(sample)
}

/// A variable and conditions.
fn check_set(args: &mut [Arg], ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    for condition in args.iter().skip(1) {
        let word = String::from_utf8_lossy(condition.bytes());
        if !word.is_empty() && Only::parse(&word).is_none() {
            return Err(format!("unsupported condition '{word}'"));
        }
    }
    fetch::check_variable(args, 0, ctx)
}

fn unset_var<'a>(sample: Sample<'a>, args: &'a [Arg], ctx: Ctx<'a>) -> Option<Sample<'a>> {
    if let Some(Arg::Var(id)) = args.first() {
        ctx.txn.pending.push(Store::Var(*id), None);
    }
    Some(sample)
}

fn capture<'a>(sample: Sample<'a>, slot: usize, len: usize, is_response: bool, ctx: Ctx<'a>) -> Sample<'a> {
    let mut value = text(sample.clone()).into_owned();
    value.truncate(len);
    let store = if is_response { Store::ResCapture(slot) } else { Store::ReqCapture(slot) };
    ctx.txn.pending.push(store, Some(Sample::Str(value.into())));
    sample
}

fn slot_and_len(args: &[Arg]) -> Option<(usize, usize)> {
    Some((usize::try_from(args.int(0)?).ok()?, usize::try_from(args.int(1)?).ok()?))
}

/// Appends the slot's length to the arguments.
fn check_slot(args: &mut Vec<Arg>, lens: Vec<usize>) -> Result<(), String> {
    let slot = args.as_slice().int(0).unwrap_or(-1);
    match usize::try_from(slot).ok().and_then(|i| lens.get(i)) {
        Some(len) => args.push(Arg::Int(*len as i64)),
        None => return Err(format!("invalid capture slot {slot}: it was not declared")),
    }
    Ok(())
}

/// Conditions of `when`, by their place in the argument.
const WHEN: [&str; 7] = ["error", "forwarded", "normal", "processed", "stopping", "toapplet", "acl"];

fn is_failed(txn: &Txn) -> bool {
    let ended = !matches!(txn.termination[0], b'-' | 0);
    ended || txn.status >= 500 || txn.retries > 0 || txn.redispatched
}

/// Arguments: the condition, whether it is to hold, and an ACL.
fn when<'a>(sample: Sample<'a>, args: &'a [Arg], ctx: Ctx<'a>) -> Option<Sample<'a>> {
    let forwarded = ctx.txn.timers.connected != 0 && ctx.env.server_name().is_some();
    let served = ctx.txn.service.is_some();
    let holds = match *WHEN.get(usize::try_from(args.int(0)?).ok()?)? {
        "error" => is_failed(ctx.txn),
        "forwarded" => forwarded,
        "normal" => !is_failed(ctx.txn),
        "processed" => forwarded || served,
        "stopping" => ctx.env.is_stopping(),
        "toapplet" => served,
        _ => matches!(args.get(2), Some(Arg::Holds { acl, .. }) if acl.holds(ctx)),
    };
    (holds == (args.int(1)? != 0)).then_some(sample)
}

fn check_when(args: &mut Vec<Arg>, ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    let word = String::from_utf8_lossy(args.as_slice().str(0)).into_owned();
    let name = word.trim_start_matches('!');
    let wanted = (word.len() - name.len()).is_multiple_of(2);
    let at = WHEN.iter().position(|known| *known == name);
    let at = at.ok_or_else(|| format!("expects a condition as first argument, got '{word}'"))?;
    let mut read = vec![Arg::Int(at as i64), Arg::Int(wanted.into())];
    if name == "acl" {
        let acl = String::from_utf8_lossy(args.as_slice().str(1)).into_owned();
        let acl = ctx.acls.get(&*acl).ok_or_else(|| format!("no such ACL : '{acl}'"))?.clone();
        read.push(Arg::Holds { acl, negated: false });
    } else if args.len() > 1 {
        return Err(format!("condition '{name}' takes no argument"));
    }
    *args = read;
    Ok(())
}

pub static CONVERTERS: &[Converter] = &[
    Converter::new(
        Entry::full(
            "when",
            "[!]<condition>[,<acl>]",
            "Passes its input on when the condition holds: error, forwarded, normal, processed, stopping, toapplet, acl.",
            "bc_src,when(forwarded)",
            "3.1",
        ),
        T::Any,
        T::Any,
        when,
    )
    .args(ArgSpec::new(1, &[ArgKind::Str, ArgKind::Str, ArgKind::Str]))
    .check(check_when),
    Converter::new(
        Entry::full(
            "set-var",
            "<name>[,<cond>...]",
            "Stores the value in a variable.",
            "path,set-var(txn.path)",
            "1.6",
        ),
        T::Any,
        T::Any,
        set_var,
    )
    .args(ArgSpec::new(1, &[ArgKind::Str, ArgKind::Str, ArgKind::Str, ArgKind::Str, ArgKind::Str]))
    .check(|args, ctx| check_set(args, ctx)),
    Converter::new(
        Entry::full("unset-var", "<name>", "Removes a variable.", "path,unset-var(txn.path)", "1.8"),
        T::Any,
        T::Any,
        unset_var,
    )
    .args(ArgSpec::new(1, &[ArgKind::Str]))
    .check(|args, ctx| fetch::check_variable(args, 0, ctx)),
    Converter::new(
        Entry::full(
            "capture-req",
            "<id>",
            "Stores the value in a request capture slot.",
            "path,capture-req(0)",
            "1.6",
        ),
        T::Str,
        T::Str,
        |sample, args, ctx| {
            let (slot, len) = slot_and_len(args)?;
            Some(capture(sample, slot, len, false, ctx))
        },
    )
    .args(SLOT)
    .check(|args, ctx| check_slot(args, ctx.captures.req.iter().map(|c| c.len).collect())),
    Converter::new(
        Entry::full(
            "capture-res",
            "<id>",
            "Stores the value in a response capture slot.",
            "path,capture-res(0)",
            "1.6",
        ),
        T::Str,
        T::Str,
        |sample, args, ctx| {
            let (slot, len) = slot_and_len(args)?;
            Some(capture(sample, slot, len, true, ctx))
        },
    )
    .args(SLOT)
    .check(|args, ctx| check_slot(args, ctx.captures.res.iter().map(|c| c.len).collect())),
    Converter::new(
        Entry::full("debug", "[<prefix>[,<dest>]]", "Passes its input on.", "path,debug(x)", "1.6"),
        T::Any,
        T::Any,
        |sample, _, _| Some(sample),
    )
    .args(ArgSpec::new(0, &[ArgKind::Str, ArgKind::Str]))
    .partial("nothing is written to a debugging sink yet"),
];
