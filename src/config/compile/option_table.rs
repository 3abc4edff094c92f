//! The table of `option ...` names.

use crate::lang::{Entry, Status};

use super::super::proxy::Options;
use super::keyword::{Scope, Side};
use super::{checks, log, options};
use crate::lang::args::Args;

/// What an option does with its line.
#[derive(Clone, Copy)]
pub enum Apply {
    /// On, or off with `no`.
    Flag(fn(&mut Options) -> &mut bool),
    /// No effect; takes no argument.
    Nothing,
    /// Reads its own arguments; `negatable` by its own means.
    Line(for<'s, 'a> fn(&mut Scope<'s, 'a>, Args<'a>), bool),
}

/// One `option NAME`.
pub struct OptionKeyword {
    pub entry: Entry,
    pub side: Side,
    /// Needs `mode http`.
    pub http: bool,
    pub apply: Apply,
}

const fn flag(
    name: &'static str,
    side: Side,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
    field: fn(&mut Options) -> &mut bool,
) -> OptionKeyword {
    OptionKeyword {
        entry: Entry::full(name, "", doc, example, since),
        side,
        http: false,
        apply: Apply::Flag(field),
    }
}

const fn line(
    name: &'static str,
    args: &'static str,
    side: Side,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
    parse: for<'s, 'a> fn(&mut Scope<'s, 'a>, Args<'a>),
) -> OptionKeyword {
    OptionKeyword {
        entry: Entry::full(name, args, doc, example, since),
        side,
        http: false,
        apply: Apply::Line(parse, false),
    }
}

const fn nothing(
    name: &'static str,
    side: Side,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
    why: &'static str,
) -> OptionKeyword {
    let entry = Entry::full(name, "", doc, example, since).with(Status::Accepted(why));
    OptionKeyword { entry, side, http: false, apply: Apply::Nothing }
}

const fn refused(
    name: &'static str,
    doc: &'static str,
    example: &'static str,
    why: &'static str,
) -> OptionKeyword {
    let entry = Entry::full(name, "", doc, example, "").with(Status::Refused(why));
    OptionKeyword { entry, side: Side::Any, http: false, apply: Apply::Nothing }
}

impl OptionKeyword {
    const fn http(self) -> Self {
        OptionKeyword { http: true, ..self }
    }

    const fn accepted(self, why: &'static str) -> Self {
        OptionKeyword { entry: self.entry.with(Status::Accepted(why)), ..self }
    }

    const fn negatable(self) -> Self {
        let apply = match self.apply {
            Apply::Line(parse, _) => Apply::Line(parse, true),
            other => other,
        };
        OptionKeyword { apply, ..self }
    }

    /// True when the option is on in `options` (switches only).
    pub fn is_on(&self, options: &mut Options) -> bool {
        match self.apply {
            Apply::Flag(field) => *field(options),
            _ => false,
        }
    }

    /// Turns a switch off.
    pub fn clear(&self, options: &mut Options) {
        if let Apply::Flag(field) = self.apply {
            *field(options) = false;
        }
    }
}

/// Names after `option`.
#[rustfmt::skip]
pub const OPTIONS: &[OptionKeyword] = &[
    line("abortonclose", "", Side::Any, "Gives up a request still queued or connecting when its client leaves: the default in HTTP mode.", "option abortonclose", "1.3", options::abortonclose).negatable(),
    line("accept-invalid-http-request", "", Side::Any, "Old name of 'accept-unsafe-violations-in-http-request'.", "option accept-invalid-http-request", "1.3", options::accept_invalid).negatable(),
    line("accept-invalid-http-response", "", Side::Any, "Old name of 'accept-unsafe-violations-in-http-response'.", "option accept-invalid-http-response", "1.3", options::accept_invalid).negatable(),
    flag("accept-unsafe-violations-in-http-request", Side::Front, "Lets requests through that break the grammar in ways that can be dangerous.", "option accept-unsafe-violations-in-http-request", "3.0", |o| &mut o.accept_unsafe_request).http(),
    flag("accept-unsafe-violations-in-http-response", Side::Back, "Lets responses through that break the grammar in ways that can be dangerous.", "option accept-unsafe-violations-in-http-response", "3.0", |o| &mut o.accept_unsafe_response).http(),
    flag("allbackups", Side::Back, "Spreads over all backup servers rather than the first one.", "option allbackups", "1.3", |o| &mut o.allbackups),
    flag("checkcache", Side::Back, "Blocks responses that set a cookie and might be cached, with 502.", "option checkcache", "1.1", |o| &mut o.checkcache).http(),
    flag("clitcpka", Side::Front, "TCP keep-alive packets towards clients.", "option clitcpka", "1.3", |o| &mut o.tcpka_client),
    nothing("contstats", Side::Front, "Counts bytes while a session runs rather than at its end.", "option contstats", "1.3", "counters are always brought up to date while data flows"),
    flag("disable-h2-upgrade", Side::Front, "Keeps clear-text connections from becoming HTTP/2.", "option disable-h2-upgrade", "2.3", |o| &mut o.disable_h2_upgrade).http(),
    flag("dontlog-normal", Side::Front, "Logs only what went wrong.", "option dontlog-normal", "1.3", |o| &mut o.dontlog_normal),
    flag("dontlognull", Side::Front, "Does not log connections that sent nothing.", "option dontlognull", "1.3", |o| &mut o.dontlognull),
    line("external-check", "", Side::Back, "Checks servers with the program of 'external-check command'.", "option external-check", "1.6", checks::method),
    line("forwardfor", "[except <network>] [header <name>] [if-none]", Side::Any, "Adds the client's address to requests.", "option forwardfor except 127.0.0.0/8", "1.3", options::forwardfor),
    line("forwarded", "[proto] [host | host-expr <expr>] [by | by-expr <expr>] [by_port | by_port-expr <expr>] [for | for-expr <expr>] [for_port | for_port-expr <expr>]", Side::Back, "Adds the Forwarded field of RFC 7239 to requests.", "option forwarded", "2.8", options::forwarded).negatable(),
    refused("h1-case-adjust-bogus-client", "Adjusts the case of header names sent to clients.", "option h1-case-adjust-bogus-client", "names are passed on as they came"),
    refused("h1-case-adjust-bogus-server", "Adjusts the case of header names sent to servers.", "option h1-case-adjust-bogus-server", "names are passed on as they came"),
    flag("http-buffer-request", Side::Any, "Waits for the body before rules and balancing look at a request.", "option http-buffer-request", "1.6", |o| &mut o.http_buffer_request).http(),
    refused("http-drop-request-trailers", "Removes trailers of requests.", "option http-drop-request-trailers", "trailers are passed on"),
    refused("http-drop-response-trailers", "Removes trailers of responses.", "option http-drop-response-trailers", "trailers are passed on"),
    flag("http-ignore-probes", Side::Front, "Neither logs nor answers connections that time out before a request.", "option http-ignore-probes", "1.5", |o| &mut o.http_ignore_probes).http(),
    line("http-keep-alive", "", Side::Any, "Keeps connections open on both sides.", "option http-keep-alive", "1.5", options::connection_mode).negatable(),
    flag("http-no-delay", Side::Any, "Sends every piece of data at once.", "option http-no-delay", "1.5", |o| &mut o.http_no_delay).http().accepted("data is always sent at once"),
    flag("http-pretend-keepalive", Side::Back, "Hides from servers that the connection will close.", "option http-pretend-keepalive", "1.4", |o| &mut o.http_pretend_keepalive).http(),
    line("http-restrict-req-hdr-names", "{ preserve | delete | reject }", Side::Any, "What to do with request fields whose names have unusual characters.", "option http-restrict-req-hdr-names reject", "2.6", options::restrict_names),
    line("http-server-close", "", Side::Any, "Closes server connections after each response.", "option http-server-close", "1.4", options::connection_mode).negatable(),
    refused("http-use-proxy-header", "Reads Proxy-Connection in place of Connection.", "option http-use-proxy-header", "it is not a proxy that browsers are told of"),
    line("httpchk", "[<method>] [<uri>] [<version>]", Side::Back, "Checks servers with an HTTP request.", "option httpchk GET /health", "1.3", checks::method),
    line("httpclose", "", Side::Any, "Closes both connections after each response.", "option httpclose", "1.3", options::connection_mode).negatable(),
    line("httplog", "[clf]", Side::Any, "Logs requests in the HTTP format.", "option httplog", "1.3", log::option_log),
    line("httpslog", "", Side::Any, "Logs requests in the HTTP format with fields about TLS.", "option httpslog", "2.5", log::option_log),
    nothing("idle-close-on-response", Side::Front, "Waits for the last response before an idle connection is closed.", "option idle-close-on-response", "2.4", "idle connections finish their response before they close").http(),
    flag("independent-streams", Side::Any, "Data in one direction does not refresh the other one's timeout.", "option independent-streams", "1.4", |o| &mut o.independent_streams),
    line("ldap-check", "", Side::Back, "Checks servers with an LDAPv3 anonymous bind.", "option ldap-check", "1.4", checks::method),
    flag("log-health-checks", Side::Back, "Logs changes of health.", "option log-health-checks", "1.4", |o| &mut o.log_health_checks),
    flag("log-separate-errors", Side::Front, "Raises the level of lines that tell of errors.", "option log-separate-errors", "1.3", |o| &mut o.log_separate_errors),
    flag("logasap", Side::Front, "Logs when the response starts.", "option logasap", "1.3", |o| &mut o.log_asap),
    line("mysql-check", "[user <username> [post-41 | pre-41]]", Side::Back, "Checks servers with a MySQL handshake and, with a user, a log-in without password.", "option mysql-check user haproxy", "1.4", checks::method),
    flag("nolinger", Side::Any, "Resets connections rather than closing them.", "option nolinger", "1.3", |o| &mut o.nolinger),
    line("originalto", "[except <network>] [header <name>]", Side::Any, "Adds the address the client connected to.", "option originalto", "1.3", options::originalto),
    flag("persist", Side::Back, "Sends a client to its server even when that is down.", "option persist", "1.3", |o| &mut o.persist),
    line("pgsql-check", "user <username>", Side::Back, "Checks servers with a PostgreSQL start-up.", "option pgsql-check user haproxy", "1.5", checks::method),
    flag("prefer-last-server", Side::Back, "Stays on the server a connection used last when it can.", "option prefer-last-server", "1.5", |o| &mut o.prefer_last_server).http(),
    line("redis-check", "", Side::Back, "Checks servers with a Redis PING.", "option redis-check", "1.5", checks::method),
    line("redispatch", "[<interval>]", Side::Back, "Lets a retry go to another server.", "option redispatch", "1.3", options::redispatch).negatable(),
    line("smtpchk", "[{ HELO | EHLO } <domain>]", Side::Back, "Checks servers with an SMTP greeting.", "option smtpchk EHLO proxy.example.test", "1.1", checks::method),
    flag("socket-stats", Side::Front, "Counts each listening address apart.", "option socket-stats", "1.4", |o| &mut o.socket_stats),
    nothing("splice-auto", Side::Any, "Lets the kernel move data where that pays.", "option splice-auto", "1.3", "the kernel moves data where that pays"),
    nothing("splice-request", Side::Any, "Lets the kernel move request data.", "option splice-request", "1.3", "the kernel moves data where that pays"),
    nothing("splice-response", Side::Any, "Lets the kernel move response data.", "option splice-response", "1.3", "the kernel moves data where that pays"),
    line("spop-check", "", Side::Back, "Checks agents of SPOE with a hello of their protocol.", "option spop-check", "1.7", checks::method),
    flag("srvtcpka", Side::Back, "TCP keep-alive packets towards servers.", "option srvtcpka", "1.3", |o| &mut o.tcpka_server),
    line("ssl-hello-chk", "", Side::Back, "Checks servers with an SSLv3 hello: what answers with a hello or an alert is well.", "option ssl-hello-chk", "1.1", checks::method),
    line("tcp-check", "", Side::Back, "Checks servers with a script of 'tcp-check' lines.", "option tcp-check", "1.5", checks::method),
    nothing("tcp-smart-accept", Side::Front, "Saves a packet when a connection is accepted.", "option tcp-smart-accept", "1.3", "the kernel decides when it acknowledges"),
    nothing("tcp-smart-connect", Side::Back, "Saves a packet when a connection is made.", "option tcp-smart-connect", "1.3", "the kernel decides when it acknowledges"),
    line("tcpka", "", Side::Any, "TCP keep-alive packets on both sides.", "option tcpka", "1.3", options::tcpka),
    line("tcplog", "[clf]", Side::Any, "Logs connections in the TCP format.", "option tcplog", "1.3", log::option_log),
    line("udp-check", "", Side::Back, "Checks servers by datagrams: what 'tcp-check send' lines send is one each, and one of 'tcp-check expect' must be met.", "option udp-check", "isobar", checks::method),
    flag("transparent", Side::Back, "Connects to the address that the client went to, or that a rule says it did, where there is neither a server nor 'dispatch'.", "option transparent", "1.3", |o| &mut o.transparent),
    nothing("use-small-buffers", Side::Back, "Keeps waiting requests in small buffers.", "option use-small-buffers", "3.4", "idle and queued requests hold no large buffer"),
];
