//! Running checks, runtime commands, and what both do to servers.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::farm::*;
use crate::base::clock;
use crate::check::runner::{checked, in_company};
use crate::check::*;
use crate::model::{AdminState, OperState, Pick, Seen, ServerSpec};

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
    let seen = |what| live.seen(what);
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
    seen(Seen::ConnectFailed);
    assert_eq!(live.observed_errors.load(Ordering::Relaxed), 0, "nobody looks any more");
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

/// A check that is given up, here by its server's removal, lets go of its connection at once.
#[tokio::test]
async fn who_stops_checking_leaves_nothing_open() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let farm = Farm::new(vec![spec_at("s1", 1, listener.local_addr().unwrap())]);
    let spec = CheckSpec { inter_ms: 20, timeout_check_ms: 60_000, ..check(&["option httpchk"]) };
    let checks = farm.start(&spec);
    let (mut client, _) = listener.accept().await.unwrap();
    assert!(client.read(&mut [0; 512]).await.unwrap() > 0);
    drop(checks);
    let end = tokio::time::timeout(Duration::from_secs(5), client.read(&mut [0; 1])).await.unwrap();
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
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

#[tokio::test]
async fn neighbours_that_are_checked_alike_share_their_specification() {
    let nobody = closed().await;
    let farm = Farm::new((1..=5).map(|n| spec_at(&format!("s{n}"), n, nobody)).collect());
    let (one, other) = (check(&["option httpchk"]), check(&[]));
    let mut members: Vec<Member> =
        [&one, &one, &other, &one].iter().enumerate().map(|(i, check)| farm.member(i, check)).collect();
    members.insert(2, Member { check: None, ..farm.member(4, &one) });
    let found = checked(members);
    let is_shared: Vec<bool> =
        found.windows(2).map(|two| std::sync::Arc::ptr_eq(&two[0].1, &two[1].1)).collect();
    assert_eq!(is_shared, [true, false, false]);
    for ((member, check), wanted) in found.iter().zip([&one, &one, &other, &one]) {
        assert!(**check == *wanted && std::sync::Arc::ptr_eq(check, member.check.as_ref().unwrap()));
    }
}

#[test]
fn checks_leave_together_but_not_all_at_once() {
    let mut moments = std::collections::BTreeMap::new();
    for offset in machine::start_offsets(&[2000; 10_000], 0) {
        let due = in_company(777_777 + offset, 2000);
        assert!(due.abs_diff(777_777 + offset) <= 5);
        *moments.entry(due).or_insert(0) += 1;
    }
    assert!((200..=201).contains(&moments.len()) && moments.values().all(|n| *n <= 50), "{moments:?}");
    for interval in [1, 20, 399, 400, 1000, 60_000] {
        for due in 10_000..10_050 {
            assert!(
                in_company(due, interval).abs_diff(due) <= (interval / 400).min(5),
                "{due} after {interval}"
            );
        }
    }
}

/// The machine against health counts recorded from a real HAProxy.
#[test]
fn health_counts_are_those_of_haproxy() {
    let mut seen = 0;
    for line in include_str!("../health.txt").lines().filter(|l| !l.starts_with('#')) {
        let (head, recorded) = line.split_once(" | ").unwrap();
        let [rise, fall, spares, answers] = head.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let (rise, fall) = (rise.parse().unwrap(), fall.parse().unwrap());
        let spec = CheckSpec { rise, fall, ..CheckSpec::default() };
        let mut machine = machine::Machine::new(&spec);
        let mut events = Vec::new();
        for answer in answers.split(',') {
            let is_spared = spares == "404" && answer == "404" && machine.oper != OperState::Stopped;
            let status = match answer {
                _ if is_spared => Status::L7OkCond,
                "200" => Status::L7Ok,
                _ => Status::L7Sts,
            };
            let effect = machine.conclude(&spec, status);
            if effect.report {
                let subject = message::Subject { backend: "be", server: "s1", is_backup: false };
                let text = message::check(subject, &Finding::new(status, ""), machine.health, rise, fall, 1);
                let (_, end) = text.split_once("status: ").unwrap();
                events.push(format!("{answer} {}", end.trim_end_matches('.')));
            }
            events.extend(effect.transition.map(|t| format!("{t:?}").to_lowercase()));
        }
        assert_eq!(events.join(", "), recorded, "{head}");
        seen += 1;
    }
    assert_eq!(seen, 14);
}
