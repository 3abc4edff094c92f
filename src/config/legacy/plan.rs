//! What becomes of all lines of a configuration.

use std::collections::{HashMap, HashSet};

use crate::lang::{FileId, Line, Section, Word};

use super::change::{Change, Outcome, Target, word};
use super::header::{self, Old, Side};
use super::lines::{self, Around};
use super::order::{Rank, moved};
use super::verdict::verdict;

/// The lines that legacy mode would accept and nothing else does.
pub(super) fn hints(sections: &[Section]) -> HashSet<(FileId, u32)> {
    let changes = plan(sections, Target::Isobar);
    let twins = twins(sections);
    let is_twin = |s: &&Section| matches!(s.kind(), "frontend" | "backend") && twins.contains(s.head.str(1));
    let heads = sections.iter().filter(is_twin).map(|s| s.head.span);
    changes.iter().map(|change| change.at).chain(heads).map(|at| (at.file, at.line)).collect()
}

/// Names that a frontend and a backend share.
fn twins(sections: &[Section]) -> HashSet<&str> {
    let of = |kind: &str| -> HashSet<&str> {
        sections.iter().filter(|s| s.kind() == kind).map(|s| s.head.str(1)).collect()
    };
    of("frontend").intersection(&of("backend")).copied().collect()
}

/// What stands for each old line.
pub fn plan(sections: &[Section], target: Target) -> Vec<Change> {
    let lines = || sections.iter().flat_map(|s| &s.lines);
    let allows = |line: &Line| matches!(line.str(0), "reqallow" | "reqiallow" | "reqpass" | "reqipass");
    let mut planner = Planner {
        target,
        has_allow: lines().any(allows),
        has_processes: lines().any(|l| l.str(0) == "nbproc" && l.str(1).parse().is_ok_and(|n: u32| n > 1)),
        names: if target == Target::Haproxy { new_names(sections) } else { HashMap::new() },
        again: again(sections),
        defaults_http: false,
        changes: Vec::new(),
    };
    sections.iter().for_each(|section| planner.section(section));
    planner.changes
}

/// Frontends that must be called otherwise, since HAProxy wants a name to be of one section.
fn new_names(sections: &[Section]) -> HashMap<&str, String> {
    let taken: HashSet<&str> = sections.iter().map(|s| s.head.str(1)).collect();
    let free = |name: &str| {
        let first = format!("{name}-frontend");
        let more = (2..).map(|n| format!("{name}-frontend{n}"));
        std::iter::once(first).chain(more).find(|n| !taken.contains(n.as_str())).unwrap_or_default()
    };
    twins(sections).into_iter().map(|name| (name, free(name))).collect()
}

/// Sections whose name an earlier one of the same side has already, as old HAProxy had it, and the names they get.
fn again(sections: &[Section]) -> HashMap<(FileId, u32), String> {
    let mut seen: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut taken: HashSet<String> = sections.iter().map(|s| s.head.str(1).to_owned()).collect();
    let mut found = HashMap::new();
    for section in sections.iter().filter(|s| matches!(s.kind(), "listen" | "frontend" | "backend")) {
        let (kind, name) = (section.kind(), section.head.str(1));
        let kinds = seen.entry(name).or_default();
        let shares = |other: &&str| *other == kind || *other == "listen" || kind == "listen";
        if kinds.iter().any(shares) && !name.is_empty() {
            let at = section.head.span;
            found.insert((at.file, at.line), free(name, &mut taken));
        } else {
            kinds.push(kind);
        }
    }
    found
}

/// A name like this one that nothing has yet.
fn free(name: &str, taken: &mut HashSet<String>) -> String {
    let new = (2..).map(|n| format!("{name}-{n}")).find(|n| !taken.contains(n)).unwrap_or_default();
    taken.insert(new.clone());
    new
}

/// Servers whose name an earlier one of their section has already: their lines, and the names they get.
fn again_servers(section: &Section) -> HashMap<u32, String> {
    let servers = || section.lines.iter().filter(|line| line.str(0) == "server");
    let mut taken: HashSet<String> = servers().map(|line| line.str(1).to_owned()).collect();
    let mut seen = HashSet::new();
    let is_again = |line: &&Line| !seen.insert(line.str(1).to_owned());
    servers().filter(is_again).map(|line| (line.span.line, free(line.str(1), &mut taken))).collect()
}

/// The line with another name, which is its second word.
fn called(line: &Line, name: &str) -> Vec<Word> {
    let mut made = line.words.clone();
    if let Some(old) = made.get_mut(1) {
        *old = word(name, old.span);
    }
    made
}

struct Planner<'a> {
    target: Target,
    has_allow: bool,
    has_processes: bool,
    names: HashMap<&'a str, String>,
    /// New names of sections whose name is there already, by their place.
    again: HashMap<(FileId, u32), String>,
    /// The latest `defaults` section speaks HTTP.
    defaults_http: bool,
    changes: Vec<Change>,
}

/// Which message the rules of a line are about, and when they ran.
type Place = Option<(Side, Rank)>;

impl<'a> Planner<'a> {
    fn section(&mut self, section: &'a Section) {
        let kind = section.kind();
        match kind {
            "program" => return self.left_out(section),
            "global" | "defaults" | "frontend" | "listen" | "backend" => {}
            _ => return,
        }
        self.head(&section.head);
        let mode = section.lines.iter().rev().find(|l| l.str(0) == "mode").map(|l| l.str(1) == "http");
        let is_http = mode.unwrap_or(kind != "defaults" && self.defaults_http);
        if kind == "defaults" {
            self.defaults_http = is_http;
        }
        let (target, has_processes) = (self.target, self.has_processes);
        let around = Around { section: kind, target, is_http, has_processes };
        let again = again_servers(section);
        let read: Vec<(&Line, Option<Outcome>, Place)> = section
            .lines
            .iter()
            .map(|line| {
                let (line, outcome, place) = self.line(line, around);
                let Some(name) = again.get(&line.span.line) else { return (line, outcome, place) };
                let note = format!("another server has this name, so it is '{name}' now");
                (line, Some(Outcome::new(vec![called(line, name)], note)), place)
            })
            .collect();
        self.settle(&read);
    }

    /// Programs are not started by a proxy.
    fn left_out(&mut self, section: &Section) {
        let note = "programs are left to the system's own supervisor";
        self.push(&section.head, Outcome::lost(note), section.head.span.line);
        for line in &section.lines {
            self.push(line, Outcome::gone(""), line.span.line);
        }
    }

    fn head(&mut self, head: &Line) {
        let mut outcome = lines::address(head);
        if head.str(0) == "frontend"
            && let Some(name) = self.names.get(head.str(1))
        {
            let named = outcome.get_or_insert_with(|| Outcome::new(vec![head.words.clone()], ""));
            if let Some(old) = named.made.first_mut().and_then(|made| made.get_mut(1)) {
                *old = word(name.clone(), old.span);
            }
            named.note = format!("a backend has this name, so logs say '{name}' now");
        }
        if let Some(name) = self.again.get(&(head.span.file, head.span.line)) {
            let named = outcome.get_or_insert_with(|| Outcome::new(vec![head.words.clone()], ""));
            if let Some(old) = named.made.first_mut().and_then(|made| made.get_mut(1)) {
                *old = word(name.clone(), old.span);
            }
            named.note = format!("another section has this name, so it is '{name}' now");
        }
        if let Some(outcome) = outcome {
            self.push(head, outcome, head.span.line);
        }
    }

    fn line<'l>(&self, line: &'l Line, around: Around<'_>) -> (&'l Line, Option<Outcome>, Place) {
        if around.section == "global" {
            let outcome = lines::global(line, around);
            return (line, outcome.or_else(|| lines::unquoted(line, self.target)), None);
        }
        if let Some(old) = Old::of(line, self.target) {
            let (outcome, rank) = match old.verb {
                "add" => (header::add(&old), Rank::Added),
                "rep" => (header::replace(&old), Rank::Lines),
                "del" => (header::delete(&old), Rank::Lines),
                _ => (verdict(&old, self.has_allow), Rank::Lines),
            };
            let place = outcome.is_some().then_some((old.side, rank));
            return (line, outcome, place);
        }
        let place = match line.str(0) {
            "http-request" => Some((Side::Request, Rank::Rules)),
            "http-response" => Some((Side::Response, Rank::Rules)),
            "block" => Some((Side::Request, Rank::First)),
            "monitor-net" if around.is_http => Some((Side::Request, Rank::First)),
            _ => None,
        };
        (line, self.other(line, around), place)
    }

    /// What a line becomes that is neither `req*` nor `rsp*`.
    fn other(&self, line: &Line, around: Around<'_>) -> Option<Outcome> {
        let renamed = || self.renamed(line).or_else(|| lines::unquoted(line, self.target));
        lines::proxy(line, around).or_else(renamed)
    }

    /// A line that names a frontend by its old name.
    fn renamed(&self, line: &Line) -> Option<Outcome> {
        if self.names.is_empty() {
            return None;
        }
        let mut made = line.words.clone();
        for (i, new_word) in made.iter_mut().enumerate().skip(1) {
            let text = new_word.str().to_owned();
            let is_scope = line.str(0) == "stats" && line.str(1) == "scope" && i == 2;
            let new = self.names.iter().find_map(|(old, new)| {
                let inside = ["fe_conn(", "fe_req_rate(", "fe_sess_rate("].iter().find_map(|fetch| {
                    let call = format!("{fetch}{old})");
                    text.contains(&call).then(|| text.replace(&call, &format!("{fetch}{new})")))
                });
                inside.or_else(|| (is_scope && text == *old).then(|| new.clone()))
            });
            if let Some(new) = new {
                *new_word = word(new, new_word.span);
            }
        }
        let changed = made.iter().zip(&line.words).any(|(a, b): (&Word, &Word)| a.str() != b.str());
        changed.then(|| Outcome::new(vec![made], "the frontend has another name"))
    }

    /// Gives the rules of a section their places.
    fn settle(&mut self, read: &[(&Line, Option<Outcome>, Place)]) {
        let mut places: HashMap<usize, (u32, usize)> = HashMap::new();
        for side in [Side::Request, Side::Response] {
            let of_side: Vec<(usize, Rank)> = read
                .iter()
                .enumerate()
                .filter_map(|(i, (_, _, place))| place.filter(|(s, _)| *s == side).map(|(_, rank)| (i, rank)))
                .collect();
            let ranks: Vec<Rank> = of_side.iter().map(|(_, rank)| *rank).collect();
            let Some((last, _)) = of_side.last() else { continue };
            for (n, k) in moved(&ranks).into_iter().enumerate() {
                places.insert(of_side[k].0, (read[*last].0.span.line, n + 1));
            }
        }
        let mut list: Vec<(u32, usize, usize)> = Vec::new();
        for (i, (line, outcome, _)) in read.iter().enumerate() {
            let place = places.get(&i);
            if outcome.is_some() || place.is_some() {
                let (behind, n) = place.copied().unwrap_or((line.span.line, 0));
                list.push((behind, n, i));
            }
        }
        list.sort_unstable();
        for (behind, _, i) in list {
            let (line, outcome, _) = &read[i];
            let stays = || Outcome::new(vec![line.words.clone()], "moved behind rules that ran before it");
            let outcome = match outcome {
                Some(o) => Outcome { made: o.made.clone(), note: o.note.clone(), is_lossy: o.is_lossy },
                None => stays(),
            };
            self.push(line, outcome, behind);
        }
    }

    fn push(&mut self, line: &Line, outcome: Outcome, behind: u32) {
        let made = outcome.made.into_iter().map(|words| Line { words, span: line.span }).collect();
        self.changes.push(Change {
            at: line.span,
            note: outcome.note,
            is_lossy: outcome.is_lossy,
            made,
            behind,
        });
    }
}
