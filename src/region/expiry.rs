//! The leader's clock of sessions and of checks that nobody keeps the time of. No I/O; the time is handed in.
//!
//! Every session with a TTL is timed by the leader, to which renewals go wherever a client sends them: so it does not
//! matter which node a session belongs to, and what becomes of that node. It ends some seconds less than twice its TTL
//! after the leader heard its last renewal: never before one TTL, as in Consul, and within two also when a fault keeps the
//! members from agreeing on it for a while.
//!
//! When each of them ends is known to the other members too ([`Table`]): a renewal counts once a quorum knows of it, and
//! who is to lead takes the newest table that a quorum has. So an end stays where it is however often another leads.
//! What a member knows of it outlives its process, though not its machine ([`Kept`]).
//! Only a leader that finds no such quorum, because machines were started anew, gives each session its TTL once more.
//!
//! A check with a TTL is timed by its node's agent. Where that is dead, the leader gives the check its TTL once more.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::base::clock::{MS, Nanos};
use crate::region::map::{Check, Command, Health, Map, NODE_LIVENESS, Name, Probe};

/// How long one fault may keep an end waiting that was proposed, in milliseconds: a leader whose disk hangs gives up after
/// some seconds, and another has to be elected.
const FAULT_MS: u64 = 4000;
/// Sessions that ended and are not forgotten yet, at least.
const ROOM: usize = 1024;

#[derive(Debug, Default)]
pub struct Expiry {
    /// Of the leader that counts; 0: this node does not lead.
    leader_term: u64,
    /// Of the leader whose table this is, which may be this node; 0: there is none.
    term: u64,
    /// Of the last change of it.
    seq: u64,
    /// Who asked for the table in order to lead in this term is the only one that is heard from then on.
    fence: u64,
    sessions: HashMap<Name, Ends>,
    /// With more of them it looks which have ended.
    room: usize,
    /// By node and id.
    checks: HashMap<(Name, Name), Nanos>,
    /// What has changed and is not put down yet, where that is done.
    kept: Option<Vec<Kept>>,
}

/// A change to be put down for a process after this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kept {
    /// All there is: what came before it is of no account.
    All {
        term: u64,
        seq: u64,
        fence: u64,
        ends: Vec<(Name, Nanos)>,
    },
    /// These ends, up to this change.
    Some {
        seq: u64,
        ends: Vec<(Name, Nanos)>,
    },
    Fence(u64),
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    at: Nanos,
    /// The change of the table that said so.
    seq: u64,
    /// Its end was proposed: what comes now is too late.
    over: bool,
}

/// When sessions end, as a leader knows it, or what has changed of that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub term: u64,
    /// The change after which these are; 0: these are all.
    pub after: u64,
    pub seq: u64,
    /// For how many nanoseconds more each stands, from when it is sent: by the clock of who gets it that is later.
    pub sessions: Vec<(Name, u64)>,
}

/// What became of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// There is no such session, or it is over already.
    Gone,
    /// It counts as soon as a quorum knows this change of the table.
    Change(u64),
}

fn after(now: Nanos, ttl_ms: u64) -> Nanos {
    now.saturating_add(ttl_ms.saturating_mul(MS))
}

/// When a session that was renewed now ends. Clients count on "up to twice": what is left of that is for the end itself.
fn ends(now: Nanos, ttl_ms: u64) -> Nanos {
    let left_ms = (ttl_ms / 8).max(FAULT_MS.min(ttl_ms / 2));
    now.saturating_add(ttl_ms.saturating_mul(2).saturating_sub(left_ms).saturating_mul(MS))
}

impl Expiry {
    /// What a process before this one put down, in its order. From now on changes are to be put down, too.
    pub fn restored(kept: impl Iterator<Item = Kept>) -> Expiry {
        let mut expiry = Expiry { kept: Some(Vec::new()), ..Expiry::default() };
        let row = |(id, at)| (id, Ends { at, seq: 0, over: false });
        for one in kept {
            match one {
                Kept::All { term, seq, fence, ends } => {
                    (expiry.term, expiry.seq, expiry.fence) = (term, seq, fence);
                    expiry.sessions = ends.into_iter().map(row).collect();
                }
                Kept::Some { seq, ends } => {
                    expiry.seq = seq;
                    expiry.sessions.extend(ends.into_iter().map(row));
                }
                Kept::Fence(fence) => expiry.fence = expiry.fence.max(fence),
            }
        }
        expiry
    }

    /// What is to be put down before anybody is told that it is known here.
    pub fn take_kept(&mut self) -> Vec<Kept> {
        self.kept.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Nothing is put down any more.
    pub fn keep_no_more(&mut self) {
        self.kept = None;
    }

    /// All there is, to be put down in place of all changes up to now.
    pub fn all(&self) -> Kept {
        let ends = self.sessions.iter().map(|(id, ends)| (id.clone(), ends.at)).collect();
        Kept::All { term: self.term, seq: self.seq, fence: self.fence, ends }
    }

    fn note(&mut self, what: impl FnOnce(&Expiry) -> Kept) {
        if self.kept.is_some() {
            let what = what(self);
            self.kept.get_or_insert_default().push(what);
        }
    }

    fn note_ends(&mut self, ends: Vec<(Name, Nanos)>) {
        if !ends.is_empty() {
            self.note(|expiry| Kept::Some { seq: expiry.seq, ends });
        }
    }

    /// This node does not lead. What it knows may be of use to who does.
    pub fn forget(&mut self) {
        self.leader_term = 0;
        self.checks.clear();
    }

    /// The last change of the table.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Whether this node counts as the leader of that term.
    pub fn leads(&self, term: u64) -> bool {
        self.leader_term == term
    }

    /// This node leads, and `known` is the newest table that a quorum has, if there is one.
    pub fn lead(&mut self, leader_term: u64, known: Option<Table>, map: &Map, now: Nanos) {
        if leader_term < self.fence {
            return;
        }
        match known {
            Some(known) if (known.term, known.seq) > (self.term, self.seq) => self.replace(known, now),
            Some(_) => {}
            None => self.sessions.clear(),
        }
        (self.leader_term, self.term, self.seq) = (leader_term, leader_term, 1);
        self.fence = self.fence.max(leader_term);
        self.checks.clear();
        self.sessions.retain(|id, _| map.session(id).is_some());
        for session in map.sessions().filter(|session| session.ttl_ms > 0) {
            // Of what nobody knows: it was renewed before this, if at all, and its holder was promised no more.
            let first = Ends { at: after(now, session.ttl_ms), seq: 1, over: false };
            let ends = self.sessions.entry(session.id.clone()).or_insert(first);
            (ends.seq, ends.over) = (1, false);
        }
        self.note(Expiry::all);
    }

    fn replace(&mut self, table: Table, now: Nanos) {
        let seq = table.seq;
        let row = |(id, left): (Name, u64)| (id, Ends { at: now.saturating_add(left), seq, over: false });
        self.sessions = table.sessions.into_iter().map(row).collect();
        (self.term, self.seq) = (table.term, table.seq);
        self.note(Expiry::all);
    }

    /// A leader says when sessions end. `raft_term`: of this node. False: what went before is not known here.
    /// `None`: it does not lead any more.
    pub fn hear(&mut self, table: Table, raft_term: u64, map: &Map, now: Nanos) -> Option<bool> {
        if table.term < raft_term.max(self.fence).max(self.term) || self.leader_term >= table.term {
            return None;
        }
        self.leader_term = 0;
        if table.term == self.term && table.seq < self.seq {
            // Overtaken on its way.
            return Some(true);
        }
        if table.after == 0 {
            self.replace(table, now);
            return Some(true);
        }
        if table.term != self.term || table.after > self.seq {
            return Some(false);
        }
        let ends: Vec<(Name, Nanos)> =
            table.sessions.into_iter().map(|(id, left)| (id, now.saturating_add(left))).collect();
        for (id, at) in &ends {
            self.sessions.insert(id.clone(), Ends { at: *at, seq: table.seq, over: false });
        }
        self.seq = table.seq;
        self.note_ends(ends);
        if self.sessions.len() > self.room {
            // Nobody says what has ended. One that is only not known here yet gets its TTL once more, at worst.
            self.sessions.retain(|id, _| map.session(id).is_some());
            self.room = self.sessions.len() * 2 + ROOM;
        }
        Some(true)
    }

    /// What another leader, of that term, may take for its own; nothing from before it is heard from now on.
    pub fn asked(&mut self, term: u64, now: Nanos) -> Option<Table> {
        if term > self.fence {
            self.fence = term;
            self.note(|_| Kept::Fence(term));
        }
        // What this node would take as a leader from now on, the other would not know.
        self.leader_term = if self.leader_term < term { 0 } else { self.leader_term };
        (self.term != 0 && self.term <= term).then(|| self.table(0, now))
    }

    /// What has changed since.
    pub fn table(&self, after: u64, now: Nanos) -> Table {
        let changed = self.sessions.iter().filter(|(_, ends)| after == 0 || ends.seq > after);
        let sessions = changed.map(|(id, ends)| (id.clone(), ends.at.saturating_sub(now))).collect();
        Table { term: self.term, after, seq: self.seq, sessions }
    }

    /// What the leader of this term is to propose now.
    pub fn look(&mut self, leader_term: u64, map: &Map, now: Nanos) -> Vec<Command> {
        if self.leader_term != leader_term {
            self.lead(leader_term, None, map, now);
        }
        let (mut over, mut fresh) = (Vec::new(), Vec::new());
        self.sessions.retain(|id, _| map.session(id).is_some());
        for session in map.sessions().filter(|session| session.ttl_ms > 0) {
            let stands = self.sessions.entry(session.id.clone()).or_insert_with(|| {
                self.seq += 1;
                let at = ends(now, session.ttl_ms);
                fresh.push((session.id.clone(), at));
                Ends { at, seq: self.seq, over: false }
            });
            if stands.at <= now {
                stands.over = true;
                over.push(Command::SessionDestroy { id: session.id.clone() });
            }
        }
        self.note_ends(fresh);
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
                let ends = self.checks.get(&key).copied().unwrap_or(after(now, ttl_ms));
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

    /// A session was renewed, as the leader of this term hears.
    pub fn renew(&mut self, map: &Map, id: &str, now: Nanos) -> Renewal {
        let Some(session) = map.session(id) else { return Renewal::Gone };
        let at = ends(now, session.ttl_ms);
        self.seq += 1;
        let first = Ends { at, seq: self.seq, over: false };
        let stands = self.sessions.entry(session.id.clone()).or_insert(first);
        if stands.over {
            return Renewal::Gone;
        }
        *stands = first;
        self.note_ends(vec![(session.id.clone(), at)]);
        Renewal::Change(self.seq)
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
    fn a_session_ends_within_twice_its_ttl_after_its_renewal_wherever_its_node_is() {
        let mut world = World::default();
        register(&mut world, vec![liveness(Health::Passing)]);
        let mut expiry = Expiry::default();
        assert!(expiry.look(1, &world.map, S).is_empty());
        let made = Session { id: "s".into(), node: "b".into(), ttl_ms: 8_000, ..Session::default() };
        world.apply(Command::SessionCreate(made));
        assert!(expiry.look(1, &world.map, 5 * S).is_empty() && expiry.next() == Some(17 * S));
        assert_eq!(expiry.renew(&world.map, "s", 16 * S), Renewal::Change(3));
        assert_eq!(expiry.renew(&world.map, "none", 16 * S), Renewal::Gone);
        register(&mut world, vec![liveness(Health::Critical)]);
        assert!(expiry.look(1, &world.map, 28 * S - 1).is_empty());
        assert!(ends(&expiry.look(1, &world.map, 28 * S)));
        assert_eq!(expiry.renew(&world.map, "s", 28 * S), Renewal::Gone, "its end is on its way");
        assert!(ends(&expiry.look(1, &world.map, 29 * S)), "until it is done");
        world.apply(Command::SessionDestroy { id: "s".into() });
        assert!(expiry.look(1, &world.map, 30 * S).is_empty() && expiry.next().is_none());
    }

    #[test]
    fn a_new_leader_that_knows_nothing_gives_the_ttl_once_more_and_no_more() {
        let world = world();
        let mut expiry = Expiry::default();
        assert!(expiry.look(1, &world.map, S).is_empty() && expiry.next() == Some(11 * S));
        expiry.forget();
        // Another led meanwhile; what this one remembered counts for nothing.
        assert!(expiry.look(3, &world.map, 101 * S).is_empty() && expiry.next() == Some(111 * S));
        assert!(ends(&expiry.look(3, &world.map, 111 * S)));
    }

    /// What a member has that heard all.
    fn heard(leader: &Expiry, now: Nanos) -> Expiry {
        let mut member = Expiry::default();
        assert_eq!(member.hear(leader.table(0, now), 1, &Map::default(), now), Some(true));
        member
    }

    #[test]
    fn an_end_stays_where_it_is_however_often_another_leads() {
        let world = world();
        let mut first = Expiry::default();
        first.look(1, &world.map, S);
        first.renew(&world.map, "s", 2 * S);
        let end = Some(2 * S + 16 * S);
        assert_eq!(first.next(), end);
        let mut second = heard(&first, 3 * S);
        let own = second.asked(2, 9 * S);
        second.lead(2, own, &world.map, 9 * S);
        assert!(second.next() == end && second.leads(2));
        let mut third = heard(&second, 10 * S);
        // By its own clock and with an older table than another's.
        let newest = second.asked(3, 15 * S);
        assert_eq!(newest.as_ref().map(|table| (table.term, table.seq)), Some((2, 1)));
        third.lead(3, newest, &world.map, 15 * S);
        assert_eq!(third.next(), end);
        assert!(ends(&third.look(3, &world.map, 21 * S)));
    }

    #[test]
    fn who_missed_a_change_says_so_and_who_asked_to_lead_is_heard_alone() {
        let world = world();
        let mut leader = Expiry::default();
        leader.look(1, &world.map, S);
        let mut member = heard(&leader, S);
        let known = leader.table(0, S).seq;
        leader.renew(&world.map, "s", 2 * S);
        let change = leader.table(known, 2 * S);
        assert_eq!((change.after, change.sessions.len()), (known, 1));
        assert_eq!(member.hear(change.clone(), 1, &world.map, 2 * S), Some(true));
        assert_eq!(member.next(), leader.next());
        assert_eq!(
            Expiry::default().hear(change.clone(), 1, &world.map, 2 * S),
            Some(false),
            "one that was started anew"
        );
        assert_eq!(member.hear(change.clone(), 2, &world.map, 2 * S), None, "another leads");
        member.asked(2, 3 * S);
        assert_eq!(member.hear(leader.table(0, 3 * S), 1, &world.map, 3 * S), None, "another is to lead");
        assert_eq!(Expiry::default().asked(2, S), None, "one that knows nothing");
    }

    /// Whatever is put down, a process that reads it knows what this one knew.
    #[test]
    fn what_a_member_knows_outlives_its_process() {
        let world = world();
        let mut leader = Expiry::restored(std::iter::empty());
        leader.look(1, &world.map, S);
        leader.renew(&world.map, "s", 2 * S);
        let mut kept = leader.take_kept();
        assert!(leader.take_kept().is_empty());
        let again = |kept: &[Kept]| Expiry::restored(kept.iter().cloned());
        assert_eq!(again(&kept).next(), Some(18 * S));
        // As a leader that was ended and started: it tells the next one what it knew, and does not lead by itself.
        let mut restarted = again(&kept);
        assert!(!restarted.leads(1));
        let table = restarted.asked(2, 3 * S).expect("it counts");
        assert_eq!((table.term, table.seq, table.sessions.len()), (1, leader.seq(), 1));
        kept.extend(restarted.take_kept());
        assert_eq!(
            again(&kept).hear(leader.table(0, 3 * S), 1, &world.map, 3 * S),
            None,
            "another was to lead"
        );
        // As a member that heard all, and then a change.
        let mut member = Expiry::restored(std::iter::empty());
        assert_eq!(member.hear(leader.table(0, 3 * S), 1, &world.map, 3 * S), Some(true));
        let known = leader.seq();
        leader.renew(&world.map, "s", 4 * S);
        assert_eq!(member.hear(leader.table(known, 4 * S), 1, &world.map, 4 * S), Some(true));
        let mut heard = member.take_kept();
        assert_eq!((again(&heard).next(), again(&heard).seq()), (Some(20 * S), leader.seq()));
        heard.push(member.all());
        assert_eq!(again(&heard).next(), Some(20 * S));
        assert_eq!(again(&[]).asked(2, S), None, "one that was put down nothing of");
        member.keep_no_more();
        member.asked(9, 5 * S);
        assert!(member.take_kept().is_empty());
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
