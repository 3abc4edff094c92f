//! Pipes and `splice(2)`: bytes that go from socket to socket inside the kernel.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::epoll::{check, counted};

/// A pipe between two splices; `held` counts the bytes inside.
#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    pub held: usize,
    /// Capacity in bytes, as granted by the kernel.
    pub size: usize,
}

const FLAGS: libc::c_uint = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;

impl Pipe {
    /// A pipe of about `size` bytes (less when the user's pipe limit is reached).
    pub fn new(size: usize) -> io::Result<Pipe> {
        let mut fds = [0; 2];
        // SAFETY: `fds` has room for two descriptors, which nobody else owns afterwards.
        unsafe {
            check(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK))?;
            let (read, write) = (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1]));
            let granted = libc::fcntl(write.as_raw_fd(), libc::F_SETPIPE_SZ, size as libc::c_int);
            let size = if granted > 0 { granted as usize } else { 65536 };
            Ok(Pipe { read, write, held: 0, size })
        }
    }

    /// Moves up to `max` bytes from a socket into the pipe; 0 means end of stream.
    pub fn fill(&mut self, from: RawFd, max: usize) -> io::Result<usize> {
        let n = splice(from, self.write.as_raw_fd(), max, FLAGS)?;
        self.held += n;
        Ok(n)
    }

    /// Moves what the pipe holds into a socket. `more`: further bytes follow at once (MSG_MORE).
    pub fn drain(&mut self, to: RawFd, more: bool) -> io::Result<usize> {
        let flags = if more { FLAGS | libc::SPLICE_F_MORE } else { FLAGS };
        let n = splice(self.read.as_raw_fd(), to, self.held, flags)?;
        self.held -= n.min(self.held);
        Ok(n)
    }
}

fn splice(from: RawFd, to: RawFd, max: usize, flags: libc::c_uint) -> io::Result<usize> {
    // SAFETY: null offsets; the descriptors are borrowed for the call.
    counted(unsafe {
        let nowhere = std::ptr::null::<libc::loff_t>();
        let (from, to, flags) = (libc::c_long::from(from), libc::c_long::from(to), libc::c_long::from(flags));
        libc::syscall(libc::SYS_splice, from, nowhere, to, nowhere, max, flags)
    })
}
