//! Commands about frontends, the backends that they switch to, and the process's limits.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::config::global::CliLevel::{Admin, Operator};
use crate::config::{Config, Proxy};

use super::command::Command;
use super::session::{Answer, Session, Severity};
use super::words::Args;

pub static COMMANDS: &[Command] = &[
    Command::new(
        Admin,
        "disable frontend",
        "<frontend>",
        "Stop accepting connections for a while.",
        "disable frontend www",
        "1.4",
        |session, args| with(session, args.at(2), disable),
    ),
    Command::new(
        Admin,
        "enable frontend",
        "<frontend>",
        "Accept connections again.",
        "enable frontend www",
        "1.4",
        |session, args| with(session, args.at(2), enable),
    ),
    Command::new(
        Operator,
        "publish backend",
        "<backend>",
        "Let rules switch to a backend again.",
        "publish backend app",
        "3.4",
        |session, args| publish(session, args.at(2), true),
    ),
    Command::new(
        Operator,
        "unpublish backend",
        "<backend>",
        "Let rules pass over a backend; what it serves goes on.",
        "unpublish backend app",
        "3.4",
        |session, args| publish(session, args.at(2), false),
    ),
    Command::new(
        Admin,
        "shutdown frontend",
        "<frontend>",
        "Close the listeners of a frontend for good.",
        "shutdown frontend www",
        "1.5",
        |session, args| with(session, args.at(2), shutdown),
    ),
    Command::new(
        Admin,
        "set maxconn frontend",
        "<frontend> <value>",
        "Change the limit of connections of a frontend.",
        "set maxconn frontend www 1000",
        "1.4",
        maxconn,
    ),
    Command::new(
        Admin,
        "set maxconn global",
        "<value>",
        "Change the limit of connections of the process.",
        "set maxconn global 1000",
        "1.4",
        maxconn_global,
    ),
];

/// The frontend called `name`.
fn find<'a>(config: &'a Config, name: &str) -> Result<&'a Proxy, Answer> {
    if name.is_empty() {
        return Err(Answer::error("A frontend name is expected.\n"));
    }
    let id = config.frontends.get(name).ok_or_else(|| Answer::error("No such frontend.\n"))?;
    Ok(config.proxy(*id))
}

fn with(session: &mut Session, name: &str, run: fn(&Session, &Proxy) -> Answer) -> Answer {
    let config: Arc<Config> = session.control.config();
    match find(&config, name) {
        Ok(proxy) => run(session, proxy),
        Err(answer) => answer,
    }
}

fn is_stopped(proxy: &Proxy) -> bool {
    proxy.disabled || proxy.live.stopped.load(Ordering::Relaxed)
}

fn notice(text: &str) -> Answer {
    Answer::Message(Severity::Notice, text.to_owned())
}

fn disable(session: &Session, proxy: &Proxy) -> Answer {
    if is_stopped(proxy) {
        return notice("Frontend was previously shut down, cannot disable.\n");
    }
    if proxy.live.paused.swap(true, Ordering::Relaxed) {
        return notice("All sockets are already disabled.\n");
    }
    session.control.pause_frontend(proxy, true);
    Answer::Done
}

fn enable(session: &Session, proxy: &Proxy) -> Answer {
    if is_stopped(proxy) {
        return Answer::error("Frontend was previously shut down, cannot enable.\n");
    }
    if !proxy.live.paused.load(Ordering::Relaxed) {
        return notice("All sockets are already enabled.\n");
    }
    // Before a worker looks at them again.
    session.control.pause_frontend(proxy, false);
    proxy.live.paused.store(false, Ordering::Relaxed);
    session.control.unpark();
    Answer::Done
}

fn shutdown(session: &Session, proxy: &Proxy) -> Answer {
    if proxy.disabled || proxy.live.stopped.swap(true, Ordering::Relaxed) {
        return notice("Frontend was already shut down.\n");
    }
    session.control.shutdown_frontend(proxy);
    Answer::Done
}

fn publish(session: &Session, name: &str, is_published: bool) -> Answer {
    let config = session.control.config();
    let Some(id) = config.backends.get(name) else {
        return Answer::error("No such backend.\n");
    };
    config.proxy(*id).live.unpublished.store(!is_published, Ordering::Relaxed);
    let done = if is_published { "Backend published.\n" } else { "Backend unpublished.\n" };
    Answer::Message(Severity::Info, done.to_owned())
}

/// A whole number as C's `atoi` reads it.
fn leading_number(text: &str) -> i64 {
    let negative = text.starts_with('-');
    let digits = text.trim_start_matches(['-', '+']);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let n: i64 = digits[..end].parse().unwrap_or(if end > 0 { i64::MAX } else { 0 });
    if negative { -n } else { n }
}

fn maxconn(session: &mut Session, args: &Args) -> Answer {
    let config = session.control.config();
    let proxy = match find(&config, args.at(3)) {
        Ok(proxy) => proxy,
        Err(answer) => return answer,
    };
    if args.at(4).is_empty() {
        return Answer::error("Integer value expected.\n");
    }
    let Ok(limit) = u32::try_from(leading_number(args.at(4))) else {
        return Answer::error("Value out of range.\n");
    };
    proxy.live.maxconn_override.store(limit, Ordering::Relaxed);
    session.control.unpark();
    Answer::Done
}

fn maxconn_global(session: &mut Session, args: &Args) -> Answer {
    if args.at(3).is_empty() {
        return Answer::error("Expects an integer value.\n");
    }
    let hard = session.control.process().hard_maxconn;
    let most = if hard > 0 { hard } else { u32::MAX };
    let limit = match leading_number(args.at(3)) {
        n if n > i64::from(most) => return Answer::error("Value out of range.\n"),
        n if n <= 0 => most,
        n => n as u32,
    };
    session.control.shared().maxconn.store(limit, Ordering::Relaxed);
    session.control.unpark();
    Answer::Done
}
