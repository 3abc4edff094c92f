//! What the process offers the runtime API, the stats page and the exporter. The app implements it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::base::clock;
use crate::check::{Hooks, Member};
use crate::config::{Config, Proxy};
use crate::filter::compression::METER;
use crate::model::Server;
use crate::model::applet::{AppletBody, AppletReply};
use crate::peers::shown;
use crate::proxy::Shared;
use crate::vip::agent::{Asker, Status};

use super::stat::{CompressionFigures, Process, Show, Snapshot, TlsFigures};

/// The process as seen from its administration. Everything that is not overridden answers that it cannot be done.
pub trait Control: Send + Sync {
    /// The configuration that runs now.
    fn config(&self) -> Arc<Config>;

    /// What all data workers share.
    fn shared(&self) -> &Shared;

    /// What is told when a server changes: the same as for health checks.
    fn hooks(&self) -> Arc<dyn Hooks>;

    /// The figures of `show info` that no cell of the configuration has.
    fn process(&self) -> Process;

    /// Something that kept connections waiting is gone (`set maxconn`, `enable frontend`): listeners look again.
    fn unpark(&self) {}

    /// `disable frontend`, `enable frontend`: its sockets refuse whoever connects, or listen again.
    fn pause_frontend(&self, _proxy: &Proxy, _paused: bool) {}

    /// `shutdown frontend`: its listeners are closed for good. The flag is set already.
    fn shutdown_frontend(&self, _proxy: &Proxy) {}

    /// `shutdown sessions server`. `None` when this cannot be done.
    fn shutdown_sessions(&self, _backend: &Proxy, _server: &Server) -> Option<u32> {
        None
    }

    /// `enable health`: its check runs soon.
    fn wake_check(&self, _backend: &str, _server: &str) {}

    /// `add server`, `del server`: checks begin and end with servers.
    fn servers_changed(&self) {}

    /// Servers have other names than before.
    fn names_changed(&self) {}

    /// What was printed while the process started.
    fn startup_logs(&self) -> String {
        String::new()
    }

    /// `reload` of the master: whether it worked, and what was printed. `None` without a master.
    fn reload(&self) -> Option<(bool, String)> {
        None
    }

    /// Virtual routers and who has their addresses.
    fn vips(&self) -> Status {
        Status::default()
    }

    /// Asks the agent of these; `None` while none runs.
    fn vip_agent(&self) -> Option<Asker> {
        None
    }

    /// `show peers`.
    fn peers(&self) -> Vec<shown::Section> {
        Vec::new()
    }

    /// `show proc` of the master.
    fn processes(&self) -> Option<String> {
        None
    }
}

/// How a service finds the process, which does not run yet when services are made.
pub type Found = Box<dyn Fn() -> Option<Arc<dyn Control>> + Send + Sync>;

/// What a service answers before the process runs.
pub fn not_yet() -> AppletReply {
    let body = AppletBody::Bytes("The process is about to start.\n".into());
    let headers = vec![("content-type".into(), "text/plain".into())];
    AppletReply { status: 503, headers, body, delay_ms: 0, close: true }
}

/// `show info`, counted now.
pub fn process(control: &dyn Control) -> Process {
    let mut process = control.process();
    let shared = control.shared();
    let now = clock::now_ms();
    process.pid = shared.pid;
    process.maxconn = shared.maxconn.load(Ordering::Relaxed);
    process.is_stopping |= shared.stopping.load(Ordering::Relaxed);
    process.maxconn_reached = shared.maxconn_reached.load(Ordering::Relaxed);
    process.conn_rate = shared.conn_rate.read(now);
    process.max_conn_rate = shared.conn_rate_max.value();
    process.sess_rate = shared.sess_rate.read(now);
    process.max_sess_rate = shared.sess_rate_max.value();
    process.curr_conns = shared.current.load(Ordering::Relaxed);
    process.cum_conns = shared.connections.load(Ordering::Relaxed);
    process.cum_req = shared.requests.load(Ordering::Relaxed);
    let config = control.config();
    if process.node.is_empty() {
        process.node = config.global.node.clone().unwrap_or_else(|| shared.hostname.clone());
    }
    process.description = process.description.take().or_else(|| config.global.description.clone());
    process.conn_rate_limit = config.global.maxconnrate;
    process.sess_rate_limit = config.global.maxsessrate;
    process.tls = TlsFigures {
        most: config.global.tls.maxsslconn,
        now: shared.tls.load(Ordering::Relaxed),
        total: shared.tls_total.load(Ordering::Relaxed),
        rate: shared.tls_rate.read(now),
        rate_limit: config.global.tls.maxsslrate,
        rate_max: shared.tls_rate_max.value(),
        key_rate: shared.tls_key_rate.read(now),
        key_rate_max: shared.tls_key_rate_max.value(),
        looked_up: config.tls.lock().unwrap_or_else(PoisonError::into_inner).sessions().looked_up(),
    };
    process.compression = CompressionFigures {
        rates: METER.rates(now),
        memory: METER.memory(),
        limits: config.global.compression,
    };
    let peers: Vec<shown::Peer> = control.peers().into_iter().flat_map(|section| section.peers).collect();
    let count = |state: shown::State| peers.iter().filter(|peer| peer.state == state).count() as u32;
    process.connected_peers = count(shown::State::Established);
    process.dialled_peers = count(shown::State::Connecting);
    process.dropped_logs = crate::log::sink::DROPPED.load(Ordering::Relaxed);
    process.count(&config);
    process
}

/// The statistics of now.
pub fn snapshot(control: &dyn Control, show: Show) -> Snapshot {
    let maxconn = control.shared().maxconn.load(Ordering::Relaxed);
    Snapshot::new(control.config(), maxconn, clock::now_ms(), show)
}

/// A server with what its changes of state touch.
pub fn member(control: &dyn Control, proxy: &Proxy, server: &Server) -> Option<Member> {
    Some(proxy.back.as_ref()?.member(proxy, server, control.hooks()))
}
