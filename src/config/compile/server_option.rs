//! The table of server options (manual 5.2).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

use crate::check::{parse_init_state, parse_observe, parse_on_error};
use crate::lang::{Entry, Frame, Place, Severity, Status};
use crate::model::server::{HashKey, ProxyFields, Websockets};

use super::declared::{InitAddr, ServerSettings};
use super::draft::Cx;
use crate::lang::args::Args;
use crate::lang::time::{TimeError, Unit, time};
use crate::model::notation::{Accept, Family, parse};
use crate::rules::fetch::tlv_kind;

/// What an option may look at besides its words.
pub struct OptionCx<'c, 'a> {
    pub cx: &'c mut Cx<'a>,
    pub server: &'c str,
    /// What messages call the line: `server web/s1`.
    pub title: &'c str,
}

/// Arguments after an option's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    None,
    One,
    /// `<addr>[:<port>] [usesrc ...] [interface ...]`.
    Source,
}

/// Applies an option; `args[0]` is its name.
type ServerFn = for<'a> fn(&mut ServerSettings, Args<'a>, &mut OptionCx<'_, 'a>) -> Result<(), String>;

/// One option of `server`.
pub struct ServerOption {
    pub entry: Entry,
    pub arity: Arity,
    /// `default-server` takes it too.
    pub in_default: bool,
    pub apply: ServerFn,
}

const fn option(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
    apply: ServerFn,
) -> ServerOption {
    let arity = if args.is_empty() { Arity::None } else { Arity::One };
    ServerOption { entry: Entry::full(name, args, doc, example, since), arity, in_default: true, apply }
}

/// What `ssl` is told beside itself.
const fn tls(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
) -> ServerOption {
    option(name, args, doc, example, since, |s, a, _| {
        super::tls::server_word(&mut s.tls.words, a.str(0), a.str(1))
    })
}

const fn refused(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    why: &'static str,
) -> ServerOption {
    let entry = Entry::full(name, args, doc, "", "").with(Status::Refused(why));
    ServerOption { entry, arity: Arity::None, in_default: true, apply: |_, _, _| Ok(()) }
}

impl ServerOption {
    const fn naming(self, names: &'static [Place]) -> Self {
        ServerOption { entry: self.entry.naming(names), ..self }
    }

    const fn status(self, status: Status) -> Self {
        ServerOption { entry: self.entry.with(status), ..self }
    }

    const fn not_in_default(self) -> Self {
        ServerOption { in_default: false, ..self }
    }
}

fn number(args: Args<'_>) -> Result<u32, String> {
    let text = args.str(1);
    text.parse().map_err(|_| format!("'{}' expects an integer argument, got '{text}'", args.str(0)))
}

fn text<'a>(args: Args<'a>, what: &str) -> Result<&'a str, String> {
    match args.str(1) {
        "" => Err(format!("'{}' expects {what} as argument.", args.str(0))),
        text => Ok(text),
    }
}

/// -1: none.
fn limit(args: Args<'_>) -> Result<Option<u32>, String> {
    match text(args, "<value>")?.parse::<i64>() {
        Ok(-1) => Ok(None),
        Ok(n) if (0..=i64::from(i32::MAX)).contains(&n) => Ok(Some(n as u32)),
        _ => Err(format!("'{}' must be >= -1", args.str(0))),
    }
}

fn delay(args: Args<'_>, at: &mut OptionCx<'_, '_>) -> Result<u64, String> {
    let name = args.str(0);
    let read = time(args.str(1), Unit::Milliseconds);
    if let Some(message) = read.ok().and_then(|read| read.warning(args.str(1))) {
        let message = format!("'{}' : {message}", at.title);
        at.cx.diags.framed(Severity::Warning, Frame::Object, args.at(1), message);
    }
    read.map(|read| read.value).map_err(|e| match e {
        TimeError::Missing => format!("'{name}' expects a delay as argument."),
        TimeError::Over => {
            format!(
                "timer overflow in argument <{}> to <{name}>, maximum value is 2147483647 ms (~24.8 days).",
                args.str(1)
            )
        }
        TimeError::Unexpected(c) => format!("unexpected character '{c}' in '{name}' argument."),
    })
}

/// A time that is not zero.
fn positive(args: Args<'_>, at: &mut OptionCx<'_, '_>) -> Result<u64, String> {
    match delay(args, at)? {
        0 => Err(format!("'{}' has to be > 0.", args.str(0))),
        ms => Ok(ms),
    }
}

/// `rise`, `fall`: more than zero.
fn count(args: Args<'_>) -> Result<u32, String> {
    if args.str(1).is_empty() {
        return Err(format!("'{}' expects an integer argument.", args.str(0)));
    }
    match number(args)? {
        0 => Err(format!("'{}' has to be > 0.", args.str(0))),
        n => Ok(n),
    }
}

/// One of `resolve-net`.
fn network(text: &str) -> Result<IpNet, String> {
    let alone = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse::<IpNet>()
        .ok()
        .or_else(alone)
        .ok_or_else(|| format!("'resolve-net' invalid network '{text}'."))
}

fn init_addr(text: &str) -> Result<Vec<InitAddr>, String> {
    let mut list = Vec::new();
    for part in text.split(',').filter(|p| !p.is_empty()) {
        list.push(match part {
            "last" => InitAddr::Last,
            "libc" => InitAddr::Libc,
            "none" => InitAddr::None,
            ip => InitAddr::Ip(ip.parse().map_err(|_| {
                format!("'init-addr' : unknown init-addr method '{ip}', supported methods are 'libc', 'last', 'none'.")
            })?),
        });
    }
    Ok(list)
}

/// `source`: where connections to the server come from.
fn source<'a>(set: &mut ServerSettings, args: Args<'a>, at: &mut OptionCx<'_, 'a>) -> Result<(), String> {
    let text = args.str(1);
    if text.is_empty() {
        return Err("'source' expects <addr>[:<port>[-<port>]], and optionally 'usesrc' <addr>, and 'interface' <name> as argument.".to_owned());
    }
    let written = parse(text, Accept::PORT | Accept::STREAM | Accept::RESOLVE, &at.cx.surroundings())
        .map_err(|e| format!("'source {text}' : {e}"))?;
    set.spec.source = written.address(written.first_port());
    match args.str(2) {
        "interface" if args.has(3) => {
            set.spec.interface = Some(args.str(3).into());
            Ok(())
        }
        "interface" => Err("'source' : missing interface name.".to_owned()),
        "usesrc" => Err(format!("'usesrc' is not supported by this release: {USESRC}.")),
        _ => Ok(()),
    }
}

/// Why `usesrc` is refused.
pub const USESRC: &str = "connections to servers use an address of this machine";
/// Why TLS options of servers are refused.
pub const TLS: &str = "this part of TLS is not there yet";

/// Options of `server`, `server-template` and (most) `default-server`.
#[rustfmt::skip]
pub const SERVER_OPTIONS: &[ServerOption] = &[
    option("addr", "<ip | name>[:<port>]", "Where checks go instead of the server's address; 'port' wins over a port here.", "server s 10.0.0.1:80 check addr 10.0.0.9", "1.4", |s, a, at| {
        let text = a.str(1);
        let whole = text.parse::<SocketAddr>().map(|at| (at.ip(), Some(at.port())));
        // A name is asked for once, when the file is read.
        let named = |name: &str| (at.cx.inputs.resolve)(name).ok().and_then(|found| found.first().copied());
        let found = whole.ok().or_else(|| text.parse::<IpAddr>().ok().map(|ip| (ip, None))).or_else(|| {
            let (name, port) = match text.rsplit_once(':') {
                Some((name, port)) => (name, Some(port.parse::<u16>().ok()?)),
                None => (text, None),
            };
            if name.is_empty() { None } else { named(name).map(|ip| (ip, port)) }
        });
        let (ip, port) = found.ok_or_else(|| format!("'addr' expects an address as argument, got '{text}'"))?;
        s.checking.addr = Some(ip);
        s.checking.port = s.checking.port.or(port.filter(|port| *port > 0));
        Ok(())
    }),
    option("agent-addr", "<addr>", "Where the agent listens, if not at the server.", "server s 10.0.0.1:80 agent-check agent-port 8081 agent-addr 10.0.0.9", "1.7", |s, a, at| {
        let written = parse(a.str(1), Accept::STREAM | Accept::RESOLVE, &at.cx.surroundings());
        let address = written.ok().and_then(|written| written.address(0)).and_then(|address| address.inet());
        s.agent.addr = Some(address.ok_or_else(|| format!("parsing agent-addr failed. Check if '{}' is correct address.", a.str(1)))?.ip());
        Ok(())
    }),
    option("agent-check", "", "Asks an agent on the server for its state, weight and limit.", "server s 10.0.0.1:80 agent-check agent-port 8081", "1.5", |s, _, _| {
        s.agent.is_on = true;
        Ok(())
    }),
    option("agent-inter", "<delay>", "Time between two questions to the agent.", "server s 10.0.0.1:80 agent-check agent-port 8081 agent-inter 5s", "1.5", |s, a, at| {
        s.agent.inter_ms = match delay(a, at)? {
            0 => return Err(format!("invalid value 0 for argument 'agent-inter' of server {}.", at.server)),
            ms => ms,
        };
        Ok(())
    }),
    option("agent-port", "<port>", "Port of the agent.", "server s 10.0.0.1:80 agent-check agent-port 8081", "1.5", |s, a, _| {
        // What is no port is none, as in HAProxy.
        s.agent.port = a.str(1).parse().unwrap_or(0);
        Ok(())
    }),
    option("agent-send", "<string>", "What is sent to the agent.", "server s 10.0.0.1:80 agent-check agent-port 8081 agent-send state", "1.6", |s, a, _| {
        if !a.has(1) {
            return Err("'agent-send' expects a string as argument.".to_owned());
        }
        s.agent.send = a.str(1).as_bytes().to_vec();
        Ok(())
    }),
    option("backup", "", "Used only when no other server is left.", "server s 10.0.0.1:80 backup", "1.3", |s, _, _| {
        s.spec.backup = true;
        Ok(())
    }),
    refused("cc", "<algorithm>", "TCP congestion control.", "server connections use the system's"),
    option("check", "", "Checks the server's health.", "server s 10.0.0.1:80 check", "1.3", |s, _, _| {
        s.spec.has_check = true;
        Ok(())
    }),
    option("check-alpn", "<protocols>", "ALPN of checks.", "server s 10.0.0.1:443 ssl verify none check check-alpn http/1.1", "1.9", |s, a, _| {
        s.tls.check_alpn = Some(text(a, "<protocols>")?.to_owned());
        Ok(())
    }),
    refused("check-pool-conn-name", "<name>", "Name of the pooled connection checks reuse.", "checks open connections of their own"),
    option("check-proto", "<name>", "HTTP version of checks.", "server s 10.0.0.1:80 check check-proto h2", "2.1", |s, a, _| match a.str(1) {
        name @ ("h1" | "none" | "h2") => {
            s.checking_h2 = Some(name == "h2");
            Ok(())
        }
        other => Err(format!("'check-proto' : '{other}' is not supported by this release")),
    })
    .status(Status::Partial("h1, h2 and none")),
    refused("check-reuse-pool", "", "Lets checks use pooled connections.", "checks open connections of their own"),
    option("check-send-proxy", "", "Starts checks with the PROXY protocol.", "server s 10.0.0.1:80 check check-send-proxy", "1.5", |s, _, _| {
        s.checking.send_proxy = 1;
        Ok(())
    }),
    option("check-sni", "<name>", "Server name of TLS checks.", "server s 10.0.0.1:443 ssl verify none check check-sni example.com", "1.8", |s, a, _| {
        s.tls.check_sni = Some(text(a, "<name>")?.to_owned());
        Ok(())
    }),
    refused("check-sni-auto", "", "Server name of TLS checks from the Host field.", TLS),
    option("check-ssl", "", "Checks over TLS.", "server s 10.0.0.1:80 check check-ssl verify none", "1.5", |s, _, _| {
        s.tls.check = true;
        Ok(())
    }),
    option("check-via-socks4", "", "Checks through the proxy of 'socks4'.", "server s 10.0.0.1:80 socks4 10.0.0.9:1080 check check-via-socks4", "2.0", |s, _, _| {
        s.checking.via_socks4 = true;
        Ok(())
    }),
    option("cookie", "<value>", "Value of the persistence cookie for this server.", "server s 10.0.0.1:80 cookie s1", "1.3", |s, a, _| {
        s.spec.cookie = Some(text(a, "<value>")?.into());
        Ok(())
    }),
    option("disabled", "", "Starts in maintenance.", "server s 10.0.0.1:80 disabled", "1.4", |s, _, _| {
        s.spec.disabled = true;
        Ok(())
    }),
    option("downinter", "<delay>", "Time between checks while the server is down.", "server s 10.0.0.1:80 check downinter 3s", "1.3", |s, a, at| {
        s.checking.downinter_ms = positive(a, at)?;
        Ok(())
    }),
    option("enabled", "", "Undoes 'disabled' of default-server.", "server s 10.0.0.1:80 enabled", "1.8", |s, _, _| {
        s.spec.disabled = false;
        Ok(())
    }),
    option("error-limit", "<count>", "Errors in a row before 'on-error' acts.", "server s 10.0.0.1:80 check observe layer4 error-limit 10", "1.4", |s, a, _| {
        s.checking.error_limit = count(a)?;
        Ok(())
    }),
    option("fall", "<count>", "Failed checks in a row that take the server down.", "server s 10.0.0.1:80 check fall 3", "1.3", |s, a, _| {
        s.checking.fall = count(a)?;
        Ok(())
    }),
    option("fastinter", "<delay>", "Time between checks while the state is changing.", "server s 10.0.0.1:80 check fastinter 3s", "1.3", |s, a, at| {
        s.checking.fastinter_ms = positive(a, at)?;
        Ok(())
    }),
    option("guid", "<string>", "Global identifier.", "server s 10.0.0.1:80 guid web-s1", "3.0", |_, a, _| text(a, "<string>").map(|_| ()))
        .not_in_default()
        .status(Status::Accepted("statistics are kept by backend and name")),
    option("hash-key", "{ id | id32 | addr | addr-port }", "What consistent hashing makes the server's points from.", "server s 10.0.0.1:80 hash-key addr", "2.8", |s, a, _| {
        s.spec.hash_key = match a.str(1) {
            "id" => HashKey::Id,
            "id32" => HashKey::Id32,
            "addr" => HashKey::Addr,
            "addr-port" => HashKey::AddrPort,
            other => return Err(format!("'hash-key' has to be 'id', 'id32', 'addr', or 'addr-port', got '{other}'")),
        };
        Ok(())
    }),
    option("healthcheck", "<section>", "Checks as a 'healthcheck' section says, not as its backend does.", "server s 10.0.0.1:80 check healthcheck web", "3.4", |s, a, _| {
        s.healthcheck = Some(a.str(1).into());
        Ok(())
    }),
    option("id", "<id>", "Number of the server, unique in its backend.", "server s 10.0.0.1:80 id 7", "1.4", |s, a, _| {
        match number(a)? {
            0 => return Err("custom id has to be > 0".to_owned()),
            n => s.id = Some(n),
        }
        Ok(())
    })
    .not_in_default(),
    option("idle-ping", "<delay>", "Pings idle HTTP/2 connections.", "server s 10.0.0.1:80 idle-ping 30s", "3.2", |_, a, at| delay(a, at).map(|_| ()))
        .status(Status::Accepted("HTTP/1 has no ping")),
    option("init-addr", "{last | libc | none | <ip>},[...]", "How the name is resolved at start.", "server s localhost:80 init-addr libc,none", "1.7", |s, a, _| {
        s.init_addr = init_addr(a.str(1))?;
        Ok(())
    }),
    option("init-state", "{ fully-up | up | down | fully-down | none }", "Health before the first check.", "server s 10.0.0.1:80 check init-state down", "3.1", |s, a, _| {
        s.checking.init_state = parse_init_state(a.str(1))?;
        Ok(())
    }),
    option("inter", "<delay>", "Time between two checks.", "server s 10.0.0.1:80 check inter 3s", "1.3", |s, a, at| {
        s.checking.inter_ms = positive(a, at)?;
        Ok(())
    }),
    refused("log-bufsize", "<size>", "Buffer of a log server.", "log backends are not part of it"),
    refused("log-proto", "<proto>", "Framing towards a log server.", "log backends are not part of it"),
    option("max-reuse", "<count>", "Requests on one connection; -1 for no limit.", "server s 10.0.0.1:80 max-reuse 100", "2.3", |s, a, _| {
        s.spec.max_reuse = limit(a)?;
        Ok(())
    })
    .status(Status::Accepted("connections are reused without limit")),
    option("maxconn", "<maxconn>", "Most streams at once; more wait in a queue.", "server s 10.0.0.1:80 maxconn 100", "1.3", |s, a, _| {
        s.spec.maxconn = number(a)?;
        Ok(())
    }),
    option("maxqueue", "<maxqueue>", "Most streams waiting for this server.", "server s 10.0.0.1:80 maxconn 100 maxqueue 10", "1.3", |s, a, _| {
        s.spec.maxqueue = number(a)?;
        Ok(())
    }),
    option("minconn", "<minconn>", "Makes maxconn follow the backend's load, from this value up.", "server s 10.0.0.1:80 minconn 10 maxconn 100", "1.3", |s, a, _| {
        s.spec.minconn = number(a)?;
        Ok(())
    }),
    refused("namespace", "<name>", "Network namespace of connections.", "sockets are made in the process's own namespace"),
    nothing("no-agent-check", "Undoes 'agent-check' of default-server.", "server s 10.0.0.1:80 no-agent-check", "1.8"),
    option("no-backup", "", "Undoes 'backup' of default-server.", "server s 10.0.0.1:80 no-backup", "1.8", |s, _, _| {
        s.spec.backup = false;
        Ok(())
    }),
    option("no-check", "", "Undoes 'check' of default-server.", "server s 10.0.0.1:80 no-check", "1.8", |s, _, _| {
        s.spec.has_check = false;
        Ok(())
    }),
    option("no-check-send-proxy", "", "Undoes 'check-send-proxy' of default-server.", "server s 10.0.0.1:80 no-check-send-proxy", "1.8", |s, _, _| {
        s.checking.send_proxy = 0;
        Ok(())
    }),
    option("no-check-ssl", "", "Undoes 'check-ssl' of default-server.", "server s 10.0.0.1:80 no-check-ssl", "1.8", |s, _, _| {
        s.tls.check = false;
        Ok(())
    }),
    option("no-send-proxy", "", "Undoes 'send-proxy' of default-server.", "server s 10.0.0.1:80 no-send-proxy", "1.8", |s, _, _| {
        s.spec.send_proxy &= !1;
        Ok(())
    }),
    option("no-send-proxy-v2", "", "Undoes 'send-proxy-v2' of default-server.", "server s 10.0.0.1:80 no-send-proxy-v2", "1.8", |s, _, _| {
        s.spec.send_proxy &= !2;
        Ok(())
    }),
    option("no-ssl", "", "Undoes 'ssl' of default-server.", "server s 10.0.0.1:80 no-ssl", "1.8", |s, _, _| {
        s.tls.is_off = true;
        Ok(())
    }),
    nothing("no-tfo", "Undoes 'tfo' of default-server.", "server s 10.0.0.1:80 no-tfo", "2.0"),
    option("non-stick", "", "Keeps this server out of stick tables.", "server s 10.0.0.1:80 non-stick", "1.5", |s, _, _| {
        s.spec.non_stick = true;
        Ok(())
    }),
    option("observe", "<mode>", "Judges health by traffic as well.", "server s 10.0.0.1:80 check observe layer4", "1.4", |s, a, _| {
        // Whether the section is in `mode http` is known when it is complete.
        s.checking.observe = parse_observe(a.str(1), true)?;
        Ok(())
    }),
    option("on-error", "<mode>", "What too many observed errors do.", "server s 10.0.0.1:80 check observe layer4 on-error mark-down", "1.4", |s, a, _| {
        s.checking.on_error = parse_on_error(a.str(1))?;
        Ok(())
    }),
    option("on-marked-down", "<action>", "What happens to sessions when the server goes down.", "server s 10.0.0.1:80 check on-marked-down shutdown-sessions", "1.5", |s, a, _| {
        s.checking.shutdown_on_down = a.str(1) == "shutdown-sessions";
        if s.checking.shutdown_on_down { Ok(()) } else { Err(format!("'on-marked-down' expects 'shutdown-sessions' but got '{}'", a.str(1))) }
    }),
    option("on-marked-up", "<action>", "What happens to backup sessions when the server comes up.", "server s 10.0.0.1:80 check on-marked-up shutdown-backup-sessions", "1.5", |s, a, _| {
        s.checking.shutdown_backups_on_up = a.str(1) == "shutdown-backup-sessions";
        if s.checking.shutdown_backups_on_up { Ok(()) } else { Err(format!("'on-marked-up' expects 'shutdown-backup-sessions' but got '{}'", a.str(1))) }
    }),
    refused("pool-conn-name", "<expr>", "Name that pooled connections must match.", "pooled connections are told apart by server alone"),
    option("pool-low-conn", "<max>", "Idle connections that are kept beyond those that were in use at once.", "server s 10.0.0.1:80 pool-low-conn 4", "2.3", |s, a, _| {
        s.spec.pool_low_conn = limit(a)?.unwrap_or(0);
        Ok(())
    })
    .status(Status::Partial("a worker takes an idle connection over from another only when it has none, whatever the number")),
    option("pool-max-conn", "<max>", "Most idle connections kept; -1 for no limit.", "server s 10.0.0.1:80 pool-max-conn 50", "1.9", |s, a, _| {
        s.spec.pool_max_conn = limit(a)?;
        Ok(())
    }),
    option("pool-purge-delay", "<delay>", "How often half of the unused idle connections are closed.", "server s 10.0.0.1:80 pool-purge-delay 10s", "1.9", |s, a, at| {
        s.spec.pool_purge_delay_ms = delay(a, at)?;
        Ok(())
    }),
    option("port", "<port>", "Port that checks go to.", "server s 10.0.0.1:80 check port 8080", "1.3", |s, a, _| {
        let port: u16 = a.str(1).parse().map_err(|_| format!("'port' expects a port number as argument, got '{}'", a.str(1)))?;
        s.checking.port = (port > 0).then_some(port);
        Ok(())
    }),
    option("proto", "<name>", "HTTP version spoken from the first byte.", "server s 10.0.0.1:80 proto h2", "1.8", |s, a, _| match a.str(1) {
        name @ ("h1" | "none" | "h2") => {
            s.spec.proto_h2 = name == "h2";
            Ok(())
        }
        "fcgi" | "spop" => Err(format!("'proto' : '{}' is not supported by this release", a.str(1))),
        other => Err(format!("'proto' :  unknown MUX protocol '{other}'")),
    }),
    option("proxy-v2-options", "<option>[,<option>]*", "Fields of PROXY v2 headers: ssl, cert-cn, ssl-cipher, cert-sig, cert-key, authority, crc32c, unique-id.", "server s 10.0.0.1:80 send-proxy-v2 proxy-v2-options crc32c,authority", "1.8", proxy_options),
    refused("quic-cc-algo", "<algorithm>", "QUIC congestion control.", "QUIC is not part of it"),
    option("redir", "<prefix>", "Redirects GET and HEAD to this address with the request's path behind it, rather than sending them to the server.", "server s 10.0.0.1:80 redir http://img.example.test", "1.3", |s, a, _| {
        s.spec.redir = Some(text(a, "<prefix>")?.into());
        Ok(())
    }),
    option("resolve-net", "<network>[,<network>]*", "Networks preferred among the addresses of a name.", "server s app.example.com:80 resolvers dns resolve-net 10.0.0.0/8", "1.6", |s, a, _| {
        s.resolving.nets = a.str(1).split(',').map(network).collect::<Result<_, _>>()?;
        Ok(())
    }),
    option("resolve-opts", "<option>,<option>,...", "Options of name resolution: allow-dup-ip, prevent-dup-ip, ignore-weight.", "server-template t 3 app.example.com:80 resolvers dns resolve-opts allow-dup-ip", "1.8", |s, a, _| {
        for option in a.str(1).split(',').filter(|option| !option.is_empty()) {
            match option {
                "allow-dup-ip" => s.resolving.allow_dup_ip = true,
                "prevent-dup-ip" => s.resolving.allow_dup_ip = false,
                "ignore-weight" => s.resolving.ignore_weight = true,
                other => return Err(format!("'resolve-opts' : unknown resolve-opts option '{other}', supported methods are 'allow-dup-ip', 'ignore-weight', and 'prevent-dup-ip'.")),
            }
        }
        Ok(())
    }),
    option("resolve-prefer", "<family>", "Family preferred among the addresses of a name: ipv4, or ipv6 unless said.", "server s app.example.com:80 resolvers dns resolve-prefer ipv4", "1.6", |s, a, _| {
        s.resolving.prefer = Some(match a.str(1) {
            "ipv4" => Family::V4,
            "ipv6" => Family::V6,
            _ => return Err("'resolve-prefer' expects either ipv4 or ipv6 as argument.".to_owned()),
        });
        Ok(())
    }),
    option("resolvers", "<id>", "The 'resolvers' section that follows the server's name while running.", "server s app.example.com:80 resolvers dns", "1.6", |s, a, _| {
        s.resolving.resolvers = Some(text(a, "a resolvers section")?.to_owned());
        Ok(())
    }),
    option("rise", "<count>", "Good checks in a row that bring the server up.", "server s 10.0.0.1:80 check rise 3", "1.3", |s, a, _| {
        s.checking.rise = count(a)?;
        Ok(())
    }),
    option("send-proxy", "", "Starts connections with the PROXY protocol, version 1.", "server s 10.0.0.1:80 send-proxy", "1.5", |s, _, _| {
        s.spec.send_proxy = 1;
        Ok(())
    }),
    option("send-proxy-v2", "", "Starts connections with the PROXY protocol, version 2.", "server s 10.0.0.1:80 send-proxy-v2", "1.5", |s, _, _| {
        s.spec.send_proxy = 2;
        Ok(())
    }),
    option("send-proxy-v2-ssl", "", "PROXY v2 with a field that tells of the client's TLS.", "server s 10.0.0.1:80 send-proxy-v2-ssl", "1.5", |s, _, _| {
        s.spec.send_proxy = 2;
        s.spec.proxy_fields |= ProxyFields::SSL;
        Ok(())
    }),
    option("send-proxy-v2-ssl-cn", "", "The same with the name in the client's certificate.", "server s 10.0.0.1:80 send-proxy-v2-ssl-cn", "1.5", |s, _, _| {
        s.spec.send_proxy = 2;
        s.spec.proxy_fields |= ProxyFields::SSL | ProxyFields::CN;
        Ok(())
    }),
    option("set-proxy-v2-tlv-fmt", "(<id>) <fmt>", "A field of one's own in PROXY v2 headers.", "server s 10.0.0.1:80 send-proxy-v2 set-proxy-v2-tlv-fmt(0xE0) %[src]", "2.9", proxy_tlv),
    option("shard", "<shard>", "Part of the tables sent to a peer.", "server s 10.0.0.1:80 shard 1", "2.9", |_, a, _| number(a).map(|_| ()))
        .status(Status::Accepted("it matters in 'peers' sections only")),
    option("slowstart", "<start_time>", "Time over which a server that came up takes its full load.", "server s 10.0.0.1:80 check slowstart 60s", "1.3", |s, a, at| {
        s.spec.slowstart_ms = delay(a, at)?;
        Ok(())
    }),
    option("socks4", "<addr>:<port>", "Connects through a SOCKS4 proxy.", "server s 10.0.0.1:80 socks4 10.0.0.9:1080", "2.0", |s, a, _| {
        let proxy = a.str(1).parse().map_err(|_| format!("'socks4' expects <addr>:<port> as argument, got '{}'", a.str(1)))?;
        s.spec.socks4 = Some(proxy);
        Ok(())
    }),
    ServerOption { arity: Arity::Source, ..option("source", "<addr>[:<port>] [interface <name>]", "Address that connections come from.", "server s 10.0.0.1:80 source 127.0.0.1", "1.3", source) }
        .status(Status::Partial("without usesrc and port ranges")),
    option("stick", "", "Undoes 'non-stick' of default-server.", "server s 10.0.0.1:80 stick", "1.5", |s, _, _| {
        s.spec.non_stick = false;
        Ok(())
    }),
    nothing("strict-maxconn", "Counts connections rather than requests against maxconn.", "server s 10.0.0.1:80 maxconn 10 strict-maxconn", "3.2"),
    refused("tcp-md5sig", "<password>", "Signs segments (RFC 2385).", "it is set on no socket"),
    option("tcp-ut", "<delay>", "Longest time sent data may stay unacknowledged.", "server s 10.0.0.1:80 tcp-ut 10s", "1.5", |s, a, at| {
        s.spec.tcp_ut_ms = delay(a, at).map_err(|_| "'tcp-ut' : expects a positive delay in milliseconds")? as u32;
        Ok(())
    })
    .status(Status::Accepted("the system's value holds")),
    nothing("tfo", "Sends data with the SYN.", "server s 10.0.0.1:80 tfo", "2.0"),
    option("track", "[<backend>/]<server>", "Takes its health from another server.", "server s 10.0.0.1:81 track web/s1", "1.4", |s, a, _| {
        let (backend, server) = a.str(1).rsplit_once('/').unwrap_or(("", a.str(1)));
        if server.is_empty() {
            return Err("'track' expects [<proxy>/]<server> as argument.".to_owned());
        }
        s.spec.track = Some(Arc::new((backend.into(), server.into())));
        Ok(())
    }),
    refused("usesrc", "", "Address that servers see (after 'source').", USESRC),
    option("weight", "<weight>", "Share of the load, 0 to 256.", "server s 10.0.0.1:80 weight 10", "1.3", |s, a, at| {
        let w = a.str(1).parse::<i64>().unwrap_or(-1);
        s.spec.weight = u32::try_from(w).ok().filter(|w| *w <= 256).ok_or_else(|| {
            format!("weight of server {} is not within 0 and 256 ({}).", at.server, a.str(1))
        })?;
        Ok(())
    }),
    option("ws", "{ auto | h1 | h2 }", "HTTP version of WebSocket connections.", "server s 10.0.0.1:80 ws h1", "2.4", |s, a, _| {
        s.spec.websockets = match a.str(1) {
            "auto" => Websockets::Auto,
            "h1" => Websockets::H1,
            "h2" => Websockets::H2,
            other => return Err(format!("'ws' has to be 'auto', 'h1' or 'h2', got '{other}'")),
        };
        Ok(())
    }),
    option("ssl", "", "Speaks TLS to the server.", "server s 10.0.0.1:443 ssl verify none", "1.5", |s, _, _| {
        (s.tls.is_on, s.tls.is_off) = (true, false);
        Ok(())
    }),
    refused("allow-0rtt", "", "A setting of TLS.", TLS),
    tls("alpn", "<protocols>", "Protocols that the server may choose from.", "server s 10.0.0.1:443 ssl verify none alpn h2,http/1.1", "1.9"),
    tls("ca-file", "<cafile>", "Authorities that the server is checked with.", "server s 10.0.0.1:443 ssl ca-file ca.pem", "1.5").naming(Place::FILE),
    tls("ciphers", "<ciphers>", "Cipher suites up to TLS 1.2, as OpenSSL writes them.", "server s 10.0.0.1:443 ssl verify none ciphers ECDHE+AESGCM", "1.5"),
    tls("ciphersuites", "<ciphersuites>", "Cipher suites of TLS 1.3.", "server s 10.0.0.1:443 ssl verify none ciphersuites TLS_AES_128_GCM_SHA256", "1.9"),
    refused("client-sigalgs", "", "A setting of TLS.", TLS),
    tls("crl-file", "<crlfile>", "Revoked certificates.", "server s 10.0.0.1:443 ssl verify none crl-file crl.pem", "1.5").naming(Place::FILE),
    tls("crt", "<cert>", "What is shown to a server that asks for a certificate.", "server s 10.0.0.1:443 ssl verify none crt own.pem", "1.5").naming(Place::FILE),
    tls("curves", "<curves>", "Groups of the key exchange.", "server s 10.0.0.1:443 ssl verify none curves X25519:P-256", "2.9"),
    refused("force-sslv3", "", "Speaks SSL 3.0 alone.", "TLS 1.2 is the oldest version that is spoken"),
    refused("force-tlsv10", "", "Speaks TLS 1.0 alone.", "TLS 1.2 is the oldest version that is spoken"),
    refused("force-tlsv11", "", "Speaks TLS 1.1 alone.", "TLS 1.2 is the oldest version that is spoken"),
    tls("force-tlsv12", "", "Speaks TLS 1.2 alone.", "server s 10.0.0.1:443 ssl verify none force-tlsv12", "1.5"),
    tls("force-tlsv13", "", "Speaks TLS 1.3 alone.", "server s 10.0.0.1:443 ssl verify none force-tlsv13", "1.5"),
    refused("ktls", "", "A setting of TLS.", TLS),
    option("no-check-sni-auto", "", "Asks for no name that 'check-sni' does not give.", "server s 10.0.0.1:443 ssl verify none no-check-sni-auto", "3.3", |_, _, _| Ok(()))
        .status(Status::Accepted("it is never done")),
    option("no-renegotiate", "", "Begins no handshake in the middle.", "server s 10.0.0.1:443 ssl verify none no-renegotiate", "3.3", |_, _, _| Ok(()))
        .status(Status::Accepted("it is never done")),
    option("no-sni-auto", "", "Asks for no name that 'sni' does not give.", "server s 10.0.0.1:443 ssl verify none no-sni-auto", "3.3", |_, _, _| Ok(()))
        .status(Status::Accepted("it is never done")),
    tls("no-ssl-reuse", "", "Begins every session anew.", "server s 10.0.0.1:443 ssl verify none no-ssl-reuse", "1.5"),
    tls("no-sslv3", "", "Does not speak SSL 3.0.", "server s 10.0.0.1:443 ssl verify none no-sslv3", "1.5"),
    tls("no-tls-tickets", "", "Takes no tickets.", "server s 10.0.0.1:443 ssl verify none no-tls-tickets", "1.5"),
    tls("no-tlsv10", "", "Does not speak TLS 1.0.", "server s 10.0.0.1:443 ssl verify none no-tlsv10", "1.5"),
    tls("no-tlsv11", "", "Does not speak TLS 1.1.", "server s 10.0.0.1:443 ssl verify none no-tlsv11", "1.5"),
    tls("no-tlsv12", "", "Does not speak TLS 1.2.", "server s 10.0.0.1:443 ssl verify none no-tlsv12", "1.5"),
    tls("no-tlsv13", "", "Does not speak TLS 1.3.", "server s 10.0.0.1:443 ssl verify none no-tlsv13", "1.5"),
    tls("npn", "<protocols>", "The protocols of a dead extension.", "server s 10.0.0.1:443 ssl verify none npn http/1.1", "1.5").status(Status::Accepted("no client speaks it any more")),
    refused("renegotiate", "", "A setting of TLS.", TLS),
    refused("sigalgs", "", "A setting of TLS.", TLS),
    option("sni", "<expression>", "The name that the server is asked for.", "server s 10.0.0.1:443 ssl verify none sni req.hdr(host)", "1.6", |s, a, _| {
        s.tls.sni = Some((text(a, "an expression")?.to_owned(), a.at(1)));
        Ok(())
    }),
    refused("sni-auto", "", "A setting of TLS.", TLS),
    tls("ssl-max-ver", "<version>", "The last version that is spoken.", "server s 10.0.0.1:443 ssl verify none ssl-max-ver TLSv1.3", "1.8"),
    tls("ssl-min-ver", "<version>", "The first version that is spoken.", "server s 10.0.0.1:443 ssl verify none ssl-min-ver TLSv1.2", "1.8"),
    tls("ssl-reuse", "", "Undoes no-ssl-reuse of default-server.", "server s 10.0.0.1:443 ssl verify none ssl-reuse", "1.8"),
    tls("tls-tickets", "", "Undoes no-tls-tickets of default-server.", "server s 10.0.0.1:443 ssl verify none tls-tickets", "1.8"),
    tls("verify", "[none|required]", "Whether the certificate of the server is checked.", "server s 10.0.0.1:443 ssl verify none", "1.5"),
    tls("verifyhost", "<hostname>", "The name that the certificate must be for, where none is sent.", "server s 10.0.0.1:443 ssl verify none verifyhost example.com", "1.5"),
    refused("no-check-reuse-pool", "", "A setting of TLS.", TLS),
    option("no-send-proxy-v2-ssl", "", "Undoes 'send-proxy-v2-ssl' of default-server.", "server s 10.0.0.1:80 no-send-proxy-v2-ssl", "1.8", |s, _, _| {
        s.spec.send_proxy &= !2;
        s.spec.proxy_fields -= ProxyFields::SSL;
        Ok(())
    }),
    option("no-send-proxy-v2-ssl-cn", "", "Undoes 'send-proxy-v2-ssl-cn' of default-server.", "server s 10.0.0.1:80 no-send-proxy-v2-ssl-cn", "1.8", |s, _, _| {
        s.spec.send_proxy &= !2;
        s.spec.proxy_fields -= ProxyFields::SSL | ProxyFields::CN;
        Ok(())
    }),
];

/// `proxy-v2-options <option>[,<option>]*`.
fn proxy_options<'a>(
    set: &mut ServerSettings,
    args: Args<'a>,
    _: &mut OptionCx<'_, 'a>,
) -> Result<(), String> {
    for name in args.str(1).split(',') {
        set.spec.proxy_fields |= match name {
            "ssl" => ProxyFields::SSL,
            "cert-cn" => ProxyFields::SSL | ProxyFields::CN,
            "cert-key" => ProxyFields::SSL | ProxyFields::KEY,
            "cert-sig" => ProxyFields::SSL | ProxyFields::SIG,
            "ssl-cipher" => ProxyFields::SSL | ProxyFields::CIPHER,
            "authority" => ProxyFields::AUTHORITY,
            "crc32c" => ProxyFields::CRC32C,
            "unique-id" => ProxyFields::UNIQUE_ID,
            other => return Err(format!("'proxy-v2-options' : proxy v2 option '{other}' not implemented")),
        };
    }
    Ok(())
}

/// `set-proxy-v2-tlv-fmt(<id>) <fmt>`.
fn proxy_tlv<'a>(set: &mut ServerSettings, args: Args<'a>, _: &mut OptionCx<'_, 'a>) -> Result<(), String> {
    let inside = args.str(0).split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    let id = inside.ok_or(
        "'set-proxy-v2-tlv-fmt' : expects a TLV type in parentheses, as in 'set-proxy-v2-tlv-fmt(0xE0)'",
    )?;
    let kind =
        tlv_kind(id).ok_or_else(|| format!("'set-proxy-v2-tlv-fmt' : '{id}' is no TLV type (0 to 255)"))?;
    if args.str(1).is_empty() {
        return Err("'set-proxy-v2-tlv-fmt' : missing format".to_owned());
    }
    set.proxy_tlvs.push((kind, args.str(1).to_owned(), args.at(1)));
    Ok(())
}

const fn nothing(
    name: &'static str,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
) -> ServerOption {
    option(name, "", doc, example, since, |_, _, _| Ok(()))
        .status(Status::Accepted("what it turns on or off is not there"))
}
