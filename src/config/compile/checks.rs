//! How servers are checked: `option httpchk` and its kin, `http-check` and `tcp-check`, read by the `check` room.

use std::sync::Arc;

use crate::check::{CheckSpec, External, Fault};
use crate::lang::{Severity, Span, suggest};
use crate::model::{Address, Mode};
use crate::rules::{BuildCtx, Captures, HttpErrors};

use super::backend::Declared;
use super::declared::ServerSettings;
use super::draft::{Cx, Draft};
use super::keyword::Scope;
use super::rule::build_ctx;
use crate::lang::args::Args;

fn words<'a>(args: Args<'a>, from: usize) -> Vec<&'a str> {
    (from..args.words.len()).map(|i| args.str(i)).collect()
}

fn report<'a>(scope: &mut Scope<'_, 'a>, severity: Severity, args: Args<'a>, from: usize, fault: Fault) {
    scope.cx.diags.push(severity, Some(args.at(from + fault.word)), fault.message);
}

/// Reads with what formats and expressions of a section's checks may name.
fn reading<'a, R>(
    scope: &mut Scope<'_, 'a>,
    read: impl FnOnce(&mut crate::check::Rules, &mut BuildCtx<'_>) -> R,
) -> R {
    let (title, name) = (scope.title(), scope.px.name);
    let (caps, mode) = (scope.px.caps(), scope.px.set.mode);
    let (mut captures, pages) = (Captures::default(), HttpErrors::default());
    let mut ctx = build_ctx(scope.cx, &title, caps, mode, &mut captures, &pages);
    let result = read(&mut scope.px.set.check.rules, &mut ctx);
    scope.cx.keep_references(name);
    result
}

/// `option httpchk ...`, `option tcp-check` and `option udp-check`: the latest one counts.
pub fn method<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let check = &mut scope.px.set.check;
    if args.str(1) == "tcp-check" {
        check.rules.option_tcp_check();
        check.method = "tcp-check";
        scope.too_many(args, 1, 0);
        return;
    }
    if args.str(1) == "udp-check" {
        check.rules.option_udp_check();
        check.method = "udp-check";
        scope.too_many(args, 1, 0);
        return;
    }
    if args.str(1) == "external-check" {
        check.rules.option_external();
        check.method = "";
        scope.too_many(args, 1, 0);
        return;
    }
    if args.str(1) != "httpchk" {
        check.method = "";
        if let Err(fault) = check.rules.option_protocol(args.str(1), &words(args, 2)) {
            report(scope, Severity::Alert, args, 2, fault);
        }
        return;
    }
    check.method = "httpchk";
    match reading(scope, |rules, ctx| rules.option_httpchk(&words(args, 2), ctx)) {
        Ok(warnings) => {
            for fault in warnings {
                report(scope, Severity::Warning, args, 2, fault);
            }
        }
        Err(fault) => report(scope, Severity::Alert, args, 2, fault),
    }
}

/// `external-check { command <command> | path <path> }`.
pub fn external<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let what = args.str(1);
    if !matches!(what, "command" | "path") {
        let message = format!("'external-check' expects 'command' or 'path', not '{what}'.");
        return scope.alert(args.at(1), message);
    }
    if scope.too_many(args, 1, 1) {
        return;
    }
    let Some(value) = scope.needed(args, 2, "an argument") else { return };
    let check = &mut scope.px.set.check;
    match what {
        "command" => check.command = Some(value.into()),
        _ => check.command_path = value.into(),
    }
}

/// `http-check ...` and `tcp-check ...` lines.
pub fn rule<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let check = &mut scope.px.set.check;
    let words = words(args, 1);
    check.has_connect |= args.str(1) == "connect" && words.contains(&"port");
    let is_http = args.str(0) == "http-check";
    check.has_http_rules |= is_http && !matches!(args.str(1), "disable-on-404" | "send-state");
    check.has_tcp_rules |= !is_http;
    let result = reading(scope, |rules, ctx| match is_http {
        true => rules.http_check(&words, ctx),
        false => rules.tcp_check(&words, ctx),
    });
    if let Err(fault) = result {
        report(scope, Severity::Alert, args, 1, fault);
    }
}

/// What to check of every server that asks for it.
pub fn specs(cx: &mut Cx<'_>, draft: &Draft<'_>, list: &[Declared]) -> Vec<(Arc<str>, CheckSpec)> {
    let mut specs = Vec::new();
    for server in draft.servers.iter().filter(|s| s.set.spec.has_check) {
        let title = format!("'server {}/{}'", draft.name, server.name);
        names_section(cx, server.at, &title, &server.set);
        let mut made = spec(cx, draft, &server.set);
        let own = list.iter().find(|declared| declared.spec.name == server.name);
        let own = own.filter(|declared| !declared.spec.tls_is_off);
        let own = own.and_then(|declared| declared.spec.tls.as_ref());
        made.tls = super::tls::check(cx, (server.at, &title), &server.set.tls, own, &made);
        specs.push((server.name.clone(), made));
    }
    specs
}

/// The same, and programs are told the number of the proxy.
pub fn numbered(specs: Vec<(Arc<str>, CheckSpec)>, uid: u32) -> Vec<(Arc<str>, CheckSpec)> {
    let mut specs = specs;
    specs
        .iter_mut()
        .filter_map(|(_, spec)| spec.external.as_mut())
        .for_each(|program| program.proxy_id = uid);
    specs
}

/// What to check of a server with these options.
pub fn spec(cx: &Cx<'_>, draft: &Draft<'_>, server: &ServerSettings) -> CheckSpec {
    let own = server.healthcheck.as_deref().and_then(|name| cx.healthchecks.get(name));
    let set = &draft.set;
    let mut spec = CheckSpec {
        timeout_check_ms: set.timeouts.check,
        timeout_connect_ms: set.timeouts.connect,
        slowstart_ms: server.spec.slowstart_ms,
        log_health_checks: set.options.log_health_checks,
        spread_percent: cx.global.spread_checks,
        answer_max: cx.global.tune.chksize,
        socks4: server.spec.socks4,
        ..server.checking.clone()
    };
    // Checks that go where traffic goes begin as it does.
    if spec.send_proxy > 0 || !spec.has_own_way() {
        spec.send_proxy = spec.send_proxy.max(server.spec.send_proxy);
        spec.h2 = server.checking_h2.unwrap_or(server.spec.proto_h2);
    } else {
        spec.h2 = server.checking_h2.unwrap_or(false);
    }
    let rules = own.map_or(&set.check.rules, |(rules, _)| rules);
    rules.finish(&mut spec);
    if rules.is_external() {
        spec.external = Some(program(cx, draft, server));
    }
    spec
}

/// The program that checks, and what it is told of the proxy: the first address that it listens on. Its number comes
/// when all sections have one.
fn program(cx: &Cx<'_>, draft: &Draft<'_>, server: &ServerSettings) -> External {
    let check = &draft.set.check;
    let first = draft.binds.iter().find(|bind| matches!(bind.address, Address::Inet(_) | Address::Unix(_)));
    let (proxy_address, proxy_port) = match first.map(|bind| &bind.address) {
        Some(Address::Inet(address)) => (address.ip().to_string(), address.port().to_string()),
        Some(Address::Unix(path)) => (path.display().to_string(), String::new()),
        _ => (String::new(), String::new()),
    };
    External {
        command: check.command.clone().unwrap_or_default(),
        path: check.command_path.clone(),
        proxy_address,
        proxy_port,
        proxy_id: 0,
        is_tls: server.tls.is_on && !server.tls.is_off,
        proto: match draft.set.mode {
            Mode::Http if server.spec.proto_h2 => "h2",
            Mode::Http => "h1",
            _ => "tcp",
        },
        keeps_environment: cx.global.external_check == Some(true),
        may_fork: cx.global.may_fork,
    }
}

/// A server names a section that is there.
pub fn names_section(cx: &mut Cx<'_>, at: Span, title: &str, server: &ServerSettings) {
    let Some(name) = &server.healthcheck else { return };
    if !cx.healthchecks.contains_key(&**name) {
        let hint = suggest::hint(name, cx.healthchecks.keys().map(|known| &**known));
        cx.diags.alert_hint(at, format!("{title} : there is no 'healthcheck' section '{name}'."), hint);
    }
}
