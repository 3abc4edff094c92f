//! Signals as a descriptor: blocked in every thread, read one at a time by whoever waits for them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, sigaction};
use nix::sys::signalfd::{SfdFlags, SignalFd};

pub use nix::sys::signal::Signal;

/// The signals that steer a proxy.
pub const STEERING: &[Signal] = &[
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGHUP,
    Signal::SIGTTOU,
    Signal::SIGTTIN,
    Signal::SIGQUIT,
];

/// A set of signals taken away from their default effect and kept for [`Signals::next`].
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Blocks `signals`, and only them, in the calling thread and in every thread that it starts from now on.
    /// Call before the first thread is started.
    pub fn block(signals: &[Signal]) -> io::Result<Signals> {
        let set: SigSet = signals.iter().copied().collect();
        set.thread_set_mask()?;
        Ok(Signals { fd: SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)? })
    }

    /// A signal that has come, if any.
    pub fn next(&self) -> io::Result<Option<Signal>> {
        loop {
            match self.fd.read_signal() {
                Ok(Some(info)) => match Signal::try_from(info.ssi_signo as i32) {
                    Ok(signal) => return Ok(Some(signal)),
                    Err(_) => continue,
                },
                Ok(None) | Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Waits for a signal.
    pub fn wait(&self) -> io::Result<Signal> {
        loop {
            if let Some(signal) = self.next()? {
                return Ok(signal);
            }
            wait_readable(&[self.fd.as_fd()], None)?;
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Waits until one of the descriptors can be read (or was closed at its far end); says which can.
/// After `timeout_ms` none of them.
pub fn wait_readable(fds: &[BorrowedFd<'_>], timeout_ms: Option<u16>) -> io::Result<Vec<bool>> {
    let mut list: Vec<_> = fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    loop {
        match poll(&mut list, timeout_ms.map_or(PollTimeout::NONE, PollTimeout::from)) {
            Ok(_) => return Ok(list.iter().map(|p| p.any().unwrap_or(true)).collect()),
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Ends the process by a signal's default effect, so that whoever waits for it sees which one it was.
pub fn die_by(signal: Signal) -> ! {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    reset(signal, &default);
    let set: SigSet = std::iter::once(signal).collect();
    let _ = nix::sys::signal::pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&set), None);
    let _ = nix::sys::signal::raise(signal);
    // A signal without a deadly effect.
    std::process::exit(128 + signal as i32)
}

#[allow(unsafe_code)]
fn reset(signal: Signal, default: &SigAction) {
    // SAFETY: SIG_DFL runs no code of ours.
    let _ = unsafe { sigaction(signal, default) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_signal_waits_to_be_read() {
        // A thread of its own: the mask of the test harness stays as it was.
        std::thread::spawn(|| {
            let signals = Signals::block(&[Signal::SIGUSR2]).unwrap();
            assert_eq!(signals.next().unwrap(), None);
            nix::sys::signal::raise(Signal::SIGUSR2).unwrap();
            assert_eq!(signals.wait().unwrap(), Signal::SIGUSR2);
            assert_eq!(wait_readable(&[signals.as_fd()], Some(0)).unwrap(), [false]);
        })
        .join()
        .unwrap();
    }
}
