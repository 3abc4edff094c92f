//! Who is alive. Members say so to the leader, outside the log; the leader proposes only what changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::map::{Check, Command, Health, Member, Node as CatalogNode, Registration, Role};
use super::super::raft::frame::{Alive, Answer, Denial, MemberError, Request};
use super::super::raft::link::Class;
use super::super::raft::node::Node;
use super::super::raft::proposer;
use super::operation;
use crate::base::clock::{self, Nanos};

/// The check by which the catalog shows that a node lives.
const CHECK: &str = "serfHealth";
/// Admissions that are remembered, for a node that asks again.
const ADMITTED: usize = 256;

/// What the leader heard.
#[derive(Default)]
pub struct Heard(Mutex<State>);

#[derive(Default)]
struct State {
    /// Of the leader that heard it.
    term: u64,
    /// When that leader began to listen.
    since: Nanos,
    members: BTreeMap<u64, (Nanos, Alive)>,
    admitted: BTreeMap<u128, u64>,
}

impl Heard {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// A new leader knows nothing of before: everyone gets a whole period.
    fn listen(&self, term: u64) {
        let mut state = self.lock();
        if state.term != term {
            *state = State { term, since: clock::now_ns(), ..State::default() };
        }
    }

    pub(super) fn admitted(&self, store: u128) -> Option<u64> {
        self.lock().admitted.get(&store).copied()
    }

    pub(super) fn admit(&self, store: u128, alive: Alive) {
        let mut state = self.lock();
        let id = alive.id;
        state.members.insert(id, (clock::now_ns(), alive));
        if state.admitted.len() >= ADMITTED {
            state.admitted.clear();
        }
        state.admitted.insert(store, id);
    }

    /// Whether a member was heard within the period, or may yet be.
    pub(super) fn lives(&self, id: u64, period: Duration) -> bool {
        let state = self.lock();
        let last = state.members.get(&id).map_or(state.since, |(at, _)| *at);
        clock::now_ns().saturating_sub(last) < period.as_nanos() as Nanos
    }

    fn said(&self, id: u64) -> Option<Alive> {
        self.lock().members.get(&id).map(|(_, alive)| alive.clone())
    }
}

fn mine(node: &Node) -> Alive {
    Alive {
        id: node.id(),
        name: node.name.to_string(),
        address: node.address.clone(),
        api: node.api.clone(),
        region: node.region.to_string(),
    }
}

/// A member lives.
pub(super) fn alive(node: &Node, alive: Alive) -> Result<Answer, Denial> {
    if !node.leads() {
        return Err(Denial::NotLeader(None));
    }
    let metrics = node.metrics().ok_or(Denial::NoMember)?;
    node.heard.listen(metrics.current_term);
    // One that was removed is not listened to.
    let known = node.view.map().member(alive.id).is_some();
    if !known && metrics.membership_config.membership().get_node(&alive.id).is_none() {
        return Err(MemberError::Unknown(alive.id).into());
    }
    node.heard.lock().members.insert(alive.id, (clock::now_ns(), alive));
    Ok(Answer::Done)
}

fn period(node: &Node) -> Duration {
    Duration::from_millis(node.timing.liveness_ms)
}

pub(super) async fn run(node: &Arc<Node>) {
    let mut removed = false;
    loop {
        match node.supposed_leader() {
            Some((id, _)) if id == node.id() => {
                let _ = alive(node, mine(node));
                watch(node).await;
                // One that cannot write keeps everybody waiting.
                if let Some(why) = node.log.trouble() {
                    tracing::error!(
                        "region map: another is to lead, because the log cannot be written: {why}"
                    );
                    operation::step_down(node).await;
                }
            }
            Some((_, peer)) => {
                let request = Request::Alive(mine(node));
                let link = node.links.to(&peer.address, Class::Protocol);
                let answer = link.call(&request, period(node) / 4).await;
                let unknown = matches!(answer, Ok(Answer::Denied(Denial::Member(MemberError::Unknown(_)))));
                if unknown && !removed {
                    tracing::warn!(
                        "region map: this node was removed from its cluster; to join again it needs an empty data-dir"
                    );
                }
                removed = unknown;
            }
            None => {}
        }
        let pause = match node.view.map().member(node.id()) {
            // Until one is in the map, others wait for it.
            None => Duration::from_millis(node.timing.heartbeat_ms),
            Some(_) => period(node) / 4,
        };
        tokio::time::sleep(pause).await;
    }
}

/// The leader's look at everyone: proposes what has changed.
async fn watch(node: &Node) {
    let Some(metrics) = node.metrics() else { return };
    node.heard.listen(metrics.current_term);
    let map = node.view.map();
    let membership = metrics.membership_config.membership();
    let ids: BTreeSet<u64> =
        membership.nodes().map(|(id, _)| *id).chain(map.members().map(|m| m.id)).collect();
    for id in ids {
        let voter = membership.voter_ids().any(|v| v == id);
        let commands = match (map.member(id), node.heard.said(id)) {
            (None, Some(said)) => vec![Command::MemberPut(first(&said, voter)), registration(&said)],
            (Some(member), said) => transitions(node, member, said, &map),
            (None, None) => continue,
        };
        for command in commands {
            if let Err(e) = proposer::alone(node, command).await {
                return tracing::debug!("region map: liveness of member {id}: {e}");
            }
        }
    }
}

fn first(said: &Alive, voter: bool) -> Member {
    Member {
        id: said.id,
        name: said.name.as_str().into(),
        address: said.address.as_str().into(),
        api: said.api.as_str().into(),
        region: said.region.as_str().into(),
        role: if voter { Role::Manager } else { Role::Worker },
        alive: true,
        ..Member::default()
    }
}

fn transitions(
    node: &Node,
    member: &Member,
    said: Option<Alive>,
    map: &super::super::map::Map,
) -> Vec<Command> {
    let lives = node.heard.lives(member.id, period(node));
    let mut commands = Vec::new();
    if let Some(moved) = said.as_ref().and_then(|said| moved(member, said)) {
        commands.push(Command::MemberPut(moved));
        return commands;
    }
    if lives != member.alive {
        tracing::info!(
            "region map: member {} ({}) is {}",
            member.id,
            member.name,
            if lives { "up" } else { "down" }
        );
        commands.push(Command::MemberPut(Member { alive: lives, ..member.clone() }));
    }
    let shown = map.check(&member.name, CHECK).map(|check| check.status);
    let should = if lives { Health::Passing } else { Health::Critical };
    match (shown, said) {
        (None, Some(said)) if lives => commands.push(registration(&said)),
        (Some(status), _) if status != should => commands.push(Command::CheckStatus {
            node: member.name.clone(),
            check: CHECK.into(),
            status: should,
            output: output(lives).into(),
        }),
        _ => {}
    }
    commands
}

/// The member as it says it is now, if that is news: it may have been started at another address.
fn moved(member: &Member, said: &Alive) -> Option<Member> {
    let same = *member.address == *said.address && *member.api == *said.api && *member.region == *said.region;
    (!same).then(|| Member {
        address: said.address.as_str().into(),
        api: said.api.as_str().into(),
        region: said.region.as_str().into(),
        ..member.clone()
    })
}

fn output(lives: bool) -> &'static str {
    if lives { "Agent alive and reachable" } else { "Agent not live or unreachable" }
}

/// The member as a node of the catalog.
fn registration(said: &Alive) -> Command {
    let name: super::super::map::Name = said.name.as_str().into();
    let address = said.address.rsplit_once(':').map_or(said.address.as_str(), |(host, _)| host);
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let check = Check {
        node: name.clone(),
        id: CHECK.into(),
        name: "Serf Health Status".into(),
        status: Health::Passing,
        output: output(true).into(),
        ..Check::default()
    };
    let node = CatalogNode {
        name,
        address: address.into(),
        region: said.region.as_str().into(),
        ..CatalogNode::default()
    };
    Command::Register(Box::new(Registration { node, checks: vec![check], ..Registration::default() }))
}
