//! What this node tells the others of its load, as soft state: live sessions and capacity of its servers by service and
//! region, and of the node as a whole; and what all nodes say together, in the metrics.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use crate::model::ServerLive;
use crate::region::Seat;
use crate::region::choice::Choice;
use crate::region::map::Name;
use crate::region::soft::{Kind, Load, Record};

use super::figures;
use super::pool::{Target, server_name};

/// How often it is measured.
const TURN: Duration = Duration::from_millis(200);

/// A service in a region; an empty service: the nodes there.
type Part = (Name, Name);

/// The servers of all backends, by what they are counted under.
#[derive(Default)]
pub struct Measured {
    backends: Mutex<HashMap<Arc<str>, Backend>>,
}

struct Backend {
    /// Nobody follows the backend any more when it is gone.
    life: Weak<Notify>,
    servers: Vec<(Part, Arc<ServerLive>)>,
}

impl Measured {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Backend>> {
        self.backends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was chosen for a backend is in place.
    pub(super) fn take_in(&self, target: &Target, choices: &[Choice], life: &Arc<Notify>) {
        let set = target.servers.load();
        let live: HashMap<&str, &Arc<ServerLive>> =
            set.list.iter().map(|server| (&*server.spec.name, &server.live)).collect();
        let mut servers = Vec::new();
        for chosen in choices.iter().flat_map(|choice| &choice.list) {
            if let Some(live) = live.get(&*server_name(&chosen.instance)) {
                servers.push(((chosen.instance.service.clone(), chosen.region.clone()), (*live).clone()));
            }
        }
        self.lock().insert(target.name.clone(), Backend { life: Arc::downgrade(life), servers });
    }

    fn measure(&self) -> BTreeMap<Part, Load> {
        let mut backends = self.lock();
        backends.retain(|_, backend| backend.life.strong_count() > 0);
        let mut loads: BTreeMap<Part, Load> = BTreeMap::new();
        let mut unlimited = BTreeSet::new();
        for (part, live) in backends.values().flat_map(|backend| &backend.servers) {
            let (service, region) = part.clone();
            let load = loads.entry(part.clone()).or_insert(Load { service, region, ..Load::default() });
            load.sessions += u64::from(live.served.load(Ordering::Relaxed));
            if !live.is_usable() {
                continue;
            }
            load.servers += 1;
            match live.maxconn.load(Ordering::Relaxed) {
                0 => {
                    unlimited.insert(part.clone());
                }
                most => load.capacity += u64::from(most),
            }
        }
        for part in unlimited {
            loads.entry(part).and_modify(|load| load.capacity = 0);
        }
        loads
    }
}

fn name_of((service, region): &Part) -> String {
    format!("{service}@{region}")
}

/// Tells the others what was measured, until it is ended.
pub(super) async fn tell(seat: Seat, measured: Arc<Measured>) {
    let (mut told, mut shown, mut seen) = (BTreeSet::new(), BTreeSet::new(), 0);
    loop {
        publish(&seat, &measured, &mut told);
        let view = seat.soft().view();
        if view.version != seen {
            seen = view.version;
            let sums = view.sums();
            for part in shown.iter().filter(|part| !sums.contains_key(*part)) {
                figures::load(part, &Load::default());
            }
            sums.iter().for_each(|(part, load)| figures::load(part, load));
            shown = sums.into_keys().collect();
        }
        tokio::time::sleep(TURN).await;
    }
}

/// `told`: what stands of this node's loads.
pub(super) fn publish(seat: &Seat, measured: &Measured, told: &mut BTreeSet<Part>) {
    let loads = measured.measure();
    for gone in told.iter().filter(|part| !loads.contains_key(*part)) {
        seat.soft().withdraw(Kind::Load, &name_of(gone));
    }
    *told = loads.keys().cloned().collect();
    for (part, load) in loads {
        if let Err(e) = seat.soft().publish(&name_of(&part), Record::Load(load)) {
            tracing::debug!("region map: the load of {} is not told: {e}", name_of(&part));
        }
    }
}

/// Tells the others the sessions of this node and how many it takes, until it is ended. `measure`: `None` while it takes
/// none.
pub async fn tell_node(seat: Seat, measure: impl Fn() -> Option<(u64, u64)> + Send) {
    let part = (Name::default(), seat.region().clone());
    loop {
        match measure() {
            None => seat.soft().withdraw(Kind::Load, &name_of(&part)),
            Some((sessions, capacity)) => {
                let (service, region) = part.clone();
                let load = Load { service, region, sessions, capacity, servers: 0 };
                // One record more is refused only to a node that tells too much anyway.
                let _ = seat.soft().publish(&name_of(&part), Record::Load(load));
            }
        }
        tokio::time::sleep(TURN).await;
    }
}
