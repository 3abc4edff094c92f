//! A head to fields (RFC 9113 sections 8.2.2, 8.3): what is of one hop stays behind, names become lower case.

use super::super::head::{BodyLen, FieldKind, Head, Method, Seen, Version};
use super::super::hpack::Encoder;
use super::super::uri::Form;

/// How a response answers an extended CONNECT, or no such request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    Request,
    WebSocket,
}

/// A response as a header block.
pub(super) fn response(head: &Head, answers: Answers, encoder: &mut Encoder, out: &mut Vec<u8>) {
    let status = match (answers, head.status) {
        (Answers::WebSocket, 101) => 200,
        // Success would say that the WebSocket is open (RFC 8441 section 5).
        (Answers::WebSocket, 200..=299) => 502,
        (_, status) => status,
    };
    encoder.begin(out);
    encoder.status(status, out);
    let skips_key = answers == Answers::WebSocket;
    fields(head, encoder, out, |name| skips_key && name.eq_ignore_ascii_case(b"sec-websocket-accept"));
}

/// A request as a header block. `scheme`: of the connection that it came by, where its target names none.
pub(super) fn request(head: &Head, scheme: &[u8], encoder: &mut Encoder, out: &mut Vec<u8>) {
    let target = head.target_parts();
    let is_websocket = head.is_websocket();
    let host = head.host().unwrap_or_default();
    encoder.begin(out);
    encoder.field(b":method", if is_websocket { b"CONNECT" } else { head.method_bytes() }, out);
    if head.method == Method::Connect {
        encoder.field(b":authority", head.target_bytes(), out);
        return fields(head, encoder, out, |_| false);
    }
    if is_websocket {
        encoder.field(b":protocol", b"websocket", out);
    }
    let (scheme, authority) = match target.form {
        Form::Absolute => (target.scheme, target.authority),
        // Of a client that speaks HTTP/2 as well it goes on as it came.
        _ if head.version == Version::Http2 => (head.scheme(), host),
        _ => (scheme, host),
    };
    encoder.field(b":scheme", scheme, out);
    if !authority.is_empty() {
        encoder.field(b":authority", authority, out);
    }
    let path = match (target.form, target.path_and_query) {
        (Form::Asterisk, _) => b"*",
        (_, b"") if head.method == Method::Options => b"*",
        (_, b"") => b"/",
        (_, path) => path,
    };
    encoder.field(b":path", path, out);
    fields(head, encoder, out, |name| is_websocket && name.eq_ignore_ascii_case(b"sec-websocket-key"));
}

/// The fields that go on. `Host` does as `:authority`, unless there is a response to write.
fn fields(head: &Head, encoder: &mut Encoder, out: &mut Vec<u8>, skips: impl Fn(&[u8]) -> bool) {
    let reframed = head.seen.contains(Seen::FRAMING_EDITED);
    let filtered = head.seen.contains(Seen::OTHER_OPTION);
    for field in &head.fields {
        let name = head.bytes(field.name);
        match field.kind {
            FieldKind::Connection
            | FieldKind::KeepAlive
            | FieldKind::ProxyConnection
            | FieldKind::Upgrade
            | FieldKind::TransferEncoding => continue,
            FieldKind::Host if !head.is_response => continue,
            FieldKind::ContentLength if reframed && head.body != BodyLen::None => continue,
            FieldKind::Te if !head.is_response => {
                if super::super::strict::accepts_trailers(head.bytes(field.value)) {
                    encoder.field(b"te", b"trailers", out);
                }
                continue;
            }
            FieldKind::Other if name.is_empty() || skips(name) => continue,
            FieldKind::Other if filtered && head.is_named_by_connection(field) => continue,
            _ => {}
        }
        encoder.field(name, head.bytes(field.value), out);
    }
    if let (true, BodyLen::Length(length)) = (reframed, head.body) {
        let mut digits = itoa::Buffer::new();
        encoder.field(b"content-length", digits.format(length).as_bytes(), out);
    }
}
