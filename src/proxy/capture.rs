//! What is kept of a request and its response for logs and rules: the request line, `capture`d fields and cookies.

use crate::http::Version;
use crate::rules::Txn;

use super::persist;
use super::stream::Stream;

impl Stream<'_> {
    /// Method, target and version as received, for logs and `capture.req.*`.
    pub(super) fn keep_uri_line(&mut self) {
        let most = self.route.config.global.tune.http_logurilen.saturating_sub(1);
        let Txn { req, uri_line, .. } = &mut *self.txn;
        uri_line.clear();
        let line = req.bytes(req.start_line);
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if req.version == Version::Http2 {
            for part in [req.method_bytes(), b" ", &req.whole_target(), b" HTTP/2.0"] {
                uri_line.extend_from_slice(part);
            }
        } else if line.is_empty() {
            // A target that was brought into its normal form: the line is not there as it was received.
            let version: &[u8] = if req.version == Version::Http10 { b" HTTP/1.0" } else { b" HTTP/1.1" };
            for part in [req.method_bytes(), b" ", req.target_bytes(), version] {
                uri_line.extend_from_slice(part);
            }
        } else {
            uri_line.extend_from_slice(&line[..line.len().min(most)]);
        }
        uri_line.truncate(most);
    }

    pub(super) fn capture_request(&mut self) {
        let Some(front) = self.route.front.front.as_ref() else { return };
        if let Some(wanted) = &front.cookie_capture {
            self.txn.req_cookie = persist::captured(&self.txn.req, b"cookie", wanted);
        }
        if front.req_captures.is_empty() && front.res_captures.is_empty() {
            return;
        }
        let Txn { req, req_captures, res_captures, .. } = &mut *self.txn;
        req_captures.clear();
        res_captures.clear();
        for wanted in &front.req_captures {
            let value = wanted.name.as_deref().and_then(|name| req.values(name).last());
            req_captures.push(cut(value, wanted.len));
        }
        front.res_captures.iter().for_each(|_| res_captures.push(None));
    }

    pub(super) fn capture_response(&mut self) {
        let Some(front) = self.route.front.front.as_ref() else { return };
        if let Some(wanted) = &front.cookie_capture {
            self.txn.res_cookie = persist::captured(&self.txn.res, b"set-cookie", wanted);
        }
        let Txn { res, res_captures, .. } = &mut *self.txn;
        for (slot, wanted) in front.res_captures.iter().enumerate().take(res_captures.len()) {
            if let Some(name) = wanted.name.as_deref() {
                res_captures.set(slot, cut(res.values(name).last(), wanted.len));
            }
        }
    }
}

/// At most `len` bytes.
fn cut(value: Option<&[u8]>, len: usize) -> Option<&[u8]> {
    value.map(|v| &v[..v.len().min(len)])
}
