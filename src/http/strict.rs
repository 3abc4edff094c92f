//! The rules that keep a message from being read in two ways: framing, options of the connection, target and Host.
//! RFC 9110, RFC 9112; where they leave a choice, what HAProxy 3.4 does.

use super::bad::Reason;
use super::head::{Method, Seen};
use super::list::Elements;
use super::token::is_blank;
use super::uri::{self, Form, Target};

/// A fault and whether `accept-unsafe-violations` hides it.
pub(super) type Fault = (Reason, bool);

/// The options of a `Connection` value (RFC 9110 section 7.6.1).
pub(super) fn connection_options(value: &[u8]) -> Seen {
    let mut seen = Seen::HOP;
    for option in Elements::of(value) {
        seen |= match option {
            b"" => Seen::empty(),
            o if o.eq_ignore_ascii_case(b"keep-alive") => Seen::KEEP_ALIVE,
            o if o.eq_ignore_ascii_case(b"close") => Seen::CLOSE,
            o if o.eq_ignore_ascii_case(b"upgrade") => Seen::UPGRADE_OPTION,
            o if o.eq_ignore_ascii_case(b"te") => Seen::TE_OPTION,
            _ => Seen::OTHER_OPTION,
        };
    }
    seen
}

/// HTTP/2 is not reached by an upgrade any more (RFC 9113 section 3.1), so its names are never passed on.
pub(super) fn is_h2_protocol(protocol: &[u8]) -> bool {
    protocol.eq_ignore_ascii_case(b"h2c") || protocol.eq_ignore_ascii_case(b"h2")
}

pub(super) fn upgrade_protocols(value: &[u8]) -> Seen {
    let mut seen = Seen::HOP;
    for protocol in Elements::of(value) {
        seen |= match protocol {
            b"" => Seen::empty(),
            p if is_h2_protocol(p) => Seen::UPGRADE_H2,
            p if p.eq_ignore_ascii_case(b"websocket") => Seen::UPGRADE | Seen::WEBSOCKET,
            _ => Seen::UPGRADE,
        };
    }
    seen
}

/// `TE` may be passed on as `trailers` and nothing else.
pub(super) fn accepts_trailers(value: &[u8]) -> bool {
    Elements::of(value).any(|e| e.eq_ignore_ascii_case(b"trailers"))
}

/// The length and the place of its digits in the value. A list of equal numbers counts as one (RFC 9110 section 8.6);
/// signs, blanks between digits, empty elements and more than 64 bits are refused.
pub(super) fn content_length(value: &[u8]) -> Option<(u64, std::ops::Range<usize>)> {
    let mut found: Option<(u64, std::ops::Range<usize>)> = None;
    let mut at = 0;
    loop {
        while value.get(at).copied().is_some_and(is_blank) {
            at += 1;
        }
        let mut start = at;
        let mut length = 0u64;
        while let Some(digit @ b'0'..=b'9') = value.get(at) {
            if length == 0 {
                start = at;
            }
            length = length.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            at += 1;
        }
        if at == start || found.as_ref().is_some_and(|(n, _)| *n != length) {
            return None;
        }
        found = Some((length, start..at));
        while value.get(at).copied().is_some_and(is_blank) {
            at += 1;
        }
        match value.get(at) {
            None => return found,
            Some(b',') => at += 1,
            Some(_) => return None,
        }
    }
}

/// Adds the codings of one `Transfer-Encoding` value to what was seen before it (RFC 9112 section 6.1).
pub(super) fn transfer_codings(value: &[u8], seen: &mut Seen, is_response: bool) -> Result<(), Fault> {
    seen.insert(Seen::TRANSFER_ENCODING);
    let mut fault = Ok(());
    for coding in Elements::of(value) {
        if coding.is_empty() {
            fault = Err((Reason::TransferEncoding, is_response));
        } else if coding.eq_ignore_ascii_case(b"chunked") {
            if seen.contains(Seen::CHUNKED) {
                fault = Err((Reason::TransferEncoding, is_response));
            }
            seen.insert(Seen::CHUNKED);
        } else {
            if !is_response && seen.contains(Seen::CHUNKED) {
                return Err((Reason::TransferEncoding, false));
            }
            seen.insert(Seen::CODING);
        }
    }
    fault
}

/// What the target and `Host` demand of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TargetVerdict {
    Fine,
    /// Refused; the flag says that `Host` is to blame and not the target.
    Bad(Reason, bool),
    /// A fault that `accept-unsafe-violations` hides.
    Unsafe(Reason, bool),
}

/// The form must fit the method, and what `Host` says must not contradict the target (RFC 9112 section 3.2).
pub(super) fn check_target(
    method: Method,
    target: &Target<'_>,
    whole: &[u8],
    host: Option<&[u8]>,
) -> TargetVerdict {
    let form = TargetVerdict::Bad(Reason::TargetForm, false);
    match target.form {
        Form::Origin if method != Method::Connect => TargetVerdict::Fine,
        Form::Asterisk if matches!(method, Method::Options | Method::Other) && whole == b"*" => {
            TargetVerdict::Fine
        }
        Form::Origin | Form::Asterisk | Form::Empty => form,
        Form::Absolute if method == Method::Connect => form,
        Form::Authority if method != Method::Connect => form,
        _ if !uri::is_authority(target.authority) => TargetVerdict::Unsafe(Reason::Authority, false),
        Form::Authority => check_connect(target.authority, host),
        Form::Absolute => match host {
            Some(host) if !uri::same_place(target.scheme, target.authority, host) => {
                TargetVerdict::Unsafe(Reason::HostMismatch, true)
            }
            _ => TargetVerdict::Fine,
        },
    }
}

/// CONNECT needs a port in its target (RFC 9110 section 9.3.6), and the same one in `Host` unless it is implied.
fn check_connect(authority: &[u8], host: Option<&[u8]>) -> TargetVerdict {
    let (name, port) = uri::host_and_port(authority);
    let Some(port) = port.filter(|p| !p.is_empty()) else {
        return TargetVerdict::Unsafe(Reason::TargetForm, false);
    };
    let Some(host) = host else { return TargetVerdict::Fine };
    let (host_name, host_port) = uri::host_and_port(host);
    let same_port = match host_port.filter(|p| !p.is_empty()) {
        Some(p) => p == port,
        None => uri::is_default_port(b"", port),
    };
    if same_port && host_name.eq_ignore_ascii_case(name) {
        TargetVerdict::Fine
    } else {
        TargetVerdict::Unsafe(Reason::HostMismatch, true)
    }
}
