//! What operators see of it: why an answer is what it is, and counts; and names over TLS and from a hosts file.

use std::process::Command;

use serde_json::{Value, json};

use super::client::{Node, SOON, dig, short};
use crate::region::browser::Browser;
use crate::support::client::get;
use crate::support::place::wait_until;
use crate::support::program;

const LINES: &str = "    zone lb.example.com\n    record www service web policy nearest ttl 7s\n    \
                     record @ alias www\n    record t A 192.0.2.99\n";
const METRICS: &str = "frontend metrics\n    mode http\n    timeout client 5s\n    bind {ip}:{port:metrics}\n    \
                       http-request use-service prometheus-exporter\n";

/// `isobar dns explain`
fn explain(node: &Node, words: &[&str]) -> (bool, String) {
    let out = Command::new(program::under_test())
        .args(["dns", "explain", &format!("--http-addr={}", node.proxy.addr("api"))])
        .args(words)
        .output()
        .expect("isobar");
    let text = [&out.stdout[..], &out.stderr].concat();
    (out.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn why_an_answer_is_what_it_is() {
    let node = Node::start(LINES, "");
    let _eu = node.host("eu");
    let _us = node.host("us-east");
    node.register("web", "eu", "eu-1", "192.0.2.1", "passing");
    node.register("web", "us-east", "us-1", "192.0.2.2", "passing");
    node.becomes(&["www.lb.example.com", "+subnet=198.51.100.0/24"], &["192.0.2.2"]);
    let (good, page) = explain(&node, &["lb.example.com", "A", "--from=198.51.100.7"]);
    assert!(good, "{page}");
    for line in [
        "lb.example.com. A for 198.51.100.7: NOERROR (dns x, zone lb.example.com.)\n    7 192.0.2.2\n",
        "Scope: the same for all of the client's /24\n",
        "Record www.lb.example.com.: service web, policy nearest, TTL 7\n",
        "*   us-east   1      1/1       0%     chosen\n",
        "    eu        2      1/1       0%     others come first\n",
    ] {
        assert!(page.contains(line), "{line:?} is not in {page}");
    }
    node.register("web", "us-east", "us-1", "192.0.2.2", "critical");
    node.becomes(&["www.lb.example.com", "+subnet=198.51.100.0/24"], &["192.0.2.1"]);
    let (_, page) = explain(&node, &["www.lb.example.com", "--from", "198.51.100.7"]);
    assert!(page.contains("    us-east   1      0/1       0%     has no healthy instance\n"), "{page}");
    assert!(page.contains("*   eu        2      1/1       0%     chosen\n"), "{page}");
    let (_, page) = explain(&node, &["t.lb.example.com"]);
    assert!(page.contains("    30 192.0.2.99\nScope: the same for every client\n"), "{page}");
    for (words, told) in [
        (&["www.lb.example.com", "A", "--from=here"][..], "'here' is no address"),
        (&["www.lb.example.com", "NONSENSE"], "'NONSENSE' is no type of records"),
        (&["example.org"], "no zone here has example.org."),
    ] {
        let (good, page) = explain(&node, words);
        assert!(!good && page.contains(told), "{words:?}: {page}");
    }
}

#[test]
fn answers_are_counted_by_zone_record_and_region() {
    let node = Node::start(LINES, METRICS);
    let _us = node.host("us-east");
    node.register("web", "us-east", "us-1", "192.0.2.2", "passing");
    node.becomes(&["www.lb.example.com"], &["192.0.2.2"]);
    dig(node.dns(), &["none.lb.example.com"]);
    let lines = [
        "isobar_dns_record_answers_total{responder=\"x\",record=\"www.lb.example.com.\",service=\"web\",policy=\"nearest\",region=\"us-east\"} ",
        "isobar_dns_zone_answers_total{responder=\"x\",zone=\"lb.example.com.\",rcode=\"NOERROR\"} ",
        "isobar_dns_zone_answers_total{responder=\"x\",zone=\"lb.example.com.\",rcode=\"NXDOMAIN\"} 1",
    ];
    let mut page = String::new();
    let all = wait_until(SOON, || {
        page = get(node.proxy.addr("metrics"), "/metrics").body_text();
        lines.iter().all(|line| page.contains(line))
    });
    let dns: Vec<&str> = page.lines().filter(|line| line.contains("isobar_dns")).collect();
    assert!(all, "{dns:#?}");
}

/// What `/v1/isobar/dns` says of a region and the first record.
fn region(node: &Node, name: &str) -> Value {
    let all: Value = serde_json::from_str(&get(node.proxy.addr("api"), "/v1/isobar/dns").body_text())
        .expect("a document of JSON");
    let regions = all[0]["Records"][0]["Regions"].as_array().cloned().unwrap_or_default();
    regions.into_iter().find(|region| region["Region"] == name).unwrap_or_default()
}

#[test]
fn what_is_answered_is_shown_by_region() {
    let node = Node::start(LINES, "");
    let _eu = node.host("eu");
    let _us = node.host("us-east");
    node.register("web", "eu", "eu-1", "192.0.2.1", "passing");
    node.register("web", "us-east", "us-1", "192.0.2.2", "passing");
    node.becomes(&["www.lb.example.com", "+subnet=198.51.100.0/24"], &["192.0.2.2"]);
    let before = |name: &str| region(&node, name)["Answers"].as_u64().unwrap_or(0);
    assert!(wait_until(SOON, || before("us-east") > 0), "{}", region(&node, "us-east"));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let (us, eu) = (before("us-east"), before("eu"));
    for _ in 0..5 {
        dig(node.dns(), &["www.lb.example.com", "+subnet=198.51.100.0/24"]);
        dig(node.dns(), &["lb.example.com", "+subnet=198.51.100.0/24", "+tcp"]);
    }
    assert!(wait_until(SOON, || before("us-east") == us + 10), "{}", region(&node, "us-east"));
    assert_eq!(before("eu"), eu);
    let shown = region(&node, "us-east");
    assert_eq!((&shown["Healthy"], &shown["Unhealthy"], &shown["Why"]), (&json!(1), &json!(0), &json!("")));
    node.register("web", "us-east", "us-1", "192.0.2.2", "critical");
    let ill = || region(&node, "us-east")["Why"] == "has no healthy instance";
    assert!(wait_until(SOON, ill), "{}", region(&node, "us-east"));
    node.register("web", "eu", "eu-1", "192.0.2.1", "critical");
    let none = || region(&node, "us-east")["Why"] == "nobody is healthy anywhere";
    assert!(wait_until(SOON, none), "{}", region(&node, "us-east"));
}

#[test]
fn the_page_shows_answers_and_why_a_region_is_not_named() {
    let Some(mut browser) = Browser::start("dns::seen") else { return };
    let node = Node::start(LINES, "");
    let _eu = node.host("eu");
    let _us = node.host("us-east");
    node.register("web", "eu", "eu-1", "192.0.2.1", "passing");
    node.register("web", "us-east", "us-1", "192.0.2.2", "critical");
    node.becomes(&["www.lb.example.com", "+subnet=198.51.100.0/24"], &["192.0.2.1"]);
    browser.open(&format!("http://{}/ui#/dns", node.proxy.addr("api")));
    let words =
        ["www.lb.example.com.", "nearest, TTL 7", "lb.example.com. (", "eu", "answers", "1 of 1", "us-east"];
    browser.reads(&words, SOON);
    browser.reads(&["not named", "has no healthy instance"], SOON);
    browser.run("window.loaded = 'once'");
    (0..30).for_each(|_| drop(dig(node.dns(), &["www.lb.example.com", "+short"])));
    let answers = || region(&node, "eu")["Answers"].as_u64().unwrap_or(0);
    assert!(wait_until(SOON, || answers() > 30), "{}", region(&node, "eu"));
    browser.reads(&[&format!("\t{}\t", answers())], SOON);
    assert_eq!(browser.run("return window.loaded"), "once");
    let console = browser.console();
    assert!(console.is_empty(), "the console says {console:?}");
}

#[test]
fn names_over_tls() {
    let dir = tempfile::Builder::new().prefix("it.").tempdir().expect("a directory");
    let path = dir.path().join("crt.pem");
    let made = rcgen::generate_simple_self_signed(["ns.test".to_owned()]).expect("a certificate");
    let pem =
        |made: &rcgen::CertifiedKey<rcgen::KeyPair>| made.cert.pem() + &made.signing_key.serialize_pem();
    std::fs::write(&path, pem(&made)).expect("written");
    let lines = format!("    bind {{ip}}:{{port:tls}} ssl crt {}\n{LINES}", path.display());
    let node = Node::start(&lines, "global\n    watch-config\n");
    let tls = node.proxy.addr("tls");
    let ca = |path: &std::path::Path| format!("+tls-ca={}", path.display());
    let words = [&ca(&path), "+tls-hostname=ns.test", "t.lb.example.com"];
    assert_eq!(short(tls, &words), ["192.0.2.99"]);
    assert!(short(tls, &["t.lb.example.com", "+notcp"]).first().is_none_or(|line| !line.starts_with("192")));
    // Another certificate, without another socket.
    let next = rcgen::generate_simple_self_signed(["other.test".to_owned()]).expect("a certificate");
    std::fs::write(&path, pem(&next)).expect("written");
    let words = [&ca(&path), "+tls-hostname=other.test", "t.lb.example.com"];
    assert!(wait_until(SOON, || short(tls, &words) == ["192.0.2.99"]), "{}", node.proxy.stderr());
}

#[test]
fn names_of_a_hosts_file() {
    let dir = tempfile::Builder::new().prefix("it.").tempdir().expect("a directory");
    let path = dir.path().join("hosts");
    std::fs::write(&path, "192.0.2.7 nas.home nas\n2001:db8::7 nas.home\n").expect("written");
    let lines = format!("    hosts-file {}\n{LINES}", path.display());
    let node = Node::start(&lines, "global\n    watch-config\n");
    assert_eq!(short(node.dns(), &["NAS.home"]), ["192.0.2.7"]);
    assert_eq!(short(node.dns(), &["nas.home", "AAAA"]), ["2001:db8::7"]);
    assert_eq!(short(node.dns(), &["-x", "192.0.2.7"]), ["nas.home."]);
    assert!(dig(node.dns(), &["nas.home", "MX"]).contains("status: NOERROR"));
    std::fs::write(&path, "192.0.2.8 nas.home\n").expect("written");
    node.becomes(&["nas.home"], &["192.0.2.8"]);
}

#[test]
fn queries_are_logged() {
    let node = Node::start(&format!("    query-log 1\n{LINES}"), "");
    assert_eq!(short(node.dns(), &["t.lb.example.com", "+subnet=198.51.100.0/24"]), ["192.0.2.99"]);
    assert_eq!(short(node.dns(), &["t.lb.example.com", "+tcp", "+nocookie"]), ["192.0.2.99"]);
    let told = |what: &str| wait_until(SOON, || node.proxy.stderr().contains(what));
    assert!(told("for 198.51.100.0/24 asks t.lb.example.com. type 1: code 0, "), "{}", node.proxy.stderr());
    assert!(told(" asks t.lb.example.com. type 1: code 0, 61 octets"), "over TCP: {}", node.proxy.stderr());
}
