//! Tables of a cluster: the own part, and the sum of others beside it.

use super::table;
use crate::stick::{Data, Entry, Key, Placed, Table};

const ALL: &str = "type integer size 3 expire 10s cluster store gpt0,gpc0,gpc0_rate(1s),conn_cur,bytes_in_cnt,gpc(3),gpc_rate(2,1s)";

fn key(n: u32) -> Key {
    Key::integer(n)
}

fn read(table: &Table, n: u32, now: u64, data: Data, index: usize) -> Option<i64> {
    table.look(&key(n), now, |entry| entry.value(data, index)).flatten()
}

fn others(entry: &mut Entry<'_>) {
    entry.set_others(Data::Gpc0, 0, 100);
    entry.set_others(Data::Gpc0Rate, 0, 50);
    entry.set_others(Data::ConnCur, 0, 7);
    entry.set_others(Data::BytesInCnt, 0, 1 << 40);
    entry.set_others(Data::Gpc, 2, 9);
    entry.set_others(Data::GpcRate, 1, 4);
    // Tags are no sums.
    entry.set_others(Data::Gpt0, 0, 1);
}

#[test]
fn what_is_read_is_the_own_part_and_that_of_others() {
    let table = table(ALL);
    table.update(&key(1), 1_000, |entry| {
        entry.count((Data::Gpc0, 0), (Data::Gpc0Rate, 0), 5);
        entry.add(Data::ConnCur, 0, 1);
        entry.add(Data::BytesInCnt, 0, 3);
        entry.set(Data::Gpt0, 0, 8);
    });
    assert_eq!(table.put_others(&key(1), 1_000, false, others), Placed::Done);
    for (data, index, expected) in [
        (Data::Gpc0, 0, 105),
        (Data::Gpc0Rate, 0, 55),
        (Data::ConnCur, 0, 8),
        (Data::BytesInCnt, 0, (1 << 40) + 3),
        (Data::Gpc, 0, 0),
        (Data::Gpc, 2, 9),
        (Data::GpcRate, 1, 4),
        (Data::Gpt0, 0, 8),
    ] {
        assert_eq!(read(&table, 1, 1_000, data, index), Some(expected), "{data:?} {index}");
    }
    table.update(&key(1), 1_000, |entry| {
        assert_eq!(entry.count((Data::Gpc0, 0), (Data::Gpc0Rate, 0), 1), Some(106), "a count tells the sum");
        assert_eq!(entry.part(Data::Gpc0, 0), Some([6, 0, 0]));
        assert_eq!(entry.part(Data::Gpc0Rate, 0), Some([0, 6, 0]));
        entry.set(Data::Gpc0, 0, 0);
        entry.take_one(Data::ConnCur);
        assert_eq!((entry.value(Data::Gpc0, 0), entry.value(Data::ConnCur, 0)), (Some(100), Some(7)));
    });
    // What is full does not wrap.
    table.put_others(&key(1), 1_000, false, |entry| entry.set_others(Data::Gpc0, 0, u64::MAX));
    table.update(&key(1), 1_000, |entry| entry.add(Data::Gpc0, 0, 5));
    assert_eq!(read(&table, 1, 1_000, Data::Gpc0, 0), Some(i64::from(u32::MAX)));
}

#[test]
fn a_part_fades_as_a_rate_does_also_where_time_wraps() {
    let table = table("type integer size 3 cluster store gpc0_rate(1s)");
    let start = u64::from(u32::MAX) - 299;
    table.update(&key(1), start, |entry| entry.add(Data::Gpc0Rate, 0, 10));
    let part = |now| table.look(&key(1), now, |entry| entry.part(Data::Gpc0Rate, 0)).flatten();
    assert_eq!(part(start), Some([0, 10, 0]));
    assert_eq!(part(start + 700), Some([700, 10, 0]), "time has wrapped");
    assert_eq!(part(start + 1_500), Some([1_500, 10, 0]));
    assert_eq!(part(start + 2_000), Some([0, 0, 0]), "nothing of it counts any more");
}

#[test]
fn keys_of_others_are_there_and_go_and_drive_nothing_out() {
    let table = table(ALL);
    table.update(&key(1), 1_000, |_| ());
    table.update(&key(2), 1_000, |_| ());
    assert_eq!(table.put_others(&key(3), 1_000, false, others), Placed::Absent);
    assert_eq!(table.put_others(&key(3), 1_000, true, others), Placed::Done);
    assert_eq!(read(&table, 3, 1_000, Data::Gpc0, 0), Some(100));
    assert_eq!(table.put_others(&key(4), 1_000, true, others), Placed::Full);
    assert_eq!(table.used(), 3);
    // One that is counted here makes room as ever.
    table.update(&key(5), 1_001, |_| ());
    assert_eq!((table.used(), read(&table, 1, 1_001, Data::Gpc0, 0)), (3, None));
    table.leave_others(&key(3), 1_002);
    assert_eq!(table.used(), 2);
    // What was counted here stays, without the others.
    table.put_others(&key(5), 1_002, true, others);
    table.leave_others(&key(5), 1_002);
    assert_eq!(read(&table, 5, 1_002, Data::Gpc0, 0), Some(0));
    // It lives on for as long as it is used elsewhere.
    table.put_others(&key(6), 5_000, true, others);
    table.put_others(&key(6), 14_000, true, others);
    assert_eq!(read(&table, 6, 23_000, Data::Gpc0, 0), Some(100));
    table.put_others(&key(6), 23_500, false, others);
    assert_eq!(read(&table, 6, 24_001, Data::Gpc0, 0), None);
}

#[test]
fn sums_of_others_are_no_changes() {
    let table = table(ALL);
    let mut cursor = table.cursor();
    let mut changed = |now| {
        let mut keys = Vec::new();
        table.changes(&mut cursor, now, |entry| {
            keys.push(entry.key().number());
            true
        });
        keys
    };
    table.put_others(&key(1), 1_000, true, others);
    table.look(&key(1), 1_000, |_| ());
    assert_eq!(changed(1_000), Vec::<u32>::new());
    table.update(&key(1), 1_001, |entry| entry.add(Data::Gpc0, 0, 1));
    assert_eq!(changed(1_001), [1]);
    table.put_others(&key(1), 1_002, true, others);
    assert_eq!(changed(1_002), Vec::<u32>::new());
}

#[test]
fn tables_that_differ_have_other_signatures() {
    let signature = |line: &str| table(line).signature();
    let base = signature("type integer size 3 cluster store gpc0,gpc0_rate(1s)");
    assert_eq!(base, signature("type integer size 9 expire 1s cluster store gpc0_rate(1s),gpc0,gpt0"));
    for other in [
        "type ip size 3 cluster store gpc0,gpc0_rate(1s)",
        "type integer size 3 cluster store gpc0,gpc0_rate(2s)",
        "type integer size 3 cluster store gpc0",
        "type integer size 3 cluster store gpc(2),gpc0_rate(1s)",
    ] {
        assert_ne!(base, signature(other), "{other}");
    }
    for (kind, text) in
        [("ip", "10.1.2.3"), ("ipv6", "2001:db8::1"), ("integer", "77"), ("string len 9", "a/b")]
    {
        let kind = table(&format!("type {kind} size 3 cluster store gpc0")).kind();
        let key = kind.parse(text).expect(text);
        assert_eq!(kind.of_sorted(&key.sorted(kind)), Some(key), "{text}");
        assert_eq!(kind.of_sorted(b"0123456789abcdef0"), None);
    }
}

/// What a request costs that counts and reads its rate, beside that of a table of one node.
#[test]
#[ignore = "a measurement: cargo test -- --ignored --nocapture request_costs"]
fn what_a_request_costs() {
    let cost = |line: &str| {
        let table = table(line);
        let start = crate::base::clock::now_ns();
        for n in 0..1_000_000_u32 {
            table.update(&key(n % 1_000), 1_000 + u64::from(n / 1_000), |entry| {
                let rate = entry.value(Data::Gpc0Rate, 0).unwrap_or_default();
                entry.count((Data::Gpc0, 0), (Data::Gpc0Rate, 0), 1 + u64::from(rate > 1 << 30))
            });
        }
        (crate::base::clock::now_ns() - start) / 1_000_000
    };
    for _ in 0..3 {
        let [local, peers, cluster] = ["", "peers p ", "cluster "]
            .map(|word| cost(&format!("type integer size 10k expire 10s {word}store gpc0,gpc0_rate(1s)")));
        println!(
            "{local} ns with a table of one node, {peers} with one told to peers, {cluster} with one of a cluster"
        );
    }
}
