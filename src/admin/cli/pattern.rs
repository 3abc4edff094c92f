//! Commands about the patterns of ACLs and maps.

use std::fmt::Write;
use std::sync::Arc;

use crate::config::global::CliLevel::Admin;
use crate::rules::SampleType;
use crate::rules::pattern::{Entry, Found, Key, Lookup, MATCHES, PatternRef, Reading};

use super::command::Command;
use super::session::{Answer, Session, Severity};
use super::words::Args;

pub static COMMANDS: &[Command] = &[
    Command::new(
        Admin,
        "show acl",
        "[[@<ver>] <acl>]",
        "ACLs, or the patterns of one.",
        "show acl",
        "1.5",
        show,
    ),
    Command::new(
        Admin,
        "show map",
        "[[@<ver>] <map>]",
        "Maps, or the entries of one.",
        "show map",
        "1.5",
        show,
    ),
    Command::new(
        Admin,
        "get acl",
        "<acl> <value>",
        "What of an ACL matches a value.",
        "get acl #1 10.0.0.1",
        "1.5",
        get,
    ),
    Command::new(
        Admin,
        "get map",
        "<map> <value>",
        "What of a map matches a value.",
        "get map hosts.map a",
        "1.5",
        get,
    ),
    Command::new(
        Admin,
        "add acl",
        "[@<ver>] <acl> <pattern>",
        "Add a pattern to an ACL.",
        "add acl #1 10.0.0.1",
        "1.5",
        add,
    ),
    Command::new(
        Admin,
        "add map",
        "[@<ver>] <map> <key> <value>",
        "Add an entry to a map; several with a payload.",
        "add map hosts.map a b",
        "1.5",
        add,
    ),
    Command::new(
        Admin,
        "set map",
        "<map> <key>|#<ref> <value>",
        "Change the value of a map's entry.",
        "set map hosts.map a c",
        "1.5",
        set,
    ),
    Command::new(
        Admin,
        "del acl",
        "<acl> <pattern>|#<ref>",
        "Remove a pattern from an ACL.",
        "del acl #1 10.0.0.1",
        "1.5",
        delete,
    ),
    Command::new(
        Admin,
        "del map",
        "<map> <key>|#<ref>",
        "Remove an entry from a map.",
        "del map hosts.map a",
        "1.5",
        delete,
    ),
    Command::new(
        Admin,
        "clear acl",
        "[@<ver>] <acl>",
        "Remove all patterns of an ACL.",
        "clear acl #1",
        "1.5",
        clear,
    ),
    Command::new(
        Admin,
        "clear map",
        "[@<ver>] <map>",
        "Remove all entries of a map.",
        "clear map hosts.map",
        "1.5",
        clear,
    ),
    Command::new(
        Admin,
        "prepare acl",
        "<acl>",
        "Begin a new version of an ACL.",
        "prepare acl #1",
        "2.4",
        prepare,
    ),
    Command::new(
        Admin,
        "prepare map",
        "<map>",
        "Begin a new version of a map.",
        "prepare map hosts.map",
        "2.4",
        prepare,
    ),
    Command::new(
        Admin,
        "commit acl",
        "@<ver> <acl>",
        "Use a version of an ACL.",
        "commit acl @1 #1",
        "2.4",
        commit,
    ),
    Command::new(
        Admin,
        "commit map",
        "@<ver> <map>",
        "Use a version of a map.",
        "commit map @1 hosts.map",
        "2.4",
        commit,
    ),
];

/// What a command names: version, reference and the words behind them.
struct Named {
    list: Arc<PatternRef>,
    version: Option<u32>,
    /// Where the words behind the reference begin.
    rest: usize,
}

fn is_map(args: &Args) -> bool {
    args.at(1) == "map"
}

/// `ACL` or `map`, as messages have it.
fn noun(args: &Args) -> &'static str {
    if is_map(args) { "map" } else { "ACL" }
}

/// Whether the command takes lists of the other kind too, as HAProxy's do.
fn takes_both(args: &Args) -> bool {
    matches!(args.at(0), "get" | "set" | "add")
}

fn named(session: &Session, args: &Args) -> Result<Named, Answer> {
    let version = args.at(2).strip_prefix('@').map(number);
    let at = 2 + usize::from(version.is_some());
    let word = args.at(at);
    if word.is_empty() && matches!(args.at(0), "clear" | "commit") {
        return Err(Answer::error(format!("Missing {} identifier.\n", noun(args))));
    }
    let config = session.control.config();
    let found = config.patterns.find(word).filter(|r| takes_both(args) || r.is_map == is_map(args));
    match found {
        Some(list) => Ok(Named { list: list.clone(), version, rest: at + 1 }),
        None => {
            let noun = if args.at(0) == "del" { "map" } else { noun(args) };
            Err(Answer::error(format!("Unknown {noun} identifier. Please use #<id> or <file>.\n")))
        }
    }
}

/// A version's number; what is no digit ends it, as in HAProxy.
fn number(word: &str) -> u32 {
    let digits = word.bytes().take_while(u8::is_ascii_digit);
    digits.fold(0u32, |n, digit| n.wrapping_mul(10).wrapping_add(u32::from(digit - b'0')))
}

/// Runs `run` on what the command names.
fn with(session: &Session, args: &Args, run: impl FnOnce(Named) -> Answer) -> Answer {
    match named(session, args) {
        Ok(named) => run(named),
        Err(answer) => answer,
    }
}

fn show(session: &mut Session, args: &Args) -> Answer {
    if args.at(2).is_empty() {
        return Answer::Dump(list(session, args));
    }
    with(session, args, |named| {
        let mut text = String::new();
        for entry in named.list.entries(named.version).iter() {
            let (id, key) = (0x1000 + entry.id * 64, String::from_utf8_lossy(entry.key));
            // Writing to a String cannot fail.
            let _ = match &entry.value {
                Some(value) => writeln!(text, "{id:#x} {key} {}", String::from_utf8_lossy(value)),
                None => writeln!(text, "{id:#x} {key}"),
            };
        }
        Answer::Dump(text)
    })
}

fn list(session: &Session, args: &Args) -> String {
    let mut text = String::from("# id (file) description\n");
    let config = session.control.config();
    for (id, reference) in config.patterns.numbered() {
        if reference.is_map != is_map(args) {
            continue;
        }
        let (current, next, count) = reference.versions();
        let file = reference.file.as_deref().unwrap_or_default();
        let description = &reference.description;
        let _ = writeln!(
            text,
            "{id} ({file}) {description}. curr_ver={current} next_ver={next} entry_cnt={count}"
        );
    }
    text
}

fn get(session: &mut Session, args: &Args) -> Answer {
    if args.at(2).is_empty() || args.at(3).is_empty() {
        return Answer::error(format!("Missing {} identifier and/or key.\n", noun(args)));
    }
    with(session, args, |named| {
        let found = named.list.lookup(args.at(3).as_bytes());
        Answer::Dump(found.iter().map(|lookup| line(lookup, is_map(args))).collect())
    })
}

/// One use of the list, as `get` tells it.
fn line(lookup: &Lookup, is_map: bool) -> String {
    let reading = lookup.reading;
    let method = MATCHES.iter().find(|m| m.method == reading.method).map_or("", |m| m.entry.name);
    let case = if reading.ignore_case { "insensitive" } else { "sensitive" };
    let (what, noun) = if is_map { ("found", "key") } else { ("match", "pattern") };
    let found = match &lookup.found {
        Found::Nothing => "no".to_owned(),
        Found::Anything => format!("yes, idx=list, {noun}=unknown"),
        Found::Entry(entry, is_tree) => {
            let index = if *is_tree { "tree" } else { "list" };
            let key = String::from_utf8_lossy(&entry.key);
            let value = if is_map { value(entry, reading) } else { String::new() };
            format!("yes, idx={index}, {noun}=\"{key}\"{value}")
        }
    };
    format!("type={method}, case={case}, {what}={found}\n")
}

fn value(entry: &Entry, reading: Reading) -> String {
    match (&entry.value, reading.out) {
        (Some(value), Some(out)) => {
            let kind = match (out, entry.value.as_deref().unwrap_or_default().contains(&b':')) {
                (SampleType::Addr, true) => SampleType::Ipv6.name(),
                (SampleType::Addr, false) => SampleType::Ipv4.name(),
                _ => out.name(),
            };
            format!(", value=\"{}\", type=\"{kind}\"", String::from_utf8_lossy(value))
        }
        _ => ", value=none".to_owned(),
    }
}

fn add(session: &mut Session, args: &Args) -> Answer {
    with(session, args, |named| {
        let (list, version) = (&named.list, named.version);
        if list.is_map && !is_map(args) {
            return Answer::error(
                "This ACL is shared with a map containing samples. You must use the command 'add map' to add values.\n",
            );
        }
        if version.is_some_and(|v| v > list.versions().1) {
            let noun = args.at(1);
            return Answer::error(format!(
                "Version number in the future, please use 'prepare {noun}' before.\n"
            ));
        }
        let (key, value) = (args.at(named.rest), args.at(named.rest + 1));
        let entries: Vec<(&str, Option<&str>)> = match (&args.payload, is_map(args)) {
            (Some(payload), true) => {
                payload.lines().filter(|l| !l.trim().is_empty()).map(key_and_value).collect()
            }
            (_, true) if key.is_empty() || value.is_empty() => {
                return Answer::error(
                    "'add map' expects three parameters (map identifier, key and value) or one parameter (map \
                     identifier) and a payload\n",
                );
            }
            (_, true) => vec![(key, Some(value))],
            (_, false) if key.is_empty() => {
                return Answer::error("'add acl' expects two parameters: ACL identifier and pattern.\n");
            }
            (_, false) => vec![(key, None)],
        };
        for (key, value) in entries {
            if is_map(args) && value.is_none_or(str::is_empty) {
                return Answer::error(format!("Missing value for key '{key}'.\n"));
            }
            if let Err(e) = list.add(key.as_bytes(), value.map(str::as_bytes), version) {
                return Answer::error(format!("{e}.\n"));
            }
        }
        Answer::Done
    })
}

/// A line of a payload.
fn key_and_value(line: &str) -> (&str, Option<&str>) {
    match line.trim_start().split_once([' ', '\t']) {
        Some((key, value)) => (key, Some(value.trim())),
        None => (line.trim(), None),
    }
}

/// `#0x...` names one entry, anything else all entries with this text.
fn key(word: &str) -> Result<Key<'_>, Answer> {
    let Some(id) = word.strip_prefix("#0x") else { return Ok(Key::Text(word.as_bytes())) };
    match u64::from_str_radix(id, 16) {
        Ok(shown) => Ok(Key::Id(shown.saturating_sub(0x1000) / 64)),
        Err(_) => Err(Answer::error("Malformed identifier. Please use #<id> or <file>.\n")),
    }
}

fn set(session: &mut Session, args: &Args) -> Answer {
    if args.at(3).is_empty() || args.at(4).is_empty() {
        return Answer::error("'set map' expects three parameters: map identifier, key and value.\n");
    }
    with(session, args, |named| match key(args.at(3)) {
        Err(answer) => answer,
        Ok(key) => match named.list.set(key, args.at(4).as_bytes()) {
            Ok(0) => Answer::error("entry not found.\n"),
            Ok(_) => Answer::Done,
            Err(e) => Answer::error(format!("{e}.\n")),
        },
    })
}

fn delete(session: &mut Session, args: &Args) -> Answer {
    if args.at(3).is_empty() {
        let noun = noun(args);
        return Answer::error(format!("This command expects two parameters: {noun} identifier and key.\n"));
    }
    with(session, args, |named| match key(args.at(3)) {
        Err(answer) => answer,
        Ok(key) if named.list.delete(key) == 0 => Answer::error("Key not found.\n"),
        Ok(_) => Answer::Done,
    })
}

fn clear(session: &mut Session, args: &Args) -> Answer {
    with(session, args, |named| {
        named.list.clear(named.version);
        Answer::Done
    })
}

fn prepare(session: &mut Session, args: &Args) -> Answer {
    with(session, args, |named| {
        Answer::Message(Severity::Info, format!("New version created: {}\n", named.list.prepare()))
    })
}

fn commit(session: &mut Session, args: &Args) -> Answer {
    if !args.at(2).starts_with('@') {
        return Answer::error("Missing version number.\n");
    }
    with(session, args, |named| match named.list.commit(named.version.unwrap_or_default()) {
        Ok(()) => Answer::Done,
        Err(e) => Answer::error(format!("{e}\n")),
    })
}
