//! SipHash-2-4 (Aumasson and Bernstein): the hash of server cookies (RFC 9018, 4.4).

/// The hash of `bytes` under a key of 128 bits.
pub fn siphash24(key: &[u8; 16], bytes: &[u8]) -> u64 {
    let half = |at: usize| key[at..at + 8].iter().rev().fold(0u64, |sum, octet| sum << 8 | u64::from(*octet));
    let (k0, k1) = (half(0), half(8));
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        take(&mut v, word.iter().rev().fold(0, |sum, octet| sum << 8 | u64::from(*octet)));
    }
    let rest = words.remainder().iter().rev().fold(0, |sum, octet| sum << 8 | u64::from(*octet));
    take(&mut v, (bytes.len() as u64) << 56 | rest);
    v[2] ^= 0xff;
    (0..4).for_each(|_| round(&mut v));
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn take(v: &mut [u64; 4], word: u64) {
    v[3] ^= word;
    round(v);
    round(v);
    v[0] ^= word;
}

fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[2] = v[2].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[1]);
    v[0] = v[0].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the appendix of the paper.
    #[test]
    fn the_vector_of_the_paper() {
        let key: [u8; 16] = std::array::from_fn(|i| i as u8);
        let bytes: Vec<u8> = (0..15).collect();
        assert_eq!(siphash24(&key, &bytes), 0xa129_ca61_49be_45e5);
    }
}
