//! What options of a server set, and what undoes those of `default-server`.

use crate::check::{CheckSpec, InitState};
use crate::config::compile::testing::{build_text, messages};
use crate::model::{HashKey, ServerSpec};

fn built(defaults: &str, options: &str) -> (ServerSpec, CheckSpec) {
    let text = format!(
        "backend b\n timeout server 1s\n timeout connect 1s\n default-server {defaults}\n server s 10.0.0.1:80 {options}\n"
    );
    let (built, diags) = build_text(&text);
    let config = built.unwrap_or_else(|| panic!("{:?}", messages(&diags))).config;
    let back = config.proxies[0].back.as_ref().expect("a backend");
    let server = back.servers.load().list[0].clone();
    let check = back.checks.first().map(|(_, check)| check.clone()).unwrap_or_default();
    ((*server.spec).clone(), check)
}

type Holds = fn(&ServerSpec, &CheckSpec) -> bool;

#[test]
fn each_option_sets_what_it_is_of() {
    let rows: [(&str, &str, Holds); 13] = [
        ("check", "downinter 3s", |_, c| c.downinter_ms == 3000),
        ("check", "fastinter 4s", |_, c| c.fastinter_ms == 4000),
        ("check", "fall 7", |s, c| c.fall == 7 && s.fall == 7),
        ("check", "rise 8", |s, c| c.rise == 8 && s.rise == 8),
        ("check", "inter 9s", |_, c| c.inter_ms == 9000),
        ("check", "init-state down", |_, c| c.init_state == InitState::Down),
        ("check", "on-marked-up shutdown-backup-sessions", |_, c| c.shutdown_backups_on_up),
        ("check", "check-send-proxy", |_, c| c.send_proxy == 1),
        ("weight 1", "hash-key addr-port", |s, _| s.hash_key == HashKey::AddrPort),
        ("weight 1", "pool-max-conn 5", |s, _| s.pool_max_conn == Some(5)),
        ("weight 1", "pool-purge-delay 6s", |s, _| s.pool_purge_delay_ms == 6000),
        ("weight 1", "maxqueue 7", |s, _| s.maxqueue == 7),
        ("weight 1", "tcp-ut 8s", |s, _| s.tcp_ut_ms == 8000),
    ];
    for (defaults, option, holds) in rows {
        let (spec, check) = built(defaults, "weight 2");
        assert!(!holds(&spec, &check), "{option} without it");
        let (spec, check) = built(defaults, option);
        assert!(holds(&spec, &check), "{option}");
    }
}

#[test]
fn what_default_server_says_can_be_undone() {
    let rows: [(&str, &str, Holds); 6] = [
        ("backup", "no-backup", |s, _| !s.backup),
        ("check", "no-check", |s, _| !s.has_check),
        ("check check-send-proxy", "no-check-send-proxy", |_, c| c.send_proxy == 0),
        ("send-proxy", "no-send-proxy", |s, _| s.send_proxy == 0),
        ("send-proxy-v2", "no-send-proxy-v2", |s, _| s.send_proxy == 0),
        ("disabled", "enabled", |s, _| !s.disabled),
    ];
    for (defaults, option, holds) in rows {
        let (spec, check) = built(defaults, "weight 2");
        assert!(!holds(&spec, &check), "{defaults} alone");
        let (spec, check) = built(defaults, option);
        assert!(holds(&spec, &check), "{option}");
    }
}
