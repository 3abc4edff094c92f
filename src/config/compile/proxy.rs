//! Keywords of proxy sections that are a value or two.

use crate::lang::{Span, suggest};
use crate::model::Mode;
use crate::rules::Capture;

use super::super::proxy::{HttpReuse, RetryOn};
use super::draft::{Kind, StateFile, Step};
use super::keyword::Scope;
use super::server_option::USESRC;
use super::switching::needs_condition;
use crate::lang::args::Args;
use crate::lang::time::{Unit, time_of};
use crate::model::notation::{Accept, parse};

pub fn mode<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if scope.too_many(args, 0, 1) {
        return;
    }
    let name = args.str(1);
    scope.px.set.mode = match name {
        "tcp" => Mode::Tcp,
        "http" => Mode::Http,
        "udp" => Mode::Udp,
        "haterm" if scope.px.caps().front => Mode::Haterm,
        "haterm" => {
            let message = "mode haterm is only applicable on proxies with frontend capability.";
            return scope.alert(args.at(1), message);
        }
        "health" => {
            let message =
                "'mode health' doesn't exist anymore. Please use 'http-request return status 200' instead.";
            return scope.alert(args.at(1), message);
        }
        "log" | "spop" => {
            let message = format!("'mode {name}' is not supported by this release.");
            return scope.alert(args.at(1), message);
        }
        _ => {
            let hint = suggest::hint(name, ["http", "tcp", "udp", "haterm"]);
            return scope.cx.diags.alert_hint(args.at(1), format!("unknown proxy mode '{name}'."), hint);
        }
    };
}

pub fn id<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if scope.too_many(args, 0, 1) {
        return;
    }
    match scope.number::<i64>(args, 1) {
        Some(n) if n > 0 => scope.px.id = u32::try_from(n).ok(),
        Some(_) => scope.alert(args.at(1), "custom id has to be > 0."),
        None => {}
    }
}

pub fn description<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if scope.needed(args, 1, "a string argument").is_some() {
        scope.px.description = Some(args.text_from(1));
    }
}

pub fn guid<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    scope.px.guid = scope.needed(args, 1, "a global identifier");
}

pub fn disabled<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if !scope.too_many(args, 0, 0) {
        scope.px.set.disabled = args.str(0) == "disabled";
    }
}

pub fn maxconn<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    one_number(scope, args, |s, n| s.px.set.maxconn = n);
}

pub fn fullconn<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    one_number(scope, args, |s, n| s.px.set.fullconn = n);
}

pub fn backlog<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    one_number(scope, args, |s, n| s.px.set.backlog = n);
}

pub fn retries<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    one_number(scope, args, |s, n| s.px.set.retries = n);
}

fn one_number<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>, set: fn(&mut Scope<'_, 'a>, u32)) {
    if scope.too_many(args, 0, 1) {
        return;
    }
    if let Some(n) = scope.number::<u32>(args, 1) {
        set(scope, n);
    }
}

pub fn max_keep_alive_queue<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if let Some(n) = scope.number::<i32>(args, 1) {
        scope.px.set.max_keep_alive_queue = n;
    }
}

/// `rate-limit sessions <rate>`.
pub fn rate_limit<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if args.str(1) != "sessions" {
        let message = format!("'rate-limit' only supports 'sessions' (got '{}')", args.str(1));
        return scope.alert(args.at(1), message);
    }
    let Ok(rate) = args.str(2).parse() else {
        let message = "'rate-limit sessions' expects an integer value (in sessions/second)";
        return scope.alert(args.at(2), message);
    };
    let inherited = scope.px.inherited_rate_limit;
    if scope.px.kind != Kind::Defaults && scope.px.set.rate_limit_sessions != inherited {
        scope.warning(args.at(0), "overwriting rate-limit sessions which was already specified");
    }
    scope.px.set.rate_limit_sessions = rate;
}

pub fn retry_on<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if !args.has(1) {
        let message = "'retry-on' needs at least one keyword to specify when to retry";
        return scope.alert(args.span, message);
    }
    let mut on = RetryOn { conn_failure: false, ..RetryOn::default() };
    for i in 1..args.words.len() {
        match args.str(i) {
            "none" if i == 1 && args.words.len() == 2 => {}
            "none" => return scope.alert(args.at(i), "'retry-on' 'none' keyword only usable alone"),
            "conn-failure" => on.conn_failure = true,
            "empty-response" => on.empty_response = true,
            "junk-response" => on.junk_response = true,
            "response-timeout" => on.response_timeout = true,
            "0rtt-rejected" => on.zero_rtt_rejected = true,
            "all-retryable-errors" => {
                on.conn_failure = true;
                on.empty_response = true;
                on.junk_response = true;
                on.response_timeout = true;
                on.zero_rtt_rejected = true;
                on.statuses.extend([500, 502, 503, 504]);
            }
            "401" | "403" | "404" | "408" | "421" | "425" | "429" | "500" | "501" | "502" | "503" | "504" => {
                on.statuses.extend(args.str(i).parse::<u16>());
            }
            other => return scope.alert(args.at(i), format!("'retry-on': unknown keyword '{other}'")),
        }
    }
    on.statuses.sort_unstable();
    on.statuses.dedup();
    scope.px.set.retry_on = on;
}

pub fn http_reuse<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if scope.too_many(args, 1, 0) {
        return;
    }
    scope.px.set.options.http_reuse = match args.str(1) {
        "never" => HttpReuse::Never,
        "safe" => HttpReuse::Safe,
        "aggressive" => HttpReuse::Aggressive,
        "always" => HttpReuse::Always,
        _ => {
            let message = "'http-reuse' only supports 'never', 'safe', 'aggressive', 'always'.";
            return scope.alert(args.at(1), message);
        }
    };
}

pub fn http_send_name_header<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let Some(name) = scope.needed(args, 1, "a header string") else { return };
    let taken = ["host", "content-length", "transfer-encoding", "connection"];
    if taken.iter().any(|t| name.eq_ignore_ascii_case(t)) {
        let message =
            format!("'{name}' cannot be used as header name for 'http-send-name-header' directive.");
        return scope.alert(args.at(1), message);
    }
    scope.px.set.send_name_header = args.words.get(1);
}

pub fn monitor_uri<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if !scope.too_many(args, 0, 1) && scope.needed(args, 1, "an URI").is_some() {
        scope.px.set.monitor_uri = args.words.get(1);
    }
}

/// `monitor fail { if | unless } <cond>`.
pub fn monitor_fail<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if args.str(1) != "fail" {
        return scope.alert(args.at(1), format!("'monitor' only supports 'fail' (was '{}').", args.str(1)));
    }
    if needs_condition(scope, args, 2, "monitor fail") {
        scope.px.steps.push(Step::MonitorFail(args));
    }
}

/// `force-persist` and `ignore-persist`.
pub fn persist_rule<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if needs_condition(scope, args, 1, args.str(0)) {
        scope.px.steps.push(Step::Persist(args));
    }
}

pub fn unique_id<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let name = args.str(0);
    if !args.has(1) {
        return scope.alert(args.span, format!("{name} expects an argument."));
    }
    if name == "unique-id-header" {
        scope.px.set.unique_id_header = args.words.get(1);
        return;
    }
    if args.has(2) {
        let message = format!("{name} expects only one argument, don't forget to escape spaces!");
        return scope.alert(args.at(2), message);
    }
    scope.px.set.unique_id_format = args.words.get(1);
}

/// `capture { request | response } header <name> len <length>`.
pub fn capture<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let direction = args.str(1);
    if direction == "cookie" {
        let len = args.str(4).parse().ok().filter(|n| *n > 0 && args.str(3) == "len");
        let Some(len) = len.filter(|_| !args.str(2).is_empty()) else {
            return scope.alert(args.at(2), "'capture cookie' expects <cookie_name> 'len' <len>.");
        };
        if !scope.too_many(args, 1, 3) {
            scope.px.cookie_capture = Some(Capture { name: Some(args.bytes(2).into()), len });
        }
        return;
    }
    if !matches!(direction, "request" | "response") || args.str(2) != "header" {
        let message = "'capture' expects 'cookie' or 'request header' or 'response header'.";
        let at = if matches!(direction, "request" | "response") && args.has(2) { 2 } else { 1 };
        return scope.alert(args.at(at), message);
    }
    let len = args.str(5).parse().ok().filter(|n| *n > 0);
    let Some(len) = len.filter(|_| args.str(4) == "len" && !args.str(3).is_empty()) else {
        let message = format!("'capture {direction}' expects 'header' <header_name> 'len' <len>.");
        let at = if args.str(4) == "len" && args.has(5) { 5 } else { 3 };
        return scope.alert(args.at(at), message);
    };
    if scope.too_many(args, 1, 4) {
        return;
    }
    add_capture(scope, direction, Capture { name: Some(args.bytes(3).into()), len });
}

/// `declare capture { request | response } len <length>`.
pub fn declare<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let direction = args.str(2);
    if args.str(1) != "capture" {
        let message = format!("unknown declaration type '{}' (supports 'capture')", args.str(1));
        return scope.alert(args.at(1), message);
    }
    if !matches!(direction, "request" | "response") {
        let message =
            format!("'declare capture' requires a direction ('request' or 'response', not '{direction}')");
        return scope.alert(args.at(2), message);
    }
    if args.str(3) != "len" {
        return scope.alert(args.at(3), "'declare capture' requires a capture length ('len')");
    }
    match args.str(4).parse() {
        Ok(len) if len > 0 => add_capture(scope, direction, Capture { name: None, len }),
        Ok(_) => scope.alert(args.at(4), "length must be > 0"),
        Err(_) => {
            let message = format!("'declare capture': cannot parse the length '{}'.", args.str(4));
            scope.alert(args.at(4), message);
        }
    }
}

fn add_capture(scope: &mut Scope<'_, '_>, direction: &str, capture: Capture) {
    let captures = &mut scope.px.captures;
    let list = if direction == "request" { &mut captures.req } else { &mut captures.res };
    list.push(capture);
}

/// `transparent`.
pub fn transparent<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if !scope.too_many(args, 0, 0) {
        scope.px.set.options.transparent = true;
    }
}

/// `dispatch <addr>:<port>`.
pub fn dispatch<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let Some(text) = scope.needed(args, 1, "<addr:port>") else { return };
    match parse(text, Accept::PORT | Accept::STREAM | Accept::RESOLVE, &scope.cx.surroundings()) {
        Ok(written) if written.first_port() > 0 => {
            scope.px.dispatch = written.address(written.first_port());
            if scope.px.dispatch.is_none() {
                scope.alert(args.at(1), format!("'dispatch' : '{text}' does not resolve to an address."));
            }
        }
        Ok(_) => scope.alert(
            args.at(1),
            format!("'dispatch' : missing port number in '{text}', <addr:port> expected."),
        ),
        Err(e) => scope.alert(args.at(1), format!("'dispatch {text}' : {e}")),
    }
}

/// `source <addr>[:<port>] [interface <name>]`.
pub fn source<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let Some(text) =
        scope.needed(args, 1, "<addr>[:<port>], and optionally 'usesrc' <addr>, and 'interface' <name>")
    else {
        return;
    };
    let accept = Accept::PORT | Accept::STREAM | Accept::RESOLVE;
    match parse(text, accept, &scope.cx.surroundings()) {
        Ok(written) => scope.px.set.source = written.address(written.first_port()),
        Err(e) => return scope.alert(args.at(1), format!("'source {text}' : {e}")),
    }
    match args.str(2) {
        "" => {}
        "interface" if args.has(3) => scope.px.set.source_interface = Some(args.str(3)),
        "interface" => scope.alert(args.at(2), "'source' : missing interface name."),
        "usesrc" => {
            scope.alert(args.at(2), format!("'usesrc' is not supported by this release: {USESRC}."));
        }
        _ => {
            let message = "'source' only supports optional keywords 'interface' and 'usesrc'.";
            scope.alert(args.at(2), message);
        }
    }
}

pub fn load_server_state<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    scope.px.set.state_file = match args.str(1) {
        "global" => StateFile::Global,
        "local" => StateFile::Local,
        "none" => StateFile::None,
        other => {
            let message =
                format!("'load-server-state-from-file' expects 'global', 'local' or 'none'. Got '{other}'");
            return scope.alert(args.at(1), message);
        }
    };
}

pub fn server_state_file_name<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if scope.too_many(args, 0, 1) {
        return;
    }
    let name = args.str(1);
    scope.px.set.state_file_name =
        Some(if matches!(name, "" | "use-backend-name") { scope.px.name } else { name });
}

/// `tcp-request ...` and `tcp-response ...`: delays are ours, rules are for `rules`.
pub fn tcp_rule<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let is_request = args.str(0) == "tcp-request";
    if args.str(1) == "inspect-delay" {
        let what = format!("'{} inspect-delay'", args.str(0));
        let at: Span = args.span;
        let value = time_of(&mut scope.cx.diags, args.words.get(2), &what, Unit::Milliseconds, at);
        if let Some(ms) = value {
            let set = &mut scope.px.set;
            let field = if is_request {
                &mut set.tcp_inspect_delay_ms
            } else {
                &mut set.tcp_response_inspect_delay_ms
            };
            *field = ms;
        }
        return;
    }
    if !is_request && !scope.px.caps().back {
        let message = format!(
            "'tcp-response {}' is not allowed because {} is not a backend",
            args.str(1),
            scope.title()
        );
        return scope.alert(args.at(0), message);
    }
    scope.px.steps.push(if is_request { Step::TcpRequest(args) } else { Step::TcpResponse(args) });
}

/// Rule lines that `rules` reads whole.
pub fn rule<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let step = match args.str(0) {
        "http-request" => Step::HttpRequest(args),
        "http-response" => Step::HttpResponse(args),
        "http-after-response" => Step::HttpAfterResponse(args),
        "redirect" => Step::Redirect(args),
        _ => Step::Acl(args),
    };
    scope.px.steps.push(step);
}
