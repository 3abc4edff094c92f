//! The records of soft state: a closed set of kinds, each with a number on the wire that never gets another meaning.
//!
//! A record whose fields change gets a new number beside its old one. A node that does not know a number passes over
//! such records, so that programs of different versions may stand in one cluster.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::region::map::Name;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Load,
    Share,
    Progress,
    Work,
    Vip,
}

impl Kind {
    pub const fn number(self) -> u8 {
        match self {
            Kind::Load => 1,
            Kind::Share => 2,
            Kind::Progress => 3,
            Kind::Work => 4,
            Kind::Vip => 5,
        }
    }

    pub const fn of(number: u8) -> Option<Kind> {
        match number {
            1 => Some(Kind::Load),
            2 => Some(Kind::Share),
            3 => Some(Kind::Progress),
            4 => Some(Kind::Work),
            5 => Some(Kind::Vip),
            _ => None,
        }
    }

    /// What a first record of this kind would be called among those of its node.
    pub fn first(self) -> Key {
        (self, Name::default())
    }
}

/// A record among those of its node.
pub type Key = (Kind, Name);

/// What a node tells the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Load(Load),
    Share(Share),
    Progress(Progress),
    Work(Work),
    Vip(Vip),
}

/// Live sessions of a node and what it can take: on the servers of one service in one region, or of the node as a whole
/// where `service` is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    pub service: Name,
    /// Of the servers; of the node itself where `service` is empty.
    pub region: Name,
    pub sessions: u64,
    /// Sessions at most, by what the node's configuration allows; 0: it sets no limit.
    pub capacity: u64,
    /// Servers that take traffic.
    pub servers: u32,
}

/// A node's part of one entry of a cluster-wide stick table: the sum over nodes is the entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    pub table: Name,
    pub key: Bytes,
    /// What tells tables of other forms apart, then this node's part in the order of the table's data types: a number, or
    /// of a rate the age of its period, the events since and those of the period before.
    pub values: Vec<u64>,
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub job: Name,
    pub done_bytes: u64,
    /// 0: not known.
    pub total_bytes: u64,
    /// What it is at: an image, a host, a path.
    pub location: Name,
}

/// What one node wants of another, or tells it: its room alone knows what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Whom it is for; 0: whoever leads.
    pub to: u64,
    pub body: Bytes,
}

/// A virtual router of a node: its state, what it holds, since when (milliseconds since 1970) and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vip {
    pub state: Name,
    /// As it is now, with what trackers make of it.
    pub priority: u8,
    pub interface: Name,
    /// VRID.
    pub router_id: u8,
    /// Those that move, and whether they are on this node.
    pub addresses: Vec<Name>,
    pub held: bool,
    pub since_ms: u64,
    pub cause: Name,
    /// The master that was heard last; empty: none was.
    pub master: Name,
}

impl Record {
    pub fn kind(&self) -> Kind {
        match self {
            Record::Load(_) => Kind::Load,
            Record::Share(_) => Kind::Share,
            Record::Progress(_) => Kind::Progress,
            Record::Work(_) => Kind::Work,
            Record::Vip(_) => Kind::Vip,
        }
    }

    pub(super) fn encode(&self) -> Bytes {
        let bytes = match self {
            Record::Load(load) => postcard::to_allocvec(load),
            Record::Share(share) => postcard::to_allocvec(share),
            Record::Progress(progress) => postcard::to_allocvec(progress),
            Record::Work(work) => postcard::to_allocvec(work),
            Record::Vip(vip) => postcard::to_allocvec(vip),
        };
        // Nothing in them can fail to be written.
        bytes.unwrap_or_default().into()
    }

    /// `None` for a kind that is not known here, or bytes that are none of it.
    pub(super) fn decode(number: u8, body: &[u8]) -> Option<Record> {
        match Kind::of(number)? {
            Kind::Load => whole(body).map(Record::Load),
            Kind::Share => whole(body).map(Record::Share),
            Kind::Progress => whole(body).map(Record::Progress),
            Kind::Work => whole(body).map(Record::Work),
            Kind::Vip => whole(body).map(Record::Vip),
        }
    }
}

fn whole<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    postcard::take_from_bytes(body).ok().filter(|(_, rest)| rest.is_empty()).map(|(record, _)| record)
}

/// Most that a node may have others keep for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one record with its name.
    pub record_bytes: usize,
    /// Records of a node.
    pub records: usize,
    /// Bytes of all records of a node with their names.
    pub node_bytes: usize,
    /// Bytes of one message, beyond its last record.
    pub message_bytes: usize,
    /// Bytes of all messages without an answer, to whomever.
    pub flight_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            record_bytes: 4 << 10,
            records: 16_384,
            node_bytes: 4 << 20,
            message_bytes: 64 << 10,
            flight_bytes: 4 << 20,
        }
    }
}

/// Why a record is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SoftError {
    #[error("a soft record of {bytes} bytes: at most {most}")]
    RecordBytes { bytes: usize, most: usize },
    #[error("a node has at most {0} soft records")]
    Records(usize),
    #[error("the soft records of a node have at most {0} bytes together")]
    NodeBytes(usize),
}

/// How much a node has others keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

impl Weight {
    /// Puts a record of so many bytes in the place of one with `old`.
    pub(super) fn replace(
        &mut self,
        old: Option<usize>,
        bytes: usize,
        limits: &Limits,
    ) -> Result<(), SoftError> {
        if bytes > limits.record_bytes {
            return Err(SoftError::RecordBytes { bytes, most: limits.record_bytes });
        }
        let records = self.records + usize::from(old.is_none());
        let all = self.bytes.saturating_sub(old.unwrap_or(0)) + bytes;
        if records > limits.records {
            return Err(SoftError::Records(limits.records));
        }
        if all > limits.node_bytes {
            return Err(SoftError::NodeBytes(limits.node_bytes));
        }
        *self = Weight { records, bytes: all };
        Ok(())
    }

    pub(super) fn remove(&mut self, bytes: usize) {
        *self = Weight { records: self.records.saturating_sub(1), bytes: self.bytes.saturating_sub(bytes) };
    }
}

pub(super) fn size(name: &str, body: &[u8]) -> usize {
    name.len() + body.len()
}
