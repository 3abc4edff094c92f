//! The runtime API beside the proxy: its sockets follow `stats socket` lines, and clients that are connected stay.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use crate::admin::cli::serve::{Listener, Socket, serve};
use crate::admin::control::Control;
use crate::config::Global;
use crate::config::global::StatsSocket;
use crate::model::Address;
use crate::os::opener::Opener;

use super::super::program::BindError;
use super::super::services::{RuntimeControl, bind_cli, cli_sockets};
use super::part::Means;

/// One socket.
struct Desired {
    stats: StatsSocket,
    is_master: bool,
    timeout_ms: u64,
    listener: Listener,
    /// It was bound before: the same address.
    kept: bool,
}

struct Served {
    stats: StatsSocket,
    listener: Listener,
    accepting: AbortHandle,
}

/// The sockets that are served, and those of a configuration that was prepared.
#[derive(Default)]
pub(super) struct Admin {
    served: Vec<Served>,
    ready: Option<Vec<Desired>>,
    maxconn: usize,
}

impl Admin {
    /// Binds what is new. A socket whose address stays is the same one: whoever connects finds it all the time.
    pub(super) fn prepare(&mut self, global: &Global, means: &Means<'_>) -> Result<(), BindError> {
        self.abandon(means.opener);
        let mut list = Vec::new();
        for (stats, is_master) in cli_sockets(global, means.args) {
            let before = self.served.iter().find(|served| served.stats.address == stats.address);
            let kept = before.and_then(|served| again(&served.listener).ok());
            let (listener, kept) = match kept {
                Some(listener) => (listener, true),
                None => (bind_cli(&stats, means.opener)?, false),
            };
            list.push(Desired { stats, is_master, timeout_ms: global.stats_timeout_ms, listener, kept });
        }
        self.maxconn = global.stats_maxconn.max(1) as usize;
        self.ready = Some(list);
        Ok(())
    }

    /// Lets go of what was bound and is not served.
    pub(super) fn abandon(&mut self, opener: &Opener) {
        for desired in self.ready.take().into_iter().flatten().filter(|desired| !desired.kept) {
            remove(&desired.stats, opener);
        }
    }

    /// Serves what is ready; called within the control runtime.
    pub(super) fn commit(&mut self, control: &Arc<RuntimeControl>, opener: &Opener) {
        let Some(ready) = self.ready.take() else { return };
        for served in self.served.drain(..) {
            served.accepting.abort();
            if !ready.iter().any(|desired| desired.stats.address == served.stats.address) {
                remove(&served.stats, opener);
            }
        }
        let clients = Arc::new(Semaphore::new(self.maxconn));
        for Desired { stats, is_master, timeout_ms, listener, .. } in ready {
            let Ok(accepted) = again(&listener) else { continue };
            let socket = Socket {
                listener: accepted,
                level: stats.level,
                severity: stats.severity,
                is_master,
                timeout_ms,
            };
            let (control, clients): (Arc<dyn Control>, _) = (control.clone(), clients.clone());
            let accepting = tokio::spawn(async move {
                if let Err(e) = serve(socket, control, clients).await {
                    eprintln!("runtime API: {e}");
                }
            });
            self.served.push(Served { stats, listener, accepting: accepting.abort_handle() });
        }
    }
}

/// Another descriptor of the same socket.
fn again(listener: &Listener) -> std::io::Result<Listener> {
    Ok(match listener {
        Listener::Unix(listener) => Listener::Unix(listener.try_clone()?),
        Listener::Tcp(listener) => Listener::Tcp(listener.try_clone()?),
    })
}

fn remove(stats: &StatsSocket, opener: &Opener) {
    if let Address::Unix(path) = &stats.address {
        let _ = opener.unlink(path);
    }
}
