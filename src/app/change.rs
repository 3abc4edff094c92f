//! What starts a change of the configuration, and how it is asked for.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender};

use bytes::Bytes;

use super::signals::Event;

/// What starts a change. All of them go one way: [`Configuration::change`](super::parts::Configuration::change).
#[derive(Debug)]
pub enum Change {
    /// SIGUSR2, and SIGHUP to a master.
    Signal,
    /// These files are other ones than when they were read (`watch-config`).
    Files(Vec<PathBuf>),
    /// `reload` of the runtime API or of Consul's: whether it succeeded and what was said go back.
    Command(SyncSender<(bool, String)>),
    /// The region map has other documents than those that run: whether the node runs with them now goes back.
    Map(SyncSender<bool>),
}

impl Change {
    /// Whether it came from saving a file: what a hand that slips makes of one is not to stop the traffic.
    pub fn is_a_save(&self) -> bool {
        matches!(self, Change::Files(_))
    }

    /// Tells whoever asked for it how it went; `log` is what was said.
    pub fn answer(self, success: bool, log: &str) {
        match self {
            Change::Signal | Change::Files(_) => {}
            Change::Command(answer) => drop(answer.send((success, log.to_owned()))),
            Change::Map(answer) => drop(answer.send(success)),
        }
    }
}

/// What others ask of the control thread, which alone changes and closes.
#[derive(Debug)]
pub enum Request {
    Change(Change),
    /// Everything is to be made ready for this document of the region map, and nothing changed.
    Prepare {
        name: String,
        text: Bytes,
        answer: SyncSender<Result<(), String>>,
    },
    /// The listeners of a frontend are to be closed for good.
    ShutdownFrontend(Arc<str>),
}

/// How requests reach the control thread.
#[derive(Clone)]
pub struct ControlHandle {
    pub requests: Sender<Request>,
    pub steering: Sender<Event>,
}

impl ControlHandle {
    /// False when nobody listens any more.
    pub fn ask(&self, request: Request) -> bool {
        self.requests.send(request).is_ok() && self.steering.send(Event::Asked).is_ok()
    }
}
