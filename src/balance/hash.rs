//! The hash functions of `hash-type`: keys must land on the same server as with HAProxy.

use super::spec::{HashFunction, HashType};

/// `sdbm`: the function of the sdbm database library.
pub fn sdbm(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0u32, |h, &b| u32::from(b).wrapping_add(h << 6).wrapping_add(h << 16).wrapping_sub(h))
}

/// `djb2`: Dan Bernstein's times-33 hash.
pub fn djb2(bytes: &[u8]) -> u32 {
    bytes.iter().fold(5381u32, |h, &b| h.wrapping_mul(33).wrapping_add(u32::from(b)))
}

/// `wt6`: two words rotated by amounts that depend on the data.
pub fn wt6(bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (0xa53c_965au32, 0x5ca6_953au32);
    let (mut turn_low, mut turn_high) = (6u32, 18u32);
    for &b in bytes {
        let first = !(low ^ u32::from(b));
        let second = !(high.wrapping_add(u32::from(b)));
        low = second.rotate_left(turn_low);
        high = first.rotate_left(turn_high);
        let mix = ((low >> 16) ^ high) & 0xffff;
        turn_low = mix & 0x1f;
        turn_high = mix >> 11;
    }
    low ^ high
}

/// `none`: the key is a decimal number and is its own hash, cut to 32 bits.
fn number(bytes: &[u8]) -> u32 {
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, bytes),
    };
    let value = digits
        .iter()
        .take_while(|b| b.is_ascii_digit())
        .fold(0i64, |n, b| n.saturating_mul(10).saturating_add(i64::from(b - b'0')));
    (if negative { -value } else { value }) as u32
}

/// `avalanche`: Bob Jenkins' full avalanche of four bytes, spread over the ring by a large prime.
pub fn avalanche(word: u32) -> u32 {
    let mut a = word;
    a = a.wrapping_add(0x7ed5_5d16).wrapping_add(a << 12);
    a = a ^ 0xc761_c23c ^ (a >> 19);
    a = a.wrapping_add(0x1656_67b1).wrapping_add(a << 5);
    a = a.wrapping_add(0xd3a2_646c) ^ (a << 9);
    a = a.wrapping_add(0xfd70_46c5).wrapping_add(a << 3);
    a = a ^ 0xb55a_4f09 ^ (a >> 16);
    a.wrapping_mul(3_221_225_473)
}

/// The hash of a key as `hash-type` says.
pub fn hash(kind: HashType, bytes: &[u8]) -> u32 {
    let word = match kind.function {
        HashFunction::Sdbm => sdbm(bytes),
        HashFunction::Djb2 => djb2(bytes),
        HashFunction::Wt6 => wt6(bytes),
        HashFunction::Crc32 => crc32fast::hash(bytes),
        HashFunction::None => number(bytes),
    };
    if kind.avalanche { avalanche(word) } else { word }
}

/// The hash of a client's address (4 or 16 bytes in network order). `source` never uses the hash function,
/// only the modifier.
pub fn source(kind: HashType, address: &[u8]) -> u32 {
    let word = address.as_chunks::<4>().0.iter().fold(0u32, |h, w| h ^ u32::from_be_bytes(*w));
    if kind.avalanche { avalanche(word) } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(djb2(b""), 5381);
        assert_eq!(djb2(b"a"), 5381 * 33 + 97);
        assert_eq!(sdbm(b"ab"), 97u32.wrapping_mul(65599).wrapping_add(98));
        assert_eq!(number(b"42abc"), 42);
        assert_eq!(number(b"-1"), u32::MAX);
        assert_eq!(number(b"x"), 0);
    }

    #[test]
    fn a_source_address_is_folded_by_words() {
        let plain = HashType::default();
        assert_eq!(source(plain, &[10, 0, 0, 1]), 0x0a00_0001);
        let mut v6 = [0u8; 16];
        (v6[3], v6[15]) = (1, 2);
        assert_eq!(source(plain, &v6), 3);
    }
}
