//! Maps for tests, made by commands.

use std::sync::Arc;

use crate::config::service::{OVERFLOW_PERCENT, Reach, ServiceSpec};
use crate::model::{Address, ServerSpec};

use super::map::*;

/// A map that grows by commands.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub map: Map,
}

pub fn node(name: &str, region: &str) -> Node {
    Node { name: name.into(), address: "127.0.0.1".into(), region: region.into(), ..Node::default() }
}

pub fn check(node: &str, id: &str, instance: &str, status: Health) -> Check {
    Check {
        node: node.into(),
        id: id.into(),
        name: id.into(),
        service_id: instance.into(),
        status,
        ..Check::default()
    }
}

/// An instance with one check of that status, whose id is the instance's.
pub fn registration(at: (&str, &str), service: &str, id: &str, port: u16, status: Health) -> Command {
    Command::Register(Box::new(Registration {
        node: node(at.0, at.1),
        instance: Some(Instance {
            node: at.0.into(),
            id: id.into(),
            service: service.into(),
            port,
            ..Instance::default()
        }),
        checks: vec![check(at.0, id, id, status)],
        ..Registration::default()
    }))
}

pub fn status(node: &str, check: &str, status: Health) -> Command {
    Command::CheckStatus { node: node.into(), check: check.into(), status, output: "".into() }
}

pub fn member(name: &str, region: &str, alive: bool) -> Command {
    Command::MemberPut(Member { name: name.into(), region: region.into(), alive, ..Member::default() })
}

impl World {
    pub fn apply(&mut self, command: Command) -> Reply {
        let mut touched = Vec::new();
        let reply = self.map.apply(self.map.index() + 1, Proposal { at: 1000, command }, &mut touched);
        assert!(!matches!(reply, Reply::Refused(_)), "{reply:?}");
        reply
    }

    pub fn region(&mut self, name: &str, location: Option<(f64, f64)>, state: RegionState) {
        self.apply(Command::RegionPut(Region { name: name.into(), location, state, ..Region::default() }));
    }

    /// Instances `<region>-0` and on, on one node named as the region, each as its letter says: `p`assing,
    /// `w`arning, `c`ritical.
    pub fn instances(&mut self, region: &str, service: &str, states: &str) {
        for (i, state) in states.chars().enumerate() {
            let health = match state {
                'p' => Health::Passing,
                'w' => Health::Warning,
                _ => Health::Critical,
            };
            let id = format!("{region}-{i}");
            self.apply(registration((region, region), service, &id, 8000 + i as u16, health));
        }
    }
}

/// A line `service <name>`.
pub fn service(name: &str) -> ServiceSpec {
    let nowhere = Address::Inet(([0, 0, 0, 0], 0).into());
    ServiceSpec {
        name: name.into(),
        reach: Reach::Nearest,
        tags: Vec::new(),
        check: None,
        overflow_percent: OVERFLOW_PERCENT,
        max: 0,
        template: Arc::new(ServerSpec::new("", 0, nowhere)),
    }
}
