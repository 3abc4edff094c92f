//! What HAProxy has sent is understood as HAProxy does, and what is said of the same entries is the same.

use std::sync::Arc;

use super::super::definition;
use super::super::dictionary::Sent;
use super::super::message::{self, Fault, Message, table as kinds};
use super::super::session::Shared;
use super::super::update;
use super::support::{NOW, behind, four, recorded, said, session, stream};
use crate::stick::{Data, Key};

/// Scripted trials that change or refuse: the answer to them is HAProxy's to the octet.
const SCRIPTED: &[&str] = &[
    "good",
    "timed",
    "timed0",
    "inc",
    "incnobase",
    "switch",
    "noexp",
    "xbits",
    "xtra",
    "arr2",
    "arr6",
    "longstr",
    "zerostr",
    "rate",
    "dict",
    "dictunk",
    "conncur",
    "negsid",
    "nodefine",
    "switchunk",
    "unktab",
    "badtype",
    "arrnopar",
    "cls5",
    "cls5v",
    "ctl9",
    "t90",
    "err",
    "ackunk",
    "confirm",
    "zlen",
    "short",
    "nodata",
    "dict0",
    "dictbig",
    "dictover",
    "cls255",
    "vl",
    "ackshort",
    "big",
];

/// What a session of ours answers to a script.
fn answer(tables: &Arc<[Shared]>, name: &str) -> Vec<u8> {
    let mut session = session(tables);
    let came = stream(&format!("f-{name}.c2s"));
    match session.receive(behind(&came, 3), NOW) {
        Ok(_) => said(&mut session),
        Err(fault) => fault.message().to_vec(),
    }
}

#[test]
fn scripts_are_answered_as_haproxy_does() {
    for name in SCRIPTED {
        let expected = stream(&format!("f-{name}.s2c"));
        assert_eq!(answer(&four(), name), behind(&expected, 1), "{name}");
    }
}

/// The entries of one of the four tables after a script: key, values, server, milliseconds left.
fn entries(name: &str, at: usize) -> Vec<String> {
    let tables = four();
    answer(&tables, name);
    let (table, mut lines) = (&tables[at].table, Vec::new());
    table.walk(NOW, |entry| {
        let mut line = String::new();
        entry.key().show(table.kind(), &mut line);
        for stored in &table.spec().store {
            for index in 0..usize::from(stored.count) {
                if stored.data != Data::ServerKey {
                    line.push_str(&format!(" {}", entry.value(stored.data, index).unwrap_or_default()));
                }
            }
        }
        line.push_str(&entry.server_key().map(|server| format!(" {server}")).unwrap_or_default());
        lines.push(format!("{line} for {}", entry.remaining_ms()));
        false
    });
    lines.sort();
    lines
}

#[test]
fn values_are_what_they_were() {
    for (name, at, expected) in [
        ("xtra", 0, &["1.2.8.3 9 for 60000"][..]),
        ("timed", 0, &["1.2.3.5 9 for 5000"]),
        ("timed0", 0, &[]),
        // 100, and of the 50 before the share that is left after 4 of 10 seconds.
        ("rate", 1, &["rr 5 130 for 60000"]),
        ("dict", 1, &["d1 5 0 s1 for 60000", "d2 5 0 s1 for 60000", "d3 5 0 for 60000"]),
        ("longstr", 1, &["aaaaaaaaaaaaaaaa 5 0 for 60000"]),
        ("zerostr", 1, &[" 5 0 for 60000", "a 6 0 for 60000"]),
        // What connections another process has is not taken over.
        ("conncur", 2, &["5 3 7 0 for 60000"]),
        ("arr2", 3, &["1.2.9.1 1 2 0 0 for 60000"]),
        ("arr6", 3, &["1.2.9.2 1 2 3 4 for 60000"]),
        ("badtype", 0, &[]),
        ("nodata", 0, &[]),
    ] {
        assert_eq!(entries(name, at), expected, "{name}");
    }
    let below_zero = entries("negsid", 2);
    assert!(below_zero[0].starts_with("4294967290 -1 "), "{below_zero:?}");
}

/// The messages of a stream.
fn messages(bytes: &[u8]) -> Vec<Message<'_>> {
    let (mut all, mut at) = (Vec::new(), 0);
    while let Some(message) = message::read(&bytes[at..]).expect("no fault") {
        all.push(message);
        at += message.len;
    }
    all
}

#[test]
fn streams_of_two_processes_are_understood_in_pieces_of_any_size() {
    for name in ["first", "resync", "mism", "mism-rs", "x34", "x34-rs", "race", "reload", "r0", "x34-replay"]
    {
        for (end, lines) in [("c2s", 3), ("s2c", 1)] {
            let came = stream(&format!("{name}.{end}"));
            let came = behind(&came, lines);
            let (whole, pieces) = (recorded(), recorded());
            let mut session_of_whole = session(&whole);
            session_of_whole.receive(came, NOW).unwrap_or_else(|e| panic!("{name}.{end}: {e:?}"));
            let mut of_pieces = session(&pieces);
            for piece in came.chunks(3) {
                of_pieces.receive(piece, NOW).expect("no fault");
            }
            let all = [&mut session_of_whole, &mut of_pieces].map(said);
            // Entries that are taught stand in the order of their hashes.
            assert_eq!(all[0].len(), all[1].len(), "{name}.{end}");
            let used = |tables: &Arc<[Shared]>| tables.iter().map(|s| s.table.used()).sum::<u32>();
            assert_eq!(used(&whole), used(&pieces));
            let updates =
                messages(came).iter().filter(|m| matches!(m.kind, 0x80 | 0x81 | 0x85 | 0x86)).count();
            if !name.starts_with("mism") && name != "race" {
                assert_eq!(session_of_whole.tally.updates_received, updates as u64, "{name}.{end}");
            }
        }
    }
}

#[test]
fn tables_are_defined_as_haproxy_does() {
    let mut seen = 0;
    for name in ["first.s2c", "first.c2s", "x34.c2s"] {
        let came = stream(name);
        let tables = recorded();
        for message in messages(behind(&came, if name.ends_with("c2s") { 3 } else { 1 })) {
            if (message.class, message.kind) != (message::TABLE, kinds::DEFINE) {
                continue;
            }
            let read = definition::take(message.content).expect("a definition");
            let shared = tables.iter().find(|s| *s.wire == *read.name).expect("a table");
            let mut own = Vec::new();
            definition::put(&mut own, read.id, &shared.wire, shared.table.spec(), shared.table.expire_ms());
            assert_eq!(own, message.content, "{}", read.name);
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn entries_are_told_as_haproxy_does() {
    let mut compared = 0;
    for name in ["first.s2c", "first.c2s", "resync.s2c", "x34-rs.s2c"] {
        let came = stream(name);
        let tables = recorded();
        let mut session = session(&tables);
        let mut reading = String::new();
        for message in messages(behind(&came, if name.ends_with("c2s") { 3 } else { 1 })) {
            let mut bytes = vec![message.class, message.kind];
            if message.kind >= 128 {
                super::super::varint::put(&mut bytes, message.content.len() as u64);
                bytes.extend(message.content);
            }
            session.receive(&bytes, NOW).expect("no fault");
            let skipped = match message.kind {
                kinds::DEFINE => {
                    reading = definition::take(message.content).expect("a definition").name;
                    continue;
                }
                kinds::UPDATE => 4,
                kinds::INCREMENTAL => 0,
                kinds::TIMED_UPDATE => 8,
                kinds::TIMED_INCREMENTAL => 4,
                _ => continue,
            };
            // Connections are not taken over, and dictionaries are each side's own.
            let shared = tables.iter().find(|s| *s.wire == *reading).expect("a table");
            let table = &shared.table;
            if message.class != message::TABLE || table.stores(Data::ConnCur) || table.stores(Data::ServerKey)
            {
                continue;
            }
            let content = &message.content[skipped..];
            let mut fields = super::super::varint::Fields::new(content);
            let key = update::take_key(&mut fields, table.kind()).expect("a key");
            let mut own = Vec::new();
            table.look(&key, NOW, |entry| update::put(&mut own, entry, table.spec(), &mut Sent::default()));
            if !own.is_empty() {
                assert_eq!(own, content, "{name} {reading}");
                compared += 1;
            }
        }
    }
    assert!(compared > 40, "{compared}");
}

#[test]
fn wrong_acknowledgements_of_haproxy_3_4_mean_nothing() {
    let tables = four();
    let mut session = session(&tables);
    for n in 0..3_u8 {
        tables[0].table.update(&Key::ip([10, 0, 0, n].into()), NOW, |entry| entry.add(Data::Gpc0, 0, 1));
    }
    said(&mut session);
    session.receive(b"\x0a\x84\x05\x01\x03\0\0\0", NOW).expect("no fault");
    assert_eq!(session.progress()[0].acked, 0);
    session.receive(b"\x0a\x84\x05\x01\0\0\0\x03", NOW).expect("no fault");
    assert_eq!(session.progress()[0].acked, 3);
    assert_eq!(session.receive(b"\x0a\x84\x03\x01\0\0", NOW), Err(Fault::Protocol));
}
