//! Servers that stand as others say: those that track others, those with agents; and requests that keep to servers which
//! are down, or to none.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{sleep, spawn};
use std::time::Duration;

use super::HTTP;
use crate::support::Origin;
use crate::support::differential::{Run, same};
use crate::support::place;

fn head() -> String {
    HTTP.replace(
        "    nbthread 1\n",
        "    nbthread 1\n    maxconn 1000\n    stats socket {dir}/sock level admin\n",
    )
}

fn two() -> Vec<(&'static str, Origin)> {
    vec![("s1", Origin::named("one")), ("s2", Origin::named("two"))]
}

/// Sends a command, and notes the answer and where servers stand then: state, health and limits.
fn command(run: &mut Run, command: &str) {
    let answer = run.cli(command);
    run.note(command, &answer);
    stand(run);
}

fn stand(run: &mut Run) {
    let state = run.cli("show servers state");
    for line in state.lines().skip(2).filter(|line| line.contains(' ')) {
        let cells: Vec<&str> = line.split(' ').collect();
        // One under way has its bit.
        let settled =
            |cell: &str| cell.parse::<u32>().map_or_else(|_| cell.to_owned(), |n| (n & !1).to_string());
        let (check, agent) = (settled(cells[13]), settled(cells[14]));
        let found = [&cells[5..9], &cells[12..13], &[&*check, &*agent][..], &cells[21..25]].concat();
        run.note(cells[3], &found.join(" "));
    }
    run.columns(&[
        "status",
        "weight",
        "slim",
        "agent_status",
        "agent_code",
        "agent_desc",
        "agent_rise",
        "agent_health",
        "agent_fall",
        "last_agt",
        "tracked",
    ]);
}

#[test]
fn who_tracks_follows() {
    let text = format!(
        "{}
frontend fe
    bind {{ip}}:{{port:fe}}
    default_backend b
backend b
    server s1 {{s1}} check inter 1h fastinter 1h downinter 1h
    server t1 {{s2}} track s1
    server t2 {{s2}} track b/s1
    server u {{s2}} track t1
backend c
    server x {{s2}} track b/s1
",
        head()
    );
    same(&text, two, 24, |run| {
        assert!(place::wait_until(Duration::from_secs(20), || run.cli("show stat").contains("L4OK")));
        stand(run);
        for line in [
            "disable server b/s1",
            "enable server b/s1",
            "set server b/s1 health down",
            "set server b/s1 health up",
            "set server b/t1 health down",
            "enable health b/t1",
        ] {
            command(run, line);
        }
    });
}

/// What the agent says to whoever connects and has said something.
static SAYS: Mutex<&str> = Mutex::new("up\n");

fn agent() -> SocketAddr {
    static AT: OnceLock<SocketAddr> = OnceLock::new();
    *AT.get_or_init(|| {
        let listener = TcpListener::bind((place::address(), 0)).expect("bind");
        let at = listener.local_addr().expect("an address");
        spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut room = [0; 100];
                let _ = stream.read(&mut room);
                let says = *SAYS.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = stream.write_all(says.as_bytes());
            }
        });
        at
    })
}

#[test]
fn agents_say_how_servers_stand() {
    let at = agent();
    let text = format!(
        "{}
frontend fe
    bind {{ip}}:{{port:fe}}
    default_backend b
backend b
    timeout check 2s
    default-server agent-inter 100ms
    server s1 192.0.2.1:80 weight 100 agent-check agent-addr {} agent-port {} agent-send hi
    server s2 {{s2}} weight 10
",
        head(),
        at.ip(),
        at.port()
    );
    same(&text, two, 4, |run| {
        for says in ["up\n", "75%,maxconn:30\n", "fail # oops\n", "50%\n", "up\n", "maint\n", "ready 100%\n"]
        {
            *SAYS.lock().unwrap_or_else(PoisonError::into_inner) = says;
            sleep(Duration::from_millis(900));
            run.note("says", says);
            stand(run);
        }
        *SAYS.lock().unwrap_or_else(PoisonError::into_inner) = "";
        for line in [
            "set server b/s1 agent",
            "set server b/s2 agent up",
            "set server b/s2 agent-send foo",
            "set server b/s2 agent-addr 127.0.0.2",
            "set server b/s1 agent-addr x",
            "set server b/s1 agent-port x",
            "set server b/s2 agent-port 1",
            "set server b/s2 check-port 78",
            "set server b/s2 check-addr 1.2.3.4",
            "enable agent b/s2",
        ] {
            // 2.6 forgets the end of the line of some messages.
            let answer = run.cli(line);
            run.note(line, answer.trim_end());
        }
        run.cli("disable agent b/s1");
        run.cli("enable agent b/s1");
        run.cli("set server b/s1 agent-addr 127.0.0.3");
        run.cli("set server b/s1 agent-port 77");
        let state = run.cli("show servers state");
        let line = state.lines().find(|line| line.contains(" s1 ")).unwrap_or_default();
        let ends: Vec<&str> = line.split(' ').rev().take(2).collect();
        run.note("agent", &ends.join(" "));
    });
}

#[test]
fn persistence_is_forced_and_ignored() {
    let text = format!(
        "{}
frontend fe
    bind {{ip}}:{{port:fe}}
    default_backend be
backend be
    balance roundrobin
    cookie SRV insert indirect
    ignore-persist if {{ path_beg /ignore }}
    force-persist if {{ path_beg /force /ignore }}
    server s1 {{s1}} cookie a weight 1
    server s2 {{s2}} cookie b weight 1
",
        head()
    );
    same(&text, two, 9, |run| {
        for path in ["/", "/force", "/ignore", "/ignore"] {
            run.get("fe", path, "Cookie: SRV=a\r\n");
        }
        run.cli("set server be/s1 state maint");
        for path in ["/", "/force", "/ignore"] {
            run.get("fe", path, "Cookie: SRV=a\r\n");
        }
        run.get("fe", "/force", "");
    });
}
