//! Health decided once: who checks an instance of a `service ... check` line, and by whose word everybody routes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::cluster::{Cluster, Node, SOON, loopback};
use super::forming::register;
use crate::support::origin::{Origin, Step, ok};
use crate::support::place::wait_until;

const TEXT: &str = r#"
global
    node "${NAME}"

defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 10s

region eu
    location 53 -6
region us
    location 40 -74

region-map
    node "${NAME}" region "${REGION}"
    bind "${OWN}:7400"
    data-dir "${ISOBAR_DATA}/${NAME}"
    retry-join "${A}:7400" "${B}:7400" "${C}:7400"
    expect 3
    http-api "${OWN}:8500"

frontend in
    bind "${OWN}:8080"
    default_backend web

backend web
    balance roundrobin
    option httpchk GET /health
    http-check send-state
    default-server inter 200 fall 2 rise 1
    service web check
"#;

const NAMES: [(&str, &str); 3] = [("eu1", "eu"), ("eu2", "eu"), ("us1", "us")];

fn three() -> Cluster {
    let node = |n: usize| {
        let own = loopback(n as u8);
        let node = Node::new(own, TEXT).env("NAME", NAMES[n].0).env("REGION", NAMES[n].1).env("OWN", own);
        ["A", "B", "C"]
            .iter()
            .enumerate()
            .fold(node, |node, (peer, name)| node.env(name, loopback(peer as u8)))
    };
    Cluster::new((0..3).map(node).collect())
}

/// Serves everybody, and says that it is well as long as it is told to.
struct Patient {
    origin: Origin,
    is_well: Arc<AtomicBool>,
}

impl Patient {
    fn new() -> Patient {
        let is_well = Arc::new(AtomicBool::new(true));
        let told = is_well.clone();
        let origin = Origin::serve(move |message| {
            let is_check = message.field("x-haproxy-server-state").is_some();
            let sick = "HTTP/1.1 503 Sick\r\nContent-Length: 0\r\n\r\n".to_owned();
            let answer = if is_check && !told.load(Ordering::SeqCst) { sick } else { ok("one") };
            vec![Step::Send(answer.into_bytes())]
        });
        Patient { origin, is_well }
    }

    fn set(&self, is_well: bool) {
        self.is_well.store(is_well, Ordering::SeqCst);
    }

    /// The nodes that check it during a second.
    fn checkers(&self) -> BTreeSet<String> {
        self.origin.take();
        std::thread::sleep(Duration::from_secs(1));
        let states = self.origin.take().into_iter().filter_map(|received| {
            let message = received.message.ok()?;
            message.field("x-haproxy-server-state").map(str::to_owned)
        });
        let name = |state: String| {
            state.split("; ").find_map(|part| part.strip_prefix("node=").map(str::to_owned)).expect("a node")
        };
        states.map(name).collect()
    }
}

fn checked_by(cluster: &Cluster, patient: &Patient, wanted: &[&str]) {
    let mut last = BTreeSet::new();
    let wanted: BTreeSet<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
    let done = wait_until(SOON, || {
        last = patient.checkers();
        last == wanted
    });
    assert!(done, "{last:?} check, not {wanted:?}; us1 said:\n{}", cluster.nodes[2].said());
}

fn served(cluster: &Cluster, nodes: &[usize], wanted: &str) {
    for &n in nodes {
        let mut last = String::new();
        let done = wait_until(SOON, || {
            last = cluster.nodes[n].ask();
            last == wanted
        });
        assert!(done, "node {n} serves {last:?}, not {wanted:?}; it said:\n{}", cluster.nodes[n].said());
    }
}

#[test]
fn the_nodes_of_its_region_check_for_all_and_a_node_alone_for_itself() {
    let mut cluster = three();
    cluster.start_all();
    let patient = Patient::new();
    register(&cluster, 0, "w1", &patient.origin);
    served(&cluster, &[0, 1, 2], "one");
    checked_by(&cluster, &patient, &["eu1", "eu2"]);

    // us1 checks nothing of it and knows all the same.
    patient.set(false);
    served(&cluster, &[0, 1, 2], "503");
    for words in
        ["Server web/eu1/w1 is DOWN", "Service web of backend web is LOST in region eu: no instance passes"]
    {
        let told = wait_until(SOON, || cluster.nodes[2].said().contains(words));
        assert!(told, "no {words:?} in:\n{}", cluster.nodes[2].said());
    }
    assert_eq!(patient.checkers(), ["eu1".to_owned(), "eu2".to_owned()].into());
    patient.set(true);
    served(&cluster, &[0, 1, 2], "one");

    // One of two is gone while both found it sick: that does not make it well, and the other decides from then on.
    patient.set(false);
    served(&cluster, &[0, 1, 2], "503");
    cluster.kill(1);
    let until = std::time::Instant::now() + Duration::from_secs(6);
    while std::time::Instant::now() < until {
        assert_eq!(cluster.nodes[2].ask(), "503", "{}", cluster.nodes[2].said());
        std::thread::sleep(Duration::from_millis(20));
    }
    patient.set(true);
    served(&cluster, &[0, 2], "one");
    checked_by(&cluster, &patient, &["eu1"]);
    patient.set(false);
    served(&cluster, &[0, 2], "503");
    patient.set(true);
    served(&cluster, &[0, 2], "one");

    // Nobody who could share a finding: us1 looks for itself, and only its word counts.
    cluster.kill(0);
    checked_by(&cluster, &patient, &["us1"]);
    served(&cluster, &[2], "one");
    patient.set(false);
    served(&cluster, &[2], "503");
    patient.set(true);
    served(&cluster, &[2], "one");
}
