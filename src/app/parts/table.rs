//! The parts of a configuration, in the order in which they build, prepare, start and commit. They stop in this order too.

use std::sync::LazyLock;

use super::part::Row;
use super::{checks, proxy, region};

/// One line a part. The proxy comes first, for servers from the region map are servers of its backends; checks come
/// last, for they check all of these.
pub static PARTS: [&Row; 3] = [&proxy::PROXY, &region::REGION, &checks::CHECKS];

/// The words that begin sections.
pub fn section_kinds() -> &'static [&'static str] {
    static KINDS: LazyLock<Vec<&'static str>> =
        LazyLock::new(|| PARTS.iter().flat_map(|row| (row.sections)()).collect());
    &KINDS
}
