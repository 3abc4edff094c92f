//! What the control plane does to running traffic: observed errors, sessions and frontends shut down, moved servers,
//! slow starts, metrics.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::support::client::get;
use crate::support::place::wait_until;
use crate::support::{Client, Origin, Proxy, Step, origin};

const PATIENCE: Duration = Duration::from_secs(10);

const HTTP: &str = "
global
    nbthread 2
    stats socket {dir}/cli level admin
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
";

/// One command to a socket of the runtime API.
fn tell(socket: &Path, command: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("the socket of the runtime API");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(format!("{command}\n").as_bytes()).expect("send");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn cli(proxy: &Proxy, command: &str) -> String {
    tell(&proxy.dir().join("cli"), command)
}

/// A column of `show stat` by the names of proxy and server.
fn stat(proxy: &Proxy, row: &str, column: &str) -> String {
    let text = cli(proxy, "show stat");
    let names: Vec<&str> = text.lines().next().unwrap_or("").trim_start_matches("# ").split(',').collect();
    let at = names.iter().position(|n| *n == column).expect("a column");
    let line = text.lines().find(|l| l.starts_with(&format!("{row},"))).expect("a row");
    line.split(',').nth(at).unwrap_or("").to_string()
}

#[test]
fn observed_errors_mark_a_server_down() {
    let config = format!(
        "{HTTP}
listen web
    bind {{ip}}:{{port:web}}
    server s1 {{s1}} check inter 1h observe layer7 error-limit 3 on-error mark-down
"
    );
    let origin = Origin::canned("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
    let proxy = Proxy::on(&config).with("s1", origin.addr()).start();
    assert_eq!(stat(&proxy, "web,s1", "status"), "UP");
    for _ in 0..3 {
        assert_eq!(get(proxy.addr("web"), "/").status(), 500);
    }
    assert!(wait_until(PATIENCE, || stat(&proxy, "web,s1", "status") == "DOWN"));
    assert_eq!(get(proxy.addr("web"), "/").status(), 503);
}

#[test]
fn refused_connections_are_observed() {
    let config = format!(
        "{HTTP}
listen tcp
    mode tcp
    bind {{ip}}:{{port:tcp}}
    retries 0
    server s1 {{dead}} check inter 1h observe layer4 error-limit 2 on-error mark-down
"
    );
    let proxy = Proxy::on(&config).with("dead", crate::support::place::dead()).start();
    for _ in 0..2 {
        Client::connect(proxy.addr("tcp")).rest();
    }
    assert!(wait_until(PATIENCE, || stat(&proxy, "tcp,s1", "status") == "DOWN"));
}

/// An origin that answers some and never the rest.
fn endless() -> Origin {
    Origin::serve(|_| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nthe beginning";
        vec![Step::Send(head.into()), Step::Hang]
    })
}

#[test]
fn sessions_of_a_server_are_shut_down() {
    let config = format!(
        "{HTTP}
listen web
    bind {{ip}}:{{port:web}}
    log {{log}} local0
    option httplog
    server s1 {{s1}}
listen tcp
    mode tcp
    bind {{ip}}:{{port:tcp}}
    log {{log}} local0
    option tcplog
    server s1 {{s1}}
"
    );
    let (origin, log) = (endless(), crate::support::LogSink::start());
    let proxy = Proxy::on(&config).with("s1", origin.addr()).with("log", log.addr()).start();
    for name in ["web", "tcp"] {
        let mut client = Client::connect(proxy.addr(name));
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(wait_until(PATIENCE, || stat(&proxy, &format!("{name},s1"), "scur") == "1"));
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(cli(&proxy, &format!("shutdown sessions server {name}/s1")), "\n");
        let (bytes, _) = client.rest();
        assert!(bytes.ends_with(b"the beginning"), "{name}: {}", String::from_utf8_lossy(&bytes));
        assert!(wait_until(PATIENCE, || stat(&proxy, &format!("{name},s1"), "scur") == "0"));
    }
    let lines = log.wait(2);
    assert!(lines.iter().all(|l| l.contains(" KD")), "{lines:?}");
}

#[test]
fn a_server_marked_down_loses_its_sessions() {
    let config = format!(
        "{HTTP}
listen web
    bind {{ip}}:{{port:web}}
    server s1 {{s1}} check inter 1h on-marked-down shutdown-sessions
"
    );
    let origin = endless();
    let proxy = Proxy::on(&config).with("s1", origin.addr()).start();
    let mut client = Client::connect(proxy.addr("web"));
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(wait_until(PATIENCE, || stat(&proxy, "web,s1", "scur") == "1"));
    std::thread::sleep(Duration::from_millis(300));
    cli(&proxy, "set server web/s1 health down");
    assert!(client.rest().0.ends_with(b"the beginning"));
}

#[test]
fn a_frontend_is_shut_down_for_good() {
    let config = format!(
        "{HTTP}
frontend one
    bind {{ip}}:{{port:one}}
    http-request return status 200
frontend two
    bind {{ip}}:{{port:two}}
    http-request return status 200
"
    );
    let proxy = Proxy::on(&config).start();
    assert_eq!(get(proxy.addr("one"), "/").status(), 200);
    assert_eq!(cli(&proxy, "shutdown frontend one"), "\n");
    assert!(wait_until(PATIENCE, || Client::try_connect(proxy.addr("one")).is_none()));
    assert_eq!(get(proxy.addr("two"), "/").status(), 200);
    assert_eq!(stat(&proxy, "one,FRONTEND", "status"), "STOP");
}

/// Idle connections lead to the old address.
#[test]
fn a_server_that_moved_is_reached_at_its_new_address() {
    let config = format!(
        "{HTTP}
listen web
    bind {{ip}}:{{port:web}}
    http-reuse always
    server s1 {{s1}}
"
    );
    let (old, new) = (Origin::named("old"), Origin::named("new"));
    let proxy = Proxy::on(&config).with("s1", old.addr()).start();
    let mut client = Client::connect(proxy.addr("web"));
    let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(client.ask(request).body, b"old");
    assert_eq!(client.ask(request).body, b"old");
    assert_eq!(old.accepted(), 1, "the idle connection was used again");
    let command = format!("set server web/s1 addr {} port {}", new.addr().ip(), new.addr().port());
    assert!(cli(&proxy, &command).contains("port changed"));
    assert_eq!(client.ask(request).body, b"new");
}

#[test]
fn a_slow_start_goes_on_and_ends() {
    let config = format!(
        "{HTTP}
listen web
    bind {{ip}}:{{port:web}}
    balance roundrobin
    server s1 {{s1}} slowstart 3s weight 100
    server s2 {{s1}} weight 100
"
    );
    let origin = Origin::named("x");
    let proxy = Proxy::on(&config).with("s1", origin.addr()).start();
    cli(&proxy, "disable server web/s1");
    cli(&proxy, "enable server web/s1");
    let throttle = || stat(&proxy, "web,s1", "throttle").trim_end_matches('%').parse::<u32>();
    assert!(throttle().is_ok_and(|percent| percent < 100));
    assert!(wait_until(PATIENCE, || throttle().map_or(true, |percent| percent == 100)));
    // The balancer knows it too: about half of the requests come again.
    let before: u32 = stat(&proxy, "web,s1", "stot").parse().unwrap();
    (0..40).for_each(|_| assert_eq!(get(proxy.addr("web"), "/").status(), 200));
    let share = stat(&proxy, "web,s1", "stot").parse::<u32>().unwrap() - before;
    assert!((16..=24).contains(&share), "{share} of 40");
}

#[test]
fn an_enabled_check_runs_at_once() {
    let config = format!(
        "{HTTP}
listen web
    bind {{ip}}:{{port:web}}
    server s1 {{s1}} check inter 1s fall 1
"
    );
    let mut origin = Origin::named("x");
    let proxy = Proxy::on(&config).with("s1", origin.addr()).start();
    assert!(wait_until(PATIENCE, || stat(&proxy, "web,s1", "check_status") == "L4OK"));
    cli(&proxy, "disable health web/s1");
    origin.kill();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(stat(&proxy, "web,s1", "status"), "no check");
    assert_eq!(cli(&proxy, "enable health web/s1"), "\n");
    assert!(wait_until(PATIENCE, || stat(&proxy, "web,s1", "status") == "DOWN"));
}

#[test]
fn metrics_pass_promtool() {
    let config = format!(
        "{HTTP}
frontend web
    bind {{ip}}:{{port:web}}
    http-request use-service prometheus-exporter if {{ path /metrics }}
    default_backend be
backend be
    server s1 {{s1}} check
"
    );
    let origin = Origin::named("x");
    let proxy = Proxy::on(&config).with("s1", origin.addr()).start();
    assert_eq!(get(proxy.addr("web"), "/").status(), 200);
    let text = String::from_utf8(get(proxy.addr("web"), "/metrics").body).expect("text");
    for line in ["isobar_workers 2\n", "isobar_config_generation 1\n", "isobar_checks 1\n"] {
        assert!(text.contains(line), "{line} is missing");
    }
    assert!(text.contains("isobar_config_swaps_total{outcome=\"applied\"} 0\n"));
    assert!(text.contains("isobar_opener_requests_total{kind=\"open\"} "));
    if !crate::support::program::installed("promtool") {
        return crate::support::program::skipped("metrics", "promtool is not installed");
    }
    let mut child = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("promtool");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("write");
    let output = child.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    // HAProxy's own names are as they are; ours have no excuse.
    assert!(!said.contains("isobar_") && !said.contains("error while linting"), "{said}");
}

#[test]
fn figures_of_the_process_are_real() {
    let config = format!(
        "{HTTP}
listen web
    bind {{ip}}:{{port:web}}
    server s1 {{s1}}
"
    );
    let origin =
        Origin::canned(format!("HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n{}", "b".repeat(900_000)));
    let proxy = Proxy::on(&config).with("s1", origin.addr()).start();
    let _idle = Client::connect(proxy.addr("web"));
    assert_eq!(get(proxy.addr("web"), "/").body.len(), 900_000);
    let figure = |name: &str| {
        let text = cli(&proxy, "show info");
        let line = text.lines().find_map(|l| l.strip_prefix(&format!("{name}: "))).expect("a field");
        line.parse::<u64>().expect("a number")
    };
    assert!(wait_until(PATIENCE, || figure("Tasks") > 0));
    assert_eq!(figure("Listeners"), 2);
    assert_eq!(figure("Jobs"), 3, "two listeners, one client");
    assert!(figure("TotalSplicedBytesOut") > 100_000);
    assert!((1..=100).contains(&figure("Idle_pct")));
}

/// `minconn` needs a `fullconn`, which follows from a `maxconn` that nobody has set.
#[test]
fn a_fullconn_that_is_not_said_follows_from_the_connections() {
    let config = format!(
        "{HTTP}
listen web
    bind {{ip}}:{{port:web}}
    server s1 {{s1}} minconn 1 maxconn 4
"
    );
    let origin =
        Origin::serve(|_| vec![Step::Sleep(Duration::from_millis(400)), Step::Send(origin::ok("x").into())]);
    let proxy = Proxy::on(&config).with("s1", origin.addr()).start();
    let (addr, start) = (proxy.addr("web"), std::time::Instant::now());
    let asking: Vec<_> = (0..4).map(|_| std::thread::spawn(move || get(addr, "/").status())).collect();
    assert!(asking.into_iter().all(|t| t.join().expect("a status") == 200));
    // Far from fullconn, minconn is the limit: one after the other.
    assert!(start.elapsed() >= Duration::from_millis(1600));
}

#[test]
fn the_process_takes_so_many_connections_a_second() {
    let config = format!(
        "{}
frontend web
    bind {{ip}}:{{port:web}}
    http-request return status 200
",
        HTTP.replace("nbthread 2", "nbthread 2\n    maxconnrate 5")
    );
    let proxy = Proxy::on(&config).start();
    let start = std::time::Instant::now();
    (0..12).for_each(|_| assert_eq!(get(proxy.addr("web"), "/").status(), 200));
    assert!(start.elapsed() > Duration::from_millis(700), "{:?}", start.elapsed());
}

#[test]
fn connections_to_servers_leave_by_an_interface() {
    let config = format!(
        "{HTTP}
frontend web
    bind {{ip}}:{{port:web}}
    use_backend good if {{ path /good }}
    default_backend bad
backend good
    source 0.0.0.0 interface lo
    server s1 {{s1}}
backend bad
    retries 0
    server s1 {{s1}} source 0.0.0.0 interface nosuch0
"
    );
    let origin = Origin::named("x");
    let proxy = Proxy::on(&config).with("s1", origin.addr()).start();
    assert_eq!(get(proxy.addr("web"), "/good").status(), 200);
    assert_eq!(get(proxy.addr("web"), "/bad").status(), 503);
}

#[test]
fn the_page_has_rules_of_its_own() {
    let config = format!(
        "{HTTP}
listen web
    bind {{ip}}:{{port:web}}
    stats uri /page
    stats http-request deny unless {{ req.hdr(x-key) open }}
    server s1 {{s1}}
"
    );
    let origin = Origin::named("x");
    let proxy = Proxy::on(&config).with("s1", origin.addr()).start();
    assert_eq!(get(proxy.addr("web"), "/page").status(), 403);
    assert_eq!(get(proxy.addr("web"), "/other").status(), 200);
    let request = "GET /page HTTP/1.1\r\nHost: x\r\nX-Key: open\r\n\r\n";
    assert_eq!(Client::connect(proxy.addr("web")).ask(request).status(), 200);
}

/// Who connects to a listener that was taken away by a reload must hear so.
#[test]
fn a_reload_closes_the_listeners_that_are_gone() {
    let config = format!(
        "{HTTP}
frontend one
    bind {{ip}}:{{port:one}}
    http-request return status 200
frontend two
    bind {{ip}}:{{port:two}}
    http-request return status 200
"
    );
    let place = tempfile::tempdir().expect("a directory");
    let master = place.path().join("master");
    let proxy = Proxy::on(&config).arg("-W").arg("-S").arg(&master.display().to_string()).start();
    assert_eq!(get(proxy.addr("one"), "/").status(), 200);
    let file = proxy.dir().join("haproxy.cfg");
    let text = std::fs::read_to_string(&file).expect("the configuration");
    let (before, rest) = text.split_once("frontend one").expect("a section");
    let (_, after) = rest.split_once("frontend two").expect("a section");
    std::fs::write(&file, format!("{before}frontend two{after}")).expect("write");
    let answer = tell(&master, "reload");
    assert!(answer.starts_with("Success=1\n--\n"), "{answer}");
    assert!(wait_until(PATIENCE, || Client::try_connect(proxy.addr("one")).is_none()));
    assert_eq!(get(proxy.addr("two"), "/").status(), 200);
    std::fs::write(&file, "nonsense\n").expect("write");
    let answer = tell(&master, "reload");
    assert!(answer.starts_with("Success=0\n--\n") && answer.contains("nonsense"), "{answer}");
}

/// `-dC` shows what was understood.
#[test]
fn the_configuration_is_shown_as_it_was_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("a.cfg");
    let text = "global # not this\n.if !defined(NO)\n  maxconn \"10\"\n.endif\nfrontend a\n mode http\n timeout client 1s\n bind :1\n";
    std::fs::write(&file, text).expect("write");
    let run = |flag: &str| {
        let mut command = std::process::Command::new(crate::support::program::under_test());
        let output = command.args([flag, "-c", "-f"]).arg(&file).output().expect("it runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(
        run("-dC"),
        "global \n\tmaxconn 10 \nfrontend a \n\tmode http \n\ttimeout client 1s \n\tbind :1 \n"
    );
    assert!(run("-dCline").starts_with("1\tglobal \n3\t\tmaxconn 10 \n"));
    assert!(run("-dC7").ends_with("frontend [...] \n\tmode [...] \n\ttimeout [...] \n\tbind [...] \n"));
}

/// Health checks of a server that wants PROXY headers carry one too.
#[test]
fn checks_begin_as_traffic_does() {
    let config = format!(
        "{HTTP}
listen web
    bind {{ip}}:{{port:web}}
    server s1 {{proxied}} send-proxy check inter 300ms fall 1 rise 1
listen inner
    bind {{ip}}:{{port:inner}} accept-proxy
    server s1 {{s1}}
"
    );
    let port = crate::support::place::free_port();
    let origin = Origin::named("x");
    let inner = format!("{}:{port}", crate::support::place::address());
    let proxy =
        Proxy::on(&config).port("inner", port).with("proxied", inner).with("s1", origin.addr()).start();
    assert!(wait_until(PATIENCE, || stat(&proxy, "web,s1", "check_status") == "L4OK"));
    assert_eq!(get(proxy.addr("web"), "/").body, b"x");
    assert_eq!(stat(&proxy, "inner,s1", "stot"), "1");
}

#[test]
fn the_packet_that_began_a_connection_is_kept() {
    let proxy = Proxy::on(
        "
defaults
    mode http
    timeout client 5s
frontend fe
    bind {ip}:{port:fe} tcp-ss 1
    bind {ip}:{port:other}
    http-request return status 200 content-type text/plain lf-string \"%[fc_saved_syn,ip.ver] %[fc_rtt(us),bool] %[src_is_local]\"
",
    )
    .start();
    for (port, expected) in [("fe", "4 1 1"), ("other", " 1 1")] {
        let mut client = Client::connect(proxy.addr(port));
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.response_to("GET").expect("an answer").body_text(), expected);
    }
}

/// A line tells the time of where the machine stands, though a program that is confined cannot look that up any more.
#[test]
fn a_confined_program_knows_its_time_zone() {
    if !crate::support::program::is_root() {
        return crate::support::program::skipped("chroot", "not root");
    }
    let config = "
global
    chroot {dir}
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
listen web
    bind {ip}:{port:web}
    log {log} local0
    log-format \"%Tl\"
    http-request return status 200
";
    let log = crate::support::LogSink::start();
    let proxy = Proxy::on(config).with("log", log.addr()).env("TZ", "Asia/Tokyo").start();
    assert_eq!(get(proxy.addr("web"), "/").status(), 200);
    let lines = log.wait(1);
    assert!(lines[0].trim_end().ends_with(" +0900"), "{lines:?}");
}
