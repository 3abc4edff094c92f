//! Listening sockets: everything that must be set before `bind(2)`, and the file of a unix socket.
#![allow(unsafe_code)]

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::socket::{AddressFamily, SockFlag, SockType};
use nix::unistd::{Gid, Uid};
use serde::{Deserialize, Serialize};

use super::socket::{self, RawAddr};

/// Where a socket is bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BindAddress {
    Inet(SocketAddr),
    Unix(PathBuf),
    /// A name in the abstract namespace, without the leading NUL.
    Abstract(Vec<u8>),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SocketKind {
    #[default]
    Stream,
    Datagram,
}

/// A socket to make, non-blocking and close-on-exec. TCP sockets are returned bound and not yet listening.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindSpec {
    pub address: BindAddress,
    pub kind: SocketKind,
    pub reuse_port: bool,
    /// `v6only` (true), `v4v6` (false).
    pub v6only: Option<bool>,
    /// `transparent`: an address that is not (yet) ours.
    pub transparent: bool,
    /// `interface`
    pub interface: Option<String>,
    /// Of a unix socket's file; `None` leaves what the system gives.
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// A unix stream socket listens before its file gets its name, so that the name never refuses connections.
    pub backlog: u32,
}

impl BindSpec {
    pub fn new(address: BindAddress, kind: SocketKind) -> Self {
        BindSpec {
            address,
            kind,
            reuse_port: true,
            v6only: None,
            transparent: false,
            interface: None,
            mode: None,
            uid: None,
            gid: None,
            backlog: 1024,
        }
    }

    pub fn tcp(address: SocketAddr) -> Self {
        BindSpec::new(BindAddress::Inet(address), SocketKind::Stream)
    }

    pub fn unix(path: impl Into<PathBuf>) -> Self {
        BindSpec::new(BindAddress::Unix(path.into()), SocketKind::Stream)
    }

    /// Makes the socket.
    pub fn bind(&self) -> io::Result<OwnedFd> {
        match &self.address {
            BindAddress::Inet(address) => self.bind_inet(*address),
            BindAddress::Unix(path) => self.bind_path(path),
            BindAddress::Abstract(name) => {
                let fd = self.socket(AddressFamily::Unix)?;
                socket::bind(fd.as_raw_fd(), &RawAddr::unix(name, true)?)?;
                Ok(fd)
            }
        }
    }

    fn socket(&self, family: AddressFamily) -> io::Result<OwnedFd> {
        let kind = match self.kind {
            SocketKind::Stream => SockType::Stream,
            SocketKind::Datagram => SockType::Datagram,
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        Ok(nix::sys::socket::socket(family, kind, flags, None)?)
    }

    fn bind_inet(&self, address: SocketAddr) -> io::Result<OwnedFd> {
        let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let owned = self.socket(family)?;
        let fd = owned.as_raw_fd();
        socket::set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
        if self.reuse_port {
            socket::set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
        }
        if self.transparent {
            make_foreign(fd, address.is_ipv4())?;
        }
        if let Some(interface) = &self.interface {
            let name = OsString::from(interface);
            nix::sys::socket::setsockopt(&owned, nix::sys::socket::sockopt::BindToDevice, &name)?;
        }
        if address.is_ipv6() {
            let only = self.v6only.unwrap_or(false);
            socket::set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, only.into())?;
        }
        socket::bind(fd, &RawAddr::inet(address))?;
        Ok(owned)
    }

    /// Binds to a name beside `path` and renames it over: whoever connects meets the old socket or the new one.
    fn bind_path(&self, path: &Path) -> io::Result<OwnedFd> {
        match std::fs::symlink_metadata(path) {
            Ok(meta) if !meta.file_type().is_socket() => {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "the file is there and is not a socket",
                ));
            }
            _ => {}
        }
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}.tmp", std::process::id()));
        let temporary = PathBuf::from(temporary);
        let raw = RawAddr::path(&temporary)?;
        remove_socket(&temporary)?;
        let fd = self.socket(AddressFamily::Unix)?;
        if let Some(mode) = self.mode {
            // Linux gives the file the socket's own mode: it is never wider than asked, not even for a moment.
            nix::sys::stat::fchmod(fd.as_fd(), nix::sys::stat::Mode::from_bits_truncate(mode))?;
        }
        socket::bind(fd.as_raw_fd(), &raw)?;
        let named = self.finish_path(&fd, &temporary).and_then(|()| std::fs::rename(&temporary, path));
        if let Err(e) = named {
            let _ = std::fs::remove_file(&temporary);
            return Err(e);
        }
        Ok(fd)
    }

    fn finish_path(&self, fd: &OwnedFd, temporary: &Path) -> io::Result<()> {
        if self.uid.is_some() || self.gid.is_some() {
            let (uid, gid) = (self.uid.map(Uid::from_raw), self.gid.map(Gid::from_raw));
            nix::unistd::fchownat(AT_FDCWD, temporary, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        }
        if let Some(mode) = self.mode {
            let meta = std::fs::symlink_metadata(temporary)?;
            // The umask took bits away. (The opener has none, so it never gets here: `chmod` would follow a link.)
            if meta.file_type().is_socket() && meta.permissions().mode() & 0o777 != mode & 0o777 {
                std::fs::set_permissions(temporary, std::fs::Permissions::from_mode(mode))?;
            }
        }
        match self.kind {
            SocketKind::Stream => socket::listen(fd.as_raw_fd(), self.backlog),
            SocketKind::Datagram => Ok(()),
        }
    }
}

fn make_foreign(fd: i32, v4: bool) -> io::Result<()> {
    let (level, transparent) =
        if v4 { (libc::SOL_IP, libc::IP_TRANSPARENT) } else { (libc::SOL_IPV6, libc::IPV6_TRANSPARENT) };
    socket::set_option(fd, level, transparent, 1)
        .or_else(|e| if v4 { socket::set_option(fd, libc::SOL_IP, libc::IP_FREEBIND, 1) } else { Err(e) })
}

/// Removes the file of a socket; nothing else, and no error when there is none.
pub fn remove_socket(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => std::fs::remove_file(path),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a socket")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

/// A socket connected to a unix socket's file, non-blocking.
pub fn connect_path(path: &Path, kind: SocketKind) -> io::Result<OwnedFd> {
    let raw = RawAddr::path(path)?;
    match kind {
        SocketKind::Datagram => socket::datagram(&raw),
        SocketKind::Stream => {
            let fd = socket::stream(&raw)?;
            socket::connect(fd.as_raw_fd(), &raw)?;
            Ok(fd)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn a_unix_socket_replaces_the_old_one_and_accepts_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut spec = BindSpec::unix(&path);
        spec.mode = Some(0o660);
        let old = spec.bind().unwrap();
        let new = UnixListener::from(spec.bind().unwrap());
        drop(old);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let mut client = UnixStream::connect(&path).unwrap();
        new.set_nonblocking(false).unwrap();
        drop(new.accept().unwrap());
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        remove_socket(&path).unwrap();
        remove_socket(&path).unwrap();
    }

    #[test]
    fn a_file_that_is_no_socket_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        std::fs::write(&path, "key").unwrap();
        assert!(BindSpec::unix(&path).bind().is_err());
        assert!(remove_socket(&path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"key");
    }

    #[test]
    fn two_sockets_share_a_port_only_when_both_allow_it() {
        let first = BindSpec::tcp("127.0.0.1:0".parse().unwrap()).bind().unwrap();
        let socket::Peer::Inet(local) = socket::local(first.as_raw_fd()).unwrap() else { panic!() };
        BindSpec::tcp(local).bind().unwrap();
        socket::listen(first.as_raw_fd(), 10).unwrap();
        let alone = BindSpec { reuse_port: false, ..BindSpec::tcp(local) };
        assert_eq!(alone.bind().unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn what_is_accepted_after_two_stops_has_not_ended() {
        let listener = TcpListener::from(BindSpec::tcp("127.0.0.1:0".parse().unwrap()).bind().unwrap());
        socket::listen(listener.as_raw_fd(), 10).unwrap();
        for _ in 0..2 {
            socket::stop_listening(listener.as_raw_fd());
        }
        socket::listen(listener.as_raw_fd(), 10).unwrap();
        listener.set_nonblocking(false).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        assert_eq!(accepted.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn an_abstract_name_is_bound_once() {
        let name = format!("isobar-test-{}", std::process::id()).into_bytes();
        let spec = BindSpec::new(BindAddress::Abstract(name), SocketKind::Datagram);
        let _held = spec.bind().unwrap();
        assert_eq!(spec.bind().unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
