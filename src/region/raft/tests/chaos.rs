//! Clients that put and read while nodes are killed, cut off and asked to step down; what they saw must be the history
//! of one register.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::cluster::*;
use crate::region::seat::Consistency;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Put(u64),
    /// 0: nothing there.
    Saw(u64),
}

#[derive(Clone, Copy, Debug)]
struct Operation {
    what: What,
    from: u64,
    /// None: nobody knows whether it happened.
    to: Option<u64>,
}

/// Whether these operations, in an order that time allows, are those of one register.
fn linearizable(operations: &[Operation]) -> bool {
    let operations = operations.to_vec();
    let search = move || {
        let nothing_done = vec![false; operations.len()];
        Operations(&operations).search(nothing_done, 0, &mut HashSet::new())
    };
    // As deep as the history is long.
    let thread = std::thread::Builder::new().stack_size(1 << 30).spawn(search);
    thread.expect("a thread").join().expect("an answer")
}

struct Operations<'a>(&'a [Operation]);

impl Operations<'_> {
    fn search(&self, done: Vec<bool>, value: u64, tried: &mut HashSet<(Vec<bool>, u64)>) -> bool {
        let left = || self.0.iter().enumerate().filter(|(n, _)| !done[*n]);
        // What nobody knows of may never have happened.
        let Some(first_end) = left().filter_map(|(_, o)| o.to).min() else { return true };
        if !tried.insert((done.clone(), value)) {
            return false;
        }
        left().filter(|(_, o)| o.from <= first_end).any(|(n, operation)| {
            let after = match operation.what {
                What::Put(new) => new,
                What::Saw(seen) if seen == value => value,
                What::Saw(_) => return false,
            };
            let mut done = done.clone();
            done[n] = true;
            self.search(done, after, tried)
        })
    }
}

#[test]
fn the_checker_tells_a_stale_read() {
    let put = |value, from, to| Operation { what: What::Put(value), from, to };
    let saw = |value, from, to| Operation { what: What::Saw(value), from, to: Some(to) };
    assert!(linearizable(&[put(1, 0, Some(1)), put(2, 2, Some(5)), saw(1, 3, 4), saw(2, 6, 7)]));
    assert!(!linearizable(&[put(1, 0, Some(1)), put(2, 2, Some(3)), saw(1, 4, 5)]));
    assert!(linearizable(&[put(1, 0, Some(1)), put(2, 2, None), saw(1, 4, 5), saw(2, 6, 7)]));
    assert!(!linearizable(&[put(1, 0, Some(1)), put(2, 2, None), saw(2, 4, 5), saw(1, 6, 7)]));
}

type Histories = Arc<Mutex<BTreeMap<String, Vec<Operation>>>>;

/// Puts and reads one key at the node it is given, as long as that is there.
async fn client(
    seats: Arc<Mutex<Vec<Option<Seat>>>>,
    key: String,
    number: u64,
    over: Arc<AtomicBool>,
    out: Histories,
) {
    let mut next = number << 32;
    let mut turn = number as usize;
    while !over.load(Ordering::Relaxed) {
        turn += 1;
        let seat = {
            let seats = seats.lock().unwrap();
            seats[turn % seats.len()].clone()
        };
        let Some(seat) = seat else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let from = clock::now_ns();
        let operation = if turn.is_multiple_of(3) {
            next += 1;
            match seat.propose(put(&key, &next.to_string())).await {
                Ok(_) => Some(Operation { what: What::Put(next), from, to: Some(clock::now_ns()) }),
                // These say that it did not happen; of the rest nobody knows.
                Err(SeatError::NoLeader | SeatError::Full(_)) => None,
                Err(_) => Some(Operation { what: What::Put(next), from, to: None }),
            }
        } else {
            let how = if turn.is_multiple_of(2) { Consistency::Default } else { Consistency::Consistent };
            match seat.fresh(how).await {
                Ok(_) => {
                    let seen = value(&seat, &key).and_then(|v| v.parse().ok()).unwrap_or(0);
                    Some(Operation { what: What::Saw(seen), from, to: Some(clock::now_ns()) })
                }
                Err(_) => None,
            }
        };
        if let Some(operation) = operation {
            out.lock().unwrap().entry(key.clone()).or_default().push(operation);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn random(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

/// One disturbance.
fn disturb(cluster: &mut Cluster, seats: &Mutex<Vec<Option<Seat>>>, state: &mut u64) {
    let n = random(state) % 3;
    let pause = Duration::from_millis(300 + random(state) as u64 % 1500);
    match random(state) % 4 {
        0 => {
            seats.lock().unwrap()[n] = None;
            cluster.kill(n);
            std::thread::sleep(pause);
            cluster.restart(n);
            seats.lock().unwrap()[n] = Some(cluster.seat(n));
        }
        1 => {
            for other in (0..3).filter(|other| *other != n) {
                cluster.cables.cut(&cluster.nodes[n].address, &cluster.nodes[other].address);
            }
            std::thread::sleep(pause * 2);
            cluster.cables.mend();
        }
        2 => {
            // Two that cannot reach each other, and a third between them.
            cluster.cables.cut(&cluster.nodes[n].address, &cluster.nodes[(n + 1) % 3].address);
            std::thread::sleep(pause * 2);
            cluster.cables.mend();
        }
        _ => cluster.runtime.block_on(cluster.handle(n).step_down()),
    }
    std::thread::sleep(Duration::from_millis(500));
}

fn chaos(seed: u64, seconds: u64) {
    let mut cluster = Cluster::new(3, true);
    cluster.leader();
    let seats = Arc::new(Mutex::new((0..3).map(|n| Some(cluster.seat(n))).collect::<Vec<_>>()));
    let (over, out) = (Arc::new(AtomicBool::new(false)), Histories::default());
    let mut clients = Vec::new();
    for number in 1..=12 {
        let key = format!("key{}", number % 4);
        clients.push(cluster.runtime.spawn(client(seats.clone(), key, number, over.clone(), out.clone())));
    }
    let mut state = seed;
    let end = clock::now_ms() + seconds * 1000;
    while clock::now_ms() < end {
        disturb(&mut cluster, &seats, &mut state);
    }
    over.store(true, Ordering::Relaxed);
    cluster.runtime.block_on(async {
        for client in clients {
            client.await.expect("a client");
        }
    });
    let leader = cluster.leader();
    cluster.put(leader, "end", "1").expect("a put when all is well again");
    for n in 0..3 {
        until("the end everywhere", || cluster.value(n, "end"));
    }
    let maps: Vec<_> = (0..3).map(|n| cluster.seat(n).map()).collect();
    for (key, history) in out.lock().unwrap().iter() {
        assert!(linearizable(history), "seed {seed}: {key}: no register did {history:?}");
        let values: Vec<_> =
            maps.iter().map(|map| map.entry(key).map(|e| (e.value.clone(), e.modify_index))).collect();
        assert!(values.iter().all(|v| *v == values[0]), "seed {seed}: {key}: {values:?}");
    }
    let done: usize = out.lock().unwrap().values().map(Vec::len).sum();
    assert!(done > 200, "clients must get something done: {done}");
    println!("seed {seed}: {done} operations");
}

#[test]
fn clients_see_one_register_while_nodes_fail() {
    chaos(11, 15);
}

#[test]
#[ignore = "long"]
fn clients_see_one_register_while_nodes_fail_for_long() {
    for seed in 100..108 {
        chaos(seed, 40);
    }
}
