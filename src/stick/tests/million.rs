//! How large a table of a million entries is, and how long its expiry takes: figures, printed.

use std::net::Ipv4Addr;

use super::table;
use crate::base::clock;
use crate::stick::{Data, Key};

const ENTRIES: u32 = 1_000_000;

#[test]
#[ignore = "a measurement: cargo test -- --ignored --nocapture million"]
fn a_million_entries_are_small_and_expire_without_a_pause() {
    let table = table("type ip size 1m expire 10s store http_req_rate(10s)");
    let start = clock::now_ns();
    let mut longest = 0;
    for n in 0..ENTRIES {
        let before = clock::now_ns();
        let ip = Ipv4Addr::from(n.wrapping_mul(2_654_435_761));
        table.update(&Key::ip(ip), 1_000, |entry| entry.add(Data::HttpReqRate, 0, 1));
        longest = longest.max(clock::now_ns() - before);
    }
    let each = (clock::now_ns() - start) / u64::from(ENTRIES);
    let bytes = table.bytes() as f64 / f64::from(ENTRIES);
    println!("{bytes:.1} bytes an entry; {each} ns an insertion, the longest {} us", longest / 1000);
    assert_eq!(table.used(), ENTRIES);
    assert!(bytes <= 160.0, "{bytes}");
    let (mut turns, mut slowest, start) = (0, 0, clock::now_ns());
    loop {
        let before = clock::now_ns();
        let removed = table.expire(20_000, 512);
        slowest = slowest.max(clock::now_ns() - before);
        turns += 1;
        if removed < 512 {
            break;
        }
    }
    let all = (clock::now_ns() - start) / 1_000_000;
    println!("expired in {turns} turns, {all} ms; the slowest {} us", slowest / 1000);
    assert_eq!(table.used(), 0);
}
