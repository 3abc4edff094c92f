//! One virtual router (RFC 9568 section 6.4), with handovers that keep the addresses until the next master has spoken.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::base::Nanos;
use crate::base::clock::MS;

use super::super::packet::{Advert, Version};
use super::settings::{OWNER, Settings};

/// How long addresses are kept once the next master has spoken: neighbours learn a moment later where they are now.
const LINGER_NS: Nanos = 20 * MS;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// Not started, or waiting for what it tracks to be known.
    Init,
    Backup,
    Master,
    /// Something that it depends on is down.
    Fault,
    /// Ended for good.
    Stopped,
}

impl State {
    /// As logs, notify scripts and `vip ls` show it.
    pub fn name(self) -> &'static str {
        match self {
            State::Init => "INIT",
            State::Backup => "BACKUP",
            State::Master => "MASTER",
            State::Fault => "FAULT",
            State::Stopped => "STOP",
        }
    }
}

/// Why a state changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    Start,
    /// Priority 255.
    Owner,
    /// No advert for so long, the last one from `master`.
    Silence {
        master: Option<IpAddr>,
        after_ns: Nanos,
    },
    /// The master sent priority 0.
    GivenUp {
        by: IpAddr,
    },
    Outranked {
        by: IpAddr,
        priority: u8,
        own: u8,
    },
    /// What is tracked is down.
    Down(Arc<str>),
    /// All that is tracked is up again.
    Recovered,
    /// Another member of the sync group moved.
    Group(Arc<str>),
    /// An operator's command.
    Asked,
    /// The master's heartbeat ended, or said so.
    Heartbeat(Arc<str>),
    /// The lease under which the addresses are held is over.
    LeaseEnded,
    Stop,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Start => f.write_str("start"),
            Cause::Owner => f.write_str("priority 255 owns the addresses"),
            Cause::Silence { master: Some(master), after_ns } => {
                write!(f, "no advert from {master} for {} ms", after_ns / 1_000_000)
            }
            Cause::Silence { master: None, after_ns } => {
                write!(f, "no advert from anyone for {} ms", after_ns / 1_000_000)
            }
            Cause::GivenUp { by } => write!(f, "{by} gave up (priority 0)"),
            Cause::Outranked { by, priority, own } if priority == own => {
                write!(f, "advert from {by}, a higher address with the same priority {priority}")
            }
            Cause::Outranked { by, priority, own } => {
                write!(f, "advert from {by} with priority {priority} above {own}")
            }
            Cause::Down(what) => write!(f, "{what} is down"),
            Cause::Recovered => f.write_str("all that is tracked is up"),
            Cause::Group(name) => write!(f, "sync group {name}"),
            Cause::Asked => f.write_str("asked by an operator"),
            Cause::Heartbeat(what) => write!(f, "{what}"),
            Cause::LeaseEnded => f.write_str("the lease of the region map is over"),
            Cause::Stop => f.write_str("stop"),
        }
    }
}

/// What the world is to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send an advert of this priority.
    Advert {
        priority: u8,
    },
    /// Put the addresses on the interface; nothing where they are there.
    Take,
    /// Take them away.
    Release,
    /// Tell neighbours of each address, so often.
    Announce {
        repeat: u32,
    },
    Moved {
        from: State,
        to: State,
        cause: Cause,
    },
    /// Ask for the lease, for as long as it takes.
    Claim,
    /// Give the lease back, or ask for it no more.
    Yield,
}

/// The master that was heard last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Master {
    pub address: IpAddr,
    pub priority: u8,
    pub interval_ns: Nanos,
    pub heard_ns: Nanos,
}

#[derive(Clone, Debug)]
pub struct Instance {
    settings: Settings,
    state: State,
    /// With what trackers add and take away.
    priority: u8,
    /// What it is instead, after an operator moved the addresses here, for as long as it is master.
    raised: Option<u8>,
    /// An operator moved the addresses away: a master of lower priority stays, until it falls silent.
    stays_back: bool,
    /// The address that adverts are sent from: the tie-break.
    source: Option<IpAddr>,
    /// As a backup: when the master is gone. As a master: when the next advert is due.
    deadline: Option<Nanos>,
    /// When neighbours are told again, and how often.
    announce_at: Option<(Nanos, u32)>,
    refresh_at: Option<Nanos>,
    /// Until when addresses are kept by one that is no master any more.
    release_at: Option<Nanos>,
    /// Until when a master of lower priority stays.
    preempt_at: Option<Nanos>,
    master: Option<Master>,
    given_up: Option<IpAddr>,
    /// Until when this node holds the lease.
    lease_until: Option<Nanos>,
    /// Why it is to be master once it has the lease.
    wanted: Option<Cause>,
    since_ns: Nanos,
    cause: Cause,
}

impl Instance {
    pub fn new(settings: Settings, now: Nanos) -> Instance {
        Instance {
            priority: settings.priority,
            raised: None,
            stays_back: false,
            settings,
            state: State::Init,
            source: None,
            deadline: None,
            announce_at: None,
            refresh_at: None,
            release_at: None,
            preempt_at: None,
            master: None,
            given_up: None,
            lease_until: None,
            wanted: None,
            since_ns: now,
            cause: Cause::Start,
        }
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn priority(&self) -> u8 {
        self.raised.unwrap_or(self.priority)
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Since when it is in its state, and why.
    pub fn since(&self) -> (Nanos, &Cause) {
        (self.since_ns, &self.cause)
    }

    pub fn master(&self) -> Option<&Master> {
        self.master.as_ref()
    }

    /// Whether the addresses are on this node.
    pub fn holds(&self) -> bool {
        self.state == State::Master || self.release_at.is_some()
    }

    pub fn set_source(&mut self, source: Option<IpAddr>) {
        self.source = source;
    }

    /// When [`turn`](Instance::turn) has something to do.
    pub fn due(&self) -> Option<Nanos> {
        let announce = self.announce_at.map(|(at, _)| at);
        let fence = self.fence().filter(|_| self.state == State::Master);
        [self.deadline, announce, self.refresh_at, self.release_at, fence].into_iter().flatten().min()
    }

    /// When a fenced master has to let go.
    fn fence(&self) -> Option<Nanos> {
        let before = self.settings.fence_margin_ns;
        self.settings.fenced.then(|| self.lease_until.map_or(0, |until| until.saturating_sub(before)))
    }

    /// Begins, or begins again after a fault.
    pub fn start(&mut self, now: Nanos, cause: Cause, out: &mut Vec<Action>) {
        self.preempt_at = None;
        if self.settings.priority == OWNER {
            return self.become_master(now, Cause::Owner, out);
        }
        self.moved(now, State::Backup, cause, out);
        self.wait_for_master(now, self.settings.interval_ns);
    }

    /// The addresses were found on the interface when it began: they stay until another master has spoken, or it is clear
    /// that there is none.
    pub fn adopt(&mut self, now: Nanos) {
        let settings = &self.settings;
        self.release_at = Some(now + settings.master_down_ns(1, settings.interval_ns) + settings.interval_ns);
    }

    /// Goes on with other settings.
    pub fn reconfigure(&mut self, settings: Settings) {
        self.settings = settings;
        self.priority = self.settings.priority;
    }

    /// Lets go of what a fenced router may have no longer. Comes before everything else, for one that slept.
    pub fn expire(&mut self, now: Nanos, out: &mut Vec<Action>) {
        if self.state != State::Master || self.fence().is_none_or(|at| now < at) {
            return;
        }
        self.moved(now, State::Backup, Cause::LeaseEnded, out);
        self.give_up(now, true, true, out);
        self.wait_for_master(now, self.settings.interval_ns);
    }

    /// Until when this node holds the lease, as far as it is known; `None`: it does not.
    pub fn lease(&mut self, now: Nanos, until: Option<Nanos>, out: &mut Vec<Action>) {
        self.lease_until = until;
        self.expire(now, out);
        if self.fence().is_none_or(|at| now >= at) || self.state == State::Master {
            return;
        }
        match self.wanted.take() {
            Some(cause) => self.become_master(now, cause, out),
            None => self.yield_lease(out),
        }
    }

    fn yield_lease(&mut self, out: &mut Vec<Action>) {
        if self.settings.fenced {
            (self.lease_until, self.wanted) = (None, None);
            out.push(Action::Yield);
        }
    }

    /// Does what is due.
    pub fn turn(&mut self, now: Nanos, out: &mut Vec<Action>) {
        self.expire(now, out);
        if self.release_at.take_if(|at| *at <= now).is_some() {
            out.push(Action::Release);
        }
        match self.deadline.filter(|at| *at <= now) {
            Some(_) if self.state == State::Backup => {
                let cause = match (self.given_up, self.master) {
                    (Some(by), _) => Cause::GivenUp { by },
                    (None, master) => Cause::Silence {
                        master: master.map(|m| m.address),
                        after_ns: now - master.map_or(self.since_ns, |m| m.heard_ns),
                    },
                };
                self.become_master(now, cause, out);
            }
            Some(at) if self.state == State::Master => {
                out.push(Action::Advert { priority: self.priority() });
                // A turn that comes late shifts no advert, unless it comes later than the next.
                let next = at + self.settings.interval_ns;
                self.deadline = Some(if next > now { next } else { now + self.settings.interval_ns });
            }
            _ => {}
        }
        if let Some((_, repeat)) = self.announce_at.take_if(|(at, _)| *at <= now) {
            out.push(Action::Announce { repeat });
        }
        if self.refresh_at.is_some_and(|at| at <= now) {
            self.refresh_at = Some(now + self.settings.announcing.refresh_ns);
            out.push(Action::Announce { repeat: self.settings.announcing.refresh_repeat });
        }
    }

    /// Takes in an advert that was found to be of this virtual router.
    pub fn receive(&mut self, now: Nanos, advert: &Advert, from: IpAddr, out: &mut Vec<Action>) {
        if advert.priority > 0 && self.state != State::Master {
            // Who takes over has spoken. What is on its way here still finds somebody.
            self.release_at = self.release_at.map(|at| at.min(now + LINGER_NS));
        }
        match self.state {
            State::Backup => self.receive_as_backup(now, advert, from, out),
            State::Master => self.receive_as_master(now, advert, from, out),
            State::Init | State::Fault | State::Stopped => {}
        }
    }

    fn receive_as_backup(&mut self, now: Nanos, advert: &Advert, from: IpAddr, out: &mut Vec<Action>) {
        let interval_ns = match self.settings.version {
            Version::V2 => self.settings.interval_ns,
            Version::V3 => advert.interval_ns,
        };
        if advert.priority == 0 {
            if self.wanted.is_some() {
                return;
            }
            let known = self.master.map_or(self.settings.interval_ns, |m| m.interval_ns);
            self.given_up = Some(from);
            self.deadline = Some(now + self.settings.skew_ns(self.priority(), known));
            return;
        }
        let outranks = advert.priority >= self.priority();
        if outranks {
            self.preempt_at = None;
        } else if self.settings.preempt && !self.stays_back {
            let delay = self.settings.preempt_delay_ns;
            if delay == 0 || *self.preempt_at.get_or_insert(now + delay) <= now {
                // It is left to time out.
                return;
            }
        }
        self.master = Some(Master { address: from, priority: advert.priority, interval_ns, heard_ns: now });
        if self.wanted.is_some() {
            self.yield_lease(out);
        }
        self.wait_for_master(now, interval_ns);
    }

    fn receive_as_master(&mut self, now: Nanos, advert: &Advert, from: IpAddr, out: &mut Vec<Action>) {
        if advert.priority == 0 {
            // Whoever gave up may have been a second master, whose neighbours do not know of us.
            self.advertise_now(now, out);
            out.push(Action::Announce { repeat: 1 });
            return;
        }
        let outranked = advert.priority > self.priority()
            || advert.priority == self.priority() && self.source.is_none_or(|own| own < from);
        if !outranked {
            if self.settings.answers_lower {
                self.advertise_now(now, out);
            }
            let announcing = &self.settings.announcing;
            if announcing.lower_repeat > 0 {
                out.push(Action::Announce { repeat: announcing.lower_repeat });
                if announcing.lower_delay_ns > 0 {
                    self.announce_at = Some((now + announcing.lower_delay_ns, announcing.lower_repeat));
                }
            }
            return;
        }
        let interval_ns = match self.settings.version {
            Version::V2 => self.settings.interval_ns,
            Version::V3 => advert.interval_ns,
        };
        let own = self.priority();
        self.master = Some(Master { address: from, priority: advert.priority, interval_ns, heard_ns: now });
        self.moved(now, State::Backup, Cause::Outranked { by: from, priority: advert.priority, own }, out);
        self.wait_for_master(now, interval_ns);
        // The other one learns that there were two, and tells the neighbours where the addresses are now.
        out.push(Action::Advert { priority: own });
        out.push(Action::Release);
        self.yield_lease(out);
    }

    /// What trackers make of the priority. A master says it with its next advert.
    pub fn set_priority(&mut self, priority: u8) {
        if self.settings.priority != OWNER {
            self.priority = priority.clamp(1, OWNER - 1);
        }
    }

    /// Something that it depends on is down. With `link` there are still neighbours to hand over to.
    pub fn fail(&mut self, now: Nanos, cause: Cause, link: bool, out: &mut Vec<Action>) {
        if matches!(self.state, State::Fault | State::Stopped) {
            if !link && self.release_at.take().is_some() {
                out.push(Action::Release);
            }
            return;
        }
        let was_master = self.state == State::Master;
        self.yield_if_wanted(out);
        self.moved(now, State::Fault, cause, out);
        self.give_up(now, was_master, link, out);
    }

    /// Becomes master at once: the group moved, an operator asked for it, or a heartbeat ended.
    pub fn take_over(&mut self, now: Nanos, cause: Cause, out: &mut Vec<Action>) {
        if self.state == State::Backup {
            self.become_master(now, cause, out);
        }
    }

    /// Becomes master because an operator wants it, with a priority above that of the master that there is. `false` where
    /// that is not to be had.
    pub fn move_here(&mut self, now: Nanos, out: &mut Vec<Action>) -> bool {
        let beaten = self.master.map_or(0, |master| master.priority);
        let priority = self.priority.max(beaten.saturating_add(1));
        // Under a lease it is for its holder to let go.
        if self.state != State::Backup || priority == OWNER || self.settings.fenced {
            return self.state == State::Master;
        }
        self.raised = Some(priority).filter(|raised| *raised != self.priority);
        self.become_master(now, Cause::Asked, out);
        true
    }

    /// Gives the addresses away because an operator wants it, and lets whoever takes them keep them.
    pub fn move_away(&mut self, now: Nanos, out: &mut Vec<Action>) {
        self.step_down(now, Cause::Asked, out);
        self.stays_back = true;
    }

    /// A master says at once that it is one: somebody may not know.
    pub fn speak(&mut self, now: Nanos, out: &mut Vec<Action>) {
        if self.state == State::Master {
            self.advertise_now(now, out);
        }
    }

    /// A master becomes a backup and says so, for others to take over.
    pub fn step_down(&mut self, now: Nanos, cause: Cause, out: &mut Vec<Action>) {
        if self.state != State::Master {
            return;
        }
        self.moved(now, State::Backup, cause, out);
        self.give_up(now, true, true, out);
        // Long enough for each of the others, whose skew is shorter than this.
        self.wait_for_master(now, self.settings.interval_ns);
    }

    /// Ends. Addresses stay until another master has spoken, or none did in time.
    pub fn stop(&mut self, now: Nanos, link: bool, out: &mut Vec<Action>) {
        if self.state == State::Stopped {
            return;
        }
        let was_master = self.state == State::Master;
        self.yield_if_wanted(out);
        self.moved(now, State::Stopped, Cause::Stop, out);
        self.give_up(now, was_master, link, out);
    }

    /// Whether nothing is left to do after [`stop`](Instance::stop).
    pub fn is_over(&self) -> bool {
        self.state == State::Stopped && self.release_at.is_none()
    }

    /// Addresses are kept for nobody: who calls this takes them away.
    pub fn abandon(&mut self) {
        self.release_at = None;
    }

    fn yield_if_wanted(&mut self, out: &mut Vec<Action>) {
        if self.wanted.is_some() {
            self.yield_lease(out);
        }
    }

    fn give_up(&mut self, now: Nanos, was_master: bool, link: bool, out: &mut Vec<Action>) {
        if was_master && self.settings.fenced {
            // Nobody else can be master before the lease is given back, and then nothing may be here.
            out.push(Action::Release);
            out.push(Action::Advert { priority: 0 });
            self.yield_lease(out);
        } else if was_master && link {
            out.push(Action::Advert { priority: 0 });
            self.release_at = Some(now + self.settings.handover_ns());
        } else if was_master || !link && self.release_at.take().is_some() {
            out.push(Action::Release);
        }
    }

    fn become_master(&mut self, now: Nanos, cause: Cause, out: &mut Vec<Action>) {
        if self.fence().is_some_and(|at| now >= at) {
            if self.wanted.replace(cause).is_none() {
                out.push(Action::Claim);
            }
            // Who has it speaks; until then it is asked for.
            self.deadline = None;
            return;
        }
        self.moved(now, State::Master, cause, out);
        self.release_at = None;
        self.advertise_now(now, out);
        out.push(Action::Take);
        let announcing = &self.settings.announcing;
        if announcing.repeat > 0 {
            out.push(Action::Announce { repeat: announcing.repeat });
        }
        if announcing.delay_ns > 0 && announcing.repeat > 0 {
            self.announce_at = Some((now + announcing.delay_ns, announcing.repeat));
        }
        self.refresh_at = (announcing.refresh_ns > 0).then(|| now + announcing.refresh_ns);
    }

    fn advertise_now(&mut self, now: Nanos, out: &mut Vec<Action>) {
        out.push(Action::Advert { priority: self.priority() });
        self.deadline = Some(now + self.settings.interval_ns);
    }

    fn wait_for_master(&mut self, now: Nanos, interval_ns: Nanos) {
        self.given_up = None;
        self.deadline = Some(now + self.settings.master_down_ns(self.priority, interval_ns));
    }

    fn moved(&mut self, now: Nanos, to: State, cause: Cause, out: &mut Vec<Action>) {
        out.push(Action::Moved { from: self.state, to, cause: cause.clone() });
        if to == State::Master || self.state == State::Init {
            self.master = None;
        }
        if self.state == State::Master {
            self.raised = None;
        }
        self.stays_back = false;
        (self.state, self.since_ns, self.cause) = (to, now, cause);
        (self.deadline, self.announce_at, self.refresh_at) = (None, None, None);
        (self.given_up, self.preempt_at, self.wanted) = (None, None, None);
    }
}
