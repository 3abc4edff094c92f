//! The message being written: records with compressed names, into a buffer of the caller's (RFC 1035, 4.1).

use super::name::{self, MAX_NAME};
use super::wire::{CLASS_IN, HEADER, flag, rtype, u16_at};

/// There is no room left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The sections records are written into, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    Answer,
    Authority,
    Additional,
}

/// Where the name stands that records are written for: records point to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(u16);

/// The name of the question.
pub const QUESTION: Owner = Owner(HEADER as u16);

/// Names that others may point to: those of the question, and the first few written after it.
const KNOWN: usize = 48;

/// A message that grows. What does not fit leaves it as it was.
pub struct Writer<'b> {
    buf: &'b mut [u8],
    at: usize,
    limit: usize,
    known: [u16; KNOWN],
    count: usize,
    records: [u16; 3],
}

impl<'b> Writer<'b> {
    /// `buf` holds at least a header and a question; nothing is written beyond `limit`.
    pub fn new(buf: &'b mut [u8], limit: usize) -> Writer<'b> {
        let limit = limit.min(buf.len());
        Writer { buf, at: HEADER.min(limit), limit, known: [0; KNOWN], count: 0, records: [0; 3] }
    }

    /// Goes on with a message of so many octets, header included; names in it are not pointed to.
    pub fn resume(buf: &'b mut [u8], len: usize, limit: usize) -> Writer<'b> {
        let count = |at| u16_at(buf, at).unwrap_or(0);
        let records = [count(6), count(8), count(10)];
        let limit = limit.min(buf.len());
        Writer { buf, at: len.min(limit), limit, known: [0; KNOWN], count: 0, records }
    }

    pub fn len(&self) -> usize {
        self.at
    }

    pub fn is_empty(&self) -> bool {
        self.at <= HEADER
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Another end for what follows, within the buffer.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit.min(self.buf.len());
    }

    pub fn count(&self, section: Section) -> u16 {
        self.records[section as usize]
    }

    /// Copies the question as it was asked, letter case and all.
    pub fn question(&mut self, question: &[u8]) -> Result<(), Full> {
        let start = self.at;
        self.bytes(question)?;
        let mut at = start;
        while self.count < KNOWN && self.buf[at] != 0 {
            self.known[self.count] = at as u16;
            self.count += 1;
            at += usize::from(self.buf[at]) + 1;
        }
        Ok(())
    }

    /// Writes the header: this ends the message.
    pub fn finish(self, id: u16, flags: u16, has_question: bool) -> usize {
        let words = [id, flags, has_question.into(), self.records[0], self.records[1], self.records[2]];
        for (word, to) in words.iter().zip(self.buf.chunks_exact_mut(2)) {
            to.copy_from_slice(&word.to_be_bytes());
        }
        self.at
    }

    /// Takes back all records: the answer did not fit.
    pub fn truncate(&mut self, question_end: usize) {
        self.at = question_end.min(self.at);
        self.count = self.known[..self.count].iter().take_while(|at| usize::from(**at) < self.at).count();
        self.records = [0; 3];
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let end = self.at + bytes.len();
        if end > self.limit {
            return Err(Full);
        }
        self.buf[self.at..end].copy_from_slice(bytes);
        self.at = end;
        Ok(())
    }

    pub fn u16(&mut self, value: u16) -> Result<(), Full> {
        self.bytes(&value.to_be_bytes())
    }

    /// Writes an uncompressed name, pointing to what of it stands there already.
    fn name(&mut self, wire: &[u8]) -> Result<(), Full> {
        let mut rest = wire;
        while rest.len() > 1 {
            if let Some(at) = self.find(rest) {
                return self.u16(0xc000 | at);
            }
            let size = usize::from(rest[0]) + 1;
            let here = self.at;
            self.bytes(&rest[..size])?;
            if self.count < KNOWN && here < 0x4000 {
                self.known[self.count] = here as u16;
                self.count += 1;
            }
            rest = &rest[size..];
        }
        self.bytes(name::ROOT)
    }

    fn find(&self, wire: &[u8]) -> Option<u16> {
        self.known[..self.count].iter().copied().find(|at| self.is_at(usize::from(*at), wire))
    }

    /// Whether the name that begins at `at` is this one. Pointers of ours always lead back.
    fn is_at(&self, mut at: usize, wire: &[u8]) -> bool {
        let mut rest = wire;
        loop {
            let size = self.buf[at];
            if size >= 0xc0 {
                at = usize::from(u16_at(self.buf, at).unwrap_or(0) & 0x3fff);
                continue;
            }
            let length = usize::from(size) + 1;
            if rest[0] != size || !self.buf[at..at + length].eq_ignore_ascii_case(&rest[..length]) {
                return false;
            }
            if size == 0 {
                return true;
            }
            at += length;
            rest = &rest[length..];
        }
    }

    /// A record of a name that stands in the message.
    pub fn record(
        &mut self,
        section: Section,
        owner: Owner,
        rtype: u16,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<(), Full> {
        self.whole(section, |w| {
            w.u16(0xc000 | owner.0)?;
            w.fields(rtype, ttl, rdata)
        })
    }

    /// A record of another class.
    pub fn record_in(
        &mut self,
        class: u16,
        section: Section,
        owner: Owner,
        rtype: u16,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<(), Full> {
        let at = self.at;
        self.record(section, owner, rtype, ttl, rdata)?;
        self.buf[at + 4..at + 6].copy_from_slice(&class.to_be_bytes());
        Ok(())
    }

    /// An option of the OPT record.
    pub fn option(&mut self, code: u16, value: &[u8]) -> Result<(), Full> {
        self.u16(code)?;
        self.u16(value.len() as u16)?;
        self.bytes(value)
    }

    /// A record of any name.
    pub fn record_of(
        &mut self,
        section: Section,
        owner: &[u8],
        rtype: u16,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<(), Full> {
        self.whole(section, |w| {
            w.name(owner)?;
            w.fields(rtype, ttl, rdata)
        })
    }

    /// A CNAME record, and where its target stands.
    pub fn cname(&mut self, owner: Owner, ttl: u32, target: &[u8]) -> Result<Owner, Full> {
        self.record(Section::Answer, owner, rtype::CNAME, ttl, target)?;
        // Records point to the target itself rather than to a pointer.
        let compressed = |at: usize| self.buf[at] >= 0xc0;
        let size = self.find(target);
        let end = self.at;
        Ok(match size {
            Some(at) => Owner(at),
            None if end >= 2 && compressed(end - 2) => Owner(u16_at(self.buf, end - 2).unwrap_or(0) & 0x3fff),
            None => owner,
        })
    }

    fn whole(
        &mut self,
        section: Section,
        write: impl FnOnce(&mut Self) -> Result<(), Full>,
    ) -> Result<(), Full> {
        let (at, count) = (self.at, self.count);
        let written = write(self);
        match written {
            Ok(()) => self.records[section as usize] += 1,
            Err(Full) => (self.at, self.count) = (at, count),
        }
        written
    }

    fn fields(&mut self, rtype: u16, ttl: u32, rdata: &[u8]) -> Result<(), Full> {
        let mut fixed = [0; 10];
        fixed[..2].copy_from_slice(&rtype.to_be_bytes());
        fixed[2..4].copy_from_slice(&CLASS_IN.to_be_bytes());
        fixed[4..8].copy_from_slice(&ttl.to_be_bytes());
        fixed[8..].copy_from_slice(&(rdata.len() as u16).to_be_bytes());
        self.bytes(&fixed)?;
        let start = self.at;
        // Names of these types, and of no younger one, may be compressed (RFC 3597, 4).
        let fixed = match rtype {
            rtype::NS | rtype::CNAME | rtype::PTR | rtype::SOA => 0,
            rtype::MX => 2,
            _ => return self.bytes(rdata),
        };
        let names = if rtype == rtype::SOA { 2 } else { 1 };
        self.bytes(&rdata[..fixed])?;
        let mut rest = &rdata[fixed..];
        for _ in 0..names {
            let size = name::wire_len(rest).unwrap_or(rest.len().min(MAX_NAME));
            self.name(&rest[..size])?;
            rest = &rest[size..];
        }
        self.bytes(rest)?;
        let size = (self.at - start) as u16;
        self.buf[start - 2..start].copy_from_slice(&size.to_be_bytes());
        Ok(())
    }

    /// The OPT record; `write` gives its options.
    pub fn opt(
        &mut self,
        udp_size: u16,
        extended_rcode: u8,
        dnssec_ok: bool,
        write: impl FnOnce(&mut Self) -> Result<(), Full>,
    ) -> Result<(), Full> {
        self.whole(Section::Additional, |w| {
            w.bytes(name::ROOT)?;
            w.u16(rtype::OPT)?;
            w.u16(udp_size)?;
            w.bytes(&[extended_rcode, 0, if dnssec_ok { 0x80 } else { 0 }, 0, 0, 0])?;
            let start = w.at;
            write(w)?;
            let size = (w.at - start) as u16;
            w.buf[start - 2..start].copy_from_slice(&size.to_be_bytes());
            Ok(())
        })
    }

    /// What is written so far.
    pub fn written(&self) -> &[u8] {
        &self.buf[..self.at]
    }
}

/// The flags of an answer to a query with these: what is copied, and what every answer has.
pub fn answer_flags(query: u16, rcode: u16) -> u16 {
    flag::QR | query & (flag::OPCODE | flag::RD | flag::CD) | rcode & 0xf
}

#[cfg(test)]
mod tests {
    use super::*;

    const WWW: &[u8] = b"\x03www\x07example\x03com\0";

    fn question() -> Vec<u8> {
        [b"\x03WWW\x07eXample\x03com\0", &[0, 1, 0, 1][..]].concat()
    }

    #[test]
    fn names_are_compressed_against_the_question_and_each_other() {
        let mut buf = [0; 512];
        let mut writer = Writer::new(&mut buf, 512);
        writer.question(&question()).expect("room");
        let target = b"\x04edge\x07example\x03com\0";
        let owner = writer.cname(QUESTION, 60, target).expect("room");
        writer.record(Section::Answer, owner, rtype::A, 60, &[192, 0, 2, 1]).expect("room");
        writer.record_of(Section::Additional, target, rtype::A, 60, &[192, 0, 2, 2]).expect("room");
        let (target_at, len) = (12 + 21 + 12, writer.len());
        // The CNAME's owner points to the question, its target to the question's parent.
        let cname = [&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 7][..], b"\x04edge", &[0xc0, 16]].concat();
        assert_eq!(&writer.written()[33..33 + 19], &cname[..]);
        let a = [0xc0, target_at as u8, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2];
        assert_eq!(&writer.written()[52..67], &a);
        assert_eq!(&writer.written()[68..70], &[0xc0, target_at as u8]);
        let size = writer.finish(7, flag::QR, true);
        assert_eq!((size, &buf[..12]), (len, &[0, 7, 0x80, 0, 0, 1, 0, 2, 0, 0, 0, 1][..]));
    }

    #[test]
    fn what_does_not_fit_leaves_nothing_behind() {
        let mut buf = [0; 512];
        let mut writer = Writer::new(&mut buf, 60);
        writer.question(&question()).expect("room");
        let before = writer.len();
        let long = b"\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0";
        assert_eq!(writer.record(Section::Answer, QUESTION, rtype::NS, 1, long), Err(Full));
        assert_eq!((writer.len(), writer.count(Section::Answer)), (before, 0));
        writer.record(Section::Answer, QUESTION, rtype::A, 1, &[1; 4]).expect("room");
        // A name that was taken back is not pointed to.
        assert_eq!(writer.find(long), None);
        writer.truncate(before);
        assert_eq!((writer.len(), writer.count(Section::Answer)), (before, 0));
        assert!(writer.find(WWW).is_some());
    }
}
