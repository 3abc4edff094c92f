//! Addresses that save the client a question: of the hosts that MX, NS and SRV records name, as far as they are ours.

use super::authority::Run;
use crate::dns::message::Section;
use crate::dns::name::QName;
use crate::dns::wire::rtype;
use crate::dns::zone::{Found, RrSet, Zone};

impl<'r> Run<'r, '_> {
    /// What does not fit is left out: it is not needed.
    pub(super) fn additional(&mut self, zone: &'r Zone, set: &RrSet<'_>) {
        let before = match set.rtype {
            rtype::NS => 0,
            rtype::MX => 2,
            rtype::SRV => 6,
            _ => return,
        };
        for rdata in set.iter() {
            let Some(target) = rdata.get(before..).and_then(QName::of) else { continue };
            let found = self.state.zones.find(&target).map_or(zone, |zone| zone);
            let Found::Node(node) = found.lookup(&target) else { continue };
            for set in found.sets(node).filter(|set| matches!(set.rtype, rtype::A | rtype::AAAA)) {
                for data in set.iter() {
                    let put = self.writer.record_of(
                        Section::Additional,
                        &rdata[before..],
                        set.rtype,
                        set.ttl,
                        data,
                    );
                    if put.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
