//! The hash of keys and values of long lists.

/// ASCII letters in lower case, eight bytes at once.
fn lower(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let low = word & (0x7f * ONES);
    let from_a = low + (0x80 - u64::from(b'A')) * ONES;
    let behind_z = low + (0x7f - u64::from(b'Z')) * ONES;
    let is_upper = from_a & !behind_z & !word & (0x80 * ONES);
    word | is_upper >> 2
}

fn mix(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    wide as u64 ^ (wide >> 64) as u64
}

/// Of a text without its case. Whoever fills a base is trusted, so it needs no secret.
pub fn hash(text: &[u8]) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = STEP ^ text.len() as u64;
    let (words, rest) = text.as_chunks::<8>();
    for word in words {
        state = mix(state ^ lower(u64::from_le_bytes(*word)), STEP).wrapping_add(STEP);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(state ^ lower(u64::from_le_bytes(last)), 0xd6e8_feb8_6659_fd93)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_letters_at_once() {
        for byte in 0..=255u8 {
            let word = u64::from_le_bytes([byte; 8]);
            assert_eq!(lower(word), u64::from_le_bytes([byte.to_ascii_lowercase(); 8]), "{byte}");
        }
        assert_eq!(hash(b"Www.Example.COM"), hash(b"www.example.com"));
        assert_ne!(hash(b"a"), hash(b"a\0"));
    }
}
