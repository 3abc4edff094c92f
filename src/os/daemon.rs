//! Going to the background: the process that the shell started waits until its child is ready, or fails with it.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use super::process::{self, Forked};

/// Held by the background process until it is ready. Dropped unready (an exit, a crash), the launcher fails too.
#[derive(Debug)]
pub struct Launch {
    ready: OwnedFd,
    null: OwnedFd,
}

/// What the launcher learnt; it has nothing to do but to exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Launched {
    Ready,
    /// The child ended first, with this status.
    Failed {
        pid: i32,
        code: u8,
    },
}

/// The two sides of [`daemonize`].
#[derive(Debug)]
pub enum Side {
    Launcher(Launched),
    Background(Launch),
}

/// Forks. The child starts a session of its own; the parent returns once the child said that it is ready, or ended.
pub fn daemonize() -> io::Result<Side> {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    // Opened now: after a chroot there is no /dev/null.
    let null: OwnedFd =
        std::fs::OpenOptions::new().read(true).write(true).open(Path::new("/dev/null"))?.into();
    match process::fork()? {
        Forked::Child => {
            process::new_session()?;
            Ok(Side::Background(Launch { ready: writer, null }))
        }
        Forked::Parent { child } => {
            drop(writer);
            let mut byte = [0];
            match std::fs::File::from(reader).read(&mut byte)? {
                0 => Ok(Side::Launcher(Launched::Failed { pid: child, code: process::wait_for(child)? })),
                _ => Ok(Side::Launcher(Launched::Ready)),
            }
        }
    }
}

fn null() -> io::Result<OwnedFd> {
    Ok(std::fs::OpenOptions::new().read(true).write(true).open(Path::new("/dev/null"))?.into())
}

/// Leaves the terminal: /dev/null becomes the standard streams.
pub fn detach_streams() -> io::Result<()> {
    process::silence_streams(null()?.as_fd())
}

impl Launch {
    /// For a child of the background process, which leaves the terminal too but has nothing to tell the launcher.
    pub fn into_null(self) -> OwnedFd {
        self.null
    }

    /// What must stay open for [`Launch::ready`].
    pub fn descriptors(&self) -> [i32; 2] {
        [self.ready.as_raw_fd(), self.null.as_raw_fd()]
    }

    /// Lets the launcher exit with success, and leaves the terminal.
    pub fn ready(self) -> io::Result<()> {
        process::silence_streams(self.null.as_fd())?;
        std::fs::File::from(self.ready).write_all(b"R")
    }
}
