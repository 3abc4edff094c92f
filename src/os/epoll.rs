//! epoll and eventfd: how a data worker learns that a socket is ready.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

pub const IN: u32 = libc::EPOLLIN as u32;
pub const OUT: u32 = libc::EPOLLOUT as u32;
pub const RDHUP: u32 = libc::EPOLLRDHUP as u32;
pub const HUP: u32 = libc::EPOLLHUP as u32;
pub const ERR: u32 = libc::EPOLLERR as u32;
pub const EDGE: u32 = libc::EPOLLET as u32;
pub const EXCLUSIVE: u32 = libc::EPOLLEXCLUSIVE as u32;

/// Result of a raw syscall as `io::Result`.
pub(super) fn check(ret: libc::c_int) -> io::Result<libc::c_int> {
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(ret) }
}

/// Result of a syscall that tells a count.
pub(super) fn counted(n: libc::c_long) -> io::Result<usize> {
    if n < 0 { Err(io::Error::last_os_error()) } else { Ok(n as usize) }
}

/// One readiness report: the token given at registration and the event bits.
#[derive(Clone, Copy)]
pub struct Event {
    pub token: u64,
    pub bits: u32,
}

/// An epoll instance with its event array.
pub struct Epoll {
    fd: OwnedFd,
}

/// Events taken in one call.
pub const BATCH: usize = 256;

/// The array that [`Epoll::wait`] fills.
pub struct Events {
    raw: Vec<libc::epoll_event>,
    len: usize,
}

impl Default for Events {
    fn default() -> Self {
        Events { raw: vec![libc::epoll_event { events: 0, u64: 0 }; BATCH], len: 0 }
    }
}

impl Events {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn event(&self, i: usize) -> Event {
        let e = self.raw[i];
        Event { token: e.u64, bits: e.events }
    }

    /// What a wait returned: a signal is no event and no error.
    fn take(&mut self, n: io::Result<usize>) -> io::Result<()> {
        self.len = match n {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
            Err(e) => {
                self.len = 0;
                return Err(e);
            }
        };
        Ok(())
    }
}

impl Epoll {
    pub fn new() -> io::Result<Epoll> {
        // SAFETY: no pointers; the returned descriptor is owned by nobody else.
        unsafe {
            let fd = check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
            Ok(Epoll { fd: OwnedFd::from_raw_fd(fd) })
        }
    }

    fn ctl(&self, op: libc::c_int, fd: RawFd, bits: u32, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: bits, u64: token };
        // SAFETY: `event` lives through the call.
        unsafe { check(libc::epoll_ctl(self.fd.as_raw_fd(), op, fd, &mut event)) }.map(|_| ())
    }

    pub fn add(&self, fd: RawFd, bits: u32, token: u64) -> io::Result<()> {
        self.ctl(libc::EPOLL_CTL_ADD, fd, bits, token)
    }

    pub fn modify(&self, fd: RawFd, bits: u32, token: u64) -> io::Result<()> {
        self.ctl(libc::EPOLL_CTL_MOD, fd, bits, token)
    }

    pub fn remove(&self, fd: RawFd) -> io::Result<()> {
        self.ctl(libc::EPOLL_CTL_DEL, fd, 0, 0)
    }

    /// Waits for events, at most `timeout_ms` (-1: for ever). A signal is no event and no error.
    pub fn wait(&self, events: &mut Events, timeout_ms: i32) -> io::Result<()> {
        // SAFETY: the array has BATCH elements and lives through the call.
        let n = counted(unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait,
                libc::c_long::from(self.fd.as_raw_fd()),
                events.raw.as_mut_ptr(),
                BATCH as libc::c_long,
                libc::c_long::from(timeout_ms),
                std::ptr::null::<libc::sigset_t>(),
                0 as libc::c_long,
            )
        });
        events.take(n)
    }

    /// As [`wait`](Epoll::wait), to the nanosecond where the kernel can (Linux 5.11); `None`: for ever.
    pub fn wait_for(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        let time = timeout.map(|timeout| libc::timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        // SAFETY: the array has BATCH elements, and it and the time live through the call.
        let n = counted(unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                libc::c_long::from(self.fd.as_raw_fd()),
                events.raw.as_mut_ptr(),
                BATCH as libc::c_long,
                time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
                std::ptr::null::<libc::sigset_t>(),
                0 as libc::c_long,
            )
        });
        if matches!(&n, Err(e) if e.raw_os_error() == Some(libc::ENOSYS)) {
            let ms = timeout.map_or(-1, |timeout| {
                i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
            });
            return self.wait(events, ms);
        }
        events.take(n)
    }
}

/// A counter that wakes an epoll loop from another thread.
pub struct EventFd(OwnedFd);

impl EventFd {
    pub fn new() -> io::Result<EventFd> {
        // SAFETY: no pointers; the returned descriptor is owned by nobody else.
        unsafe {
            let fd = check(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?;
            Ok(EventFd(OwnedFd::from_raw_fd(fd)))
        }
    }

    pub fn raise(&self) {
        let one: u64 = 1;
        // SAFETY: 8 bytes are readable. A full counter (EAGAIN) wakes as well.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    pub fn clear(&self) {
        let mut count: u64 = 0;
        // SAFETY: 8 bytes are writable.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), 8) };
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
