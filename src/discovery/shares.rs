//! Tables of a cluster (`stick-table ... cluster`) over the soft state of its nodes: this node's parts are told, those of
//! the others added up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::base::hex::{from_hex, to_hex};
use crate::base::{Millis, clock};
use crate::peers::cluster::{MOST_KEYS, Parts, Sums, Word};
use crate::region::Seat;
use crate::region::map::Name;
use crate::region::soft::{Kind, Record, Share, View};
use crate::stick::{Table, Tables};

/// Changes gather for so long; soft state gathers them for as long again.
const TURN: Duration = Duration::from_millis(50);
/// News of others that come at once are taken at once.
const GATHER: Duration = Duration::from_millis(5);
/// Whether there are other tables is looked at so often.
const LOOK: Duration = Duration::from_millis(500);

/// A table while it is one of the cluster.
struct Followed {
    parts: Parts,
    sums: Sums,
}

/// The tables that are followed, by name.
struct Shares {
    seat: Seat,
    tables: BTreeMap<Arc<str>, Followed>,
    view: Arc<View>,
    bell: Arc<Notify>,
    /// When a part was told last.
    told_at: Millis,
    is_refused: bool,
}

/// A node, the name of its record, and the record unless it is gone.
type News<'v> = (u64, &'v Name, Option<&'v Arc<Record>>);

/// Follows the tables that `tables` tells of, until it is ended.
pub async fn run(seat: Seat, tables: impl Fn() -> Tables + Send) {
    let mut shares = Shares {
        seat,
        tables: BTreeMap::new(),
        view: Arc::default(),
        bell: Arc::default(),
        told_at: 0,
        is_refused: false,
    };
    let mut looked_at = 0;
    loop {
        let now = clock::now_ms();
        if now >= looked_at + LOOK.as_millis() as u64 {
            looked_at = now;
            shares.take(&tables(), now);
        }
        if shares.tables.is_empty() {
            tokio::time::sleep(LOOK).await;
            continue;
        }
        shares.hear(now);
        shares.tell(now);
        shares.rest(looked_at).await;
    }
}

impl Shares {
    /// Follows these tables and no others.
    fn take(&mut self, all: &Tables, now: Millis) {
        let wanted: Vec<&Arc<Table>> = all.list.iter().filter(|table| table.is_cluster()).collect();
        let stays = |table: &Arc<Table>| wanted.iter().any(|other| Arc::ptr_eq(other, table));
        let gone: Vec<Arc<str>> = self
            .tables
            .iter()
            .filter(|(_, one)| !stays(one.parts.table()))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            if let Some(mut followed) = self.tables.remove(&name) {
                followed.sums.end(now);
                let words = followed.parts.end();
                self.publish(&name, words);
            }
        }
        let most = MOST_KEYS / wanted.len().max(1);
        let mut new = Vec::new();
        for table in wanted {
            let followed = self.tables.entry(table.name.clone()).or_insert_with(|| {
                new.push(table.name.clone());
                let bell = self.bell.clone();
                table.share(0, Some(Arc::new(move || bell.notify_one())));
                Followed { parts: Parts::new(table.clone(), most), sums: Sums::new(table.clone()) }
            });
            followed.parts.set_most(most);
            followed.parts.table().set_wall(now, clock::wall().as_millis() as u64);
        }
        // What others told before is new to these.
        let view = self.view.clone();
        for (node, name, record) in view.of_kind(Kind::Share).filter(|_| !new.is_empty()) {
            self.hear_one((node, name, Some(record)), |table| new.iter().any(|other| **other == *table), now);
        }
    }

    /// Takes what a node told, if it is about a table that `is_wanted`.
    fn hear_one(&mut self, (node, name, record): News<'_>, is_wanted: impl Fn(&str) -> bool, now: Millis) {
        // 0 is this node before it was a member.
        let is_other = node != 0 && node != self.seat.soft().me();
        let Some((table, key)) = parse(name).filter(|(table, _)| is_other && is_wanted(table)) else {
            return;
        };
        let Some(followed) = self.tables.get_mut(table) else { return };
        let values = record.and_then(|record| match &**record {
            Record::Share(share) => Some(&*share.values),
            _ => None,
        });
        followed.sums.hear(node, &key, values, now);
    }

    /// Takes what the others told since.
    fn hear(&mut self, now: Millis) {
        let view = self.seat.soft().view();
        if view.version != self.view.version {
            let before = std::mem::replace(&mut self.view, view.clone());
            for news in view.news(&before, Kind::Share) {
                self.hear_one(news, |_| true, now);
            }
        }
        self.tables.values_mut().for_each(|one| one.sums.turn(now));
    }

    /// Tells what changed here, unless something was told a moment ago.
    fn tell(&mut self, now: Millis) {
        if now < self.told_at + TURN.as_millis() as u64 {
            return;
        }
        self.told_at = now;
        let mut all = Vec::new();
        for (name, followed) in &mut self.tables {
            followed.parts.table().take_changed();
            all.push((name.clone(), followed.parts.turn(now)));
        }
        for (name, words) in all {
            self.publish(&name, words);
        }
    }

    fn publish(&mut self, table: &Arc<str>, words: Vec<Word>) {
        if words.is_empty() {
            return;
        }
        let changes = words.into_iter().map(|word| {
            let record = word.values.map(|values| {
                Record::Share(Share { table: table.clone(), key: Bytes::copy_from_slice(&word.key), values })
            });
            (name_of(table, &word.key), record)
        });
        let told = self.seat.soft().publish_all(Kind::Share, changes);
        if let Err(e) = &told
            && !self.is_refused
        {
            tracing::warn!("stick table {table}: other nodes are not told all of it: {e}");
        }
        self.is_refused = told.is_err();
    }

    /// Waits for something to do.
    async fn rest(&self, looked_at: Millis) {
        let now = clock::now_ms();
        let may_tell = self.told_at + TURN.as_millis() as u64;
        let is_behind =
            self.tables.values().any(|one| one.parts.is_behind() || one.parts.table().has_changed());
        let until = |at: Millis| Duration::from_millis(at.saturating_sub(now).max(1));
        let sums = self.tables.values().filter_map(|one| one.sums.next()).min();
        // At the latest when tables are looked at; what was told is reviewed then, too.
        let latest = if is_behind { may_tell } else { looked_at + LOOK.as_millis() as u64 };
        let latest = sums.map_or(latest, |at| at.min(latest));
        let changed = async {
            self.bell.notified().await;
            tokio::time::sleep(until(may_tell)).await;
        };
        let heard = async {
            self.seat.soft().changed(self.view.version).await;
            tokio::time::sleep(GATHER).await;
        };
        tokio::select! {
            () = changed => {}
            () = heard => {}
            () = tokio::time::sleep(until(latest)) => {}
        }
    }
}

/// What the record of a key is called: the table, and the key in hexadecimal digits.
fn name_of(table: &str, key: &[u8]) -> Name {
    format!("{table}/{}", to_hex(key)).into()
}

/// The table and the key of such a name.
fn parse(name: &str) -> Option<(&str, Vec<u8>)> {
    let (table, digits) = name.rsplit_once('/')?;
    Some((table, from_hex(digits.as_bytes())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_called_by_its_table_and_key() {
        for (table, key) in [("st", &[10_u8, 0, 0, 1][..]), ("peers/of", b"a/b"), ("x", b"")] {
            let name = name_of(table, key);
            assert_eq!(parse(&name), Some((table, key.to_vec())), "{name}");
        }
        for wrong in ["st", "st/1", "st/zz", "st/é1"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
