//! What `mode udp` takes, and what makes no sense of datagrams: that is refused where it stands, for who writes it means
//! something by it.

use crate::lang::{Frame, Severity, Span};
use crate::model::Mode;
use crate::model::notation::Host;

use super::super::proxy::Bind;
use super::draft::{Cx, Draft, Step};
use super::rule::Program;

/// Actions of `tcp-request connection` that datagrams have a use for; what follows the name is left out.
const ACTIONS: &[&str] = &["accept", "reject", "silent-drop", "set-var", "set-var-fmt", "unset-var"];

/// Checks of one section, once its rules are compiled.
pub fn check(cx: &mut Cx<'_>, draft: &Draft<'_>, program: &Program<'_>) {
    if draft.set.disabled {
        return;
    }
    if draft.set.mode != Mode::Udp {
        return foreign(cx, draft);
    }
    binds(cx, draft);
    steps(cx, draft);
    settings(cx, draft, program);
    servers(cx, draft);
    let timeouts = &draft.set.timeouts;
    let (caps, none) = (draft.caps(), timeouts.client == 0 && timeouts.server == 0);
    if none && caps.front {
        let message = format!(
            "{} needs 'timeout client' or 'timeout server' in 'mode udp': a flow has no other end than silence.",
            draft.title()
        );
        cx.whole(Severity::Alert, draft.at, message);
    }
}

/// Datagram addresses outside of `mode udp`.
fn foreign(cx: &mut Cx<'_>, draft: &Draft<'_>) {
    for bind in draft.binds.iter().filter(|bind| bind.datagram) {
        let message = format!("'bind' : dgram-type address not acceptable in 'udp@{}'", bind.address);
        cx.whole(Severity::Alert, bind.declared_at, message);
    }
    for server in draft.servers.iter().filter(|server| server.written.datagram) {
        let message =
            format!("'server {}/{}' : dgram-type address not acceptable here", draft.name, server.name);
        cx.diags.alert_framed(Frame::Object, server.at, message, None);
    }
}

fn refuse(cx: &mut Cx<'_>, at: Span, what: &str, why: &str) {
    cx.whole(Severity::Alert, at, format!("'{what}' makes no sense in 'mode udp': {why}."));
}

const NO_CONNECTION: &str = "datagrams come over no connection";
const ADDRESSES: &str = "the header of a datagram has addresses alone";
const NO_MESSAGE: &str = "datagrams are no requests";

fn binds(cx: &mut Cx<'_>, draft: &Draft<'_>) {
    let options = |bind: &Bind| {
        [
            (bind.tls.is_on, "ssl", "TLS speaks over connections"),
            (bind.accept_proxy, "accept-proxy", NO_CONNECTION),
            (bind.proto_h2, "proto", NO_MESSAGE),
            (bind.defer_accept, "defer-accept", NO_CONNECTION),
            (bind.tfo, "tfo", NO_CONNECTION),
            (bind.mss.is_some(), "mss", NO_CONNECTION),
            (bind.tcp_ut_ms > 0, "tcp-ut", NO_CONNECTION),
            (bind.tcp_ss > 0, "tcp-ss", NO_CONNECTION),
        ]
    };
    for bind in &draft.binds {
        if !bind.datagram {
            let message = format!("'bind {}' in 'mode udp' needs 'udp@' before its address.", bind.address);
            cx.whole(Severity::Alert, bind.declared_at, message);
        } else if bind.address.inet().is_none() {
            refuse(cx, bind.declared_at, "bind", "datagrams come from the Internet alone");
        }
        for (_, what, why) in options(bind).iter().filter(|(is_on, ..)| *is_on) {
            refuse(cx, bind.declared_at, what, why);
        }
    }
}

fn steps(cx: &mut Cx<'_>, draft: &Draft<'_>) {
    for step in &draft.steps {
        let (args, why) = match step {
            Step::Acl(_) | Step::UseBackend(_) | Step::UseServer(_) | Step::ForceSwitch(_) => continue,
            Step::TcpRequest(args) if args.str(1) == "connection" => {
                let action = args.str(2).split('(').next().unwrap_or("");
                if ACTIONS.contains(&action) {
                    continue;
                }
                refuse(cx, args.at(2), &format!("tcp-request connection {action}"), NO_CONNECTION);
                continue;
            }
            Step::TcpRequest(args) | Step::TcpResponse(args) => (args, NO_CONNECTION),
            Step::HttpRequest(args)
            | Step::HttpResponse(args)
            | Step::HttpAfterResponse(args)
            | Step::Redirect(args)
            | Step::Stick(args)
            | Step::MonitorFail(args)
            | Step::Persist(args)
            | Step::StatsAdmin(args)
            | Step::StatsHttpRequest(args) => (args, NO_MESSAGE),
        };
        let what = match step {
            Step::TcpRequest(_) | Step::TcpResponse(_) => format!("{} {}", args.str(0), args.str(1)),
            _ => args.str(0).to_owned(),
        };
        refuse(cx, args.at(0), &what, why);
    }
}

fn settings(cx: &mut Cx<'_>, draft: &Draft<'_>, program: &Program<'_>) {
    let (set, rules) = (&draft.set, &program.rules);
    let of_defaults = !(rules.tcp_session.is_empty()
        && rules.tcp_content.is_empty()
        && rules.tcp_response.is_empty()
        && rules.spare_requests()
        && rules.http_response.is_empty());
    for (is_there, what, why) in [
        (set.stats.is_some(), "stats", NO_MESSAGE),
        (set.monitor_uri.is_some(), "monitor-uri", NO_MESSAGE),
        (set.cookie.is_some(), "cookie", NO_MESSAGE),
        (super::balance::needs_http(&set.balance), "balance", NO_MESSAGE),
        (of_defaults, "rules of 'defaults'", NO_CONNECTION),
    ] {
        if is_there {
            let title = draft.title();
            let message = format!("'{what}' makes no sense for {title} in 'mode udp': {why}.");
            cx.whole(
                Severity::Alert,
                draft.at,
                message.replace("'rules of 'defaults''", "rules of 'defaults'"),
            );
        }
    }
}

fn servers(cx: &mut Cx<'_>, draft: &Draft<'_>) {
    for server in &draft.servers {
        let spec = &server.set.spec;
        let is_path = !matches!(server.written.host, Host::Ip(_) | Host::Name(..));
        for (_, what, why) in [
            (server.set.tls.is_on, "ssl", "TLS speaks over connections"),
            (spec.send_proxy == 1, "send-proxy", "a datagram has room for version 2 alone"),
            (!spec.proxy_fields.is_empty(), "proxy-v2-options", ADDRESSES),
            (!spec.proxy_tlvs.is_empty(), "set-proxy-v2-tlv-fmt", ADDRESSES),
            (spec.proto_h2, "proto", NO_MESSAGE),
            (spec.cookie.is_some(), "cookie", NO_MESSAGE),
            (is_path, "server", "datagrams go to the Internet alone"),
        ]
        .iter()
        .filter(|(is_there, ..)| *is_there)
        {
            let message = format!(
                "'server {}/{}' : '{what}' makes no sense in 'mode udp': {why}.",
                draft.name, server.name
            );
            cx.diags.alert_framed(Frame::Object, server.at, message, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{build_text, messages};

    const GOOD: &str = "
listen l
    mode udp
    timeout client 1s
    bind udp@127.0.0.1:5353,udp6@[::1]:5353 maxconn 10
    tcp-request connection reject if { src 10.0.0.0/8 }
    use-server s1 if { src_port 53 }
    server s1 127.0.0.1:53 send-proxy-v2 check port 80
    server s2 udp@127.0.0.2:53
";

    fn told(text: &str) -> Vec<String> {
        messages(&build_text(text).1)
    }

    #[test]
    fn datagrams_are_listened_for() {
        let (built, diags) = build_text(GOOD);
        assert!(diags.list.is_empty(), "{diags:?}");
        let config = built.expect("built").config;
        let front = config.proxies[0].front.as_ref().expect("a frontend");
        assert!(front.binds.len() == 2 && front.binds.iter().all(|bind| bind.datagram));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let line = |line: &str| GOOD.replace("    use-server", &format!("    {line}\n    use-server"));
        for (text, expected) in [
            (line("bind 127.0.0.1:1"), "'bind 127.0.0.1:1' in 'mode udp' needs 'udp@' before its address."),
            (line("bind udp@127.0.0.1:1 accept-proxy"), "'accept-proxy' makes no sense in 'mode udp': datagrams come over no connection."),
            (line("tcp-request content reject"), "'tcp-request content' makes no sense in 'mode udp': datagrams come over no connection."),
            (line("tcp-request connection set-src src"), "'tcp-request connection set-src' makes no sense in 'mode udp': datagrams come over no connection."),
            (line("http-request deny"), "'http-request' makes no sense in 'mode udp': datagrams are no requests."),
            (line("balance uri"), "'balance' makes no sense for proxy 'l' in 'mode udp': datagrams are no requests."),
            (line("stats enable"), "'stats' makes no sense for proxy 'l' in 'mode udp': datagrams are no requests."),
            (line("server s3 127.0.0.1:1 send-proxy"), "'server l/s3' : 'send-proxy' makes no sense in 'mode udp': a datagram has room for version 2 alone."),
            (line("server s3 127.0.0.1:1 ssl verify none"), "'server l/s3' : 'ssl' makes no sense in 'mode udp': TLS speaks over connections."),
            (GOOD.replace("timeout client 1s", ""), "proxy 'l' needs 'timeout client' or 'timeout server' in 'mode udp': a flow has no other end than silence."),
            (format!("{}backend b\n mode tcp\n", line("default_backend b")), "proxy 'l' speaks udp and backend 'b' (test.cfg:11) does not: datagrams go to datagrams alone (see 'mode')."),
            ("listen l\n mode tcp\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n bind udp@:53\n".to_owned(), "'bind' : dgram-type address not acceptable in 'udp@0.0.0.0:53'"),
        ] {
            let told = told(&text);
            assert!(told.iter().any(|message| message == expected), "{expected}: {told:?}");
        }
    }
}
