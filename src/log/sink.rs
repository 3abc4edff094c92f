//! Sinks: how a framed line reaches its target. Lines that a target cannot take at once are dropped and counted, as
//! traffic must never wait for a log.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::Address;
use crate::os::{datagram, socket};

use super::frame::{Origin, frame};
use super::target::{LogAddress, LogTarget};

/// Lines that could not be written, process-wide (`DroppedLogs`).
pub static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Lines that wait for one call at most, and their bytes.
const MOST_WAITING: usize = 64;
const MOST_BYTES: usize = 64 * 1024;

/// The sinks of one thread: each opens its own sockets, at the first line.
#[derive(Default)]
pub struct Logger {
    /// By address: few, and found sooner by looking at them than by hashing a path for every line.
    sockets: RefCell<Vec<Socket>>,
    line: RefCell<Vec<u8>>,
}

/// Where lines go as datagrams, and those that are to go together.
struct Socket {
    address: Address,
    fd: Option<OwnedFd>,
    lines: Vec<u8>,
    ends: Vec<usize>,
}

fn open(address: &Address) -> Option<OwnedFd> {
    let raw = crate::conn::address::raw(address).ok()?;
    socket::datagram(&raw).ok()
}

/// Whether they are one, letter for letter: comparing paths as paths takes them apart.
fn is_same(a: &Address, b: &Address) -> bool {
    match (a, b) {
        (Address::Unix(a), Address::Unix(b)) => a.as_os_str() == b.as_os_str(),
        _ => a == b,
    }
}

impl Logger {
    /// Writes `message` with `level` (0 emergency to 7 debug) for every target that wants it. Those that take datagrams
    /// get it by [`Logger::flush`]; true: there is something for it to do that was not there before.
    pub fn send(&self, targets: &[LogTarget], level: u8, origin: &Origin<'_>, message: &[u8]) -> bool {
        let mut waits = false;
        for target in targets {
            if level > target.level || !target.takes_sample() {
                continue;
            }
            let level = level.max(target.min_level);
            match &target.address {
                LogAddress::Socket(address) => {
                    let mut sockets = self.sockets.borrow_mut();
                    let socket = Socket::of(&mut sockets, address);
                    waits |= socket.ends.is_empty();
                    frame(target, level, origin, message, &mut socket.lines);
                    socket.ends.push(socket.lines.len());
                    if socket.ends.len() >= MOST_WAITING || socket.lines.len() >= MOST_BYTES {
                        socket.flush();
                    }
                }
                LogAddress::Fd(fd) => {
                    let mut line = self.line.borrow_mut();
                    line.clear();
                    frame(target, level, origin, message, &mut line);
                    if !socket::write_fd(*fd, &line) {
                        DROPPED.fetch_add(1, Ordering::Relaxed);
                    }
                }
                LogAddress::Ring(_) => {
                    DROPPED.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        waits
    }

    /// Sends the lines that wait.
    pub fn flush(&self) {
        for socket in self.sockets.borrow_mut().iter_mut().filter(|s| !s.ends.is_empty()) {
            socket.flush();
        }
    }
}

impl Socket {
    fn of<'a>(sockets: &'a mut Vec<Socket>, address: &Address) -> &'a mut Socket {
        let known = sockets.iter().position(|socket| is_same(&socket.address, address));
        let at = known.unwrap_or_else(|| {
            let (address, fd) = (address.clone(), open(address));
            sockets.push(Socket { address, fd, lines: Vec::new(), ends: Vec::new() });
            sockets.len() - 1
        });
        &mut sockets[at]
    }

    /// Sends what the daemon takes at once, and drops the rest.
    fn flush(&mut self) {
        let mut sent = self.push(0);
        if let Err((before, e)) = &sent
            && e.kind() != ErrorKind::WouldBlock
        {
            // The daemon was restarted, or was not there yet.
            let before = *before;
            self.fd = open(&self.address);
            sent = self.push(before);
        }
        if let Err((sent, _)) = sent {
            DROPPED.fetch_add((self.ends.len() - sent) as u64, Ordering::Relaxed);
        }
        self.lines.clear();
        self.ends.clear();
    }

    /// Sends the lines from the `from`th on. The error: how many of all have been sent, and why no more.
    fn push(&self, from: usize) -> Result<(), (usize, io::Error)> {
        let Some(fd) = &self.fd else { return Err((from, ErrorKind::NotConnected.into())) };
        let mut sent = from;
        while sent < self.ends.len() {
            sent +=
                datagram::send_batch(fd.as_raw_fd(), &self.lines, &self.ends, sent).map_err(|e| (sent, e))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::path::Path;

    use super::super::target::LogFraming;
    use super::*;

    fn target(path: &Path) -> LogTarget {
        LogTarget {
            address: LogAddress::Socket(Address::Unix(path.into())),
            max_len: 1024,
            format: LogFraming::Raw,
            facility: 16,
            level: 7,
            min_level: 0,
            sample: None,
            counter: Default::default(),
            profile: None,
        }
    }

    fn say(logger: &Logger, target: &LogTarget, line: &str) -> bool {
        let origin = Origin { tag: "t", hostname: None, pid: 1, now_us: 0, structured: b"" };
        logger.send(std::slice::from_ref(target), 6, &origin, line.as_bytes())
    }

    fn daemon(path: &Path) -> UnixDatagram {
        let socket = UnixDatagram::bind(path).expect("a socket");
        socket.set_nonblocking(true).expect("O_NONBLOCK");
        socket
    }

    fn heard(daemon: &UnixDatagram) -> Vec<String> {
        let mut room = [0; 2048];
        let mut next =
            || daemon.recv(&mut room).ok().map(|n| String::from_utf8_lossy(&room[..n]).into_owned());
        std::iter::from_fn(&mut next).collect()
    }

    #[test]
    fn lines_of_a_turn_go_together_each_a_datagram() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, logger) = (dir.path().join("log"), Logger::default());
        let (daemon, target) = (daemon(&path), target(&path));
        assert!(say(&logger, &target, "one"), "somebody has to flush");
        assert!(!say(&logger, &target, "two"), "and knows it");
        assert_eq!(heard(&daemon), [""; 0]);
        logger.flush();
        assert_eq!(heard(&daemon), ["one\n", "two\n"]);
        logger.flush();
        assert!(say(&logger, &target, "three"));
        logger.flush();
        assert_eq!(heard(&daemon), ["three\n"]);
    }

    /// As many as go in one call, and not one more, wait for the end of a turn.
    #[test]
    fn many_lines_do_not_wait() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let (logger, daemon, target) = (Logger::default(), daemon(&path), target(&path));
        for n in 0..MOST_WAITING {
            say(&logger, &target, &n.to_string());
        }
        assert_eq!(heard(&daemon).first().map(String::as_str), Some("0\n"));
    }

    #[test]
    fn a_daemon_that_starts_late_or_again_gets_the_lines_from_then_on_and_the_others_are_counted() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, logger) = (dir.path().join("log"), Logger::default());
        let target = target(&path);
        let before = DROPPED.load(Ordering::Relaxed);
        say(&logger, &target, "nobody hears it");
        logger.flush();
        assert!(DROPPED.load(Ordering::Relaxed) > before);
        for _ in 0..2 {
            let daemon = daemon(&path);
            for line in ["one", "two", "three"] {
                say(&logger, &target, line);
            }
            logger.flush();
            assert_eq!(heard(&daemon), ["one\n", "two\n", "three\n"]);
            std::fs::remove_file(&path).expect("its socket");
        }
    }
}
