//! What a prepared query says, as it is kept in [`Query::definition`](crate::region::map::Query): JSON in Consul's names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A query without its id, name and session, which the map keeps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Definition {
    pub token: String,
    pub service: ServiceQuery,
    #[serde(rename = "DNS")]
    pub dns: Dns,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Dns {
    /// As it was given: a Go duration; empty for none.
    #[serde(rename = "TTL")]
    pub ttl: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServiceQuery {
    pub service: String,
    pub failover: Failover,
    /// Not those with a warning, either.
    pub only_passing: bool,
    #[serde(rename = "IgnoreCheckIDs")]
    pub ignore_check_ids: Vec<String>,
    /// A node, `_agent`, or `_ip`: instances are sorted by their distance from it.
    pub near: String,
    /// All must be there; of `!tag`, none.
    pub tags: Vec<String>,
    pub node_meta: BTreeMap<String, String>,
    pub service_meta: BTreeMap<String, String>,
    pub connect: bool,
}

/// Kept for clients: there is one datacenter, whose regions fail over by their own rules.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Failover {
    pub nearest_n: u32,
    pub datacenters: Vec<String>,
    pub targets: Vec<Target>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Target {
    pub datacenter: String,
    pub peer: String,
}

/// A query that stands for every name that begins with its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Template {
    /// `name_prefix_match`.
    pub r#type: String,
    /// Matched against the whole name; its groups are `${match(N)}`.
    pub regexp: String,
    pub remove_empty_tags: bool,
}

impl ServiceQuery {
    /// Every text that a template may change.
    pub(super) fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        [&mut self.service, &mut self.near]
            .into_iter()
            .chain(&mut self.failover.datacenters)
            .chain(&mut self.tags)
            .chain(&mut self.ignore_check_ids)
            .chain(self.node_meta.values_mut())
            .chain(self.service_meta.values_mut())
    }
}
