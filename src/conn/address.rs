//! The one conversion from an address of the configuration to one that the kernel takes.

use std::io;

use crate::model::Address;
use crate::os::socket::RawAddr;

/// The kernel's form of an address. `fd@` has none: such a socket is open already.
pub fn raw(address: &Address) -> io::Result<RawAddr> {
    match address {
        Address::Inet(a) => Ok(RawAddr::inet(*a)),
        Address::Unix(path) => RawAddr::path(path),
        Address::Abstract(name) => RawAddr::unix(name, true),
        Address::Fd(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}
