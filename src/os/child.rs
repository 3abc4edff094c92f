//! Waiting for one child with a deadline (pidfd_open(2)), and a thread's place in the scheduler.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;

use super::epoll::counted;

/// A descriptor that can be read once the process has ended.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Of a child that was not waited for yet, or of a process whose end is nobody's concern.
    pub fn open(pid: u32) -> io::Result<PidFd> {
        // SAFETY: no pointers; the returned descriptor is owned by nobody else, and close-on-exec by itself.
        unsafe {
            let fd = counted(libc::syscall(libc::SYS_pidfd_open, pid as libc::c_long, 0 as libc::c_long))?;
            Ok(PidFd(OwnedFd::from_raw_fd(fd as RawFd)))
        }
    }

    /// Waits for the end, `timeout_ms` at most; whether it has come.
    pub fn wait(&self, timeout_ms: u32) -> io::Result<bool> {
        let mut list = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(timeout_ms).unwrap_or(PollTimeout::MAX);
        match poll(&mut list, timeout) {
            Ok(n) => Ok(n > 0),
            Err(nix::errno::Errno::EINTR) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
}

/// Whether whoever had the other end of a socket is gone.
pub fn has_left(socket: &impl AsFd) -> io::Result<bool> {
    let mut list = [PollFd::new(socket.as_fd(), PollFlags::empty())];
    match poll(&mut list, PollTimeout::ZERO) {
        Ok(_) => Ok(list[0].any().unwrap_or(true)),
        Err(nix::errno::Errno::EINTR) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<PidFd> for OwnedFd {
    fn from(pid: PidFd) -> OwnedFd {
        pid.0
    }
}

impl AsRawFd for PidFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The user and group that this process acts as.
pub fn owner() -> (u32, u32) {
    (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw())
}

/// The number of a user and of its primary group.
pub fn user_of(name: &str) -> Option<(u32, u32)> {
    let user = nix::unistd::User::from_name(name).ok()??;
    Some((user.uid.as_raw(), user.gid.as_raw()))
}

pub fn group_of(name: &str) -> Option<u32> {
    Some(nix::unistd::Group::from_name(name).ok()??.gid.as_raw())
}

/// Asks every process of a group to end.
pub fn end_group(leader: u32) {
    if let Ok(leader @ 2..) = i32::try_from(leader) {
        let _ =
            nix::sys::signal::killpg(nix::unistd::Pid::from_raw(leader), nix::sys::signal::Signal::SIGTERM);
    }
}

/// Makes a named pipe, and gives it to user and group; one that is there is used as it is.
pub fn make_fifo(path: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    match nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
        Ok(()) => match owner {
            Some((uid, gid)) => std::os::unix::fs::chown(path, Some(uid), Some(gid)),
            None => Ok(()),
        },
        Err(nix::errno::Errno::EEXIST) if std::fs::metadata(path)?.file_type().is_fifo() => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Opens a named pipe to write to it; `None` while nobody reads it.
pub fn open_fifo(path: &Path) -> io::Result<Option<std::fs::File>> {
    match std::fs::OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.raw_os_error() == Some(libc::ENXIO) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Gives the calling thread real-time priority (SCHED_RR, the lowest), which threads and processes that it starts do not
/// inherit. An error where that is not allowed; a thread that has inherited it may always keep it.
pub fn run_in_real_time() -> io::Result<()> {
    schedule(libc::SCHED_RR | libc::SCHED_RESET_ON_FORK)
}

/// The same, and it is inherited.
pub fn share_real_time() -> io::Result<()> {
    schedule(libc::SCHED_RR)
}

fn schedule(policy: libc::c_int) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: the parameters live through the call; 0 is the calling thread.
    let done = unsafe { libc::sched_setscheduler(0, policy, &parameters) };
    counted(libc::c_long::from(done)).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_far_end_that_is_gone_is_noticed() {
        let (one, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
        std::io::Write::write_all(&mut other, b"x").unwrap();
        assert!(!has_left(&one).unwrap());
        drop(other);
        assert!(has_left(&one).unwrap());
    }

    #[test]
    fn the_end_of_a_child_is_waited_for() {
        let mut child = Command::new("sleep").arg("10").spawn().unwrap();
        let pid = PidFd::open(child.id()).unwrap();
        assert!(!pid.wait(10).unwrap());
        child.kill().unwrap();
        assert!(pid.wait(5_000).unwrap());
        child.wait().unwrap();
    }
}
