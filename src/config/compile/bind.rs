//! `bind` lines and their options (manual 5.1), shared with `stats socket`.

use std::net::Ipv6Addr;

use crate::lang::registry::Kind;
use crate::lang::void::is_void;
use crate::lang::{Entry, Place, Span, Status, What, suggest};
use crate::model::Address;

use super::super::global::{CliLevel, SeverityOutput};
use super::super::proxy::Bind;
use super::draft::Cx;
use super::keyword::Scope;
use crate::lang::args::{Args, Cursor};
use crate::lang::time::{Unit, time};
use crate::model::notation::{Accept, Port, Surroundings, parse};

/// Reads an option's argument into the bind, or says what is wrong with it.
type BindFn = fn(&mut Bind, &str, &mut Cx<'_>) -> Result<(), String>;

/// One option of `bind`.
pub struct BindOption {
    pub entry: Entry,
    /// 0 or 1.
    pub arguments: usize,
    /// It goes to what speaks TLS.
    is_tls: bool,
    apply: BindFn,
}

const fn option(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
    apply: BindFn,
) -> BindOption {
    let arguments = if args.is_empty() { 0 } else { 1 };
    BindOption { entry: Entry::full(name, args, doc, example, since), arguments, is_tls: false, apply }
}

const fn refused(name: &'static str, args: &'static str, doc: &'static str, why: &'static str) -> BindOption {
    let entry = Entry::full(name, args, doc, "", "").with(Status::Refused(why));
    let arguments = if args.is_empty() { 0 } else { 1 };
    BindOption { entry, arguments, is_tls: false, apply: |_, _, _| Ok(()) }
}

/// What `ssl` is told beside itself.
const fn tls(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
) -> BindOption {
    BindOption { is_tls: true, ..option(name, args, doc, example, since, |_, _, _| Ok(())) }
}

const TLS: &str = "this part of TLS is not there yet";

impl BindOption {
    const fn naming(self, names: &'static [Place]) -> Self {
        BindOption { entry: self.entry.naming(names), ..self }
    }

    const fn accepted(self, why: &'static str) -> Self {
        BindOption { entry: self.entry.with(Status::Accepted(why)), ..self }
    }
}

/// Options of `bind` and `stats socket`.
#[rustfmt::skip]
pub const BIND_OPTIONS: &[BindOption] = &[
    refused("accept-netscaler-cip", "<magic>", "Reads the client's address from NetScaler's header.", "the CIP protocol is not part of it"),
    option("accept-proxy", "", "Reads the client's address from the PROXY protocol.", "bind :80 accept-proxy", "1.5", |b, _, _| {
        b.accept_proxy = true;
        Ok(())
    }),
    option("backlog", "<backlog>", "Length of the kernel's queue of new connections.", "bind :80 backlog 4096", "1.5", |b, v, _| {
        b.backlog = v.parse().map_err(|_| format!("invalid value {v}, must be > 0"))?;
        Ok(())
    }),
    option("cc", "<algorithm>", "TCP congestion control.", "bind :80 cc bbr", "3.2", |b, v, _| {
        b.congestion = Some(v.into());
        Ok(())
    })
    .accepted("the system's algorithm holds"),
    option("defer-accept", "", "Accepts connections once data is there.", "bind :80 defer-accept", "1.3", |b, _, _| {
        b.defer_accept = true;
        Ok(())
    }),
    option("expose-fd", "listeners", "Lets a new process take the listening sockets over through this socket.", "stats socket /run/a.sock expose-fd listeners", "1.8", |b, v, _| {
        b.expose_fd = v == "listeners";
        if b.expose_fd { Ok(()) } else { Err(format!("unknown file descriptors '{v}', only 'listeners' is supported")) }
    })
    .accepted("a reload happens in place, nobody has to take sockets over"),
    option("gid", "<gid>", "Group of a unix socket by number.", "bind /run/a.sock gid 0", "1.5", |b, v, _| {
        b.gid = Some(number(v)?);
        Ok(())
    }),
    option("group", "<group>", "Group of a unix socket by name.", "bind /run/a.sock group root", "1.5", |b, v, cx| {
        b.gid = Some((cx.inputs.group)(v).ok_or_else(|| format!("unknown group name '{v}'"))?);
        Ok(())
    }),
    option("guid-prefix", "<string>", "Start of the global identifiers of the listeners.", "bind :80 guid-prefix web", "3.0", |_, _, _| Ok(()))
        .accepted("listeners have no global identifiers"),
    option("id", "<id>", "Number of the listener, unique in its proxy.", "bind :80 id 7", "1.4", |b, v, _| {
        let id = number(v).map_err(|_| format!("expects an integer argument, found '{v}'"))?;
        if id == 0 {
            return Err("custom id has to be > 0".to_owned());
        }
        b.id = id;
        Ok(())
    }),
    option("idle-ping", "<delay>", "Pings idle HTTP/2 clients.", "bind :80 idle-ping 30s", "3.2", |_, _, _| Ok(()))
        .accepted("HTTP/1 has no ping"),
    option("interface", "<interface>", "Accepts connections from one network interface only.", "bind :80 interface lo", "1.5", |b, v, _| {
        b.interface = Some(v.to_owned());
        Ok(())
    }),
    option("label", "<label>", "A free text for statistics.", "bind :80 label public", "3.3", |b, v, _| {
        b.label = Some(v.into());
        Ok(())
    })
    .accepted("listeners have no line of their own"),
    option("level", "{ user | operator | admin }", "What a runtime socket may do.", "stats socket /run/a.sock level admin", "1.4", |b, v, _| {
        b.level = match v {
            "user" => CliLevel::User,
            "operator" => CliLevel::Operator,
            "admin" => CliLevel::Admin,
            _ => return Err("only supports 'user', 'operator', and 'admin'".to_owned()),
        };
        Ok(())
    }),
    option("maxconn", "<maxconn>", "Most connections on this address.", "bind :80 maxconn 1000", "1.5", |b, v, _| {
        b.maxconn = v.parse().map_err(|_| format!("invalid value {v}, must be >= 0"))?;
        Ok(())
    }),
    option("mode", "<mode>", "Permissions of a unix socket, in octal.", "bind /run/a.sock mode 660", "1.5", |b, v, _| {
        let mode = u32::from_str_radix(v, 8);
        b.mode = Some(mode.map_err(|_| format!("missing or invalid mode '{v}' (octal integer expected)"))?);
        Ok(())
    }),
    option("mss", "<maxseg>", "Largest TCP segment; negative: taken off the default.", "bind :80 mss 1400", "1.4", |b, v, _| {
        let mss = v.parse::<i32>().ok().filter(|n| (1..=65535).contains(&n.unsigned_abs()));
        b.mss = Some(mss.ok_or("expects an MSS with and absolute value between 1 and 65535")?);
        Ok(())
    }),
    option("name", "<name>", "Name in statistics and logs.", "bind :80 name public", "1.4", |b, v, _| {
        b.name = Some(v.into());
        Ok(())
    }),
    refused("namespace", "<name>", "Network namespace of the socket.", "sockets are made in the process's own namespace"),
    refused("nbconn", "<nbconn>", "Connections kept ready for reverse HTTP.", "reverse HTTP is not part of it"),
    option("nice", "<nice>", "Priority of this address's connections.", "bind :80 nice 10", "1.3", |b, v, _| {
        let nice = v.parse().ok().filter(|n| (-1024..=1024).contains(n));
        b.nice = nice.ok_or_else(|| format!("invalid value {v}, allowed range is -1024..1024"))?;
        Ok(())
    })
    .accepted("all connections of a worker have the same priority"),
    BindOption {
        apply: |_, v, _| {
            Err(format!("'process {v}' on 'bind' lines is not supported anymore, please use 'thread' instead."))
        },
        ..refused("process", "<set>", "Processes that accept on this address (removed).", "")
    },
    option("proto", "<name>", "HTTP version spoken from the first byte.", "bind :80 proto h2", "1.8", |b, v, _| match v {
        "h1" | "none" | "h2" => {
            b.proto_h2 = v == "h2";
            b.proto_h1 = v == "h1";
            Ok(())
        }
        _ => Err(format!("unknown MUX protocol '{v}'")),
    }),
    refused("quic-cc-algo", "<algorithm>", "QUIC congestion control.", "QUIC is not part of it"),
    refused("quic-force-retry", "", "Makes QUIC clients prove their address.", "QUIC is not part of it"),
    refused("quic-socket", "{ connection | listener }", "Sockets of QUIC connections.", "QUIC is not part of it"),
    option("severity-output", "<format>", "How runtime messages show their severity.", "stats socket /run/a.sock severity-output number", "1.8", |b, v, _| {
        let bad = || format!("bad type '{v}', only 'none', 'number' or 'string' are supported");
        b.severity = SeverityOutput::of(v).ok_or_else(bad)?;
        Ok(())
    }),
    option("shards", "<number> | by-thread | by-group", "Number of sockets for this address.", "bind :80 shards by-thread", "2.5", |_, v, _| {
        let good = matches!(v, "by-thread" | "by-group") || matches!(v.parse::<u32>(), Ok(1..=4096));
        if good { Ok(()) } else { Err(format!("invalid value {v}, allowed range is 1..4096 or 'by-thread'")) }
    })
    .accepted("every worker has a socket of its own"),
    refused("tcp-md5sig", "<password>", "Signs segments (RFC 2385).", "it is set on no socket"),
    option("tcp-ss", "<mode>", "Keeps the packet that a connection began with, from IP (1) or Ethernet (2) on, for fc_saved_syn.", "bind :80 tcp-ss 1", "3.4", |b, v, _| {
        b.tcp_ss = v.parse().ok().filter(|mode| *mode <= 2).ok_or_else(|| format!("invalid value '{v}': expects 0, 1 or 2"))?;
        Ok(())
    }),
    option("tcp-ut", "<delay>", "Longest time sent data may stay unacknowledged.", "bind :80 tcp-ut 10s", "1.5", |b, v, cx| {
        let read = time(v, Unit::Milliseconds).map_err(|_| "expects a positive delay in milliseconds")?;
        if let Some(message) = read.warning(v) {
            cx.diags.warning(b.declared_at, message);
        }
        b.tcp_ut_ms = read.value as u32;
        Ok(())
    }),
    option("tfo", "", "Takes data that comes with the SYN.", "bind :80 tfo", "1.5", |b, _, _| {
        b.tfo = true;
        Ok(())
    }),
    option("thread", "<set>", "Threads that accept on this address.", "bind :80 thread 1-2", "2.5", |_, v, _| {
        let word = |w: &str| matches!(w, "all" | "odd" | "even") || w.split('-').all(|n| n.parse::<u16>().is_ok() || n.is_empty());
        if v.split(',').all(|part| word(part.rsplit('/').next().unwrap_or(part))) {
            Ok(())
        } else {
            Err(format!("invalid thread set '{v}'"))
        }
    })
    .accepted("every worker accepts on every address"),
    option("transparent", "", "Accepts connections to addresses that are not local.", "bind :80 transparent", "1.3", |b, _, _| {
        b.transparent = true;
        Ok(())
    }),
    option("uid", "<uid>", "Owner of a unix socket by number.", "bind /run/a.sock uid 0", "1.5", |b, v, _| {
        b.uid = Some(number(v)?);
        Ok(())
    }),
    option("user", "<user>", "Owner of a unix socket by name.", "bind /run/a.sock user root", "1.5", |b, v, cx| {
        b.uid = Some((cx.inputs.user)(v).ok_or_else(|| format!("unknown user name '{v}'"))?);
        Ok(())
    }),
    option("v4v6", "", "Accepts IPv4 and IPv6 on '::'.", "bind :::80 v4v6", "1.5", |b, _, _| {
        b.v4v6 = true;
        Ok(())
    }),
    option("v6only", "", "Accepts IPv6 alone on '::'.", "bind :::80 v6only", "1.5", |b, _, _| {
        b.v6only = true;
        Ok(())
    }),
    option("ssl", "", "Speaks TLS.", "bind :443 ssl crt site.pem", "1.5", |b, _, _| {
        b.tls.is_on = true;
        Ok(())
    }),
    tls("allow-0rtt", "", "Takes early data (RFC 8446 section 2.3).", "bind :443 ssl crt site.pem allow-0rtt", "1.8"),
    tls("alpn", "<protocols>", "Protocols that clients may choose from, the best first.", "bind :443 ssl crt site.pem alpn h2,http/1.1", "1.5"),
    tls("ca-file", "<cafile>", "Authorities that clients certificates are checked with.", "bind :443 ssl crt site.pem ca-file ca.pem", "1.5").naming(Place::FILE),
    tls("ca-ignore-err", "[all|<errorID>,...]", "Errors of authorities that do no harm.", "bind :443 ssl crt site.pem ca-ignore-err all", "1.5"),
    refused("ca-sign-file", "", "A setting of TLS.", TLS).naming(Place::FILE),
    refused("ca-sign-pass", "", "A setting of TLS.", TLS),
    tls("ca-verify-file", "<cafile>", "More authorities, which clients are not told of.", "bind :443 ssl crt site.pem ca-verify-file ca.pem", "2.2").naming(Place::FILE),
    tls("ciphers", "<ciphers>", "Cipher suites up to TLS 1.2, as OpenSSL writes them.", "bind :443 ssl crt site.pem ciphers ECDHE+AESGCM", "1.5"),
    tls("ciphersuites", "<ciphersuites>", "Cipher suites of TLS 1.3.", "bind :443 ssl crt site.pem ciphersuites TLS_AES_128_GCM_SHA256", "1.9"),
    refused("client-sigalgs", "", "A setting of TLS.", TLS),
    tls("crl-file", "<crlfile>", "Revoked certificates.", "bind :443 ssl crt site.pem crl-file crl.pem", "1.5").naming(Place::FILE),
    tls("crt", "<cert>", "A certificate with its chain and its key, or a directory of such files.", "bind :443 ssl crt site.pem", "1.5").naming(Place::FILE),
    tls("crt-ignore-err", "<errors>", "Errors of clients certificates that do no harm.", "bind :443 ssl crt site.pem crt-ignore-err all", "1.5"),
    tls("crt-list", "<file>", "A file that lists certificates, each with options and names.", "bind :443 ssl crt site.pem crt-list list.txt", "1.5").naming(&[Place::argument(1, What::List)]),
    tls("curves", "<curves>", "Groups of the key exchange.", "bind :443 ssl crt site.pem curves X25519:P-256", "1.8"),
    tls("default-crt", "<cert>", "A certificate for clients who ask for no name that is known.", "bind :443 ssl crt site.pem default-crt site.pem", "3.0").naming(Place::FILE),
    tls("ecdhe", "<named curve>", "The one group of the key exchange.", "bind :443 ssl crt site.pem ecdhe P-256", "1.5"),
    refused("force-sslv3", "", "Speaks SSL 3.0 alone.", "TLS 1.2 is the oldest version that is spoken"),
    refused("force-tlsv10", "", "Speaks TLS 1.0 alone.", "TLS 1.2 is the oldest version that is spoken"),
    refused("force-tlsv11", "", "Speaks TLS 1.1 alone.", "TLS 1.2 is the oldest version that is spoken"),
    tls("force-tlsv12", "", "Speaks TLS 1.2 alone.", "bind :443 ssl crt site.pem force-tlsv12", "1.5"),
    tls("force-tlsv13", "", "Speaks TLS 1.3 alone.", "bind :443 ssl crt site.pem force-tlsv13", "1.5"),
    refused("generate-certificates", "", "A setting of TLS.", TLS),
    refused("ktls", "", "A setting of TLS.", TLS),
    tls("no-alpn", "", "Agrees on no protocol.", "bind :443 ssl crt site.pem no-alpn", "2.8"),
    tls("no-ca-names", "", "Does not tell clients the names of authorities.", "bind :443 ssl crt site.pem no-ca-names", "1.8"),
    tls("no-sslv3", "", "Does not speak SSL 3.0.", "bind :443 ssl crt site.pem no-sslv3", "1.5"),
    tls("no-strict-sni", "", "Undoes strict-sni of global.", "bind :443 ssl crt site.pem no-strict-sni", "3.2"),
    tls("no-tls-tickets", "", "Gives no tickets.", "bind :443 ssl crt site.pem no-tls-tickets", "1.5"),
    tls("no-tlsv10", "", "Does not speak TLS 1.0.", "bind :443 ssl crt site.pem no-tlsv10", "1.5"),
    tls("no-tlsv11", "", "Does not speak TLS 1.1.", "bind :443 ssl crt site.pem no-tlsv11", "1.5"),
    tls("no-tlsv12", "", "Does not speak TLS 1.2.", "bind :443 ssl crt site.pem no-tlsv12", "1.5"),
    tls("no-tlsv13", "", "Does not speak TLS 1.3.", "bind :443 ssl crt site.pem no-tlsv13", "1.5"),
    tls("npn", "<protocols>", "The protocols of a dead extension.", "bind :443 ssl crt site.pem npn http/1.1", "1.5").accepted("no client speaks it any more"),
    tls("prefer-client-ciphers", "", "Goes by the order of the client.", "bind :443 ssl crt site.pem prefer-client-ciphers", "1.8"),
    refused("sigalgs", "", "A setting of TLS.", TLS),
    tls("ssl-max-ver", "<version>", "The last version that is spoken.", "bind :443 ssl crt site.pem ssl-max-ver TLSv1.3", "1.8"),
    tls("ssl-min-ver", "<version>", "The first version that is spoken.", "bind :443 ssl crt site.pem ssl-min-ver TLSv1.2", "1.8"),
    tls("strict-sni", "", "Refuses clients who ask for a name that no certificate is for.", "bind :443 ssl crt site.pem strict-sni", "1.5"),
    tls("tls-ticket-keys", "<keyfile>", "Keys of tickets that several processes share.", "bind :443 ssl crt site.pem tls-ticket-keys keys", "1.6").naming(Place::FILE),
    tls("tls-tickets", "", "Undoes no-tls-tickets of global.", "bind :443 ssl crt site.pem tls-tickets", "3.2"),
    tls("verify", "[none|optional|required]", "Whether clients show a certificate.", "bind :443 ssl crt site.pem ca-file ca.pem verify optional", "1.5"),
];

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("expects an integer argument, found '{text}'"))
}

/// Addresses after `bind` or `stats socket`: a comma list, each with a port or a range.
pub fn addresses(text: &str, around: &Surroundings<'_>) -> Result<Vec<Address>, String> {
    Ok(listening(text, Accept::STREAM, around)?.into_iter().map(|(address, _)| address).collect())
}

/// The same of sockets of these kinds; whether each takes datagrams.
fn listening(text: &str, kinds: Accept, around: &Surroundings<'_>) -> Result<Vec<(Address, bool)>, String> {
    let accept =
        Accept::RESOLVE | Accept::PORT | Accept::PORT_NEEDED | Accept::PORT_RANGE | Accept::FD | kinds;
    let mut list = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let written = parse(part, accept, around)?;
        let (low, high) = match written.port {
            Port::Range(low, high) => (low, high),
            _ => (0, 0),
        };
        let datagram = written.datagram;
        list.extend((low..=high).filter_map(|port| Some((written.address(port)?, datagram))));
    }
    Ok(list)
}

/// Options from `words` on, applied to `bind`. False when one of them was wrong.
pub fn options(cx: &mut Cx<'_>, bind: &mut Bind, words: &mut Cursor<'_>, section: Option<&str>) -> bool {
    let line = format!("'{} {}'", words.args.str(0), words.args.str(1));
    let line = section.map_or(line.clone(), |section| format!("{line} in section '{section}'"));
    let mut good = true;
    while let Some(word) = words.take() {
        let result = one_option(cx, bind, word.str(), word.span, words);
        if let Err((at, message, hint)) = result {
            let between = if message.starts_with("unknown keyword") { "" } else { " " };
            cx.diags.alert_hint(at, format!("{line}{between}: {message}"), hint);
            good = false;
            if message.starts_with("unknown keyword") {
                // What follows may be arguments of the unknown option, up to what is none.
                while !words.is_done() && !suggest::is_meant(words.peek(), names()) {
                    words.next += 1;
                }
            }
        }
    }
    good
}

fn names() -> impl Iterator<Item = &'static str> {
    BIND_OPTIONS.iter().map(|option| option.entry.name)
}

fn one_option(
    cx: &mut Cx<'_>,
    bind: &mut Bind,
    name: &str,
    at: Span,
    words: &mut Cursor<'_>,
) -> Result<(), (Span, String, Option<String>)> {
    let Some(option) = BIND_OPTIONS.iter().find(|o| o.entry.name == name) else {
        let hint = suggest::hint(name, names());
        return Err((at, format!("unknown keyword '{name}'"), hint));
    };
    if let Status::Refused(why) = option.entry.status
        && !why.is_empty()
    {
        words.next += option.arguments;
        return Err((at, format!("'{name}' is not supported by this release: {why}."), None));
    }
    let (value, at) = match option.arguments {
        0 => ("", at),
        _ => match words.take() {
            Some(word) => (word.str(), word.span),
            None => return Err((at, format!("'{name}' : missing value"), None)),
        },
    };
    if is_void(Kind::Bind, name) {
        return Ok(());
    }
    if option.is_tls {
        return super::tls::bind_word(&mut bind.tls.words, name, value).map_err(|e| (at, e, None));
    }
    (option.apply)(bind, value, cx).map_err(|e| (at, format!("'{name}' : {e}"), None))
}

/// `bind <address> [options]`.
pub fn bind_line<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    scope.px.has_bind = true;
    if !args.has(1) {
        let message = "'bind' expects {<path>|[addr1]:port1[-end1]}{,[addr]:port[-end]}... as arguments.";
        return scope.alert(args.span, message);
    }
    let prefix = scope.cx.unix_bind.clone();
    let around = Surroundings { unix_prefix: &prefix.prefix, ..scope.cx.surroundings() };
    let addresses = match listening(args.str(1), Accept::STREAM | Accept::DATAGRAM, &around) {
        Ok(list) => list,
        Err(e) => return scope.alert(args.at(1), format!("'bind' : {e}")),
    };
    let Some((first, _)) = addresses.first() else { return };
    let mut bind = Bind::new(first.clone(), args.span);
    (bind.mode, bind.uid, bind.gid) = (prefix.mode, prefix.uid, prefix.gid);
    bind.tls.written = args.str(1).into();
    let section = scope.px.kind.word();
    options(scope.cx, &mut bind, &mut Cursor::new(args, 2), Some(section));
    if bind.id != 0 {
        if addresses.len() > 1 {
            scope.alert(
                args.span,
                format!(
                    "'bind {}' in section '{section}' : 'id' can only be used with a single socket",
                    args.str(1)
                ),
            );
        }
        if let Some(other) = scope.px.binds.iter().find(|b| b.id == bind.id) {
            let place = scope.cx.place(other.declared_at);
            let message = format!(
                "'bind {}' in section '{section}' : 'id' : custom id {} already used at {place}",
                args.str(1),
                bind.id
            );
            scope.alert(args.span, message);
        }
    }
    for (address, datagram) in addresses {
        // '::' takes IPv4 too unless told otherwise by the system; HAProxy leaves it to the kernel as well.
        let is_any_v6 = address.inet().is_some_and(|a| a.ip() == Ipv6Addr::UNSPECIFIED);
        let v4v6 = bind.v4v6 && is_any_v6;
        scope.px.binds.push(Bind { address, datagram, v4v6, ..bind.clone() });
    }
}

/// `unix-bind [prefix <path>] [mode m] [user u] [uid n] [group g] [gid n]` of `global`.
pub fn unix_bind<'a>(cx: &mut Cx<'a>, args: Args<'a>) {
    let mut words = Cursor::new(args, 1);
    let mut bind = Bind::new(Address::Fd(-1), args.span);
    while let Some(word) = words.take() {
        if word.str() == "prefix" {
            cx.unix_bind.prefix = words.take().map_or(String::new(), |w| w.str().to_owned());
            continue;
        }
        if !matches!(word.str(), "mode" | "user" | "uid" | "group" | "gid") {
            let message =
                "'unix-bind' only supports the 'prefix', 'mode', 'uid', 'gid', 'user' and 'group' options.";
            return cx.diags.alert(word.span, message);
        }
        if let Err((at, message, _)) = one_option(cx, &mut bind, word.str(), word.span, &mut words) {
            return cx.diags.alert(at, format!("'unix-bind' : {message}"));
        }
    }
    cx.unix_bind.mode = bind.mode.or(cx.unix_bind.mode);
    cx.unix_bind.uid = bind.uid.or(cx.unix_bind.uid);
    cx.unix_bind.gid = bind.gid.or(cx.unix_bind.gid);
}
