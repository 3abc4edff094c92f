//! A blob that is read: every byte goes through its digest, and where the source breaks off it is asked for the rest.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use tokio::time::Sleep;

use super::pace::Pace;
use crate::base::clock;
use crate::mirror::client::backoff::{REQUEST, chance};
use crate::mirror::client::payload::Source;
use crate::mirror::client::transport::{Home, STALL};
use crate::mirror::client::{Fault, Registry};
use crate::mirror::digest::{Digest, Hasher};

/// Bytes that were moved, and what of it was moved before: counted where it happens.
#[derive(Debug, Default)]
pub struct Meter {
    /// Sent to the target.
    pub sent: AtomicU64,
    /// Read from the source.
    pub read: AtomicU64,
    /// To be sent, of what was begun.
    pub due: AtomicU64,
}

type Opening = Pin<Box<dyn Future<Output = Result<(Incoming, Option<Home>, bool), Fault>> + Send>>;

enum State {
    Opening(Opening),
    Reading { body: Incoming, home: Option<Home>, silence: Pin<Box<Sleep>> },
    Ended,
}

pub struct Tap {
    what: Arc<What>,
    state: State,
    /// Came, and is not handed on yet.
    left: Bytes,
    /// What was hashed so far.
    at: u64,
    hasher: Hasher,
    /// Up to here it is read for the digest alone.
    skip_to: u64,
    /// Comes once more from a source that knows no ranges.
    discard: u64,
    /// Breaks since the last byte.
    failed: u32,
    hold: Option<Pin<Box<Sleep>>>,
    /// Why it ended, where the other side is told less.
    pub fault: Option<Fault>,
}

/// What is read.
pub struct What {
    pub source: Arc<Registry>,
    pub repository: Arc<str>,
    pub digest: Digest,
    pub size: u64,
    pub meter: Arc<Meter>,
    pub pace: Arc<Pace>,
    pub stop: Arc<AtomicBool>,
}

impl Tap {
    /// From `at` on, with the digest of what lies before; what is below `skip_to` is not handed on.
    pub fn new(what: Arc<What>, at: u64, hasher: Hasher, skip_to: u64) -> Tap {
        // A range that begins at the end has no answer.
        let state = if at == what.size {
            State::Ended
        } else {
            State::Opening(open(what.clone(), at, Duration::ZERO))
        };
        Tap {
            what,
            state,
            left: Bytes::new(),
            at,
            hasher,
            skip_to,
            discard: 0,
            failed: 0,
            hold: None,
            fault: None,
        }
    }

    pub fn at(&self) -> u64 {
        self.at
    }

    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// Tries once more from where it is, or gives up.
    fn broke(&mut self, fault: Fault) -> Result<(), Fault> {
        self.failed += 1;
        let wait = REQUEST.after(self.failed, chance()).filter(|_| fault.is_passing());
        let Some(wait) = wait else { return Err(fault) };
        self.state = State::Opening(open(self.what.clone(), self.at, wait));
        Ok(())
    }

    /// Drops what comes once more.
    fn pass_known(&mut self) {
        if self.discard > 0 {
            let gone = self.left.len().min(usize::try_from(self.discard).unwrap_or(usize::MAX));
            drop(self.left.split_to(gone));
            self.discard -= gone as u64;
        }
    }

    /// Hands on what is left, at most `most` bytes.
    fn hand(&mut self, most: usize) -> Option<Result<Bytes, Fault>> {
        self.pass_known();
        if self.at < self.skip_to && !self.left.is_empty() {
            let most = usize::try_from(self.skip_to - self.at).unwrap_or(usize::MAX);
            let passed = self.left.split_to(self.left.len().min(most));
            self.hash(&passed);
        }
        let due = usize::try_from(self.what.size - self.at).unwrap_or(usize::MAX);
        let most = most.min(due).min(self.what.pace.most());
        let bytes = self.left.split_to(self.left.len().min(most));
        if bytes.is_empty() {
            return None;
        }
        self.hash(&bytes);
        if self.at == self.what.size
            && let Err(fault) = self.verify()
        {
            return Some(Err(fault));
        }
        self.what.meter.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let now = clock::now_ns();
        let until = self.what.pace.take(bytes.len() as u64, now);
        if until > now {
            self.hold = Some(Box::pin(tokio::time::sleep(Duration::from_nanos(until - now))));
        }
        Some(Ok(bytes))
    }

    fn hash(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.at += bytes.len() as u64;
        self.failed = 0;
    }

    fn verify(&mut self) -> Result<(), Fault> {
        let found = self.hasher.digest();
        if found == self.what.digest {
            return Ok(());
        }
        self.state = State::Ended;
        let what = format!("{}@{}", self.what.repository, self.what.digest);
        Err(Fault::Corrupt { host: self.what.source.host().to_owned(), what, found: found.to_string() })
    }

    /// One step of the source: true when there may be something to hand on.
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Fault>> {
        let host = || self.what.source.host().to_owned();
        match &mut self.state {
            State::Ended => Poll::Ready(Ok(false)),
            State::Opening(opening) => match std::task::ready!(opening.as_mut().poll(cx)) {
                Ok((body, home, is_there)) => {
                    self.discard = if is_there { 0 } else { self.at };
                    let silence = Box::pin(tokio::time::sleep(STALL));
                    self.state = State::Reading { body, home, silence };
                    Poll::Ready(Ok(true))
                }
                Err(fault) => Poll::Ready(self.broke(fault).map(|()| true)),
            },
            State::Reading { body, home, silence } => match Pin::new(body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        silence.as_mut().reset(tokio::time::sleep(STALL).deadline());
                        self.what.meter.read.fetch_add(data.len() as u64, Ordering::Relaxed);
                        self.left = data;
                    }
                    Poll::Ready(Ok(true))
                }
                Poll::Ready(None) if self.at == self.what.size => {
                    if let Some(home) = home.take() {
                        home.keep();
                    }
                    self.state = State::Ended;
                    Poll::Ready(Ok(false))
                }
                Poll::Ready(None) => {
                    let fault = Fault::Io { host: host(), why: "a blob ended early".into() };
                    Poll::Ready(self.broke(fault).map(|()| true))
                }
                Poll::Ready(Some(Err(e))) => {
                    let fault = Fault::Io { host: host(), why: e.to_string() };
                    Poll::Ready(self.broke(fault).map(|()| true))
                }
                Poll::Pending => {
                    std::task::ready!(silence.as_mut().poll(cx));
                    let fault = Fault::Slow { host: host() };
                    Poll::Ready(self.broke(fault).map(|()| true))
                }
            },
        }
    }

    /// Reads what is to be read for the digest alone, and to the end of the source when all was handed on.
    pub async fn settle(&mut self) -> Result<(), Fault> {
        std::future::poll_fn(|cx| {
            loop {
                if self.at < self.skip_to {
                    self.pass_known();
                    let most = usize::try_from(self.skip_to - self.at).unwrap_or(usize::MAX);
                    let passed = self.left.split_to(self.left.len().min(most));
                    self.hash(&passed);
                }
                if self.at >= self.skip_to && (self.at < self.what.size || matches!(self.state, State::Ended))
                {
                    return Poll::Ready(Ok(()));
                }
                if self.at == self.what.size && !self.left.is_empty() {
                    self.state = State::Ended;
                    continue;
                }
                if let Err(fault) = std::task::ready!(self.step(cx)) {
                    return Poll::Ready(Err(fault));
                }
            }
        })
        .await?;
        if self.at == self.what.size { self.verify() } else { Ok(()) }
    }
}

impl Source for Tap {
    fn poll_bytes(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Option<Result<Bytes, String>>> {
        if self.what.stop.load(Ordering::Relaxed) {
            self.fault = Some(Fault::Stopped);
            return Poll::Ready(Some(Err(Fault::Stopped.to_string())));
        }
        loop {
            if let Some(hold) = &mut self.hold {
                std::task::ready!(hold.as_mut().poll(cx));
                self.hold = None;
            }
            let fault = match self.hand(most) {
                Some(Ok(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                Some(Err(fault)) => fault,
                None => match std::task::ready!(self.step(cx)) {
                    Ok(true) => continue,
                    Ok(false) => return Poll::Ready(None),
                    Err(fault) => fault,
                },
            };
            let why = fault.to_string();
            self.fault = Some(fault);
            return Poll::Ready(Some(Err(why)));
        }
    }
}

fn open(what: Arc<What>, at: u64, after: Duration) -> Opening {
    Box::pin(async move {
        tokio::time::sleep(after).await;
        let (answer, is_there) = what.source.blob(&what.repository, &what.digest, at).await?;
        let (_, body, home) = answer.parts();
        Ok((body, Some(home), is_there))
    })
}
