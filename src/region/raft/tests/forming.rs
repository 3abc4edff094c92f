//! How clusters come to be.

use super::cluster::*;
use crate::region::raft::frame::{Denial, MemberError, Operation};

#[test]
fn a_lone_node_serves_at_once_and_keeps_what_it_has() {
    let dir = tempfile::tempdir().expect("a directory");
    let alone = || Options { name: "only".into(), data_dir: Some(dir.path().into()), ..Options::default() };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (seat, handle) = start(alone()).expect("a node");
    runtime.block_on(seat.propose(put("a", "1"))).expect("a put");
    handle.shutdown();
    assert_eq!(runtime.block_on(seat.propose(put("a", "2"))), Err(SeatError::Shutdown));
    let (seat, handle) = start(alone()).expect("a node again");
    assert_eq!(value(&seat, "a").as_deref(), Some("1"), "before anyone leads");
    runtime.block_on(seat.propose(put("a", "2"))).expect("a put again");
    drop(handle);
    let (seat, _handle) = start(alone()).expect("a node after a kill");
    runtime.block_on(seat.fresh(Default::default())).expect("a leader");
    assert_eq!(value(&seat, "a").as_deref(), Some("2"));
}

#[test]
fn another_joins_votes_and_leaves() {
    let mut cluster = Cluster::new(1, false);
    let leader = cluster.leader();
    cluster.put(leader, "a", "1").expect("a put");
    for name in ["n2", "n3"] {
        let (listener, address) = free_address();
        cluster.nodes.push(One { name: name.into(), address, dir: None, running: None });
        let last = cluster.nodes.len() - 1;
        let mut options = cluster.options(last, listener);
        options.retry_join = vec![cluster.nodes[0].address.clone()];
        options.worker = name == "n3";
        cluster.nodes[last].running = Some(start(options).expect("a node"));
        until("the map at the new one", || cluster.value(last, "a"));
    }
    let ids: Vec<u64> = (0..3).map(|n| cluster.handle(n).id()).collect();
    let status = until("a second voter", || Some(cluster.seat(0).status()).filter(|s| s.voters.len() == 2));
    assert_eq!((status.voters, status.learners), (vec![1, ids[1]], vec![ids[2]]));
    cluster.put(2, "b", "1").expect("a put of the worker");
    let handle = |n: usize| cluster.handle(n);
    let operate = |n: usize, what| cluster.runtime.block_on(handle(n).operate(what));
    assert_eq!(
        operate(2, Operation::Remove { id: ids[1], force: false }),
        Err(Denial::Member(MemberError::IsManager(ids[1])))
    );
    assert_eq!(
        operate(1, Operation::Remove { id: ids[2], force: false }),
        Err(Denial::Member(MemberError::IsAlive(ids[2])))
    );
    operate(1, Operation::Promote(ids[2])).expect("a promotion");
    until("a third voter", || (cluster.seat(0).status().voters.len() == 3).then_some(()));
    operate(0, Operation::Demote(ids[0])).expect("the leader demoted");
    until("another leader", || cluster.seat(0).leader().filter(|l| l.id != ids[0]));
    operate(0, Operation::Remove { id: ids[0], force: true }).expect("a removal");
    until("two voters", || (cluster.seat(1).status().voters.len() == 2).then_some(()));
    until("it forgotten", || cluster.seat(1).map().member(ids[0]).is_none().then_some(()));
    operate(1, Operation::Demote(ids[2])).expect("a demotion");
    assert_eq!(operate(1, Operation::Demote(ids[1])), Err(Denial::Member(MemberError::LastManager)));
}

#[test]
fn a_member_of_a_lost_cluster_starts_anew_alone() {
    let mut cluster = Cluster::new(3, true);
    let leader = cluster.leader();
    cluster.put(leader, "a", "1").expect("a put");
    let kept = (leader + 1) % 3;
    until("it everywhere", || cluster.value(kept, "a"));
    (0..3).for_each(|n| cluster.kill(n));
    let address = cluster.nodes[kept].address.clone();
    let listener = until("the port again", || TcpListener::bind(&address).ok());
    let options = Options { force_new: true, ..cluster.options(kept, listener) };
    cluster.nodes[kept].running = Some(start(options).expect("a node"));
    assert_eq!(cluster.leader(), kept);
    assert_eq!(cluster.value(kept, "a").as_deref(), Some("1"));
    cluster.put(kept, "a", "2").expect("a put alone");
    assert_eq!(cluster.seat(kept).status().voters.len(), 1);
}

#[test]
fn the_leader_tells_who_is_down_and_up() {
    let mut cluster = Cluster::new(3, true);
    let leader = cluster.leader();
    let seat = cluster.seat(leader);
    let alive = |id: u64| seat.map().member(id).map(|m| m.alive);
    let gone = (leader + 1) % 3;
    let (id, name) = (gone as u64 + 1, cluster.nodes[gone].name.clone());
    let check = || seat.map().check(&name, "serfHealth").map(|c| c.status);
    until("all of them", || check().filter(|_| alive(id) == Some(true)));
    cluster.kill(gone);
    until("it down", || (alive(id) == Some(false)).then_some(()));
    until("its check critical", || (check() == Some(crate::region::map::Health::Critical)).then_some(()));
    cluster.restart(gone);
    until("it up", || (alive(id) == Some(true)).then_some(()));
    until("its check passing", || (check() == Some(crate::region::map::Health::Passing)).then_some(()));
}

#[test]
fn a_wiped_node_comes_back_as_another_member() {
    let mut cluster = Cluster::new(3, true);
    let leader = cluster.leader();
    cluster.put(leader, "a", "1").expect("a put");
    let wiped = (leader + 1) % 3;
    until("all members", || (cluster.seat(leader).map().members().count() == 3).then_some(()));
    let old = cluster.handle(wiped).id();
    cluster.kill(wiped);
    std::fs::remove_dir_all(cluster.nodes[wiped].dir.as_ref().expect("a directory")).expect("gone");
    cluster.restart(wiped);
    until("the map again", || cluster.value(wiped, "a"));
    let new = cluster.handle(wiped).id();
    assert!(new > old.max(3), "{new} was never used");
    let voters = || Some(cluster.seat(leader).status().voters).filter(|v| v.len() == 3 && v.contains(&new));
    assert!(!until("its vote", voters).contains(&old));
}

#[test]
fn another_host_of_a_taken_name_never_takes_the_seat() {
    let mut cluster = Cluster::new(3, true);
    let leader = cluster.leader();
    until("all members", || (cluster.seat(leader).map().members().count() == 3).then_some(()));
    let away = (leader + 1) % 3;
    let id = cluster.handle(away).id();
    let (listener, address) = free_address();
    let other = One { name: cluster.nodes[away].name.clone(), address, dir: None, running: None };
    cluster.nodes.push(other);
    let options = cluster.options(3, listener);
    cluster.nodes[3].running = Some(start(options).expect("a node that looks for its cluster"));
    std::thread::sleep(Duration::from_millis(500));
    cluster.kill(away);
    let alive = |cluster: &Cluster| cluster.seat(leader).map().member(id).map(|member| member.alive);
    until("its death", || (alive(&cluster) == Some(false)).then_some(()));
    std::thread::sleep(Duration::from_millis(4000));
    assert_eq!((cluster.handle(3).id(), alive(&cluster)), (0, Some(false)), "the seat is the dead one's");
    cluster.restart(away);
    until("its return", || (alive(&cluster) == Some(true)).then_some(()));
    assert_eq!((cluster.handle(away).id(), cluster.handle(3).id()), (id, 0));
}

#[test]
fn a_member_may_move_but_not_change_its_name() {
    let mut cluster = Cluster::new(3, true);
    let leader = cluster.leader();
    cluster.put(leader, "a", "1").expect("a put");
    until("all members", || (cluster.seat(leader).map().members().count() == 3).then_some(()));
    let moved = (leader + 1) % 3;
    let id = cluster.handle(moved).id();
    cluster.kill(moved);
    let (listener, address) = free_address();
    let options = Options { name: "other".into(), ..cluster.options(moved, listener) };
    let refused = start(options).err().expect("a refusal").to_string();
    assert!(refused.contains(&cluster.nodes[moved].name), "{refused}");
    let (listener, address) = {
        drop(address);
        free_address()
    };
    cluster.nodes[moved].address = address.clone();
    cluster.start_with(moved, listener);
    let known =
        || cluster.seat(leader).map().member(id).map(|m| m.address.to_string()).filter(|a| *a == address);
    until("its new address in the map", known);
    cluster.put(leader, "a", "2").expect("a put");
    until("what was put since", || (cluster.value(moved, "a")? == "2").then_some(()));
}

#[test]
fn a_member_that_moved_is_found_though_another_leads_since() {
    let mut cluster = Cluster::new(3, true);
    let leader = cluster.leader();
    cluster.put(leader, "a", "1").expect("a put");
    until("all members", || (cluster.seat(leader).map().members().count() == 3).then_some(()));
    let moved = (leader + 1) % 3;
    let id = cluster.handle(moved).id();
    until("it everywhere", || cluster.value(moved, "a"));
    cluster.kill(moved);
    // Whom it takes for the leader is there, and is not it any more.
    cluster.runtime.block_on(cluster.handle(leader).step_down());
    let next = until("another leader", || Some(cluster.leader()).filter(|next| *next != leader));
    let (listener, address) = free_address();
    cluster.nodes[moved].address = address.clone();
    cluster.start_with(moved, listener);
    let seat = cluster.seat(next);
    until("its new address", || {
        seat.map().member(id).map(|m| m.address.to_string()).filter(|a| *a == address)
    });
    until("its vote", || cluster.put(moved, "a", "2").ok());
}
