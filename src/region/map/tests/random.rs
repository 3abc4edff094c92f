//! Random commands: whatever they are, two maps agree, no index goes back, and what moved was said to be touched.

use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::select;

use super::support::*;
use crate::region::map::*;

const NODES: [&str; 3] = ["n1", "n2", "n3"];
const IDS: [&str; 3] = ["a", "b", "c"];
const KEYS: [&str; 6] = ["k", "k/1", "k/2", "k/2/x", "l", ""];

fn any_name(of: &'static [&'static str]) -> impl Strategy<Value = Name> {
    select(of).prop_map(name)
}

fn any_health() -> impl Strategy<Value = Health> {
    select(&[Health::Passing, Health::Warning, Health::Critical])
}

fn any_node() -> impl Strategy<Value = Node> {
    (any_name(&NODES), any_name(&["", "1", "2"]), any_name(&["10.0.0.1", "10.0.0.2"]))
        .prop_map(|(name, id, address)| Node { id, name, address, ..Node::default() })
}

fn any_instance() -> impl Strategy<Value = Instance> {
    let tags = prop::collection::vec(any_name(&["t", "u"]), 0..3);
    (any_name(&NODES), any_name(&IDS), any_name(&["web", "db", "x"]), tags).prop_map(
        |(node, id, service, tags)| Instance { node, id, service, tags: tags.into(), ..Instance::default() },
    )
}

fn any_check() -> impl Strategy<Value = Check> {
    let owner = any_name(&["", "a", "b"]);
    (any_name(&NODES), any_name(&[NODE_LIVENESS, "d", "e"]), owner, any_health())
        .prop_map(|(node, id, service_id, status)| Check { node, id, service_id, status, ..Check::default() })
}

fn any_registration() -> impl Strategy<Value = Registration> {
    let instance = prop::option::of(any_instance());
    let checks = prop::collection::vec(any_check(), 0..3);
    (any_node(), any::<bool>(), instance, checks, any::<bool>(), 0..8u8).prop_map(
        |(node, skip_node_update, instance, mut checks, replace_checks, stray)| {
            for check in checks.iter_mut().filter(|_| stray > 0) {
                check.node = node.name.clone();
            }
            Registration { node, skip_node_update, instance, checks, replace_checks }
        },
    )
}

fn any_session() -> impl Strategy<Value = Session> {
    let checks = prop::collection::vec(any_name(&[NODE_LIVENESS, "d", "e"]), 0..2);
    (any_name(&IDS), any_name(&NODES), checks, any::<bool>(), 0..4000u64).prop_map(
        |(id, node, node_checks, delete, lock_delay_ms)| {
            let behavior = if delete { Behavior::Delete } else { Behavior::Release };
            Session { id, node, node_checks, behavior, lock_delay_ms, ..Session::default() }
        },
    )
}

fn any_put_when() -> impl Strategy<Value = PutWhen> {
    prop_oneof![
        3 => Just(PutWhen::Always),
        1 => (0..40u64).prop_map(PutWhen::Cas),
        3 => any_name(&IDS).prop_map(PutWhen::Acquire),
        1 => any_name(&IDS).prop_map(PutWhen::Release),
    ]
}

fn any_delete_when() -> impl Strategy<Value = DeleteWhen> {
    prop_oneof![
        2 => Just(DeleteWhen::Always),
        1 => (0..40u64).prop_map(DeleteWhen::Cas),
        1 => Just(DeleteWhen::Tree),
    ]
}

fn any_value() -> impl Strategy<Value = Bytes> {
    select(&["", "x", "y"]).prop_map(|text| Bytes::from_static(text.as_bytes()))
}

fn any_op() -> impl Strategy<Value = TxnOp> {
    let key = || any_name(&KEYS);
    let node = || any_name(&NODES);
    let cas = || prop::option::weighted(0.2, 0..40u64);
    prop_oneof![
        (key(), any_value(), any_put_when()).prop_map(|(key, value, when)| TxnOp::KvPut {
            key,
            value,
            flags: 0,
            when
        }),
        (key(), any_delete_when()).prop_map(|(key, when)| TxnOp::KvDelete { key, when }),
        key().prop_map(|key| TxnOp::KvGetTree { key }),
        any_name(&IDS).prop_map(|id| TxnOp::SessionDestroy { id }),
        (any_node(), cas()).prop_map(|(node, cas)| TxnOp::NodePut { node, cas }),
        (node(), cas()).prop_map(|(name, cas)| TxnOp::NodeDelete { name, cas }),
        (any_instance(), cas()).prop_map(|(instance, cas)| TxnOp::ServicePut { instance, cas }),
        (node(), any_name(&IDS), cas()).prop_map(|(node, id, cas)| TxnOp::ServiceDelete { node, id, cas }),
        (any_check(), cas()).prop_map(|(check, cas)| TxnOp::CheckPut { check, cas }),
    ]
}

fn any_catalog_command() -> impl Strategy<Value = Command> {
    let id = || prop::option::weighted(0.5, any_name(&IDS));
    prop_oneof![
        6 => any_registration().prop_map(|what| Command::Register(Box::new(what))),
        2 => (any_name(&NODES), id(), id()).prop_map(|(node, service_id, check_id)| {
            Command::Deregister(Deregistration { node, service_id, check_id })
        }),
        4 => (any_name(&NODES), any_name(&[NODE_LIVENESS, "d", "e"]), any_health()).prop_map(
            |(node, check, status)| Command::CheckStatus { node, check, status, output: name("") }
        ),
    ]
}

fn any_key_command() -> impl Strategy<Value = Command> {
    let key = || any_name(&KEYS);
    prop_oneof![
        5 => (key(), any_value(), any_put_when())
            .prop_map(|(key, value, when)| Command::KvPut { key, value, flags: 0, when }),
        2 => (key(), any_delete_when()).prop_map(|(key, when)| Command::KvDelete { key, when }),
        3 => any_session().prop_map(Command::SessionCreate),
        1 => any_name(&IDS).prop_map(|id| Command::SessionDestroy { id }),
        2 => prop::collection::vec(any_op(), 1..4).prop_map(Command::Txn),
    ]
}

fn any_lease_command() -> impl Strategy<Value = Command> {
    let named = || (any_name(&["l", "m"]), 0..40u64);
    prop_oneof![
        (any_name(&["l", "m"]), 1..3u64, 0..2u64).prop_map(|(name, holder, claim)| {
            Command::LeaseAcquire { name, holder, claim, length_ms: 5000 }
        }),
        named().prop_map(|(name, term)| Command::LeaseRenew { name, term }),
        named().prop_map(|(name, term)| Command::LeaseRelease { name, term }),
        named().prop_map(|(name, term)| Command::LeaseExpire { name, term, renewed: term }),
    ]
}

fn any_table_command() -> impl Strategy<Value = Command> {
    let query = (any_name(&IDS), any_name(&["", "q"]), any_name(&["", "a", "b"]));
    let document = (any_name(&["d", "e"]), prop::option::of(0..3u64));
    prop_oneof![
        query.prop_map(|(id, name, session)| Command::QueryPut(Query {
            id,
            name,
            session,
            ..Query::default()
        })),
        any_name(&IDS).prop_map(|id| Command::QueryDelete { id }),
        Just(Command::EventFire(Event::default())),
        any_name(&IDS).prop_map(|name| Command::RegionPut(Region { name, ..Region::default() })),
        any_name(&IDS).prop_map(|name| Command::RegionDelete { name }),
        (0..20u64, any_name(&IDS)).prop_map(|(id, name)| {
            Command::MemberPut(Member { id: id / 2 * (id % 2), name, ..Member::default() })
        }),
        (0..20u64).prop_map(|id| Command::MemberDelete { id }),
        any_value().prop_map(|value| Command::SecretPut { name: name("s"), value }),
        document.prop_map(|(name, expected)| Command::DocumentPut {
            author: name.clone(),
            name,
            text: Bytes::new(),
            expected
        }),
        any_name(&["d", "e"]).prop_map(|name| Command::DocumentDelete { name }),
        any_lease_command(),
    ]
}

fn any_proposal() -> impl Strategy<Value = Proposal> {
    let command = prop_oneof![
        4 => any_catalog_command(),
        4 => any_key_command(),
        1 => any_table_command(),
    ];
    (0..20_000u64, command).prop_map(|(at, command)| Proposal { at, command })
}

fn any_entry() -> impl Strategy<Value = Proposal> {
    let batch = prop::collection::vec(any_proposal(), 1..4);
    prop_oneof![
        5 => any_proposal(),
        1 => batch.prop_map(|batch| Proposal { at: 0, command: Command::Batch(batch) }),
    ]
}

/// Every topic that the commands above can touch.
fn topics() -> Vec<Topic> {
    let mut all = vec![
        Topic::Any,
        Topic::Nodes,
        Topic::Services,
        Topic::Checks,
        Topic::Sessions,
        Topic::Queries,
        Topic::Events,
        Topic::Regions,
        Topic::Members,
        Topic::Documents,
        Topic::Leases,
    ];
    all.extend(NODES.map(|text| Topic::Node(name(text))));
    all.extend(["web", "db", "x"].map(|text| Topic::Service(name(text))));
    all.extend(IDS.map(|text| Topic::Session(name(text))));
    all.extend(KEYS.iter().filter(|key| !key.is_empty()).map(|text| Topic::Key(name(text))));
    all.extend(KEYS.map(|text| Topic::Prefix(name(text))));
    all
}

/// What `touched` says, with the prefixes of its keys and that it is anything at all.
fn spread(touched: &[Topic]) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = touched.iter().map(|topic| format!("{topic:?}")).collect();
    if !touched.is_empty() {
        all.insert(format!("{:?}", Topic::Any));
    }
    for topic in touched {
        if let Topic::Key(key) = topic {
            let prefixes = KEYS.iter().filter(|prefix| key.starts_with(**prefix));
            all.extend(prefixes.map(|prefix| format!("{:?}", Topic::Prefix(name(prefix)))));
        }
    }
    all
}

fn through_snapshot(map: &Map) -> Map {
    let mut bytes = Vec::new();
    map.write_snapshot(&mut bytes).unwrap();
    Map::read_snapshot(&bytes[..]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn two_maps_agree_though_one_went_through_a_snapshot(
        entries in prop::collection::vec(any_entry(), 1..60),
        middle in 0..60usize,
    ) {
        let (mut one, mut other) = (Map::default(), Map::default());
        for (n, entry) in entries.into_iter().enumerate() {
            if n == middle {
                other = through_snapshot(&other);
            }
            let (mut touched, mut touched_too) = (Vec::new(), Vec::new());
            let reply = one.apply(n as u64 + 1, entry.clone(), &mut touched);
            prop_assert_eq!(reply, other.apply(n as u64 + 1, entry, &mut touched_too));
            prop_assert_eq!(touched, touched_too);
        }
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(&one, &through_snapshot(&one));
    }

    #[test]
    fn a_topic_moves_forward_and_only_when_touched(entries in prop::collection::vec(any_entry(), 1..60)) {
        let topics = topics();
        let mut map = Map::default();
        for (n, entry) in entries.into_iter().enumerate() {
            let before: Vec<Index> = topics.iter().map(|topic| map.index_of(topic)).collect();
            let last = map.index();
            let mut touched = Vec::new();
            map.apply(n as u64 + 1, entry, &mut touched);
            let touched = spread(&touched);
            for (topic, before) in topics.iter().zip(before) {
                let now = map.index_of(topic);
                if touched.contains(&format!("{topic:?}")) {
                    prop_assert!(now > last && now <= map.index(), "{topic:?} was touched: {before} to {now}");
                } else {
                    prop_assert_eq!(now, before, "{:?} was not touched", topic);
                }
            }
        }
    }
}
