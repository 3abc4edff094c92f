//! The loop of a data worker: run what is ready, then wait for sockets, messages and deadlines.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use crate::base::WorkerId;
use crate::base::clock::{self, MS, Nanos};
use crate::os::epoll::{self, Epoll, Events};
use crate::os::waker;

use super::remote::{Load, Message, Remote};
pub use super::source::{NOBODY, TaskId};
use super::source::{Source, Sources};
use super::wheel::Wheel;

/// A deadline that never comes.
pub const NEVER: Nanos = Nanos::MAX;

const INBOX: u64 = u64::MAX;
/// Most tasks polled before epoll is asked again.
const POLLS_A_TURN: usize = 256;
/// Most tasks that time wakes in a turn: of a crowd that came together, and whose time is over together, not all run before
/// others.
const DUE_A_TURN: usize = 64;
/// Most tasks that may do work that takes long in a turn ([`Rt::may_be_heavy`]).
const HEAVY_A_TURN: usize = 1;
/// What one poll of a task may move: bytes, and for each call on a socket what it costs besides, as if it were bytes.
/// A task that has had its share is polled again in the next turn, so that no peer, however fast, owns its worker.
const SHARE: usize = 8 << 20;
/// How soon [`Rt::wake_soon`] is at most.
const SOON_NS: Nanos = 250 * MS;
/// How long a crowd is remembered.
const CROWD_NS: Nanos = 5 * MS;
const CALL: usize = 32 << 10;
/// How long a pause is ([`Rt::pause`]).
const PAUSE: Nanos = 500_000;

type BoxFuture = Pin<Box<dyn Future<Output = ()>>>;

struct Task {
    /// Absent while it is being polled, and when the slot is free.
    future: Option<BoxFuture>,
    queued: bool,
    live: bool,
    /// How it stands with work that takes long.
    heavy: Heavy,
    /// Tasks of this number before.
    nth: u32,
}

/// Where a task is with work that takes long.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heavy {
    None,
    /// It stands in the queue.
    Waits,
    /// It was woken to do it.
    Granted,
}

/// One worker's runtime. Lives as long as its thread (it is leaked), so sockets and tasks borrow it for ever.
pub struct Rt {
    epoll: Epoll,
    remote: Arc<Remote>,
    now: Cell<Nanos>,
    current: Cell<TaskId>,
    tasks: RefCell<Vec<Task>>,
    free_tasks: RefCell<Vec<TaskId>>,
    ready: RefCell<VecDeque<TaskId>>,
    /// Who wants to go on in the next turn, when epoll was asked.
    yielded: RefCell<Vec<TaskId>>,
    /// Who wants to be woken soon, and when all of them are that have not ended.
    soon: RefCell<Vec<(TaskId, u32)>>,
    soon_at: Cell<Nanos>,
    /// Who is to be woken since its time has come.
    due: RefCell<VecDeque<TaskId>>,
    /// Who waits to do work that takes long, and how many more may do it in this turn.
    heavy_queue: RefCell<VecDeque<TaskId>>,
    heavy_left: Cell<usize>,
    /// Somebody waits: asked in every turn.
    heavy_waits: Cell<bool>,
    /// Turns so far.
    turns: Cell<u64>,
    /// The running task moves bulk.
    bulk: Cell<bool>,
    /// Tasks polled in this turn that moved no bulk.
    small: Cell<usize>,
    /// The most of these in a turn not long ago, and when.
    crowd: Cell<(usize, Nanos)>,
    /// What is left of the running task's share.
    share: Cell<usize>,
    pub(super) sources: Sources,
    wheel: RefCell<Wheel>,
    worker: WorkerId,
    stop: Cell<bool>,
    /// Who looks again after a pause, and when that is over.
    pausing: RefCell<Vec<TaskId>>,
    pause_until: Cell<Nanos>,
    /// Tasks alive.
    count: Cell<usize>,
    /// Share of time spent waiting, in percent over the last second (`Idle_pct`).
    idle: Cell<(Nanos, Nanos, u8)>,
    pub(super) told: super::by_hand::Told,
}

/// What a turn of the loop fills anew.
#[derive(Default)]
pub(super) struct Scratch {
    events: Events,
}

thread_local! {
    static CURRENT: Cell<Option<&'static Rt>> = const { Cell::new(None) };
}

/// What a waker does: see [`waker::coded`].
fn wake_coded(code: usize) {
    let (worker, task) = (WorkerId((code >> 32) as u16), code as u32);
    match CURRENT.with(Cell::get) {
        Some(rt) if rt.worker == worker => rt.wake(task),
        _ => {
            if let Some(remote) = Remote::of(worker) {
                remote.wake(task);
            }
        }
    }
}

impl Rt {
    /// The runtime of the calling thread, which becomes data worker `worker`.
    pub fn start(worker: WorkerId) -> io::Result<&'static Rt> {
        Rt::start_at(worker, clock::now_ns())
    }

    pub(super) fn start_at(worker: WorkerId, now: Nanos) -> io::Result<&'static Rt> {
        waker::install(wake_coded);
        worker.enter();
        let epoll = Epoll::new()?;
        let remote = Remote::new(epoll::EventFd::new()?);
        epoll.add(remote.event().as_raw_fd(), epoll::IN | epoll::EDGE, INBOX)?;
        let rt: &'static Rt = Box::leak(Box::new(Rt {
            epoll,
            remote: remote.clone(),
            now: Cell::new(now),
            current: Cell::new(NOBODY),
            tasks: RefCell::default(),
            free_tasks: RefCell::default(),
            ready: RefCell::default(),
            yielded: RefCell::default(),
            soon: RefCell::default(),
            soon_at: Cell::new(NEVER),
            due: RefCell::default(),
            heavy_queue: RefCell::default(),
            heavy_left: Cell::new(HEAVY_A_TURN),
            heavy_waits: Cell::new(false),
            turns: Cell::new(0),
            bulk: Cell::new(false),
            small: Cell::new(0),
            crowd: Cell::new((0, 0)),
            share: Cell::new(usize::MAX),
            sources: Sources::default(),
            wheel: RefCell::new(Wheel::new(now)),
            worker,
            stop: Cell::new(false),
            pausing: RefCell::default(),
            pause_until: Cell::new(NEVER),
            count: Cell::new(0),
            idle: Cell::new((now, 0, 100)),
            told: Default::default(),
        }));
        CURRENT.with(|c| c.set(Some(rt)));
        remote.publish(worker);
        Ok(rt)
    }

    /// The runtime of the calling thread.
    pub fn current() -> Option<&'static Rt> {
        CURRENT.with(Cell::get)
    }

    /// The time at which this turn of the loop began.
    pub fn now(&self) -> Nanos {
        self.now.get()
    }

    /// Which turn of the loop it is.
    pub fn turn_no(&self) -> u64 {
        self.turns.get()
    }

    pub fn worker(&self) -> WorkerId {
        self.worker
    }

    pub fn remote(&self) -> &Arc<Remote> {
        &self.remote
    }

    /// Number of tasks alive.
    pub fn task_count(&self) -> usize {
        self.count.get()
    }

    /// Tells that the running task moves bulk, and how many others, which do not, had something to do in one turn of
    /// late.
    pub fn beside_bulk(&self) -> usize {
        self.bulk.set(true);
        self.crowd.get().0.max(self.small.get())
    }

    /// Keeps the largest crowd of a turn for a while: those who come in waves are there between two of them.
    fn count_crowd(&self) {
        let small = self.small.replace(0);
        let (most, since) = self.crowd.get();
        if small >= most || self.now.get().saturating_sub(since) > CROWD_NS {
            self.crowd.set((small, self.now.get()));
        }
    }

    /// Percent of the last full second spent waiting.
    pub fn idle_percent(&self) -> u8 {
        self.idle.get().2
    }

    pub fn current_task(&self) -> TaskId {
        self.current.get()
    }

    /// Adds a task; it runs in this turn.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) -> TaskId {
        let mut task =
            Task { future: Some(Box::pin(future)), queued: false, live: true, heavy: Heavy::None, nth: 0 };
        let id = match self.free_tasks.borrow_mut().pop() {
            Some(id) => {
                let mut tasks = self.tasks.borrow_mut();
                task.nth = tasks[id as usize].nth.wrapping_add(1);
                tasks[id as usize] = task;
                id
            }
            None => {
                let mut tasks = self.tasks.borrow_mut();
                tasks.push(task);
                (tasks.len() - 1) as TaskId
            }
        };
        self.count.set(self.count.get() + 1);
        self.wake(id);
        id
    }

    /// Queues a task of this worker to be polled: in this turn, or in the next one when it wakes itself.
    pub fn wake(&self, id: TaskId) {
        let mut tasks = self.tasks.borrow_mut();
        if let Some(task) = tasks.get_mut(id as usize)
            && task.live
            && !task.queued
        {
            task.queued = true;
            if id == self.current.get() {
                self.yielded.borrow_mut().push(id);
            } else {
                self.ready.borrow_mut().push_back(id);
            }
        }
    }

    /// Lets the other tasks and new events have their turn before the running task goes on.
    pub async fn yield_now(&self) {
        self.step_back(Rt::again).await;
    }

    /// Lets the others run until the task is woken, for which `queue` sees.
    async fn step_back(&self, queue: impl Fn(&Rt)) {
        let mut was_here = false;
        std::future::poll_fn(|context| {
            self.assert_own(context);
            if std::mem::replace(&mut was_here, true) {
                return std::task::Poll::Ready(());
            }
            queue(self);
            std::task::Poll::Pending
        })
        .await;
    }

    /// Queues the running task for the next turn: it is to return `Pending` though it waits for nothing.
    pub fn again(&self) {
        self.wake(self.current.get());
    }

    /// Makes the running task run again within a quarter of a second, together with all who ask so: cheaper than a
    /// deadline for what seldom comes to it.
    pub fn wake_soon(&self) {
        let id = self.current.get();
        let Some(nth) = self.tasks.borrow().get(id as usize).map(|task| task.nth) else { return };
        let mut soon = self.soon.borrow_mut();
        if soon.is_empty() {
            self.soon_at.set(self.now.get() + SOON_NS);
        }
        soon.push((id, nth));
    }

    /// Wakes those whose deadline is over, or who wanted to be woken soon: so many, the others in the next turns.
    fn wake_who_is_due(&self, now: Nanos) {
        let mut due = self.due.borrow_mut();
        self.wheel.borrow_mut().advance(now, &mut due);
        if now >= self.soon_at.get() {
            self.soon_at.set(NEVER);
            let mut soon = self.soon.borrow_mut();
            soon.retain(|&(id, nth)| {
                self.tasks.borrow().get(id as usize).is_some_and(|task| task.nth == nth)
            });
            due.extend(soon.drain(..).map(|(id, _)| id));
        }
        let n = due.len().min(DUE_A_TURN);
        due.drain(..n).for_each(|id| self.wake(id));
    }

    /// Whether the running task may do work that takes long, such as a signature, in this turn. If not, it is queued for
    /// that and woken when it may, one task a turn, and is to return `Pending`: of a crowd that wants it not all hold up
    /// the others at once.
    pub fn may_be_heavy(&self) -> bool {
        let id = self.current.get();
        let mut tasks = self.tasks.borrow_mut();
        let Some(task) = tasks.get_mut(id as usize) else { return true };
        let mut queue = self.heavy_queue.borrow_mut();
        match task.heavy {
            Heavy::Granted => {
                task.heavy = Heavy::None;
                true
            }
            Heavy::Waits => false,
            Heavy::None if queue.is_empty() && self.heavy_left.get() > 0 => {
                self.heavy_left.set(self.heavy_left.get() - 1);
                true
            }
            Heavy::None => {
                task.heavy = Heavy::Waits;
                queue.push_back(id);
                self.heavy_waits.set(true);
                false
            }
        }
    }

    /// Wakes those who may do such work in the next turn. Who has ended meanwhile takes nobody's place.
    fn grant_heavy(&self) {
        let mut left = HEAVY_A_TURN;
        if !self.heavy_waits.get() {
            self.heavy_left.set(left);
            return;
        }
        let (mut queue, mut tasks) = (self.heavy_queue.borrow_mut(), self.tasks.borrow_mut());
        let mut granted = Vec::new();
        while left > 0 {
            let Some(id) = queue.pop_front() else { break };
            if let Some(task) = tasks.get_mut(id as usize)
                && task.live
                && task.heavy == Heavy::Waits
            {
                task.heavy = Heavy::Granted;
                granted.push(id);
                left -= 1;
            }
        }
        self.heavy_waits.set(!queue.is_empty());
        drop(tasks);
        granted.into_iter().for_each(|id| self.wake(id));
        self.heavy_left.set(left);
    }

    /// Takes what a call on a socket cost off the running task's share.
    pub(super) fn charge(&self, bytes: usize) {
        self.share.set(self.share.get().saturating_sub(bytes + CALL));
    }

    /// Whether the running task has had its share of this turn. If so it is queued for the next one and is to return
    /// `Pending`.
    pub(super) fn has_had_its_share(&self) -> bool {
        let over = self.share.get() == 0;
        if over {
            self.again();
        }
        over
    }

    /// In debug builds, panics where a wait would ignore the waker that `context` brings: waiting wakes the running
    /// task, whatever a combinator in between may want.
    pub fn assert_own(&self, context: &Context<'_>) {
        debug_assert!(
            waker::is_coded(context.waker(), self.code_of(self.current.get())),
            "a wait inside a future that brings a waker of its own"
        );
    }

    fn code_of(&self, id: TaskId) -> usize {
        (self.worker.0 as usize) << 32 | id as usize
    }

    /// Makes the running task run again at `until` at the latest. Holds for this poll only: whatever still waits at
    /// the next one arms again, so that the earliest of all pending deadlines counts.
    pub fn arm(&self, until: Nanos) {
        let id = self.current.get();
        let mut wheel = self.wheel.borrow_mut();
        if id != NOBODY && until < wheel.deadline(id) {
            wheel.set(id, until);
        }
    }

    /// Nanoseconds from now as a deadline; 0 ms stands for none.
    pub fn after_ms(&self, ms: u64) -> Nanos {
        if ms == 0 { NEVER } else { self.now.get().saturating_add(ms.saturating_mul(MS)) }
    }

    /// Waits until `at`.
    pub async fn sleep_until(&self, at: Nanos) {
        std::future::poll_fn(|context| {
            self.assert_own(context);
            if self.now.get() >= at {
                return std::task::Poll::Ready(());
            }
            self.arm(at);
            std::task::Poll::Pending
        })
        .await;
    }

    /// Waits for `work`, but not beyond `at`.
    pub async fn within<T>(&self, at: Nanos, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|context| {
            self.assert_own(context);
            if let std::task::Poll::Ready(value) = work.as_mut().poll(context) {
                return std::task::Poll::Ready(Some(value));
            }
            if self.now.get() >= at {
                return std::task::Poll::Ready(None);
            }
            self.arm(at);
            std::task::Poll::Pending
        })
        .await
    }

    /// Makes every task look again at what it waits for, as when the process begins to stop.
    pub fn wake_all(&self) {
        let count = self.tasks.borrow().len();
        (0..count as TaskId).for_each(|id| self.wake(id));
    }

    /// Ends [`Rt::run`] after the current turn.
    pub fn stop(&self) {
        self.stop.set(true);
    }

    /// Runs until [`Rt::stop`].
    pub fn run(&'static self) -> io::Result<()> {
        let mut scratch = Scratch::default();
        while !self.stop.get() {
            self.turn(&mut scratch)?;
        }
        Ok(())
    }

    /// One turn: runs what is ready, waits for sockets, messages and deadlines, and queues whom they wake. Tells
    /// whether anybody was woken.
    pub(super) fn turn(&'static self, scratch: &mut Scratch) -> io::Result<bool> {
        self.turns.set(self.turns.get().wrapping_add(1));
        self.run_ready();
        let timeout_ms = self.timeout_ms();
        // Who only looks does not wait: such a turn is work from end to end.
        let before = (timeout_ms > 0).then(|| self.read_clock());
        self.pause_and_wait(&mut scratch.events, timeout_ms)?;
        let now = self.read_clock();
        self.now.set(now);
        self.account(before.map_or(0, |before| now.saturating_sub(before)), now);
        for i in 0..scratch.events.len() {
            let event = scratch.events.event(i);
            if event.token == INBOX {
                self.receive();
            } else {
                self.report(event);
            }
        }
        self.end_pause(now);
        self.wake_who_is_due(now);
        self.grant_heavy();
        // Behind those that events woke: they have waited longer.
        self.ready.borrow_mut().extend(self.yielded.borrow_mut().drain(..));
        Ok(!self.ready.borrow().is_empty() || !self.due.borrow().is_empty() || self.heavy_waits.get())
    }

    fn read_clock(&self) -> Nanos {
        self.told.now().unwrap_or_else(clock::now_ns)
    }

    /// Lets a short time go by, with everybody who does: for who expects one of many small answers, without haste, and looks
    /// by himself whether it came. The thread is not woken for each.
    pub async fn pause(&self) {
        self.step_back(Rt::queue_for_pause).await;
    }

    fn queue_for_pause(&self) {
        let mut pausing = self.pausing.borrow_mut();
        if pausing.is_empty() {
            self.pause_until.set(self.read_clock() + PAUSE);
        }
        pausing.push(self.current.get());
    }

    fn pause_and_wait(&self, events: &mut Events, timeout_ms: i32) -> io::Result<()> {
        if self.pausing.borrow().is_empty() {
            return self.wait(events, timeout_ms);
        }
        if timeout_ms > 0 {
            let left = self.pause_until.get().saturating_sub(self.read_clock());
            std::thread::sleep(Duration::from_nanos(left));
        }
        self.wait(events, 0)
    }

    fn end_pause(&self, now: Nanos) {
        if now >= self.pause_until.get() {
            self.pause_until.set(NEVER);
            self.pausing.take().into_iter().for_each(|id| self.wake(id));
        }
    }

    fn wait(&self, events: &mut Events, timeout_ms: i32) -> io::Result<()> {
        self.told
            .wait(timeout_ms, |timeout_ms| self.epoll.wait(events, timeout_ms).map(|()| !events.is_empty()))
    }

    /// Adds `waited` to the time spent waiting, and closes the second when it is full.
    fn account(&self, waited: Nanos, now: Nanos) {
        let (since, idle, percent) = self.idle.get();
        let idle = idle + waited;
        let span = now.saturating_sub(since);
        if span >= clock::SEC {
            let percent = (idle * 100 / span).min(100) as u8;
            self.idle.set((now, 0, percent));
            let ready = self.ready.borrow().len() as u32;
            self.remote.set_load(Load {
                tasks: self.count.get() as u32,
                ready,
                idle_percent: percent.into(),
            });
        } else {
            self.idle.set((since, idle, percent));
        }
    }

    fn timeout_ms(&self) -> i32 {
        let is_idle = self.ready.borrow().is_empty() && self.yielded.borrow().is_empty();
        if !is_idle || !self.due.borrow().is_empty() || self.heavy_waits.get() {
            return 0;
        }
        let soon_ms = self.soon_at.get().saturating_sub(self.now.get()).div_ceil(MS);
        let wheel_ms = self.wheel.borrow().wait_ms(self.now.get()).unwrap_or(60_000);
        wheel_ms.min(soon_ms).min(60_000) as i32
    }

    /// Polls what is ready, and what becomes ready meanwhile, up to a bound that lets sockets have their turn.
    fn run_ready(&self) {
        for _ in 0..POLLS_A_TURN {
            let next = self.ready.borrow_mut().pop_front();
            let Some(id) = next else { break };
            self.poll(id);
            if !self.bulk.replace(false) {
                self.small.set(self.small.get() + 1);
            }
        }
        self.count_crowd();
    }

    fn poll(&self, id: TaskId) {
        let future = {
            let mut tasks = self.tasks.borrow_mut();
            let task = &mut tasks[id as usize];
            task.queued = false;
            task.future.take()
        };
        let Some(mut future) = future else { return };
        self.wheel.borrow_mut().set(id, NEVER);
        self.current.set(id);
        self.share.set(SHARE);
        let waker = waker::coded(self.code_of(id));
        let mut context = Context::from_waker(&waker);
        // A panic costs one connection: what the task held is released by the unwinding drop.
        let polled =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| future.as_mut().poll(&mut context)));
        let done = !matches!(polled, Ok(std::task::Poll::Pending));
        if done {
            drop(future);
            self.wheel.borrow_mut().clear(id);
            let mut tasks = self.tasks.borrow_mut();
            let task = &mut tasks[id as usize];
            task.live = false;
            // Still in the ready queue when it woke itself: the entry finds no future.
            self.free_tasks.borrow_mut().push(id);
            self.count.set(self.count.get() - 1);
        } else {
            self.tasks.borrow_mut()[id as usize].future = Some(future);
        }
        self.current.set(NOBODY);
        self.share.set(usize::MAX);
    }

    fn receive(&'static self) {
        for message in self.remote.take() {
            match message {
                Message::Wake(id) => self.wake(id),
                Message::Run(f) => f(self),
            }
        }
    }

    fn report(&self, event: epoll::Event) {
        let (reader, writer) = self.sources.note(event);
        if reader != NOBODY {
            self.wake(reader);
        }
        if writer != NOBODY && writer != reader {
            self.wake(writer);
        }
    }

    // --- sockets: see `conn` ---

    /// Ends all connections of an owner in both directions. Who uses them finds them ended. Returns how many.
    pub fn shut_down(&self, owner: u64) -> u32 {
        self.sources.shut_down(owner)
    }

    /// The running task waits for the socket to become readable or writable.
    #[inline]
    pub(super) fn wait_for(&self, source: &Source, fd: RawFd, write: bool) -> io::Result<()> {
        source.wait(self.current.get(), write, (&self.epoll, fd))
    }

    /// The running task reads a socket, if it is registered: whether it is.
    pub(super) fn goes_on_watching(&self, source: &Source) -> bool {
        source.goes_on_watching(self.current.get())
    }

    pub(super) fn add_listener(&self, source: &Source, fd: RawFd, exclusive: bool) -> io::Result<()> {
        source.add_listener(&self.epoll, fd, exclusive)
    }

    /// The running task wants to hear of connections.
    pub(super) fn note_listener(&self, source: &Source) {
        source.note_listener(self.current.get());
    }

    pub(super) fn unregister(&self, source: &Source, fd: RawFd) {
        source.unregister(&self.epoll, fd);
    }
}
