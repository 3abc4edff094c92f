//! Persistence by cookie (manual, "cookie"): which server a request asks for, and what its response says of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;

use crate::base::buf::Buf;
use crate::base::clock;
use crate::config::Backend;
use crate::config::proxy::{CookieMode, CookieSpec};
use crate::http::cookie::{Cookie, Cookies};
use crate::http::{Head, Method};
use crate::model::{Address, Server, ServerSet};
use crate::rules::{Capture, Sticky, Txn, fetch};

use super::stream::Stream;

/// Between the server and the application's own value (`prefix`).
const PREFIX_END: u8 = b'~';

/// The next cookie called `name` from `at` on.
fn next(field: &[u8], is_list: bool, name: &[u8], at: usize) -> Option<Cookie> {
    Cookies::of(field, is_list).from(at).find(|c| field[c.name.clone()] == *name)
}

/// A field without one of its cookies.
fn without(field: &[u8], gone: &Range<usize>) -> Vec<u8> {
    match gone.start {
        0 => field.get(gone.end + 1..).unwrap_or_default().trim_ascii_start().to_vec(),
        // With the semicolon before it.
        start => [&field[..start - 1], &field[gone.end..]].concat(),
    }
}

fn spliced(field: &[u8], at: &Range<usize>, new: &[&[u8]]) -> Vec<u8> {
    [&field[..at.start], &new.concat(), &field[at.end..]].concat()
}

fn is_named(head: &Head, at: usize, name: &[u8]) -> bool {
    head.fields.get(at).is_some_and(|f| head.bytes(f.name).eq_ignore_ascii_case(name))
}

/// Digits of the dates that `maxidle` and `maxlife` put into cookies: five, in units of four seconds.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// A date further in the future than this is no better than one that is too old.
const FUTURE_S: u64 = 86_400;

/// The date that a text begins with, in seconds; 0: none.
fn date(text: &[u8]) -> u64 {
    let digits = text.get(..5).unwrap_or_default();
    let value = digits.iter().try_fold(0, |value, digit| {
        let at = DIGITS.iter().position(|d| d == digit)?;
        Some(value << 6 | at as u64)
    });
    value.map_or(0, |value| value << 2)
}

fn written(seconds: u64) -> [u8; 5] {
    [24, 18, 12, 6, 0].map(|shift| DIGITS[(seconds >> 2 >> shift) as usize & 63])
}

/// Whether a date is too far from now for a limit.
fn is_out(date_s: u64, now_s: u64, limit_s: u64) -> bool {
    limit_s > 0 && date_s > 0 && (now_s > date_s + limit_s || date_s > now_s + FUTURE_S)
}

/// Takes in the dates of a cookie, which stand behind its server. False: one of them says that it does not count.
fn read_dates(dates: &[u8], spec: &CookieSpec, now_s: u64, sticky: &mut Sticky) -> bool {
    sticky.last_s = date(dates);
    sticky.first_s = memchr::memchr(b'|', dates).map_or(0, |at| date(&dates[at + 1..]));
    let letter = match (sticky.first_s, sticky.last_s) {
        (first, _) if is_out(first, now_s, spec.max_life_s) => b'O',
        (_, last) if is_out(last, now_s, spec.max_idle_s) => b'E',
        _ => return true,
    };
    (sticky.request, sticky.last_s, sticky.first_s) = (letter, 0, 0);
    false
}

/// Whether the client is told the date of its cookie anew, though it came to the server that it asked for.
fn is_due(spec: &CookieSpec, now_s: u64, sticky: &Sticky) -> bool {
    let Sticky { last_s, first_s, .. } = *sticky;
    let has_idle = spec.max_idle_s > 0 || last_s > 0;
    (has_idle && (last_s == 0 || last_s < now_s)) || ((spec.max_life_s > 0) != (first_s > 0))
}

/// What follows the server in a cookie of this time.
fn dates(spec: &CookieSpec, now_s: u64, sticky: &Sticky) -> Vec<u8> {
    let mut text = Vec::new();
    if spec.max_idle_s > 0 || spec.max_life_s > 0 {
        text.push(b'|');
        text.extend(written(now_s));
    }
    if spec.max_life_s > 0 {
        text.push(b'|');
        text.extend(written(if sticky.first_s > 0 { sticky.first_s } else { now_s }));
    }
    text
}

/// Takes in what a cookie's value asks for.
fn choose(token: &[u8], set: &ServerSet, persist: bool, sticky: &mut Sticky) {
    if sticky.server != 0 || sticky.request == b'U' {
        return;
    }
    let named = set.list.iter().filter(|s| s.spec.cookie.as_deref().is_some_and(|c| c.as_bytes() == token));
    let mut found = false;
    for server in named {
        found = true;
        let is_up = server.live.is_up();
        sticky.request = if is_up { b'V' } else { b'D' };
        if is_up || persist {
            sticky.server = server.live.uid;
            return;
        }
    }
    if !found && sticky.request != b'D' {
        sticky.request = b'I';
    }
}

impl Stream<'_> {
    /// Finds the server that the request's cookie names, and takes out of the cookie what is ours. `forced`: a
    /// `use-server` rule decides.
    pub(super) fn read_cookie(&mut self, spec: &CookieSpec, forced: bool) {
        let Some(set) = self.route.view.servers(self.route.id()) else { return };
        let Txn { req, sticky, .. } = &mut *self.txn;
        let Sticky { is_forced, is_ignored, .. } = *sticky;
        let persist = self.route.back.options.persist || is_forced;
        let forced = forced || is_ignored;
        *sticky = Sticky { request: b'N', response: b'N', is_forced, is_ignored, ..Sticky::default() };
        let now_s = clock::wall().as_secs();
        let mut at = 0;
        while at < req.fields.len() {
            if !is_named(req, at, b"cookie") {
                at += 1;
                continue;
            }
            let mut from = 0;
            let mut is_gone = false;
            while let Some(crumb) = next(req.bytes(req.fields[at].value), true, &spec.name, from) {
                let field = req.bytes(req.fields[at].value);
                let value = &field[crumb.value.clone()];
                let end = match spec.mode {
                    CookieMode::Prefix => memchr::memchr(PREFIX_END, value),
                    // Behind a bar: dates of `maxidle` and `maxlife`.
                    _ => memchr::memchr(b'|', value),
                };
                let token = &value[..end.unwrap_or(value.len())];
                let dates = end.filter(|_| spec.mode != CookieMode::Prefix).map(|end| &value[end + 1..]);
                if forced {
                    sticky.request = b'U';
                } else if sticky.server != 0
                    || dates.is_none_or(|dates| read_dates(dates, spec, now_s, sticky))
                {
                    choose(token, &set, persist, sticky);
                }
                let new = match (spec.mode, end) {
                    (CookieMode::Prefix, Some(end)) => spliced(field, &crumb.value, &[&value[end + 1..]]),
                    (CookieMode::Insert, _) if spec.indirect => without(field, &crumb.whole),
                    _ => {
                        from = crumb.whole.end + 1;
                        continue;
                    }
                };
                if new.is_empty() {
                    req.remove_at(at);
                    is_gone = true;
                    break;
                }
                // What is left begins again where the cookie was; a rest of a prefix is not looked at twice.
                from = match spec.mode {
                    CookieMode::Prefix => crumb.whole.end - end.map_or(0, |end| end + 1) + 1,
                    _ => crumb.whole.start.saturating_sub(1),
                };
                req.set_value(at, &new);
            }
            at += usize::from(!is_gone);
        }
    }

    /// What the response says of the server, to the client.
    pub(super) fn write_cookie(&mut self) {
        let Some(spec) = self.route.back.back.as_ref().and_then(|b| b.cookie.as_deref()) else { return };
        let Some(upstream) = &self.hold else { return };
        let token = upstream.slot.server().spec.cookie.clone();
        let token = token.as_deref().map(str::as_bytes);
        let Txn { req, res, sticky, .. } = &mut *self.txn;
        let kept = keep_own(res, spec, token, sticky);
        let now_s = clock::wall().as_secs();
        let is_refreshed = sticky.is_direct && is_due(spec, now_s, sticky);
        let has_it = (kept && spec.preserve) || (sticky.is_direct && !is_refreshed) || sticky.is_ignored;
        let may = spec.mode == CookieMode::Insert && (!spec.postonly || req.method == Method::Post);
        if has_it || !may {
            return;
        }
        let value: &[u8] = match token {
            Some(token) => {
                &[&spec.name[..], b"=", token, &dates(spec, now_s, sticky), &spec.attributes].concat()
            }
            // A server without a cookie takes the client's away.
            None => &[&spec.name[..], b"=; Expires=Thu, 01-Jan-1970 00:00:01 GMT", &spec.attributes].concat(),
        };
        let may_be_cached =
            spec.nocache && matches!(req.method, Method::Get | Method::Head) && is_cacheable(res);
        res.add(b"set-cookie", value);
        sticky.response = if is_refreshed && sticky.request == b'V' { b'U' } else { b'I' };
        if may_be_cached {
            res.add(b"cache-control", b"private");
        }
    }

    /// The server whose address the cookie of a remote desktop has (`persist rdp-cookie`): its bytes as a number, the port
    /// likewise, and a last number that means nothing.
    pub(super) fn find_desktop(&mut self, name: &[u8]) {
        let wanted = {
            let first = self.down.pending().as_ref().map_or(&[][..], Buf::data);
            fetch::desktop_cookie(first, name).and_then(desktop_address)
        };
        let (Some(wanted), Some(set)) = (wanted, self.route.view.servers(self.route.id())) else { return };
        let mut found = set.list.iter().filter(|s| s.address() == Address::Inet(wanted));
        let may_take = |server: &&Server| server.live.is_up() || self.route.back.options.persist;
        if let Some(server) = found.find(may_take) {
            self.txn.sticky.server = server.live.uid;
            self.txn.sticky.is_direct = true;
        }
    }

    /// What `option checkcache` says of a response: it sets a cookie, and a cache might give that to others.
    pub(super) fn leaks_cookie(&self) -> bool {
        let (req, res) = (&self.txn.req, &self.txn.res);
        res.field(b"set-cookie").is_some() && may_be_shared(res, req.method)
    }

    /// What `force-persist` and `ignore-persist` say of the request.
    pub(super) fn judge_persistence(&mut self, back: &Backend) {
        if back.persist.is_empty() {
            return;
        }
        let env = self.env();
        let ctx = crate::rules::Ctx { txn: self.txn, env: &env };
        let rule = back.persist.iter().find(|rule| rule.condition.eval(ctx)).map(|rule| rule.is_forced);
        self.txn.sticky.is_forced = rule == Some(true);
        self.txn.sticky.is_ignored = rule == Some(false);
    }

    /// Whether a `use-server` rule applies to the request.
    pub(super) fn is_forced(&self, back: &Backend) -> bool {
        if back.use_server.is_empty() {
            return false;
        }
        let env = self.env();
        let ctx = crate::rules::Ctx { txn: self.txn, env: &env };
        back.use_server.iter().any(|rule| rule.condition.eval(ctx))
    }
}

/// Deals with the persistence cookie that the application itself has set. True: there was one.
fn keep_own(res: &mut Head, spec: &CookieSpec, token: Option<&[u8]>, sticky: &mut Sticky) -> bool {
    let mut kept = false;
    let mut at = 0;
    while at < res.fields.len() {
        let crumb = match is_named(res, at, b"set-cookie") {
            true => next(res.bytes(res.fields[at].value), false, &spec.name, 0),
            false => None,
        };
        at += 1;
        let Some(crumb) = crumb else { continue };
        kept = true;
        sticky.response = b'P';
        let field = res.bytes(res.fields[at - 1].value);
        let new = match (spec.mode, token) {
            _ if spec.preserve => continue,
            (CookieMode::Insert, _) => None,
            _ if sticky.is_direct && spec.indirect => None,
            (CookieMode::Rewrite, Some(token)) => Some(spliced(field, &crumb.value, &[token])),
            (CookieMode::Prefix, Some(token)) => {
                Some(spliced(field, &crumb.value, &[token, b"~", &field[crumb.value.clone()]]))
            }
            _ => continue,
        };
        match new {
            Some(new) => {
                sticky.response = b'R';
                res.set_value(at - 1, &new);
            }
            None => {
                sticky.response = b'D';
                res.remove_at(at - 1);
                at -= 1;
            }
        }
    }
    kept
}

/// A cache might keep this response, and the cookie with it: nothing forbids it, and it could be told when it is stale.
fn is_cacheable(res: &Head) -> bool {
    if !matches!(res.status, 200 | 203 | 204 | 206 | 300 | 301 | 404 | 405 | 410 | 414 | 501)
        || res.list_values(b"pragma").any(|v| v.eq_ignore_ascii_case(b"no-cache"))
    {
        return false;
    }
    let names: [&[u8]; 3] = [b"expires", b"etag", b"last-modified"];
    let mut has_age = names.iter().any(|name| res.field(name).is_some());
    for value in res.list_values(b"cache-control") {
        let forbids: [&[u8]; 5] = [b"private", b"no-cache", b"no-store", b"max-age=0", b"s-maxage=0"];
        if forbids.iter().any(|f| value.eq_ignore_ascii_case(f)) {
            return false;
        }
        let begins = |with: &[u8]| value.get(..with.len()).is_some_and(|v| v.eq_ignore_ascii_case(with));
        has_age |= begins(b"max-age=") || begins(b"s-maxage=") || value.eq_ignore_ascii_case(b"public");
    }
    has_age
}

/// Nothing keeps caches from giving this response to somebody else with its cookies (manual, `option checkcache`).
fn may_be_shared(res: &Head, method: Method) -> bool {
    let is_safe = matches!(method, Method::Get | Method::Head | Method::Options | Method::Trace);
    let mut may =
        is_safe && matches!(res.status, 200 | 203 | 204 | 206 | 300 | 301 | 404 | 405 | 410 | 414 | 501);
    if res.list_values(b"pragma").any(|v| v.eq_ignore_ascii_case(b"no-cache")) {
        may = false;
    }
    const WITHOUT_COOKIE: &[u8] = b"no-cache=\"set-cookie";
    let tells: [&[u8]; 3] = [b"expires", b"etag", b"last-modified"];
    // A cache that could not tell when a response is stale keeps none.
    let mut has_age = tells.iter().any(|name| res.field(name).is_some());
    for value in res.list_values(b"cache-control") {
        let forbids: [&[u8]; 5] = [b"private", b"no-cache", b"no-store", b"max-age=0", b"s-maxage=0"];
        let begins = |with: &[u8]| value.get(..with.len()).is_some_and(|v| v.eq_ignore_ascii_case(with));
        has_age |= begins(b"max-age=") || begins(b"s-maxage=");
        let spares = begins(WITHOUT_COOKIE) && matches!(value.get(WITHOUT_COOKIE.len()), Some(b'"' | b','));
        if spares || forbids.iter().any(|f| value.eq_ignore_ascii_case(f)) {
            may = false;
        } else if value.eq_ignore_ascii_case(b"public") {
            may = true;
        }
    }
    may && has_age
}

/// An address as the cookies of remote desktops have it: `3640205228.15629.0000`.
fn desktop_address(text: &[u8]) -> Option<SocketAddr> {
    let mut parts = text.split(|b| *b == b'.');
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u32>().ok();
    let (address, port) = (number()?, u16::try_from(number()?).ok()?);
    parts.next()?;
    Some(SocketAddr::new(Ipv4Addr::from(address.to_le_bytes()).into(), port.swap_bytes()))
}

/// `capture cookie`: name and value of the first cookie whose name begins as wanted.
pub(super) fn captured(head: &Head, field: &[u8], wanted: &Capture) -> Option<Box<[u8]>> {
    let start = wanted.name.as_deref()?;
    for value in head.values(field) {
        let found = Cookies::of(value, field == b"cookie")
            .map(|c| &value[c.name.start..c.value.end])
            .find(|cookie| cookie.starts_with(start));
        if let Some(found) = found {
            return Some(found[..found.len().min(wanted.len)].into());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(field: &str) -> String {
        let crumb = next(field.as_bytes(), true, b"SRV", 0).expect("a cookie");
        String::from_utf8(without(field.as_bytes(), &crumb.whole)).unwrap()
    }

    #[test]
    fn a_cookie_is_found_and_cut_out() {
        for (field, value, left) in [
            ("SRV=a", "a", ""),
            ("x=1; SRV=c; y=2", "c", "x=1; y=2"),
            ("SRV = b ; x=1", "b", "x=1"),
            ("x=1;SRV=", "", "x=1"),
            ("x=\"SRV=n; SRV=m\"; SRV=\"a;b\"; y=2", "\"a;b\"", "x=\"SRV=n; SRV=m\"; y=2"),
        ] {
            let crumb = next(field.as_bytes(), true, b"SRV", 0).expect("a cookie");
            assert_eq!(&field[crumb.value], value, "{field}");
            assert_eq!(cut(field), left, "{field}");
        }
        assert!(next(b"SRVx=b; xSRV=1; SRV", true, b"SRV", 0).is_none());
    }

    #[test]
    fn dates_are_five_digits() {
        assert_eq!(&written(0), b"AAAAA");
        for seconds in [1_764_480_000, 1_900_000_004] {
            assert_eq!(date(&written(seconds)), seconds);
        }
        for none in [&b""[..], b"AAAA", b"AAA|A", b"|AAAA"] {
            assert_eq!(date(none), 0);
        }
    }

    #[test]
    fn a_cookie_is_too_old_by_its_dates() {
        const NOW: u64 = 1_764_480_000;
        let spec = CookieSpec { max_idle_s: 10, max_life_s: 60, ..CookieSpec::default() };
        let read = |last: u64, first: u64| {
            let text = [&written(last)[..], b"|", &written(first)].concat();
            let mut sticky = Sticky::default();
            (read_dates(&text, &spec, NOW, &mut sticky), sticky.request)
        };
        assert_eq!(read(NOW, NOW - 40), (true, 0));
        assert_eq!(read(NOW - 20, NOW - 40), (false, b'E'));
        assert_eq!(read(NOW - 20, NOW - 80), (false, b'O'));
        assert_eq!(read(NOW + 4000, NOW), (true, 0));
        assert_eq!(read(NOW, NOW + 90_000), (false, b'O'));
    }

    #[test]
    fn addresses_of_desktops() {
        let read = |text: &str| desktop_address(text.as_bytes()).map(|a| a.to_string());
        assert_eq!(read("3640205228.15629.0000"), Some("172.31.249.216:3389".to_owned()));
        for bad in ["", "1", "1.2", "x.2.3", "4294967296.1.0", "1.65536.0"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
