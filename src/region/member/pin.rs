//! What the map knows of members' certificates: a certificate is worth nothing for another key than the member's own.

use bytes::Bytes;

use super::super::map::{Command, Map, Name};
use super::super::raft::guest::Guest;
use super::token::Digest;

const PINS: &str = "pin/";

/// What the map knows of a member's certificate: its key, which never changes, and who signed it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pin {
    pub key: Digest,
    pub signer: Digest,
}

impl Pin {
    pub(super) fn of(map: &Map, id: u64) -> Option<Pin> {
        let bytes = map.secret(&pin_name(id))?;
        let (key, signer) = bytes.split_at_checked(32)?;
        Some(Pin { key: key.try_into().ok()?, signer: signer.try_into().ok()? })
    }

    pub(super) fn put(&self, id: u64) -> Command {
        Command::SecretPut { name: pin_name(id), value: [self.key, self.signer].concat().into() }
    }

    /// The pins of those who are no members any more, to be taken out.
    pub(super) fn orphans(map: &Map) -> Vec<Command> {
        let names = map.secrets().map(|(name, _)| name).filter(|name| name.starts_with(PINS));
        let gone = names.filter(|name| {
            let id = name.get(PINS.len()..).and_then(|id| id.parse().ok());
            id.is_none_or(|id| map.member(id).is_none())
        });
        gone.map(|name| Command::SecretPut { name: name.clone(), value: Bytes::new() }).collect()
    }
}

fn pin_name(id: u64) -> Name {
    format!("{PINS}{id}").into()
}

/// Whether one that shows a member's certificate shows that member's key; unknown as long as the map does not know it.
pub fn is_itself(map: &Map, guest: Guest) -> bool {
    match guest {
        Guest::Member(id, key) => Pin::of(map, id).is_none_or(|pin| pin.key == key),
        _ => true,
    }
}
