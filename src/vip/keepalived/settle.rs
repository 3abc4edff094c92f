//! From words to a [`Spec`](super::super::spec::Spec): defaults, and what must hold between lines.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::super::machine::{Announcing, Settings};
use super::super::packet::{Checksum, Password, Version};
use super::super::spec::{
    Family, FifoSpec, GROUP_V4, GROUP_V6, GroupSpec, Hook, InstanceSpec, MailSpec, NotifySpec, ScriptSpec,
    TrackSpec, TrackerKind,
};
use super::command::{self, Program, Unusable};
use super::file::Reading;
use super::finding::{Level, Place};
use super::global::{Garp, Globals};
use super::instance::{Auth, Group, Instance, Notify};
use super::track::{Entry, Script, Tracked, Weight};
use crate::base::Nanos;
use crate::base::clock::SEC;

/// A priority that no tracker changes.
const OWNER: u8 = 255;
const DEFAULT_PRIORITY: u8 = 100;
const MICROSECOND: Nanos = 1_000;
/// The longest interval of version 3.
const MAX_V3_US: u64 = 40_950_000;
const SMTP_TIMEOUT: Duration = Duration::from_secs(30);
/// Most instances, so that a node's adverts stay a small part of what it does.
const MAX_INSTANCES: usize = 4_096;

/// A script that can run.
pub(super) fn script(reading: &mut Reading<'_>, name: &str, at: Place, script: Script) -> Option<ScriptSpec> {
    let Some(text) = script.command.filter(|text| !text.trim().is_empty()) else {
        reading.findings.warning(at, format!("vrrp_script '{name}' names no script: it is left out"));
        return None;
    };
    let (user, group) = script.user.unwrap_or_default();
    let owner = match command::owner(reading.world, &reading.globals, &user, &group) {
        Ok(owner) => owner,
        Err(Unusable::Owner) => {
            let message = format!("there is no user or group '{user} {group}': script '{name}' is left out");
            reading.findings.warning(script.at, message);
            return None;
        }
        Err(Unusable::NoDefault) => {
            let message = format!("there is no user to run script '{name}': see 'script_user'");
            reading.findings.warning(script.at, message);
            return None;
        }
    };
    let program = command::program(&text);
    let words = command::words(&text, script.at, reading.world, &mut reading.findings);
    let found = (reading.world.program)(&program);
    reading.findings.is_insecure |=
        found != Program::Missing && owner.0 == 0 && !reading.globals.script_security;
    // A redirection alone, which bash makes a connection of.
    if found != Program::Usable && !program.starts_with('<') {
        reading
            .findings
            .warning(script.at, format!("script '{name}': there is no program '{program}' to run"));
        // A shell has words of its own, which are no programs anywhere.
        if words.first().is_some_and(|word| *word == program) || !command::is_of_shell(&program) {
            return None;
        }
    }
    let interval = script.interval.unwrap_or(Duration::from_secs(1));
    Some(ScriptSpec {
        command: super::super::spec::Command { words, owner: Some(owner) },
        interval,
        timeout: script.timeout.unwrap_or(interval),
        rise: script.rise.unwrap_or(1),
        fall: script.fall.unwrap_or(1),
        starts_down: script.starts_down,
    })
}

/// Adds an instance, unless it cannot be one.
pub(super) fn instance(reading: &mut Reading<'_>, draft: Instance) {
    let (name, at) = (draft.name.clone(), draft.at);
    // Its name is taken, whether it can be used or not.
    reading.drafts.push(Instance { name: name.clone(), ..Instance::default() });
    let warn =
        |reading: &mut Reading<'_>, text: &str| reading.findings.warning(at, format!("{name}: {text}"));
    if reading.spec.instances.len() >= MAX_INSTANCES {
        return warn(reading, "there are too many instances: it is left out");
    }
    let Some(vrid) = draft.vrid else {
        return warn(reading, "'virtual_router_id' is missing: the instance is left out");
    };
    let interface = draft.interface.clone().unwrap_or_default();
    if interface.is_empty() && draft.peers.is_empty() {
        return warn(reading, "'interface' is missing: the instance is left out");
    }
    let devices = draft.addresses.iter().chain(&draft.excluded).filter_map(|spec| spec.interface.as_deref());
    for device in devices.chain(draft.interface.as_deref()) {
        has_interface(reading, at, device);
    }
    let mut spec = InstanceSpec::new(Arc::from(&*name));
    (spec.vrid, spec.interface) = (vrid, interface);
    spec.family = draft.family.unwrap_or_default();
    (spec.wants_master, spec.settings) = election(reading, &draft, spec.family);
    spec.password = password(reading, &draft, spec.settings.version);
    packets(reading, &draft, &mut spec);
    spec.tracks = tracks(reading, &draft.tracks, Some((&spec, &*name)));
    spec.tracks_interface = !draft.untracked_interface;
    if draft.addresses.is_empty() {
        warn(reading, "there is no address that moves: one is sensible");
    }
    (spec.addresses, spec.excluded) = (draft.addresses, draft.excluded);
    spec.notify = notify(reading, draft.notify);
    let twin = reading.spec.instances.iter().find(|other| conflicts(other, &spec));
    if let Some(twin) = twin.map(|twin| twin.name.clone()) {
        return warn(
            reading,
            &format!("it has the VRID {vrid} of {twin} on the same interface: it is left out"),
        );
    }
    reading.spec.instances.push(spec);
}

/// An interface that is not there is waited for.
fn has_interface(reading: &mut Reading<'_>, at: Place, name: &str) {
    if !(reading.world.has_interface)(name) {
        let level = if reading.globals.any_interface { Level::Note } else { Level::Warning };
        reading.findings.push(level, at, format!("there is no interface '{name}' yet"));
        reading.findings.stops_early |= level == Level::Warning;
    }
}

/// Whether adverts of one would be taken for those of the other.
fn conflicts(one: &InstanceSpec, other: &InstanceSpec) -> bool {
    let key = |spec: &InstanceSpec| (spec.vrid, spec.family, spec.interface.clone(), spec.is_unicast());
    let share_peer = || one.peers.iter().any(|p| other.peers.iter().any(|o| o.address == p.address));
    key(one) == key(other) && if one.is_unicast() { share_peer() } else { one.group == other.group }
}

/// State, priority, version, interval and preemption, and what speaks against them.
fn election(reading: &mut Reading<'_>, draft: &Instance, family: Family) -> (bool, Settings) {
    let (globals, name) = (reading.globals.clone(), &*draft.name);
    let mut warn = |text: String| reading.findings.warning(draft.at, format!("{name}: {text}"));
    let is_strict = draft.strict.unwrap_or(globals.strict);
    let mut wants_master = draft.wants_master;
    let priority = draft.priority.unwrap_or(if wants_master { OWNER } else { DEFAULT_PRIORITY });
    if is_strict && wants_master != (priority == OWNER) {
        warn("in strict mode 'state MASTER' and priority 255 belong together".into());
        wants_master = false;
    }
    wants_master |= priority == OWNER;
    if draft.auth_type == Some(Auth::Ah) && wants_master && priority != OWNER {
        warn("'state MASTER' does not go with AH: BACKUP it is".into());
        wants_master = false;
    }
    let version = match (draft.version.or(globals.version), family) {
        (_, Family::V6) => Version::V3,
        (version, Family::V4) => version.unwrap_or(Version::V2),
    };
    let (mut preempt, mut delay_us) = (!draft.nopreempt, draft.preempt_delay_us);
    if !preempt && wants_master {
        warn("'nopreempt' does not go with 'state MASTER': it is dropped".into());
        preempt = true;
    }
    if delay_us > 0 && (wants_master || !preempt) {
        let other = if preempt { "state MASTER" } else { "nopreempt" };
        warn(format!("'preempt_delay' does not go with '{other}': it is dropped"));
        delay_us = 0;
    }
    let interval_us = interval(draft.interval_us.unwrap_or(1_000_000), version, &mut warn);
    let settings = Settings {
        version,
        interval_ns: interval_us * MICROSECOND,
        priority,
        preempt,
        preempt_delay_ns: delay_us * MICROSECOND,
        down_adverts: draft.down_adverts.or(globals.down_adverts).unwrap_or(3),
        answers_lower: !draft.lower_no_advert.or(globals.lower_no_advert).unwrap_or(is_strict),
        announcing: announcing(&draft.garp, &globals.garp),
        ..Settings::default()
    };
    (wants_master, settings)
}

/// The interval as its version can say it, in microseconds.
fn interval(us: u64, version: Version, warn: &mut dyn FnMut(String)) -> u64 {
    let (unit, what) = match version {
        Version::V2 => (1_000_000, "whole seconds in version 2"),
        Version::V3 => (10_000, "hundredths of a second in version 3"),
    };
    if version == Version::V3 && us > MAX_V3_US {
        warn("'advert_int' is 40.95 at most in version 3".into());
        return MAX_V3_US;
    }
    let rounded = ((us + unit / 2) / unit).max(1) * unit;
    if rounded != us {
        warn(format!("'advert_int' has {what}: {} it is", rounded as f64 / 1e6));
    }
    rounded
}

fn announcing(own: &Garp, globals: &Garp) -> Announcing {
    let of = |get: fn(&Garp) -> Option<u32>| get(own).or(get(globals));
    let seconds = |n: u32| u64::from(n) * SEC;
    let defaults = Announcing::default();
    let delay_ns = of(|g| g.delay).map_or(defaults.delay_ns, seconds);
    let repeat = of(|g| g.repeat).unwrap_or(defaults.repeat);
    Announcing {
        repeat,
        delay_ns,
        lower_repeat: of(|g| g.lower_repeat).unwrap_or(repeat),
        lower_delay_ns: of(|g| g.lower_delay).map_or(delay_ns, seconds),
        refresh_ns: of(|g| g.refresh).map_or(0, seconds),
        refresh_repeat: of(|g| g.refresh_repeat).unwrap_or(1),
    }
}

fn password(reading: &mut Reading<'_>, draft: &Instance, version: Version) -> Option<Password> {
    let (findings, name) = (&mut reading.findings, &draft.name);
    let auth = draft.auth_type?;
    let Some(text) = &draft.auth_pass else {
        findings.warning(draft.at, format!("{name}: authentication without 'auth_pass': there is none"));
        return None;
    };
    if draft.strict.unwrap_or(reading.globals.strict) {
        findings.warning(draft.at, format!("{name}: strict mode has no authentication"));
        return None;
    }
    if version == Version::V3 {
        findings.warning(draft.at, format!("{name}: version 3 has no authentication"));
        return None;
    }
    if auth == Auth::Ah {
        let message = format!("{name}: AH is not Isobar's: adverts are not authenticated");
        findings.push(Level::Ours, draft.at, message);
        return None;
    }
    let mut password = Password::default();
    for (to, from) in password.iter_mut().zip(text) {
        *to = *from;
    }
    Some(password)
}

/// Where adverts come from and go to.
fn packets(reading: &mut Reading<'_>, draft: &Instance, spec: &mut InstanceSpec) {
    let globals = &reading.globals;
    let group: IpAddr = match spec.family {
        Family::V4 => globals.group4.unwrap_or(GROUP_V4.into()),
        Family::V6 => globals.group6.unwrap_or(GROUP_V6.into()),
    };
    let of_family = |address: &IpAddr| Family::of(*address) == spec.family;
    spec.group = draft.group.filter(of_family).unwrap_or(group);
    spec.source = draft.source.filter(of_family);
    spec.peers = draft.peers.iter().copied().filter(|peer| Family::of(peer.address) == spec.family).collect();
    spec.peers_only = spec.is_unicast() && draft.check_source.unwrap_or(globals.check_unicast_source);
    spec.ttl = draft.ttl.filter(|_| spec.is_unicast()).unwrap_or(255);
    spec.any_addresses = draft.any_addresses.unwrap_or(globals.any_addresses);
    if draft.old_checksum && spec.is_unicast() {
        spec.checksum = Checksum::AsV2;
    }
    if draft.is_unicast && spec.peers.is_empty() {
        let message = format!("{}: unicast without a peer: adverts are multicast", spec.name);
        reading.findings.warning(draft.at, message);
    }
}

/// The trackers that entries name. Those of an instance know its own interface.
fn tracks(
    reading: &mut Reading<'_>,
    entries: &[Entry],
    instance: Option<(&InstanceSpec, &str)>,
) -> Vec<TrackSpec> {
    let mut out: Vec<TrackSpec> = Vec::new();
    for entry in entries {
        let is_own = instance.is_some_and(|(spec, _)| {
            entry.tracked == Tracked::Interface && entry.name == spec.interface && entry.weight.is_none()
        });
        if is_own {
            reading.findings.warning(entry.at, format!("interface '{}' is tracked anyhow", entry.name));
            continue;
        }
        let Some((tracker, weight)) = find(reading, entry) else { continue };
        if out.iter().any(|known| known.tracker == tracker) {
            reading.findings.warning(entry.at, format!("'{}' is tracked already", entry.name));
            continue;
        }
        let is_owner = instance.is_some_and(|(spec, _)| spec.settings.priority == OWNER);
        if is_owner && weight.weight != 0 {
            let message =
                format!("'{}' has a weight, and priority 255 does not change: it is left out", entry.name);
            reading.findings.warning(entry.at, message);
            continue;
        }
        out.push(TrackSpec { tracker, weight: weight.weight, reverse: weight.reverse });
    }
    out
}

/// The tracker of an entry, defined before it, and its weight. Interfaces are trackers once they are named.
fn find(reading: &mut Reading<'_>, entry: &Entry) -> Option<(usize, Weight)> {
    let is_it = |kind: &TrackerKind| {
        matches!(
            (entry.tracked, kind),
            (Tracked::Script, TrackerKind::Script(_))
                | (Tracked::Interface, TrackerKind::Interface)
                | (Tracked::Process, TrackerKind::Process { .. })
                | (Tracked::File, TrackerKind::File { .. })
        )
    };
    let known = reading.spec.trackers.iter().position(|t| *t.name == *entry.name && is_it(&t.kind));
    let index = match known {
        Some(index) => index,
        None if entry.tracked == Tracked::Interface => {
            has_interface(reading, entry.at, &entry.name);
            reading.tracker(&entry.name, TrackerKind::Interface, Weight::default(), entry.at);
            reading.spec.trackers.len() - 1
        }
        None => {
            reading.findings.warning(entry.at, format!("'{}' is not known to be tracked", entry.name));
            return None;
        }
    };
    Some((index, entry.weight.unwrap_or(reading.defaults[index].0)))
}

fn notify(reading: &mut Reading<'_>, notify: Notify) -> NotifySpec {
    let Reading { world, globals, findings, .. } = reading;
    let mut of = |told| command::told(told, world, globals, findings).map(Hook::new);
    NotifySpec {
        master: of(notify.master),
        backup: of(notify.backup),
        fault: of(notify.fault),
        stop: of(notify.stop),
        any: of(notify.any),
        mail: notify.mail.or(globals.smtp_alert).unwrap_or(false),
    }
}

/// What can be said when all blocks were read: groups, mail and the FIFO.
pub(super) fn finish(reading: &mut Reading<'_>) {
    let mut taken = HashSet::new();
    for group in std::mem::take(&mut reading.groups) {
        self::group(reading, group, &mut taken);
    }
    let Globals { router_id, mail_to, mail_from, smtp_server, smtp_helo, smtp_timeout, .. } =
        reading.globals.clone();
    let spec = &mut reading.spec;
    spec.router_id = router_id.unwrap_or(std::mem::take(&mut spec.router_id));
    spec.start_delay = Duration::from_micros(reading.globals.start_delay_us);
    if let Some((server, port)) = smtp_server.filter(|_| !mail_to.is_empty()) {
        let host = spec.router_id.clone();
        spec.mail = Some(MailSpec {
            to: mail_to,
            from: mail_from.unwrap_or_else(|| format!("keepalived@{host}")),
            server,
            port,
            helo: smtp_helo.unwrap_or(host),
            timeout: smtp_timeout.unwrap_or(SMTP_TIMEOUT),
        });
    }
    if let Some((path, user, group)) = reading.globals.fifo.clone() {
        let owner = command::owner(reading.world, &reading.globals, &user, &group).ok();
        reading.spec.fifo = Some(FifoSpec { path, owner: owner.filter(|_| !user.is_empty()) });
    }
}

fn group(reading: &mut Reading<'_>, group: Group, taken: &mut HashSet<usize>) {
    let (name, at) = (group.name.clone(), group.at);
    let mut members = Vec::new();
    for member in &group.members {
        match reading.spec.instances.iter().position(|spec| *spec.name == **member) {
            Some(i) if taken.insert(i) => members.push(i),
            Some(_) => {
                reading.findings.warning(at, format!("group {name}: '{member}' is in a group already"))
            }
            None => {
                reading.findings.warning(at, format!("group {name}: there is no vrrp_instance '{member}'"))
            }
        }
    }
    if members.is_empty() {
        return reading.findings.warning(at, format!("group {name} has no instance: it is left out"));
    }
    if members.len() == 1 {
        reading.findings.warning(at, format!("group {name} has one instance alone"));
    }
    let tracks = tracks(reading, &group.tracks, None);
    let notify = notify(reading, group.notify);
    reading.spec.groups.push(GroupSpec { name, members, tracks, weights: group.weights, notify });
}
