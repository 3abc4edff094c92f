//! The `%` fields.

use crate::rules::captured::Captured;
use crate::rules::fetch::{line_parts, path_of, suite_name, tls_version, without_query};
use crate::rules::timing;
use crate::rules::txn::{Ctx, Txn};

use super::date;
use super::field::{Flags, LogStage, LogTag};
use super::text;

const ACCEPT: LogStage = LogStage::Accept;
const REQUEST: LogStage = LogStage::Request;
const CONNECT: LogStage = LogStage::Connect;
const RESPONSE: LogStage = LogStage::Response;
const END: LogStage = LogStage::End;

const BADREQ: &[u8] = b"<BADREQ>";

fn count(value: u32, out: &mut Vec<u8>) {
    text::int(i64::from(value), out);
}

/// Figures that still grow when the line is written early (`logasap`) get a `+`.
fn growing(ctx: Ctx<'_>, value: i64, out: &mut Vec<u8>) {
    if ctx.txn.log_early {
        out.push(b'+');
    }
    text::int(value, out);
}

/// The target of the request line; `<BADREQ>` without one.
fn target(txn: &Txn) -> &[u8] {
    line_parts(txn).1.unwrap_or(BADREQ)
}

fn method(ctx: Ctx<'_>, flags: Flags, out: &mut Vec<u8>) {
    let (method, rest, _) = line_parts(ctx.txn);
    text::uri(if rest.is_some() { method } else { BADREQ }, flags, out);
}

fn version(ctx: Ctx<'_>, flags: Flags, out: &mut Vec<u8>) {
    let (_, target, version) = line_parts(ctx.txn);
    let version = match (target, version) {
        (None, _) => BADREQ,
        (Some(_), None) => b"HTTP/0.9",
        (Some(_), Some(version)) => version,
    };
    text::uri(version, flags, out);
}

fn query(ctx: Ctx<'_>, flags: Flags, out: &mut Vec<u8>) {
    if ctx.txn.uri_line.is_empty() {
        return text::uri(BADREQ, flags, out);
    }
    let target = line_parts(ctx.txn).1.unwrap_or_default();
    let at = memchr::memchr(b'?', target).unwrap_or(target.len());
    text::uri(&target[at..], flags, out);
}

fn path_only(ctx: Ctx<'_>, flags: Flags, out: &mut Vec<u8>) {
    let path = match line_parts(ctx.txn).1 {
        None => BADREQ,
        Some(target) => path_of(target).map_or(&[][..], without_query),
    };
    text::uri(path, flags, out);
}

fn request_line(ctx: Ctx<'_>, flags: Flags, out: &mut Vec<u8>) {
    let line = &ctx.txn.uri_line;
    text::uri(if line.is_empty() { BADREQ } else { line }, flags, out);
}

/// `{a|b}`; nothing when there are no slots.
fn captures(slots: &Captured, flags: Flags, out: &mut Vec<u8>) {
    if slots.is_empty() {
        return;
    }
    text::quoted(flags, out, |out| {
        out.push(b'{');
        for (i, slot) in slots.iter().enumerate() {
            if i > 0 {
                out.push(b'|');
            }
            text::header_part(slot.unwrap_or_default(), flags, out);
        }
        out.push(b'}');
    });
}

/// One after another, as the Common Log Format has them.
fn capture_list(slots: &Captured, flags: Flags, out: &mut Vec<u8>) {
    for (i, slot) in slots.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        match slot {
            None if !flags.contains(Flags::QUOTE) => out.push(b'-'),
            slot => text::quoted(flags, out, |out| {
                text::header_part(slot.unwrap_or_default(), flags, out);
            }),
        }
    }
}

/// Letters of the termination state; before the end there is nothing to say.
fn termination(ctx: Ctx<'_>, letters: usize, out: &mut Vec<u8>) {
    out.extend(ctx.txn.termination.iter().take(letters).map(|c| if *c == 0 { b'-' } else { *c }));
}

fn status(ctx: Ctx<'_>, _: Flags, out: &mut Vec<u8>) {
    let status = i64::from(ctx.txn.status);
    let none = if ctx.txn.is_malformed { 0 } else { -1 };
    text::int(if status == 0 { none } else { status }, out);
}

fn retries(ctx: Ctx<'_>, _: Flags, out: &mut Vec<u8>) {
    if ctx.txn.redispatched {
        out.push(b'+');
    }
    count(ctx.txn.retries, out);
}

const fn tag(
    name: &'static str,
    doc: &'static str,
    example: &'static str,
    stage: LogStage,
    run: super::field::TagFn,
) -> LogTag {
    LogTag::new(name, doc, example, stage, run)
}

/// Every field, without the percent sign.
#[rustfmt::skip]
pub static LOG_TAGS: &[LogTag] = &[
    tag("T", "When the connection was accepted, in UTC.", "%T", ACCEPT, |c, _, o| date::with_zone(c.txn.accept_date_us, false, o)),
    tag("Tl", "When the connection was accepted, in local time.", "%Tl", ACCEPT, |c, _, o| date::with_zone(c.txn.accept_date_us, true, o)),
    tag("Ts", "When the connection was accepted, in seconds since the epoch.", "%Ts", ACCEPT, |c, f, o| text::int_or_hex(c.txn.accept_date_us / 1_000_000, 4, f, o)),
    tag("t", "When the connection was accepted, in local time with milliseconds.", "%t", ACCEPT, |c, _, o| date::with_millis(c.txn.accept_date_us, o)),
    tag("ms", "The milliseconds of the moment the connection was accepted.", "%ms", ACCEPT, |c, f, o| {
        if f.contains(Flags::HEX) { text::int_or_hex(c.txn.accept_date_us / 1000 % 1000, 2, f, o) } else { date::millis(c.txn.accept_date_us, o) }
    }),
    tag("sslc", "The client connection's cipher suite.", "%sslc", ACCEPT, |c, f, o| {
        let name = c.env.client_tls().and_then(|tls| tls.look(suite_name)?);
        text::plain(name.unwrap_or_default().as_bytes(), f, o)
    }),
    tag("sslv", "The version of TLS that the client speaks.", "%sslv", ACCEPT, |c, f, o| {
        let name = c.env.client_tls().and_then(|tls| tls.look(tls_version)?);
        text::plain(name.unwrap_or_default().as_bytes(), f, o)
    }),
    tag("tr", "When the request began, in local time with milliseconds.", "%tr", ACCEPT, |c, _, o| date::with_millis(c.txn.request_date_us, o)).http(),
    tag("trg", "When the request began, in UTC.", "%trg", ACCEPT, |c, _, o| date::with_zone(c.txn.request_date_us, false, o)).http(),
    tag("trl", "When the request began, in local time.", "%trl", ACCEPT, |c, _, o| date::with_zone(c.txn.request_date_us, true, o)).http(),
    tag("Ta", "Milliseconds from the request's first byte to the end.", "%Ta", END, |c, _, o| growing(c, timing::active(&c.txn.timers, c.env.now_ns()), o)).http(),
    tag("Tc", "Milliseconds to connect to the server.", "%Tc", END, |c, _, o| text::int(timing::connect(&c.txn.timers), o)),
    tag("Td", "Milliseconds of transfer behind the response's head.", "%Td", END, |c, _, o| growing(c, timing::data(&c.txn.timers, c.env.now_ns()), o)),
    tag("Th", "Milliseconds of handshakes (TLS, PROXY protocol).", "%Th", END, |c, _, o| text::int((c.txn.timers.handshake / 1_000_000) as i64, o)),
    tag("Ti", "Idle milliseconds before the request.", "%Ti", END, |c, _, o| text::int(timing::idle(&c.txn.timers), o)).http(),
    tag("Tq", "Th + Ti + TR.", "%Tq", END, |c, _, o| text::int(timing::tq(&c.txn.timers), o)).http(),
    tag("TR", "Milliseconds to receive the request's head.", "%TR", END, |c, _, o| text::int(timing::head(&c.txn.timers), o)).http(),
    tag("Tr", "Milliseconds that the server took to answer.", "%Tr", END, |c, _, o| text::int(timing::response(&c.txn.timers), o)).http(),
    tag("Tt", "Milliseconds since the connection was accepted.", "%Tt", END, |c, _, o| growing(c, timing::total(&c.txn.timers, c.env.now_ns()), o)),
    tag("Tu", "Milliseconds as the user saw them: Tt - Ti.", "%Tu", END, |c, _, o| growing(c, timing::user(&c.txn.timers, c.env.now_ns()), o)),
    tag("Tw", "Milliseconds in the queue.", "%Tw", END, |c, _, o| text::int(timing::queue(&c.txn.timers), o)),
    tag("B", "Bytes towards the client.", "%B", END, |c, _, o| growing(c, c.txn.bytes_out as i64, o)),
    tag("U", "Bytes from the client.", "%U", END, |c, _, o| text::int(c.txn.bytes_in as i64, o)),
    tag("CC", "The captured cookie of the request.", "%CC", REQUEST, |c, f, o| text::plain(c.txn.req_cookie.as_deref().unwrap_or_default(), f, o)).http(),
    tag("CS", "The captured cookie of the response.", "%CS", RESPONSE, |c, f, o| text::plain(c.txn.res_cookie.as_deref().unwrap_or_default(), f, o)).http(),
    tag("H", "This machine's host name.", "%H", ACCEPT, |c, f, o| text::plain(c.env.hostname().as_bytes(), f, o)),
    tag("HM", "The request's method.", "%HM", REQUEST, method).http(),
    tag("HP", "The target without its query.", "%HP", REQUEST, |c, f, o| text::uri(without_query(target(c.txn)), f, o)).http(),
    tag("HPO", "The path alone.", "%HPO", REQUEST, path_only).http(),
    tag("HQ", "The query with its question mark.", "%HQ", REQUEST, query).http(),
    tag("HU", "The target.", "%HU", REQUEST, |c, f, o| text::uri(target(c.txn), f, o)).http(),
    tag("HV", "The request's version, as HTTP/1.1.", "%HV", REQUEST, version).http(),
    tag("ID", "The unique id.", "%ID", END, |c, f, o| text::plain(c.txn.unique_id.as_deref().unwrap_or_default(), f, o)),
    tag("ST", "The status.", "%ST", RESPONSE, status),
    tag("ac", "Connections of the process.", "%ac", END, |c, _, o| count(c.txn.actconn, o)),
    tag("b", "The backend's name.", "%b", ACCEPT, |c, f, o| text::plain(c.env.backend_name().as_bytes(), f, o)),
    tag("bc", "Sessions of the backend.", "%bc", END, |c, _, o| count(c.txn.beconn, o)),
    tag("bi", "Our address on the server's connection.", "%bi", CONNECT, |c, f, o| text::address(c.txn.server_local, f, o)),
    tag("bp", "Our port on the server's connection.", "%bp", CONNECT, |c, f, o| text::port(c.txn.server_local, 0, f, o)),
    tag("bq", "How many waited before this in the backend's queue.", "%bq", END, |c, _, o| count(c.txn.backend_queue, o)),
    tag("ci", "The client's address.", "%ci", ACCEPT, |c, f, o| text::address(c.txn.client, f, o)),
    tag("cp", "The client's port.", "%cp", ACCEPT, |c, f, o| text::port(c.txn.client, c.env.ids().3, f, o)),
    tag("f", "The frontend's name.", "%f", ACCEPT, |c, f, o| text::plain(c.env.frontend_name().as_bytes(), f, o)),
    tag("fc", "Sessions of the frontend.", "%fc", END, |c, _, o| count(c.txn.feconn, o)),
    tag("fi", "The address the client connected to.", "%fi", ACCEPT, |c, f, o| text::address(c.txn.local, f, o)),
    tag("fp", "The port the client connected to.", "%fp", ACCEPT, |c, f, o| text::port(c.txn.local, c.env.ids().3, f, o)),
    tag("ft", "The frontend's name, with ~ behind it for TLS.", "%ft", ACCEPT, |c, f, o| text::quoted(f, o, |o| {
        o.extend_from_slice(c.env.frontend_name().as_bytes());
        o.extend_from_slice(if c.env.client_tls().is_some() { b"~" } else { b"" });
    })),
    tag("hr", "The captured request headers as {a|b}.", "%hr", REQUEST, |c, f, o| captures(&c.txn.req_captures, f, o)),
    tag("hrl", "The captured request headers, one after another.", "%hrl", REQUEST, |c, f, o| capture_list(&c.txn.req_captures, f, o)),
    tag("hs", "The captured response headers as {a|b}.", "%hs", RESPONSE, |c, f, o| captures(&c.txn.res_captures, f, o)),
    tag("hsl", "The captured response headers, one after another.", "%hsl", RESPONSE, |c, f, o| capture_list(&c.txn.res_captures, f, o)),
    tag("lc", "The number of this line in its frontend's log.", "%lc", ACCEPT, |c, f, o| text::int_or_hex(c.txn.log_no, 4, f, o)),
    tag("pid", "The number of the process.", "%pid", ACCEPT, |c, f, o| text::int_or_hex(u64::from(c.env.pid()), 4, f, o)),
    tag("r", "The request line.", "%r", REQUEST, request_line).http(),
    tag("rc", "How often connecting was tried again; + for another server.", "%rc", END, retries),
    tag("rt", "The number of the transaction in the process.", "%rt", REQUEST, |c, f, o| text::int_or_hex(c.txn.request_no & 0xffff_ffff, 4, f, o)),
    tag("s", "The server's name.", "%s", CONNECT, |c, f, o| text::plain(c.env.server_name().or(c.txn.service).unwrap_or("<NOSRV>").as_bytes(), f, o)),
    tag("sc", "Sessions of the server.", "%sc", END, |c, _, o| count(c.txn.srvconn, o)),
    tag("si", "The server's address.", "%si", CONNECT, |c, f, o| text::address(c.txn.server_remote, f, o)),
    tag("sp", "The server's port.", "%sp", CONNECT, |c, f, o| text::port(c.txn.server_remote, 0, f, o)),
    tag("sq", "How many waited before this in the server's queue.", "%sq", END, |c, _, o| count(c.txn.server_queue, o)),
    tag("ts", "The two letters of the termination state.", "%ts", END, |c, _, o| termination(c, 2, o)),
    tag("tsc", "The four letters of the termination state, cookies included.", "%tsc", ACCEPT, |c, _, o| termination(c, 4, o)),
];
