//! All virtual routers of this node: what trackers make of their priorities and states, and sync groups, whose members
//! are master together or not at all.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::base::Nanos;

use super::super::packet::Advert;
use super::instance::{Action, Cause, Instance, State};
use super::settings::Settings;

/// What is known of something that is tracked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Nothing yet: who depends on it waits.
    #[default]
    Unknown,
    Up,
    Down,
    /// A number, which is added to the priority as often as the weight says. Without a weight all but 0 is a fault.
    Level(i32),
}

/// How a virtual router depends on a tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Index among the router's trackers.
    pub tracker: usize,
    /// 0: its fall is a fault. Above: added while it is up. Below: taken away while it is down.
    pub weight: i32,
    /// Up counts as down, and down as up.
    pub reverse: bool,
}

/// A virtual router and what it depends on.
#[derive(Clone, Debug)]
pub struct Member {
    pub name: Arc<str>,
    pub settings: Settings,
    pub tracks: Vec<Track>,
    /// The tracker of its own interface, without which there is nobody to hand over to.
    pub link: Option<usize>,
}

/// Members that move together.
#[derive(Clone, Debug)]
pub struct Group {
    pub name: Arc<str>,
    /// Indices of members.
    pub members: Vec<usize>,
    /// What all members depend on.
    pub tracks: Vec<Track>,
    /// Weights hold; without this the fall of anything that members track is a fault of the group.
    pub weights: bool,
}

/// An action and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub member: usize,
    pub action: Action,
}

#[derive(Clone, Debug)]
pub struct Router {
    members: Vec<Member>,
    instances: Vec<Instance>,
    groups: Vec<Group>,
    /// The group of each member.
    group_of: Vec<Option<usize>>,
    trackers: Vec<(Arc<str>, Verdict)>,
}

impl Router {
    /// `trackers` are names, for causes.
    pub fn new(members: Vec<Member>, groups: Vec<Group>, trackers: Vec<Arc<str>>, now: Nanos) -> Router {
        let group_of = |i: usize| groups.iter().position(|group| group.members.contains(&i));
        Router {
            instances: members.iter().map(|m| Instance::new(m.settings.clone(), now)).collect(),
            group_of: (0..members.len()).map(group_of).collect(),
            trackers: trackers.into_iter().map(|name| (name, Verdict::Unknown)).collect(),
            members,
            groups,
        }
    }

    /// Takes over the state of members that go on, as pairs of an index here and one there, and what is known of trackers
    /// of the same name.
    pub fn go_on_from(&mut self, old: &Router, pairs: &[(usize, usize)]) {
        for (name, verdict) in &mut self.trackers {
            let known = old.trackers.iter().find(|(known, _)| known == name);
            *verdict = known.map_or(Verdict::Unknown, |(_, verdict)| *verdict);
        }
        for (here, there) in pairs {
            let settings = self.members[*here].settings.clone();
            self.instances[*here] = old.instances[*there].clone();
            self.instances[*here].reconfigure(settings);
        }
    }

    /// See [`Instance::adopt`].
    pub fn adopt(&mut self, now: Nanos, member: usize) {
        self.instances[member].adopt(now);
    }

    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    pub fn verdict(&self, tracker: usize) -> Verdict {
        self.trackers.get(tracker).map_or(Verdict::Unknown, |(_, verdict)| *verdict)
    }

    pub fn set_source(&mut self, member: usize, source: Option<IpAddr>) {
        self.instances[member].set_source(source);
    }

    /// When something is due.
    pub fn due(&self) -> Option<Nanos> {
        self.instances.iter().filter_map(Instance::due).min()
    }

    /// Starts what depends on nothing that is unknown.
    pub fn start(&mut self, now: Nanos, out: &mut Vec<Step>) {
        self.evaluate(now, out);
    }

    pub fn turn(&mut self, now: Nanos, out: &mut Vec<Step>) {
        for i in 0..self.instances.len() {
            if self.instances[i].due().is_some_and(|at| at <= now) {
                self.run(now, i, out, |instance, out| instance.turn(now, out));
            }
        }
    }

    /// Takes in an advert that belongs to a member.
    pub fn receive(&mut self, now: Nanos, member: usize, advert: &Advert, from: IpAddr, out: &mut Vec<Step>) {
        self.run(now, member, out, |instance, out| instance.receive(now, advert, from, out));
    }

    /// Something that is tracked was looked at.
    pub fn observe(&mut self, now: Nanos, tracker: usize, verdict: Verdict, out: &mut Vec<Step>) {
        let Some((_, known)) = self.trackers.get_mut(tracker) else { return };
        if std::mem::replace(known, verdict) != verdict {
            self.evaluate(now, out);
        }
    }

    pub fn take_over(&mut self, now: Nanos, member: usize, cause: Cause, out: &mut Vec<Step>) {
        self.run(now, member, out, |instance, out| instance.take_over(now, cause, out));
    }

    /// See [`Instance::speak`].
    pub fn speak(&mut self, now: Nanos, member: usize, out: &mut Vec<Step>) {
        self.run(now, member, out, |instance, out| instance.speak(now, out));
    }

    /// See [`Instance::move_here`].
    pub fn move_here(&mut self, now: Nanos, member: usize, out: &mut Vec<Step>) -> bool {
        let mut moved = false;
        self.run(now, member, out, |instance, out| moved = instance.move_here(now, out));
        moved
    }

    /// See [`Instance::move_away`].
    pub fn move_away(&mut self, now: Nanos, member: usize, out: &mut Vec<Step>) {
        self.run(now, member, out, |instance, out| instance.move_away(now, out));
    }

    /// Another priority than was configured.
    pub fn set_base(&mut self, now: Nanos, member: usize, priority: u8, out: &mut Vec<Step>) {
        self.members[member].settings.priority = priority;
        self.instances[member].reconfigure(self.members[member].settings.clone());
        self.evaluate(now, out);
    }

    /// See [`Instance::expire`].
    pub fn expire(&mut self, now: Nanos, out: &mut Vec<Step>) {
        for i in 0..self.instances.len() {
            self.run(now, i, out, |instance, out| instance.expire(now, out));
        }
    }

    /// See [`Instance::lease`].
    pub fn lease(&mut self, now: Nanos, member: usize, until: Option<Nanos>, out: &mut Vec<Step>) {
        self.run(now, member, out, |instance, out| instance.lease(now, until, out));
    }

    pub fn step_down(&mut self, now: Nanos, member: usize, cause: Cause, out: &mut Vec<Step>) {
        self.run(now, member, out, |instance, out| instance.step_down(now, cause, out));
    }

    /// Gives up everything; see [`Instance::stop`].
    pub fn stop(&mut self, now: Nanos, out: &mut Vec<Step>) {
        for i in 0..self.instances.len() {
            let link = self.has_link(i);
            let mut actions = Vec::new();
            self.instances[i].stop(now, link, &mut actions);
            out.extend(actions.into_iter().map(|action| Step { member: i, action }));
        }
    }

    /// Nobody waits for the next master any more.
    pub fn abandon(&mut self) {
        self.instances.iter_mut().for_each(Instance::abandon);
    }

    pub fn is_over(&self) -> bool {
        self.instances.iter().all(Instance::is_over)
    }

    fn has_link(&self, i: usize) -> bool {
        self.members[i].link.is_none_or(|link| self.verdict(link) != Verdict::Down)
    }

    /// Runs one instance, and takes its group along.
    fn run(
        &mut self,
        now: Nanos,
        i: usize,
        out: &mut Vec<Step>,
        event: impl FnOnce(&mut Instance, &mut Vec<Action>),
    ) {
        let before = self.instances[i].state();
        let mut actions = Vec::new();
        event(&mut self.instances[i], &mut actions);
        out.extend(actions.into_iter().map(|action| Step { member: i, action }));
        let after = self.instances[i].state();
        if before != after {
            self.follow(now, i, after, out);
        }
    }

    /// Moves the rest of a group as one of its members moved. Faults are dealt with by `evaluate`.
    fn follow(&mut self, now: Nanos, mover: usize, to: State, out: &mut Vec<Step>) {
        let Some(group) = self.group_of[mover].and_then(|g| self.groups.get(g)) else { return };
        for &i in group.members.iter().filter(|i| **i != mover) {
            let (mut actions, cause) = (Vec::new(), Cause::Group(group.name.clone()));
            match to {
                State::Master => self.instances[i].take_over(now, cause, &mut actions),
                State::Backup => self.instances[i].step_down(now, cause, &mut actions),
                State::Init | State::Fault | State::Stopped => {}
            }
            out.extend(actions.into_iter().map(|action| Step { member: i, action }));
        }
    }

    /// Applies what is known of all trackers.
    fn evaluate(&mut self, now: Nanos, out: &mut Vec<Step>) {
        let mut started = Vec::new();
        for i in 0..self.instances.len() {
            let priority = self.priority(i);
            let instance = &mut self.instances[i];
            instance.set_priority(priority);
            let (state, mut actions) = (instance.state(), Vec::new());
            match (self.fault(i), state) {
                (_, State::Stopped) => {}
                (Some(cause), _) => {
                    let link = self.has_link(i);
                    self.instances[i].fail(now, cause, link, &mut actions);
                }
                (None, State::Init) if self.waits(i) => {}
                (None, State::Init | State::Fault) => {
                    let cause = if state == State::Init { Cause::Start } else { Cause::Recovered };
                    self.instances[i].start(now, cause, &mut actions);
                    started.push(i);
                }
                (None, State::Backup | State::Master) => {}
            }
            out.extend(actions.into_iter().map(|action| Step { member: i, action }));
        }
        // Whoever owns its addresses is master at once, and its group with it.
        for i in started {
            if self.instances[i].state() == State::Master {
                self.follow(now, i, State::Master, out);
            }
        }
    }

    /// All that a member depends on, with the weights that hold.
    fn tracks(&self, i: usize) -> impl Iterator<Item = Track> {
        let group = self.group_of[i].and_then(|g| self.groups.get(g));
        let keeps = group.is_none_or(|group| group.weights);
        let of_group = group.into_iter().flat_map(|group| &group.tracks);
        let tracks = self.members[i].tracks.iter().chain(of_group);
        tracks.map(move |track| Track { weight: if keeps { track.weight } else { 0 }, ..track.clone() })
    }

    fn looks(&self, track: &Track) -> Verdict {
        match self.verdict(track.tracker) {
            Verdict::Up if track.reverse => Verdict::Down,
            Verdict::Down if track.reverse => Verdict::Up,
            Verdict::Level(n) if track.weight == 0 => {
                if (n != 0) != track.reverse {
                    Verdict::Down
                } else {
                    Verdict::Up
                }
            }
            Verdict::Level(n) if track.reverse => Verdict::Level(n.saturating_neg()),
            verdict => verdict,
        }
    }

    fn priority(&self, i: usize) -> u8 {
        let change = self.tracks(i).map(|track| match self.looks(&track) {
            Verdict::Up => i64::from(track.weight.max(0)),
            Verdict::Down => i64::from(track.weight.min(0)),
            Verdict::Level(n) => i64::from(n) * i64::from(track.weight),
            Verdict::Unknown => 0,
        });
        let sum = i64::from(self.members[i].settings.priority) + change.sum::<i64>();
        // Instances clamp it too; this is for the cast alone.
        sum.clamp(1, 254) as u8
    }

    fn waits(&self, i: usize) -> bool {
        let mut all = self.together(i);
        all.any(|i| self.tracks(i).any(|track| self.verdict(track.tracker) == Verdict::Unknown))
    }

    /// The members that move with this one, itself among them.
    fn together(&self, i: usize) -> impl Iterator<Item = usize> {
        let group = self.group_of[i].and_then(|g| self.groups.get(g));
        let others = group.map_or(&[][..], |group| &group.members[..]);
        std::iter::once(i).chain(others.iter().copied().filter(move |other| *other != i))
    }

    /// Why a member is in fault: something of its own first, else of its group.
    fn fault(&self, i: usize) -> Option<Cause> {
        let down = |i: usize| {
            let is_down = |track: &Track| track.weight == 0 && self.looks(track) == Verdict::Down;
            self.tracks(i).find(is_down).and_then(|track| self.trackers.get(track.tracker))
        };
        if let Some((name, _)) = down(i) {
            return Some(Cause::Down(name.clone()));
        }
        let group = self.group_of[i].and_then(|g| self.groups.get(g))?;
        group.members.iter().any(|i| down(*i).is_some()).then(|| Cause::Group(group.name.clone()))
    }
}
