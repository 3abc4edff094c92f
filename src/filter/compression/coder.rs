//! The filter that compresses a body.

use std::cell::RefCell;
use std::sync::Arc;

use flate2::{Compress, Compression, FlushCompress, Status};

use super::algorithm::Algorithm;
use super::meter::METER;
use crate::base::Nanos;
use crate::base::clock::MS;
use crate::filter::contract::Filter;
use crate::model::ProxyLive;

/// Most states of an algorithm that a worker keeps for the next body.
const KEPT: usize = 8;
/// The window that decoders expect to be told of at most.
const WINDOW_BITS: u8 = 15;
/// Least room for what comes out.
const LEAST_ROOM: usize = 512;

/// States of one level that wait for a body.
#[derive(Default)]
struct Pool {
    level: u32,
    /// Gzip, zlib, without a frame.
    free: [Vec<Compress>; 3],
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

fn shelf(algorithm: Algorithm) -> Option<usize> {
    match algorithm {
        Algorithm::Identity => None,
        Algorithm::Gzip => Some(0),
        Algorithm::Deflate => Some(1),
        Algorithm::RawDeflate => Some(2),
    }
}

fn take(algorithm: Algorithm, level: u32) -> Option<Compress> {
    let shelf = shelf(algorithm)?;
    let kept = POOL.with_borrow_mut(|pool| {
        if pool.level != level {
            *pool = Pool { level, ..Pool::default() };
        }
        pool.free[shelf].pop()
    });
    METER.take();
    Some(kept.unwrap_or_else(|| {
        let level = Compression::new(level);
        match algorithm {
            Algorithm::Gzip => Compress::new_gzip(level, WINDOW_BITS),
            _ => Compress::new(level, algorithm == Algorithm::Deflate),
        }
    }))
}

/// Whose statistics a body counts in.
pub struct Tally {
    pub front: Arc<ProxyLive>,
    pub back: Option<Arc<ProxyLive>>,
}

impl Tally {
    fn each(&self, count: impl Fn(&crate::model::ProxyCounters)) {
        count(self.front.front.counters.mine());
        if let Some(back) = &self.back {
            count(back.back.counters.mine());
        }
    }
}

/// Compresses one body.
pub struct Coder {
    algorithm: Algorithm,
    level: u32,
    /// Bytes came in since the last flush.
    is_dirty: bool,
    state: Option<Compress>,
    out: Vec<u8>,
    tally: Tally,
}

impl Coder {
    pub fn new(algorithm: Algorithm, level: u32, tally: Tally) -> Coder {
        let level = level.min(9);
        Coder { algorithm, level, is_dirty: false, state: take(algorithm, level), out: Vec::new(), tally }
    }

    /// Gives the state these bytes, and lets it write until it wants more.
    fn run(&mut self, bytes: &[u8], flush: FlushCompress, now: Nanos) {
        self.out.clear();
        let Some(state) = self.state.as_mut() else { return };
        let mut rest = bytes;
        loop {
            self.out.reserve((rest.len() / 4).max(LEAST_ROOM));
            let before = state.total_in();
            let result = state.compress_vec(rest, &mut self.out, flush);
            let used = usize::try_from(state.total_in() - before).unwrap_or(rest.len());
            rest = rest.get(used..).unwrap_or_default();
            let has_room = self.out.len() < self.out.capacity();
            match result {
                Ok(Status::StreamEnd) | Err(_) => break,
                // With room left it has said all that there is to say.
                Ok(_) if rest.is_empty() && has_room && flush != FlushCompress::Finish => break,
                Ok(Status::BufError) if has_room => break,
                Ok(_) => {}
            }
        }
        let (came, left) = (bytes.len(), self.out.len());
        METER.add(came, left, now / MS);
        self.tally.each(|counters| {
            counters.comp_in.add(came as u64);
            counters.comp_out.add(left as u64);
        });
    }
}

impl Filter for Coder {
    fn data<'b>(&'b mut self, bytes: &'b [u8], now: Nanos) -> &'b [u8] {
        if self.state.is_none() {
            self.tally.each(|counters| counters.comp_byp.add(bytes.len() as u64));
            return bytes;
        }
        self.is_dirty = true;
        self.run(bytes, FlushCompress::None, now);
        &self.out
    }

    fn flush(&mut self, now: Nanos) -> &[u8] {
        if self.state.is_none() || !std::mem::take(&mut self.is_dirty) {
            return &[];
        }
        self.run(&[], FlushCompress::Sync, now);
        &self.out
    }

    fn end(&mut self, now: Nanos) -> &[u8] {
        self.tally.each(|counters| counters.comp_rsp.inc());
        self.run(&[], FlushCompress::Finish, now);
        &self.out
    }

    fn rewrites(&self) -> bool {
        true
    }
}

impl Drop for Coder {
    fn drop(&mut self) {
        let Some(mut state) = self.state.take() else { return };
        METER.give_back();
        let Some(shelf) = shelf(self.algorithm) else { return };
        // The pool may be gone already when a thread ends.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.level == self.level && pool.free[shelf].len() < KEPT {
                state.reset();
                pool.free[shelf].push(state);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};

    use super::*;

    fn tally() -> Tally {
        Tally { front: Arc::new(ProxyLive::new(1)), back: None }
    }

    fn coded(coder: &mut Coder, pieces: &[&[u8]]) -> Vec<u8> {
        let mut all = Vec::new();
        for piece in pieces {
            all.extend_from_slice(coder.data(piece, 0));
            all.extend_from_slice(coder.flush(0));
        }
        all.extend_from_slice(coder.end(0));
        all
    }

    fn decoded(algorithm: Algorithm, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let read = match algorithm {
            Algorithm::Identity => return bytes.to_vec(),
            Algorithm::Gzip => GzDecoder::new(bytes).read_to_end(&mut out),
            Algorithm::Deflate => ZlibDecoder::new(bytes).read_to_end(&mut out),
            Algorithm::RawDeflate => DeflateDecoder::new(bytes).read_to_end(&mut out),
        };
        read.expect("well-formed");
        out
    }

    #[test]
    fn every_algorithm_gives_the_body_back() {
        let noise: Vec<u8> = (0..300_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let text = b"again and again ".repeat(20_000);
        for name in ["identity", "gzip", "deflate", "raw-deflate"] {
            let algorithm = Algorithm::of(name).expect("a name");
            assert_eq!(algorithm.name(), name);
            // Twice: the second one has a state that was used before.
            for _ in 0..2 {
                for body in [&noise[..], &text, b"", b"a"] {
                    for size in [1_000, 16 * 1024, 400_000] {
                        let mut coder = Coder::new(algorithm, 1, tally());
                        let pieces: Vec<&[u8]> = body.chunks(size).collect();
                        let bytes = coded(&mut coder, &pieces);
                        assert!(decoded(algorithm, &bytes) == body, "{name} {} by {size}", body.len());
                    }
                }
            }
        }
    }

    /// A receiver can read each piece when it has come.
    #[test]
    fn a_flush_leaves_nothing_behind() {
        let mut coder = Coder::new(Algorithm::Gzip, 1, tally());
        let mut sent = coder.data(b"event one\n", 0).to_vec();
        sent.extend_from_slice(coder.flush(0));
        assert!(coder.flush(0).is_empty());
        let mut room = [0; 64];
        let n = GzDecoder::new(&sent[..]).read(&mut room).expect("so far it is well");
        assert_eq!(&room[..n], b"event one\n");
    }

    #[test]
    fn what_it_does_is_counted() {
        let (front, back) = (Arc::new(ProxyLive::new(1)), Arc::new(ProxyLive::new(1)));
        let tally = || Tally { front: front.clone(), back: Some(back.clone()) };
        let body = b"x".repeat(5000);
        let sent = coded(&mut Coder::new(Algorithm::Gzip, 1, tally()), &[&body]);
        coded(&mut Coder::new(Algorithm::Identity, 1, tally()), &[&body]);
        for side in [&front.front.counters, &back.back.counters] {
            let totals = crate::model::Totals::of(side);
            let counted = (totals.comp_in, totals.comp_out, totals.comp_byp, totals.comp_rsp);
            assert_eq!(counted, (5000, sent.len() as u64, 5000, 2));
        }
    }
}
