//! What lines of a `vrrp` section mean, and what is wrong with them.

use std::net::IpAddr;
use std::time::Duration;

use super::keyword::VRRP;
use super::language::{Inputs, build};
use super::packet::Version;
use super::spec::{InstanceSpec, Spec, TrackerKind};
use crate::base::clock::{MS, SEC};
use crate::lang::condition::Facts;
use crate::lang::env::Env;
use crate::lang::load::{Input, LoadOptions, load};
use crate::lang::render::{Style, report};

/// The value, and what is said.
fn read(text: &str) -> (Spec, String) {
    let facts = Facts::default();
    let options =
        LoadOptions::new(&facts, Env::default(), &["global", "frontend", "backend", "listen", "vrrp"]);
    let loaded = load(&[Input::Text { name: "t.cfg".into(), text: text.into() }], options);
    let mut spec = Spec::default();
    let inputs = Inputs { sections: &loaded.sections, sources: &loaded.sources };
    let diags = build(&inputs, &mut spec);
    let said = report(&diags, &loaded.sources, &Style::default());
    (spec, said.replace("[ALERT]    (0) : config : parsing ", ""))
}

/// A section with these lines more.
fn section(lines: &str) -> String {
    format!("vrrp VI_1\n interface eth0\n router-id 51\n address 10.0.0.1\n{lines}\n")
}

fn one(lines: &str) -> InstanceSpec {
    let (mut spec, said) = read(&section(lines));
    assert_eq!(said, "");
    spec.instances.remove(0)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_section_says_who_and_where() {
    let spec = one("");
    assert_eq!((&*spec.name, &*spec.interface, spec.vrid), ("VI_1", "eth0", 51));
    assert_eq!((spec.settings.version, spec.settings.priority), (Version::V2, 100));
    assert_eq!((spec.addresses[0].address, spec.addresses[0].prefix), (ip("10.0.0.1"), 32));
    assert!(spec.settings.preempt && !spec.is_unicast() && spec.group == ip("224.0.0.18"));
    for missing in ["interface", "router-id", "address"] {
        let text: String =
            section("").lines().filter(|l| !l.contains(missing)).map(|l| format!("{l}\n")).collect();
        let (spec, said) = read(&text);
        assert!(spec.instances.is_empty() && said.contains(&format!("expects '{missing}")), "{said}");
    }
}

#[test]
fn addresses_say_where_they_live() {
    let spec = one(" address 10.0.0.2/24 interface lo label lo:1\n address 2001:db8::1/64 silent");
    let second = &spec.addresses[1];
    assert_eq!(
        (second.prefix, second.interface.as_deref(), second.label.as_deref()),
        (24, Some("lo"), Some("lo:1"))
    );
    assert_eq!((spec.addresses.len(), spec.excluded[0].address), (2, ip("2001:db8::1")));
}

#[test]
fn elections_are_told_of() {
    assert_eq!(one(" priority 150").settings.priority, 150);
    assert!(one(" priority 255").wants_master);
    assert!(!one(" no-preempt").settings.preempt);
    assert_eq!(one(" preempt-delay 30s").settings.preempt_delay_ns, 30 * SEC);
    assert_eq!(one(" advert-interval 2s").settings.interval_ns, 2 * SEC);
    let fast = one(" version 3\n advert-interval 50ms").settings;
    assert_eq!((fast.version, fast.interval_ns), (Version::V3, 50 * MS));
}

#[test]
fn adverts_come_and_go_where_they_are_told() {
    assert_eq!(one(" source 10.0.0.9").source, Some(ip("10.0.0.9")));
    let spec = one(" peer 10.0.0.8 10.0.0.7\n peer 10.0.0.6");
    let peers: Vec<IpAddr> = spec.peers.iter().map(|peer| peer.address).collect();
    assert_eq!(peers, ["10.0.0.8", "10.0.0.7", "10.0.0.6"].map(ip));
    assert!(spec.is_unicast() && spec.peers_only);
    assert_eq!(one(" password 1111").password, Some(*b"1111\0\0\0\0"));
    let v6 = read("vrrp six\n interface eth0\n router-id 1\n address 2001:db8::1\n").0.instances.remove(0);
    assert_eq!((v6.settings.version, v6.group), (Version::V3, ip("ff02::12")));
}

#[test]
fn a_heartbeat_names_a_peer_and_a_key() {
    let beat = one(" heartbeat 10.0.0.2:7112 key 0123456789abcdef every 10ms").heartbeat.unwrap();
    assert_eq!((beat.peer.to_string().as_str(), &*beat.key), ("10.0.0.2:7112", "0123456789abcdef"));
    assert_eq!(beat.interval_ns, 10 * MS);
}

#[test]
fn a_fence_has_a_length_and_nobody_preempts() {
    let spec = one(" fenced");
    assert_eq!((spec.fence, spec.settings.fenced), (Some(Duration::from_secs(5)), true));
    assert!(!spec.settings.preempt, "who has the lease stays");
    assert_eq!(one(" fenced 8s").fence, Some(Duration::from_secs(8)));
    assert!(one("").fence.is_none() && !one("").settings.fenced);
}

#[test]
fn the_region_map_and_its_services_are_tracked() {
    let (spec, said) = read(&section(" track region-map weight -20\n track service web"));
    assert_eq!(said, "");
    let kinds: Vec<&TrackerKind> = spec.trackers.iter().map(|t| &t.kind).collect();
    assert_eq!(kinds, [&TrackerKind::RegionMap, &TrackerKind::Service("web".into())]);
    assert_eq!(spec.instances[0].tracks.iter().map(|t| t.weight).collect::<Vec<_>>(), [-20, 0]);
    assert_eq!(&*spec.trackers[0].name, "region-map");
}

#[test]
fn sections_of_one_group_move_together() {
    let second = section(" group g").replace("VI_1", "VI_2").replace("51", "52");
    let (spec, said) = read(&format!("{}{second}", section(" group g")));
    assert_eq!(said, "");
    assert_eq!((&*spec.groups[0].name, &spec.groups[0].members[..]), ("g", &[0, 1][..]));
}

#[test]
fn programs_hear_of_states() {
    let notify = one(" on master /bin/a b\n on any \"/bin/c d\"\n on stop /bin/e").notify;
    assert_eq!(notify.master.unwrap().command.words, ["/bin/a", "b"]);
    let any = notify.any.unwrap();
    assert!(!any.is_watched());
    assert_eq!(any.command.words, ["/bin/c d"]);
    assert!(notify.stop.is_some() && notify.backup.is_none() && notify.fault.is_none());
    let watched = one(" on backup within 30s retries 5 /bin/a retries 3").notify.backup.unwrap();
    assert_eq!((watched.retries, watched.within), (5, Some(Duration::from_secs(30))));
    assert_eq!(watched.command.words, ["/bin/a", "retries", "3"]);
    for bad in ["retries 0 /bin/a", "retries x /bin/a", "within 0 /bin/a", "within x /bin/a", "retries 3"] {
        assert_ne!(read(&section(&format!(" on master {bad}"))).1, "", "{bad}");
    }
}

#[test]
fn what_is_tracked_is_named_once() {
    let text = "backend b\nfrontend f\n".to_owned()
        + &section(
            " track backend b\n track frontend f weight -10\n track interface lo weight 5 reverse\n \
                    track process haproxy\n track file /run/level weight 1\n track script \"test -e /x\"",
        )
        + &section(" track backend b weight 3").replace("VI_1", "VI_2").replace("51", "52");
    let (spec, said) = read(&text);
    assert_eq!(said, "");
    let kinds: Vec<&TrackerKind> = spec.trackers.iter().map(|t| &t.kind).collect();
    assert_eq!(*kinds[0], TrackerKind::Backend("b".into()));
    assert_eq!(*kinds[1], TrackerKind::Frontend("f".into()));
    assert_eq!(*kinds[2], TrackerKind::Interface);
    assert_eq!(*kinds[3], TrackerKind::Process { process: "haproxy".into(), quorum: 1 });
    assert_eq!(*kinds[4], TrackerKind::File { path: "/run/level".into() });
    let TrackerKind::Script(script) = kinds[5] else { panic!("no script") };
    assert_eq!(script.command.words, ["/bin/sh", "-c", "test -e /x"]);
    assert_eq!(kinds.len(), 6);
    let weights: Vec<(i32, bool)> = spec.instances[0].tracks.iter().map(|t| (t.weight, t.reverse)).collect();
    assert_eq!(weights, [(0, false), (-10, false), (5, true), (0, false), (1, false), (0, false)]);
    assert_eq!((spec.instances[1].tracks[0].tracker, spec.instances[1].tracks[0].weight), (0, 3));
}

/// Lines, and words of what is said.
#[rustfmt::skip]
const WRONG: &[(&str, &str)] = &[
    (" priority 0", "from 1 to 255"), (" priority 256", "from 1 to 255"), (" priority", "expects a number"), (" router-id 7", "was given already at t.cfg:3"),
    (" version 4", "from 2 to 3"), (" advert-interval 1500ms", "whole seconds"), (" version 3\n advert-interval 5ms", "hundredths"),
    (" version 3\n advert-interval 41s", "hundredths"), (" version 3\n password 1111", "version 3 has no"), (" password 123456789", "at most 8"),
    (" address 10.0.0.1", "is there already"), (" address 10.0.0.2/33", "no prefix length"), (" address x", "expects <address>"),
    (" address 10.0.0.2 lable x", "did you mean 'label'"), (" address 2001:db8::1", "not of one family"), (" peer", "at least an address"),
    (" peer 10.0.0.2 10.0.0.2", "is there already"), (" peer 2001:db8::1", "not of one family"), (" source x", "expects an IP address"),
    (" no-preempt\n preempt-delay 3s", "exclude each other"), (" no-preempt x", "unexpected argument 'x'"), (" on mastr /bin/x", "did you mean 'master'"),
    (" on master", "expects a program"), (" on master /a\n on master /b", "given already"), (" track", "what is tracked"), (" track backend", "expects a name"),
    (" track backend nosuch", "no backend 'nosuch'"), (" track interface lo weight 254", "-253 to 253"), (" track interface lo wieght 2", "did you mean 'weight'"),
    (" track interface lo\n track interface lo", "tracked already"), (" intreface x", "did you mean 'interface'"), (" group", "expects a name"), (" heartbeat 10.0.0.2", "<address>:<port>"), (" heartbeat 10.0.0.2:1 key short", "at least 16"),
    (" fenced 3s", "4s to 60s"), (" fenced\n group g", "exclude each other"), (" fenced\n preempt-delay 3s", "exclude each other"), (" fenced\n priority 255", "up to 254"),
    (" fenced x", "fenced"), (" track service", "expects a name"), (" track region-map wieght 2", "did you mean 'weight'"),
    (" heartbeat 10.0.0.2:1 key 0123456789abcdef every 2s", "5ms to 1s"), (" heartbeat 10.0.0.2:1 kye x", "did you mean 'key'"),
    ("vrrp VI_1\n interface eth1\n router-id 1\n address 10.0.0.9", "declared already at t.cfg:1"), ("vrrp", "expects a name"),
    ("vrrp VI_2\n interface eth0\n router-id 51\n address 10.0.0.9", "router-id 51"),
];

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (lines, expected) in WRONG {
        let (_, said) = read(&section(lines));
        assert!(said.contains(expected) && said.contains("ALERT"), "{lines}: {said}");
    }
}

#[test]
fn every_example_is_taken() {
    for keyword in VRRP {
        let (_, said) = read(&section(&format!(" {}", keyword.entry.example)).replacen(
            match keyword.entry.name {
                "interface" => " interface eth0\n",
                "router-id" => " router-id 51\n",
                _ => "\u{0}",
            },
            "",
            1,
        ));
        assert_eq!(said, "", "{}", keyword.entry.name);
    }
}
