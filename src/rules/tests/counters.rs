//! What rules know of stick tables: fetches, converters and actions, a row for each name.

use std::sync::Arc;

use super::support::*;
use crate::rules::*;
use crate::stick::{Data, Key, Table};

/// The time of [`FakeEnv`].
const NOW: u64 = 11_000;

/// All values but those of arrays.
const PLAIN: &str = "type ip size 100 expire 1m store server_id,gpt0,gpc0,gpc0_rate(1m),conn_cnt,conn_rate(1m),conn_cur,\
                     sess_cnt,sess_rate(1m),http_req_cnt,http_req_rate(1m),http_err_cnt,http_err_rate(1m),bytes_in_cnt,\
                     bytes_in_rate(1m),bytes_out_cnt,bytes_out_rate(1m),gpc1,gpc1_rate(1m),http_fail_cnt,\
                     http_fail_rate(1m),glitch_cnt,glitch_rate(1m)";
const ARRAYS: &str = "type ip size 100 expire 1m store gpc(3),gpt(3),gpc_rate(3,1m)";

/// What each figure is where the tests put it, and the name it has in fetches and converters.
const VALUES: [(Data, u64, &str); 19] = [
    (Data::Gpt0, 3, "get_gpt0"),
    (Data::Gpc0, 4, "get_gpc0"),
    (Data::Gpc0Rate, 5, "gpc0_rate"),
    (Data::ConnCnt, 6, "conn_cnt"),
    (Data::ConnRate, 7, "conn_rate"),
    (Data::ConnCur, 8, "conn_cur"),
    (Data::SessCnt, 9, "sess_cnt"),
    (Data::SessRate, 10, "sess_rate"),
    (Data::HttpReqCnt, 11, "http_req_cnt"),
    (Data::HttpReqRate, 12, "http_req_rate"),
    (Data::HttpErrCnt, 13, "http_err_cnt"),
    (Data::HttpErrRate, 14, "http_err_rate"),
    (Data::BytesInRate, 16, "bytes_in_rate"),
    (Data::BytesOutRate, 17, "bytes_out_rate"),
    (Data::Gpc1, 18, "get_gpc1"),
    (Data::Gpc1Rate, 19, "gpc1_rate"),
    (Data::HttpFailCnt, 20, "http_fail_cnt"),
    (Data::HttpFailRate, 21, "http_fail_rate"),
    (Data::GlitchCnt, 22, "glitch_cnt"),
];

/// The client's entry in a table of all plain values, one of arrays, and a transaction that tracks the first.
fn known() -> (Arc<Table>, Arc<Table>, Txn) {
    let (clients, arrays) = (with_table("clients", PLAIN), with_table("arrays", ARRAYS));
    let key = Key::ip([10, 1, 2, 3].into());
    clients.update(&key, NOW, |entry| {
        for (data, value, _) in VALUES {
            entry.set(data, 0, value);
        }
        entry.set(Data::GlitchRate, 0, 23);
        entry.set(Data::ServerId, 0, 2);
        entry.set(Data::BytesInCnt, 0, 3 * 1024 + 5);
        entry.set(Data::BytesOutCnt, 0, 4 * 1024);
    });
    arrays.update(&key, NOW, |entry| {
        for (data, value) in [(Data::Gpc, 30), (Data::Gpt, 40), (Data::GpcRate, 50)] {
            (0..3).for_each(|i| entry.set(data, i, value + i as u64));
        }
    });
    let mut txn = usual();
    for i in 0..3 {
        txn.counters.track(i, clients.track(&key, NOW, |_| ()).expect("room"));
    }
    (clients, arrays, txn)
}

fn check(rows: Vec<(String, &str)>, txn: &Txn) {
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(text, expected)| {
            let found = value_in(text, Dir::Request, txn);
            let expected = (*expected != "none").then(|| (*expected).to_owned());
            (found != expected).then(|| format!("{text}: {found:?}, not {expected:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The same figure by each way to name the entry.
fn by_all(name: &str) -> [String; 5] {
    [
        format!("sc_{name}(0)"),
        format!("sc0_{name}"),
        format!("sc1_{name}"),
        format!("sc2_{name}"),
        format!("src_{name}(clients)"),
    ]
}

#[test]
fn figures_by_counter_and_by_address() {
    let (_clients, _arrays, txn) = known();
    let mut rows = Vec::new();
    let texts: Vec<(String, String)> =
        VALUES.iter().map(|(_, value, name)| ((*name).to_owned(), value.to_string())).collect();
    for (name, value) in &texts {
        rows.extend(by_all(name).map(|text| (text, &**value)));
    }
    for (name, value) in [("glitch_rate", "23"), ("kbytes_in", "3"), ("kbytes_out", "4")] {
        rows.extend(by_all(name).map(|text| (text, value)));
    }
    for (text, value) in [
        ("sc_get_gpc(1,0,arrays)", "31"),
        ("src_get_gpc(2,arrays)", "32"),
        ("sc_get_gpt(0,0,arrays)", "40"),
        ("src_get_gpt(1,arrays)", "41"),
        ("sc_gpc_rate(2,0,arrays)", "52"),
        ("src_gpc_rate(0,arrays)", "50"),
        ("sc_get_gpc0(0,arrays)", "30"),
        ("sc_http_req_cnt(0,arrays)", "none"),
        ("sc_get_gpc(0,0)", "none"),
        ("sc_conn_cnt(2)", "6"),
        ("table_cnt(clients)", "1"),
        ("table_avl(clients)", "99"),
    ] {
        rows.push((text.to_owned(), value));
    }
    check(rows, &txn);
}

#[test]
fn what_is_tracked() {
    let (_clients, _arrays, txn) = known();
    let mut rows = Vec::new();
    for name in ["sc", "sc0", "sc1", "sc2"] {
        let number = if name == "sc" { "(1)" } else { "" };
        rows.push((format!("{name}_tracked{number}"), "1"));
        rows.push((format!("{name}_trackers{number}"), "3"));
        rows.push((format!("{name}_key{number}"), "10.1.2.3"));
    }
    check(rows, &txn);
    let nothing = usual();
    let rows =
        [("sc_tracked(0)", "0"), ("sc0_conn_cnt", "none"), ("sc0_key", "none"), ("sc_trackers(7)", "none")];
    check(rows.map(|(text, value)| (text.to_owned(), value)).to_vec(), &nothing);
}

#[test]
fn fetches_that_change_what_they_read() {
    let (clients, _arrays, txn) = known();
    let run = |text: &str| value_in(text, Dir::Request, &txn);
    for (counter, rate, start) in [("gpc0", Data::Gpc0Rate, 4), ("gpc1", Data::Gpc1Rate, 18)] {
        let before =
            clients.look(&Key::ip([10, 1, 2, 3].into()), NOW, |entry| entry.value(rate, 0)).flatten();
        for (i, text) in by_all(&format!("inc_{counter}")).iter().enumerate() {
            assert_eq!(run(text), Some((start + 1 + i).to_string()), "{text}");
        }
        let after = clients.look(&Key::ip([10, 1, 2, 3].into()), NOW, |entry| entry.value(rate, 0)).flatten();
        assert_eq!(after, before.map(|n| n + 5), "{counter}");
        for (i, text) in by_all(&format!("clr_{counter}")).iter().enumerate() {
            let was = if i == 0 { start + 5 } else { 1 };
            assert_eq!(run(text), Some(was.to_string()), "{text}");
            assert_eq!(run(&format!("sc_inc_{counter}(0)")), Some("1".into()), "{text}");
        }
    }
    for (text, expected) in [
        ("sc_inc_gpc(1,0,arrays)", "32"),
        ("src_inc_gpc(1,arrays)", "33"),
        ("sc_clr_gpc(1,0,arrays)", "33"),
        ("src_inc_gpc(1,arrays)", "1"),
        ("src_clr_gpc(1,arrays)", "1"),
        ("src_updt_conn_cnt(clients)", "7"),
        ("src_updt_conn_cnt(clients)", "8"),
    ] {
        assert_eq!(run(text), Some(expected.into()), "{text}");
    }
}

#[test]
fn converters_look_keys_up() {
    let (_clients, _arrays, txn) = known();
    let mut rows = Vec::new();
    let texts: Vec<(String, String)> = VALUES
        .iter()
        .map(|(_, value, name)| {
            (format!("table_{}", name.strip_prefix("get_").unwrap_or(name)), value.to_string())
        })
        .collect();
    for (name, value) in &texts {
        rows.push((format!("src,{name}(clients)"), &**value));
        rows.push((format!("str(10.9.9.9),{name}(clients)"), "0"));
    }
    for (text, value) in [
        ("src,table_glitch_rate(clients)", "23"),
        ("src,table_kbytes_in(clients)", "3"),
        ("src,table_kbytes_out(clients)", "4"),
        ("src,table_server_id(clients)", "2"),
        ("src,table_trackers(clients)", "3"),
        ("src,in_table(clients)", "1"),
        ("str(10.9.9.9),in_table(clients)", "0"),
        ("str(nowhere),in_table(clients)", "none"),
        ("src,table_gpc(1,arrays)", "31"),
        ("src,table_gpt(1,arrays)", "41"),
        ("src,table_gpc_rate(1,arrays)", "51"),
        ("src,table_http_req_cnt(arrays)", "none"),
        ("src,table_expire(clients)", "60000"),
        ("src,table_idle(clients)", "0"),
        ("str(10.9.9.9),table_expire(clients,5)", "5"),
        ("str(10.9.9.9),table_idle(clients)", "none"),
        ("src,table_inc_gpc0(clients)", "5"),
        ("src,table_clr_gpc0(clients)", "5"),
        ("src,table_gpc0(clients)", "0"),
        ("src,table_inc_gpc1(clients)", "19"),
        ("src,table_clr_gpc1(clients)", "19"),
        ("src,table_inc_gpc(2,arrays)", "33"),
        ("src,table_clr_gpc(2,arrays)", "33"),
        ("src,table_gpc(2,arrays)", "0"),
    ] {
        rows.push((text.to_owned(), value));
    }
    check(rows, &txn);
}

/// Runs one rule on a transaction.
fn rule(kind: RuleSetKind, text: &str, txn: &mut Txn) {
    let words = words(text);
    let set = good(text, |ctx| {
        let mut set = RuleSet::default();
        set.push(kind, &words, &Acls::default(), ctx);
        Some(set)
    });
    let outcome = set.run(txn, &FakeEnv::default(), &mut 0);
    assert!(matches!(outcome, Outcome::Continue), "{text}");
}

#[test]
fn rules_track_and_change() {
    use RuleSetKind::*;
    for kind in [TcpConnection, TcpSession, TcpContent, HttpRequest, HttpResponse] {
        let (clients, arrays) = (with_table("clients", PLAIN), with_table("arrays", ARRAYS));
        let mut txn = usual();
        for line in
            ["track-sc0 src table clients", "track-sc1 src table arrays", "track-sc2 int(7) table clients"]
        {
            rule(kind, line, &mut txn);
        }
        // A counter that tracks something goes on doing so.
        rule(kind, "track-sc0 int(8) table clients", &mut txn);
        for line in [
            "sc-inc-gpc0(0)",
            "sc-inc-gpc1(0)",
            "sc-inc-gpc1(0)",
            "sc-set-gpt0(0) 12",
            "sc-set-gpt0(2) int(13)",
            "sc-inc-gpc(1,1)",
            "sc-add-gpc(1,1) 10",
            "sc-set-gpt(2,1) int(14)",
        ] {
            rule(kind, line, &mut txn);
        }
        let of = |table: &Table, key: Key, data, index| {
            table.look(&key, NOW, |entry| entry.value(data, index)).flatten()
        };
        let client = || Key::ip([10, 1, 2, 3].into());
        let found = [
            of(&clients, client(), Data::Gpc0, 0),
            of(&clients, client(), Data::Gpc0Rate, 0),
            of(&clients, client(), Data::Gpc1, 0),
            of(&clients, client(), Data::Gpt0, 0),
            of(&clients, Key::ip([0, 0, 0, 7].into()), Data::Gpt0, 0),
            of(&arrays, client(), Data::Gpc, 1),
            of(&arrays, client(), Data::GpcRate, 1),
            of(&arrays, client(), Data::Gpt, 2),
            of(&clients, client(), Data::ConnCnt, 0),
            of(&clients, client(), Data::ConnCur, 0),
            of(&clients, client(), Data::HttpReqCnt, 0),
            of(&clients, client(), Data::HttpErrCnt, 0),
        ];
        let errors = i64::from(kind == HttpResponse);
        assert_eq!(found, [1, 1, 2, 12, 13, 11, 11, 14, 1, 1, 1, errors].map(Some), "{kind:?}");
        assert_eq!(clients.used(), 2, "{kind:?}");
        txn.counters.release(NOW);
        assert_eq!(of(&clients, client(), Data::ConnCur, 0), Some(0), "{kind:?}");
    }
    // After the response the counters are still there.
    let (clients, _, mut txn) = known();
    for line in ["sc-inc-gpc0(0)", "sc-inc-gpc1(0)", "sc-set-gpt0(0) 77"] {
        rule(HttpAfterResponse, line, &mut txn);
        rule(TcpResponse, line, &mut txn);
    }
    let found = clients.look(&Key::ip([10, 1, 2, 3].into()), NOW, |entry| {
        [Data::Gpc0, Data::Gpc1, Data::Gpt0].map(|data| entry.value(data, 0))
    });
    assert_eq!(found, Some([6, 20, 77].map(Some)));
}

#[test]
fn a_denied_request_is_held_against_the_client() {
    // Three counters track the same entry, and each counts.
    for (text, errors) in [("deny", 16), ("tarpit", 16), ("auth", 16), ("return", 13)] {
        let (clients, _, mut txn) = known();
        let words = words(text);
        let set = good(text, |ctx| {
            let mut set = RuleSet::default();
            set.push(RuleSetKind::HttpRequest, &words, &Acls::default(), ctx);
            Some(set)
        });
        set.run(&mut txn, &FakeEnv::default(), &mut 0);
        let found =
            clients.look(&Key::ip([10, 1, 2, 3].into()), NOW, |entry| entry.value(Data::HttpErrCnt, 0));
        assert_eq!(found.flatten(), Some(errors), "{text}");
    }
}
