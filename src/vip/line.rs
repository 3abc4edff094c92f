//! Lines of the `vrrp` section.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::base::Nanos;
use crate::base::clock::MS;
use crate::lang::args::{Args, Cursor};
use crate::lang::time::{Unit, time_of};
use crate::lang::{Diagnostics, Span, suggest};

use super::packet::Version;
use super::spec::{
    AddressSpec, Command, HeartbeatSpec, Hook, NotifySpec, PeerSpec, ScriptSpec, TrackSpec, TrackerKind,
    TrackerSpec,
};

/// What a section says; what is missing is `None`.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub(super) interface: Option<String>,
    pub(super) vrid: Option<u8>,
    pub(super) priority: Option<u8>,
    pub(super) version: Option<Version>,
    pub(super) interval_ns: Option<Nanos>,
    pub(super) password: Option<String>,
    pub(super) addresses: Vec<AddressSpec>,
    pub(super) silent: Vec<AddressSpec>,
    pub(super) source: Option<IpAddr>,
    pub(super) peers: Vec<PeerSpec>,
    pub(super) no_preempt: bool,
    pub(super) preempt_delay_ns: Nanos,
    pub(super) group: Option<String>,
    pub(super) tracks: Vec<TrackSpec>,
    pub(super) notify: NotifySpec,
    pub(super) heartbeat: Option<HeartbeatSpec>,
    pub(super) fence: Option<Duration>,
}

/// What the lines of all sections share.
pub struct Reading<'r> {
    pub(super) diags: Diagnostics,
    pub(super) trackers: &'r mut Vec<TrackerSpec>,
    /// Backends and frontends that lines name, to be looked up once all are known.
    pub(super) mentioned: Vec<(TrackerKind, Span)>,
}

impl Reading<'_> {
    pub(super) fn alert(&mut self, at: Span, message: impl Into<String>) {
        self.diags.alert(at, message);
    }

    fn too_many(&mut self, args: Args<'_>, max: usize) -> bool {
        args.too_many(max, &mut self.diags)
    }

    /// The only argument, or an alert that `what` is missing.
    fn one<'a>(&mut self, args: Args<'a>, what: &str) -> Option<&'a str> {
        args.only(what, &mut self.diags)
    }

    fn number<T: TryFrom<i64>>(&mut self, args: Args<'_>, min: i64, max: i64) -> Option<T> {
        let text = self.one(args, "a number")?;
        let number = text.parse::<i64>().ok().filter(|n| (min..=max).contains(n));
        let fitting = number.and_then(|n| T::try_from(n).ok());
        if fitting.is_none() {
            let message = format!("'{}' expects a number from {min} to {max}, got '{text}'.", args.str(0));
            self.alert(args.at(1), message);
        }
        fitting
    }

    fn ip(&mut self, args: Args<'_>, i: usize) -> Option<IpAddr> {
        let address = args.str(i).parse().ok();
        if address.is_none() {
            self.alert(
                args.at(i),
                format!("'{}' expects an IP address, got '{}'.", args.str(0), args.str(i)),
            );
        }
        address
    }

    fn time_ns(&mut self, args: Args<'_>) -> Option<Nanos> {
        let what = format!("'{}'", args.str(0));
        let ms = time_of(&mut self.diags, args.words.get(1), &what, Unit::Milliseconds, args.span)?;
        (!self.too_many(args, 1)).then_some(ms * MS)
    }

    /// The index of a tracker, which is made where it is new.
    fn tracker(&mut self, name: &str, kind: TrackerKind) -> usize {
        let known = self.trackers.iter().position(|t| *t.name == *name && t.kind == kind);
        known.unwrap_or_else(|| {
            self.trackers.push(TrackerSpec { name: Arc::from(name), kind });
            self.trackers.len() - 1
        })
    }
}

pub fn interface<'a>(reading: &mut Reading<'_>, draft: &mut Draft, args: Args<'a>) {
    draft.interface = reading.one(args, "the name of an interface").map(str::to_owned);
}

pub fn router_id<'a>(reading: &mut Reading<'_>, draft: &mut Draft, args: Args<'a>) {
    draft.vrid = reading.number(args, 1, 255);
}

pub fn priority<'a>(reading: &mut Reading<'_>, draft: &mut Draft, args: Args<'a>) {
    draft.priority = reading.number(args, 1, 255);
}

pub fn version<'a>(reading: &mut Reading<'_>, draft: &mut Draft, args: Args<'a>) {
    draft.version = reading.number::<u8>(args, 2, 3).map(|n| if n == 2 { Version::V2 } else { Version::V3 });
}

pub fn advert_interval<'a>(reading: &mut Reading<'_>, draft: &mut Draft, args: Args<'a>) {
    draft.interval_ns = reading.time_ns(args);
}

pub fn preempt_delay<'a>(reading: &mut Reading<'_>, draft: &mut Draft, args: Args<'a>) {
    draft.preempt_delay_ns = reading.time_ns(args).unwrap_or(0);
}

pub fn no_preempt<'a>(reading: &mut Reading<'_>, draft: &mut Draft, args: Args<'a>) {
    draft.no_preempt = !reading.too_many(args, 0);
}

pub fn group<'a>(reading: &mut Reading<'_>, draft: &mut Draft, args: Args<'a>) {
    draft.group = reading.one(args, "a name").map(str::to_owned);
}

pub fn source<'a>(reading: &mut Reading<'_>, draft: &mut Draft, args: Args<'a>) {
    if reading.one(args, "an address").is_some() {
        draft.source = reading.ip(args, 1);
    }
}

pub fn password<'a>(reading: &mut Reading<'_>, draft: &mut Draft, args: Args<'a>) {
    let Some(text) = reading.one(args, "a text") else { return };
    if text.len() > 8 {
        return reading.alert(args.at(1), "'password' has at most 8 characters.");
    }
    draft.password = Some(text.to_owned());
}

pub fn peer<'a>(reading: &mut Reading<'_>, draft: &mut Draft, args: Args<'a>) {
    if !args.has(1) {
        return reading.alert(args.span, "'peer' expects at least an address as argument.");
    }
    for i in 1..args.words.len() {
        let Some(address) = reading.ip(args, i) else { continue };
        if draft.peers.iter().any(|peer| peer.address == address) {
            reading.alert(args.at(i), format!("peer '{address}' is there already."));
        } else {
            draft.peers.push(PeerSpec { address, min_ttl: None, max_ttl: None });
        }
    }
}

/// Three of them are lost in the time in which nobody notices.
const INTERVAL_MS: u64 = 15;
/// Seldom enough for a host to keep up, and often enough to be of use.
const INTERVALS_MS: std::ops::RangeInclusive<u64> = 5..=1_000;
const KEY_MIN: usize = 16;

pub fn heartbeat<'a>(reading: &mut Reading<'_>, draft: &mut Draft, args: Args<'a>) {
    let peer: Option<SocketAddr> = args.str(1).parse().ok();
    let Some(peer) = peer.filter(|peer| peer.port() > 0 && !peer.ip().is_unspecified()) else {
        let message = format!("'heartbeat' expects <address>:<port>, got '{}'.", args.str(1));
        return reading.alert(args.at(1), message);
    };
    let mut spec = HeartbeatSpec { peer, key: String::new(), interval_ns: INTERVAL_MS * MS };
    let mut cursor = Cursor::new(args, 2);
    while let Some(word) = cursor.take() {
        let value = cursor.take();
        match word.str() {
            "key" => spec.key = value.map_or("", |value| value.str()).to_owned(),
            "every" => {
                let ms = time_of(&mut reading.diags, value, "'every'", Unit::Milliseconds, word.span);
                match ms.filter(|ms| INTERVALS_MS.contains(ms)) {
                    Some(ms) => spec.interval_ns = ms * MS,
                    None => return reading.alert(word.span, "'every' expects a time from 5ms to 1s."),
                }
            }
            other => {
                let hint = suggest::hint(other, ["every", "key"]);
                reading.diags.alert_hint(word.span, format!("'heartbeat' unknown keyword '{other}'."), hint);
                return;
            }
        }
    }
    if spec.key.len() < KEY_MIN {
        return reading
            .alert(args.span, format!("'heartbeat' expects 'key' with at least {KEY_MIN} characters."));
    }
    draft.heartbeat = Some(spec);
}

/// What a lease lasts: long enough to outlast an election, short enough to be waited for.
const FENCE_MS: std::ops::RangeInclusive<u64> = 4_000..=60_000;

pub fn fenced<'a>(reading: &mut Reading<'_>, draft: &mut Draft, args: Args<'a>) {
    let ms = if args.has(1) { reading.time_ns(args).map(|ns| ns / MS) } else { Some(5_000) };
    match ms {
        Some(ms) if FENCE_MS.contains(&ms) => draft.fence = Some(Duration::from_millis(ms)),
        Some(_) => reading.alert(args.at(1), "'fenced' expects a time from 4s to 60s."),
        None => {}
    }
}

/// The longest label and interface name.
const MAX_NAME: usize = 15;

pub fn address<'a>(reading: &mut Reading<'_>, draft: &mut Draft, args: Args<'a>) {
    let text = args.str(1);
    let (ip, prefix) = text.split_once('/').map_or((text, None), |(ip, prefix)| (ip, Some(prefix)));
    let Ok(ip) = ip.parse::<IpAddr>() else {
        return reading.alert(args.at(1), format!("'address' expects <address>[/<prefix>], got '{text}'."));
    };
    let mut spec = AddressSpec::new(ip);
    if let Some(prefix) = prefix {
        match prefix.parse().ok().filter(|n| *n <= spec.prefix) {
            Some(prefix) => spec.prefix = prefix,
            None => return reading.alert(args.at(1), format!("'{prefix}' is no prefix length of {ip}.")),
        }
    }
    let (mut cursor, mut is_silent) = (Cursor::new(args, 2), false);
    while let Some(word) = cursor.take() {
        let mut name = |reading: &mut Reading<'_>| match cursor.take().map(|value| value.str()) {
            Some(value) if value.len() <= MAX_NAME => Some(value.to_owned()),
            _ => {
                let message = format!("'{}' expects a name of at most {MAX_NAME} characters.", word.str());
                reading.alert(word.span, message);
                None
            }
        };
        match word.str() {
            "interface" => spec.interface = name(reading),
            "label" => spec.label = name(reading),
            "silent" => is_silent = true,
            other => {
                let hint = suggest::hint(other, ["interface", "label", "silent"]);
                reading.diags.alert_hint(word.span, format!("'address' unknown keyword '{other}'."), hint);
                return;
            }
        }
    }
    let all = draft.addresses.iter().chain(&draft.silent);
    if all.clone().any(|known| known.address == ip) {
        return reading.alert(args.at(1), format!("address '{ip}' is there already."));
    }
    if is_silent { draft.silent.push(spec) } else { draft.addresses.push(spec) }
}

const RETRIES: std::ops::RangeInclusive<u32> = 1..=1_000;
const STATES: [&str; 5] = ["any", "backup", "fault", "master", "stop"];

pub fn on<'a>(reading: &mut Reading<'_>, draft: &mut Draft, args: Args<'a>) {
    let state = args.str(1);
    let slot = match state {
        "master" => &mut draft.notify.master,
        "backup" => &mut draft.notify.backup,
        "fault" => &mut draft.notify.fault,
        "stop" => &mut draft.notify.stop,
        "any" => &mut draft.notify.any,
        _ => {
            let hint = suggest::hint(state, STATES);
            let message = format!("'on' expects a state, got '{state}'.");
            return reading.diags.alert_hint(args.at(1), message, hint);
        }
    };
    if slot.is_some() {
        return reading.alert(args.at(1), format!("'on {state}' was given already."));
    }
    let mut hook = Hook::new(Command { words: Vec::new(), owner: None });
    let mut cursor = Cursor::new(args, 2);
    while let Some(word) = cursor.take() {
        match word.str() {
            "retries" if hook.retries == 0 => {
                let value = cursor.take().and_then(|value| value.str().parse().ok());
                match value.filter(|n| RETRIES.contains(n)) {
                    Some(retries) => hook.retries = retries,
                    None => return reading.alert(word.span, "'retries' expects a number from 1 to 1000."),
                }
            }
            "within" if hook.within.is_none() => {
                let (value, unit) = (cursor.take(), Unit::Milliseconds);
                match time_of(&mut reading.diags, value, "'within'", unit, word.span).filter(|ms| *ms > 0) {
                    Some(ms) => hook.within = Some(Duration::from_millis(ms)),
                    None => return reading.alert(word.span, "'within' expects a time above 0."),
                }
            }
            program => {
                hook.command.words.push(program.to_owned());
                let rest = std::iter::from_fn(|| cursor.take());
                hook.command.words.extend(rest.map(|word| word.str().to_owned()));
            }
        }
    }
    if hook.command.words.is_empty() {
        return reading.alert(args.span, format!("'on {state}' expects a program."));
    }
    *slot = Some(hook);
}

const TRACKED: [&str; 8] =
    ["backend", "file", "frontend", "interface", "process", "region-map", "script", "service"];

pub fn track<'a>(reading: &mut Reading<'_>, draft: &mut Draft, args: Args<'a>) {
    let (what, name) = (args.str(1), args.str(2));
    if !TRACKED.contains(&what) {
        let hint = suggest::hint(what, TRACKED);
        let message = format!("'track' expects what is tracked, got '{what}'.");
        return reading.diags.alert_hint(args.at(1), message, hint);
    }
    // The map is the one there is.
    let is_map = what == "region-map";
    if name.is_empty() && !is_map {
        return reading.alert(args.span, format!("'track {what}' expects a name."));
    }
    let kind = match what {
        "region-map" => TrackerKind::RegionMap,
        "service" => TrackerKind::Service(name.to_owned()),
        "backend" => TrackerKind::Backend(name.to_owned()),
        "frontend" => TrackerKind::Frontend(name.to_owned()),
        "interface" => TrackerKind::Interface,
        "process" => TrackerKind::Process { process: name.to_owned(), quorum: 1 },
        "file" => TrackerKind::File { path: name.to_owned() },
        _ => TrackerKind::Script(script(name)),
    };
    if matches!(what, "backend" | "frontend") {
        reading.mentioned.push((kind.clone(), args.at(2)));
    }
    let label = match what {
        "interface" => name.to_owned(),
        "region-map" => what.to_owned(),
        _ => format!("{what} {name}"),
    };
    let mut spec = TrackSpec { tracker: reading.tracker(&label, kind), weight: 0, reverse: false };
    let mut cursor = Cursor::new(args, if is_map { 2 } else { 3 });
    while let Some(word) = cursor.take() {
        match word.str() {
            "weight" => {
                let value = cursor.take().and_then(|value| value.str().parse().ok());
                match value.filter(|n| (-253..=253).contains(n)) {
                    Some(weight) => spec.weight = weight,
                    None => return reading.alert(word.span, "'weight' expects a number from -253 to 253."),
                }
            }
            "reverse" => spec.reverse = true,
            other => {
                let hint = suggest::hint(other, ["weight", "reverse"]);
                reading.diags.alert_hint(word.span, format!("'track' unknown keyword '{other}'."), hint);
                return;
            }
        }
    }
    if draft.tracks.iter().any(|known| known.tracker == spec.tracker) {
        return reading.alert(args.at(2), format!("'{what} {name}' is tracked already."));
    }
    draft.tracks.push(spec);
}

/// A program that is run every second. Operators and blanks are a shell's.
fn script(text: &str) -> ScriptSpec {
    let needs_shell = text.contains(|c: char| c.is_whitespace() || "|&;<>$`()'\"".contains(c));
    let words = if needs_shell { vec!["/bin/sh", "-c", text] } else { vec![text] };
    ScriptSpec {
        command: Command { words: words.into_iter().map(String::from).collect(), owner: None },
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        rise: 1,
        fall: 1,
        starts_down: false,
    }
}
