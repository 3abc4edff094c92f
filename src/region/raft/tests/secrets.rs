//! Managers alone hold the cluster's secrets: workers never, and those who were managers not what comes after.

use bytes::Bytes;

use super::cluster::*;
use super::trust::{Nodes, Running, role};
use crate::region::map::{Command, Role};
use crate::region::member::authority::{Authority, CROSS, Holder, RECORD, ROOTS, from_pem};
use crate::region::member::credential::{Credential, Key};
use crate::region::member::ring::{FILE, Keys};
use crate::region::member::token::{Secret, record_of};
use crate::region::member::{Token, Trust};
use crate::region::raft::Operation;
use crate::region::raft::connection::{Class, Connections};
use crate::region::raft::frame::{Answer, AskedKeys, Request};

const PATIENCE: Duration = Duration::from_secs(5);

/// A manager that leads, another, and workers; where the first is.
fn cluster(nodes: &Nodes, names: &[(&str, Role)]) -> (Vec<Running>, String) {
    let (one, address) = nodes.first();
    let mut all = vec![one];
    for (name, role) in names {
        let token = nodes.token(&all[0], *role);
        let other = nodes.waiting(name);
        nodes.runtime.block_on(other.1.join(token, vec![address.clone()])).expect("joined");
        all.push(other);
    }
    let voters = 1 + names.iter().filter(|(_, role)| *role == Role::Manager).count();
    until("the votes", || (all[0].0.status().voters.len() == voters).then_some(()));
    (all, address)
}

fn unsealed(of: &Running, name: &str) -> Option<Bytes> {
    of.0.unseal(name, &of.0.map().secret(name).cloned()?)
}

fn authority(of: &Running) -> Option<Authority> {
    Authority::from_pem(&unsealed(of, RECORD)?).ok()
}

fn keys(of: &Running) -> Keys {
    of.1.node.trust.as_ref().expect("an authority").ring().above(0)
}

/// A manager has the keys that are in use.
fn keeps(of: &Running) -> Option<()> {
    authority(of).map(drop)
}

fn roots(of: &Running) -> usize {
    let text = of.0.map().secret(ROOTS).cloned().unwrap_or_default();
    from_pem(&text).expect("certificates").len()
}

/// Everything in a directory.
fn contents(dir: &std::path::Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => all.extend(contents(&path)),
            false => all.extend(std::fs::read(path).expect("a file")),
        }
    }
    all
}

fn holds(text: &[u8], what: &[u8]) -> bool {
    what.len() >= 16 && text.windows(what.len()).any(|w| w == what)
}

/// What nobody but managers may have: each as bytes, and as it is written.
fn secrets(of: &Running, nodes: &Nodes) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let pem = String::from_utf8(unsealed(of, RECORD).expect("a manager").to_vec()).expect("PEM");
    let key = pem.split("PRIVATE KEY-----").nth(1).expect("a key").trim();
    let line = key.lines().nth(1).expect("a second line");
    all.push(("the authority's key, as PEM".into(), line.as_bytes().to_vec()));
    let parsed = crate::tls::Pem::parse("authority", pem.as_bytes()).expect("PEM").key().expect("a key").1;
    let der = parsed.secret_der().to_vec();
    // The private number of a P-256 key begins at byte 36 of PKCS #8.
    all.push(("the authority's key".into(), der[36..68].to_vec()));
    for role in [Role::Manager, Role::Worker] {
        let secret = unsealed(of, record_of(role)).expect("a manager");
        all.push((format!("the secret of {role:?}s"), secret.to_vec()));
        let token = nodes.token(of, role).to_string();
        let written = token.rsplit('-').next().expect("a secret").as_bytes().to_vec();
        all.push((format!("the token of {role:?}s"), written));
    }
    for key in keys(of).values() {
        all.push(("a key of the secrets".into(), postcard::to_stdvec(key).expect("bytes")));
    }
    all
}

#[test]
fn a_worker_is_never_told_a_secret() {
    let nodes = Nodes::new();
    let (all, _) = cluster(&nodes, &[("n2", Role::Manager), ("n3", Role::Worker)]);
    let (one, two, three) = (&all[0], &all[1], &all[2]);
    until("the keys at the second manager", || keeps(two));
    let sealed = nodes.runtime.block_on(three.0.seal("token/x".into(), "an API token of a client".into()));
    let sealed = sealed.expect("a manager seals it").expect("there are keys");
    nodes
        .runtime
        .block_on(three.0.propose(Command::SecretPut { name: "own".into(), value: sealed.clone() }))
        .expect_err("a worker changes no secret");
    let kept = put("token", std::str::from_utf8(&[b'x'; 4]).expect("text"));
    nodes.runtime.block_on(one.0.propose(kept)).expect("a put");
    nodes.runtime.block_on(one.1.snapshot());
    nodes.put(one, "after");
    until("it at the worker", || value(&three.0, "after"));
    for manager in [one, two] {
        assert_eq!(manager.0.unseal("token/x", &sealed).as_deref(), Some(&b"an API token of a client"[..]));
        assert_eq!(manager.0.unseal("token/y", &sealed), None);
    }
    assert_eq!(three.0.unseal("token/x", &sealed), None);
    assert!(keys(three).is_empty() && authority(three).is_none());
    let why = nodes.runtime.block_on(three.1.join_token(Role::Worker, false)).unwrap_err().to_string();
    assert!(why.contains("no manager"), "{why}");
    // What it was told is its map, and what it wrote.
    let mut seen = contents(&nodes.dir.path().join("n3"));
    let mut snapshot = Vec::new();
    three.0.map().write_snapshot(&mut snapshot).expect("a snapshot");
    seen.extend(snapshot);
    let manager = contents(&nodes.dir.path().join("n1"));
    let all = secrets(one, &nodes);
    assert!(all.len() >= 7);
    for (name, secret) in &all {
        assert!(!holds(&seen, secret), "a worker has {name}");
    }
    assert!(all.iter().any(|(_, secret)| holds(&manager, secret)), "the search finds what is there");
}

#[test]
fn a_worker_that_asks_gets_no_keys_and_changes_no_members() {
    let nodes = Nodes::new();
    let (all, address) = cluster(&nodes, &[("n2", Role::Worker)]);
    let worker = &all[1];
    let ask = |request: Request| {
        let way = worker.1.node.connections.clone();
        let address = address.clone();
        let asked = worker
            .1
            .runtime
            .spawn(async move { way.to(&address, Class::Bulk).call(&request, PATIENCE).await });
        nodes.runtime.block_on(asked).expect("a task").expect("an answer")
    };
    let id = worker.1.id();
    for request in [
        Request::Keys(AskedKeys { above: 0, holds: 0 }),
        Request::Operate(Operation::Promote(id)),
        Request::Operate(Operation::RotateAuthority),
    ] {
        let text = format!("{request:?}");
        assert!(matches!(ask(request), Answer::Denied(_)), "{text}");
    }
    let member = all[0].0.map().member(id).map(|m| (**m).clone()).expect("it");
    let promoted = Command::MemberPut(crate::region::map::Member { role: Role::Manager, ..member });
    nodes.runtime.block_on(worker.0.propose(promoted)).expect_err("it makes itself no manager");
    assert_eq!(role(&all[0].0, "n2"), Some(Role::Worker));
}

#[test]
fn who_was_demoted_reads_nothing_that_comes_after_and_signs_nothing_that_is_believed() {
    let nodes = Nodes::new();
    let (all, address) = cluster(&nodes, &[("n2", Role::Manager), ("n3", Role::Manager)]);
    let (one, three) = (&all[0], &all[2]);
    until("the keys everywhere", || all.iter().all(|node| keeps(node).is_some()).then_some(()));
    // What one keeps that means ill.
    let (stolen, old) = (keys(three), authority(three).expect("a manager"));
    let token = nodes.token(three, Role::Manager);
    nodes.runtime.block_on(one.1.demote(three.1.id())).expect("demoted");
    until("another authority", || (authority(one)?.digest() != old.digest()).then_some(()));
    until("it has forgotten them", || keys(three).is_empty().then_some(()));
    assert!(!nodes.dir.path().join("n3").join(FILE).exists());
    let thief = tempfile::tempdir().expect("a directory");
    let trust = Trust::open(thief.path(), None).expect("a key");
    trust.ring().add(stolen).expect("kept");
    for name in [RECORD, record_of(Role::Manager), record_of(Role::Worker)] {
        let sealed = three.0.map().secret(name).cloned().expect("a record");
        assert_eq!(trust.ring().unseal(name, &sealed), None, "{name}");
    }
    let now = unsealed(one, record_of(Role::Manager)).and_then(|bytes| Secret::from_bytes(&bytes));
    assert!(!now.expect("a manager").is(&token.secret), "the join tokens are others");
    // As the first manager, with a certificate of its own making: at once, and when the old authority is gone.
    let forged = |trust: &std::sync::Arc<Trust>| {
        trust.issue_own(&old, one.1.id(), "n1").expect("a certificate");
        let connections = Connections::new(trust.members());
        let request = Request::Keys(AskedKeys { above: 0, holds: 0 });
        let address = address.clone();
        nodes
            .runtime
            .block_on(async move { connections.to(&address, Class::Bulk).call(&request, PATIENCE).await })
    };
    let answer = forged(&trust);
    assert!(answer.is_err(), "{answer:?}");
    until("the old authority believed no more", || (roots(one) == 1).then_some(()));
    let answer = forged(&trust);
    assert!(answer.is_err(), "{answer:?}");
    // The others are well, and so is the one that was demoted.
    nodes.put(&all[1], "a");
    nodes.put(three, "b");
    until("it everywhere", || value(&three.0, "b").and(value(&one.0, "b")));
    // Promoted again it is told.
    nodes.runtime.block_on(one.1.promote(three.1.id())).expect("promoted");
    until("the keys again", || keeps(three));
}

#[test]
fn the_authority_is_replaced_while_a_member_is_away() {
    let nodes = Nodes::new();
    let (mut all, address) = cluster(&nodes, &[("n2", Role::Worker), ("n3", Role::Manager)]);
    let before = authority(&all[0]).expect("a manager").digest();
    let token = nodes.token(&all[0], Role::Worker);
    let away = all.remove(1);
    away.1.shutdown();
    drop(away);
    until("the keys at the second manager", || keeps(&all[1]));
    nodes.runtime.block_on(all[0].1.rotate_authority()).expect("rotated");
    let after = authority(&all[0]).expect("a manager").digest();
    assert!(before != after && roots(&all[0]) == 2);
    let certificate = |name: &str| Credential::open(&nodes.dir.path().join(name)).ok().flatten();
    let signer = |name: &str| Some(crate::region::member::token::digest_of(certificate(name)?.chain.get(1)?));
    until("certificates of the new one", || {
        (signer("n1") == Some(after) && signer("n3") == Some(after)).then_some(())
    });
    nodes.put(&all[1], "a");
    // The links of before end with their processes: what follows is shown the new certificates alone.
    let back = nodes.waiting("n2");
    until("it there", || value(&back.0, "a"));
    until("its certificate of the new one", || (signer("n2") == Some(after)).then_some(()));
    until("the old one believed no more", || (roots(&all[0]) == 1 && roots(&back) == 1).then_some(()));
    assert!(all[0].0.map().secret(CROSS).is_none());
    nodes.put(&back, "b");
    until("it everywhere", || value(&all[0].0, "b").and(value(&all[1].0, "b")));
    let late = nodes.waiting("n4");
    let why = nodes.runtime.block_on(late.1.join(token, vec![address.clone()])).unwrap_err().to_string();
    assert!(why.contains("its CA is not the one that the join token names"), "{why}");
    let token = nodes.token(&all[0], Role::Worker);
    assert_eq!(nodes.runtime.block_on(late.1.join(token, vec![address])), Ok(false));
}

#[test]
fn a_worker_that_is_all_that_is_left_founds_a_new_authority() {
    let nodes = Nodes::new();
    let (mut all, _) = cluster(&nodes, &[("n2", Role::Worker)]);
    nodes.put(&all[1], "a");
    let before = authority(&all[0]).expect("a manager").digest();
    let worker = all.remove(1);
    worker.1.shutdown();
    drop((worker, all));
    let (listener, address) = free_address();
    let options = Options { force_new: true, ..nodes.options("n2", listener) };
    let alone = start(options).expect("a node");
    let after = until("an authority", || authority(&alone)).digest();
    assert_ne!(before, after);
    assert_eq!(value(&alone.0, "a").as_deref(), Some("1"));
    let text = until("a token", || nodes.runtime.block_on(alone.1.join_token(Role::Manager, false)).ok());
    let other = nodes.waiting("n5");
    let token = Token::parse(&text).expect("a token");
    until("its own certificate", || {
        let own = Credential::open(&nodes.dir.path().join("n2")).ok().flatten()?;
        (crate::region::member::token::digest_of(own.chain.get(1)?) == after).then_some(())
    });
    nodes.runtime.block_on(other.1.join(token, vec![address])).expect("joined");
    nodes.put(&other, "b");
    until("it there", || value(&alone.0, "b"));
}

#[test]
fn a_certificate_is_renewed_for_the_members_own_key_alone() {
    let nodes = Nodes::new();
    let (all, address) = cluster(&nodes, &[("n2", Role::Worker)]);
    let (dialer, id) = (authority(&all[0]).expect("a manager").digest(), all[1].1.id());
    let ask = |request: Bytes, id: u64| {
        let dialer = crate::region::member::joining(dialer).expect("a dialer");
        let (connections, address) = (Connections::new(dialer), address.clone());
        let request = Request::Certify { id, request };
        let asked = async move { connections.to(&address, Class::Bulk).call(&request, PATIENCE).await };
        nodes.runtime.block_on(asked).expect("an answer")
    };
    let own = all[1].1.node.trust.as_ref().expect("an authority").request();
    let other = Key::generate().expect("a key").request().expect("a request");
    assert!(matches!(ask(own.clone(), id), Answer::Certified(_)));
    assert!(matches!(ask(other, id), Answer::Denied(_)), "another key");
    assert!(matches!(ask(own.clone(), id + 1), Answer::Denied(_)), "another member");
    let holder = Holder { id: 1, name: "n1" };
    assert!(matches!(ask(own, holder.id), Answer::Denied(_)), "a manager");
}
