//! The non-cryptographic hashes that converters and `base32` use; their values are HAProxy's.

/// SDBM continued from `hash`.
pub fn sdbm_from(hash: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(hash, |h, c| u32::from(*c).wrapping_add(h << 6).wrapping_add(h << 16).wrapping_sub(h))
}

pub fn djb2(bytes: &[u8]) -> u32 {
    bytes.iter().fold(5381u32, |h, c| (h << 5).wrapping_add(h).wrapping_add(u32::from(*c)))
}

/// Weighted hash that HAProxy calls `wt6`.
pub fn wt6(bytes: &[u8]) -> u32 {
    let mut h0 = 0xa53c_965a_u32;
    let mut h1 = 0x5ca6_953a_u32;
    let (mut step0, mut step1) = (6u32, 18u32);
    for c in bytes {
        let t = u32::from(*c);
        h0 = !(h0 ^ t);
        h1 = !h1.wrapping_add(t);
        let turned = h1.rotate_left(step0);
        h1 = h0.rotate_left(step1);
        h0 = turned;
        let t = ((h0 >> 16) ^ h1) & 0xffff;
        step0 = t & 0x1f;
        step1 = t >> 11;
    }
    h0 ^ h1
}

/// The avalanche that spreads a weak hash over 32 bits (Bob Jenkins', and a large factor, as HAProxy applies it).
pub fn full_hash(a: u32) -> u32 {
    let mut a = a.wrapping_add(0x7ed5_5d16).wrapping_add(a << 12);
    a = (a ^ 0xc761_c23c) ^ (a >> 19);
    a = a.wrapping_add(0x1656_67b1).wrapping_add(a << 5);
    a = a.wrapping_add(0xd3a2_646c) ^ (a << 9);
    a = a.wrapping_add(0xfd70_46c5).wrapping_add(a << 3);
    a = (a ^ 0xb55a_4f09) ^ (a >> 16);
    a.wrapping_mul(3_221_225_473)
}

/// CRC-32C (Castagnoli), bit by bit: short keys only.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for c in bytes {
        crc ^= u32::from(*c);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(djb2(b"a"), 177_670);
        assert_eq!(sdbm_from(0, b"a"), 97);
        assert_eq!(sdbm_from(0, b"ab"), 97 * 65_599 + 98);
    }
}
