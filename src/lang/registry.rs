//! Every name a user can write, in one place: what Isobar implements, and HAProxy's whole vocabulary beside it.
//!
//! A room hands over its implementing tables with [`Registry::add`] and HAProxy's words with [`Registry::know`].
//! A word that is only known is refused; so nothing has to be said twice, and nothing is forgotten.

use std::collections::BTreeSet;

use super::entry::{Entry, Place, Status};
use super::suggest;

/// Why a word of HAProxy's that no table implements is refused.
pub const NOT_YET: &str = "not in this release";

/// The rule sets that actions belong to (manual section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rules {
    TcpConnection,
    TcpSession,
    TcpRequest,
    TcpResponse,
    HttpRequest,
    HttpResponse,
    HttpAfterResponse,
    QuicInitial,
}

impl Rules {
    pub const ALL: [Rules; 8] = [
        Rules::TcpConnection,
        Rules::TcpSession,
        Rules::TcpRequest,
        Rules::TcpResponse,
        Rules::HttpRequest,
        Rules::HttpResponse,
        Rules::HttpAfterResponse,
        Rules::QuicInitial,
    ];

    /// The words before an action in a configuration.
    pub const fn keyword(self) -> &'static str {
        match self {
            Rules::TcpConnection => "tcp-request connection",
            Rules::TcpSession => "tcp-request session",
            Rules::TcpRequest => "tcp-request content",
            Rules::TcpResponse => "tcp-response content",
            Rules::HttpRequest => "http-request",
            Rules::HttpResponse => "http-response",
            Rules::HttpAfterResponse => "http-after-response",
            Rules::QuicInitial => "quic-initial",
        }
    }
}

/// What a name is. The order is that of the generated pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A word that begins a section.
    Section,
    /// A directive of the preprocessor, or `include`.
    Directive,
    /// A predicate of `.if` and `-cc`.
    Predicate,
    Global,
    /// `defaults`, `frontend`, `listen`, `backend`. Names of several words are written with one space.
    Proxy,
    /// What follows `option` there.
    Option,
    Bind,
    Server,
    Balance,
    /// A keyword of another section.
    In(&'static str),
    Action(Rules),
    Fetch,
    Converter,
    /// A criterion that names a fetch and a matching method: `hdr_beg`.
    Criterion,
    /// What follows `-m`.
    AclMatch,
    /// A `%` field of a log format, without the percent sign.
    LogAlias,
    Filter,
    Service,
    /// A runtime command.
    Command,
    /// A column of `show stat`.
    StatField,
    /// A command-line flag, with its dash.
    Flag,
}

impl Kind {
    /// As a heading or after "is a".
    pub fn label(self) -> String {
        match self {
            Kind::Section => "section",
            Kind::Directive => "directive",
            Kind::Predicate => "predicate",
            Kind::Global => "global keyword",
            Kind::Proxy => "proxy keyword",
            Kind::Option => "option",
            Kind::Bind => "bind option",
            Kind::Server => "server option",
            Kind::Balance => "balance algorithm",
            Kind::In(section) => return format!("{section} keyword"),
            Kind::Action(rules) => return format!("{} action", rules.keyword()),
            Kind::Fetch => "sample fetch",
            Kind::Converter => "converter",
            Kind::Criterion => "ACL criterion",
            Kind::AclMatch => "ACL matching method",
            Kind::LogAlias => "log format alias",
            Kind::Filter => "filter",
            Kind::Service => "service",
            Kind::Command => "runtime command",
            Kind::StatField => "statistics field",
            Kind::Flag => "command-line flag",
        }
        .to_owned()
    }

    /// What a user writes before a name of this kind, where that tells it from others.
    pub const fn lead(self) -> &'static str {
        match self {
            Kind::Global => "global",
            Kind::Option => "option",
            Kind::Bind => "bind",
            Kind::Server => "server",
            Kind::Balance => "balance",
            Kind::In(section) => section,
            Kind::Action(rules) => rules.keyword(),
            Kind::AclMatch => "-m",
            Kind::Filter => "filter",
            _ => "",
        }
    }
}

/// What `-dK` shows of a word beside its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// In the manual, but not in the lists of `-dK`.
    Unlisted,
    /// The name alone.
    Plain,
    /// A name that more text follows at once: `set-var(txn.x)`, `track-sc0`.
    Prefix,
    /// A `bind` or `server` option and the arguments it skips.
    Takes(i8),
    /// A proxy keyword and the sections that take it, of `DFLB`.
    Sides { sides: &'static str, listed: bool },
    /// An option's sides and mode: `FE BE HTTP`.
    Caps(&'static str),
    /// Where a fetch is valid (one `Y` or `.` for each of 22 places), its arguments and its type.
    Fetch { valid: &'static str, args: &'static str, out: &'static str },
    /// A converter's arguments and types.
    Converter { args: &'static str, from: &'static str, to: &'static str },
    /// The fetch and the matching method that a criterion stands for.
    Criterion { fetch: &'static str, matching: &'static str },
    /// A group (filters) or the processes that answer (commands).
    Note(&'static str),
}

/// One word of HAProxy's vocabulary.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub name: &'static str,
    pub shape: Shape,
}

pub const fn word(name: &'static str) -> Known {
    Known { name, shape: Shape::Plain }
}

pub const fn unlisted(name: &'static str) -> Known {
    Known { name, shape: Shape::Unlisted }
}

pub const fn prefix(name: &'static str) -> Known {
    Known { name, shape: Shape::Prefix }
}

pub const fn takes(name: &'static str, count: i8) -> Known {
    Known { name, shape: Shape::Takes(count) }
}

/// A proxy keyword that `-dK` lists.
pub const fn listed(sides: &'static str, name: &'static str) -> Known {
    Known { name, shape: Shape::Sides { sides, listed: true } }
}

/// A proxy keyword older than `-dK`'s lists, or one of several words.
pub const fn sided(sides: &'static str, name: &'static str) -> Known {
    Known { name, shape: Shape::Sides { sides, listed: false } }
}

pub const fn option(caps: &'static str, name: &'static str) -> Known {
    Known { name, shape: Shape::Caps(caps) }
}

pub const fn fetch(valid: &'static str, name: &'static str, args: &'static str, out: &'static str) -> Known {
    Known { name, shape: Shape::Fetch { valid, args, out } }
}

pub const fn converter(
    name: &'static str,
    args: &'static str,
    from: &'static str,
    to: &'static str,
) -> Known {
    Known { name, shape: Shape::Converter { args, from, to } }
}

pub const fn criterion(name: &'static str, fetch: &'static str, matching: &'static str) -> Known {
    Known { name, shape: Shape::Criterion { fetch, matching } }
}

pub const fn noted(name: &'static str, note: &'static str) -> Known {
    Known { name, shape: Shape::Note(note) }
}

/// HAProxy's words of one kind, in the order of `-dK`.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary {
    pub kind: Kind,
    pub words: &'static [Known],
}

/// A name with what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    pub kind: Kind,
    pub name: &'static str,
    pub status: Status,
    /// What implements it.
    pub entry: Option<&'static Entry>,
    /// HAProxy's word; `None` for our own.
    pub shape: Option<Shape>,
}

/// All names.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    added: Vec<(Kind, &'static Entry)>,
    known: Vec<&'static Vocabulary>,
    /// Words that name something wherever they stand.
    anywhere: Vec<Place>,
}

impl Registry {
    /// Adds what a table implements.
    pub fn add(&mut self, kind: Kind, entries: impl IntoIterator<Item = &'static Entry>) {
        self.added.extend(entries.into_iter().map(|entry| (kind, entry)));
    }

    /// Says which words name something in whatever line they stand, as the flags of conditions do.
    pub fn name_anywhere(&mut self, places: &[Place]) {
        self.anywhere.extend(places);
    }

    pub fn anywhere(&self) -> &[Place] {
        &self.anywhere
    }

    /// Everything that tables implement.
    pub fn entries(&self) -> impl Iterator<Item = (Kind, &'static Entry)> {
        self.added.iter().copied()
    }

    /// Adds HAProxy's words of one kind or several.
    pub fn know(&mut self, vocabularies: &[&'static Vocabulary]) {
        self.known.extend(vocabularies);
    }

    /// Everything, ordered by kind; within one, HAProxy's words in its order and then our own.
    pub fn items(&self) -> Vec<Item> {
        let kinds: BTreeSet<Kind> =
            self.added.iter().map(|(kind, _)| *kind).chain(self.known.iter().map(|v| v.kind)).collect();
        kinds.into_iter().flat_map(|kind| self.of(kind)).collect()
    }

    /// Everything of one kind.
    pub fn of(&self, kind: Kind) -> Vec<Item> {
        let words = self.known.iter().filter(|v| v.kind == kind).flat_map(|v| v.words);
        let mut items: Vec<_> = words.map(|known| self.item(kind, known)).collect();
        let names: BTreeSet<_> = items.iter().map(|item| item.name).collect();
        for (_, entry) in self.added.iter().filter(|(k, e)| *k == kind && !names.contains(e.name)) {
            let (name, status) = (entry.name, entry.status);
            items.push(Item { kind, name, status, entry: Some(entry), shape: None });
        }
        items
    }

    fn item(&self, kind: Kind, known: &Known) -> Item {
        let (name, shape) = (known.name, Some(known.shape));
        let entry = self.find(kind, name);
        let status = match (entry, known.shape) {
            (Some(entry), _) => entry.status,
            (None, Shape::Criterion { fetch, matching }) => self.criterion(fetch, matching),
            (None, shape) => self.group(kind, name, shape == Shape::Prefix),
        };
        Item { kind, name, status, entry, shape }
    }

    /// A criterion is what its fetch is, if its matching method is there.
    fn criterion(&self, fetch: &str, matching: &str) -> Status {
        match (self.find(Kind::Fetch, fetch), self.find(Kind::AclMatch, matching)) {
            (Some(fetch), Some(matching)) if matching.status == Status::Full => fetch.status,
            (Some(fetch), Some(matching)) if fetch.status == Status::Full => matching.status,
            _ => Status::Refused(NOT_YET),
        }
    }

    /// A word without entry may be the first of several that have one (`timeout`), or be followed at once by a
    /// number (`track-sc`).
    fn group(&self, kind: Kind, name: &str, numbered: bool) -> Status {
        let belongs = |other: &str| {
            other.strip_prefix(name).is_some_and(|rest| {
                rest.starts_with(' ') || numbered && rest.starts_with(|c: char| c.is_ascii_digit())
            })
        };
        let of_kind = self.added.iter().filter(|(k, e)| *k == kind && belongs(e.name));
        let statuses: Vec<_> = of_kind.map(|(_, entry)| entry.status).collect();
        let usable = |s: &Status| !matches!(s, Status::Refused(_));
        match statuses.iter().find(|s| usable(s)) {
            Some(_) if statuses.iter().all(|s| *s == Status::Full) => Status::Full,
            Some(_) => Status::Partial("see its sub-keywords"),
            None => Status::Refused(NOT_YET),
        }
    }

    /// What implements a name, if anything does.
    pub fn find(&self, kind: Kind, name: &str) -> Option<&'static Entry> {
        self.added.iter().find(|(k, e)| *k == kind && e.name == name).map(|(_, e)| *e)
    }

    /// The status of a name; `None` for a word nobody knows.
    pub fn status(&self, kind: Kind, name: &str) -> Option<Status> {
        self.of(kind).iter().find(|item| item.name == name).map(|item| item.status)
    }

    /// Names added twice to one kind.
    pub fn duplicates(&self) -> Vec<(Kind, &'static str)> {
        let mut seen = BTreeSet::new();
        let mut twice: Vec<_> =
            self.added.iter().map(|(k, e)| (*k, e.name)).filter(|name| !seen.insert(*name)).collect();
        let mut seen = BTreeSet::new();
        let words = self.known.iter().flat_map(|v| v.words.iter().map(|w| (v.kind, w.name)));
        twice.extend(words.filter(|name| !seen.insert(*name)));
        twice
    }
}

/// What to say of a word that a parser does not implement: that Isobar lacks it, or that nobody knows it, with
/// the nearest of the implemented names.
///
/// `what` and `place` are as in HAProxy's message: `keyword` and `'backend' section`.
pub fn complaint<'a>(
    what: &str,
    name: &str,
    place: &str,
    implemented: impl IntoIterator<Item = &'a str>,
    known: &[&Vocabulary],
) -> (String, Option<String>) {
    let is_known = known.iter().flat_map(|v| v.words).any(|w| w.name == name);
    if is_known {
        return (format!("{what} '{name}' in {place} is not supported: {NOT_YET}"), None);
    }
    (format!("unknown {what} '{name}' in {place}"), suggest::hint(name, implemented))
}

#[cfg(test)]
mod tests {
    use super::*;

    static WORDS: Vocabulary = Vocabulary {
        kind: Kind::Proxy,
        words: &[sided("FL", "bind"), listed("DFLB", "timeout"), sided("DLB", "retries")],
    };
    static CRITERIA: Vocabulary =
        Vocabulary { kind: Kind::Criterion, words: &[criterion("path_beg", "path", "beg")] };
    static BIND: Entry = Entry::full("bind", "<addr>", "Listens.", "bind :80", "1.0");
    static CLIENT: Entry = Entry::full("timeout client", "<ms>", "Limits.", "timeout client 1s", "1.0");
    static OURS: Entry = Entry::full("service", "<name>", "Finds.", "service web", "isobar");
    static PATH: Entry = Entry::full("path", "", "The path.", "path", "1.0");
    static BEG: Entry = Entry::full("beg", "", "Prefix.", "-m beg", "1.0");

    fn registry() -> Registry {
        let mut registry = Registry::default();
        registry.know(&[&WORDS, &CRITERIA]);
        registry.add(Kind::Proxy, [&BIND, &CLIENT, &OURS]);
        registry
    }

    #[test]
    fn known_words_are_refused_until_a_table_implements_them() {
        let mut registry = registry();
        assert_eq!(registry.status(Kind::Proxy, "bind"), Some(Status::Full));
        assert_eq!(registry.status(Kind::Proxy, "retries"), Some(Status::Refused(NOT_YET)));
        assert_eq!(registry.status(Kind::Proxy, "timeout"), Some(Status::Full));
        assert_eq!(registry.status(Kind::Proxy, "service"), Some(Status::Full));
        assert_eq!(registry.status(Kind::Proxy, "nonsense"), None);
        assert_eq!(registry.status(Kind::Criterion, "path_beg"), Some(Status::Refused(NOT_YET)));
        registry.add(Kind::Fetch, [&PATH]);
        registry.add(Kind::AclMatch, [&BEG]);
        assert_eq!(registry.status(Kind::Criterion, "path_beg"), Some(Status::Full));
    }

    #[test]
    fn duplicates_are_found() {
        let mut registry = registry();
        assert_eq!(registry.duplicates(), []);
        registry.add(Kind::Proxy, [&BIND]);
        registry.add(Kind::Bind, [&BIND]);
        assert_eq!(registry.duplicates(), [(Kind::Proxy, "bind")]);
    }

    #[test]
    fn complaints_tell_the_unknown_from_the_missing() {
        let say = |name| complaint("keyword", name, "'backend' section", ["bind"], &[&WORDS]);
        assert_eq!(
            say("bnd"),
            ("unknown keyword 'bnd' in 'backend' section".into(), Some("did you mean 'bind' maybe ?".into()))
        );
        assert_eq!(
            say("retries").0,
            "keyword 'retries' in 'backend' section is not supported: not in this release"
        );
    }
}
