//! The builder as a whole.

use std::net::SocketAddr;

use crate::config::proxy::SwitchTarget;
use crate::lang::registry::Kind;
use crate::lang::{Severity, Status};
use crate::model::{Address, Mode, ProxyId};

use super::entries;
use super::testing::{build_text, messages};

#[test]
fn the_shipped_files_build() {
    for (name, text) in [
        ("job13", include_str!("../../../../conf/job13.cfg")),
        ("quickstart", include_str!("../../../../conf/quickstart.cfg")),
    ] {
        let (built, diags) = build_text(text);
        assert!(built.is_some() && !diags.has_alerts(), "{name}: {:#?}", messages(&diags));
    }
}

#[test]
fn job_13_is_what_it_says() {
    let (built, diags) = build_text(include_str!("../../../../conf/job13.cfg"));
    let config = built.expect("built").config;
    let front = &config.proxies[0];
    assert_eq!((&*front.name, front.uid, front.mode), ("http-in", 2, Mode::Http));
    let bind = &front.front.as_ref().expect("frontend").binds[0];
    assert_eq!(bind.address, Address::Inet("0.0.0.0:80".parse::<SocketAddr>().unwrap()));
    assert_eq!(front.front.as_ref().expect("frontend").default_backend, Some(ProxyId(1)));
    let back = config.proxies[1].back.as_ref().expect("backend");
    let set = back.servers.load();
    let names: Vec<String> =
        set.list.iter().map(|s| format!("{} {} {}", s.spec.id, s.spec.name, s.spec.address)).collect();
    assert_eq!(names, ["1 node1 172.17.0.2:80", "2 node2 172.17.0.3:80"]);
    assert_eq!(back.checks.len(), 2);
    // HAProxy warns of the timeouts this file lacks, and starts.
    let missing =
        |name: &str| messages(&diags).iter().any(|m| m.starts_with(&format!("missing timeouts for {name}")));
    assert!(missing("frontend 'http-in'") && missing("backend 'servers'"));
    // And of the header after the version, which 3.4 would not take.
    assert_eq!(diags.list.len(), 3);
}

#[test]
fn debians_stock_file_builds_without_a_word() {
    let text = "
global
	log /dev/log	local0
	log /dev/log	local1 notice
	chroot /var/lib/haproxy
	stats socket /run/haproxy/admin.sock mode 660 level admin
	stats timeout 30s
	user haproxy
	group haproxy
	daemon
	ca-base /etc/ssl/certs
	crt-base /etc/ssl/private
        ssl-default-bind-ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256
        ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384
        ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
defaults
	log	global
	mode	http
	option	httplog
	option	dontlognull
        timeout connect 5000
        timeout client  50000
        timeout server  50000
";
    let (built, diags) = build_text(text);
    assert!(diags.list.is_empty(), "{:?}", messages(&diags));
    let global = built.expect("built").config.global;
    assert_eq!((global.logs.len(), global.stats_sockets.len(), global.tls.len()), (2, 1, 5));
    assert_eq!(
        (global.daemon, global.stats_timeout_ms, global.stats_sockets[0].mode),
        (true, 30_000, Some(0o660))
    );
}

#[test]
fn proxies_take_what_their_defaults_give() {
    let text = "
defaults one
    mode http
    timeout client 1s
    timeout connect 2s
    option dontlognull
    maxconn 100
defaults two from one
    timeout client 5s
    no option dontlognull
frontend a from one
    bind :1
frontend b from two
    bind :2
    mode tcp
listen c from two
    bind :3
    id 2
";
    let (built, diags) = build_text(text);
    assert!(diags.list.is_empty(), "{:?}", messages(&diags));
    let config = built.expect("built").config;
    let view: Vec<_> = config
        .proxies
        .iter()
        .map(|p| (&*p.name, p.uid, p.mode, p.timeouts.client, p.options.dontlognull, p.maxconn))
        .collect();
    assert_eq!(
        view,
        [
            ("a", 3, Mode::Http, 1000, true, 100),
            ("b", 4, Mode::Tcp, 5000, false, 100),
            ("c", 2, Mode::Http, 5000, false, 100),
        ]
    );
}

#[test]
fn switching_names_are_resolved() {
    let text = "
defaults
    mode http
    timeout client 1s
frontend f
    bind :1
    use_backend two if TRUE
    default_backend one
backend one
backend two
";
    let (built, diags) = build_text(text);
    assert!(diags.list.is_empty(), "{:?}", messages(&diags));
    let config = built.expect("built").config;
    let front = config.proxies[0].front.as_ref().expect("frontend");
    assert_eq!(front.default_backend, Some(ProxyId(1)));
    assert!(front.switching.iter().all(|s| matches!(s.target, SwitchTarget::Backend(ProxyId(2)))));
    assert_eq!(config.proxies[1].back.as_ref().expect("backend").fullconn, 100);
}

/// Every example in the tables is one line that is accepted where it belongs.
#[test]
fn examples_are_accepted() {
    let mut wrong = Vec::new();
    for (context, entry) in entries() {
        if matches!(entry.status, Status::Refused(_)) {
            continue;
        }
        let name = entry.name;
        assert!(!entry.doc.is_empty() && entry.example.contains(name), "{context:?} {name}");
        let head = match context {
            Kind::Global => format!("global\n {}\n", entry.example),
            Kind::Section => format!("{}\n", entry.example),
            _ => format!(
                "http-errors site\ndefaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n\
                 listen main\n mode http\n bind :1\n server s1 127.0.0.1:80\n{}\n\
                 backend app\n backend other\n server s 127.0.0.1:80 check\n",
                if entry.example.starts_with("stats socket") {
                    format!("global\n {}", entry.example)
                } else {
                    format!(" {}", entry.example.replace("server s1 127", "server s9 127"))
                }
            ),
        };
        // Files that examples name need not exist here.
        let file_is_missing = |m: &str| m.contains("No such file");
        let (_, diags) = build_text(&head);
        let alerts: Vec<_> = diags.list.iter().filter(|d| d.severity == Severity::Alert).collect();
        if !alerts.iter().all(|d| file_is_missing(&d.message)) {
            wrong.push(format!("{context:?} {name}: {:?}", messages(&diags)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn refused_keywords_say_why() {
    for (context, entry) in entries() {
        let Status::Refused(why) = entry.status else { continue };
        let line = match context {
            Kind::Global => format!("global\n {}\n", entry.name),
            Kind::Section => format!("{} x\n", entry.name),
            Kind::Proxy => format!("listen l\n {} x\n", entry.name),
            Kind::Option => format!("listen l\n option {}\n", entry.name),
            Kind::Bind => format!("listen l\n bind :1 {} x\n", entry.name),
            _ => format!("listen l\n server s 1.2.3.4:1 {} x\n", entry.name),
        };
        let (built, diags) = build_text(&line);
        assert!(built.is_none(), "{line}");
        let all = messages(&diags);
        let first = entry.name.split(' ').next().unwrap_or(entry.name);
        assert!(all.iter().any(|m| m.contains(first) && m.contains("support")), "{line}{all:?}");
        // Of several words, the first may say it for all.
        let is_sub = first != entry.name;
        assert!(is_sub || entry.name == "process" || all.iter().any(|m| m.contains(why)), "{line}{all:?}");
    }
}

/// HAProxy's whole vocabulary of these sections has an answer, and a reason where the answer is no.
#[test]
fn no_word_of_haproxy_is_unknown() {
    let ours: Vec<(Kind, &str)> = entries().map(|(kind, e)| (kind, e.name)).collect();
    let kinds = [Kind::Section, Kind::Global, Kind::Proxy, Kind::Option, Kind::Bind, Kind::Server];
    let mut missing = Vec::new();
    for list in crate::config::vocabulary::ALL.iter().filter(|v| kinds.contains(&v.kind)) {
        let is_ours = |name: &str| ours.iter().any(|(k, n)| *k == list.kind && *n == name);
        missing.extend(list.words.iter().filter(|w| !is_ours(w.name)).map(|w| (list.kind, w.name)));
    }
    assert_eq!(missing, []);
}

mod verdict;

mod reload {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use crate::config::Config;
    use crate::config::build::testing::{build_on, build_text};
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
        let spec =
            ServerSpec::new("extra", 3, "10.0.0.7:80".parse().map(crate::model::Address::Inet).unwrap());
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
}
