//! What a responder answers, for who looks at all of it: its records from the map, how many answers named which region, and
//! which regions are not named, or shed clients, and why.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::answer::{Record, State};
use super::name::to_text;
use super::policy::{InRegion, Policy, ServiceView, Spread, Standing, Step};
use super::tally::{Count, Tally};

/// Records that are told at most; the others are counted.
const RECORDS: usize = 500;

pub fn overview(responder: &str, state: &State, tally: &Tally) -> Value {
    let records: Vec<Value> =
        state.records.iter().take(RECORDS).map(|record| of_record(state, record, tally)).collect();
    let zones: Vec<Value> = state
        .zones
        .iter()
        .map(|zone| json!({ "Name": to_text(zone.apex()), "Names": zone.len() }))
        .take(RECORDS)
        .collect();
    json!({
        "Name": responder,
        "Zones": zones,
        "Records": records,
        "More": state.records.len().saturating_sub(RECORDS),
    })
}

fn of_record(state: &State, record: &Record, tally: &Tally) -> Value {
    let counts = tally.of(record);
    let nothing = ServiceView::default();
    let view = state.views.get(record.service).map_or(&nothing, |view| view);
    // Those that answer now, and those that did.
    let mut names: BTreeSet<&str> = view.regions.iter().map(|of| state.region_name(of.region)).collect();
    names.extend(counts.keys().map(|name| &**name));
    let regions: Vec<Value> =
        names.iter().map(|name| of_region(state, record, view, name, &counts)).collect();
    json!({
        "Name": to_text(&record.owner),
        "Service": record.told.service,
        "Policy": record.told.policy,
        "TTL": record.ttl,
        "LastResort": !view.has_healthy(),
        "Regions": regions,
    })
}

fn of_region(
    state: &State,
    record: &Record,
    view: &ServiceView,
    name: &str,
    counts: &HashMap<Arc<str>, Count>,
) -> Value {
    let count = counts.get(name).copied().unwrap_or_default();
    let of = view.regions.iter().find(|of| state.region_name(of.region) == name);
    let sheds = of.map_or(0.0, |of| record.policy.sheds(of.load));
    json!({
        "Region": name,
        "Answers": count.total,
        "PerSecond": count.per_second,
        "Healthy": of.map_or(0, |of| of.healthy.len()),
        "Unhealthy": of.map_or(0, |of| of.unhealthy.len()),
        "Load": of.map_or(0.0, |of| of.load),
        "Sheds": sheds,
        "Why": of.map_or_else(|| "has no instance any more".to_owned(), |of| why(&record.policy, view, of)),
    })
}

/// Why a region is not named, or not to all whom it would be the first for. Empty: it is.
fn why(policy: &Policy, view: &ServiceView, of: &InRegion) -> String {
    let is_listed = |step: &Step| match step {
        Step::Failover(list) => list.contains(&of.region),
        _ => true,
    };
    if !policy.steps.iter().all(is_listed) {
        return "the policy does not list it".to_owned();
    }
    if of.healthy.is_empty() {
        let what = if view.has_healthy() { "has no healthy instance" } else { "nobody is healthy anywhere" };
        return what.to_owned();
    }
    let is_better = |other: &InRegion| !other.healthy.is_empty() && other.standing < of.standing;
    if view.regions.iter().any(is_better) {
        let what = match of.standing {
            Standing::Drain => "drained, and another region can",
            _ => "passive, and an active region can",
        };
        return what.to_owned();
    }
    if let Spread::Weighted(weights) = &policy.spread
        && !weights.is_empty()
        && !weights.iter().any(|(region, weight)| *region == of.region && *weight > 0)
    {
        return "the policy gives it no weight".to_owned();
    }
    match policy.high_water {
        Some(mark) if policy.sheds(of.load) > 0.0 => {
            format!("uses {:.0}% of its capacity, the mark is {mark}%", of.load * 100.0)
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::policy::Endpoint;

    fn region(region: u16, standing: Standing, healthy: usize, load: f32) -> InRegion {
        let healthy = vec![Endpoint::default(); healthy];
        InRegion { region, standing, healthy, load, ..InRegion::default() }
    }

    #[test]
    fn why_a_region_is_not_named() {
        let view = ServiceView {
            regions: vec![
                region(0, Standing::Active, 1, 0.9),
                region(1, Standing::Passive, 1, 0.0),
                region(2, Standing::Drain, 1, 0.0),
                region(3, Standing::Active, 0, 0.0),
            ],
        };
        let told = |policy: &Policy| view.regions.iter().map(|of| why(policy, &view, of)).collect::<Vec<_>>();
        let standing = ["passive, and an active region can", "drained, and another region can"];
        let plain = told(&Policy::default());
        assert_eq!(plain, ["", standing[0], standing[1], "has no healthy instance"]);
        let load = told(&Policy { high_water: Some(80), ..Policy::default() });
        assert_eq!(load[0], "uses 90% of its capacity, the mark is 80%");
        assert_eq!(told(&Policy { high_water: Some(95), ..Policy::default() })[0], "");
        let failover = told(&Policy { steps: vec![Step::Failover(vec![0, 3])], ..Policy::default() });
        assert_eq!([&failover[0], &failover[1]], ["", "the policy does not list it"]);
        let weighted = told(&Policy { spread: Spread::Weighted(vec![(1, 5), (0, 0)]), ..Policy::default() });
        assert_eq!(weighted[0], "the policy gives it no weight");
        let none = ServiceView { regions: vec![region(3, Standing::Active, 0, 0.0)] };
        assert_eq!(why(&Policy::default(), &none, &none.regions[0]), "nobody is healthy anywhere");
    }
}
