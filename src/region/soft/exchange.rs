//! The protocol of soft state, without I/O and without a clock: whom to tell what, and what to make of what is told.
//!
//! A node tells each live member what changed since that member took the last message: one message at a time to each,
//! a moment after the first change, so that changes gather. Who is new, or says that it lacks what came before, is told
//! all there is, in messages of a bounded length. A node with nothing to tell says so now and then: by that it is known
//! to be there, and one that was started anew is found out.

use std::collections::BTreeMap;
use std::time::Duration;

use super::message::{Answer, Message};
use super::others::Others;
use super::own::Own;
use super::record::{Key, Limits, Record, SoftError};
use super::view::{Entry, Records, View};
use crate::base::clock::{MS, Nanos};
use crate::region::map::Name;

/// How long changes gather.
pub const GATHER: Nanos = 50 * MS;
/// After a message that failed, and at most after several.
const PAUSE: Nanos = 100 * MS;
const PAUSE_MOST: Nanos = 1000 * MS;

/// A member that is told.
#[derive(Debug, Default)]
struct Peer {
    /// It took all up to here; `None`: it is to be told all.
    has: Option<u64>,
    /// How far the telling of all has come.
    told: u64,
    flight: Option<Flight>,
    /// Not before.
    pause_until: Nanos,
    failures: u32,
    /// When it last took a message.
    at: Option<Nanos>,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    seq: u64,
    upto: u64,
    whole: bool,
    last: bool,
    bytes: usize,
}

#[derive(Debug)]
pub struct Exchange {
    /// 0: no member yet.
    me: u64,
    name: Name,
    incarnation: u64,
    seq: u64,
    limits: Limits,
    own: Own,
    /// What may be told already.
    ready: u64,
    /// When the first change came that may not.
    changed_at: Option<Nanos>,
    peers: BTreeMap<u64, Peer>,
    others: Others,
    view: View,
    /// Who was not heard for so long is gone.
    silence: Nanos,
    flight_bytes: usize,
}

impl Exchange {
    /// `incarnation`: greater than that of the start before. `silence`: who was not heard for so long is gone.
    pub fn new(name: Name, incarnation: u64, silence: Duration, limits: Limits) -> Exchange {
        Exchange {
            me: 0,
            name,
            incarnation,
            seq: 0,
            limits,
            own: Own::new(limits),
            ready: 0,
            changed_at: None,
            peers: BTreeMap::new(),
            others: Others::new(limits),
            view: View::default(),
            silence: silence.as_nanos() as Nanos,
            flight_bytes: 0,
        }
    }

    pub fn view(&self) -> &View {
        &self.view
    }

    pub fn me(&self) -> u64 {
        self.me
    }

    /// Tells whether anything changed.
    pub fn publish(&mut self, key: Key, record: Record, now: Nanos) -> Result<bool, SoftError> {
        let Some((version, bytes)) = self.own.put(&key, &record)? else { return Ok(false) };
        let mut mine = self.mine();
        mine.by_key.insert(key, Entry { version, bytes, record: record.into() });
        self.show(mine, now);
        Ok(true)
    }

    pub fn withdraw(&mut self, key: &Key, now: Nanos) -> bool {
        let removed = self.own.remove(key);
        if removed {
            let mut mine = self.mine();
            mine.by_key.remove(key);
            self.show(mine, now);
        }
        removed
    }

    fn mine(&self) -> Records {
        self.view.nodes.get(&self.me).cloned().unwrap_or_default()
    }

    fn show(&mut self, mut mine: Records, now: Nanos) {
        (mine.node, mine.incarnation) = (self.name.clone(), self.incarnation);
        self.view.nodes.insert(self.me, mine);
        self.view.version += 1;
        self.changed_at.get_or_insert(now);
    }

    /// This node's id, and the members that live, as the map has it: the records of any other are gone. Tells whether
    /// the view changed.
    pub fn members<'a>(&mut self, me: u64, live: impl Iterator<Item = (u64, &'a Name)>) -> bool {
        let live: Vec<(u64, &Name)> = live.filter(|(id, _)| *id != me && *id != 0).collect();
        let mut changed = false;
        if me != self.me {
            if let Some(mine) = self.view.nodes.remove(&self.me) {
                self.view.nodes.insert(me, mine);
                changed = true;
            }
            self.me = me;
        }
        let flight_bytes = &mut self.flight_bytes;
        self.peers.retain(|id, peer| {
            let stays = live.iter().any(|(other, _)| other == id);
            if !stays {
                *flight_bytes -= peer.flight.take().map_or(0, |flight| flight.bytes);
            }
            stays
        });
        for (id, _) in &live {
            self.peers.entry(*id).or_default();
        }
        changed |= self.others.set(live.into_iter(), &mut self.view);
        self.view.version += u64::from(changed);
        changed
    }

    /// How often a member is told something.
    fn pace(&self) -> Nanos {
        self.silence / 3
    }

    /// What is to be sent now. Tells also whether the view changed, because somebody is gone.
    pub fn due(&mut self, now: Nanos) -> (Vec<Message>, bool) {
        let changed = self.others.expire(now.saturating_sub(self.silence), &mut self.view);
        self.view.version += u64::from(changed);
        if self.changed_at.is_some_and(|at| now >= at + GATHER) {
            (self.ready, self.changed_at) = (self.own.head(), None);
        }
        if self.me == 0 {
            return (Vec::new(), changed);
        }
        let (pace, mut messages) = (self.pace(), Vec::new());
        for (id, peer) in &mut self.peers {
            let wanted = peer.wants(self.ready, pace, now);
            if !wanted || self.flight_bytes >= self.limits.flight_bytes {
                continue;
            }
            let from = match peer.has.filter(|has| self.own.reaches(*has)) {
                Some(has) => has,
                None => {
                    if peer.has.take().is_some() || !self.own.reaches(peer.told) {
                        peer.told = 0;
                    }
                    peer.told
                }
            };
            let whole = peer.has.is_none();
            let stretch = self.own.stretch(from, self.ready.max(from));
            self.seq += 1;
            let (seq, upto, last, bytes) = (self.seq, stretch.upto, stretch.last, stretch.bytes);
            peer.flight = Some(Flight { seq, upto, whole, last, bytes });
            self.flight_bytes += bytes;
            let (node, to, incarnation) = (self.me, *id, self.incarnation);
            let (puts, gone) = (stretch.puts, stretch.gone);
            messages.push(Message { node, to, incarnation, seq, from, upto, whole, last, puts, gone });
        }
        (messages, changed)
    }

    /// When [`Exchange::due`] is to be asked again, unless something happens before.
    pub fn next(&self) -> Option<Nanos> {
        let gathered = self.changed_at.map(|at| at + GATHER);
        let pace = self.pace();
        let full = self.flight_bytes >= self.limits.flight_bytes;
        let idle = self.peers.values().filter(|peer| peer.flight.is_none() && !full && self.me != 0);
        let told = idle.map(|peer| match peer.has {
            Some(has) if has >= self.ready => peer.at.map_or(0, |at| at + pace).max(peer.pause_until),
            _ => peer.pause_until,
        });
        let silent = self.others.oldest().map(|at| at + self.silence);
        told.chain(gathered).chain(silent).min()
    }

    /// Takes in what another node says; tells also whether the view changed.
    pub fn heard(&mut self, message: &Message, now: Nanos) -> (Answer, bool) {
        if message.to != self.me || self.me == 0 {
            return (Answer::NotYet, false);
        }
        let (answer, changed, is_new) = self.others.take(message, now, &mut self.view);
        if is_new && let Some(peer) = self.peers.get_mut(&message.node) {
            // It knows nothing of this node, and can be told now.
            let flight = peer.flight.take();
            self.flight_bytes -= flight.map_or(0, |flight| flight.bytes);
            *peer = Peer::default();
        }
        self.view.version += u64::from(changed);
        (answer, changed)
    }

    /// What became of a message to a member; `None`: no answer came. Tells what is worth a word to the operator.
    pub fn answered(&mut self, to: u64, seq: u64, answer: Option<Answer>, now: Nanos) -> Option<String> {
        let peer = self.peers.get_mut(&to)?;
        let flight = peer.flight.take_if(|flight| flight.seq == seq)?;
        self.flight_bytes -= flight.bytes;
        match answer {
            Some(Answer::Taken) => {
                match (flight.whole, flight.last) {
                    (true, false) => peer.told = flight.upto,
                    _ => (peer.has, peer.told) = (Some(flight.upto), 0),
                }
                (peer.failures, peer.pause_until, peer.at) = (0, 0, Some(now));
            }
            Some(Answer::Whole) => {
                // Asked for again and again, it is not done again and again at once.
                if flight.whole {
                    peer.fail(now);
                }
                (peer.has, peer.told) = (None, 0);
            }
            Some(Answer::Known { incarnation }) => {
                peer.fail(now);
                self.incarnation = self.incarnation.max(incarnation.saturating_add(1));
                // What is on its way is of an incarnation that is over.
                for peer in self.peers.values_mut() {
                    (peer.has, peer.told, peer.flight) = (None, 0, None);
                }
                self.flight_bytes = 0;
                if let Some(mut mine) = self.view.nodes.get(&self.me).cloned() {
                    mine.incarnation = self.incarnation;
                    self.view.nodes.insert(self.me, mine);
                }
            }
            Some(Answer::Refused(why)) => {
                peer.fail(now);
                (peer.has, peer.told) = (None, 0);
                return Some(why);
            }
            // It forgets who is gone: all is to be told then.
            Some(Answer::NotYet) => {
                peer.fail(now);
                (peer.has, peer.told) = (None, 0);
            }
            Some(Answer::Late) | None => peer.fail(now),
        }
        None
    }
}

impl Peer {
    /// Whether there is something to tell it now.
    fn wants(&self, ready: u64, pace: Nanos, now: Nanos) -> bool {
        let news = self.has.is_none_or(|has| has < ready);
        let silent = self.at.is_none_or(|at| now >= at + pace);
        self.flight.is_none() && now >= self.pause_until && (news || silent)
    }

    fn fail(&mut self, now: Nanos) {
        self.pause_until = now + (PAUSE << self.failures.min(8)).min(PAUSE_MOST);
        self.failures += 1;
    }
}
