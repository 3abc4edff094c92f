//! `show resolvers`, and `set server fqdn`.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use crate::config::Proxy;
use crate::config::global::CliLevel::User;
use crate::model::{AdminState, Server};
use crate::resolve::{Counters, Kind, question};

use super::command::Command;
use super::session::{Answer, Session, Severity};
use super::words::Args;

pub static COMMANDS: &[Command] = &[Command::new(
    User,
    "show resolvers",
    "[<id>]",
    "Name servers, what they were asked and what they answered.",
    "show resolvers dns",
    "1.6",
    show,
)];

fn show(session: &mut Session, args: &Args) -> Answer {
    let config = session.control.config();
    let name = args.at(2);
    let mut shown = config.resolvers.iter().filter(|r| name.is_empty() || *r.spec.name == *name).peekable();
    if !name.is_empty() && shown.peek().is_none() {
        return Answer::error("Can't find that resolvers section\n");
    }
    let mut out = String::new();
    for resolvers in shown {
        let _ = writeln!(out, "Resolvers section {}", resolvers.spec.name);
        for (nameserver, counters) in resolvers.spec.nameservers.iter().zip(&resolvers.counters) {
            let _ = writeln!(out, " nameserver {}:", nameserver.name);
            for (name, value) in figures(counters) {
                let _ = writeln!(out, "  {:<12} {value}", format!("{name}:"));
            }
        }
    }
    out.push('\n');
    Answer::Dump(out)
}

/// In HAProxy's order. What cannot happen here is 0: any type but those that were asked for, answers that are too big
/// (they are asked for over TCP).
fn figures(counters: &Counters) -> [(&'static str, u64); 15] {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    [
        ("sent", read(&counters.sent)),
        ("snd_error", read(&counters.send_error)),
        ("valid", read(&counters.valid)),
        ("update", read(&counters.update)),
        ("cname", 0),
        ("cname_error", read(&counters.cname_error)),
        ("any_err", 0),
        ("nx", read(&counters.nx)),
        ("timeout", read(&counters.timeout)),
        ("refused", read(&counters.refused)),
        ("other", read(&counters.other)),
        ("invalid", read(&counters.invalid)),
        ("too_big", 0),
        ("truncated", read(&counters.truncated)),
        ("outdated", read(&counters.outdated)),
    ]
}

/// `set server <b>/<s> fqdn <name>`: its address comes from another name from now on.
pub(super) fn fqdn(session: &Session, proxy: &Proxy, server: &Server, name: &str) -> Answer {
    const BY: &str = "by 'stats socket command'";
    let told = |text: String| Answer::Message(Severity::Warning, text + "\n");
    if name.is_empty() {
        return Answer::error("set server <b>/<s> fqdn requires a FQDN.\n");
    }
    if server.spec.srv_record.is_some() {
        return Answer::error("set server <b>/<s> fqdn failed because SRV resolution is configured.\n");
    }
    let Some(before) = server.fqdn().filter(|_| server.spec.resolving.is_some()) else {
        return Answer::error("set server <b>/<s> fqdn failed because no resolution is configured.\n");
    };
    let title = format!("{}/{}", proxy.name, server.spec.name);
    if question(name, Kind::A).is_none() {
        return told(format!("could not update {title} FQDN {BY}"));
    }
    if before.eq_ignore_ascii_case(name) {
        return told(format!("no need to change the FDQN {BY}"));
    }
    server.live.fqdn.store(Arc::new(Some(name.into())));
    {
        let _lock = proxy.live.transition.lock().unwrap_or_else(PoisonError::into_inner);
        server.live.set_admin(server.live.admin() | AdminState::FQDN_CHANGED);
    }
    session.control.names_changed();
    told(format!("{title} changed its FQDN from {before} to {name} {BY}"))
}
