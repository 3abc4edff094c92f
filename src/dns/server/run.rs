//! A responder that runs: its threads and tasks, and how they get a new configuration.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use super::datagrams::Worker;
use super::figures::{self, Figures};
use super::https;
use super::notify;
use super::shared::Shared;
use super::sockets::Sockets;
use super::stream;
use super::told::{self, QueryLog};
use crate::base::{Live, clock};
use crate::dns::answer::State;
use crate::dns::follow::{Maker, follow};
use crate::dns::forward::Forwarder;
use crate::dns::spec::{ForwardSpec, Responder, UpstreamSpec, UpstreamTls};
use crate::dns::tally::Tally;
use crate::dns::zone::Zones;
use crate::region::Seat;
use crate::resolve::{Client, Route, Upstream};
use crate::tls::Secure;

/// Ends when it is dropped.
pub struct Server {
    name: Arc<str>,
    sockets: Sockets,
    shared: Arc<Shared>,
    figures: Vec<Arc<Figures>>,
    tally: Arc<Tally>,
    threads: Vec<JoinHandle<()>>,
    /// Those of the sockets.
    tasks: Vec<AbortHandle>,
    /// Keeps the state in step with the map.
    following: Option<AbortHandle>,
    telling: Option<AbortHandle>,
    /// What the forwarder, whose memory is kept as long as these are the same, was made of.
    forward: Vec<ForwardSpec>,
    allow: Vec<IpNet>,
}

/// How often counters are told.
const TELLING: Duration = Duration::from_secs(1);

impl Server {
    /// Starts answering. Called within the control runtime.
    pub fn start(responder: Responder, sockets: Sockets, seat: Option<&Seat>) -> io::Result<Server> {
        let (maker, state) = first_state(&responder, seat);
        let limits = responder.limits;
        let (log, lines) = QueryLog::new();
        let shared = Arc::new(Shared {
            log,
            state: Arc::new(Live::new(state)),
            stopping: AtomicBool::new(false),
            forwarder: Live::new(forwarder(&responder)),
            later: Arc::default(),
            rate: AtomicU32::new(0),
            connections: AtomicUsize::new(limits.connections),
            connected: AtomicUsize::new(0),
            idle_ms: AtomicU64::new(limits.idle_ms),
            requests: Semaphore::new(https::REQUESTS),
            waiting: Arc::default(),
        });
        let mut server = Server {
            name: responder.name.clone(),
            sockets,
            figures: vec![shared.later.clone()],
            tally: Arc::default(),
            shared,
            threads: Vec::new(),
            tasks: Vec::new(),
            following: None,
            telling: None,
            forward: responder.forward.clone(),
            allow: responder.allow.clone(),
        };
        // It ends with the last who could tell it something.
        tokio::spawn(told::tell(responder.name.clone(), lines));
        server.notify(&Zones::default(), &responder);
        server.set_limits(&responder);
        server.follow(maker, seat);
        server.listen(responder.threads)?;
        Ok(server)
    }

    /// Goes on with another configuration. What was bound before and still is goes on answering all the time.
    pub fn change(&mut self, responder: Responder, sockets: Sockets, seat: Option<&Seat>) -> io::Result<()> {
        let (maker, state) = first_state(&responder, seat);
        let before = self.shared.state.load().zones.clone();
        self.shared.state.store(Arc::new(state));
        self.notify(&before, &responder);
        if responder.forward != self.forward || responder.allow != self.allow {
            self.shared.forwarder.store(Arc::new(forwarder(&responder)));
            (self.forward, self.allow) = (responder.forward.clone(), responder.allow.clone());
        }
        self.set_limits(&responder);
        self.follow(maker, seat);
        sockets.show();
        if !self.sockets.same(&sockets) {
            self.close();
            self.sockets = sockets;
            self.shared.stopping.store(false, Ordering::Release);
            self.listen(responder.threads)?;
        }
        Ok(())
    }

    /// What it answers from, as it changes.
    pub fn state(&self) -> Arc<Live<State>> {
        self.shared.state.clone()
    }

    /// What it answered.
    pub fn tally(&self) -> Arc<Tally> {
        self.tally.clone()
    }

    pub fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    fn set_limits(&self, responder: &Responder) {
        let limits = responder.limits;
        let rate = if limits.rate == 0 { 0 } else { limits.rate.div_ceil(responder.threads.max(1) as u32) };
        self.shared.rate.store(rate, Ordering::Relaxed);
        self.shared.log.set(limits.log_every);
        self.shared.connections.store(limits.connections, Ordering::Relaxed);
        self.shared.idle_ms.store(limits.idle_ms, Ordering::Relaxed);
    }

    /// Tells others of zones that changed.
    fn notify(&mut self, before: &Zones, responder: &Responder) {
        let zones = notify::changed(before, &responder.zones);
        if !responder.notify.is_empty() && !zones.is_empty() {
            self.telling.take().inspect(AbortHandle::abort);
            self.telling = Some(tokio::spawn(notify::tell(responder.notify.clone(), zones)).abort_handle());
        }
    }

    fn follow(&mut self, maker: Maker, seat: Option<&Seat>) {
        self.following.take().inspect(AbortHandle::abort);
        if let Some(seat) = seat.filter(|_| maker.follows()) {
            let task = follow(maker, seat.clone(), self.shared.state.clone());
            self.following = Some(tokio::spawn(task).abort_handle());
        }
    }

    /// Starts the threads and tasks of the sockets.
    fn listen(&mut self, threads: usize) -> io::Result<()> {
        for at in 0..threads {
            let figures = Arc::new(Figures::default());
            self.figures.push(figures.clone());
            let worker = Worker {
                sockets: self
                    .sockets
                    .list
                    .iter()
                    .filter_map(|bound| bound.datagrams.get(at))
                    .cloned()
                    .collect(),
                shared: self.shared.clone(),
                figures,
                seed: clock::now_ns() | 1 << at.min(63),
            };
            let thread = std::thread::Builder::new().name(format!("dns-{at}"));
            self.threads.push(thread.spawn(move || worker.run())?);
        }
        let streams = Arc::new(Figures::default());
        self.figures.push(streams.clone());
        for bound in &self.sockets.list {
            let task = stream::accept(bound.clone(), self.shared.clone(), streams.clone());
            self.tasks.push(tokio::spawn(task).abort_handle());
        }
        let (name, all, state) = (self.name.clone(), self.figures.clone(), self.shared.state.clone());
        let tally = self.tally.clone();
        let tell = async move {
            let mut before_ms = clock::now_ms();
            loop {
                let now_ms = clock::now_ms();
                figures::publish(&name, &all, &state.load(), &tally, (now_ms - before_ms) as f64 / 1000.0);
                before_ms = now_ms;
                tokio::time::sleep(TELLING).await;
            }
        };
        self.tasks.push(tokio::spawn(tell).abort_handle());
        Ok(())
    }

    /// Ends the threads and tasks of the sockets.
    fn close(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.tasks.drain(..).for_each(|task| task.abort());
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Octets of answers that are remembered.
const MEMORY: usize = 64 << 20;

fn forwarder(responder: &Responder) -> Option<Arc<Forwarder>> {
    let upstream = |server: &UpstreamSpec| {
        Arc::new(match &server.tls {
            None => Upstream::new(server.address),
            Some(UpstreamTls { client, name, .. }) => {
                Upstream::over_tls(server.address, Secure::named(client.clone(), name.clone()))
            }
        })
    };
    let route = |line: &ForwardSpec| Route {
        domain: line.domain.clone(),
        servers: line.servers.iter().map(upstream).collect(),
    };
    let routes: Vec<Route> = responder.forward.iter().map(route).collect();
    let client = Client::new(routes, MEMORY);
    (!responder.forward.is_empty())
        .then(|| Arc::new(Forwarder::new(Arc::new(client), responder.allow.clone())))
}

/// What is answered at once: what the map has now, so that a reload never forgets who is healthy.
fn first_state(responder: &Responder, seat: Option<&Seat>) -> (Maker, State) {
    let mut maker = Maker::new(Arc::new(responder.clone()));
    if let Some(seat) = seat {
        maker = maker.on(seat);
    }
    let mut state = maker.empty();
    if let Some(seat) = seat
        && let Some(next) = maker.next(&seat.map(), &seat.soft().view(), seat.node_name(), seat.region())
    {
        state = next;
    }
    (maker, state)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.following.take().iter().chain(&self.telling).for_each(AbortHandle::abort);
        self.close();
    }
}
