//! Messages on a sequenced socketpair, one a packet, with at most one descriptor beside each.
#![allow(unsafe_code)]

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg,
    socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest message. Well under the kernel's send buffer, so that one always fits.
pub(super) const MAX: usize = 64 * 1024;

/// Two connected ends, blocking, closed on exec.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

pub(super) fn send(
    socket: BorrowedFd<'_>,
    message: &impl Serialize,
    fd: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    if bytes.len() > MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "message too long for the opener"));
    }
    let raw = fd.map(|fd| [fd.as_raw_fd()]);
    let control = raw.as_ref().map(|fds| ControlMessage::ScmRights(fds));
    let slices = [IoSlice::new(&bytes)];
    loop {
        match sendmsg::<()>(socket.as_raw_fd(), &slices, control.as_slice(), MsgFlags::MSG_NOSIGNAL, None) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// The next message; `None` when the far end is closed. Descriptors are taken only when `with_fd`, and otherwise
/// closed by the kernel.
pub(super) fn recv<T: DeserializeOwned>(
    socket: BorrowedFd<'_>,
    with_fd: bool,
) -> io::Result<Option<(T, Option<OwnedFd>)>> {
    let mut bytes = vec![0; MAX];
    let mut space = nix::cmsg_space!([i32; 1]);
    let (length, fd, flags) = loop {
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let control = with_fd.then_some(space.as_mut_slice());
        match recvmsg::<()>(socket.as_raw_fd(), &mut slices, control, MsgFlags::MSG_CMSG_CLOEXEC) {
            Ok(message) => {
                let fd = if with_fd { first_fd(message.cmsgs()?) } else { None };
                break (message.bytes, fd, message.flags);
            }
            Err(Errno::EINTR) => {}
            Err(Errno::ECONNRESET) => return Ok(None),
            Err(e) => return Err(e.into()),
        }
    };
    if length == 0 {
        return Ok(None);
    }
    if flags.contains(MsgFlags::MSG_TRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message too long"));
    }
    Ok(Some((serde_json::from_slice(&bytes[..length])?, fd)))
}

fn first_fd(messages: impl Iterator<Item = ControlMessageOwned>) -> Option<OwnedFd> {
    let mut first = None;
    for message in messages {
        let ControlMessageOwned::ScmRights(fds) = message else { continue };
        for fd in fds {
            // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
            let owned = unsafe { OwnedFd::from_raw_fd(fd) };
            first.get_or_insert(owned);
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsFd;

    #[test]
    fn a_descriptor_travels() {
        let (a, b) = pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut &file, b"hello").unwrap();
        io::Seek::rewind(&mut &file).unwrap();
        send(a.as_fd(), &"take", Some(file.as_fd())).unwrap();
        let (text, fd) = recv::<String>(b.as_fd(), true).unwrap().unwrap();
        let mut got = String::new();
        std::fs::File::from(fd.unwrap()).read_to_string(&mut got).unwrap();
        assert_eq!((text.as_str(), got.as_str()), ("take", "hello"));
    }

    #[test]
    fn unwanted_descriptors_are_dropped_and_ends_are_seen() {
        let (a, b) = pair().unwrap();
        send(a.as_fd(), &1u8, Some(b.as_fd())).unwrap();
        assert!(matches!(recv::<u8>(b.as_fd(), false), Ok(Some((1, None)))));
        drop(a);
        assert!(matches!(recv::<u8>(b.as_fd(), false), Ok(None)));
    }

    #[test]
    fn nonsense_is_an_error_and_not_the_end() {
        let (a, b) = pair().unwrap();
        send(a.as_fd(), &"text", None).unwrap();
        send(a.as_fd(), &2u8, None).unwrap();
        assert!(recv::<u8>(b.as_fd(), false).is_err());
        assert!(matches!(recv::<u8>(b.as_fd(), false), Ok(Some((2, None)))));
        assert!(send(a.as_fd(), &"x".repeat(MAX), None).is_err());
    }
}
