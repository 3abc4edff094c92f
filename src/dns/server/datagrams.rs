//! A thread that answers datagrams: what has come is taken at once, answered in place and sent at once. It allocates
//! nothing, waits for nothing but the sockets, and looks at the present state once a batch.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::figures::Figures;
use super::rate::{Limiter, Verdict};
use super::shared::Shared;
use super::signed::{self, Signed};
use crate::base::clock;
use crate::dns::answer::{Ask, Outcome, Sent, State, respond_to};
use crate::dns::forward::{Forwarder, Known};
use crate::dns::transfer::Signer;
use crate::dns::wire::{HEADER, Query, Unreadable, flag, skip_name, u16_at};
use crate::os::datagram::{Batch, Return, send_back, wait_inside, wait_readable};

/// Datagrams taken in one call.
const BATCH: usize = 32;
/// Octets of a query: a name, EDNS, and room for options.
const QUERY: usize = 4096;
const ANSWER: usize = 1232;
/// How long it may take until a thread notices that it should end.
const TURN_MS: i32 = 200;
/// Batches of one socket before the others have their turn.
const TURNS: usize = 8;

/// Lets queries that come fast come together, as network cards do with their interrupts: to wake for every few of them costs
/// more than to answer them. It is over when they come slower, so that nobody who asks alone waits for others.
struct Gathering {
    last_ns: u64,
    /// Between one query and the next, smoothed.
    gap_ns: u64,
}

impl Gathering {
    /// Queries that come faster are gathered: 80,000 a second.
    const FAST_NS: u64 = 12_500;
    /// For how long.
    const PAUSE: Duration = Duration::from_micros(40);
    /// A batch of so many is worth its waking.
    const ENOUGH: usize = BATCH / 2;
    /// A pause of the senders counts as no more.
    const MOST_NS: u64 = 1_000_000;

    /// Called when a batch of so many was answered: whether to let more come before the next.
    fn is_worth_it(&mut self, count: usize, now_ns: u64) -> bool {
        let gap = (now_ns.saturating_sub(self.last_ns) / count.max(1) as u64).min(Self::MOST_NS);
        self.last_ns = now_ns;
        self.gap_ns = (self.gap_ns * 7 + gap) / 8;
        count > 0 && count < Self::ENOUGH && self.gap_ns < Self::FAST_NS
    }
}

pub(super) struct Worker {
    pub(super) sockets: Vec<Arc<OwnedFd>>,
    pub(super) shared: Arc<Shared>,
    pub(super) figures: Arc<Figures>,
    /// Of the random numbers; not 0.
    pub(super) seed: u64,
}

impl Worker {
    /// Answers until the server stops. What one query breaks, should any, costs its batch.
    pub(super) fn run(mut self) {
        while !self.shared.stopping.load(Ordering::Acquire) {
            if catch_unwind(AssertUnwindSafe(|| self.serve())).is_ok() {
                return;
            }
            tracing::error!("dns: a thread failed and goes on");
        }
    }

    fn serve(&mut self) {
        let mut batch = Batch::new(BATCH, QUERY, ANSWER);
        let mut limiter: Option<Limiter> = None;
        let fds: Vec<RawFd> = self.sockets.iter().map(|fd| fd.as_raw_fd()).collect();
        if let [fd] = fds[..]
            && wait_inside(fd, TURN_MS as u32).is_ok()
        {
            // Pauses are as short as they are meant to be.
            let _ = nix::sys::prctl::set_timerslack(1000);
            let mut gathering = Gathering { last_ns: 0, gap_ns: Gathering::MOST_NS };
            while !self.shared.stopping.load(Ordering::Acquire) {
                let count = self.turn(fd, true, &mut batch, &mut limiter);
                if gathering.is_worth_it(count, clock::now_ns()) {
                    std::thread::sleep(Gathering::PAUSE);
                }
            }
            return;
        }
        while !self.shared.stopping.load(Ordering::Acquire) {
            let ready = match wait_readable(&fds, TURN_MS) {
                Ok(ready) => ready,
                Err(e) => {
                    tracing::error!("dns: waiting for datagrams: {e}");
                    return;
                }
            };
            for fd in fds.iter().enumerate().filter(|(at, _)| ready >> at & 1 == 1).map(|(_, fd)| *fd) {
                for _ in 0..TURNS {
                    if self.turn(fd, false, &mut batch, &mut limiter) < BATCH {
                        break;
                    }
                }
            }
        }
    }

    /// Answers one batch, and says how many queries it had: there may be more when it was full.
    fn turn(&mut self, fd: RawFd, wait: bool, batch: &mut Batch, limiter: &mut Option<Limiter>) -> usize {
        let count = match batch.receive(fd, wait) {
            Ok(count) => count,
            Err(e) => {
                tracing::debug!("dns: receiving: {e}");
                return 0;
            }
        };
        if count == 0 {
            return 0;
        }
        let state = self.shared.state.load();
        let forwarder = (*self.shared.forwarder.load()).clone();
        let rate = self.shared.rate.load(Ordering::Relaxed);
        let (now_s, now_ms) = (clock::wall().as_secs() as u32, clock::now_ms());
        for at in 0..count {
            let draw = self.draw();
            let (query, back, out) = batch.datagram(at);
            let Some(peer) = back.peer() else { continue };
            // A port of 0 cannot be answered, and port 53 to port 53 is what loops between servers look like.
            if peer.port() == 0 {
                continue;
            }
            let client = peer.ip().to_canonical();
            let recursion = forwarder.as_ref().is_some_and(|forwarder| forwarder.allows(client));
            let ask = Ask { client, stream: false, now_s, draw, recursion, key: None };
            let mut read = Query::of(query);
            let how = read.read();
            let answered = match answer(&state, (&read, how), &ask, out, &self.figures) {
                Answered::Sent(sent) => Some(sent),
                Answered::Nothing | Answered::Transfer(_) => None,
                Answered::Forward => forwarder
                    .as_ref()
                    .and_then(|forwarder| self.forward(forwarder, &state, (&read, back), &ask, out, fd)),
            };
            let Some(mut sent) = answered else { continue };
            self.shared.log.note(&state, query, client, &sent);
            if rate > 0 && !sent.known_client {
                let limiter = limiter.get_or_insert_default();
                match limiter.judge(peer.ip(), sent.rcode, rate, now_ms) {
                    Verdict::Send => {}
                    Verdict::Slip => {
                        self.figures.slipped.fetch_add(1, Ordering::Relaxed);
                        sent.len = slip(out, sent.len);
                    }
                    Verdict::Drop => {
                        self.figures.limited.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                }
            }
            batch.reply(at, sent.len);
        }
        batch.send(fd);
        count
    }

    /// Answers from memory, or has upstream asked: the answer is sent when it comes.
    fn forward(
        &self,
        forwarder: &Arc<Forwarder>,
        state: &Arc<State>,
        (query, back): (&Query<'_>, &Return),
        ask: &Ask,
        out: &mut [u8],
        fd: RawFd,
    ) -> Option<Sent> {
        let asked = match forwarder.known(&state.settings, query, ask, out) {
            Known::Sent(sent) => {
                sent.iter().for_each(|sent| self.figures.count(sent));
                return sent;
            }
            Known::Ask(asked) => asked,
        };
        let socket = self.sockets.iter().find(|socket| socket.as_raw_fd() == fd)?.clone();
        let (forwarder, state) = (forwarder.clone(), state.clone());
        let (query, back, ask, shared) = (query.packet.to_vec(), back.clone(), *ask, self.shared.clone());
        forwarder.clone().runtime().spawn(async move {
            let mut out = vec![0; ANSWER];
            let sent = forwarder.ask(&state.settings, &asked, &query, &ask, &mut out).await;
            if let Some(sent) = sent {
                shared.later.count(&sent);
                shared.log.note(&state, &query, ask.client, &sent);
                if let Err(e) = send_back(socket.as_raw_fd(), &back, &out[..sent.len]) {
                    tracing::debug!("dns: an answer cannot be sent: {e}");
                }
            }
        });
        None
    }

    /// xorshift64*: nobody's secret depends on it.
    fn draw(&mut self) -> u64 {
        self.seed ^= self.seed >> 12;
        self.seed ^= self.seed << 25;
        self.seed ^= self.seed >> 27;
        self.seed.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// What becomes of a query.
pub(super) enum Answered {
    Sent(Sent),
    Nothing,
    /// Upstream knows.
    Forward,
    /// The whole zone: the query, and what signs the answer.
    Transfer(Option<(Vec<u8>, Box<Signer>)>),
}

/// Answers and counts. `read` is how reading the query went.
pub(super) fn answer(
    state: &State,
    (query, read): (&Query<'_>, Result<(), Unreadable>),
    ask: &Ask,
    out: &mut [u8],
    figures: &Figures,
) -> Answered {
    match respond_to(state, query, read, ask, out) {
        Outcome::Sent(sent) => {
            figures.count(&sent);
            state.note(sent.chosen);
            Answered::Sent(sent)
        }
        Outcome::Silent => {
            figures.silent.fetch_add(1, Ordering::Relaxed);
            Answered::Nothing
        }
        Outcome::Forward => Answered::Forward,
        Outcome::Transfer => Answered::Transfer(None),
        Outcome::Signed(at) => match signed::answer(state, query.packet, at, ask, out, figures) {
            Signed::Sent(sent) => Answered::Sent(sent),
            Signed::Nothing => Answered::Nothing,
            Signed::Transfer(query, signer) => Answered::Transfer(Some((query, signer))),
        },
    }
}

/// Makes an answer a truncated one without records, and says how long that is.
fn slip(out: &mut [u8], len: usize) -> usize {
    let mut end = HEADER;
    if u16_at(out, 4) == Some(1) {
        end = skip_name(&out[..len], HEADER).map_or(HEADER, |at| (at + 4).min(len));
    }
    let flags = u16_at(out, 2).unwrap_or(0) | flag::TC;
    out[2..4].copy_from_slice(&flags.to_be_bytes());
    out[6..HEADER].fill(0);
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a pause is worth it after each of so many batches of `count`, which take `gap_ns` a query.
    fn pauses(
        gathering: &mut Gathering,
        now_ns: &mut u64,
        batches: usize,
        count: usize,
        gap_ns: u64,
    ) -> usize {
        let turn = |_| {
            *now_ns += gap_ns * count as u64;
            gathering.is_worth_it(count, *now_ns)
        };
        (0..batches).map(turn).filter(|is| *is).count()
    }

    #[test]
    fn only_what_comes_fast_and_few_at_a_time_is_gathered() {
        let (mut gathering, mut now) = (Gathering { last_ns: 0, gap_ns: Gathering::MOST_NS }, 1);
        assert_eq!(pauses(&mut gathering, &mut now, 1000, 1, 50_000), 0, "20,000 a second");
        assert!(pauses(&mut gathering, &mut now, 100, 4, 7_000) > 80, "140,000 a second");
        assert_eq!(pauses(&mut gathering, &mut now, 100, BATCH, 5_000), 0, "batches that are full anyway");
        assert!(pauses(&mut gathering, &mut now, 100, 1, 50_000) < 20, "slow again");
        now += 10_000_000_000;
        assert!(!gathering.is_worth_it(1, now), "after a rest");
    }
}
