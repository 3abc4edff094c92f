//! What a keyed algorithm hashes: the part of a request that its `balance` line names.

use memchr::{memchr, memmem};

use super::hash;
use super::spec::{Method, Spec};

/// The hash of a key as the backend's `balance` and `hash-type` lines say. `bytes` are, by method: the client's
/// address (4 or 16 bytes in network order), the request's URI (also for `url_param`), the first value of the header
/// (up to a comma), or the value of the expression. `None` when the key is not there: the algorithm then takes turns.
pub fn hash_key(spec: &Spec, bytes: &[u8]) -> Option<u32> {
    let part = match &spec.method {
        Method::Source => return Some(hash::source(spec.hash, bytes)),
        Method::Uri { whole, path_only, len, depth } => {
            let uri = if *path_only { path(bytes) } else { bytes };
            uri_part(uri, *whole, *len, *depth)
        }
        Method::UrlParam { name, .. } => url_param(bytes, name)?,
        Method::Header { use_domain_only, .. } => {
            if bytes.is_empty() {
                return None;
            }
            if *use_domain_only { domain(bytes) } else { bytes }
        }
        Method::Expr(_) => bytes,
        _ => return None,
    };
    Some(hash::hash(spec.hash, part))
}

/// The path and query of a URI: what follows the authority of an absolute one, nothing for `*` and for `host:port`.
fn path(uri: &[u8]) -> &[u8] {
    if uri.first() == Some(&b'/') {
        return uri;
    }
    let Some(scheme) = memmem::find(uri, b"://") else { return b"" };
    let rest = &uri[scheme + 3..];
    memchr(b'/', rest).map_or(b"", |at| &rest[at..])
}

/// Up to the query unless `whole`, at most `len` bytes and `depth` directories (0: no limit).
fn uri_part(uri: &[u8], whole: bool, len: usize, depth: usize) -> &[u8] {
    let uri = if len > 0 && len < uri.len() { &uri[..len] } else { uri };
    let mut slashes = 0;
    let end = uri.iter().position(|&b| {
        if b == b'/' {
            slashes += 1;
            // The slash that ends the last directory wanted.
            return depth > 0 && slashes == depth + 1;
        }
        b == b'?' && !whole
    });
    &uri[..end.unwrap_or(uri.len())]
}

/// The value of a query parameter; names compare by case.
fn url_param<'a>(uri: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    form_param(&uri[memchr(b'?', uri)? + 1..], name)
}

/// The value of a parameter in `a=1&b=2` text (a query string, or a form's body for `check_post`).
pub fn form_param<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    text.split(|&b| b == b'&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
}

/// The label before the top-level domain: `1wt` of `haproxy.1wt.eu`. Without a dot it is the whole value.
fn domain(host: &[u8]) -> &[u8] {
    let Some(end) = host.iter().rposition(|&b| b == b'.') else { return host };
    let start = host[..end].iter().rposition(|&b| b == b'.').map_or(0, |dot| dot + 1);
    &host[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uri_parts() {
        assert_eq!(uri_part(b"/a/b/c?x=1", false, 0, 0), b"/a/b/c");
        assert_eq!(uri_part(b"/a/b/c?x=1", true, 0, 0), b"/a/b/c?x=1");
        assert_eq!(uri_part(b"/a/b/c?x=1", true, 4, 0), b"/a/b");
        assert_eq!(uri_part(b"/a/b/c?x=1", false, 0, 1), b"/a");
        assert_eq!(uri_part(b"/a/b/c?x=1", false, 0, 2), b"/a/b");
        assert_eq!(uri_part(b"/a/b/c?x=1", false, 0, 9), b"/a/b/c");
    }

    #[test]
    fn paths_of_absolute_uris() {
        assert_eq!(path(b"http://h/a?b"), b"/a?b");
        assert_eq!(path(b"http://h"), b"");
        assert_eq!(path(b"*"), b"");
        assert_eq!(path(b"/x"), b"/x");
    }

    #[test]
    fn query_parameters() {
        assert_eq!(url_param(b"/?ab=1&b=2", b"b"), Some(&b"2"[..]));
        assert_eq!(url_param(b"/?b", b"b"), None);
        assert_eq!(url_param(b"/b=1", b"b"), None);
    }

    #[test]
    fn the_domain_of_a_host() {
        assert_eq!(domain(b"haproxy.1wt.eu"), b"1wt");
        assert_eq!(domain(b"1wt.eu"), b"1wt");
        assert_eq!(domain(b"localhost"), b"localhost");
    }
}
