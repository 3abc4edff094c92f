//! `vrrp_instance` and `vrrp_sync_group` as they are written.

use std::net::IpAddr;

use super::super::packet::Version;
use super::super::spec::{AddressSpec, Family, PeerSpec};
use super::address::address;
use super::block::Shape::{Block, Flag, Foreign, Ignored, List, Value};
use super::block::{Keyword, Line, flag, keyword, seconds, whole};
use super::finding::{Findings, Level, Place};
use super::global::{Garp, version};
use super::track::{Entry, Tracked, entry};

/// The words of an instance; what was not said is `None`.
#[derive(Clone, Debug, Default)]
pub(super) struct Instance {
    pub(super) name: String,
    pub(super) at: Place,
    pub(super) interface: Option<String>,
    pub(super) vrid: Option<u8>,
    pub(super) priority: Option<u8>,
    pub(super) wants_master: bool,
    pub(super) version: Option<Version>,
    pub(super) interval_us: Option<u64>,
    pub(super) family: Option<Family>,
    pub(super) auth_type: Option<Auth>,
    pub(super) auth_pass: Option<Vec<u8>>,
    pub(super) addresses: Vec<AddressSpec>,
    pub(super) excluded: Vec<AddressSpec>,
    pub(super) source: Option<IpAddr>,
    pub(super) group: Option<IpAddr>,
    pub(super) is_unicast: bool,
    pub(super) fault_without_peer: bool,
    pub(super) peers: Vec<PeerSpec>,
    pub(super) check_source: Option<bool>,
    pub(super) ttl: Option<u8>,
    pub(super) old_checksum: bool,
    pub(super) nopreempt: bool,
    pub(super) preempt_delay_us: u64,
    pub(super) garp: Garp,
    pub(super) down_adverts: Option<u32>,
    pub(super) lower_no_advert: Option<bool>,
    pub(super) any_addresses: Option<bool>,
    pub(super) strict: Option<bool>,
    pub(super) tracks: Vec<Entry>,
    pub(super) untracked_interface: bool,
    pub(super) notify: Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Auth {
    Pass,
    Ah,
}

/// The words of `notify_...` lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Notify {
    pub(super) master: Option<Told>,
    pub(super) backup: Option<Told>,
    pub(super) fault: Option<Told>,
    pub(super) stop: Option<Told>,
    pub(super) any: Option<Told>,
    pub(super) mail: Option<bool>,
}

/// A program that is told, and as whom it runs.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) command: String,
    pub(super) user: String,
    pub(super) group: String,
    pub(super) at: Place,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) at: Place,
    pub(super) members: Vec<String>,
    pub(super) tracks: Vec<Entry>,
    pub(super) weights: bool,
    pub(super) notify: Notify,
}

impl Notify {
    fn read(&mut self, findings: &mut Findings, line: Line<'_>) {
        let slot = match line.keyword() {
            "notify_master" => &mut self.master,
            "notify_backup" => &mut self.backup,
            "notify_fault" => &mut self.fault,
            "notify_stop" => &mut self.stop,
            _ => &mut self.any,
        };
        if slot.is_some() {
            let message = format!("'{}' was given already: '{}' is left out", line.keyword(), line.str(1));
            return findings.warning(line.at, message);
        }
        if !line.str(1).is_empty() {
            let word = |i| line.str(i).to_owned();
            *slot = Some(Told { command: word(1), user: word(2), group: word(3), at: line.at });
        }
    }

    fn mail(&mut self, findings: &mut Findings, line: Line<'_>) {
        self.mail = flag(findings, line).or(self.mail);
    }
}

const NOT_VMAC: &str = "addresses move with gratuitous ARP, without a virtual MAC";
const NO_ROUTES: &str = "virtual routes and rules are not Isobar's";

#[rustfmt::skip]
pub(super) const INSTANCE: &[Keyword<Instance>] = &[
    keyword("state", Value(state)),
    keyword("interface", Value(|i, _, line| i.interface = Some(line.str(1).to_owned()))),
    keyword("virtual_router_id", Value(|i, f, line| i.vrid = whole(f, line, 1, 1, 255).or(i.vrid))),
    keyword("priority", Value(|i, f, line| i.priority = whole(f, line, 1, 1, 255).or(Some(100)))),
    keyword("version", Value(|i, f, line| i.version = version(f, line).or(i.version))),
    keyword("advert_int", Value(|i, f, line| i.interval_us = seconds(f, line, 1, 10_000, 255_000_000).or(i.interval_us))),
    keyword("authentication", Block(AUTHENTICATION)),
    keyword("virtual_ipaddress", List(virtual_address)),
    keyword("virtual_ipaddress_excluded", List(|i, f, line| i.excluded.extend(address(f, line)))),
    keyword("native_ipv6", Flag(|i, _, _| i.family = Some(Family::V6))),
    keyword("mcast_src_ip", Value(source)),
    keyword("mcast_dst_ip", Value(group)),
    keyword("unicast_src_ip", Value(|i, f, line| { i.is_unicast = true; source(i, f, line) })),
    keyword("unicast_peer", List(peer)),
    keyword("check_unicast_src", Flag(|i, f, line| i.check_source = flag(f, line).or(i.check_source))),
    keyword("unicast_ttl", Value(|i, f, line| i.ttl = whole(f, line, 1, 0, 255).or(i.ttl))),
    keyword("unicast_fault_no_peer", Flag(|i, _, _| i.fault_without_peer = true)),
    keyword("old_unicast_checksum", Flag(|i, _, line| i.old_checksum = line.str(1) != "never")),
    keyword("nopreempt", Flag(|i, _, _| i.nopreempt = true)),
    keyword("preempt", Flag(|i, _, _| i.nopreempt = false)),
    keyword("preempt_delay", Value(|i, f, line| i.preempt_delay_us = seconds(f, line, 1, 0, 1_000_000_000).unwrap_or(i.preempt_delay_us))),
    keyword("garp_master_delay", Value(|i, f, line| i.garp.read(f, line))),
    keyword("garp_master_repeat", Value(|i, f, line| i.garp.read(f, line))),
    keyword("garp_master_refresh", Value(|i, f, line| i.garp.read(f, line))),
    keyword("garp_master_refresh_repeat", Value(|i, f, line| i.garp.read(f, line))),
    keyword("garp_lower_prio_delay", Value(|i, f, line| i.garp.read(f, line))),
    keyword("garp_lower_prio_repeat", Value(|i, f, line| i.garp.read(f, line))),
    keyword("down_timer_adverts", Value(|i, f, line| i.down_adverts = whole(f, line, 1, 1, 100).or(i.down_adverts))),
    keyword("lower_prio_no_advert", Flag(|i, f, line| i.lower_no_advert = flag(f, line).or(i.lower_no_advert))),
    keyword("higher_prio_send_advert", Flag(|_, f, line| { flag(f, line); })),
    keyword("skip_check_adv_addr", Flag(|i, f, line| i.any_addresses = flag(f, line).or(i.any_addresses))),
    keyword("strict_mode", Flag(|i, f, line| i.strict = flag(f, line).or(i.strict))),
    keyword("dont_track_primary", Flag(|i, _, _| i.untracked_interface = true)),
    keyword("track_script", List(|i, f, line| i.tracks.push(entry(f, line, Tracked::Script)))),
    keyword("track_interface", List(|i, f, line| i.tracks.push(entry(f, line, Tracked::Interface)))),
    keyword("track_process", List(|i, f, line| i.tracks.push(entry(f, line, Tracked::Process)))),
    keyword("track_file", List(|i, f, line| i.tracks.push(entry(f, line, Tracked::File)))),
    keyword("notify_master", Value(|i, f, line| i.notify.read(f, line))),
    keyword("notify_backup", Value(|i, f, line| i.notify.read(f, line))),
    keyword("notify_fault", Value(|i, f, line| i.notify.read(f, line))),
    keyword("notify_stop", Value(|i, f, line| i.notify.read(f, line))),
    keyword("notify", Value(|i, f, line| i.notify.read(f, line))),
    keyword("smtp_alert", Flag(|i, f, line| i.notify.mail(f, line))),
    keyword("accept", Flag(|_, _, _| {})),
    keyword("debug", Flag(|_, _, _| {})),
    keyword("promote_secondaries", Flag(|_, _, _| {})),
    keyword("no_accept", Ignored("Isobar does not touch the firewall: the addresses answer")),
    keyword("track_src_ip", Ignored("an interface without an address is a fault")),
    keyword("track_bfd", Foreign("BFD is not Isobar's")),
    keyword("use_vmac", Ignored(NOT_VMAC)),
    keyword("use_vmac_addr", Ignored(NOT_VMAC)),
    keyword("use_ipvlan", Ignored(NOT_VMAC)),
    keyword("vmac_xmit_base", Ignored(NOT_VMAC)),
    keyword("garp_extra_if", Ignored(NOT_VMAC)),
    keyword("garp_extra_if_vmac", Ignored(NOT_VMAC)),
    keyword("vrf", Ignored("sockets are bound to the interface")),
    keyword("virtual_routes", Foreign(NO_ROUTES)),
    keyword("virtual_rules", Foreign(NO_ROUTES)),
    keyword("linkbeat_use_polling", Ignored("links are watched with netlink")),
    keyword("lvs_sync_daemon_interface", Flag(|_, f, line| f.warning(line.at, "'lvs_sync_daemon_interface' has no effect: Isobar has no LVS"))),
    keyword("notify_master_rx_lower_pri", Ignored("a line in the log tells of it")),
    keyword("notify_priority_changes", Ignored("the FIFO tells of states")),
    keyword("notify_deleted", Ignored("an instance that is taken away stops")),
    keyword("kernel_rx_buf_size", Ignored("Isobar sizes its sockets itself")),
];

#[rustfmt::skip]
pub(super) const GROUP: &[Keyword<Group>] = &[
    keyword("group", List(|g, _, line| g.members.extend(line.words.iter().map(|word| word.text.clone())))),
    keyword("track_script", List(|g, f, line| g.tracks.push(entry(f, line, Tracked::Script)))),
    keyword("track_interface", List(|g, f, line| g.tracks.push(entry(f, line, Tracked::Interface)))),
    keyword("track_process", List(|g, f, line| g.tracks.push(entry(f, line, Tracked::Process)))),
    keyword("track_file", List(|g, f, line| g.tracks.push(entry(f, line, Tracked::File)))),
    keyword("track_bfd", Foreign("BFD is not Isobar's")),
    keyword("sync_group_tracking_weight", Flag(|g, _, _| g.weights = true)),
    keyword("global_tracking", Flag(|g, f, line| {
        f.warning(line.at, "'global_tracking' is deprecated: a sync group has tracks of its own");
        g.weights = true;
    })),
    keyword("notify_master", Value(|g, f, line| g.notify.read(f, line))),
    keyword("notify_backup", Value(|g, f, line| g.notify.read(f, line))),
    keyword("notify_fault", Value(|g, f, line| g.notify.read(f, line))),
    keyword("notify_stop", Value(|g, f, line| g.notify.read(f, line))),
    keyword("notify", Value(|g, f, line| g.notify.read(f, line))),
    keyword("smtp_alert", Flag(|g, f, line| g.notify.mail(f, line))),
    keyword("notify_priority_changes", Ignored("the FIFO tells of states")),
];

const AUTHENTICATION: &[Keyword<Instance>] =
    &[keyword("auth_type", Value(auth_type)), keyword("auth_pass", Value(auth_pass))];

fn state(instance: &mut Instance, findings: &mut Findings, line: Line<'_>) {
    instance.wants_master = match line.str(1) {
        "MASTER" => true,
        "BACKUP" => false,
        other => {
            findings.warning(line.at, format!("state '{other}' is unknown: BACKUP it is"));
            false
        }
    };
}

fn auth_type(instance: &mut Instance, findings: &mut Findings, line: Line<'_>) {
    match line.str(1) {
        "PASS" => instance.auth_type = Some(Auth::Pass),
        "AH" => instance.auth_type = Some(Auth::Ah),
        other => findings.warning(line.at, format!("authentication '{other}' is unknown")),
    }
}

fn auth_pass(instance: &mut Instance, findings: &mut Findings, line: Line<'_>) {
    let mut password = line.str(1).as_bytes().to_vec();
    if password.len() > 8 {
        findings.warning(line.at, "only the first 8 characters of 'auth_pass' count");
        password.truncate(8);
    }
    instance.auth_pass = Some(password);
}

fn source(instance: &mut Instance, findings: &mut Findings, line: Line<'_>) {
    match line.str(1).parse() {
        Ok(address) => {
            instance.source = Some(address);
            instance.family.get_or_insert(Family::of(address));
        }
        Err(_) => findings
            .warning(line.at, format!("'{}' expects an address, got '{}'", line.keyword(), line.str(1))),
    }
}

fn group(instance: &mut Instance, findings: &mut Findings, line: Line<'_>) {
    match line.str(1).parse::<IpAddr>().ok().filter(IpAddr::is_multicast) {
        Some(address) => {
            instance.group = Some(address);
            instance.family.get_or_insert(Family::of(address));
        }
        None => findings
            .warning(line.at, format!("'mcast_dst_ip' expects a multicast address, got '{}'", line.str(1))),
    }
}

/// All addresses of adverts are of one family, which the first says unless something before it did.
fn virtual_address(instance: &mut Instance, findings: &mut Findings, line: Line<'_>) {
    let Some(spec) = address(findings, line) else { return };
    let family = Family::of(spec.address);
    if *instance.family.get_or_insert(family) != family {
        let message = format!("{} is of the other family than its instance: it is left out", spec.address);
        return findings.warning(line.at, message);
    }
    instance.addresses.push(spec);
}

/// `ADDRESS [min_ttl N] [max_ttl N]`.
fn peer(instance: &mut Instance, findings: &mut Findings, line: Line<'_>) {
    instance.is_unicast = true;
    let Ok(address) = line.keyword().parse::<IpAddr>() else {
        return findings.warning(line.at, format!("peer '{}' is no address: it is left out", line.keyword()));
    };
    if Family::of(address) != *instance.family.get_or_insert(Family::of(address)) {
        return findings.warning(line.at, format!("peer {address} is of the other family: it is left out"));
    }
    let mut peer = PeerSpec { address, min_ttl: None, max_ttl: None };
    let mut i = 1;
    while i < line.words.len() {
        match line.str(i) {
            "min_ttl" => peer.min_ttl = whole(findings, line, i + 1, 0, 255),
            "max_ttl" => peer.max_ttl = whole(findings, line, i + 1, 0, 255),
            other => findings.warning(line.at, format!("'{other}' after a peer is unknown")),
        }
        i += 2;
    }
    if peer.min_ttl.is_some() || peer.max_ttl.is_some() {
        instance.check_source = Some(true);
    }
    if instance.peers.iter().any(|known| known.address == address) {
        return findings.push(Level::Note, line.at, format!("peer {address} is there already"));
    }
    instance.peers.push(peer);
}
