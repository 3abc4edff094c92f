//! Arguments that are given as they are or name a variable: keys, nonces, names of algorithms.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::rules::args::{Arg, Args};
use crate::rules::build::BuildCtx;
use crate::rules::cast::text;
use crate::rules::fetch;
use crate::rules::txn::Ctx;
use crate::rules::vars;

/// Makes a variable of argument `at` where it names one.
pub fn either(args: &mut [Arg], at: usize, ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    let name = String::from_utf8_lossy(Args::str(args, at)).into_owned();
    if let Some(arg) = args.get_mut(at)
        && vars::has_scope(&name)
    {
        *arg = Arg::Var(ctx.names.var(&name)?);
    }
    Ok(())
}

/// The same of an argument in base64, which is decoded here.
pub fn encoded(args: &mut [Arg], at: usize, ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    either(args, at, ctx)?;
    if let Some(arg @ Arg::Str(_)) = args.get_mut(at) {
        let bytes = STANDARD.decode(arg.bytes()).map_err(|_| "failed to parse base64".to_owned())?;
        *arg = Arg::Str(bytes.into());
    }
    Ok(())
}

/// The bytes of an argument that [`either`] read.
pub fn plain<'a>(args: &'a [Arg], at: usize, ctx: Ctx<'a>) -> Option<Cow<'a, [u8]>> {
    match args.get(at)? {
        Arg::Var(id) => fetch::variable_value(ctx, *id).map(text),
        arg => Some(Cow::Borrowed(arg.bytes())),
    }
}

/// The bytes of an argument that [`encoded`] read: a variable's value is in base64, too.
pub fn decoded<'a>(args: &'a [Arg], at: usize, ctx: Ctx<'a>) -> Option<Cow<'a, [u8]>> {
    let value = plain(args, at, ctx)?;
    match args.get(at) {
        Some(Arg::Var(_)) => STANDARD.decode(value).ok().map(Cow::Owned),
        _ => Some(value),
    }
}
