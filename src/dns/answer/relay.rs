//! Answers that others gave: put into the form that this client asked for.

use smallvec::SmallVec;

use super::ask::Ask;
use super::respond::{Sent, limit, opt, room_of_opt};
use super::state::Settings;
use crate::dns::cookie;
use crate::dns::message::Writer;
use crate::dns::wire::{HEADER, Query, flag, rcode, u16_at};

/// Octets of a name, and five more, that need no memory of their own.
const COMMON: usize = 72;

/// What is asked of upstream: the question, and by what an answer is remembered.
#[derive(Clone)]
pub struct Question {
    key: SmallVec<[u8; COMMON]>,
    /// CD.
    pub flags: u16,
    pub dnssec_ok: bool,
}

impl Question {
    /// `query`: one that could be read. `None`: it has no question.
    pub fn of(query: &Query<'_>) -> Option<Question> {
        let (packet, question) = (query.packet, query.question.as_ref()?);
        let dnssec_ok = query.edns.is_some_and(|edns| edns.dnssec_ok);
        let flags = query.flags & flag::CD;
        let name = question.name.as_wire();
        let mut key = SmallVec::from_slice(name);
        key.extend_from_slice(packet.get(question.end - 4..question.end)?);
        key.push(u8::from(dnssec_ok) | u8::from(flags != 0) << 1);
        Some(Question { key, flags, dnssec_ok })
    }

    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Name, type and class.
    pub fn wire(&self) -> &[u8] {
        &self.key[..self.key.len().saturating_sub(1)]
    }
}

/// Writes an answer: `from` writes that of another server, without OPT, and says how long it is; `None` when it does not
/// fit.
pub fn relay(
    settings: &Settings,
    query: &Query<'_>,
    ask: &Ask,
    out: &mut [u8],
    why: Option<u16>,
    from: impl FnOnce(&mut [u8]) -> Option<usize>,
) -> Option<Sent> {
    let packet = query.packet;
    let end = query.question.as_ref()?.end;
    let limit = limit(query.edns.as_ref(), ask).min(out.len());
    let room = limit.saturating_sub(room_of_opt(settings, query.edns.as_ref()));
    let size = from(&mut out[..room]).filter(|size| *size >= end);
    let mut flags = flag::QR | flag::RA | query.flags & (flag::RD | flag::CD);
    let code;
    match size {
        Some(_) => {
            let theirs = u16_at(out, 2)?;
            code = theirs & 15;
            // What was validated upstream is said to those who ask for it (RFC 6840, 5.7).
            let wants = query.has(flag::AD) || query.edns.is_some_and(|edns| edns.dnssec_ok);
            flags |= code | if wants { theirs & flag::AD } else { 0 };
        }
        None => {
            code = rcode::NOERROR;
            flags |= flag::TC;
            out[4..HEADER].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
        }
    }
    out[HEADER..end].copy_from_slice(packet.get(HEADER..end)?);
    finish(settings, query, ask, out, (size.unwrap_or(end), limit), (code, flags, why))
}

/// An answer without records: that none could be had.
pub fn fail(settings: &Settings, query: &Query<'_>, ask: &Ask, out: &mut [u8], why: u16) -> Option<Sent> {
    let packet = query.packet;
    let end = query.question.as_ref()?.end;
    let limit = limit(query.edns.as_ref(), ask).min(out.len());
    out[..HEADER].copy_from_slice(&[0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    out[HEADER..end].copy_from_slice(packet.get(HEADER..end)?);
    let flags = flag::QR | flag::RA | query.flags & (flag::RD | flag::CD) | rcode::SERVFAIL;
    finish(settings, query, ask, out, (end, limit), (rcode::SERVFAIL, flags, Some(why)))
}

fn finish(
    settings: &Settings,
    query: &Query<'_>,
    ask: &Ask,
    out: &mut [u8],
    (size, limit): (usize, usize),
    (code, flags, why): (u16, u16, Option<u16>),
) -> Option<Sent> {
    let judged = query.edns.and_then(|edns| edns.cookie);
    let judged = judged.map(|own| cookie::judge(&settings.secret, own, ask.client, ask.now_s));
    let mut writer = Writer::resume(out, size, limit);
    if let Some(edns) = &query.edns {
        let extra = super::respond::Extra { cookie: judged, ede: why, scope: 0 };
        let _ = opt(&mut writer, settings, edns, code, &extra);
    }
    let len = writer.finish(query.id, flags, true);
    let known_client = judged.is_some_and(|judged| judged.is_valid);
    Some(Sent { len, rcode: code, known_client, truncated: flags & flag::TC != 0, chosen: None })
}
