//! `clear counters`.

use crate::config::Proxy;
use crate::config::global::CliLevel::{Admin, Operator};
use crate::model::proxy::SideLive;
use crate::model::{ProxyCounters, ServerCounters, ServerLive};

use super::command::Command;
use super::session::{Answer, Session};
use super::words::Args;

pub static COMMANDS: &[Command] = &[Command::new(
    Operator,
    "clear counters",
    "[all]",
    "Forget the highest values, or all counters.",
    "clear counters",
    "1.3",
    clear,
)];

fn clear(session: &mut Session, args: &Args) -> Answer {
    let all = args.at(2) == "all";
    if all && session.level < Admin {
        return Answer::error("Permission denied\n");
    }
    let shared = session.control.shared();
    shared.conn_rate_max.reset();
    shared.sess_rate_max.reset();
    shared.current_max.reset();
    for proxy in &session.control.config().proxies {
        clear_proxy(proxy, all);
    }
    Answer::Done
}

fn clear_proxy(proxy: &Proxy, all: bool) {
    clear_side(&proxy.live.front, all);
    clear_side(&proxy.live.back, all);
    proxy.live.queue.max.reset();
    for bind in proxy.front.iter().flat_map(|front| &front.binds) {
        proxy.live.listener(bind.id).clear(all);
    }
    if let Some(back) = &proxy.back {
        for server in &back.servers.load().list {
            clear_server(&server.live, all);
        }
    }
}

fn clear_side(side: &SideLive, all: bool) {
    for peak in [&side.max, &side.sess_rate_max, &side.req_rate_max, &side.conn_rate_max] {
        peak.reset();
    }
    let reset = if all { ProxyCounters::reset } else { ProxyCounters::reset_max };
    side.counters.iter().for_each(reset);
}

fn clear_server(live: &ServerLive, all: bool) {
    for peak in [&live.served_max, &live.sess_rate_max, &live.queue.max] {
        peak.reset();
    }
    let reset = if all { ServerCounters::reset } else { ServerCounters::reset_max };
    live.counters.iter().for_each(reset);
    if all {
        live.check_failed.store(0, std::sync::atomic::Ordering::Relaxed);
        live.down_trans.store(0, std::sync::atomic::Ordering::Relaxed);
    }
}
