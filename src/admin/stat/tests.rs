//! The statistics against those that a real HAProxy 2.6 gave for the same configuration.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use super::super::testing::{RECORDED, config};
use super::info;
use super::render::{self, Form};
use super::{COLUMNS, Process, Show, Snapshot};
use crate::model::{AdminState, CheckState, OperState};

fn snapshot(show: Show) -> Snapshot {
    let config = config(RECORDED);
    for proxy in &config.proxies {
        proxy.live.back.last_change_ms.store(5000, Ordering::Relaxed);
    }
    let back = config.proxies[1].back.as_ref().expect("a backend");
    back.servers.with(|set| {
        let s1 = &set.list[0].live;
        let check = CheckState { status: "L4OK", duration_ms: Some(0), ..CheckState::default() };
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
