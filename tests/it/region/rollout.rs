//! Configuration documents: on every node or on none.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::cluster::{Cluster, Node, SOON, loopback};
use super::forming::FILES;
use super::load::{Connections, Load, failed};
use crate::support::origin::Origin;
use crate::support::place::wait_until;

/// `page` is there for the first two alone.
fn three_that_include(page: &str) -> Cluster {
    let node = |n: usize| {
        let text = format!("{}\ninclude map:more\n", FILES[n]);
        let mut node = Node::new(loopback(n as u8), &text);
        for (peer, name) in ["ISOBAR_A", "ISOBAR_B", "ISOBAR_C"].iter().enumerate() {
            node = node.env(name, loopback(peer as u8));
        }
        node.env("ISOBAR_SELF", loopback(n as u8))
            .env("ONLY_SOME", if n == 2 { "/nowhere/page.http" } else { page })
    };
    Cluster::new((0..3).map(node).collect())
}

fn document(page: &str) -> String {
    format!("backend more\n    mode http\n    errorfile 503 {page}\n")
}

#[test]
fn a_document_that_one_node_cannot_use_is_refused_everywhere_and_a_good_one_runs_on_all() {
    let page = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(page.path(), "HTTP/1.0 503 Busy\r\n\r\nbusy").expect("written");
    let path = page.path().to_str().expect("a path");
    let mut cluster = three_that_include(path);
    cluster.start_all();
    let mut api = cluster.nodes[0].api();

    let refused = api.put("/v1/isobar/config/more", &document("\"${ONLY_SOME}\"")).expect("an answer");
    assert_eq!(refused.status, 422, "{}", refused.body);
    let lines: Vec<&str> = refused.body.lines().filter(|l| l.contains("[map:more:3]")).collect();
    assert!(!lines.is_empty() && lines.iter().all(|l| l.starts_with("c: ")), "{}", refused.body);
    let none = api.get("/v1/isobar/config/more").expect("an answer");
    assert_eq!(none.status, 404, "{}", none.body);

    let dry = api.put("/v1/isobar/config/more?dry-run", &document(path)).expect("an answer");
    assert_eq!(dry.status, 200, "{}", dry.body);
    assert_eq!(api.get("/v1/isobar/config/more").expect("an answer").status, 404);

    let put = api.put("/v1/isobar/config/more", &document(path)).expect("an answer");
    assert_eq!(put.status, 200, "{}", put.body);
    let mut status = String::new();
    let done = wait_until(SOON, || {
        status = cluster.nodes[1].api().get("/v1/isobar/config-status").expect("an answer").body;
        status.matches(r#""State":"current""#).count() == 3
            && status.matches(r#""Runs":"more:1""#).count() == 3
    });
    assert!(done, "{status}");

    // A node that was away starts from its copy, without the others.
    (0..3).for_each(|n| cluster.kill(n));
    cluster.start(2);
    let copied = wait_until(SOON, || cluster.nodes[2].is_up() && cluster.nodes[2].ask() == "503");
    assert!(copied, "{}", cluster.nodes[2].said());
    assert!(!cluster.nodes[2].said().contains("not in the region map yet"), "{}", cluster.nodes[2].said());
}

/// Where the frontend of a document listens.
const SITE: u16 = 8081;
/// From the answer that a document is active until every node serves it alone.
const SWITCH: Duration = Duration::from_secs(1);

/// A frontend that serves from an origin, with one more line in its backend.
fn site(origin: &Origin, more: &str) -> String {
    let bind = format!("\"${{ISOBAR_SELF}}:{SITE}\"");
    format!(
        "frontend site\n mode http\n timeout client 30s\n bind {bind}\n default_backend pool\n\
         backend pool\n mode http\n timeout connect 2s\n timeout server 30s\n server s {}\n {more}\n",
        origin.addr()
    )
}

#[test]
fn under_load_a_rollout_fails_no_request() {
    let page = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(page.path(), "HTTP/1.0 503 Busy\r\n\r\nbusy").expect("written");
    let mut cluster = three_that_include(page.path().to_str().expect("a path"));
    cluster.start_all();
    let (old, new) = (Origin::named("old"), Origin::named("new"));
    let put = |text: &str| cluster.nodes[0].api().put("/v1/isobar/config/more", text).expect("an answer");
    let reply = put(&site(&old, ""));
    assert_eq!(reply.status, 200, "{}", reply.body);
    let sites: Vec<SocketAddr> = cluster.nodes.iter().map(|n| SocketAddr::new(n.address, SITE)).collect();
    let listens = |site: &SocketAddr| std::net::TcpStream::connect(site).is_ok();
    assert!(wait_until(SOON, || sites.iter().all(listens)), "{}", cluster.nodes[2].said());

    let mut load = Load::default();
    for site in &sites {
        for connections in [Connections::Kept, Connections::Kept, Connections::New] {
            load.add(*site, connections);
        }
    }
    let began = Instant::now();
    load.next(300, SOON);
    let reply = put(&site(&new, "errorfile 503 \"${ONLY_SOME}\""));
    assert_eq!(reply.status, 422, "{}", reply.body);
    load.next(300, SOON);
    let others = load.since(began).iter().filter(|asked| asked.answer.as_deref() != Ok("old")).count();
    assert_eq!(others, 0, "a document that was refused changed what is served, or failed requests");

    let reply = put(&site(&new, ""));
    assert_eq!(reply.status, 200, "{}", reply.body);
    let active = Instant::now();
    std::thread::sleep(SWITCH);
    load.next(300, SOON);
    let asked = load.since(began);
    let failed = failed(&asked);
    assert!(failed.is_empty(), "{} of {} requests failed: {:?}", failed.len(), asked.len(), failed[0]);
    // The last answer of before on each node; a request may have begun long before it.
    let mut last = BTreeMap::new();
    for asked in asked.iter().filter(|asked| asked.answer.as_deref() == Ok("old")) {
        let after = asked.began.saturating_duration_since(active);
        let latest = last.entry(asked.whom).or_insert(after);
        *latest = after.max(*latest);
    }
    eprintln!(
        "{} requests, none failed; the old content is last asked for {last:?} after the PUT",
        asked.len()
    );
    assert!(last.len() == 3 && last.values().all(|after| *after <= SWITCH), "{last:?}");
}
