//! Nodes that share a table by what each tells of its part, on a clock and over a network of the tests' own.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::lang::{Span, Word as Text};
use crate::peers::cluster::{Parts, Sums, Word};
use crate::stick::{Data, Key, Spec, Table};

/// How long a word is on its way: it gathers, and so does soft state.
const WAY_MS: u64 = 60;
/// How often a node tells.
const TURN_MS: u64 = 50;
const LIMIT: i64 = 100;

fn table(line: &str) -> Arc<Table> {
    let words: Vec<Text> =
        line.split(' ').map(|word| Text::new(word.as_bytes().to_vec(), Span::default())).collect();
    let spec = Spec::parse(&words, Span::default(), &mut |_, message| panic!("{message}")).expect("a table");
    Arc::new(Table::new("t", spec))
}

struct Node {
    table: Arc<Table>,
    parts: Parts,
    sums: Sums,
    /// What stands of it, as soft state keeps it.
    standing: BTreeMap<Vec<u8>, Vec<u64>>,
}

struct Cluster {
    line: &'static str,
    nodes: BTreeMap<u64, Node>,
    /// By the moment of arrival: from whom.
    flying: BTreeMap<(u64, u64), Vec<(u64, Word)>>,
    now: u64,
    sent: u64,
}

impl Cluster {
    fn new(line: &'static str, count: u64, most: usize, now: u64) -> Cluster {
        let mut cluster = Cluster { line, nodes: BTreeMap::new(), flying: BTreeMap::new(), now, sent: 0 };
        (1..=count).for_each(|id| cluster.join(id, most));
        cluster
    }

    /// A node begins, and hears what stands of the others.
    fn join(&mut self, id: u64, most: usize) {
        let table = table(self.line);
        table.set_wall(self.now, 1 << 40);
        let mut node = Node {
            parts: Parts::new(table.clone(), most),
            sums: Sums::new(table.clone()),
            table,
            standing: BTreeMap::new(),
        };
        for (from, other) in &self.nodes {
            for (key, values) in &other.standing {
                node.sums.hear(*from, key, Some(values), self.now);
            }
        }
        self.nodes.insert(id, node);
    }

    /// A node dies: the others hear so.
    fn die(&mut self, id: u64) {
        let gone = self.nodes.remove(&id).expect("a node");
        self.flying.values_mut().for_each(|words| words.retain(|(from, _)| *from != id));
        for node in self.nodes.values_mut() {
            for key in gone.standing.keys() {
                node.sums.hear(id, key, None, self.now);
            }
        }
    }

    /// A millisecond passes.
    fn tick(&mut self) {
        self.now += 1;
        let (now, due) = (self.now, self.flying.split_off(&(self.now + 1, 0)));
        for (_, words) in std::mem::replace(&mut self.flying, due) {
            for (from, word) in words {
                for (_, node) in self.nodes.iter_mut().filter(|(id, _)| **id != from) {
                    node.sums.hear(from, &word.key, word.values.as_deref(), now);
                }
            }
        }
        let mut told = Vec::new();
        for (id, node) in &mut self.nodes {
            node.sums.turn(now);
            if (now + id * 17) % TURN_MS > 0 {
                continue;
            }
            for word in node.parts.turn(now) {
                match &word.values {
                    Some(values) => node.standing.insert(word.key.clone(), values.clone()),
                    None => node.standing.remove(&word.key),
                };
                told.push((*id, word));
            }
        }
        self.sent += told.len() as u64;
        if !told.is_empty() {
            self.flying.entry((now + WAY_MS, 0)).or_default().extend(told);
        }
    }

    fn pass(&mut self, ms: u64) {
        (0..ms).for_each(|_| self.tick());
    }

    fn count(&self, id: u64, key: u32, n: u64) {
        let count = |entry: &mut crate::stick::Entry<'_>| {
            entry.count((Data::Gpc0, 0), (Data::Gpc0Rate, 0), n);
        };
        self.nodes[&id].table.update(&Key::integer(key), self.now, count).expect("room");
    }

    fn read(&self, id: u64, key: u32, data: Data) -> Option<i64> {
        self.nodes[&id].table.look(&Key::integer(key), self.now, |entry| entry.value(data, 0)).flatten()
    }

    /// What every node reads.
    fn all(&self, key: u32, data: Data) -> Vec<Option<i64>> {
        self.nodes.keys().map(|id| self.read(*id, key, data)).collect()
    }

    /// A request of one client to a node, which passes if the rate allows it.
    fn request(&self, id: u64) -> bool {
        let is_over = self.read(id, 7, Data::Gpc0Rate).is_some_and(|rate| rate >= LIMIT);
        if !is_over {
            self.count(id, 7, 1);
        }
        !is_over
    }
}

const LINE: &str = "type integer size 100k expire 1m cluster store gpc0,gpc0_rate(1s)";

#[test]
fn every_node_reads_the_sum_and_nothing_counts_twice() {
    let mut cluster = Cluster::new(LINE, 3, 1000, 1_000);
    for round in 0..50 {
        cluster.count(1, 1, 1);
        cluster.count(2, 1, 2);
        cluster.count(3, 1 + round % 2, 3);
        assert!(cluster.read(1, 1, Data::Gpc0) >= Some(round.into()), "the own part is there at once");
        cluster.pass(13);
    }
    cluster.pass(200);
    assert_eq!(cluster.all(1, Data::Gpc0), [Some(50 + 100 + 75); 3]);
    assert_eq!(cluster.all(2, Data::Gpc0), [Some(75); 3]);
    // Nothing is told on: who hears has nothing to tell.
    let before = cluster.sent;
    cluster.pass(1_000);
    assert_eq!(cluster.sent, before);
    // A value that is set is set for its node.
    cluster.nodes[&2].table.update(&Key::integer(1), cluster.now, |entry| entry.set(Data::Gpc0, 0, 0));
    cluster.pass(200);
    assert_eq!(cluster.all(1, Data::Gpc0), [Some(125); 3]);
}

#[test]
fn a_part_leaves_with_its_node_and_comes_back_anew() {
    let mut cluster = Cluster::new(LINE, 3, 1000, 1_000);
    (1..=3).for_each(|id| cluster.count(id, 1, 10));
    cluster.count(3, 2, 5);
    cluster.pass(200);
    assert_eq!(cluster.all(1, Data::Gpc0), [Some(30); 3]);
    assert_eq!(cluster.all(1, Data::Gpc0Rate), [Some(30); 3]);
    cluster.die(3);
    assert_eq!(cluster.all(1, Data::Gpc0), [Some(20); 2]);
    assert_eq!(cluster.all(1, Data::Gpc0Rate), [Some(20); 2]);
    assert_eq!(cluster.all(2, Data::Gpc0), [None; 2], "nobody else has it");
    cluster.join(3, 1000);
    cluster.count(3, 1, 1);
    cluster.pass(200);
    assert_eq!(cluster.all(1, Data::Gpc0), [Some(21); 3]);
}

#[test]
fn rates_of_others_fade_and_what_counts_nothing_is_taken_back() {
    let line = "type integer size 1k expire 1m cluster store gpc0_rate(1s)";
    // The time that tables are given wraps meanwhile.
    let mut cluster = Cluster::new(line, 2, 1000, u64::from(u32::MAX) - 700);
    cluster.count(1, 1, 100);
    cluster.pass(150);
    assert_eq!(cluster.all(1, Data::Gpc0Rate), [Some(100); 2]);
    cluster.pass(1_350);
    let rates = cluster.all(1, Data::Gpc0Rate);
    let (own, heard) = (rates[0].expect("a rate"), rates[1].expect("a rate"));
    assert!((49..=51).contains(&own) && (own..=own + 40).contains(&heard), "{own} {heard}");
    cluster.pass(1_000);
    assert!(cluster.all(1, Data::Gpc0Rate).iter().all(|rate| rate.is_none_or(|rate| rate == 0)));
    cluster.pass(1_000);
    assert!(cluster.nodes[&1].standing.is_empty() && cluster.nodes[&2].sums.is_empty());
}

#[test]
fn what_expires_goes_everywhere() {
    let mut cluster =
        Cluster::new("type integer size 1k expire 2s cluster store gpc0,gpc0_rate(1s)", 2, 1000, 1_000);
    cluster.count(1, 1, 5);
    cluster.pass(1_900);
    assert_eq!(cluster.all(1, Data::Gpc0), [Some(5); 2]);
    // Used without being counted it lives on, everywhere.
    for _ in 0..4 {
        cluster.nodes[&1].table.touched(&Key::integer(1), cluster.now, |_| ());
        cluster.pass(1_000);
    }
    assert_eq!(cluster.all(1, Data::Gpc0), [Some(5); 2]);
    cluster.pass(3_500);
    assert_eq!(cluster.all(1, Data::Gpc0), [None; 2]);
    assert!(cluster.nodes[&1].standing.is_empty() && cluster.nodes[&2].sums.is_empty());
}

#[test]
fn others_keep_so_many_keys_and_the_newest() {
    let mut cluster = Cluster::new(LINE, 2, 100, 1_000);
    for key in 0..5_000 {
        cluster.count(1, key, 1);
    }
    cluster.pass(500);
    assert_eq!(cluster.nodes[&1].standing.len(), 100);
    assert_eq!(cluster.nodes[&2].sums.len(), 100);
    cluster.count(1, 3, 1);
    cluster.pass(200);
    assert_eq!((cluster.read(2, 3, Data::Gpc0), cluster.nodes[&2].sums.len()), (Some(2), 100));
}

#[test]
fn words_of_another_table_or_none_at_all_are_passed_over() {
    let mut sums = Sums::new(table(LINE));
    let signature = sums.table().signature();
    let good = [signature, 1, 0, 1, 0];
    for (key, values) in [
        (&[0_u8, 0, 0][..], &good[..]),
        (&[0, 0, 0, 1], &good[..4]),
        (&[0, 0, 0, 1], &[signature + 1, 1, 0, 1, 0]),
        (&[0, 0, 0, 1], &[]),
        (&[], &good),
    ] {
        sums.hear(1, key, Some(values), 1_000);
        assert_eq!((sums.len(), sums.table().used()), (0, 0), "{key:?} {values:?}");
    }
    sums.hear(1, &[0, 0, 0, 1], Some(&[signature, u64::MAX, u64::MAX, u64::MAX, u64::MAX]), 1_000);
    sums.hear(2, &[0, 0, 0, 1], Some(&[signature, u64::MAX, 0, u64::MAX, u64::MAX]), 1_000);
    let read = |data| sums.table().look(&Key::integer(1), 1_000, |entry| entry.value(data, 0)).flatten();
    assert_eq!((read(Data::Gpc0), read(Data::Gpc0Rate)), (Some(u32::MAX.into()), Some(u32::MAX.into())));
}

/// Three nodes, 100 requests a second to each, of which 100 a second in all may pass: those of a minute.
fn accepted(is_killed: bool) -> u32 {
    let mut cluster = Cluster::new(LINE, 3, 1000, 5_000);
    let mut accepted = 0;
    for ms in 0..60_000_u64 {
        if is_killed && ms == 20_000 {
            cluster.die(3);
        }
        if is_killed && ms == 40_000 {
            cluster.join(3, 1000);
        }
        for id in 1..=3_u64 {
            if ms % 10 == id * 3 && cluster.nodes.contains_key(&id) {
                accepted += u32::from(cluster.request(id));
            }
        }
        cluster.tick();
    }
    accepted
}

#[test]
fn a_limit_holds_over_all_nodes() {
    let count = accepted(false);
    assert!((5_400..=6_600).contains(&count), "{count}");
    let count = accepted(true);
    assert!((4_800..=7_200).contains(&count), "{count}");
}
