//! The privileged side: decides, acts, answers.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, SFlag, fstat, umask};

use super::client::Memory;
use super::message::{FileStat, Message, Policy, Reply, Report, Request};
use super::{trusted, wire};
use crate::os::bind::{BindAddress, BindSpec, SocketKind, connect_path, remove_socket};
use crate::os::process::{self, Forked};
use crate::os::{identity, watch};

/// Names in one answer to `List`.
const NAMES_LEN: usize = wire::MAX / 4;

/// The privileged end of the socketpair.
pub struct Server<P> {
    socket: OwnedFd,
    policy: P,
    known: HashSet<Key>,
    sealed: bool,
    distrusted: Option<u32>,
    current: PathBuf,
}

/// What one call of [`Server::turn`] did.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// A request was answered, or something that is none was skipped.
    Served,
    Report(Report),
    /// The unprivileged process is gone.
    Closed,
}

/// What makes two requests the same: their kind and their object, not the details.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Read(PathBuf),
    Bind(BindAddress, SocketKind),
    Connect(PathBuf),
    Watch(Vec<PathBuf>),
}

impl Key {
    /// `None` for what anybody may ask.
    pub(super) fn of(request: &Request) -> Option<Key> {
        Some(match request {
            Request::Open(path) | Request::Stat(path) | Request::List { path, .. } => Key::Read(path.clone()),
            Request::Bind(spec) => Key::Bind(spec.address.clone(), spec.kind),
            Request::Connect { path, .. } => Key::Connect(path.clone()),
            Request::Unlink(path) => Key::Bind(BindAddress::Unix(path.clone()), SocketKind::Stream),
            Request::Watch(paths) => Key::Watch(paths.clone()),
            Request::User(_) | Request::Group(_) | Request::Resolve(_) => return None,
        })
    }
}

impl<P: Policy> Server<P> {
    /// Called in the privileged process after the fork. `memory` is what was asked for before it. Sets the umask to
    /// zero, for this process makes nothing but sockets with a mode of their own and the pid file.
    pub(super) fn new(socket: OwnedFd, policy: P, memory: &Memory) -> io::Result<Self> {
        umask(Mode::empty());
        let current = std::env::current_dir()?;
        Ok(Server { socket, policy, known: memory.keys(), sealed: false, distrusted: None, current })
    }

    /// Waits for the next message and deals with it. Errors are of the socket itself; nothing more will come.
    pub fn turn(&mut self) -> io::Result<Turn> {
        match wire::recv::<Message>(self.socket.as_fd(), false) {
            Ok(None) => Ok(Turn::Closed),
            Ok(Some((Message::Report(report), _))) => Ok(Turn::Report(report)),
            Ok(Some((Message::Seal { uid }, _))) => {
                self.distrusted = self.distrusted.or(uid);
                self.sealed = true;
                self.answer(Ok((Reply::default(), None)))
            }
            Ok(Some((Message::Request(request), _))) => {
                if let Request::Resolve(name) = &request {
                    return self.resolve(name);
                }
                let outcome = self.decide(request).and_then(|request| self.perform(&request));
                self.answer(outcome)
            }
            Err(e) if is_nonsense(&e) => self.answer(Err(e)),
            Err(e) => Err(e),
        }
    }

    /// Serves until the far end is closed; reports have no one to go to.
    pub fn run(&mut self) {
        while !matches!(self.turn(), Ok(Turn::Closed) | Err(_)) {
            // Children that resolved a name.
            while process::reap().is_some() {}
        }
    }

    fn answer(&self, outcome: io::Result<(Reply, Option<OwnedFd>)>) -> io::Result<Turn> {
        let (reply, fd) =
            outcome.unwrap_or_else(|e| (Reply { error: Some(e.into()), ..Reply::default() }, None));
        match wire::send(self.socket.as_fd(), &reply, fd.as_ref().map(AsFd::as_fd)) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(Turn::Closed),
            Err(e) => Err(e),
            Ok(()) => Ok(Turn::Served),
        }
    }

    fn decide(&mut self, request: Request) -> io::Result<Request> {
        let request = request.normal(&self.current)?;
        let Some(key) = Key::of(&request) else { return Ok(request) };
        if !self.sealed {
            self.known.insert(key);
        } else if !self.known.contains(&key) && !self.policy.permits(&request) {
            let text = match (&request, request.path()) {
                (_, Some(path)) => format!("{} is not named by the configuration files", path.display()),
                (Request::Bind(spec), _) => {
                    format!("{:?} is not named by the configuration files", spec.address)
                }
                _ => "not named by the configuration files".into(),
            };
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        Ok(request)
    }

    fn perform(&self, request: &Request) -> io::Result<(Reply, Option<OwnedFd>)> {
        match request {
            Request::Open(path) => Ok((Reply::default(), Some(open_file(path, self.distrusted)?))),
            Request::Stat(path) => {
                let fd = trusted::open(path, OFlag::O_PATH, self.distrusted)?;
                Ok((Reply { stat: Some(stat_of(fd.as_fd())?), ..Reply::default() }, None))
            }
            Request::List { path, after } => {
                let names = list(path, after.as_deref(), self.distrusted)?;
                Ok((Reply { names, ..Reply::default() }, None))
            }
            Request::Watch(paths) => Ok((Reply::default(), Some(self.watch(paths)?))),
            Request::Bind(spec) => Ok((Reply::default(), Some(self.bind(spec)?))),
            Request::Connect { path, kind } => {
                let at = trusted::open(path, OFlag::O_PATH, self.distrusted)?;
                Ok((Reply::default(), Some(connect_path(&held(&at), *kind)?)))
            }
            Request::Unlink(path) => {
                let (_parent, path) = self.beside(path)?;
                remove_socket(&path)?;
                Ok((Reply::default(), None))
            }
            Request::User(name) => Ok((Reply { id: Some(identity::user(name)?), ..Reply::default() }, None)),
            Request::Group(name) => {
                Ok((Reply { id: Some(identity::group(name)?), ..Reply::default() }, None))
            }
            Request::Resolve(name) => Ok((Reply { addresses: resolve(name)?, ..Reply::default() }, None)),
        }
    }

    /// A name may take its time: a child waits for it and answers, while signals are still seen here.
    fn resolve(&self, name: &str) -> io::Result<Turn> {
        match process::fork() {
            Ok(Forked::Parent { .. }) => Ok(Turn::Served),
            Ok(Forked::Child) => {
                let outcome = resolve(name).map(|addresses| (Reply { addresses, ..Reply::default() }, None));
                let _ = self.answer(outcome);
                std::process::exit(0)
            }
            Err(_) => {
                self.answer(resolve(name).map(|addresses| (Reply { addresses, ..Reply::default() }, None)))
            }
        }
    }

    /// Directories that are not there are left out: whoever asks looks again.
    fn watch(&self, paths: &[PathBuf]) -> io::Result<OwnedFd> {
        let open = |path| trusted::open(path, OFlag::O_PATH | OFlag::O_DIRECTORY, self.distrusted);
        let held_open: Vec<OwnedFd> = paths.iter().filter_map(|path| open(path).ok()).collect();
        watch::directories(held_open.iter().map(held))
    }

    fn bind(&self, spec: &BindSpec) -> io::Result<OwnedFd> {
        match &spec.address {
            BindAddress::Unix(path) if self.distrusted.is_some() => {
                let (_parent, path) = self.beside(path)?;
                BindSpec { address: BindAddress::Unix(path), ..spec.clone() }.bind()
            }
            _ => spec.bind(),
        }
    }

    /// A name for `path` through its directory, which is held open and was reached without distrusted links.
    fn beside(&self, path: &Path) -> io::Result<(OwnedFd, PathBuf)> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::from_raw_os_error(libc::EISDIR));
        };
        let parent = trusted::open(parent, OFlag::O_PATH | OFlag::O_DIRECTORY, self.distrusted)?;
        let path = held(&parent).join(name);
        Ok((parent, path))
    }
}

/// Every address of a host, each once, in the resolver's order.
pub(super) fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for address in (name, 0).to_socket_addrs()? {
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    Ok(addresses)
}

/// A message that could not be understood; the socket itself is well.
fn is_nonsense(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::Other)
}

/// A path to what an open descriptor stands for.
fn held(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

impl<P> AsFd for Server<P> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Opens a regular file for reading; never waits for the other end of a pipe.
pub(super) fn open_file(path: &Path, distrusted: Option<u32>) -> io::Result<OwnedFd> {
    let fd = trusted::open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK, distrusted)?;
    match fstat(&fd)? {
        stat if trusted::is(&stat, SFlag::S_IFDIR) => Err(io::Error::from_raw_os_error(libc::EISDIR)),
        // A sealed process gets files; devices and pipes are for those that could open them anyway.
        stat if distrusted.is_some() && !trusted::is(&stat, SFlag::S_IFREG) => {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "not a regular file"))
        }
        _ => Ok(fd),
    }
}

pub(super) fn stat_of(fd: BorrowedFd<'_>) -> io::Result<FileStat> {
    let stat = fstat(fd)?;
    Ok(FileStat {
        is_dir: trusted::is(&stat, SFlag::S_IFDIR),
        len: u64::try_from(stat.st_size).unwrap_or(0),
        modified: Duration::new(
            u64::try_from(stat.st_mtime).unwrap_or(0),
            u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        ),
        inode: stat.st_ino,
    })
}

/// Sorted names after `after`, about as many as fit into one message.
fn list(path: &Path, after: Option<&str>, distrusted: Option<u32>) -> io::Result<Vec<String>> {
    let fd = trusted::open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY, distrusted)?;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(held(&fd))? {
        // Names that are not text cannot be written in a configuration either.
        names.extend(
            entry?.file_name().into_string().ok().filter(|name| after.is_none_or(|a| name.as_str() > a)),
        );
    }
    names.sort_unstable();
    let mut length = 0;
    let fit = names.iter().take_while(|name| {
        length += name.len() + 3;
        length <= NAMES_LEN
    });
    let fit = fit.count();
    names.truncate(fit);
    Ok(names)
}
