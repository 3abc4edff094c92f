//! A configuration as a worker holds it, with the servers of its backends.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use crate::config::Config;
use crate::http::H1Options;
use crate::model::{ProxyId, ServerSet};

/// The servers of a backend as a worker holds them: counted without atomics, so that streams of different workers do
/// not fight for a cache line.
#[allow(clippy::redundant_allocation)]
pub type Servers = Rc<Arc<ServerSet>>;

/// One configuration as a worker holds it: reference-counted without atomics, and given back to the control thread
/// when the last stream that began with it is gone.
pub struct View {
    config: Option<Arc<Config>>,
    /// The server sets as last seen, by proxy, each with its version.
    sets: Vec<RefCell<Option<(u64, Servers)>>>,
    retired: Sender<Arc<Config>>,
    pub h1_request: Vec<H1Options>,
    pub h1_response: Vec<H1Options>,
}

impl View {
    pub(super) fn new(config: Arc<Config>, retired: Sender<Arc<Config>>) -> Rc<View> {
        let tune = &config.global.tune;
        let options = |accept_unsafe| H1Options {
            max_fields: tune.http_maxhdr,
            accept_unsafe,
            max_head: tune.bufsize.saturating_sub(tune.maxrewrite),
            ..H1Options::default()
        };
        let h1_request = config.proxies.iter().map(|p| options(p.options.accept_unsafe_request)).collect();
        let h1_response = config.proxies.iter().map(|p| options(p.options.accept_unsafe_response)).collect();
        let sets = config.proxies.iter().map(|_| RefCell::new(None)).collect();
        Rc::new(View { config: Some(config), sets, retired, h1_request, h1_response })
    }

    /// What a session holds between two requests, so that an idle one does not keep an old configuration.
    pub(super) fn none(retired: Sender<Arc<Config>>) -> Rc<View> {
        let (sets, h1_request, h1_response) = Default::default();
        Rc::new(View { config: None, sets, retired, h1_request, h1_response })
    }

    pub fn config(&self) -> &Config {
        // Present until `drop`; nobody asks a session that waits for its next request.
        self.config.as_deref().expect("a view holds its configuration")
    }

    /// The current servers of a backend, without an atomic increment while they do not change.
    pub fn servers(&self, backend: ProxyId) -> Option<Servers> {
        let live = &self.config().proxy(backend).back.as_ref()?.servers;
        let mut seen = self.sets.get(backend.0 as usize)?.borrow_mut();
        let version = live.version();
        if let Some((_, set)) = seen.as_ref().filter(|(of, _)| *of == version) {
            return Some(set.clone());
        }
        let set = Rc::new(live.load());
        *seen = Some((version, set.clone()));
        Some(set)
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if let Some(config) = self.config.take() {
            let _ = self.retired.send(config);
        }
    }
}
