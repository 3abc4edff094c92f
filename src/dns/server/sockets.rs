//! The sockets of a responder: for each address one of datagrams a thread, and one that takes connections.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use crate::base::Live;
use crate::dns::spec::{Listen, Responder, Secure};
use crate::os::bind::{BindAddress, BindSpec, SocketKind};
use crate::os::datagram;
use crate::os::opener::Opener;
use crate::os::socket;

/// Octets of datagrams that may wait for a thread.
const BUFFER: i32 = 4 << 20;

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot bind socket ({reason}) [{address}]")]
pub struct BindError {
    pub address: SocketAddr,
    pub in_use: bool,
    pub reason: String,
}

/// Those of one address.
#[derive(Clone)]
pub(super) struct Bound {
    pub(super) address: SocketAddr,
    /// One for each thread: the kernel spreads clients over them.
    pub(super) datagrams: Vec<Arc<OwnedFd>>,
    pub(super) stream: Arc<OwnedFd>,
    pub(super) tls: Option<Secure>,
    /// What runs shows now.
    pub(super) shows: Arc<Live<Option<Secure>>>,
}

#[derive(Clone, Default)]
pub struct Sockets {
    pub(super) list: Vec<Bound>,
}

impl Sockets {
    /// Binds what a section says. What is bound already for the same address is the same socket: no query is lost.
    pub fn bind(responder: &Responder, before: &Sockets, opener: &Opener) -> Result<Sockets, BindError> {
        let bind = |listen: &Listen| {
            let address = &listen.address;
            let threads = if listen.tls.is_some() { 0 } else { responder.threads };
            let known = before.list.iter().find(|bound| bound.address == *address);
            let mut datagrams: Vec<Arc<OwnedFd>> = known.map_or_else(Vec::new, |k| k.datagrams.clone());
            datagrams.truncate(threads);
            let failed = |e: io::Error| BindError {
                address: *address,
                in_use: e.kind() == io::ErrorKind::AddrInUse,
                reason: crate::lang::load::reason(&e),
            };
            while datagrams.len() < threads {
                datagrams.push(Arc::new(open_datagram(*address, opener).map_err(failed)?));
            }
            let stream = match known {
                Some(known) => known.stream.clone(),
                None => Arc::new(open_stream(*address, opener).map_err(failed)?),
            };
            let shows =
                known.map_or_else(|| Arc::new(Live::new(listen.tls.clone())), |known| known.shows.clone());
            Ok(Bound { address: *address, datagrams, stream, tls: listen.tls.clone(), shows })
        };
        Ok(Sockets { list: responder.binds.iter().map(bind).collect::<Result<_, _>>()? })
    }

    /// What is shown from now on.
    pub(super) fn show(&self) {
        self.list.iter().for_each(|bound| bound.shows.store(Arc::new(bound.tls.clone())));
    }

    /// Whether these are the same sockets.
    pub fn same(&self, other: &Sockets) -> bool {
        let ids = |sockets: &Sockets| -> Vec<i32> {
            let of = |bound: &Bound| -> Vec<i32> {
                bound.datagrams.iter().chain([&bound.stream]).map(|fd| fd.as_raw_fd()).collect()
            };
            sockets.list.iter().flat_map(of).collect()
        };
        ids(self) == ids(other)
    }
}

fn open_datagram(address: SocketAddr, opener: &Opener) -> io::Result<OwnedFd> {
    let fd = opener.bind(&BindSpec::new(BindAddress::Inet(address), SocketKind::Datagram))?;
    if address.ip().is_unspecified() {
        datagram::want_destination(fd.as_raw_fd(), address.is_ipv6())?;
    }
    datagram::set_buffers(fd.as_raw_fd(), BUFFER);
    Ok(fd)
}

fn open_stream(address: SocketAddr, opener: &Opener) -> io::Result<OwnedFd> {
    let spec = BindSpec { reuse_port: false, ..BindSpec::tcp(address) };
    let fd = opener.bind(&spec)?;
    socket::listen(fd.as_raw_fd(), spec.backlog)?;
    Ok(fd)
}
