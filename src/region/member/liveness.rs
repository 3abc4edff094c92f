//! Who is alive. Members say so to the leader, outside the log, and client agents through a member; the leader proposes
//! only what changes, of nodes and of whole regions.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::map::{
    Check, Command, Health, Map, Member, NODE_LIVENESS, Name, Node as CatalogNode, Proposal, Registration,
    Role, TaggedAddress,
};
use super::super::raft::connection::Class;
use super::super::raft::frame::{Alive, Answer, ClientHeartbeat, Denial, MemberError, Request};
use super::super::raft::node::Node;
use super::super::raft::proposer;
use super::heard::{Patience, Word};
use crate::base::clock::{self, Nanos};

/// Changes of client agents in one entry.
const BATCH: usize = 256;

fn mine(node: &Node) -> Alive {
    Alive {
        id: node.id(),
        name: node.name.to_string(),
        address: node.address.clone(),
        api: node.api.clone(),
        region: node.region.to_string(),
        node_id: node.uuid().unwrap_or_default(),
    }
}

pub(super) fn listen(node: &Node, term: u64) {
    node.heard.listen(term, node.contact_ns.load(Ordering::Relaxed), clock::now_ns());
}

/// A member lives.
pub(super) fn alive(node: &Node, alive: Alive) -> Result<Answer, Denial> {
    let news = is_news(&node.view.map(), &alive);
    note(node, alive, None)?;
    if news {
        node.heard.news.notify_one();
    }
    Ok(Answer::Done)
}

/// A member lives, and says why it cannot do its part.
pub(super) fn ailing(node: &Node, alive: Alive, why: String) -> Result<Answer, Denial> {
    let id = alive.id;
    let stands = node.view.map().member(id).is_some_and(|member| member.alive);
    note(node, alive, Some(why))?;
    if stands {
        node.heard.news.notify_one();
    }
    Ok(Answer::Done)
}

/// Tells whoever leads that this member cannot write its log. All are told: who leads may not be known here.
pub(super) async fn tell_ailing(node: &Arc<Node>, why: &str) {
    if node.leads_surely() {
        let _ = note(node, mine(node), Some(why.to_owned()));
        return;
    }
    let request = |node: &Node| Request::Ailing { alive: mine(node), why: why.to_owned() };
    tell_all(node, patience(node).node / 4, request).await;
}

fn note(node: &Node, alive: Alive, ails: Option<String>) -> Result<(), Denial> {
    if !node.leads() {
        return Err(Denial::NotLeader(None));
    }
    let metrics = node.metrics().ok_or(Denial::NoMember)?;
    listen(node, metrics.current_term);
    // One that was removed is not listened to.
    let known = node.view.map().member(alive.id).is_some();
    if !known && metrics.membership_config.membership().get_node(&alive.id).is_none() {
        return Err(MemberError::Unknown(alive.id).into());
    }
    match ails {
        None => node.heard.member(alive, clock::now_ns()),
        Some(why) => node.heard.ails(alive, why, clock::now_ns()),
    }
    Ok(())
}

/// Whether the map says something else of a member than that it lives.
fn is_news(map: &Map, alive: &Alive) -> bool {
    let stands = map.member(alive.id).is_some_and(|member| member.alive) && map.node(&alive.name).is_some();
    !stands || map.outage(&alive.region).is_some_and(|outage| outage.lost)
}

/// A client agent told a member that it lives; the leader is to know.
pub async fn client_alive(node: &Arc<Node>, said: ClientHeartbeat) -> Result<(), Denial> {
    match node.supposed_leader() {
        Some((id, _)) if id == node.id() => client(node, said).await.map(drop),
        Some((_, peer)) => {
            let connection = node.connections.to(&peer.address, Class::Protocol);
            match connection.call(&Request::ClientHeartbeat(said), patience(node).node).await {
                Ok(Answer::Done) => Ok(()),
                Ok(Answer::Denied(denial)) => Err(denial),
                Ok(_) => Err(Denial::Refused("an answer to something else".into())),
                Err(e) => Err(Denial::Refused(format!("the leader, {peer}: {e}"))),
            }
        }
        None => Err(Denial::NotLeader(None)),
    }
}

/// The same, at the leader. A node that is new is in the map when this returns.
pub(super) async fn client(node: &Node, said: ClientHeartbeat) -> Result<Answer, Denial> {
    if !node.leads_surely() {
        return Err(Denial::NotLeader(None));
    }
    listen(node, node.metrics().ok_or(Denial::NoMember)?.current_term);
    let (map, now) = (node.view.map(), clock::now_ns());
    if let Some(member) = map.members().find(|member| *member.name == *said.name) {
        return refused(node, &said, format!("member {} at {}", member.id, member.address));
    }
    let other = map.node(&said.name).filter(|known| !known.id.is_empty() && *known.id != *said.node_id);
    if let Some(known) = other
        && client_lives(node, &map, &said.name, now)
    {
        return refused(node, &said, format!("ID {} at {}", known.id, known.address));
    }
    if !node.heard.client(said.clone(), now) {
        return Err(Denial::Full("too many client agents".into()));
    }
    if map.outage(&said.region).is_some_and(|outage| outage.lost) {
        node.heard.news.notify_one();
    }
    if let Some(command) = due(&map, &said.name, Some(&said), true) {
        proposer::alone(node, command).await?;
    }
    Ok(Answer::Done)
}

/// An agent whose name is another's: both are named, here and where it runs.
fn refused(node: &Node, said: &ClientHeartbeat, holder: String) -> Result<Answer, Denial> {
    let asks = format!("ID {} at {}", said.node_id, said.address);
    let refusal = MemberError::NameOf { name: said.name.clone(), holder, asks };
    if node.heard.refuses(&refusal.to_string(), clock::now_ns()) {
        tracing::warn!("region map: an agent is not heard: {refusal}");
    }
    Err(refusal.into())
}

fn client_lives(node: &Node, map: &Map, name: &str, now: Nanos) -> bool {
    node.heard.client_lives(name, is_passing(map, name), patience(node).node, now)
}

fn is_passing(map: &Map, name: &str) -> bool {
    map.check(name, NODE_LIVENESS).is_some_and(|check| check.status != Health::Critical)
}

fn patience(node: &Node) -> Patience {
    Patience {
        node: Duration::from_millis(node.timing.liveness_ms),
        region: Duration::from_millis(node.timing.region_ms),
    }
}

pub(super) async fn run(node: &Arc<Node>) {
    let mut removed = false;
    let period = patience(node).node;
    // After whatever is waited for, none of which takes more than a quarter of the period.
    let awake = || node.heard.awake(period, clock::now_ns());
    loop {
        awake();
        let mut until_next = None;
        match node.supposed_leader() {
            Some((id, _)) if id == node.id() => {
                // One that cannot write says nothing of anybody.
                if node.trouble().is_none() {
                    let _ = note(node, mine(node), None);
                    watch(node).await;
                }
                awake();
                let now = clock::now_ns();
                until_next = node.heard.next(patience(node), now).map(|at| Duration::from_nanos(at - now));
            }
            Some(_) if node.trouble().is_some() => {}
            Some((_, peer)) => {
                let request = Request::Alive(mine(node));
                let connection = node.connections.to(&peer.address, Class::Protocol);
                let answer = connection.call(&request, period / 4).await;
                awake();
                let unknown = matches!(answer, Ok(Answer::Denied(Denial::Member(MemberError::Unknown(_)))));
                if unknown && !removed {
                    tracing::warn!(
                        "region map: this node was removed from its cluster; to join again it needs an empty data-dir"
                    );
                }
                removed = unknown;
                if !unknown && !matches!(answer, Ok(Answer::Done)) && node.leader().is_none() {
                    // Another may lead since, which does not reach this node where it stood before.
                    tell_all(node, period / 4, |node| Request::Alive(mine(node))).await;
                }
            }
            // It may be known under another address, and then nobody tells it who leads: whoever does takes it.
            None if node.trouble().is_some() => {}
            None => tell_all(node, period / 4, |node| Request::Alive(mine(node))).await,
        }
        awake();
        let map = node.view.map();
        let pause = match map.member(node.id()).and(map.node(&node.name)) {
            // Until one is in the map, others wait for it.
            None => Duration::from_millis(node.timing.heartbeat_ms).min(period / 4),
            Some(_) => period / 4,
        };
        let pause = until_next.map_or(pause, |next| next.min(pause));
        let _ = tokio::time::timeout(pause, node.heard.news.notified()).await;
    }
}

/// Says something of this member to everyone.
async fn tell_all(node: &Arc<Node>, within: Duration, request: impl Fn(&Node) -> Request) {
    let Some(metrics) = node.metrics() else { return };
    let membership = metrics.membership_config.membership();
    let others = membership.nodes().filter(|(id, _)| **id != node.id());
    let mut calls = tokio::task::JoinSet::new();
    for address in others.map(|(_, peer)| peer.address.clone()) {
        let (request, node) = (request(node), node.clone());
        calls.spawn(async move {
            let _ = node.connections.to(&address, Class::Protocol).call(&request, within).await;
        });
    }
    calls.join_all().await;
}

/// The leader's look at everyone: proposes what has changed.
async fn watch(node: &Node) {
    let Some(metrics) = node.metrics() else { return };
    listen(node, metrics.current_term);
    let map = node.view.map();
    let membership = metrics.membership_config.membership();
    let ids: BTreeSet<u64> =
        membership.nodes().map(|(id, _)| *id).chain(map.members().map(|m| m.id)).collect();
    let mut words = Vec::new();
    for id in ids {
        let voter = membership.voter_ids().any(|v| v == id);
        let said = node.heard.said(id);
        if let Some(member) = map.member(id) {
            let at = said.as_ref().map(|(at, _)| *at);
            words.push((member.region.clone(), Word { at, alive: member.alive }));
        }
        let commands = match (map.member(id), said.map(|(_, said)| said)) {
            (None, Some(said)) => vec![Command::MemberPut(first(&said, voter)), registration(&said, None)],
            (Some(member), said) => transitions(node, member, said, &map),
            (None, None) => continue,
        };
        for command in commands {
            if let Err(e) = proposer::alone(node, command).await {
                return tracing::debug!("region map: liveness of member {id}: {e}");
            }
        }
    }
    let mut commands = clients(node, &map, &mut words);
    commands.extend(regions(node, &map, words));
    for batch in commands.chunks(BATCH) {
        let at = proposer::now();
        let proposals = batch.iter().map(|command| Proposal { at, command: command.clone() }).collect();
        if let Err(e) = proposer::alone(node, Command::Batch(proposals)).await {
            return tracing::debug!("region map: liveness: {e}");
        }
    }
}

/// What changes of client agents: nodes whose liveness is watched and that have no seat.
fn clients(node: &Node, map: &Map, words: &mut Vec<(Name, Word)>) -> Vec<Command> {
    let members: BTreeSet<&str> = map.members().map(|member| &*member.name).collect();
    let in_map = map.nodes().filter(|one| map.check(&one.name, NODE_LIVENESS).is_some());
    let mut names: BTreeSet<String> = in_map.map(|one| one.name.to_string()).collect();
    names.extend(node.heard.clients());
    let now = clock::now_ns();
    let mut commands = Vec::new();
    for name in names.iter().filter(|name| !members.contains(name.as_str())) {
        let said = node.heard.client_said(name);
        let lives = client_lives(node, map, name, now);
        let Some(one) = map.node(name) else {
            // It left, or was taken out of the catalog. When it lives it says so again, and that registers it.
            if !lives {
                node.heard.forget_client(name);
            }
            continue;
        };
        let word = Word { at: said.as_ref().map(|(at, _)| *at), alive: is_passing(map, name) };
        words.push((one.region.clone(), word));
        commands.extend(due(map, name, said.as_ref().map(|(_, said)| said), lives));
    }
    commands
}

/// What the catalog lacks of a client agent.
fn due(map: &Map, name: &str, said: Option<&ClientHeartbeat>, lives: bool) -> Option<Command> {
    let standing = map.node(name);
    let same = |said: &ClientHeartbeat| {
        standing.is_some_and(|old| {
            let region = said.region.is_empty() || *old.region == *said.region;
            *old.id == *said.node_id && *old.address == *said.address && region
        })
    };
    match (said, map.check(name, NODE_LIVENESS)) {
        (Some(said), check) if lives && (check.is_none() || !same(said)) => {
            let id = Name::from(said.node_id.as_str());
            let made = CatalogNode {
                id,
                ..described(name, &said.address, &said.region, standing.map(|old| &**old))
            };
            Some(register(made))
        }
        (_, Some(check)) if (check.status != Health::Critical) != lives => Some(stands(name, lives, None)),
        _ => None,
    }
}

/// Which regions are lost, or back.
fn regions(node: &Node, map: &Map, words: Vec<(Name, Word)>) -> Vec<Command> {
    let mut of: BTreeMap<Name, Vec<Word>> = BTreeMap::new();
    for (region, word) in words.into_iter().filter(|(region, _)| !region.is_empty()) {
        of.entry(region).or_default().push(word);
    }
    for outage in map.outages().filter(|outage| outage.lost) {
        of.entry(outage.region.clone()).or_default();
    }
    let (patience, now) = (patience(node), clock::now_ns());
    let mut commands = Vec::new();
    for (name, words) in of {
        let lost = map.outage(&name).is_some_and(|outage| outage.lost);
        let (heard, cause) = match words.len() {
            0 => (Some(true), "none of its nodes is watched any more".to_owned()),
            count => {
                let silence = patience.region.as_millis();
                let cause = match (lost, count) {
                    (true, _) => "a node of it was heard again".to_owned(),
                    (false, 1) => format!("its only node was not heard for {silence} ms"),
                    (false, count) => format!("none of its {count} nodes was heard for {silence} ms"),
                };
                (node.heard.region(&words, patience, now), cause)
            }
        };
        if heard.is_some_and(|heard| heard == lost) {
            commands.push(Command::RegionStands { name, lost: !lost, cause: cause.into() });
        }
    }
    commands
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

fn transitions(node: &Node, member: &Member, said: Option<Alive>, map: &Map) -> Vec<Command> {
    let lives = node.heard.lives(member.id, member.alive, patience(node).node, clock::now_ns());
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
    let standing = map.node(&member.name);
    let check = map.check(&member.name, NODE_LIVENESS);
    match (check, said) {
        (check, Some(said))
            if lives && (check.is_none() || standing.is_none_or(|old| differs(old, &said))) =>
        {
            commands.push(registration(&said, standing.map(|old| &**old)));
        }
        (Some(check), _) if (check.status != Health::Critical) != lives => {
            commands.push(stands(&member.name, lives, node.heard.why(member.id).as_deref()));
        }
        _ => {}
    }
    commands
}

fn stands(name: &str, lives: bool, why: Option<&str>) -> Command {
    let output =
        why.map_or_else(|| output(lives).to_owned(), |why| format!("Agent cannot do its part: {why}"));
    Command::CheckStatus {
        node: name.into(),
        check: NODE_LIVENESS.into(),
        status: if lives { Health::Passing } else { Health::Critical },
        output: output.into(),
    }
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

/// Whether a member's node is to be written anew.
fn differs(old: &CatalogNode, said: &Alive) -> bool {
    // What is not said stays as it is.
    let other = |said: &str, known: &Name| !said.is_empty() && **known != *said;
    other(&said.node_id, &old.id)
        || other(host(&said.address), &old.address)
        || other(&said.region, &old.region)
}

fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// The member as a node of the catalog.
fn registration(said: &Alive, standing: Option<&CatalogNode>) -> Command {
    let node = described(&said.name, host(&said.address), &said.region, standing);
    register(CatalogNode { id: said.node_id.as_str().into(), ..node })
}

/// A node where it says it is, with what else is known of it.
fn described(name: &str, address: &str, region: &str, standing: Option<&CatalogNode>) -> CatalogNode {
    let mut known = standing.cloned().unwrap_or_default();
    for tag in ["lan", "lan_ipv4", "lan_ipv6", "wan", "wan_ipv4", "wan_ipv6"] {
        known.tagged_addresses.remove(tag);
    }
    known.tagged_addresses.extend(automatic(address));
    CatalogNode { name: name.into(), address: address.into(), region: region.into(), ..known }
}

/// The tagged addresses that a node has by itself, as an agent of Consul says them.
fn automatic(address: &str) -> Vec<(Name, TaggedAddress)> {
    let family = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => &["lan", "wan", "lan_ipv4", "wan_ipv4"][..],
        Ok(IpAddr::V6(_)) => &["lan", "wan", "lan_ipv6", "wan_ipv6"],
        Err(_) => &["lan", "wan"],
    };
    let tagged = TaggedAddress { address: address.into(), port: 0 };
    family.iter().map(|tag| (Name::from(*tag), tagged.clone())).collect()
}

fn register(node: CatalogNode) -> Command {
    let check = Check {
        node: node.name.clone(),
        id: NODE_LIVENESS.into(),
        name: "Serf Health Status".into(),
        status: Health::Passing,
        output: output(true).into(),
        ..Check::default()
    };
    Command::Register(Box::new(Registration { node, checks: vec![check], ..Registration::default() }))
}
