//! The parts of a configuration, in the order in which they build, prepare, start and commit. They stop in this order too.

use std::sync::LazyLock;

use super::part::Row;
use super::{checks, dns, mirror, names, proxy, region, vip, watch};

/// One line a part. The watcher comes first: it is to know how files were before the others read them. The VIP agent comes
/// before the proxy, which serves until the addresses are handed over. The proxy comes before the region map, whose servers
/// are servers of its backends; DNS and the mirror ask the map; names of servers are followed once the servers are there; checks come last, for they check all of these.
pub static PARTS: [&Row; 8] = [
    &watch::WATCH,
    &vip::VIP,
    &proxy::PROXY,
    &region::REGION,
    &dns::DNS,
    &mirror::MIRROR,
    &names::NAMES,
    &checks::CHECKS,
];

/// The words that begin sections.
pub fn section_kinds() -> &'static [&'static str] {
    static KINDS: LazyLock<Vec<&'static str>> =
        LazyLock::new(|| PARTS.iter().flat_map(|row| (row.sections)()).collect());
    &KINDS
}
