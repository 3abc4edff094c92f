//! What other nodes said, as far as this one heard it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::message::{Answer, Message};
use super::record::{Kind, Limits, Record, SoftError, Weight, size};
use super::view::{Entry, Records, View};
use crate::base::clock::Nanos;
use crate::region::map::Name;

#[derive(Debug)]
pub(super) struct Others {
    limits: Limits,
    nodes: BTreeMap<u64, Heard>,
}

/// How far one of them was heard.
#[derive(Debug, Default)]
struct Heard {
    name: Name,
    incarnation: u64,
    /// Of the last message that was looked at.
    seq: u64,
    /// All up to here is known; `None`: not before all of it was told.
    has: Option<u64>,
    /// How far the telling of all of it has come.
    told: Option<u64>,
    at: Nanos,
    weight: Weight,
}

impl Others {
    pub(super) fn new(limits: Limits) -> Others {
        Others { limits, nodes: BTreeMap::new() }
    }

    /// Those who are heard from now on; the others are gone, with what they said. Tells whether anything was.
    pub(super) fn set<'a>(&mut self, live: impl Iterator<Item = (u64, &'a Name)>, view: &mut View) -> bool {
        let live: BTreeMap<u64, &Name> = live.collect();
        let before = view.nodes.len();
        self.nodes.retain(|id, _| {
            let stays = live.contains_key(id);
            if !stays {
                view.nodes.remove(id);
            }
            stays
        });
        for (id, name) in live {
            self.nodes.entry(id).or_default().name = name.clone();
        }
        view.nodes.len() != before
    }

    /// Gives up what those said who were not heard after `since`.
    pub(super) fn expire(&mut self, since: Nanos, view: &mut View) -> bool {
        let before = view.nodes.len();
        for (id, heard) in self.nodes.iter_mut().filter(|(_, heard)| heard.at <= since) {
            view.nodes.remove(id);
            (heard.has, heard.told, heard.weight) = (None, None, Weight::default());
        }
        view.nodes.len() != before
    }

    /// When the next of them was last heard.
    pub(super) fn oldest(&self) -> Option<Nanos> {
        self.nodes.values().filter(|heard| heard.has.or(heard.told).is_some()).map(|heard| heard.at).min()
    }

    /// Takes in a message; tells whether it changed the view, and whether its node began anew.
    pub(super) fn take(&mut self, message: &Message, now: Nanos, view: &mut View) -> (Answer, bool, bool) {
        let Some(heard) = self.nodes.get_mut(&message.node) else { return (Answer::NotYet, false, false) };
        if message.incarnation < heard.incarnation {
            return (Answer::Known { incarnation: heard.incarnation }, false, false);
        }
        let is_new = message.incarnation > heard.incarnation;
        let mut changed = false;
        if is_new {
            changed = view.nodes.remove(&message.node).is_some();
            let name = heard.name.clone();
            *heard = Heard { name, incarnation: message.incarnation, ..Heard::default() };
        }
        if message.seq <= heard.seq {
            return (Answer::Late, changed, is_new);
        }
        heard.seq = message.seq;
        let expected = if message.whole { heard.told } else { heard.has };
        let begins = message.whole && message.from == 0;
        if !begins && expected.is_none_or(|expected| message.from > expected) {
            return (Answer::Whole, changed, is_new);
        }
        let mut records = view.nodes.get(&message.node).cloned().unwrap_or_default();
        records.node = heard.name.clone();
        records.incarnation = message.incarnation;
        let news = match apply(message, heard, &mut records, &self.limits) {
            Ok(news) => news,
            Err(why) => return (Answer::Refused(why.to_string()), changed, is_new),
        };
        heard.at = now;
        match (message.whole, message.last) {
            (false, _) => heard.has = Some(message.upto),
            (true, true) => (heard.has, heard.told) = (Some(message.upto), None),
            (true, false) => (heard.has, heard.told) = (None, Some(message.upto)),
        }
        if news {
            view.nodes.insert(message.node, records);
        }
        (Answer::Taken, changed || news, is_new)
    }
}

/// Tells whether anything is another than before. What exceeds a limit leaves all as it was.
fn apply(
    message: &Message,
    heard: &mut Heard,
    records: &mut Records,
    limits: &Limits,
) -> Result<bool, SoftError> {
    let mut weight = heard.weight;
    let mut news = false;
    if message.whole {
        let named: BTreeSet<(u8, &str)> = message.puts.iter().map(|put| (put.kind, &*put.name)).collect();
        let within = |version: u64| version > message.from && version <= message.upto;
        let stale: Vec<_> = records
            .by_key
            .iter()
            .filter(|(key, entry)| within(entry.version) && !named.contains(&(key.0.number(), &*key.1)))
            .map(|(key, _)| key.clone())
            .collect();
        for key in stale {
            if let Some(entry) = records.by_key.remove(&key) {
                weight.remove(entry.bytes);
                news = true;
            }
        }
    }
    for gone in &message.gone {
        let Some(kind) = Kind::of(gone.kind) else { continue };
        if let Some(entry) = records.by_key.remove(&(kind, gone.name.clone())) {
            weight.remove(entry.bytes);
            news = true;
        }
    }
    for put in &message.puts {
        let (Some(kind), Some(record)) = (Kind::of(put.kind), Record::decode(put.kind, &put.body)) else {
            continue;
        };
        let key = (kind, put.name.clone());
        let old = records.by_key.get(&key);
        let bytes = size(&put.name, &put.body);
        weight.replace(old.map(|old| old.bytes), bytes, limits)?;
        news |= old.is_none_or(|old| *old.record != record);
        records.by_key.insert(key, Entry { version: put.version, bytes, record: Arc::new(record) });
    }
    heard.weight = weight;
    Ok(news || !message.puts.is_empty())
}
