//! `stick-table` lines, and keys.

use super::{spec, table};
use crate::stick::{Data, KeyKind, ServerKey};

#[test]
fn lines_are_read() {
    let all = spec(
        "type string len 20 size 10k expire 5m nopurge srvkey addr recv-only write-to other peers mine store \
         http_req_rate(10s),gpc(3),gpc_rate(2,1m) store server_id",
    )
    .expect("a table");
    assert_eq!((all.kind, all.size, all.expire_ms), (KeyKind::Str(20), 10 * 1024, 300_000));
    assert!(all.nopurge && all.recv_only && all.server_key == ServerKey::Address);
    assert_eq!(all.write_to.as_ref().map(|(name, _)| &**name), Some("other"));
    assert_eq!(all.peers.as_ref().map(|(name, _)| &**name), Some("mine"));
    let stored: Vec<_> = all.store.iter().map(|s| (s.data, s.count, s.period_ms)).collect();
    assert_eq!(
        stored,
        [
            (Data::ServerId, 1, 0),
            (Data::HttpReqRate, 1, 10_000),
            (Data::Gpc, 3, 0),
            (Data::GpcRate, 2, 60_000)
        ]
    );
    for (kind, expected) in [
        ("ip", KeyKind::Ip),
        ("ipv6", KeyKind::Ipv6),
        ("integer", KeyKind::Integer),
        ("string", KeyKind::Str(31)),
        ("string len 32", KeyKind::Str(32)),
        ("binary len 7", KeyKind::Binary(7)),
    ] {
        assert_eq!(spec(&format!("type {kind} size 1m")).expect(kind).kind, expected, "{kind}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    for (line, message) in [
        ("size 1k", "missing 'type'"),
        ("type ip", "missing 'size'"),
        ("type ip size 0", "'0' is no number of entries"),
        ("type ip size", "'size' expects the number of entries"),
        ("type ip len 4 size 1", "keys of type 'ip' have no 'len'"),
        ("type string len 0 size 1", "'0' is no length of a key, which is 1 to 16384"),
        ("type number size 1", "unknown type 'number'"),
        ("type ip size 1 store nothing", "unknown data type 'nothing'"),
        ("type ip size 1 store http_req_rate", "'http_req_rate' expects a period"),
        ("type ip size 1 store http_req_rate(0)", "the period of 'http_req_rate' is not 0"),
        ("type ip size 1 store http_req_rate(10s", "missing ')' in 'http_req_rate(10s'"),
        ("type ip size 1 store gpc0(1)", "'gpc0' takes no argument"),
        ("type ip size 1 store gpc(101)", "'gpc' expects 1 to 100 elements, not '101'"),
        ("type ip size 1 srvkey id", "'srvkey' is 'name' or 'addr', not 'id'"),
        ("type ip size 1 cluster", "'cluster' sums counters and rates, and none is stored"),
        ("type ip size 1 cluster store gpt0", "'cluster' sums counters and rates, and none is stored"),
        ("type ip size 1 cluster store gpc0 peers p", "'cluster' and 'peers' exclude each other"),
        ("type ip size 1 cluster store gpc0 recv-only", "'cluster' and 'recv-only' exclude each other"),
        ("type ip size 1 cluster store gpc0 write-to t", "'cluster' and 'write-to' exclude each other"),
        ("type ip size 1 forever", "unknown argument 'forever'"),
    ] {
        assert_eq!(spec(line).expect_err(line), message, "{line}");
    }
}

#[test]
fn keys_are_cut_padded_and_shown() {
    for (kind, text, shown) in [
        (KeyKind::Ip, "10.1.2.3", "10.1.2.3"),
        (KeyKind::Ipv6, "2001:db8::1", "2001:db8::1"),
        (KeyKind::Integer, "4294967295", "4294967295"),
        (KeyKind::Str(5), "a b\\=cdef", "a\\ b\\\\\\="),
        (KeyKind::Str(5), "ab", "ab"),
    ] {
        let key = kind.parse(text).expect(text);
        let mut out = String::new();
        key.show(kind, &mut out);
        assert_eq!(out, shown, "{text}");
    }
    let kind = KeyKind::Binary(6);
    let (short, padded) = (kind.bytes(b"abcd").unwrap(), kind.bytes(b"abcd\0\0").unwrap());
    assert_eq!(short, padded);
    assert_eq!(kind.bytes(b"abcdefgh").unwrap().to_bytes(kind), b"abcdef");
    for (kind, wrong) in [(KeyKind::Ip, "::1"), (KeyKind::Ipv6, "1.2.3.4"), (KeyKind::Integer, "x")] {
        assert_eq!(kind.parse(wrong), None, "{wrong}");
    }
    // Texts that differ only in length are different keys.
    let texts = table("type string len 8 size 10");
    for text in ["", "a", "a\0", "ab"] {
        texts.update(&texts.kind().bytes(text.as_bytes()).unwrap(), 1000, |_| ());
    }
    assert_eq!(texts.used(), 4);
}
