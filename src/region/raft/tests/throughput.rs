//! How fast: a look, not a benchmark (run with `--run-ignored all`, or on its own).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::cluster::*;

/// Puts of 256 bytes by `clients` that each wait for the last; puts and the 50th and 99th of a hundred, in microseconds.
fn puts(cluster: &Cluster, at: usize, clients: usize, seconds: u64) -> (u64, u64, u64) {
    let (done, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut tasks = Vec::new();
    for client in 0..clients {
        let (seat, done, over) = (cluster.seat(at), done.clone(), over.clone());
        tasks.push(cluster.runtime.spawn(async move {
            let mut took = Vec::new();
            for n in 0.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let from = clock::now_ns();
                seat.propose(put(&format!("bench/{client}/{}", n % 100), &"v".repeat(256)))
                    .await
                    .expect("a put");
                took.push((clock::now_ns() - from) / 1_000);
                done.fetch_add(1, Ordering::Relaxed);
            }
            took
        }));
    }
    std::thread::sleep(Duration::from_secs(seconds));
    over.store(true, Ordering::Relaxed);
    let mut took: Vec<u64> =
        cluster.runtime.block_on(async { futures_of(tasks).await }).into_iter().flatten().collect();
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    (done.load(Ordering::Relaxed) / seconds, at(50), at(99))
}

async fn futures_of<T>(tasks: Vec<tokio::task::JoinHandle<T>>) -> Vec<T> {
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.expect("a task"));
    }
    all
}

#[test]
#[ignore = "a measurement"]
fn puts_a_second_on_three_nodes_with_fsync() {
    let cluster = Cluster::new(3, true);
    let leader = cluster.leader();
    for (what, at) in [("the leader", leader), ("a follower", (leader + 1) % 3)] {
        for clients in [1, 16, 64, 256] {
            let (rate, p50, p99) = puts(&cluster, at, clients, 3);
            println!("at {what}, {clients} clients: {rate}/s, p50 {p50} us, p99 {p99} us");
        }
    }
}
