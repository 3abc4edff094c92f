//! What somebody is told who follows the changes of a table.

use super::table;
use crate::stick::{Cursor, Data, Key, Learned, Learning, Table};

fn add(table: &Table, n: u32, now: u64) {
    table.update(&Key::integer(n), now, |entry| entry.add(Data::Gpc0, 0, 1)).expect("room");
}

/// Keys and values of all changes that are not known yet.
fn told(table: &Table, cursor: &mut Cursor, now: u64) -> Vec<(u32, i64)> {
    let mut list = Vec::new();
    let all = table.changes(cursor, now, |entry| {
        list.push((entry.key().number(), entry.value(Data::Gpc0, 0).unwrap_or(-1)));
        true
    });
    assert!(all);
    list
}

#[test]
fn changes_between_two_looks_are_one_and_none_is_lost() {
    // Peers are told in the order of last changes, which is that of versions.
    let orders = [("peers p", [(2, 1), (3, 1), (1, 3)]), ("cluster", [(1, 3), (2, 1), (3, 1)])];
    for (word, order) in orders {
        let table = table(&format!("type integer size 100 expire 10m {word} store gpc0"));
        let (mut first, mut second) = (table.cursor(), table.cursor());
        [1, 2, 1, 3, 1].iter().for_each(|n| add(&table, *n, 1_000));
        assert_eq!(told(&table, &mut first, 1_001), order, "{word}");
        assert_eq!(told(&table, &mut first, 1_002), [], "{word}");
        add(&table, 2, 1_003);
        add(&table, 2, 1_004);
        assert_eq!(told(&table, &mut first, 1_005), [(2, 3)], "{word}");
        add(&table, 1, 1_006);
        // Who has not looked for long is told of each entry once, in the order of its last change before a look.
        assert_eq!(told(&table, &mut second, 1_007), [(3, 1), (2, 3), (1, 4)], "{word}");
        assert_eq!(told(&table, &mut first, 1_008), [(1, 4)], "{word}");
    }
}

#[test]
fn what_changes_while_all_is_told_is_told_again() {
    let table = table("type integer size 100 expire 10m peers p store gpc0");
    (0..90).for_each(|n| add(&table, n, 1_000));
    let (mut cursor, mut walk, mut seen) = (table.cursor(), Default::default(), 0);
    while !table.teach(&mut walk, &mut cursor, 1_001, |_| {
        seen += 1;
        seen % 10 != 0
    }) {
        add(&table, 5, 1_001);
    }
    assert!(seen >= 90, "{seen}");
    let again = told(&table, &mut cursor, 1_002);
    let value = table.look(&Key::integer(5), 1_003, |entry| entry.value(Data::Gpc0, 0)).flatten();
    assert_eq!(again, [(5, value.expect("a counter"))]);
}

/// Two that were apart for long: of the changes of a key the last one stays, also where nobody looked before it.
#[test]
fn the_last_change_stays_though_nobody_saw_those_before_it() {
    let [a, b] = [1, 2].map(|who| {
        let table = table("type integer size 100 expire 1d peers p store gpc0");
        table.share(who, None);
        table
    });
    add(&a, 7, 1_000);
    add(&b, 7, 2_000);
    add(&a, 7, 3_000);
    let mut told = Vec::new();
    b.changes(&mut b.cursor(), 3_001, |entry| {
        told.push(entry.version());
        true
    });
    assert_eq!(told.len(), 1);
    for version in told {
        let how = Learning { version: Some(version), ..Learning::default() };
        let learned = a.learn(&Key::integer(7), 3_001, how, |entry| entry.set(Data::Gpc0, 0, 1));
        assert_eq!(learned, Learned::Older);
    }
    assert_eq!(a.look(&Key::integer(7), 3_002, |entry| entry.value(Data::Gpc0, 0)).flatten(), Some(2));
}
