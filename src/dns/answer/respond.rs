//! From a datagram to its answer: what EDNS asks for, what is refused, and who answers the rest.

use std::net::IpAddr;

use super::ask::Ask;
use super::authority::Run;
use super::state::{Settings, State, UDP_MOST};
use crate::dns::cookie::{self, Judged};
use crate::dns::message::{Full, Owner, QUESTION, Section, Writer, answer_flags};
use crate::dns::wire::{
    CLASS_CH, CLASS_IN, Edns, HEADER, Query, Question, Subnet, Unreadable, ede, flag, option, rcode, rtype,
};

/// An answer was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub len: usize,
    pub rcode: u16,
    /// The client showed a cookie of ours: it is no forger.
    pub known_client: bool,
    pub truncated: bool,
    /// A record whose data comes from the region map: its number, and the region that came first.
    pub chosen: Option<(u32, u16)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is to be sent.
    Silent,
    Sent(Sent),
    /// Not our name, and the client may ask for such.
    Forward,
    /// It is signed: to be judged, and asked again without the signature, which begins here.
    Signed(usize),
    /// The whole zone is asked for, over a stream, by who may have it.
    Transfer,
}

/// What is known of an answer before its records.
#[derive(Default)]
pub(super) struct Extra {
    pub(super) cookie: Option<Judged>,
    pub(super) ede: Option<u16>,
    pub(super) scope: u8,
}

/// Answers a query. `out` holds at least 512 octets, 65,535 for a stream.
pub fn respond(state: &State, packet: &[u8], ask: &Ask, out: &mut [u8]) -> Outcome {
    let mut query = Query::of(packet);
    let read = query.read();
    respond_to(state, &query, read, ask, out)
}

/// The same, to a query that was read; `read` is how that went.
pub fn respond_to(
    state: &State,
    query: &Query<'_>,
    read: Result<(), Unreadable>,
    ask: &Ask,
    out: &mut [u8],
) -> Outcome {
    let packet = query.packet;
    let mut extra = Extra::default();
    let faulty = match read {
        Err(Unreadable::Silent) => return Outcome::Silent,
        Err(Unreadable::Answer(code)) => Some(code),
        Ok(()) => None,
    };
    if let (None, Some(at)) = (faulty, query.tsig_at) {
        return Outcome::Signed(at);
    }
    // Of a message that could not be read to its end, EDNS is echoed without options.
    let edns = query.edns.map(|edns| if faulty.is_some() { bare(&edns) } else { edns });
    let limit = limit(edns.as_ref(), ask).min(out.len());
    if let Some(own) = edns.and_then(|edns| edns.cookie) {
        extra.cookie = Some(cookie::judge(&state.settings.secret, own, ask.client, ask.now_s));
    }
    let mut writer = Writer::new(out, limit);
    writer.set_limit(limit.saturating_sub(room_of_opt(&state.settings, edns.as_ref())));
    let known = extra.cookie.is_some_and(|judged| judged.is_valid);
    let mut sent = Sent { known_client: known, ..Sent::default() };
    let question = query.question.as_ref();
    // Unknown operations have no question that we could understand.
    let echoed = question.filter(|_| query.opcode() == 0);
    if let Some(question) = echoed
        && writer.question(&packet[HEADER..question.end]).is_err()
    {
        return Outcome::Silent;
    }
    let (code, flags) = match (faulty, edns) {
        (Some(code), _) => (code, 0),
        (None, Some(edns)) if edns.version > 0 => (rcode::BADVERS, 0),
        (None, _) => match question {
            None => (rcode::NOERROR, 0),
            Some(question) => {
                match content(state, query, question, ask, &mut writer, &mut extra, &mut sent) {
                    Done::Code(code, flags) => (code, flags),
                    Done::Forward => return Outcome::Forward,
                    Done::Transfer => return Outcome::Transfer,
                }
            }
        },
    };
    sent.rcode = code;
    sent.truncated = flags & flag::TC != 0;
    let recursion = if ask.recursion { flag::RA } else { 0 };
    let flags = answer_flags(query.flags, code) | flags | recursion;
    if let Some(edns) = &edns {
        writer.set_limit(limit);
        // Room for it was kept.
        let _ = opt(&mut writer, &state.settings, edns, code, &extra);
    }
    sent.len = writer.finish(query.id, flags, echoed.is_some());
    Outcome::Sent(sent)
}

enum Done {
    /// A code and flags beside those every answer has.
    Code(u16, u16),
    Forward,
    Transfer,
}

fn may_transfer(state: &State, question: &Question, ask: &Ask) -> bool {
    state.zones.zone(question.name.as_wire()).is_some() && state.settings.may_transfer(ask.client, ask.key)
}

/// That there is more than fits into a datagram (RFC 1995, 2).
fn only_soa(state: &State, question: &Question, writer: &mut Writer<'_>) -> Done {
    let zone = state.zones.zone(question.name.as_wire());
    let Some(soa) = zone.and_then(|zone| zone.soa()) else { return Done::Code(rcode::SERVFAIL, 0) };
    let mut records = soa.iter();
    let put =
        records.try_for_each(|rdata| writer.record(Section::Answer, QUESTION, soa.rtype, soa.ttl, rdata));
    done(put.map(|()| rcode::NOERROR), question, writer)
}

/// Writes the records of an answer.
fn content(
    state: &State,
    query: &Query<'_>,
    question: &Question,
    ask: &Ask,
    writer: &mut Writer<'_>,
    extra: &mut Extra,
    sent: &mut Sent,
) -> Done {
    let refused = |extra: &mut Extra, why| {
        extra.ede = Some(why);
        Done::Code(rcode::REFUSED, 0)
    };
    match question.class {
        CLASS_IN => {}
        CLASS_CH => return chaos(state, question, writer),
        _ => return refused(extra, ede::NOT_SUPPORTED),
    }
    match question.qtype {
        // Without a history, what changed is all there is (RFC 1995, 4).
        rtype::AXFR | rtype::IXFR if ask.stream && may_transfer(state, question, ask) => {
            return Done::Transfer;
        }
        rtype::IXFR if may_transfer(state, question, ask) => return only_soa(state, question, writer),
        rtype::AXFR | rtype::IXFR => return refused(extra, ede::NOT_SUPPORTED),
        // Types of records that are no records (RFC 6895, 3.1), but for ANY.
        0 | rtype::OPT | 249..=254 => return Done::Code(rcode::FORMERR, 0),
        _ => {}
    }
    let Some(zone) = state.zones.find(&question.name) else {
        let hosts = &state.settings.hosts;
        if let Some(result) = (!hosts.is_empty()).then(|| hosts.answer(question, writer)).flatten() {
            return done(result, question, writer);
        }
        let of_catalog = state.catalog.as_ref().and_then(|catalog| catalog.answer(question, ask, writer));
        if let Some(result) = of_catalog {
            return done(result, question, writer);
        }
        if ask.recursion && query.has(flag::RD) {
            return Done::Forward;
        }
        return refused(extra, if query.has(flag::RD) { ede::PROHIBITED } else { ede::NOT_AUTHORITATIVE });
    };
    let subnet = query.edns.and_then(|edns| edns.subnet).filter(|s| s.source > 0 && state.settings.ecs);
    let mut run = Run::new(state, ask, writer, subnet.map_or(ask.client, |s| s.address));
    match run.resolve(zone, question) {
        Ok(()) => {
            let (code, aa) = (run.code, run.authoritative);
            extra.scope = if subnet.is_some() && code == rcode::NOERROR { run.scope } else { 0 };
            sent.chosen = run.chosen;
            zone.answers.count(code);
            Done::Code(code, if aa { flag::AA } else { 0 })
        }
        Err(Full) => {
            let aa = run.authoritative;
            writer.truncate(question.end);
            Done::Code(rcode::NOERROR, flag::TC | if aa { flag::AA } else { 0 })
        }
    }
}

/// A code, or that it did not fit.
fn done(result: Result<u16, Full>, question: &Question, writer: &mut Writer<'_>) -> Done {
    match result {
        Ok(code) => Done::Code(code, flag::AA),
        Err(Full) => {
            writer.truncate(question.end);
            Done::Code(rcode::NOERROR, flag::TC | flag::AA)
        }
    }
}

/// What a server says of itself (RFC 4892): its name where it has one, and no version.
fn chaos(state: &State, question: &Question, writer: &mut Writer<'_>) -> Done {
    let is_asked = matches!(question.name.as_wire(), b"\x02id\x06server\0" | b"\x08hostname\x04bind\0");
    let (Some(nsid), true, rtype::TXT) = (&state.settings.nsid, is_asked, question.qtype) else {
        return Done::Code(rcode::REFUSED, 0);
    };
    let size = nsid.len().min(255);
    let mut rdata = [0; 256];
    rdata[0] = size as u8;
    rdata[1..=size].copy_from_slice(&nsid[..size]);
    let owner: Owner = QUESTION;
    match writer.record_in(CLASS_CH, Section::Answer, owner, rtype::TXT, 0, &rdata[..=size]) {
        Ok(()) => Done::Code(rcode::NOERROR, flag::AA),
        Err(Full) => Done::Code(rcode::NOERROR, flag::TC),
    }
}

fn bare<'p>(edns: &Edns<'_>) -> Edns<'p> {
    Edns { udp_size: edns.udp_size, dnssec_ok: edns.dnssec_ok, ..Edns::default() }
}

/// How long the answer may be.
pub(super) fn limit(edns: Option<&Edns<'_>>, ask: &Ask) -> usize {
    match edns {
        _ if ask.stream => usize::from(u16::MAX),
        Some(edns) => usize::from(edns.udp_size.clamp(512, UDP_MOST)),
        None => 512,
    }
}

const OPT_FIXED: usize = 11;
const OPTION_HEAD: usize = 4;

pub(super) fn room_of_opt(settings: &Settings, edns: Option<&Edns<'_>>) -> usize {
    let Some(edns) = edns else { return 0 };
    let nsid = settings.nsid.as_ref().filter(|_| edns.nsid).map_or(0, |nsid| OPTION_HEAD + nsid.len());
    let cookie = edns.cookie.map_or(0, |_| OPTION_HEAD + cookie::WHOLE);
    let subnet = if edns.subnet.is_some() || edns.no_family { OPTION_HEAD + 4 + 16 } else { 0 };
    let ede = OPTION_HEAD + 2;
    OPT_FIXED + nsid + cookie + subnet + ede
}

/// Writes the OPT record of an answer.
pub(super) fn opt(
    writer: &mut Writer<'_>,
    settings: &Settings,
    edns: &Edns<'_>,
    code: u16,
    extra: &Extra,
) -> Result<(), Full> {
    writer.opt(UDP_MOST, (code >> 4) as u8, edns.dnssec_ok, |w| {
        if edns.version > 0 {
            return Ok(());
        }
        if let Some(nsid) = settings.nsid.as_ref().filter(|_| edns.nsid) {
            w.option(option::NSID, nsid)?;
        }
        if let Some(judged) = &extra.cookie {
            w.option(option::COOKIE, &judged.answer)?;
        }
        if let Some(subnet) = &edns.subnet {
            write_subnet(w, subnet, extra.scope)?;
        } else if edns.no_family {
            w.option(option::ECS, &[0; 4])?;
        }
        if let Some(why) = extra.ede {
            w.option(option::EDE, &why.to_be_bytes())?;
        }
        Ok(())
    })
}

/// Family, source and address exactly as they came, and the scope (RFC 7871, 7.2.1).
fn write_subnet(writer: &mut Writer<'_>, subnet: &Subnet, scope: u8) -> Result<(), Full> {
    let size = usize::from(subnet.source).div_ceil(8);
    let mut value = [0; 20];
    match subnet.address {
        IpAddr::V4(ip) => {
            value[1] = 1;
            value[4..8].copy_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            value[1] = 2;
            value[4..].copy_from_slice(&ip.octets());
        }
    }
    (value[2], value[3]) = (subnet.source, scope);
    writer.option(option::ECS, &value[..4 + size])
}
