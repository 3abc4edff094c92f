//! Counters: `track-sc0` and those after it, and what changes the entries that they track.

use crate::base::clock::MS;
use crate::lang::Entry;
use crate::rules::expr::Expr;
use crate::rules::fetch::Cursor;
use crate::rules::kind::RuleSetKind;
use crate::rules::sample::{Sample, SampleType};
use crate::rules::track::{fits, key_of};
use crate::rules::txn::{Outcome, Txn};
use crate::rules::words::Failed;
use crate::stick::{Data, TableCell, Use};

use super::entry::{Action, ActionKeyword, Input, Run, Sets, Step};
use super::packets::expression;

/// Every counter has a number below this (`tune.stick-counters`).
pub const MOST_COUNTERS: usize = 255;

#[derive(Debug)]
struct Track {
    counter: usize,
    expr: Expr,
    table: TableCell,
}

impl Action for Track {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let Some(table) = self.table.get() else { return Step::Next };
        if run.txn.counters.is_tracking(self.counter) {
            return Step::Next;
        }
        let mut cursor = Cursor::default();
        let sample = self.expr.eval_at(run.ctx(), &mut cursor);
        let Some(sample) = sample else {
            let is_final = !run.kind.waits() || run.txn.has_req || run.txn.inspect_over;
            return if cursor.may_change && !is_final { Step::Done(Outcome::Wait) } else { Step::Next };
        };
        let Some(key) = key_of(table.kind(), sample) else { return Step::Next };
        let now = run.env.now_ns() / MS;
        let seen = Seen::of(run.kind, run.txn);
        let tracked = table.track(&key, now, |entry| {
            for data in [Data::ConnCnt, Data::ConnRate, Data::ConnCur] {
                entry.add(data, 0, 1);
            }
            let counts = [
                (seen.request, Data::HttpReqCnt, Data::HttpReqRate),
                (seen.error, Data::HttpErrCnt, Data::HttpErrRate),
                (seen.failure, Data::HttpFailCnt, Data::HttpFailRate),
            ];
            for (_, counter, rate) in counts.iter().filter(|(is_so, ..)| *is_so) {
                entry.add(*counter, 0, 1);
                entry.add(*rate, 0, 1);
            }
        });
        if let Some(tracked) = tracked {
            run.txn.counters.track(self.counter, tracked.counting());
        }
        Step::Next
    }
}

/// What has happened already when tracking begins.
struct Seen {
    request: bool,
    error: bool,
    failure: bool,
}

impl Seen {
    fn of(kind: RuleSetKind, txn: &Txn) -> Seen {
        let status = if kind.is_response() { txn.res.status } else { 0 };
        Seen { request: txn.has_req, error: is_error(status), failure: is_failure(status) }
    }
}

/// A server's answer that tells of a client's error.
pub fn is_error(status: u16) -> bool {
    (400..500).contains(&status)
}

/// A server's answer that tells of its own failure.
pub fn is_failure(status: u16) -> bool {
    status >= 500 && status != 501 && status != 505
}

/// The number of a counter.
fn counter(text: &str, input: &Input<'_, '_, '_>) -> Result<usize, Failed> {
    let most = input.ctx.stick_counters;
    match text.trim().parse::<usize>() {
        Ok(n) if n < most => Ok(n),
        _ => {
            let least = most.saturating_sub(1);
            let message = format!(
                "'{}': '{text}' is no counter, which have numbers from 0 to {least} (see 'tune.stick-counters')",
                input.name
            );
            input.words.fail(message)
        }
    }
}

fn parse_track(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let counter = counter(input.name.strip_prefix("track-sc").unwrap_or_default(), input)?;
    if input.words.at_end() {
        return input.words.fail(format!("'{}' expects a key", input.name));
    }
    let at = input.words.place();
    let expr = expression(input)?;
    let mut table = input.ctx.table_here;
    let mut place = at;
    if input.words.take("table") {
        let word = input.words.want("the name of a table")?;
        (table, place) = (word.str(), word.span);
    }
    if table.is_empty() {
        return input
            .words
            .fail(format!("'{}' names no table, and a 'defaults' section has none", input.name));
    }
    let out = expr.out();
    let used = Use {
        at: place,
        table: table.into(),
        from: input.ctx.section.into(),
        what: input.name.into(),
        fits: Some(Box::new(move |kind| fits(out, kind))),
        stores_server: false,
    };
    let table = input.ctx.tables.mention(used);
    Ok(Box::new(Track { counter, expr, table }))
}

/// A number as written, or one that an expression makes.
#[derive(Debug)]
enum Amount {
    Constant(u32),
    Expr(Expr),
}

#[derive(Debug)]
enum Change {
    /// The counter and its rate.
    Add(Data, Data),
    Set(Data),
}

#[derive(Debug)]
struct ChangeEntry {
    counter: usize,
    index: usize,
    change: Change,
    amount: Amount,
}

impl Action for ChangeEntry {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let Some(tracked) = run.txn.counters.get(self.counter) else { return Step::Next };
        let amount = match &self.amount {
            Amount::Constant(n) => u64::from(*n),
            Amount::Expr(expr) => match expr.eval_as(run.ctx(), SampleType::Int) {
                Some(Sample::Int(n)) => u64::from(n as u32),
                _ => return Step::Next,
            },
        };
        tracked.with(run.env.now_ns() / MS, |entry| match self.change {
            Change::Add(counter, rate) => {
                entry.add(counter, self.index, amount);
                entry.add(rate, self.index, amount);
            }
            Change::Set(data) => entry.set(data, self.index, amount),
        });
        Step::Next
    }
}

fn parse_change(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let (change, has_index, index) = match input.name {
        "sc-inc-gpc0" => (Change::Add(Data::Gpc0, Data::Gpc0Rate), false, 0),
        "sc-inc-gpc1" => (Change::Add(Data::Gpc1, Data::Gpc1Rate), false, 0),
        "sc-set-gpt0" => (Change::Set(Data::Gpt0), false, 0),
        "sc-set-gpt" => (Change::Set(Data::Gpt), true, 0),
        _ => (Change::Add(Data::Gpc, Data::GpcRate), true, 0),
    };
    let Some(inside) = input.inside else {
        return input.words.fail(format!("'{}' expects a counter in parentheses", input.name));
    };
    let (index, number) = match (has_index, inside.split_once(',')) {
        (true, Some((index, number))) => match index.trim().parse() {
            Ok(index) if index < crate::stick::data::MOST_ELEMENTS => (index, number),
            _ => return input.words.fail(format!("'{}': '{index}' is no index", input.name)),
        },
        (true, None) => return input.words.fail(format!("'{}' expects an index and a counter", input.name)),
        (false, _) => (index, inside),
    };
    let counter = counter(number, input)?;
    let amount = match input.name.starts_with("sc-inc-") {
        true => Amount::Constant(1),
        false => amount(input)?,
    };
    Ok(Box::new(ChangeEntry { counter, index, change, amount }))
}

fn amount(input: &mut Input<'_, '_, '_>) -> Result<Amount, Failed> {
    let word = input.words.peek();
    if let Ok(n) = word.parse() {
        input.words.skip(1);
        return Ok(Amount::Constant(n));
    }
    if input.words.at_end() {
        return input.words.fail(format!("'{}' expects a number or an expression", input.name));
    }
    Ok(Amount::Expr(expression(input)?))
}

const TRACKING: Sets =
    Sets::TCP_CONNECTION.union(Sets::TCP_SESSION).union(Sets::TCP_CONTENT).union(Sets::HTTP_REQ_RES);

const fn change(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
) -> ActionKeyword {
    ActionKeyword::new(Entry::full(name, args, doc, example, since), Sets::all(), parse_change)
}

const fn track(name: &'static str, example: &'static str, since: &'static str) -> ActionKeyword {
    const ARGS: &str = "<key> [table <table>]";
    const DOC: &str = "Tracks the entry of a key by the counter of this number: it counts what happens from here on, and \
                       'sc_...' tell of it. 'tune.stick-counters' says how many counters there are.";
    ActionKeyword::new(Entry::full(name, ARGS, DOC, example, since), TRACKING, parse_track)
}

pub static ACTIONS: &[ActionKeyword] = &[
    track("track-sc0", "track-sc0 src table clients", "1.5"),
    track("track-sc1", "track-sc1 src table clients", "1.5"),
    track("track-sc2", "track-sc2 src table clients", "1.5"),
    change(
        "sc-add-gpc",
        "(<index>,<counter>) <number>|<expr>",
        "Adds to a general purpose counter of what the counter tracks.",
        "sc-add-gpc(0,0) 5",
        "2.8",
    ),
    change(
        "sc-inc-gpc",
        "(<index>,<counter>)",
        "Adds 1 to a general purpose counter of what the counter tracks.",
        "sc-inc-gpc(0,0)",
        "2.5",
    ),
    change(
        "sc-inc-gpc0",
        "(<counter>)",
        "Adds 1 to the first general purpose counter of what the counter tracks.",
        "sc-inc-gpc0(0)",
        "1.7",
    ),
    change(
        "sc-inc-gpc1",
        "(<counter>)",
        "Adds 1 to the second general purpose counter of what the counter tracks.",
        "sc-inc-gpc1(0)",
        "1.8",
    ),
    change(
        "sc-set-gpt",
        "(<index>,<counter>) <number>|<expr>",
        "Sets a general purpose tag of what the counter tracks.",
        "sc-set-gpt(0,0) 5",
        "2.5",
    ),
    change(
        "sc-set-gpt0",
        "(<counter>) <number>|<expr>",
        "Sets the first general purpose tag of what the counter tracks.",
        "sc-set-gpt0(0) 5",
        "1.7",
    ),
];
