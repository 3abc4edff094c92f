//! What options of a server set, and what undoes those of `default-server`.

use crate::check::rule::{Action, Match, Send, Step};
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
    let rows: [(&str, &str, Holds); 18] = [
        ("check", "downinter 3s", |_, c| c.downinter_ms == 3000),
        ("check", "fastinter 4s", |_, c| c.fastinter_ms == 4000),
        ("check", "fall 7", |s, c| c.fall == 7 && s.fall == 7),
        ("check", "rise 8", |s, c| c.rise == 8 && s.rise == 8),
        ("check", "inter 9s", |_, c| c.inter_ms == 9000),
        ("check", "init-state down", |_, c| c.init_state == InitState::Down),
        ("check", "on-marked-up shutdown-backup-sessions", |_, c| c.shutdown_backups_on_up),
        ("check", "check-send-proxy", |_, c| c.send_proxy == 1),
        ("check socks4 10.0.0.9:1080", "check-via-socks4", |_, c| c.via_socks4 && c.socks4.is_some()),
        ("check", "addr 10.0.0.9:81", |_, c| c.addr.is_some() && c.port == Some(81)),
        ("check", "port 82 addr 10.0.0.9:81", |_, c| c.port == Some(82)),
        ("check", "check-proto h2", |_, c| c.h2),
        ("weight 1", "socks4 10.0.0.9:1080", |s, _| s.socks4.is_some()),
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

/// What the lines of a section make of its checks.
fn steps(lines: &[&str]) -> Vec<Step> {
    let text = format!(
        "backend b\n timeout server 1s\n timeout connect 1s\n {}\n server s 10.0.0.1:80 check\n",
        lines.join("\n ")
    );
    let (built, diags) = build_text(&text);
    let config = built.unwrap_or_else(|| panic!("{:?}", messages(&diags))).config;
    config.proxies[0].back.as_ref().map_or_else(Vec::new, |back| back.checks[0].1.steps.clone())
}

#[test]
fn steps_of_checks_are_what_their_lines_say() {
    type Is = fn(&Action) -> bool;
    let is_set: Is = |a| matches!(a, Action::Set(_));
    let goes_to_81: Is = |a| matches!(a, Action::Connect(c) if c.port == Some(81));
    let sends: Is = |a| matches!(a, Action::Send(Send::Bytes(_)));
    let rows: [(&str, &str, Is); 14] = [
        ("httpchk", "http-check set-var(check.a) int(1)", is_set),
        ("httpchk", "http-check set-var-fmt(check.a) x%[int(1)]", is_set),
        ("httpchk", "http-check unset-var(check.a)", is_set),
        ("httpchk", "http-check connect port 81", goes_to_81),
        (
            "httpchk",
            "http-check send meth PUT",
            |a| matches!(a, Action::Send(Send::Http(r)) if r.method.as_deref() == Some("PUT")),
        ),
        (
            "httpchk",
            "http-check expect string x",
            |a| matches!(a, Action::Expect(e) if matches!(e.pattern, Match::Body(_))),
        ),
        ("tcp-check", "tcp-check set-var(check.a) int(1)", is_set),
        ("tcp-check", "tcp-check set-var-fmt(check.a) x", is_set),
        ("tcp-check", "tcp-check unset-var(check.a)", is_set),
        ("tcp-check", "tcp-check connect port 81", goes_to_81),
        ("tcp-check", "tcp-check send-lf x%[be_name]", sends),
        ("tcp-check", "tcp-check send-binary-lf 00", sends),
        ("tcp-check", "tcp-check expect string x", |a| matches!(a, Action::Expect(_))),
        ("spop-check", "", |a| matches!(a, Action::Expect(e) if matches!(e.pattern, Match::Own(_)))),
    ];
    for (option, line, is) in rows {
        let option = format!("option {option}");
        let has = |lines: &[&str]| steps(lines).iter().any(|step| is(&step.action));
        assert!(has(&[&option, line]), "{line}");
        assert!(line.is_empty() || !has(&[&option]), "{line} without it");
    }
}

/// Formats and expressions of checks may name what others of the section may.
#[test]
fn expressions_of_checks_have_to_make_sense() {
    let told = |line: &str| {
        let text = format!("backend b\n timeout server 1s\n timeout connect 1s\n option httpchk\n {line}\n");
        let (built, diags) = build_text(&text);
        (built.is_some(), messages(&diags).join("; "))
    };
    assert!(told("http-check send hdr x-a %[srv_conn(b/s)]").1.contains("unable to find server 's'"));
    assert!(told("http-check set-var(check.a) nope").1.contains("unknown fetch method 'nope'"));
    assert!(told("http-check expect status 200 status-code str(a),nope").1.contains("converter 'nope'"));
    assert!(told("http-check send hdr x-a %[be_name]").0);
}

const TIMES: &str = "defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n";

/// What a server `s` of the first backend is checked with.
fn check_of(text: &str) -> CheckSpec {
    let (built, diags) = build_text(&format!("{TIMES}{text}"));
    let config = built.unwrap_or_else(|| panic!("{:?}", messages(&diags))).config;
    let back = config.proxies[0].back.as_ref().expect("a backend");
    back.checks.first().map(|(_, check)| check.clone()).expect("a check")
}

#[test]
fn a_healthcheck_section_says_what_a_backend_would() {
    for (kind, lines) in [
        ("httpchk GET /x", "http-check send hdr Host a\n http-check expect status 204\n"),
        ("tcp-check", "tcp-check connect port 81\n tcp-check send x\n tcp-check expect string y\n"),
        ("udp-check", "tcp-check send x\n tcp-check expect string y\n"),
        ("redis-check", ""),
        ("smtpchk EHLO a", ""),
    ] {
        let here = check_of(&format!("backend b\n option {kind}\n {lines}server s 10.0.0.1:80 check\n"));
        // The section stands behind, and what the backend says is not for this server.
        let there = check_of(&format!(
            "backend b\n option ssl-hello-chk\n server s 10.0.0.1:80 check healthcheck c\n\
             healthcheck c\n type {kind}\n {lines}"
        ));
        assert_eq!(here, there, "{kind}");
        assert!(here.steps.len() > 1, "{kind}");
    }
    let plain =
        check_of("backend b\n option httpchk\n server s 10.0.0.1:80 check healthcheck c\nhealthcheck c\n");
    assert_eq!(plain, check_of("backend b\n server s 10.0.0.1:80 check\n"));
}

#[test]
fn what_is_wrong_with_healthcheck_sections_is_said() {
    let server = "backend b\n server s 10.0.0.1:80 check healthcheck web\n";
    for (text, message) in [
        ("", "'server b/s' : there is no 'healthcheck' section 'web'."),
        ("healthcheck\n", "'healthcheck' expects a name."),
        ("healthcheck web\n type nonsense\n", "'type' expects a kind of check, not 'nonsense'."),
        ("healthcheck web\n option httpchk\n", "unknown keyword 'option' in 'healthcheck' section"),
        ("healthcheck web\n type httpchk\n http-check foo\n", "only supports 'disable-on-404'"),
        ("healthcheck web\nhealthcheck web\n", "there is a healthcheck 'web' already, at "),
        (
            "healthcheck web\n http-check send\n",
            "has 'http-check' lines without 'type httpchk', so they are ignored.",
        ),
    ] {
        let said = messages(&build_text(&format!("{TIMES}{server}{text}")).1).join("\n");
        assert!(said.contains(message), "{text}: {said}");
    }
}

#[test]
fn programs_that_check_are_named_and_allowed() {
    let allowed = "global\n external-check\n insecure-fork-wanted\n";
    let lines =
        "option external-check\n external-check command /bin/true\n external-check path /bin:/usr/bin\n";
    for (text, expected) in [
        (
            format!("{TIMES}backend b\n option external-check\n"),
            vec![
                "Proxy 'b' : 'option external-check' unable to find required 'global.external-check'.",
                "Proxy 'b' : 'option external-check' unable to find required 'external-check command'.",
                "Proxy 'b' : 'insecure-fork-wanted' not enabled in the global section, 'option external-check' will \
                 likely fail.",
            ],
        ),
        (format!("{allowed}{TIMES}backend b\n {lines}"), vec![]),
        (
            format!("{allowed}{TIMES}backend b\n external-check run x\n"),
            vec!["'external-check' expects 'command' or 'path', not 'run'."],
        ),
        (
            format!("global\n external-check always\n{TIMES}"),
            vec!["'external-check' only supports 'preserve-env', not 'always'."],
        ),
    ] {
        assert_eq!(messages(&build_text(&text).1), expected, "{text}");
    }
    let text = format!(
        "global\n external-check preserve-env\n insecure-fork-wanted\n{TIMES}listen l\n bind 127.0.0.1:81\n id 7\n {lines} \
         server s 10.0.0.1:80 check\n"
    );
    let (built, diags) = build_text(&text);
    let config = built.unwrap_or_else(|| panic!("{:?}", messages(&diags))).config;
    let check = &config.proxies[0].back.as_ref().expect("a backend").checks[0].1;
    let external = check.external.as_ref().expect("a program");
    assert_eq!((&*external.command, &*external.path), ("/bin/true", "/bin:/usr/bin"));
    assert_eq!((&*external.proxy_address, &*external.proxy_port, external.proxy_id), ("127.0.0.1", "81", 7));
    assert!(external.keeps_environment && external.may_fork && !external.is_tls);
}
