//! What the map says becomes what is answered.

use std::net::IpAddr;
use std::sync::Arc;

use super::language::responder;
use crate::dns::answer::{Ask, Outcome, State, respond};
use crate::dns::follow::Maker;
use crate::dns::name;
use crate::dns::wire::rtype;
use crate::region::map::*;
use crate::region::soft;
use crate::region::testing::{World, member, registration, status};

use Health::{Critical, Passing};

struct Bench {
    world: World,
    maker: Maker,
    state: State,
}

impl Bench {
    fn new(record: &str) -> Bench {
        let text = format!("dns x\n bind 127.0.0.1:53\n zone lb.test\n record {record}\n");
        let mut maker = Maker::new(Arc::new(responder(&text)));
        let state = maker.empty();
        Bench { world: World::default(), maker, state }
    }

    /// Says whether the state changed.
    fn look(&mut self) -> bool {
        let next = self.maker.next(&self.world.map, &soft::View::default(), "n", "eu");
        let changed = next.is_some();
        self.state = next.unwrap_or_else(|| self.state.clone());
        changed
    }

    fn instance(&mut self, region: &str, id: &str, address: &str) {
        let Command::Register(mut registration) = registration((region, region), "web", id, 80, Passing)
        else {
            panic!("a registration")
        };
        registration.instance.as_mut().expect("an instance").address = address.into();
        self.world.apply(Command::Register(registration));
    }

    /// The addresses for a client, and the code.
    fn ask(&self, client: &str) -> (Vec<String>, u16) {
        let mut query = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend(name::from_text(b"www.lb.test.", None).expect("a name"));
        query.extend(rtype::A.to_be_bytes());
        query.extend([0, 1]);
        let client: IpAddr = client.parse().expect("an address");
        let ask = Ask { client, stream: false, now_s: 1, draw: 0, recursion: false, key: None };
        let mut out = [0; 1232];
        let Outcome::Sent(sent) = respond(&self.state, &query, &ask, &mut out) else { panic!("no answer") };
        let count = usize::from(out[7]);
        let records = &out[query.len()..sent.len];
        let address = |at: usize| {
            records[at * 16 + 12..at * 16 + 16].iter().map(u8::to_string).collect::<Vec<_>>().join(".")
        };
        let mut list: Vec<String> = (0..count).map(address).collect();
        list.sort();
        (list, sent.rcode)
    }

    fn region(&mut self, name: &str, networks: &[&str], place: (f64, f64)) {
        self.world.apply(Command::RegionPut(Region {
            name: name.into(),
            location: Some(place),
            networks: networks.iter().map(|n| (*n).into()).collect(),
            ..Region::default()
        }));
    }
}

/// Dublin, New York and Singapore; clients of each by network, others are near this node, which stands in `eu`.
fn bench(record: &str) -> Bench {
    let mut bench = Bench::new(record);
    bench.region("eu", &["10.1.0.0/16"], (53.3, -6.3));
    bench.region("us", &["10.2.0.0/16"], (40.7, -74.0));
    bench.region("ap", &["10.3.0.0/16"], (1.3, 103.8));
    for (at, region) in ["eu", "us", "ap"].into_iter().enumerate() {
        bench.instance(region, region, &format!("192.0.2.{}", at + 1));
    }
    assert!(bench.look());
    bench
}

fn only(address: &str) -> (Vec<String>, u16) {
    (vec![address.to_owned()], 0)
}

#[test]
fn the_nearest_healthy_region_answers() {
    let mut bench = bench("www service web policy nearest");
    assert_eq!(bench.ask("10.1.0.1"), only("192.0.2.1"));
    assert_eq!(bench.ask("10.2.0.1"), only("192.0.2.2"));
    assert_eq!(bench.ask("10.3.0.1"), only("192.0.2.3"));
    assert_eq!(bench.ask("203.0.113.1"), only("192.0.2.1"), "unknown: nearest to this node");
    assert!(!bench.look(), "nothing changed");
    bench.world.apply(status("ap", "ap", Critical));
    assert!(bench.look());
    assert_eq!(bench.ask("10.3.0.1"), only("192.0.2.1"), "Dublin is nearer to Singapore than New York");
    bench.world.apply(status("eu", "eu", Critical));
    assert!(bench.look());
    assert_eq!(bench.ask("10.3.0.1"), only("192.0.2.2"));
    bench.world.apply(status("us", "us", Critical));
    assert!(bench.look());
    assert_eq!(bench.ask("10.3.0.1").0.len(), 3, "the last resort: all of them");
}

#[test]
fn states_of_regions_and_nodes_count() {
    let mut bench = bench("www service web policy nearest");
    bench.world.region("us", Some((40.7, -74.0)), RegionState::Drain);
    assert!(bench.look());
    assert_eq!(
        bench.ask("10.2.0.1"),
        only("192.0.2.1"),
        "its networks went with the record, and it is drained"
    );
    bench.world.region("eu", None, RegionState::Passive);
    assert!(bench.look());
    assert_eq!(bench.ask("10.1.0.1"), only("192.0.2.3"), "passive ones stand back");
    let Command::MemberPut(drained) = member("ap", "ap", true) else { panic!("a member") };
    bench.world.apply(Command::MemberPut(Member { availability: Availability::Drain, ..drained }));
    assert!(bench.look());
    assert_eq!(bench.ask("10.3.0.1"), only("192.0.2.1"), "a node that is emptied gets nobody new");
}

#[test]
fn without_anybody_there_is_nothing() {
    let mut bench = Bench::new("www service web policy nearest last-resort 198.51.100.1");
    assert!(!bench.look() || bench.ask("10.0.0.1") == only("198.51.100.1"));
    assert_eq!(bench.ask("10.0.0.1"), only("198.51.100.1"));
    let mut none = Bench::new("www service web policy nearest");
    none.look();
    assert_eq!(none.ask("10.0.0.1"), (vec![], 0), "the name is there, an address is not");
    none.instance("eu", "one", "192.0.2.1");
    none.look();
    assert_eq!(none.ask("10.0.0.1"), only("192.0.2.1"), "a region that has no section is one all the same");
}

#[test]
fn only_what_changed_is_made_anew() {
    let mut bench = bench("www service web policy nearest");
    let orders = Arc::as_ptr(&bench.state.records);
    bench.world.apply(status("eu", "eu", Critical));
    assert!(bench.look());
    assert_eq!(Arc::as_ptr(&bench.state.records), orders, "health changes no order");
    bench.region("ap", &[], (1.0, 103.0));
    assert!(bench.look());
    assert_ne!(Arc::as_ptr(&bench.state.records), orders);
}
