//! How a transaction ends: one table turns cause, side and phase into status code, log flags and counters.

use std::sync::Arc;

use crate::model::applet::Applet;
use crate::rules::Reply;

/// What ended it: the first character of the termination state (configuration manual, section 8.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Cause {
    #[default]
    Normal,
    /// The client closed or reset.
    ClientAbort,
    ClientTimeout,
    /// The server closed, reset or refused.
    ServerAbort,
    ServerTimeout,
    /// The proxy refused: a rule or a malformed message.
    Proxy,
    /// The proxy answered by itself.
    Local,
    /// Out of a resource.
    Resource,
    Internal,
    /// The server went down (`on-marked-down shutdown-sessions`).
    ServerDown,
    /// Another server came up (`on-marked-up shutdown-backup-sessions`).
    ServerUp,
    /// An operator or a shutdown ended it.
    Killed,
}

impl Cause {
    pub const fn flag(self) -> u8 {
        match self {
            Cause::Normal => b'-',
            Cause::ClientAbort => b'C',
            Cause::ClientTimeout => b'c',
            Cause::ServerAbort => b'S',
            Cause::ServerTimeout => b's',
            Cause::Proxy => b'P',
            Cause::Local => b'L',
            Cause::Resource => b'R',
            Cause::Internal => b'I',
            Cause::ServerDown => b'D',
            Cause::ServerUp => b'U',
            Cause::Killed => b'K',
        }
    }
}

/// Where it was: the second character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Phase {
    #[default]
    None,
    Request,
    Queue,
    Connect,
    Headers,
    Data,
    Last,
    Tarpit,
}

impl Phase {
    pub const fn flag(self) -> u8 {
        match self {
            Phase::None => b'-',
            Phase::Request => b'R',
            Phase::Queue => b'Q',
            Phase::Connect => b'C',
            Phase::Headers => b'H',
            Phase::Data => b'D',
            Phase::Last => b'L',
            Phase::Tarpit => b'T',
        }
    }
}

/// The end of a transaction before its normal one. `status` 0: nothing can or should be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct End {
    pub cause: Cause,
    pub phase: Phase,
    pub status: u16,
}

impl End {
    pub const fn new(cause: Cause, phase: Phase, status: u16) -> End {
        End { cause, phase, status }
    }

    pub const fn flags(self) -> [u8; 2] {
        [self.cause.flag(), self.phase.flag()]
    }
}

/// The server closed, or said what is no response.
pub const BAD_GATEWAY: End = End::new(Cause::ServerAbort, Phase::Headers, 502);

/// Why a phase does not go on to the next one.
pub enum Halt {
    /// The proxy answers this; `denied` by a rule.
    Reply { reply: Box<Reply>, denied: bool },
    /// Answered after `timeout tarpit`.
    Tarpit(Box<Reply>),
    /// A service inside the process answers.
    Service(Arc<dyn Applet>),
    /// The transaction failed.
    End(End),
    /// The connection is closed without an answer.
    Drop(End),
}

impl From<End> for Halt {
    fn from(end: End) -> Halt {
        Halt::End(end)
    }
}
