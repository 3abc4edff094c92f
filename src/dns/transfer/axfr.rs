//! All records of a zone in messages: SOA, the others, SOA again (RFC 5936, 2.2).

use std::sync::Arc;

use crate::dns::message::{Full, Section, Writer, answer_flags};
use crate::dns::wire::{flag, rtype, u16_at};
use crate::dns::zone::{ALIAS, DYNAMIC, Zone};

/// Octets of a message at most: what names may be pointed to.
pub const MESSAGE: usize = 16 * 1024;

/// A zone on its way. Records that are made when they are asked for are no part of it.
pub struct Transfer {
    zone: Arc<Zone>,
    question: Vec<u8>,
    id: u16,
    flags: u16,
    /// The record that comes next: its node and its number there.
    node: usize,
    record: usize,
    is_begun: bool,
    is_done: bool,
}

impl Transfer {
    /// `question`: name, type and class as they were asked.
    pub fn new(zone: Arc<Zone>, packet: &[u8], question: &[u8]) -> Transfer {
        let flags = answer_flags(u16_at(packet, 2).unwrap_or(0), 0) | flag::AA;
        let id = u16_at(packet, 0).unwrap_or(0);
        let question = question.to_vec();
        Transfer { zone, question, id, flags, node: 0, record: 0, is_begun: false, is_done: false }
    }

    /// Writes the next message, and says how long it is; `None` when all was said. `out` has room for [`MESSAGE`] octets
    /// at least, of which it uses `limit`.
    pub fn next(&mut self, out: &mut [u8], limit: usize) -> Option<usize> {
        if self.is_done {
            return None;
        }
        let zone = self.zone.clone();
        let mut writer = Writer::new(out, limit);
        let is_first = !self.is_begun;
        writer.question(&self.question).ok()?;
        if !self.is_begun {
            soa(&zone, &mut writer).ok()?;
            self.is_begun = true;
        }
        if self.records(&zone, &mut writer).is_ok() && soa(&zone, &mut writer).is_ok() {
            self.is_done = true;
        } else if writer.count(Section::Answer) == u16::from(is_first) {
            // A record that does not fit into a message of its own: no transfer is better than half of one.
            self.is_done = true;
            return None;
        }
        Some(writer.finish(self.id, self.flags, true))
    }

    fn records(&mut self, zone: &Zone, writer: &mut Writer<'_>) -> Result<(), Full> {
        for node in zone.nodes().skip(self.node) {
            let sets = zone.sets(node).filter(|set| {
                let is_soa = set.rtype == rtype::SOA && zone.is_apex(node);
                !is_soa && set.rtype != DYNAMIC && set.rtype != ALIAS
            });
            let records = sets.flat_map(|set| set.iter().map(move |rdata| (set, rdata)));
            for (set, rdata) in records.skip(self.record) {
                writer.record_of(Section::Answer, zone.name(node), set.rtype, set.ttl, rdata)?;
                self.record += 1;
            }
            (self.node, self.record) = (self.node + 1, 0);
        }
        Ok(())
    }
}

fn soa(zone: &Zone, writer: &mut Writer<'_>) -> Result<(), Full> {
    let soa = zone.soa().ok_or(Full)?;
    soa.iter().try_for_each(|rdata| writer.record_of(Section::Answer, zone.apex(), soa.rtype, soa.ttl, rdata))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::name::from_text;
    use crate::dns::zone::Builder;

    #[test]
    fn every_record_once_between_two_soa_records() {
        let name = |text: &str| from_text(text.as_bytes(), None).expect("a name");
        let mut builder = Builder::new(&name("a."));
        builder
            .add(&name("a."), rtype::SOA, 1, &[name("ns.a."), name("h.a."), vec![0; 20]].concat())
            .expect("room");
        for n in 0..3000u32 {
            builder.add(&name(&format!("h{}.a.", n % 1000)), rtype::A, 1, &n.to_be_bytes()).expect("room");
        }
        builder.add(&name("live.a."), DYNAMIC, 1, &[0; 6]).expect("room");
        let zone = Arc::new(builder.finish().expect("a zone"));
        let question = b"\x01a\0\0\xfc\0\x01";
        let mut transfer = Transfer::new(zone.clone(), &[0; 12], question);
        let (mut out, mut answers, mut messages) = (vec![0; MESSAGE], 0, 0);
        while let Some(size) = transfer.next(&mut out, 4096) {
            assert!(size <= 4096);
            answers += usize::from(u16_at(&out, 6).expect("a count"));
            messages += 1;
        }
        assert_eq!(answers, 3000 + 2);
        assert!(messages > 10);
        let mut tight = Transfer::new(zone, &[0; 12], question);
        assert_eq!(tight.next(&mut out, 40), None, "not even the first record fits");
    }
}
