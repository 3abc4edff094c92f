//! What choosing a server costs, per algorithm and number of servers.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use isobar::balance::{Spec, build, hash_key, parse_balance, parse_hash_type};
use isobar::model::{Address, Pick, Server, ServerLive, ServerSpec};

fn servers(n: u32) -> Vec<Server> {
    (1..=n)
        .map(|id| {
            let spec = ServerSpec::new(&format!("s{id}"), id, Address::Inet(([127, 0, 0, 1], 80).into()));
            let live = ServerLive::new(&spec, 4, 1000);
            Server { spec: Arc::new(spec), live: Arc::new(live) }
        })
        .collect()
}

fn pick(c: &mut Criterion) {
    let mut group = c.benchmark_group("pick");
    for balance in ["roundrobin", "static-rr", "leastconn", "first", "random", "uri", "uri consistent"] {
        for n in [2, 100, 1000] {
            let words: Vec<&str> = balance.split(' ').collect();
            let mut spec = Spec::new(parse_balance(&words[..1]).expect("known"));
            if words.len() > 1 {
                spec.hash = parse_hash_type(&words[1..]).expect("known");
            }
            let list = servers(n);
            let balancer = build(&spec, &list, 1000);
            let uri: &[u8] = b"/images/logo.png?v=12345678";
            group.bench_with_input(BenchmarkId::new(balance, n), &list, |b, list| {
                let mut random = 0u64;
                b.iter(|| {
                    random = random.wrapping_add(1);
                    let hash = if balancer.is_keyed() { hash_key(&spec, black_box(uri)) } else { None };
                    let i = balancer.pick(list, &Pick { hash, random, ..Pick::default() }).expect("a server");
                    list[i].live.served.fetch_add(1, Ordering::Relaxed);
                    balancer.load_changed(list, i, true);
                    list[i].live.served.fetch_sub(1, Ordering::Relaxed);
                    balancer.load_changed(list, i, false);
                    i
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, pick);
criterion_main!(benches);
