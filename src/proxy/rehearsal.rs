//! A data worker without a network: clients and servers are in the hand of whoever drives it (`isobar trace`). What it
//! does with their bytes is what every worker does.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use crate::config::Config;
use crate::model::ProxyId;
use crate::os::socket::Peer;
use crate::rt::Rt;

use super::listener::ListenerCell;
use super::shared::Shared;
use super::worker::Worker;

/// A worker on a configuration.
pub struct Rehearsal {
    worker: &'static Worker,
    /// The far ends of connections that were opened to servers.
    opened: Rc<RefCell<Vec<UnixStream>>>,
    _retired: Receiver<Arc<Config>>,
}

/// A connection's two ends, which never block.
fn pair() -> io::Result<(UnixStream, UnixStream)> {
    let (ours, far) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    far.set_nonblocking(true)?;
    Ok((ours, far))
}

impl Rehearsal {
    /// A worker on a runtime that is driven by hand. It is never freed.
    pub fn on(rt: &'static Rt, config: Arc<Config>, hostname: String) -> Rehearsal {
        let (retire, retired) = channel();
        let worker = Worker::on(rt, Shared::new(0, hostname), config, retire);
        worker.rehearses.set(true);
        let opened: Rc<RefCell<Vec<UnixStream>>> = Rc::default();
        let theirs = opened.clone();
        rt.dial_with(move |_| {
            let (ours, far) = pair()?;
            theirs.borrow_mut().push(far);
            Ok(ours.into())
        });
        Rehearsal { worker, opened, _retired: retired }
    }

    /// A client of a listener: from where it comes, and where to. `None`: the listener does not take it.
    pub fn client(
        &self,
        (front, bind): (ProxyId, usize),
        from: SocketAddr,
        to: SocketAddr,
    ) -> io::Result<Option<UnixStream>> {
        let cell = Rc::new(ListenerCell {
            id: 1,
            proxy: Cell::new(front),
            bind: Cell::new(bind),
            stopped: Cell::new(false),
            task: Cell::new(0),
            live: RefCell::default(),
        });
        let Some(slot) = self.worker.client_slot(&cell) else { return Ok(None) };
        let (ours, far) = pair()?;
        self.worker.rt.be_at(to);
        self.worker.accepted(&cell, ours.into(), Peer::Inet(from), slot);
        Ok(Some(far))
    }

    /// Connections that were opened to servers since the last call.
    pub fn opened(&self) -> Vec<UnixStream> {
        self.opened.take()
    }

    pub fn rt(&self) -> &'static Rt {
        self.worker.rt
    }
}
