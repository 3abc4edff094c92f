//! Nodes and registries that are killed in the middle of a layer: in the end all is there, and no tag ever names what is
//! not there whole.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::copies::{operator, same};
use super::registry::{Layout, Registry, has_tools};
use crate::support::Proxy;
use crate::support::place::{self, wait_until};

const SOON: Duration = Duration::from_secs(90);

/// Slow enough to be caught in the middle.
const SLOW: &str = "mirror all\n    from eu\n    to us\n    images **\n    every 1s\n    bandwidth 12m\n";

fn node(eu: &Registry, us: &Registry, data: &std::path::Path, port: u16) -> Proxy {
    let text = format!(
        "region-map\n    node lb1\n    data-dir {}\n    http-api {{ip}}:{{port:api}}\nregistry eu\n    url http://{}\n\
         registry us\n    url http://{}\n{SLOW}",
        data.display(),
        eu.address,
        us.address
    );
    Proxy::on(&text).port("api", port).start()
}

/// Waits until a job has moved some bytes of a layer.
fn is_in_the_middle(node: &Proxy) -> bool {
    let (_, told) = operator(node, &["ps"]);
    told.lines().skip(1).any(|line| line.contains("running") && !line.contains(" 0.0/"))
}

#[test]
fn a_node_that_is_killed_in_the_middle_of_a_layer_ends_it_when_it_is_back() {
    if !has_tools("a_node_that_is_killed_in_the_middle_of_a_layer_ends_it_when_it_is_back") {
        return;
    }
    let (eu, us) = (Registry::start(None), Registry::start(None));
    eu.push(&Layout::image(1, &[60_000_000]), "app/big:v1");
    let data = tempfile::tempdir().expect("a directory");
    let port = place::free_port();
    for _ in 0..3 {
        let node = node(&eu, &us, data.path(), port);
        assert!(
            wait_until(SOON, || is_in_the_middle(&node) || us.raw("app/big:v1").is_some()),
            "{}",
            node.stderr()
        );
        node.signal(Signal::SIGKILL);
        drop(node);
        assert!(us.raw("app/big:v1").is_none() || us.pulls("app/big:v1"), "a tag of what is not there");
    }
    let node = node(&eu, &us, data.path(), port);
    assert!(wait_until(SOON, || same(&eu, &us, "app/big:v1")), "{}", node.stderr());
    assert!(us.pulls("app/big:v1"));
}

#[test]
fn registries_that_are_killed_in_the_middle_of_a_layer_are_gone_on_with() {
    if !has_tools("registries_that_are_killed_in_the_middle_of_a_layer_are_gone_on_with") {
        return;
    }
    let (mut eu, mut us) = (Registry::start(None), Registry::start(None));
    eu.push(&Layout::image(1, &[60_000_000]), "app/big:v1");
    let data = tempfile::tempdir().expect("a directory");
    let node = node(&eu, &us, data.path(), place::free_port());
    assert!(wait_until(SOON, || is_in_the_middle(&node)), "{}", node.stderr());
    eu.kill();
    std::thread::sleep(Duration::from_millis(500));
    eu.restart();
    assert!(wait_until(SOON, || is_in_the_middle(&node)), "{}", node.stderr());
    us.kill();
    std::thread::sleep(Duration::from_millis(500));
    us.restart();
    assert!(wait_until(SOON, || same(&eu, &us, "app/big:v1")), "{}", node.stderr());
    assert!(us.pulls("app/big:v1"));
}
