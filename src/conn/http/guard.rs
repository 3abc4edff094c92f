//! Who may be sent away: connections on which nothing is asked, for those that wait for a place, and peers that do not
//! take what they asked for.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

use crate::base::clock::{self, Millis};

/// One that is silent for so long may be sent away when somebody waits for its place.
const SILENT_MS: Millis = 1_000;
/// An answer goes to the connection in pieces of at most so many bytes, so that it is known how fast they are taken.
const PIECE: usize = 64 << 10;
/// A peer may keep an answer waiting so long in all, and a millisecond more for so many bytes that it took.
const GRACE_MS: Millis = 10_000;
const BYTES_PER_MS: u64 = 64;

/// What a connection is at.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// Since when nothing is asked on it; 0: something is.
    silent_since: AtomicU64,
    /// Since when a piece of an answer waits for the peer; 0: none does.
    waits_since: AtomicU64,
    /// How long pieces of this answer waited before.
    waited_ms: AtomicU64,
    sent: AtomicU64,
    /// The request that comes in says its length in two ways.
    two_lengths: AtomicBool,
    /// Whether it is to end.
    ended: AtomicBool,
    pub(super) cut: Notify,
}

fn now() -> Millis {
    clock::now_ms().max(1)
}

impl Talk {
    pub(super) fn silent(&self) {
        self.silent_since.store(now(), Ordering::Relaxed);
    }

    /// A request came in whole, its body aside. Whether it says its length in two ways.
    pub(super) fn asked(&self) -> bool {
        self.silent_since.store(0, Ordering::Relaxed);
        self.two_lengths.swap(false, Ordering::Relaxed)
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silent_since.load(Ordering::Relaxed) != 0
    }

    pub(super) fn says_two_lengths(&self, says: bool) {
        self.two_lengths.store(says, Ordering::Relaxed);
    }

    fn end(&self) {
        if !self.ended.swap(true, Ordering::Relaxed) {
            self.cut.notify_one();
        }
    }

    fn answers(&self) {
        self.waited_ms.store(0, Ordering::Relaxed);
        self.sent.store(0, Ordering::Relaxed);
    }

    /// A piece is handed over; the peer has taken what came before when the next is asked for.
    fn handed(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        self.waits_since.store(now(), Ordering::Relaxed);
    }

    fn taken(&self) {
        let since = self.waits_since.swap(0, Ordering::Relaxed);
        if since != 0 {
            self.waited_ms.fetch_add(now().saturating_sub(since), Ordering::Relaxed);
        }
    }

    fn is_overdue(&self, now: Millis) -> bool {
        let since = self.waits_since.load(Ordering::Relaxed);
        let waited = self.waited_ms.load(Ordering::Relaxed) + now.saturating_sub(since);
        since != 0 && waited > GRACE_MS + self.sent.load(Ordering::Relaxed) / BYTES_PER_MS
    }
}

/// All connections of a server.
#[derive(Debug, Default)]
pub(super) struct Talks {
    open: Mutex<(u64, HashMap<u64, Arc<Talk>>)>,
}

/// A connection's place among them, until it is dropped.
pub(super) struct Place {
    pub(super) talk: Arc<Talk>,
    id: u64,
    talks: Arc<Talks>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.talks.open().1.remove(&self.id);
    }
}

impl Talks {
    fn open(&self) -> MutexGuard<'_, (u64, HashMap<u64, Arc<Talk>>)> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(self: &Arc<Self>) -> Place {
        let talk = Arc::new(Talk::default());
        talk.silent();
        let mut open = self.open();
        open.0 += 1;
        let id = open.0;
        open.1.insert(id, talk.clone());
        Place { talk, id, talks: self.clone() }
    }

    /// Somebody waits for a place: the one that has been silent longest goes, if it has been so for a while.
    pub(super) fn make_room(&self) {
        let now = now();
        let silent = |talk: &&Arc<Talk>| {
            let since = talk.silent_since.load(Ordering::Relaxed);
            !talk.ended.load(Ordering::Relaxed) && since != 0 && now.saturating_sub(since) >= SILENT_MS
        };
        let open = self.open();
        let longest = open.1.values().filter(silent).min_by_key(|t| t.silent_since.load(Ordering::Relaxed));
        longest.inspect(|talk| talk.end());
    }

    /// Ends those whose peers do not take what they asked for.
    pub(super) fn end_overdue(&self) {
        let now = now();
        self.open().1.values().filter(|talk| talk.is_overdue(now)).for_each(|talk| talk.end());
    }
}

/// A body that goes out in pieces, so that it is known whether they are taken.
pub(super) struct Paced<B> {
    body: B,
    rest: Bytes,
    talk: Arc<Talk>,
}

impl<B> Paced<B> {
    pub(super) fn new(body: B, talk: Arc<Talk>) -> Paced<B> {
        talk.answers();
        Paced { body, rest: Bytes::new(), talk }
    }
}

impl<B> Drop for Paced<B> {
    fn drop(&mut self) {
        self.talk.taken();
        self.talk.silent();
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Paced<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.talk.taken();
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                other => return other,
            }
        }
        let piece = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(piece);
        self.talk.handed(piece.len());
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_been_silent_longest_makes_room_and_who_is_asked_does_not() {
        let talks: Arc<Talks> = Arc::default();
        let places: Vec<Place> = (0..3).map(|_| talks.begin()).collect();
        talks.make_room();
        assert!(
            places.iter().all(|p| !p.talk.ended.load(Ordering::Relaxed)),
            "nobody has been silent for long"
        );
        let began = now();
        for (n, place) in places.iter().enumerate() {
            place.talk.silent_since.store(began.saturating_sub(9_000 - n as u64).max(1), Ordering::Relaxed);
        }
        places[0].talk.asked();
        // The clock of a machine may have begun a moment ago.
        if began > 9_000 {
            talks.make_room();
            let ended: Vec<bool> = places.iter().map(|p| p.talk.ended.load(Ordering::Relaxed)).collect();
            assert_eq!(ended, [false, true, false]);
        }
        drop(places);
        assert!(talks.open().1.is_empty());
    }

    #[test]
    fn a_peer_has_its_time_by_what_it_takes() {
        let talk = Talk::default();
        talk.answers();
        assert!(!talk.is_overdue(now() + 99_000), "nothing waits for it");
        talk.handed(64 << 10);
        assert!(!talk.is_overdue(now() + 10_000) && talk.is_overdue(now() + 12_000));
        talk.taken();
        assert!(!talk.is_overdue(now() + 99_000));
        talk.waited_ms.store(11_000, Ordering::Relaxed);
        talk.handed(1);
        assert!(talk.is_overdue(now() + 100), "it was slow before");
    }
}
