//! `show servers state` (format 1, which `server-state-file` reads) and `show servers conn`.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::atomic::Ordering;

use crate::base::clock;
use crate::config::Proxy;
use crate::config::global::CliLevel::User;
use crate::model::{Address, AdminState, Server, TlsSwitch};

use super::command::Command;
use super::session::{Answer, Session};
use super::words::Args;
use crate::admin::stat::health;

pub static COMMANDS: &[Command] = &[
    Command::new(
        User,
        "show servers state",
        "[<backend>]",
        "What a reload or restart can take over of servers.",
        "show servers state",
        "1.6",
        |session, args| each(session, args, STATE_HEAD, state),
    ),
    Command::new(
        User,
        "show servers conn",
        "[<backend>]",
        "Connections of servers.",
        "show servers conn",
        "2.1",
        |session, args| {
            let workers = session.control.process().nbthread;
            each(session, args, &format!("{CONN_HEAD}[{workers}]\n"), conn)
        },
    ),
];

const STATE_HEAD: &str = "\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state \
bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr \
srv_agent_port
";

const CONN_HEAD: &str = "\
# bkname/svname bkid/svid addr port - purge_delay served used_cur used_max need_est idle_sess unsafe_nb safe_nb \
idle_lim idle_cur idle_per_thr";

fn each(
    session: &mut Session,
    args: &Args,
    head: &str,
    line: fn(&Proxy, &Server, u64, &mut String),
) -> Answer {
    let config = session.control.config();
    let only = match args.at(3) {
        "" => None,
        name => match config.backends.get(name) {
            Some(id) => Some(*id),
            None => return Answer::error("Can't find backend.\n"),
        },
    };
    let now = clock::now_ms();
    let mut out = String::from(head);
    for (i, proxy) in config.proxies.iter().enumerate() {
        let Some(back) = &proxy.back else { continue };
        if proxy.disabled || only.is_some_and(|id| id.0 as usize != i) {
            continue;
        }
        for server in &back.servers.load().list {
            line(proxy, server, now, &mut out);
        }
    }
    Answer::Dump(out)
}

fn ip_and_port(server: &Server) -> (String, u16) {
    match server.address() {
        Address::Inet(a) if server.is_nowhere() => ("-".into(), a.port()),
        Address::Inet(a) => (a.ip().to_string(), a.port()),
        _ => ("-".into(), 0),
    }
}

/// Where the file says that its checks go.
fn back_check(proxy: &Proxy, server: &Server) -> (Option<IpAddr>, u16) {
    let check = proxy.back.as_ref().and_then(|back| back.check_of(&server.spec.name));
    check.map_or((None, 0), |check| (check.addr, check.port.unwrap_or(0)))
}

fn state(proxy: &Proxy, server: &Server, now: u64, out: &mut String) {
    let (spec, live) = (&server.spec, &server.live);
    let (ip, port) = ip_and_port(server);
    let (status, result) = live.check.with(|check| health::numbers(check.status));
    let admin = live.admin();
    let is_paused = admin.intersects(AdminState::MAINT);
    let is_enabled = live.check_enabled.load(Ordering::Relaxed);
    let check_state = match spec.has_check {
        true => 1 << 1 | u8::from(is_enabled) << 2 | u8::from(is_paused) << 3,
        // Of one that is not checked, `disabled` alone stays to be seen.
        false => u8::from(admin.contains(AdminState::CONFIG_MAINT)) << 3,
    };
    let agent_state = match spec.agent {
        Some(_) => 1 << 1 | u8::from(live.agent.enabled.load(Ordering::Relaxed)) << 2 | 1 << 4,
        None => 0,
    };
    let check = back_check(proxy, server);
    let shown = |own: Option<IpAddr>| own.map_or_else(|| "-".to_owned(), |ip| ip.to_string());
    let agent = spec.agent.as_deref();
    let agent_addr = shown(live.agent.addr.with(|addr| *addr).or(agent.and_then(|agent| agent.addr)));
    let agent_port = match live.agent.port.load(Ordering::Relaxed) {
        0 => agent.map_or(0, |agent| u32::from(agent.port)),
        port => port,
    };
    let check_addr = shown(live.check_addr.with(|addr| *addr).or(check.0));
    let check_port = match live.check_port.load(Ordering::Relaxed) {
        0 => u32::from(check.1),
        port => port,
    };
    // Off until it is switched is another thing than switched off.
    let tls = match (server.tls(), spec.tls_is_off && live.tls_switch() == TlsSwitch::Line) {
        (Some(_), _) => 1,
        (None, true) => -1,
        (None, false) => 0,
    };
    let since = clock::elapsed_ms(now, live.last_change_ms.load(Ordering::Relaxed)) / 1000;
    let _ = writeln!(
        out,
        "{} {} {} {} {ip} {} {} {} {} {since} {status} {result} {} {check_state} {agent_state} 0 0 {} {port} {} {tls} {check_port} \
         {check_addr} {agent_addr} {agent_port}",
        proxy.uid,
        proxy.name,
        spec.id,
        spec.name,
        live.oper() as u8,
        admin.bits(),
        live.user_weight.load(Ordering::Relaxed),
        spec.weight,
        live.health.load(Ordering::Relaxed),
        server.fqdn().as_deref().unwrap_or("-"),
        spec.srv_record.as_deref().unwrap_or("-"),
    );
}

fn conn(proxy: &Proxy, server: &Server, _now: u64, out: &mut String) {
    let (spec, live) = (&server.spec, &server.live);
    let (ip, port) = ip_and_port(server);
    let idle = live.idle.load(Ordering::Relaxed);
    let proven = live.idle_proven.load(Ordering::Relaxed);
    let private = live.idle_private.load(Ordering::Relaxed);
    let limit = spec.pool_max_conn.map_or(-1, i64::from);
    let _ = write!(
        out,
        "{}/{} {}/{} {ip} {port} - {} {} {} {} {} {private} {} {proven} {limit} {idle}",
        proxy.name,
        spec.name,
        proxy.uid,
        spec.id,
        spec.pool_purge_delay_ms,
        live.served.load(Ordering::Relaxed),
        live.used.load(Ordering::Relaxed),
        live.need.peak(),
        live.need.estimate(),
        idle.saturating_sub(proven),
    );
    // The first shard is nobody's: workers are numbered from 1.
    for of_worker in live.idle_by.iter().skip(1) {
        let _ = write!(out, " {}", of_worker.load(Ordering::Relaxed));
    }
    out.push('\n');
}
