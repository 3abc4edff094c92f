//! `global_defs`.

use std::net::IpAddr;
use std::time::Duration;

use super::super::packet::Version;
use super::block::Shape::{Flag, Ignored, List, Value, Wanted};
use super::block::{Keyword, Line, flag, keyword, seconds, whole};
use super::finding::{Findings, Level};

/// What `global_defs` say. Where a block is repeated its last words hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Globals {
    pub(super) router_id: Option<String>,
    pub(super) mail_to: Vec<String>,
    pub(super) mail_from: Option<String>,
    pub(super) smtp_server: Option<(String, u16)>,
    pub(super) smtp_helo: Option<String>,
    pub(super) smtp_timeout: Option<Duration>,
    pub(super) smtp_alert: Option<bool>,
    pub(super) version: Option<Version>,
    pub(super) script_user: Option<(String, String)>,
    pub(super) script_security: bool,
    pub(super) strict: bool,
    /// Interfaces need not be there yet.
    pub(super) any_interface: bool,
    pub(super) any_addresses: bool,
    pub(super) check_unicast_source: bool,
    pub(super) group4: Option<IpAddr>,
    pub(super) group6: Option<IpAddr>,
    pub(super) garp: Garp,
    pub(super) down_adverts: Option<u32>,
    pub(super) lower_no_advert: Option<bool>,
    pub(super) fifo: Option<(String, String, String)>,
    pub(super) start_delay_us: u64,
}

/// `garp_*` of `global_defs` or of an instance; the latter come first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Garp {
    pub(super) delay: Option<u32>,
    pub(super) repeat: Option<u32>,
    pub(super) refresh: Option<u32>,
    pub(super) refresh_repeat: Option<u32>,
    pub(super) lower_delay: Option<u32>,
    pub(super) lower_repeat: Option<u32>,
}

impl Garp {
    /// Reads a line whose keyword ends like this; false when that is none of them.
    pub(super) fn read(&mut self, findings: &mut Findings, line: Line<'_>) {
        let word = line.keyword();
        let (slot, min) = match word.strip_prefix("vrrp_").unwrap_or(word) {
            "garp_master_delay" => (&mut self.delay, 0),
            "garp_master_repeat" => (&mut self.repeat, 1),
            "garp_master_refresh" => (&mut self.refresh, 0),
            "garp_master_refresh_repeat" => (&mut self.refresh_repeat, 1),
            "garp_lower_prio_delay" => (&mut self.lower_delay, 0),
            _ => (&mut self.lower_repeat, 0),
        };
        // More in a row than anybody needs would hold up the agent.
        let Some(number) = whole::<u32>(findings, line, 1, 0, i64::from(u32::MAX / 1_000)) else { return };
        if number < min {
            findings.warning(line.at, format!("'{word}' has to be {min} at least"));
        }
        let most = if word.ends_with("repeat") { MAX_REPEAT } else { u32::MAX };
        *slot = Some(number.clamp(min, most));
    }
}

/// Most announcements in a row.
pub(super) const MAX_REPEAT: u32 = 100;

const NOT_LVS: &str = "Isobar has no LVS: its proxy balances";
const OWN_THREAD: &str = "the agent has a thread of its own";
const NOT_VMAC: &str = "addresses move with gratuitous ARP, without a virtual MAC";
const FIREWALL: &str = "Isobar does not touch the firewall";
const NOT_SNMP: &str = "metrics are Isobar's";
const ONE_PROCESS: &str = "Isobar names and steers its own processes";
const BUFFERS: &str = "Isobar sizes its sockets itself";

const fn ignored<T>(name: &'static str, why: &'static str) -> Keyword<T> {
    keyword(name, Ignored(why))
}

#[rustfmt::skip]
pub(super) const GLOBAL: &[Keyword<Globals>] = &[
    keyword("router_id", Flag(router_id)),
    keyword("notification_email", List(|g, _, line| g.mail_to.extend(line.words.iter().map(|w| w.text.clone())))),
    keyword("notification_email_from", Wanted(|g, _, line| g.mail_from = Some(line.str(1).to_owned()))),
    keyword("smtp_server", Value(smtp_server)),
    keyword("smtp_helo_name", Value(|g, _, line| g.smtp_helo = Some(line.str(1).to_owned()))),
    keyword("smtp_connect_timeout", Value(|g, f, line| {
        g.smtp_timeout = whole(f, line, 1, 1, 4_294).map(Duration::from_secs).or(g.smtp_timeout);
    })),
    keyword("smtp_alert", Flag(|g, f, line| g.smtp_alert = flag(f, line).or(g.smtp_alert))),
    keyword("smtp_alert_vrrp", Flag(|g, f, line| g.smtp_alert = flag(f, line).or(g.smtp_alert))),
    keyword("vrrp_version", Value(|g, f, line| g.version = version(f, line).or(g.version))),
    keyword("script_user", Wanted(|g, _, line| g.script_user = Some((line.str(1).to_owned(), line.str(2).to_owned())))),
    keyword("enable_script_security", Flag(|g, _, _| g.script_security = true)),
    keyword("vrrp_strict", Flag(|g, _, _| g.strict = true)),
    keyword("vrrp_skip_check_adv_addr", Flag(|g, f, line| g.any_addresses = flag(f, line).unwrap_or(g.any_addresses))),
    keyword("vrrp_check_unicast_src", Flag(|g, _, _| g.check_unicast_source = true)),
    keyword("vrrp_mcast_group4", Value(|g, f, line| g.group4 = multicast(f, line).or(g.group4))),
    keyword("vrrp_mcast_group6", Value(|g, f, line| g.group6 = multicast(f, line).or(g.group6))),
    keyword("vrrp_garp_master_delay", Value(|g, f, line| g.garp.read(f, line))),
    keyword("vrrp_garp_master_repeat", Value(|g, f, line| g.garp.read(f, line))),
    keyword("vrrp_garp_master_refresh", Value(|g, f, line| g.garp.read(f, line))),
    keyword("vrrp_garp_master_refresh_repeat", Value(|g, f, line| g.garp.read(f, line))),
    keyword("vrrp_garp_lower_prio_delay", Value(|g, f, line| g.garp.read(f, line))),
    keyword("vrrp_garp_lower_prio_repeat", Value(|g, f, line| g.garp.read(f, line))),
    keyword("vrrp_garp_interval", Value(garp_interval)),
    keyword("vrrp_gna_interval", Value(garp_interval)),
    keyword("vrrp_down_timer_adverts", Value(|g, f, line| g.down_adverts = whole(f, line, 1, 1, 100).or(g.down_adverts))),
    keyword("vrrp_lower_prio_no_advert", Flag(|g, f, line| g.lower_no_advert = flag(f, line).or(g.lower_no_advert))),
    keyword("vrrp_higher_prio_send_advert", Flag(|_, _, _| {})),
    keyword("vrrp_notify_fifo", Value(fifo)),
    keyword("notify_fifo", Value(fifo)),
    keyword("vrrp_startup_delay", Value(|g, f, line| g.start_delay_us = seconds(f, line, 1, 1_000, 4_294_000_000).unwrap_or(0))),
    keyword("dynamic_interfaces", Flag(|g, _, _| g.any_interface = true)),
    keyword("max_auto_priority", Flag(|_, _, _| {})),
    keyword("min_auto_priority_delay", Value(|_, _, _| {})),
    keyword("vrrp_priority", Value(|_, _, _| {})),
    keyword("vrrp_rt_priority", Value(|_, _, _| {})),
    keyword("vrrp_rlimit_rttime", Value(|_, _, _| {})),
    keyword("vrrp_rlimit_rtime", Value(|_, _, _| {})),
    keyword("vrrp_no_swap", Flag(|_, _, _| {})),
    ignored("vrrp_cpu_affinity", OWN_THREAD),
    ignored("checker_priority", OWN_THREAD), ignored("checker_rt_priority", OWN_THREAD), ignored("checker_no_swap", OWN_THREAD),
    ignored("checker_rlimit_rttime", OWN_THREAD), ignored("checker_cpu_affinity", OWN_THREAD),
    ignored("bfd_priority", OWN_THREAD), ignored("bfd_rt_priority", OWN_THREAD), ignored("bfd_no_swap", OWN_THREAD),
    ignored("bfd_rlimit_rttime", OWN_THREAD), ignored("bfd_cpu_affinity", OWN_THREAD),
    ignored("default_interface", "static addresses are not Isobar's"),
    ignored("disable_local_igmp", NOT_VMAC), ignored("vrrp_garp_extra_if", NOT_VMAC), ignored("vmac_prefix", NOT_VMAC),
    ignored("vmac_addr_prefix", NOT_VMAC), ignored("nftables", FIREWALL), ignored("nftables_priority", FIREWALL),
    ignored("nftables_counters", FIREWALL), ignored("nftables_ifindex", FIREWALL), ignored("nftables_ipvs", FIREWALL),
    ignored("nftables_ipvs_priority", FIREWALL), ignored("nftables_ipvs_start_fwmark", FIREWALL),
    ignored("vrrp_iptables", FIREWALL), ignored("vrrp_ipsets", FIREWALL), ignored("namespace_with_ipsets", FIREWALL),
    ignored("lvs_sync_daemon", NOT_LVS), ignored("lvs_timeouts", NOT_LVS), ignored("lvs_flush", NOT_LVS),
    ignored("lvs_flush_on_stop", NOT_LVS), ignored("lvs_flush_onstop", NOT_LVS), ignored("smtp_alert_checker", NOT_LVS),
    ignored("checker_log_all_failures", NOT_LVS), ignored("lvs_notify_fifo", NOT_LVS), ignored("lvs_notify_fifo_script", NOT_LVS),
    ignored("rs_init_notifies", NOT_LVS), ignored("no_checker_emails", NOT_LVS), ignored("no_email_faults", NOT_LVS),
    ignored("enable_snmp_vrrp", NOT_SNMP), ignored("enable_snmp_keepalived", NOT_SNMP), ignored("enable_snmp_checker", NOT_SNMP),
    ignored("enable_snmp_rfc", NOT_SNMP), ignored("enable_snmp_rfcv2", NOT_SNMP), ignored("enable_snmp_rfcv3", NOT_SNMP),
    ignored("enable_traps", NOT_SNMP), ignored("snmp_socket", NOT_SNMP), ignored("snmp_server", NOT_SNMP),
    ignored("enable_dbus", NOT_SNMP), ignored("dbus_service_name", NOT_SNMP),
    ignored("vrrp_notify_fifo_script", "a program may read the FIFO"), ignored("notify_fifo_script", "a program may read the FIFO"),
    ignored("fifo_write_vrrp_states_on_reload", "a reload changes no state"),
    ignored("vrrp_notify_priority_changes", "the FIFO tells of states"), ignored("log_unknown_vrids", "'isobar vip status' counts them"),
    ignored("process_names", ONE_PROCESS), ignored("process_name", ONE_PROCESS), ignored("vrrp_process_name", ONE_PROCESS),
    ignored("checker_process_name", ONE_PROCESS), ignored("bfd_process_name", ONE_PROCESS), ignored("child_wait_time", ONE_PROCESS),
    ignored("startup_script", ONE_PROCESS), ignored("startup_script_timeout", ONE_PROCESS), ignored("shutdown_script", ONE_PROCESS),
    ignored("shutdown_script_timeout", ONE_PROCESS), ignored("umask", ONE_PROCESS), ignored("net_namespace", ONE_PROCESS),
    ignored("net_namespace_ipvs", ONE_PROCESS), ignored("instance", ONE_PROCESS), ignored("use_pid_dir", ONE_PROCESS),
    ignored("tmp_config_directory", ONE_PROCESS), ignored("config_save_dir", ONE_PROCESS), ignored("random_seed", ONE_PROCESS),
    ignored("reload_check_config", "a reload is always checked first"), ignored("include_check", "a missing file is said"),
    ignored("reload_time_file", ONE_PROCESS), ignored("reload_repeat", ONE_PROCESS), ignored("reload_file", ONE_PROCESS),
    ignored("data_use_instance", ONE_PROCESS), ignored("linkbeat_use_polling", "links are watched with netlink"),
    ignored("vrrp_netlink_cmd_rcv_bufs", BUFFERS), ignored("vrrp_netlink_cmd_rcv_bufs_force", BUFFERS),
    ignored("vrrp_netlink_monitor_rcv_bufs", BUFFERS), ignored("vrrp_netlink_monitor_rcv_bufs_force", BUFFERS),
    ignored("lvs_netlink_cmd_rcv_bufs", BUFFERS), ignored("lvs_netlink_cmd_rcv_bufs_force", BUFFERS),
    ignored("lvs_netlink_monitor_rcv_bufs", BUFFERS), ignored("lvs_netlink_monitor_rcv_bufs_force", BUFFERS),
    ignored("process_monitor_rcv_bufs", BUFFERS), ignored("process_monitor_rcv_bufs_force", BUFFERS),
    ignored("vrrp_rx_bufs_policy", BUFFERS), ignored("vrrp_rx_bufs_multiplier", BUFFERS),
];

fn router_id(globals: &mut Globals, findings: &mut Findings, line: Line<'_>) {
    match line.str(1) {
        "" => findings.warning(line.at, "'router_id' expects a name"),
        name => globals.router_id = Some(name.to_owned()),
    }
}

pub(super) fn version(findings: &mut Findings, line: Line<'_>) -> Option<Version> {
    let number: u8 = whole(findings, line, 1, 2, 3)?;
    Some(if number == 2 { Version::V2 } else { Version::V3 })
}

fn multicast(findings: &mut Findings, line: Line<'_>) -> Option<IpAddr> {
    let address = line.str(1).parse::<IpAddr>().ok().filter(IpAddr::is_multicast);
    if address.is_none() {
        findings.warning(line.at, format!("'{}' expects a multicast address", line.keyword()));
    }
    address
}

/// An address or a name, and a port. A name is looked up when mail is sent.
fn smtp_server(globals: &mut Globals, findings: &mut Findings, line: Line<'_>) {
    let port = match line.str(2) {
        "" => 25,
        _ => match whole(findings, line, 2, 1, 65_535) {
            Some(port) => port,
            None => return,
        },
    };
    globals.smtp_server = Some((line.str(1).to_owned(), port));
}

/// Between two frames keepalived pauses, which its receivers do not need of so few.
fn garp_interval(_: &mut Globals, findings: &mut Findings, line: Line<'_>) {
    if seconds(findings, line, 1, 1, 4_294_967_295).is_some() {
        let message = format!("'{}' has no effect: frames are sent without a pause", line.keyword());
        findings.push(Level::Ours, line.at, message);
    }
}

fn fifo(globals: &mut Globals, findings: &mut Findings, line: Line<'_>) {
    if line.str(1).starts_with('/') {
        let word = |i| line.str(i).to_owned();
        globals.fifo = Some((word(1), word(2), word(3)));
    } else {
        findings.warning(line.at, format!("'{}' expects an absolute path", line.keyword()));
    }
}
