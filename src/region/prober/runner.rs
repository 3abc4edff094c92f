//! Runs the checks of a node: a task for each, as the map says, and one that reaps.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::base::{Millis, clock};
use crate::region::map::*;
use crate::region::own;
use crate::region::seat::{Seat, SeatError};

use super::machine::{Finding, Machine, Ttl, first_delay_ms, interval_ms};
use super::{alias, probe, reaper};

/// How a prober works.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Checks may run programs.
    pub script_checks: bool,
    /// Most checks that run at one time.
    pub running_max: usize,
    /// Time between two outputs of a check whose status stays.
    pub output_interval_ms: u64,
    /// Time between two looks for what is to be reaped.
    pub reap_interval_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            script_checks: false,
            running_max: 64,
            output_interval_ms: 300_000,
            reap_interval_ms: 10_000,
        }
    }
}

/// After a change could not be proposed.
const RETRY: Duration = Duration::from_secs(1);

/// Longest wait for a change of the map, in case one is missed.
const PATIENCE: Duration = Duration::from_secs(600);

/// A running prober; its checks end when it is dropped.
pub struct Prober {
    inner: Arc<Inner>,
    tasks: [AbortHandle; 3],
}

struct Inner {
    seat: Seat,
    settings: Settings,
    /// By check id.
    running: Mutex<HashMap<Name, Running>>,
    permits: Semaphore,
    started: WallMs,
}

/// A check and its task.
struct Running {
    definition: Arc<Definition>,
    service_id: Name,
    line: Arc<Line>,
    task: AbortHandle,
}

/// What a check's task and the others say to each other.
#[derive(Debug, Default)]
struct Line {
    /// Something was reported, or the map says something else than the task.
    heard: Notify,
    /// The status that the task told last; `None` before its first result.
    told: Mutex<Option<Health>>,
}

impl Line {
    fn told(&self) -> MutexGuard<'_, Option<Health>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        self.inner.lock().clear();
    }
}

impl Prober {
    /// Starts on the current tokio runtime: the checks that the map has for the seat's node, and those to come; what was
    /// registered with the node is put back when the catalog loses it.
    pub fn start(seat: Seat, settings: Settings) -> Prober {
        let inner = Arc::new(Inner {
            seat,
            settings,
            running: Mutex::default(),
            permits: Semaphore::new(settings.running_max.max(1)),
            started: wall_ms(),
        });
        let map = inner.seat.map();
        inner.reconcile(&map, false);
        let index = map.index_of(&inner.topic());
        let follow = tokio::spawn(inner.clone().follow(index)).abort_handle();
        let reap = tokio::spawn(inner.clone().reap()).abort_handle();
        let keep = tokio::spawn(own::keep(inner.seat.clone())).abort_handle();
        Prober { inner, tasks: [follow, reap, keep] }
    }

    /// A check of this node was reported on: its time to live starts again.
    pub fn heard(&self, check: &str) {
        if let Some(running) = self.inner.lock().get(check) {
            running.line.heard.notify_one();
        }
    }

    /// Checks that run here now.
    pub fn len(&self) -> usize {
        self.inner.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn wall_ms() -> WallMs {
    clock::wall().as_millis() as WallMs
}

fn patience() -> Instant {
    tokio::time::sleep(PATIENCE).deadline()
}

/// A number to spread checks with; nothing depends on its quality.
fn random(id: &str) -> u32 {
    let seed = clock::now_ns().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    xxhash_rust::xxh3::xxh3_64_with_seed(id.as_bytes(), seed) as u32
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node(&self) -> &Name {
        self.seat.node_name()
    }

    /// What changes when this node's checks do.
    fn topic(&self) -> Topic {
        Topic::Node(self.node().clone())
    }

    /// Keeps the tasks in step with the map, from the change after `index` on.
    async fn follow(self: Arc<Self>, mut index: Index) {
        let topics = [self.topic()];
        while self.wait(&topics, index).await {
            let map = self.seat.map();
            index = map.index_of(&topics[0]);
            self.reconcile(&map, true);
        }
    }

    /// Waits for a change; false at the end.
    async fn wait(&self, topics: &[Topic], after: Index) -> bool {
        match self.seat.changed(topics, after, patience()).await {
            Ok(()) => true,
            Err(SeatError::Shutdown) => false,
            Err(_) => {
                tokio::time::sleep(RETRY).await;
                true
            }
        }
    }

    /// Starts what is new, ends what is gone, starts anew what is run in another way.
    fn reconcile(self: &Arc<Self>, map: &Map, just_registered: bool) {
        let mut running = self.lock();
        let has = |id: &Name| map.check(self.node(), id).is_some_and(|c| runs(c));
        running.retain(|id, _| has(id));
        for check in map.checks_on(self.node()) {
            let Some(definition) = check.definition.as_ref().filter(|_| runs(check)) else { continue };
            let same = |r: &Running| r.definition == *definition && r.service_id == check.service_id;
            if let Some(running) = running.get(&check.id).filter(|r| same(r)) {
                // Registered again, and so in its initial state: that is not left so for an interval.
                let is_ttl = matches!(definition.probe, Probe::Ttl { .. });
                if !is_ttl && running.line.told().is_some_and(|told| told != check.status) {
                    running.line.heard.notify_one();
                }
                continue;
            }
            let line = Arc::new(Line::default());
            let task = tokio::spawn(self.clone().run(check.clone(), line.clone(), just_registered));
            let (definition, service_id) = (definition.clone(), check.service_id.clone());
            let task = task.abort_handle();
            running.insert(check.id.clone(), Running { definition, service_id, line, task });
        }
    }

    async fn run(self: Arc<Self>, check: Arc<Check>, line: Arc<Line>, just_registered: bool) {
        let Some(definition) = &check.definition else { return };
        match &definition.probe {
            Probe::Ttl { ms } => self.expire(&check, *ms, &line).await,
            Probe::Alias { node, service_id } => self.mirror(&check, &line, node, service_id).await,
            _ => self.repeat(&check, &line, definition, just_registered).await,
        }
    }

    /// A check that does something, at its interval.
    async fn repeat(&self, check: &Check, line: &Line, definition: &Definition, just_registered: bool) {
        let mut machine = Machine::default();
        let mut due = clock::now_ms() + first_delay_ms(definition, just_registered, random(&check.id));
        loop {
            tokio::select! {
                () = sleep_until(due) => {}
                () = line.heard.notified() => {}
            }
            let start = clock::now_ms();
            let finding = {
                let Ok(_permit) = self.permits.acquire().await else { return };
                probe::run(definition, self.settings.script_checks).await
            };
            let Some(finding) = finding else { return };
            if let Some(status) = machine.conclude(definition, finding.status) {
                self.tell(&mut machine, check, line, Finding { status, ..finding }).await;
            }
            due = (start + interval_ms(definition)).max(clock::now_ms());
        }
    }

    /// A check that others report on.
    async fn expire(&self, check: &Check, ms: u64, line: &Line) {
        let mut ttl = Ttl::new(ms, clock::now_ms());
        let mut until = ttl.expires_ms();
        loop {
            tokio::select! {
                () = line.heard.notified() => {
                    ttl.heard(clock::now_ms());
                    until = ttl.expires_ms();
                }
                () = sleep_until(until) => {
                    let finding = Finding::critical(format!("TTL expired: nothing was reported for {ms} ms"));
                    let told = self.tell(&mut Machine::default(), check, line, finding).await;
                    let again = if told { u64::from(u32::MAX) } else { RETRY.as_millis() as u64 };
                    until = clock::now_ms() + again;
                }
            }
        }
    }

    /// A check that is what others are.
    async fn mirror(&self, check: &Check, line: &Line, node: &Name, service_id: &str) {
        let node = if node.is_empty() { self.node() } else { node };
        let topics = [Topic::Node(node.clone())];
        let mut machine = Machine::default();
        loop {
            let map = self.seat.map();
            let finding = alias::look(&map, node, service_id, check);
            if !self.tell(&mut machine, check, line, finding).await {
                tokio::time::sleep(RETRY).await;
                continue;
            }
            tokio::select! {
                goes_on = self.wait(&topics, map.index_of(&topics[0])) => if !goes_on { return },
                () = line.heard.notified() => {}
            }
        }
    }

    /// Proposes what is new in a finding. True when the map says it, or soon does.
    async fn tell(&self, machine: &mut Machine, check: &Check, line: &Line, finding: Finding) -> bool {
        let Some(standing) = self.seat.map().check(&check.node, &check.id).cloned() else { return true };
        *line.told() = Some(finding.status);
        let now: Millis = clock::now_ms();
        if !machine.tells(&standing, &finding, now, self.settings.output_interval_ms) {
            return true;
        }
        let command = Command::CheckStatus {
            node: check.node.clone(),
            check: check.id.clone(),
            status: finding.status,
            output: finding.output.into(),
        };
        self.seat.propose(command).await.is_ok()
    }

    /// Deregisters what has been critical for too long.
    async fn reap(self: Arc<Self>) {
        loop {
            let now = wall_ms();
            let (gone, next) = reaper::due(&self.seat.map(), self.node(), self.started, now);
            for deregistration in gone {
                if self.seat.propose_own(Command::Deregister(deregistration)).await
                    == Err(SeatError::Shutdown)
                {
                    return;
                }
            }
            let longest = self.settings.reap_interval_ms.max(1);
            let wait = next.map_or(longest, |at| at.saturating_sub(now).clamp(1, longest));
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
    }
}

/// A check that this prober has something to do for.
fn runs(check: &Check) -> bool {
    check.definition.as_ref().is_some_and(|d| !matches!(d.probe, Probe::None))
}

async fn sleep_until(at: Millis) {
    let left = at.saturating_sub(clock::now_ms());
    tokio::time::sleep(Duration::from_millis(left)).await;
}
