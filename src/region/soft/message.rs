//! What nodes say to each other of their soft state: a byte that says the format, then postcard.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::region::map::Name;

/// Of messages and answers as they are now.
const FORMAT: u8 = 1;

/// The records of a node that changed in a stretch of its versions, `from` excluded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Whose they are.
    pub node: u64,
    /// Whom it is meant for: another may have taken the address.
    pub to: u64,
    pub incarnation: u64,
    /// Of the incarnation's messages: what comes after a later one is not looked at.
    pub seq: u64,
    pub from: u64,
    pub upto: u64,
    /// Part of all there is: what the stretch does not name is not there.
    pub whole: bool,
    /// Nothing follows as of now.
    pub last: bool,
    pub puts: Vec<Put>,
    pub gone: Vec<Gone>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    pub kind: u8,
    pub name: Name,
    pub version: u64,
    pub body: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    pub kind: u8,
    pub name: Name,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    Taken,
    /// What came before is not there: all is to be sent.
    Whole,
    /// A later message came already.
    Late,
    /// The node is known by a later incarnation.
    Known {
        incarnation: u64,
    },
    /// It is no live member, as far as this node knows.
    NotYet,
    /// It has others keep too much.
    Refused(String),
}

pub fn encode<T: Serialize>(what: &T) -> Option<Bytes> {
    postcard::to_extend(what, vec![FORMAT]).ok().map(Bytes::from)
}

/// `None` for another format, and for what cannot be read.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => postcard::from_bytes(rest).ok(),
        _ => None,
    }
}
