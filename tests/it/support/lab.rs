//! Several hosts on one machine: network namespaces joined by a bridge. Needs root.

use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::program;

/// A host whose bridge the others hang on; everything goes away on drop.
pub struct Lab {
    hub: String,
    hosts: Vec<String>,
}

/// A process on one of the hosts; it is killed on drop.
pub struct Running(Child);

impl Lab {
    /// A hub with this address (`172.17.0.1/16`), or None, loudly, where namespaces cannot be made.
    pub fn with_hub(test: &str, address: &str) -> Option<Self> {
        if !program::is_root() || !program::installed("ip") {
            program::skipped(test, "network namespaces need root and iproute2");
            return None;
        }
        static LABS: AtomicUsize = AtomicUsize::new(0);
        let nth = LABS.fetch_add(1, Ordering::Relaxed);
        let lab = Lab { hub: format!("ib{}x{nth}", std::process::id()), hosts: Vec::new() };
        ip(&["netns", "add", &lab.hub]);
        lab.run_ip(&lab.hub, &["link", "set", "lo", "up"]);
        lab.run_ip(&lab.hub, &["link", "add", "br0", "type", "bridge"]);
        lab.run_ip(&lab.hub, &["addr", "add", address, "dev", "br0"]);
        lab.run_ip(&lab.hub, &["link", "set", "br0", "up"]);
        Some(lab)
    }

    /// Runs in the namespace of the hub, with the threads it starts.
    pub fn inside<T: Send>(&self, run: impl FnOnce() -> T + Send) -> T {
        let entered = || {
            enter(&self.hub);
            run()
        };
        let done = std::thread::scope(|scope| scope.spawn(entered).join());
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Takes a host's link down, or up again.
    pub fn link(&self, host: &str, up: bool) {
        self.run_ip(host, &["link", "set", "eth0", if up { "up" } else { "down" }]);
    }

    /// The namespace of the hub, for `Proxy::on(..).netns(..)`.
    pub fn hub(&self) -> &str {
        &self.hub
    }

    /// One more host on the bridge; the name of its namespace.
    pub fn host(&mut self, address: &str) -> String {
        let name = format!("{}h{}", self.hub, self.hosts.len());
        let port = format!("p{}", self.hosts.len());
        ip(&["netns", "add", &name]);
        self.hosts.push(name.clone());
        self.run_ip(
            &self.hub,
            &["link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &name],
        );
        self.run_ip(&self.hub, &["link", "set", &port, "master", "br0", "up"]);
        self.run_ip(&name, &["link", "set", "lo", "up"]);
        self.run_ip(&name, &["addr", "add", address, "dev", "eth0"]);
        self.run_ip(&name, &["link", "set", "eth0", "up"]);
        name
    }

    /// Starts a program on a host.
    pub fn start(&self, host: &str, program: &str, args: &[&str]) -> Running {
        let mut command = inside(host, program, args);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Running(child.unwrap_or_else(|e| panic!("cannot start {program}: {e}")))
    }

    /// Runs a program on a host to its end.
    pub fn run(&self, host: &str, program: &str, args: &[&str]) -> Output {
        inside(host, program, args).output().unwrap_or_else(|e| panic!("cannot run {program}: {e}"))
    }

    pub fn run_ip(&self, host: &str, args: &[&str]) {
        let output = self.run(host, "ip", args);
        assert!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for name in self.hosts.iter().chain([&self.hub]) {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Brings the thread, and those it starts from then on, to a host.
pub fn enter(host: &str) {
    let file = std::fs::File::open(format!("/var/run/netns/{host}")).expect("the namespace");
    nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).expect("root may enter");
}

fn inside(host: &str, program: &str, args: &[&str]) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", host, program]).args(args);
    command
}

fn ip(args: &[&str]) {
    let status = Command::new("ip").args(args).status().expect("ip runs");
    assert!(status.success(), "ip {args:?}");
}
