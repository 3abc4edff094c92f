//! Health decided once: which nodes check an instance for all, and what their findings come to.
//!
//! A node says in the map which `service ... check` lines it has, each as a [`key`]. Of the live nodes that have a key,
//! an instance is checked by a few of its own region, by rendezvous hashing: who is alive decides alone, so that all
//! nodes agree without asking, and only what a dead node did goes to others. Only a finding that an instance does not
//! answer is kept in the map, and its end: what nobody says this of answers.

use crate::check::CheckSpec;

use super::map::{Instance, Map, Name, Verdict};

/// Nodes that check an instance, where there are so many.
pub const CHECKERS: usize = 3;

/// What tells one way of checking a service from another: nodes share findings only if they check alike.
pub fn key(backend: &str, service: &str, check: &CheckSpec) -> Name {
    let told = format!("{backend}\0{service}\0{check:?}");
    let digest = xxhash_rust::xxh3::xxh3_64(told.as_bytes());
    format!("{backend}/{service}/{digest:016x}").into()
}

/// The live nodes that can check a key.
pub struct Checkers<'m> {
    /// Name and region.
    list: Vec<(&'m Name, &'m Name)>,
}

impl<'m> Checkers<'m> {
    pub fn of(map: &'m Map, key: &Name) -> Checkers<'m> {
        let able = |name: &Name| map.checker(name).is_some_and(|one| one.keys.binary_search(key).is_ok());
        let live = map.members().filter(|member| member.alive && able(&member.name));
        Checkers { list: live.map(|member| (&member.name, &member.region)).collect() }
    }

    /// Who of them checks an instance of a region, by name: of that region, or of all when none of it can.
    pub fn chosen(&self, region: &str, instance: &Instance) -> Vec<&'m Name> {
        let of_region = |(_, theirs): &&(&Name, &Name)| ***theirs == *region;
        let near = self.list.iter().any(|one| of_region(&one));
        let mut ranked: Vec<(u64, &'m Name)> = self
            .list
            .iter()
            .filter(|one| !near || of_region(one))
            .map(|(name, _)| (affinity(name, instance), *name))
            .collect();
        ranked.sort_unstable();
        ranked.truncate(CHECKERS);
        let mut names: Vec<&Name> = ranked.into_iter().map(|(_, name)| name).collect();
        names.sort_unstable();
        names
    }
}

fn affinity(node: &str, instance: &Instance) -> u64 {
    let told = [node, "\0", &instance.node, "\0", &instance.id].concat();
    xxhash_rust::xxh3::xxh3_64(told.as_bytes())
}

/// Whether an instance does not answer, by the majority of those that check it. The word of one that checked it before
/// counts until another has taken its place.
pub fn is_refuted(verdict: Option<&Verdict>, chosen: &[&Name]) -> bool {
    verdict.is_some_and(|verdict| verdict.down.len() * 2 > chosen.len().max(1))
}

/// Whether those that check an instance, in any way, found that it does not answer.
pub fn refuted(map: &Map, instance: &Instance) -> bool {
    let region = map.node(&instance.node).map(|node| node.region.clone()).unwrap_or_default();
    let mut of_it = map.verdicts_on(instance);
    of_it.any(|verdict| {
        let chosen = Checkers::of(map, &verdict.key).chosen(&region, instance);
        is_refuted(Some(verdict), &chosen)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::region::map::{Command, Member};
    use crate::region::testing::{World, member};

    fn able(world: &mut World, names: &[(&str, &str)]) {
        for (name, region) in names {
            world.apply(member(name, region, true));
            world.apply(Command::CheckerPut { node: (*name).into(), keys: vec!["k".into(), "l".into()] });
        }
    }

    fn instance(id: usize) -> Instance {
        Instance { node: "host".into(), id: format!("w{id}").into(), ..Instance::default() }
    }

    fn chosen(world: &World, region: &str, id: usize) -> Vec<String> {
        let checkers = Checkers::of(&world.map, &"k".into());
        checkers.chosen(region, &instance(id)).into_iter().map(|name| name.to_string()).collect()
    }

    fn die(world: &mut World, name: &str) {
        let member = world.map.members().find(|m| *m.name == *name).expect("a member");
        let dead = Member { alive: false, ..(**member).clone() };
        world.apply(Command::MemberPut(dead));
    }

    #[test]
    fn three_of_the_region_check_and_the_work_is_spread() {
        let mut world = World::default();
        able(&mut world, &[("a", "eu"), ("b", "eu"), ("c", "eu"), ("d", "eu"), ("e", "eu"), ("x", "us")]);
        let mut work: BTreeMap<String, usize> = BTreeMap::new();
        for id in 0..1000 {
            let names = chosen(&world, "eu", id);
            assert!(names.len() == CHECKERS && !names.contains(&"x".to_owned()), "{names:?}");
            names.into_iter().for_each(|name| *work.entry(name).or_default() += 1);
        }
        assert_eq!(work.len(), 5);
        assert!(work.values().all(|n| (500..700).contains(n)), "{work:?}");
        assert_eq!(chosen(&world, "us", 1), ["x"], "fewer where there are fewer");
    }

    #[test]
    fn what_a_dead_node_did_goes_to_the_next_and_nothing_else_moves() {
        let mut world = World::default();
        able(&mut world, &[("a", "eu"), ("b", "eu"), ("c", "eu"), ("d", "eu"), ("e", "eu")]);
        let before: Vec<_> = (0..200).map(|id| chosen(&world, "eu", id)).collect();
        die(&mut world, "c");
        for (id, before) in before.iter().enumerate() {
            let after = chosen(&world, "eu", id);
            let kept = before.iter().filter(|name| after.contains(name)).count();
            assert!(after.len() == CHECKERS && !after.contains(&"c".to_owned()));
            assert_eq!(kept, if before.contains(&"c".to_owned()) { 2 } else { 3 });
        }
    }

    #[test]
    fn where_nobody_can_others_do_and_who_does_not_know_how_is_left_out() {
        let mut world = World::default();
        able(&mut world, &[("a", "eu"), ("b", "eu"), ("x", "us")]);
        world.apply(member("y", "us", true));
        assert_eq!(chosen(&world, "us", 1), ["x"], "y has no such check");
        die(&mut world, "x");
        assert_eq!(chosen(&world, "us", 1), ["a", "b"]);
        assert_eq!(chosen(&world, "", 1), ["a", "b"]);
        assert!(Checkers::of(&world.map, &"other".into()).chosen("eu", &instance(1)).is_empty());
    }

    #[test]
    fn the_majority_decides() {
        let names: Vec<Name> = ["a", "b", "c"].iter().map(|name| Name::from(*name)).collect();
        let chosen: Vec<&Name> = names.iter().collect();
        let by = |down: usize| Verdict { down: names[..down].to_vec(), ..Verdict::default() };
        let refuted = |down: usize, of: usize| is_refuted(Some(&by(down)), &chosen[..of]);
        assert!(!refuted(1, 3) && refuted(2, 3) && refuted(3, 3));
        assert!(!refuted(1, 2) && refuted(2, 2) && refuted(1, 1));
        assert!(refuted(1, 0) && !refuted(0, 0), "all who knew are gone: what they said holds");
        assert!(!is_refuted(None, &chosen));
    }

    #[test]
    fn keys_tell_checks_apart() {
        let plain = CheckSpec::default();
        let other = CheckSpec { inter_ms: 500, ..CheckSpec::default() };
        assert_eq!(key("b", "web", &plain), key("b", "web", &plain.clone()));
        assert_ne!(key("b", "web", &plain), key("b", "web", &other));
        assert_ne!(key("b", "web", &plain), key("c", "web", &plain));
    }
}
