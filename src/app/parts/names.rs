//! Names of servers as a part. `resolvers` sections are the proxy's; what follows them runs from here.

use std::io;
use std::sync::PoisonError;

use crate::discovery::Names;
use crate::lang::Diagnostics;
use crate::os::opener::Opener;

use std::sync::Arc;

use super::super::program::BindError;
use super::super::services::Hub;
use super::part::{Means, Part, Process, Reading, Row};

pub static NAMES: Row = Row {
    name: "names",
    sections: Vec::new,
    register: |_| {},
    make: |handles| Box::new(NamesPart { hub: handles.hub.clone() }),
};

struct NamesPart {
    hub: Hub,
}

impl Part for NamesPart {
    fn build(&mut self, _reading: &Reading<'_>) -> Diagnostics {
        Diagnostics::default()
    }

    fn prepare(&mut self, _means: &Means<'_>) -> Result<(), BindError> {
        Ok(())
    }

    fn start(&mut self, process: &Arc<Process>) -> io::Result<()> {
        let names = Names::new(process.hooks.clone());
        *self.hub.names.lock().unwrap_or_else(PoisonError::into_inner) = Some(names);
        Ok(())
    }

    fn commit(&mut self) {
        let mut names = self.hub.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(names), Some(config)) = (&mut *names, &*self.hub.current.load()) {
            names.follow(config);
        }
    }

    fn abandon(&mut self, _opener: &Opener) {}

    fn stop(&mut self) {
        *self.hub.names.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
