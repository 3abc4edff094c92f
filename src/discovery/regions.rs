//! Tells which regions are lost and which are back, in the log and in the metrics, from the record by which traffic is
//! routed; and where the services of a backend have nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::clock;
use crate::check::Hooks;
use crate::lang::Severity;
use crate::region::choice::{Choice, Standing};
use crate::region::map::{Map, Name, Outage, Topic, WallMs};

use super::context::{Context, PATIENCE, TURN};
use super::figures;

/// Syslog levels.
const ALERT: u8 = 1;
const NOTICE: u8 = 5;

/// Until it is dropped.
pub(super) async fn watch(context: Arc<Context>) {
    let topics = [Topic::Regions, Topic::Members];
    let mut known = Known::default();
    loop {
        let map = context.seat.map();
        for outage in known.take_in(&map) {
            say(&*context.hooks, &outage);
        }
        let after = topics.iter().map(|topic| map.index_of(topic)).max().unwrap_or(0);
        let until = tokio::time::sleep(PATIENCE).deadline();
        if context.seat.changed(&topics, after, until).await.is_err() {
            tokio::time::sleep(TURN).await;
        }
    }
}

/// What was said of regions so far.
#[derive(Default)]
struct Known {
    /// Whether it is lost, and how often it was.
    regions: BTreeMap<Name, (bool, u64)>,
}

impl Known {
    /// Puts every region into the metrics. What changed, to be said: of a start, only what is lost.
    fn take_in(&mut self, map: &Map) -> Vec<Arc<Outage>> {
        let configured = map.regions().map(|region| &region.name);
        let of_members = map.members().map(|member| &member.region).filter(|name| !name.is_empty());
        let names: BTreeSet<&Name> = configured.chain(of_members).collect();
        let mut changed = Vec::new();
        for name in names.into_iter().chain(map.outages().map(|outage| &outage.region)) {
            let outage = map.outage(name);
            let stands = outage.map_or((false, 0), |outage| (outage.lost, outage.count));
            let before = self.regions.insert(name.clone(), stands);
            figures::region(name, !stands.0, stands.1);
            if before.map_or(stands.0, |before| before != stands) {
                changed.extend(outage.cloned());
            }
        }
        changed
    }
}

fn say(hooks: &dyn Hooks, outage: &Outage) {
    let Outage { region, since, cause, .. } = outage;
    let (severity, level, what) = match outage.lost {
        true => (Severity::Alert, ALERT, "is LOST, other regions take over"),
        false => (Severity::Notice, NOTICE, "is BACK, it takes traffic again"),
    };
    let line = format!("Region {region} {what}: {cause}. Decided at {}.", moment(*since));
    hooks.line("", severity, level, &line, &line);
}

/// As RFC 3339 has it, to the millisecond.
fn moment(at: WallMs) -> String {
    let at = jiff::Timestamp::from_millisecond(at.try_into().unwrap_or(i64::MAX)).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Where the services of one backend have somebody.
#[derive(Default)]
pub(super) struct Presence {
    /// By service and region: whether anybody can take traffic.
    known: BTreeMap<(Name, Name), bool>,
}

impl Presence {
    /// Takes in what was chosen, which is what traffic follows, and says what changed.
    pub(super) fn take_in(
        &mut self,
        backend: &str,
        services: &[Name],
        choices: &[Choice],
        hooks: &dyn Hooks,
    ) {
        let mut now: BTreeMap<(Name, Name), bool> = BTreeMap::new();
        for (service, choice) in services.iter().zip(choices) {
            for chosen in &choice.list {
                let up = matches!(chosen.standing, Standing::Up(_) | Standing::Draining);
                *now.entry((service.clone(), chosen.region.clone())).or_default() |= up;
            }
        }
        now.retain(|(_, region), _| !region.is_empty());
        for ((service, region), up) in &now {
            let before = self.known.get(&(service.clone(), region.clone()));
            if before == Some(up) {
                continue;
            }
            figures::service_region(backend, service, region, *up);
            // What is new here was never lost.
            if before.is_none() {
                continue;
            }
            let at = moment(clock::wall().as_millis() as WallMs);
            let (severity, level, what, why) = match up {
                false => (Severity::Alert, ALERT, "LOST", "no instance passes"),
                true => (Severity::Notice, NOTICE, "BACK", "an instance passes"),
            };
            let line = format!(
                "Service {service} of backend {backend} is {what} in region {region}: {why}. Decided at {at}."
            );
            hooks.line(backend, severity, level, &line, &line);
        }
        for (service, region) in self.known.keys().filter(|known| !now.contains_key(*known)) {
            figures::service_region(backend, service, region, false);
        }
        self.known = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::map::Command;
    use crate::region::testing::{World, member};

    #[test]
    fn each_change_is_told_once_with_its_time_and_cause() {
        let mut world = World::default();
        world.apply(member("a", "eu", true));
        world.apply(member("b", "us", true));
        let stands =
            |lost, cause: &str| Command::RegionStands { name: "us".into(), lost, cause: cause.into() };
        let mut known = Known::default();
        assert!(known.take_in(&world.map).is_empty(), "all is well");
        world.apply(stands(true, "its only node was not heard for 5000 ms"));
        let told = known.take_in(&world.map);
        assert_eq!(told.iter().map(|o| (&*o.region, o.lost)).collect::<Vec<_>>(), [("us", true)]);
        assert!(known.take_in(&world.map).is_empty(), "once");
        assert_eq!(Known::default().take_in(&world.map).len(), 1, "who starts now learns of it, too");
        world.apply(stands(false, "a node of it was heard again"));
        let told = known.take_in(&world.map);
        assert!(!told[0].lost && told[0].count == 1);
        assert!(Known::default().take_in(&world.map).is_empty());
        // Lost and back between two looks is a change, too.
        world.apply(stands(true, "silence"));
        world.apply(stands(false, "heard"));
        assert_eq!(known.take_in(&world.map)[0].count, 2);
    }

    struct Lines(std::sync::Mutex<Vec<String>>);

    impl Hooks for Lines {
        fn line(&self, backend: &str, _: Severity, _: u8, screen: &str, _: &str) {
            self.0.lock().expect("lines").push(format!("[{backend}] {screen}"));
        }
    }

    #[test]
    fn a_line_says_what_when_and_why() {
        let lines = Lines(std::sync::Mutex::default());
        let outage = Outage {
            region: "us".into(),
            lost: true,
            since: 1_700_000_000_123,
            cause: "silence".into(),
            ..Outage::default()
        };
        say(&lines, &outage);
        let said = lines.0.into_inner().expect("lines");
        let wanted =
            "[] Region us is LOST, other regions take over: silence. Decided at 2023-11-14T22:13:20.123Z.";
        assert_eq!(said, [wanted]);
    }
}
