//! Connections over socket pairs: short reads, deadlines, ends, splicing.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use crate::base::clock::MS;
use crate::os::pipe::Pipe;
use crate::os::socket::{self, Peer, RawAddr};
use crate::rt::{Conn, NEVER, Rt};

/// What a task came to, for the test to look at.
struct Outcome<T>(Rc<RefCell<Option<T>>>);

impl<T: 'static> Outcome<T> {
    fn of(rt: &'static Rt, future: impl Future<Output = T> + 'static) -> Self {
        let cell = Rc::new(RefCell::new(None));
        let told = cell.clone();
        rt.spawn(async move {
            let value = future.await;
            *told.borrow_mut() = Some(value);
        });
        rt.settle();
        Outcome(cell)
    }

    fn is_there(&self) -> bool {
        self.0.borrow().is_some()
    }

    fn take(&self) -> T {
        self.0.borrow_mut().take().expect("the task has ended")
    }
}

/// Reads once, into at most `room` bytes.
async fn read_once(conn: &Conn, room: usize, until: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; room];
    let n = conn.recv(&mut bytes, until).await?;
    bytes.truncate(n);
    Ok(bytes)
}

/// Everything that can be read of the peer's end now.
fn drain(peer: &mut UnixStream) -> Vec<u8> {
    let mut all = Vec::new();
    match peer.read_to_end(&mut all) {
        Err(e) if e.kind() != ErrorKind::WouldBlock => panic!("{e}"),
        _ => all,
    }
}

#[test]
fn a_read_waits_for_bytes_and_takes_what_there_is() {
    let rt = Rt::start_by_hand();
    let (conn, mut peer) = rt.pair();
    let got = Outcome::of(rt, async move { read_once(&conn, 64, NEVER).await });
    assert!(!got.is_there());
    peer.write_all(b"hello").unwrap();
    rt.settle();
    assert_eq!(got.take().unwrap(), b"hello");
}

#[test]
fn a_read_gives_up_at_its_deadline_and_not_before() {
    let rt = Rt::start_by_hand();
    let (conn, _peer) = rt.pair();
    let got = Outcome::of(rt, async move { read_once(&conn, 64, rt.after_ms(30)).await });
    rt.pass_ms(29);
    assert!(!got.is_there());
    rt.pass_ms(1);
    assert_eq!(got.take().unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn bytes_that_came_before_the_deadline_are_read_after_it() {
    let rt = Rt::start_by_hand();
    let (conn, mut peer) = rt.pair();
    peer.write_all(b"late but there").unwrap();
    let got = Outcome::of(rt, async move { read_once(&conn, 64, rt.now()).await });
    assert_eq!(got.take().unwrap(), b"late but there");
}

#[test]
fn a_short_read_is_taken_as_the_end_of_what_there_is() {
    let rt = Rt::start_by_hand();
    let (conn, mut peer) = rt.pair();
    let conn = Rc::new(conn);
    peer.write_all(b"12345678").unwrap();
    let reader = conn.clone();
    let got = Outcome::of(rt, async move { read_once(&reader, 8, NEVER).await });
    assert_eq!(got.take().unwrap(), b"12345678");
    assert!(conn.is_readable(), "a full read may have left something");
    assert!(conn.is_drained(), "the kernel says there is nothing");
    peer.write_all(b"123").unwrap();
    let reader = conn.clone();
    // Not registered before: the first wait asks the kernel.
    let got = Outcome::of(rt, async move {
        reader.readable(NEVER).await.unwrap();
        read_once(&reader, 8, NEVER).await
    });
    assert_eq!(got.take().unwrap(), b"123");
    assert!(!conn.is_readable());
}

#[test]
fn the_last_bytes_come_before_the_end() {
    let rt = Rt::start_by_hand();
    let (conn, mut peer) = rt.pair();
    let conn = Rc::new(conn);
    let reader = conn.clone();
    let all = Outcome::of(rt, async move {
        let mut reads = Vec::new();
        loop {
            let bytes = read_once(&reader, 64, NEVER).await.unwrap();
            let over = bytes.is_empty();
            reads.push(bytes);
            if over {
                return reads;
            }
        }
    });
    peer.write_all(b"bye").unwrap();
    drop(peer);
    rt.settle();
    assert_eq!(all.take(), [b"bye".to_vec(), Vec::new()]);
    assert!(conn.is_closed());
}

#[test]
fn a_peer_that_is_gone_is_noticed_by_who_watches() {
    let rt = Rt::start_by_hand();
    let (conn, peer) = rt.pair();
    conn.watch().unwrap();
    rt.settle();
    assert!(!conn.is_closed() && !conn.is_broken());
    drop(peer);
    rt.settle();
    assert!(conn.is_closed() && conn.is_broken());
}

#[test]
fn a_peer_that_ends_its_direction_leaves_ours_open() {
    let rt = Rt::start_by_hand();
    let (conn, mut peer) = rt.pair();
    let conn = Rc::new(conn);
    conn.watch().unwrap();
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    rt.settle();
    assert!(conn.is_closed() && !conn.is_broken());
    let writer = conn.clone();
    let sent = Outcome::of(rt, async move { writer.send_all(b"still", false, NEVER).await });
    sent.take().unwrap();
    assert_eq!(drain(&mut peer), b"still");
}

#[test]
fn a_write_goes_on_when_the_peer_reads_and_gives_up_when_it_does_not() {
    let rt = Rt::start_by_hand();
    let (conn, mut peer) = rt.pair();
    let bytes: Vec<u8> = (0..2_000_000u32).map(|i| i as u8).collect();
    let (conn, expected) = (Rc::new(conn), bytes.clone());
    let writer = conn.clone();
    let sent = Outcome::of(rt, async move { writer.send_all(&bytes, false, rt.after_ms(1_000)).await });
    assert!(!sent.is_there(), "two million bytes fit into a socket");
    let mut got = Vec::new();
    while got.len() < expected.len() {
        rt.pass_ms(1);
        got.extend(drain(&mut peer));
    }
    sent.take().unwrap();
    assert!(got == expected);
    let writer = conn.clone();
    let sent = Outcome::of(rt, async move { writer.send_all(&expected, false, rt.after_ms(40)).await });
    rt.pass_ms(39);
    assert!(!sent.is_there());
    rt.pass_ms(1);
    assert_eq!(sent.take().unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn slices_arrive_in_order_however_the_kernel_cuts_them() {
    let rt = Rt::start_by_hand();
    let (conn, mut peer) = rt.pair();
    let parts: Vec<Vec<u8>> = (0..20u8).map(|i| vec![i; 40_000]).collect();
    let expected = parts.concat();
    let sent = Outcome::of(rt, async move {
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|p| IoSlice::new(p)).collect();
        conn.send_slices(&mut slices, false, NEVER).await
    });
    let mut got = Vec::new();
    while got.len() < expected.len() {
        got.extend(drain(&mut peer));
        rt.settle();
    }
    sent.take().unwrap();
    assert!(got == expected);
}

#[test]
fn bytes_are_spliced_from_one_connection_to_the_other() {
    let rt = Rt::start_by_hand();
    let (from, mut client) = rt.pair();
    let (to, mut server) = rt.pair();
    let moved = Outcome::of(rt, async move {
        let mut pipe = Pipe::new(1 << 16).unwrap();
        let mut total = 0;
        loop {
            let n = poll_fn(|_| from.poll_splice_in(&mut pipe, 1 << 16, NEVER)).await.unwrap();
            if n == 0 {
                return total;
            }
            total += n;
            while pipe.held > 0 {
                poll_fn(|_| to.poll_splice_out(&mut pipe, false, NEVER)).await.unwrap();
            }
        }
    });
    let (mut sent, mut got) = (0, Vec::new());
    let body = vec![b'x'; 300_000];
    while sent < body.len() {
        sent += client.write(&body[sent..]).unwrap_or(0);
        rt.settle();
        got.extend(drain(&mut server));
    }
    drop(client);
    rt.settle();
    got.extend(drain(&mut server));
    assert_eq!(moved.take(), body.len());
    assert!(got == body);
}

#[test]
fn peeking_waits_for_more_than_was_seen() {
    let rt = Rt::start_by_hand();
    let (conn, mut peer) = rt.pair();
    let conn = Rc::new(conn);
    let lengths: Rc<RefCell<Vec<usize>>> = Rc::default();
    let (reader, record) = (conn.clone(), lengths.clone());
    rt.spawn(async move {
        let (mut room, mut seen) = ([0; 64], 0);
        while seen < 8 {
            seen = reader.peek_more(&mut room, seen, NEVER).await.unwrap();
            record.borrow_mut().push(seen);
        }
    });
    for part in [&b"PROXY"[..], b" TC", b"P4"] {
        peer.write_all(part).unwrap();
        rt.settle();
    }
    assert_eq!(*lengths.borrow(), [5, 8]);
    let got = Outcome::of(rt, async move { read_once(&conn, 64, NEVER).await });
    assert_eq!(got.take().unwrap(), b"PROXY TCP4", "nothing was taken");
}

#[test]
fn what_one_direction_waits_for_does_not_disturb_the_other() {
    let rt = Rt::start_by_hand();
    let (conn, mut peer) = rt.pair();
    let conn = Rc::new(conn);
    let (reader, writer) = (conn.clone(), conn.clone());
    let polls = Rc::new(Cell::new(0));
    let count = polls.clone();
    let got = Outcome::of(rt, async move {
        let mut room = [0; 16];
        poll_fn(|_| {
            count.set(count.get() + 1);
            reader.poll_recv(&mut room, NEVER)
        })
        .await
    });
    let sent = Outcome::of(rt, async move { writer.send_all(&vec![0; 1_000_000], false, NEVER).await });
    assert!(!sent.is_there());
    while !sent.is_there() {
        drain(&mut peer);
        rt.settle();
    }
    assert!(!got.is_there());
    assert_eq!(polls.get(), 1, "the reader was woken by room to write");
}

#[test]
fn connections_of_an_owner_end_together() {
    let rt = Rt::start_by_hand();
    let ((a, _peer_a), (b, _peer_b), (c, _peer_c)) = (rt.pair(), rt.pair(), rt.pair());
    a.belong_to(7);
    b.belong_to(7);
    c.belong_to(8);
    let ends: Vec<Outcome<io::Result<Vec<u8>>>> = [a, b, c]
        .into_iter()
        .map(|conn| Outcome::of(rt, async move { read_once(&conn, 8, NEVER).await }))
        .collect();
    assert_eq!(rt.shut_down(7), 2);
    rt.settle();
    assert!(ends[0].take().unwrap().is_empty() && ends[1].take().unwrap().is_empty());
    assert!(!ends[2].is_there());
    assert_eq!(rt.shut_down(0), 0, "nobody's connections are no owner's");
}

#[test]
fn a_detached_socket_wakes_nobody_here() {
    let rt = Rt::start_by_hand();
    let (conn, mut peer) = rt.pair();
    conn.watch().unwrap();
    let fd = conn.detach().expect("its socket");
    let (other, _other_peer) = rt.pair();
    other.try_recv(&mut [0; 8]);
    assert!(!other.is_readable());
    peer.write_all(b"for another worker").unwrap();
    rt.settle();
    assert!(!other.is_readable(), "the number was used again and got an event of the one before");
    let conn = Conn::accepted(rt, fd);
    let got = Outcome::of(rt, async move { read_once(&conn, 64, NEVER).await });
    assert_eq!(got.take().unwrap(), b"for another worker");
}

#[test]
fn a_dialled_connection_is_what_the_test_hands_out() {
    let rt = Rt::start_by_hand();
    let asked: Rc<RefCell<Vec<Peer>>> = Rc::default();
    let peers: Rc<RefCell<Vec<UnixStream>>> = Rc::default();
    let (record, kept) = (asked.clone(), peers.clone());
    rt.dial_with(move |to| {
        record.borrow_mut().push(to);
        if record.borrow().len() > 1 {
            return Err(ErrorKind::ConnectionRefused.into());
        }
        let (ours, peer) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        kept.borrow_mut().push(peer);
        Ok(ours.into())
    });
    let server = "192.0.2.1:80".parse().unwrap();
    let addr = RawAddr::inet(server);
    let conn = Conn::connect(rt, socket::stream(&addr).unwrap(), &addr).unwrap();
    Outcome::of(rt, async move { conn.send_all(b"to the server", false, NEVER).await }).take().unwrap();
    let mut got = [0; 13];
    peers.borrow_mut()[0].read_exact(&mut got).unwrap();
    assert_eq!(&got, b"to the server");
    assert_eq!(*asked.borrow(), [Peer::Inet(server)]);
    let refused = Conn::connect(rt, socket::stream(&addr).unwrap(), &addr);
    assert_eq!(refused.err().map(|e| e.kind()), Some(ErrorKind::ConnectionRefused));
}

#[test]
fn a_deadline_moves_with_every_byte_when_the_caller_says_so() {
    let rt = Rt::start_by_hand();
    let (conn, mut peer) = rt.pair();
    let start = rt.now();
    let over = Outcome::of(rt, async move {
        loop {
            if let Err(e) = read_once(&conn, 8, rt.after_ms(20)).await {
                return (e.kind(), (rt.now() - start) / MS);
            }
        }
    });
    for _ in 0..3 {
        rt.pass_ms(15);
        peer.write_all(b".").unwrap();
        rt.settle();
    }
    rt.pass_ms(100);
    assert_eq!(over.take(), (ErrorKind::TimedOut, 65));
}

#[test]
fn a_peer_that_always_has_something_to_say_waits_for_the_next_turn() {
    let rt = Rt::start_by_hand();
    let (conn, mut peer) = rt.pair();
    const BYTES: usize = 2_000;
    peer.write_all(&[b'x'; BYTES]).unwrap();
    let taken = Rc::new(Cell::new(0));
    let (count, between) = (taken.clone(), Rc::new(Cell::new(0)));
    rt.spawn(async move {
        // A byte a read, and never a wait: the share is spent by the number of calls.
        while count.get() < BYTES {
            count.set(count.get() + conn.recv(&mut [0; 1], NEVER).await.unwrap());
        }
    });
    let (count, seen) = (taken.clone(), between.clone());
    rt.spawn(async move { seen.set(count.get()) });
    rt.turn_once();
    assert!((1..BYTES / 2).contains(&between.get()), "{} reads before another task ran", between.get());
    rt.settle();
    assert_eq!(taken.get(), BYTES);
}

#[test]
fn a_deadline_holds_for_who_waits_for_its_share_too() {
    let rt = Rt::start_by_hand();
    let (conn, mut peer) = rt.pair();
    peer.write_all(&[b'x'; 600]).unwrap();
    let over = Outcome::of(rt, async move {
        let until = rt.after_ms(50);
        let mut taken = 0;
        loop {
            match conn.recv(&mut [0; 1], until).await {
                Ok(n) => taken += n,
                Err(e) => return (taken, e.kind()),
            }
        }
    });
    rt.pass_ms(50);
    assert_eq!(over.take(), (600, ErrorKind::TimedOut));
}

/// Where a listener is.
fn address_of(listener: &TcpListener) -> RawAddr {
    RawAddr::inet(listener.local_addr().unwrap())
}

#[test]
fn a_dissolved_socket_knows_its_new_connection_alone() {
    let rt = Rt::start_by_hand();
    let [first, second] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let addr = address_of(&first);
    let conn = Conn::connect(rt, socket::stream(&addr).unwrap(), &addr).unwrap();
    let (mut peer, _) = first.accept().unwrap();
    peer.write_all(b"first").unwrap();
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    let got = Outcome::of(rt, async move {
        conn.connected(&addr, NEVER).await.unwrap();
        (read_once(&conn, 64, NEVER).await.unwrap(), conn)
    });
    let (bytes, conn) = got.take();
    assert_eq!((&bytes[..], conn.is_readable(), conn.is_closed()), (&b"first"[..], true, true));
    conn.dissolve().unwrap();
    assert_eq!(peer.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    // Whether epoll has told of the end, or is to.
    for is_told in [true, false] {
        if is_told {
            rt.settle();
        }
        let addr = address_of(&second);
        conn.connect_again(&addr).unwrap();
        let (mut peer, _) = second.accept().unwrap();
        rt.settle();
        assert_eq!((conn.is_readable(), conn.is_closed(), conn.is_broken()), (false, false, false));
        peer.write_all(b"second").unwrap();
        rt.settle();
        assert!(conn.is_readable(), "no second registration is needed");
        let mut room = [0; 64];
        assert_eq!(conn.try_recv(&mut room).unwrap().unwrap(), 6);
        conn.dissolve().unwrap();
    }
}

#[test]
fn who_connects_again_where_nobody_listens_is_told() {
    let rt = Rt::start_by_hand();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = address_of(&listener);
    let conn = Conn::connect(rt, socket::stream(&addr).unwrap(), &addr).unwrap();
    conn.dissolve().unwrap();
    drop(listener);
    conn.connect_again(&addr).unwrap();
    let refused = Outcome::of(rt, async move { (conn.connected(&addr, NEVER).await, conn) });
    let (refused, conn) = refused.take();
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    conn.dissolve().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    conn.connect_again(&address_of(&listener)).unwrap();
    let addr = address_of(&listener);
    let stands = Outcome::of(rt, async move { conn.connected(&addr, NEVER).await });
    stands.take().unwrap();
}
