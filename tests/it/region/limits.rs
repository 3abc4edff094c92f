//! Limits that hold over all nodes: a stick table of the cluster.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::api::Api;
use super::cluster::{API, Cluster, Node, SOON, WEB, loopback};
use crate::support::place::wait_until;

/// Requests a second that may pass, over all nodes; so many are offered to each of the three.
const LIMIT: usize = 100;

fn text(n: u8) -> String {
    let (address, join) = (loopback(n), [0, 1, 2].map(|n| format!("{}:7400", loopback(n))).join(" "));
    format!(
        "defaults\n mode http\n timeout connect 2s\n timeout client 30s\n timeout server 30s\n\
         region-map\n node n{n}\n bind {address}:7400\n data-dir \"${{ISOBAR_DATA}}/n{n}\"\n \
         retry-join {join}\n expect 3\n http-api {address}:{API}\n\
         frontend in\n bind {address}:{WEB}\n \
         http-request return status 200 content-type text/plain lf-string %[str(c1),table_gpc0(st)] if {{ path /sum }}\n \
         http-request track-sc0 path,field(2,/) table st\n \
         http-request deny status 429 if {{ sc0_gpc0_rate ge {LIMIT} }}\n \
         http-request sc-inc-gpc0(0)\n \
         http-request return status 200 content-type text/plain string ok\n\
         backend st\n stick-table type string len 16 size 10k expire 10m cluster store gpc0,gpc0_rate(1s)\n"
    )
}

fn three() -> Cluster {
    let mut cluster = Cluster::new((0..3).map(|n| Node::new(loopback(n), &text(n))).collect());
    cluster.start_all();
    cluster
}

/// What passed at each node.
struct Offer {
    is_over: Arc<AtomicBool>,
    clients: Vec<std::thread::JoinHandle<()>>,
    passed: Arc<Mutex<[usize; 3]>>,
}

impl Offer {
    fn begin(cluster: &Cluster) -> Offer {
        let (is_over, passed) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new([0; 3])));
        let clients = (0..3).map(|n| {
            let (address, is_over, passed) = (cluster.nodes[n].web(), is_over.clone(), passed.clone());
            std::thread::spawn(move || client(address, &is_over, || passed.lock().unwrap()[n] += 1))
        });
        Offer { clients: clients.collect(), is_over, passed }
    }

    fn end(self) -> [usize; 3] {
        self.is_over.store(true, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().expect("a client"));
        *self.passed.lock().unwrap()
    }
}

/// Asks so many times a second until it is over. Who is not there is asked again.
fn client(address: SocketAddr, is_over: &AtomicBool, passed: impl Fn()) {
    let mut api = Api::new(address).patience(Duration::from_secs(1));
    let start = Instant::now();
    for n in 1.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        match api.get("/c1") {
            Ok(reply) if reply.status == 200 => passed(),
            Ok(reply) => assert_eq!(reply.status, 429, "{}", reply.body),
            Err(_) => api = Api::new(address).patience(Duration::from_secs(1)),
        }
        let next = start + Duration::from_secs(1) * n / LIMIT as u32;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// What a node says that passed everywhere.
fn sum(cluster: &Cluster, n: usize) -> usize {
    let reply = Api::new(cluster.nodes[n].web()).get("/sum").expect("an answer");
    reply.body.trim().parse().unwrap_or(0)
}

fn agree(cluster: &Cluster, nodes: &[usize], expected: usize) {
    let agreed = wait_until(SOON, || nodes.iter().all(|n| sum(cluster, *n) == expected));
    assert!(agreed, "{expected}: {:?}", nodes.iter().map(|n| sum(cluster, *n)).collect::<Vec<_>>());
}

#[test]
fn a_limit_holds_over_three_nodes_and_a_part_leaves_with_its_node() {
    let mut cluster = three();
    let offer = Offer::begin(&cluster);
    std::thread::sleep(Duration::from_secs(8));
    let passed = offer.end();
    let all: usize = passed.iter().sum();
    // A debug build on a busy machine; the bar is that of the minute below.
    assert!((600..=1100).contains(&all), "{passed:?}");
    // Every node knows what all counted, exactly.
    agree(&cluster, &[0, 1, 2], all);
    cluster.kill(2);
    agree(&cluster, &[0, 1], all - passed[2]);
    cluster.start(2);
    cluster.settle();
    agree(&cluster, &[0, 1, 2], all - passed[2]);
    // A node that begins again counts anew.
    assert_eq!(Api::new(cluster.nodes[2].web()).get("/c1").expect("an answer").status, 200);
    agree(&cluster, &[0, 1, 2], all - passed[2] + 1);
}

/// The bar: 300 requests a second are offered for a minute, 100 may pass.
#[test]
#[ignore = "takes over two minutes"]
fn a_limit_holds_for_a_minute_also_while_a_node_dies() {
    let mut cluster = three();
    let offer = Offer::begin(&cluster);
    std::thread::sleep(Duration::from_secs(60));
    let passed = offer.end();
    eprintln!("accepted: {passed:?}");
    assert!((5_400..=6_600).contains(&passed.iter().sum::<usize>()), "{passed:?}");
    std::thread::sleep(Duration::from_secs(3));
    let offer = Offer::begin(&cluster);
    std::thread::sleep(Duration::from_secs(20));
    cluster.kill(2);
    std::thread::sleep(Duration::from_secs(20));
    cluster.start(2);
    std::thread::sleep(Duration::from_secs(20));
    let passed = offer.end();
    eprintln!("accepted while one died: {passed:?}");
    assert!((4_800..=7_200).contains(&passed.iter().sum::<usize>()), "{passed:?}");
}
