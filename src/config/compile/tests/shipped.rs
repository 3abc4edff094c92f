//! Whole files: those that ship, Debian's stock one, and how sections take from each other.

use std::net::SocketAddr;

use crate::config::proxy::SwitchTarget;
use crate::model::{Address, Mode, ProxyId};

use super::super::testing::{build_text, messages};

#[test]
fn job_13_is_what_it_says() {
    let (built, diags) = build_text(include_str!("../../../../conf/job13.cfg"));
    assert!(!diags.has_alerts(), "{:#?}", messages(&diags));
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
    assert_eq!((global.logs.len(), global.stats_sockets.len()), (2, 1));
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
    assert!(front.switching.lines.iter().all(|s| matches!(s.target, SwitchTarget::Backend(ProxyId(2)))));
    assert_eq!(config.proxies[1].back.as_ref().expect("backend").fullconn, 100);
}
