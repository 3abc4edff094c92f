//! Kill, pause, cut, hang: what happens to nodes that are hosts of a lab.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::cluster::Cluster;
use super::places;
use super::traffic::{Dice, Traffic};
use crate::support::lab::Lab;

/// What befalls a node for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9`, and started again on what it left.
    Kill,
    /// Ended in good order, and started again: another leads meanwhile.
    Restart,
    /// SIGSTOP and SIGCONT.
    Pause,
    /// No packet between it and the other nodes.
    Isolate,
    /// What the others send it is lost.
    Deafen,
    /// What it sends the others is lost.
    Mute,
    /// What it sends one other node is lost.
    OneWay,
    /// Whoever writes to its disk waits.
    HangDisk,
    /// Its disk has no room.
    FillDisk,
    /// Ended, and started again at another address.
    Move,
    /// It leaves the cluster for good, and joins anew with nothing.
    Leave,
}

const FAULTS: [(&str, Fault); 11] = [
    ("kill", Fault::Kill),
    ("restart", Fault::Restart),
    ("pause", Fault::Pause),
    ("isolate", Fault::Isolate),
    ("deafen", Fault::Deafen),
    ("mute", Fault::Mute),
    ("oneway", Fault::OneWay),
    ("hang", Fault::HangDisk),
    ("fill", Fault::FillDisk),
    ("move", Fault::Move),
    ("leave", Fault::Leave),
];

impl Fault {
    /// Those of these names, with commas between them; all where nothing is said.
    pub fn chosen(names: Option<&str>) -> Vec<Fault> {
        let of = |name: &str| {
            let found = FAULTS.iter().find(|(known, _)| *known == name);
            found.unwrap_or_else(|| panic!("no fault is called {name:?}")).1
        };
        match names {
            None => FAULTS.iter().map(|(_, fault)| *fault).collect(),
            Some(names) => names.split(',').map(of).collect(),
        }
    }

    pub fn is_of_disks(self) -> bool {
        matches!(self, Fault::HangDisk | Fault::FillDisk)
    }

    /// Whether the others are all needed meanwhile, so that nothing befalls one of them.
    pub fn comes_alone(self) -> bool {
        matches!(self, Fault::Move | Fault::Leave)
    }

    /// How long it lasts, and how long the calm after it: short ones mostly, for most happens at their ends. A disk is
    /// also bad for long enough that its node says so.
    pub fn spell(self, dice: &mut Dice) -> (Duration, Duration) {
        let lasts = match dice.below(3) {
            0 if self.is_of_disks() => 6000 + dice.below(4000),
            0 => 50 + dice.below(500),
            1 => 500 + dice.below(1000),
            _ => 1000 + dice.below(2500),
        };
        (Duration::from_millis(lasts), Duration::from_millis(100 + dice.below(1400)))
    }
}

/// Nobody's hardware address: what is sent to it is lost in silence.
const NOBODY: &str = "02:00:00:00:be:ef";

/// The wires between hosts. One is cut, in one direction, by a wrong entry in the sender's table of neighbours.
pub struct Wires {
    hosts: Vec<Host>,
}

struct Host {
    netns: String,
    address: String,
    mac: String,
}

impl Wires {
    /// Of hosts by namespace and address.
    pub fn new(lab: &Lab, hosts: &[(String, String)]) -> Wires {
        let with_mac = |(netns, address): &(String, String)| {
            let output = lab.run(netns, "cat", &["/sys/class/net/eth0/address"]);
            let mac = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            assert_eq!(mac.len(), 17, "the address of {netns}: {mac:?}");
            Host { netns: netns.clone(), address: address.clone(), mac }
        };
        Wires { hosts: hosts.iter().map(with_mac).collect() }
    }

    fn set(&self, lab: &Lab, from: usize, to: usize, works: bool) {
        let Host { address, mac, .. } = &self.hosts[to];
        let mac = if works { mac } else { NOBODY };
        let args = ["neigh", "replace", address, "lladdr", mac, "dev", "eth0", "nud", "permanent"];
        lab.run_ip(&self.hosts[from].netns, &args);
    }

    /// Gives a host another address; it has one.
    pub fn moves(&mut self, lab: &Lab, node: usize, to: &str, prefix: u8) {
        let from = std::mem::replace(&mut self.hosts[node].address, to.to_owned());
        let Host { netns, .. } = &self.hosts[node];
        lab.run_ip(netns, &["addr", "del", &format!("{from}/{prefix}"), "dev", "eth0"]);
        lab.run_ip(netns, &["addr", "add", &format!("{to}/{prefix}"), "dev", "eth0"]);
        for other in self.hosts.iter().filter(|other| other.netns != *netns) {
            // Who had no entry for it has none to forget.
            lab.run(&other.netns, "ip", &["neigh", "del", &from, "dev", "eth0"]);
        }
        for other in (0..self.hosts.len()).filter(|&n| n != node) {
            self.set(lab, other, node, true);
            self.set(lab, node, other, true);
        }
    }

    /// The directions that a fault of a node cuts.
    fn cut_by(&self, fault: Fault, node: usize, other: usize) -> Vec<(usize, usize)> {
        let others = || (0..self.hosts.len()).filter(|&n| n != node);
        match fault {
            Fault::Isolate => others().flat_map(|n| [(node, n), (n, node)]).collect(),
            Fault::Deafen => others().map(|n| (n, node)).collect(),
            Fault::Mute => others().map(|n| (node, n)).collect(),
            Fault::OneWay => vec![(node, other)],
            _ => Vec::new(),
        }
    }
}

/// What faults happen to.
pub struct Ground<'a> {
    pub lab: &'a Lab,
    pub cluster: &'a mut Cluster,
    pub wires: Wires,
    pub traffic: &'a Traffic,
    /// Members speak TLS, with an authority of their own.
    pub tls: bool,
    /// Addresses given so far, but for the first ones.
    pub moves: usize,
}

/// A fault that lasts.
pub struct Lasting {
    fault: Fault,
    node: usize,
    cut: Vec<(usize, usize)>,
    /// It was refused: nothing happened.
    refused: bool,
}

impl Lasting {
    pub fn begin(ground: &mut Ground<'_>, fault: Fault, node: usize, dice: &mut Dice) -> Self {
        let nodes = ground.cluster.nodes.len();
        let other = (node + 1 + dice.below(nodes as u64 - 1) as usize) % nodes;
        let mut refused = false;
        match fault {
            Fault::Kill => ground.cluster.kill(node),
            Fault::Restart => ground.cluster.stop(node),
            Fault::Pause => ground.cluster.nodes[node].signal(Signal::SIGSTOP),
            Fault::HangDisk => ground.cluster.disk(node).hang(),
            Fault::FillDisk => ground.cluster.disk(node).fill(),
            Fault::Move => places::moves(ground, node, dice.below(2) == 0),
            Fault::Leave => refused = !places::leaves(ground, node, dice.below(2) == 0),
            Fault::Isolate | Fault::Deafen | Fault::Mute | Fault::OneWay => {}
        }
        let cut = ground.wires.cut_by(fault, node, other);
        cut.iter().for_each(|&(from, to)| ground.wires.set(ground.lab, from, to, false));
        Lasting { fault, node, cut, refused }
    }

    pub fn end(self, ground: &mut Ground<'_>) {
        match self.fault {
            Fault::Kill | Fault::Restart => ground.cluster.start(self.node),
            Fault::Pause => ground.cluster.nodes[self.node].signal(Signal::SIGCONT),
            Fault::HangDisk => ground.cluster.disk(self.node).thaw(),
            Fault::FillDisk => ground.cluster.disk(self.node).empty(),
            Fault::Move => places::arrives(ground, self.node),
            Fault::Leave if !self.refused => places::joins(ground, self.node),
            _ => {}
        }
        self.cut.iter().for_each(|&(from, to)| ground.wires.set(ground.lab, from, to, true));
    }
}
