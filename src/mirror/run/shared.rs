//! What the mirror of a node is made of: a configuration that may change, the node's seat, and keys of the map.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};

use super::registries::Registries;
use super::survey::{Reduced, Side};
use crate::base::Live;
use crate::mirror::copy::Keeper;
use crate::mirror::copy::checkpoint::Saved;
use crate::mirror::digest::Digest;
use crate::mirror::plan::Ways;
use crate::mirror::rule::{Delete, Rule, Spec};
use crate::region::Seat;
use crate::region::map::{Command, DeleteWhen, PutWhen};

/// Jobs that a node does at once.
pub const SLOTS: usize = 8;
const KEYS: &str = "isobar/mirror/";
/// Bytes of a key's value at most.
const VALUE: usize = 512 << 10;

#[derive(Default)]
pub struct Config {
    pub spec: Spec,
    pub registries: Registries,
}

pub struct Shared {
    pub seat: Seat,
    pub config: Live<Config>,
    pub changed: Notify,
    pub reduced: Arc<Reduced>,
    /// Pieces in memory.
    pub room: Arc<Semaphore>,
}

impl Config {
    pub fn rule(&self, name: &str) -> Option<&Arc<Rule>> {
        self.spec.rules.iter().find(|rule| *rule.name == *name)
    }

    /// One repository of a rule, for one target.
    pub fn side(&self, rule: &Arc<Rule>, target: &str, from: &str, reduced: &Arc<Reduced>) -> Option<Side> {
        Some(Side {
            source: self.registries.target(&rule.from)?.registry.clone(),
            target: self.registries.target(target)?.registry.clone(),
            rule: rule.clone(),
            from: from.into(),
            to: rule.renamed(from).as_str().into(),
            reduced: reduced.clone(),
        })
    }

    pub fn ways(&self, rule: &Rule, target: &str) -> Ways {
        ways(&self.spec, rule, target)
    }
}

/// Of two rules that copy both ways the first in the configuration wins.
pub fn ways(spec: &Spec, rule: &Rule, target: &str) -> Ways {
    match spec.opposite(rule, target) {
        None => Ways::One,
        Some(other) => {
            let place = |name: &str| spec.rules.iter().position(|rule| *rule.name == *name);
            let deletes = matches!(other.delete, Delete::Propagate(_));
            Ways::Both { wins: place(&rule.name) < place(&other.name), deletes }
        }
    }
}

/// Under which key it stands what both sides of a repository had in common, whichever rule looks.
pub fn base_key(rule: &Rule, target: &str, from: &str, to: &str) -> String {
    let (here, there) = ((&*rule.from, from), (target, to));
    let (first, second) = if here.0 <= target { (here, there) } else { (there, here) };
    format!("{KEYS}base/{}/{}/{}", first.0, second.0, first.1)
}

pub fn paused_key(rule: &str) -> String {
    format!("{KEYS}paused/{rule}")
}

impl Shared {
    pub fn is_paused(&self, rule: &str) -> bool {
        self.seat.map().entry(&paused_key(rule)).is_some()
    }

    pub fn base(&self, key: &str) -> BTreeMap<String, Digest> {
        let map = self.seat.map();
        map.entry(key).and_then(|entry| serde_json::from_slice(&entry.value).ok()).unwrap_or_default()
    }

    pub async fn put(&self, key: String, value: Vec<u8>) -> Result<(), String> {
        if value.len() > VALUE {
            return Err(format!("{key}: {} bytes are too many", value.len()));
        }
        let command =
            Command::KvPut { key: key.as_str().into(), value: value.into(), flags: 0, when: PutWhen::Always };
        self.seat.propose(command).await.map(drop).map_err(|e| e.to_string())
    }

    pub async fn remove(&self, key: String) -> Result<(), String> {
        let command = Command::KvDelete { key: key.as_str().into(), when: DeleteWhen::Always };
        self.seat.propose(command).await.map(drop).map_err(|e| e.to_string())
    }
}

/// Checkpoints as keys of the map: one for each blob that goes piece by piece.
pub struct Checkpoints(pub Arc<Shared>);

/// A map that does not answer for so long is not waited for.
const KEEPING: Duration = Duration::from_secs(3);

impl Checkpoints {
    fn key(key: &str) -> String {
        format!("{KEYS}upload/{key}")
    }
}

impl Keeper for Checkpoints {
    fn load(&self, key: &str) -> Option<Vec<u8>> {
        Some(self.0.seat.map().entry(&Self::key(key))?.value.to_vec())
    }

    fn save(&self, key: &str, value: Vec<u8>) -> Saved<'_> {
        let key = Self::key(key);
        Box::pin(async move {
            match tokio::time::timeout(KEEPING, self.0.put(key, value)).await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => tracing::debug!("mirror: a checkpoint: {e}"),
                Err(_) => tracing::debug!("mirror: a checkpoint: no answer in time"),
            }
        })
    }

    fn clear(&self, key: &str) {
        let key = Self::key(key);
        if self.0.seat.map().entry(&key).is_some() {
            let shared = self.0.clone();
            tokio::spawn(async move { shared.remove(key).await });
        }
    }
}
