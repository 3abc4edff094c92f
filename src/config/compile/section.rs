//! Cuts a configuration into drafts: which section a line belongs to, which `defaults` a section starts from.

use crate::lang::void::is_void;
use crate::lang::{Entry, Frame, Line, Place, Section, Span, Status, What, registry, suggest};

use super::draft::{Cx, Draft, Kind, Step};
use super::global_section::global_section;
use super::keyword::{Scope, dispatch, too_many};
use super::peers::Peers;
use super::proxy_table::{INDEX, KEYWORDS, REMOVED};
use super::server::invalid_char;
use crate::lang::args::{Args, split_prefix};

/// Sections of HAProxy that Isobar does not have, with the reason.
pub const REFUSED_SECTIONS: &[Entry] = &[
    section("acme", "certificates are not fetched"),
    section("fcgi-app", "FastCGI is not part of it"),
    section("log-forward", "log lines of others are not forwarded"),
    section("log-profile", "lines have one format a proxy"),
    section("namespace_list", "sockets are made in the process's own namespace"),
    section("program", "programs are not started"),
    section("ring", "log lines go to sockets and descriptors"),
    section("traces", "there are no traces"),
];

const fn section(name: &'static str, why: &'static str) -> Entry {
    Entry::full(name, "<name>", "A section of HAProxy.", "", "").with(Status::Refused(why))
}

/// Sections that this room reads.
#[rustfmt::skip]
pub const SECTIONS: &[Entry] = &[
    Entry::full("global", "", "Settings of the process.", "global", "1.0"),
    Entry::full("defaults", "[<name>] [from <defaults_name>]", "Settings that the sections after it start from.", "defaults http", "1.0"),
    Entry::full("frontend", "<name> [from <defaults_name>]", "Where clients connect, and which backend serves them.", "frontend web", "1.2"),
    Entry::full("backend", "<name> [from <defaults_name>]", "Servers, and how they are chosen.", "backend app", "1.2"),
    Entry::full("listen", "<name> [from <defaults_name>]", "A frontend and a backend in one.", "listen web", "1.0"),
    Entry::full("cache", "<name>", "Responses that are kept in memory, for those who ask for them again.", "cache site", "1.8"),
    Entry::full("peers", "<name>", "Who stick tables are shared with, and tables of no proxy.", "peers mine", "1.5"),
    Entry::full("healthcheck", "<name>", "How servers are checked that name it.", "healthcheck web", "3.4"),
    Entry::full("http-errors", "<name>", "A set of error pages.", "http-errors site", "2.2"),
    Entry::full("crt-store", "[<name>]", "Certificates whose parts are in files of their own, by name.", "crt-store web", "3.0"),
    Entry::full("mailers", "<name>", "Servers that mail about servers would go to.", "mailers mta", "1.6").with(Status::Accepted("mail is not sent")),
    Entry::full("resolvers", "<name>", "Name servers that are asked for the addresses of servers while running.", "resolvers dns", "1.6"),
    Entry::full("userlist", "<name>", "Users and groups for http_auth.", "userlist people", "1.4"),
];

/// Lines of an `http-errors` section, read by `rules`.
pub const HTTP_ERRORS: &[Entry] = &[Entry::full(
    "errorfile",
    "<code> <file>",
    "Answers a status from a file, head included.",
    "errorfile 503 /etc/haproxy/errors/503.http",
    "2.2",
)
.naming(&[Place::argument(2, What::File)])];

/// Every section word this room reads or refuses.
pub fn section_kinds() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().chain(REFUSED_SECTIONS).map(|e| e.name)
}

/// Sections while they are read.
pub struct Drafts<'a> {
    pub proxies: Vec<Draft<'a>>,
    pub defaults: Vec<Defaults<'a>>,
    pub http_errors: Vec<&'a Section>,
    pub peers: Vec<Peers<'a>>,
    /// The latest `defaults`, which sections without `from` start from.
    current: Option<usize>,
}

/// A `defaults` section, and who used it how.
pub struct Defaults<'a> {
    pub draft: Draft<'a>,
    explicit: bool,
    implicit: bool,
    /// An earlier section of the same name.
    shadows: Option<Span>,
    /// The kind of section that used it first.
    pub user: Option<Kind>,
}

/// Reads all sections in file order.
pub fn read<'a>(cx: &mut Cx<'a>) -> Drafts<'a> {
    let mut drafts = Drafts {
        proxies: Vec::new(),
        defaults: Vec::new(),
        http_errors: Vec::new(),
        peers: Vec::new(),
        current: None,
    };
    let inputs = cx.inputs;
    let mut is_late = false;
    for section in inputs.sections {
        let word = section.kind();
        is_late |= word != "global";
        if is_void(registry::Kind::Section, word) {
            continue;
        }
        if let Some(kind) = Kind::of(word) {
            drafts.proxy_section(cx, kind, section);
        } else if word == "global" {
            global_section(cx, section, is_late);
        } else if word == "http-errors" {
            drafts.http_errors.push(section);
        } else if word == "userlist" {
            cx.userlists.section(section, &mut cx.diags);
        } else if word == "resolvers" {
            super::resolvers::section(cx, section);
        } else if word == "healthcheck" {
            super::healthcheck::section(cx, section);
        } else if word == "cache" {
            super::cache::section(cx, section);
        } else if word == "peers" {
            drafts.peers.extend(super::peers::section(cx, section));
        } else if word == "mailers" {
            super::mailers::section(cx, section);
        } else if word == "crt-store" {
            super::crt_store::section(cx, section);
        } else if let Some(entry) = REFUSED_SECTIONS.iter().find(|e| e.name == word) {
            super::keyword::refuse(cx, entry, section.head.at(0));
        }
    }
    super::resolvers::implicit(cx);
    drafts
}

impl<'a> Drafts<'a> {
    fn proxy_section(&mut self, cx: &mut Cx<'a>, kind: Kind, section: &'a Section) {
        let args = Args::of(&section.head);
        let Some((name, from)) = self.heading(cx, kind, args) else { return };
        let base = match from {
            Some(i) => Some(i),
            // A `defaults` section starts from nothing unless it says `from`.
            None if kind == Kind::Defaults => None,
            None => self.current,
        };
        self.note_use(cx, base, from.is_some(), args.span);
        let start = base.and_then(|i| Some((i, &self.defaults.get(i)?.draft)));
        if let Some((i, base)) = start
            && let Err(message) = may_start_from(kind, base, self.defaults[i].user)
        {
            let message = message.replace("{place}", &cx.place(base.at));
            cx.diags.alert_framed(Frame::Line, args.span, message, None);
        }
        let mut draft = Draft::new(kind, name, args.span, start);
        if let Some(i) = base {
            self.defaults[i].user.get_or_insert(kind);
        }
        for line in &section.lines {
            proxy_line(cx, &mut draft, line);
        }
        if kind == Kind::Defaults {
            let shadows = self.named_defaults(name).map(|i| self.defaults[i].draft.at);
            self.current = Some(self.defaults.len());
            self.defaults.push(Defaults { draft, explicit: false, implicit: false, shadows, user: None });
        } else {
            self.proxies.push(draft);
        }
    }

    /// Checks the first line of a section: its name, and which `defaults` it names.
    fn heading(&self, cx: &mut Cx<'a>, kind: Kind, args: Args<'a>) -> Option<(&'a str, Option<usize>)> {
        let word = kind.word();
        if kind == Kind::Defaults {
            return self.defaults_heading(cx, args);
        }
        let name = args.str(1);
        if name.is_empty() {
            cx.diags.alert(args.span, format!("'{word}' expects an <id> argument"));
            return None;
        }
        if let Some(c) = invalid_char(name, true) {
            cx.diags
                .alert(args.at(1), format!("character '{c}' is not permitted in '{word}' name '{name}'."));
        }
        if args.has(2) && (args.str(2) != "from" || !args.has(3)) {
            if kind != Kind::Backend {
                cx.diags.alert(args.at(2), "please use the 'bind' keyword for listening addresses.");
            } else {
                cx.diags.alert(
                    args.at(2),
                    format!("'{word}' cannot handle unexpected argument '{}'.", args.str(2)),
                );
            }
            return None;
        }
        if too_many(cx, args, 0, 3) {
            return None;
        }
        self.check_name(cx, kind, name, args.at(1));
        Some((name, self.from(cx, kind, name, args, 2)?))
    }

    /// `defaults [<name>] [from <name>]`.
    fn defaults_heading(&self, cx: &mut Cx<'a>, args: Args<'a>) -> Option<(&'a str, Option<usize>)> {
        let unnamed = args.str(1) == "from" && args.has(2) && !args.has(3);
        let (name, at) = if unnamed { ("", 1) } else { (args.str(1), 2) };
        if let Some(i) = self.named_defaults(name)
            && self.defaults[i].explicit
        {
            let place = cx.place(self.defaults[i].draft.at);
            let message = format!(
                "defaults '{name}' has the same name as another defaults section declared at {place} which was \
                 explicitly referenced hence cannot be replaced. Please remove or rename one of the offending \
                 defaults section."
            );
            cx.diags.alert(args.at(1), message);
            return None;
        }
        Some((name, self.from(cx, Kind::Defaults, name, args, at)?))
    }

    /// The section after `from` at word `i`; `Some(None)` without one.
    fn from(
        &self,
        cx: &mut Cx<'a>,
        kind: Kind,
        name: &str,
        args: Args<'a>,
        i: usize,
    ) -> Option<Option<usize>> {
        if args.str(i) != "from" {
            return Some(None);
        }
        let wanted = args.str(i + 1);
        let Some(found) = self.named_defaults(wanted) else {
            let hint = suggest::hint(wanted, self.defaults.iter().map(|d| d.draft.name));
            let message = format!("defaults section '{wanted}' not found for {} '{name}'.", kind.noun());
            cx.diags.alert_hint(args.at(i + 1), message, hint);
            return None;
        };
        let defaults = &self.defaults[found];
        if let Some(other) = defaults.shadows {
            let message = format!(
                "ambiguous defaults section name '{wanted}' referenced by {} '{name}' exists at least at {} and {}.",
                kind.noun(),
                cx.place(defaults.draft.at),
                cx.place(other)
            );
            cx.diags.alert(args.at(i + 1), message);
        }
        if let Some(c) = invalid_char(wanted, true) {
            let message = format!(
                "character '{c}' is not permitted in defaults section name '{wanted}' when designated by its name \
                 (section found at {}).",
                cx.place(defaults.draft.at)
            );
            cx.diags.alert(args.at(i + 1), message);
        }
        Some(Some(found))
    }

    /// The latest named `defaults` section of that name.
    fn named_defaults(&self, name: &str) -> Option<usize> {
        if name.is_empty() {
            return None;
        }
        self.defaults.iter().rposition(|d| d.draft.name == name)
    }

    /// Two proxies, or a proxy and a `defaults` section, must not share a name.
    fn check_name(&self, cx: &mut Cx<'a>, kind: Kind, name: &str, at: Span) {
        let proxies = self.proxies.iter();
        let Some(other) = proxies.chain(self.defaults.iter().map(|d| &d.draft)).find(|d| d.name == name)
        else {
            return;
        };
        let sides = [kind, other.kind];
        if cx.legacy_allowed && sides.contains(&Kind::Frontend) && sides.contains(&Kind::Backend) {
            return;
        }
        let end = if kind == other.kind {
            ""
        } else {
            " This is no longer supported as of 3.3. Please rename one or the other."
        };
        let place = cx.place(other.at);
        let noun = kind.noun();
        let message =
            format!("{noun} '{name}' has the same name as {} declared at {place}.{end}", other.title());
        cx.diags.alert(at, message);
    }

    /// Remembers who starts from a `defaults` section, and warns once it is used in both ways.
    fn note_use(&mut self, cx: &mut Cx<'a>, base: Option<usize>, explicit: bool, at: Span) {
        let Some(defaults) = base.and_then(|i| self.defaults.get_mut(i)) else { return };
        if explicit {
            defaults.explicit = true
        } else {
            defaults.implicit = true
        }
        if defaults.explicit && defaults.implicit {
            let place =
                format!("{}:{}", cx.inputs.sources.name(defaults.draft.at.file), defaults.draft.at.line);
            let message = format!(
                "defaults section '{}' (declared at {place}) is explicitly referenced by another proxy and implicitly \
                 used here. To avoid any ambiguity don't mix both usage. Add a last defaults section not explicitly \
                 used or always use explicit references.",
                defaults.draft.name
            );
            cx.diags.warning(at, message);
        }
    }
}

/// Rules in a `defaults` section limit who may start from it; so do captures. `{place}` stands for the section's.
fn may_start_from(kind: Kind, base: &Draft<'_>, user: Option<Kind>) -> Result<(), String> {
    let at = "(defaults section at {place})";
    let is_rule = |s: &&Step<'_>| !matches!(s, Step::Acl(_));
    let has = |wanted: fn(&Step<'_>) -> bool| base.steps.iter().any(wanted);
    if !base.steps.iter().any(|s| is_rule(&s)) {
        return Ok(());
    }
    let connection = |s: &Step<'_>| matches!(s, Step::TcpRequest(a) if a.str(1) != "content");
    match kind {
        Kind::Defaults => Err(format!(
            "a defaults section cannot inherit from a defaults section defining TCP/HTTP rules {at}."
        )),
        Kind::Listen => {
            Err("a listen section cannot inherit from a defaults section defining TCP/HTTP rules.".to_owned())
        }
        _ if user.is_some_and(|u| u != kind && u != Kind::Defaults) => Err(format!(
            "frontends and backends cannot inherit from the same defaults section if it defines TCP/HTTP rules {at}."
        )),
        Kind::Backend if has(connection) => Err(format!(
            "a backend section cannot inherit from a defaults section defining 'tcp-request connection' or \
             'tcp-request session' rules {at}."
        )),
        Kind::Frontend if has(|s| matches!(s, Step::TcpResponse(_))) => Err(format!(
            "a frontend section cannot inherit from a defaults section defining 'tcp-response content' rules {at}."
        )),
        _ => Ok(()),
    }
}

fn proxy_line<'a>(cx: &mut Cx<'a>, px: &mut Draft<'a>, line: &'a Line) {
    let (prefix, args) = split_prefix(line);
    let name = args.str(0);
    if let Some(keyword) = INDEX.get(name) {
        return dispatch(&mut Scope { px, cx, prefix }, keyword, args);
    }
    let gone = REMOVED.iter().find(|e| e.name == name);
    if let Some(Status::Refused(instead)) = gone.map(|e| e.status) {
        let message = format!("the '{name}' directive is not supported anymore. Use {instead} instead.");
        return cx.diags.alert(args.at(0), message);
    }
    let hint = suggest::hint(name, KEYWORDS.iter().map(|k| k.entry.name));
    let message = format!("unknown keyword '{name}' in '{}' section", px.kind.word());
    cx.diags.alert_hint(args.at(0), message, hint);
}
