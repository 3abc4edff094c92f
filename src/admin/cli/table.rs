//! Commands about stick tables.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::clock;
use crate::config::global::CliLevel::{Operator, User};
use crate::stick::table::Removal;
use crate::stick::{Data, Entry, Key, KeyKind, Shape, Table};

use super::command::Command;
use super::session::{Answer, Session};
use super::words::Args;

pub static COMMANDS: &[Command] = &[
    Command::new(
        User,
        "show table",
        "[<table> [ data.<type> <operator> <value> ]* | [ key <key> ]]",
        "Stick tables, or the entries of one.",
        "show table",
        "1.3",
        show,
    ),
    Command::new(
        User,
        "set table",
        "<table> key <key> [data.<type> <value>]*",
        "Set values of a stick table's entry.",
        "set table clients key 10.0.0.1 data.gpc0 1",
        "1.5",
        set,
    ),
    Command::new(
        User,
        "clear table",
        "<table> [ data.<type> <operator> <value> ]* | [ key <key> ]",
        "Remove entries of a stick table.",
        "clear table clients key 10.0.0.1",
        "1.4",
        clear,
    ),
];

/// Most conditions of a command.
const MOST_FILTERS: usize = 4;

/// `data.<type> <operator> <value>`.
struct Filter {
    data: Data,
    holds: fn(i64, i64) -> bool,
    value: i64,
}

/// A command goes on with this, or it ends with this answer.
type Read<T> = Result<T, Answer>;

fn table(session: &Session, args: &Args) -> Read<Arc<Table>> {
    let config = session.control.config();
    config.tables.find(args.at(2)).cloned().ok_or_else(|| Answer::error("No such table\n"))
}

/// What a command is told that it does not understand.
fn usage(args: &Args) -> Answer {
    Answer::error(match args.at(0) {
        "set" => "Required arguments: <table> key <key> [data.<store_data_type> <value>]*\n",
        "clear" => {
            "Required arguments: <table> \"data.<store_data_type>\" <operator> <value> or <table> key <key>\n"
        }
        _ => "Optional argument only supports \"data.<store_data_type>\" <operator> <value> and key <key>\n",
    })
}

/// A data type that the table itself stores, as word `at` names it behind `data.`.
fn stored(table: &Table, name: &str) -> Result<Data, &'static str> {
    let data = Data::of(name).ok_or("Unknown data type\n")?;
    if table.spec().store.iter().any(|stored| stored.data == data) {
        Ok(data)
    } else {
        Err("Data type not stored in this table\n")
    }
}

fn filters(table: &Table, args: &Args) -> Read<Vec<Filter>> {
    let mut list = Vec::new();
    let mut at = 3;
    while !args.at(at).is_empty() {
        if list.len() == MOST_FILTERS {
            let (number, before) = (at + 1, args.at(at - 1));
            return Err(Answer::error(format!(
                "Detected extra data in filter, {number}th word of input, after '{before}'\n"
            )));
        }
        let wrong = |text: &str| Answer::error(format!("Filter entry #{}: {text}", list.len() + 1));
        let name = args.at(at).strip_prefix("data.").unwrap_or_default();
        let data = stored(table, name).map_err(wrong)?;
        let holds: fn(i64, i64) -> bool = match args.at(at + 1) {
            "eq" => |a, b| a == b,
            "ne" => |a, b| a != b,
            "le" => |a, b| a <= b,
            "ge" => |a, b| a >= b,
            "lt" => |a, b| a < b,
            "gt" => |a, b| a > b,
            _ => {
                return Err(wrong(
                    "Require and operator among \"eq\", \"ne\", \"le\", \"ge\", \"lt\", \"gt\"\n",
                ));
            }
        };
        let value = args.at(at + 2).parse();
        let value = value.map_err(|_| wrong("Require a valid integer value to compare against\n"))?;
        list.push(Filter { data, holds, value });
        at += 3;
    }
    Ok(list)
}

/// What of the table a command is about.
enum Scope {
    All,
    Filtered(Vec<Filter>),
    Key(Key),
}

fn scope(table: &Table, args: &Args) -> Read<Scope> {
    match args.at(3) {
        "" => Ok(Scope::All),
        "key" => key(table, args).map(Scope::Key),
        word if word.starts_with("data.") => filters(table, args).map(Scope::Filtered),
        _ => Err(usage(args)),
    }
}

fn key(table: &Table, args: &Args) -> Read<Key> {
    let text = args.at(4);
    if text.is_empty() {
        return Err(Answer::error("Key value expected\n"));
    }
    if matches!(table.kind(), KeyKind::Binary(_)) {
        let what = match args.at(0) {
            "show" => "Showing keys from",
            "set" => "Inserting keys into",
            _ => "Removing keys from",
        };
        return Err(Answer::error(format!(
            "{what} tables of type other than ip, ipv6, string and integer is not supported\n"
        )));
    }
    table.kind().parse(text).ok_or_else(|| Answer::error("Invalid key\n"))
}

fn denied() -> Answer {
    Answer::error("Permission denied\n")
}

fn ended(result: Read<Answer>) -> Answer {
    result.unwrap_or_else(|answer| answer)
}

fn head(table: &Table, out: &mut String) {
    let kind = table.kind().name();
    // Writing to a String cannot fail.
    let (name, size, used) = (&table.name, table.size(), table.used());
    let _ = writeln!(out, "# table: {name}, type: {kind}, size:{size}, used:{used}");
}

fn line(table: &Table, entry: &mut Entry<'_>, out: &mut String) {
    let _ = write!(out, "{:#x}: key=", 0x1000 + entry.number() * 64);
    entry.key().show(table.kind(), out);
    let _ = write!(out, " use={} exp={}", entry.refs(), entry.remaining_ms());
    for stored in &table.spec().store {
        for index in 0..usize::from(stored.count) {
            let name = stored.data.name();
            let _ = match stored.data {
                Data::Gpt => write!(out, " gpt{index}="),
                Data::Gpc => write!(out, " gpc{index}="),
                Data::GpcRate => write!(out, " gpc{index}_rate({})=", stored.period_ms),
                data if data.shape() == Shape::Rate => write!(out, " {name}({})=", stored.period_ms),
                _ => write!(out, " {name}="),
            };
            let _ = match stored.data {
                Data::ServerKey => write!(out, "{}", entry.server_key().as_deref().unwrap_or("-")),
                data => write!(out, "{}", entry.value(data, index).unwrap_or_default()),
            };
        }
    }
    out.push('\n');
}

fn is_meant(filters: &[Filter], entry: &Entry<'_>) -> bool {
    let value = |data| match data {
        Data::ServerKey => 0,
        _ => entry.value(data, 0).unwrap_or_default(),
    };
    filters.iter().all(|filter| (filter.holds)(value(filter.data), filter.value))
}

fn show(session: &mut Session, args: &Args) -> Answer {
    let now = clock::now_ms();
    let mut out = String::new();
    if args.at(2).is_empty() {
        // The last line of the file comes first, as in HAProxy.
        for table in session.control.config().tables.list.iter().rev() {
            table.expire(now, usize::MAX);
            head(table, &mut out);
        }
        return Answer::Dump(out);
    }
    ended(entries(session, args))
}

/// The entries that `show table` asks for.
fn entries(session: &Session, args: &Args) -> Read<Answer> {
    let (now, mut out) = (clock::now_ms(), String::new());
    let table = table(session, args)?;
    let scope = scope(&table, args)?;
    if session.level < Operator {
        head(&table, &mut out);
        out.push_str("# contents not dumped due to insufficient privileges\n");
        return Ok(Answer::Dump(out));
    }
    let filters = match scope {
        Scope::Key(key) => {
            let mut text = String::new();
            if table.look(&key, now, |entry| line(&table, entry, &mut text)).is_some() {
                head(&table, &mut out);
                out.push_str(&text);
            }
            return Ok(Answer::Dump(out));
        }
        Scope::All => Vec::new(),
        Scope::Filtered(filters) => filters,
    };
    let mut lines = Vec::new();
    table.walk(now, |entry| {
        if is_meant(&filters, entry) {
            let mut text = String::new();
            line(&table, entry, &mut text);
            lines.push((entry.key().sorted(table.kind()), text));
        }
        false
    });
    head(&table, &mut out);
    lines.sort_unstable();
    out.extend(lines.into_iter().map(|(_, text)| text));
    Ok(Answer::Dump(out))
}

fn set(session: &mut Session, args: &Args) -> Answer {
    ended(change(session, args))
}

fn change(session: &Session, args: &Args) -> Read<Answer> {
    if args.at(2).is_empty() {
        return Err(usage(args));
    }
    let table = table(session, args)?;
    let key = match args.at(3) {
        "" => return Ok(Answer::Done),
        "key" => key(&table, args)?,
        word if word.starts_with("data.") => {
            return Ok(Answer::error(
                "content-based lookup is only supported with the \"show\" and \"clear\" actions\n",
            ));
        }
        _ => return Err(usage(args)),
    };
    let mut values = Vec::new();
    for at in (5..).step_by(2).take_while(|at| !args.at(*at).is_empty()) {
        let Some(name) = args.at(at).strip_prefix("data.") else {
            return Err(Answer::error("\"data.<type>\" followed by a value expected\n"));
        };
        let data = stored(&table, name).map_err(Answer::error)?;
        let value = args.at(at + 1).parse::<i64>();
        let value = value.map_err(|_| Answer::error("Require a valid integer value to store\n"))?;
        values.push((data, value));
    }
    if session.level < Operator {
        return Err(denied());
    }
    let done = table.update(&key, clock::now_ms(), |entry| {
        for (data, value) in values.into_iter().filter(|(data, _)| *data != Data::ServerKey) {
            entry.set(data, 0, value.cast_unsigned());
        }
    });
    match done {
        Some(()) => Ok(Answer::Done),
        None => Err(Answer::error("Unable to allocate a new entry\n")),
    }
}

fn clear(session: &mut Session, args: &Args) -> Answer {
    ended(remove(session, args))
}

fn remove(session: &Session, args: &Args) -> Read<Answer> {
    if args.at(2).is_empty() {
        return Err(usage(args));
    }
    let now = clock::now_ms();
    let table = table(session, args)?;
    let scope = scope(&table, args)?;
    if session.level < Operator {
        return Ok(match scope {
            Scope::Key(_) => denied(),
            _ => Answer::Done,
        });
    }
    let filters = match scope {
        Scope::Key(key) => {
            return match table.remove(&key, now) {
                Removal::InUse => Err(Answer::error("Entry currently in use, cannot remove\n")),
                Removal::Done | Removal::Absent => Ok(Answer::Done),
            };
        }
        Scope::All => Vec::new(),
        Scope::Filtered(filters) => filters,
    };
    table.walk(now, |entry| is_meant(&filters, entry));
    Ok(Answer::Done)
}
