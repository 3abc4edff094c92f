//! `cookie`: persistence by cookie.

use std::net::IpAddr;

use super::super::proxy::{CookieMode, CookieSpec};
use super::keyword::Scope;
use crate::lang::args::Args;
use crate::lang::suggest;
use crate::lang::time::{Unit, time};
use crate::model::Address;

/// `cookie <name> [ rewrite | insert | prefix ] [ indirect ] ...`.
pub fn cookie_line<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let Some(name) = scope.needed(args, 1, "<cookie_name>") else { return };
    let mut spec = CookieSpec { name: name.as_bytes().into(), ..CookieSpec::default() };
    let mut modes = 0;
    let (mut domains, mut flags, mut others) = (String::new(), String::new(), String::new());
    let mut at = 2;
    while args.has(at) {
        let word = args.str(at);
        let mut mode = |mode| {
            modes += 1;
            spec.mode = mode;
        };
        match word {
            "rewrite" => mode(CookieMode::Rewrite),
            "insert" => mode(CookieMode::Insert),
            "prefix" => mode(CookieMode::Prefix),
            "indirect" => spec.indirect = true,
            "nocache" => spec.nocache = true,
            "postonly" => spec.postonly = true,
            "preserve" => spec.preserve = true,
            "dynamic" => spec.dynamic = true,
            "httponly" => flags.insert_str(0, "; HttpOnly"),
            "secure" => flags.push_str("; Secure"),
            "domain" | "attr" if !args.has(at + 1) => {
                return scope.alert(args.at(at), format!("'cookie' : '{word}' expects a value."));
            }
            "domain" => {
                domains.push_str("; domain=");
                domains.push_str(args.str(at + 1));
                at += 1;
            }
            "attr" if args.bytes(at + 1).iter().any(|c| c.is_ascii_control() || *c == b';') => {
                let message =
                    format!("'cookie' : character not permitted in attribute '{}'.", args.str(at + 1));
                return scope.alert(args.at(at + 1), message);
            }
            "attr" => {
                others.push_str("; ");
                others.push_str(args.str(at + 1));
                at += 1;
            }
            "maxidle" | "maxlife" => {
                let text = args.str(at + 1);
                let limit = match time(text, Unit::Seconds) {
                    Ok(limit) => limit.value,
                    Err(e) => {
                        let message = format!("'cookie' : '{word}' : {}.", e.about(text));
                        return scope.alert(args.at(if args.has(at + 1) { at + 1 } else { at }), message);
                    }
                };
                *(if word == "maxidle" { &mut spec.max_idle_s } else { &mut spec.max_life_s }) = limit;
                at += 1;
            }
            _ => {
                let message = "'cookie' supports 'rewrite', 'insert', 'prefix', 'indirect', 'nocache', 'postonly', \
                               'domain', 'httponly', 'secure', 'preserve', 'dynamic', 'maxidle', 'maxlife' and 'attr' options.";
                return scope.alert(args.at(at), message);
            }
        }
        at += 1;
    }
    if modes > 1 {
        let message = "cookie 'rewrite', 'insert' and 'prefix' are mutually exclusive.";
        return scope.alert(args.at(2), message);
    }
    spec.attributes = format!("; path=/{domains}{flags}{others}").into_bytes().into();
    scope.px.set.cookie = Some(Box::new(spec));
}

/// `dynamic-cookie-key <string>`.
pub fn dynamic_key<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if let Some(key) = scope.needed(args, 1, "<key>")
        && !scope.too_many(args, 0, 1)
    {
        scope.px.set.dynamic_cookie_key = Some(key);
    }
}

/// `persist rdp-cookie[(<name>)]`.
pub fn persist<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let name = match args.str(1).strip_prefix("rdp-cookie") {
        Some("") => "msts",
        Some(rest) if rest.starts_with('(') => {
            rest.strip_prefix('(').and_then(|inner| inner.split_once(')')).map_or("", |(name, _)| name)
        }
        _ => {
            let message = if args.has(1) { "unknown persist method." } else { "missing persist method." };
            let hint = suggest::hint(args.str(1), ["rdp-cookie"]);
            return scope.cx.diags.alert_hint(args.at(1), message, hint);
        }
    };
    if name.is_empty() {
        return scope.alert(args.at(1), "persist rdp-cookie(name)' requires an rdp cookie name.");
    }
    scope.px.set.desktop_cookie = Some(name);
}

/// The value that `dynamic` gives the server at this address.
pub fn dynamic_value(key: &str, address: &Address) -> Option<String> {
    let Address::Inet(address) = address else { return None };
    let mut bytes = key.as_bytes().to_vec();
    match address.ip() {
        IpAddr::V4(ip) => bytes.extend(ip.octets()),
        IpAddr::V6(ip) => bytes.extend(ip.octets()),
    }
    bytes.extend(u32::from(address.port()).to_be_bytes());
    Some(format!("{:016x}", xxhash_rust::xxh64::xxh64(&bytes, 0)))
}
