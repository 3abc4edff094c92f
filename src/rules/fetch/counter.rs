//! What stick tables hold: by a counter (`sc_...`, `sc0_...`), and by the client's address (`src_...`).

use crate::base::clock::MS;
use crate::lang::Entry as Word;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::figure::Figure;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::track::{key_of, key_of_address, sample_of};
use crate::rules::txn::Ctx;
use crate::stick::{Data, Key, Table, Tracked};

use super::entry::{Fetch, Needs};

const N: Needs = Needs::Nothing;
const TABLE: ArgSpec = ArgSpec::new(1, &[ArgKind::Table]);
const MAY_TABLE: ArgSpec = ArgSpec::new(0, &[ArgKind::Table]);
const COUNTER: ArgSpec = ArgSpec::new(1, &[ArgKind::Int, ArgKind::Table]);
const INDEX_COUNTER: ArgSpec = ArgSpec::new(2, &[ArgKind::Int, ArgKind::Int, ArgKind::Table]);
const INDEX_TABLE: ArgSpec = ArgSpec::new(2, &[ArgKind::Int, ArgKind::Table]);

fn now_ms(ctx: Ctx<'_>) -> u64 {
    ctx.env.now_ns() / MS
}

/// Arguments before the counter's number (an index), if it is one, and before the table's name.
#[derive(Clone, Copy)]
struct Shape {
    counter: Option<usize>,
    table_at: usize,
    index_at: Option<usize>,
}

impl Shape {
    fn index(self, args: &[Arg]) -> usize {
        self.index_at.and_then(|at| usize::try_from(args.int(at)?).ok()).unwrap_or(0)
    }
}

/// `sc_<figure>(<counter>[,<table>])`.
const LISTED: Shape = Shape { counter: None, table_at: 1, index_at: None };
/// `sc_<figure>(<index>,<counter>[,<table>])`.
const INDEXED: Shape = Shape { counter: None, table_at: 2, index_at: Some(0) };

/// `sc0_<figure>([<table>])`.
const fn numbered(counter: usize) -> Shape {
    Shape { counter: Some(counter), table_at: 0, index_at: None }
}

/// The entry that the counter tracks, and the other table that is to be looked at.
fn counter<'a>(args: &'a [Arg], ctx: Ctx<'a>, shape: Shape) -> Option<(&'a Tracked, Option<&'a Table>)> {
    let number = match shape.counter {
        Some(number) => number,
        None => usize::try_from(args.int(shape.table_at - 1)?).ok()?,
    };
    let tracked = ctx.txn.counters.get(number)?;
    let other = match args.get(shape.table_at) {
        Some(Arg::Table(cell)) => Some(&**cell.get()?),
        _ => None,
    };
    Some((tracked, other))
}

/// The same key in another table.
fn key_in(tracked: &Tracked, other: &Table, now_ms: u64) -> Option<Key> {
    let kind = tracked.table().kind();
    let key = tracked.with(now_ms, |entry| entry.key());
    if kind == other.kind() { Some(key) } else { key_of(other.kind(), sample_of(kind, &key)) }
}

/// A figure of what a counter tracks: none where it tracks nothing, 0 where another table has no such key.
fn sc<'a>(args: &'a [Arg], ctx: Ctx<'a>, shape: Shape, figure: Figure) -> Option<Sample<'a>> {
    let (tracked, other) = counter(args, ctx, shape)?;
    let (now, index) = (now_ms(ctx), shape.index(args));
    match other {
        None => tracked.with(now, |entry| figure.of(entry, index)),
        Some(other) => {
            let key = key_in(tracked, other, now)?;
            match other.look(&key, now, |entry| figure.of(entry, index)) {
                Some(found) => found,
                None => Some(0),
            }
        }
    }
    .map(Sample::Int)
}

/// A figure of the client's address.
fn src<'a>(args: &'a [Arg], ctx: Ctx<'a>, figure: Figure, has_index: bool) -> Option<Sample<'a>> {
    let index = if has_index { usize::try_from(args.int(0)?).ok()? } else { 0 };
    let Some(Arg::Table(cell)) = args.get(usize::from(has_index)) else { return None };
    let table = cell.get()?;
    let key = key_of_address(table.kind(), ctx.txn.client.inet()?.ip())?;
    let now = now_ms(ctx);
    let found = match figure {
        Figure::Increment(..) | Figure::Clear(_) => table.update(&key, now, |entry| figure.of(entry, index)),
        _ => table.look(&key, now, |entry| figure.of(entry, index)),
    };
    found.unwrap_or(Some(0)).map(Sample::Int)
}

/// `src_updt_conn_cnt`: counts a connection, and tells how many there were.
fn update<'a>(args: &'a [Arg], ctx: Ctx<'a>) -> Option<Sample<'a>> {
    let Some(Arg::Table(cell)) = args.first() else { return None };
    let table = cell.get()?;
    let key = key_of_address(table.kind(), ctx.txn.client.inet()?.ip())?;
    let count = |entry: &mut crate::stick::Entry<'_>| {
        entry.add(Data::ConnCnt, 0, 1);
        entry.value(Data::ConnCnt, 0)
    };
    table.update(&key, now_ms(ctx), count)?.map(Sample::Int)
}

fn is_tracked<'a>(args: &'a [Arg], ctx: Ctx<'a>, shape: Shape) -> Option<Sample<'a>> {
    let is_there = counter(args, ctx, shape).is_some_and(|(tracked, other)| match other {
        None => true,
        Some(other) => {
            let now = now_ms(ctx);
            key_in(tracked, other, now).is_some_and(|key| other.look(&key, now, |_| ()).is_some())
        }
    });
    Some(Sample::Bool(is_there))
}

fn key<'a>(args: &'a [Arg], ctx: Ctx<'a>, shape: Shape) -> Option<Sample<'a>> {
    let (tracked, _) = counter(args, ctx, shape)?;
    let key = tracked.with(now_ms(ctx), |entry| entry.key());
    Some(sample_of(tracked.table().kind(), &key))
}

fn table(args: &[Arg]) -> Option<&Table> {
    match args.first()? {
        Arg::Table(cell) => cell.get().map(|table| &**table),
        _ => None,
    }
}

/// One figure by any counter, by counters 0 to 2, and by the client's address.
macro_rules! figures {
    ($($name:literal $since:literal $doc:literal: $figure:expr;)*) => {
        &[$(
            Fetch::new(Word::full(concat!("sc_", $name), "<counter>[,<table>]", $doc, concat!("sc_", $name, "(0)"), $since), T::Int, N, |a, c, _| sc(a, c, LISTED, $figure)).args(COUNTER),
            Fetch::new(Word::full(concat!("sc0_", $name), "[<table>]", $doc, concat!("sc0_", $name), $since), T::Int, N, |a, c, _| sc(a, c, numbered(0), $figure)).args(MAY_TABLE),
            Fetch::new(Word::full(concat!("sc1_", $name), "[<table>]", $doc, concat!("sc1_", $name), $since), T::Int, N, |a, c, _| sc(a, c, numbered(1), $figure)).args(MAY_TABLE),
            Fetch::new(Word::full(concat!("sc2_", $name), "[<table>]", $doc, concat!("sc2_", $name), $since), T::Int, N, |a, c, _| sc(a, c, numbered(2), $figure)).args(MAY_TABLE),
            Fetch::new(Word::full(concat!("src_", $name), "[<table>]", $doc, concat!("src_", $name, "(clients)"), $since), T::Int, N, |a, c, _| src(a, c, $figure, false)).args(TABLE),
        )*]
    };
}

#[rustfmt::skip]
static FIGURES: &[Fetch] = figures! {
    "bytes_in_rate" "1.5" "Bytes from the client in the table's period.": Figure::Value(Data::BytesInRate);
    "bytes_out_rate" "1.5" "Bytes to the client in the table's period.": Figure::Value(Data::BytesOutRate);
    "clr_gpc0" "1.5" "Sets the first general purpose counter to 0; tells what it was.": Figure::Clear(Data::Gpc0);
    "clr_gpc1" "1.8" "Sets the second general purpose counter to 0; tells what it was.": Figure::Clear(Data::Gpc1);
    "conn_cnt" "1.4" "Connections so far.": Figure::Value(Data::ConnCnt);
    "conn_cur" "1.4" "Connections now.": Figure::Value(Data::ConnCur);
    "conn_rate" "1.4" "Connections in the table's period.": Figure::Value(Data::ConnRate);
    "get_gpc0" "1.4" "The first general purpose counter.": Figure::Value(Data::Gpc0);
    "get_gpc1" "1.8" "The second general purpose counter.": Figure::Value(Data::Gpc1);
    "get_gpt0" "1.7" "The first general purpose tag.": Figure::Value(Data::Gpt0);
    "glitch_cnt" "3.0" "Glitches of the client's connections so far.": Figure::Value(Data::GlitchCnt);
    "glitch_rate" "3.0" "Glitches of the client's connections in the table's period.": Figure::Value(Data::GlitchRate);
    "gpc0_rate" "1.5" "How much the first general purpose counter grew in the table's period.": Figure::Value(Data::Gpc0Rate);
    "gpc1_rate" "1.8" "How much the second general purpose counter grew in the table's period.": Figure::Value(Data::Gpc1Rate);
    "http_err_cnt" "1.4" "Requests so far that were wrong, denied or answered with 4xx.": Figure::Value(Data::HttpErrCnt);
    "http_err_rate" "1.4" "The same in the table's period.": Figure::Value(Data::HttpErrRate);
    "http_fail_cnt" "2.4" "Requests so far that the server failed at.": Figure::Value(Data::HttpFailCnt);
    "http_fail_rate" "2.4" "The same in the table's period.": Figure::Value(Data::HttpFailRate);
    "http_req_cnt" "1.4" "Requests so far.": Figure::Value(Data::HttpReqCnt);
    "http_req_rate" "1.4" "Requests in the table's period.": Figure::Value(Data::HttpReqRate);
    "inc_gpc0" "1.4" "Adds 1 to the first general purpose counter; tells what it is then.": Figure::Increment(Data::Gpc0, Data::Gpc0Rate);
    "inc_gpc1" "1.8" "Adds 1 to the second general purpose counter; tells what it is then.": Figure::Increment(Data::Gpc1, Data::Gpc1Rate);
    "kbytes_in" "1.4" "Kilobytes from the client so far.": Figure::Kilobytes(Data::BytesInCnt);
    "kbytes_out" "1.4" "Kilobytes to the client so far.": Figure::Kilobytes(Data::BytesOutCnt);
    "sess_cnt" "1.4" "Sessions so far: connections that rules let in.": Figure::Value(Data::SessCnt);
    "sess_rate" "1.4" "Sessions in the table's period.": Figure::Value(Data::SessRate);
};

/// One figure of an array.
macro_rules! elements {
    ($($name:literal $doc:literal: $figure:expr;)*) => {
        &[$(
            Fetch::new(Word::full(concat!("sc_", $name), "<index>,<counter>[,<table>]", $doc, concat!("sc_", $name, "(0,0)"), "2.5"), T::Int, N, |a, c, _| sc(a, c, INDEXED, $figure)).args(INDEX_COUNTER),
            Fetch::new(Word::full(concat!("src_", $name), "<index>[,<table>]", $doc, concat!("src_", $name, "(0,clients)"), "2.5"), T::Int, N, |a, c, _| src(a, c, $figure, true)).args(INDEX_TABLE),
        )*]
    };
}

#[rustfmt::skip]
static ELEMENTS: &[Fetch] = elements! {
    "clr_gpc" "Sets a general purpose counter to 0; tells what it was.": Figure::Clear(Data::Gpc);
    "get_gpc" "A general purpose counter.": Figure::Value(Data::Gpc);
    "get_gpt" "A general purpose tag.": Figure::Value(Data::Gpt);
    "gpc_rate" "How much a general purpose counter grew in the table's period.": Figure::Value(Data::GpcRate);
    "inc_gpc" "Adds 1 to a general purpose counter; tells what it is then.": Figure::Increment(Data::Gpc, Data::GpcRate);
};

/// What a counter tracks.
macro_rules! tracked {
    ($($name:literal $args:literal $example:literal $spec:expr, $own:expr, $shape:expr;)*) => {
        &[$(
            Fetch::new(Word::full(concat!($name, "_tracked"), $args, "Whether the counter tracks something.", concat!($name, "_tracked", $example), "1.5"), T::Bool, N, |a, c, _| is_tracked(a, c, $shape)).args($spec),
            Fetch::new(Word::full(concat!($name, "_trackers"), $args, "How many track the same entry now.", concat!($name, "_trackers", $example), "1.5"), T::Int, N, |a, c, _| sc(a, c, $shape, Figure::Trackers)).args($spec),
            Fetch::new(Word::full(concat!($name, "_key"), $args, "The key of what the counter tracks.", concat!($name, "_key", $example), "3.1"), T::Any, N, |a, c, _| key(a, c, $shape)).args($own),
        )*]
    };
}

#[rustfmt::skip]
static TRACKED: &[Fetch] = tracked! {
    "sc" "<counter>[,<table>]" "(0)" COUNTER, ArgSpec::new(1, &[ArgKind::Int]), LISTED;
    "sc0" "[<table>]" "" MAY_TABLE, ArgSpec::NONE, numbered(0);
    "sc1" "[<table>]" "" MAY_TABLE, ArgSpec::NONE, numbered(1);
    "sc2" "[<table>]" "" MAY_TABLE, ArgSpec::NONE, numbered(2);
};

#[rustfmt::skip]
static TABLES: &[Fetch] = &[
    Fetch::new(Word::full("src_updt_conn_cnt", "[<table>]", "Counts a connection of the client's address; tells how many there were.", "src_updt_conn_cnt(clients)", "1.4"), T::Int, N, |a, c, _| update(a, c)).args(TABLE),
    Fetch::new(Word::full("table_avl", "[<table>]", "Entries that there is room for.", "table_avl(clients)", "1.5"), T::Int, N, |a, c, _| {
        let table = table(a)?;
        table.expire(now_ms(c), SOME);
        Some(Sample::Int(i64::from(table.size().saturating_sub(table.used()))))
    }).args(TABLE),
    Fetch::new(Word::full("table_cnt", "[<table>]", "Entries.", "table_cnt(clients)", "1.5"), T::Int, N, |a, c, _| {
        let table = table(a)?;
        table.expire(now_ms(c), SOME);
        Some(Sample::Int(i64::from(table.used())))
    }).args(TABLE),
];

/// Expired entries that are removed before those left are counted.
const SOME: usize = 64;

pub static FETCHES: [&[Fetch]; 4] = [FIGURES, ELEMENTS, TRACKED, TABLES];
