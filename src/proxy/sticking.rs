//! Stick tables in the data plane: what streams and sessions count, and `stick` rules.

use crate::base::clock::MS;
use crate::config::Backend;
use crate::model::{Server, ServerSet};
use crate::rules::Ctx;
use crate::rules::action::{is_error, is_failure};
use crate::rules::track::ERROR;
use crate::stick::{Data, Entry, Table};

use super::end::{Cause, End, Halt, Phase};
use super::env::StreamEnv;
use super::session::Session;
use super::stream::Stream;

/// The server of this backend that an entry names.
fn named(entry: &Entry<'_>, table: &Table, set: &ServerSet) -> Option<usize> {
    let by_key = entry.server_key().and_then(|key| {
        set.list.iter().position(|server| match table.is_by_address() {
            true => *key_of(server, true) == *key,
            false => *server.spec.name == *key,
        })
    });
    by_key.or_else(|| {
        let id = u32::try_from(entry.value(Data::ServerId, 0)?).ok().filter(|id| *id > 0)?;
        set.list.iter().position(|server| server.spec.id == id)
    })
}

/// What tables call a server.
fn key_of(server: &Server, by_address: bool) -> String {
    match by_address {
        true => server.address().to_string(),
        false => server.spec.name.to_string(),
    }
}

pub(super) const REQUEST: [(Data, u64); 2] = [(Data::HttpReqCnt, 1), (Data::HttpReqRate, 1)];
const FAILURE: [(Data, u64); 2] = [(Data::HttpFailCnt, 1), (Data::HttpFailRate, 1)];

impl Stream<'_> {
    fn now_ms(&self) -> u64 {
        self.now() / MS
    }

    /// What is tracked counts this.
    #[inline]
    fn tally(&self, what: &[(Data, u64)]) {
        if !self.txn.counters.is_empty() {
            self.txn.counters.count(self.now_ms(), what);
        }
    }

    /// A request was received.
    pub(super) fn track_request(&self) {
        self.tally(&REQUEST);
    }

    /// What came was no request.
    pub(super) fn track_bad_request(&self) {
        self.tally(&REQUEST);
        self.tally(&ERROR);
    }

    /// The server has answered.
    pub(super) fn track_response(&self) {
        if is_error(self.txn.res.status) {
            self.tally(&ERROR);
        }
        if is_failure(self.txn.res.status) {
            self.tally(&FAILURE);
        }
    }

    /// The server has not answered, or nothing that could be read.
    pub(super) fn track_halt(&self, halt: &Halt) {
        let Halt::End(End { cause, phase: Phase::Headers, status, .. }) = halt else { return };
        if matches!(cause, Cause::ServerAbort | Cause::ServerTimeout) || *status == 502 {
            self.tally(&FAILURE);
        }
    }

    /// The stream has ended.
    pub(super) fn track_end(&self) {
        let (received, sent) = (self.txn.bytes_in, self.txn.bytes_out);
        self.tally(&[
            (Data::BytesInCnt, received),
            (Data::BytesInRate, received),
            (Data::BytesOutCnt, sent),
            (Data::BytesOutRate, sent),
        ]);
    }

    /// It tracks nothing any more.
    pub(super) fn untrack(&mut self) {
        if !self.txn.counters.is_empty() {
            let now = self.now_ms();
            self.txn.counters.release(now);
        }
    }

    /// `stick` rules about the request. `is_assigned`: a cookie or a rule has chosen the server already.
    pub(super) fn find_sticky(&mut self, back: &Backend, is_assigned: bool) {
        let now = self.now_ms();
        let mut is_assigned = is_assigned;
        for rule in back.sticking.iter().filter(|rule| !rule.of_response) {
            let Some(table) = rule.table() else { continue };
            // The first rule that stores in a table decides; others are not looked at.
            if rule.stores && self.txn.counters.stores_in(table) {
                continue;
            }
            let key = {
                let env = StreamEnv::of(self.s, &self.route, None);
                rule.key(table, Ctx { txn: self.txn, env: &env })
            };
            let Some(key) = key else { continue };
            if rule.matches
                && let Some(set) = self.route.view.servers(self.route.id())
            {
                let found = table.touched(&key, now, |entry| named(entry, table, &set)).flatten();
                let found = found.map(|index| &set.list[index]).filter(|_| !is_assigned);
                let may_take = |server: &&Server| server.live.is_up() || self.route.back.options.persist;
                if let Some(server) = found.filter(may_take) {
                    self.txn.sticky.server = server.live.uid;
                    self.txn.sticky.is_direct = true;
                    is_assigned = true;
                }
            }
            if rule.stores {
                self.txn.counters.store(table, key);
            }
        }
    }

    /// The server is known: it is stored where `stick` rules say.
    pub(super) fn store_sticky(&mut self) {
        let Some(back) = self.route.back.back.as_ref().filter(|back| !back.sticking.is_empty()) else {
            return;
        };
        for rule in back.sticking.iter().filter(|rule| rule.of_response) {
            let Some(table) = rule.table() else { continue };
            let key = {
                let env = self.env();
                rule.key(table, Ctx { txn: self.txn, env: &env })
            };
            if let Some(key) = key.filter(|_| !self.txn.counters.stores_in(table)) {
                self.txn.counters.store(table, key);
            }
        }
        let stores = self.txn.counters.take_stores();
        let Some(server) = self.hold.as_ref().map(|hold| hold.slot.server()) else { return };
        if server.spec.non_stick {
            return;
        }
        for (table, key) in stores {
            table.update(&key, self.now_ms(), |entry| {
                entry.set(Data::ServerId, 0, u64::from(server.spec.id));
                entry.set_server_key(&key_of(server, table.is_by_address()));
            });
        }
    }
}

/// What the session tracks counts this.
pub(super) fn count(session: &Session, what: &[(Data, u64)]) {
    if let Some(slots) = session.counters_tracked() {
        slots.count(session.worker.rt.now() / MS, what);
    }
}

/// A session begins for those whom its connection rules track.
pub(super) fn count_session(session: &Session) {
    count(session, &[(Data::SessCnt, 1), (Data::SessRate, 1)]);
}
