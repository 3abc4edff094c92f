//! Leases: who may do a thing alone, granted, renewed and ended. The time is kept outside, by the leader
//! ([`region::lease`](crate::region::lease)).

use std::sync::Arc;

use super::change::Change;
use super::command::{Refusal, Reply};
use super::map::Map;
use super::record::*;
use super::topic::Topic;

/// Leases that are held at once.
const LEASES: usize = 4096;
const NAME_BYTES: usize = 256;
/// How long a lease is, in milliseconds.
const LENGTH_MS: std::ops::RangeInclusive<u64> = 1_000..=86_400_000;

impl Map {
    /// Gives a lease that nobody holds. Asked by who holds it already, with the same claim, it is a renewal.
    pub(super) fn lease_acquire(&mut self, mut lease: Lease, change: &mut Change) -> Result<Reply, Refusal> {
        let index = change.index;
        if lease.name.is_empty() || lease.name.len() > NAME_BYTES {
            let what = format!("a lease's name has 1 to {NAME_BYTES} bytes");
            return Err(Refusal::Invalid(what.into()));
        }
        if !LENGTH_MS.contains(&lease.length_ms) {
            return Err(Refusal::Invalid("a lease is a second to a day long".into()));
        }
        let count = self.tables.leases.len();
        match self.tables.leases.get_mut(&lease.name) {
            Some(held) if (held.holder, held.claim) == (lease.holder, lease.claim) => {
                let held = Arc::make_mut(held);
                held.renewed = index;
                return Ok(Reply::Id { id: held.term, index });
            }
            Some(held) => return Err(Refusal::LeaseHeld { name: lease.name, holder: held.holder }),
            None if count >= LEASES => {
                return Err(Refusal::Invalid("too many leases".into()));
            }
            None => {}
        }
        (lease.term, lease.renewed) = (index, index);
        self.tables.leases.insert(lease.name.clone(), Arc::new(lease));
        self.touch_leases(change);
        Ok(Reply::Id { id: index, index })
    }

    /// Touches no topic: nobody waits for that a lease stays where it is.
    pub(super) fn lease_renew(
        &mut self,
        name: Name,
        term: u64,
        change: &mut Change,
    ) -> Result<Reply, Refusal> {
        match self.tables.leases.get_mut(&name).filter(|lease| lease.term == term) {
            Some(lease) => {
                Arc::make_mut(lease).renewed = change.index;
                Ok(Reply::Done { index: change.index })
            }
            None => Err(Refusal::LeaseLost(name)),
        }
    }

    /// By its holder, or with `renewed` because its time is over: not if it was renewed since.
    pub(super) fn lease_end(&mut self, name: &Name, term: u64, renewed: Option<Index>, change: &mut Change) {
        let standing = self.tables.leases.get(name);
        let ends =
            |lease: &Arc<Lease>| lease.term == term && renewed.is_none_or(|renewed| lease.renewed == renewed);
        if standing.is_some_and(ends) {
            self.tables.leases.remove(name);
            self.touch_leases(change);
        }
    }

    fn touch_leases(&mut self, change: &mut Change) {
        self.tables.leases_index = change.index;
        change.touch(Topic::Leases);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::map::{Command, Proposal};
    use crate::region::testing::World;

    fn acquire(holder: u64, claim: u64) -> Command {
        Command::LeaseAcquire { name: "job".into(), holder, claim, length_ms: 5000 }
    }

    fn ends(term: u64, renewed: Index) -> Command {
        Command::LeaseExpire { name: "job".into(), term, renewed }
    }

    fn renew(term: u64) -> Command {
        Command::LeaseRenew { name: "job".into(), term }
    }

    fn refused(world: &mut World, command: Command) -> String {
        let index = world.map.index() + 1;
        match world.map.apply(index, Proposal { at: 1, command }, &mut Vec::new()) {
            Reply::Refused(why) => why.to_string(),
            other => panic!("{other:?}"),
        }
    }

    fn term(reply: Reply) -> u64 {
        match reply {
            Reply::Id { id, .. } => id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_lease_has_one_holder_and_each_term_is_a_later_one() {
        let mut world = World::default();
        let first = term(world.apply(acquire(1, 7)));
        assert_eq!(refused(&mut world, acquire(2, 8)), r#"lease "job" is held by member 1"#);
        assert_eq!(refused(&mut world, acquire(1, 8)), r#"lease "job" is held by member 1"#, "another claim");
        assert_eq!(term(world.apply(acquire(1, 7))), first, "the same claim, asked again");
        world.apply(Command::LeaseRelease { name: "job".into(), term: first });
        assert!(world.map.lease("job").is_none());
        let second = term(world.apply(acquire(2, 8)));
        assert!(second > first);
        assert_eq!(refused(&mut world, renew(first)), r#"lease "job" was lost"#);
        world.apply(Command::LeaseRelease { name: "job".into(), term: first });
        assert_eq!(world.map.lease("job").map(|lease| (lease.holder, lease.term)), Some((2, second)));
    }

    #[test]
    fn what_was_renewed_since_does_not_end_and_renewals_wake_nobody() {
        let mut world = World::default();
        let term = term(world.apply(acquire(1, 7)));
        let index = world.map.index_of(&Topic::Leases);
        let before = world.map.lease("job").expect("a lease").renewed;
        world.apply(renew(term));
        let after = world.map.lease("job").expect("a lease").renewed;
        assert!(after > before && world.map.index_of(&Topic::Leases) == index);
        world.apply(ends(term, before));
        assert!(world.map.lease("job").is_some(), "it was renewed meanwhile");
        world.apply(ends(term, after));
        assert!(world.map.lease("job").is_none() && world.map.index_of(&Topic::Leases) > index);
        world.apply(ends(term, after));
    }

    #[test]
    fn names_lengths_and_numbers_are_bounded() {
        let mut world = World::default();
        let asked = |name: &str, length_ms| Command::LeaseAcquire {
            name: name.into(),
            holder: 1,
            claim: 1,
            length_ms,
        };
        let long = "x".repeat(257);
        assert_eq!(refused(&mut world, asked("", 5000)), "a lease's name has 1 to 256 bytes");
        assert_eq!(refused(&mut world, asked(&long, 5000)), "a lease's name has 1 to 256 bytes");
        assert_eq!(refused(&mut world, asked("x", 999)), "a lease is a second to a day long");
        assert_eq!(refused(&mut world, asked("x", u64::MAX)), "a lease is a second to a day long");
        (0..LEASES).for_each(|n| drop(world.apply(asked(&n.to_string(), 5000))));
        assert_eq!(refused(&mut world, asked("x", 5000)), "too many leases");
    }

    #[test]
    fn leases_are_in_a_snapshot_and_a_map_without_any_has_none_of_it() {
        let snapshot = |map: &Map| {
            let mut bytes = Vec::new();
            map.write_snapshot(&mut bytes).expect("written");
            assert_eq!(Map::read_snapshot(&bytes[..]).expect("read"), *map);
        };
        let mut world = World::default();
        snapshot(&world.map);
        let term = term(world.apply(acquire(1, 7)));
        world.apply(renew(term));
        snapshot(&world.map);
        world.apply(Command::LeaseRelease { name: "job".into(), term });
        snapshot(&world.map);
    }
}
