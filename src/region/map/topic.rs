//! What a reader can wait for: the parts of the map that change on their own.

use super::record::Name;

/// A part of the map. A change touches every topic that it is seen in, and no other: who waits for one service does not
/// wake for another, nor who waits for a service that does not exist yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Anything of what follows.
    Any,
    /// Any node of the catalog.
    Nodes,
    /// One node, its instances and its checks.
    Node(Name),
    /// The names of services and their tags.
    Services,
    /// One service: its instances, their nodes, the checks of both.
    Service(Name),
    /// Any check.
    Checks,
    /// One key.
    Key(Name),
    /// Every key that begins so; also wakes for their deletion.
    Prefix(Name),
    Sessions,
    Session(Name),
    Queries,
    Events,
    Regions,
    Members,
    Documents,
    /// Leases that are granted or end; not that one is renewed.
    Leases,
}
