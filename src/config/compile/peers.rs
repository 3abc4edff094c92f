//! `peers` sections: the tables in them, and who the peers are. Nobody speaks with peers yet, so tables are this
//! process's own, as they are in HAProxy while no peer answers.

use crate::lang::args::Args;
use crate::lang::registry::Kind;
use crate::lang::void::is_void_line;
use crate::lang::{Entry, Section, Span, Status};
use crate::stick::Spec;

use super::draft::Cx;
use super::keyword::too_many;
use super::server::invalid_char;

const ALONE: Status = Status::Accepted("nothing is told to peers yet");

/// Lines of the section.
#[rustfmt::skip]
pub const LINES: &[Entry] = &[
    Entry::full("bind", "[<address>]:<port> [param*]", "Where peers connect to this one.", "bind 127.0.0.1:10001", "2.0").with(ALONE),
    Entry::full("default-bind", "[param*]", "Options for 'bind' and for this peer's own address.", "default-bind v4v6", "2.0").with(ALONE),
    Entry::full("default-server", "[param*]", "Options for the peers that follow.", "default-server inter 3s", "2.0").with(ALONE),
    Entry::full("disabled", "", "Turns the section off; its tables stay.", "disabled", "1.5").with(ALONE),
    Entry::full("enabled", "", "Undoes 'disabled'.", "enabled", "1.5").with(ALONE),
    Entry::full("log", "<target> [len <length>] [format <format>] [sample <ranges>:<size>] <facility> [<level> [<minlevel>]]", "Where lines about peers go.", "log global", "2.0").with(ALONE),
    Entry::full("peer", "<name> <address>:<port> [param*]", "A peer, or this process itself by its name ('localpeer').", "peer other 127.0.0.1:10002", "1.5").with(ALONE),
    Entry::full("server", "<name> [<address>:<port>] [param*]", "The same as 'peer'.", "server other 127.0.0.1:10002", "2.0").with(ALONE),
    Entry::full("shards", "<count>", "Parts in which tables are told to peers.", "shards 2", "2.6").with(ALONE),
    Entry::full("table", "<name> type <type> size <size> ...", "A stick table of no proxy; rules name it with the section's name and a slash before its own. See 'stick-table'.", "table clients type ip size 1m", "2.0"),
];

/// A section, as far as it matters here.
pub struct Peers<'a> {
    pub name: &'a str,
    /// By the names that rules know them by.
    pub tables: Vec<(String, Spec, Span)>,
}

/// Reads a section.
pub fn section<'a>(cx: &mut Cx<'a>, section: &'a Section) -> Option<Peers<'a>> {
    let head = Args::of(&section.head);
    let name = head.str(1);
    if name.is_empty() {
        cx.diags.alert(head.span, "'peers' expects a name.");
        return None;
    }
    if let Some(c) = invalid_char(name, true) {
        cx.diags.alert(head.at(1), format!("character '{c}' is not permitted in 'peers' name '{name}'."));
    }
    if too_many(cx, head, 0, 1) {
        return None;
    }
    let mut peers = Peers { name, tables: Vec::new() };
    for line in &section.lines {
        let args = Args::of(line);
        if is_void_line(Kind::In("peers"), args.words) {
            continue;
        }
        match args.str(0) {
            "table" => table(cx, &mut peers, args),
            "peer" | "server" | "shards" if args.str(1).is_empty() => {
                cx.diags.alert(args.span, format!("'{}' expects an argument.", args.str(0)));
            }
            "shards" if args.str(1).parse::<u32>().is_err() => {
                cx.diags.alert(args.at(1), format!("'shards' expects a number, not '{}'.", args.str(1)));
            }
            word if LINES.iter().any(|entry| entry.name == word) => {}
            other => {
                let message = format!("unknown keyword '{other}' in 'peers' section");
                let hint = crate::lang::suggest::hint(other, LINES.iter().map(|entry| entry.name));
                cx.diags.alert_hint(args.at(0), message, hint);
            }
        }
    }
    Some(peers)
}

/// `table <name> type <type> size <size> ...`.
fn table(cx: &mut Cx<'_>, peers: &mut Peers<'_>, args: Args<'_>) {
    let name = format!("{}/{}", peers.name, args.str(1));
    let mut warnings = Vec::new();
    match Spec::parse(args.from(2).words, args.span, &mut |at, text| warnings.push((at, text))) {
        Ok(_) if peers.tables.iter().any(|(other, ..)| *other == name) => {
            cx.diags.alert(args.at(1), format!("there is a table '{name}' already."));
        }
        Ok(spec) => peers.tables.push((name, spec, args.at(0))),
        Err((at, message)) => cx.diags.alert(at, format!("'table': {message}.")),
    }
    for (at, text) in warnings {
        cx.diags.warning(at, format!("'table': {text}"));
    }
}
