//! What the words of a configuration name outside of it: files, directories, addresses. Keyword entries say where such
//! words stand ([`Entry::names`]), so whoever opens, permits or watches them has no list of its own.

use std::collections::HashMap;

use super::entry::{Entry, Place, What};
use super::registry::{Kind, Registry};
use super::source::{Line, Section, Span};

/// One word that names something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mention<'a> {
    pub what: What,
    pub word: &'a str,
    pub span: Span,
}

/// Lines that take options, and whose.
const OPTION_LINES: &[(&str, Kind)] = &[
    ("bind", Kind::Bind),
    ("default-bind", Kind::Bind),
    ("stats", Kind::Bind),
    ("server", Kind::Server),
    ("peer", Kind::Server),
    ("default-server", Kind::Server),
    ("server-template", Kind::Server),
];

/// Sections of proxies.
const PROXIES: &[&str] = &["defaults", "frontend", "listen", "backend"];

/// The places of all entries.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Entries whose keyword begins a line: section kind (empty: one of the proxies), words of the keyword.
    leads: HashMap<&'static str, Vec<(Kind, &'static Entry)>>,
    /// Options of `bind` and `server` lines.
    options: HashMap<&'static str, Vec<(Kind, &'static [Place])>>,
    /// Fetches and converters.
    calls: HashMap<&'static str, &'static [Place]>,
    /// Words that may stand in any line.
    anywhere: Vec<Place>,
}

impl Places {
    pub fn of(registry: &Registry) -> Places {
        let mut places = Places { anywhere: registry.anywhere().to_vec(), ..Places::default() };
        for (kind, entry) in registry.entries().filter(|(_, entry)| !entry.names.is_empty()) {
            match kind {
                Kind::Bind | Kind::Server => {
                    places.options.entry(entry.name).or_default().push((kind, entry.names))
                }
                Kind::Fetch | Kind::Converter => drop(places.calls.insert(entry.name, entry.names)),
                _ => {
                    let first = lead(kind, entry).next().unwrap_or_default();
                    places.leads.entry(first).or_default().push((kind, entry));
                }
            }
        }
        places
    }

    /// Every word that names something, in order of lines.
    pub fn mentions<'a>(&self, sections: &'a [Section]) -> Vec<Mention<'a>> {
        let mut found = Vec::new();
        for section in sections {
            for line in std::iter::once(&section.head).chain(&section.lines) {
                self.line(section.kind(), line, &mut found);
            }
        }
        found
    }

    fn line<'a>(&self, section: &str, line: &'a Line, found: &mut Vec<Mention<'a>>) {
        let mut add = |at: usize, what: What| {
            found.extend(line.words.get(at).map(|w| Mention { what, word: w.str(), span: w.span }));
        };
        // `no` and `default` may stand before a keyword.
        let start = usize::from(matches!(line.str(0), "no" | "default") && line.words.len() > 1);
        for (kind, entry) in self.leads.get(line.str(start)).into_iter().flatten() {
            if let Some(end) = keyword_end(*kind, entry, section, line, start) {
                arguments(line, end, entry.names, &mut add);
            }
        }
        let has_options = matches!(section, "global" | "peers") || PROXIES.contains(&section);
        let takes = OPTION_LINES.iter().find(|(lead, _)| has_options && *lead == line.str(start));
        let takes = takes.map(|(_, kind)| *kind);
        for at in start + 1..line.words.len() {
            let options = self.options.get(line.str(at)).into_iter().flatten();
            for (_, places) in options.filter(|(kind, _)| takes == Some(*kind)) {
                arguments(line, at + 1, places, &mut add);
            }
            for place in self.anywhere.iter().filter(|place| place.after == line.str(at)) {
                add(at + place.words, place.what);
            }
        }
        for word in line.words.iter().filter(|word| word.str().contains('(')) {
            let calls = calls(word.str()).filter_map(|(name, given)| Some((self.calls.get(name)?, given)));
            for (places, given) in calls {
                let named = places.iter().filter_map(|p| Some((p.what, given.split(',').nth(p.words - 1)?)));
                found.extend(named.map(|(what, argument)| {
                    let argument = argument.trim_matches(|c| matches!(c, '"' | '\'' | ' '));
                    Mention { what, word: argument, span: word.span }
                }));
            }
        }
    }
}

/// The words that a keyword begins its line with.
fn lead(kind: Kind, entry: &'static Entry) -> impl Iterator<Item = &'static str> {
    let before = match kind {
        Kind::Option => "option",
        Kind::Action(rules) => rules.keyword(),
        _ => "",
    };
    before.split_whitespace().chain(entry.name.split_whitespace())
}

/// Where the keyword of `entry` ends in the line, if that is what it begins with.
fn keyword_end(kind: Kind, entry: &'static Entry, section: &str, line: &Line, start: usize) -> Option<usize> {
    let fits = match kind {
        Kind::Global => section == "global",
        Kind::In(own) => section == own,
        _ => PROXIES.contains(&section),
    };
    let mut at = start;
    for word in lead(kind, entry) {
        // Actions may have arguments of their own: `set-var(txn.x)`.
        let written = line.str(at);
        let is_call = matches!(kind, Kind::Action(_))
            && written.strip_prefix(word).is_some_and(|rest| rest.starts_with('('));
        if written != word && !is_call {
            return None;
        }
        at += 1;
    }
    fits.then_some(at)
}

/// The words that `places` mean in a line whose arguments begin at `from`.
fn arguments(line: &Line, from: usize, places: &[Place], add: &mut impl FnMut(usize, What)) {
    for place in places {
        if place.after.is_empty() {
            add(from + place.words - 1, place.what);
            continue;
        }
        for at in (from..line.words.len()).filter(|at| line.str(*at) == place.after) {
            add(at + place.words, place.what);
        }
    }
}

/// Names and arguments of the calls in an expression: `%[src,map_ip(/etc/geo.map,none)]`.
fn calls(word: &str) -> impl Iterator<Item = (&str, &str)> {
    word.match_indices('(').map(move |(open, _)| {
        let name = word[..open].rsplit(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | '-'));
        let given = word[open + 1..].split(')').next().unwrap_or_default();
        (name.into_iter().next().unwrap_or_default(), given)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::condition::Facts;
    use crate::lang::env::Env;
    use crate::lang::load::{Input, LoadOptions, load};
    use crate::lang::registry::Rules;

    const fn entry(name: &'static str, names: &'static [Place]) -> Entry {
        Entry::full(name, "", "", "", "").naming(names)
    }

    static BASE: Entry = entry("crt-base", &[Place::argument(1, What::Base)]);
    static SOCKET: Entry = entry("stats socket", &[Place::argument(1, What::Bind)]);
    static BIND: Entry = entry("bind", &[Place::argument(1, What::Bind)]);
    static MAP_BIND: Entry = entry("bind", &[Place::option("crt", What::File)]);
    static CRT: Entry = entry("crt", &[Place::argument(1, What::File)]);
    static RETURN: Entry = entry("return", &[Place::option("file", What::File)]);
    static MAP: Entry = entry("map_ip", &[Place::argument(1, What::File)]);
    static FLAG: &[Place] = &[Place::option("-f", What::File)];

    fn registry() -> Registry {
        let mut registry = Registry::default();
        registry.add(Kind::Global, [&BASE, &SOCKET]);
        registry.add(Kind::Proxy, [&BIND]);
        registry.add(Kind::In("region-map"), [&MAP_BIND]);
        registry.add(Kind::Bind, [&CRT]);
        registry.add(Kind::Action(Rules::HttpRequest), [&RETURN]);
        registry.add(Kind::Converter, [&MAP]);
        registry.name_anywhere(FLAG);
        registry
    }

    fn mentioned(text: &str) -> Vec<(What, String)> {
        let facts = Facts::default();
        let options = LoadOptions::new(&facts, Env::default(), &["global", "frontend", "region-map"]);
        let loaded = load(&[Input::Text { name: "t".into(), text: text.into() }], options);
        let places = Places::of(&registry());
        places.mentions(&loaded.sections).iter().map(|m| (m.what, m.word.to_owned())).collect()
    }

    #[test]
    fn words_by_their_place() {
        let found = mentioned(
            "global\n crt-base /etc/ssl\n stats socket /run/a.sock level admin\n stats timeout 1s\n\
             frontend f\n bind :443 ssl crt site.pem\n acl known src -f /etc/nets.lst\n\
             acl secret path_beg /etc/shadow\n http-request return status 200 file /etc/page if { src -f b }\n \
             http-request set-header x %[src,map_ip(/etc/geo.map,none)]\n http-request deny\n \
             http-request redirect location /etc/passwd\nregion-map\n bind :7400 ssl crt node.pem\n",
        );
        let expected = [
            (What::Base, "/etc/ssl"),
            (What::Bind, "/run/a.sock"),
            (What::Bind, ":443"),
            (What::File, "site.pem"),
            (What::File, "/etc/nets.lst"),
            (What::File, "/etc/page"),
            (What::File, "b"),
            (What::File, "/etc/geo.map"),
            (What::File, "node.pem"),
        ];
        let expected: Vec<_> = expected.iter().map(|(what, word)| (*what, word.to_string())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn nothing_is_named_elsewhere() {
        assert_eq!(mentioned("frontend f\n crt-base /etc\n http-response return file /etc/shadow\n"), []);
        assert_eq!(mentioned("frontend f\n http-request set-path map_ip\n bind\n"), []);
    }
}
