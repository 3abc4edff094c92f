//! The Internet checksum (RFC 1071), with and without the pseudo header of RFC 2460 section 8.1.

use std::net::IpAddr;

/// A sum of 16-bit words that is folded at the end.
#[derive(Clone, Copy, Default)]
pub(super) struct Sum(u32);

impl Sum {
    /// Adds bytes as words of network order; an odd last byte is the high half of a word.
    pub(super) fn add(self, bytes: &[u8]) -> Sum {
        let mut sum = self.0;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        Sum(sum)
    }

    /// Adds the pseudo header of a message of `len` bytes.
    pub(super) fn pseudo(self, source: IpAddr, destination: IpAddr, protocol: u8, len: usize) -> Sum {
        let sum = match (source, destination) {
            (IpAddr::V4(from), IpAddr::V4(to)) => self.add(&from.octets()).add(&to.octets()),
            (IpAddr::V6(from), IpAddr::V6(to)) => self.add(&from.octets()).add(&to.octets()),
            // No such packet exists.
            _ => self,
        };
        // Neither number has more than 16 bits in the messages of this room.
        sum.add(&[0, protocol]).add(&(len as u16).to_be_bytes())
    }

    /// The field's value; 0 when the field was among what was added and is right.
    pub(super) fn fold(self) -> u16 {
        !((self.0 & 0xffff) + (self.0 >> 16)) as u16
    }
}
