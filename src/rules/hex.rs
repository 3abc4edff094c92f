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
