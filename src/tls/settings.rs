//! What the options of a line say to rustls, and what of them it does not do: refused where a file demands it, told where
//! a list merely contains it.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs::kx_group};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use super::cipher::{Picked, pick, pick13};
use super::material::Told;
use super::provider::provider;
use super::suite::TLS13 as SUITES13;
use super::words::{Options, Version};

/// HAProxy's own default where neither the line nor `global` has a list.
const DEFAULT_CIPHERS: &str = "DEFAULT";
/// Post-quantum first.
const DEFAULT_GROUPS: &str = "X25519MLKEM768:X25519:P-256:P-384:SecP256r1MLKEM768";

/// What both sides of a handshake are built from.
pub(super) struct Basis {
    pub provider: Arc<CryptoProvider>,
    pub versions: Vec<&'static SupportedProtocolVersion>,
    pub alpn: Vec<Vec<u8>>,
}

pub(super) fn basis(options: &Options, told: &mut Told) -> Option<Basis> {
    let versions = versions(options, told)?;
    let mut suites: Vec<SupportedCipherSuite> = Vec::new();
    if versions.contains(&&TLS13) {
        suites.extend(suites13(options, told)?);
    }
    if versions.contains(&&TLS12) {
        suites.extend(suites12(options, suites.is_empty(), told)?);
    }
    // A list that leaves nothing for 1.2 leaves 1.3.
    let has = |version: &SupportedProtocolVersion| {
        suites.iter().any(|suite| suite.version().version == version.version)
    };
    let versions = versions.into_iter().filter(|version| has(version)).collect();
    let mut provider = CryptoProvider::clone(&provider());
    provider.cipher_suites = suites;
    provider.kx_groups = groups(options.curves.as_deref().unwrap_or(DEFAULT_GROUPS), told)?;
    let alpn = options.alpn.as_deref().unwrap_or_default();
    let alpn = alpn.split(',').filter(|item| !item.is_empty()).map(|item| item.as_bytes().to_vec()).collect();
    Some(Basis { provider: Arc::new(provider), versions, alpn })
}

fn versions(options: &Options, told: &mut Told) -> Option<Vec<&'static SupportedProtocolVersion>> {
    let all = [Version::Ssl3, Version::Tls10, Version::Tls11, Version::Tls12, Version::Tls13];
    let (min, max) = (options.min.unwrap_or(Version::Tls12), options.max.unwrap_or(Version::Tls13));
    let wanted: Vec<Version> = all
        .into_iter()
        .filter(|version| (min..=max).contains(version) && !options.without.contains(version))
        .collect();
    if wanted.is_empty() {
        told.errors.push("all SSL/TLS versions are disabled.".into());
        return None;
    }
    let old: Vec<&str> =
        wanted.iter().filter(|version| **version < Version::Tls12).map(|v| v.name()).collect();
    if !old.is_empty() {
        told.warnings.push(format!("{} is not spoken: TLSv1.2 is the oldest version here.", old.join(", ")));
    }
    let mut versions: Vec<&'static SupportedProtocolVersion> = Vec::new();
    if wanted.contains(&Version::Tls13) {
        versions.push(&TLS13);
    }
    if wanted.contains(&Version::Tls12) {
        versions.push(&TLS12);
    }
    if versions.is_empty() {
        told.errors.push(format!(
            "nothing but {} is allowed, and TLSv1.2 is the oldest version here.",
            old.join(", ")
        ));
        return None;
    }
    Some(versions)
}

fn suites13(options: &Options, told: &mut Told) -> Option<Vec<SupportedCipherSuite>> {
    let Some(text) = &options.ciphersuites else {
        return Some(SUITES13.iter().map(|(.., suite)| *suite).collect());
    };
    let picked = pick13(text);
    tell_lost(&picked, "ciphersuites", told);
    if picked.suites.is_empty() {
        told.errors.push(format!("unable to set TLS 1.3 cipher suites to '{text}'."));
        return None;
    }
    Some(picked.suites)
}

fn suites12(options: &Options, is_alone: bool, told: &mut Told) -> Option<Vec<SupportedCipherSuite>> {
    let picked = pick(options.ciphers.as_deref().unwrap_or(DEFAULT_CIPHERS));
    let Some(text) = &options.ciphers else { return Some(picked.suites) };
    tell_lost(&picked, "ciphers", told);
    if picked.suites.is_empty() && picked.lost.is_empty() {
        told.errors.push(format!("unable to set SSL cipher list to '{text}'."));
        return None;
    }
    if picked.suites.is_empty() && is_alone {
        told.errors.push(format!(
            "unable to set SSL cipher list to '{text}': none of its suites is spoken here, which are those of ECDHE with AES-GCM or ChaCha20."
        ));
        return None;
    }
    Some(picked.suites)
}

/// Says what a list has that is never agreed on. Groups such as HIGH have always more than anybody wants.
fn tell_lost(picked: &Picked, word: &str, told: &mut Told) {
    const SHOWN: usize = 4;
    let shown: Vec<&str> = picked.lost.iter().take(SHOWN).copied().collect();
    let more = match picked.lost.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    if !shown.is_empty() {
        told.warnings.push(format!("'{word}': {}{more} are not spoken here.", shown.join(", ")));
    }
}

const GROUPS: &[(&[&str], &dyn SupportedKxGroup)] = &[
    (&["X25519MLKEM768"], kx_group::X25519MLKEM768),
    (&["SecP256r1MLKEM768", "SECP256R1MLKEM768"], kx_group::SECP256R1MLKEM768),
    (&["MLKEM768"], kx_group::MLKEM768),
    (&["X25519", "x25519"], kx_group::X25519),
    (&["P-256", "prime256v1", "secp256r1"], kx_group::SECP256R1),
    (&["P-384", "secp384r1"], kx_group::SECP384R1),
];
/// Known to OpenSSL alone.
const OTHER_GROUPS: [&str; 13] = [
    "P-521",
    "secp521r1",
    "X448",
    "x448",
    "ffdhe2048",
    "ffdhe3072",
    "ffdhe4096",
    "ffdhe6144",
    "ffdhe8192",
    "brainpoolP256r1",
    "brainpoolP384r1",
    "brainpoolP512r1",
    "secp256k1",
];

fn groups(text: &str, told: &mut Told) -> Option<Vec<&'static dyn SupportedKxGroup>> {
    let mut found: Vec<&'static dyn SupportedKxGroup> = Vec::new();
    for name in text.split(':') {
        if let Some((_, group)) = GROUPS.iter().find(|(names, _)| names.contains(&name)) {
            if !found.iter().any(|of| of.name() == group.name()) {
                found.push(*group);
            }
        } else if OTHER_GROUPS.contains(&name) {
            told.warnings.push(format!("'curves': {name} is not spoken here."));
        } else {
            told.errors.push(format!("unable to set SSL curves list to '{text}'."));
            return None;
        }
    }
    if found.is_empty() {
        told.errors.push(format!("unable to set SSL curves list to '{text}': none of them is spoken here."));
        return None;
    }
    Some(found)
}
