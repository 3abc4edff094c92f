//! From `dns` sections to a [`Spec`]: which lines belong where, and what must hold between them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::answer::Settings;
use super::cookie::Secret;
use super::keyword::DNS;
use super::name;
pub use super::reading::Inputs;
use super::reading::{Draft, Open, Reading};
use super::spec::{Limits, Name, Responder, Spec};
use super::wire::rtype;
use super::zone::Zones;
use crate::lang::args::Args;
use crate::lang::registry::Kind;
use crate::lang::void::{is_void, is_void_in};
use crate::lang::{Diagnostics, Section, Span, suggest};

/// The TTL of records that give none: short, for what is behind them changes.
const TTL_S: u32 = 30;
/// Of the SOA and NS records that are made.
const MADE_TTL_S: u32 = 3600;

/// Builds the value. `None` when there was an alert; warnings do not prevent it.
pub fn build(inputs: &Inputs<'_>) -> (Option<Spec>, Diagnostics) {
    let mut reading = Reading { inputs, diags: Diagnostics::default(), mentioned: Vec::new() };
    let mut spec = Spec::default();
    let mut heads: HashMap<Name, Span> = HashMap::new();
    for section in inputs.sections.iter().filter(|s| s.kind() == "dns" && !is_void(Kind::Section, "dns")) {
        spec.responders.extend(responder(&mut reading, section, &mut heads));
    }
    known_regions(&mut reading);
    let usable = !reading.diags.has_alerts();
    (usable.then_some(spec), reading.diags)
}

fn responder(
    reading: &mut Reading<'_>,
    section: &Section,
    heads: &mut HashMap<Name, Span>,
) -> Option<Responder> {
    let head = Args::of(&section.head);
    let name: Name = head.str(1).into();
    if name.is_empty() {
        reading.alert(head.span, "'dns' expects a name as argument.");
        return None;
    }
    reading.too_many(head, 1);
    if let Some(first) = heads.insert(name.clone(), head.span) {
        let message = format!("dns '{name}' was declared already at {}.", reading.place(first));
        reading.alert(head.at(1), message);
    }
    let mut open = begin(reading, name);
    lines(reading, section, &mut open);
    if open.responder.binds.is_empty() {
        reading.diags.warning(head.span, "dns without a 'bind' line: nobody can ask it.");
    }
    Some(end(reading, open))
}

fn begin(reading: &Reading<'_>, name: Name) -> Open {
    let settings = Settings {
        nsid: None,
        secret: Secret(reading.inputs.random),
        ecs: true,
        hosts: Arc::default(),
        keys: Vec::new(),
        transfers: Vec::new(),
    };
    Open {
        responder: Responder {
            name,
            binds: Vec::new(),
            threads: 1,
            settings: settings.into(),
            zones: Arc::default(),
            services: Vec::new(),
            records: Vec::new(),
            consul: None,
            geography: Arc::default(),
            notify: Vec::new(),
            forward: Vec::new(),
            allow: Vec::new(),
            limits: Limits::default(),
        },
        drafts: Vec::new(),
        servers: Vec::new(),
        hostmaster: None,
        default_ttl: TTL_S,
        nsid: None,
        keys: Vec::new(),
        transfers: Vec::new(),
        secret: None,
        ecs: true,
        hosts: Arc::default(),
        geodata: None,
    }
}

/// Runs each line's keyword.
fn lines(reading: &mut Reading<'_>, section: &Section, open: &mut Open) {
    let mut places: HashMap<&str, Span> = HashMap::new();
    for line in &section.lines {
        let args = Args::of(line);
        let word = args.str(0);
        let Some(keyword) = DNS.iter().find(|k| k.entry.name == word) else {
            let hint = suggest::hint(word, DNS.iter().map(|k| k.entry.name));
            let message = format!("unknown keyword '{word}' in 'dns' section");
            reading.diags.alert_hint(args.at(0), message, hint);
            continue;
        };
        if let Some(first) = places.get(word).filter(|_| !keyword.repeats) {
            let message = format!("'{word}' was given already at {}.", reading.place(*first));
            reading.alert(args.at(0), message);
            continue;
        }
        places.entry(keyword.entry.name).or_insert(args.span);
        if !is_void_in("dns", word) {
            (keyword.parse)(reading, open, args);
        }
    }
}

/// Ends the zones.
fn end(reading: &mut Reading<'_>, mut open: Open) -> Responder {
    let mut zones = Zones::default();
    for mut draft in std::mem::take(&mut open.drafts).into_iter().filter(|draft| !draft.faulty) {
        if !draft.from_file {
            complete(reading, &open, &mut draft);
        }
        match draft.builder.finish() {
            Ok(zone) => zones.insert(zone.into()),
            Err(e) => reading.alert(draft.at, format!("{e}.")),
        }
    }
    let secret = Secret(open.secret.unwrap_or(reading.inputs.random));
    let mut responder = open.responder;
    if responder.allow.is_empty() {
        // Not open to the world by default.
        responder
            .allow
            .extend(["127.0.0.0/8", "::1/128"].iter().filter_map(|network| network.parse::<IpNet>().ok()));
    }
    responder.zones = zones.into();
    responder.settings = Settings {
        nsid: open.nsid,
        secret,
        ecs: open.ecs,
        keys: open.keys,
        hosts: open.hosts,
        transfers: open.transfers,
    }
    .into();
    responder.geography = open.geodata.unwrap_or_default();
    responder
}

/// Adds the SOA and NS records that a zone without a file has not.
fn complete(reading: &mut Reading<'_>, open: &Open, draft: &mut Draft) {
    let apex = draft.apex.clone();
    let below = |label: &[u8]| name::join([label], &apex);
    let mut servers = open.servers.clone();
    let mut add = |owner: &[u8], rtype: u16, rdata: &[u8]| {
        if let Err(e) = draft.builder.add(owner, rtype, MADE_TTL_S, rdata) {
            reading.diags.alert(draft.at, format!("{e}."));
        }
    };
    if servers.is_empty()
        && let Some(server) = below(b"ns")
    {
        for address in
            open.responder.binds.iter().map(|bind| bind.address.ip()).filter(|ip| !ip.is_unspecified())
        {
            match address {
                IpAddr::V4(ip) => add(&server, rtype::A, &ip.octets()),
                IpAddr::V6(ip) => add(&server, rtype::AAAA, &ip.octets()),
            }
        }
        servers.push(server);
    }
    for server in &servers {
        add(&apex, rtype::NS, server);
    }
    let hostmaster =
        open.hostmaster.clone().or_else(|| below(b"hostmaster")).unwrap_or_else(|| name::ROOT.to_vec());
    let mut soa = servers.first().cloned().unwrap_or_else(|| name::ROOT.to_vec());
    soa.extend(hostmaster);
    // Serial, refresh, retry, expire, and how long it is believed that there is nothing.
    for number in [reading.inputs.now_s, 3600, 600, 86_400, open.default_ttl] {
        soa.extend(number.to_be_bytes());
    }
    add(&apex, rtype::SOA, &soa);
}

/// Regions that policies name must have a section, once any region has one.
fn known_regions(reading: &mut Reading<'_>) {
    let sections = reading.inputs.sections.iter().filter(|s| s.kind() == "region");
    let known: Vec<&str> = sections.map(|s| s.head.str(1)).collect();
    for (name, at) in std::mem::take(&mut reading.mentioned) {
        if known.is_empty() || known.contains(&&*name) {
            continue;
        }
        let hint = suggest::hint(&name, known.iter().copied());
        reading.diags.alert_hint(at, format!("there is no 'region {name}' section."), hint);
    }
}
