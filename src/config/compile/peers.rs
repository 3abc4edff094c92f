//! `peers` sections: the tables in them, who the peers are, and where this process listens for them.

use std::sync::Arc;

use crate::lang::args::{Args, Cursor};
use crate::lang::registry::Kind;
use crate::lang::void::is_void_line;
use crate::lang::{Entry, Place, Section, Span, Status, What};
use crate::model::Address;
use crate::model::notation::{Accept, Port, parse};
use crate::os::process;
use crate::peers::session::Shared;
use crate::peers::spec::Secure;
use crate::peers::{Listen, Remote, Spec};
use crate::stick::{self, Table};

use super::super::proxy::Bind;
use super::declared::{ServerSettings, TlsSettings};
use super::draft::Cx;
use super::keyword::too_many;
use super::server::invalid_char;

/// Of the options of lines about peers.
const SOME: Status =
    Status::Partial("of its options those of TLS and 'default-server' work, others have no effect");

/// Lines of the section.
#[rustfmt::skip]
pub const LINES: &[Entry] = &[
    Entry::full("bind", "[<address>]:<port> [param*]", "Where peers connect to this one.", "bind 127.0.0.1:10001", "2.0").with(Status::Partial("of its options those of TLS and of the socket work, and the first certificate is shown to all")).naming(&[Place::argument(1, What::Bind)]),
    Entry::full("default-bind", "[param*]", "Options for 'bind' and for this peer's own address.", "default-bind v4v6", "2.0"),
    Entry::full("default-server", "[param*]", "Options for the peers that follow.", "default-server inter 3s", "2.0").with(SOME),
    Entry::full("disabled", "", "Turns the section off; its tables stay.", "disabled", "1.5"),
    Entry::full("enabled", "", "Undoes 'disabled'.", "enabled", "1.5"),
    Entry::full("log", "<target> [len <length>] [format <format>] [sample <ranges>:<size>] <facility> [<level> [<minlevel>]]", "Where lines about peers go.", "log global", "2.0").with(Status::Accepted("lines about peers go where those about the process go")),
    Entry::full("peer", "<name> <address>:<port> [param*]", "A peer, or this process itself by its name ('localpeer').", "peer other 127.0.0.1:10002", "1.5").with(SOME).naming(&[Place::argument(2, What::Bind), Place::argument(2, What::Connect)]),
    Entry::full("server", "<name> [<address>:<port>] [param*]", "The same as 'peer'.", "server other 127.0.0.1:10002", "2.0").with(SOME).naming(&[Place::argument(2, What::Bind), Place::argument(2, What::Connect)]),
    Entry::full("shards", "<count>", "Parts in which tables are told to peers.", "shards 2", "2.6").with(Status::Accepted("every peer is told all of every table")),
    Entry::full("table", "<name> type <type> size <size> ...", "A stick table of no proxy; rules name it with the section's name and a slash before its own. See 'stick-table'.", "table clients type ip size 1m", "2.0"),
];

/// A section while it is read.
pub struct Peers<'a> {
    pub name: &'a str,
    at: Span,
    /// By the names that rules know them by.
    pub tables: Vec<(String, stick::Spec, Span)>,
    local: String,
    is_disabled: bool,
    is_member: bool,
    default_bind: Bind,
    default_server: ServerSettings,
    binds: Vec<Bind>,
    remotes: Vec<Declared<'a>>,
}

/// A peer as its line declares it.
struct Declared<'a> {
    name: &'a str,
    at: Span,
    address: Address,
    tls: TlsSettings,
}

/// The name of this process among peers: that of the command line, else that of `global`, else the host's.
fn local_name(cx: &Cx<'_>) -> String {
    let host = process::hostname();
    let told = (cx.inputs.env)("HAPROXY_LOCALPEER").filter(|name| *name != host);
    told.or_else(|| cx.global.localpeer.clone()).unwrap_or(host)
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
    let mut peers = Peers {
        name,
        at: head.span,
        tables: Vec::new(),
        local: local_name(cx),
        is_disabled: false,
        is_member: false,
        default_bind: Bind::new(Address::Fd(-1), head.span),
        default_server: ServerSettings::default(),
        binds: Vec::new(),
        remotes: Vec::new(),
    };
    for line in &section.lines {
        let args = Args::of(line);
        if !is_void_line(Kind::In("peers"), args.words) {
            peers.line(cx, args);
        }
    }
    Some(peers)
}

impl<'a> Peers<'a> {
    fn line(&mut self, cx: &mut Cx<'a>, args: Args<'a>) {
        match args.str(0) {
            "table" => self.table(cx, args),
            "bind" | "peer" | "server" | "shards" if args.str(1).is_empty() => {
                cx.diags.alert(args.span, format!("'{}' expects an argument.", args.str(0)));
            }
            "shards" if args.str(1).parse::<u32>().is_err() => {
                cx.diags.alert(args.at(1), format!("'shards' expects a number, not '{}'.", args.str(1)));
            }
            "disabled" => self.is_disabled = true,
            "enabled" => self.is_disabled = false,
            "default-bind" => {
                let mut words = Cursor::new(args, 1);
                super::bind::options(cx, &mut self.default_bind, &mut words, Some("peers"));
            }
            "default-server" => {
                let title = format!("default-server {}", self.name);
                let mut words = std::mem::take(&mut self.default_server);
                super::server::options(cx, &mut words, Cursor::new(args, 1), &title, true);
                self.default_server = words;
            }
            "bind" => self.bind(cx, args, 1, true),
            "peer" | "server" => self.peer(cx, args),
            word if LINES.iter().any(|entry| entry.name == word) => {}
            other => {
                let message = format!("unknown keyword '{other}' in 'peers' section");
                let hint = crate::lang::suggest::hint(other, LINES.iter().map(|entry| entry.name));
                cx.diags.alert_hint(args.at(0), message, hint);
            }
        }
    }

    /// Where peers connect, from word `i` on.
    fn bind(&mut self, cx: &mut Cx<'a>, args: Args<'a>, i: usize, has_options: bool) {
        let addresses = match super::bind::addresses(args.str(i), &cx.surroundings()) {
            Ok(addresses) => addresses,
            Err(e) => return cx.diags.alert(args.at(i), format!("'{}' : {e}", args.str(0))),
        };
        let mut bind = Bind { declared_at: args.span, ..self.default_bind.clone() };
        bind.tls.written = args.str(i).into();
        if has_options {
            super::bind::options(cx, &mut bind, &mut Cursor::new(args, i + 1), Some("peers"));
        }
        for address in addresses {
            self.binds.push(Bind { address, ..bind.clone() });
        }
    }

    /// `peer <name> <address>`.
    fn peer(&mut self, cx: &mut Cx<'a>, args: Args<'a>) {
        let (word, name) = (args.str(0), args.str(1));
        if let Some(c) = invalid_char(name, true) {
            let message = format!("character '{c}' is not permitted in the name of peer '{name}'.");
            return cx.diags.alert(args.at(1), message);
        }
        let title = format!("{word} {}/{name}", self.name);
        let mut set = self.default_server.clone();
        super::server::options(cx, &mut set, Cursor::new(args, 3), &title, false);
        if *name == self.local {
            self.is_member = true;
            if args.has(2) {
                self.bind(cx, args, 2, false);
            }
            return;
        }
        if !args.has(2) {
            return cx
                .diags
                .alert(args.span, format!("'{word}' expects <name> and <addr>:<port> as arguments."));
        }
        if self.remotes.iter().any(|other| other.name == name) {
            return cx
                .diags
                .alert(args.at(1), format!("there is a peer '{name}' already in 'peers {}'.", self.name));
        }
        // Without a port it is one that only dials: HAProxy takes that, and its tests use it.
        let accept = Accept::RESOLVE | Accept::PORT | Accept::STREAM;
        let address = parse(args.str(2), accept, &cx.surroundings()).map(|written| {
            let port = if let Port::Range(port, _) = written.port { port } else { 0 };
            written.address(port)
        });
        match address {
            Ok(Some(address @ (Address::Inet(_) | Address::Unix(_)))) => {
                self.remotes.push(Declared { name, at: args.span, address, tls: set.tls });
            }
            Ok(_) => {
                let message = format!("'{title}' : '{}' is no address of a peer.", args.str(2));
                cx.diags.alert(args.at(2), message);
            }
            Err(e) => cx.diags.alert(args.at(2), format!("'{title}' : {e}")),
        }
    }

    /// `table <name> type <type> size <size> ...`.
    fn table(&mut self, cx: &mut Cx<'a>, args: Args<'a>) {
        let name = format!("{}/{}", self.name, args.str(1));
        let mut warnings = Vec::new();
        let read =
            stick::Spec::parse(args.from(2).words, args.span, &mut |at, text| warnings.push((at, text)));
        match read {
            Ok(_) if self.tables.iter().any(|(other, ..)| *other == name) => {
                cx.diags.alert(args.at(1), format!("there is a table '{name}' already."));
            }
            Ok(stick::Spec { cluster: Some(at), .. }) => {
                cx.diags.alert(at, "'table': 'cluster' and 'peers' exclude each other.");
            }
            Ok(spec) => {
                // It is told to the section's own peers.
                let spec = stick::Spec { peers: Some((self.name.into(), args.at(0))), ..spec };
                self.tables.push((name, spec, args.at(0)));
            }
            Err((at, message)) => cx.diags.alert(at, format!("'table': {message}.")),
        }
        for (at, text) in warnings {
            cx.diags.warning(at, format!("'table': {text}"));
        }
    }
}

/// What sections say, once the tables are there. `shared`: those that are told to peers, by their sections.
pub fn specs(cx: &mut Cx<'_>, sections: &[Peers<'_>], shared: &[(Box<str>, Arc<Table>)]) -> Vec<Spec> {
    sections.iter().map(|section| spec(cx, section, shared)).collect()
}

fn spec(cx: &mut Cx<'_>, section: &Peers<'_>, shared: &[(Box<str>, Arc<Table>)]) -> Spec {
    let name = section.name;
    if !section.is_member && !section.is_disabled && !section.remotes.is_empty() {
        let local = &section.local;
        let message = format!(
            "'peers {name}' has no peer '{local}', which is the name of this process (see '-L' and 'localpeer'): \
             its tables are told to nobody."
        );
        cx.diags.warning(section.at, message);
    }
    let listen = |cx: &mut Cx<'_>, bind: &Bind| Listen {
        address: bind.address.clone(),
        tls: super::tls::peers_endpoint(cx, name, bind),
    };
    let remote = |cx: &mut Cx<'_>, peer: &Declared<'_>| {
        let title = format!("'peer {name}/{}'", peer.name);
        let tls = super::tls::server(cx, peer.at, &title, &peer.tls, None);
        let sni = peer.tls.sni.as_ref().map(|(text, _)| &**text);
        let plain = sni.and_then(|text| text.strip_prefix("str(")?.strip_suffix(')'));
        let secure = |tls: crate::model::server::ServerTls| Secure {
            upstream: tls.upstream,
            fingerprint: tls.fingerprint,
            name: plain.map(Into::into),
        };
        Remote { name: peer.name.into(), address: peer.address.clone(), tls: tls.map(secure) }
    };
    let prefix = format!("{name}/");
    let tables = shared.iter().filter(|(of, _)| **of == *name).map(|(_, table)| Shared {
        // A table of the section's own has a name that is not that of any proxy.
        wire: match table.name.strip_prefix(&prefix) {
            Some(own) => format!("/{own}").into(),
            None => table.name.as_ref().into(),
        },
        table: table.clone(),
    });
    Spec {
        name: name.into(),
        local: section.local.as_str().into(),
        is_off: section.is_disabled || !section.is_member,
        listens: section.binds.iter().map(|bind| listen(cx, bind)).collect(),
        remotes: section.remotes.iter().map(|peer| remote(cx, peer)).collect(),
        tables: tables.collect(),
    }
}
