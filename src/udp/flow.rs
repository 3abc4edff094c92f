//! A flow, and its socket to a server.

use std::cell::Cell;
use std::io;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::base::Nanos;
use crate::config::Backend;
use crate::conn::proxy_protocol;
use crate::model::{Address, ProxyId, ProxyLive, Server};
use crate::os::burst::{self, Origin};
use crate::os::socket;
use crate::proxy::View;
use crate::proxy::end::End;
use crate::proxy::listener::{ClientSlot, ListenerCell};
use crate::proxy::server::ServerSlot;
use crate::rt::{Datagrams, Rt, TaskId};
use crate::rules::Vars;

/// A listening socket of a worker.
pub struct Ear {
    pub cell: ListenerCell,
    pub socket: Datagrams,
}

/// What a client and a server say to each other.
pub struct Flow {
    pub ear: Rc<Ear>,
    /// Where answers go.
    pub origin: Origin,
    /// Who is asked: the address of ours, as far as it is known.
    pub local: std::net::SocketAddr,
    pub slot: ClientSlot,
    /// The configuration that it goes by: the newest in which frontend, backend and server are.
    pub view: Rc<View>,
    pub front: ProxyId,
    pub back: ProxyId,
    /// Counts in its backend for as long as it lives.
    pub counted: InBackend,
    /// `None` between two servers.
    pub upstream: Option<Upstream>,
    /// The server that was left last, while none is there.
    pub left: Option<Server>,
    /// The one that refused, by its number.
    pub avoid: Option<u64>,
    /// What rules stored.
    pub vars: Vars,
    pub accepted: Nanos,
    pub accept_date_us: u64,
    /// The first server was there.
    pub chosen: Nanos,
    /// The first answer.
    pub answered: Nanos,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// How often it went to another server.
    pub moves: u32,
    pub end: End,
}

impl Flow {
    /// Its server takes datagrams, and the socket leads to it.
    pub fn has_way(&self) -> bool {
        self.upstream.as_ref().is_some_and(|up| {
            let live = &up.slot.server().live;
            live.is_up() && live.cut(up.epoch).is_none()
        })
    }

    /// Leaves its server.
    pub fn detach(&mut self) {
        if let Some(up) = self.upstream.take() {
            self.left = Some(up.slot.server().clone());
        }
    }

    /// The server that it goes to, or went to last.
    pub fn server(&self) -> Option<&Server> {
        self.upstream.as_ref().map(|up| up.slot.server()).or(self.left.as_ref())
    }
}

/// One flow of a backend.
pub struct InBackend(Arc<ProxyLive>);

impl InBackend {
    pub fn enter(live: &Arc<ProxyLive>, now_ms: u64) -> InBackend {
        let back = &live.back;
        let current = back.cur.fetch_add(1, Ordering::AcqRel) + 1;
        back.max.raise(u64::from(current));
        back.sess_rate_max.raise(u64::from(back.sess_rate.add(now_ms, 1)));
        back.last_session_ms.store(now_ms, Ordering::Relaxed);
        back.counters.mine().sess_tot.inc();
        InBackend(live.clone())
    }
}

impl Drop for InBackend {
    fn drop(&mut self) {
        self.0.back.cur.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A flow's place on a server, and its socket there.
pub struct Upstream {
    pub slot: ServerSlot,
    pub epoch: u32,
    pub pipe: Rc<Pipe>,
    /// The PROXY header that every datagram begins with.
    pub before: Box<[u8]>,
}

impl Drop for Upstream {
    /// Its task finds nothing more to do.
    fn drop(&mut self) {
        self.pipe.over.set(true);
        self.pipe.rt.wake(self.pipe.task.get());
    }
}

/// A flow's socket, which a task of its own receives from.
pub struct Pipe {
    rt: &'static Rt,
    pub socket: Datagrams,
    pub over: Cell<bool>,
    pub task: Cell<TaskId>,
}

impl Pipe {
    /// A socket that speaks to the server alone, from the address that the file says.
    pub fn open(rt: &'static Rt, server: &Server, back: &Backend, port: u16) -> io::Result<Rc<Pipe>> {
        let mut to = server.address();
        if let (Address::Inet(address), Some(offset)) = (&mut to, server.spec.port_offset) {
            address.set_port((i32::from(port) + offset) as u16);
        }
        let to = crate::conn::address::raw(&to)?;
        let fd = socket::unconnected(&to)?;
        if let Some(interface) = &server.spec.interface {
            socket::bind_to_device(fd.as_raw_fd(), interface)?;
        }
        if let Some(source) = server.spec.source.as_ref().or(back.source.as_ref()) {
            socket::bind(fd.as_raw_fd(), &crate::conn::address::raw(source)?)?;
        }
        socket::connect(fd.as_raw_fd(), &to)?;
        burst::coalesce(fd.as_raw_fd());
        let socket = Datagrams::new(rt, Arc::new(fd));
        Ok(Rc::new(Pipe { rt, socket, over: Cell::new(false), task: Cell::new(0) }))
    }
}

/// What stands before each datagram to this server.
pub fn preface(server: &Server, flow: &Flow) -> Box<[u8]> {
    let mut bytes = Vec::new();
    if server.spec.send_proxy > 0 {
        proxy_protocol::write_datagram((flow.origin.peer, flow.local), &mut bytes);
    }
    bytes.into()
}
