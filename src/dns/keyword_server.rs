//! Lines of a `dns` section about the server and its zones.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ipnet::IpNet;

use super::answer::MayTransfer;
use super::hosts::Hosts;
use super::keyword_forward::address;
use super::name;
use super::reading::{Draft, Open, Reading};
use super::spec::{ConsulSpec, Listen, Secure};
use super::transfer::{Algorithm, Key};
use super::zone::{Builder, FileReader};
use crate::lang::args::Args;
use crate::lang::load::reason;
use crate::lang::suggest;
use crate::lang::time::{Unit, time_of};
use crate::tls::{self, Certified, Pem};

/// Threads at most.
const THREADS: u64 = 64;

pub fn allow<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    if !args.has(1) {
        return reading.alert(args.span, "'allow' expects at least a network as argument.");
    }
    for i in 1..args.words.len() {
        open.responder.allow.extend(network(reading, args, i));
    }
}

pub fn bind<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    if !args.has(1) {
        return reading.alert(args.span, "'bind' expects <address>:<port> as argument.");
    }
    let Some(address) = reading.listen(args, 1) else { return };
    if open.responder.binds.iter().any(|bind| bind.address == address) {
        return reading.alert(args.at(1), format!("'bind {address}' is there already."));
    }
    let tls = match (args.str(2), args.str(3), args.str(4)) {
        ("", ..) => None,
        ("ssl", "crt", file) if !file.is_empty() => {
            let Ok(path) = path_of(reading, args) else { return };
            match shown(reading, file, path.is_some()) {
                Ok(config) => Some(Secure { config, path }),
                Err(e) => return reading.alert(args.at(4), format!("'bind' : {e}.")),
            }
        }
        _ => {
            return reading
                .alert(args.at(2), "'bind' only takes 'ssl crt <file> [https [<path>]]' after the address.");
        }
    };
    open.responder.binds.push(Listen { address, tls });
}

/// Where requests of HTTP go, where clients speak it (RFC 8484).
const PATH: &str = "/dns-query";

/// `[https [<path>]]` behind the file; an error was told.
fn path_of(reading: &mut Reading<'_>, args: Args<'_>) -> Result<Option<Arc<str>>, ()> {
    if !args.has(5) {
        return Ok(None);
    }
    if args.str(5) != "https" || args.has(7) {
        let (at, hint) = (args.at(5), suggest::hint(args.str(5), ["https"]));
        let message = format!("'bind' only takes 'https [<path>]' after the file, got '{}'.", args.str(5));
        reading.diags.alert_hint(at, message, hint);
        return Err(());
    }
    let path = if args.has(6) { args.str(6) } else { PATH };
    if !path.starts_with('/') || path.contains(['?', '#']) {
        reading.alert(args.at(6), format!("'https' expects a path that begins with '/', got '{path}'."));
        return Err(());
    }
    Ok(Some(path.into()))
}

/// What a server of TLS shows: the certificates and the key of a file.
fn shown(reading: &Reading<'_>, file: &str, is_http: bool) -> Result<Arc<rustls::ServerConfig>, String> {
    let text = (reading.inputs.files)(Path::new(file)).map_err(|e| format!("{file}: {}", reason(&e)))?;
    let pem = Pem::parse(file, &text).map_err(|e| e.to_string())?;
    let certified = Certified::of(&pem, &pem).map_err(|e| e.to_string())?;
    let server = tls::Server {
        shows: certified.alone(),
        clients: tls::Clients::Any,
        versions: tls::Versions::Both,
        alpn: if is_http { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"dot".to_vec()] },
        resumes: true,
    };
    server.config().map_err(|e| e.to_string())
}

pub fn consul_domain<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    if reading.too_many(args, 3) {
        return;
    }
    if args.str(1).is_empty() {
        return reading.alert(args.span, "'consul-domain' expects a name as argument.");
    }
    let Some(domain) = reading.dns_name(args.str(1), Some(name::ROOT), args.at(1)) else { return };
    let mut ttl = 0;
    match args.str(2) {
        "" => {}
        "ttl" => match time_of(&mut reading.diags, args.words.get(3), "'ttl'", Unit::Seconds, args.at(2)) {
            Some(time) => ttl = time as u32,
            None => return,
        },
        other => {
            let message = format!("'consul-domain' only takes 'ttl' after the name, got '{other}'.");
            return reading.alert(args.at(2), message);
        }
    }
    // What the API calls it, names call it too.
    let lines = reading.inputs.sections.iter().filter(|s| s.kind() == "region-map").flat_map(|s| &s.lines);
    let given = lines.map(Args::of).find(|line| line.str(0) == "datacenter").map(|line| line.str(1));
    let datacenter = given.filter(|name| !name.is_empty()).unwrap_or("dc1").into();
    open.responder.consul = Some(ConsulSpec { domain: domain.to_ascii_lowercase().into(), datacenter, ttl });
}

pub fn cookie_secret<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    let Some(text) = reading.one(args, "32 hexadecimal digits") else { return };
    match u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32) {
        Some(secret) => open.secret = Some(secret.to_be_bytes()),
        None => reading.alert(args.at(1), "'cookie-secret' expects 32 hexadecimal digits."),
    }
}

pub fn ecs<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    match reading.one(args, "'on' or 'off'") {
        Some("on") => open.ecs = true,
        Some("off") => open.ecs = false,
        Some(word) => {
            let hint = suggest::hint(word, ["on", "off"]);
            reading.diags.alert_hint(args.at(1), format!("'ecs' expects 'on' or 'off', got '{word}'."), hint);
        }
        None => {}
    }
}

pub fn geoip_db<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    let Some(file) = reading.one(args, "a file") else { return };
    let read = (reading.inputs.files)(Path::new(file)).map_err(|e| e.to_string());
    match read.and_then(|octets| super::geoip::clients(octets).map_err(|e| e.to_string())) {
        Ok(clients) => {
            let geodata = super::spec::Geodata { file: Some(file.into()), clients: clients.into() };
            open.geodata = Some(geodata.into());
        }
        Err(e) => reading.alert(args.at(1), format!("geographic database '{file}': {e}.")),
    }
}

pub fn hostmaster<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    let Some(text) = reading.one(args, "a name") else { return };
    open.hostmaster = reading.dns_name(text, Some(name::ROOT), args.at(1));
}

pub fn hosts_file<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    let Some(file) = reading.one(args, "a file") else { return };
    match (reading.inputs.files)(Path::new(file)) {
        Ok(text) => {
            let (hosts, faults) = Hosts::parse(&text, open.default_ttl);
            for (line, why) in faults {
                reading.diags.warning(args.at(1), format!("{file}:{line}: {why}; the rest is read."));
            }
            open.hosts = hosts.into();
        }
        Err(e) => reading.alert(args.at(1), format!("hosts file '{file}': {}.", reason(&e))),
    }
}

pub fn key<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    if reading.too_many(args, 3) {
        return;
    }
    if !args.has(3) {
        return reading.alert(args.span, "'key' expects a name, an algorithm and a secret as arguments.");
    }
    let Some(name) = reading.dns_name(args.str(1), Some(name::ROOT), args.at(1)) else { return };
    let name: Box<[u8]> = name.to_ascii_lowercase().into();
    if open.keys.iter().any(|key| key.name == name) {
        return reading.alert(args.at(1), format!("'key {}' is there already.", args.str(1)));
    }
    let Some(algorithm) = Algorithm::of(args.str(2)) else {
        let hint = suggest::hint(args.str(2), ["hmac-sha256", "hmac-sha384", "hmac-sha512"]);
        let message = format!("'key' unknown algorithm '{}'.", args.str(2));
        return reading.diags.alert_hint(args.at(2), message, hint);
    };
    match BASE64.decode(args.str(3)) {
        Ok(secret) if secret.len() >= 16 => open.keys.push(Key { name, algorithm, secret: secret.into() }),
        _ => reading.alert(args.at(3), "'key' expects a secret of at least 16 octets in base64."),
    }
}

pub fn transfer<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    let mut rule = MayTransfer { key: None, networks: Vec::new() };
    let mut first = 1;
    if args.str(1) == "key" {
        let Some(name) = reading.dns_name(args.str(2), Some(name::ROOT), args.at(2)) else { return };
        rule.key = open.keys.iter().position(|key| key.name.eq_ignore_ascii_case(&name));
        if rule.key.is_none() {
            return reading.alert(args.at(2), format!("there is no 'key {}' above.", args.str(2)));
        }
        first = 3;
    }
    for i in first..args.words.len() {
        rule.networks.extend(network(reading, args, i));
    }
    if rule.key.is_none() && rule.networks.is_empty() {
        return reading.alert(args.span, "'transfer' expects a key or networks as arguments.");
    }
    open.transfers.push(rule);
}

fn network(reading: &mut Reading<'_>, args: Args<'_>, i: usize) -> Option<IpNet> {
    let text = args.str(i);
    match text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
        Ok(network) => Some(network.trunc()),
        Err(_) => {
            reading.alert(args.at(i), format!("'{text}' is no network: write 10.1.0.0/16."));
            None
        }
    }
}

pub fn maxconn<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    if reading.one(args, "a number").is_some()
        && let Some(most) = reading.number(args, 1, 1, 1_000_000)
    {
        open.responder.limits.connections = most as usize;
    }
}

pub fn name_server<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    if !args.has(1) {
        return reading.alert(args.span, "'name-server' expects at least a name as argument.");
    }
    for i in 1..args.words.len() {
        open.servers.extend(reading.dns_name(args.str(i), Some(name::ROOT), args.at(i)));
    }
}

pub fn notify<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    if !args.has(1) {
        return reading.alert(args.span, "'notify' expects at least an address as argument.");
    }
    for i in 1..args.words.len() {
        open.responder.notify.extend(address(reading, args, i, args.str(i), 53));
    }
}

pub fn nsid<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    let Some(text) = reading.one(args, "a text") else { return };
    if text.len() > 64 {
        return reading.alert(args.at(1), "'nsid' has at most 64 octets.");
    }
    open.nsid = Some(text.as_bytes().into());
}

pub fn query_log<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    if reading.one(args, "a number").is_some()
        && let Some(every) = reading.number(args, 1, 1, 1_000_000_000)
    {
        open.responder.limits.log_every = every as u32;
    }
}

pub fn rate_limit<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    if reading.one(args, "a number").is_some()
        && let Some(rate) = reading.number(args, 1, 0, 1_000_000)
    {
        open.responder.limits.rate = rate as u32;
    }
}

pub fn tcp_idle<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    let ms = time_of(&mut reading.diags, args.words.get(1), "'tcp-idle'", Unit::Milliseconds, args.span);
    if let Some(ms) = ms.filter(|_| !reading.too_many(args, 1)) {
        open.responder.limits.idle_ms = ms.max(100);
    }
}

pub fn threads<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    if reading.one(args, "a number").is_some()
        && let Some(threads) = reading.number(args, 1, 1, THREADS)
    {
        open.responder.threads = threads as usize;
    }
}

pub fn ttl<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    let seconds = time_of(&mut reading.diags, args.words.get(1), "'ttl'", Unit::Seconds, args.span);
    if let Some(seconds) = seconds.filter(|_| !reading.too_many(args, 1)) {
        open.default_ttl = seconds as u32;
    }
}

pub fn zone<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    let Some(text) = reading.one(args, "a name") else { return };
    begin(reading, open, args, text, false);
}

pub fn zone_file<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    if reading.too_many(args, 2) {
        return;
    }
    let (text, file) = (args.str(1), args.str(2));
    if file.is_empty() {
        return reading.alert(args.span, "'zone-file' expects a name and a file as arguments.");
    }
    if !begin(reading, open, args, text, true) {
        return;
    }
    let Some(draft) = open.drafts.last_mut() else { return };
    let mut reader = FileReader::new(&mut draft.builder, reading.inputs.files);
    reader.load(Path::new(file));
    let faults = reader.faults;
    draft.faulty = !faults.is_empty();
    for fault in faults {
        let at = if fault.line > 0 { format!(":{}", fault.line) } else { String::new() };
        reading.alert(args.at(2), format!("zone '{text}': {}{at}: {}.", fault.file.display(), fault.message));
    }
}

fn begin(reading: &mut Reading<'_>, open: &mut Open, args: Args<'_>, text: &str, from_file: bool) -> bool {
    let Some(apex) = reading.dns_name(text, Some(name::ROOT), args.at(1)) else { return false };
    let apex = apex.to_ascii_lowercase();
    if let Some(first) = open.drafts.iter().find(|draft| draft.apex == apex) {
        let message = format!("zone '{text}' was declared already at {}.", reading.place(first.at));
        reading.alert(args.at(1), message);
        return false;
    }
    open.drafts.push(Draft { builder: Builder::new(&apex), apex, at: args.span, from_file, faulty: false });
    true
}
