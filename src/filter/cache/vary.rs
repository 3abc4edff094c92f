//! `Vary`: which of the responses to one URL fits a request.

use crate::filter::compression::weighed;
use crate::http::Head;

/// Codings by number; the last one stands for all others.
const CODINGS: [&[u8]; 13] = [
    b"identity",
    b"gzip",
    b"x-gzip",
    b"deflate",
    b"compress",
    b"x-compress",
    b"br",
    b"zstd",
    b"exi",
    b"pack200-gzip",
    b"aes128gcm",
    b"dcb",
    b"dcz",
];
const IDENTITY: u32 = 1;
const OTHER: u32 = 1 << CODINGS.len();
const ALL: u32 = (OTHER << 1) - 1;
/// Most elements of `Accept-Encoding` that are looked at.
const MOST: usize = 16;

/// The fields that a response varies with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Varies {
    pub accept_encoding: bool,
    pub referer: bool,
}

impl Varies {
    /// As the response says; `None`: with a field that nobody here looks at.
    pub fn of(res: &Head) -> Option<Varies> {
        let mut varies = Varies::default();
        for name in res.list_values(b"vary").filter(|name| !name.is_empty()) {
            match name {
                _ if name.eq_ignore_ascii_case(b"accept-encoding") => varies.accept_encoding = true,
                _ if name.eq_ignore_ascii_case(b"referer") => varies.referer = true,
                _ => return None,
            }
        }
        Some(varies)
    }

    pub fn any(self) -> bool {
        self.accept_encoding || self.referer
    }
}

/// What a request says of those fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Codings that it accepts; `None`: too many to look at.
    codings: Option<u32>,
    referer: u64,
}

impl Asked {
    pub fn of(req: &Head) -> Asked {
        let referer = req.field(b"referer").map_or(0, |value| xxhash_rust::xxh3::xxh3_64(value) | 1);
        Asked { codings: accepted(req), referer }
    }
}

/// Which requests a stored response is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Secondary {
    pub varies: Varies,
    /// The codings of its body.
    pub codings: u32,
    pub referer: u64,
}

impl Secondary {
    /// Of a response to this request. `None`: nobody can tell, or the request does not accept it itself.
    pub fn of(res: &Head, asked: Asked) -> Option<Secondary> {
        let varies = Varies::of(res)?;
        let mut secondary = Secondary { varies, ..Secondary::default() };
        if varies.accept_encoding {
            secondary.codings = made(res)?;
        }
        if varies.referer {
            secondary.referer = asked.referer;
        }
        secondary.fits(asked).then_some(secondary)
    }

    pub fn fits(&self, asked: Asked) -> bool {
        let accepts = || asked.codings.is_some_and(|codings| codings & self.codings == self.codings);
        (!self.varies.accept_encoding || accepts()) && (!self.varies.referer || self.referer == asked.referer)
    }

    /// As `show cache` shows it.
    pub fn shown(&self) -> u64 {
        (u64::from(self.codings) << 48) | (self.referer & 0xffff_ffff)
    }
}

fn coding(name: &[u8]) -> u32 {
    let at = CODINGS.iter().position(|coding| coding.eq_ignore_ascii_case(name));
    at.map_or(OTHER, |at| 1 << at)
}

/// The codings of a response's body; `None`: one of them is not known.
fn made(res: &Head) -> Option<u32> {
    let mut codings = 0;
    for name in res.list_values(b"content-encoding").filter(|name| !name.is_empty()) {
        match coding(name) {
            OTHER => return None,
            bit => codings |= bit,
        }
    }
    Some(if codings == 0 { IDENTITY } else { codings })
}

/// The codings that a request accepts. Without the field that is all of them; not to encode is accepted unless said
/// otherwise.
fn accepted(req: &Head) -> Option<u32> {
    if req.field(b"accept-encoding").is_none() {
        return Some(ALL);
    }
    let (mut named, mut accepted, mut others) = (0, 0, None);
    for (at, element) in req.list_values(b"accept-encoding").enumerate() {
        if at >= MOST {
            return None;
        }
        let (name, weight) = weighed(element);
        match name {
            b"" => {}
            b"*" => others = Some(weight > 0),
            _ => {
                let bit = coding(name);
                named |= bit;
                accepted |= if weight > 0 { bit } else { 0 };
            }
        }
    }
    let rest = match others {
        Some(true) => ALL,
        Some(false) => 0,
        None => IDENTITY,
    };
    Some(accepted | (rest & !named))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&str, &str)]) -> Head {
        let mut head = Head::default();
        fields.iter().for_each(|(name, value)| head.add(name.as_bytes(), value.as_bytes()));
        head
    }

    fn fits(made: &str, asked_first: &str, asked_then: &str) -> Option<bool> {
        let ask = |value: &str| match value {
            "-" => Asked::of(&head(&[])),
            _ => Asked::of(&head(&[("Accept-Encoding", value)])),
        };
        let mut res = head(&[("Vary", "accept-encoding")]);
        if !made.is_empty() {
            res.add(b"content-encoding", made.as_bytes());
        }
        Secondary::of(&res, ask(asked_first)).map(|s| s.fits(ask(asked_then)))
    }

    #[test]
    fn codings_are_weighed() {
        for (made, first, then, expected) in [
            ("gzip", "first", "first", None),
            ("gzip", "gzip", "GZIP", Some(true)),
            ("gzip", "gzip", "deflate, gzip ; q=0.8", Some(true)),
            ("gzip", "gzip", "deflate;q=0.8, gzip;q=0", Some(false)),
            ("gzip", "gzip", "-", Some(true)),
            ("gzip", "gzip", "", Some(false)),
            ("", "-", "gzip", Some(true)),
            ("", "-", "deflate, identity;q=0", Some(false)),
            ("", "-", "*;q=0, deflate", Some(false)),
            ("br", "*", "gzip;q=0, deflate,*;q=0.1,identity;q=0", Some(true)),
            ("br", "*", "gzip;q=0, deflate,*;q=0", Some(false)),
            ("deflate, gzip", "deflate, gzip", "gzip;q=0.8, deflate", Some(true)),
            ("deflate, gzip", "deflate, gzip", "gzip", Some(false)),
            ("unknown", "unknown", "unknown", None),
        ] {
            assert_eq!(fits(made, first, then), expected, "{made} for {first}, then {then}");
        }
        let many: Vec<String> = (0..17).map(|n| format!("a{n}")).collect();
        assert_eq!(fits("", &many.join(","), "-"), None);
    }

    #[test]
    fn only_two_fields_are_looked_at() {
        assert_eq!(Varies::of(&head(&[("Vary", "accept-encoding,unmanaged")])), None);
        assert_eq!(Varies::of(&head(&[("Vary", "*")])), None);
        let both = Varies { accept_encoding: true, referer: true };
        assert_eq!(Varies::of(&head(&[("Vary", "Referer"), ("vary", "Accept-Encoding")])), Some(both));
        let res = head(&[("Vary", "referer")]);
        let asked = |value| Asked::of(&head(&[("Referer", value)]));
        let secondary = Secondary::of(&res, asked("a")).expect("it can be stored");
        assert!(
            secondary.fits(asked("a"))
                && !secondary.fits(asked("b"))
                && !secondary.fits(Asked::of(&head(&[])))
        );
    }
}
