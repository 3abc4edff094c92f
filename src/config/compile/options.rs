//! `option ...`: switches and the few options with arguments.

use crate::lang::Status;
use crate::lang::registry::Kind;
use crate::lang::suggest;
use crate::lang::void::is_void;

use super::super::proxy::{ForwardFor, HttpConnection, RestrictNames};
use super::keyword::{Scope, Side, refuse};
use super::option_table::{Apply, OPTIONS};
use crate::lang::args::{Args, Prefix};

/// `option NAME ...`, `no option NAME`, `default option NAME`.
pub fn option_line<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let name = args.str(1);
    if name.is_empty() {
        return scope.alert(args.span, "'option' expects an option name.");
    }
    if let Some(instead) = removed(name) {
        return scope.alert(args.at(1), instead);
    }
    let Some(option) = OPTIONS.iter().find(|o| o.entry.name == name) else {
        let hint = suggest::hint(name, OPTIONS.iter().map(|o| o.entry.name));
        return scope.cx.diags.alert_hint(args.at(1), format!("unknown option '{name}'"), hint);
    };
    if let Status::Refused(_) = option.entry.status {
        // What is not there is off.
        if scope.prefix == Prefix::None {
            refuse(scope.cx, &option.entry, args.at(1));
        }
        return;
    }
    if is_void(Kind::Option, name) {
        return;
    }
    match option.apply {
        Apply::Line(parse, negatable) => {
            if scope.prefix != Prefix::None && !negatable {
                let message = format!("negation/default is not supported for option '{name}'.");
                return scope.alert(args.at(1), message);
            }
            if scope.has_side(option.side, args.at(1), name, "") {
                parse(scope, args);
            }
        }
        switch => {
            if scope.too_many(args, 1, 0) || !scope.has_side(option.side, args.at(1), name, "") {
                return;
            }
            let options = &mut scope.px.set.options;
            match (switch, scope.prefix) {
                (Apply::Flag(field), prefix) => *field(options) = prefix == Prefix::None,
                (Apply::Nothing | Apply::Line(..), _) => {}
            }
        }
    }
}

/// Options that HAProxy dropped long ago, with what to write today.
fn removed(name: &str) -> Option<&'static str> {
    Some(match name {
        "forceclose" => {
            "option 'forceclose' is not supported any more since HAProxy 2.0, please just remove it, \
             or use 'option httpclose' if absolutely needed."
        }
        "http-tunnel" => {
            "option 'http-tunnel' is not supported any more since HAProxy 2.1, please just remove it, \
             it shouldn't be needed."
        }
        "http_proxy" => {
            "option 'http_proxy' is not supported any more since HAProxy 2.5. Use 'http-request set-dst' \
             together with 'http-request set-uri' instead."
        }
        _ => return None,
    })
}

/// The three HTTP connection modes exclude each other; `no` undoes its own only.
pub fn connection_mode<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if scope.too_many(args, 1, 0) {
        return;
    }
    let mode = match args.str(1) {
        "httpclose" => HttpConnection::Close,
        "http-server-close" => HttpConnection::ServerClose,
        _ => HttpConnection::KeepAlive,
    };
    let current = &mut scope.px.set.options.http_connection;
    match scope.prefix {
        Prefix::None => *current = mode,
        Prefix::No if *current == mode => *current = HttpConnection::KeepAlive,
        Prefix::No => {}
        Prefix::Default => {
            let message = format!("negation/default is not supported for option '{}'.", args.str(1));
            scope.alert(args.at(1), message);
        }
    }
}

/// `option redispatch [<interval>]`.
pub fn abortonclose<'a>(scope: &mut Scope<'_, 'a>, _: Args<'a>) {
    scope.px.set.options.abortonclose = match scope.prefix {
        Prefix::None => Some(true),
        Prefix::No => Some(false),
        Prefix::Default => None,
    };
}

pub fn redispatch<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let options = &mut scope.px.set.options;
    (options.redispatch, options.redispatch_every) = (false, 0);
    if scope.prefix != Prefix::None {
        return;
    }
    let every = match args.str(2) {
        "" => -1,
        text => match text.parse() {
            Ok(every) => every,
            Err(_) => {
                let message = format!("option 'redispatch' expects an integer interval, got '{text}'.");
                return scope.alert(args.at(2), message);
            }
        },
    };
    (options.redispatch, options.redispatch_every) = (every != 0, every);
}

pub fn tcpka<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if scope.too_many(args, 1, 0) {
        return;
    }
    let caps = scope.px.caps();
    let options = &mut scope.px.set.options;
    options.tcpka_client |= caps.front;
    options.tcpka_server |= caps.back;
}

pub fn restrict_names<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if scope.too_many(args, 1, 1) {
        return;
    }
    scope.px.set.options.http_restrict_req_hdr_names = match args.str(2) {
        "preserve" => RestrictNames::Preserve,
        "reject" => RestrictNames::Reject,
        "delete" => RestrictNames::Delete,
        other => {
            let what = if other.is_empty() {
                "missing parameter".to_owned()
            } else {
                format!("invalid parameter '{other}'")
            };
            let message = format!(
                "{what}. option 'http-restrict-req-hdr-names' expects 'preserve', 'reject' or 'delete' option."
            );
            return scope.alert(args.at(2), message);
        }
    };
}

/// Old names of the two options that accept bad messages.
pub fn accept_invalid<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if scope.too_many(args, 1, 0) {
        return;
    }
    let is_request = args.str(1).ends_with("request");
    let side = if is_request { Side::Front } else { Side::Back };
    if !scope.has_side(side, args.at(1), args.str(1), "") {
        return;
    }
    let is_on = scope.prefix == Prefix::None;
    let options = &mut scope.px.set.options;
    *(if is_request { &mut options.accept_unsafe_request } else { &mut options.accept_unsafe_response }) =
        is_on;
    if !is_on {
        return;
    }
    let new = if is_request { "request" } else { "response" };
    let message = format!(
        "option '{}' is deprecated. please use 'option accept-unsafe-violations-in-http-{new}' if absolutely needed.",
        args.str(1)
    );
    scope.warning(args.at(1), message);
}

pub fn forwardfor<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if let Some(spec) = forward_header(scope, args, b"X-Forwarded-For") {
        scope.px.set.options.forwardfor = Some(spec);
    }
}

pub fn forwarded<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let words = args.words.get(2..).unwrap_or_default();
    scope.px.set.forwarded = (scope.prefix == Prefix::None).then_some(words);
}

pub fn originalto<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if let Some(spec) = forward_header(scope, args, b"X-Original-To") {
        scope.px.set.options.originalto = Some(spec);
    }
}

/// `[except <network>] [header <name>] [if-none]`.
fn forward_header<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>, header: &[u8]) -> Option<ForwardFor> {
    let mut spec = ForwardFor { header: header.into(), except: Vec::new(), if_none: false };
    let title = format!("'{} {}", args.str(0), args.str(1));
    let mut i = 2;
    while args.has(i) {
        match args.str(i) {
            "except" => match network(args.str(i + 1)) {
                Some(net) => spec.except = vec![net],
                None => {
                    scope.alert(
                        args.at(i + 1),
                        format!("{title} except' expects <address>[/mask] as argument."),
                    );
                    return None;
                }
            },
            "header" if args.has(i + 1) => spec.header = args.bytes(i + 1).into(),
            "header" => {
                scope.alert(args.at(i), format!("{title} header' expects <header_name> as argument."));
                return None;
            }
            "if-none" if args.str(1) == "forwardfor" => {
                spec.if_none = true;
                i += 1;
                continue;
            }
            _ => {
                let names = if args.str(1) == "forwardfor" {
                    "'except', 'header' and 'if-none'"
                } else {
                    "'except' and 'header'"
                };
                scope.alert(args.at(i), format!("{title}' only supports optional values: {names}."));
                return None;
            }
        }
        i += 2;
    }
    Some(spec)
}

/// An address, or a network with a prefix length or (IPv4) a dotted mask.
pub fn network(text: &str) -> Option<ipnet::IpNet> {
    let (address, mask) = match text.split_once('/') {
        None => return text.parse::<std::net::IpAddr>().ok().map(ipnet::IpNet::from),
        Some(pair) => pair,
    };
    let address: std::net::IpAddr = address.parse().ok()?;
    let net = match mask.parse::<u8>() {
        Ok(len) => ipnet::IpNet::new(address, len).ok()?,
        Err(_) => ipnet::IpNet::with_netmask(address, mask.parse().ok()?).ok()?,
    };
    Some(net.trunc())
}
