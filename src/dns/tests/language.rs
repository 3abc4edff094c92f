//! `dns` sections: what they mean, and what is refused.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use crate::dns::keyword;
use crate::dns::language::{Inputs, build};
use crate::dns::name;
use crate::dns::policy::LastResort;
use crate::dns::spec::{PolicySpec, Responder, Spec, SpreadSpec, StepSpec};
use crate::dns::wire::rtype;
use crate::dns::zone::Zone;
use crate::lang::registry::Kind;
use crate::lang::{Diagnostics, Env, Facts, Input, LoadOptions, Severity, load};

const ZONE: &str = "$TTL 60\n@ IN SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";

pub(super) fn read(text: &str) -> (Option<Spec>, Diagnostics) {
    let facts = Facts::default();
    let kinds: Vec<&str> = keyword::section_kinds().chain(["region", "region-map"]).collect();
    let input = Input::Text { name: "test.cfg".to_owned(), text: text.to_owned() };
    let loaded = load(&[input], LoadOptions::new(&facts, Env::default(), &kinds));
    assert!(!loaded.diagnostics.has_alerts(), "{:?}", loaded.diagnostics);
    build(&Inputs {
        sections: &loaded.sections,
        sources: &loaded.sources,
        resolve: &|_| Err(io::ErrorKind::NotFound.into()),
        env: &|_| None,
        files: &|path: &Path| match path.to_str() {
            Some("/good") => Ok(ZONE.into()),
            Some("/hosts") => Ok(b"192.0.2.7 nas.home nas\nnonsense x\n".to_vec()),
            Some("/bad") => Ok(format!("{ZONE}x A nonsense\n").into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        },
        now_s: 7,
        random: [1; 16],
    })
}

pub(super) fn responder(text: &str) -> Responder {
    let (spec, diags) = read(text);
    let spec = spec.unwrap_or_else(|| panic!("{:?}", diags.list));
    spec.responders.into_iter().next().expect("a responder")
}

/// The one alert of a text, with its place as `line:column` and its hint.
fn alert(text: &str) -> String {
    let (spec, diags) = read(text);
    assert!(spec.is_none(), "{text}");
    let alerts: Vec<_> = diags.list.iter().filter(|d| d.severity == Severity::Alert).collect();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let at = alerts[0].span.expect("a place");
    let hint = alerts[0].hint.as_ref().map(|h| format!(" {h}")).unwrap_or_default();
    format!("{}:{} {}{hint}", at.line, at.col, alerts[0].message)
}

fn records(zone: &Zone, owner: &str, rtype: u16) -> Vec<Vec<u8>> {
    let name = name::from_text(owner.as_bytes(), None).expect("a name");
    let set = zone.node(&name).and_then(|node| zone.set(node, rtype));
    set.map_or_else(Vec::new, |set| set.iter().map(<[u8]>::to_vec).collect())
}

fn zone<'r>(responder: &'r Responder, apex: &str) -> &'r Zone {
    let apex = name::from_text(apex.as_bytes(), None).expect("a name");
    responder.zones.zone(&apex).expect("a zone")
}

#[test]
fn a_hosts_file() {
    let (spec, diags) = read("dns x\n bind :53\n hosts-file /hosts\n");
    let settings = spec.expect("a value").responders[0].settings.clone();
    assert!(!settings.hosts.is_empty());
    let told: Vec<&str> = diags.list.iter().map(|d| &*d.message).collect();
    assert_eq!(told, ["/hosts:2: 'nonsense' is no address; the rest is read."]);
    assert!(alert("dns x\n bind :53\n hosts-file /none\n").contains("hosts file '/none'"));
}

#[test]
fn tls_needs_a_certificate() {
    assert!(alert("dns x\n bind :853 ssl\n").contains("only takes 'ssl crt <file> [https [<path>]]'"));
    assert!(alert("dns x\n bind :853 ssl crt /none\n").contains("/none: "));
    assert!(alert("dns x\n bind :853 ssl crt /good\n").contains("'bind' : "), "no certificate is in it");
    assert!(alert("dns x\n bind :443 ssl crt /good http\n").contains("got 'http'. did you mean 'https'"));
    assert!(alert("dns x\n bind :443 ssl crt /good https /a b\n").contains("only takes 'https [<path>]'"));
    assert!(
        alert("dns x\n bind :443 ssl crt /good https a\n").contains("a path that begins with '/', got 'a'")
    );
    for (line, what) in [
        ("forward . tls://nobody", "'nobody' is no address of a server: write 10.0.0.2:853."),
        ("forward . tls://a..b@192.0.2.1", "'a..b' is no name that a certificate can be for."),
        ("forward . 192.0.2.1 ca-file /good", "'ca-file' expects a file, behind the addresses"),
        ("forward . tls://192.0.2.1 ca-file", "'ca-file' expects a file, behind the addresses"),
        ("forward . tls://192.0.2.1 ca-file /none", "/none: "),
    ] {
        let told = alert(&format!("dns x\n bind :53\n {line}\n"));
        assert!(told.contains(what), "{line}: {told}");
    }
    let all = responder(
        "dns x\n bind :53\n forward . tls://192.0.2.1 tls://ns.test@[2001:db8::1]:8853 192.0.2.2\n",
    );
    let servers = &all.forward[0].servers;
    let told: Vec<String> = servers
        .iter()
        .map(|server| format!("{} {:?}", server.address, server.tls.as_ref().map(|tls| tls.name.to_str())))
        .collect();
    let expected =
        ["192.0.2.1:853 Some(\"192.0.2.1\")", "[2001:db8::1]:8853 Some(\"ns.test\")", "192.0.2.2:53 None"];
    assert_eq!(told, expected);
}

#[test]
fn a_policy_is_told_as_it_was_written() {
    for words in [
        "nearest",
        "nearest bias a=-10,b=5",
        "country continent networks",
        "failover a,b multivalue 2",
        "weighted",
        "weighted a=1,b=2",
        "nearest sticky load 80",
    ] {
        let all = responder(&format!("dns x\n bind :53\n zone a\n record w service s policy {words}\n"));
        assert_eq!(all.records[0].policy.to_string(), words);
    }
    assert_eq!(
        responder("dns x\n bind :53\n zone a\n record w service s\n").records[0].policy.to_string(),
        "all"
    );
}

#[test]
fn a_whole_section_reads() {
    let all = responder(
        "dns example\n bind 127.0.0.1:53\n bind [::1]:53\n threads 2\n maxconn 7\n tcp-idle 3s\n rate-limit 50\n query-log 9\n \
         nsid lb1\n ecs off\n cookie-secret e5e973e5a6b2a43f48e7dc849e37bfcf\n ttl 45s\n hostmaster me.example.com\n \
         zone-file example.com /good\n record www A 192.0.2.9\n\
         zone lb.example.com\n record www service web policy nearest ttl 20s\n record @ alias www\n record t TXT 'a b'\n",
    );
    assert_eq!((&*all.name, all.binds.len(), all.threads), ("example", 2, 2));
    assert_eq!((all.limits.connections, all.limits.idle_ms, all.limits.rate), (7, 3000, 50));
    assert_eq!(all.limits.log_every, 9);
    assert_eq!((all.settings.nsid.as_deref(), all.settings.ecs), (Some(&b"lb1"[..]), false));
    assert_eq!(all.settings.secret.0[..2], [0xe5, 0xe9]);
    assert_eq!(records(zone(&all, "example.com."), "www.example.com.", rtype::A), [[192, 0, 2, 9]]);
    let lb = zone(&all, "lb.example.com.");
    assert_eq!(records(lb, "t.lb.example.com.", rtype::TXT), [b"\x03a b"]);
    assert_eq!(records(lb, "lb.example.com.", rtype::NS), [b"\x02ns\x02lb\x07example\x03com\0"]);
    assert_eq!(records(lb, "ns.lb.example.com.", rtype::A), [[127, 0, 0, 1]]);
    let soa = &records(lb, "lb.example.com.", rtype::SOA)[0];
    assert!(soa.windows(14).any(|w| w == b"\x02me\x07example\x03co"), "{soa:?}");
    assert_eq!(soa[soa.len() - 20..][..4], [0, 0, 0, 7], "the serial number is the time");
    assert_eq!((all.records.len(), &*all.services[0].name, all.records[0].ttl), (1, "web", 20));
    let other =
        responder("dns x\n bind 127.0.0.1:53\n name-server ns1.example.com ns2.example.net\n zone a\n");
    assert_eq!(records(zone(&other, "a."), "a.", rtype::NS).len(), 2);
}

#[test]
fn names_that_are_not_ours() {
    let all = responder(
        "region-map\n datacenter dub\ndns x\n bind 127.0.0.1:53\n allow 10.0.0.0/8 192.0.2.1\n forward . 10.0.0.2 10.0.0.3:5353\n \
         forward corp.example 10.1.0.1\n consul-domain Consul ttl 5s\n",
    );
    assert_eq!(all.allow, ["10.0.0.0/8", "192.0.2.1/32"].map(|n| n.parse().expect("a network")));
    assert_eq!((all.forward.len(), &*all.forward[1].domain), (2, &b"\x04corp\x07example\0"[..]));
    assert_eq!(
        all.forward[0].servers.iter().map(|server| server.address.to_string()).collect::<Vec<_>>(),
        ["10.0.0.2:53", "10.0.0.3:5353"]
    );
    let consul = all.consul.expect("Consul's names");
    assert_eq!((&*consul.domain, &*consul.datacenter, consul.ttl), (&b"\x06consul\0"[..], "dub", 5));
    let closed = responder("dns x\n bind 127.0.0.1:53\n");
    assert!(closed.allow.iter().all(|network| network.addr().is_loopback()) && closed.consul.is_none());
}

#[test]
fn other_servers() {
    let all = responder(
        "dns x\n bind 127.0.0.1:53\n key T. hmac-sha384 MDEyMzQ1Njc4OWFiY2RlZg==\n transfer key t 192.0.2.0/24\n transfer 10.0.0.1\n \
         notify 192.0.2.53 192.0.2.54:5353\n",
    );
    let settings = &all.settings;
    assert_eq!(
        (&*settings.keys[0].name, &*settings.keys[0].secret),
        (&b"\x01t\0"[..], &b"0123456789abcdef"[..])
    );
    assert_eq!(all.notify, ["192.0.2.53:53", "192.0.2.54:5353"].map(|a| a.parse().expect("an address")));
    let may = |client: &str, key| settings.may_transfer(client.parse().expect("an address"), key);
    assert!(may("192.0.2.1", Some(0)) && may("10.0.0.1", None) && may("10.0.0.1", Some(0)));
    assert!(!may("192.0.2.1", None) && !may("10.0.0.2", Some(0)));
    let of = |lines: &str| alert(&format!("dns x\n bind 127.0.0.1:53\n{lines}\n"));
    assert_eq!(of(" transfer key t"), "3:15 there is no 'key t' above.");
    assert_eq!(of(" key t hmac-md5 MDEyMzQ1Njc4OWFiY2RlZg=="), "3:8 'key' unknown algorithm 'hmac-md5'.");
    assert_eq!(of(" key t hmac-sha256 AAAA"), "3:20 'key' expects a secret of at least 16 octets in base64.");
}

fn policy(words: &str) -> PolicySpec {
    let text = format!("dns x\n bind 127.0.0.1:53\n zone a\n record www service web tags b,a {words}\n");
    let responder = responder(&text);
    assert_eq!(responder.services[0].tags, ["a", "b"].map(Into::into));
    responder.records[0].policy.clone()
}

#[test]
fn policies_are_steps() {
    let all = policy("policy country nearest bias eu=20,us=-5 load 70 multivalue 2 last-resort none ttl 5s");
    let bias = vec![("eu".into(), 20), ("us".into(), -5)];
    let expected = PolicySpec {
        steps: vec![StepSpec::Country, StepSpec::Nearest(bias)],
        spread: SpreadSpec::All,
        high_water: Some(70),
        take: Some(2),
        last_resort: LastResort::None,
    };
    assert_eq!(all, expected);
    assert_eq!(policy("policy continent networks load").high_water, Some(80));
    assert_eq!(
        policy("policy weighted eu=3,us=1").spread,
        SpreadSpec::Weighted(vec![("eu".into(), 3), ("us".into(), 1)])
    );
    assert_eq!(policy("policy weighted").spread, SpreadSpec::Weighted(vec![]));
    assert_eq!(policy("policy sticky").spread, SpreadSpec::Sticky);
    assert_eq!(policy("policy failover us,eu").steps, [StepSpec::Failover(vec!["us".into(), "eu".into()])]);
    assert!(
        matches!(policy("last-resort 192.0.2.1,2001:db8::1").last_resort, LastResort::Addresses(list) if list.len() == 2)
    );
}

#[test]
fn findings_have_a_place_and_a_hint() {
    let of = |lines: &str| alert(&format!("dns x\n bind 127.0.0.1:53\n{lines}\n"));
    assert_eq!(of(" zon a"), "3:2 unknown keyword 'zon' in 'dns' section did you mean 'zone' maybe ?");
    assert_eq!(of(" bind 127.0.0.1:53"), "3:7 'bind 127.0.0.1:53' is there already.");
    assert_eq!(of(" record a A 1.2.3.4"), "3:2 'record' expects a 'zone' or 'zone-file' line above it.");
    assert_eq!(of(" zone a\n record b A 1.2.3"), "4:13 'record' : '1.2.3' is no IPv4 address.");
    assert_eq!(of(" zone a\n record b.c. A 1.2.3.4"), "4:9 'record' : 'b.c.' is not in zone 'a.'.");
    assert_eq!(
        of(" zone a\n record b servic web"),
        "4:11 'record' expects 'service', 'alias' or a type, got 'servic'. did you mean 'service' maybe ?"
    );
    assert_eq!(
        of(" zone a\n record b service web policy nearst"),
        "4:30 'policy' unknown step 'nearst'. did you mean 'nearest' maybe ?"
    );
    assert_eq!(
        of(" zone a\n record b service web policy load 100"),
        "4:35 'load' expects a number from 1 to 99, got '100'."
    );
    assert_eq!(of(" zone a\n zone A"), "4:7 zone 'A' was declared already at test.cfg:3.");
    assert_eq!(of(" zone-file a /bad"), "3:14 zone 'a': /bad:5: 'nonsense' is no IPv4 address.");
    assert_eq!(of(" zone-file a /none"), "3:14 zone 'a': /none: cannot be read: entity not found.");
    assert_eq!(
        of(" zone a\n record b CNAME c\n record b A 1.2.3.4"),
        "3:2 'b.a.' has a CNAME record and others beside it."
    );
    assert_eq!(of(" cookie-secret abc"), "3:16 'cookie-secret' expects 32 hexadecimal digits.");
    assert!(
        of(" geoip-db /good")
            .starts_with("3:11 geographic database '/good': not a database in MaxMind's format")
    );
    let named = "region eu\nregion us\ndns x\n bind 127.0.0.1:53\n zone a\n record b service web policy failover eu,uk\n";
    assert_eq!(alert(named), "6:2 there is no 'region uk' section. did you mean 'us' maybe ?");
    assert_eq!(
        alert("dns x\n bind 127.0.0.1:53\ndns x\n bind 127.0.0.1:54\n"),
        "3:5 dns 'x' was declared already at test.cfg:1."
    );
}

#[test]
fn every_example_parses() {
    let mut seen = HashSet::new();
    for (kind, entry) in keyword::entries() {
        assert!(seen.insert((kind, entry.name)), "{} twice", entry.name);
        if kind == Kind::Section || matches!(entry.name, "geoip-db" | "hosts-file" | "zone-file") {
            continue;
        }
        let zone = if entry.name == "record" { " zone lb.example.com\n" } else { "" };
        let bind = if entry.name == "bind" { "" } else { " bind 127.0.0.1:53\n" };
        let (spec, diags) = read(&format!("dns x\n{bind}{zone} {}\n", entry.example));
        assert!(spec.is_some(), "{}: {:?}", entry.example, diags.list);
    }
}
