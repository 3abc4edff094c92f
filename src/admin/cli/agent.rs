//! What `set server` says of agents and of where checks go, and `enable agent`.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::base::{Live, clock};
use crate::check::Cause;

use super::server::Target;
use super::session::Answer;
use super::words::Args;

/// `enable agent`.
pub(super) fn enable(target: &Target<'_>) -> Answer {
    if target.server.spec.agent.is_none() {
        return Answer::error("Agent was not configured on this server, cannot enable.\n");
    }
    target.server.live.agent.enabled.store(true, Ordering::Relaxed);
    Answer::Done
}

/// `set server <b>/<s> agent | agent-send | agent-addr | agent-port`.
pub(super) fn set(target: &Target<'_>, args: &Args) -> Answer {
    let agent = &target.server.live.agent;
    let is_there = target.server.spec.agent.is_some() && agent.enabled.load(Ordering::Relaxed);
    let word = args.at(3);
    if !is_there {
        let dot = if matches!(word, "agent" | "agent-send") { "." } else { "" };
        return Answer::error(format!("agent checks are not enabled on this server{dot}\n"));
    }
    match word {
        "agent-send" => {
            if args.at(4).is_empty() {
                return Answer::error("cannot allocate memory for new string.\n");
            }
            agent.send.store(Arc::new(Some(args.at(4).as_bytes().into())));
            Answer::Done
        }
        "agent-addr" => address(args, &agent.addr, &agent.port),
        "agent-port" => port(args.at(4), &agent.port),
        _ => {
            let is_up = match args.at(4) {
                "up" => true,
                "down" => false,
                _ => return Answer::error("'set server <srv> agent' expects 'up' or 'down'.\n"),
            };
            let cause = Cause::Text("changed from CLI".into());
            target.member(|member| member.agent_says(is_up, &cause, clock::now_ms()))
        }
    }
}

/// `set server <b>/<s> check-addr | check-port`.
pub(super) fn set_check(target: &Target<'_>, args: &Args) -> Answer {
    let live = &target.server.live;
    if !target.server.spec.has_check || !live.check_enabled.load(Ordering::Relaxed) {
        return Answer::error("health checks are not enabled on this server\n");
    }
    match args.at(3) {
        "check-addr" => address(args, &live.check_addr, &live.check_port),
        _ => port(args.at(4), &live.check_port),
    }
}

/// `<ip> [port <port>]`.
fn address(args: &Args, addr: &Live<Option<IpAddr>>, own_port: &AtomicU32) -> Answer {
    let Ok(ip) = args.at(4).parse::<IpAddr>() else {
        return Answer::error(format!("invalid addr '{}'\n", args.at(4)));
    };
    if args.at(5) == "port"
        && let error @ Answer::Message(..) = port(args.at(6), own_port)
    {
        return error;
    }
    addr.store(Arc::new(Some(ip)));
    Answer::Done
}

fn port(text: &str, own: &AtomicU32) -> Answer {
    let Ok(number) = text.parse::<u32>() else {
        return Answer::error("provided port is not an integer\n");
    };
    if !(1..=65_535).contains(&number) {
        return Answer::error("provided port is invalid\n");
    }
    own.store(number, Ordering::Relaxed);
    Answer::Done
}
