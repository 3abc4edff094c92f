//! Health checks as a part. They have no section of their own: they follow the servers of the configuration that runs,
//! those from the region map included, so they come after both.

use std::io;
use std::sync::{Arc, PoisonError};

use crate::lang::Diagnostics;
use crate::os::opener::Opener;

use super::super::program::BindError;
use super::super::services::Current;
use super::super::{figures, health};
use super::part::{Handles, Means, Part, Process, Reading, Row};

pub static CHECKS: Row = Row {
    name: "checks",
    sections: Vec::new,
    register: |_| {},
    make: |handles| Box::new(ChecksPart::new(handles)),
};

struct ChecksPart {
    current: Current,
    process: Option<Arc<Process>>,
}

impl ChecksPart {
    fn new(handles: &Handles) -> ChecksPart {
        ChecksPart { current: handles.hub.current.clone(), process: None }
    }
}

impl Part for ChecksPart {
    fn build(&mut self, _reading: &Reading<'_>) -> Diagnostics {
        Diagnostics::default()
    }

    fn prepare(&mut self, _means: &Means<'_>) -> Result<(), BindError> {
        Ok(())
    }

    fn start(&mut self, process: &Arc<Process>) -> io::Result<()> {
        self.process = Some(process.clone());
        Ok(())
    }

    fn commit(&mut self) {
        let (Some(process), Some(config)) = (&self.process, &*self.current.load()) else { return };
        let mut checks = process.checks.lock().unwrap_or_else(PoisonError::into_inner);
        *checks = health::start(config, &process.hooks, std::mem::take(&mut checks));
        figures::checks(checks.len());
    }

    fn abandon(&mut self, _opener: &Opener) {}

    fn stop(&mut self) {}
}
