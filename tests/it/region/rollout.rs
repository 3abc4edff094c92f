//! Configuration documents: on every node or on none.

use super::cluster::{Cluster, Node, SOON, loopback};
use super::forming::FILES;
use crate::support::place::wait_until;

/// `page` is there for the first two alone.
fn three_that_include(page: &str) -> Cluster {
    let node = |n: usize| {
        let text = format!("{}\ninclude map:more\n", FILES[n]);
        let mut node = Node::new(loopback(n as u8), &text);
        for (peer, name) in ["ISOBAR_A", "ISOBAR_B", "ISOBAR_C"].iter().enumerate() {
            node = node.env(name, loopback(peer as u8));
        }
        node.env("ONLY_SOME", if n == 2 { "/nowhere/page.http" } else { page })
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
