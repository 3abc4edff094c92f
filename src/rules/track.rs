//! The counters of a session or stream (`track-sc0`...): the entries of stick tables that it tracks.

use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::stick::{Data, Key, KeyKind, Table, Tracked};

use super::cast::{can_cast, cast};
use super::sample::{Sample, SampleType};

/// Most entries that a stream stores its server in.
const MOST_STORED: usize = 8;

/// What a stream tracks: without stick tables nothing, which costs it one look.
#[derive(Debug, Default)]
pub struct Counters {
    inner: Option<Box<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    own: Slots,
    /// Those of its session, which hold where it has none of the same number.
    session: Option<Arc<Slots>>,
    /// Where the server is to be stored once it is known.
    stores: SmallVec<[(Arc<Table>, Key); 1]>,
}

/// Entries by the number of the counter.
#[derive(Debug, Default)]
pub struct Slots {
    list: SmallVec<[Option<Tracked>; 3]>,
}

impl Slots {
    fn get(&self, i: usize) -> Option<&Tracked> {
        self.list.get(i)?.as_ref()
    }

    /// Lets go of all of them.
    pub fn release(self, now_ms: u64) {
        self.list.into_iter().flatten().for_each(|tracked| tracked.release(now_ms));
    }

    /// What is tracked counts so much of each of these.
    pub fn count(&self, now_ms: u64, what: &[(Data, u64)]) {
        self.list.iter().flatten().for_each(|tracked| count(tracked, now_ms, what));
    }
}

impl Counters {
    /// Nothing is tracked, and no server is to be stored.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.inner.is_none()
    }

    fn inner(&mut self) -> &mut Inner {
        self.inner.get_or_insert_default()
    }

    /// What counter number `i` tracks.
    pub fn get(&self, i: usize) -> Option<&Tracked> {
        let inner = self.inner.as_ref()?;
        inner.own.get(i).or_else(|| inner.session.as_ref()?.get(i))
    }

    /// The stream itself tracks something by this counter.
    pub fn is_tracking(&self, i: usize) -> bool {
        self.inner.as_ref().is_some_and(|inner| inner.own.get(i).is_some())
    }

    pub fn track(&mut self, i: usize, tracked: Tracked) {
        let list = &mut self.inner().own.list;
        while list.len() <= i {
            list.push(None);
        }
        list[i] = Some(tracked);
    }

    /// The counters of the stream's session hold, too.
    pub fn share(&mut self, session: Option<Arc<Slots>>) {
        if session.is_some() {
            self.inner().session = session;
        }
    }

    /// Forgets those of the session.
    pub fn unshare(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.session = None;
        }
    }

    /// All counters of its own, for a session that keeps them.
    pub fn take_own(&mut self) -> Option<Slots> {
        let own = std::mem::take(&mut self.inner.as_mut()?.own);
        (!own.list.is_empty()).then_some(own)
    }

    pub fn set_own(&mut self, own: Slots) {
        self.inner().own = own;
    }

    /// What is tracked, by the stream or else by its session, counts so much of each of these.
    pub fn count(&self, now_ms: u64, what: &[(Data, u64)]) {
        let Some(inner) = &self.inner else { return };
        let of_session = inner.session.as_ref().map_or(0, |slots| slots.list.len());
        for i in 0..inner.own.list.len().max(of_session) {
            if let Some(tracked) = self.get(i) {
                count(tracked, now_ms, what);
            }
        }
    }

    /// The server is to be stored in this entry; the first one of a table counts.
    pub fn store(&mut self, table: &Arc<Table>, key: Key) {
        let stores = &mut self.inner().stores;
        if stores.len() < MOST_STORED {
            stores.push((table.clone(), key));
        }
    }

    pub fn stores_in(&self, table: &Arc<Table>) -> bool {
        let Some(inner) = &self.inner else { return false };
        inner.stores.iter().any(|(other, _)| Arc::ptr_eq(other, table))
    }

    /// The entries that the server is to be stored in.
    pub fn take_stores(&mut self) -> SmallVec<[(Arc<Table>, Key); 1]> {
        self.inner.as_mut().map(|inner| std::mem::take(&mut inner.stores)).unwrap_or_default()
    }

    /// The stream ends: it tracks nothing any more.
    pub fn release(&mut self, now_ms: u64) {
        if let Some(inner) = self.inner.take() {
            inner.own.release(now_ms);
        }
    }
}

/// A table that stores nothing of it is not locked for it.
fn count(tracked: &Tracked, now_ms: u64, what: &[(Data, u64)]) {
    if what.iter().any(|(data, _)| tracked.table().stores(*data)) {
        tracked.with(now_ms, |entry| what.iter().for_each(|(data, n)| entry.add(*data, 0, *n)));
    }
}

/// An error of the client's.
pub const ERROR: [(Data, u64); 2] = [(Data::HttpErrCnt, 1), (Data::HttpErrRate, 1)];

/// A sample as a key of such a table.
pub fn key_of(kind: KeyKind, sample: Sample<'_>) -> Option<Key> {
    match (kind, cast(sample, type_of(kind))?) {
        (KeyKind::Ip, Sample::Ipv4(ip)) => Some(Key::ip(ip)),
        (KeyKind::Ipv6, Sample::Ipv6(ip)) => Some(Key::ipv6(ip)),
        (KeyKind::Integer, Sample::Int(n)) => Some(Key::integer(n as u32)),
        (_, Sample::Str(text) | Sample::Bin(text)) => kind.bytes(&text),
        _ => None,
    }
}

/// A client's address as a key.
pub fn key_of_address(kind: KeyKind, ip: IpAddr) -> Option<Key> {
    kind.address(ip).or_else(|| {
        let sample = match ip {
            IpAddr::V4(ip) => Sample::Ipv4(ip),
            IpAddr::V6(ip) => Sample::Ipv6(ip),
        };
        key_of(kind, sample)
    })
}

/// The sample that a key is made of.
fn type_of(kind: KeyKind) -> SampleType {
    match kind {
        KeyKind::Ip => SampleType::Ipv4,
        KeyKind::Ipv6 => SampleType::Ipv6,
        KeyKind::Integer => SampleType::Int,
        KeyKind::Str(_) => SampleType::Str,
        KeyKind::Binary(_) => SampleType::Bin,
    }
}

/// Whether keys of such a table can be made of samples of a type.
pub fn fits(from: SampleType, kind: KeyKind) -> bool {
    can_cast(from, type_of(kind))
}

/// A key as a sample.
pub fn sample_of(kind: KeyKind, key: &Key) -> Sample<'static> {
    match kind {
        KeyKind::Ip => Sample::Ipv4(key.number().into()),
        KeyKind::Ipv6 => Sample::Ipv6(key.ipv6_addr()),
        KeyKind::Integer => Sample::Int(i64::from(key.number())),
        KeyKind::Str(_) => Sample::Str(key.to_bytes(kind).into()),
        KeyKind::Binary(_) => Sample::Bin(key.to_bytes(kind).into()),
    }
}
