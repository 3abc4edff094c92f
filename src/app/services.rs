//! What is wired to the running configuration beside the data plane: services inside the process, the runtime API.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::Live;
use crate::config::Config;

use super::configure::Services;
use super::program::{BindError, Start};

/// The configuration that runs now, seen by services and the control plane.
pub type Current = Arc<Live<Option<Arc<Config>>>>;

/// What services share.
#[derive(Default)]
pub struct Hub {
    pub current: Current,
}

impl Hub {
    /// Binds the sockets of the runtime API.
    pub fn bind(&mut self, _config: &Config, _start: &Start<'_>) -> Result<(), BindError> {
        Ok(())
    }
}

/// Every service by the name under which configurations ask for it.
pub fn all(_hub: &Hub) -> Services {
    HashMap::new()
}
