//! Integers with a prefix (RFC 7541 section 5.1).

/// No integer of a header block has a reason to be larger: the limit is far above every table and every block.
const LARGEST: u32 = 1 << 28;
/// Octets behind the prefix that such an integer needs.
const MOST_OCTETS: usize = 5;

/// The integer whose prefix of `bits` bits is in the octet at `at`, which moves behind it. `None`: it is not whole, too
/// large, or longer than it need be.
#[inline]
pub(super) fn read(bytes: &[u8], at: &mut usize, bits: u32) -> Option<usize> {
    let mask = (1u32 << bits) - 1;
    let mut value = u32::from(*bytes.get(*at)?) & mask;
    *at += 1;
    if value < mask {
        return Some(value as usize);
    }
    for n in 0..MOST_OCTETS {
        let octet = *bytes.get(*at)?;
        *at += 1;
        let part = u64::from(octet & 0x7f) << (7 * n);
        value = u32::try_from(u64::from(value) + part).ok().filter(|v| *v <= LARGEST)?;
        if octet & 0x80 == 0 {
            return Some(value as usize);
        }
    }
    None
}

/// Appends the integer behind a prefix of `bits` bits; `high` are the bits before the prefix.
#[inline]
pub fn write(value: usize, bits: u32, high: u8, out: &mut Vec<u8>) {
    let mask = (1usize << bits) - 1;
    if value < mask {
        return out.push(high | value as u8);
    }
    out.push(high | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
