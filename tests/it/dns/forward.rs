//! Names that are asked of others, when these fail.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::client::{Node, SOON, dig};
use crate::support::place::wait_until;

/// A server that answers each question with an address for so many seconds, until it falls silent.
struct Upstream {
    address: String,
    silent: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

fn upstream(ttl: u8) -> Upstream {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let address = socket.local_addr().expect("an address").to_string();
    let (silent, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (is_silent, count) = (silent.clone(), asked.clone());
    std::thread::spawn(move || {
        let mut room = [0; 1500];
        while let Ok((size, from)) = socket.recv_from(&mut room) {
            count.fetch_add(1, Ordering::AcqRel);
            if is_silent.load(Ordering::Acquire) {
                continue;
            }
            let end = 12 + room[12..size].iter().position(|o| *o == 0).expect("a name") + 5;
            let mut answer = room[..end].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4, 192, 0, 2, 7]);
            let _ = socket.send_to(&answer, from);
        }
    });
    Upstream { address, silent, asked }
}

/// An answer whose time is over is given while nobody answers, before the client gives up (RFC 8767).
#[test]
fn an_old_answer_is_better_than_none() {
    let servers = [upstream(1), upstream(1), upstream(1)];
    let lines =
        format!("    forward . {} {} {}\n", servers[0].address, servers[1].address, servers[2].address);
    let node = Node::start(&lines, "");
    assert!(dig(node.dns(), &["old.test"]).contains("\t1\tIN\tA\t192.0.2.7"));
    servers.iter().for_each(|server| server.silent.store(true, Ordering::Release));
    std::thread::sleep(Duration::from_millis(2100));
    // All three would take longer than these clients wait.
    let mut told = String::new();
    let stale = wait_until(SOON, || {
        told = dig(node.dns(), &["old.test", "+time=2"]);
        told.contains("192.0.2.7")
    });
    assert!(stale && told.contains("\t30\tIN\tA") && told.contains("EDE: 3 (Stale Answer)"), "{told}");
    // What was never known fails, and says why.
    let told = dig(node.dns(), &["new.test", "+time=9"]);
    assert!(told.contains("status: SERVFAIL") && told.contains("EDE: 23"), "{told}");
    servers[0].silent.store(false, Ordering::Release);
    let fresh =
        wait_until(SOON, || dig(node.dns(), &["new.test", "+time=9"]).contains("\t1\tIN\tA\t192.0.2.7"));
    assert!(fresh);
}

/// What is asked for near the end of its time is asked again meanwhile, and nobody waits for it.
#[test]
fn an_answer_is_asked_again_before_it_ends() {
    let server = upstream(10);
    let node = Node::start(&format!("    forward . {}\n", server.address), "");
    assert!(dig(node.dns(), &["kept.test"]).contains("192.0.2.7"));
    for _ in 0..5 {
        assert!(dig(node.dns(), &["kept.test"]).contains("192.0.2.7"));
    }
    assert_eq!(server.asked.load(Ordering::Acquire), 1, "it is remembered");
    let again = wait_until(SOON, || {
        std::thread::sleep(Duration::from_millis(100));
        assert!(dig(node.dns(), &["kept.test"]).contains("192.0.2.7"));
        server.asked.load(Ordering::Acquire) == 2
    });
    assert!(again);
}
