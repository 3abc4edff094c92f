//! What is said on the socketpair: requests with their replies, and reports that have none.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::os::bind::{BindAddress, BindSpec, SocketKind};

/// A thing that needs privileges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// A regular file, for reading.
    Open(PathBuf),
    /// Names in a directory that sort after `after`, as many as fit.
    List {
        path: PathBuf,
        after: Option<String>,
    },
    Stat(PathBuf),
    Bind(BindSpec),
    /// What happens in these directories from now on, as an inotify descriptor.
    Watch(Vec<PathBuf>),
    /// A connection to a unix socket.
    Connect {
        path: PathBuf,
        kind: SocketKind,
    },
    /// Removes the file of a unix socket.
    Unlink(PathBuf),
    /// The id of a user, by name or number: a new root has no `/etc/passwd`.
    User(String),
    Group(String),
    /// The addresses of a host by the system's resolver, whose files and libraries a new root lacks as well.
    Resolve(String),
}

impl Request {
    /// What is asked for, in a word.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Request::Open(_) => "open",
            Request::List { .. } => "list",
            Request::Stat(_) => "stat",
            Request::Watch(_) => "watch",
            Request::Bind(_) => "bind",
            Request::Connect { .. } => "connect",
            Request::Unlink(_) => "unlink",
            Request::User(_) => "user",
            Request::Group(_) => "group",
            Request::Resolve(_) => "resolve",
        }
    }
}

/// Grants requests that were not made before the privileges were dropped.
pub trait Policy {
    /// Called with absolute, lexically normal paths.
    fn permits(&mut self, request: &Request) -> bool;
}

/// What a worker tells its master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// Listening; the process may be announced.
    Ready,
    /// Reading a new configuration.
    Reloading,
    /// The new configuration is in place, or was refused.
    Reloaded { success: bool },
    /// The control thread goes round (for the watchdog).
    Alive,
}

/// Everything a worker sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Message {
    Request(Request),
    Report(Report),
    /// From here on only known requests and those of the policy. `uid` is the user that is not trusted any more.
    Seal {
        uid: Option<u32>,
    },
}

/// What is known of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStat {
    pub is_dir: bool,
    pub len: u64,
    /// Since the Unix epoch.
    pub modified: Duration,
    /// Tells files apart that were replaced by a rename.
    pub inode: u64,
}

/// The answer to a request; a descriptor may come with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reply {
    pub error: Option<Failure>,
    pub names: Vec<String>,
    pub stat: Option<FileStat>,
    /// Of a user or group.
    pub id: Option<u32>,
    pub addresses: Vec<IpAddr>,
}

/// An `io::Error` that can travel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    errno: Option<i32>,
    message: String,
}

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Self {
        Failure { errno: e.raw_os_error(), message: e.to_string() }
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure.errno {
            Some(errno) => io::Error::from_raw_os_error(errno),
            None => io::Error::new(io::ErrorKind::PermissionDenied, failure.message),
        }
    }
}

impl Request {
    /// The path that it is about; none when it binds no path.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Request::Open(path) | Request::Stat(path) | Request::Unlink(path) => Some(path),
            Request::List { path, .. } | Request::Connect { path, .. } => Some(path),
            Request::Bind(spec) => match &spec.address {
                BindAddress::Unix(path) => Some(path),
                _ => None,
            },
            Request::Watch(_) | Request::User(_) | Request::Group(_) | Request::Resolve(_) => None,
        }
    }

    /// The same request with its path made absolute and free of `.` and `..`.
    pub(super) fn normal(mut self, current: &Path) -> io::Result<Request> {
        if let Request::Bind(spec) = &mut self {
            if let BindAddress::Unix(path) = &mut spec.address {
                *path = normal_path(path, current)?;
            }
            return Ok(self);
        }
        match &mut self {
            Request::Open(path) | Request::Stat(path) | Request::Unlink(path) => {
                *path = normal_path(path, current)?
            }
            Request::List { path, .. } | Request::Connect { path, .. } => *path = normal_path(path, current)?,
            Request::Watch(paths) => {
                for path in paths {
                    *path = normal_path(path, current)?;
                }
            }
            Request::Bind(_) | Request::User(_) | Request::Group(_) | Request::Resolve(_) => {}
        }
        Ok(self)
    }
}

/// An absolute path without `.`, `..` and doubled slashes. `..` is refused where a link could give it another meaning
/// than the text has: after a component that is one.
fn normal_path(path: &Path, current: &Path) -> io::Result<PathBuf> {
    let mut out = PathBuf::from("/");
    for component in current.join(path).components() {
        match component {
            std::path::Component::Normal(name) => out.push(name),
            std::path::Component::ParentDir => {
                if std::fs::symlink_metadata(&out).is_ok_and(|meta| meta.is_symlink()) {
                    let text = format!("'..' after the link {} in a path", out.display());
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
                }
                out.pop();
            }
            _ => {}
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_absolute_and_normal() {
        let of = |p: &str| normal_path(Path::new(p), Path::new("/etc/haproxy")).unwrap();
        assert_eq!(of("a.pem"), Path::new("/etc/haproxy/a.pem"));
        assert_eq!(of("/x//y/./z"), Path::new("/x/y/z"));
        assert_eq!(of("../ssl/../../../k"), Path::new("/k"));
    }

    #[test]
    fn errors_keep_their_number() {
        let back = |e: io::Error| io::Error::from(Failure::from(e));
        assert_eq!(back(io::Error::from_raw_os_error(libc::EADDRINUSE)).kind(), io::ErrorKind::AddrInUse);
        assert_eq!(back(io::Error::other("no")).to_string(), "no");
    }
}
