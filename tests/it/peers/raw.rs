//! Peers that are none: what they are told, and that others do not mind.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::node::{Node, Ports, soon};
use crate::support::place;

fn ask(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
    stream.write_all(bytes).expect("write");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn whoever_is_no_peer_is_told_why() {
    let ports = Ports::new();
    let node = Node::start("A", &ports.lines(), None);
    let to = SocketAddr::from((place::address(), ports.a));
    for (hello, status) in [
        (&b"NoProtocol 2.1\nA\nB 1 1\n"[..], &b"501\n"[..]),
        (b"HAProxyS 2.1\nA\nB\n", b"501\n"),
        (b"HAProxyS 3.0\nA\nB 1 1\n", b"502\n"),
        (b"HAProxyS 2.1\nZ\nB 1 1\n", b"503\n"),
        (b"HAProxyS 2.1\nA\nZ 1 1\n", b"504\n"),
    ] {
        let told = ask(to, hello);
        assert_eq!(told, status, "{}", hello.escape_ascii());
    }
    assert!(node.cli("show peers").contains("id=B(remote,inactive)"));
    assert_eq!(node.cli("show peers nobody").trim(), "No such peers");
}

#[test]
fn garbage_ends_its_session_alone() {
    let ports = Ports::new();
    let mut a = Node::start("A", &ports.lines(), None);
    let to = SocketAddr::from((place::address(), ports.a));
    let hello = b"HAProxyS 2.1\nA\nB 1 1\n";
    // An entry without its values, a class that must not come, a message that is too long.
    for (more, told) in [
        (&b"\x0a\x82\x0a\x05\x05t_int\x02\x04\x04\x0a\x80\x05\0\0\0\x01\x01"[..], &b"\x01\x00"[..]),
        (b"\xff\x01", b"\x01\x00"),
        (b"\x0a\x80\xff\xff\xff\x7f", b"\x01\x01"),
    ] {
        let answer = ask(to, &[&hello[..], more].concat());
        assert!(answer.starts_with(b"200\n") && answer.ends_with(told), "{}", answer.escape_ascii());
    }
    assert!(a.cli("show peers").contains("proto_err=3"), "{}", a.cli("show peers"));
    let b = Node::start("B", &ports.lines(), None);
    a.set([(1, 5)]);
    soon(&a, &b, "told", || b.integers().get(&1) == Some(&5));
    assert!(a.proxy.is_up());
}
