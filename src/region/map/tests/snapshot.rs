//! Bytes: what is written now is read for ever, and what is damaged is refused.

use std::collections::BTreeMap;
use std::fmt::Write;

use expect_test::{ExpectFile, expect_file};
use proptest::prelude::*;

use super::support::*;
use crate::region::map::codec::{self, CodecError};
use crate::region::map::*;

fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    for row in bytes.chunks(64) {
        row.iter().for_each(|byte| write!(out, "{byte:02x}").unwrap());
        out.push('\n');
    }
    out
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn probes() -> Vec<Probe> {
    let address = || name("10.0.0.1:80");
    vec![
        Probe::None,
        Probe::Ttl { ms: 30_000 },
        Probe::Http {
            url: name("http://10.0.0.1/"),
            method: name("GET"),
            header: BTreeMap::from([(name("Host"), names(&["a"]))]),
            body: name(""),
            skip_verify: true,
            no_redirects: false,
        },
        Probe::Tcp { address: address(), tls: false },
        Probe::Udp { address: address() },
        Probe::Grpc { address: address(), tls: true, skip_verify: false },
        Probe::Alias { node: name("n"), service_id: name("web") },
        Probe::Script { args: names(&["/bin/true", "-x"]) },
    ]
}

fn registrations() -> Vec<Command> {
    let pairs = |key: &str, value: &str| Pairs::from([(name(key), name(value))]);
    let lan = TaggedAddress { address: name("10.1.0.1"), port: 81 };
    let full = Node {
        id: name("4d1f"),
        tagged_addresses: TaggedAddresses::from([(name("lan"), lan)]),
        meta: pairs("rack", "7"),
        region: name("eu"),
        ..node("n")
    };
    let web = Instance {
        kind: name("connect-proxy"),
        tags: names(&["v1"]).into(),
        address: name("10.0.0.2"),
        meta: pairs("version", "2"),
        weights: Weights { passing: 10, warning: 300 },
        enable_tag_override: true,
        ..instance("n", "web", "web")
    };
    let checks = probes().into_iter().enumerate().map(|(n, probe)| {
        let status = [Health::Passing, Health::Warning, Health::Critical][n % 3];
        let definition = Definition {
            probe,
            interval_ms: 10_000,
            timeout_ms: 1_000,
            deregister_after_ms: 60_000,
            success_before_passing: 1,
            failures_before_warning: 2,
            failures_before_critical: 3,
        };
        let definition = Some(definition.into());
        let owner = if n % 2 == 0 { "web" } else { "" };
        let notes = name("notes");
        Check { definition, notes, output: name("ok"), ..check("n", &format!("c{n}"), owner, status) }
    });
    let all = Registration {
        node: full,
        skip_node_update: false,
        instance: Some(web),
        checks: checks.collect(),
        replace_checks: true,
    };
    vec![register(all), put_node("m"), gone("m", None, None), status("n", "c1", Health::Passing)]
}

fn keys() -> Vec<Command> {
    let locked = Session {
        name: name("lock"),
        service_checks: names(&["c0"]),
        behavior: Behavior::Delete,
        ttl_ms: 10_000,
        lock_delay_ms: 15_000,
        ..session("s", "n", &["c1"])
    };
    let held = Session { lock_delay_ms: 15_000, ..session("t", "n", &[]) };
    vec![
        Command::SessionCreate(locked),
        Command::SessionCreate(held),
        set("a", "1"),
        kv("b", "2", PutWhen::Cas(0)),
        acquire("b", "s"),
        acquire("c", "t"),
        kv("b", "3", PutWhen::Release(name("s"))),
        acquire("b", "s"),
        delete("a", DeleteWhen::Always),
        delete("x", DeleteWhen::Cas(300)),
        delete("y", DeleteWhen::Tree),
        Command::SessionDestroy { id: name("t") },
    ]
}

fn ops() -> Vec<TxnOp> {
    let key = || name("b");
    let (n, web, c1) = (|| name("n"), || name("web"), || name("c1"));
    vec![
        TxnOp::KvPut { key: name("d"), value: "4".into(), flags: 5, when: PutWhen::Always },
        TxnOp::KvDelete { key: name("e"), when: DeleteWhen::Always },
        TxnOp::KvGet { key: key() },
        TxnOp::KvGetTree { key: key() },
        TxnOp::KvCheckIndex { key: key(), index: 12 },
        TxnOp::KvCheckSession { key: key(), session: name("s") },
        TxnOp::KvCheckNotExists { key: name("z") },
        TxnOp::SessionDestroy { id: name("z") },
        TxnOp::NodePut { node: node("o"), cas: Some(0) },
        TxnOp::NodeDelete { name: name("o"), cas: None },
        TxnOp::NodeGet { name: n() },
        TxnOp::ServicePut { instance: instance("n", "db", "db"), cas: Some(0) },
        TxnOp::ServiceDelete { node: n(), id: name("db"), cas: None },
        TxnOp::ServiceGet { node: n(), id: web() },
        TxnOp::CheckPut { check: check("n", "d", "", Health::Passing), cas: None },
        TxnOp::CheckDelete { node: n(), id: name("d"), cas: None },
        TxnOp::CheckGet { node: n(), id: c1() },
    ]
}

fn tables() -> Vec<Command> {
    let query = |id: &str| Query {
        id: name(id),
        name: name(id),
        session: name("s"),
        definition: "{}".into(),
        ..Query::default()
    };
    let event = Event {
        id: name("e"),
        name: name("deploy"),
        payload: "p".into(),
        node_filter: name("n"),
        service_filter: name("s"),
        tag_filter: name("t"),
        index: 0,
    };
    let region = |text: &str, state| Region {
        name: name(text),
        location: Some((53.35, -6.26)),
        countries: names(&["IE"]),
        networks: names(&["10.0.0.0/8"]),
        state,
        failover: names(&["us"]),
        ..Region::default()
    };
    let member = |text: &str, role, availability| {
        let (address, api) = (name("10.0.0.1:7400"), name("127.0.0.1:8500"));
        let (region, key) = (name("eu"), name("aa"));
        Member {
            name: name(text),
            address,
            api,
            region,
            role,
            availability,
            alive: true,
            key,
            ..Member::default()
        }
    };
    let document = |text: &str, expected| Command::DocumentPut {
        name: name(text),
        text: "backend b".into(),
        author: name("me"),
        expected,
    };
    vec![
        Command::QueryPut(query("q")),
        Command::QueryPut(query("r")),
        Command::QueryDelete { id: name("r") },
        Command::EventFire(event),
        Command::RegionPut(region("eu", RegionState::Active)),
        Command::RegionPut(region("us", RegionState::Passive)),
        Command::RegionPut(region("ap", RegionState::Drain)),
        Command::RegionDelete { name: name("us") },
        Command::MemberPut(member("lb1", Role::Manager, Availability::Active)),
        Command::MemberPut(member("lb2", Role::Worker, Availability::Pause)),
        Command::MemberPut(member("lb3", Role::Worker, Availability::Drain)),
        Command::MemberDelete { id: 999 },
        Command::SecretPut { name: name("ca"), value: "pem".into() },
        document("main", None),
        document("main", Some(1)),
        document("old", None),
        Command::DocumentDelete { name: name("old") },
        Command::Nothing,
    ]
}

/// Every command, each as an entry of a batch.
fn everything() -> Vec<Command> {
    let mut all = registrations();
    all.extend(keys());
    all.push(Command::Txn(ops()));
    all.extend(tables());
    all
}

fn entry() -> Proposal {
    let stamp = |(n, command): (u64, Command)| Proposal { at: 1_700_000_000_000 + n, command };
    Proposal { at: 1, command: Command::Batch((0..).zip(everything()).map(stamp).collect()) }
}

fn full_map() -> Map {
    let mut map = Map::default();
    let Reply::Batch(replies) = map.apply(1, entry(), &mut Vec::new()) else { panic!("a batch") };
    let refused: Vec<&Reply> = replies.iter().filter(|reply| matches!(reply, Reply::Refused(_))).collect();
    assert_eq!(refused, [&Reply::Refused(Refusal::UnknownMember(999))]);
    map
}

fn written(map: &Map) -> Vec<u8> {
    let mut bytes = Vec::new();
    map.write_snapshot(&mut bytes).unwrap();
    bytes
}

fn stored(file: &ExpectFile) -> Vec<u8> {
    bytes(&file.data())
}

#[test]
fn a_proposal_has_the_bytes_it_always_had() {
    let file = expect_file!["proposal.v1.hex"];
    file.assert_eq(&hex(&codec::encode(&entry()).unwrap()));
    assert_eq!(codec::decode::<Proposal>(&stored(&file)).unwrap(), entry());
}

#[test]
fn a_snapshot_has_the_bytes_it_always_had() {
    let file = expect_file!["snapshot.v1.hex"];
    file.assert_eq(&hex(&written(&full_map())));
    assert_eq!(Map::read_snapshot(&stored(&file)[..]).unwrap(), full_map());
}

#[test]
fn a_record_that_cannot_be_read_says_why() {
    let mut bytes = codec::encode(&Proposal { at: 1, command: Command::Nothing }).unwrap();
    bytes.push(0);
    assert!(matches!(codec::decode::<Proposal>(&bytes), Err(CodecError::Trailing(1))));
    bytes[0] = 2;
    let newer = codec::decode::<Proposal>(&bytes).unwrap_err();
    assert!(matches!(newer, CodecError::Version(2)));
    assert!(newer.to_string().contains("written by a newer Isobar"));
    assert!(matches!(codec::decode::<Proposal>(&[]), Err(CodecError::Empty)));
    assert!(matches!(codec::decode::<Proposal>(&[1, 0xff]), Err(CodecError::Malformed(_))));
}

#[test]
fn no_depth_of_batches_overflows() {
    let batch = |proposals| Proposal { at: 0, command: Command::Batch(proposals) };
    let nested = codec::encode(&batch(vec![batch(vec![])])).unwrap();
    assert!(matches!(codec::decode::<Proposal>(&nested), Err(CodecError::Malformed(_))));
    // Version, then for each level: time 0, command 0 (a batch) and its length 1.
    let deep: Vec<u8> = std::iter::once(1).chain([0, 0, 1].repeat(1_000_000)).collect();
    assert!(codec::decode::<Proposal>(&deep).is_err());
    let flat = codec::encode(&batch(vec![])).unwrap();
    assert_eq!(codec::decode::<Proposal>(&flat).unwrap(), batch(vec![]), "and reading goes on");
    let mut map = Map::default();
    let reply = map.apply(1, batch(vec![batch(vec![])]), &mut Vec::new());
    assert!(matches!(&reply, Reply::Batch(replies) if matches!(replies[0], Reply::Refused(_))));
}

#[test]
fn a_snapshot_cut_anywhere_is_refused() {
    let bytes = written(&full_map());
    for end in 0..bytes.len() {
        let error = Map::read_snapshot(&bytes[..end]).unwrap_err();
        assert!(matches!(error, SnapshotError::Truncated(_)), "cut at {end}: {error}");
    }
}

#[test]
fn a_snapshot_with_a_wrong_byte_is_refused() {
    let good = written(&full_map());
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        assert!(Map::read_snapshot(&bad[..]).is_err(), "byte {at}");
    }
    let mut newer = good;
    newer[8] = 2;
    let error = Map::read_snapshot(&newer[..]).unwrap_err();
    assert!(error.to_string().contains("written by a newer Isobar"), "{error}");
    assert!(matches!(Map::read_snapshot(&b"something else"[..]), Err(SnapshotError::NotOne)));
}

/// One frame that claims to be whole, whatever is in it.
fn framed(payload: &[u8]) -> Vec<u8> {
    let mut bytes = b"ISOBARMP\x01".to_vec();
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(crc32fast::hash(payload).to_le_bytes());
    bytes.extend(payload);
    bytes
}

proptest! {
    #[test]
    fn records_that_do_not_fit_together_are_refused_or_harmless(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let good = written(&full_map());
        let mut payload = good[17..].to_vec();
        prop_assert_eq!(framed(&payload), good);
        for (at, byte) in changes {
            *at.get_mut(&mut payload) = byte;
        }
        if let Ok(mut map) = Map::read_snapshot(&framed(&payload)[..]) {
            map.apply(1, entry(), &mut Vec::new());
            map.apply(2, Proposal { at: u64::MAX, command: gone("n", None, None) }, &mut Vec::new());
            prop_assert!(map.node("n").is_none());
        }
    }

    #[test]
    fn a_proposal_of_any_bytes_is_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = codec::encode(&entry()).unwrap();
        for (at, byte) in changes {
            *at.get_mut(&mut bytes) = byte;
        }
        if let Ok(proposal) = codec::decode::<Proposal>(&bytes) {
            Map::default().apply(1, proposal, &mut Vec::new());
        }
    }
}

#[test]
fn a_snapshot_cut_between_frames_is_refused() {
    let mut world = World::default();
    for n in 0..40 {
        world.done(set(&format!("k{n}"), &"v".repeat(10_000)));
    }
    let bytes = written(&world.map);
    assert_eq!(Map::read_snapshot(&bytes[..]).unwrap(), world.map);
    let (mut at, mut frames) = (9, 0);
    while at < bytes.len() {
        let error = Map::read_snapshot(&bytes[..at]).unwrap_err();
        assert!(matches!(error, SnapshotError::Truncated(_)), "{error}");
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        assert!(length < 80_000, "a frame of {length}");
        at += 8 + length as usize;
        frames += 1;
    }
    assert!(frames > 5);
}
