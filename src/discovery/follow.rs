//! A task for each backend with `service` lines: it waits for its services, the regions and the members, chooses, and
//! applies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use crate::base::{Millis, clock};
use crate::check::{Checks, Hooks, Member, Settings, slowstart_round};
use crate::config::{Config, ServiceSpec};
use crate::lang::Severity;
use crate::region::checkers::{Checkers, is_refuted};
use crate::region::choice::{Choice, Place, choose, lost_regions};
use crate::region::map::{Command, Index, Instance, Name, Reply, Topic};
use crate::region::{Consistency, Seat, SeatError};

use super::context::{Context, PATIENCE, Resolve, TURN};
use super::examine::Examiner;
use super::load;
use super::pool::{Pending, Pool, Surroundings, Target, server_name};
use super::recovery::{RAMP_MS, Recovery};
use super::regions::{self, Presence};

/// How often a name that was not found is looked up.
const RESOLVE_TURN: Duration = Duration::from_secs(5);

/// How often the cluster is asked whether it has a quorum, how long it may take to say so, and how many times in a row
/// it may fail before this node decides by itself.
const QUORUM_TURN: Duration = Duration::from_secs(1);
const QUORUM_TIMEOUT: Duration = Duration::from_secs(2);
const QUORUM_FAILURES: u32 = 2;

/// Keeps the servers of all backends in step with the map. The tasks end when it is dropped; the servers stay.
pub struct Discovery {
    context: Arc<Context>,
    backends: HashMap<Arc<str>, Watched>,
    /// What is done for all backends.
    tasks: Vec<AbortHandle>,
}

/// A backend and the task that keeps it in step.
struct Watched {
    watcher: Arc<Watcher>,
    task: AbortHandle,
}

/// Keeps one backend in step.
struct Watcher {
    state: Mutex<State>,
    /// The configuration changed, or a check of ours found something.
    wake: Arc<Notify>,
}

pub(super) struct State {
    pub(super) target: Target,
    pub(super) pool: Pool,
    recovery: Recovery,
    presence: Presence,
    examiner: Examiner,
    /// Of a node that is alone.
    own: Option<Checks>,
    wake: Arc<Notify>,
}

/// What a task waits for after an application.
pub(super) struct Wait {
    topics: Vec<Topic>,
    after: Index,
    pub(super) turn: Duration,
    pub(super) is_over: bool,
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.backends.values().for_each(|watched| watched.task.abort());
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Discovery {
    /// `workers`: the number of data workers.
    pub fn new(seat: Seat, hooks: Arc<dyn Hooks>, workers: usize, resolve: Resolve) -> Discovery {
        let (alone, keys) = (watch::Sender::new(false), watch::Sender::new(None));
        let context = Context { seat, hooks, workers, resolve, alone, keys, measured: Arc::default() };
        Discovery { context: Arc::new(context), backends: HashMap::new(), tasks: Vec::new() }
    }

    /// Follows the services of a configuration that was just put in place; when it returns, its backends have the
    /// servers that the map has for them now. To be called on a tokio runtime, by a thread that may wait for names.
    pub fn follow(&mut self, config: &Config) {
        let context = &self.context;
        if self.tasks.is_empty() {
            self.tasks.push(tokio::spawn(context.clone().watch_quorum()).abort_handle());
            self.tasks.push(tokio::spawn(regions::watch(context.clone())).abort_handle());
            self.tasks.push(tokio::spawn(context.clone().announce()).abort_handle());
            let telling = load::tell(context.seat.clone(), context.measured.clone());
            self.tasks.push(tokio::spawn(telling).abort_handle());
        }
        let mut targets: HashMap<Arc<str>, Target> =
            config.proxies.iter().filter_map(Target::of).map(|t| (t.name.clone(), t)).collect();
        let mut keys: Vec<Name> = targets.values().flat_map(|t| t.keys.iter().flatten().cloned()).collect();
        keys.sort_unstable();
        keys.dedup();
        context.keys.send_if_modified(|known| {
            let news = known.as_ref() != Some(&keys);
            *known = Some(keys);
            news
        });
        self.backends.retain(|name, watched| {
            let stays = targets.contains_key(name) && !watched.task.is_finished();
            if !stays {
                watched.task.abort();
            }
            stays
        });
        for (name, watched) in &self.backends {
            if let Some(target) = targets.remove(name) {
                watched.watcher.lock().target = target;
                watched.watcher.round(&self.context);
                watched.watcher.wake.notify_one();
            }
        }
        for (name, target) in targets.into_iter().filter(|(_, t)| !t.services.is_empty()) {
            let state = State::new(target);
            let wake = state.wake.clone();
            let watcher = Arc::new(Watcher { state: Mutex::new(state), wake });
            watcher.round(&self.context);
            let task = tokio::spawn(watcher.clone().run(self.context.clone())).abort_handle();
            self.backends.insert(name, Watched { watcher, task });
        }
    }

    /// Backends that are followed.
    pub fn len(&self) -> usize {
        self.backends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.backends.is_empty()
    }
}

impl Context {
    /// Asks now and then whether there is a quorum: what the map says of health is worth nothing without one.
    async fn watch_quorum(self: Arc<Self>) {
        let mut failures = 0;
        loop {
            let asked = tokio::time::timeout(QUORUM_TIMEOUT, self.seat.fresh(Consistency::Default)).await;
            failures = if matches!(asked, Ok(Ok(_))) { 0 } else { failures + 1 };
            let is_alone = failures >= QUORUM_FAILURES;
            self.alone.send_if_modified(|alone| std::mem::replace(alone, is_alone) != is_alone);
            tokio::time::sleep(QUORUM_TURN).await;
        }
    }
}

impl Context {
    /// Keeps in the map what this node can check for all.
    async fn announce(self: Arc<Self>) {
        let mut keys = self.keys.subscribe();
        loop {
            let wanted = keys.borrow_and_update().clone();
            let map = self.seat.map();
            let me = self.seat.node_name();
            let stands = map.checker(me).map_or(&[][..], |checker| &checker.keys);
            let is_member = map.members().any(|member| member.name == *me);
            let due = wanted.filter(|wanted| is_member && stands != *wanted);
            if let Some(keys) = due {
                let command = Command::CheckerPut { node: me.clone(), keys };
                if !matches!(self.seat.propose(command).await, Ok(Reply::Done { .. })) {
                    tokio::time::sleep(QUORUM_TURN).await;
                }
                continue;
            }
            let topics = [Topic::Members];
            let until = tokio::time::sleep(PATIENCE).deadline();
            tokio::select! {
                changed = self.seat.changed(&topics, map.index_of(&topics[0]), until) => if changed.is_err() {
                    tokio::time::sleep(TURN).await;
                },
                _ = keys.changed() => {}
            }
        }
    }
}

/// What is told when a check of a node that is alone finds something: the others, and who shares the traffic out, so
/// that the next region takes over at once.
struct WakingHooks {
    hooks: Arc<dyn Hooks>,
    wake: Arc<Notify>,
}

impl Hooks for WakingHooks {
    fn line(&self, backend: &str, severity: Severity, level: u8, screen: &str, log: &str) {
        self.hooks.line(backend, severity, level, screen, log);
    }

    fn node(&self) -> String {
        self.hooks.node()
    }

    fn server_down(&self, member: &Member, shutdown: bool) -> u32 {
        self.wake.notify_one();
        self.hooks.server_down(member, shutdown)
    }

    fn trackers(&self, member: &Member) -> Vec<Member> {
        self.hooks.trackers(member)
    }

    fn server_up(&self, member: &Member, shutdown_backups: bool) -> u32 {
        self.wake.notify_one();
        self.hooks.server_up(member, shutdown_backups)
    }
}

impl Watcher {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self: Arc<Self>, context: Arc<Context>) {
        let mut alone = context.alone.subscribe();
        loop {
            alone.mark_unchanged();
            // Names may have to be looked up: that is not for a thread that others wait for.
            let (watcher, shared) = (self.clone(), context.clone());
            let Ok(wait) = tokio::task::spawn_blocking(move || watcher.round(&shared)).await else { return };
            if wait.is_over {
                return;
            }
            let until = tokio::time::sleep(wait.turn).deadline();
            let changed = tokio::select! {
                changed = context.seat.changed(&wait.topics, wait.after, until) => changed,
                () = self.wake.notified() => Ok(()),
                _ = alone.changed() => Ok(()),
            };
            match changed {
                Ok(()) => {}
                Err(SeatError::Shutdown) => return,
                // No place to wait in: as good as it goes.
                Err(_) => tokio::time::sleep(TURN).await,
            }
        }
    }

    /// Looks at the map once.
    fn round(&self, context: &Context) -> Wait {
        self.lock().round(context, clock::now_ms())
    }
}

impl State {
    pub(super) fn new(target: Target) -> State {
        State {
            target,
            pool: Pool::default(),
            recovery: Recovery::default(),
            presence: Presence::default(),
            examiner: Examiner::default(),
            own: None,
            wake: Arc::default(),
        }
    }

    /// Looks at the map once: chooses and applies.
    pub(super) fn round(&mut self, context: &Context, now: Millis) -> Wait {
        let is_alone = *context.alone.borrow();
        if self.own.is_some() && !is_alone {
            self.own = None;
            self.pool.forget_standings();
        }
        let map = context.seat.map();
        let services = self.target.services.iter().map(|s| Topic::Service((&*s.name).into()));
        let topics: Vec<Topic> = services.chain([Topic::Regions, Topic::Members]).collect();
        let after = topics.iter().map(|topic| map.index_of(topic)).max().unwrap_or(0);
        let own = context.seat.region();
        let slowest = self.target.services.iter().map(|s| s.template.slowstart_ms).max().unwrap_or(0);
        let ramp_ms = if slowest > 0 { slowest } else { RAMP_MS };
        self.recovery.note(lost_regions(&map, own), ramp_ms, now);
        let (recovery, recovered) = (&self.recovery, |region: &str| self.recovery.part(region, ramp_ms, now));
        let (pool, checks) = (&self.pool, self.own.is_some());
        let verdict = |instance: &Instance| pool.is_up(&server_name(instance)).filter(|_| checks);
        let choice = |(service, key): (&ServiceSpec, &Option<Name>)| {
            let checkers = key.as_ref().map(|key| (key, Checkers::of(&map, key)));
            let refuted = |instance: &Instance, region: &str| {
                let Some((key, checkers)) = &checkers else { return false };
                let found = map.verdict(instance, key);
                found.is_some_and(|found| is_refuted(Some(found), &checkers.chosen(region, instance)))
            };
            let place = Place {
                region: own,
                node: context.seat.node_name(),
                lost: &|region| recovery.is_lost(region),
                recovered: &recovered,
                verdict: &verdict,
                refuted: &refuted,
            };
            choose(&map, service, &place)
        };
        let choices: Vec<Choice> = self.target.services.iter().zip(&self.target.keys).map(choice).collect();
        let names: Vec<Name> = self.target.services.iter().map(|s| s.name.clone()).collect();
        self.presence.take_in(&self.target.name, &names, &choices, &*context.hooks);
        let around = Surroundings {
            hooks: &context.hooks,
            resolve: &*context.resolve,
            returning: &|region| recovered(region) < 1.0,
            workers: context.workers,
            now,
        };
        let pending = self.pool.apply(&self.target, &choices, &around);
        context.measured.take_in(&self.target, &choices, &self.wake);
        if is_alone {
            let old = self.own.take().unwrap_or_default();
            let waking: Arc<dyn Hooks> =
                Arc::new(WakingHooks { hooks: context.hooks.clone(), wake: self.wake.clone() });
            let members = self.pool.members(&self.target, &waking);
            self.own = Some(Checks::start(members, &Settings::default(), old));
        }
        if pending.slowstart_ms.is_some() {
            self.target.servers.with(|set| slowstart_round(set, now));
        }
        let found = self.examiner.round(&map, &self.target, context, &self.wake, now);
        if !is_alone && !found.is_empty() {
            context.tell(found);
        }
        let is_over = self.target.services.is_empty() && self.pool.is_empty();
        Wait { topics, after, turn: self.turn(pending), is_over }
    }

    fn turn(&self, pending: Pending) -> Duration {
        let Pending { draining, unresolved, slowstart_ms } = pending;
        let of_slowstart = slowstart_ms.map(|ms| Duration::from_millis((ms / 20).clamp(50, 1000)));
        let of_turn = (draining || self.recovery.is_ramping()).then_some(TURN);
        let of_examiner = self.examiner.is_restless().then_some(TURN);
        let of_own = self.own.is_some().then_some(QUORUM_TURN);
        let of_names = unresolved.then_some(RESOLVE_TURN);
        [of_slowstart, of_turn, of_examiner, of_own, of_names].into_iter().flatten().min().unwrap_or(PATIENCE)
    }
}
