//! `Course`: what became of a request.

use crate::rules::witness::Event;

use super::entrance::Entrance;
use super::message::Message;

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Course {
    pub entrance: Entrance,
    pub frontend: String,
    /// What rules did, in order.
    pub events: Vec<Event>,
    /// What a server got, unless none was asked.
    pub at_server: Option<Vec<u8>>,
    /// What the client got.
    pub answer: Vec<u8>,
    /// The client's connection was ended.
    pub has_ended: bool,
    /// Time that passed until the answer.
    pub waited_ms: u64,
    /// What went wrong with the client's TLS.
    pub fault: Option<String>,
}

impl Course {
    pub fn backend(&self) -> Option<&str> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Backend { name, .. } => Some(name.as_str()),
            _ => None,
        })
    }

    pub fn server(&self) -> Option<&str> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Server { name, .. } => Some(name.as_str()),
            _ => None,
        })
    }

    pub fn request(&self) -> Option<Message> {
        Message::of(self.at_server.as_deref()?)
    }

    pub fn response(&self) -> Option<Message> {
        Message::answer(&self.answer)
    }

    /// The log lines, and whether they are sent.
    pub fn logs(&self) -> impl Iterator<Item = (&str, bool)> {
        self.events.iter().filter_map(|event| match event {
            Event::Log { line, is_sent } => Some((line.as_str(), *is_sent)),
            _ => None,
        })
    }
}
