//! Commands that change a server: state, weight, limit, address.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::admin::control::member;
use crate::base::clock;
use crate::check::{Cause, Member};
use crate::config::Config;
use crate::config::global::CliLevel::{Admin, User};
use crate::model::{Address, AdminState, Cut, ProxyId, Server, TlsSwitch};
use crate::proxy::server::serve_queues;

use super::command::Command;
use super::session::{Answer, Session, Severity};
use super::words::Args;

pub static COMMANDS: &[Command] = &[
    Command::new(
        Admin,
        "disable server",
        "<backend>/<server>",
        "Put a server in maintenance.",
        "disable server be/s1",
        "1.4",
        |session, args| with(session, args.at(2), |t| t.member(|m| m.maintain("", clock::now_ms()))),
    ),
    Command::new(
        Admin,
        "enable server",
        "<backend>/<server>",
        "End the maintenance of a server.",
        "enable server be/s1",
        "1.4",
        |session, args| {
            with(session, args.at(2), |t| {
                t.member(|m| m.clear_admin(AdminState::FORCED_MAINT, clock::now_ms()))
            })
        },
    ),
    Command::new(
        Admin,
        "disable health",
        "<backend>/<server>",
        "Stop the health checks of a server.",
        "disable health be/s1",
        "1.5",
        |session, args| {
            with(session, args.at(2), |t| {
                t.server.live.check_enabled.store(false, Ordering::Relaxed);
                Answer::Done
            })
        },
    ),
    Command::new(
        Admin,
        "enable health",
        "<backend>/<server>",
        "Start its health checks again.",
        "enable health be/s1",
        "1.5",
        |session, args| with(session, args.at(2), enable_health),
    ),
    Command::new(
        Admin,
        "disable agent",
        "<backend>/<server>",
        "Stop the agent checks of a server.",
        "disable agent be/s1",
        "1.5",
        |session, args| {
            with(session, args.at(2), |t| {
                t.server.live.agent.enabled.store(false, Ordering::Relaxed);
                Answer::Done
            })
        },
    ),
    Command::new(
        Admin,
        "enable agent",
        "<backend>/<server>",
        "Start its agent checks again.",
        "enable agent be/s1",
        "1.5",
        |session, args| with(session, args.at(2), super::agent::enable),
    ),
    Command::new(
        Admin,
        "set server",
        "<backend>/<server> <what> <value>",
        "Change a server's state, health, weight or address.",
        "set server be/s1 state drain",
        "1.6",
        set,
    ),
    Command::new(
        Admin,
        "set weight",
        "<backend>/<server> <weight>[%]",
        "Change a server's weight.",
        "set weight be/s1 50%",
        "1.3",
        |session, args| with(session, args.at(2), |t| weight(t, args.at(3))),
    ),
    Command::new(
        User,
        "get weight",
        "<backend>/<server>",
        "A server's weight now and in the file.",
        "get weight be/s1",
        "1.3",
        |session, args| {
            with(session, args.at(2), |t| {
                let now = t.server.live.user_weight.load(Ordering::Relaxed);
                Answer::Dump(format!("{now} (initial {})\n", t.server.spec.weight))
            })
        },
    ),
    Command::new(
        Admin,
        "set maxconn server",
        "<backend>/<server> <value>",
        "Change a server's limit of connections.",
        "set maxconn server be/s1 100",
        "1.6",
        |session, args| with(session, args.at(3), |t| maxconn(t, args.at(4))),
    ),
    Command::new(
        Admin,
        "shutdown sessions server",
        "<backend>/<server>",
        "End the sessions of a server.",
        "shutdown sessions server be/s1",
        "1.5",
        |session, args| with(session, args.at(3), shutdown_sessions),
    ),
];

/// A server that a command names.
pub(super) struct Target<'a> {
    pub(super) session: &'a Session,
    pub(super) config: &'a Config,
    pub(super) id: ProxyId,
    pub(super) server: &'a Server,
}

/// Finds `backend/server`, both by name or `#` and number.
fn with(session: &Session, name: &str, run: impl FnOnce(&Target<'_>) -> Answer) -> Answer {
    let Some((backend, server)) = name.split_once('/').filter(|(_, server)| !server.is_empty()) else {
        return Answer::error("Require 'backend/server'.\n");
    };
    let config: Arc<Config> = session.control.config();
    let id = match backend.strip_prefix('#').and_then(|n| n.parse::<u32>().ok()) {
        Some(uid) => {
            let at = config.proxies.iter().position(|p| p.uid == uid && p.back.is_some());
            at.map(|i| ProxyId(i as u32))
        }
        None => config.backends.get(backend).copied(),
    };
    let Some((id, back)) = id.and_then(|id| Some((id, config.proxy(id).back.as_ref()?))) else {
        return Answer::error("No such backend.\n");
    };
    let set = back.servers.load();
    let by_id = server.strip_prefix('#').and_then(|n| n.parse::<u32>().ok());
    let found = set.list.iter().find(|s| match by_id {
        Some(id) => s.spec.id == id,
        None => *s.spec.name == *server,
    });
    match found {
        Some(server) => run(&Target { session, config: &config, id, server }),
        None => Answer::error("No such server.\n"),
    }
}

impl Target<'_> {
    pub(super) fn member(&self, change: impl FnOnce(&Member)) -> Answer {
        if let Some(member) = member(&*self.session.control, self.config.proxy(self.id), self.server) {
            change(&member);
        }
        Answer::Done
    }

    /// After its weight or limit changed: balancing takes it in, and who waited may go on.
    fn settle(&self) {
        let proxy = self.config.proxy(self.id);
        if let Some(back) = &proxy.back {
            let now = clock::now_ms();
            back.servers.load().refresh(now);
            serve_queues(self.server, &proxy.live, back.fullconn, now);
        }
    }
}

fn set(session: &mut Session, args: &Args) -> Answer {
    with(session, args.at(2), |t| match args.at(3) {
        "weight" => weight(t, args.at(4)),
        "state" => state(t, args.at(4)),
        "health" => health(t, args.at(4)),
        "addr" => address(t, args),
        "agent" | "agent-send" | "agent-addr" | "agent-port" => super::agent::set(t, args),
        "fqdn" => super::resolvers::fqdn(t.session, t.config.proxy(t.id), t.server, args.at(4)),
        "ssl" => ssl(t, args.at(4)),
        "check-addr" | "check-port" => super::agent::set_check(t, args),
        _ => Answer::error(
            "usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send | \
             check-addr | check-port | fqdn | health | ssl | state | weight\n",
        ),
    })
}

fn state(target: &Target<'_>, word: &str) -> Answer {
    let now = clock::now_ms();
    match word {
        "ready" => target.member(|m| m.ready(now)),
        "drain" => target.member(|m| m.drain(now)),
        "maint" => target.member(|m| m.maintain("", now)),
        _ => Answer::error("'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n"),
    }
}

/// `set server <b>/<s> ssl on|off`.
fn ssl(target: &Target<'_>, word: &str) -> Answer {
    if target.server.spec.tls.is_none() {
        return Answer::error(
            "'set server <srv> ssl' cannot be set.  default-server should define ssl settings\n",
        );
    }
    let switch = match word {
        "on" => TlsSwitch::On,
        "off" => TlsSwitch::Off,
        _ => return Answer::error("'set server <srv> ssl' expects 'on' or 'off'.\n"),
    };
    target.server.live.switch_tls(switch);
    Answer::Message(Severity::Notice, "server ssl setting updated.\n".into())
}

fn health(target: &Target<'_>, word: &str) -> Answer {
    if target.server.spec.track.is_some() {
        return Answer::error("cannot change health on a tracking server.\n");
    }
    let now = clock::now_ms();
    let cause = Cause::Text("changed from CLI".into());
    match word {
        "up" => target.member(|m| m.set_running(&cause, now)),
        "stopping" => target.member(|m| m.set_stopping(&cause, now)),
        "down" => target.member(|m| m.set_stopped(&cause, now)),
        _ => Answer::error("'set server <srv> health' expects 'up', 'stopping', or 'down'.\n"),
    }
}

fn enable_health(target: &Target<'_>) -> Answer {
    if !target.server.spec.has_check {
        return Answer::error("Health check was not configured on this server, cannot enable.\n");
    }
    target.server.live.check_enabled.store(true, Ordering::Relaxed);
    let backend = &target.config.proxy(target.id).name;
    target.session.control.wake_check(backend, &target.server.spec.name);
    Answer::Done
}

/// A signed number and what follows it.
fn number(text: &str) -> Option<(i64, &str)> {
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text[sign..].find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len() - sign);
    if digits == 0 {
        return None;
    }
    let (number, rest) = text.split_at(sign + digits);
    Some((number.parse().unwrap_or(i64::MAX), rest))
}

fn weight(target: &Target<'_>, text: &str) -> Answer {
    let initial = target.server.spec.weight;
    let weight = match (text, number(text)) {
        ("", _) => return Answer::error("Require <weight> or <weight%>.\n"),
        (_, None) => return Answer::error("Empty weight string empty or preceded by garbage\n"),
        (_, Some((n, "%"))) if n < 0 => return Answer::error("Relative weight must be positive.\n"),
        (_, Some((n, "%"))) => (i64::from(initial) * n.min(25_600) / 100).min(256) as u32,
        (_, Some((n, _))) if !(0..=256).contains(&n) => {
            return Answer::error("Absolute weight can only be between 0 and 256 inclusive.\n");
        }
        (_, Some((n, ""))) => n as u32,
        (_, Some(_)) => return Answer::error("Trailing garbage in weight string\n"),
    };
    let is_dynamic = target.config.proxy(target.id).back.as_ref().is_none_or(|b| b.balance.is_dynamic());
    if weight != 0 && weight != initial && !is_dynamic {
        return Answer::error(
            "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n",
        );
    }
    target.server.live.user_weight.store(weight, Ordering::Relaxed);
    target.settle();
    Answer::Done
}

fn maxconn(target: &Target<'_>, text: &str) -> Answer {
    let limit = match (text, number(text)) {
        ("", _) => return Answer::error("Require <maxconn>.\n"),
        (_, None) => return Answer::error("maxconn string empty or preceded by garbage\n"),
        (_, Some((n, ""))) => u32::try_from(n.max(0)).unwrap_or(u32::MAX),
        (_, Some(_)) => return Answer::error("Trailing garbage in maxconn string\n"),
    };
    target.server.live.maxconn.store(limit, Ordering::Relaxed);
    target.settle();
    Answer::Done
}

/// `set server <b>/<s> addr <ip> [port <port>]`.
fn address(target: &Target<'_>, args: &Args) -> Answer {
    let told = |text: String| Answer::Message(Severity::Warning, text + "\n");
    if args.at(4).is_empty() {
        return Answer::error("set server <b>/<s> addr requires an address and optionally a port.\n");
    }
    let Some(old) = target.server.address().inet() else {
        let text =
            "Update for the current server address family is only supported through configuration file.";
        return told(text.into());
    };
    let Ok(ip) = args.at(4).parse::<IpAddr>() else {
        return told(format!("Invalid addr '{}'", args.at(4)));
    };
    let mut port = old.port();
    if args.at(5) == "port" {
        match args.at(6).parse::<u16>() {
            Ok(n) => port = n,
            Err(_) if args.at(6).starts_with(['+', '-']) => {
                return told("Port offsets cannot be set at run time in this release.".into());
            }
            Err(_) => return told(format!("problem converting port '{}' to an int", args.at(6))),
        }
    }
    let mut changes = Vec::new();
    if ip != old.ip() {
        changes.push(format!("IP changed from '{}' to '{ip}'", old.ip()));
    }
    if port != old.port() {
        changes.push(format!("port changed from '{}' to '{port}'", old.port()));
    }
    if changes.is_empty() {
        return told("nothing changed".into());
    }
    let new = Address::Inet(SocketAddr::new(ip, port));
    target.server.live.address.store(Arc::new(Some(new)));
    target.server.live.begin_epoch(Cut::Moved);
    target.settle();
    told(format!("{} by 'stats socket command'", changes.join(", ")))
}

fn shutdown_sessions(target: &Target<'_>) -> Answer {
    let proxy = target.config.proxy(target.id);
    match target.session.control.shutdown_sessions(proxy, target.server) {
        Some(_) => Answer::Done,
        None => Answer::error("'shutdown sessions server' is not supported by this release.\n"),
    }
}
