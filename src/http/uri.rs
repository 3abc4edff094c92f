//! Request targets and authorities: splitting, comparing, editing (RFC 9112 section 3.2, RFC 3986).

use std::borrow::Cow;

use super::head::{Head, Seen};

/// The form of a request target (RFC 9112 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `/path?query`
    Origin,
    /// `scheme://authority/path?query`
    Absolute,
    /// `host:port`, for CONNECT alone.
    Authority,
    /// `*`
    Asterisk,
    Empty,
}

/// A target cut into its parts; each borrows from it and is empty when absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    pub form: Form,
    /// Without `://`.
    pub scheme: &'a [u8],
    /// Host and port without user information.
    pub authority: &'a [u8],
    /// From the first byte of the path on: path, query and, if it was let through, fragment.
    pub path_and_query: &'a [u8],
    /// Where `path_and_query` begins in the target.
    pub path_at: usize,
}

impl<'a> Target<'a> {
    #[inline]
    pub fn split(target: &'a [u8]) -> Target<'a> {
        let plain = |form, rest: &'a [u8]| Target {
            form,
            scheme: b"",
            authority: b"",
            path_and_query: rest,
            path_at: target.len() - rest.len(),
        };
        match target.first() {
            None => plain(Form::Empty, b""),
            Some(b'/') => plain(Form::Origin, target),
            Some(b'*') => plain(Form::Asterisk, b""),
            Some(_) => Target::split_absolute(target),
        }
    }

    fn split_absolute(target: &'a [u8]) -> Target<'a> {
        let scheme_len = scheme_len(target);
        let authority_at = scheme_len.map_or(0, |n| n + 3);
        let rest = target.get(authority_at..).unwrap_or_default();
        let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
        let (authority, path_and_query) = rest.split_at(end);
        let user_end = authority.iter().rposition(|b| *b == b'@').map_or(0, |at| at + 1);
        Target {
            form: if scheme_len.is_some() { Form::Absolute } else { Form::Authority },
            scheme: &target[..scheme_len.unwrap_or(0)],
            authority: &authority[user_end..],
            path_and_query: if scheme_len.is_some() { path_and_query } else { b"" },
            path_at: authority_at + end,
        }
    }

    /// Without query.
    pub fn path(&self) -> &'a [u8] {
        let end = self.path_and_query.iter().position(|b| *b == b'?').unwrap_or(self.path_and_query.len());
        &self.path_and_query[..end]
    }

    /// Without its `?`; `None` when there is none.
    pub fn query(&self) -> Option<&'a [u8]> {
        let at = self.path_and_query.iter().position(|b| *b == b'?')?;
        Some(&self.path_and_query[at + 1..])
    }
}

/// Length of the scheme if `://` follows it.
fn scheme_len(target: &[u8]) -> Option<usize> {
    let end = target.iter().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')))?;
    (target[0].is_ascii_alphabetic() && target[end..].starts_with(b"://")).then_some(end)
}

/// Host and port of an authority. The port is `None` without a colon and empty for `host:`.
pub fn host_and_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    let digits = authority.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    match authority.len().checked_sub(digits + 1) {
        Some(at) if authority[at] == b':' => (&authority[..at], Some(&authority[at + 1..])),
        _ => (authority, None),
    }
}

/// The port that goes without saying: 80 for `http`, 443 for `https`, either without a scheme.
pub fn is_default_port(scheme: &[u8], port: &[u8]) -> bool {
    match port {
        b"80" => scheme.is_empty() || scheme.eq_ignore_ascii_case(b"http"),
        b"443" => scheme.is_empty() || scheme.eq_ignore_ascii_case(b"https"),
        _ => false,
    }
}

/// No byte that has no place in an authority or in `Host` (RFC 3986 section 3.2); brackets only around the host.
#[inline]
pub fn is_authority(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| OF_NAMES[usize::from(*byte)]) || is_odd_authority(bytes)
}

/// Bytes that may stand anywhere in an authority.
static OF_NAMES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = b'!';
    while byte < 0x7f {
        table[byte as usize] = !matches!(byte, b',' | b'#' | b'/' | b'?' | b'@' | b'[' | b'\\' | b']');
        byte += 1;
    }
    table
};

fn is_odd_authority(bytes: &[u8]) -> bool {
    let mut open = false;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'[' if at == 0 => open = true,
            b']' if open && bytes.get(at + 1).is_none_or(|b| *b == b':') => open = false,
            0..=b' ' | 0x7f.. | b',' | b'#' | b'/' | b'?' | b'@' | b'[' | b'\\' | b']' => return false,
            _ => {}
        }
    }
    !open
}

/// `Host` names the same place as the authority of an absolute-form target: equal, but for a default port.
pub fn same_place(scheme: &[u8], authority: &[u8], host: &[u8]) -> bool {
    if authority.eq_ignore_ascii_case(host) {
        return true;
    }
    let ((a_host, a_port), (b_host, b_port)) = (host_and_port(authority), host_and_port(host));
    let implied = |port: Option<&[u8]>| port.is_none_or(|p| p.is_empty() || is_default_port(scheme, p));
    implied(a_port) && implied(b_port) && a_host.eq_ignore_ascii_case(b_host)
}

/// Parts of the current, perhaps edited, target.
impl Head {
    pub fn target_parts(&self) -> Target<'_> {
        Target::split(self.target_bytes())
    }

    /// The target with scheme and authority, where HTTP/2 said both beside it; else as it stands.
    pub fn whole_target(&self) -> Cow<'_, [u8]> {
        let target = self.target_bytes();
        let is_rest = matches!(target, [b'/', ..] | b"*") && self.seen.contains(Seen::AUTHORITY);
        let Some(host) = self.host().filter(|_| is_rest) else { return Cow::Borrowed(target) };
        let path = if target == b"*" { b"" } else { target };
        Cow::Owned([self.scheme(), b"://", host, path].concat())
    }

    /// The scheme that HTTP/2 said; `http` of other requests.
    pub fn scheme(&self) -> &'static [u8] {
        if self.seen.contains(Seen::HTTPS) { b"https" } else { b"http" }
    }

    /// The path without query (fetch `path`); of an absolute-form target its path part, empty for other forms.
    pub fn path(&self) -> &[u8] {
        self.target_parts().path()
    }

    /// The query without `?` (fetch `query`); empty as well when there is none, see [`Head::has_query`].
    pub fn query(&self) -> &[u8] {
        self.target_parts().query().unwrap_or_default()
    }

    pub fn has_query(&self) -> bool {
        self.target_parts().query().is_some()
    }

    /// Path and query (fetch `pathq`).
    pub fn path_and_query(&self) -> &[u8] {
        self.target_parts().path_and_query
    }

    /// Replaces the path, keeps the rest of the target (`set-path`).
    pub fn set_path(&mut self, path: &[u8]) {
        let parts = self.target_parts();
        let old = parts.path().len();
        self.splice_target(parts.path_at, old, path, false);
    }

    /// Replaces the query, given without `?` (`set-query`). An empty one leaves the `?` that was there.
    pub fn set_query(&mut self, query: &[u8]) {
        let parts = self.target_parts();
        let at = parts.path_at + parts.path().len();
        let old = parts.path_and_query.len() - parts.path().len();
        self.splice_target(at, old, query, old > 0 || !query.is_empty());
    }

    /// Replaces path and query (`set-pathq`).
    pub fn set_path_and_query(&mut self, path_and_query: &[u8]) {
        let parts = self.target_parts();
        self.splice_target(parts.path_at, parts.path_and_query.len(), path_and_query, false);
    }

    /// Replaces the whole target (`set-uri`); `Host` follows the authority of the new one if it has one.
    pub fn set_uri(&mut self, uri: &[u8]) {
        self.set_target(uri);
        self.seen -= Seen::AUTHORITY;
        let place = self.target_parts().authority.to_vec();
        if !place.is_empty() {
            self.replace_host(&place);
        }
    }

    /// The authority of an absolute-form target follows `Host`, so that the two cannot contradict each other.
    pub(super) fn follow_host(&mut self, host: &[u8]) {
        let parts = self.target_parts();
        if parts.form == Form::Absolute && !host.is_empty() && is_authority(host) && parts.authority != host {
            let (at, old) = (parts.path_at - parts.authority.len(), parts.authority.len());
            self.splice_target(at, old, host, false);
        }
    }

    fn splice_target(&mut self, at: usize, old: usize, with: &[u8], question: bool) {
        let target = self.target_bytes();
        // `*` and `host:port` have no path to replace: the new one takes the place of the whole.
        let (head, tail) = match self.target_parts().form {
            Form::Origin | Form::Absolute => {
                (target.get(..at).unwrap_or_default(), target.get(at + old..).unwrap_or_default())
            }
            Form::Authority | Form::Asterisk | Form::Empty => (&b""[..], &b""[..]),
        };
        let mark: &[u8] = if question { b"?" } else { b"" };
        let new = [head, mark, with, tail].concat();
        self.set_target(&new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(target: &str) -> (Form, String, String, String, Option<String>) {
        let t = Target::split(target.as_bytes());
        let s = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        (t.form, s(t.scheme), s(t.authority), s(t.path()), t.query().map(s))
    }

    fn row(
        form: Form,
        scheme: &str,
        authority: &str,
        path: &str,
        query: Option<&str>,
    ) -> (Form, String, String, String, Option<String>) {
        (form, scheme.into(), authority.into(), path.into(), query.map(String::from))
    }

    #[test]
    fn splits_the_four_forms() {
        assert_eq!(parts("/a/b?c=d?e"), row(Form::Origin, "", "", "/a/b", Some("c=d?e")));
        assert_eq!(parts("/a?"), row(Form::Origin, "", "", "/a", Some("")));
        assert_eq!(parts("//x/y"), row(Form::Origin, "", "", "//x/y", None));
        assert_eq!(parts("http://u:p@h:80/a?b"), row(Form::Absolute, "http", "h:80", "/a", Some("b")));
        assert_eq!(parts("http://h?b"), row(Form::Absolute, "http", "h", "", Some("b")));
        assert_eq!(parts("h:443"), row(Form::Authority, "", "h:443", "", None));
        assert_eq!(parts("*"), row(Form::Asterisk, "", "", "", None));
        assert_eq!(parts(""), row(Form::Empty, "", "", "", None));
        assert_eq!(parts("1http://h/"), row(Form::Authority, "", "1http:", "", None));
    }

    #[test]
    fn ports_are_split_from_the_right() {
        assert_eq!(host_and_port(b"h:80"), (&b"h"[..], Some(&b"80"[..])));
        assert_eq!(host_and_port(b"h:"), (&b"h"[..], Some(&b""[..])));
        assert_eq!(host_and_port(b"[::1]"), (&b"[::1]"[..], None));
        assert_eq!(host_and_port(b"[::1]:8"), (&b"[::1]"[..], Some(&b"8"[..])));
        assert_eq!(host_and_port(b"80"), (&b"80"[..], None));
    }

    #[test]
    fn authorities() {
        for good in ["", "h", "h:80", "[::1]:80", "[::1]", "a_b-c.d~e"] {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        for bad in ["h/", "a,b", "a b", "u@h", "[::1", "::1]", "a[b]", "[a]b", "h#", "h?", "a\\b", "h\u{e9}"]
        {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn places_compare_without_default_ports() {
        for (scheme, a, b, same) in [
            ("http", "h", "H", true),
            ("http", "h:80", "h", true),
            ("http", "h", "h:80", true),
            ("https", "h:443", "h", true),
            ("http", "h", "h:", true),
            ("http", "h:443", "h", false),
            ("http", "h:80", "h:81", false),
            ("http", "h", "i", false),
            ("http", "h:8080", "h:8080", true),
        ] {
            assert_eq!(same_place(scheme.as_bytes(), a.as_bytes(), b.as_bytes()), same, "{scheme} {a} {b}");
        }
    }

    fn head(target: &str) -> Head {
        let mut head = Head::default();
        head.set_target(target.as_bytes());
        head
    }

    #[test]
    fn edits_keep_the_rest_of_the_target() {
        let mut h = head("http://h:8/a/b?q=1");
        h.set_path(b"/new");
        assert_eq!(h.target_bytes(), b"http://h:8/new?q=1");
        h.set_query(b"x=y");
        assert_eq!(h.target_bytes(), b"http://h:8/new?x=y");
        h.set_query(b"");
        assert_eq!(h.target_bytes(), b"http://h:8/new?");
        h.set_path_and_query(b"/p?q");
        assert_eq!(h.target_bytes(), b"http://h:8/p?q");
        let mut h = head("*");
        h.set_path(b"/");
        assert_eq!(h.target_bytes(), b"/");
    }

    #[test]
    fn every_host_follows_a_new_authority() {
        for (uri, expected) in [
            ("http://u@other.example:8080/new", "other.example:8080"),
            ("https://other.example", "other.example"),
            ("http://other.example:80/", "other.example:80"),
            ("/new", "old"),
            ("*", "old"),
        ] {
            let mut h = head("/x");
            h.add(b"Host", b"old");
            h.add(b"X", b"y");
            h.add(b"host", b"old");
            h.set_uri(uri.as_bytes());
            let hosts: Vec<_> =
                h.fields().filter(|(n, _)| n.eq_ignore_ascii_case(b"host")).map(|(_, v)| v).collect();
            assert_eq!(hosts, [expected.as_bytes(); 2], "{uri}");
            assert_eq!(h.target_bytes(), uri.as_bytes());
        }
        let mut h = head("/x");
        h.set_uri(b"http://other.example/");
        assert_eq!(h.fields().count(), 0, "no field is made");
    }

    /// A path made from decoded input must not smuggle a second request line.
    #[test]
    fn a_target_cannot_end_its_line() {
        let mut h = head("/");
        h.set_path(b"/a b\r\nX: y");
        assert_eq!(h.target_bytes(), b"/a%20b%0D%0AX:%20y");
    }
}
