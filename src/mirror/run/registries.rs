//! Connections and knowledge of registries, kept by name as long as a configuration says the same of them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::mirror::client::Registry;
use crate::mirror::copy::{Pace, Target};
use crate::mirror::rule::{Name, RegistrySpec, Rule, Spec};

#[derive(Clone, Default)]
pub struct Registries {
    by_name: HashMap<Name, (RegistrySpec, Arc<Target>)>,
    paces: HashMap<Name, (u64, Arc<Pace>)>,
}

impl Registries {
    /// Those of a configuration: what is the same as before goes on.
    pub fn of(spec: &Spec, before: &Registries) -> Registries {
        let kept = |one: &RegistrySpec| {
            let old = before.by_name.get(&one.name).filter(|(old, _)| old.same(one));
            old.map_or_else(|| Target::new(Registry::new(one.access())), |(_, target)| target.clone())
        };
        let pace = |rule: &Arc<Rule>| {
            let old = before.paces.get(&rule.name).filter(|(rate, _)| *rate == rule.bandwidth);
            old.map_or_else(|| Arc::new(Pace::new(rule.bandwidth)), |(_, pace)| pace.clone())
        };
        Registries {
            by_name: spec.registries.iter().map(|r| (r.name.clone(), (r.clone(), kept(r)))).collect(),
            paces: spec.rules.iter().map(|r| (r.name.clone(), (r.bandwidth, pace(r)))).collect(),
        }
    }

    pub fn target(&self, name: &str) -> Option<&Arc<Target>> {
        self.by_name.get(name).map(|(_, target)| target)
    }

    pub fn pace(&self, rule: &str) -> Arc<Pace> {
        self.paces.get(rule).map_or_else(|| Arc::new(Pace::new(0)), |(_, pace)| pace.clone())
    }
}
