//! Hexadecimal text.

/// The value of a hexadecimal digit (0 for any other byte).
pub fn hex(digit: u8) -> u8 {
    (digit as char).to_digit(16).unwrap_or(0) as u8
}

/// The bytes written as pairs of hexadecimal digits.
pub fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    Some(text.as_chunks::<2>().0.iter().map(|[a, b]| hex(*a) << 4 | hex(*b)).collect())
}

/// Bytes as pairs of digits, in lower case.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|half| char::from_digit(u32::from(half), 16).unwrap_or('0'))
        .collect()
}
