//! What a reload keeps and what it takes from the file.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::config::Config;
use crate::config::compile::testing::{build_on, build_text};
use crate::model::{AdminState, Server, ServerLive, ServerSet, ServerSpec};

fn text(servers: &[&str]) -> String {
    let head = "defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n";
    format!("{head}frontend f\n bind :1\n default_backend b\nbackend b\n {}\n", servers.join("\n "))
}

fn set(config: &Config) -> Arc<ServerSet> {
    config.proxies[1].back.as_ref().expect("backend").servers.load()
}

fn live<'s>(set: &'s ServerSet, name: &str) -> &'s Server {
    set.by_name(name).expect(name).1
}

fn first(servers: &[&str]) -> Config {
    build_text(&text(servers)).0.expect("built").config
}

fn reload(old: &Config, servers: &[&str]) -> Config {
    let mut built = build_on(&text(servers), Some(old)).0.expect("built");
    built.activate(9000);
    built.config
}

#[test]
fn an_unchanged_line_leaves_everything_as_it_runs() {
    let old = first(&["server a 10.0.0.1:80 weight 5", "server b 10.0.0.2:80"]);
    let before = set(&old);
    live(&before, "a").live.user_weight.store(77, Ordering::Relaxed);
    live(&before, "b").live.set_admin(AdminState::FORCED_MAINT);
    let new = reload(&old, &["server a 10.0.0.1:80 weight 5", "server b 10.0.0.2:80"]);
    let after = set(&new);
    assert!(Arc::ptr_eq(&before, &after), "the balancer keeps its place");
    assert_eq!(live(&after, "a").live.user_weight.load(Ordering::Relaxed), 77);
    assert_eq!(live(&after, "b").live.admin(), AdminState::FORCED_MAINT);
    assert!(Arc::ptr_eq(&old.proxies[0].live, &new.proxies[0].live));
    assert_eq!(new.generation, 2);
}

#[test]
fn a_changed_value_wins_over_the_operator_and_the_rest_stays() {
    let old = first(&["server a 10.0.0.1:80 weight 5 maxconn 10"]);
    let before = set(&old);
    let cell = live(&before, "a").live.clone();
    cell.user_weight.store(77, Ordering::Relaxed);
    cell.maxconn.store(88, Ordering::Relaxed);
    cell.served.store(3, Ordering::Relaxed);
    let new = reload(&old, &["server a 10.0.0.1:80 weight 6 maxconn 10"]);
    let after = set(&new);
    let server = live(&after, "a");
    assert!(Arc::ptr_eq(&server.live, &cell));
    assert_eq!(server.live.user_weight.load(Ordering::Relaxed), 6);
    assert_eq!(server.live.maxconn.load(Ordering::Relaxed), 88);
    assert_eq!(server.live.served.load(Ordering::Relaxed), 3);
}

#[test]
fn a_build_alone_changes_nothing_that_runs() {
    let old = first(&["server a 10.0.0.1:80"]);
    let before = set(&old);
    let built =
        build_on(&text(&["server a 10.0.0.9:80 weight 9 disabled", "server z 10.0.0.3:80"]), Some(&old));
    assert_eq!(built.0.expect("built").server_sets.len(), 1);
    assert!(Arc::ptr_eq(&before, &set(&old)));
    let server = live(&before, "a");
    assert_eq!(server.live.user_weight.load(Ordering::Relaxed), 1);
    assert!(server.live.admin().is_empty());
}

#[test]
fn servers_of_the_runtime_api_survive() {
    let old = first(&["server a 10.0.0.1:80", "server b 10.0.0.2:80"]);
    let back = old.proxies[1].back.as_ref().expect("backend");
    // `del server b/b` and `add server b/extra`.
    let mut list = vec![back.servers.load().list[0].clone()];
    let spec = ServerSpec::new("extra", 3, "10.0.0.7:80".parse().map(crate::model::Address::Inet).unwrap());
    let live_cell = Arc::new(ServerLive::new(&spec, 1, 0));
    list.push(Server { spec: Arc::new(spec), live: live_cell });
    back.servers.store(Arc::new(ServerSet { list, ..ServerSet::default() }));
    let lines = ["server a 10.0.0.1:80", "server b 10.0.0.2:80", "server c 10.0.0.3:80"];
    let new = reload(&old, &lines);
    let names = |set: &ServerSet| {
        set.list.iter().map(|s| format!("{}:{}", s.spec.name, s.spec.id)).collect::<Vec<_>>()
    };
    // `b` stays deleted; the number of `extra` went to `c`.
    assert_eq!(names(&set(&new)), ["a:1", "c:3", "extra:4"]);
    let newer = reload(&new, &["server a 10.0.0.1:80", "server b 10.0.0.2:81", "server c 10.0.0.3:80"]);
    assert_eq!(names(&set(&newer)), ["a:1", "b:2", "c:3", "extra:4"]);
}

#[test]
fn disabled_follows_the_file_when_the_file_changes() {
    let old = first(&["server a 10.0.0.1:80"]);
    let new = reload(&old, &["server a 10.0.0.1:80 disabled"]);
    let set_now = set(&new);
    let cell = &live(&set_now, "a").live;
    assert!(!cell.is_up() && cell.admin().contains(AdminState::CONFIG_MAINT));
    let newer = reload(&new, &["server a 10.0.0.1:80"]);
    let set_now = set(&newer);
    assert!(live(&set_now, "a").live.is_up());
}

#[test]
fn a_name_that_stops_resolving_keeps_its_address() {
    let old = first(&["server a db.test:80"]);
    let mut old = old;
    // The name resolved to 127.0.0.9; now it does not.
    let back = old.proxies[1].back.as_mut().expect("backend");
    let mut spec = (*back.declared[0]).clone();
    spec.hostname = Some("db.invalid".into());
    back.declared = vec![Arc::new(spec)];
    let (built, diags) = build_on(&text(&["server a db.invalid:80"]), Some(&old));
    assert!(built.is_some() && diags.list.len() == 1, "{diags:?}");
}

#[test]
fn a_changed_maxconn_of_a_frontend_ends_its_override() {
    let with = |maxconn: u32| {
        format!("{}frontend g\n bind :2\n maxconn {maxconn}\n", text(&["server a 10.0.0.1:80"]))
    };
    let old = build_text(&with(10)).0.expect("built").config;
    let live = old.proxies[2].live.clone();
    live.maxconn_override.store(99, Ordering::Relaxed);
    let reload = |old: &Config, maxconn| {
        let mut built = build_on(&with(maxconn), Some(old)).0.expect("built");
        built.activate(9000);
        built.config
    };
    let same = reload(&old, 10);
    assert_eq!(live.maxconn_override.load(Ordering::Relaxed), 99);
    reload(&same, 20);
    assert_eq!(live.maxconn_override.load(Ordering::Relaxed), 0);
}
