//! `forward` lines: who is asked for names that are not ours.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use xxhash_rust::xxh3::xxh3_64;

use super::name;
use super::reading::{Open, Reading};
use super::spec::{ForwardSpec, UpstreamSpec, UpstreamTls};
use crate::lang::args::Args;
use crate::lang::load::reason;
use crate::tls::{self, Authorities, Pem};

/// Before an address: it is asked over TLS.
const TLS: &str = "tls://";
const PORT: u16 = 53;
const PORT_TLS: u16 = 853;

pub fn forward<'a>(reading: &mut Reading<'_>, open: &mut Open, args: Args<'a>) {
    if !args.has(2) {
        return reading.alert(args.span, "'forward' expects a domain and at least an address as arguments.");
    }
    let Some(domain) = reading.dns_name(args.str(1), Some(name::ROOT), args.at(1)) else { return };
    let domain: Box<[u8]> = domain.to_ascii_lowercase().into();
    if open.responder.forward.iter().any(|known| known.domain == domain) {
        return reading.alert(args.at(1), format!("'forward {}' is there already.", args.str(1)));
    }
    let last = args.words.len();
    let end = (2..last).find(|i| args.str(*i) == "ca-file").unwrap_or(last);
    let is_secure = (2..end).any(|i| args.str(i).starts_with(TLS));
    if end == 2 || (end < last && (end + 2 != last || !is_secure)) {
        let message = "'ca-file' expects a file, behind the addresses, of which one begins with 'tls://'.";
        return reading.alert(args.at(end), message);
    }
    let authorities = if is_secure { believed(reading, args, end, last) } else { None };
    if is_secure && authorities.is_none() {
        return;
    }
    let mut servers = Vec::new();
    for i in 2..end {
        servers.extend(server(reading, args, i, authorities.as_ref()));
    }
    open.responder.forward.push(ForwardSpec { domain, servers });
}

/// Who may have signed certificates: those of the file at the end of the line, else the system's. With a digest of it.
type Believed = (Arc<ClientConfig>, u64);

fn believed(reading: &mut Reading<'_>, args: Args<'_>, end: usize, last: usize) -> Option<Believed> {
    let found =
        if end == last { Ok((Authorities::system(), 0)) } else { of_file(reading, args.str(end + 1)) };
    let config = found.and_then(|(authorities, digest)| {
        let client = tls::Client {
            servers: tls::Servers::Signed(authorities),
            shows: None,
            versions: tls::Versions::Both,
            alpn: vec![b"dot".to_vec()],
            resumes: true,
        };
        Ok((client.config().map_err(|e| e.to_string())?, digest))
    });
    config.map_err(|e| reading.alert(args.at(end.min(last - 1)), format!("'forward' : {e}."))).ok()
}

fn of_file(reading: &Reading<'_>, file: &str) -> Result<(Authorities, u64), String> {
    let text = (reading.inputs.files)(Path::new(file)).map_err(|e| format!("{file}: {}", reason(&e)))?;
    let pem = Pem::parse(file, &text).map_err(|e| e.to_string())?;
    Ok((Authorities::of(&pem).map_err(|e| e.to_string())?, xxh3_64(&text)))
}

/// `[tls://[<name>@]]<address>[:<port>]`.
fn server(
    reading: &mut Reading<'_>,
    args: Args<'_>,
    i: usize,
    believed: Option<&Believed>,
) -> Option<UpstreamSpec> {
    let text = args.str(i);
    let Some(rest) = text.strip_prefix(TLS) else {
        return Some(UpstreamSpec { address: address(reading, args, i, text, PORT)?, tls: None });
    };
    let (client, digest) = believed?;
    let (named, rest) = rest.split_once('@').map_or((None, rest), |(name, rest)| (Some(name), rest));
    let address = address(reading, args, i, rest, PORT_TLS)?;
    let name = match named {
        None => ServerName::from(address.ip()),
        Some(named) => match ServerName::try_from(named.to_owned()) {
            Ok(name) => name,
            Err(_) => {
                reading.alert(args.at(i), format!("'{named}' is no name that a certificate can be for."));
                return None;
            }
        },
    };
    Some(UpstreamSpec { address, tls: Some(UpstreamTls { name, digest: *digest, client: client.clone() }) })
}

/// The address of another server, on a port where it says none.
pub fn address(
    reading: &mut Reading<'_>,
    args: Args<'_>,
    i: usize,
    text: &str,
    port: u16,
) -> Option<SocketAddr> {
    let found = text.parse::<SocketAddr>().or_else(|_| text.parse::<IpAddr>().map(|ip| (ip, port).into()));
    if found.is_err() {
        reading.alert(args.at(i), format!("'{text}' is no address of a server: write 10.0.0.2:{port}."));
    }
    found.ok()
}
