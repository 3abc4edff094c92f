//! Strings in the Huffman code (RFC 7541 section 5.2).

use super::code::{CODE, EOS, LONGEST};

/// Appends what the octets stand for. False: they hold the end-of-string symbol, or padding that is longer than seven
/// bits or not all ones.
pub(super) fn decode(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    out.reserve(bytes.len() * 2);
    // The bits to come, from the left; how many there are.
    let (mut window, mut have) = (0u64, 0u32);
    let mut rest = bytes.iter();
    loop {
        while have <= 56
            && let Some(byte) = rest.next()
        {
            window |= u64::from(*byte) << (56 - have);
            have += 8;
        }
        let (symbol, bits) = CODE.short[(window >> 56) as usize];
        let bits = u32::from(bits);
        if bits != 0 && bits <= have {
            out.push(symbol);
            (window, have) = (window << bits, have - bits);
            continue;
        }
        if have < 8 {
            // Nothing is left to read: these are the most significant bits of the end-of-string symbol.
            return have == 0 || (!window) >> (64 - have) == 0;
        }
        match long(window) {
            Some((symbol, bits)) if bits <= have => {
                out.push(symbol);
                (window, have) = (window << bits, have - bits);
            }
            _ => return false,
        }
    }
}

/// A code of more than eight bits: its octet and its bits.
fn long(window: u64) -> Option<(u8, u32)> {
    let next = window >> 32;
    let bits = (9..=LONGEST).find(|bits| next < CODE.limit[*bits])?;
    let place = (next >> (32 - bits)) as usize - CODE.first[bits] as usize;
    let symbol = *CODE.symbols.get(usize::from(CODE.offset[bits]) + place)?;
    (symbol != EOS).then_some((symbol as u8, bits as u32))
}

/// Octets of the string in the code.
pub(super) fn encoded_len(bytes: &[u8]) -> usize {
    let bits: usize = bytes.iter().map(|b| usize::from(CODE.encode[usize::from(*b)].1)).sum();
    bits.div_ceil(8)
}

/// Appends the string in the code.
pub(super) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    let (mut window, mut have) = (0u64, 0u32);
    for byte in bytes {
        let (code, bits) = CODE.encode[usize::from(*byte)];
        window = window << bits | u64::from(code);
        have += u32::from(bits);
        while have >= 8 {
            have -= 8;
            out.push((window >> have) as u8);
        }
    }
    if have > 0 {
        let padding = 8 - have;
        out.push((window << padding) as u8 | ((1u16 << padding) - 1) as u8);
    }
}
