//! The thread that the checks of a process share: a runtime like a data worker's, so that a check that is due, what it waits
//! for and what follows from it never cross threads, and sockets that are used again.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use crate::base::clock::{MS, Nanos};
use crate::base::{Millis, WorkerId, clock};
use crate::os::socket::{self, Peer, RawAddr};
use crate::rt::{Conn, Remote, Rt, TaskId};

/// Most sockets of a kind that wait for another check.
const SPARE: usize = 256;

/// The shard and the number of all threads that are no data workers.
const NUMBER: WorkerId = WorkerId(0);

/// How long connections that are over wait at most for others to begin: a server that is woken anyway is told of both.
const TOGETHER: Nanos = 20 * MS;

thread_local! {
    /// Sockets without a connection: for IPv4 and for IPv6, and for those who speak first.
    static SPARES: RefCell<[Vec<Conn>; 4]> = const { RefCell::new([const { Vec::new() }; 4]) };
    /// Those whose connection is over, and their kind.
    static OVER: RefCell<VecDeque<(Conn, usize)>> = const { RefCell::new(VecDeque::new()) };
    /// A time is set at which all of them end.
    static ENDS: Cell<bool> = const { Cell::new(false) };
}

/// The time, in the lane as often as it turns.
pub(super) fn now_ms() -> Millis {
    Rt::current().map_or_else(clock::now_ms, |rt| rt.now() / MS)
}

/// Runs `work` on the thread of checks, which begins with the first of it.
pub(super) fn run(work: impl FnOnce(&'static Rt) + Send + 'static) {
    static LANE: Mutex<Option<Arc<Remote>>> = Mutex::new(None);
    let mut lane = LANE.lock().unwrap_or_else(PoisonError::into_inner);
    if lane.is_none() {
        match begin() {
            Ok(remote) => *lane = Some(remote),
            Err(e) => tracing::error!("no thread for health checks: {e}"),
        }
    }
    if let Some(remote) = &*lane {
        remote.run(work);
    }
}

fn begin() -> io::Result<Arc<Remote>> {
    let (ready, started) = mpsc::channel();
    let serve = move || {
        let rt = match Rt::start(NUMBER) {
            Ok(rt) => rt,
            Err(e) => {
                let _ = ready.send(Err(e));
                return;
            }
        };
        let _ = ready.send(Ok(rt.remote().clone()));
        if let Err(e) = rt.run() {
            eprintln!("checks: {e}");
            std::process::abort();
        }
    };
    std::thread::Builder::new().name("checks".to_owned()).spawn(serve)?;
    started.recv().map_err(|_| io::Error::other("it did not start"))?
}

/// Makes a task of the thread look whether it is wanted.
pub(super) fn wake(task: TaskId) {
    if let Some(remote) = Remote::of(NUMBER) {
        remote.wake(task);
    }
}

/// Where sockets for such connections wait. One of IPv6 that was connected to an address of IPv4 stays one of IPv4.
fn kind(addr: &RawAddr, speaks_first: bool) -> Option<usize> {
    match addr.peer() {
        Peer::Inet(SocketAddr::V4(_)) if addr.is_inet6() => None,
        Peer::Inet(ip) => Some(2 * usize::from(ip.is_ipv6()) + usize::from(speaks_first)),
        Peer::Unix => None,
    }
}

/// Starts connecting a stream to `addr`. `speaks_first`: the last packet of the handshake may wait for what is said or for
/// the reset in its place, which spares the server a connection that says nothing.
pub(super) fn connect(rt: &'static Rt, addr: &RawAddr, speaks_first: bool) -> io::Result<Conn> {
    let spare = kind(addr, speaks_first).and_then(|kind| SPARES.with_borrow_mut(|spares| spares[kind].pop()));
    if let Some(conn) = spare {
        conn.connect_again(addr)?;
        return Ok(conn);
    }
    let fd = socket::stream(addr)?;
    socket::set_unpaced(fd.as_raw_fd());
    if speaks_first {
        socket::set_speaks_first(fd.as_raw_fd());
    }
    Conn::connect(rt, fd, addr)
}

/// Ends what [`connect`] began, by a reset, which leaves no TIME-WAIT behind: thousands of checks a minute would use up the
/// local ports. `is_heard`: the server has the connection, else it only began to open it.
pub(super) fn end(conn: Conn, addr: &RawAddr, speaks_first: bool, is_heard: bool) {
    let Some(kind) = kind(addr, speaks_first) else { return socket::set_no_linger(conn.fd()) };
    if !is_heard {
        return dissolve(conn, kind);
    }
    conn.ignore();
    let rt = conn.rt();
    let waiting = OVER.with_borrow_mut(|over| {
        over.push_back((conn, kind));
        over.len()
    });
    if waiting > SPARE {
        reset(waiting);
    } else if !ENDS.replace(true) {
        rt.spawn(async {
            rt.sleep_until(rt.now() + TOGETHER).await;
            ENDS.set(false);
            reset(usize::MAX);
        });
    }
}

/// Resets connections that are over, that many at most.
pub(super) fn reset(most: usize) {
    for _ in 0..most {
        let Some((conn, kind)) = OVER.with_borrow_mut(VecDeque::pop_front) else { return };
        dissolve(conn, kind);
    }
}

fn dissolve(conn: Conn, kind: usize) {
    match conn.dissolve() {
        Ok(()) => SPARES.with_borrow_mut(|spares| {
            if spares[kind].len() < SPARE {
                spares[kind].push(conn);
            }
        }),
        Err(_) => socket::set_no_linger(conn.fd()),
    }
}
