//! From `vrrp` sections to a [`Spec`]: which lines belong where, and what must hold between them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::base::clock::{MS, SEC};
use crate::lang::args::Args;
use crate::lang::registry::Kind;
use crate::lang::void::{is_void, is_void_in};
use crate::lang::{Diagnostics, Section, Severity, SourceMap, Span, suggest};

use super::keyword::VRRP;
use super::line::{Draft, Reading};
use super::machine::Settings;
use super::packet::{CENTISECOND, Password, Version};
use super::spec::{Family, GROUP_V4, GROUP_V6, GroupSpec, InstanceSpec, Spec, TrackerKind};

/// The longest interval of version 3, which has a field of 12 bits.
const MAX_V3_MS: u64 = 40_950;

/// What the build reads besides the sections.
pub struct Inputs<'a> {
    pub sections: &'a [Section],
    /// For messages that name a second place.
    pub sources: &'a SourceMap,
}

/// Adds what sections say to what there is already (of `keepalived.conf`). Findings are complete whatever they are.
pub fn build(inputs: &Inputs<'_>, spec: &mut Spec) -> Diagnostics {
    let mut trackers = std::mem::take(&mut spec.trackers);
    let mut reading =
        Reading { diags: Diagnostics::default(), trackers: &mut trackers, mentioned: Vec::new() };
    let mut heads: HashMap<String, Span> = HashMap::new();
    for section in inputs.sections.iter().filter(|s| s.kind() == "vrrp" && !is_void(Kind::Section, "vrrp")) {
        let head = Args::of(&section.head);
        let name = head.str(1).to_owned();
        if name.is_empty() || head.has(2) {
            reading.alert(head.span, "'vrrp' expects a name as its only argument.");
            continue;
        }
        if let Some(first) = heads.insert(name.clone(), head.span) {
            let place = format!("{}:{}", inputs.sources.name(first.file), first.line);
            reading.alert(head.at(1), format!("vrrp '{name}' was declared already at {place}."));
            continue;
        }
        if spec.instances.iter().any(|known| *known.name == *name) {
            reading.alert(head.at(1), format!("vrrp '{name}' is an instance of keepalived.conf already."));
            continue;
        }
        let mut draft = Draft::default();
        let told = reading.diags.list.len();
        lines(&mut reading, inputs, section, &mut draft);
        // What is wrong is not missing.
        let is_wrong = reading.diags.list[told..].iter().any(|d| d.severity == Severity::Alert);
        if is_wrong {
            continue;
        }
        if let Some(instance) = settle(&mut reading, &name, head.span, &draft) {
            if let Some(group) = draft.group {
                join(spec, &group, spec.instances.len());
            }
            clash(&mut reading, spec, &instance, head.span);
            spec.instances.push(instance);
        }
    }
    known(&mut reading, inputs.sections);
    let diags = reading.diags;
    spec.trackers = trackers;
    diags
}

/// Runs each line's keyword.
fn lines(reading: &mut Reading<'_>, inputs: &Inputs<'_>, section: &Section, draft: &mut Draft) {
    let mut places: HashMap<&'static str, Span> = HashMap::new();
    for line in &section.lines {
        let args = Args::of(line);
        let word = args.str(0);
        let Some(keyword) = VRRP.iter().find(|k| k.entry.name == word) else {
            let hint = suggest::hint(word, VRRP.iter().map(|k| k.entry.name));
            let message = format!("unknown keyword '{word}' in 'vrrp' section");
            reading.diags.alert_hint(args.at(0), message, hint);
            continue;
        };
        if let Some(first) = places.get(keyword.entry.name).filter(|_| !keyword.repeats) {
            let place = format!("{}:{}", inputs.sources.name(first.file), first.line);
            reading.alert(args.at(0), format!("'{word}' was given already at {place}."));
            continue;
        }
        places.entry(keyword.entry.name).or_insert(args.span);
        if !is_void_in("vrrp", word) {
            (keyword.parse)(reading, draft, args);
        }
    }
}

fn join(spec: &mut Spec, group: &str, member: usize) {
    match spec.groups.iter_mut().find(|known| known.name == group) {
        Some(known) => known.members.push(member),
        None => {
            spec.groups.push(GroupSpec {
                name: group.to_owned(),
                members: vec![member],
                ..GroupSpec::default()
            });
        }
    }
}

fn clash(reading: &mut Reading<'_>, spec: &Spec, instance: &InstanceSpec, at: Span) {
    let key = |i: &InstanceSpec| (i.vrid, i.family, i.interface.clone());
    if let Some(other) = spec.instances.iter().find(|other| key(other) == key(instance)) {
        let message =
            format!("'{}' has router-id {} on '{}' already.", other.name, other.vrid, other.interface);
        reading.alert(at, message);
    }
}

/// What must hold between lines. `None` after an alert.
fn settle(reading: &mut Reading<'_>, name: &str, at: Span, draft: &Draft) -> Option<InstanceSpec> {
    let mut instance = InstanceSpec::new(Arc::from(name));
    let missing = |reading: &mut Reading<'_>, what: &str| {
        reading.alert(at, format!("vrrp '{name}' expects '{what}'."));
    };
    let (Some(interface), Some(vrid)) = (&draft.interface, draft.vrid) else {
        if draft.interface.is_none() {
            missing(reading, "interface <name>");
        }
        if draft.vrid.is_none() {
            missing(reading, "router-id <number>");
        }
        return None;
    };
    let first = draft.addresses.first().map(|spec| spec.address);
    let Some(first) = first.or(draft.peers.first().map(|peer| peer.address)).or(draft.source) else {
        missing(reading, "address <address>");
        return None;
    };
    (instance.interface, instance.vrid, instance.family) = (interface.clone(), vrid, Family::of(first));
    let is_other = |address: &IpAddr| Family::of(*address) != instance.family;
    let all = draft.addresses.iter().map(|spec| spec.address);
    let all = all.chain(draft.peers.iter().map(|peer| peer.address)).chain(draft.source);
    if let Some(other) = all.clone().find(is_other) {
        let message = format!("vrrp '{name}': {other} and {first} are not of one family (see 'silent').");
        reading.alert(at, message);
        return None;
    }
    instance.settings = settings(reading, name, at, draft, instance.family)?;
    instance.group = match instance.family {
        Family::V4 => GROUP_V4.into(),
        Family::V6 => GROUP_V6.into(),
    };
    instance.password = password(draft);
    if instance.password.is_some() && instance.settings.version == Version::V3 {
        reading.alert(at, format!("vrrp '{name}': version 3 has no 'password'."));
    }
    instance.wants_master = instance.settings.priority == 255;
    (instance.addresses, instance.excluded) = (draft.addresses.clone(), draft.silent.clone());
    (instance.source, instance.peers) = (draft.source, draft.peers.clone());
    instance.peers_only = instance.is_unicast();
    (instance.tracks, instance.notify) = (draft.tracks.clone(), draft.notify.clone());
    instance.heartbeat = draft.heartbeat.clone();
    instance.fence = draft.fence;
    if draft.fence.is_some() {
        fence(reading, name, at, draft, &mut instance);
    }
    Some(instance)
}

/// Who has the lease is master: nobody takes it away from a living master.
fn fence(reading: &mut Reading<'_>, name: &str, at: Span, draft: &Draft, instance: &mut InstanceSpec) {
    if draft.group.is_some() {
        reading.alert(at, format!("vrrp '{name}': 'fenced' and 'group' exclude each other."));
    }
    if draft.preempt_delay_ns > 0 {
        reading.alert(at, format!("vrrp '{name}': 'fenced' and 'preempt-delay' exclude each other."));
    }
    if instance.settings.priority == 255 {
        reading.alert(at, format!("vrrp '{name}': 'fenced' has priorities up to 254."));
    }
    (instance.settings.fenced, instance.settings.preempt) = (true, false);
}

fn settings(
    reading: &mut Reading<'_>,
    name: &str,
    at: Span,
    draft: &Draft,
    family: Family,
) -> Option<Settings> {
    let version = match (draft.version, family) {
        (Some(Version::V2), Family::V6) => {
            reading.alert(at, format!("vrrp '{name}': version 2 has no IPv6."));
            return None;
        }
        (_, Family::V6) => Version::V3,
        (version, Family::V4) => version.unwrap_or(Version::V2),
    };
    let interval_ns = draft.interval_ns.unwrap_or(SEC);
    let (is_fine, what) = match version {
        Version::V2 => (
            interval_ns.is_multiple_of(SEC) && (SEC..=255 * SEC).contains(&interval_ns),
            "whole seconds up to 255 s",
        ),
        Version::V3 => (
            interval_ns.is_multiple_of(CENTISECOND) && (CENTISECOND..=MAX_V3_MS * MS).contains(&interval_ns),
            "hundredths of a second from 10 ms to 40.95 s",
        ),
    };
    if !is_fine {
        let number = version.number();
        reading.alert(at, format!("vrrp '{name}': 'advert-interval' has {what} in version {number}."));
        return None;
    }
    if draft.no_preempt && draft.preempt_delay_ns > 0 {
        reading.alert(at, format!("vrrp '{name}': 'preempt-delay' and 'no-preempt' exclude each other."));
    }
    Some(Settings {
        version,
        interval_ns,
        priority: draft.priority.unwrap_or(100),
        preempt: !draft.no_preempt,
        preempt_delay_ns: draft.preempt_delay_ns,
        ..Settings::default()
    })
}

fn password(draft: &Draft) -> Option<Password> {
    let text = draft.password.as_ref()?;
    let mut password = Password::default();
    for (to, from) in password.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    Some(password)
}

/// Backends and frontends that are tracked must be there.
fn known(reading: &mut Reading<'_>, sections: &[Section]) {
    for (kind, at) in std::mem::take(&mut reading.mentioned) {
        let (word, name) = match &kind {
            TrackerKind::Backend(name) => ("backend", name),
            TrackerKind::Frontend(name) => ("frontend", name),
            _ => continue,
        };
        let of_kind = |s: &&Section| s.kind() == word || s.kind() == "listen";
        let mut names = sections.iter().filter(of_kind).map(|s| s.head.str(1));
        if !names.any(|known| known == name) {
            let names = sections.iter().filter(of_kind).map(|s| s.head.str(1));
            let hint = suggest::hint(name, names);
            reading.diags.alert_hint(at, format!("there is no {word} '{name}' to track."), hint);
        }
    }
}
