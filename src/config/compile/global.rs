//! What the keywords of the `global` section do.

use std::path::PathBuf;

use super::super::global::{CliLevel, StatsSocket, Tune};
use super::super::proxy::Bind;
use super::bind;
use super::draft::Cx;
use super::keyword::too_many;
use super::log;
use crate::lang::args::{Args, Cursor, Prefix};
use crate::lang::time::{TimeError, Unit, size, time_of};
use crate::model::notation::Surroundings;

/// Parses one line of `global`.
pub type GlobalFn = for<'a> fn(&mut Cx<'a>, Args<'a>, Prefix);

/// The only argument of a keyword, or an alert.
pub fn one<'a>(cx: &mut Cx<'a>, args: Args<'a>, what: &str) -> Option<&'a str> {
    if too_many(cx, args, 0, 1) {
        return None;
    }
    let text = args.str(1);
    if text.is_empty() {
        cx.diags.alert(args.span, format!("'{}' expects {what} as argument.", args.str(0)));
        return None;
    }
    Some(text)
}

/// The only argument as a number.
pub fn number<'a, T: std::str::FromStr>(cx: &mut Cx<'a>, args: Args<'a>) -> Option<T> {
    let text = one(cx, args, "an integer")?;
    let value = text.parse().ok();
    if value.is_none() {
        let message = format!("cannot parse '{}' value '{text}', an integer is expected.", args.str(0));
        cx.diags.alert(args.at(1), message);
    }
    value
}

/// `maxcompcpuusage <percent>`.
pub fn compression_share<'a>(cx: &mut Cx<'a>, args: Args<'a>, _: Prefix) {
    match number::<u8>(cx, args) {
        Some(percent) if percent <= 100 => cx.global.compression.least_idle = 100 - percent,
        Some(_) => {
            cx.diags.alert(args.at(1), "'maxcompcpuusage' expects an integer argument between 0 and 100.")
        }
        None => {}
    }
}

/// `tune.comp.maxlevel <level>`.
pub fn compression_level<'a>(cx: &mut Cx<'a>, args: Args<'a>, _: Prefix) {
    match number::<u32>(cx, args) {
        Some(level @ 0..=9) => cx.global.compression.level = level,
        Some(_) => {
            cx.diags.alert(args.at(1), "'tune.comp.maxlevel' expects a numeric value between 0 and 9.")
        }
        None => {}
    }
}

/// The only argument as a size in bytes.
pub fn bytes<'a>(cx: &mut Cx<'a>, args: Args<'a>) -> Option<usize> {
    let text = one(cx, args, "a size")?;
    match size(text) {
        Ok(n) => Some(n as usize),
        Err(e) => {
            let why = match e {
                TimeError::Unexpected(c) => {
                    format!("unexpected '{c}' after size passed to '{}'", args.str(0))
                }
                _ => format!("size '{text}' passed to '{}' is too large", args.str(0)),
            };
            cx.diags.alert(args.at(1), why);
            None
        }
    }
}

/// The only argument as a duration in milliseconds.
pub fn delay<'a>(cx: &mut Cx<'a>, args: Args<'a>) -> Option<u64> {
    let what = format!("'{}'", args.str(0));
    let value = time_of(&mut cx.diags, args.words.get(1), &what, Unit::Milliseconds, args.span)?;
    (!too_many(cx, args, 0, 1)).then_some(value)
}

/// `close-spread-time`.
pub fn close_spread<'a>(cx: &mut Cx<'a>, args: Args<'a>, _: Prefix) {
    if args.str(1) == "infinite" {
        if !too_many(cx, args, 0, 1) {
            cx.global.close_spread_ms = u64::MAX;
        }
    } else if let Some(ms) = delay(cx, args) {
        cx.global.close_spread_ms = ms;
    }
}

/// A word of TLS without a value.
pub fn tls_word<'a>(cx: &mut Cx<'a>, args: Args<'a>, _: Prefix) {
    super::tls::global_word(cx, args);
}

/// One with a value.
pub fn tls_text<'a>(cx: &mut Cx<'a>, args: Args<'a>, _: Prefix) {
    if !args.has(1) {
        return cx.diags.alert(args.span, format!("'{}' expects an argument.", args.str(0)));
    }
    super::tls::global_word(cx, args);
}

/// Takes what is there, without effect.
/// `accept-legacy-syntax`: what it asks for was done before the build, except for names.
pub fn legacy<'a>(cx: &mut Cx<'a>, _: Args<'a>, _: Prefix) {
    cx.legacy_allowed = true;
}

pub fn nothing<'a>(_: &mut Cx<'a>, _: Args<'a>, _: Prefix) {}

/// `master-worker [no-exit-on-failure]`.
pub fn master_worker<'a>(cx: &mut Cx<'a>, args: Args<'a>, _: Prefix) {
    match args.str(1) {
        "" => {}
        "no-exit-on-failure" => cx.global.stay_on_failure = true,
        _ => return cx.diags.alert(args.at(1), "'master-worker' only supports 'no-exit-on-failure' option."),
    }
    cx.global.master_worker = true;
}

/// `external-check [preserve-env]`.
pub fn external_check<'a>(cx: &mut Cx<'a>, args: Args<'a>, _: Prefix) {
    match args.str(1) {
        "" => cx.global.external_check = Some(false),
        "preserve-env" => cx.global.external_check = Some(true),
        other => {
            let message = format!("'external-check' only supports 'preserve-env', not '{other}'.");
            cx.diags.alert(args.at(1), message);
        }
    }
}

pub fn maxconn<'a>(cx: &mut Cx<'a>, args: Args<'a>, _: Prefix) {
    if cx.global.maxconn != 0 {
        return cx.diags.warning(args.at(0), "'maxconn' already specified. Continuing.");
    }
    if let Some(n) = number(cx, args) {
        cx.global.maxconn = n;
    }
}

pub fn nbthread<'a>(cx: &mut Cx<'a>, args: Args<'a>, _: Prefix) {
    let Some(n) = number::<u16>(cx, args) else { return };
    let most = crate::base::shard::MAX_WORKERS as u16;
    if n < 1 || n > most {
        let message = format!("'nbthread' value must be between 1 and {most} (was {n})");
        return cx.diags.alert(args.at(1), message);
    }
    cx.global.nbthread = n;
}

pub fn path<'a>(cx: &mut Cx<'a>, args: Args<'a>, _: Prefix) {
    let Some(text) = one(cx, args, "a path") else { return };
    let path = Some(PathBuf::from(text));
    match args.str(0) {
        "chroot" => cx.global.chroot = path,
        "pidfile" => cx.global.pidfile = path,
        "server-state-file" => cx.global.server_state_file = path,
        _ => cx.global.server_state_base = path,
    }
}

pub fn user<'a>(cx: &mut Cx<'a>, args: Args<'a>, _: Prefix) {
    let Some(name) = one(cx, args, "a name") else { return };
    let is_user = args.str(0) == "user";
    let id = if is_user { (cx.inputs.user)(name) } else { (cx.inputs.group)(name) };
    if id.is_none() {
        let message = format!("cannot find {} id for '{name}'", args.str(0));
        return cx.diags.alert(args.at(1), message);
    }
    if is_user {
        (cx.global.user, cx.global.uid) = (Some(name.to_owned()), id);
    } else {
        (cx.global.group, cx.global.gid) = (Some(name.to_owned()), id);
    }
}

pub fn text<'a>(cx: &mut Cx<'a>, args: Args<'a>, _: Prefix) {
    let Some(text) = one(cx, args, "a name") else { return };
    let text = Some(text.to_owned());
    match args.str(0) {
        "node" => cx.global.node = text,
        "localpeer" => cx.global.localpeer = text,
        _ => cx.global.log_tag = text,
    }
}

pub fn description<'a>(cx: &mut Cx<'a>, args: Args<'a>, _: Prefix) {
    if !args.has(1) {
        return cx.diags.alert(args.span, "'description' expects a string argument.");
    }
    cx.global.description = Some(args.text_from(1));
}

pub fn log_send_hostname<'a>(cx: &mut Cx<'a>, args: Args<'a>, _: Prefix) {
    cx.global.log_send_hostname = Some(args.has(1).then(|| args.str(1).to_owned()));
}

pub fn log_line<'a>(cx: &mut Cx<'a>, args: Args<'a>, prefix: Prefix) {
    if prefix != Prefix::None {
        cx.global.logs.clear();
    } else if args.str(1) == "global" && !args.has(2) {
        cx.diags.alert(args.at(1), "log : 'global' is not supported for a global syslog server");
    } else if let Some(target) = log::target(cx, args, "") {
        cx.global.logs.push(target);
    }
}

/// `stats { socket | timeout | maxconn } ...` of `global`.
pub fn stats<'a>(cx: &mut Cx<'a>, args: Args<'a>, _: Prefix) {
    match args.str(1) {
        "socket" => stats_socket(cx, args),
        "timeout" => {
            let value =
                time_of(&mut cx.diags, args.words.get(2), "'stats timeout'", Unit::Milliseconds, args.span);
            match value {
                Some(0) => cx.diags.alert(args.at(2), "'stats timeout' expects a positive value"),
                Some(ms) => cx.global.stats_timeout_ms = ms,
                None => {}
            }
        }
        "maxconn" => match args.str(2).parse() {
            Ok(n) if n > 0 => cx.global.stats_maxconn = n,
            _ => cx.diags.alert(args.at(2), "'stats maxconn' expects a positive value"),
        },
        "calculate-max-counters" if matches!(args.str(2), "on" | "off") => {}
        "bind-process" => cx.diags.alert(args.at(1), "'stats bind-process' is not supported anymore."),
        other => {
            let message = format!(
                "'stats' only supports 'socket', 'maxconn', 'calculate-max-counters' and 'timeout' (got '{other}')"
            );
            cx.diags.alert(args.at(1), message);
        }
    }
}

fn stats_socket<'a>(cx: &mut Cx<'a>, args: Args<'a>) {
    if !args.has(2) {
        let message = "'stats socket' in global section expects an address or a path to a UNIX socket";
        return cx.diags.alert(args.span, message);
    }
    // `unix-bind prefix` does not apply here.
    let around: Surroundings<'_> = cx.surroundings();
    let addresses = match bind::addresses(args.str(2), &around) {
        Ok(list) => list,
        Err(e) => return cx.diags.alert(args.at(2), format!("'stats socket' : {e}")),
    };
    let Some(first) = addresses.first() else { return };
    let mut options = Bind::new(first.clone(), args.span);
    options.level = CliLevel::Operator;
    bind::options(cx, &mut options, &mut Cursor::new(args, 3), None);
    cx.global.stats_sockets.extend(addresses.into_iter().map(|address| StatsSocket {
        address,
        mode: options.mode,
        uid: options.uid,
        gid: options.gid,
        level: options.level,
        severity: options.severity,
        expose_fd: options.expose_fd,
        name: options.name.as_deref().map(str::to_owned),
    }));
}

/// `spread-checks <percent>`.
pub fn spread_checks<'a>(cx: &mut Cx<'a>, args: Args<'a>, _: Prefix) {
    match number::<i64>(cx, args) {
        Some(n @ 0..=50) => cx.global.spread_checks = n as u32,
        Some(_) => cx.diags.alert(args.at(1), "'spread-checks' needs a positive value in range 0..50."),
        None => {}
    }
}

/// `h1-case-adjust <from> <to>`.
pub fn h1_case_adjust<'a>(cx: &mut Cx<'a>, args: Args<'a>, _: Prefix) {
    let (from, to) = (args.str(1), args.str(2));
    if from.is_empty() || to.is_empty() {
        return cx.diags.alert(args.span, "'h1-case-adjust' expects <from> and <to> as argument.");
    }
    if too_many(cx, args, 0, 2) {
        return;
    }
    if from != to.to_ascii_lowercase() {
        let message = format!(
            "'h1-case-adjust' : '{from}' and '{to}' must only differ by their case, the first in lower case"
        );
        return cx.diags.alert(args.at(1), message);
    }
    let mut list: Vec<(String, String)> = cx.global.h1_case_adjust.iter().cloned().collect();
    if list.iter().any(|(f, _)| f == from) {
        return cx.diags.alert(args.at(1), format!("duplicate header name '{from}'"));
    }
    list.push((from.to_owned(), to.to_owned()));
    cx.global.h1_case_adjust = list.into();
}

/// `set-var <name> <expr>` and `set-var-fmt <name> <fmt>`: evaluated when all is read.
pub fn set_var<'a>(cx: &mut Cx<'a>, args: Args<'a>, _: Prefix) {
    if !args.has(2) {
        let what = if args.str(0) == "set-var" { "<var-name> and <expr>" } else { "<var-name> and <fmt>" };
        return cx.diags.alert(args.span, format!("'{}' expects {what} as arguments.", args.str(0)));
    }
    if !args.str(1).starts_with("proc.") {
        let message =
            format!("'{}' : only 'proc' variables may be set here, got '{}'.", args.str(0), args.str(1));
        return cx.diags.alert(args.at(1), message);
    }
    cx.proc_vars.push(args);
}

/// A field of `tune.*` that is a size or a number.
pub fn tune_size<'a>(cx: &mut Cx<'a>, args: Args<'a>, set: fn(&mut Tune, usize)) {
    if let Some(n) = bytes(cx, args) {
        set(&mut cx.global.tune, n);
    }
}

/// `tune.idle-pool...` ratios and other percentages.
pub fn tune_percent<'a>(cx: &mut Cx<'a>, args: Args<'a>, set: fn(&mut Tune, u32)) {
    match number::<i64>(cx, args) {
        Some(n @ 0..=100) => set(&mut cx.global.tune, n as u32),
        Some(_) => {
            let message = format!("'{}' : value must be between 0 and 100.", args.str(0));
            cx.diags.alert(args.at(1), message);
        }
        None => {}
    }
}
