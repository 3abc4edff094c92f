//! What is answered, by the RFC that says so.

use proptest::prelude::*;

use super::testing::{ASK, Answer, ask, query, read, state};
use super::*;
use crate::dns::wire::{flag, rcode, rtype};

fn get(name: &str, qtype: u16) -> Answer {
    ask(&state(), &query(name, qtype, None), &ASK).expect("an answer")
}

fn with(name: &str, qtype: u16, options: &[u8]) -> Answer {
    ask(&state(), &query(name, qtype, Some(options)), &ASK).expect("an answer")
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

#[test]
fn records_and_their_absence() {
    let www = get("www.example.com.", rtype::A);
    assert_eq!(www.flags, flag::QR | flag::AA | flag::RD);
    assert_eq!(
        www.section(1),
        strings(&["www.example.com. 300 1 192.0.2.1", "www.example.com. 300 1 192.0.2.2"])
    );
    let none = get("www.example.com.", rtype::MX);
    assert_eq!((none.code, none.section(1).len()), (0, 0));
    assert_eq!(none.records[0].3, 60, "the minimum of the SOA record");
    assert_eq!(get("nothing.example.com.", rtype::A).code, rcode::NXDOMAIN);
    assert_eq!(get("b.c.example.com.", rtype::A).code, 0, "an empty non-terminal is a name (RFC 8020)");
    assert_eq!(
        get("host-3.example.com.", rtype::A).section(1),
        strings(&["host-3.example.com. 300 1 10.0.0.3"])
    );
    let mx = get("example.com.", rtype::MX);
    assert_eq!((mx.section(1).len(), mx.section(3).len()), (1, 2), "with its addresses");
    assert_eq!(get("_http._tcp.example.com.", rtype::SRV).section(3).len(), 2);
    let other = get("example.org.", rtype::A);
    assert_eq!((other.code, other.flags & flag::AA), (rcode::REFUSED, 0));
}

#[test]
fn the_name_comes_back_as_it_was_written() {
    let mixed = get("wWw.eXample.COM.", rtype::A);
    assert_eq!(mixed.section(1)[0], "wWw.eXample.COM. 300 1 192.0.2.1");
    assert!(mixed.octets.windows(3).any(|w| w == b"wWw"));
}

#[test]
fn names_that_stand_for_others() {
    let chain = get("chain.example.com.", rtype::A);
    let expected =
        ["chain.example.com. 300 5 alias.example.com.", "alias.example.com. 300 5 www.example.com."];
    assert_eq!(chain.section(1)[..2], strings(&expected));
    assert_eq!(
        chain.section(1)[2..],
        strings(&["www.example.com. 300 1 192.0.2.1", "www.example.com. 300 1 192.0.2.2"])
    );
    assert!(get("loop.example.com.", rtype::A).section(1).len() < 12, "a loop ends");
    assert_eq!(
        get("away.example.com.", rtype::A).section(1),
        strings(&["away.example.com. 300 5 www.example.org."])
    );
    assert_eq!(get("chain.example.com.", rtype::CNAME).section(1).len(), 1);
    let wild = get("any.thing.wild.example.com.", rtype::A);
    assert_eq!(wild.section(1), strings(&["any.thing.wild.example.com. 300 1 192.0.2.9"]));
    assert_eq!(get("x.cwild.example.com.", rtype::A).section(1).len(), 3);
    assert_eq!(get("x.wild.example.com.", rtype::AAAA).code, 0);
    let moved = get("x.old.example.com.", rtype::A);
    let expected = [
        "old.example.com. 300 39 new.example.com.",
        "x.old.example.com. 300 5 x.new.example.com.",
        "x.new.example.com. 300 1 192.0.2.7",
    ];
    assert_eq!(moved.section(1), strings(&expected));
}

#[test]
fn a_delegation_is_a_referral_with_glue() {
    for name in ["sub.example.com.", "deep.down.sub.example.com.", "ns.sub.example.com."] {
        let referral = get(name, rtype::A);
        assert_eq!((referral.code, referral.flags & flag::AA), (0, 0));
        let ns = ["sub.example.com. 300 2 ns.sub.example.com.", "sub.example.com. 300 2 ns.example.net."];
        assert_eq!((referral.section(1), referral.section(2)), (vec![], strings(&ns)));
        assert_eq!(referral.section(3), strings(&["ns.sub.example.com. 300 1 192.0.2.54"]));
    }
    assert_eq!(get("sub.example.com.", rtype::DS).section(1).len(), 1, "the parent has it");
}

#[test]
fn any_is_answered_with_little() {
    let any = get("www.example.com.", rtype::ANY);
    assert_eq!(any.section(1), strings(&["www.example.com. 3600 13 9 octets"]));
}

#[test]
fn what_does_not_fit_is_truncated() {
    let short = get("big.example.com.", rtype::TXT);
    assert_eq!((short.flags & flag::TC, short.records.len()), (flag::TC, 0));
    assert_eq!(with("big.example.com.", rtype::TXT, &[]).section(1).len(), 5, "EDNS gives more room");
    let stream = Ask { stream: true, ..ASK };
    let whole = ask(&state(), &query("big.example.com.", rtype::TXT, None), &stream).expect("an answer");
    assert_eq!((whole.flags & flag::TC, whole.section(1).len()), (0, 5));
}

/// RFC 6891 and RFC 8906, section 8.
#[test]
fn edns_is_answered_as_it_should_be() {
    let plain = with("www.example.com.", rtype::A, &[]);
    assert!(plain.options.is_empty());
    assert_eq!(plain.octets[plain.octets.len() - 11..], [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
    let unknown = with("www.example.com.", rtype::A, &[0, 100, 0, 0]);
    assert!(unknown.options.is_empty() && unknown.code == 0, "an unknown option is passed over");
    let mut future = query("www.example.com.", rtype::A, Some(&[0, 100, 0, 0]));
    let at = future.len() - 9;
    future[at] = 100;
    let answer = ask(&state(), &future, &ASK).expect("an answer");
    assert_eq!((answer.code, answer.section(1).len()), (rcode::BADVERS, 0));
    let mut bits = query("www.example.com.", rtype::A, Some(&[]));
    let at = bits.len() - 4;
    (bits[at], bits[at + 1]) = (0x80, 0x40);
    let answer = ask(&state(), &bits, &ASK).expect("an answer");
    let octets = &answer.octets;
    assert_eq!(octets[octets.len() - 4..], [0x80, 0, 0, 0], "DO is copied, unknown bits are not");
    let twice =
        [query("www.example.com.", rtype::A, Some(&[])), vec![0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0]].concat();
    let mut twice = twice;
    twice[11] = 2;
    assert_eq!(ask(&state(), &twice, &ASK).expect("an answer").code, rcode::FORMERR);
}

#[test]
fn unusual_queries_get_an_answer() {
    let state = state();
    let mut other = query("www.example.com.", rtype::A, None);
    other[2] = 15 << 3;
    let answer = ask(&state, &other, &ASK).expect("an answer");
    assert_eq!((answer.code, answer.octets.len(), answer.octets[2] & 0x78), (rcode::NOTIMP, 12, 15 << 3));
    let mut response = query("www.example.com.", rtype::A, None);
    response[2] |= 0x80;
    assert!(ask(&state, &response, &ASK).is_none(), "never an answer to an answer");
    assert!(ask(&state, &response[..11], &ASK).is_none());
    let mut bits = query("www.example.com.", rtype::A, None);
    bits[3] = 0x70;
    assert_eq!(ask(&state, &bits, &ASK).expect("an answer").flags, flag::QR | flag::AA | flag::RD | flag::CD);
    assert_eq!(get("www.example.com.", 1000).code, 0, "an unknown type is no record");
    let mut many = query("www.example.com.", rtype::A, None);
    many[5] = 2;
    assert_eq!(ask(&state, &many, &ASK).expect("an answer").code, rcode::FORMERR);
    let mut class = query("www.example.com.", rtype::A, None);
    *class.last_mut().expect("octets") = 4;
    assert_eq!(ask(&state, &class, &ASK).expect("an answer").code, rcode::REFUSED);
    let mut cut = query("www.example.com.", rtype::A, None);
    cut.pop();
    assert_eq!(ask(&state, &cut, &ASK).expect("an answer").code, rcode::FORMERR);
    assert_eq!(get("example.com.", rtype::AXFR).code, rcode::REFUSED, "not over UDP");
}

#[test]
fn options_that_are_asked_for() {
    let named = with("www.example.com.", rtype::A, &[0, 3, 0, 0]);
    assert_eq!(named.option(3), Some(&b"node-1"[..]));
    let cookie = with("www.example.com.", rtype::A, b"\0\x0a\0\x0812345678");
    let whole = cookie.option(10).expect("a cookie").to_vec();
    assert_eq!((whole.len(), &whole[..8]), (24, &b"12345678"[..]));
    let shown = [&[0, 10, 0, 24][..], &whole].concat();
    let again = query("www.example.com.", rtype::A, Some(&shown));
    let mut out = [0; 1232];
    let Outcome::Sent(sent) = respond(&state(), &again, &ASK, &mut out) else { panic!("no answer") };
    assert!(sent.known_client);
    let forger = Ask { client: "198.51.100.8".parse().expect("an address"), ..ASK };
    let Outcome::Sent(sent) = respond(&state(), &again, &forger, &mut out) else { panic!("no answer") };
    assert!(!sent.known_client);
    assert_eq!(with("www.example.com.", rtype::A, b"\0\x0a\0\x071234567").code, rcode::FORMERR);
    let refused = with("example.org.", rtype::A, &[]);
    assert_eq!(refused.option(15), Some(&[0, 18][..]));
    // A cookie without a question (RFC 7873, 5.4).
    let mut bare = vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 12];
    bare.extend(b"\0\x0a\0\x0812345678");
    let answer = ask(&state(), &bare, &ASK).expect("an answer");
    assert_eq!((answer.code, answer.option(10).map(<[u8]>::len)), (0, Some(24)));
}

const NEAR: &[u8] = &[0, 8, 0, 7, 0, 1, 24, 0, 203, 0, 113];

#[test]
fn the_network_decides_and_the_scope_says_how_far() {
    let near = with("live.example.com.", rtype::A, NEAR);
    assert_eq!(
        near.section(1),
        strings(&["live.example.com. 30 1 10.0.0.1", "live.example.com. 30 1 10.0.0.2"])
    );
    assert_eq!(near.option(8), Some(&[0, 1, 24, 24, 203, 0, 113][..]));
    let far = with("live.example.com.", rtype::A, &[0, 8, 0, 6, 0, 1, 16, 0, 8, 8]);
    assert_eq!(far.section(1)[0], "live.example.com. 30 1 10.1.0.1");
    assert_eq!(far.option(8), Some(&[0, 1, 16, 1, 8, 8][..]), "all of 0.0.0.0/1 has the same");
    // Of what does not hang on the network, and of what is not there, the scope is 0.
    assert_eq!(with("www.example.com.", rtype::A, NEAR).option(8), Some(&[0, 1, 24, 0, 203, 0, 113][..]));
    assert_eq!(with("no.example.com.", rtype::A, NEAR).option(8), Some(&[0, 1, 24, 0, 203, 0, 113][..]));
    // Opted out: by the resolver's own address, scope 0.
    let out = with("live.example.com.", rtype::A, &[0, 8, 0, 4, 0, 1, 0, 0]);
    assert_eq!(
        (out.section(1)[0].as_str(), out.option(8)),
        ("live.example.com. 30 1 10.1.0.1", Some(&[0, 1, 0, 0][..]))
    );
    assert_eq!(
        with("live.example.com.", rtype::A, &[0, 8, 0, 4, 0, 0, 0, 0]).option(8),
        Some(&[0, 0, 0, 0][..])
    );
    assert!(with("live.example.com.", rtype::A, &[]).option(8).is_none(), "never without being asked");
    assert_eq!(
        get("example.com.", rtype::A).section(1)[0],
        "example.com. 30 1 10.1.0.1",
        "an alias at the apex"
    );
}

#[test]
fn malformed_networks_are_errors() {
    let faulty: [&[u8]; 6] = [
        &[0, 8, 0, 3, 0, 1, 0],
        &[0, 8, 0, 7, 0, 1, 24, 1, 203, 0, 113],
        &[0, 8, 0, 7, 0, 1, 23, 0, 203, 0, 113],
        &[0, 8, 0, 8, 0, 1, 24, 0, 203, 0, 113, 0],
        &[0, 8, 0, 7, 0, 3, 24, 0, 203, 0, 113],
        &[0, 8, 0, 7, 0, 1, 33, 0, 203, 0, 113],
    ];
    for options in faulty {
        assert_eq!(with("live.example.com.", rtype::A, options).code, rcode::FORMERR, "{options:?}");
    }
}

#[test]
fn servers_have_priorities_by_region_and_weights_for_haproxy() {
    let srv = with("_live._tcp.example.com.", rtype::SRV, NEAR);
    let line = |region: u8, n: u8, priority: u8| {
        format!(
            "_live._tcp.example.com. 30 33 [0, {priority}, 2, 0, 31, 144] 0a0{region}000{n}.addr.example.com."
        )
    };
    assert_eq!(srv.section(1), [line(0, 1, 1), line(0, 2, 1), line(1, 1, 2), line(1, 2, 2)]);
    assert_eq!(srv.section(3).len(), 4);
    let target = get("0a010002.addr.example.com.", rtype::A);
    assert_eq!(target.section(1), strings(&["0a010002.addr.example.com. 3600 1 10.1.0.2"]));
    assert_eq!(get("0a010002.addr.example.com.", rtype::AAAA).code, 0);
    assert_eq!(get("zz.addr.example.com.", rtype::A).code, rcode::NXDOMAIN);
}

#[test]
fn who_we_are() {
    let mut packet = query("id.server.", rtype::TXT, None);
    *packet.last_mut().expect("octets") = 3;
    let answer = ask(&state(), &packet, &ASK).expect("an answer");
    assert_eq!(answer.records[0].4, b"\x06node-1");
    let mut packet = query("version.bind.", rtype::TXT, None);
    *packet.last_mut().expect("octets") = 3;
    assert_eq!(ask(&state(), &packet, &ASK).expect("an answer").code, rcode::REFUSED);
}

/// Made once: there are many cases.
fn whole() -> &'static State {
    static STATE: std::sync::OnceLock<State> = std::sync::OnceLock::new();
    STATE.get_or_init(state)
}

/// Whatever comes, the answer is a message, no longer than a datagram may be.
fn holds(state: &State, packet: &[u8]) {
    let mut out = [0; 1232];
    if let Outcome::Sent(sent) = respond(state, packet, &ASK, &mut out) {
        assert!(sent.len <= 1232);
        let answer = read(&out[..sent.len]);
        assert_eq!((&answer.octets[..2], answer.flags & flag::QR), (&packet[..2], flag::QR));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_octets_make_it_fail(packet in prop::collection::vec(any::<u8>(), 0..600)) {
        holds(whole(), &packet);
    }

    #[test]
    fn nor_do_queries_with_some_octets_changed(
        name in prop::sample::select(vec!["www", "chain", "live", "_live._tcp", "sub", "x.old", "big", "x.wild"]),
        qtype in prop::sample::select(vec![1u16, 2, 5, 6, 15, 16, 28, 33, 43, 255, 252, 0, 65535]),
        options in prop::sample::select(vec![NEAR, &[0, 3, 0, 0], b"\0\x0a\0\x0812345678"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut packet = query(&format!("{name}.example.com."), qtype, Some(options));
        for (at, octet) in changes {
            let at = at.index(packet.len());
            packet[at] = octet;
        }
        holds(whole(), &packet);
        holds(whole(), &packet[..cut.index(packet.len())]);
    }
}
