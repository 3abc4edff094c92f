//! The listening sockets of the process: bound before they are needed, kept over configuration changes by what they
//! are, given to the workers.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use crate::config::diff::same_socket;
use crate::config::{Bind, Config, Global, Proxy};
use crate::model::{Address, ListenerLive};
use crate::os::bind::{BindAddress, BindSpec, SocketKind};
use crate::os::opener::Opener;
use crate::os::{burst, connection, datagram, socket};
use crate::proxy::listener::Listen;

use super::program::BindError;

/// Backlog when neither the file nor a connection limit says one: what the kernel allows by itself.
const DEFAULT_BACKLOG: u32 = 4096;

/// Octets of datagrams that may wait for a worker.
const DATAGRAM_BUFFER: i32 = 4 << 20;

/// One listening address.
#[derive(Clone)]
struct Socket {
    id: u64,
    proxy: Arc<str>,
    bind: Bind,
    /// One a worker, or one for all.
    fds: Vec<Arc<OwnedFd>>,
    live: Arc<ListenerLive>,
    backlog: u32,
}

/// All of them.
#[derive(Clone, Default)]
pub struct Sockets {
    list: Vec<Socket>,
    next_id: u64,
}

impl Sockets {
    /// The sockets of a configuration: those of `self` that it still wants, and new ones. `self` is not changed, so
    /// that a failure leaves everything as it was.
    pub fn prepare(&self, config: &Config, opener: &Opener, workers: usize) -> Result<Sockets, BindError> {
        let mut next = Sockets { list: Vec::new(), next_id: self.next_id };
        for proxy in &config.proxies {
            let Some(front) = proxy.front.as_ref().filter(|_| !proxy.disabled) else { continue };
            for bind in &front.binds {
                let kept = self
                    .list
                    .iter()
                    .find(|s| same_socket(&s.bind, bind) && !next.list.iter().any(|n| n.id == s.id));
                let socket = match kept {
                    Some(socket) => Socket {
                        proxy: proxy.name.clone(),
                        bind: bind.clone(),
                        live: proxy.live.listener(bind.id),
                        ..socket.clone()
                    },
                    None => {
                        next.open((proxy, bind, backlog(&config.global, proxy, bind)), opener, workers)?
                    }
                };
                if proxy.options.socket_stats {
                    socket.live.start_counting(workers);
                }
                next.list.push(socket);
            }
        }
        Ok(next)
    }

    fn open(
        &mut self,
        (proxy, bind, backlog): (&Proxy, &Bind, u32),
        opener: &Opener,
        workers: usize,
    ) -> Result<Socket, BindError> {
        let fds = open_all(bind, backlog, opener, workers).map_err(|e| BindError {
            in_use: e.kind() == io::ErrorKind::AddrInUse,
            message: format!(
                "Starting {} {}: cannot bind socket ({}) [{}]",
                if proxy.back.is_some() { "proxy" } else { "frontend" },
                proxy.name,
                crate::lang::load::reason(&e),
                bind.address
            ),
        })?;
        self.next_id += 1;
        Ok(Socket {
            id: self.next_id,
            proxy: proxy.name.clone(),
            bind: bind.clone(),
            fds,
            live: proxy.live.listener(bind.id),
            backlog,
        })
    }

    /// What worker number `worker` (from 0) is to listen on.
    pub fn of_worker(&self, config: &Config, worker: usize) -> Vec<Listen> {
        let mut list = Vec::new();
        for socket in &self.list {
            let Some(proxy) = config.frontends.get(&socket.proxy).copied() else { continue };
            let binds = config.proxy(proxy).front.as_ref().map(|f| &f.binds[..]).unwrap_or_default();
            let Some(bind) = binds.iter().position(|b| *b == socket.bind) else { continue };
            let shared = socket.fds.len() == 1;
            let Some(fd) = socket.fds.get(if shared { 0 } else { worker }) else { continue };
            list.push(Listen {
                id: socket.id,
                proxy,
                bind,
                fd: fd.clone(),
                shared,
                datagram: socket.bind.datagram,
                live: socket.live.clone(),
            });
        }
        list
    }

    /// Lets the sockets of a frontend refuse whoever connects, or listen again. Those that cannot (of another family than
    /// TCP's, or inherited) go on listening, and their clients wait.
    pub fn pause(&self, proxy: &str, paused: bool) {
        let is_tcp =
            |socket: &&Socket| matches!(socket.bind.address, Address::Inet(_)) && !socket.bind.datagram;
        for socket in self.list.iter().filter(|s| &*s.proxy == proxy).filter(is_tcp) {
            for fd in &socket.fds {
                if paused {
                    socket::stop_listening(fd.as_raw_fd());
                } else {
                    let _ = socket::listen(fd.as_raw_fd(), socket.backlog);
                }
            }
        }
    }

    /// Forgets every socket: they close when the last worker lets go.
    pub fn close(&mut self) {
        self.list.clear();
    }

    /// Those that are left without a frontend's.
    pub fn without(&self, proxy: &str) -> Sockets {
        let list = self.list.iter().filter(|s| &*s.proxy != proxy).cloned().collect();
        Sockets { list, next_id: self.next_id }
    }

    /// Paths of unix sockets that `self` has and `next` has not.
    pub fn abandoned<'a>(&'a self, next: &'a Sockets) -> impl Iterator<Item = &'a std::path::Path> {
        self.list.iter().filter_map(move |socket| match &socket.bind.address {
            Address::Unix(path) if !next.list.iter().any(|n| n.bind.address == socket.bind.address) => {
                Some(path.as_path())
            }
            _ => None,
        })
    }
}

fn open_all(bind: &Bind, backlog: u32, opener: &Opener, workers: usize) -> io::Result<Vec<Arc<OwnedFd>>> {
    let copies = if matches!(bind.address, Address::Inet(_)) { workers } else { 1 };
    (0..copies).map(|_| open_one(bind, backlog, opener).map(Arc::new)).collect()
}

/// How many may wait to be accepted: as many as may be connected, unless `backlog` says otherwise.
fn backlog(global: &Global, proxy: &Proxy, bind: &Bind) -> u32 {
    let of_front = proxy.front.as_ref().map_or(0, |f| f.backlog);
    [bind.backlog, of_front, proxy.maxconn, global.maxconn]
        .into_iter()
        .find(|n| *n > 0)
        .unwrap_or(DEFAULT_BACKLOG)
}

fn open_one(bind: &Bind, backlog: u32, opener: &Opener) -> io::Result<OwnedFd> {
    let address = match &bind.address {
        Address::Inet(a) => BindAddress::Inet(*a),
        Address::Unix(p) => BindAddress::Unix(p.clone()),
        Address::Abstract(n) => BindAddress::Abstract(n.to_vec()),
        Address::Fd(n) => return inherited(*n),
    };
    let kind = if bind.datagram { SocketKind::Datagram } else { SocketKind::Stream };
    let spec = BindSpec {
        v6only: if bind.v6only { Some(true) } else { bind.v4v6.then_some(false) },
        transparent: bind.transparent,
        interface: bind.interface.clone(),
        mode: bind.mode,
        uid: bind.uid,
        gid: bind.gid,
        backlog,
        ..BindSpec::new(address, kind)
    };
    let fd = opener.bind(&spec)?;
    if bind.datagram {
        let address = bind.address.inet();
        if let Some(any) = address.filter(|a| a.ip().is_unspecified()) {
            datagram::want_destination(fd.as_raw_fd(), any.is_ipv6())?;
        }
        datagram::set_buffers(fd.as_raw_fd(), DATAGRAM_BUFFER);
        burst::coalesce(fd.as_raw_fd());
        return Ok(fd);
    }
    tune(&fd, bind);
    socket::listen(fd.as_raw_fd(), backlog)?;
    Ok(fd)
}

/// A socket that whoever started us bound and listens on.
pub fn inherited(number: i32) -> io::Result<OwnedFd> {
    let fd = socket::duplicate(number)?;
    socket::set_nonblocking(fd.as_raw_fd())?;
    socket::set_nodelay(fd.as_raw_fd());
    Ok(fd)
}

/// Options that connections inherit from their listener.
fn tune(fd: &OwnedFd, bind: &Bind) {
    let raw = fd.as_raw_fd();
    if !matches!(bind.address, Address::Inet(_)) {
        return;
    }
    socket::set_nodelay(raw);
    if bind.defer_accept {
        let _ = socket::set_option(raw, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, 1);
    }
    if let Some(mss) = bind.mss {
        let _ = socket::set_option(raw, libc::IPPROTO_TCP, libc::TCP_MAXSEG, mss);
    }
    if bind.tfo {
        let _ = socket::set_option(raw, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, DEFAULT_BACKLOG as i32);
    }
    if bind.tcp_ss > 0 {
        let _ = connection::keep_syn(raw, i32::from(bind.tcp_ss));
    }
    if bind.tcp_ut_ms > 0 {
        let _ = socket::set_option(raw, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, bind.tcp_ut_ms as i32);
    }
}
