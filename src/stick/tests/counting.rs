//! Counters, rates, age, and several threads.

use std::sync::Arc;

use super::table;
use crate::stick::table::Removal;
use crate::stick::{Data, Key, Table};

fn key(n: u32) -> Key {
    Key::integer(n)
}

fn rate(table: &Table, n: u32, now: u64) -> i64 {
    table.look(&key(n), now, |entry| entry.value(Data::HttpReqRate, 0)).flatten().expect("a rate")
}

fn has(table: &Table, n: u32, now: u64) -> bool {
    table.look(&key(n), now, |_| ()).is_some()
}

#[test]
fn rates_slide_over_two_periods() {
    let table = table("type integer size 10 store http_req_rate(10s)");
    let count = |now, n| {
        table.update(&key(1), now, |entry| entry.add(Data::HttpReqRate, 0, n));
    };
    count(1_000, 10);
    for (now, expected) in [
        (1_000, 10),
        (10_999, 10),
        // The period is over: what was in it fades.
        (11_000, 10),
        (12_000, 9),
        (16_000, 5),
        (20_999, 0),
        (21_001, 0),
    ] {
        assert_eq!(rate(&table, 1, now), expected, "{now}");
    }
    count(16_000, 4);
    assert_eq!(rate(&table, 1, 16_000), 9);
    assert_eq!(rate(&table, 1, 20_500), 4);
    assert_eq!(rate(&table, 1, 21_500), 3);
    // A lone event does not fade before its time.
    count(60_000, 1);
    assert_eq!((rate(&table, 1, 79_000), rate(&table, 1, 80_001)), (1, 0));
}

#[test]
fn every_kind_of_value_is_kept() {
    let line = "type ip size 10 store server_id,gpt0,gpc0,gpc0_rate(1s),conn_cnt,conn_rate(1s),conn_cur,sess_cnt,\
                sess_rate(1s),http_req_cnt,http_req_rate(1s),http_err_cnt,http_err_rate(1s),bytes_in_cnt,\
                bytes_in_rate(1s),bytes_out_cnt,bytes_out_rate(1s),gpc1,gpc1_rate(1s),server_key,http_fail_cnt,\
                http_fail_rate(1s),glitch_cnt,glitch_rate(1s)";
    let table = table(line);
    let stored: Vec<Data> = table.spec().store.iter().map(|stored| stored.data).collect();
    table.update(&key(7), 5_000, |entry| {
        for (n, data) in stored.iter().enumerate() {
            entry.add(*data, 0, 100 + n as u64);
        }
        entry.set(Data::ServerId, 0, (-3_i64) as u64);
        entry.set(Data::BytesInCnt, 0, 1 << 40);
        entry.set_server_key("s1");
    });
    table.look(&key(7), 5_000, |entry| {
        for (n, data) in stored.iter().enumerate() {
            let expected = match data {
                Data::ServerId => -3,
                Data::BytesInCnt => 1 << 40,
                Data::ServerKey => 1,
                _ => 100 + n as i64,
            };
            assert_eq!(entry.value(*data, 0), Some(expected), "{data:?}");
        }
        assert_eq!(entry.server_key().as_deref(), Some("s1"));
        assert_eq!(entry.value(Data::Gpt, 0), None);
    });
}

#[test]
fn elements_of_arrays_stand_for_the_first_counters() {
    let table = table("type integer size 10 store gpc(3),gpt(2),gpc_rate(2,1s)");
    table.update(&key(1), 1_000, |entry| {
        entry.add(Data::Gpc, 2, 5);
        assert_eq!(entry.count((Data::Gpc1, 0), (Data::Gpc1Rate, 0), 4), Some(4));
        entry.set(Data::Gpt0, 0, 9);
        let values = [(Data::Gpc, 0), (Data::Gpc, 1), (Data::Gpc, 2), (Data::GpcRate, 1), (Data::Gpt, 0)];
        assert_eq!(
            values.map(|(data, i)| entry.value(data, i)),
            [Some(0), Some(4), Some(5), Some(4), Some(9)]
        );
        assert_eq!((entry.value(Data::Gpc, 3), entry.value(Data::Gpt, 2)), (None, None));
    });
}

#[test]
fn entries_expire_and_the_oldest_make_room() {
    let table = table("type integer size 3 expire 10s");
    for n in 0..3 {
        table.update(&key(n), 1_000 + u64::from(n), |_| ());
    }
    table.touched(&key(0), 2_000, |_| ());
    table.update(&key(3), 2_001, |_| ());
    assert_eq!([0, 1, 2, 3].map(|n| has(&table, n, 2_001)), [true, false, true, true]);
    assert_eq!(table.look(&key(0), 2_001, |entry| entry.remaining_ms()), Some(9_999));
    // A look does not keep it.
    assert_eq!([0, 2, 3].map(|n| has(&table, n, 11_500)), [true, false, true]);
    assert_eq!(table.expire(12_001, 100), 2);
    assert_eq!(table.used(), 0);
}

#[test]
fn nothing_goes_before_its_time_from_a_table_that_is_not_purged() {
    let table = table("type integer size 2 expire 10s nopurge");
    assert!(table.update(&key(1), 1_000, |_| ()).is_some());
    assert!(table.update(&key(2), 5_000, |_| ()).is_some());
    assert!(table.update(&key(3), 6_000, |_| ()).is_none());
    assert!(table.update(&key(3), 11_000, |_| ()).is_some(), "the first has expired");
    assert_eq!(table.used(), 2);
}

#[test]
fn what_is_tracked_stays() {
    let table = table("type integer size 2 expire 1s store conn_cur,gpc0");
    let count = |entry: &mut crate::stick::Entry<'_>| entry.add(Data::ConnCur, 0, 1);
    let first = table.track(&key(1), 1_000, count).expect("room").counting();
    let second = table.track(&key(1), 1_000, count).expect("room").counting();
    table.update(&key(2), 1_000, |_| ());
    assert!(has(&table, 1, 60_000) && !has(&table, 2, 60_000));
    assert_eq!(table.remove(&key(1), 60_000), Removal::InUse);
    for n in 3..9 {
        table.update(&key(n), 60_000, |_| ());
    }
    assert_eq!(first.with(60_000, |entry| (entry.refs(), entry.value(Data::ConnCur, 0))), (2, Some(2)));
    first.release(60_000);
    assert_eq!(second.with(60_000, |entry| (entry.refs(), entry.value(Data::ConnCur, 0))), (1, Some(1)));
    drop(second);
    assert!(has(&table, 1, 60_999) && !has(&table, 1, 61_001), "it lives on from when it was released");
    assert_eq!(table.remove(&key(8), 60_001), Removal::Done);
    assert_eq!(table.remove(&key(8), 60_001), Removal::Absent);
}

#[test]
fn a_walk_sees_all_and_removes_what_it_is_told() {
    let table = table("type integer size 100k expire 1h store gpc0");
    for n in 0..20_000 {
        table.update(&key(n), 1_000, |entry| entry.set(Data::Gpc0, 0, u64::from(n % 2)));
    }
    let mut seen = 0;
    table.walk(1_000, |entry| {
        seen += 1;
        entry.value(Data::Gpc0, 0) == Some(1)
    });
    assert_eq!((seen, table.used()), (20_000, 10_000));
    assert!(has(&table, 4, 1_000) && !has(&table, 5, 1_000));
}

#[test]
fn another_line_changes_size_and_expiry_alone() {
    let table = table("type integer size 2 expire 10s store gpc0");
    table.update(&key(1), 1_000, |entry| entry.add(Data::Gpc0, 0, 5));
    let next = super::spec("type integer size 3 expire 20s store gpc0").expect("a table");
    assert!(table.spec().is_alike(&next));
    table.adopt(&next);
    table.touched(&key(1), 2_000, |entry| assert_eq!(entry.value(Data::Gpc0, 0), Some(5)));
    assert_eq!(table.look(&key(1), 2_000, |entry| entry.remaining_ms()), Some(20_000));
    assert_eq!(table.size(), 3);
    for other in ["type ip size 2 store gpc0", "type integer size 2 store gpc1"] {
        assert!(!table.spec().is_alike(&super::spec(other).expect("a table")), "{other}");
    }
}

#[test]
fn threads_lose_no_count() {
    let table = table("type integer size 1k expire 1m store http_req_cnt,http_req_rate(1h),conn_cur");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let table: &Arc<Table> = &table;
            scope.spawn(move || {
                for i in 0..20_000_u32 {
                    let shared = key(i % 3);
                    let track = |entry: &mut crate::stick::Entry<'_>| {
                        entry.add(Data::HttpReqCnt, 0, 1);
                        entry.add(Data::HttpReqRate, 0, 1);
                        entry.add(Data::ConnCur, 0, 1);
                    };
                    let tracked = table.track(&shared, 1_000, track).expect("room").counting();
                    // Others come and go, so that the table is always full.
                    table.update(&key(10 + thread * 100_000 + i), 1_000, |_| ());
                    tracked.release(1_000);
                }
            });
        }
    });
    let sum = |data| -> i64 {
        let of = |n| table.look(&key(n), 1_000, |entry| entry.value(data, 0)).flatten().unwrap_or(0);
        (0..3).map(of).sum()
    };
    // An entry that nobody tracks for a moment may be purged; while one is tracked nothing of it is lost.
    assert!(table.used() <= table.size());
    assert_eq!(sum(Data::ConnCur), 0);
    assert_eq!(sum(Data::HttpReqCnt), sum(Data::HttpReqRate));
    // Four shards' worth of keys, none of which has to go.
    let roomy = super::table("type integer size 64k expire 1m store http_req_cnt");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for i in 0..40_000_u32 {
                    roomy.update(&key(i % 1_000), 1_000, |entry| entry.add(Data::HttpReqCnt, 0, 1));
                }
            });
        }
    });
    let counts = (0..1_000).map(|n| roomy.look(&key(n), 1_000, |entry| entry.value(Data::HttpReqCnt, 0)));
    assert!(counts.into_iter().all(|count| count == Some(Some(160))));
}
