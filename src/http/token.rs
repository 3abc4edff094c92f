//! Character classes of HTTP/1 and the scans over them: the only loops that look at every byte of a head.

/// `tchar` of RFC 9110 section 5.6.2.
pub static TOKEN: [bool; 256] =
    class(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

const fn class(members: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut i = 0;
    while i < members.len() {
        table[members[i] as usize] = true;
        i += 1;
    }
    table
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

pub const fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// A control character that has no place in a field value or a reason phrase (RFC 9110 section 5.5).
pub const fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

/// Position of the first byte from `at` on that is no `tchar`; the length of `bytes` if there is none.
#[inline]
pub fn token_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = word_at(bytes, at) {
        let odd = neither_letter_nor_hyphen(word);
        if odd == 0 {
            at += 8;
            continue;
        }
        at += odd.trailing_zeros() as usize / 8;
        if !TOKEN[bytes[at] as usize] {
            return at;
        }
        at += 1;
    }
    while at < bytes.len() && TOKEN[bytes[at] as usize] {
        at += 1;
    }
    at
}

/// The top bit of each byte that is neither a letter nor a hyphen: of what names are mostly made of.
#[inline]
fn neither_letter_nor_hyphen(word: u64) -> u64 {
    // Of seven bits each, so that no sum reaches the next byte.
    let low = word & !HIGH;
    let letter = low | (0x20 * ONES);
    let is_letter = (letter + (0x80 - u64::from(b'a')) * ONES) & !(letter + (0x7f - u64::from(b'z')) * ONES);
    let is_no_hyphen = (low ^ (u64::from(b'-') * ONES)) + !HIGH;
    !((is_letter | !is_no_hyphen) & !word) & HIGH
}

/// A word with its upper-case letters in lower case.
#[inline]
fn lower_case(word: u64) -> u64 {
    let low = word & !HIGH;
    let is_upper =
        (low + (0x80 - u64::from(b'A')) * ONES) & !(low + (0x7f - u64::from(b'Z')) * ONES) & !word & HIGH;
    word | (is_upper >> 2)
}

/// As `eq_ignore_ascii_case`, word by word: names are compared all the time.
#[inline]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let Some(last) = a.len().checked_sub(8) else { return a.eq_ignore_ascii_case(b) };
    let differ = |at: usize| match (word_at(a, at), word_at(b, at)) {
        (Some(a), Some(b)) => lower_case(a) != lower_case(b),
        _ => true,
    };
    // The last word may overlap the one before it.
    !differ(last) && !(0..last).step_by(8).any(differ)
}

/// Position of the first such byte, or the length of `bytes`. For what is mostly short.
#[inline]
pub fn byte_at(bytes: &[u8], wanted: u8) -> usize {
    let mut at = 0;
    while let Some(word) = word_at(bytes, at) {
        let other = word ^ (u64::from(wanted) * ONES);
        let found = other.wrapping_sub(ONES) & !other & HIGH;
        if found != 0 {
            // A borrow can only spoil bytes behind the first true hit, so the lowest bit is exact.
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while at < bytes.len() && bytes[at] != wanted {
        at += 1;
    }
    at
}

/// Position of the first comma or quote from `at` on, or the length of `bytes`.
#[inline]
pub fn list_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = word_at(bytes, at) {
        let comma = word ^ (u64::from(b',') * ONES);
        let quote = word ^ (u64::from(b'"') * ONES);
        let found = ((comma.wrapping_sub(ONES) & !comma) | (quote.wrapping_sub(ONES) & !quote)) & HIGH;
        if found != 0 {
            // A borrow can only spoil bytes behind the first true hit, so the lowest bit is exact.
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while at < bytes.len() && !matches!(bytes[at], b',' | b'"') {
        at += 1;
    }
    at
}

/// Position of the first control character other than a tab from `at` on, or the length of `bytes`.
#[inline]
pub fn value_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = word_at(bytes, at) {
        let below_space = word.wrapping_sub(0x20 * ONES) & !word;
        let delete = word ^ (0x7f * ONES);
        let found = (below_space | (delete.wrapping_sub(ONES) & !delete)) & HIGH;
        if found == 0 {
            at += 8;
            continue;
        }
        // A borrow can only spoil bytes behind the first true hit, so the lowest bit is exact.
        at += found.trailing_zeros() as usize / 8;
        if bytes[at] != b'\t' {
            return at;
        }
        at += 1;
    }
    while at < bytes.len() && !is_control(bytes[at]) {
        at += 1;
    }
    at
}

/// Position of the first byte from `at` on outside `!`..`~`, or a `#`: where a request target ends or is wrong.
#[inline]
pub fn target_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = word_at(bytes, at) {
        let below = word.wrapping_sub(0x21 * ONES) & !word;
        let hash = word ^ (u64::from(b'#') * ONES);
        let delete = word ^ (0x7f * ONES);
        let found =
            (below | word | (hash.wrapping_sub(ONES) & !hash) | (delete.wrapping_sub(ONES) & !delete)) & HIGH;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while at < bytes.len() && matches!(bytes[at], b'!'..=b'~') && bytes[at] != b'#' {
        at += 1;
    }
    at
}

#[inline]
fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    let eight = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(eight.try_into().ok()?))
}

/// Whether `name`, a token, is `known` in whatever case, word by word. `known` has letters in lower case and hyphens.
#[inline(always)]
pub fn is_name<const N: usize>(name: &[u8], known: &[u8; N]) -> bool {
    let Ok(name) = <&[u8; N]>::try_from(name) else { return false };
    // Of all bytes of a token only an upper-case letter becomes a lower-case one, and only a hyphen stays a hyphen.
    let eight = |at: usize| match (word_at(name, at), word_at(known, at)) {
        (Some(a), Some(b)) => (a | (0x20 * ONES)) ^ b,
        _ => 1,
    };
    let two = |at: usize| {
        u16::from_le_bytes([name[at] | 0x20, name[at + 1] | 0x20])
            ^ u16::from_le_bytes([known[at], known[at + 1]])
    };
    if N < 8 {
        let mut differing = two(N - 2);
        for at in (0..N - 2).step_by(2) {
            differing |= two(at);
        }
        return differing == 0;
    }
    let mut differing = eight(N - 8);
    for at in (0..N - 8).step_by(8) {
        differing |= eight(at);
    }
    differing == 0
}

/// `bytes` without spaces and tabs at its ends (the `OWS` of RFC 9110 section 5.6.3).
pub fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_blank(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_blank(*last)
    {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte value at every place of a word, against the definition.
    #[test]
    fn scans_stop_where_the_definition_says() {
        for byte in 0..=255u8 {
            for place in 0..20 {
                let mut bytes = [b'a'; 20];
                bytes[place] = byte;
                let value = bytes.iter().position(|b| is_control(*b)).unwrap_or(20);
                assert_eq!(value_end(&bytes, 0), value, "value, {byte:#x} at {place}");
                let target =
                    bytes.iter().position(|b| !(0x21..=0x7e).contains(b) || *b == b'#').unwrap_or(20);
                assert_eq!(target_end(&bytes, 0), target, "target, {byte:#x} at {place}");
            }
        }
    }

    #[test]
    fn tokens_and_lists_end_where_the_definition_says() {
        for byte in 0..=255u8 {
            for place in 0..20 {
                for filler in [b'a', b'Z', b'-', b'7', b'^'] {
                    let mut bytes = [filler; 20];
                    bytes[place] = byte;
                    let end = bytes.iter().position(|b| !TOKEN[usize::from(*b)]).unwrap_or(20);
                    assert_eq!(token_end(&bytes, 0), end, "token, {byte:#x} at {place}");
                    let end = bytes.iter().position(|b| matches!(b, b',' | b'"')).unwrap_or(20);
                    assert_eq!(list_end(&bytes, 0), end, "list, {byte:#x} at {place}");
                    let first = bytes.iter().position(|b| *b == byte).unwrap_or(20);
                    assert_eq!(byte_at(&bytes, byte), first, "{byte:#x} at {place}");
                    assert_eq!(byte_at(&bytes, b'!'), if byte == b'!' { place } else { 20 });
                }
            }
        }
    }

    #[test]
    fn texts_are_the_same_as_their_bytes_are() {
        for byte in 0..=255u8 {
            for other in [byte, byte ^ 0x20, byte.wrapping_add(1), byte ^ 0x80] {
                for len in [1, 7, 8, 9, 16, 19] {
                    for place in [0, len / 2, len - 1] {
                        let (mut a, mut b) = (vec![b'x'; len], vec![b'X'; len]);
                        (a[place], b[place]) = (byte, other);
                        assert_eq!(
                            same(&a, &b),
                            a.eq_ignore_ascii_case(&b),
                            "{byte:#x} {other:#x} at {place} of {len}"
                        );
                    }
                }
            }
        }
        assert!(!same(b"abcdefgh", b"abcdefghi") && same(b"", b""));
    }

    #[test]
    fn a_hit_behind_a_false_one_is_exact() {
        assert_eq!(value_end(b"\t\t\t!\t \x7f\n12345678", 0), 6);
        assert_eq!(target_end(b"ab\"$#\x80\x7f\x01", 0), 4);
    }

    #[test]
    fn names_are_told_apart_byte_by_byte() {
        fn check<const N: usize>(known: &[u8; N]) {
            assert!(is_name(known, known) && is_name(&known.to_ascii_uppercase(), known));
            assert!(!is_name(&known[1..], known) && !is_name(&[&known[..], b"x"].concat(), known));
            for place in 0..N {
                for byte in (0..=255u8).filter(|b| TOKEN[usize::from(*b)]) {
                    let mut name = *known;
                    name[place] = byte;
                    assert_eq!(
                        is_name(&name, known),
                        name.eq_ignore_ascii_case(known),
                        "{byte:#x} at {place}"
                    );
                }
            }
        }
        check(b"te");
        check(b"host");
        check(b"expect");
        check(b"upgrade");
        check(b"connection");
        check(b"content-length");
        check(b"proxy-connection");
        check(b"transfer-encoding");
    }

    #[test]
    fn trims_both_ends() {
        assert_eq!(trim(b" \t a b\t "), b"a b");
        assert_eq!(trim(b" \t"), b"");
    }
}
