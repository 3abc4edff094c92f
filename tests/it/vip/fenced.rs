//! `fenced`, `track region-map` and `track service`: three nodes with a region map, one of which is cut off.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::node::Node;
use crate::support::lab::Lab;
use crate::support::place::wait_until;

const SOON: Duration = Duration::from_secs(60);
const FENCED: &str = "10.76.0.200";
const OF_MAP: &str = "10.76.0.201";
const OF_SERVICE: &str = "10.76.0.202";

fn text(n: usize) -> String {
    let me = format!("10.76.0.{}", n + 1);
    let priority = 150 - 10 * n;
    let router = |id: u8, address: &str, lines: &str| {
        format!(
            "vrrp VI_{id}\n interface eth0\n router-id {id}\n version 3\n advert-interval 100ms\n priority {priority}\n \
             address {address}\n {lines}\n"
        )
    };
    format!(
        "region-map\n node n{n} region r\n bind {me}:7400 insecure\n data-dir DIR/data\n expect 3\n \
         retry-join 10.76.0.1:7400 10.76.0.2:7400 10.76.0.3:7400\n http-api {me}:8500 insecure\n{}{}{}",
        router(51, FENCED, "fenced 4s"),
        router(52, OF_MAP, "track region-map"),
        router(53, OF_SERVICE, "track service web"),
    )
}

struct Trial {
    lab: Lab,
    nodes: Vec<Node>,
}

impl Trial {
    fn holders(&self, address: &str) -> Vec<usize> {
        (0..self.nodes.len()).filter(|n| self.nodes[*n].has(&self.lab, address)).collect()
    }

    /// Waits until those hold the fenced address, of whom there are never two.
    fn fenced(&self, what: &str, done: impl Fn(&[usize]) -> bool) -> Vec<usize> {
        let began = Instant::now();
        loop {
            let holders = self.holders(FENCED);
            assert!(holders.len() < 2, "{what}: {holders:?} have it");
            if done(&holders) {
                return holders;
            }
            let said = || self.nodes.iter().map(Node::said).collect::<String>();
            assert!(began.elapsed() < SOON, "{what}: {holders:?}\n{}", said());
        }
    }

    fn cut(&self, n: usize, connected: bool) {
        let (port, hub) = (format!("p{n}"), self.lab.hub());
        let how: &[&str] = if connected { &["master", "br0"] } else { &["nomaster"] };
        self.lab.run_ip(hub, &[&["link", "set", &port], how].concat());
    }
}

#[test]
fn a_lease_keeps_two_nodes_apart_and_the_map_is_tracked() {
    let Some(mut lab) = Lab::with_hub("vip::fenced", "10.76.0.254/24") else { return };
    let hosts: Vec<String> = (1..=3).map(|n| lab.host(&format!("10.76.0.{n}/24"))).collect();
    let nodes = hosts.iter().enumerate().map(|(n, host)| Node::start(host, &text(n))).collect();
    let trial = Trial { lab, nodes };
    let first = trial.fenced("at the start", |holders| !holders.is_empty())[0];
    assert!(wait_until(SOON, || trial.holders(OF_MAP) == [0]), "{:?}", trial.holders(OF_MAP));
    // A service that has no instance keeps its address away; any instance brings it.
    assert_eq!(trial.holders(OF_SERVICE), [] as [usize; 0]);
    let register = |verb: &str, body: &str| {
        let url = format!("http://10.76.0.1:8500/v1/agent/service/{verb}");
        let out = trial.lab.run(&trial.nodes[0].host, "curl", &["-sf", "-X", "PUT", "-d", body, &url]);
        assert!(out.status.success(), "{out:?}");
    };
    register("register", r#"{"Name":"web","ID":"w","Port":80}"#);
    assert!(wait_until(SOON, || trial.holders(OF_SERVICE) == [0]), "a service that is there");
    register("deregister/w", "");
    assert!(wait_until(SOON, || trial.holders(OF_SERVICE).is_empty()), "a service that is gone");
    // All nodes tell of all, and of their causes.
    let api = format!("--http-addr=10.76.0.{}:8500", first + 1);
    let (done, shown) = trial.nodes[first].vip(&trial.lab, &["ls", &api]);
    assert!(done && shown.lines().count() == 10, "{shown}");
    assert!(shown.contains("FAULT") && shown.contains("service web is down"), "{shown}");
    // Its holder is cut off: it lets go before another has it.
    trial.cut(first, false);
    let second = trial.fenced("cut off", |holders| holders.first().is_some_and(|one| *one != first))[0];
    // Without a leader in sight the other address leaves too, although this node hears of no other master.
    assert!(wait_until(SOON, || !trial.nodes[first].has(&trial.lab, OF_MAP)), "a map without a leader");
    trial.cut(first, true);
    let until = Instant::now() + Duration::from_secs(8);
    trial.fenced("healed", |_| Instant::now() >= until);
    assert_eq!(trial.holders(FENCED), [second], "a master of any priority stays");
    // An operator moves it: the lease goes first.
    let api = format!("--http-addr=10.76.0.{}:8500", second + 1);
    let (done, said) = trial.nodes[second].vip(&trial.lab, &["move", "VI_51", &api]);
    assert!(done, "{said}");
    let third = trial.fenced("moved", |holders| holders.first().is_some_and(|one| *one != second))[0];
    // A process that is frozen cannot let go: the kernel does.
    trial.nodes[third].signal(Signal::SIGSTOP);
    trial.fenced("frozen", |holders| holders.first().is_some_and(|one| *one != third));
    trial.nodes[third].signal(Signal::SIGCONT);
    let until = Instant::now() + Duration::from_secs(3);
    trial.fenced("thawed", |_| Instant::now() >= until);
}
