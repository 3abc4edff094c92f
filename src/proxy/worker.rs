//! A data worker: what its sessions share without a lock, and how it takes a new configuration.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::task::Poll;

use crate::base::{WorkerId, clock};
use crate::config::Config;
use crate::log::{LogTarget, Logger, Origin};
use crate::rt::{Rt, TaskId};
use crate::rules::Txn;

use super::h2::ServerMuxes;
use super::listener::Listeners;
use super::pool::Pools;
use super::shared::Shared;
use super::view::View;

/// Everything the sessions of one worker share.
pub struct Worker {
    pub rt: &'static Rt,
    pub shared: Arc<Shared>,
    view: RefCell<Rc<View>>,
    no_view: Rc<View>,
    retired: Sender<Arc<Config>>,
    pub pools: Pools,
    /// HTTP/2 connections to servers.
    pub muxes: ServerMuxes,
    /// Boxed: they are large, and streams hold them by pointer.
    #[allow(clippy::vec_box)]
    txns: RefCell<Vec<Box<Txn>>>,
    lingering: Cell<u32>,
    seed: Cell<u64>,
    requests: Cell<u64>,
    /// Requests begun on connections that had carried others: counted to see what comes between two accepts.
    pub(super) resumed: Cell<u32>,
    /// Streams that began in a turn, and in which.
    begun: Cell<(u64, u32)>,
    logger: Logger,
    /// Sends what the logger has, after those who log in this turn.
    log_task: Cell<TaskId>,
    pub(super) listeners: RefCell<Listeners>,
    /// Servers are spoken to in HTTP/1 and without TLS, whatever their lines say: nobody is there.
    pub(super) rehearses: Cell<bool>,
    /// Wall clock minus monotonic clock in microseconds, renewed every second.
    wall_offset_us: Cell<(u64, u64)>,
}

thread_local! {
    static CURRENT: Cell<Option<&'static Worker>> = const { Cell::new(None) };
}

/// Transaction records kept for the next request.
const TXNS_KEPT: usize = 64;

/// Most streams of clients' HTTP/2 connections that begin in one turn: the others wait in their connections, which take
/// turns, so that who asks for much at once holds up nobody else.
const BEGUN_A_TURN: u32 = 64;

/// Most connections of a worker that keep their request's future between requests: about 2 KiB each.
const LINGERING: u32 = 256;

/// Entries of stick tables that are removed in one turn: well under a millisecond.
const EXPIRED_AT_ONCE: usize = 512;

/// One of [`LINGERING`] seats.
pub struct Lingering(&'static Worker);

impl Drop for Lingering {
    fn drop(&mut self) {
        self.0.lingering.set(self.0.lingering.get() - 1);
    }
}

impl Worker {
    /// Makes the calling thread a data worker. The worker lives as long as the thread.
    pub fn start(
        id: WorkerId,
        shared: Arc<Shared>,
        config: Arc<Config>,
        retired: Sender<Arc<Config>>,
    ) -> std::io::Result<&'static Worker> {
        Ok(Worker::on(Rt::start(id)?, shared, config, retired))
    }

    /// The worker of a runtime that the calling thread has.
    pub(super) fn on(
        rt: &'static Rt,
        shared: Arc<Shared>,
        config: Arc<Config>,
        retired: Sender<Arc<Config>>,
    ) -> &'static Worker {
        let seed = (clock::wall().as_nanos() as u64) ^ (u64::from(rt.worker().0) << 48) | 1;
        let worker: &'static Worker = Box::leak(Box::new(Worker {
            rt,
            shared,
            view: RefCell::new(View::new(config, retired.clone())),
            no_view: View::none(retired.clone()),
            retired,
            pools: Pools::default(),
            muxes: ServerMuxes::default(),
            txns: RefCell::default(),
            lingering: Cell::new(0),
            seed: Cell::new(seed),
            requests: Cell::new(0),
            resumed: Cell::new(0),
            begun: Cell::default(),
            logger: Logger::default(),
            log_task: Cell::new(0),
            listeners: RefCell::default(),
            rehearses: Cell::new(false),
            wall_offset_us: Cell::new((0, 0)),
        }));
        CURRENT.with(|c| c.set(Some(worker)));
        rt.spawn(worker.keep_house());
        worker.log_task.set(rt.spawn(poll_fn(|_| {
            worker.logger.flush();
            Poll::Pending
        })));
        worker
    }

    /// The worker of the calling thread.
    pub fn current() -> Option<&'static Worker> {
        CURRENT.with(Cell::get)
    }

    /// The configuration new work begins with.
    pub fn view(&self) -> Rc<View> {
        self.view.borrow().clone()
    }

    /// Whether new work begins with this configuration.
    pub(super) fn holds(&self, view: &Rc<View>) -> bool {
        Rc::ptr_eq(&self.view.borrow(), view)
    }

    /// The view without a configuration.
    pub fn no_view(&self) -> Rc<View> {
        self.no_view.clone()
    }

    /// Takes a new configuration. Streams keep the one they began with.
    pub fn replace(&self, config: Arc<Config>) {
        *self.view.borrow_mut() = View::new(config, self.retired.clone());
    }

    pub fn generation(&self) -> u64 {
        self.view.borrow().config().generation
    }

    /// Logs a line. It is sent with those of others in this turn.
    pub fn log(&self, targets: &[LogTarget], level: u8, origin: &Origin<'_>, line: &[u8]) {
        if self.logger.send(targets, level, origin, line) {
            self.rt.wake(self.log_task.get());
        }
    }

    /// Works until the runtime is stopped.
    pub fn run(&self) -> std::io::Result<()> {
        let ended = self.rt.run();
        self.logger.flush();
        ended
    }

    /// Ends every connection of this worker to a server, idle or not.
    pub fn cut(&self, server: u64) {
        self.pools.forget(server);
        self.rt.shut_down(server);
    }

    /// Once a second: idle server connections that have closed or were idle for too long go.
    async fn keep_house(&'static self) {
        loop {
            self.rt.sleep_until(self.rt.now() + clock::SEC).await;
            self.pools.purge(self.rt.now() / clock::MS);
            self.muxes.purge();
            if self.rt.worker().0 == 1 {
                self.expire_tables().await;
            }
        }
    }

    /// Removes what has expired from stick tables, a little in each turn.
    async fn expire_tables(&self) {
        let view = self.view();
        for table in &view.config().tables.list {
            while table.expire(self.rt.now() / clock::MS, EXPIRED_AT_ONCE) >= EXPIRED_AT_ONCE {
                self.rt.yield_now().await;
            }
        }
    }

    pub fn take_txn(&self) -> Box<Txn> {
        self.txns.borrow_mut().pop().unwrap_or_default()
    }

    /// Keeps a record (its allocations, not its content) for another transaction.
    pub fn keep_txn(&self, mut txn: Box<Txn>) {
        let mut kept = self.txns.borrow_mut();
        if kept.len() < TXNS_KEPT {
            txn.recycle();
            kept.push(txn);
        }
    }

    /// Whether one more stream of an HTTP/2 connection may begin in this turn; if so it counts.
    pub(super) fn may_begin(&self) -> bool {
        let turn = self.rt.turn_no();
        let begun = match self.begun.get() {
            (in_turn, begun) if in_turn == turn => begun,
            _ => 0,
        };
        self.begun.set((turn, begun + 1));
        begun < BEGUN_A_TURN
    }

    /// A seat among the connections that wait for their next request with everything in hand. `None`: all are taken.
    pub fn linger(&'static self) -> Option<Lingering> {
        let seats = self.lingering.get();
        (seats < LINGERING).then(|| {
            self.lingering.set(seats + 1);
            Lingering(self)
        })
    }

    /// xorshift64*: for balancing and sampling, not for secrets.
    pub fn random(&self) -> u64 {
        let mut x = self.seed.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.seed.set(x);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number no other request of the process has: worker in the top bits.
    pub fn next_request(&self) -> u64 {
        let n = self.requests.get();
        self.requests.set(n + 1);
        u64::from(self.rt.worker().0.saturating_sub(1)) << 48 | n
    }

    /// Requests begun by this worker.
    pub fn request_count(&self) -> u64 {
        self.requests.get()
    }

    /// Wall clock in microseconds, from the loop's monotonic time.
    pub fn date_us(&self) -> u64 {
        let now_us = self.rt.now() / 1000;
        let (offset, renew_at) = self.wall_offset_us.get();
        if now_us < renew_at {
            return now_us + offset;
        }
        let wall_us = clock::wall().as_micros() as u64;
        let offset = wall_us.saturating_sub(clock::now_ns() / 1000);
        self.wall_offset_us.set((offset, now_us + 1_000_000));
        now_us + offset
    }

    /// Client connections and flows now, process-wide.
    pub fn current_connections(&self) -> u32 {
        self.shared.current.load(Ordering::Relaxed) + self.shared.flows.load(Ordering::Relaxed)
    }
}
