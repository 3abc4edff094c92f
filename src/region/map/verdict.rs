//! What the cluster decided of health: regions that are lost, who checks for others, and what these found.

use std::sync::Arc;

use super::change::Change;
use super::command::{Found, Refusal};
use super::map::Map;
use super::record::*;

/// Of a node.
const KEYS: usize = 4096;
/// Nodes that may say something of one instance: those that check it, and a few that did before.
const VOICES: usize = 16;

impl Map {
    pub(super) fn region_stands(
        &mut self,
        region: Name,
        lost: bool,
        cause: Name,
        change: &mut Change,
    ) -> Result<(), Refusal> {
        if region.is_empty() {
            return Err(Refusal::Invalid("missing region name".into()));
        }
        let standing = self.tables.outages.get(&region);
        // One that was never lost is there.
        if standing.is_some_and(|old| old.lost) == lost {
            return Ok(());
        }
        let count = standing.map_or(0, |old| old.count) + u64::from(lost);
        let outage = Outage {
            region: region.clone(),
            lost,
            since: change.at,
            cause,
            count,
            modify_index: change.index,
        };
        self.tables.outages.insert(region, Arc::new(outage));
        self.touch_regions(change);
        Ok(())
    }

    pub(super) fn checker_put(
        &mut self,
        node: Name,
        mut keys: Vec<Name>,
        change: &mut Change,
    ) -> Result<(), Refusal> {
        if !self.members().any(|member| member.name == node) {
            return Err(Refusal::UnknownNode(node));
        }
        keys.sort_unstable();
        keys.dedup();
        if keys.len() > KEYS {
            return Err(Refusal::Invalid("too many checks".into()));
        }
        if self.tables.checkers.get(&node).map_or(&[][..], |old| &old.keys) == keys {
            return Ok(());
        }
        if keys.is_empty() {
            self.tables.checkers.remove(&node);
        } else {
            let checker = Checker { node: node.clone(), keys: keys.clone(), modify_index: change.index };
            self.tables.checkers.insert(node.clone(), Arc::new(checker));
        }
        // What it said of what it no longer checks is said by nobody.
        self.silence(&node, |key| !keys.contains(key), change);
        self.touch_members(change);
        Ok(())
    }

    /// A member is gone: it checks nothing.
    pub(super) fn checker_gone(&mut self, node: &Name, change: &mut Change) {
        if self.tables.checkers.remove(node).is_some() {
            self.silence(node, |_| true, change);
        }
    }

    fn silence(&mut self, by: &Name, of: impl Fn(&Name) -> bool, change: &mut Change) {
        let said = self.tables.verdicts.values().filter(|v| of(&v.key) && v.down.contains(by));
        let said: Vec<Arc<Verdict>> = said.cloned().collect();
        for verdict in said {
            let down = verdict.down.iter().filter(|name| *name != by).cloned().collect();
            self.put_verdict(Verdict { down, ..(*verdict).clone() }, change);
        }
    }

    pub(super) fn found(&mut self, found: Found, change: &mut Change) -> Result<(), Refusal> {
        let Found { node, service_id, key, by, down, cause, instead_of } = found;
        if self.instance(&node, &service_id).is_none() {
            return Err(Refusal::UnknownService(service_id));
        }
        let standing = self.tables.verdicts.get(&(node.clone(), service_id.clone(), key.clone()));
        let before = standing.map_or(&[][..], |old| &old.down);
        let mut now: Vec<Name> =
            before.iter().filter(|name| **name != by && !instead_of.contains(name)).cloned().collect();
        if down && now.len() < VOICES {
            now.push(by);
            now.sort_unstable();
        }
        if now == before {
            return Ok(());
        }
        let verdict = Verdict { node, service_id, key, down: now, cause, ..Verdict::default() };
        self.put_verdict(verdict, change);
        Ok(())
    }

    fn put_verdict(&mut self, mut verdict: Verdict, change: &mut Change) {
        let of = (verdict.node.clone(), verdict.service_id.clone(), verdict.key.clone());
        let service = self.instance(&verdict.node, &verdict.service_id).map(|one| one.service.clone());
        if verdict.down.is_empty() {
            self.tables.verdicts.remove(&of);
        } else {
            (verdict.since, verdict.modify_index) = (change.at, change.index);
            self.tables.verdicts.insert(of, Arc::new(verdict));
        }
        if let Some(service) = service {
            self.catalog.touch_service(&service, change);
        }
    }

    /// What was found of an instance that is to be elsewhere says nothing of it.
    pub(super) fn instance_moves(&mut self, next: &Instance) {
        let standing = self.instance(&next.node, &next.id);
        let moves = standing.is_some_and(|old| {
            (&old.service, &old.address, old.port) != (&next.service, &next.address, next.port)
        });
        if moves {
            self.forget_verdicts(&next.node, &next.id);
        }
    }

    pub(super) fn forget_verdicts(&mut self, node: &str, id: &str) {
        let verdicts = &mut self.tables.verdicts;
        if verdicts.is_empty() {
            return;
        }
        let from = (Name::from(node), Name::from(id), Name::default());
        let of = verdicts.range(from..).map(|(of, _)| of.clone());
        let gone: Vec<_> = of.take_while(|of| *of.0 == *node && *of.1 == *id).collect();
        for of in gone {
            verdicts.remove(&of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::map::{Command, Health, Reply, Topic};
    use crate::region::testing::{World, member, registration};

    fn found(by: &str, down: bool, instead_of: &[&str]) -> Command {
        Command::Found(Box::new(Found {
            node: "h1".into(),
            service_id: "w1".into(),
            key: "k".into(),
            by: by.into(),
            down,
            cause: "refused".into(),
            instead_of: instead_of.iter().map(|name| Name::from(*name)).collect(),
        }))
    }

    fn world() -> World {
        let mut world = World::default();
        world.apply(member("a", "eu", true));
        world.apply(registration(("h1", "eu"), "web", "w1", 80, Health::Passing));
        world
    }

    fn down(world: &World) -> Vec<String> {
        world.map.verdicts().flat_map(|v| v.down.iter().map(|name| name.to_string())).collect()
    }

    #[test]
    fn a_region_is_lost_once_and_back_once() {
        let mut world = world();
        let stands = |lost| Command::RegionStands { name: "eu".into(), lost, cause: "silence".into() };
        world.apply(stands(false));
        assert!(world.map.outage("eu").is_none(), "it never was lost");
        world.apply(stands(true));
        let index = world.map.index_of(&Topic::Regions);
        world.apply(stands(true));
        assert_eq!(world.map.index_of(&Topic::Regions), index, "that was known");
        world.apply(stands(false));
        world.apply(stands(true));
        let outage = world.map.outage("eu").expect("an outage");
        assert_eq!((outage.lost, outage.count, &*outage.cause), (true, 2, "silence"));
        assert!(world.map.index_of(&Topic::Regions) > index);
    }

    #[test]
    fn findings_gather_and_wake_who_waits_for_the_service() {
        let mut world = world();
        let before = world.map.index_of(&Topic::Service("web".into()));
        world.apply(found("b", true, &[]));
        world.apply(found("a", true, &[]));
        assert_eq!(down(&world), ["a", "b"]);
        let after = world.map.index_of(&Topic::Service("web".into()));
        assert!(after > before);
        world.apply(found("a", true, &[]));
        assert_eq!(world.map.index_of(&Topic::Service("web".into())), after, "nothing new");
        world.apply(found("c", false, &["b"]));
        assert_eq!(down(&world), ["a"]);
        world.apply(found("a", false, &[]));
        assert_eq!(world.map.verdicts().count(), 0);
    }

    #[test]
    fn a_verdict_ends_with_its_instance_and_with_its_address() {
        let mut world = world();
        world.apply(found("a", true, &[]));
        world.apply(registration(("h1", "eu"), "web", "w1", 80, Health::Passing));
        assert_eq!(down(&world), ["a"]);
        world.apply(registration(("h1", "eu"), "web", "w1", 81, Health::Passing));
        assert_eq!(world.map.verdicts().count(), 0, "elsewhere it is another one");
        world.apply(found("a", true, &[]));
        let what = super::super::command::Deregistration { node: "h1".into(), ..Default::default() };
        world.apply(Command::Deregister(what));
        assert_eq!(world.map.verdicts().count(), 0);
        let mut touched = Vec::new();
        let proposal = super::super::command::Proposal { at: 1, command: found("a", true, &[]) };
        let reply = world.map.apply(world.map.index() + 1, proposal, &mut touched);
        assert!(matches!(reply, Reply::Refused(Refusal::UnknownService(_))), "{reply:?}");
    }

    #[test]
    fn who_checks_no_more_says_no_more() {
        let mut world = world();
        let keys = |keys: &[&str]| Command::CheckerPut {
            node: "a".into(),
            keys: keys.iter().map(|key| Name::from(*key)).collect(),
        };
        world.apply(keys(&["z", "k", "k"]));
        assert_eq!(world.map.checker("a").expect("a checker").keys, ["k".into(), "z".into()]);
        world.apply(found("a", true, &[]));
        world.apply(keys(&["z"]));
        assert_eq!(world.map.verdicts().count(), 0);
        world.apply(keys(&["k"]));
        world.apply(found("a", true, &[]));
        let id = world.map.members().next().expect("a member").id;
        world.apply(Command::MemberDelete { id });
        assert_eq!((world.map.checkers().count(), world.map.verdicts().count()), (0, 0));
    }

    #[test]
    fn all_of_it_is_in_a_snapshot() {
        let mut world = world();
        world.apply(Command::RegionStands { name: "eu".into(), lost: true, cause: "silence".into() });
        world.apply(Command::CheckerPut { node: "a".into(), keys: vec!["k".into()] });
        world.apply(found("a", true, &[]));
        let mut bytes = Vec::new();
        world.map.write_snapshot(&mut bytes).expect("written");
        assert_eq!(Map::read_snapshot(&bytes[..]).expect("read"), world.map);
    }
}
