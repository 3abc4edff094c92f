//! Starting a node, and the handle on one that runs.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use super::call;
use super::callee::{CallError, Callee};
use super::cluster::RaftCluster;
use super::connection::{Connections, Dialer, Plain};
use super::frame::{Availability, ClientHeartbeat, Denial, Operation};
use super::guest::{Guest, Wrap};
use super::keeper::{Keeper, Keeping};
use super::lease::Lease;
use super::machine::Machine;
use super::network::Network;
use super::node::{Ask, Node, Reader};
use super::timing::{Profile, Timing};
use super::tls::Tls;
use super::told::Told;
use super::types::Raft;
use super::{election, expiry, leases, proposer, read, renewals, server, shortening, soft};
use crate::region::expiry::Expiry;
use crate::region::member::{self, Admission, Trust, TrustError};
use crate::region::own::Own;
use crate::region::seat::Seat;
use crate::region::soft::SoftState;
use crate::region::store::{LogStore, Snapshots, StoreError, departed, ends};

/// How a node is started.
#[derive(Default)]
pub struct Options {
    /// The node's name; unique in its cluster.
    pub name: String,
    /// The region it stands in; may be empty.
    pub region: String,
    /// Where it takes other members. None: it is alone.
    pub bind: Option<TcpListener>,
    /// `ip:port` at which others reach it; the bound address when empty.
    pub advertise: String,
    /// `ip:port` of its API, for others to show; may be empty.
    pub api: String,
    /// None: everything in memory, and gone at the end.
    pub data_dir: Option<PathBuf>,
    /// `host:port` of others, to find the cluster.
    pub retry_join: Vec<String>,
    /// How many nodes form the first cluster; this one alone when there is nobody to join.
    pub expect: Option<u32>,
    /// Joins as one that follows without a vote.
    pub worker: bool,
    pub profile: Profile,
    /// Without a word for so long a node is dead; none: by the profile.
    pub liveness_timeout: Option<Duration>,
    /// Without a word of any of its nodes for so long a region is lost; none: by the profile.
    pub region_timeout: Option<Duration>,
    pub tls: Option<Tls>,
    /// The cluster has an authority of its own, which gives members their certificates; needs `data_dir`.
    pub authority: bool,
    /// What admits this node to such a cluster, or lets it form the first with others.
    pub admission: Option<Admission>,
    /// The store becomes that of a cluster of this node alone.
    pub force_new: bool,
    /// Instead of TCP: for tests of a network that fails.
    pub dialer: Option<Arc<dyn Dialer>>,
    /// Instead of one in `data_dir`.
    #[cfg(test)]
    pub log: Option<LogStore>,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("region map: the snapshot in {0}: {1}")]
    Snapshot(String, #[source] std::io::Error),
    #[error("region map: {0}")]
    Io(#[from] std::io::Error),
    #[error("region map: `retry-join` and `expect` need a `bind`")]
    NoBind,
    #[error("region map: a cluster with an authority of its own needs a `data-dir`")]
    NoDataDir,
    #[error("region map: {0}")]
    Trust(#[from] TrustError),
    #[error("region map: the node has no name")]
    NoName,
    #[error("region map: the store is of member {0:?}; this node is {1:?}")]
    OtherName(String, String),
    #[error("region map: {0}")]
    Raft(String),
}

/// A running node. Dropping it ends it without ceremony, like a kill.
pub struct RaftHandle {
    pub(super) node: Arc<Node>,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) runtime: Handle,
    /// It has given up its place.
    pub(super) departed: AtomicBool,
    closed: Arc<AtomicBool>,
    stop: Mutex<Option<oneshot::Sender<Ending>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Ending {
    /// Another leads first, everything is written.
    Graceful(oneshot::Sender<()>),
}

struct Parts {
    node: Arc<Node>,
    machine: Machine,
    listener: Option<TcpListener>,
    wrap: Wrap,
    asks: mpsc::Receiver<Ask>,
    readers: mpsc::Receiver<Reader>,
    sure_readers: mpsc::Receiver<Reader>,
}

/// Opens the store and starts the node's threads. Returns once what the store holds is applied, or, for a node that has
/// yet to find its cluster, at once.
pub fn start(options: Options) -> Result<(Seat, RaftHandle), StartError> {
    let closed = Arc::new(AtomicBool::new(false));
    let data_dir = options.data_dir.clone();
    let own = Own::open(data_dir.as_deref(), &options.name.as_str().into())?;
    let parts = parts(options)?;
    let node = parts.node.clone();
    let (stop, stopped) = oneshot::channel();
    let (ready, wait) = std::sync::mpsc::channel();
    let (runtime_out, runtime_in) = std::sync::mpsc::channel();
    let ended = closed.clone();
    let thread = std::thread::Builder::new().name("region-raft".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(8)
            .thread_name("region-work")
            .build();
        match runtime {
            Ok(runtime) => {
                let _ = runtime_out.send(runtime.handle().clone());
                runtime.block_on(main(parts, ready, stopped, ended));
            }
            Err(e) => drop(ready.send(Err(StartError::Io(e)))),
        }
    })?;
    let gone = || StartError::Raft("its thread ended".into());
    let started = wait.recv().map_err(|_| gone()).flatten();
    let runtime = started.and_then(|()| runtime_in.recv().map_err(|_| gone()));
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(e) => {
            // Nothing of it stays behind: one may try again at once.
            drop(stop);
            let _ = thread.join();
            node.log.close();
            return Err(e);
        }
    };
    let behind = Arc::new(RaftCluster { node: node.clone(), closed: closed.clone() });
    let seat = Seat::new(node.view.clone(), behind, node.name.clone(), node.region.clone());
    let seat = seat.with_soft(node.soft.clone()).with_own(own);
    let (stop, thread) = (Mutex::new(Some(stop)), Mutex::new(Some(thread)));
    let departed = AtomicBool::new(false);
    Ok((seat, RaftHandle { node, data_dir, runtime, departed, closed, stop, thread }))
}

/// What must be said and is not.
fn missing(options: &Options) -> Result<(), StartError> {
    if options.name.is_empty() {
        return Err(StartError::NoName);
    }
    let expected = options.expect.unwrap_or(1);
    if options.bind.is_none() && (expected > 1 || !options.retry_join.is_empty()) {
        return Err(StartError::NoBind);
    }
    Ok(())
}

/// The profile's times, and those that the section sets itself.
fn timing(options: &Options) -> Timing {
    let mut timing = options.profile.timing();
    let ms = |time: Duration| time.as_millis() as u64;
    timing.liveness_ms = options.liveness_timeout.map_or(timing.liveness_ms, ms).max(1);
    timing.region_ms = options.region_timeout.map_or(timing.region_ms, ms).max(1);
    timing
}

/// Where others reach this node.
fn address(bind: Option<&TcpListener>, advertise: String) -> std::io::Result<String> {
    Ok(match bind {
        _ if !advertise.is_empty() => advertise,
        Some(bind) => bind.local_addr()?.to_string(),
        None => SocketAddr::from(([127, 0, 0, 1], 0)).to_string(),
    })
}

fn parts(options: Options) -> Result<Parts, StartError> {
    missing(&options)?;
    let timing = timing(&options);
    if let Some(dir) = &options.data_dir {
        departed::clear(dir)?;
    }
    let trust = trust(&options)?;
    #[cfg(test)]
    let log = options.log.map_or_else(|| LogStore::open(options.data_dir.as_deref()), Ok)?;
    #[cfg(not(test))]
    let log = LogStore::open(options.data_dir.as_deref())?;
    let place = || options.data_dir.as_ref().map_or("memory".into(), |dir| dir.display().to_string());
    let bad = |e| StartError::Snapshot(place(), e);
    let snapshots = Snapshots::open(options.data_dir.as_deref()).map_err(&bad)?;
    if options.force_new {
        super::alone::make_alone(&log, &snapshots, &options.name, &options.advertise)?;
    }
    let (applied_in, applied) = watch::channel(0);
    let machine = Machine::open(&log, snapshots.clone(), applied_in).map_err(bad)?;
    let address = address(options.bind.as_ref(), options.advertise)?;
    let (dialer, wrap) = match (options.tls, options.dialer, &trust) {
        (_, Some(dialer), _) => (dialer, plain()),
        (_, None, Some(trust)) => (trust.members(), trusting(trust.clone())),
        (Some(tls), None, None) => tls.both(),
        (None, None, None) => (Arc::new(Plain) as Arc<dyn Dialer>, plain()),
    };
    let connections = Arc::new(Connections::new(dialer));
    let founding = founding(trust.as_ref(), &connections);
    let (asks_in, asks) = mpsc::channel(proposer::QUEUE);
    let (readers_in, readers) = mpsc::channel(read::QUEUE);
    let (sure_in, sure_readers) = mpsc::channel(read::QUEUE);
    let how = member::Membership {
        retry_join: options.retry_join,
        expect: options.expect,
        manager: !options.worker,
        authority: trust.is_some(),
        admission: options.admission,
    };
    let (keeper, expiry) = keeper(options.data_dir.is_some(), &log);
    let node = Arc::new(Node {
        name: options.name.as_str().into(),
        region: options.region.as_str().into(),
        address,
        api: options.api,
        durable: options.data_dir.is_some(),
        timing,
        log,
        snapshots,
        connections,
        lease: Arc::new(Lease::new(timing.lease())),
        view: machine.publisher().view(),
        soft: SoftState::new(options.name.as_str().into(), Duration::from_millis(timing.liveness_ms)),
        expiry,
        keeper,
        told: Told::default(),
        raft: OnceLock::new(),
        trust,
        meeting: member::Meeting::new(how, founding),
        heard: member::Heard::default(),
        changing: tokio::sync::Mutex::new(()),
        applied,
        asks: asks_in,
        readers: readers_in,
        sure_readers: sure_in,
        callee: OnceLock::new(),
        contact_ns: AtomicU64::new(0),
        turn: election::Turn::default(),
    });
    Ok(Parts { node, machine, listener: options.bind, wrap, asks, readers, sure_readers })
}

/// Who puts down when sessions end, and what a process before this one did. A store in memory is one of this process alone.
fn keeper(is_durable: bool, log: &LogStore) -> (Keeping, Mutex<Expiry>) {
    let (keeper, expiry) = match is_durable {
        true => Keeper::open(Path::new(ends::PLACE), log.identity().store),
        false => Default::default(),
    };
    (Keeping::by(keeper), Mutex::new(expiry))
}

/// By what the founders of a cluster are reached, before anybody is a member.
fn founding(trust: Option<&Arc<Trust>>, connections: &Arc<Connections>) -> Option<Arc<Connections>> {
    match trust {
        Some(trust) => trust.founders().map(|dialer| Arc::new(Connections::new(dialer))),
        None => Some(connections.clone()),
    }
}

/// Opened before the store: what cannot be read must stop the start.
fn trust(options: &Options) -> Result<Option<Arc<Trust>>, StartError> {
    match (options.authority, &options.data_dir) {
        (false, _) => Ok(None),
        (true, Some(dir)) => Ok(Some(Trust::open(dir, options.admission.as_ref())?)),
        (true, None) => Err(StartError::NoDataDir),
    }
}

fn trusting(trust: Arc<Trust>) -> Wrap {
    Arc::new(move |stream| {
        let trust = trust.clone();
        Box::pin(async move { trust.accept(stream).await })
    })
}

fn plain() -> Wrap {
    Arc::new(|stream| {
        let stream: Box<dyn super::connection::Stream> = Box::new(stream);
        Box::pin(async move { Ok((stream, Guest::Trusted)) })
    })
}

type Ready = std::sync::mpsc::Sender<Result<(), StartError>>;

/// The life of the node's thread.
async fn main(parts: Parts, ready: Ready, stopped: oneshot::Receiver<Ending>, closed: Arc<AtomicBool>) {
    let node = parts.node;
    node.log.bear(node.timing.stall());
    if let Some(listener) = parts.listener {
        let listener =
            listener.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(listener));
        match listener {
            Ok(listener) => drop(tokio::spawn(server::run(node.clone(), listener, parts.wrap))),
            Err(e) => return drop(ready.send(Err(StartError::Io(e)))),
        }
    }
    tokio::spawn(proposer::run(node.clone(), parts.asks));
    tokio::spawn(read::run(node.clone(), parts.readers, false));
    tokio::spawn(read::run(node.clone(), parts.sure_readers, true));
    tokio::spawn(soft::run(node.clone()));
    tokio::spawn(leases::run(node.clone()));
    tokio::spawn(expiry::run(node.clone()));
    tokio::spawn(renewals::run(node.clone()));
    tokio::spawn(election::run(node.clone()));
    tokio::spawn(shortening::run(node.clone()));
    tokio::spawn(live(node.clone(), parts.machine, ready));
    let ending = stopped.await;
    closed.store(true, Ordering::Release);
    match ending {
        Ok(Ending::Graceful(done)) => {
            member::step_down(&node).await;
            if let Some(raft) = node.raft.get() {
                // Not for ever: it may wait for a disk that takes nothing.
                let _ = tokio::time::timeout(node.timing.stall(), raft.shutdown()).await;
            }
            node.connections.close();
            let _ = done.send(());
        }
        Err(_) => node.log.abandon(),
    }
}

/// Finds the cluster, runs Raft in it.
async fn live(node: Arc<Node>, mut machine: Machine, ready: Ready) {
    let known = node.log.id() != 0;
    if !known {
        let _ = ready.send(Ok(()));
    }
    let identity = member::seek(&node).await;
    machine.me = identity.id;
    match raft(&node, identity.id, machine).await {
        Ok(raft) => drop(node.raft.set(raft)),
        Err(e) => return drop(ready.send(Err(e))),
    }
    if let Some(member) = node.view.map().member(identity.id).filter(|member| member.name != node.name) {
        let other = StartError::OtherName(member.name.to_string(), node.name.to_string());
        return drop(ready.send(Err(other)));
    }
    let _ = ready.send(Ok(()));
    member::run(node).await;
}

async fn raft(node: &Node, id: u64, machine: Machine) -> Result<Raft, StartError> {
    let refused = |e: &dyn std::fmt::Display| StartError::Raft(e.to_string());
    let config = node.timing.config().validate().map_err(|e| refused(&e))?;
    let network = Network {
        connections: node.connections.clone(),
        log: node.log.clone(),
        lease: node.lease.clone(),
        piece: std::time::Duration::from_millis(node.timing.piece_ms),
    };
    Raft::new(id, Arc::new(config), network, node.log.clone(), machine).await.map_err(|e| refused(&e))
}

impl RaftHandle {
    /// This member's id; 0 until it has one.
    pub fn id(&self) -> u64 {
        self.node.id()
    }

    /// Lets another lead if this one does, writes everything, ends the threads.
    pub fn shutdown(&self) {
        let (done, _wait) = oneshot::channel();
        if let Some(stop) = lock(&self.stop).take() {
            let _ = stop.send(Ending::Graceful(done));
            self.closed.store(true, Ordering::Release);
        }
        self.wait();
        self.node.log.close();
    }

    /// The UUID of this node in the catalog; `None` until it is known, which without a store is when it is a member.
    pub fn node_id(&self) -> Option<String> {
        self.node.uuid()
    }

    /// Without a word for so long a node is dead.
    pub fn liveness(&self) -> Duration {
        Duration::from_millis(self.node.timing.liveness_ms)
    }

    /// Tells the leader that a client agent lives.
    pub async fn client_alive(&self, client: ClientHeartbeat) -> Result<(), Denial> {
        let node = self.node.clone();
        let told = self.runtime.spawn(async move { member::client_alive(&node, client).await }).await;
        told.unwrap_or(Err(Denial::Shutdown))
    }

    fn wait(&self) {
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }

    /// Who answers calls of other members from now on; the first one stays.
    pub fn answer_calls(&self, callee: Arc<dyn Callee>) {
        let _ = self.node.callee.set(callee);
    }

    /// Asks member `id`, which may be this one, something that is not about the map.
    pub async fn call(&self, id: u64, kind: u8, body: Bytes, within: Duration) -> Result<Bytes, CallError> {
        let asked = self.runtime.spawn(call::call(self.node.clone(), id, kind, body, within)).await;
        asked.unwrap_or_else(|_| Err(CallError::Unreachable("shutting down".into())))
    }

    /// Makes a worker a manager: it votes once it has caught up.
    pub async fn promote(&self, id: u64) -> Result<(), Denial> {
        self.operate(Operation::Promote(id)).await
    }

    /// Takes a manager's vote.
    pub async fn demote(&self, id: u64) -> Result<(), Denial> {
        self.operate(Operation::Demote(id)).await
    }

    pub async fn drain(&self, id: u64) -> Result<(), Denial> {
        self.operate(Operation::Availability(id, Availability::Drain)).await
    }

    pub async fn pause(&self, id: u64) -> Result<(), Denial> {
        self.operate(Operation::Availability(id, Availability::Pause)).await
    }

    pub async fn activate(&self, id: u64) -> Result<(), Denial> {
        self.operate(Operation::Availability(id, Availability::Active)).await
    }

    /// Forgets a worker that is down, or with `force` one that is not.
    pub async fn remove(&self, id: u64, force: bool) -> Result<(), Denial> {
        self.operate(Operation::Remove { id, force }).await
    }

    /// Asks another to lead.
    pub async fn step_down(&self) {
        let node = self.node.clone();
        let _ = self.runtime.spawn(async move { member::step_down(&node).await }).await;
    }

    /// Builds a snapshot soon.
    pub async fn snapshot(&self) {
        if let Some(raft) = self.node.raft.get() {
            let _ = raft.trigger().snapshot().await;
        }
    }

    /// Does it wherever it is to be done.
    pub async fn operate(&self, what: Operation) -> Result<(), Denial> {
        let node = self.node.clone();
        let done = self.runtime.spawn(async move { member::operate(&node, what).await }).await;
        done.unwrap_or(Err(Denial::Shutdown))
    }
}

impl Drop for RaftHandle {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Release);
        drop(lock(&self.stop).take());
        self.wait();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
