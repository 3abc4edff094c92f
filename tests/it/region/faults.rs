//! Kill, pause, cut: what happens to nodes that are hosts of a lab.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::cluster::Cluster;
use super::traffic::Dice;
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
}

pub const FAULTS: [Fault; 7] =
    [Fault::Kill, Fault::Restart, Fault::Pause, Fault::Isolate, Fault::Deafen, Fault::Mute, Fault::OneWay];

/// Nobody's hardware address: what is sent to it is lost in silence.
const NOBODY: &str = "02:00:00:00:be:ef";

/// The wires between hosts. One is cut, in one direction, by a wrong entry in the sender's table of neighbours.
pub struct Wires {
    hosts: Vec<(String, String, String)>,
}

impl Wires {
    /// Of hosts by namespace and address.
    pub fn new(lab: &Lab, hosts: &[(String, String)]) -> Wires {
        let with_mac = |(netns, address): &(String, String)| {
            let output = lab.run(netns, "cat", &["/sys/class/net/eth0/address"]);
            let mac = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            assert_eq!(mac.len(), 17, "the address of {netns}: {mac:?}");
            (netns.clone(), address.clone(), mac)
        };
        Wires { hosts: hosts.iter().map(with_mac).collect() }
    }

    fn set(&self, lab: &Lab, from: usize, to: usize, works: bool) {
        let (netns, ..) = &self.hosts[from];
        let (_, address, mac) = &self.hosts[to];
        let mac = if works { mac } else { NOBODY };
        let args = ["neigh", "replace", address, "lladdr", mac, "dev", "eth0", "nud", "permanent"];
        let output = lab.run(netns, "ip", &args);
        assert!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The directions that a fault of a node cuts.
    fn cut_by(&self, fault: Fault, node: usize, other: usize) -> Vec<(usize, usize)> {
        let others = || (0..self.hosts.len()).filter(|&n| n != node);
        match fault {
            Fault::Kill | Fault::Restart | Fault::Pause => Vec::new(),
            Fault::Isolate => others().flat_map(|n| [(node, n), (n, node)]).collect(),
            Fault::Deafen => others().map(|n| (n, node)).collect(),
            Fault::Mute => others().map(|n| (node, n)).collect(),
            Fault::OneWay => vec![(node, other)],
        }
    }
}

/// A fault that lasts.
pub struct Lasting {
    fault: Fault,
    node: usize,
    cut: Vec<(usize, usize)>,
}

impl Lasting {
    pub fn begin(
        lab: &Lab,
        wires: &Wires,
        cluster: &mut Cluster,
        fault: Fault,
        node: usize,
        dice: &mut Dice,
    ) -> Self {
        let nodes = cluster.nodes.len();
        let other = (node + 1 + dice.below(nodes as u64 - 1) as usize) % nodes;
        match fault {
            Fault::Kill => cluster.kill(node),
            Fault::Restart => cluster.stop(node),
            Fault::Pause => cluster.nodes[node].signal(Signal::SIGSTOP),
            _ => {}
        }
        let cut = wires.cut_by(fault, node, other);
        cut.iter().for_each(|&(from, to)| wires.set(lab, from, to, false));
        Lasting { fault, node, cut }
    }

    pub fn end(self, lab: &Lab, wires: &Wires, cluster: &mut Cluster) {
        match self.fault {
            Fault::Kill | Fault::Restart => cluster.start(self.node),
            Fault::Pause => cluster.nodes[self.node].signal(Signal::SIGCONT),
            _ => {}
        }
        self.cut.iter().for_each(|&(from, to)| wires.set(lab, from, to, true));
    }
}

/// How long a fault lasts, and how long the calm after it: short ones mostly, for most happens at their ends.
pub fn spell(dice: &mut Dice) -> (Duration, Duration) {
    let lasts = match dice.below(3) {
        0 => 50 + dice.below(500),
        1 => 500 + dice.below(1000),
        _ => 1000 + dice.below(2500),
    };
    (Duration::from_millis(lasts), Duration::from_millis(100 + dice.below(1400)))
}
