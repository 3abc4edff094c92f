//! Checks against real listeners, what they do to servers, and the configuration's lines.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::probe::{Situation, probe};
use super::*;
use crate::balance::{Method, Spec, build};
use crate::base::{Live, clock};
use crate::lang::Severity;
use crate::model::{
    Address, AdminState, OperState, Pick, ProxyLive, Seen, Server, ServerLive, ServerSet, ServerSpec,
};

/// Keeps what is said.
#[derive(Default)]
struct Lines(Mutex<Vec<(Severity, u8, String)>>);

impl Lines {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
            .into_iter()
            .map(|(_, level, text)| format!("<{level}>{text}"))
            .collect()
    }
}

impl Hooks for Lines {
    fn line(&self, _backend: &str, severity: Severity, level: u8, screen: &str, log: &str) {
        assert!(screen == log || severity == Severity::Alert);
        self.0.lock().unwrap().push((severity, level, log.to_owned()));
    }

    fn node(&self) -> String {
        "n1".to_owned()
    }
}

struct Farm {
    servers: Arc<Live<ServerSet>>,
    proxy: Arc<ProxyLive>,
    lines: Arc<Lines>,
}

impl Farm {
    fn new(specs: Vec<ServerSpec>) -> Farm {
        let list: Vec<Server> = specs
            .into_iter()
            .map(|mut spec| {
                spec.has_check = true;
                let live = Arc::new(ServerLive::new(&spec, 1, clock::now_ms()));
                Server { spec: Arc::new(spec), live }
            })
            .collect();
        let balancer = build(&Spec::new(Method::RoundRobin), &list, clock::now_ms());
        let servers = Arc::new(Live::new(ServerSet { list, balancer }));
        Farm { servers, proxy: Arc::new(ProxyLive::new(1)), lines: Arc::new(Lines::default()) }
    }

    fn member(&self, i: usize, check: &CheckSpec) -> Member {
        Member {
            backend: "be".into(),
            kind: "backend",
            proxy: self.proxy.clone(),
            servers: self.servers.clone(),
            server: self.server(i),
            check: Some(Arc::new(check.clone())),
            hooks: self.lines.clone(),
        }
    }

    fn server(&self, i: usize) -> Server {
        self.servers.with(|set| set.list[i].clone())
    }

    fn start(&self, check: &CheckSpec) -> Checks {
        let members = (0..self.servers.with(|s| s.list.len())).map(|i| self.member(i, check)).collect();
        Checks::start(members, &Settings::default(), Checks::default())
    }

    async fn until(&self, what: &str, ready: impl Fn(&Farm) -> bool) {
        for _ in 0..500 {
            if ready(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}; said {:?}", self.lines.take());
    }
}

fn spec_at(name: &str, id: u32, address: std::net::SocketAddr) -> ServerSpec {
    ServerSpec::new(name, id, Address::Inet(address))
}

/// What a listener does with its clients; changed while it runs.
type Reply = Arc<Mutex<&'static [u8]>>;

const HANG: &[u8] = b"hang";
const RESET: &[u8] = b"reset";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-Test: a,b\r\n\r\nhello world";
const ERROR: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
const MISSING: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

async fn listen(reply: &'static [u8]) -> (std::net::SocketAddr, Reply) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let reply: Reply = Arc::new(Mutex::new(reply));
    let shared = reply.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let shared = shared.clone();
            tokio::spawn(async move {
                let mut request = [0; 1024];
                let _ = client.read(&mut request).await;
                let reply = *shared.lock().unwrap();
                if reply == HANG {
                    tokio::time::sleep(Duration::from_secs(20)).await;
                } else if reply == RESET {
                    let _ = client.set_zero_linger();
                } else {
                    let _ = client.write_all(reply).await;
                }
            });
        }
    });
    (address, reply)
}

/// An address where nobody listens.
async fn closed() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn rules(lines: &[&str]) -> Rules {
    let mut rules = Rules::default();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        match (words[0], words[1]) {
            ("option", "httpchk") => drop(rules.option_httpchk(&words[2..]).unwrap()),
            ("option", _) => rules.option_tcp_check(),
            ("http-check", _) => rules.http_check(&words[1..]).unwrap(),
            _ => rules.tcp_check(&words[1..]).unwrap(),
        }
    }
    rules
}

fn check(lines: &[&str]) -> CheckSpec {
    let mut spec = CheckSpec { inter_ms: 300, timeout_check_ms: 200, ..CheckSpec::default() };
    rules(lines).finish(&mut spec);
    spec
}

async fn find(spec: &CheckSpec, address: std::net::SocketAddr) -> String {
    let address = Address::Inet(address);
    let situation = Situation { address: &address, is_up: true, state: None };
    let finding = probe(spec, &situation).await;
    assert!(finding.duration_ms.is_some());
    format!("{} {} {}", finding.status.code(), finding.number.unwrap_or(0), finding.info)
        .trim_end()
        .to_owned()
}

#[tokio::test]
async fn connections() {
    let (up, _) = listen(OK).await;
    let nobody = closed().await;
    assert_eq!(find(&check(&[]), up).await, "L4OK 0");
    assert_eq!(find(&check(&["option tcp-check"]), up).await, "L4OK 0");
    let refused = "L4CON 0 ECONNREFUSED returned by OS (Connection refused)";
    assert_eq!(find(&check(&[]), nobody).await, refused);
    let at_start = format!("{refused} at initial connection step of tcp-check");
    assert_eq!(find(&check(&["option tcp-check"]), nobody).await, at_start);
    let elsewhere = CheckSpec { port: Some(up.port()), ..check(&[]) };
    assert_eq!(find(&elsewhere, nobody).await, "L4OK 0");
}

#[tokio::test]
async fn a_silent_listener_times_out_at_layer_4() {
    // A backlog that is full drops what comes after.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(
            tokio::time::timeout(Duration::from_millis(50), tokio::net::TcpStream::connect(address)).await,
        );
    }
    let spec = CheckSpec { inter_ms: 100, ..check(&[]) };
    assert_eq!(find(&spec, address).await, "L4TOUT 0");
}

#[tokio::test]
async fn http_answers_are_judged_as_by_haproxy() {
    let (address, reply) = listen(OK).await;
    for (lines, answer, found) in [
        ("", OK, "L7OK 200"),
        ("", b"HTTP/1.0 302 Found\r\n\r\n", "L7OK 302"),
        ("", ERROR, "L7STS 500 Internal Server Error"),
        ("", MISSING, "L7STS 404 Not Found"),
        ("", HANG, "L7TOUT 0"),
        ("", RESET, "SOCKERR 0 ECONNRESET returned by OS (Connection reset by peer)"),
        ("", b"", "L7RSP 0 TCPCHK got an empty response at step 2"),
        ("", b"garbage\r\n\r\n", "L7RSP 0 TCPCHK got an empty response at step 2"),
        ("", b"HTTP/1.1 200 OK\r\nContent-Le", "L7RSP 0 TCPCHK got an empty response at step 2"),
        ("", b"HTTP/1.1 503\r\n\r\n", "L7STS 503 TCPCHK did not match content(status codes) at step 2"),
        ("disable-on-404", MISSING, "L7OKC 404"),
        ("expect status 200,300-310", OK, "L7OK 200"),
        ("expect ! status 200", OK, "L7STS 200 OK"),
        ("expect !status 500", OK, "L7OK 200"),
        ("expect rstatus ^5", OK, "L7STS 200 OK"),
        ("expect ! rstatus ^5", ERROR, "L7STS 500 Internal Server Error"),
        ("expect string hello", OK, "L7OK 200"),
        ("expect string nothere", OK, "L7RSP 200 HTTP content check did not match"),
        ("expect ! string hello", OK, "L7RSP 200 HTTP check matched unwanted content"),
        ("expect rstring wor.d$", OK, "L7OK 200"),
        ("expect string x", ERROR, "L7RSP 500 HTTP content check could not find a response body"),
        ("expect string x", b"HTTP/1.0 200 OK\r\n\r\naxb", "L7OK 200"),
        ("expect string x", HANG, "L7TOUT 0"),
        ("expect tout-status L4TOUT string x", HANG, "L4TOUT 0"),
        ("expect hdr name x-test value b", OK, "L7OK 200"),
        ("expect fhdr name x-test value b", OK, "L7STS 200 OK"),
        ("expect hdr name -m beg X-T value -m reg ^[ab]$", OK, "L7OK 200"),
        ("expect ! hdr name x-none", OK, "L7OK 200"),
        ("expect comment why string zz", OK, "L7RSP 200 HTTP content check did not match comment: why"),
        ("expect error-status L7STS on-error oops string zz", OK, "L7STS 200 oops"),
        ("expect on-success fine ok-status L7OKC status 200", OK, "L7OKC 200 fine"),
    ] {
        *reply.lock().unwrap() = answer;
        let mut lines = vec![format!("http-check {lines}")];
        lines.retain(|l| l != "http-check ");
        let mut all = vec!["option httpchk"];
        all.extend(lines.iter().map(String::as_str));
        // The implicit step 2 when nothing is expected.
        assert_eq!(find(&check(&all), address).await, found, "{lines:?} {}", answer.escape_ascii());
    }
}

#[tokio::test]
async fn a_slow_answer_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            for part in OK.chunks(9) {
                client.write_all(part).await.unwrap();
                client.flush().await.unwrap();
                tokio::time::sleep(Duration::from_millis(4)).await;
            }
        }
    });
    assert_eq!(
        find(&check(&["option httpchk", "http-check expect rstring world$"]), address).await,
        "L7OK 200"
    );
}

#[tokio::test]
async fn tcp_steps() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let _ = client.write_all(b"+OK ready\r\n").await;
            let mut line = [0; 6];
            if client.read_exact(&mut line).await.is_ok() && &line == b"PING\r\n" {
                let _ = client.write_all(b"+PONG\r\n").await;
            }
        }
    });
    let talk =
        ["option tcp-check", "tcp-check connect", "tcp-check expect string +OK", "tcp-check send PING\r\n"];
    let with = |line: &'static str| [&talk[..], &[line]].concat();
    assert_eq!(find(&check(&with("tcp-check expect rstring ^.PONG")), address).await, "L7OK 0 (tcp-check)");
    assert_eq!(
        find(&check(&with("tcp-check expect binary 2b504f4e47")), address).await,
        "L7OK 0 (tcp-check)"
    );
    assert_eq!(
        find(&check(&with("tcp-check expect string NO")), address).await,
        "L7RSP 0 TCPCHK did not match content 'NO' at step 4"
    );
    assert_eq!(
        find(&check(&with("tcp-check expect ! string PONG")), address).await,
        "L7RSP 0 TCPCHK matched unwanted content 'PONG' at step 4"
    );
    assert_eq!(find(&check(&talk[..2]), address).await, "L4OK 0 (tcp-check)");
    let silent =
        check(&["option tcp-check", "tcp-check connect", "tcp-check send x", "tcp-check expect string z"]);
    assert_eq!(find(&silent, address).await, "L7TOUT 0  at step 3 of tcp-check (expect string 'z')");
}

#[tokio::test]
async fn a_server_goes_down_and_up_with_haproxys_words() {
    let (address, reply) = listen(OK).await;
    let farm = Farm::new(vec![spec_at("s1", 1, address)]);
    let spec = CheckSpec { inter_ms: 20, fall: 2, ..check(&["option httpchk"]) };
    let _checks = farm.start(&spec);
    let live = farm.server(0).live;
    farm.until("full health", |_| live.health.load(Ordering::Relaxed) == 3).await;
    assert_eq!(farm.lines.take(), Vec::<String>::new());
    *reply.lock().unwrap() = ERROR;
    farm.until("down", |_| live.oper() == OperState::Stopped).await;
    let lines = farm.lines.take();
    assert!(lines[0].starts_with(
        "<1>Server be/s1 is DOWN, reason: Layer7 wrong status, code: 500, info: \"Internal Server Error\", check \
         duration: "
    ));
    assert!(lines[0].ends_with(
        "ms. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."
    ));
    assert_eq!(lines[1], "<0>backend be has no server available!");
    assert_eq!(live.check_failed.load(Ordering::Relaxed), 2);
    assert_eq!(live.down_trans.load(Ordering::Relaxed), 1);
    assert_eq!(farm.proxy.back.down_trans.load(Ordering::Relaxed), 1);
    assert_eq!(farm.servers.with(|s| s.balancer.pick(&s.list, &Pick::default())), None);
    live.check
        .with(|c| assert_eq!((c.status, c.code, &*c.text), ("L7STS", Some(500), "Internal Server Error")));
    *reply.lock().unwrap() = OK;
    farm.until("up", |_| live.oper() == OperState::Running).await;
    let lines = farm.lines.take();
    assert!(
        lines[0]
            .starts_with("<5>Server be/s1 is UP, reason: Layer7 check passed, code: 200, check duration: ")
    );
    assert_eq!(farm.servers.with(|s| s.balancer.pick(&s.list, &Pick::default())), Some(0));
}

#[tokio::test]
async fn log_health_checks_tells_each_change() {
    let farm = Farm::new(vec![spec_at("s1", 1, closed().await)]);
    let spec = CheckSpec { inter_ms: 20, log_health_checks: true, ..check(&[]) };
    let _checks = farm.start(&spec);
    farm.until("down", |f| f.server(0).live.oper() == OperState::Stopped).await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    let lines = farm.lines.take();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(
        lines[0].starts_with(
            "<5>Health check for server be/s1 failed, reason: Layer4 connection problem, info: "
        )
    );
    assert!(lines[0].ends_with("ms, status: 0/2 DOWN."));
    assert!(lines[1].starts_with("<1>Server be/s1 is DOWN. 0 active"));
}

#[tokio::test]
async fn maintenance_pauses_checks_and_says_so() {
    let (address, _) = listen(OK).await;
    let farm = Farm::new(vec![spec_at("s1", 1, address), spec_at("s2", 2, address)]);
    let spec = CheckSpec { inter_ms: 20, ..check(&[]) };
    let checks = farm.start(&spec);
    let live = farm.server(0).live;
    farm.until("full health", |_| live.health.load(Ordering::Relaxed) == 4).await;
    let member = farm.member(0, &spec);
    let now = clock::now_ms();
    member.maintain("", now);
    assert_eq!((live.oper(), live.health.load(Ordering::Relaxed)), (OperState::Stopped, 0));
    tokio::time::sleep(Duration::from_millis(80)).await;
    assert_eq!(live.health.load(Ordering::Relaxed), 0, "not checked");
    member.drain(now);
    assert_eq!(live.admin(), AdminState::FORCED_DRAIN);
    member.ready(now);
    checks.wake("be", "s1");
    farm.until("checked again", |_| live.health.load(Ordering::Relaxed) == 4).await;
    member.drain(now);
    member.maintain("", now);
    member.ready(now);
    let end = "0 sessions active, 0 requeued, 0 remaining in queue.";
    assert_eq!(
        farm.lines.take(),
        [
            &*format!(
                "<1>Server be/s1 is going DOWN for maintenance. 1 active and 0 backup servers left. {end}"
            ),
            "<5>Server be/s1 is UP/DRAIN (leaving forced maintenance).",
            "<5>Server be/s1 remains in forced drain mode.",
            "<5>Server be/s1 is UP (leaving forced drain).",
            "<5>Server be/s1 enters drain state. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.",
            &*format!(
                "<5>Server be/s1 is going DOWN for maintenance. 1 active and 0 backup servers left. {end}"
            ),
            "<5>Server be/s1 is UP/READY (leaving forced maintenance).",
        ]
    );
    assert_eq!(live.down_trans.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn runtime_commands_set_health() {
    let farm = Farm::new(vec![spec_at("s1", 1, closed().await)]);
    let member = farm.member(0, &CheckSpec::default());
    let cause = Cause::Text("changed from CLI".to_owned());
    member.set_stopped(&cause, 5000);
    member.set_stopped(&cause, 6000);
    member.set_running(&cause, 9000);
    member.set_stopping(&cause, 9500);
    let lines = farm.lines.take();
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert!(lines[0].starts_with("<1>Server be/s1 is DOWN, changed from CLI. 0 active"));
    assert!(lines[2].starts_with("<5>Server be/s1 is UP, changed from CLI. 1 active"));
    assert!(lines[3].starts_with("<5>Server be/s1 is stopping, changed from CLI. 0 active"));
    assert_eq!(farm.server(0).live.down_ms.load(Ordering::Relaxed), 4000);
    assert_eq!(farm.proxy.back.down_ms.load(Ordering::Relaxed), 4000);
}

#[tokio::test]
async fn observed_errors_take_a_server_down() {
    let (address, _) = listen(OK).await;
    let farm = Farm::new(vec![spec_at("s1", 1, address)]);
    let spec = CheckSpec {
        inter_ms: 60_000,
        fastinter_ms: 30_000,
        observe: Observe::Layer7,
        on_error: OnError::MarkDown,
        error_limit: 3,
        ..check(&[])
    };
    let checks = farm.start(&spec);
    let live = farm.server(0).live;
    let seen = |what| live.observer.with(|o| o.as_ref().expect("an observer").seen(what));
    [Seen::WrongStatus, Seen::ReadTimeout, Seen::GoodResponse, Seen::Closed, Seen::Connected]
        .into_iter()
        .for_each(seen);
    assert_eq!(live.observed_errors.load(Ordering::Relaxed), 1);
    [Seen::ConnectFailed, Seen::BadHeaders].into_iter().for_each(seen);
    assert_eq!(live.oper(), OperState::Stopped);
    assert!(farm.lines.take()[0].starts_with(
        "<1>Server be/s1 is DOWN, reason: Health analyze, info: \"Detected 3 consecutive errors, last one was: \
         Invalid http response (headers)\". 0 active"
    ));
    drop(checks);
    assert!(live.observer.with(Option::is_none));
}

#[tokio::test]
async fn unchanged_checks_go_on_over_a_restart() {
    let (address, _) = listen(OK).await;
    let farm = Farm::new(vec![spec_at("s1", 1, address), spec_at("s2", 2, address)]);
    let spec = CheckSpec { inter_ms: 20, ..check(&[]) };
    let first = farm.start(&spec);
    let other = CheckSpec { inter_ms: 30, ..spec.clone() };
    let members = vec![farm.member(0, &spec), farm.member(1, &other)];
    let second = Checks::start(members, &Settings::default(), first);
    assert_eq!(second.len(), 2);
    farm.until("both", |f| (0..2).all(|i| f.server(i).live.health.load(Ordering::Relaxed) == 4)).await;
    drop(second);
    farm.server(0).live.health.store(1, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(farm.server(0).live.health.load(Ordering::Relaxed), 1, "stopped");
}

#[tokio::test]
async fn a_server_that_comes_up_starts_slowly() {
    let farm = Farm::new(vec![ServerSpec { slowstart_ms: 10_000, ..spec_at("s1", 1, closed().await) }]);
    let member = farm.member(0, &CheckSpec { slowstart_ms: 10_000, ..CheckSpec::default() });
    member.set_stopped(&Cause::Silent, 50_000);
    member.set_running(&Cause::Silent, 60_000);
    let live = farm.server(0).live;
    assert_eq!(live.oper(), OperState::Starting);
    assert!(farm.servers.with(|s| slowstart_round(s, 65_000)));
    assert!(!farm.servers.with(|s| slowstart_round(s, 70_000)));
    assert_eq!(live.oper(), OperState::Running);
}

#[tokio::test]
async fn checks_begin_with_a_proxy_header_and_the_state() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let farm = Farm::new(vec![spec_at("s1", 1, listener.local_addr().unwrap())]);
    let spec =
        CheckSpec { inter_ms: 500, send_proxy: 1, ..check(&["option httpchk", "http-check send-state"]) };
    let _checks = farm.start(&spec);
    let (mut client, from) = listener.accept().await.unwrap();
    let mut text = [0; 1024];
    let mut n = 0;
    while !text[..n].ends_with(b"\r\n\r\n") {
        n += client.read(&mut text[n..]).await.unwrap();
    }
    let port = listener.local_addr().unwrap().port();
    assert_eq!(
        std::str::from_utf8(&text[..n]).unwrap(),
        format!(
            "PROXY TCP4 127.0.0.1 127.0.0.1 {} {port}\r\nOPTIONS / HTTP/1.0\r\nx-haproxy-server-state: UP 1/3; \
             address=127.0.0.1; port={port}; name=be/s1; node=n1; weight=1/1; scur=0/0; qcur=0\r\n\r\n",
            from.port()
        )
    );
}

#[test]
fn lines_that_are_wrong_say_where() {
    let fault = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let mut rules = rules(&["option httpchk"]);
        let fault = match words[0] {
            "http-check" => rules.http_check(&words[1..]).unwrap_err(),
            _ => rules.tcp_check(&words[1..]).unwrap_err(),
        };
        (fault.word, fault.message)
    };
    assert_eq!(
        fault("http-check expect string a string b"),
        (3, "'http-check expect' : only one pattern expected.".to_owned())
    );
    assert_eq!(
        fault("http-check expect"),
        (0, "'http-check expect' : expects at least a matching pattern as arguments.".to_owned())
    );
    assert_eq!(
        fault("http-check expect status 300-200"),
        (2, "'http-check expect' : invalid range of status codes '300-200'.".to_owned())
    );
    assert_eq!(fault("http-check send hdr a").0, 1);
    assert!(fault("http-check send hdr a %[src]").1.contains("log-format"));
    assert!(fault("http-check expect rstring (").1.contains("regex"));
    assert!(fault("http-check connect ssl").1.contains("not supported"));
    assert!(fault("http-check nope").1.contains("only supports 'disable-on-404'"));
    assert!(fault("tcp-check expect status 200").1.contains("but got 'status'"));
    assert!(fault("tcp-check send-binary 4").1.contains("even number"));
    let mut twice = rules(&["option httpchk", "http-check send uri /"]);
    assert!(twice.http_check(&["send", "uri", "/b"]).unwrap_err().message.contains("missing connect rule"));
}

#[test]
fn packed_headers_of_old_files_are_split_out_with_a_warning() {
    let mut rules = Rules::default();
    let warnings =
        rules.option_httpchk(&["HEAD", "/", "HTTP/1.1\r\nHost:\u{20}localhost\r\nX-A: b"]).unwrap();
    assert_eq!(warnings[0].word, 2);
    let mut spec = CheckSpec::default();
    rules.finish(&mut spec);
    let rule::Action::Send(rule::Send::Http(request)) = &spec.steps[1].action else { panic!() };
    assert_eq!(
        String::from_utf8(request::encode(request, None)).unwrap(),
        "HEAD / HTTP/1.1\r\nhost: localhost\r\nx-a: b\r\nconnection: close\r\n\r\n"
    );
}

#[test]
fn sections_inherit_until_they_say_their_own() {
    let defaults = rules(&["option httpchk GET /a", "http-check expect status 200"]);
    let steps = |rules: &Rules| {
        let mut spec = CheckSpec::default();
        rules.finish(&mut spec);
        spec.steps
    };
    let mut own = defaults.inherit();
    assert_eq!(steps(&own), steps(&defaults));
    own.http_check(&["expect", "string", "x"]).unwrap();
    let steps = steps(&own);
    assert_eq!(steps.len(), 3);
    let rule::Action::Expect(expect) = &steps[2].action else { panic!() };
    assert_eq!(expect.pattern, rule::Match::Body(b"x".to_vec()));
    own.option_tcp_check();
    let mut spec = CheckSpec::default();
    own.finish(&mut spec);
    assert_eq!((spec.protocol, spec.steps.len()), (Protocol::Tcp, 1));
}

#[test]
fn every_example_of_a_backend_keyword_parses() {
    for entry in BACKEND_KEYWORDS {
        let words: Vec<&str> = entry.example.split(' ').collect();
        let refused = matches!(entry.status, crate::lang::Status::Refused(_));
        let result = match words[0] {
            "http-check" => Rules::default().http_check(&words[1..]),
            "tcp-check" => Rules::default().tcp_check(&words[1..]),
            _ => continue,
        };
        assert_eq!(result.is_err(), refused, "{}: {result:?}", entry.example);
    }
}
