//! What a rule asks another service before a request goes on (`auth-request`), and what that service says.

use crate::http::Head;

/// A request of a rule's own.
#[derive(Debug)]
pub struct Question {
    /// The backend whose servers are asked.
    pub backend: Box<str>,
    pub method: Box<[u8]>,
    pub target: Vec<u8>,
    /// The rule wants to know of a failure; without that it ends the transaction.
    pub takes_failure: bool,
}

/// How far a question has come. `rule` tells rules apart.
#[derive(Debug, Default)]
pub enum Asking {
    #[default]
    Nothing,
    For {
        rule: usize,
        question: Box<Question>,
    },
    /// The head of the answer; `None`: there was no answer.
    Done {
        rule: usize,
        answer: Option<Box<Head>>,
    },
}
