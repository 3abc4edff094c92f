//! Opening a connection of a data worker.

use std::io;
use std::os::fd::AsRawFd;

use crate::model::Address;
use crate::os::{connection, socket};
use crate::rt::{Conn, Rt};

use super::address::raw;
use super::link::Link;

/// Where a connection leads to, and how it leaves the machine.
#[derive(Clone, Copy)]
pub struct Dial<'a> {
    pub to: &'a Address,
    /// `source`: the address it comes from.
    pub source: Option<&'a Address>,
    /// `source ... interface`.
    pub interface: Option<&'a str>,
    /// What its packets say (`set-bc-mark`, `set-bc-tos`).
    pub mark: Option<u32>,
    pub tos: Option<u8>,
    /// `option tcpka`, `option srvtcpka`.
    pub keepalive: bool,
    /// `option nolinger`: whatever closes it resets it.
    pub no_linger: bool,
}

/// Opens a connection, which may still be under way: the first write waits for it.
pub fn dial(rt: &'static Rt, how: &Dial<'_>) -> io::Result<Link> {
    let to = raw(how.to)?;
    let fd = socket::stream(&to)?;
    if matches!(how.to, Address::Inet(_)) {
        socket::set_nodelay(fd.as_raw_fd());
    }
    if how.mark.is_some() || how.tos.is_some() {
        connection::say(fd.as_raw_fd(), how.mark, how.tos);
    }
    if how.keepalive {
        socket::set_keepalive(fd.as_raw_fd());
    }
    if how.no_linger {
        socket::set_no_linger(fd.as_raw_fd());
    }
    // Who hands out connections by hand has no network that they would leave by.
    let is_real = !rt.is_dialled_by_hand();
    if let Some(interface) = how.interface.filter(|_| is_real) {
        socket::bind_to_device(fd.as_raw_fd(), interface)?;
    }
    if let Some(source) = how.source.filter(|_| is_real) {
        socket::set_bind_late(fd.as_raw_fd());
        socket::bind(fd.as_raw_fd(), &raw(source)?)?;
    }
    Ok(Link::Plain(Conn::connect(rt, fd, &to)?))
}
