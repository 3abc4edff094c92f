//! A lone node: what is registered is answered, by the client's network and health.

use super::client::{Node, dig, short};

const LINES: &str = "    nsid here\n    zone lb.example.com\n    record www service web policy nearest ttl 7s\n    \
                     record _web._tcp SRV service web policy nearest\n    record @ alias www\n    record t A 192.0.2.99\n";

#[test]
fn each_client_gets_the_nearest_healthy_region() {
    let node = Node::start(LINES, "");
    let _eu = node.host("eu");
    let us = node.host("us-east");
    node.register("web", "eu", "eu-1", "192.0.2.1", "passing");
    node.register("web", "us-east", "us-1", "192.0.2.2", "passing");
    node.becomes(&["www.lb.example.com", "+subnet=203.0.113.0/24"], &["192.0.2.1"]);
    node.becomes(&["www.lb.example.com", "+subnet=198.51.100.0/24"], &["192.0.2.2"]);
    let whole = dig(node.dns(), &["www.lb.example.com", "+subnet=198.51.100.0/24", "+nsid"]);
    assert!(whole.contains("CLIENT-SUBNET: 198.51.100.0/24/24"), "{whole}");
    assert!(whole.contains("(\"here\")") && whole.contains("status: NOERROR"), "{whole}");
    assert!(whole.contains("COOKIE: ") && whole.contains("(good)"), "{whole}");
    assert!(whole.contains("flags: qr aa rd;"), "{whole}");
    assert_eq!(
        short(node.dns(), &["lb.example.com", "+subnet=203.0.113.7/32"]),
        ["192.0.2.1"],
        "an alias at the apex"
    );
    assert_eq!(short(node.dns(), &["t.lb.example.com", "+tcp"]), ["192.0.2.99"]);
    let srv = short(node.dns(), &["SRV", "_web._tcp.lb.example.com", "+subnet=198.51.100.0/24"]);
    let expected = ["1 256 8080 c0000202.addr.lb.example.com.", "2 256 8080 c0000201.addr.lb.example.com."];
    assert_eq!(srv, expected, "the nearest region first");
    assert_eq!(short(node.dns(), &["c0000202.addr.lb.example.com"]), ["192.0.2.2"]);

    node.register("web", "us-east", "us-1", "192.0.2.2", "critical");
    node.becomes(&["www.lb.example.com", "+subnet=198.51.100.0/24"], &["192.0.2.1"]);
    node.register("web", "us-east", "us-1", "192.0.2.2", "passing");
    node.becomes(&["www.lb.example.com", "+subnet=198.51.100.0/24"], &["192.0.2.2"]);
    // Its host dies: nobody says so, and it is noticed.
    drop(us);
    node.becomes(&["www.lb.example.com", "+subnet=198.51.100.0/24"], &["192.0.2.1"]);
}

/// ISC's EDNS compliance queries (kb.isc.org, "EDNS compatibility dig queries"), and those of RFC 8906, section 8.
#[test]
fn edns_compliance() {
    let node = Node::start(LINES, "");
    let ask = |words: &[&str]| {
        let mut all = vec!["+norec"];
        all.extend(words);
        all.push("lb.example.com");
        dig(node.dns(), &all)
    };
    let has = |text: &str, what: &[&str]| {
        for one in what {
            assert!(text.contains(one), "{one} is not in {text}");
        }
    };
    has(&ask(&["+noedns", "+noad", "soa"]), &["status: NOERROR", "SOA\t"]);
    has(&ask(&["+edns=0", "+noad", "soa"]), &["status: NOERROR", "EDNS: version: 0", "SOA\t"]);
    has(&ask(&["+edns=100", "+noednsneg", "+noad", "soa"]), &["status: BADVERS", "EDNS: version: 0"]);
    has(&ask(&["+ednsopt=100", "+noad", "soa"]), &["status: NOERROR", "EDNS: version: 0", "SOA\t"]);
    let flags = ask(&["+ednsflags=0x40", "+noad", "soa"]);
    has(&flags, &["status: NOERROR", "EDNS: version: 0"]);
    assert!(!flags.contains("MBZ"), "{flags}");
    has(&ask(&["+edns=100", "+noednsneg", "+ednsopt=100", "+noad", "soa"]), &["status: BADVERS"]);
    has(&ask(&["+dnssec", "+noad", "soa"]), &["status: NOERROR", "flags: do;"]);
    has(
        &ask(&["+edns=0", "+dnssec", "+bufsize=512", "+ignore", "dnskey"]),
        &["status: NOERROR", "flags: do;"],
    );
    // RFC 8906: unknown types, flags, opcodes, and TCP.
    has(&ask(&["+noedns", "type1000"]), &["status: NOERROR", "ANSWER: 0", "AUTHORITY: 1"]);
    has(&ask(&["+noedns", "+cdflag", "soa"]), &["status: NOERROR"]);
    has(&ask(&["+noedns", "+zflag", "soa"]), &["status: NOERROR"]);
    has(&ask(&["+noedns", "+opcode=15", "+header-only"]), &["status: NOTIMP"]);
    has(&ask(&["+tcp", "soa"]), &["status: NOERROR", "SOA\t"]);
    has(&dig(node.dns(), &["+norec", "example.org", "a"]), &["status: REFUSED"]);
    has(&ask(&["any"]), &["RFC8482"]);
    has(&dig(node.dns(), &["CH", "TXT", "id.server"]), &["\"here\""]);
}

/// A zone file and its reload; and that a faulty one changes nothing.
#[test]
fn a_zone_file_is_read_again_when_it_is_saved() {
    let dir = tempfile::Builder::new().prefix("it.").tempdir().expect("a directory");
    let path = dir.path().join("zone");
    let zone = |address: &str| {
        format!(
            "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nwww A {address}\n\
             _http._tcp SRV 0 5 80 www\n$GENERATE 1-2 h$ A 10.0.0.$\n$INCLUDE more\n"
        )
    };
    let more = |address: &str| {
        std::fs::write(dir.path().join("more"), format!("included A {address}\n")).expect("written");
    };
    more("192.0.2.9");
    std::fs::write(&path, zone("192.0.2.7")).expect("written");
    let lines = format!("    zone-file example.com {}\n    record more A 192.0.2.8\n", path.display());
    let node = Node::start(&lines, "global\n    watch-config\n");
    assert_eq!(short(node.dns(), &["www.example.com"]), ["192.0.2.7"]);
    assert_eq!(short(node.dns(), &["more.example.com"]), ["192.0.2.8"]);
    assert_eq!(short(node.dns(), &["SRV", "_http._tcp.example.com"]), ["0 5 80 www.example.com."]);
    assert_eq!(short(node.dns(), &["h2.example.com"]), ["10.0.0.2"]);
    assert_eq!(short(node.dns(), &["included.example.com"]), ["192.0.2.9"]);
    more("192.0.2.90");
    node.becomes(&["included.example.com"], &["192.0.2.90"]);
    std::fs::write(&path, zone("192.0.2.70")).expect("written");
    node.becomes(&["www.example.com"], &["192.0.2.70"]);
    std::fs::write(&path, zone("nonsense")).expect("written");
    let told = crate::support::place::wait_until(super::client::SOON, || {
        node.proxy.stderr().contains("no IPv4 address")
    });
    assert!(told, "{}", node.proxy.stderr());
    assert_eq!(short(node.dns(), &["www.example.com"]), ["192.0.2.70"]);
}

/// Two responders in one process: the first forwards to the second.
#[test]
fn other_names_are_forwarded_and_remembered() {
    let more = "dns up\n    bind {ip}:{port:up}\n    zone up.test\n    record www A 192.0.2.50 ttl 300s\n    record two TXT x\n";
    let lines = "    zone lb.example.com\n    record t A 192.0.2.99\n    forward up.test {ip}:{port:up}\n    \
                 forward . 127.0.0.1:9\n";
    let node = Node::start(lines, more);
    let first = dig(node.dns(), &["www.up.test"]);
    assert!(first.contains("flags: qr rd ra;") && first.contains("192.0.2.50"), "{first}");
    assert!(first.contains("(good)"), "our own cookie, not upstream's: {first}");
    assert_eq!(short(node.dns(), &["wWw.Up.TeSt", "+tcp"]), ["192.0.2.50"]);
    assert!(dig(node.dns(), &["none.up.test"]).contains("status: NXDOMAIN"));
    assert!(dig(node.dns(), &["two.up.test", "A"]).contains("ANSWER: 0, AUTHORITY: 1"));
    // Nobody is there for the others.
    let failed = dig(node.dns(), &["example.org", "+time=8"]);
    assert!(failed.contains("status: SERVFAIL") && failed.contains("EDE: 23"), "{failed}");
    // Our own zone is ours, and who does not want recursion gets none.
    assert!(dig(node.dns(), &["t.lb.example.com"]).contains("flags: qr aa rd ra;"));
    assert!(dig(node.dns(), &["www.up.test", "+norec"]).contains("status: REFUSED"));
}

#[test]
fn consuls_names() {
    let node = Node::start("    consul-domain consul\n    zone lb.example.com\n", "");
    let _eu = node.host("eu");
    node.register("web", "eu", "web-1", "192.0.2.1", "passing");
    node.register("web", "eu", "web-2", "192.0.2.2", "passing");
    node.becomes(&["web.service.consul"], &["192.0.2.1", "192.0.2.2"]);
    node.becomes(&["web.service.eu.consul"], &["192.0.2.1", "192.0.2.2"]);
    let srv = short(node.dns(), &["SRV", "_web._tcp.service.consul"]);
    assert_eq!(srv, ["1 256 8080 c0000201.addr.dc1.consul.", "1 256 8080 c0000202.addr.dc1.consul."]);
    assert_eq!(short(node.dns(), &["host-eu.node.consul"]), ["127.0.0.1"]);
    assert!(dig(node.dns(), &["none.service.consul"]).contains("status: NXDOMAIN"));
    node.register("web", "eu", "web-1", "192.0.2.1", "critical");
    node.becomes(&["web.service.consul"], &["192.0.2.2"]);
}

/// dig checks the signatures of all messages.
#[test]
fn a_zone_is_transferred_to_who_has_the_key() {
    let dir = tempfile::Builder::new().prefix("it.").tempdir().expect("a directory");
    let path = dir.path().join("zone");
    let text = "$TTL 60\n@ SOA ns host 7 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n$GENERATE 1-4000 h$ A 10.0.0.1\n";
    std::fs::write(&path, text).expect("written");
    let secret = "c2VjcmV0LW9mLXRoZS16b25lcy0wMTIzNDU2Nzg5";
    let lines = format!(
        "    key t hmac-sha256 {secret}\n    transfer key t\n    zone-file example.com {}\n",
        path.display()
    );
    let node = Node::start(&lines, "");
    let key = format!("hmac-sha256:t:{secret}");
    let whole = dig(node.dns(), &["-y", &key, "AXFR", "example.com"]);
    assert!(
        whole.contains("XFR size: 4004 records") && !whole.contains("verify"),
        "{}",
        &whole[whole.len().min(400)..]
    );
    let signed = dig(node.dns(), &["-y", &key, "SOA", "example.com"]);
    assert!(
        signed.contains("TSIG") && signed.contains("status: NOERROR") && !signed.contains("verify"),
        "{signed}"
    );
    let refused = dig(node.dns(), &["AXFR", "example.com"]);
    assert!(refused.contains("Transfer failed") && !refused.contains("10.0.0.1"), "{refused}");
    let forged = dig(node.dns(), &["-y", "hmac-sha256:t:AAAAAAAAAAAAAAAAAAAAAA==", "AXFR", "example.com"]);
    assert!(!forged.contains("10.0.0.1"), "{forged}");
}
