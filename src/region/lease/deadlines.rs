//! The leader's clock of leases: when each ends. No I/O; the time is handed in.
//!
//! A lease ends its length after the leader saw its last renewal in the map. Its holder counts from before it sent that
//! renewal, and so stops earlier, whatever happened on the way. A leader that is new counts from when it began to lead:
//! nobody could renew while there was no leader, and nobody gets more than one length for it.

use std::collections::BTreeMap;

use crate::base::clock::{MS, Nanos};
use crate::region::map::{Command, Index, Map, Name};

#[derive(Debug, Default)]
pub struct Deadlines {
    /// Of the leader that counts; 0: this node does not lead.
    leader_term: u64,
    seen: BTreeMap<Name, Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    renewed: Index,
    ends: Nanos,
}

impl Deadlines {
    /// This node does not lead.
    pub fn forget(&mut self) {
        *self = Deadlines::default();
    }

    /// What the leader of this term is to propose now. To be asked often, because a renewal counts from when it is seen.
    pub fn look(&mut self, leader_term: u64, map: &Map, now: Nanos) -> Vec<Command> {
        if self.leader_term != leader_term {
            *self = Deadlines { leader_term, seen: BTreeMap::new() };
        }
        self.seen.retain(|name, _| map.lease(name).is_some());
        let mut over = Vec::new();
        for lease in map.leases() {
            let ends = now.saturating_add(lease.length_ms.saturating_mul(MS));
            let seen = self.seen.entry(lease.name.clone());
            let seen = seen.or_insert(Seen { renewed: lease.renewed, ends });
            if seen.renewed != lease.renewed {
                *seen = Seen { renewed: lease.renewed, ends };
            }
            if now >= seen.ends {
                let (name, term, renewed) = (lease.name.clone(), lease.term, lease.renewed);
                over.push(Command::LeaseExpire { name, term, renewed });
            }
        }
        over
    }

    /// When the next of them ends, unless it is renewed.
    pub fn next(&self) -> Option<Nanos> {
        self.seen.values().map(|seen| seen.ends).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::testing::World;

    const S: Nanos = 1000 * MS;

    #[test]
    fn a_lease_ends_its_length_after_its_last_renewal_and_a_new_leader_gives_it_once_more() {
        let mut world = World::default();
        let length_ms = 3000;
        world.apply(Command::LeaseAcquire { name: "job".into(), holder: 1, claim: 1, length_ms });
        let term = world.map.lease("job").expect("a lease").term;
        let mut deadlines = Deadlines::default();
        assert!(deadlines.look(1, &world.map, 10 * S).is_empty());
        assert_eq!(deadlines.next(), Some(13 * S));
        world.apply(Command::LeaseRenew { name: "job".into(), term });
        assert!(deadlines.look(1, &world.map, 12 * S).is_empty() && deadlines.next() == Some(15 * S));
        assert!(deadlines.look(1, &world.map, 15 * S - 1).is_empty());
        let over = deadlines.look(1, &world.map, 15 * S);
        assert!(matches!(&over[..], [Command::LeaseExpire { .. }]), "{over:?}");
        // It leads again after another did: its own memories count for nothing.
        assert!(deadlines.look(3, &world.map, 16 * S).is_empty() && deadlines.next() == Some(19 * S));
        assert!(deadlines.look(3, &world.map, 19 * S - 1).is_empty());
        over.into_iter().chain(deadlines.look(3, &world.map, 19 * S)).for_each(|c| drop(world.apply(c)));
        assert!(world.map.lease("job").is_none());
        assert!(deadlines.look(3, &world.map, 20 * S).is_empty() && deadlines.next().is_none());
    }
}
