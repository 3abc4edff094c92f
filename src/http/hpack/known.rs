//! The static table (RFC 7541 appendix A).

/// Entries of the static table; what follows them is dynamic.
pub(super) const COUNT: usize = 61;

#[rustfmt::skip]
pub(super) static ENTRIES: [(&[u8], &[u8]); COUNT] = [
    (b":authority", b""), (b":method", b"GET"), (b":method", b"POST"), (b":path", b"/"), (b":path", b"/index.html"),
    (b":scheme", b"http"), (b":scheme", b"https"), (b":status", b"200"), (b":status", b"204"), (b":status", b"206"),
    (b":status", b"304"), (b":status", b"400"), (b":status", b"404"), (b":status", b"500"), (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"), (b"accept-language", b""), (b"accept-ranges", b""), (b"accept", b""),
    (b"access-control-allow-origin", b""), (b"age", b""), (b"allow", b""), (b"authorization", b""),
    (b"cache-control", b""), (b"content-disposition", b""), (b"content-encoding", b""), (b"content-language", b""),
    (b"content-length", b""), (b"content-location", b""), (b"content-range", b""), (b"content-type", b""),
    (b"cookie", b""), (b"date", b""), (b"etag", b""), (b"expect", b""), (b"expires", b""), (b"from", b""),
    (b"host", b""), (b"if-match", b""), (b"if-modified-since", b""), (b"if-none-match", b""), (b"if-range", b""),
    (b"if-unmodified-since", b""), (b"last-modified", b""), (b"link", b""), (b"location", b""),
    (b"max-forwards", b""), (b"proxy-authenticate", b""), (b"proxy-authorization", b""), (b"range", b""),
    (b"referer", b""), (b"refresh", b""), (b"retry-after", b""), (b"server", b""), (b"set-cookie", b""),
    (b"strict-transport-security", b""), (b"transfer-encoding", b""), (b"user-agent", b""), (b"vary", b""),
    (b"via", b""), (b"www-authenticate", b""),
];

/// Length of the longest name.
const LONGEST: usize = 27;

/// Places in [`ENTRIES`] of the first entry of each name, ordered by the length of the name, and where in that order
/// each length begins.
struct ByLength {
    places: [u8; COUNT],
    start: [u8; LONGEST + 2],
}

static BY_LENGTH: ByLength = by_length();

const fn by_length() -> ByLength {
    let mut by = ByLength { places: [0; COUNT], start: [0; LONGEST + 2] };
    let (mut placed, mut length) = (0, 0);
    while length <= LONGEST {
        by.start[length] = placed as u8;
        let mut at = 0;
        while at < COUNT {
            if ENTRIES[at].0.len() == length && (at == 0 || !same(ENTRIES[at - 1].0, ENTRIES[at].0)) {
                by.places[placed] = at as u8;
                placed += 1;
            }
            at += 1;
        }
        length += 1;
    }
    by.start[LONGEST + 1] = placed as u8;
    by
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The index of the first entry with this name, in whatever case; 0 is none.
#[inline]
pub fn name(name: &[u8]) -> usize {
    if name.len() > LONGEST {
        return 0;
    }
    let (from, to) = (BY_LENGTH.start[name.len()], BY_LENGTH.start[name.len() + 1]);
    let places = &BY_LENGTH.places[usize::from(from)..usize::from(to)];
    places
        .iter()
        .find(|at| ENTRIES[usize::from(**at)].0.eq_ignore_ascii_case(name))
        .map_or(0, |at| usize::from(*at) + 1)
}

/// The index of the entry with the name of the entry `first` and this value; 0 is none.
#[inline]
pub(super) fn pair(first: usize, value: &[u8]) -> usize {
    let Some((name, _)) = first.checked_sub(1).and_then(|at| ENTRIES.get(at)) else { return 0 };
    let mut at = first - 1;
    while let Some((n, v)) = ENTRIES.get(at).filter(|(n, _)| n == name) {
        debug_assert_eq!(n, name);
        if !v.is_empty() && *v == value {
            return at + 1;
        }
        at += 1;
    }
    0
}
