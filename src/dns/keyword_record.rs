//! `record` lines: data as it is written, or from the region map by a policy.

use std::net::IpAddr;

use super::policy::{Endpoint, LastResort};
use super::reading::{Open, Reading};
use super::spec::{Name, PolicySpec, RecordSpec, ServiceRef, SpreadSpec, StepSpec};
use super::wire::rtype;
use super::zone::{ALIAS, DYNAMIC, Dynamic, rdata_of};
use crate::lang::args::{Args, Cursor};
use crate::lang::suggest;
use crate::lang::time::{Unit, time_of};

/// Above so many percent of its capacity a region sheds clients, where `load` does not say.
const HIGH_WATER: u8 = 80;

const OPTIONS: [&str; 4] = ["last-resort", "policy", "tags", "ttl"];
const STEPS: [&str; 9] =
    ["continent", "country", "failover", "load", "multivalue", "nearest", "networks", "sticky", "weighted"];

pub fn record<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    let Some(draft) = open.drafts.last() else {
        return reading.alert(args.span, "'record' expects a 'zone' or 'zone-file' line above it.");
    };
    if !args.has(2) {
        return reading
            .alert(args.span, "'record' expects a name, and 'service', 'alias' or a type as arguments.");
    }
    let apex = draft.apex.clone();
    let Some(owner) = reading.dns_name(args.str(1), Some(&apex), args.at(1)) else { return };
    match (args.str(2), args.str(3)) {
        ("service", _) => service(reading, open, args, &owner, 3, &[rtype::A, rtype::AAAA]),
        ("SRV" | "srv", "service") => service(reading, open, args, &owner, 4, &[rtype::SRV]),
        ("alias", _) => alias(reading, open, args, &owner, &apex),
        _ => written(reading, open, args, &owner, &apex),
    }
}

/// Adds records to the zone that is being read.
fn add(
    reading: &mut Reading<'_>,
    open: &mut Open,
    args: Args<'_>,
    owner: &[u8],
    rtype: u16,
    ttl: u32,
    rdata: &[u8],
) {
    let Some(draft) = open.drafts.last_mut() else { return };
    if let Err(e) = draft.builder.add(owner, rtype, ttl, rdata) {
        reading.alert(args.at(1), format!("'record' : {e}."));
    }
}

/// `<type> <data> ... [ttl <time>]`.
fn written(reading: &mut Reading<'_>, open: &mut Open, args: Args<'_>, owner: &[u8], apex: &[u8]) {
    let mut words = &args.words[2..];
    let mut ttl = open.default_ttl;
    if let [before @ .., keyword, value] = words
        && keyword.str() == "ttl"
        && !before.is_empty()
    {
        let Some(time) = time_of(&mut reading.diags, Some(value), "'ttl'", Unit::Seconds, value.span) else {
            return;
        };
        (words, ttl) = (before, time as u32);
    }
    let data: Vec<&[u8]> = words[1..].iter().map(crate::lang::Word::bytes).collect();
    match rdata_of(words[0].bytes(), &data, apex) {
        Some(Ok((rtype, rdata))) => add(reading, open, args, owner, rtype, ttl, &rdata),
        Some(Err(e)) => {
            let message = format!("'record' : {e}.");
            let blamed = (3..args.words.len()).find(|i| message.contains(&format!("'{}'", args.str(*i))));
            reading.alert(args.at(blamed.unwrap_or(2)), message);
        }
        None => {
            let hint =
                suggest::hint(words[0].str(), ["service", "alias", "A", "AAAA", "CNAME", "MX", "SRV", "TXT"]);
            let message = format!("'record' expects 'service', 'alias' or a type, got '{}'.", words[0].str());
            reading.diags.alert_hint(args.at(2), message, hint);
        }
    }
}

/// `alias <name> [ttl <time>]`.
fn alias(reading: &mut Reading<'_>, open: &mut Open, args: Args<'_>, owner: &[u8], apex: &[u8]) {
    if !args.has(3) {
        return reading.alert(args.span, "'alias' expects a name as argument.");
    }
    let Some(target) = reading.dns_name(args.str(3), Some(apex), args.at(3)) else { return };
    let mut ttl = open.default_ttl;
    match args.str(4) {
        "" => {}
        "ttl" => match time_of(&mut reading.diags, args.words.get(5), "'ttl'", Unit::Seconds, args.at(4)) {
            Some(time) => ttl = time as u32,
            None => return,
        },
        other => {
            return reading
                .alert(args.at(4), format!("'alias' only takes 'ttl' after the name, got '{other}'."));
        }
    }
    add(reading, open, args, owner, ALIAS, ttl, &target);
}

/// `service <name> [tags ...] [policy ...] [ttl ...] [last-resort ...]`.
fn service(
    reading: &mut Reading<'_>,
    open: &mut Open,
    args: Args<'_>,
    owner: &[u8],
    at: usize,
    types: &[u16],
) {
    let name = args.str(at);
    if name.is_empty() {
        return reading.alert(args.span, "'service' expects a name as argument.");
    }
    let mut service = ServiceRef { name: name.into(), tags: Vec::new() };
    let mut policy = PolicySpec::default();
    let mut ttl = open.default_ttl;
    let mut cursor = Cursor::new(args, at + 1);
    while let Some(word) = cursor.take() {
        match word.str() {
            "ttl" => {
                let value = cursor.take();
                match time_of(&mut reading.diags, value, "'ttl'", Unit::Seconds, word.span) {
                    Some(time) => ttl = time as u32,
                    None => return,
                }
            }
            "tags" => service
                .tags
                .extend(cursor.take().into_iter().flat_map(|w| w.str().split(',')).map(Name::from)),
            "last-resort" => match last_resort(reading, &mut cursor) {
                Some(last) => policy.last_resort = last,
                None => return,
            },
            "policy" => {
                if steps(reading, &mut cursor, &mut policy).is_none() {
                    return;
                }
            }
            other => {
                let hint = suggest::hint(other, OPTIONS);
                return reading.diags.alert_hint(
                    word.span,
                    format!("'record' unknown option '{other}'."),
                    hint,
                );
            }
        }
    }
    service.tags.sort_unstable();
    for region in policy.regions() {
        reading.mentioned.push((region.clone(), args.span));
    }
    let service = open.service(service);
    let id = open.record(RecordSpec { owner: owner.to_vec(), service, policy, ttl });
    for rtype in types {
        add(reading, open, args, owner, DYNAMIC, ttl, &Dynamic { id, rtype: *rtype }.encode());
    }
}

fn last_resort(reading: &mut Reading<'_>, cursor: &mut Cursor<'_>) -> Option<LastResort> {
    let at = cursor.at();
    match cursor.take().map_or("", crate::lang::Word::str) {
        "all" => Some(LastResort::All),
        "none" => Some(LastResort::None),
        list => {
            let endpoint = |text: &str| {
                let mut endpoint = Endpoint { weight: 1, ..Endpoint::default() };
                match text.parse().ok()? {
                    IpAddr::V4(ip) => endpoint.v4 = Some(ip.octets()),
                    IpAddr::V6(ip) => endpoint.v6 = Some(ip.octets()),
                }
                Some(endpoint)
            };
            let addresses: Option<Vec<Endpoint>> = list.split(',').map(endpoint).collect();
            if addresses.is_none() {
                let message = format!("'last-resort' expects 'all', 'none' or addresses, got '{list}'.");
                reading.alert(at, message);
            }
            addresses.map(LastResort::Addresses)
        }
    }
}

/// The steps of a policy, up to a word that is none.
fn steps(reading: &mut Reading<'_>, cursor: &mut Cursor<'_>, policy: &mut PolicySpec) -> Option<()> {
    let start = cursor.next;
    while !cursor.is_done() && !OPTIONS.contains(&cursor.peek()) {
        let at = cursor.at();
        match cursor.take().map_or("", crate::lang::Word::str) {
            "nearest" => {
                let mut bias = Vec::new();
                if cursor.peek() == "bias" {
                    cursor.take();
                    bias = pairs(reading, cursor, "bias", -99, 99)?
                        .into_iter()
                        .map(|(n, v)| (n, v as i8))
                        .collect();
                }
                policy.steps.push(StepSpec::Nearest(bias));
            }
            "country" => policy.steps.push(StepSpec::Country),
            "continent" => policy.steps.push(StepSpec::Continent),
            "networks" => policy.steps.push(StepSpec::Networks),
            "failover" => {
                let list = cursor.take().map_or("", crate::lang::Word::str);
                if list.is_empty() {
                    reading.alert(at, "'failover' expects regions, separated by commas.");
                    return None;
                }
                policy.steps.push(StepSpec::Failover(list.split(',').map(Name::from).collect()));
            }
            "weighted" => {
                let mut weights = Vec::new();
                if cursor.peek().contains('=') {
                    let read = pairs(reading, cursor, "weighted", 0, 1_000_000)?;
                    weights = read.into_iter().map(|(name, weight)| (name, weight as u32)).collect();
                }
                policy.spread = SpreadSpec::Weighted(weights);
            }
            "sticky" => policy.spread = SpreadSpec::Sticky,
            "load" => policy.high_water = Some(number(reading, cursor, "load", HIGH_WATER.into(), 99)? as u8),
            "multivalue" => policy.take = Some(number(reading, cursor, "multivalue", 0, 32)?),
            other => {
                let hint = suggest::hint(other, STEPS.into_iter().chain(OPTIONS));
                reading.diags.alert_hint(at, format!("'policy' unknown step '{other}'."), hint);
                return None;
            }
        }
    }
    if cursor.next == start {
        reading.alert(cursor.at(), "'policy' expects at least one step.");
        return None;
    }
    Some(())
}

/// A number from 1 behind a step; `default` stands for none, unless it is 0.
fn number(
    reading: &mut Reading<'_>,
    cursor: &mut Cursor<'_>,
    step: &str,
    default: usize,
    most: usize,
) -> Option<usize> {
    let is_number = cursor.peek().starts_with(|c: char| c.is_ascii_digit());
    if !is_number && default > 0 {
        return Some(default);
    }
    let at = cursor.at();
    let text = cursor.take().map_or("", crate::lang::Word::str);
    let value = text.parse().ok().filter(|n| (1..=most).contains(n));
    if value.is_none() {
        reading.alert(at, format!("'{step}' expects a number from 1 to {most}, got '{text}'."));
    }
    value
}

/// `<region>=<number>[,<region>=<number>]`.
fn pairs(
    reading: &mut Reading<'_>,
    cursor: &mut Cursor<'_>,
    step: &str,
    least: i64,
    most: i64,
) -> Option<Vec<(Name, i64)>> {
    let at = cursor.at();
    let text = cursor.take().map_or("", crate::lang::Word::str);
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value: i64 = value.parse().ok().filter(|v| (least..=most).contains(v))?;
        (!name.is_empty()).then(|| (Name::from(name), value))
    };
    let list: Option<Vec<_>> = text.split(',').map(pair).collect();
    if list.is_none() {
        let message = format!("'{step}' expects <region>=<number>, from {least} to {most}, got '{text}'.");
        reading.alert(at, message);
    }
    list
}
