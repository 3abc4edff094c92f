//! The `region` and `region-map` sections: what they mean, and what is refused.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use crate::lang::registry::Kind;
use crate::lang::{Diagnostics, Env, Facts, Input, LoadOptions, Severity, load};
use crate::region::keyword;
use crate::region::language::{Inputs, build};
use crate::region::map::RegionState;
use crate::region::spec::{Listen, Profile, SeatSpec, Spec, Tls};

fn read(text: &str) -> (Option<Spec>, Diagnostics) {
    let facts = Facts::default();
    let kinds: Vec<&str> = keyword::section_kinds().collect();
    let input = Input::Text { name: "test.cfg".to_owned(), text: text.to_owned() };
    let loaded = load(&[input], LoadOptions::new(&facts, Env::default(), &kinds));
    assert!(!loaded.diagnostics.has_alerts(), "{:?}", loaded.diagnostics);
    build(&Inputs {
        sections: &loaded.sections,
        sources: &loaded.sources,
        resolve: &|name| match name {
            "here" => Ok(vec!["127.0.0.9".parse().expect("an address")]),
            _ => Err(io::ErrorKind::NotFound.into()),
        },
        env: &|_| None,
    })
}

fn spec(text: &str) -> Spec {
    let (spec, diags) = read(text);
    spec.unwrap_or_else(|| panic!("{:?}", diags.list))
}

/// The one alert of a text, with its place as `line:column` and its hint.
fn alert(text: &str) -> String {
    let (spec, diags) = read(text);
    assert_eq!(spec, None, "{text}");
    let alerts: Vec<_> = diags.list.iter().filter(|d| d.severity == Severity::Alert).collect();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let at = alerts[0].span.expect("a place");
    let hint = alerts[0].hint.as_ref().map(|h| format!(" {h}")).unwrap_or_default();
    format!("{}:{} {}{hint}", at.line, at.col, alerts[0].message)
}

#[test]
fn a_whole_node_reads() {
    let all = spec(
        "region eu-west\n location 53.35 -6.26\n countries IE gb\n countries FR\n networks 10.1.0.0/16 fd00::1\n \
         state passive\n failover us-east ap-south\n\
         region us-east\nregion ap-south\n\
         region-map\n node lb1 region eu-west\n bind 10.1.0.2:7400 ssl crt /n.pem ca-file /ca.pem verify required\n \
         data-dir /var/lib/isobar\n retry-join 10.1.0.3:7400 peer:7400\n expect 3\n http-api :8500 insecure\n \
         read-token r\n write-token w\n region-timeout 7s\n liveness-timeout 500ms\n profile wan\n script-checks\n \
         datacenter dublin\n",
    );
    let eu = &all.regions[0];
    assert_eq!((&*eu.name, eu.location), ("eu-west", Some((53.35, -6.26))));
    assert_eq!(eu.countries, ["IE", "GB", "FR"].map(Into::into));
    assert_eq!(eu.networks, ["10.1.0.0/16", "fd00::1/128"].map(Into::into));
    assert_eq!(eu.state, Some(RegionState::Passive));
    assert_eq!(eu.failover, ["us-east", "ap-south"].map(Into::into));
    assert_eq!(all.regions[1].state, None);
    assert!(all.listens());
    let seat = all.seat.expect("a seat");
    assert_eq!((seat.node.as_deref(), &*seat.region), (Some("lb1"), "eu-west"));
    let tls = Tls { crt: Some("/n.pem".into()), ca_file: Some("/ca.pem".into()), verify: true };
    let address = "10.1.0.2:7400".parse().expect("an address");
    assert_eq!(seat.bind, Some(Listen { address, tls: Some(tls), insecure: false }));
    assert_eq!(seat.retry_join, ["10.1.0.3:7400", "peer:7400"]);
    assert_eq!((seat.expect, seat.is_lone()), (3, false));
    let api = seat.http_api.expect("an API");
    assert_eq!((api.address.to_string().as_str(), api.insecure), ("0.0.0.0:8500", true));
    assert_eq!((seat.read_token.as_deref(), seat.write_token.as_deref()), (Some("r"), Some("w")));
    assert_eq!(seat.region_timeout, Duration::from_secs(7));
    assert_eq!(seat.liveness_timeout, Duration::from_millis(500));
    assert_eq!((seat.profile, seat.script_checks, &*seat.datacenter), (Profile::Wan, true, "dublin"));
}

#[test]
fn what_is_not_said_has_its_default() {
    let seat = spec("region-map\n node a\n http-api here:8500\n").seat.expect("a seat");
    assert_eq!(seat.region_timeout, Duration::from_secs(5));
    assert_eq!((seat.expect, seat.is_lone(), seat.profile), (0, true, Profile::Lan));
    assert_eq!((&*seat.region, &*seat.datacenter, seat.script_checks), ("", "dc1", false));
    assert_eq!(seat.http_api.map(|a| a.address.to_string()).as_deref(), Some("127.0.0.9:8500"));
    let none = spec("region r\n");
    assert_eq!((none.seat.is_none(), none.listens()), (true, false));
}

#[test]
fn an_open_door_needs_a_key_or_a_word() {
    let open = |line: &str| read(&format!("region-map\n {line}\n")).0.is_none();
    for (line, refused) in [
        ("bind 10.0.0.1:7400", true),
        ("bind :7400", true),
        ("bind [::]:7400", true),
        ("bind 127.0.0.1:7400", false),
        ("bind [::1]:7400", false),
        ("bind 10.0.0.1:7400 ssl\n data-dir /d", false),
        ("bind 10.0.0.1:7400 insecure", false),
        ("http-api 10.0.0.1:8500", true),
        ("http-api :8500 ssl crt /x.pem", true),
        ("http-api :8500 insecure", false),
        ("http-api :8500\n write-token w", false),
        ("http-api :8500\n read-token r", true),
        ("http-api 127.0.0.1:8500", false),
    ] {
        assert_eq!(open(line), refused, "{line}");
    }
    let message = alert("region-map\n bind 10.0.0.1:7400\n");
    assert!(message.starts_with("2:2 'bind 10.0.0.1:7400' can be reached from other hosts"), "{message}");
}

#[test]
fn findings_have_a_place_and_a_hint() {
    for (text, expected) in [
        (
            "region eu\n locatoin 1 2\n",
            "2:2 unknown keyword 'locatoin' in 'region' section did you mean 'location' maybe ?",
        ),
        (
            "region-map\n retry-jion a:1\n",
            "2:2 unknown keyword 'retry-jion' in 'region-map' section did you mean 'retry-join' maybe ?",
        ),
        (
            "region eu\n state pasive\n",
            "2:8 'state' expects 'active', 'passive' or 'drain', got 'pasive'. did you mean 'passive' maybe ?",
        ),
        (
            "region eu-west\nregion-map\n node a region eu-wset\n",
            "3:16 there is no 'region eu-wset' section. did you mean 'eu-west' maybe ?",
        ),
        ("region eu\n failover us\n", "2:11 there is no 'region us' section."),
        ("region eu\n failover eu\n", "2:11 region 'eu' cannot take over from itself."),
        ("region eu\nregion eu\n", "2:8 region 'eu' was declared already at test.cfg:1."),
        ("region\n", "1:1 'region' expects a name as argument."),
        ("region e/u\n", "1:8 character '/' is not permitted in region name 'e/u'."),
        (
            "region eu\n location 91 0\n",
            "2:11 'location' expects a latitude from -90 to 90 and a longitude from -180 to 180, in degrees.",
        ),
        ("region eu\n location 90 nan\n", "2:14 'location' expects a longitude from -180 to 180 degrees."),
        ("region eu\n countries FRA\n", "2:12 'FRA' is no country code of two letters."),
        ("region eu\n networks 10.0.0.0/33\n", "2:11 '10.0.0.0/33' is no network: write 10.1.0.0/16."),
        ("region-map\nregion-map\n", "2:1 'region-map' was given already at test.cfg:1."),
        ("region-map\n expect 0\n", "2:9 'expect' expects a number from 1 to 99, got '0'."),
        ("region-map\n node a\n node b\n", "3:2 'node' was given already at test.cfg:2."),
        (
            "region-map\n retry-join x\n bind 127.0.0.1:1\n",
            "2:13 'retry-join' expects <host>:<port>, got 'x'.",
        ),
        (
            "region-map\n retry-join x:1\n",
            "2:2 'retry-join' needs a 'bind' line, on which the other nodes answer.",
        ),
        (
            "region-map\n bind 127.0.0.1:1 sll\n",
            "2:19 'bind' unknown keyword 'sll'. did you mean 'ssl' maybe ?",
        ),
        ("region-map\n bind 127.0.0.1:1 crt /x\n", "2:19 'crt' needs 'ssl' on the same line."),
        ("region-map\n http-api :1 ssl\n", "2:2 'http-api' with 'ssl' expects 'crt <file>'."),
        (
            "region-map\n bind 127.0.0.1:1 ssl crt /x\n",
            "2:2 'bind' with 'ssl crt' expects 'ca-file <file>': who signed the others.",
        ),
        (
            "region-map\n bind 127.0.0.1:1 ssl ca-file /x\n",
            "2:2 'ca-file' and 'verify' expect 'crt <file>' on the same line.",
        ),
        (
            "region-map\n bind 127.0.0.1:1 ssl\n",
            "2:2 'bind' with 'ssl' and without 'crt' needs 'data-dir': the certificate is kept there.",
        ),
        (
            "region-map\n bind :1 ssl\n data-dir /d\n",
            "2:2 'bind 0.0.0.0:1': the other nodes are told this address and cannot reach it.",
        ),
        (
            "region-map\n bind 127.0.0.1:1 ssl\n data-dir /d\n join-token short\n",
            "4:13 'join-token': neither a join token nor a secret of at least 32 characters",
        ),
        (
            "region-map\n bind 127.0.0.1:1 ssl\n data-dir /d\n expect 3\n",
            "4:2 'expect' with 'ssl' and without 'crt' needs 'join-token' with a secret",
        ),
        (
            "region-map\n bind 127.0.0.1:1\n join-token 0123456789abcdef0123456789abcdef\n",
            "3:2 'join-token' needs 'bind' with 'ssl' and without 'crt'",
        ),
        (
            "region-map\n bind 127.0.0.1:1 ssl\n data-dir /d\n join-token 0123456789abcdef0123456789abcdef\n",
            "4:2 'join-token' is no join token (those begin with ISBTKN-1-)",
        ),
        ("region-map\n bind here\n", "2:7 'bind' : missing port specification in 'here'"),
        ("region-map\n region-timeout 0\n", "2:17 'region-timeout' expects a positive time."),
        ("region-map\n profile man\n", "2:10 'profile' expects 'lan' or 'wan', got 'man'."),
    ] {
        let got = alert(text);
        assert!(got.starts_with(expected), "{text}: {got}\n{expected}");
    }
}

#[test]
fn every_example_is_taken() {
    for (kind, entry) in keyword::entries() {
        let text = match kind {
            Kind::In(section) => {
                let name = if section == "region" { " x" } else { "" };
                // Lines that lean on another one.
                let more = match entry.name {
                    "retry-join" => " bind 127.0.0.1:7400\n",
                    "expect" => " bind 127.0.0.1:7400\n data-dir /tmp\n",
                    "join-token" => " bind 127.0.0.1:7400 ssl\n data-dir /tmp\n expect 3\n",
                    "read-token" => " write-token w\n",
                    "failover" => "region us-east\nregion ap-south\n",
                    _ => "",
                };
                format!("{section}{name}\n {}\n{more}", entry.example)
            }
            _ => format!("{}\n", entry.example),
        };
        let (built, diags) = read(&text);
        assert!(built.is_some() && diags.list.is_empty(), "{text}{:?}", diags.list);
        assert_eq!(entry.since, "isobar");
    }
}

/// The three files that make a cluster on one host agree with each other.
#[test]
fn the_shipped_regions_fit_together() {
    let files = [
        include_str!("../../../conf/region-a.cfg"),
        include_str!("../../../conf/region-b.cfg"),
        include_str!("../../../conf/region-c.cfg"),
    ];
    let specs = files.map(|text| {
        let facts = Facts::default();
        let kinds: Vec<&str> =
            keyword::section_kinds().chain(crate::config::compile::section_kinds()).collect();
        let input = Input::Text { name: "region.cfg".to_owned(), text: text.to_owned() };
        let loaded = load(&[input], LoadOptions::new(&facts, Env::default(), &kinds));
        assert!(loaded.diagnostics.list.is_empty(), "{:?}", loaded.diagnostics);
        let none = |_: &str| Err(io::ErrorKind::NotFound.into());
        let inputs =
            Inputs { sections: &loaded.sections, sources: &loaded.sources, resolve: &none, env: &|_| None };
        let (spec, diags) = build(&inputs);
        assert!(diags.list.is_empty(), "{diags:?}");
        spec.expect("a region map")
    });
    let seats: Vec<_> = specs.iter().map(|s| s.seat.clone().expect("a seat")).collect();
    let address = |seat: &SeatSpec| seat.bind.as_ref().map(|bind| bind.address.to_string());
    let all: Vec<String> = seats.iter().filter_map(address).collect();
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 3);
    for (spec, seat) in specs.iter().zip(&seats) {
        assert_eq!((seat.expect, seat.is_lone()), (3, false));
        assert_eq!(spec.regions.len(), 1, "each tells of its own region");
        assert_eq!(spec.regions[0].name, seat.region);
        assert_eq!(seat.retry_join, all);
    }
}
