//! Where a listener binds or a server lives.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// An address in HAProxy's notation: `ip:port`, `unix@/path` or `/path`, `abns@name`, `fd@N`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    Inet(SocketAddr),
    Unix(PathBuf),
    /// Abstract namespace, without the leading NUL (at most 107 bytes).
    Abstract(Box<[u8]>),
    /// An inherited descriptor.
    Fd(i32),
}

impl Address {
    /// The port, 0 where there is none.
    pub fn port(&self) -> u16 {
        match self {
            Address::Inet(a) => a.port(),
            _ => 0,
        }
    }

    pub fn inet(&self) -> Option<SocketAddr> {
        match self {
            Address::Inet(a) => Some(*a),
            _ => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet(a) => write!(f, "{}:{}", a.ip(), a.port()),
            Address::Unix(p) => write!(f, "unix@{}", p.display()),
            Address::Abstract(n) => write!(f, "abns@{}", String::from_utf8_lossy(n)),
            Address::Fd(n) => write!(f, "fd@{n}"),
        }
    }
}
