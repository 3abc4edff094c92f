//! Whether this process knows what others know, and which of them it asks.
//!
//! A process that begins asks one peer after the other until one has taught it all that there is. A peer that was not
//! taught itself says so, and the next one is asked. When nobody is left for five seconds, what is known is all.

use crate::base::Millis;

/// How long another peer is waited for.
const PATIENCE_MS: Millis = 5000;

/// The state of a section.
#[derive(Debug)]
pub struct Resync {
    is_whole: bool,
    /// The peer that teaches.
    asked: Option<usize>,
    /// Peers that have taught what they had.
    done: Vec<usize>,
    until: Millis,
}

impl Resync {
    /// A process that knows nothing.
    pub fn new(now: Millis) -> Resync {
        Resync { is_whole: false, asked: None, done: Vec::new(), until: now + PATIENCE_MS }
    }

    /// A process that knows all that there is.
    pub fn whole() -> Resync {
        Resync { is_whole: true, asked: None, done: Vec::new(), until: 0 }
    }

    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether this peer is to be asked, which is connected; it is asked then.
    pub fn ask(&mut self, peer: usize, now: Millis) -> bool {
        self.look(now);
        if self.is_whole || self.asked.is_some() || self.done.contains(&peer) {
            return false;
        }
        self.asked = Some(peer);
        true
    }

    /// A peer has taught what it had; `all`: what it had was all.
    pub fn taught(&mut self, peer: usize, all: bool, now: Millis) {
        self.is_whole |= all;
        self.let_go(peer, now);
        if !self.done.contains(&peer) {
            self.done.push(peer);
        }
    }

    /// The session of a peer has ended.
    pub fn lost(&mut self, peer: usize, now: Millis) {
        if self.asked == Some(peer) {
            self.let_go(peer, now);
        }
    }

    fn let_go(&mut self, peer: usize, now: Millis) {
        if self.asked == Some(peer) {
            self.asked = None;
        }
        self.until = now + PATIENCE_MS;
    }

    /// Time goes by.
    pub fn look(&mut self, now: Millis) {
        self.is_whole |= self.asked.is_none() && now >= self.until;
    }
}
