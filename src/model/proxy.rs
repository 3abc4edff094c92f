//! A proxy's identity and the live state that outlasts its configuration.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::base::{Shards, rate::Rate};

use super::counters::{Peak, ProxyCounters, Totals};
use super::invalid::InvalidMessages;
use super::queue::WaitQueue;

/// Index of a proxy in one `Config`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProxyId(pub u32);

/// What a proxy section can do: `frontend` F, `backend` B, `listen` both, `defaults` D.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    pub front: bool,
    pub back: bool,
}

/// `mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    #[default]
    Tcp,
    Http,
    /// Datagrams.
    Udp,
    /// Frontend answers by itself (HAProxy 3.4's benchmark server).
    Haterm,
    /// `mode log`, `mode spop` and so on are refused at build.
    Other,
}

impl Mode {
    /// Requests and responses are told apart, rather than bytes or datagrams passed on.
    pub fn has_messages(self) -> bool {
        !matches!(self, Mode::Tcp | Mode::Udp)
    }
}

/// One side (frontend or backend) of a proxy, kept by name across configuration changes.
#[derive(Debug)]
pub struct SideLive {
    pub counters: Shards<ProxyCounters>,
    /// Current sessions (frontend: client connections; backend: streams).
    pub cur: AtomicU32,
    /// Most sessions seen at once.
    pub max: Peak,
    pub sess_rate: Rate,
    pub sess_rate_max: Peak,
    pub req_rate: Rate,
    pub req_rate_max: Peak,
    pub conn_rate: Rate,
    pub conn_rate_max: Peak,
    /// Milliseconds (base::clock) of the last change of state, and of the last session (0: none).
    pub last_change_ms: AtomicU64,
    pub last_session_ms: AtomicU64,
    /// Milliseconds spent without a usable server.
    pub down_ms: AtomicU64,
    /// Times the backend lost its last server.
    pub down_trans: AtomicU64,
}

impl SideLive {
    pub fn new(workers: usize) -> Self {
        SideLive {
            counters: Shards::new(workers),
            cur: AtomicU32::new(0),
            max: Peak::default(),
            sess_rate: Rate::default(),
            sess_rate_max: Peak::default(),
            req_rate: Rate::default(),
            req_rate_max: Peak::default(),
            conn_rate: Rate::default(),
            conn_rate_max: Peak::default(),
            last_change_ms: AtomicU64::new(crate::base::clock::now_ms()),
            last_session_ms: AtomicU64::new(0),
            down_ms: AtomicU64::new(0),
            down_trans: AtomicU64::new(0),
        }
    }
}

/// One listening address of a frontend, kept by its number (`id`) across configuration changes.
#[derive(Debug, Default)]
pub struct ListenerLive {
    /// Connections now, and most of them at once.
    pub cur: AtomicU32,
    pub max: Peak,
    /// What it counts, once `option socket-stats` asks for it.
    counters: OnceLock<Shards<ProxyCounters>>,
}

impl ListenerLive {
    /// From now on it counts.
    pub fn start_counting(&self, workers: usize) {
        self.counters.get_or_init(|| Shards::new(workers));
    }

    /// What the calling worker counts of it, if anything.
    pub fn counters(&self) -> Option<&ProxyCounters> {
        self.counters.get().map(Shards::mine)
    }

    pub fn totals(&self) -> Totals {
        self.counters.get().map(Totals::of).unwrap_or_default()
    }

    /// `clear counters`; of those that grow too where `all` says so.
    pub fn clear(&self, all: bool) {
        self.max.reset();
        if let (true, Some(shards)) = (all, self.counters.get()) {
            shards.iter().for_each(ProxyCounters::reset);
        }
    }
}

/// The live state of a proxy section, both sides.
#[derive(Debug)]
pub struct ProxyLive {
    pub front: SideLive,
    pub back: SideLive,
    /// Of the frontend, by number.
    listeners: Mutex<Vec<(u32, Arc<ListenerLive>)>>,
    /// Streams that wait for any server of the backend.
    pub queue: WaitQueue,
    /// `disable frontend`: listeners paused.
    pub paused: AtomicBool,
    /// `shutdown frontend` or soft stop.
    pub stopped: AtomicBool,
    /// `unpublish backend`: rules pass over the backend.
    pub unpublished: AtomicBool,
    /// `set maxconn frontend`; 0: as configured.
    pub maxconn_override: AtomicU32,
    /// Held while a server of the backend changes its state, so that changes are told in order.
    pub transition: Mutex<()>,
    /// What could not be read last.
    pub invalid: InvalidMessages,
}

impl ProxyLive {
    pub fn new(workers: usize) -> Self {
        ProxyLive {
            front: SideLive::new(workers),
            back: SideLive::new(workers),
            listeners: Mutex::default(),
            queue: WaitQueue::default(),
            paused: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            unpublished: AtomicBool::new(false),
            maxconn_override: AtomicU32::new(0),
            transition: Mutex::new(()),
            invalid: InvalidMessages::default(),
        }
    }

    /// The listener with this number.
    pub fn listener(&self, id: u32) -> Arc<ListenerLive> {
        let mut list = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, live)) = list.iter().find(|(number, _)| *number == id) {
            return live.clone();
        }
        let live = Arc::<ListenerLive>::default();
        list.push((id, live.clone()));
        live
    }
}
