//! Entries of `virtual_ipaddress`.

use std::net::{IpAddr, Ipv4Addr};

use super::super::spec::AddressSpec;
use super::block::Line;
use super::finding::Findings;

/// The longest label and interface name.
const MAX_NAME: usize = 15;

/// `ADDRESS[/PREFIX] [dev IF] [label L] [brd A] [scope S] ...`; `None`, after a warning, when it cannot be used.
pub(super) fn address(findings: &mut Findings, line: Line<'_>) -> Option<AddressSpec> {
    let text = line.keyword();
    let (address, prefix) = text.split_once('/').map_or((text, None), |(a, prefix)| (a, Some(prefix)));
    let Ok(address) = address.parse::<IpAddr>() else {
        findings.warning(line.at, format!("'{text}' is no address"));
        return None;
    };
    let mut spec = AddressSpec::new(address);
    if let Some(prefix) = prefix {
        match prefix.parse::<u8>().ok().filter(|n| *n <= spec.prefix) {
            Some(prefix) => spec.prefix = prefix,
            None => findings.warning(line.at, format!("'{prefix}' is no prefix length of {address}")),
        }
    }
    let mut i = 1;
    while i < line.words.len() {
        let word = line.str(i);
        let takes_value =
            matches!(word, "dev" | "label" | "brd" | "broadcast" | "scope" | "peer" | "preferred_lft");
        let value = if takes_value { line.str(i + 1) } else { "" };
        if takes_value && value.is_empty() {
            findings.warning(line.at, format!("'{word}' expects a value: {address} is left out"));
            return None;
        }
        i += 1 + usize::from(takes_value);
        if !option(findings, line, &mut spec, word, value) {
            return None;
        }
    }
    Some(spec)
}

/// Applies an option; false when the address cannot be used with it.
fn option(findings: &mut Findings, line: Line<'_>, spec: &mut AddressSpec, word: &str, value: &str) -> bool {
    match word {
        "dev" => spec.interface = Some(value.to_owned()),
        "label" if value.len() > MAX_NAME => {
            findings.warning(
                line.at,
                format!("label '{value}' is longer than {MAX_NAME}: the address is left out"),
            );
            return false;
        }
        "label" => spec.label = Some(value.to_owned()),
        "brd" | "broadcast" => match value {
            "-" => spec.broadcast = None,
            "+" => spec.broadcast = broadcast(spec),
            _ => match value.parse() {
                Ok(address) => spec.broadcast = Some(address),
                Err(_) => findings.warning(line.at, format!("'{value}' is no broadcast address")),
            },
        },
        "scope" => match scope(value) {
            Some(scope) => spec.scope = scope,
            None => findings.warning(line.at, format!("scope '{value}' is unknown")),
        },
        // Kinds of addresses that change nothing of who has them.
        "peer" | "preferred_lft" | "home" | "-nodad" | "mngtmpaddr" | "noprefixroute" | "autojoin"
        | "no_track" | "use_vmac" => {}
        other => findings.warning(line.at, format!("'{other}' is unknown in an address")),
    }
    true
}

fn scope(text: &str) -> Option<u8> {
    Some(match text {
        "global" => 0,
        "site" => 200,
        "link" => 253,
        "host" => 254,
        "nowhere" => 255,
        number => number.parse().ok()?,
    })
}

fn broadcast(spec: &AddressSpec) -> Option<Ipv4Addr> {
    let IpAddr::V4(address) = spec.address else { return None };
    let host = u32::MAX.checked_shr(u32::from(spec.prefix)).unwrap_or(0);
    Some(Ipv4Addr::from(u32::from(address) | host))
}
