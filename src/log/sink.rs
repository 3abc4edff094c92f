//! Sinks: how a framed line reaches its target. Lines that a target cannot take at once are dropped and counted, as
//! traffic must never wait for a log.

use std::cell::RefCell;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::Address;
use crate::os::socket::{self};

use super::frame::{Origin, frame};
use super::target::{LogAddress, LogTarget};

/// Lines that could not be written, process-wide (`DroppedLogs`).
pub static DROPPED: AtomicU64 = AtomicU64::new(0);

/// The sinks of one thread: each opens its own sockets, at the first line.
#[derive(Default)]
pub struct Logger {
    /// By address: few, and found sooner by looking at them than by hashing a path for every line.
    sockets: RefCell<Vec<(Address, Option<OwnedFd>)>>,
    line: RefCell<Vec<u8>>,
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
    /// Sends `message` with `level` (0 emergency to 7 debug) to every target that wants it.
    pub fn send(&self, targets: &[LogTarget], level: u8, origin: &Origin<'_>, message: &[u8]) {
        let mut line = self.line.borrow_mut();
        for target in targets {
            if level > target.level || !target.takes_sample() {
                continue;
            }
            line.clear();
            frame(target, level.max(target.min_level), origin, message, &mut line);
            if !self.write(&target.address, &line) {
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn write(&self, address: &LogAddress, line: &[u8]) -> bool {
        match address {
            LogAddress::Fd(fd) => crate::os::socket::write_fd(*fd, line),
            LogAddress::Ring(_) => false,
            LogAddress::Socket(address) => self.write_socket(address, line),
        }
    }

    fn write_socket(&self, address: &Address, line: &[u8]) -> bool {
        let mut sockets = self.sockets.borrow_mut();
        if let Some((_, socket)) = sockets.iter_mut().find(|(known, _)| is_same(known, address)) {
            let Some(fd) = socket else {
                *socket = open(address);
                return false;
            };
            return match socket::send(fd.as_raw_fd(), line, false) {
                Ok(_) => true,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => false,
                // The daemon was restarted, or was not there yet.
                Err(_) => {
                    *socket = open(address);
                    socket.as_ref().is_some_and(|fd| socket::send(fd.as_raw_fd(), line, false).is_ok())
                }
            };
        }
        let fd = open(address);
        let sent = fd.as_ref().is_some_and(|fd| socket::send(fd.as_raw_fd(), line, false).is_ok());
        sockets.push((address.clone(), fd));
        sent
    }
}
