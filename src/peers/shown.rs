//! What is shown of sections that run, and of their peers.

use crate::base::Millis;

use super::session::{Progress, Tally};

/// How the last session with a peer stands, or how it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// There was none.
    #[default]
    None,
    /// It is dialled.
    Connecting,
    /// It could not be reached.
    Unreachable,
    /// It refused, by this number.
    Refused(u16),
    Established,
    /// The session was lost.
    Lost,
}

/// A peer.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    pub name: Box<str>,
    pub address: String,
    pub is_local: bool,
    pub state: State,
    /// It has dialled.
    pub is_incoming: bool,
    pub is_ours: bool,
    /// When the session was established, by the process's clock.
    pub since: Option<Millis>,
    /// When it is dialled again.
    pub again: Option<Millis>,
    /// Sessions so far.
    pub sessions: u64,
    /// What came and was no message, so far.
    pub faults: u64,
    pub tally: Tally,
    /// In the order of the tables.
    pub progress: Vec<Progress>,
}

/// A section.
#[derive(Clone, Debug, Default)]
pub struct Section {
    pub name: Box<str>,
    pub is_off: bool,
    /// All that others know is known here.
    pub is_whole: bool,
    pub tables: Vec<Box<str>>,
    pub peers: Vec<Peer>,
}
