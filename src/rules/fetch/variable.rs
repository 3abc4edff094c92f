//! Variables.

use std::borrow::Cow;

use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::cast::write_text;
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

/// Scopes in the order in which they are shown.
const SCOPES: [&str; 5] = ["sess", "txn", "req", "res", "proc"];

/// A value as it is shown beside its name: strings in quotes, bytes in hexadecimal.
fn shown(value: &Sample<'_>, out: &mut Vec<u8>) {
    match value {
        Sample::Str(text) | Sample::Method(text) => {
            out.push(b'"');
            for c in text.iter() {
                match c {
                    b'"' | b'\\' => out.extend([b'\\', *c]),
                    b'\r' => out.extend(b"\\r"),
                    b'\n' => out.extend(b"\\n"),
                    8 => out.extend(b"\\b"),
                    0 => out.extend(b"\\0"),
                    c => out.push(*c),
                }
            }
            out.push(b'"');
        }
        Sample::Bin(bytes) => {
            out.push(b'x');
            bytes.iter().for_each(|b| out.extend(format!("{b:02x}").bytes()));
        }
        Sample::Bool(b) => out.extend(b.to_string().bytes()),
        other => write_text(other, out),
    }
}

/// `dump_all_vars`.
fn dump<'a>(args: &'a [Arg], ctx: Ctx<'a>, _: &mut Cursor) -> Option<Sample<'a>> {
    let (scope, prefix) = (args.str(0), args.str(1));
    let delimiter = match args.str(2) {
        b"" => b", ",
        given => given,
    };
    let of_process = vars::all_of_process();
    let all: Vec<_> =
        ctx.txn.vars.list.iter().chain(&of_process).map(|(id, v)| (vars::name(*id), v)).collect();
    let mut out = Vec::new();
    for wanted in SCOPES.iter().filter(|s| scope.is_empty() || s.as_bytes() == scope) {
        for (name, value) in &all {
            let Some((of, short)) = name.split_once('.') else { continue };
            if of != *wanted || !short.as_bytes().starts_with(prefix) {
                continue;
            }
            if !out.is_empty() {
                out.extend_from_slice(delimiter);
            }
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
            shown(value, &mut out);
        }
    }
    Some(Sample::Str(Cow::Owned(out)))
}

fn check_dump(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    match std::str::from_utf8(args.as_slice().str(0)) {
        Ok(scope) if scope.is_empty() || SCOPES.contains(&scope) => Ok(()),
        _ => Err("invalid scope: expects sess, txn, req, res or proc".into()),
    }
}

pub static FETCHES: &[Fetch] = &[
    Fetch::new(
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
    .check(|args, ctx| check(args, ctx)),
    Fetch::new(
        Entry::full(
            "dump_all_vars",
            "[<scope>][,<prefix>][,<delimiter>]",
            "All variables with their values, of a scope or whose names begin so.",
            "dump_all_vars(txn)",
            "3.4",
        ),
        T::Str,
        Needs::Nothing,
        dump,
    )
    .args(ArgSpec::new(0, &[ArgKind::Str, ArgKind::Str, ArgKind::Str]))
    .check(check_dump),
];
