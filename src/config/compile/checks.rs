//! How servers are checked: `option httpchk` and its kin, `http-check` and `tcp-check`, read by the `check` room.

use std::sync::Arc;

use crate::check::{CheckSpec, Fault};
use crate::lang::Severity;
use crate::rules::{BuildCtx, Captures, HttpErrors};

use super::backend::Declared;
use super::declared::ServerSettings;
use super::draft::{Cx, Draft, Reference};
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
    for (at, proxy, wanted) in std::mem::take(&mut scope.cx.references) {
        scope.cx.named.push(Reference { at, from: name, proxy, wanted });
    }
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
        let mut made = spec(cx, draft, &server.set);
        let own = list.iter().find(|declared| declared.spec.name == server.name);
        let own = own.filter(|declared| !declared.spec.tls_is_off);
        let own = own.and_then(|declared| declared.spec.tls.as_ref());
        let title = format!("'server {}/{}'", draft.name, server.name);
        made.tls = super::tls::check(cx, (server.at, &title), &server.set.tls, own, &made);
        specs.push((server.name.clone(), made));
    }
    specs
}

/// What to check of a server with these options.
pub fn spec(cx: &Cx<'_>, draft: &Draft<'_>, server: &ServerSettings) -> CheckSpec {
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
    set.check.rules.finish(&mut spec);
    spec
}
