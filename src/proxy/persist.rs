//! Persistence by cookie (manual, "cookie"): which server a request asks for, and what its response says of it.

use std::ops::Range;

use crate::config::Backend;
use crate::config::proxy::{CookieMode, CookieSpec};
use crate::http::cookie::{Cookie, Cookies};
use crate::http::{Head, Method};
use crate::model::ServerSet;
use crate::rules::{Capture, Sticky, Txn};

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
                if forced {
                    sticky.request = b'U';
                } else {
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
        let has_it = (kept && spec.preserve) || sticky.is_direct || sticky.is_ignored;
        let may = spec.mode == CookieMode::Insert && (!spec.postonly || req.method == Method::Post);
        if has_it || !may {
            return;
        }
        let value: &[u8] = match token {
            Some(token) => &[&spec.name[..], b"=", token, &spec.attributes].concat(),
            // A server without a cookie takes the client's away.
            None => &[&spec.name[..], b"=; Expires=Thu, 01-Jan-1970 00:00:01 GMT", &spec.attributes].concat(),
        };
        let may_be_cached =
            spec.nocache && matches!(req.method, Method::Get | Method::Head) && is_cacheable(res);
        res.add(b"set-cookie", value);
        sticky.response = b'I';
        if may_be_cached {
            res.add(b"cache-control", b"private");
        }
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
}
