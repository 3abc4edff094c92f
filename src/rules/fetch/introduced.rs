//! What a client's PROXY header told: that there was one, and its fields.

use std::borrow::Cow;

use crate::conn::proxy_protocol::kind;
use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{Cursor, Fetch, Needs};

const C: Needs = Needs::Client;

/// Names of kinds, as in the protocol's own text.
const NAMES: &[(&str, u8)] = &[
    ("ALPN", kind::ALPN),
    ("AUTHORITY", kind::AUTHORITY),
    ("CRC32C", kind::CRC32C),
    ("NETNS", kind::NETNS),
    ("NOOP", kind::NOOP),
    ("SSL", kind::SSL),
    ("SSL_CIPHER", kind::SSL_CIPHER),
    ("SSL_CN", kind::SSL_CN),
    ("SSL_KEY_ALG", kind::SSL_KEY_ALG),
    ("SSL_SIG_ALG", kind::SSL_SIG_ALG),
    ("SSL_VERSION", kind::SSL_VERSION),
    ("UNIQUE_ID", kind::UNIQUE_ID),
];

/// A kind by its number or its name.
pub fn kind_of(text: &str) -> Option<u8> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let number = match hex {
        Some(digits) => u8::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    number.or_else(|| NAMES.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind))
}

fn check_kind(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    let text = String::from_utf8_lossy(args.str(0)).into_owned();
    let Some(kind) = kind_of(&text) else {
        return Err("expects a TLV type between 0 and 255, or the name of one".to_owned());
    };
    *args = vec![Arg::Int(i64::from(kind))];
    Ok(())
}

/// The last field of a kind, as it replaces those before it.
fn last(ctx: Ctx<'_>, kind: u8) -> Option<Sample<'_>> {
    text(ctx.env.received()?.values(kind).last()?)
}

fn text(value: &[u8]) -> Option<Sample<'_>> {
    Some(Sample::Str(Cow::Borrowed(value)))
}

/// The field of a kind at the cursor.
fn tlv<'a>(args: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    let kind = u8::try_from(args.int(0)?).ok()?;
    let mut values = ctx.env.received()?.values(kind).skip(cursor.field);
    let value = values.next()?;
    cursor.field += 1;
    cursor.more = cursor.iterate && values.next().is_some();
    text(value)
}

pub static FETCHES: &[Fetch] = &[
    Fetch::new(
        Entry::full(
            "fc_rcvd_proxy",
            "",
            "Whether the client's connection began with a PROXY header.",
            "fc_rcvd_proxy",
            "1.9",
        ),
        T::Bool,
        C,
        |_, ctx, _| Some(Sample::Bool(ctx.env.received().is_some())),
    ),
    Fetch::new(
        Entry::full(
            "fc_pp_authority",
            "",
            "The host name that the client asked for, as its PROXY header says.",
            "fc_pp_authority",
            "2.4",
        ),
        T::Str,
        C,
        |_, ctx, _| last(ctx, kind::AUTHORITY),
    ),
    Fetch::new(
        Entry::full(
            "fc_pp_unique_id",
            "",
            "The identifier that the client's PROXY header gives the connection.",
            "fc_pp_unique_id",
            "2.4",
        ),
        T::Str,
        C,
        |_, ctx, _| last(ctx, kind::UNIQUE_ID),
    ),
    Fetch::new(
        Entry::full(
            "fc_pp_tlv",
            "<id>",
            "The fields of one kind, by number or name, in the client's PROXY header.",
            "fc_pp_tlv(0xE0)",
            "2.9",
        ),
        T::Str,
        C,
        tlv,
    )
    .args(ArgSpec::new(1, &[ArgKind::Str]))
    .check(check_kind),
];
