//! The statistics against those that a real HAProxy 2.6 gave for the same configuration.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use super::super::testing::{RECORDED, config};
use super::info;
use super::render::{self, Form};
use super::{COLUMNS, Process, Show, Snapshot};
use crate::model::proxy::SideLive;
use crate::model::{AdminState, CheckState, OperState, Took};

fn snapshot(show: Show) -> Snapshot {
    let config = config(RECORDED);
    for proxy in &config.proxies {
        proxy.live.back.last_change_ms.store(5000, Ordering::Relaxed);
    }
    let back = config.proxies[1].back.as_ref().expect("a backend");
    back.servers.with(|set| {
        let s1 = &set.list[0].live;
        let check = CheckState { status: "L4OK", took: Took::new(Some(0)), ..CheckState::default() };
        s1.check.store(check.into());
        s1.health.store(3, Ordering::Relaxed);
        let counters = s1.counters.mine();
        counters.sess_tot.add(5);
        counters.rsp_2xx.add(5);
        counters.timed.inc();
        counters.total_time_us.add(70_000);
    });
    Snapshot::new(config, 9983, 45_000, show)
}

fn legends() -> Show {
    Show { legends: true, ..Show::default() }
}

/// Values that differ from the recorded ones: traffic, time, and what the two programs do differently.
const TRAFFIC: &[&str] = &[
    "smax",
    "stot",
    "bin",
    "bout",
    "rate_max",
    "hrsp_2xx",
    "hrsp_5xx",
    "req_rate_max",
    "req_tot",
    "conn_rate_max",
    "conn_tot",
    "lbtot",
    "lastsess",
    "connect",
    "need_conn_est",
    "ttime",
    "ttime_max",
    "cookie",
    // HAProxy derives it from the sum of the maxconn of its frontends.
    "slim",
];

#[test]
fn typed_lines_equal_haproxys() {
    let ours = render::typed(&snapshot(legends()), false);
    let ours: BTreeSet<&str> = ours.lines().collect();
    for line in include_str!("../golden/stat-typed.txt").lines() {
        let name = line.split('.').nth(4).expect("a name");
        // 2.6 has no persistence letter and calls the rate of a backend a gauge.
        let (head, rest) = line.split_once(":").expect("tags");
        let (tags, value) = rest.split_once(':').expect("a value");
        let tags = if name == "rate" { "MRP" } else { tags };
        let found = ["V", "P"].iter().find_map(|p| {
            let start = format!("{head}:{tags}{p}:{}", value.split(':').next().expect("a type"));
            ours.iter().find(|l| l.starts_with(&start))
        });
        match found {
            // 3.4 leaves out the cookie name of backends here.
            None if name == "cookie" && head.starts_with('B') => {}
            None => panic!("missing: {line}"),
            Some(_) if TRAFFIC.contains(&name) => {}
            Some(our) => assert_eq!(our.split_once(':').map(|(_, r)| &r[5..]), Some(value), "{line}"),
        }
    }
}

#[test]
fn the_header_is_that_of_3_4() {
    let header = render::csv_header();
    assert!(header.starts_with("# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,"));
    assert!(header.ends_with(",proto,priv_idle_cur,reqbin,reqbout,resbin,resbout,-,\n"));
    assert_eq!(header.matches(',').count(), 119);
    let known: Vec<&str> =
        super::super::vocabulary::ALL[1].words.iter().map(|w| w.name).filter(|n| *n != "-").collect();
    for column in COLUMNS {
        assert!(known.contains(&column.entry.name), "{} is no field of HAProxy's", column.entry.name);
    }
    assert_eq!(COLUMNS.len(), known.len());
}

#[test]
fn csv_has_a_cell_for_every_column() {
    let csv = render::csv(&snapshot(legends()));
    let lines: Vec<&str> = csv.lines().collect();
    // fe, s1, s2, s3, be, tcpl, u1, tcpl
    assert_eq!(lines.len(), 9);
    for line in &lines {
        assert_eq!(line.matches(',').count(), 119, "{line}");
    }
    assert!(
        lines[2]
            .starts_with("be,s1,0,0,0,0,5,5,0,0,,0,,0,0,0,0,UP,10,1,0,0,0,40,0,,1,3,1,,0,,2,0,,0,L4OK,,0,")
    );
    assert!(lines[2].contains(",0,0,0,70,"), "mean of the times: {}", lines[2]);
    assert!(lines[4].starts_with("be,s3,0,0,0,0,,0,0,0,,0,,0,0,0,0,MAINT,1,1,0,"));
}

/// Every counter and gauge with a value of its own.
fn busy() -> Snapshot {
    let text = RECORDED
        .replace("default_backend be", "default_backend be\n    rate-limit sessions 77")
        .replace("maxconn 5", "maxconn 5 maxqueue 6 slowstart 60s pool-max-conn 8");
    let config = config(&text);
    let set = |side: &SideLive| {
        let c = side.counters.mine();
        let counts = [
            (&c.denied_req, 1),
            (&c.denied_resp, 2),
            (&c.err_req, 3),
            (&c.err_conn, 4),
            (&c.err_resp, 5),
            (&c.wretr, 6),
            (&c.wredis, 7),
            (&c.rsp_1xx, 11),
            (&c.rsp_3xx, 13),
            (&c.rsp_4xx, 14),
            (&c.rsp_other, 16),
            (&c.cli_aborts, 17),
            (&c.srv_aborts, 18),
            (&c.intercepted, 19),
            (&c.denied_conn, 20),
            (&c.denied_sess, 21),
            (&c.failed_rewrites, 22),
            (&c.reuse, 23),
            (&c.internal_errors, 24),
            (&c.http_req, 25),
            (&c.sess_tot, 26),
            (&c.bytes_in, 27),
            (&c.bytes_out, 28),
            (&c.timed, 1),
        ];
        counts.into_iter().for_each(|(counter, n)| counter.add(n));
        c.queue_time_us.add(31_000);
        c.connect_time_us.add(32_000);
        c.response_time_us.add(33_000);
        side.down_trans.store(34, Ordering::Relaxed);
        side.last_change_ms.store(5000, Ordering::Relaxed);
        side.down_ms.store(9000, Ordering::Relaxed);
        side.req_rate.add(5000, 35);
        side.conn_rate.add(5000, 36);
    };
    set(&config.proxies[0].live.front);
    set(&config.proxies[1].live.back);
    set(&config.proxies[2].live.front);
    config.proxies[1].back.as_ref().expect("a backend").servers.with(|set| {
        let s1 = &set.list[0].live;
        let (code, took, text) = (Some(200), Took::new(Some(12)), "hello".to_owned());
        s1.check.store(CheckState { status: "L7OK", code, took, text }.into());
        s1.check_failed.store(41, Ordering::Relaxed);
        s1.idle.store(42, Ordering::Relaxed);
        s1.idle_proven.store(30, Ordering::Relaxed);
        s1.idle_private.store(9, Ordering::Relaxed);
        s1.need.note(44);
        s1.used.store(43, Ordering::Relaxed);
        s1.slowstart_from_ms.store(1, Ordering::Relaxed);
        s1.health.store(3, Ordering::Relaxed);
    });
    Snapshot::new(config, 9983, 5000, legends())
}

/// The cells of a column in the lines of `fe`, `s1`, `be` and the frontend of `tcpl`.
#[rustfmt::skip]
const CELLS: &[(&str, [&str; 4])] = &[
    ("dreq", ["1", "", "1", "1"]),
    ("pxname", ["fe", "be", "be", "tcpl"]),
    ("svname", ["FRONTEND", "s1", "BACKEND", "FRONTEND"]),
    ("qcur", ["", "0", "0", ""]),
    ("qmax", ["", "0", "0", ""]),
    ("scur", ["0", "0", "0", "0"]),
    ("smax", ["0", "0", "0", "0"]),
    ("slim", ["9983", "5", "999", "9983"]),
    ("stot", ["26", "0", "26", "26"]),
    ("bin", ["27", "0", "27", "27"]),
    ("bout", ["28", "0", "28", "28"]),
    ("dresp", ["2", "0", "2", "2"]),
    ("ereq", ["3", "", "", "3"]),
    ("econ", ["", "0", "4", ""]),
    ("eresp", ["", "0", "5", ""]),
    ("wretr", ["", "0", "6", ""]),
    ("wredis", ["", "0", "7", ""]),
    ("status", ["OPEN", "UP", "UP", "OPEN"]),
    ("weight", ["", "10", "10", ""]),
    ("act", ["", "1", "1", ""]),
    ("bck", ["", "0", "1", ""]),
    ("chkfail", ["", "41", "", ""]),
    ("chkdown", ["", "0", "34", ""]),
    ("lastchg", ["", "0", "0", ""]),
    ("downtime", ["", "0", "9", ""]),
    ("qlimit", ["", "6", "", ""]),
    ("pid", ["1", "1", "1", "1"]),
    ("iid", ["2", "3", "3", "5"]),
    ("sid", ["0", "1", "0", "0"]),
    ("throttle", ["", "", "", ""]),
    ("lbtot", ["", "0", "0", ""]),
    ("tracked", ["", "", "", ""]),
    ("type", ["0", "2", "1", "0"]),
    ("rate", ["0", "0", "0", "0"]),
    ("rate_lim", ["77", "", "", "0"]),
    ("rate_max", ["0", "0", "0", "0"]),
    ("check_status", ["", "L7OK", "", ""]),
    ("check_code", ["", "200", "", ""]),
    ("check_duration", ["", "12", "", ""]),
    ("hrsp_1xx", ["11", "0", "11", ""]),
    ("hrsp_2xx", ["0", "0", "0", ""]),
    ("hrsp_3xx", ["13", "0", "13", ""]),
    ("hrsp_4xx", ["14", "0", "14", ""]),
    ("hrsp_5xx", ["0", "0", "0", ""]),
    ("hrsp_other", ["16", "0", "16", ""]),
    ("hanafail", ["", "", "", ""]),
    ("req_rate", ["35", "", "", "35"]),
    ("req_rate_max", ["0", "", "", "0"]),
    ("req_tot", ["25", "0", "25", "25"]),
    ("cli_abrt", ["", "0", "17", ""]),
    ("srv_abrt", ["", "0", "18", ""]),
    ("comp_in", ["0", "", "0", "0"]),
    ("comp_out", ["0", "", "0", "0"]),
    ("comp_byp", ["0", "", "0", "0"]),
    ("comp_rsp", ["0", "", "0", "0"]),
    ("lastsess", ["", "-1", "-1", ""]),
    ("last_chk", ["", "hello", "", ""]),
    ("last_agt", ["", "", "", ""]),
    ("qtime", ["", "0", "31", ""]),
    ("ctime", ["", "0", "32", ""]),
    ("rtime", ["", "0", "33", ""]),
    ("ttime", ["", "0", "0", ""]),
    ("agent_status", ["", "", "", ""]),
    ("agent_code", ["", "", "", ""]),
    ("agent_duration", ["", "", "", ""]),
    ("check_desc", ["", "Layer7 check passed", "", ""]),
    ("agent_desc", ["", "", "", ""]),
    ("check_rise", ["", "2", "", ""]),
    ("check_fall", ["", "2", "", ""]),
    ("check_health", ["", "3", "", ""]),
    ("agent_rise", ["", "", "", ""]),
    ("agent_fall", ["", "", "", ""]),
    ("agent_health", ["", "", "", ""]),
    ("addr", ["", "127.0.0.1:24010", "", ""]),
    ("cookie", ["", "s1", "", ""]),
    ("mode", ["http", "http", "http", "tcp"]),
    ("algo", ["", "", "roundrobin", ""]),
    ("conn_rate", ["36", "", "", "36"]),
    ("conn_rate_max", ["0", "", "", "0"]),
    ("conn_tot", ["0", "", "", "0"]),
    ("intercepted", ["19", "", "", ""]),
    ("dcon", ["20", "", "", "20"]),
    ("dses", ["21", "", "", "21"]),
    ("wrew", ["22", "0", "22", "22"]),
    ("connect", ["", "0", "0", ""]),
    ("reuse", ["", "0", "23", ""]),
    ("cache_lookups", ["0", "", "0", ""]),
    ("cache_hits", ["0", "", "0", ""]),
    ("srv_icur", ["", "42", "", ""]),
    ("src_ilim", ["", "8", "", ""]),
    ("qtime_max", ["", "0", "31", ""]),
    ("ctime_max", ["", "0", "32", ""]),
    ("rtime_max", ["", "0", "33", ""]),
    ("ttime_max", ["", "0", "0", ""]),
    ("eint", ["24", "0", "24", "24"]),
    ("idle_conn_cur", ["", "12", "", ""]),
    ("safe_conn_cur", ["", "30", "", ""]),
    ("used_conn_cur", ["", "43", "", ""]),
    ("need_conn_est", ["", "44", "", ""]),
    ("uweight", ["", "10", "10", ""]),
    ("agg_server_status", ["", "", "0", ""]),
    ("agg_server_check_status", ["", "", "0", ""]),
    ("agg_check_status", ["", "", "0", ""]),
    ("srid", ["", "0", "", ""]),
    ("sess_other", ["0", "", "", "26"]),
    ("h1sess", ["26", "", "", "0"]),
    ("h2sess", ["0", "", "", "0"]),
    ("h3sess", ["0", "", "", "0"]),
    ("req_other", ["0", "", "", "0"]),
    ("h1req", ["25", "", "", "25"]),
    ("h2req", ["0", "", "", "0"]),
    ("h3req", ["0", "", "", "0"]),
    ("proto", ["", "", "", ""]),
    ("priv_idle_cur", ["", "9", "", ""]),
    ("reqbin", ["27", "0", "27", "27"]),
    ("reqbout", ["27", "0", "27", "27"]),
    ("resbin", ["28", "0", "28", "28"]),
    ("resbout", ["28", "0", "28", "28"]),
];

#[test]
fn every_column_shows_what_it_is_of() {
    let csv = render::csv(&busy());
    let cells: Vec<Vec<&str>> =
        csv.lines().map(|l| l.trim_start_matches("# ").split(',').collect()).collect();
    let mut wrong = Vec::new();
    let named = cells[0].iter().enumerate().filter(|(_, name)| !matches!(**name, "-" | ""));
    for (at, name) in named {
        let found = [1, 2, 5, 6].map(|line| cells[line][at]);
        if CELLS.iter().find(|(column, _)| column == name).is_none_or(|(_, expected)| *expected != found) {
            wrong.push(format!("    (\"{name}\", {found:?}),"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lines_can_be_left_out() {
    let count = |show: Show| render::csv(&snapshot(show)).lines().count() - 1;
    assert_eq!(count(Show { hide_maint: true, ..Show::default() }), 7);
    assert_eq!(count(Show { hide_down: true, ..Show::default() }), 7);
    assert_eq!(count(Show { only: Some((3, 4, -1)), ..Show::default() }), 3);
    assert_eq!(count(Show { only: Some((-1, 2, -1)), ..Show::default() }), 2);
    assert_eq!(count(Show { only: Some((3, 4, 2)), ..Show::default() }), 1);
    assert_eq!(count(Show { scope: vec!["fe".into()], ..Show::default() }), 1);
    assert_eq!(count(Show { search: "TCP".into(), ..Show::default() }), 3);
    let csv = render::csv(&snapshot(Show { hide_down: true, ..Show::default() }));
    assert!(csv.contains(",UP (2/3),"));
    assert!(!csv.contains("127.0.0.1"), "addresses are for level operator");
}

#[test]
fn the_state_of_a_server_is_told_as_haproxy_does() {
    let shot = snapshot(Show::default());
    let (_, set) = shot.proxies().nth(1).expect("be");
    let server = &set.expect("servers").list[0];
    let state = |oper, admin, health: u32| {
        server.live.set_oper(oper);
        server.live.set_admin(admin);
        server.live.health.store(health, Ordering::Relaxed);
        let rows: Vec<_> = shot.rows().collect();
        rows[1].status()
    };
    let none = AdminState::empty();
    assert_eq!(state(OperState::Running, none, 3), "UP");
    assert_eq!(state(OperState::Running, none, 2), "UP 1/2");
    assert_eq!(state(OperState::Stopped, none, 0), "DOWN");
    assert_eq!(state(OperState::Stopped, none, 1), "DOWN 1/2");
    assert_eq!(state(OperState::Stopping, none, 3), "NOLB");
    assert_eq!(state(OperState::Running, AdminState::FORCED_DRAIN, 3), "DRAIN");
    assert_eq!(state(OperState::Stopped, AdminState::FORCED_MAINT, 0), "MAINT");
    assert_eq!(state(OperState::Stopped, AdminState::RESOLVE_MAINT, 0), "MAINT (resolution)");
}

#[test]
fn json_is_well_formed() {
    let text = render::json(&snapshot(legends()));
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json.as_array().map(Vec::len), Some(8));
    let first = &json[1][1];
    assert_eq!(first["objType"], "Server");
    assert_eq!(first["field"]["name"], "svname");
    assert_eq!(first["tags"]["nature"], "Name");
    assert_eq!(first["value"]["value"], "s1");
}

#[test]
fn show_info_has_haproxys_fields() {
    let mut process = Process {
        version: "3.4.0".into(),
        pid: 7,
        uptime_us: 90_061_000_000,
        node: "testnode".into(),
        description: Some("my desc".into()),
        ..Process::default()
    };
    process.count(&config(RECORDED));
    let typed = render::info(&process, Form::Typed, false);
    for line in include_str!("../golden/info-typed.txt").lines() {
        // 2.6 misspells this one.
        let start = line.rsplit_once(':').expect("a value").0.replace("Splicded", "Spliced");
        let (head, type_name) = start.rsplit_once(':').expect("a type");
        assert!(typed.lines().any(|l| l.starts_with(&format!("{head}V:{type_name}"))), "{line}");
    }
    let plain = render::info(&process, Form::Plain, false);
    assert!(plain.starts_with("Name: HAProxy\nVersion: 3.4.0\n"));
    assert!(plain.contains("\nUptime: 1d 1h01m01s\nUptime_sec: 90061\n"));
    assert!(plain.contains("\ndescription: my desc\n"));
    let json: serde_json::Value =
        serde_json::from_str(&render::info(&process, Form::Json, false)).expect("JSON");
    assert_eq!(json.as_array().map(Vec::len), Some(info::FIELDS.len()));
    assert_eq!(info::FIELDS.len(), 82);
}
