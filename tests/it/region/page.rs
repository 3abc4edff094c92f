//! The page at `/ui`, in a browser (job 11 of the operator's day).
//!
//! `ISOBAR_PICTURES` names a directory for pictures of it.

use std::time::{Duration, Instant};

use super::browser::{Browser, ENTER};
use super::cluster::{API, Cluster, Node, SOON, loopback};
use super::forming::three;
use crate::support::place::wait_until;

/// From a change until the page shows it.
const SHOWN: Duration = Duration::from_secs(2);

fn put(cluster: &Cluster, n: usize, path: &str, body: &str) {
    let reply = cluster.nodes[n].api().put(path, body).expect("an answer");
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
}

fn register(cluster: &Cluster, n: usize, name: &str, id: &str) {
    let check = format!(r#"{{"CheckID":"{id}","Name":"{id} answers","TTL":"600s","Status":"passing"}}"#);
    let body = format!(r#"{{"Name":"{name}","ID":"{id}","Port":8000,"Tags":["v2"],"Check":{check}}}"#);
    put(cluster, n, "/v1/agent/service/register", &body);
}

/// Pictures for whoever wants to see it, by day and by night.
fn picture(browser: &mut Browser, name: &str) {
    let Some(dir) = std::env::var_os("ISOBAR_PICTURES") else { return };
    for scheme in ["light", "dark"] {
        browser.prefers(scheme);
        let path = std::path::Path::new(&dir).join(format!("{name}-{scheme}.png"));
        std::fs::write(&path, browser.picture()).expect("a picture");
    }
}

#[test]
fn an_instance_goes_critical_and_the_page_shows_it() {
    let Some(mut browser) = Browser::start("region::page") else { return };
    let mut cluster = three();
    cluster.start_all();
    for (n, id) in ["shop-1", "shop-2", "shop-3"].iter().enumerate() {
        register(&cluster, n, "shop", id);
    }
    register(&cluster, 1, "mail", "mail-1");
    put(&cluster, 0, "/v1/kv/settings/colour", "blue");
    let origin = format!("http://{}:{API}/", cluster.nodes[0].address);

    browser.open(&origin);
    assert!(browser.url().starts_with(&format!("{origin}ui")), "the root leads to {}", browser.url());
    browser.reads(&["All is well", "eu-west", "leader"], SOON);
    picture(&mut browser, "well");
    browser.run("window.loaded = 'once'");

    // By the keys alone to the instances of a service.
    browser.tab_to("Services");
    browser.press(ENTER);
    browser.reads(&["shop", "3 passing", "mail", "1 passing"], SHOWN);
    picture(&mut browser, "services");
    browser.tab_to("shop");
    browser.press(ENTER);
    browser.reads(&["shop-1", "shop-2", "shop-3", "us-east"], SHOWN);

    let began = Instant::now();
    put(&cluster, 1, "/v1/agent/check/fail/shop-2?note=connection+refused", "");
    browser.reads(&["critical", "connection refused"], SHOWN);
    eprintln!("shown after {:?}", began.elapsed());
    picture(&mut browser, "service");

    browser.tab_to("Overview");
    browser.press(ENTER);
    let text = browser.reads(&["1 instance critical", "shop-2", "connection refused"], SHOWN);
    assert!(!text.contains("All is well"), "{text}");
    picture(&mut browser, "trouble");
    put(&cluster, 1, "/v1/agent/check/pass/shop-2", "");
    browser.reads(&["All is well"], SHOWN);

    for (section, words) in [
        ("Nodes", ["a", "b", "leader"]),
        ("Regions", ["eu-west", "us-east", "ap-south"]),
        ("Key/value", ["settings/", "settled", "Key"]),
    ] {
        browser.tab_to(section);
        browser.press(ENTER);
        browser.reads(&words, SHOWN);
        picture(&mut browser, section.split('/').next().unwrap_or(section));
    }

    assert_eq!(browser.run("return window.loaded"), "once", "the page was loaded again");
    // A region dies.
    browser.tab_to("Overview");
    browser.press(ENTER);
    cluster.kill(2);
    browser.reads(&["ap-south is lost", "c is down", "lost for"], SOON);
    picture(&mut browser, "lost");

    let outside: Vec<String> = browser
        .requested()
        .into_iter()
        .filter(|u| !u.starts_with(&origin) && !u.starts_with("data:"))
        .collect();
    assert!(outside.is_empty(), "requested from elsewhere: {outside:?}");
    let console = browser.console();
    assert!(console.is_empty(), "the console says {console:?}");
}

#[test]
fn the_page_says_when_it_is_cut_off() {
    let Some(mut browser) = Browser::start("region::page") else { return };
    let mut cluster = three();
    cluster.start_all();
    register(&cluster, 1, "shop", "shop-2");
    browser.open(&format!("http://{}:{API}/ui#/services", cluster.nodes[0].address));
    browser.reads(&["shop", "live"], SOON);
    cluster.kill(0);
    let text = browser.reads(&["Connection lost", "shop"], SOON);
    assert!(!text.contains("could not be read"), "what was known is gone: {text}");
    cluster.start(0);
    cluster.settle();
    browser.reads(&["shop", "live"], SOON);
    register(&cluster, 1, "mail", "mail-1");
    let text = browser.reads(&["mail"], SOON);
    assert!(!text.contains("Connection lost"), "{text}");
}

#[test]
fn the_page_asks_for_a_token_where_one_is_needed() {
    let Some(mut browser) = Browser::start("region::page") else { return };
    let address = loopback(3);
    let text = format!(
        "region-map\n node lone\n http-api {address}:{API}\n read-token look\n write-token let-me-in\n\
         frontend in\n mode http\n timeout client 30s\n bind {address}:8080\n"
    );
    let mut cluster = Cluster::new(vec![Node::new(address, &text)]);
    cluster.start(0);
    let page = format!("http://{address}:{API}/ui");
    let listens = || std::net::TcpStream::connect((address, API)).is_ok();
    assert!(wait_until(SOON, listens), "{}", cluster.nodes[0].said());
    browser.open(&page);
    browser.reads(&["asks for a token"], SOON);
    browser.tab_to_label("Token");
    "look".chars().for_each(|key| browser.press(&key.to_string()));
    browser.press(ENTER);
    browser.reads(&["All is well", "live, lone leads"], SOON);
    assert!(!browser.run("return location.href").as_str().expect("a text").contains("look"));
}
