//! Clusters with an authority of their own: formed by a secret, joined by tokens, closed to everybody else.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::cluster::*;
use crate::region::map::Role;
use crate::region::member::authority::{Authority, Holder, LIFE, RECORD};
use crate::region::member::credential::{Credential, Key};
use crate::region::member::{Admission, Token};

pub struct Nodes {
    pub dir: tempfile::TempDir,
    pub runtime: tokio::runtime::Runtime,
}

pub type Running = (Seat, RaftHandle);

impl Nodes {
    pub fn new() -> Nodes {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        Nodes { dir: tempfile::tempdir().expect("a directory"), runtime }
    }

    pub fn options(&self, name: &str, bind: TcpListener) -> Options {
        let data_dir = Some(self.dir.path().join(name));
        Options { name: name.into(), bind: Some(bind), data_dir, authority: true, ..Options::default() }
    }

    /// A cluster of one, and where it is.
    pub fn first(&self) -> (Running, String) {
        let (listener, address) = free_address();
        let running = start(self.options("n1", listener)).expect("a node");
        assert_eq!(running.1.id(), 0, "it waits");
        self.runtime.block_on(running.1.found()).expect("a cluster");
        (running, address)
    }

    pub fn token(&self, of: &Running, role: Role) -> Token {
        let text = self.runtime.block_on(of.1.join_token(role, false)).expect("a token");
        Token::parse(&text).expect("a token")
    }

    /// A node that waits for an operator.
    pub fn waiting(&self, name: &str) -> Running {
        start(self.options(name, free_address().0)).expect("a node")
    }

    pub fn put(&self, at: &Running, key: &str) {
        self.runtime.block_on(at.0.propose(put(key, "1"))).expect("a put");
    }
}

pub fn role(seat: &Seat, name: &str) -> Option<Role> {
    seat.map().members().find(|m| *m.name == *name).map(|m| m.role)
}

#[test]
fn nodes_join_by_tokens_in_the_role_of_the_token() {
    let nodes = Nodes::new();
    let (one, address) = nodes.first();
    let (manager, worker) = (nodes.token(&one, Role::Manager), nodes.token(&one, Role::Worker));
    let (two, three) = (nodes.waiting("n2"), nodes.waiting("n3"));
    let at = vec![address];
    assert_eq!(nodes.runtime.block_on(two.1.join(manager, at.clone())), Ok(true));
    assert_eq!(nodes.runtime.block_on(three.1.join(worker, at)), Ok(false));
    until("both members", || {
        (role(&one.0, "n2") == Some(Role::Manager) && role(&one.0, "n3") == Some(Role::Worker)).then_some(())
    });
    nodes.put(&two, "a");
    nodes.put(&three, "b");
    until("it everywhere", || value(&one.0, "a").and(value(&three.0, "b")).and(value(&two.0, "b")));
    until("two votes", || (one.0.status().voters.len() == 2).then_some(()));
}

#[test]
fn a_wrong_token_and_one_that_was_rotated_admit_nobody() {
    let nodes = Nodes::new();
    let (one, address) = nodes.first();
    let old = nodes.token(&one, Role::Worker);
    nodes.runtime.block_on(one.1.join_token(Role::Worker, true)).expect("another");
    let two = nodes.waiting("n2");
    let join = |token: Token| nodes.runtime.block_on(two.1.join(token, vec![address.clone()]));
    let why = join(old.clone()).unwrap_err().to_string();
    assert!(why.contains("the join token is not valid: it is wrong or was rotated"), "{why}");
    let other = Token { ca: [7; 32], ..nodes.token(&one, Role::Worker) };
    let why = join(other).unwrap_err().to_string();
    assert!(why.contains("its CA is not the one that the join token names"), "{why}");
    assert_eq!(two.1.id(), 0);
    assert_eq!(join(nodes.token(&one, Role::Worker)), Ok(false));
    let again = join(nodes.token(&one, Role::Worker)).unwrap_err().to_string();
    assert!(again.contains("part of a cluster already"), "{again}");
}

#[test]
fn a_member_that_starts_again_needs_no_token_and_one_that_left_knows_nothing() {
    let nodes = Nodes::new();
    let (one, address) = nodes.first();
    let (worker, at) = (nodes.token(&one, Role::Worker), vec![address]);
    let two = nodes.waiting("n2");
    nodes.runtime.block_on(two.1.join(worker.clone(), at.clone())).expect("joined");
    let id = two.1.id();
    two.1.shutdown();
    drop(two);
    let two = nodes.waiting("n2");
    nodes.put(&two, "a");
    assert_eq!(two.1.id(), id);
    // Members that were renewed believe each other still.
    nodes.runtime.block_on(two.1.leave(false)).expect("a worker may leave");
    until("it gone", || role(&one.0, "n2").is_none().then_some(()));
    two.1.shutdown();
    drop(two);
    let two = nodes.waiting("n2");
    assert_eq!(two.1.id(), 0, "it begins anew");
    nodes.runtime.block_on(two.1.join(worker, at)).expect("joined");
    assert!(two.1.id() > id, "ids are not used again");
    let why = nodes.runtime.block_on(one.1.leave(false)).unwrap_err().to_string();
    assert!(why.starts_with("this node is the last manager"), "{why}");
}

#[test]
fn a_leader_leaves_to_others_and_the_last_that_is_left_by_force() {
    let nodes = Nodes::new();
    let (one, address) = nodes.first();
    let (manager, at) = (nodes.token(&one, Role::Manager), vec![address]);
    let (two, three) = (nodes.waiting("n2"), nodes.waiting("n3"));
    for node in [&two, &three] {
        nodes.runtime.block_on(node.1.join(manager.clone(), at.clone())).expect("joined");
    }
    until("three votes", || (one.0.status().voters.len() == 3).then_some(()));
    let why = nodes.runtime.block_on(one.1.leave(false)).unwrap_err().to_string();
    assert!(why.starts_with("this node is a manager: without it 2 of 3 managers are left"), "{why}");
    assert_eq!(one.0.status().state, RaftState::Leader);
    nodes.runtime.block_on(one.1.leave(true)).expect("left");
    until("two votes", || (two.0.status().voters.len() == 2 && role(&two.0, "n1").is_none()).then_some(()));
    nodes.put(&three, "a");
    // An agent of Consul that ends: the cluster can do without it.
    nodes.runtime.block_on(three.1.depart()).expect("departed");
    until("one vote", || (two.0.status().voters.len() == 1).then_some(()));
    nodes.put(&two, "b");
    // Alone it keeps its place, unless it is told to give up everything.
    nodes.runtime.block_on(two.1.depart()).expect("nothing to do");
    nodes.put(&two, "c");
    nodes.runtime.block_on(two.1.leave(true)).expect("left");
    drop(two);
    assert_eq!(nodes.waiting("n2").1.id(), 0);
}

#[test]
fn a_lone_node_comes_to_have_company() {
    let nodes = Nodes::new();
    let dir = Some(nodes.dir.path().join("n1"));
    let lone = start(Options { name: "n1".into(), data_dir: dir, ..Options::default() }).expect("a node");
    nodes.put(&lone, "a");
    lone.1.shutdown();
    drop(lone);
    let (listener, address) = free_address();
    let one = start(nodes.options("n1", listener)).expect("a node");
    assert_eq!(value(&one.0, "a").as_deref(), Some("1"));
    let token = until("a token", || nodes.runtime.block_on(one.1.join_token(Role::Manager, false)).ok());
    let token = Token::parse(&token).expect("a token");
    let two = nodes.waiting("n2");
    nodes.runtime.block_on(two.1.join(token, vec![address])).expect("joined");
    until("it there", || value(&two.0, "a"));
    nodes.put(&two, "b");
}

#[test]
fn one_that_cannot_tell_the_others_leaves_only_by_force() {
    let nodes = Nodes::new();
    let (one, address) = nodes.first();
    let two = nodes.waiting("n2");
    let token = nodes.token(&one, Role::Manager);
    nodes.runtime.block_on(two.1.join(token, vec![address])).expect("joined");
    until("two votes", || (two.0.status().voters.len() == 2).then_some(()));
    drop(one);
    nodes.runtime.block_on(two.1.depart()).expect_err("nobody to tell");
    assert!(!nodes.dir.path().join("n2/departed").exists(), "it keeps its place");
    nodes.runtime.block_on(two.1.leave(true)).expect("left");
    drop(two);
    assert_eq!(nodes.waiting("n2").1.id(), 0);
}

#[test]
fn a_member_that_was_away_until_its_certificate_was_over_makes_itself_another() {
    let nodes = Nodes::new();
    let (one, address) = nodes.first();
    let two = nodes.waiting("n2");
    nodes.runtime.block_on(two.1.join(nodes.token(&one, Role::Worker), vec![address])).expect("joined");
    nodes.put(&two, "a");
    let id = two.1.id();
    let sealed = one.0.map().secret(RECORD).cloned().expect("the authority");
    let authority = one.0.unseal(RECORD, &sealed).expect("a manager");
    let authority = Authority::from_pem(&authority).expect("the authority");
    two.1.shutdown();
    drop(two);
    let dir = nodes.dir.path().join("n2");
    let key = Key::open(&dir).expect("its key");
    let long_ago = clock::wall() - LIFE * 2;
    let over = authority.issue(&key.request().expect("a request"), Holder { id, name: "n2" }, long_ago);
    Credential::keep(&dir, &over.expect("a certificate")).expect("kept");
    let two = nodes.waiting("n2");
    until("a new certificate", || {
        let kept = Credential::open(&dir).ok().flatten()?;
        kept.check(clock::wall()).ok()
    });
    nodes.put(&two, "b");
    until("it on the first", || value(&one.0, "b"));
}

#[test]
fn who_was_removed_is_shut_out_though_its_certificate_holds() {
    let nodes = Nodes::new();
    let (one, address) = nodes.first();
    let two = nodes.waiting("n2");
    nodes.runtime.block_on(two.1.join(nodes.token(&one, Role::Worker), vec![address])).expect("joined");
    nodes.put(&two, "a");
    nodes.runtime.block_on(one.1.remove(two.1.id(), true)).expect("removed");
    let put = put("b", "1");
    let refused = nodes.runtime.block_on(two.0.propose(put));
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(value(&one.0, "b"), None);
}

#[test]
fn nodes_that_share_a_secret_form_a_cluster_and_no_other_is_part_of_it() {
    let nodes = Nodes::new();
    let (first, second, third) = (free_address(), free_address(), free_address());
    let known = vec![first.1.clone(), second.1.clone(), third.1.clone()];
    let node = |name: &str, listener, secret: &str| {
        let admission = Admission::parse(&secret.repeat(32)).ok();
        let options = nodes.options(name, listener);
        let retry_join = known.clone();
        start(Options { retry_join, expect: Some(3), admission, ..options }).expect("a node")
    };
    let (one, two) = (node("n1", first.0, "a"), node("n2", second.0, "a"));
    let stranger = node("n3", third.0, "b");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!([one.1.id(), two.1.id(), stranger.1.id()], [0, 0, 0]);
    drop(stranger);
    let listener = until("the port again", || TcpListener::bind(&known[2]).ok());
    let three = node("n3", listener, "a");
    until("a leader", || one.0.leader().and(two.0.leader()).and(three.0.leader()));
    nodes.put(&three, "a");
    until("tokens", || nodes.runtime.block_on(two.1.join_token(Role::Worker, false)).ok());
    until("it in the catalog", || (one.0.map().members().count() == 3).then_some(()));
    // The secret was for the founding: it admits nobody later.
    let (listener, _) = free_address();
    let four = node("n4", listener, "a");
    std::thread::sleep(Duration::from_millis(1000));
    assert_eq!(four.1.id(), 0);
    assert_eq!(one.0.map().members().count(), 3);
}

#[test]
fn neither_plain_tcp_nor_a_client_without_a_protocol_gets_in() {
    let nodes = Nodes::new();
    let (one, address) = nodes.first();
    nodes.runtime.block_on(async {
        let mut plain = tokio::net::TcpStream::connect(&address).await.expect("a connection");
        plain.write_all(b"ISOREG2\n").await.expect("written");
        let mut answer = Vec::new();
        let _ = plain.read_to_end(&mut answer).await;
        assert!(!answer.windows(7).any(|w| w == b"ISOREG2"), "{answer:?}");
    });
    nodes.put(&one, "a");
}

#[test]
fn a_worker_neither_leads_nor_speaks_for_who_does() {
    use crate::region::raft::connection::Class;
    use crate::region::raft::frame::{Answer, Append, Denial, Request};
    let nodes = Nodes::new();
    let (one, address) = nodes.first();
    let two = nodes.waiting("n2");
    nodes.runtime.block_on(two.1.join(nodes.token(&one, Role::Worker), vec![address])).expect("joined");
    nodes.put(&two, "a");
    let (leader, worker) = (one.1.node.clone(), two.1.node.clone());
    let at = two.0.map().member(leader.id()).expect("the leader").address.clone();
    let ask = |request: Request| {
        let asked = async {
            worker.connections.to(&at, Class::Protocol).call(&request, Duration::from_secs(5)).await
        };
        match nodes.runtime.block_on(asked) {
            Ok(Answer::Denied(Denial::Refused(why))) => why,
            other => panic!("{other:?}"),
        }
    };
    let vote = |node: u64| crate::region::raft::types::Vote::new_committed(99, node).into();
    let append = |node: u64| {
        Request::Append(Append {
            to: leader.id(),
            vote: vote(node),
            prev: None,
            commit: None,
            entries: Vec::new(),
        })
    };
    assert!(ask(append(leader.id())).contains("another member's name"));
    assert!(ask(append(worker.id())).contains("neither leads"));
    assert!(
        ask(Request::Vote { to: leader.id(), vote: vote(worker.id()), last: None }).contains("neither leads")
    );
    assert!(ask(Request::StandAside { to: leader.id(), vote: vote(worker.id()) }).contains("neither leads"));
    let ends = Request::Call { kind: crate::region::raft::renewals::CALL, body: Default::default() };
    assert!(ask(ends).contains("neither leads"));
    assert_eq!(one.0.status().state, RaftState::Leader);
    nodes.put(&two, "b");
}
