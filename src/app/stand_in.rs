//! What stands for the process while requests are rehearsed: the pages of figures are answered, and nothing can be
//! changed.

use std::sync::Arc;

use crate::admin::Control;
use crate::admin::stat::Process;
use crate::base::Live;
use crate::check::Hooks;
use crate::config::Config;
use crate::lang::Severity;
use crate::os::process;
use crate::proxy::Shared;

use super::version;

/// The process that a rehearsal has.
pub struct StandIn {
    config: Arc<Live<Option<Arc<Config>>>>,
    shared: Arc<Shared>,
    first: Arc<Config>,
}

/// Nobody is told.
struct Silent;

impl Hooks for Silent {
    fn line(&self, _backend: &str, _severity: Severity, _level: u8, _screen: &str, _log: &str) {}
}

impl StandIn {
    /// `config` is that of the moment, and `first` the one that there is now.
    pub fn new(config: Arc<Live<Option<Arc<Config>>>>, first: Arc<Config>) -> StandIn {
        let shared = Shared::new(first.global.maxconn, process::hostname());
        StandIn { config, shared, first }
    }
}

impl Control for StandIn {
    fn config(&self) -> Arc<Config> {
        (*self.config.load()).clone().unwrap_or_else(|| self.first.clone())
    }

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn hooks(&self) -> Arc<dyn Hooks> {
        Arc::new(Silent)
    }

    fn process(&self) -> Process {
        Process {
            version: version::HAPROXY_VERSION.to_owned(),
            release_date: version::RELEASE_DATE.to_owned(),
            nbthread: 1,
            ..Process::default()
        }
    }
}
