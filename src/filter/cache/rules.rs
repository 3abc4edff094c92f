//! Which requests are looked up, and which responses are stored and for how long (RFC 9111, as HAProxy reads it).

use std::time::UNIX_EPOCH;

use crate::http::{Head, Method, Version};

/// What the cache does for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It is answered, if it can be.
    Answers,
    /// It is not answered; what the server answers may be stored.
    Stores,
    /// Neither. What the server answers may make stored responses invalid.
    Watches,
}

pub fn part(req: &Head) -> Part {
    if req.version < Version::Http11
        || !matches!(req.method, Method::Get | Method::Head)
        || req.field(b"authorization").is_some()
    {
        return Part::Watches;
    }
    let mut directives = req.list_values(b"cache-control").peekable();
    let has_control = directives.peek().is_some();
    let is_refused = |v: &[u8]| v.eq_ignore_ascii_case(b"no-cache") || starts(v, b"max-age");
    if directives.any(is_refused) {
        return Part::Stores;
    }
    let mut pragmas = req.list_values(b"pragma");
    let is_old = !has_control && pragmas.any(|v| v.eq_ignore_ascii_case(b"no-cache"));
    if is_old { Part::Stores } else { Part::Answers }
}

fn starts(value: &[u8], with: &[u8]) -> bool {
    value.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}

/// For how many seconds a response may be used from when it was made: `most` where it does not say. `None`: it is not
/// stored.
pub fn lifetime(res: &Head, most: u64, now_s: u64) -> Option<u64> {
    let mut ages = [None, None];
    let mut has_control = false;
    for directive in res.list_values(b"cache-control") {
        has_control = true;
        let is = |name: &[u8]| directive.eq_ignore_ascii_case(name);
        if is(b"private") || is(b"no-cache") || is(b"no-store") || is(b"no-cache=\"set-cookie\"") {
            return None;
        }
        for (age, name) in ages.iter_mut().zip([&b"s-maxage="[..], b"max-age="]) {
            if starts(directive, name) {
                *age = age.or(Some(seconds(&directive[name.len()..])));
            }
        }
    }
    if ages.contains(&Some(0)) {
        return None;
    }
    let is_old = !has_control && res.list_values(b"pragma").any(|v| v.eq_ignore_ascii_case(b"no-cache"));
    if is_old {
        return None;
    }
    if let Some(age) = ages[0].or(ages[1]) {
        return Some(age);
    }
    if let Some(expires) = res.field(b"expires") {
        let left = date(expires).unwrap_or(0).saturating_sub(now_s);
        return (left > 0).then_some(left);
    }
    let has_validator = res.field(b"etag").is_some() || res.field(b"last-modified").is_some();
    has_validator.then_some(most)
}

/// A number of seconds; what is none is 0.
fn seconds(value: &[u8]) -> u64 {
    let value = value.strip_prefix(b"\"").unwrap_or(value);
    let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(&value[..digits]).ok().map_or(0, |text| match text.parse() {
        Ok(n) => n,
        Err(_) if digits > 0 => u64::MAX / 4,
        Err(_) => 0,
    })
}

/// The age that a response has already; the error: it says nonsense.
pub fn age(res: &Head) -> Result<u64, ()> {
    let Some(value) = res.field(b"age") else { return Ok(0) };
    std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok()).ok_or(())
}

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A date in seconds since the epoch. Any day of the week will do, as for HAProxy.
pub fn date(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    let of_another_day = || {
        let (said, rest) = text.split_at(text.find([',', ' '])?);
        let is_short = DAYS.iter().any(|day| said == &day[..3]);
        if !is_short && !DAYS.contains(&said) {
            return None;
        }
        DAYS.iter().find_map(|day| {
            let day = if is_short { &day[..3] } else { *day };
            httpdate::parse_http_date(&format!("{day}{rest}")).ok()
        })
    };
    let time = httpdate::parse_http_date(text).ok().or_else(of_another_day)?;
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// When what is stored was changed last, as far as it is known.
pub fn modified(res: &Head, now_s: u64) -> u64 {
    let said = |name: &[u8]| res.field(name).and_then(date);
    said(b"last-modified").or_else(|| said(b"date")).unwrap_or(now_s)
}

/// The client has what is stored already.
pub fn is_unmodified(req: &Head, etag: Option<&[u8]>, modified_s: u64) -> bool {
    let mut asked = req.list_values(b"if-none-match").peekable();
    if asked.peek().is_some() {
        let opaque = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_vec();
        return asked.any(|tag| tag == b"*" || etag.is_some_and(|etag| opaque(etag) == opaque(tag)));
    }
    req.field(b"if-modified-since").and_then(date).is_some_and(|since| since >= modified_s)
}

/// A successful answer to such a request makes what is stored invalid (RFC 9111 section 4.4).
pub fn is_unsafe(method: Method) -> bool {
    !matches!(method, Method::Get | Method::Head | Method::Options | Method::Trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&str, &str)]) -> Head {
        let mut head = Head::default();
        head.method = Method::Get;
        fields.iter().for_each(|(name, value)| head.add(name.as_bytes(), value.as_bytes()));
        head
    }

    #[test]
    fn lifetimes() {
        let soon = httpdate::fmt_http_date(UNIX_EPOCH + std::time::Duration::from_secs(1030));
        type Fields<'a> = &'a [(&'a str, &'a str)];
        let table: &[(Fields<'_>, Option<u64>)] = &[
            (&[("Cache-Control", "max-age=5")], Some(5)),
            (&[("Cache-Control", "max-age=500")], Some(500)),
            (&[("Cache-Control", "max-age=5, S-MaxAge=7")], Some(7)),
            (&[("Cache-Control", "max-age=\"50\"")], Some(50)),
            (&[("Cache-Control", "max-age=99999999999999999999999")], Some(u64::MAX / 4)),
            (&[("Cache-Control", "max-age=abc")], None),
            (&[("Cache-Control", "s-maxage=0, max-age=5")], None),
            (&[("Cache-Control", "max-age=0"), ("ETag", "\"x\"")], None),
            (&[("Cache-Control", "max-age=5, private")], None),
            (&[("Cache-Control", "no-store, max-age=5")], None),
            (&[("Cache-Control", "max-age=5"), ("cache-control", "no-cache")], None),
            (&[("Cache-Control", "no-cache=\"set-cookie\""), ("ETag", "\"x\"")], None),
            (&[("Cache-Control", "no-cache=\"x-a\""), ("ETag", "\"x\"")], Some(60)),
            (&[("Cache-Control", "public")], None),
            (&[("Cache-Control", "must-revalidate"), ("ETag", "\"x\"")], Some(60)),
            (&[("Pragma", "no-cache"), ("ETag", "\"x\"")], None),
            (&[("Expires", &soon)], Some(30)),
            (&[("Expires", &soon), ("Cache-Control", "max-age=5")], Some(5)),
            (&[("Expires", "0"), ("ETag", "\"x\"")], None),
            (&[("Last-Modified", "Thu, 22 Oct 2020 16:51:12 GMT")], Some(60)),
            (&[("ETag", "\"x\"")], Some(60)),
            (&[], None),
        ];
        for (fields, expected) in table {
            assert_eq!(lifetime(&head(fields), 60, 1000), *expected, "{fields:?}");
        }
    }

    #[test]
    fn what_is_looked_up() {
        for (fields, expected) in [
            (&[][..], Part::Answers),
            (&[("Cache-Control", "no-store")], Part::Answers),
            (&[("Cache-Control", "no-cache")], Part::Stores),
            (&[("Cache-Control", "foo, max-age=5")], Part::Stores),
            (&[("Pragma", "no-cache")], Part::Stores),
            (&[("Pragma", "no-cache"), ("Cache-Control", "x")], Part::Answers),
            (&[("Authorization", "x")], Part::Watches),
        ] {
            assert_eq!(part(&head(fields)), expected, "{fields:?}");
        }
        let mut other = head(&[]);
        other.method = Method::Post;
        assert_eq!(part(&other), Part::Watches);
        let mut old = head(&[]);
        old.version = Version::Http10;
        assert_eq!(part(&old), Part::Watches);
    }

    #[test]
    fn validators() {
        let tag = Some(&b"\"x\""[..]);
        let asks = |name: &str, value: &str| is_unmodified(&head(&[(name, value)]), tag, 1_603_385_472);
        assert!(
            asks("If-None-Match", "\"x\"") && asks("If-None-Match", "W/\"x\"") && asks("If-None-Match", "*")
        );
        assert!(asks("If-None-Match", "\"y\", W/\"x\"") && !asks("If-None-Match", "\"y\""));
        assert!(asks("If-Modified-Since", "Thu, 22 Oct 2020 16:51:12 GMT"));
        assert!(asks("If-Modified-Since", "Thu, 22 Oct 2021 16:51:12 GMT"));
        assert!(
            !asks("If-Modified-Since", "Thu, 22 Oct 2019 16:51:12 GMT") && !asks("If-Modified-Since", "x")
        );
        let both = [("If-None-Match", "\"y\""), ("If-Modified-Since", "Thu, 22 Oct 2021 16:51:12 GMT")];
        assert!(!is_unmodified(&head(&both), tag, 1_603_385_472));
        assert_eq!(age(&head(&[("Age", "abc")])), Err(()));
        assert_eq!((age(&head(&[("Age", " 10 ")])), age(&head(&[]))), (Ok(10), Ok(0)));
    }
}
