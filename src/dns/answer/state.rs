//! What answers are made from, as it stands at one moment.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ipnet::IpNet;

use super::catalog::Catalog;
use crate::dns::cookie::Secret;
use crate::dns::hosts::Hosts;
use crate::dns::policy::{Policy, Preferences, RegionId, ServiceView};
use crate::dns::transfer::Key;
use crate::dns::zone::Zones;

/// UDP answers are at most this long, whatever the client says it takes (DNS Flag Day 2020): more would be fragmented.
pub const UDP_MOST: u16 = 1232;

/// What the configuration says and nothing else changes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What this server calls itself (RFC 5001, and `id.server` of class CH).
    pub nsid: Option<Box<[u8]>>,
    pub secret: Secret,
    /// Whether the networks that queries carry are believed (RFC 7871).
    pub ecs: bool,
    /// Secrets that messages are signed with.
    pub keys: Vec<Key>,
    /// Names that no zone has.
    pub hosts: Arc<Hosts>,
    /// Who may have whole zones.
    pub transfers: Vec<MayTransfer>,
}

/// Who may have whole zones: by a key, by address, or only by both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MayTransfer {
    /// Number among the keys.
    pub key: Option<usize>,
    /// Empty: from anywhere.
    pub networks: Vec<IpNet>,
}

impl Settings {
    /// `key`: by which the question was signed.
    pub fn may_transfer(&self, client: IpAddr, key: Option<usize>) -> bool {
        self.transfers.iter().any(|rule| {
            let from_there =
                rule.networks.is_empty() || rule.networks.iter().any(|network| network.contains(&client));
            from_there && (rule.key.is_none() || rule.key == key)
        })
    }
}

/// A record whose data comes from the region map.
#[derive(Clone, Debug)]
pub struct Record {
    /// Number of its service among [`State::views`].
    pub service: usize,
    pub policy: Policy,
    pub preferences: Arc<Preferences>,
    pub ttl: u32,
    /// What it is called, in wire form, and how it was written.
    pub owner: Arc<[u8]>,
    pub told: Arc<Told>,
    /// Answers by the region that came first, to be taken from here by whoever tells them.
    pub answers: Arc<[AtomicU64]>,
}

/// A record's service and policy in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Told {
    pub service: String,
    pub policy: String,
}

impl State {
    /// Counts an answer from the map.
    pub fn note(&self, chosen: Option<(u32, RegionId)>) {
        let Some((record, region)) = chosen else { return };
        let counts = self.records.get(record as usize).and_then(|of| of.answers.get(usize::from(region)));
        if let Some(count) = counts {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn region_name(&self, region: RegionId) -> &str {
        self.regions.get(usize::from(region)).map_or("", |name| name)
    }
}

/// Cheap to clone: a change makes another with what did not change in common.
#[derive(Clone)]
pub struct State {
    pub settings: Arc<Settings>,
    pub zones: Arc<Zones>,
    pub records: Arc<[Record]>,
    pub views: Arc<[Arc<ServiceView>]>,
    /// Names of regions by number; instances of no region have the number behind the last.
    pub regions: Arc<[Arc<str>]>,
    /// Who answers for names that no zone has.
    pub catalog: Option<Arc<dyn Catalog>>,
}
