//! Checks that need a whole section or the whole configuration, with HAProxy's warnings.

use crate::check::Observe;
use crate::lang::{Frame, Severity, Span, suggest};
use crate::model::Mode;
use crate::rules::named::Wanted;

use super::super::proxy::{Config, Proxy};
use super::declared::ServerDraft;
use super::draft::{Cx, Draft, Step};
use super::finish::Names;
use super::option_table::OPTIONS;
use super::rule::Program;

/// Checks of one section, once its rules are compiled.
pub fn proxy(cx: &mut Cx<'_>, draft: &Draft<'_>, program: &Program<'_>, names: &Names<'_, '_>) {
    if draft.set.disabled {
        return;
    }
    let title = draft.title();
    let caps = draft.caps();
    if caps.front && !draft.has_bind {
        let message =
            format!("{title} has no 'bind' directive. Please declare it as a backend if this was intended.");
        cx.whole(Severity::Warning, draft.at, message);
    }
    checks(cx, draft);
    external(cx, draft);
    // What a server that is added while running tracks is not among these sections.
    for server in draft.servers.iter().filter(|_| cx.inputs.lent.is_none()) {
        tracking(cx, draft, server, names);
    }
    timeouts(cx, draft);
    let log = &draft.set.log;
    if caps.front && log.targets.is_empty() && (log.format.is_some() || log.sd_format.is_some()) {
        let message = format!("log format ignored for {title} since it has no log address.");
        cx.whole(Severity::Warning, draft.at, message);
    }
    if draft.set.mode == Mode::Tcp {
        if !may_upgrade(draft, names) {
            needs_http(cx, draft, program);
        }
        tcp_servers(cx, draft);
    }
}

/// A server tracks one that is there and is checked, and not itself by way of others.
fn tracking(cx: &mut Cx<'_>, draft: &Draft<'_>, server: &ServerDraft, names: &Names<'_, '_>) {
    let mut alert = |message: String| {
        let message = format!("'server {}/{}' : {message}", draft.name, server.name);
        let named = server.set.spec.track.as_deref().map(|(backend, name)| match &**backend {
            "" => name.to_string(),
            backend => format!("{backend}/{name}"),
        });
        let at = cx.spot(server.at, &named.unwrap_or_default());
        cx.diags.alert_framed(Frame::Object, at, message, None);
    };
    let (mut place, mut current) = (draft, server);
    let (mut first, mut steps) = (None, 0);
    while let Some(track) = current.set.spec.track.as_deref() {
        // A loop that does not come back here is told of where it does.
        steps += 1;
        if steps > names.drafts.len() + 100 {
            return;
        }
        let (backend, name) = (if track.0.is_empty() { place.name } else { &*track.0 }, &*track.1);
        let Some(next) = names.backends.get(backend).map(|i| &names.drafts[*i]) else {
            // Who names it says so.
            if first.is_none() {
                alert(format!("unable to find required proxy '{backend}' for tracking."));
            }
            return;
        };
        let Some(leader) = next.servers.iter().find(|other| *other.name == *name) else {
            if first.is_none() {
                alert(format!("unable to find required server '{name}' for tracking."));
            }
            return;
        };
        let title = first.get_or_insert_with(|| format!("{backend}/{name}"));
        if std::ptr::eq(leader, server) {
            let own = format!("{}/{}", draft.name, server.name);
            return alert(format!(
                "unable to track {title} as it belongs to a tracking chain looping back to {own}."
            ));
        }
        (place, current) = (next, leader);
    }
    if let Some(title) = first
        && !current.set.spec.has_check
        && !current.set.agent.is_on
    {
        alert(format!("unable to use {title} for tracking as it does not have any check nor agent enabled."));
    }
}

fn checks(cx: &mut Cx<'_>, draft: &Draft<'_>) {
    let check = &draft.set.check;
    let kinds =
        [("http-check", "httpchk", check.has_http_rules), ("tcp-check", "tcp-check", check.has_tcp_rules)];
    for (rules, option, has_rules) in kinds {
        let by_datagrams = option == "tcp-check" && check.method == "udp-check";
        if draft.caps().back && has_rules && check.method != option && !by_datagrams {
            let message = format!(
                "{} uses {rules} rules without 'option {option}', so the rules are ignored.",
                draft.title()
            );
            cx.whole(Severity::Warning, draft.at, message);
        }
    }
    if draft.caps().back && check.rules.expects_nothing() {
        let message = format!(
            "{} has 'option udp-check' without a 'tcp-check expect' line: a server that answers nothing counts as up.",
            draft.title()
        );
        cx.whole(Severity::Warning, draft.at, message);
    }
    if draft.caps().back && check.method != "httpchk" {
        for name in check.rules.http_settings() {
            let message =
                format!("'{name}' will be ignored for {} (requires 'option httpchk').", draft.title());
            cx.whole(Severity::Warning, draft.at, message);
        }
    }
}

/// `option external-check` needs a program, and leave to run it.
fn external(cx: &mut Cx<'_>, draft: &Draft<'_>) {
    let check = &draft.set.check;
    if !draft.caps().back || !check.rules.is_external() {
        return;
    }
    let missing = [
        (cx.global.external_check.is_none(), "global.external-check"),
        (check.command.is_none(), "external-check command"),
    ];
    for (_, name) in missing.iter().filter(|(is_missing, _)| *is_missing) {
        let message =
            format!("Proxy '{}' : 'option external-check' unable to find required '{name}'.", draft.name);
        cx.whole(Severity::Alert, draft.at, message);
    }
    if !cx.global.may_fork {
        let message = format!(
            "Proxy '{}' : 'insecure-fork-wanted' not enabled in the global section, 'option external-check' will \
             likely fail.",
            draft.name
        );
        cx.whole(Severity::Warning, draft.at, message);
    }
}

fn timeouts(cx: &mut Cx<'_>, draft: &Draft<'_>) {
    let (t, caps, mode) = (&draft.set.timeouts, draft.caps(), draft.set.mode);
    if mode == Mode::Udp {
        return; // nothing is connected: see `udp`
    }
    let no_server = t.server == 0 && (mode != Mode::Tcp || t.tunnel == 0);
    let missing = (caps.front && t.client == 0)
        || (caps.back && !draft.servers.is_empty() && (t.connect == 0 || no_server));
    if missing {
        let message = format!(
            "missing timeouts for {}.\n   | While not properly invalid, you will certainly encounter various problems\n   \
             | with such a configuration. To fix this, please ensure that all following\n   \
             | timeouts are set to a non-zero value: 'client', 'connect', 'server'.",
            draft.title()
        );
        cx.whole(Severity::Warning, draft.at, message);
    }
}

/// A TCP frontend that hands connections to an HTTP backend: its HTTP rules have an effect from then on.
fn may_upgrade(draft: &Draft<'_>, names: &Names<'_, '_>) -> bool {
    let is_http = |name: &str| {
        name.contains('%')
            || names.backends.get(name).is_some_and(|i| names.drafts[*i].set.mode.has_messages())
    };
    draft.set.default_backend.is_some_and(|word| is_http(word.str()))
        || draft.steps.iter().any(|step| match step {
            Step::UseBackend(args) => is_http(args.str(1)),
            Step::TcpRequest(args) => args.str(2) == "switch-mode",
            _ => false,
        })
}

/// What `mode tcp` leaves without effect.
fn needs_http(cx: &mut Cx<'_>, draft: &Draft<'_>, program: &Program<'_>) {
    let title = draft.title();
    let rules = &program.rules;
    let statements = [("stats", draft.set.stats.is_some()), ("monitor-uri", draft.set.monitor_uri.is_some())];
    for (name, _) in statements.iter().filter(|(_, is_there)| *is_there) {
        let message = format!("'{name}' statement ignored for {title} as it requires HTTP mode.");
        cx.whole(Severity::Warning, draft.at, message);
    }
    let sets = [
        ("http-request", &rules.http_request),
        ("http-response", &rules.http_response),
        ("http-after-response", &rules.http_after_response),
    ];
    for (name, _) in sets.iter().filter(|(_, set)| !set.is_empty()) {
        let message = format!("'{name}' rules ignored for {title} as they require HTTP mode.");
        cx.whole(Severity::Warning, draft.at, message);
    }
    let mut options = draft.set.options.clone();
    for option in OPTIONS.iter().filter(|o| o.http && o.is_on(&mut options)) {
        if option.side.is_of(draft.caps()) {
            let message =
                format!("'option {}' ignored for {title} as it requires HTTP mode.", option.entry.name);
            cx.whole(Severity::Warning, draft.at, message);
        }
    }
    if draft.caps().back && super::balance::needs_http(&draft.set.balance) {
        let message = format!(
            "Layer 7 hash not possible for {title} (needs 'mode http'). Falling back to round robin."
        );
        cx.whole(Severity::Warning, draft.at, message);
    }
}

fn tcp_servers(cx: &mut Cx<'_>, draft: &Draft<'_>) {
    for server in &draft.servers {
        if server.set.checking.observe == Observe::Layer7 {
            let message = format!(
                "'server {}/{}' : 'layer7' can only be used in http proxies.",
                draft.name, server.name
            );
            cx.whole(Severity::Alert, server.at, message);
        }
        if server.set.spec.cookie.is_some() {
            let message = format!(
                "{} : ignoring cookie for server '{}' as HTTP mode is disabled.",
                draft.title(),
                server.name
            );
            cx.whole(Severity::Warning, server.at, message);
        }
    }
}

/// Checks of the whole: what expressions name must be there.
pub fn whole(cx: &mut Cx<'_>, config: &Config) {
    for reference in std::mem::take(&mut cx.named) {
        let name = if reference.proxy.is_empty() { reference.from } else { &*reference.proxy };
        let id = config.backends.get(name).or_else(|| config.frontends.get(name));
        let Some(proxy) = id.and_then(|id| config.proxies.get(id.0 as usize)) else {
            let hint = suggest::hint(name, config.proxies.iter().map(|p| &*p.name));
            let message = format!("unable to find proxy '{name}' referenced in proxy '{}'", reference.from);
            cx.diags.alert_hint(reference.at, message, hint);
            continue;
        };
        let server = match &reference.wanted {
            Wanted::Proxy => continue,
            Wanted::Asked => {
                may_be_asked(cx, reference.at, name, proxy);
                continue;
            }
            Wanted::Server(server) => &**server,
        };
        let declared = proxy.back.as_ref().map_or(&[][..], |b| &b.declared);
        if !declared.iter().any(|s| &*s.name == server) {
            let hint = suggest::hint(server, declared.iter().map(|s| &*s.name));
            let message = format!(
                "unable to find server '{server}' in proxy '{name}', referenced in proxy '{}'",
                reference.from
            );
            cx.diags.alert_hint(reference.at, message, hint);
        }
    }
}

/// A rule asks a server of this proxy something by HTTP.
fn may_be_asked(cx: &mut Cx<'_>, at: Span, name: &str, proxy: &Proxy) {
    if proxy.back.is_none() {
        cx.diags.alert(at, format!("'{name}' has no servers that could be asked: it is no backend"));
    } else if !proxy.mode.has_messages() {
        cx.diags.alert(at, format!("backend '{name}' is asked by HTTP, and is not in HTTP mode"));
    }
}
