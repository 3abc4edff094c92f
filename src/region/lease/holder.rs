//! One who wants a lease, and then keeps it: what to ask and when, and until when it is held. No I/O; the time is
//! handed in.

use std::time::Duration;

use crate::base::clock::Nanos;
use crate::region::map::{Command, Name, Refusal, Reply};

#[derive(Debug)]
pub struct Holder {
    name: Name,
    me: u64,
    claim: u64,
    length: Nanos,
    held: Option<Held>,
    /// When what is on its way was sent.
    asked_at: Option<Nanos>,
    /// When to ask next; `None`: when a lease ends.
    next: Option<Nanos>,
    over: bool,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    term: u64,
    until: Nanos,
}

impl Holder {
    /// `claim`: drawn by chance. `length`: in whole milliseconds.
    pub fn new(name: Name, me: u64, claim: u64, length: Duration, now: Nanos) -> Holder {
        let length = length.as_nanos() as Nanos;
        Holder { name, me, claim, length, held: None, asked_at: None, next: Some(now), over: false }
    }

    /// The term, if it is held now. It counts from before the last renewal was sent that was confirmed, less a tenth for
    /// clocks that do not run alike.
    pub fn held(&self, now: Nanos) -> Option<u64> {
        self.held.filter(|held| !self.over && now < held.until).map(|held| held.term)
    }

    /// Until when it is held if nothing is heard any more; 0: it is not.
    pub fn held_until(&self) -> Nanos {
        self.held.filter(|_| !self.over).map_or(0, |held| held.until)
    }

    /// It was held and is not any more, for good.
    pub fn is_lost(&self, now: Nanos) -> bool {
        self.over || self.held.is_some_and(|held| now >= held.until)
    }

    pub fn length(&self) -> Duration {
        Duration::from_nanos(self.length)
    }

    /// How long an answer is waited for.
    pub fn patience(&self) -> Duration {
        Duration::from_nanos(self.length / 3)
    }

    /// What to propose now. Its answer goes to [`Holder::answered`].
    pub fn due(&mut self, now: Nanos) -> Option<Command> {
        if self.asked_at.is_some() || self.is_lost(now) || self.next.is_none_or(|at| now < at) {
            return None;
        }
        self.asked_at = Some(now);
        let name = self.name.clone();
        Some(match self.held {
            Some(held) => Command::LeaseRenew { name, term: held.term },
            None => {
                let length_ms = self.length / crate::base::clock::MS;
                Command::LeaseAcquire { name, holder: self.me, claim: self.claim, length_ms }
            }
        })
    }

    /// When something happens by itself: it is to ask, or has lost the lease.
    pub fn next(&self) -> Option<Nanos> {
        let ask = self.next.filter(|_| self.asked_at.is_none());
        ask.into_iter().chain(self.held.map(|held| held.until)).min().filter(|_| !self.over)
    }

    /// What became of what was asked; `None`: it is not known. A refusal for which there is no remedy is given back.
    pub fn answered(&mut self, answer: Option<Reply>, now: Nanos) -> Result<(), Refusal> {
        let Some(sent) = self.asked_at.take() else { return Ok(()) };
        let lost = self.is_lost(now);
        match (answer, self.held) {
            (Some(Reply::Id { id: term, .. }), None) => self.keep(term, sent),
            (Some(Reply::Done { .. }), Some(held)) if !lost => self.keep(held.term, sent),
            (Some(Reply::Refused(Refusal::LeaseHeld { .. })), _) => self.next = None,
            (Some(Reply::Refused(Refusal::LeaseLost(_))), _) => self.over = true,
            (Some(Reply::Refused(why)), _) => {
                self.over = true;
                return Err(why);
            }
            _ => self.next = Some(now + self.length / 10),
        }
        Ok(())
    }

    /// Granted or renewed.
    fn keep(&mut self, term: u64, sent: Nanos) {
        self.held = Some(Held { term, until: sent + self.length / 10 * 9 });
        self.next = Some(sent + self.length / 3);
    }

    /// A lease was granted or ended: it may be this one.
    pub fn leases_changed(&mut self, now: Nanos) {
        self.next.get_or_insert(now);
    }

    /// Gives up: what to propose, if it was held or may be.
    pub fn give_up(&mut self) -> Option<Command> {
        self.over = true;
        self.held.map(|held| Command::LeaseRelease { name: self.name.clone(), term: held.term })
    }
}
