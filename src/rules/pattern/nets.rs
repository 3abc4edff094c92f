//! Many networks, found by longest prefix.

use std::net::IpAddr;
use std::sync::Arc;

use imbl::OrdMap;

use crate::rules::cast::v6_to_v4;
use crate::rules::sample::Sample;

use super::entry::Entry;
use super::net::{Net, mask4, mask6};
use super::reading::Pattern;
use super::texts::{Bucket, Keyed, Shared};

/// Looks an address up as HAProxy does: the longest prefix of its own family, then of the other one as what the address
/// is there, and networks that are no prefixes last.
pub fn find<T>(
    sample: &Sample<'_>,
    prefix: impl Fn(IpAddr) -> Option<T>,
    masked: impl Fn(IpAddr) -> Option<T>,
) -> Option<T> {
    let (own, v4, other) = match sample {
        Sample::Ipv4(a) => (IpAddr::V4(*a), Some(IpAddr::V4(*a)), Some(IpAddr::V6(a.to_ipv6_mapped()))),
        Sample::Ipv6(a) => {
            let v4 = v6_to_v4(*a).map(IpAddr::V4);
            (IpAddr::V6(*a), v4, v4)
        }
        _ => return None,
    };
    prefix(own).or_else(|| prefix(other?)).or_else(|| masked(v4?))
}

/// Patterns of one prefix length, by the bits of the prefix.
type Table = Shared<u128, Bucket<Arc<Pattern>>>;

/// Many networks. A copy shares its structure.
#[derive(Clone, Debug, Default)]
pub struct Nets {
    /// By length of the prefix, the longest first.
    v4: Vec<(u32, Table)>,
    v6: Vec<(u32, Table)>,
    masked: OrdMap<u64, Arc<Pattern>>,
    /// What host names stood for when the configuration was read, by the entry's id.
    names: OrdMap<u64, Net>,
}

impl Nets {
    /// Adds a pattern, or replaces the one with its id.
    pub fn insert(&mut self, pattern: Arc<Pattern>) {
        let Some(net) = pattern.net() else { return };
        if of_text(&pattern.entry).is_none() {
            self.names.insert(pattern.id(), net);
        }
        let (list, bits, addr) = match net {
            Net::V4 { addr, bits } => (&mut self.v4, bits, u128::from(addr)),
            Net::V6 { addr, bits } => (&mut self.v6, bits, addr),
            Net::Masked { .. } => {
                self.masked.insert(pattern.id(), pattern);
                return;
            }
        };
        let at = list.partition_point(|(b, _)| *b > bits);
        if list.get(at).is_none_or(|(b, _)| *b != bits) {
            list.insert(at, (bits, Table::default()));
        }
        let table = &mut list[at].1;
        let bucket = match table.get(&addr) {
            Some(bucket) => bucket.clone().with(pattern),
            None => Bucket::One(pattern),
        };
        table.insert(addr, bucket);
    }

    pub fn remove(&mut self, entry: &Entry) {
        let Some(net) = of_text(entry).or_else(|| self.names.remove(&entry.id)) else { return };
        let (list, bits, addr) = match net {
            Net::V4 { addr, bits } => (&mut self.v4, bits, u128::from(addr)),
            Net::V6 { addr, bits } => (&mut self.v6, bits, addr),
            Net::Masked { .. } => {
                self.masked.remove(&entry.id);
                return;
            }
        };
        let Some(at) = list.iter().position(|(b, _)| *b == bits) else { return };
        let table = &mut list[at].1;
        if let Some(rest) = table.remove(&addr).and_then(|bucket| bucket.without(entry.id)) {
            table.insert(addr, rest);
        }
        if table.is_empty() {
            list.remove(at);
        }
    }

    /// The first network around the address whose mask is no prefix.
    pub fn masked(&self, addr: IpAddr) -> Option<&Arc<Pattern>> {
        self.masked.values().find(|p| p.net().is_some_and(|n| n.contains(addr)))
    }

    /// The narrowest prefix around the address.
    pub fn prefix(&self, addr: IpAddr) -> Option<&Arc<Pattern>> {
        let found = match addr {
            IpAddr::V4(a) => {
                let a = u32::from(a);
                self.v4.iter().find_map(|(bits, table)| table.get(&u128::from(a & mask4(*bits))))
            }
            IpAddr::V6(a) => {
                let a = u128::from(a);
                self.v6.iter().find_map(|(bits, table)| table.get(&(a & mask6(*bits))))
            }
        };
        found.map(Bucket::first)
    }
}

/// The network that an entry says, unless it is a host's name.
fn of_text(entry: &Entry) -> Option<Net> {
    Net::read(&entry.key, false).ok()
}
