//! Runs the checks of a configuration: one task a server on the thread of checks.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::balance::{settle, throttle};
use crate::base::clock::MS;
use crate::base::{Millis, clock};
use crate::model::{Address, AdminState, CheckState, Observer, OperState, Seen, ServerLive, Took};
use crate::rt::{NOBODY, Rt};

use super::agent::Agent;
use super::change::{Member, NOTICE};
use super::lane;
use super::machine::{Effect, Machine, Transition, start_offsets};
use super::message::{self, Cause};
use super::probe::{Situation, probe};
use super::spec::{CheckSpec, Observe};
use super::status::{Finding, Status, Verdict};

/// What all checks of a process share.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `max-spread-checks`; 0: none.
    pub max_spread_ms: u64,
    /// `tune.max-checks-per-thread` for their thread; 0: no limit.
    pub max_running: usize,
}

/// Running checks; they stop when this is dropped.
#[derive(Default)]
pub struct Checks {
    list: Vec<Running>,
    agents: Vec<Agent>,
}

/// A check that goes on until this is dropped.
struct Running(Arc<Checker>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.member.live().observe(None);
        self.0.is_over.store(true, Ordering::SeqCst);
        lane::wake(self.0.task.load(Ordering::SeqCst));
    }
}

impl Checks {
    /// Starts the checks of `members` (those with a [`Member::check`]), first ones spread over an interval; agents and
    /// programs run on the current tokio runtime. Checks of `old` whose server and specification are the same go on
    /// undisturbed (with the [`Member::hooks`] they had); its others stop. Health, counters and states are kept by the
    /// servers' cells.
    pub fn start(members: Vec<Member>, settings: &Settings, mut old: Checks) -> Checks {
        let agents = agents(&members, std::mem::take(&mut old.agents));
        let members = checked(members);
        let intervals: Vec<u64> = members.iter().map(|(_, c)| Machine::new(c).interval_ms(c)).collect();
        let offsets = start_offsets(&intervals, settings.max_spread_ms);
        let permits = (settings.max_running > 0).then(|| Arc::new(Semaphore::new(settings.max_running)));
        let mut kept: HashMap<_, Running> = old.list.drain(..).map(|r| (r.0.identity(), r)).collect();
        let mut list = Vec::with_capacity(members.len());
        let mut begun = Vec::new();
        for ((member, check), offset) in members.into_iter().zip(offsets) {
            let identity = Arc::as_ptr(&member.server.live);
            if kept.get(&identity).is_some_and(|r| r.0.is_same(&member, &check))
                && let Some(running) = kept.remove(&identity)
            {
                list.push(running);
                continue;
            }
            // Before the new one begins, which observes the same server.
            drop(kept.remove(&identity));
            let checker = Arc::new(Checker::new(member, check));
            checker.begin();
            list.push(Running(checker.clone()));
            begun.push((checker, offset));
        }
        if !begun.is_empty() {
            lane::run(move |rt| {
                for (checker, offset_ms) in begun {
                    rt.spawn(checker.while_wanted(rt, offset_ms, permits.clone()));
                }
            });
        }
        Checks { list, agents }
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Lets the check of a server notice at once that it was enabled or left maintenance.
    pub fn wake(&self, backend: &str, server: &str) {
        let found = self.list.iter().find(|r| {
            let member = &r.0.member;
            &*member.backend == backend && &*member.server.spec.name == server
        });
        if let Some(running) = found {
            running.0.wake();
        }
    }
}

/// The check of one server.
struct Checker {
    member: Member,
    check: Arc<CheckSpec>,
    /// Of the last finding; the rest of the machine lives in the server's cell, where commands change it too.
    status: std::sync::Mutex<Status>,
    hurry: AtomicBool,
    /// It is to look at once when it is due.
    looks: AtomicBool,
    /// Where its program runs, if it has one.
    outside: Option<Handle>,
    /// Nobody wants it any more.
    is_over: AtomicBool,
    /// On the thread of checks, once it is there.
    task: AtomicU32,
}

impl std::fmt::Debug for Checker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "check of {}/{}", self.member.backend, self.member.server.spec.name)
    }
}

impl Checker {
    fn new(member: Member, check: Arc<CheckSpec>) -> Checker {
        let outside = check.external.is_some().then(Handle::current);
        let status = std::sync::Mutex::new(Status::Init);
        let (hurry, looks, is_over) = Default::default();
        let task = AtomicU32::new(NOBODY);
        Checker { member, check, status, hurry, looks, outside, is_over, task }
    }

    /// Lets it look at once when it is due now.
    fn wake(&self) {
        self.looks.store(true, Ordering::SeqCst);
        lane::wake(self.task.load(Ordering::SeqCst));
    }

    fn identity(&self) -> *const ServerLive {
        Arc::as_ptr(&self.member.server.live)
    }

    fn is_same(&self, member: &Member, check: &CheckSpec) -> bool {
        self.identity() == Arc::as_ptr(&member.server.live)
            && *self.member.server.spec == *member.server.spec
            && self.member.kind == member.kind
            && Arc::ptr_eq(&self.member.servers, &member.servers)
            && *self.check == *check
    }

    /// A server nothing was checked of yet takes its initial state.
    fn begin(self: &Arc<Self>) {
        let live = self.member.live();
        let is_new = live.check.with(|c| c.status == Status::Init.code());
        if is_new && !live.admin().intersects(AdminState::MAINT) {
            let machine = Machine::new(&self.check);
            let _lock = self.member.lock();
            live.health.store(machine.health, Ordering::Relaxed);
            if live.oper() != machine.oper {
                live.set_oper(machine.oper);
                self.member.refresh(clock::now_ms());
            }
        }
        if self.check.observe != Observe::None {
            let observer: Arc<dyn Observer> = Arc::new(Witness(Arc::downgrade(self)));
            live.observe(Some(observer));
        }
    }

    fn is_paused(&self) -> bool {
        let live = self.member.live();
        live.admin().intersects(AdminState::MAINT) || !live.check_enabled.load(Ordering::Relaxed)
    }

    /// Checks until nobody wants it any more.
    async fn while_wanted(self: Arc<Self>, rt: &'static Rt, offset_ms: u64, permits: Option<Arc<Semaphore>>) {
        // Before it is asked for the first time whether that is so.
        self.task.store(rt.current_task(), Ordering::SeqCst);
        let mut checking = pin!(self.run(rt, offset_ms, permits));
        poll_fn(|context| match self.is_over.load(Ordering::SeqCst) {
            true => Poll::Ready(()),
            false => checking.as_mut().poll(context),
        })
        .await;
    }

    async fn run(self: &Arc<Self>, rt: &'static Rt, offset_ms: u64, permits: Option<Arc<Semaphore>>) {
        let mut due = in_company(clock::now_ms() + offset_ms, self.check.inter_ms);
        loop {
            self.sleep_until(rt, &mut due).await;
            if self.is_paused() {
                due = clock::now_ms() + self.check.inter_ms;
                continue;
            }
            let _permit = match &permits {
                Some(permits) => permits.acquire().await.ok(),
                None => None,
            };
            // Not in the task, of which there is one for each server: few are checked at a time.
            let finding = Box::pin(self.probe()).await;
            let now = lane::now_ms();
            if !self.is_paused() {
                self.conclude(finding, now);
            }
            due = self.next_check(now);
        }
    }

    /// Sleeps until `*due`; a wake-up may bring it forward.
    async fn sleep_until(&self, rt: &'static Rt, due: &mut Millis) {
        let looks = || {
            poll_fn(
                |_| if self.looks.swap(false, Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending },
            )
        };
        while rt.within(*due * MS, looks()).await.is_some() {
            let earlier = clock::now_ms() + self.machine().interval_ms(&self.check);
            *due = earlier.min(*due);
        }
    }

    /// Runs the program of `option external-check`, which does not outlive the check.
    async fn ask_program(self: &Arc<Self>, outside: &Handle, address: Address) -> Finding {
        let checker = self.clone();
        let run = async move {
            let external = checker.check.external.as_ref()?;
            Some(super::external::check(external, &checker.check, &checker.member, &address).await)
        };
        let mut program = JoinSet::new();
        program.spawn_on(run, outside);
        match program.join_next().await {
            Some(Ok(Some(finding))) => finding,
            // The process ends.
            _ => std::future::pending().await,
        }
    }

    async fn probe(self: &Arc<Self>) -> Finding {
        let address = self.member.server.address();
        if let Some(outside) = &self.outside {
            return Box::pin(self.ask_program(outside, address)).await;
        }
        let state = self.check.send_state.then(|| self.state_header());
        let is_up = self.member.live().oper() != OperState::Stopped;
        let situation = Situation { address: &address, is_up, state, member: Some(&self.member) };
        let live = self.member.live();
        let (addr, port) = (
            live.check_addr.since_first(|addr| *addr).flatten(),
            live.check_port.load(Ordering::Relaxed) as u16,
        );
        let elsewhere = (addr.is_some() || port > 0).then(|| {
            let (addr, port) =
                (addr.or(self.check.addr), if port > 0 { Some(port) } else { self.check.port });
            Box::new(CheckSpec { addr, port, ..(*self.check).clone() })
        });
        probe(elsewhere.as_deref().unwrap_or(&self.check), &situation).await
    }

    fn machine(&self) -> Machine {
        let live = self.member.live();
        Machine {
            health: live.health.load(Ordering::Relaxed),
            oper: live.oper(),
            status: *self.lock_status(),
            hurry: self.hurry.load(Ordering::Relaxed),
        }
    }

    fn lock_status(&self) -> std::sync::MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn next_check(&self, now: Millis) -> Millis {
        let mut machine = self.machine();
        self.hurry.store(false, Ordering::Relaxed);
        let due = machine.next_check(&self.check, now, random());
        in_company(due, due - now).max(now + 1)
    }

    /// Applies a finding to the server.
    fn conclude(&self, finding: Finding, now: Millis) {
        let lock = self.member.lock();
        let mut machine = self.machine();
        let effect = machine.conclude(&self.check, finding.status);
        if finding.status.verdict() != Verdict::Failed {
            self.member.live().observed_errors.store(0, Ordering::Relaxed);
        }
        self.apply(&machine, effect, finding, now);
        drop(lock);
        if effect.transition.is_some() {
            self.member.lead(now);
        }
    }

    /// The limit of `observe` was reached; `text` tells of what.
    fn conclude_observed(&self, text: String, now: Millis) {
        let lock = self.member.lock();
        let mut machine = self.machine();
        let effect = machine.observed(&self.check);
        self.hurry.store(true, Ordering::Relaxed);
        if machine.status == Status::Observed {
            self.apply(&machine, effect, Finding::new(Status::Observed, text), now);
        }
        drop(lock);
        if effect.transition.is_some() {
            self.member.lead(now);
        }
    }

    fn apply(&self, machine: &Machine, effect: Effect, finding: Finding, now: Millis) {
        let (member, live) = (&self.member, self.member.live());
        live.health.store(machine.health, Ordering::Relaxed);
        *self.lock_status() = machine.status;
        if effect.failed {
            live.check_failed.fetch_add(1, Ordering::Relaxed);
        }
        let (status, duration_ms) = (finding.status.code(), finding.duration_ms);
        let code = finding.number.filter(|_| finding.status.has_number());
        let is_same = |old: &CheckState| {
            old.took.set(duration_ms);
            std::ptr::eq(old.status, status) && old.code == code && old.text == finding.info
        };
        if !live.check.with(is_same) {
            let (took, text) = (Took::new(duration_ms), finding.info.clone());
            live.check.store(Arc::new(CheckState { status, code, took, text }));
        }
        let mut cause = Cause::Silent;
        if self.check.log_health_checks {
            if effect.report {
                let weight = live.user_weight.load(Ordering::Relaxed);
                let CheckSpec { rise, fall, .. } = *self.check;
                let text = message::check(member.subject(), &finding, machine.health, rise, fall, weight);
                member.say(NOTICE, &text);
            }
        } else {
            cause = Cause::Check(finding);
        }
        match effect.transition {
            Some(Transition::Down) => member.stop(&cause, now),
            Some(Transition::Up) if member.is_held_down() => {}
            Some(Transition::Up) => member.run(&cause, now),
            Some(Transition::Stopping) => member.wind_down(&cause, now),
            None => {}
        }
    }

    /// `X-Haproxy-Server-State` (manual, "http-check send-state").
    fn state_header(&self) -> String {
        let (member, live, spec) = (&self.member, self.member.live(), &self.check);
        let health = live.health.load(Ordering::Relaxed);
        let state = match live.oper() {
            OperState::Stopped if health == 0 => "DOWN".to_owned(),
            OperState::Stopped => format!("DOWN {health}/{}", spec.rise),
            oper => {
                let word = if oper == OperState::Stopping { "NOLB" } else { "UP" };
                match health == spec.full_health() {
                    true => word.to_owned(),
                    false => format!("{word} {}/{}", (health + 1).saturating_sub(spec.rise), spec.fall),
                }
            }
        };
        let (address, port) = match member.server.address().inet() {
            Some(a) => (a.ip().to_string(), a.port().to_string()),
            None => ("unix".to_owned(), String::new()),
        };
        let (mut weights, mut sessions) = (0, 0);
        member.servers.with(|set| {
            for s in &set.list {
                sessions += s.live.served.load(Ordering::Relaxed);
                weights += if s.live.is_usable() { s.live.user_weight.load(Ordering::Relaxed) } else { 0 };
            }
        });
        let throttle =
            throttle(&member.server, clock::now_ms()).map(|p| format!("; throttle={p}%")).unwrap_or_default();
        format!(
            "{state}; address={address}; port={port}; name={}/{}; node={}; weight={}/{weights}; scur={}/{sessions}; \
             qcur={}{throttle}",
            member.backend,
            member.server.spec.name,
            member.hooks.node(),
            live.user_weight.load(Ordering::Relaxed),
            live.served.load(Ordering::Relaxed),
            live.queue.len(),
        )
    }
}

/// Those with a check. Neighbours that are checked alike share what says how: one piece of memory for all, which stays near
/// the processor.
pub(super) fn checked(members: Vec<Member>) -> Vec<(Member, Arc<CheckSpec>)> {
    let mut last: Option<Arc<CheckSpec>> = None;
    let with_check = |mut member: Member| {
        let own = member.check.take()?;
        let check = last.take().filter(|last| **last == *own).unwrap_or(own);
        last = Some(check.clone());
        member.check = last.clone();
        Some((member, check))
    };
    members.into_iter().filter_map(with_check).collect()
}

/// The moment nearest to `due`, which ends `interval_ms`, at which others are due too: so many leave in one turn. It is
/// never further than a four hundredth of the interval, or five milliseconds.
pub(super) fn in_company(due: Millis, interval_ms: u64) -> Millis {
    let grain = (interval_ms / 200).clamp(1, 10);
    (due + grain / 2) / grain * grain
}

/// The agents of these servers; those that are the same go on.
fn agents(members: &[Member], mut old: Vec<Agent>) -> Vec<Agent> {
    let of = |member: &Member| Some((member.clone(), member.server.spec.agent.clone()?));
    let wanted: Vec<_> = members.iter().filter_map(of).collect();
    let intervals: Vec<u64> = wanted.iter().map(|(_, spec)| spec.inter_ms).collect();
    let start = |((member, spec), offset)| match old.iter().position(|agent| agent.is_of(&member)) {
        Some(at) => old.swap_remove(at),
        None => Agent::start(member, spec, offset),
    };
    wanted.into_iter().zip(start_offsets(&intervals, 0)).map(start).collect()
}

/// Counts what streams see of a server, for `observe`.
#[derive(Debug)]
struct Witness(Weak<Checker>);

impl Observer for Witness {
    fn seen(&self, what: Seen) {
        let Some(checker) = self.0.upgrade() else { return };
        let errors = &checker.member.live().observed_errors;
        match judge(checker.check.observe, what) {
            None => {}
            Some(true) => errors.store(0, Ordering::Relaxed),
            Some(false) => {
                let count = errors.fetch_add(1, Ordering::Relaxed) + 1;
                if count < i64::from(checker.check.error_limit) {
                    return;
                }
                errors.store(0, Ordering::Relaxed);
                let text = format!("Detected {count} consecutive errors, last one was: {}", seen_text(what));
                checker.conclude_observed(text, clock::now_ms());
                if checker.check.fastinter_ms > 0 {
                    checker.wake();
                }
            }
        }
    }
}

/// Good, bad or nothing to the mode of `observe`.
fn judge(observe: Observe, what: Seen) -> Option<bool> {
    match (observe, what) {
        (Observe::Layer4, Seen::Connected) => Some(true),
        (Observe::Layer4 | Observe::Layer7, Seen::ConnectFailed) => Some(false),
        (Observe::Layer7, Seen::GoodResponse) => Some(true),
        (Observe::Layer7, Seen::Connected) | (Observe::None | Observe::Layer4, _) => None,
        (Observe::Layer7, _) => Some(false),
    }
}

fn seen_text(what: Seen) -> &'static str {
    match what {
        Seen::Connected => "L4 successful connection",
        Seen::ConnectFailed => "L4 unsuccessful connection",
        Seen::GoodResponse => "Correct http response",
        Seen::WrongStatus => "Wrong http response",
        Seen::BadHeaders => "Invalid http response (headers)",
        Seen::BadResponse => "Invalid http response",
        Seen::ReadError => "Read error (http)",
        Seen::ReadTimeout => "Read timeout (http)",
        Seen::Closed => "Close from server (http)",
    }
}

/// A number to spread checks with; nothing depends on its quality.
fn random() -> u32 {
    let word = clock::now_ns().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (word >> 32) as u32
}

/// One round of slow starts over a backend: ends those that are over and gives the others their next share. True while
/// any server is ramping; to be called about once a second then (any `twentieth of slowstart` at best).
pub fn slowstart_round(servers: &crate::model::ServerSet, now: Millis) -> bool {
    if !servers.list.iter().any(|s| s.live.oper() == OperState::Starting) {
        return false;
    }
    let ramping = servers.list.iter().filter(|s| settle(s, now)).count() > 0;
    servers.refresh(now);
    ramping
}
