//! `server`, `server-template` and `default-server` lines.

use crate::lang::suggest::is_meant;
use crate::lang::void::is_void;
use crate::lang::{Frame, Span, Status, registry, suggest};

use super::declared::{ServerDraft, ServerSettings};
use super::draft::{Cx, Kind};
use super::keyword::Scope;
use super::server_option::{Arity, OptionCx, SERVER_OPTIONS};
use crate::lang::args::{Args, Cursor};
use crate::model::notation::{Accept, Host, Port, Written, parse};

/// `server <name> <address> [options]`.
pub fn server_line<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if !allowed(scope, args) {
        return;
    }
    if !args.has(2) {
        return scope.alert(args.span, "'server' expects <name> and <addr>[:<port>] as arguments.");
    }
    let name = args.str(1);
    if let Some(c) = invalid_char(name, true) {
        let message = format!("character '{c}' is not permitted in server name '{name}'.");
        return scope.alert(args.at(1), message);
    }
    let title = format!("server {}/{name}", scope.px.name);
    let Some(written) = address(scope.cx, &title, args, 2) else { return };
    let mut set = scope.px.set.default_server.clone();
    options(scope.cx, &mut set, Cursor::new(args, 3), &title, false);
    check_tracking(scope.cx, &set, args.span, &title);
    scope.px.servers.push(ServerDraft { name: name.into(), at: args.span, written, set });
}

/// `server-template <prefix> <count | low-high> <address> [options]`.
pub fn server_template_line<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    if !allowed(scope, args) {
        return;
    }
    if !args.has(3) {
        let message = "'server-template' expects <prefix> <nb | range> <addr>[:<port>] as arguments.";
        return scope.alert(args.span, message);
    }
    let prefix = args.str(1);
    if let Some(c) = invalid_char(prefix, false) {
        let message = format!("character '{c}' is not permitted in server-template prefix '{prefix}'.");
        return scope.alert(args.at(1), message);
    }
    let Some((low, high)) = template_range(args.str(2)) else {
        let message = format!("Wrong server-template number or range arg '{}'.", args.str(2));
        return scope.alert(args.at(2), message);
    };
    let title = format!("server-template {}/{prefix}", scope.px.name);
    let Some(written) = address(scope.cx, &title, args, 3) else { return };
    let mut set = scope.px.set.default_server.clone();
    options(scope.cx, &mut set, Cursor::new(args, 4), &title, false);
    check_tracking(scope.cx, &set, args.span, &title);
    for n in low..=high {
        let (name, written) = (format!("{prefix}{n}").into(), written.clone());
        scope.px.servers.push(ServerDraft { name, at: args.span, written, set: set.clone() });
        // A number given for the template is that of its first server.
        set.id = None;
    }
}

/// A server is checked or tracks another one, and an agent has a port.
fn check_tracking(cx: &mut Cx<'_>, set: &ServerSettings, at: Span, title: &str) {
    if set.agent.is_on && set.agent.port == 0 {
        let name = title.rsplit('/').next().unwrap_or(title);
        let message =
            format!("'{title}' : server {name} does not have agent port. Agent check has been disabled.");
        cx.diags.alert_framed(Frame::Object, at, message, None);
    }
    if set.spec.has_check && set.spec.track.is_some() {
        let message = format!("'{title}' : unable to enable checks and tracking at the same time!");
        cx.diags.alert_framed(Frame::Object, at, message, None);
    }
}

/// `default-server [options]`.
pub fn default_server_line<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let title = format!("default-server {}", scope.px.name);
    let mut set = std::mem::take(&mut scope.px.set.default_server);
    options(scope.cx, &mut set, Cursor::new(args, 1), title.trim_end(), true);
    scope.px.set.default_server = set;
}

/// Most servers that one template makes; HAProxy has no limit but memory.
const TEMPLATE_MAX: u32 = 100_000;

fn template_range(text: &str) -> Option<(u32, u32)> {
    let (low, high) = text.split_once('-').unwrap_or(("1", text));
    let (low, high): (u32, u32) = (low.parse().ok()?, high.parse().ok()?);
    (low <= high && high - low < TEMPLATE_MAX).then_some((low, high))
}

/// A server line makes no sense in `defaults` or `frontend`, and HAProxy refuses it there.
fn allowed<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) -> bool {
    if scope.px.kind == Kind::Frontend {
        let message =
            format!("'{}' not allowed because {} has no backend capability.", args.str(0), scope.title());
        scope.alert(args.at(0), message);
        return false;
    }
    true
}

/// The first character that a name may not have; a blank for an empty name.
pub fn invalid_char(name: &str, colon: bool) -> Option<char> {
    if name.is_empty() {
        return Some(' ');
    }
    name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') || colon && *c == ':'))
}

fn address<'a>(cx: &mut Cx<'a>, title: &str, args: Args<'a>, i: usize) -> Option<Written> {
    let accept = Accept::PORT | Accept::PORT_OFFSET | Accept::STREAM | Accept::DATAGRAM;
    match parse(args.str(i), accept, &cx.surroundings()) {
        Ok(written) => Some(written),
        Err(e) => {
            cx.diags.alert_framed(Frame::Object, args.at(i), format!("'{title}' : {e}"), None);
            None
        }
    }
}

/// A name of a record that tells name, port and weight.
pub fn srv_record(written: &Written) -> Option<&str> {
    match &written.host {
        Host::Name(name, _) if name.starts_with('_') => Some(name),
        _ => None,
    }
}

/// Whether the port is taken from the client's destination: no port, 0 or an offset.
pub fn port_offset(written: &Written) -> Option<i32> {
    if srv_record(written).is_some() {
        return None;
    }
    match (&written.host, written.port) {
        (Host::Ip(_) | Host::Name(..), Port::None | Port::Range(0, 0)) => Some(0),
        (_, Port::Offset(n)) => Some(n),
        _ => None,
    }
}

/// Options from `words` on, applied to `set`.
pub fn options<'a>(
    cx: &mut Cx<'a>,
    set: &mut ServerSettings,
    mut words: Cursor<'a>,
    title: &str,
    is_default: bool,
) {
    let mut is_wrong = false;
    while !words.is_done() {
        let before = words.next;
        if let Err(Wrong { at, message, hint }) = one_option(cx, set, &mut words, title, is_default) {
            cx.diags.alert_framed(Frame::Object, at, format!("'{title}' : {message}"), hint);
            is_wrong = true;
            if words.next == before {
                // What follows may be arguments of the unknown option, up to what is none.
                words.next += 1;
                while !words.is_done() && !is_meant(words.peek(), names()) {
                    words.next += 1;
                }
            }
        }
    }
    // Nothing is made of what is wrong, for that would be told of once more.
    set.tls.is_on &= !is_wrong;
}

fn names() -> impl Iterator<Item = &'static str> {
    SERVER_OPTIONS.iter().map(|option| option.entry.name)
}

/// What is wrong with an option, and where.
struct Wrong {
    at: Span,
    message: String,
    hint: Option<String>,
}

fn one_option<'a>(
    cx: &mut Cx<'a>,
    set: &mut ServerSettings,
    words: &mut Cursor<'a>,
    title: &str,
    is_default: bool,
) -> Result<(), Wrong> {
    let (written, at) = (words.peek(), words.at());
    let wrong = |message: String| Err(Wrong { at, message, hint: None });
    // One option has an argument in its name.
    let name = if written.starts_with("set-proxy-v2-tlv-fmt(") { "set-proxy-v2-tlv-fmt" } else { written };
    let Some(option) = SERVER_OPTIONS.iter().find(|o| o.entry.name == name) else {
        let hint = suggest::hint(name, names());
        return Err(Wrong { at, message: format!("unknown keyword '{name}'"), hint });
    };
    let (args, before) = (words.args.from(words.next), words.next);
    words.next += 1 + match option.arity {
        Arity::None => 0,
        Arity::One => 1,
        Arity::Source => source_words(args),
    };
    if let Status::Refused(why) = option.entry.status {
        return wrong(format!("'{name}' is not supported by this release: {why}."));
    }
    if is_default && !option.in_default {
        return wrong(format!("'{name}' option is not accepted in default-server sections"));
    }
    if is_void(registry::Kind::Server, name) {
        return Ok(());
    }
    let server = title.rsplit('/').next().unwrap_or(title);
    let applied = (option.apply)(set, args, &mut OptionCx { cx, server, title });
    applied.map_err(|message| {
        // It is an argument that is wrong, where there is one: the one that is named, else the first.
        let count = words.next - before - 1;
        let is_named = |i: &usize| message.contains(&format!("'{}'", args.str(*i)));
        let blamed = (1..=count).rev().find(is_named).unwrap_or(1);
        let at = if args.has(1) && count > 0 { args.at(blamed) } else { at };
        Wrong { at, message, hint: None }
    })
}

/// Words after `source`: an address, then `usesrc` and `interface` with one argument each.
fn source_words(args: Args<'_>) -> usize {
    let mut n = 1;
    while matches!(args.str(n + 1), "usesrc" | "interface") {
        n += 2;
    }
    n
}

#[cfg(test)]
mod tests {
    use super::super::testing::{messages, proxy};

    const TIMEOUTS: [&str; 2] = ["timeout connect 5s", "timeout server 5s"];

    fn backend(lines: &[&str]) -> (Option<crate::config::Proxy>, Vec<String>) {
        let lines: Vec<&str> = TIMEOUTS.iter().chain(lines).copied().collect();
        let (px, diags) = proxy("backend b", &lines);
        (px, messages(&diags))
    }

    #[test]
    fn a_server_takes_what_default_server_gave() {
        let (px, messages) = backend(&[
            "default-server weight 10 maxconn 100 slowstart 30s",
            "server s1 10.0.0.1:80 weight 20 backup",
            "default-server disabled",
            "server s2 10.0.0.2:+100 id 7",
            "server s3 /run/s3.sock enabled",
        ]);
        assert!(messages.is_empty(), "{messages:?}");
        let set = px.expect("built").back.expect("backend").servers.load();
        let spec = |i: usize| set.list[i].spec.clone();
        assert_eq!((spec(0).weight, spec(0).maxconn, spec(0).backup, spec(0).id), (20, 100, true, 1));
        assert_eq!(
            (spec(1).weight, spec(1).disabled, spec(1).port_offset, spec(1).id),
            (10, true, Some(100), 7)
        );
        assert_eq!((spec(2).disabled, spec(2).port_offset, spec(2).id), (false, None, 3));
        assert_eq!(spec(2).slowstart_ms, 30_000);
    }

    #[test]
    fn proxy_headers_are_asked_for() {
        use crate::model::server::ProxyFields as F;
        for (words, version, fields) in [
            ("send-proxy-v2-ssl", 2, F::SSL),
            ("send-proxy-v2-ssl-cn", 2, F::SSL | F::CN),
            ("send-proxy-v2-ssl no-send-proxy-v2-ssl", 0, F::empty()),
            ("send-proxy-v2-ssl-cn no-send-proxy-v2-ssl-cn", 0, F::empty()),
            ("send-proxy-v2-ssl-cn no-send-proxy-v2-ssl", 0, F::CN),
            (
                "proxy-v2-options cert-cn,crc32c,unique-id,authority",
                0,
                F::SSL | F::CN | F::CRC32C | F::UNIQUE_ID | F::AUTHORITY,
            ),
            (
                "send-proxy-v2 proxy-v2-options ssl-cipher,cert-sig,cert-key",
                2,
                F::SSL | F::CIPHER | F::SIG | F::KEY,
            ),
        ] {
            let (px, messages) = backend(&[&format!("server s 10.0.0.1:80 {words}")]);
            assert!(messages.is_empty(), "{words}: {messages:?}");
            let set = px.expect("built").back.expect("backend").servers.load();
            assert_eq!(
                (set.list[0].spec.send_proxy, set.list[0].spec.proxy_fields),
                (version, fields),
                "{words}"
            );
        }
        let own = "server s 10.0.0.1:80 send-proxy-v2 set-proxy-v2-tlv-fmt(AUTHORITY) %[src] set-proxy-v2-tlv-fmt(0xe1) x";
        let (px, messages) = backend(&[own]);
        assert!(messages.is_empty(), "{messages:?}");
        let set = px.expect("built").back.expect("backend").servers.load();
        assert_eq!(*set.list[0].spec.proxy_tlvs, [(2, "%[src]".into()), (0xe1, "x".into())]);
    }

    #[test]
    fn templates() {
        let (px, messages) = backend(&["server-template web 2-4 10.0.0.1:80 weight 5"]);
        assert!(messages.is_empty(), "{messages:?}");
        let set = px.expect("built").back.expect("backend").servers.load();
        let names: Vec<&str> = set.list.iter().map(|s| &*s.spec.name).collect();
        assert_eq!(names, ["web2", "web3", "web4"]);
    }

    #[test]
    fn wrong_servers() {
        for (line, expected) in [
            ("server s3", "'server' expects <name> and <addr>[:<port>] as arguments."),
            ("server s/1 1.2.3.4", "character '/' is not permitted in server name 's/1'."),
            ("server s 1.2.3.4:x", "'server b/s' : invalid character 'x' in port number 'x' in '1.2.3.4:x'"),
            (
                "server s 1.2.3.4:80 weight 300",
                "'server b/s' : weight of server s is not within 0 and 256 (300).",
            ),
            (
                "server s 1.2.3.4:80 proxy-v2-options foo",
                "'server b/s' : 'proxy-v2-options' : proxy v2 option 'foo' not implemented",
            ),
            (
                "server s 1.2.3.4:80 set-proxy-v2-tlv-fmt(256) x",
                "'server b/s' : 'set-proxy-v2-tlv-fmt' : '256' is no TLV type (0 to 255)",
            ),
            ("server s 1.2.3.4:80 foo", "'server b/s' : unknown keyword 'foo'"),
            ("server s 1.2.3.4:80 rise 0 check", "'server b/s' : 'rise' has to be > 0."),
            ("server-template s 0x3 1.2.3.4:80", "Wrong server-template number or range arg '0x3'."),
            ("server s nowhere.invalid:80", "'server b/s' : could not resolve address 'nowhere.invalid'."),
            (
                "default-server id 3",
                "'default-server b' : 'id' option is not accepted in default-server sections",
            ),
        ] {
            assert_eq!(backend(&[line]).1, [expected], "{line}");
        }
    }
}
