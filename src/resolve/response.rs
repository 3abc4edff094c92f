//! What a response from upstream is, as far as it is passed on and kept: its code, and where its TTLs stand.

/// A response that answers our question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub rcode: u8,
    pub truncated: bool,
    /// Where each TTL stands.
    pub ttls: Vec<u16>,
    /// How long it holds, in seconds; `None` where it does not say (RFC 2308, 5: no SOA record with a negative answer).
    pub ttl_s: Option<u32>,
    /// Its length without the OPT record, and how many additional records are left.
    pub len: usize,
    pub additional: u16,
}

const HEADER: usize = 12;
const SOA: u16 = 6;
const OPT: u16 = 41;

pub(super) fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(word(bytes, at)?) << 16 | u32::from(word(bytes, at + 2)?))
}

pub(super) fn skip_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            size @ 1..=63 => at += usize::from(size) + 1,
            0xc0..=0xff => return (at + 2 <= bytes.len()).then_some(at + 2),
            _ => return None,
        }
    }
}

/// Looks at a response to a question (name, type and class) that was asked with this id. `None`: it is none, or cannot be
/// read to its end.
pub fn examine(response: &[u8], id: u16, question: &[u8]) -> Option<Shape> {
    let flags = word(response, 2)?;
    let asked = response.get(HEADER..HEADER + question.len())?;
    let is_ours = word(response, 0)? == id
        && flags & 0x8000 != 0
        && flags & 0x7800 == 0
        && word(response, 4)? == 1
        && asked.eq_ignore_ascii_case(question);
    if !is_ours {
        return None;
    }
    let rcode = (flags & 15) as u8;
    let counts = [word(response, 6)?, word(response, 8)?, word(response, 10)?];
    let mut shape = Shape {
        rcode,
        truncated: flags & 0x0200 != 0,
        ttls: Vec::new(),
        ttl_s: None,
        len: HEADER + question.len(),
        additional: counts[2],
    };
    let is_negative = rcode == 3 || rcode == 0 && counts[0] == 0;
    let mut opt_at = None;
    let mut at = shape.len;
    for (section, count) in counts.iter().enumerate() {
        for _ in 0..*count {
            let start = at;
            let fixed = skip_name(response, at)?;
            let (rtype, ttl) = (word(response, fixed)?, long(response, fixed + 4)?);
            let size = usize::from(word(response, fixed + 8)?);
            at = fixed + 10 + size;
            if at > response.len() || opt_at.is_some() {
                // Behind OPT nothing may follow that points beyond it; it is the last by custom.
                return None;
            }
            if rtype == OPT && section == 2 {
                opt_at = Some(start);
                continue;
            }
            shape.ttls.push(u16::try_from(fixed + 4).ok()?);
            let counts_here = if is_negative { section == 1 && rtype == SOA } else { section == 0 };
            if counts_here {
                let held = if is_negative { ttl.min(long(response, at.checked_sub(4)?)?) } else { ttl };
                let held = if held > i32::MAX as u32 { 0 } else { held };
                shape.ttl_s = Some(shape.ttl_s.map_or(held, |known| known.min(held)));
            }
        }
    }
    shape.len = opt_at.unwrap_or(at);
    shape.additional -= u16::from(opt_at.is_some());
    Some(shape)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub const QUESTION: &[u8] = b"\x03www\x07example\0\x00\x01\x00\x01";

    /// An answer with an address and this TTL, and OPT.
    pub fn positive(id: u16, ttl: u32) -> Vec<u8> {
        let mut out = [&id.to_be_bytes()[..], &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 1], QUESTION].concat();
        out.extend([0xc0, 12, 0, 1, 0, 1]);
        out.extend(ttl.to_be_bytes());
        out.extend([0, 4, 192, 0, 2, 1]);
        out.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        out
    }

    pub fn negative(id: u16, rcode: u8, ttl: u32, minimum: u32) -> Vec<u8> {
        let mut out =
            [&id.to_be_bytes()[..], &[0x81, 0x80 | rcode, 0, 1, 0, 0, 0, 1, 0, 0], QUESTION].concat();
        out.extend([0xc0, 16, 0, 6, 0, 1]);
        out.extend(ttl.to_be_bytes());
        out.extend([0, 22, 0, 0]);
        out.extend([0; 16]);
        out.extend(minimum.to_be_bytes());
        out
    }

    #[test]
    fn what_holds_how_long() {
        let answer = positive(7, 300);
        let shape = examine(&answer, 7, QUESTION).expect("an answer");
        let ttl_at = HEADER + QUESTION.len() + 6;
        assert_eq!((shape.ttl_s, shape.ttls, shape.rcode), (Some(300), vec![ttl_at as u16], 0));
        assert_eq!((shape.len, shape.additional), (answer.len() - 11, 0), "OPT is not kept");
        let shape = examine(&negative(7, 3, 600, 60), 7, QUESTION).expect("an answer");
        assert_eq!((shape.rcode, shape.ttl_s), (3, Some(60)), "the lower of the two (RFC 2308, 5)");
        assert_eq!(examine(&negative(7, 2, 600, 60), 7, QUESTION).expect("an answer").ttl_s, None);
    }

    #[test]
    fn what_is_no_answer_to_it() {
        let answer = positive(7, 300);
        assert!(examine(&answer, 8, QUESTION).is_none(), "another id");
        let other = b"\x03wwx\x07example\0\x00\x01\x00\x01";
        assert!(examine(&answer, 7, other).is_none());
        for size in 0..answer.len() {
            assert!(examine(&answer[..size], 7, QUESTION).is_none(), "cut at {size}");
        }
        let mut query = answer.clone();
        query[2] = 1;
        assert!(examine(&query, 7, QUESTION).is_none());
    }
}
