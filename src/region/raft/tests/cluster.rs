//! A cluster of nodes in this process.

pub use std::net::TcpListener;
use std::path::PathBuf;
pub use std::sync::Arc;
pub use std::time::Duration;

use super::faulty::Cables;
use crate::region::map::{Command, Reply};

pub use crate::base::clock;
pub use crate::region::raft::{Options, RaftHandle, start};
pub use crate::region::seat::{RaftState, Seat, SeatError};

/// A node and what it takes to start it again.
pub struct One {
    pub name: String,
    pub address: String,
    pub dir: Option<PathBuf>,
    pub running: Option<(Seat, RaftHandle)>,
}

pub struct Cluster {
    pub nodes: Vec<One>,
    pub cables: Arc<Cables>,
    pub runtime: tokio::runtime::Runtime,
    pub expect: u32,
    _dir: Option<tempfile::TempDir>,
}

pub fn free_address() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    (listener, address)
}

impl Cluster {
    /// `count` nodes that form a cluster; with stores on disk if `durable`.
    pub fn new(count: usize, durable: bool) -> Cluster {
        // RUST_LOG=isobar=debug,openraft=info shows what the nodes do.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
        let dir = durable.then(|| tempfile::tempdir().expect("a directory"));
        let listeners: Vec<_> = (0..count).map(|_| free_address()).collect();
        let mut cluster = Cluster {
            nodes: Vec::new(),
            cables: Arc::default(),
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime"),
            expect: count as u32,
            _dir: None,
        };
        for (n, (_, address)) in listeners.iter().enumerate() {
            let name = format!("n{}", n + 1);
            let dir = dir.as_ref().map(|dir| dir.path().join(&name));
            cluster.nodes.push(One { name, address: address.clone(), dir, running: None });
        }
        cluster._dir = dir;
        for (n, (listener, _)) in listeners.into_iter().enumerate() {
            cluster.start_with(n, listener);
        }
        cluster
    }

    pub fn options(&self, n: usize, listener: TcpListener) -> Options {
        let one = &self.nodes[n];
        Options {
            name: one.name.clone(),
            region: "eu".into(),
            bind: Some(listener),
            data_dir: one.dir.clone(),
            retry_join: self.nodes.iter().map(|other| other.address.clone()).collect(),
            expect: Some(self.expect),
            dialer: Some(self.cables.of(&one.address)),
            ..Options::default()
        }
    }

    pub fn start_with(&mut self, n: usize, listener: TcpListener) {
        let running = start(self.options(n, listener)).expect("a node that starts");
        self.nodes[n].running = Some(running);
    }

    /// Starts a node that was killed, at its address.
    pub fn restart(&mut self, n: usize) {
        let address = self.nodes[n].address.clone();
        let listener = until("the port again", || TcpListener::bind(&address).ok());
        self.start_with(n, listener);
    }

    /// Ends a node as a kill does: what was not written is lost.
    pub fn kill(&mut self, n: usize) {
        drop(self.nodes[n].running.take());
    }

    pub fn seat(&self, n: usize) -> Seat {
        self.nodes[n].running.as_ref().expect("a running node").0.clone()
    }

    pub fn handle(&self, n: usize) -> &RaftHandle {
        &self.nodes[n].running.as_ref().expect("a running node").1
    }

    pub fn running(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|n| self.nodes[*n].running.is_some())
    }

    /// The node that leads, once one surely does.
    pub fn leader(&self) -> usize {
        self.leader_of(&self.running().collect::<Vec<_>>())
    }

    /// The one of these nodes that leads, once one surely does.
    pub fn leader_of(&self, nodes: &[usize]) -> usize {
        until("a leader", || {
            nodes.iter().copied().find(|n| {
                let seat = self.seat(*n);
                seat.status().state == RaftState::Leader && seat.leader().is_some()
            })
        })
    }

    pub fn put(&self, n: usize, key: &str, value: &str) -> Result<Reply, SeatError> {
        let seat = self.seat(n);
        self.runtime.block_on(async move { seat.propose(put(key, value)).await })
    }

    pub fn value(&self, n: usize, key: &str) -> Option<String> {
        value(&self.seat(n), key)
    }
}

pub fn put(key: &str, value: &str) -> Command {
    Command::KvPut {
        key: key.into(),
        value: value.to_owned().into(),
        flags: 0,
        when: crate::region::map::PutWhen::Always,
    }
}

pub fn value(seat: &Seat, key: &str) -> Option<String> {
    seat.map().entry(key).map(|entry| String::from_utf8_lossy(&entry.value).into_owned())
}

/// Looks until it is there.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = clock::now_ms() + 30_000;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock::now_ms() < end, "no {what} within 30 s");
        std::thread::sleep(Duration::from_millis(10));
    }
}
