//! A line for the frontend's log servers.

use std::cell::RefCell;
use std::sync::LazyLock;

use crate::config::{Config, Proxy};
use crate::lang::{Diagnostics, Span};
use crate::log::Origin;
use crate::model::Mode;
use crate::rules::witness::{self, Event};
use crate::rules::{BuildCtx, Ctx, LogFormat, LogUse, Txn};

use super::env::StreamEnv;
use super::worker::Worker;

/// `info`, the level of a line about a transaction.
pub const INFO: u8 = 6;

/// What a proxy without a format logs, by its mode.
static CONNECT: LazyLock<[LogFormat; 3]> = LazyLock::new(|| {
    ["TCP", "HTTP", "UDP"].map(|mode| {
        let text = format!("Connect from %ci:%cp to %fi:%fp (%f/{mode})");
        let mut diags = Diagnostics::default();
        let parse = |ctx: &mut BuildCtx<'_>| {
            LogFormat::parse_bytes(text.as_bytes(), Span::default(), LogUse::Log, ctx)
        };
        BuildCtx::with_nothing(&mut diags, parse).unwrap_or_default()
    })
});

/// The format of a proxy that has none.
pub fn unformatted(mode: Mode) -> &'static LogFormat {
    &CONNECT[match mode {
        Mode::Tcp => 0,
        Mode::Udp => 2,
        _ => 1,
    }]
}

thread_local! {
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// `do-log`: a line about the transaction as it is now.
pub fn now(env: &StreamEnv<'_>, txn: &Txn) {
    let config = env.view.config();
    let front = config.proxy(env.front);
    let level = txn.log_level.unwrap_or(INFO);
    if front.log.targets.is_empty() || level == 255 {
        return;
    }
    let format = front.log.format.as_ref().map_or_else(|| unformatted(front.mode), |f| &**f);
    let ctx = Ctx { txn, env };
    write(env.worker(), (config, front), ctx, level, |line| format.render(ctx, line));
}

/// Hands a line to the frontend's log servers.
pub fn write(
    worker: &Worker,
    (config, front): (&Config, &Proxy),
    ctx: Ctx<'_>,
    level: u8,
    render: impl FnOnce(&mut Vec<u8>),
) {
    let spec = &front.log;
    LINE.with(|line| {
        let mut line = line.borrow_mut();
        line.clear();
        render(&mut line);
        if witness::is_asked() {
            // Nothing of a rehearsal leaves the process.
            let is_sent = !spec.targets.is_empty() && ctx.txn.log_level != Some(255);
            let line = String::from_utf8_lossy(&line).into_owned();
            return witness::note(|| Event::Log { line, is_sent });
        }
        let mut structured = Vec::new();
        if let Some(sd) = &spec.sd_format {
            sd.render(ctx, &mut structured);
        }
        let global = &config.global;
        let origin = Origin {
            tag: spec.tag.as_deref().or(global.log_tag.as_deref()).unwrap_or("haproxy"),
            hostname: global
                .log_send_hostname
                .as_ref()
                .map(|name| name.as_deref().unwrap_or(&worker.shared.hostname)),
            pid: worker.shared.pid,
            now_us: worker.date_us(),
            structured: &structured,
        };
        worker.log(&spec.targets, level, &origin, &line);
    });
}
