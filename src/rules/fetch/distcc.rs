//! Messages of distcc: tokens of four letters with a number in hexadecimal, and of some a body of that many bytes.

use std::borrow::Cow;

use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{Cursor, Fetch, FetchFn, Needs};

/// Tokens whose number is no length.
const BARE: [&[u8]; 5] = [b"ARGC", b"DIST", b"NFIL", b"STAT", b"DONE"];

/// Number and body of the `occurrence`th token of this name; `None` where it is not there (yet).
fn token<'d>(data: &'d [u8], name: &[u8], mut occurrence: i64) -> Option<(u32, &'d [u8])> {
    let mut rest = data;
    loop {
        let (head, after) = rest.split_at_checked(12)?;
        let (found, digits) = head.split_at(4);
        let number = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        let len = if BARE.contains(&found) { 0 } else { number as usize };
        let is_it = found == name;
        let Some((body, next)) = after.split_at_checked(len) else {
            // A body that is still to come has a number already.
            return (is_it && occurrence <= 1).then_some((number, &[][..]));
        };
        if is_it {
            occurrence -= 1;
            if occurrence <= 0 {
                return Some((number, body));
            }
        }
        rest = next;
    }
}

fn found<'a>(args: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor, data: &'a [u8]) -> Option<(u32, &'a [u8])> {
    if ctx.txn.has_req {
        return None;
    }
    let found = token(data, args.str(0), args.int(1).unwrap_or(1));
    cursor.may_change = found.is_none() && !ctx.txn.inspect_over;
    found
}

fn number<'a>(found: Option<(u32, &'a [u8])>) -> Option<Sample<'a>> {
    found.map(|(n, _)| Sample::Int(n.into()))
}

fn body<'a>(found: Option<(u32, &'a [u8])>) -> Option<Sample<'a>> {
    found.filter(|(n, body)| *n as usize == body.len()).map(|(_, body)| Sample::Bin(Cow::Borrowed(body)))
}

fn check(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    if args.as_slice().str(0).len() != 4 {
        return Err("token length is not 4 characters".into());
    }
    match args.as_slice().int(1) {
        Some(..0) => Err("occurrence must be positive".into()),
        _ => Ok(()),
    }
}

const fn row(
    name: &'static str,
    doc: &'static str,
    example: &'static str,
    out: T,
    run: FetchFn,
    response: FetchFn,
) -> Fetch {
    Fetch::new(Entry::full(name, "<token>[,<occ>]", doc, example, "1.6"), out, Needs::RequestData, run)
        .or_response(response)
        .args(ArgSpec::new(1, &[ArgKind::Str, ArgKind::Int]))
        .check(check)
}

pub static FETCHES: &[Fetch] = &[
    row(
        "distcc_param",
        "The number of a token of distcc's messages.",
        "distcc_param(ARGC)",
        T::Int,
        |a, ctx, c| number(found(a, ctx, c, &ctx.txn.req_body)),
        |a, ctx, c| number(found(a, ctx, c, &ctx.txn.res_body)),
    ),
    row(
        "distcc_body",
        "The bytes behind a token of distcc's messages.",
        "distcc_body(ARGV,2)",
        T::Bin,
        |a, ctx, c| body(found(a, ctx, c, &ctx.txn.req_body)),
        |a, ctx, c| body(found(a, ctx, c, &ctx.txn.res_body)),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_by_occurrence() {
        let data = b"DIST00000001ARGC00000002ARGV00000002ccARGV00000003-c1DOTI000000ffint";
        assert_eq!(token(data, b"DIST", 1), Some((1, &b""[..])));
        assert_eq!(token(data, b"ARGV", 1), Some((2, &b"cc"[..])));
        assert_eq!(token(data, b"ARGV", 2), Some((3, &b"-c1"[..])));
        assert_eq!(token(data, b"DOTI", 1), Some((255, &b""[..])));
        assert_eq!(token(data, b"DOTO", 1), None);
        assert_eq!(token(b"rubbish rubbish", b"DIST", 1), None);
    }
}
