//! Who may be sent away: connections on which nothing is asked, for those that wait for a place, and peers that do not
//! take what they asked for.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
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

/// Of those who wait for a place, so many are let in a second at most: a crowd that comes and goes must not cost more than
/// it would by staying. In a burst, so many.
const PER_SECOND: u64 = 500;
const BURST: u64 = 125;
/// How many are sent away at once.
const AT_ONCE: usize = 32;
/// Who waits within that time after another waits with it.
const TOGETHER_MS: Millis = 250;

/// How many may be sent away.
#[derive(Debug, Default)]
struct Leaving {
    /// When it was asked last.
    at: Millis,
    /// What may go still, in thousandths.
    left: u64,
    together: usize,
}

impl Leaving {
    /// How many may go now that somebody waits.
    fn next(&mut self, now: Millis) -> usize {
        let passed = now.saturating_sub(self.at);
        self.left = self.left.saturating_add(passed.saturating_mul(PER_SECOND)).min(BURST * 1000);
        self.together = if passed <= TOGETHER_MS { (self.together * 2).clamp(1, AT_ONCE) } else { 1 };
        self.at = now;
        self.together.min((self.left / 1000) as usize)
    }

    fn went(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count as u64 * 1000);
        if count == 0 {
            self.together = 0;
        }
    }
}

/// Bytes of heads that all connections together may hold, beyond the first of each.
const HEADS: usize = 64 << 20;
/// Bytes of a head that are not counted: the number of connections bounds them.
const SHORT_HEAD: usize = 4 << 10;

/// All connections of a server.
#[derive(Debug, Default)]
pub(super) struct Talks {
    heads: AtomicUsize,
    leaving: Mutex<Leaving>,
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

    /// Somebody waits for a place: the one that has been silent longest goes, if it has been so for a while. When others
    /// wait soon after, more go at once, so that those who are there are not looked through for each who comes.
    pub(super) fn make_room(&self) {
        let now = now();
        let wanted = self.leaving.lock().unwrap_or_else(PoisonError::into_inner).next(now);
        if wanted == 0 {
            return;
        }
        let since = |talk: &Arc<Talk>| talk.silent_since.load(Ordering::Relaxed);
        let silent = |talk: &&Arc<Talk>| {
            !talk.ended.load(Ordering::Relaxed)
                && since(talk) != 0
                && now.saturating_sub(since(talk)) >= SILENT_MS
        };
        let open = self.open();
        let mut found: Vec<(Millis, &Arc<Talk>)> =
            open.1.values().filter(silent).map(|talk| (since(talk), talk)).collect();
        if found.len() > wanted {
            found.select_nth_unstable_by_key(wanted, |(since, _)| *since);
            found.truncate(wanted);
        }
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner).went(found.len());
        found.into_iter().for_each(|(_, talk)| talk.end());
    }

    /// A head has so many bytes now, of which some are counted already. False: there is no room for it.
    pub(super) fn count_head(&self, counted: &mut usize, bytes: usize) -> bool {
        let more = bytes.saturating_sub(SHORT_HEAD).saturating_sub(*counted);
        *counted += more;
        more == 0 || self.heads.fetch_add(more, Ordering::Relaxed) + more <= HEADS
    }

    pub(super) fn uncount_head(&self, counted: usize) {
        self.heads.fetch_sub(counted, Ordering::Relaxed);
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
    fn a_crowd_is_sent_away_by_many_at_once_and_at_a_bounded_rate() {
        let mut leaving = Leaving::default();
        let begun: Millis = 1_000_000;
        let mut gone = Vec::new();
        for _ in 0..20 {
            gone.push(leaving.next(begun));
            leaving.went(gone[gone.len() - 1]);
        }
        assert_eq!(gone[..7], [1, 2, 4, 8, 16, 32, 32]);
        assert_eq!(gone.iter().sum::<usize>(), BURST as usize);
        let mut total = 0;
        for ms in 1..=10_000 {
            let now = leaving.next(begun + ms);
            leaving.went(now);
            total += now;
        }
        assert!((4_900..=5_000).contains(&total), "{total}");
        assert_eq!(leaving.next(begun + 20_000), 1, "one that comes alone sends away one");
    }

    #[test]
    fn long_heads_count_together() {
        let (talks, long) = (Talks::default(), 64 << 10);
        let mut counted = vec![0; 1100];
        let quarters = |counted: &mut usize| (1..=4).all(|n| talks.count_head(counted, long / 4 * n));
        let fits = counted.iter_mut().map(quarters).filter(|fits| *fits).count();
        assert_eq!(fits, HEADS / (long - SHORT_HEAD));
        let mut short = 0;
        assert!(talks.count_head(&mut short, SHORT_HEAD) && short == 0);
        counted.into_iter().for_each(|counted| talks.uncount_head(counted));
        assert_eq!(talks.heads.load(Ordering::Relaxed), 0);
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
