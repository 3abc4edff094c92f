//! A `peers` section that runs: it dials its peers, takes those who dial, and asks to be taught when it begins.
//!
//! There is one session with a peer: the one that began last. Where two dial each other at the same moment, the one with
//! the lower name lets go of its own.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::base::{Millis, clock};
use crate::model::Address;
use crate::tls::{Endpoint, server_name};

use super::hello::Status;
use super::link::{Greeted, Stream, Talk, greet, greeted};
use super::resync::Resync;
use super::session::{Memory, Session, Shared};
use super::shown::{self, State};
use super::spec::{Secure, Spec};

/// For connecting, TLS and the greeting, each.
const PATIENCE: Duration = Duration::from_secs(5);
/// Before a peer is dialled again that could not be reached.
const AGAIN: Duration = Duration::from_secs(5);
/// Connections that may be without a session at once.
const STRANGERS: usize = 64;
/// Changes are gathered for so long while there are many.
const GATHER: Duration = Duration::from_millis(1);

/// The session of a peer that counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Line {
    pub number: u64,
    pub is_alive: bool,
}

/// A peer of a section; the last one stands for an old process of this one's name.
struct Peer {
    line: watch::Sender<Line>,
    /// It was reached, and has not answered yet.
    is_greeted: AtomicBool,
    memory: Mutex<Memory>,
    shown: Mutex<shown::Peer>,
}

/// What the tasks of a section share.
pub struct Inner {
    pub spec: Spec,
    peers: Vec<Peer>,
    resync: Mutex<Resync>,
    news: watch::Sender<u64>,
}

/// A section that runs, until it is dropped.
pub struct Group {
    inner: Arc<Inner>,
    /// Everybody ends with it.
    _stop: watch::Sender<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Group {
    /// Starts a section within a runtime. `sockets`: for what it says to listen on, in the same order. `before`: the section
    /// of its name that ran until now.
    pub fn start(spec: Spec, sockets: Vec<OwnedFd>, before: Option<&Group>) -> Group {
        let now = clock::now_ms();
        let old = |name: &str| before.and_then(|group| Some((group, group.inner.place(name)?)));
        let names = spec.remotes.iter().map(|remote| (&remote.name, remote.address.to_string()));
        let local = spec.listens.first().map(|listen| listen.address.to_string()).unwrap_or_default();
        let peers = names.chain([(&spec.local, local)]).enumerate().map(|(i, (name, address))| {
            let known = old(name).and_then(|(group, at)| group.inner.peers.get(at));
            let memory = known.map(|peer| lock(&peer.memory).clone()).unwrap_or_default();
            let is_local = i == spec.remotes.len();
            let shown = shown::Peer { name: name.clone(), address, is_local, ..shown::Peer::default() };
            Peer {
                line: watch::Sender::default(),
                is_greeted: AtomicBool::new(false),
                memory: Mutex::new(memory),
                shown: Mutex::new(shown),
            }
        });
        // Tables of a process that runs have what there is.
        let is_whole = before.is_some_and(|group| {
            let has = |shared: &Shared| {
                let mut tables = group.inner.spec.tables.iter();
                tables.any(|other| Arc::ptr_eq(&other.table, &shared.table))
            };
            group.inner.is_whole() && spec.tables.iter().all(has)
        });
        let resync = if is_whole { Resync::whole() } else { Resync::new(now) };
        let inner = Arc::new(Inner {
            peers: peers.collect(),
            resync: Mutex::new(resync),
            news: watch::Sender::new(0),
            spec,
        });
        let (stop, stopped) = watch::channel(());
        if !inner.spec.is_off {
            tokio::spawn(gather(inner.clone(), stopped.clone()));
            for at in 0..inner.spec.remotes.len() {
                tokio::spawn(dial(inner.clone(), at, stopped.clone()));
            }
            for (i, fd) in sockets.into_iter().enumerate() {
                let tls = inner.spec.listens.get(i).and_then(|listen| listen.tls.clone());
                tokio::spawn(accept(inner.clone(), fd, tls, stopped.clone()));
            }
        }
        Group { inner, _stop: stop }
    }

    pub fn spec(&self) -> &Spec {
        &self.inner.spec
    }

    /// What is shown of it.
    pub fn shown(&self) -> shown::Section {
        let inner = &self.inner;
        shown::Section {
            name: inner.spec.name.clone(),
            is_off: inner.spec.is_off,
            is_whole: inner.is_whole(),
            tables: inner.spec.tables.iter().map(|shared| shared.table.name.as_ref().into()).collect(),
            peers: inner.peers.iter().map(|peer| lock(&peer.shown).clone()).collect(),
        }
    }
}

impl Inner {
    fn place(&self, name: &str) -> Option<usize> {
        self.spec.remotes.iter().position(|remote| *remote.name == *name)
    }

    /// The place of who dials: a peer, or an old process of this name.
    fn place_of_dialler(&self, name: &str) -> Option<usize> {
        self.place(name).or_else(|| (*name == *self.spec.local).then_some(self.spec.remotes.len()))
    }

    pub fn name_of(&self, peer: usize) -> &str {
        self.spec.remotes.get(peer).map_or(&self.spec.local, |remote| &remote.name)
    }

    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Which session of a peer counts.
    pub fn line(&self, peer: usize) -> watch::Receiver<Line> {
        self.peers
            .get(peer)
            .map_or_else(|| watch::Sender::default().subscribe(), |peer| peer.line.subscribe())
    }

    pub fn is_whole(&self) -> bool {
        let mut resync = lock(&self.resync);
        resync.look(clock::now_ms());
        resync.is_whole()
    }

    /// Whether this peer is to teach.
    pub fn asks(&self, peer: usize, now: Millis) -> bool {
        peer < self.spec.remotes.len() && lock(&self.resync).ask(peer, now)
    }

    /// A peer has taught what it had.
    pub fn taught(&self, peer: usize, all: bool, now: Millis) {
        lock(&self.resync).taught(peer, all, now);
    }

    /// A session that goes on where the last one with this peer ended.
    pub fn session(&self, peer: usize, minor: u8, is_ours: bool) -> Session {
        let memory = self.peers.get(peer).map(|peer| lock(&peer.memory).clone()).unwrap_or_default();
        let mut session = Session::new(self.spec.tables.clone(), minor, is_ours, &memory);
        if peer == self.spec.remotes.len() {
            session.mute();
        }
        if self.asks(peer, clock::now_ms()) {
            session.ask();
        }
        session
    }

    /// A session begins, and the one before it ends.
    fn begin(&self, peer: usize, is_incoming: bool, is_ours: bool) -> u64 {
        let Some(peer) = self.peers.get(peer) else { return 0 };
        let mut number = 0;
        peer.line.send_modify(|line| {
            *line = Line { number: line.number + 1, is_alive: true };
            number = line.number;
        });
        let mut shown = lock(&peer.shown);
        (shown.state, shown.is_incoming, shown.is_ours) = (State::Established, is_incoming, is_ours);
        (shown.since, shown.again) = (Some(clock::now_ms()), None);
        shown.sessions += 1;
        number
    }

    /// Shows something else of a peer, if this session of it counts.
    pub fn show(&self, peer: usize, number: u64, change: impl FnOnce(&mut shown::Peer)) {
        if let Some(peer) = self.peers.get(peer).filter(|peer| peer.line.borrow().number == number) {
            change(&mut lock(&peer.shown));
        }
    }

    /// A session has ended.
    pub fn ended(&self, at: usize, number: u64, session: &Session) {
        let Some(peer) = self.peers.get(at) else { return };
        lock(&peer.memory).join(session.memory());
        self.show(at, number, |peer| {
            (peer.state, peer.since) = (State::Lost, None);
            (peer.tally, peer.progress) = (session.tally, session.progress());
        });
        peer.line.send_modify(|line| line.is_alive &= line.number != number);
        if !peer.line.borrow().is_alive {
            lock(&self.resync).lost(at, clock::now_ms());
        }
    }
}

/// Wakes the sessions when tables have changed, and tells tables the time.
async fn gather(inner: Arc<Inner>, stopped: watch::Receiver<()>) {
    let (mut stopped, bell) = (stopped, Arc::new(Notify::new()));
    for shared in &*inner.spec.tables {
        let bell = bell.clone();
        shared.table.share(inner.spec.rank(), Some(Arc::new(move || bell.notify_one())));
    }
    loop {
        let (now, wall) = (clock::now_ms(), clock::wall().as_millis() as u64);
        for shared in &*inner.spec.tables {
            shared.table.set_wall(now, wall);
            shared.table.take_changed();
        }
        inner.news.send_modify(|count| *count += 1);
        let rest = async {
            sleep(GATHER).await;
            let _ = timeout(Duration::from_secs(1), bell.notified()).await;
        };
        tokio::select! {
            () = rest => {}
            _ = stopped.changed() => return,
        }
    }
}

/// Dials a peer whenever there is no session with it.
async fn dial(inner: Arc<Inner>, at: usize, stopped: watch::Receiver<()>) {
    let mut stopped = stopped;
    loop {
        let mut line = inner.line(at);
        let free = async { line.wait_for(|line| !line.is_alive).await.map(|line| line.number).unwrap_or(0) };
        let before = tokio::select! {
            number = free => number,
            _ = stopped.changed() => return,
        };
        let reached = tokio::select! {
            reached = reach(&inner, at) => reached,
            // It has dialled itself meanwhile.
            _ = line.wait_for(|line| line.number != before) => None,
            _ = stopped.changed() => return,
        };
        if let Some(peer) = inner.peers.get(at) {
            peer.is_greeted.store(false, Ordering::Relaxed);
        }
        let pause = match reached {
            Some(greeted) => {
                let number = inner.begin(at, false, greeted.is_ours);
                Talk { inner: inner.clone(), peer: at, number }.run(greeted, stopped.clone()).await;
                jitter()
            }
            None if line.borrow().is_alive => continue,
            None => AGAIN,
        };
        if let Some(peer) = inner.peers.get(at) {
            lock(&peer.shown).again = Some(clock::now_ms() + pause.as_millis() as u64);
        }
        let mut line = inner.line(at);
        tokio::select! {
            () = sleep(pause) => {}
            _ = line.wait_for(|line| line.is_alive) => {}
            _ = stopped.changed() => return,
        }
    }
}

/// So long that two do not dial each other at the same moment again and again.
fn jitter() -> Duration {
    Duration::from_millis(50 + clock::now_ns() / 1000 % 2000)
}

/// Connects to a peer and greets it.
async fn reach(inner: &Inner, at: usize) -> Option<Greeted> {
    let (remote, peer) = (inner.spec.remotes.get(at)?, inner.peers.get(at)?);
    let shows = |state: State| lock(&peer.shown).state = state;
    shows(State::Connecting);
    let Ok(Ok(stream)) = timeout(PATIENCE, connect(&remote.address, remote.tls.as_ref())).await else {
        shows(State::Unreachable);
        return None;
    };
    peer.is_greeted.store(true, Ordering::Relaxed);
    match timeout(PATIENCE, greet(stream, &remote.name, &inner.spec.local)).await {
        Ok(Ok(greeted)) => Some(greeted),
        Ok(Err(status)) => {
            shows(State::Refused(status));
            let (section, name) = (&inner.spec.name, &remote.name);
            if status > 0 {
                tracing::warn!("peers {section}: {name} answers {status}");
            }
            None
        }
        Err(_) => {
            shows(State::Unreachable);
            None
        }
    }
}

async fn connect(address: &Address, tls: Option<&Secure>) -> std::io::Result<Box<dyn Stream>> {
    let (stream, ip): (Box<dyn Stream>, _) = match address {
        Address::Inet(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            (Box::new(stream), address.ip())
        }
        Address::Unix(path) => (Box::new(UnixStream::connect(path).await?), [0, 0, 0, 0].into()),
        Address::Abstract(_) | Address::Fd(_) => return Err(std::io::ErrorKind::Unsupported.into()),
    };
    let Some(tls) = tls else { return Ok(stream) };
    let name = server_name(tls.name.as_deref().map(str::as_bytes), ip);
    let name = name.ok_or(std::io::ErrorKind::InvalidInput)?;
    let stream = TlsConnector::from(tls.upstream.config()).connect(name, stream).await?;
    Ok(Box::new(stream))
}

/// A socket that listens.
enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listening {
    async fn accept(&self) -> std::io::Result<Box<dyn Stream>> {
        Ok(match self {
            Listening::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Listening::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

/// Takes those who dial.
async fn accept(inner: Arc<Inner>, fd: OwnedFd, tls: Option<Arc<Endpoint>>, stopped: watch::Receiver<()>) {
    let mut stopped = stopped;
    let is_unix = matches!(
        crate::os::socket::local(std::os::fd::AsRawFd::as_raw_fd(&fd)),
        Ok(crate::os::socket::Peer::Unix)
    );
    let listening = match is_unix {
        true => UnixListener::from_std(fd.into()).map(Listening::Unix),
        false => TcpListener::from_std(fd.into()).map(Listening::Tcp),
    };
    let listening = match listening {
        Ok(listening) => listening,
        Err(e) => return tracing::error!("peers {}: listening: {e}", inner.spec.name),
    };
    let strangers = Arc::new(Semaphore::new(STRANGERS));
    loop {
        let accepted = tokio::select! {
            accepted = listening.accept() => accepted,
            _ = stopped.changed() => return,
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(e) => {
                tracing::warn!("peers {}: accepting: {e}", inner.spec.name);
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Who finds no place is let go.
        let Ok(place) = strangers.clone().try_acquire_owned() else { continue };
        let (inner, tls, stopped) = (inner.clone(), tls.clone(), stopped.clone());
        tokio::spawn(async move {
            let welcomed = timeout(PATIENCE, welcome(&inner, stream, tls.as_deref())).await;
            drop(place);
            if let Ok(Some((peer, greeted))) = welcomed {
                let number = inner.begin(peer, true, greeted.is_ours);
                Talk { inner, peer, number }.run(greeted, stopped).await;
            }
        });
    }
}

/// Finds out who dials, and answers.
async fn welcome(inner: &Inner, stream: Box<dyn Stream>, tls: Option<&Endpoint>) -> Option<(usize, Greeted)> {
    let stream: Box<dyn Stream> = match tls {
        None => stream,
        Some(endpoint) => Box::new(TlsAcceptor::from(endpoint.first()?).accept(stream).await.ok()?),
    };
    let knows = |name: &str| inner.place_of_dialler(name).is_some();
    let (hello, mut greeted) = greeted(stream, &inner.spec.local, knows).await?;
    let at = inner.place_of_dialler(&hello.from)?;
    let is_greeted = inner.peers.get(at)?.is_greeted.load(Ordering::Relaxed);
    if is_greeted && *inner.spec.local > *hello.from {
        // It is dialled itself at this moment.
        return None;
    }
    greeted.stream.write_all(Status::Good.line(hello.is_ours).as_bytes()).await.ok()?;
    greeted.stream.flush().await.ok()?;
    Some((at, greeted))
}
