//! The leader's clock of sessions and of checks that nobody keeps the time of. No I/O; the time is handed in.
//!
//! Every session with a TTL is timed by the leader, to which renewals go wherever a client sends them: so it does not
//! matter which node a session belongs to, and what becomes of that node. It ends twice its TTL after the leader heard
//! its last renewal, as in Consul, and never before one TTL. A leader that is new knows no renewal: it gives each
//! session its TTL once, which is no more than its holder was promised.
//!
//! A check with a TTL is timed by its node's agent. Where that is dead, the leader gives the check its TTL once more.

use std::collections::HashMap;

use crate::base::clock::{MS, Nanos};
use crate::region::map::{Check, Command, Health, Map, NODE_LIVENESS, Name, Probe};

/// A session ends after as many times its TTL, as in Consul: it is never early, and clients count on "up to twice".
const TIMES: u64 = 2;

#[derive(Debug, Default)]
pub struct Expiry {
    /// Of the leader that counts; 0: this node does not lead.
    leader_term: u64,
    sessions: HashMap<Name, Ends>,
    /// By node and id.
    checks: HashMap<(Name, Name), Nanos>,
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    at: Nanos,
    /// Its end was proposed: what comes now is too late.
    over: bool,
}

fn after(now: Nanos, ttl_ms: u64, times: u64) -> Nanos {
    now.saturating_add(ttl_ms.saturating_mul(times).saturating_mul(MS))
}

impl Expiry {
    /// This node does not lead.
    pub fn forget(&mut self) {
        *self = Expiry::default();
    }

    /// What the leader of this term is to propose now.
    pub fn look(&mut self, leader_term: u64, map: &Map, now: Nanos) -> Vec<Command> {
        // What stands when it begins to lead was renewed before that, if at all.
        let times = if self.leader_term == leader_term { TIMES } else { 1 };
        if self.leader_term != leader_term {
            *self = Expiry { leader_term, ..Expiry::default() };
        }
        let mut over = Vec::new();
        self.sessions.retain(|id, _| map.session(id).is_some());
        for session in map.sessions().filter(|session| session.ttl_ms > 0) {
            let first = Ends { at: after(now, session.ttl_ms, times), over: false };
            let ends = self.sessions.entry(session.id.clone()).or_insert(first);
            if ends.at <= now {
                ends.over = true;
                over.push(Command::SessionDestroy { id: session.id.clone() });
            }
        }
        self.checks(map, now, &mut over);
        over
    }

    fn checks(&mut self, map: &Map, now: Nanos, over: &mut Vec<Command>) {
        let mut standing = HashMap::new();
        let dead = |node: &Name| {
            map.check(node, NODE_LIVENESS).is_some_and(|liveness| liveness.status == Health::Critical)
        };
        for node in map.nodes().filter(|node| dead(&node.name)) {
            for check in map.checks_on(&node.name).filter(|check| check.status != Health::Critical) {
                let Some(ttl_ms) = ttl_ms(check) else { continue };
                let key = (node.name.clone(), check.id.clone());
                let ends = self.checks.get(&key).copied().unwrap_or(after(now, ttl_ms, 1));
                if ends <= now {
                    over.push(Command::CheckStatus {
                        node: node.name.clone(),
                        check: check.id.clone(),
                        status: Health::Critical,
                        output: "TTL expired, and the node of this check is not alive".into(),
                    });
                }
                standing.insert(key, ends);
            }
        }
        self.checks = standing;
    }

    /// A session was renewed. False when there is none, or it is over already. The leader has looked in this term.
    pub fn renew(&mut self, leader_term: u64, map: &Map, id: &str, now: Nanos) -> bool {
        let Some(session) = map.session(id) else { return false };
        if self.leader_term != leader_term {
            // Nothing is over before the first look.
            *self = Expiry { leader_term: 0, ..Expiry::default() };
            return true;
        }
        let at = after(now, session.ttl_ms, TIMES);
        let ends = self.sessions.entry(session.id.clone()).or_insert(Ends { at, over: false });
        ends.at = if ends.over { ends.at } else { at };
        !ends.over
    }

    /// When the next of them ends, unless it is renewed.
    pub fn next(&self) -> Option<Nanos> {
        self.sessions.values().map(|ends| ends.at).chain(self.checks.values().copied()).min()
    }
}

/// How long a check may say nothing.
fn ttl_ms(check: &Check) -> Option<u64> {
    match check.definition.as_ref()?.probe {
        Probe::Ttl { ms } => Some(ms),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::map::{Definition, Node, Registration, Session};
    use crate::region::testing::World;

    const S: Nanos = 1000 * MS;

    fn liveness(status: Health) -> Check {
        Check { id: NODE_LIVENESS.into(), status, ..Check::default() }
    }

    fn register(world: &mut World, checks: Vec<Check>) {
        let node = Node { name: "b".into(), ..Node::default() };
        world.apply(Command::Register(Box::new(Registration { node, checks, ..Registration::default() })));
    }

    fn world() -> World {
        let mut world = World::default();
        register(&mut world, vec![liveness(Health::Passing)]);
        let session = Session { id: "s".into(), node: "b".into(), ttl_ms: 10_000, ..Session::default() };
        world.apply(Command::SessionCreate(session));
        world
    }

    fn ends(commands: &[Command]) -> bool {
        matches!(commands, [Command::SessionDestroy { id }] if **id == *"s")
    }

    #[test]
    fn a_session_ends_twice_its_ttl_after_its_renewal_wherever_its_node_is() {
        let mut world = World::default();
        register(&mut world, vec![liveness(Health::Passing)]);
        let mut expiry = Expiry::default();
        assert!(expiry.look(1, &world.map, S).is_empty());
        let made = Session { id: "s".into(), node: "b".into(), ttl_ms: 10_000, ..Session::default() };
        world.apply(Command::SessionCreate(made));
        assert!(expiry.look(1, &world.map, 5 * S).is_empty() && expiry.next() == Some(25 * S));
        assert!(expiry.renew(1, &world.map, "s", 20 * S) && !expiry.renew(1, &world.map, "none", 20 * S));
        register(&mut world, vec![liveness(Health::Critical)]);
        assert!(expiry.look(1, &world.map, 40 * S - 1).is_empty());
        assert!(ends(&expiry.look(1, &world.map, 40 * S)));
        assert!(!expiry.renew(1, &world.map, "s", 40 * S), "its end is on its way");
        assert!(ends(&expiry.look(1, &world.map, 41 * S)), "until it is done");
        world.apply(Command::SessionDestroy { id: "s".into() });
        assert!(expiry.look(1, &world.map, 42 * S).is_empty() && expiry.next().is_none());
    }

    #[test]
    fn a_new_leader_gives_the_ttl_once_more_and_no_more() {
        let world = world();
        let mut expiry = Expiry::default();
        assert!(expiry.look(1, &world.map, S).is_empty() && expiry.next() == Some(11 * S));
        // Another led meanwhile; what this one remembered counts for nothing.
        assert!(expiry.renew(3, &world.map, "s", 100 * S));
        assert!(expiry.look(3, &world.map, 101 * S).is_empty() && expiry.next() == Some(111 * S));
        assert!(expiry.renew(3, &world.map, "s", 110 * S) && expiry.next() == Some(130 * S));
        expiry.forget();
        assert!(expiry.look(3, &world.map, 131 * S).is_empty(), "it leads again");
        assert!(ends(&expiry.look(3, &world.map, 141 * S)));
    }

    #[test]
    fn a_check_without_its_agent_gets_its_ttl_once_more() {
        let mut world = World::default();
        let definition = Definition { probe: Probe::Ttl { ms: 30_000 }, ..Definition::default() };
        let check = Check {
            id: "up".into(),
            status: Health::Passing,
            definition: Some(definition.into()),
            ..Check::default()
        };
        register(&mut world, vec![liveness(Health::Passing), check]);
        let mut expiry = Expiry::default();
        assert!(expiry.look(1, &world.map, S).is_empty() && expiry.next().is_none(), "its agent lives");
        register(&mut world, vec![liveness(Health::Critical)]);
        assert!(expiry.look(1, &world.map, 10 * S).is_empty() && expiry.next() == Some(40 * S));
        let over = expiry.look(1, &world.map, 40 * S);
        assert!(matches!(&over[..], [Command::CheckStatus { .. }]), "{over:?}");
        over.into_iter().for_each(|command| drop(world.apply(command)));
        assert!(expiry.look(1, &world.map, 99 * S).is_empty(), "once");
        assert_eq!(world.map.check("b", "up").map(|check| check.status), Some(Health::Critical));
    }
}
