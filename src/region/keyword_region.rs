//! Lines of a `region` section.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::lang::args::Args;
use crate::lang::suggest;

use super::map::RegionState;
use super::reading::Reading;
use super::spec::RegionSpec;

pub fn location<'a>(reading: &mut Reading<'_>, spec: &mut RegionSpec, args: Args<'a>) {
    if reading.too_many(args, 2) {
        return;
    }
    let degrees = |i: usize, most: f64| args.str(i).parse::<f64>().ok().filter(|d| d.abs() <= most);
    match (degrees(1, 90.0), degrees(2, 180.0)) {
        (Some(north), Some(east)) => spec.location = Some((north, east)),
        (None, _) => {
            let message = "'location' expects a latitude from -90 to 90 and a longitude from -180 to 180, \
                           in degrees.";
            reading.alert(args.at(1), message);
        }
        (_, None) => reading.alert(args.at(2), "'location' expects a longitude from -180 to 180 degrees."),
    }
}

pub fn countries<'a>(reading: &mut Reading<'_>, spec: &mut RegionSpec, args: Args<'a>) {
    for (i, code) in reading.several(args, "a country code") {
        if code.len() != 2 || !code.chars().all(|c| c.is_ascii_alphabetic()) {
            let message = format!("'{code}' is no country code of two letters.");
            reading.alert(args.at(i), message);
        } else {
            spec.countries.push(code.to_ascii_uppercase().into());
        }
    }
}

pub fn networks<'a>(reading: &mut Reading<'_>, spec: &mut RegionSpec, args: Args<'a>) {
    for (i, text) in reading.several(args, "a network") {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        match network {
            Ok(network) => spec.networks.push(network.trunc().to_string().into()),
            Err(_) => reading.alert(args.at(i), format!("'{text}' is no network: write 10.1.0.0/16.")),
        }
    }
}

pub fn state<'a>(reading: &mut Reading<'_>, spec: &mut RegionSpec, args: Args<'a>) {
    let Some(word) = reading.one(args, "'active', 'passive' or 'drain'") else { return };
    spec.state = match word {
        "active" => Some(RegionState::Active),
        "passive" => Some(RegionState::Passive),
        "drain" => Some(RegionState::Drain),
        _ => {
            let hint = suggest::hint(word, ["active", "passive", "drain"]);
            let message = format!("'state' expects 'active', 'passive' or 'drain', got '{word}'.");
            return reading.diags.alert_hint(args.at(1), message, hint);
        }
    };
}

pub fn failover<'a>(reading: &mut Reading<'_>, spec: &mut RegionSpec, args: Args<'a>) {
    for (i, _) in reading.several(args, "a region") {
        let Some(name) = reading.name(args, i, "region name") else { continue };
        if name == spec.name {
            reading.alert(args.at(i), format!("region '{name}' cannot take over from itself."));
        } else if spec.failover.contains(&name) {
            reading.alert(args.at(i), format!("region '{name}' is there already."));
        } else {
            reading.mentioned.push((name.clone(), args.at(i)));
            spec.failover.push(name);
        }
    }
}
