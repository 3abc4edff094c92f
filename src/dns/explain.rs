//! Why a client gets the answer that it gets: the answer itself, every region that might have been named, and what became of
//! it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::answer::{Ask, Outcome, Record, State, dynamic_of, respond};
use super::name::{self, QName};
use super::overview::overview;
use super::policy::{Client, Endpoint, Fate, RegionId, Standing, Trace, Wanted, pick};
use super::spec::Name;
use super::tally::Tally;
use super::wire::{HEADER, option, rcode, rtype, skip_name, u16_at, u32_at};
use super::zone::{ALIAS, Found};
use crate::base::{Live, clock};

/// The responders of this process, by name, for who asks why. Clones share them.
#[derive(Clone, Default)]
pub struct Responders(Arc<Mutex<Vec<Responder>>>);

/// One, by the name of its section.
#[derive(Clone)]
pub struct Responder {
    pub name: Name,
    pub state: Arc<Live<State>>,
    pub tally: Arc<Tally>,
}

impl Responders {
    pub fn put(&self, all: Vec<Responder>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = all;
    }

    fn all(&self) -> Vec<Responder> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What each of them answers.
    pub fn overview(&self) -> Vec<Value> {
        self.all().iter().map(|one| overview(&one.name, &one.state.load(), &one.tally)).collect()
    }

    /// What each of them that has the name would answer; an error says what was wrong with the question.
    pub fn explain(&self, name: &str, kind: &str, from: &str) -> Result<Value, String> {
        let wire =
            name::from_text(name.as_bytes(), Some(name::ROOT)).map_err(|e| format!("'{name}': {e}"))?;
        let qtype = type_of(kind).ok_or_else(|| format!("'{kind}' is no type of records"))?;
        let from = from.parse().map_err(|_| format!("'{from}' is no address"))?;
        let now_s = clock::wall().as_secs() as u32;
        let told = self.all().into_iter().filter_map(|one| {
            let mut told = explain(&one.state.load(), &wire.to_ascii_lowercase(), qtype, from, now_s)?;
            told["Responder"] = json!(&*one.name);
            told["Type"] = json!(kind.to_ascii_uppercase());
            Some(told)
        });
        Ok(Value::Array(told.collect()))
    }
}

/// Names that are followed to the one that decides.
const HOPS: usize = 8;

/// What became of regions, as it was told.
#[derive(Default)]
struct Told(Vec<(RegionId, Fate)>);

impl Trace for Told {
    fn fate(&mut self, region: RegionId, fate: Fate) {
        self.0.push((region, fate));
    }
}

/// The type that a word names: `A`, `srv`, `TYPE65`.
pub fn type_of(word: &str) -> Option<u16> {
    let word = word.to_ascii_uppercase();
    Some(match &*word {
        "A" => rtype::A,
        "AAAA" => rtype::AAAA,
        "SRV" => rtype::SRV,
        "CNAME" => rtype::CNAME,
        "MX" => rtype::MX,
        "NS" => rtype::NS,
        "PTR" => rtype::PTR,
        "SOA" => rtype::SOA,
        "TXT" => rtype::TXT,
        other => other.strip_prefix("TYPE")?.parse().ok()?,
    })
}

/// Explains what a client at this address would be answered now. `None`: none of our zones has the name.
pub fn explain(state: &State, name: &[u8], qtype: u16, from: IpAddr, now_s: u32) -> Option<Value> {
    let asked = QName::of(name)?;
    let zone = state.zones.find(&asked)?;
    let (code, scope, answers) = answered(state, name, qtype, from, now_s)?;
    let mut told = json!({
        "Name": name::to_text(name),
        "From": from,
        "Zone": name::to_text(zone.apex()),
        "Code": code_name(code),
        "Scope": scope,
        "Answers": answers,
    });
    if let Some((record, owner)) = deciding(state, asked, qtype) {
        told["Record"] = json!(name::to_text(owner));
        told["Service"] = json!(record.told.service);
        told["Policy"] = json!(record.told.policy);
        told["TTL"] = json!(record.ttl);
        let (regions, is_last_resort) = regions(state, record, qtype, from);
        told["Regions"] = json!(regions);
        told["LastResort"] = json!(is_last_resort);
    }
    Some(told)
}

/// The record of the map that decides, CNAME and alias followed.
fn deciding(state: &State, mut name: QName, qtype: u16) -> Option<(&Record, &[u8])> {
    for _ in 0..HOPS {
        let zone = state.zones.find(&name)?;
        let (Found::Node(node) | Found::Wildcard(node)) = zone.lookup(&name) else { return None };
        if let Some(id) = dynamic_of(zone, node, qtype) {
            return state.records.get(id as usize).map(|record| (record, &*record.owner));
        }
        let further = zone.set(node, rtype::CNAME).or_else(|| zone.set(node, ALIAS))?;
        name = further.iter().next().and_then(QName::of)?;
    }
    None
}

/// Each region that the order for this client has, in that order, and those that it does not have at the end.
fn regions(state: &State, record: &Record, qtype: u16, from: IpAddr) -> (Vec<Value>, bool) {
    let Some(view) = state.views.get(record.service) else { return (Vec::new(), false) };
    let fits = |e: &Endpoint| match qtype {
        rtype::A => e.v4.is_some(),
        rtype::AAAA => e.v6.is_some(),
        _ => e.port > 0,
    };
    let wanted = Wanted { fits: &fits, whole: qtype == rtype::SRV, most: usize::from(u16::MAX) };
    let (order, _) = record.preferences.order(from);
    let mut told = Told::default();
    let picked = pick(&record.policy, order, view, &Client::new(from, 0), &wanted, &mut told);
    let named = |region: RegionId| {
        view.in_region(region).is_some_and(|at| {
            let of = &view.regions[at];
            let all = || of.healthy.iter().chain(&of.unhealthy);
            picked.list.iter().any(|(chosen, _)| all().any(|e| std::ptr::eq(e, *chosen)))
        })
    };
    let line = |region: RegionId, rank: Option<u16>| {
        let of = view.in_region(region).map(|at| &view.regions[at]);
        let fates: Vec<Fate> = told.0.iter().filter(|(id, _)| *id == region).map(|(_, fate)| *fate).collect();
        json!({
            "Region": state.region_name(region),
            "Rank": rank,
            "Healthy": of.map_or(0, |of| of.healthy.len()),
            "Unhealthy": of.map_or(0, |of| of.unhealthy.len()),
            "Load": of.map_or(0.0, |of| of.load),
            "Named": named(region),
            "Why": why(&fates, of.is_some(), rank.is_some(), named(region)),
        })
    };
    let ranked = order.iter().map(|ranked| line(ranked.region, Some(ranked.rank)));
    let others = view.regions.iter().map(|of| of.region);
    let others = others.filter(|id| !order.iter().any(|ranked| ranked.region == *id));
    (ranked.chain(others.map(|id| line(id, None))).collect(), picked.is_last_resort)
}

fn why(fates: &[Fate], is_there: bool, is_ranked: bool, named: bool) -> String {
    if !is_ranked {
        return "the policy does not list it".to_owned();
    }
    if !is_there {
        return "has no instance".to_owned();
    }
    for fate in fates {
        match fate {
            Fate::Unhealthy if named => return "nobody is healthy anywhere: the last resort".to_owned(),
            Fate::Unhealthy => return "has no healthy instance".to_owned(),
            Fate::StandsBack(Standing::Passive) => return "passive, and an active region can".to_owned(),
            Fate::StandsBack(_) => return "drained, and another region can".to_owned(),
            Fate::Shed(load) => return format!("sheds this client: {:.0}% of its capacity", load * 100.0),
            Fate::Candidate(_) => {}
        }
    }
    if named { "chosen".to_owned() } else { "others come first".to_owned() }
}

/// Code, scope and answers, as a client at this address is told them; its network goes with the query, whole.
fn answered(
    state: &State,
    name: &[u8],
    qtype: u16,
    from: IpAddr,
    now_s: u32,
) -> Option<(u16, u8, Vec<String>)> {
    let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    packet.extend(name);
    packet.extend(qtype.to_be_bytes());
    packet.extend([0, 1, 0, 0, rtype::OPT as u8, 255, 255, 0, 0, 0, 0]);
    let (family, octets) = match from {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let size = octets.len() as u16;
    packet.extend((size + 8).to_be_bytes());
    packet.extend(option::ECS.to_be_bytes());
    packet.extend((size + 4).to_be_bytes());
    packet.extend([0, family, (size * 8) as u8, 0]);
    packet.extend(octets);
    let ask = Ask { client: from, stream: true, now_s, draw: 0, recursion: false, key: None };
    let mut out = vec![0; usize::from(u16::MAX)];
    let Outcome::Sent(sent) = respond(state, &packet, &ask, &mut out) else { return None };
    let message = &out[..sent.len];
    let mut at = skip_name(message, HEADER)? + 4;
    let mut answers = Vec::new();
    for _ in 0..u16_at(message, 6)? {
        let start = skip_name(message, at)?;
        let (kind, ttl) = (u16_at(message, start)?, u32_at(message, start + 4)?);
        let data = message.get(start + 10..start + 10 + usize::from(u16_at(message, start + 8)?))?;
        answers.push(format!("{ttl} {}", shown(kind, data)));
        at = start + 10 + data.len();
    }
    // The option is in the OPT record, which is the last.
    let scope = message
        .windows(4)
        .rposition(|w| w[..2] == option::ECS.to_be_bytes() && w[2..] == (size + 4).to_be_bytes())
        .and_then(|at| message.get(at + 7).copied());
    Some((sent.rcode, scope.unwrap_or(0), answers))
}

fn shown(kind: u16, data: &[u8]) -> String {
    match (kind, data) {
        (rtype::A, &[a, b, c, d]) => Ipv4Addr::new(a, b, c, d).to_string(),
        (rtype::AAAA, data) => {
            <[u8; 16]>::try_from(data).map_or_else(|_| String::new(), |o| Ipv6Addr::from(o).to_string())
        }
        (rtype::SRV, &[a, b, c, d, e, f, ref target @ ..]) => {
            let word = |high, low| u16::from_be_bytes([high, low]);
            format!("{} {} {} {}", word(a, b), word(c, d), word(e, f), name::to_text(target))
        }
        (kind, data) => format!("type {kind}, {} octets", data.len()),
    }
}

fn code_name(code: u16) -> &'static str {
    match code {
        rcode::NOERROR => "NOERROR",
        rcode::FORMERR => "FORMERR",
        rcode::SERVFAIL => "SERVFAIL",
        rcode::NXDOMAIN => "NXDOMAIN",
        rcode::NOTIMP => "NOTIMP",
        rcode::REFUSED => "REFUSED",
        _ => "other",
    }
}
