//! What a stick table holds of a key: `in_table`, `table_...`.

use crate::base::clock::MS;
use crate::lang::Entry as Word;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::figure::Figure;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::track::key_of;
use crate::rules::txn::Ctx;
use crate::stick::{Data, Entry, Table};

use super::entry::Converter;

const TABLE: ArgSpec = ArgSpec::new(1, &[ArgKind::Table]);
const INDEX_TABLE: ArgSpec = ArgSpec::new(2, &[ArgKind::Int, ArgKind::Table]);
const TABLE_DEFAULT: ArgSpec = ArgSpec::new(1, &[ArgKind::Table, ArgKind::Int]);

fn table(args: &[Arg], at: usize) -> Option<&Table> {
    match args.get(at)? {
        Arg::Table(cell) => cell.get().map(|table| &**table),
        _ => None,
    }
}

/// Looks a sample up. The outer `None`: it is no key.
fn look<R>(
    sample: Sample<'_>,
    table: &Table,
    ctx: Ctx<'_>,
    f: impl FnOnce(&mut Entry<'_>) -> R,
) -> Option<Option<R>> {
    let key = key_of(table.kind(), sample)?;
    Some(table.look(&key, ctx.env.now_ns() / MS, f))
}

/// A figure; 0 of a key that the table has not.
fn figure<'a>(
    sample: Sample<'a>,
    args: &'a [Arg],
    ctx: Ctx<'a>,
    figure: Figure,
    has_index: bool,
) -> Option<Sample<'a>> {
    let index = if has_index { usize::try_from(args.int(0)?).ok()? } else { 0 };
    let table = table(args, usize::from(has_index))?;
    let found = match figure {
        Figure::Increment(..) | Figure::Clear(_) => {
            let key = key_of(table.kind(), sample)?;
            table.touched(&key, ctx.env.now_ns() / MS, |entry| figure.of(entry, index))
        }
        _ => look(sample, table, ctx, |entry| figure.of(entry, index))?,
    };
    found.unwrap_or(Some(0)).map(Sample::Int)
}

/// A time of an entry; of a key that the table has not the default, if there is one.
fn time<'a>(
    sample: Sample<'a>,
    args: &'a [Arg],
    ctx: Ctx<'a>,
    of: fn(&Table, u32) -> u32,
) -> Option<Sample<'a>> {
    let table = table(args, 0)?;
    match look(sample, table, ctx, |entry| entry.remaining_ms())? {
        Some(left) => Some(Sample::Int(i64::from(of(table, left)))),
        None => args.int(1).map(Sample::Int),
    }
}

macro_rules! figures {
    ($spec:expr, $has_index:literal: $($name:literal $args:literal $example:literal $since:literal $doc:literal: $figure:expr;)*) => {
        &[$(
            Converter::new(Word::full($name, $args, $doc, concat!("src,", $name, $example), $since), T::Any, T::Int, |s, a, c| figure(s, a, c, $figure, $has_index)).args($spec),
        )*]
    };
}

#[rustfmt::skip]
static FIGURES: &[Converter] = figures! { TABLE, false:
    "table_bytes_in_rate" "<table>" "(clients)" "1.5" "Bytes from the client with this key in the table's period.": Figure::Value(Data::BytesInRate);
    "table_bytes_out_rate" "<table>" "(clients)" "1.5" "Bytes to the client with this key in the table's period.": Figure::Value(Data::BytesOutRate);
    "table_clr_gpc0" "<table>" "(clients)" "3.1" "Sets the key's first general purpose counter to 0; tells what it was.": Figure::Clear(Data::Gpc0);
    "table_clr_gpc1" "<table>" "(clients)" "3.1" "Sets the key's second general purpose counter to 0; tells what it was.": Figure::Clear(Data::Gpc1);
    "table_conn_cnt" "<table>" "(clients)" "1.5" "Connections of the key so far.": Figure::Value(Data::ConnCnt);
    "table_conn_cur" "<table>" "(clients)" "1.5" "Connections of the key now.": Figure::Value(Data::ConnCur);
    "table_conn_rate" "<table>" "(clients)" "1.5" "Connections of the key in the table's period.": Figure::Value(Data::ConnRate);
    "table_glitch_cnt" "<table>" "(clients)" "3.0" "Glitches of the key's connections so far.": Figure::Value(Data::GlitchCnt);
    "table_glitch_rate" "<table>" "(clients)" "3.0" "Glitches of the key's connections in the table's period.": Figure::Value(Data::GlitchRate);
    "table_gpc0" "<table>" "(clients)" "1.5" "The key's first general purpose counter.": Figure::Value(Data::Gpc0);
    "table_gpc0_rate" "<table>" "(clients)" "1.5" "How much that grew in the table's period.": Figure::Value(Data::Gpc0Rate);
    "table_gpc1" "<table>" "(clients)" "1.8" "The key's second general purpose counter.": Figure::Value(Data::Gpc1);
    "table_gpc1_rate" "<table>" "(clients)" "1.8" "How much that grew in the table's period.": Figure::Value(Data::Gpc1Rate);
    "table_gpt0" "<table>" "(clients)" "1.7" "The key's first general purpose tag.": Figure::Value(Data::Gpt0);
    "table_http_err_cnt" "<table>" "(clients)" "1.5" "Requests of the key so far that were wrong, denied or answered with 4xx.": Figure::Value(Data::HttpErrCnt);
    "table_http_err_rate" "<table>" "(clients)" "1.5" "The same in the table's period.": Figure::Value(Data::HttpErrRate);
    "table_http_fail_cnt" "<table>" "(clients)" "2.4" "Requests of the key so far that the server failed at.": Figure::Value(Data::HttpFailCnt);
    "table_http_fail_rate" "<table>" "(clients)" "2.4" "The same in the table's period.": Figure::Value(Data::HttpFailRate);
    "table_http_req_cnt" "<table>" "(clients)" "1.5" "Requests of the key so far.": Figure::Value(Data::HttpReqCnt);
    "table_http_req_rate" "<table>" "(clients)" "1.5" "Requests of the key in the table's period.": Figure::Value(Data::HttpReqRate);
    "table_inc_gpc0" "<table>" "(clients)" "3.1" "Adds 1 to the key's first general purpose counter; tells what it is then.": Figure::Increment(Data::Gpc0, Data::Gpc0Rate);
    "table_inc_gpc1" "<table>" "(clients)" "3.1" "Adds 1 to the key's second general purpose counter; tells what it is then.": Figure::Increment(Data::Gpc1, Data::Gpc1Rate);
    "table_kbytes_in" "<table>" "(clients)" "1.5" "Kilobytes from the client with this key so far.": Figure::Kilobytes(Data::BytesInCnt);
    "table_kbytes_out" "<table>" "(clients)" "1.5" "Kilobytes to the client with this key so far.": Figure::Kilobytes(Data::BytesOutCnt);
    "table_server_id" "<table>" "(clients)" "1.5" "The number of the server that the key went to.": Figure::Value(Data::ServerId);
    "table_sess_cnt" "<table>" "(clients)" "1.5" "Sessions of the key so far.": Figure::Value(Data::SessCnt);
    "table_sess_rate" "<table>" "(clients)" "1.5" "Sessions of the key in the table's period.": Figure::Value(Data::SessRate);
    "table_trackers" "<table>" "(clients)" "1.5" "How many track the key now.": Figure::Trackers;
};

#[rustfmt::skip]
static ELEMENTS: &[Converter] = figures! { INDEX_TABLE, true:
    "table_clr_gpc" "<index>,<table>" "(0,clients)" "3.1" "Sets a general purpose counter of the key to 0; tells what it was.": Figure::Clear(Data::Gpc);
    "table_gpc" "<index>,<table>" "(0,clients)" "2.5" "A general purpose counter of the key.": Figure::Value(Data::Gpc);
    "table_gpc_rate" "<index>,<table>" "(0,clients)" "2.5" "How much that grew in the table's period.": Figure::Value(Data::GpcRate);
    "table_gpt" "<index>,<table>" "(0,clients)" "2.5" "A general purpose tag of the key.": Figure::Value(Data::Gpt);
    "table_inc_gpc" "<index>,<table>" "(0,clients)" "3.1" "Adds 1 to a general purpose counter of the key; tells what it is then.": Figure::Increment(Data::Gpc, Data::GpcRate);
};

#[rustfmt::skip]
static OTHERS: &[Converter] = &[
    Converter::new(Word::full("in_table", "<table>", "Whether the table has the key.", "src,in_table(clients)", "1.5"), T::Any, T::Bool, |s, a, c| {
        Some(Sample::Bool(look(s, table(a, 0)?, c, |_| ())?.is_some()))
    }).args(TABLE),
    Converter::new(Word::full("table_expire", "<table>[,<default>]", "Milliseconds until the key expires.", "src,table_expire(clients)", "2.7"), T::Any, T::Int, |s, a, c| {
        time(s, a, c, |_, left| left)
    }).args(TABLE_DEFAULT),
    Converter::new(Word::full("table_idle", "<table>[,<default>]", "Milliseconds since the key was used.", "src,table_idle(clients)", "2.7"), T::Any, T::Int, |s, a, c| {
        time(s, a, c, |table, left| table.expire_ms().saturating_sub(left))
    }).args(TABLE_DEFAULT),
];

pub static CONVERTERS: [&[Converter]; 3] = [FIGURES, ELEMENTS, OTHERS];
