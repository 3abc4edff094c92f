//! Processes on addresses of their own, killed and started again on the data they left.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::api::Api;
use super::disks::Disk;
use crate::support::Proxy;
use crate::support::place::wait_until;

/// Ports of every node; a node has an address of its own.
pub const API: u16 = 8500;
pub const WEB: u16 = 8080;

/// Time for a busy machine to start processes and hold an election.
pub const SOON: Duration = Duration::from_secs(30);

pub struct Node {
    pub address: IpAddr,
    /// A configuration, with its variables.
    text: String,
    env: Vec<(String, String)>,
    netns: Option<String>,
    process: Option<Proxy>,
}

pub struct Cluster {
    // In this order they end: a disk with its node on it cannot go.
    pub nodes: Vec<Node>,
    disks: Vec<Disk>,
    data: tempfile::TempDir,
}

/// The loopback address of this test's node `n`, up to four.
pub fn loopback(n: u8) -> IpAddr {
    let pid = std::process::id();
    Ipv4Addr::new(127, 128 + ((pid >> 14) & 63) as u8, (pid >> 6) as u8, ((pid & 63) * 4) as u8 + n).into()
}

impl Node {
    pub fn new(address: IpAddr, text: &str) -> Node {
        Node { address, text: text.into(), env: Vec::new(), netns: None, process: None }
    }

    pub fn env(mut self, name: &str, value: impl ToString) -> Node {
        self.env.push((name.into(), value.to_string()));
        self
    }

    pub fn netns(mut self, name: &str) -> Node {
        self.netns = Some(name.into());
        self
    }

    pub fn api(&self) -> Api {
        Api::new(SocketAddr::new(self.address, API))
    }

    pub fn web(&self) -> SocketAddr {
        SocketAddr::new(self.address, WEB)
    }

    /// It is to stand at this address with that configuration when it is started again.
    pub fn becomes(&mut self, address: IpAddr, text: &str) {
        self.address = address;
        self.text = text.into();
    }

    pub fn is_up(&mut self) -> bool {
        self.process.as_mut().is_some_and(Proxy::is_up)
    }

    pub fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    /// Of the running process.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a running process").pid().as_raw() as u32
    }

    /// All that the running process said.
    pub fn said(&self) -> String {
        self.process.as_ref().map(Proxy::stderr).unwrap_or_default()
    }

    /// Adds to the configuration of the running process.
    pub fn append(&self, text: &str) {
        let process = self.process.as_ref().expect("a running process");
        let path = process.dir().join("haproxy.cfg");
        let old = std::fs::read_to_string(&path).expect("the configuration");
        std::fs::write(&path, old + text).expect("written");
    }

    /// The address that it takes for the leader's; empty without one.
    pub fn leader(&self) -> String {
        let reply = self.api().patience(Duration::from_secs(2)).get("/v1/status/leader");
        reply
            .ok()
            .filter(|r| r.status == 200)
            .and_then(|r| r.json().as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    /// What its frontend answers: a body, or a status where that is not 200.
    pub fn ask(&self) -> String {
        match Api::new(self.web()).get("/") {
            Ok(reply) if reply.status == 200 => reply.body,
            Ok(reply) => reply.status.to_string(),
            Err(failed) => format!("{failed:?}"),
        }
    }
}

impl Cluster {
    pub fn new(nodes: Vec<Node>) -> Cluster {
        let data = tempfile::Builder::new().prefix("it.").tempdir().expect("a directory");
        Cluster { nodes, disks: Vec::new(), data }
    }

    /// Gives each node `n` a disk of its own, at `n{n}` of the directory. False where that cannot be.
    pub fn on_disks(&mut self) -> bool {
        let disks = (0..self.nodes.len()).map(|n| Disk::at(&self.data.path().join(format!("n{n}"))));
        self.disks = disks.collect::<Option<_>>().unwrap_or_default();
        !self.disks.is_empty()
    }

    /// The disk of a node that has one of its own.
    pub fn disk(&self, n: usize) -> &Disk {
        &self.disks[n]
    }

    /// Where the nodes keep what they know.
    pub fn dir(&self) -> &std::path::Path {
        self.data.path()
    }

    pub fn start(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        let mut proxy = Proxy::on(&node.text).env("ISOBAR_DATA", self.data.path().display());
        for (name, value) in &node.env {
            proxy = proxy.env(name, value);
        }
        if let Some(netns) = &node.netns {
            proxy = proxy.netns(netns);
        }
        node.process = Some(proxy.spawn());
    }

    /// Starts all and waits until each knows a leader.
    pub fn start_all(&mut self) {
        for n in 0..self.nodes.len() {
            self.start(n);
        }
        self.settle();
        self.meet();
    }

    /// Waits until every node takes a write.
    pub fn settle(&mut self) {
        for n in 0..self.nodes.len() {
            let done = wait_until(SOON, || self.writes(n) || !self.nodes[n].is_up());
            assert!(
                done && self.nodes[n].is_up(),
                "node {n} takes no writes; it said:\n{}",
                self.nodes[n].said()
            );
        }
    }

    /// Waits until the catalog knows every node, as sessions and registrations at a node need.
    pub fn meet(&self) {
        let known = |node: &Node| {
            let reply = node.api().get("/v1/catalog/nodes");
            reply
                .is_ok_and(|r| r.status == 200 && r.json().as_array().map_or(0, Vec::len) >= self.nodes.len())
        };
        assert!(wait_until(SOON, || self.nodes.iter().all(known)), "the nodes are not in the catalog");
    }

    pub fn writes(&self, n: usize) -> bool {
        let mut api = self.nodes[n].api().patience(Duration::from_secs(3));
        api.put("/v1/kv/settled", "yes").is_ok_and(|r| r.status == 200 && r.body == "true")
    }

    /// `kill -9`.
    pub fn kill(&mut self, n: usize) {
        if let Some(mut process) = self.nodes[n].process.take() {
            process.signal(Signal::SIGKILL);
            process.exit(Duration::from_secs(5));
        }
    }

    /// Waits until a node ends by itself. What it said, if it does not.
    pub fn ends(&mut self, n: usize, at_most: Duration) -> Result<(), String> {
        let Some(mut process) = self.nodes[n].process.take() else { return Ok(()) };
        if process.exit(at_most).is_some() {
            return Ok(());
        }
        let said = process.stderr();
        self.nodes[n].process = Some(process);
        Err(said)
    }

    /// Ends a node in good order.
    pub fn stop(&mut self, n: usize) {
        if let Some(mut process) = self.nodes[n].process.take() {
            process.signal(Signal::SIGTERM);
            if process.exit(Duration::from_secs(10)).is_none() {
                let said = process.stderr();
                process.signal(Signal::SIGKILL);
                panic!("node {n} did not end within 10 s of SIGTERM; it said:\n{said}");
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A process that waits for its disk cannot be ended.
        self.disks.iter().for_each(Disk::thaw);
    }
}
