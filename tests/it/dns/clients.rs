//! Connections: pipelined, silent, slow, too many; and floods.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::client::{Node, SOON, short};
use crate::support::place::wait_until;

fn query(id: u16, name: &str) -> Vec<u8> {
    let mut packet = [&id.to_be_bytes()[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    for label in name.split('.') {
        packet.push(label.len() as u8);
        packet.extend(label.bytes());
    }
    packet.extend([0, 0, 1, 0, 1]);
    packet
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

fn read_one(stream: &mut TcpStream) -> Vec<u8> {
    let mut size = [0; 2];
    stream.read_exact(&mut size).expect("a length");
    let mut message = vec![0; usize::from(u16::from_be_bytes(size))];
    stream.read_exact(&mut message).expect("a message");
    message
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("connected");
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    stream
}

#[test]
fn a_connection_takes_many_queries_and_no_patience() {
    let node =
        Node::start("    tcp-idle 1s\n    maxconn 3\n    zone a.test\n    record www A 192.0.2.1\n", "");
    let mut stream = connect(node.dns());
    let many: Vec<u8> = (0..200).flat_map(|id| framed(&query(id, "www.a.test"))).collect();
    // In pieces that end anywhere.
    for piece in many.chunks(333) {
        stream.write_all(piece).expect("sent");
    }
    for id in 0..200u16 {
        let answer = read_one(&mut stream);
        assert_eq!((&answer[..2], answer[7]), (&id.to_be_bytes()[..], 1), "in order");
    }
    // Silence, and half a message, end after the idle time.
    let begin = Instant::now();
    stream.write_all(&[0]).expect("sent");
    assert_eq!(stream.read(&mut [0; 1]).expect("closed"), 0);
    assert!(begin.elapsed() > Duration::from_millis(700) && begin.elapsed() < SOON);
    // So many connections and no more; they come back when one ends.
    let held: Vec<TcpStream> = (0..3).map(|_| connect(node.dns())).collect();
    let mut fourth = connect(node.dns());
    assert_eq!(fourth.read(&mut [0; 1]).unwrap_or(0), 0, "closed at once");
    drop(held);
    let again = wait_until(SOON, || short(node.dns(), &["www.a.test", "+tcp"]) == ["192.0.2.1"]);
    assert!(again);
}

/// Who does not read its answers is given up, and nobody else notices.
#[test]
fn a_slow_reader_is_given_up() {
    let node = Node::start("    tcp-idle 1s\n    zone a.test\n    record www A 192.0.2.1\n", "");
    let mut slow = connect(node.dns());
    slow.set_write_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let many: Vec<u8> = (0..2000).flat_map(|id| framed(&query(id, "www.a.test"))).collect();
    let given_up = wait_until(SOON, || {
        let blocked = (0..1000).any(|_| slow.write_all(&many).is_err());
        blocked && slow.write(&[0]).is_err()
    });
    assert!(given_up);
    assert_eq!(short(node.dns(), &["www.a.test", "+tcp"]), ["192.0.2.1"]);
}

#[test]
fn a_flood_is_answered_at_its_rate_and_cookies_are_exempt() {
    let node = Node::start("    rate-limit 20\n    zone a.test\n    record www A 192.0.2.1\n", "");
    let socket = UdpSocket::bind((node.dns().ip(), 0)).expect("bound");
    socket.connect(node.dns()).expect("connected");
    socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    for id in 0..400 {
        socket.send(&query(id, "www.a.test")).expect("sent");
    }
    let (mut whole, mut truncated) = (0, 0);
    let mut buf = [0; 1500];
    while socket.recv(&mut buf).is_ok() {
        if buf[2] & 2 == 0 { whole += 1 } else { truncated += 1 }
    }
    assert!((20..80).contains(&whole), "{whole} whole answers at 20 a second");
    assert!((100..200).contains(&truncated), "{truncated}: half of the others");
    // dig's second query shows the cookie that its first one got; without one it would be limited now.
    let cookie = super::client::dig(node.dns(), &["www.a.test", "+tcp"]);
    let own = cookie.lines().find_map(|line| line.split("COOKIE: ").nth(1)).and_then(|c| c.split(' ').next());
    let shown = format!("+cookie={}", own.expect("a cookie"));
    for _ in 0..100 {
        let answer = super::client::dig(node.dns(), &["www.a.test", &shown, "+ignore"]);
        assert!(answer.contains("192.0.2.1"), "{answer}");
    }
}
