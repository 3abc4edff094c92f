//! Fields of a head as bytes (`req.hdrs_bin`, `add-headers-bin`): names and values behind their lengths, which are written
//! as SPOE writes numbers.

/// Appends a number: below 240 in one byte, else four bits of it there and seven in each that follows.
fn push_number(mut value: usize, out: &mut Vec<u8>) {
    if value < 240 {
        out.push(value as u8);
        return;
    }
    out.push(value as u8 | 0xf0);
    value = (value - 240) >> 4;
    while value >= 128 {
        out.push(value as u8 | 0x80);
        value = (value - 128) >> 7;
    }
    out.push(value as u8);
}

fn number(data: &[u8]) -> Option<(usize, &[u8])> {
    let (first, mut rest) = data.split_first()?;
    let mut value = usize::from(*first);
    let mut shift = 4;
    if *first < 240 {
        return Some((value, rest));
    }
    loop {
        let (next, after) = rest.split_first()?;
        value = value.checked_add(usize::from(*next).checked_shl(shift)?)?;
        rest = after;
        if *next < 128 {
            return Some((value, rest));
        }
        shift += 7;
        if shift > 25 {
            return None;
        }
    }
}

/// Appends bytes behind their length.
pub fn push(bytes: &[u8], out: &mut Vec<u8>) {
    push_number(bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Cuts bytes with their length before them.
pub fn cut(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = number(data)?;
    rest.split_at_checked(len)
}

/// Names and values up to the empty pair that ends them; `None` where they are cut short.
pub fn pairs(mut data: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut all = Vec::new();
    loop {
        let (name, rest) = cut(data)?;
        let (value, rest) = cut(rest)?;
        if name.is_empty() {
            return value.is_empty().then_some(all);
        }
        all.push((name, value));
        data = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_and_come() {
        for (value, bytes) in [
            (0, &[0][..]),
            (239, &[239]),
            (240, &[0xf0, 0]),
            (2287, &[0xff, 127]),
            (2288, &[0xf0, 0x80, 0]),
            (264_431, &[0xff, 0xff, 0x7f]),
        ] {
            let mut out = Vec::new();
            push_number(value, &mut out);
            assert_eq!(out, bytes, "{value}");
            assert_eq!(number(&out), Some((value, &[][..])));
        }
        assert_eq!(number(&[0xff; 9]), None);
        assert_eq!(number(&[0xf0]), None);
    }

    #[test]
    fn pairs_end_with_an_empty_one() {
        assert_eq!(pairs(b"\x01a\x02bc\0\0rest"), Some(vec![(&b"a"[..], &b"bc"[..])]));
        assert_eq!(pairs(b"\x01a\x02bc"), None);
        assert_eq!(pairs(b"\0\x01x"), None);
    }
}
