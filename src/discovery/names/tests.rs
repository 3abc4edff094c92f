//! What follows from answers, without a name server.

use std::net::IpAddr;

use super::apply::weight;
use super::resolution::{Question, Resolution, Status, Verdict};
use super::select::select;
use crate::model::notation::Family;
use crate::model::server::Resolving;
use crate::resolve::{Answer, Answered, Hold, Kind, Record, Refusal};

fn answered(records: Vec<Record>) -> Answered {
    let answer = Answer { records, ..Answer::default() };
    Answered { answer, nameserver: "one".into(), place: 0 }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn records_go_when_they_are_obsolete() {
    let hold = Hold { obsolete_ms: 100, ..Hold::default() };
    let mut resolution = Resolution::default();
    let addresses = |r: &Resolution| r.addresses().collect::<Vec<_>>();
    resolution.take_in(Ok(answered(vec![Record::Address(ip("10.0.0.1"))])), &hold, 1000);
    resolution.take_in(Ok(answered(vec![Record::Address(ip("10.0.0.2"))])), &hold, 1099);
    assert_eq!(addresses(&resolution), [ip("10.0.0.1"), ip("10.0.0.2")]);
    resolution.take_in(Ok(answered(vec![Record::Address(ip("10.0.0.2"))])), &hold, 1100);
    assert_eq!(addresses(&resolution), [ip("10.0.0.2")]);
    // Without a time to hold them they go at once.
    let hold = Hold::default();
    resolution.take_in(Ok(answered(vec![Record::Address(ip("10.0.0.3"))])), &hold, 1101);
    assert_eq!(addresses(&resolution), [ip("10.0.0.3")]);
}

#[test]
fn errors_count_when_nothing_good_came_for_long_enough() {
    let hold = Hold { nx_ms: 10, refused_ms: 20, timeout_ms: 30, other_ms: 40, ..Hold::default() };
    let mut resolution = Resolution::default();
    assert_eq!(resolution.verdict(&hold, 1), Verdict::Keep);
    for (refusal, held_ms, why) in [
        (Refusal::Nx, 10, "DNS NX status"),
        (Refusal::Refused, 20, "DNS refused status"),
        (Refusal::Timeout, 30, "DNS timeout status"),
        (Refusal::Other, 40, "unspecified DNS error"),
    ] {
        resolution.take_in(Ok(answered(vec![Record::Address(ip("10.0.0.1"))])), &hold, 1000);
        assert_eq!(resolution.verdict(&hold, 1000), Verdict::Valid);
        resolution.take_in(Err(refusal), &hold, 1001);
        assert_eq!(resolution.status, Status::Failed(refusal));
        assert_eq!(resolution.verdict(&hold, 1000 + held_ms - 1), Verdict::Keep, "{why}");
        assert_eq!(resolution.verdict(&hold, 1000 + held_ms), Verdict::Lost(why));
    }
}

#[test]
fn services_change_their_weight_in_place() {
    let service = |weight| Record::Service { target: "a.test".into(), port: 80, weight };
    let mut resolution = Resolution::default();
    resolution.take_in(Ok(answered(vec![service(1)])), &Hold::default(), 1);
    resolution.take_in(Ok(answered(vec![service(2)])), &Hold::default(), 1);
    assert_eq!(resolution.services().collect::<Vec<_>>(), [("a.test", 80, 2)]);
    // As HAProxy 2.6 was seen to do.
    for (of_record, of_server) in [(0, 0), (1, 1), (10, 1), (256, 1), (257, 2), (1000, 4), (65_535, 256)] {
        assert_eq!(weight(of_record), of_server, "{of_record}");
    }
}

#[test]
fn names_are_compared_without_case() {
    assert_eq!(Question::host("A.Test.", Family::V4), Question::host("a.test", Family::V4));
    assert_ne!(Question::host("a.test", Family::V4), Question::host("a.test", Family::V6));
    assert_eq!(Question::services("_a._tcp.test").kind(), Kind::Srv);
}

#[test]
fn the_best_address() {
    let resolving = |prefer, nets: &[&str], allow_dup_ip| Resolving {
        resolvers: "dns".into(),
        prefer,
        nets: nets.iter().map(|net| net.parse().expect("a network")).collect(),
        allow_dup_ip,
        ignore_weight: false,
    };
    let all = || ["10.0.0.1", "10.9.0.1", "fd00::1", "fd09::1"].map(ip).into_iter();
    let best = |resolving: &Resolving, current: Option<&str>, taken: &[&str]| {
        let taken: Vec<IpAddr> = taken.iter().map(|text| ip(text)).collect();
        let found = select(all(), current.map(ip), None, resolving, |ip| taken.contains(&ip));
        found.map(|ip| ip.to_string())
    };
    let is = |text: &str| Some(text.to_owned());
    let v4 = resolving(Family::V4, &[], false);
    assert_eq!(best(&v4, None, &[]), is("10.0.0.1"));
    assert_eq!(best(&v4, Some("10.9.0.1"), &[]), is("10.9.0.1"), "it stays where it is");
    assert_eq!(best(&v4, None, &["10.0.0.1"]), is("10.9.0.1"));
    assert_eq!(best(&resolving(Family::V6, &[], false), Some("10.0.0.1"), &[]), is("fd00::1"));
    let near = resolving(Family::V4, &["10.9.0.0/16", "fd09::/16"], false);
    assert_eq!(best(&near, Some("10.0.0.1"), &[]), is("10.9.0.1"), "the network counts more than staying");
    assert_eq!(best(&near, None, &["10.9.0.1"]), is("10.0.0.1"));
    let every = ["10.0.0.1", "10.9.0.1", "fd00::1", "fd09::1"];
    assert_eq!(best(&v4, None, &every), None);
    assert_eq!(best(&resolving(Family::V4, &[], true), None, &every), is("10.0.0.1"));
    assert_eq!(best(&resolving(Family::V4, &[], true), None, &["10.0.0.1"]), is("10.9.0.1"));
}
