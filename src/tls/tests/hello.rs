//! The first message of clients, good ones and those that HAProxy answers with an alert.

use crate::tls::hello::{Hello, Parsed, TLS12, TLS13, alert_record, parse};

/// A message with these extensions, without a record around it.
fn message(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([2, 0xaa, 0xbb]);
    body.extend([0, 4, 0x13, 0x01, 0xc0, 0x2f]);
    body.extend([1, 0]);
    let of = |(id, data): &(u16, Vec<u8>)| [&id.to_be_bytes()[..], &vector(data)].concat();
    body.extend(vector(&extensions.iter().flat_map(of).collect::<Vec<u8>>()));
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1], &length[1..], &body].concat()
}

fn vector(data: &[u8]) -> Vec<u8> {
    [&u16::try_from(data.len()).unwrap().to_be_bytes()[..], data].concat()
}

fn record(content: &[u8]) -> Vec<u8> {
    [&[22, 3, 1][..], &vector(content)].concat()
}

fn name(kind: u8, name: &[u8]) -> Vec<u8> {
    [&[kind][..], &vector(name)].concat()
}

fn with_names(names: &[u8]) -> Parsed {
    parse(&record(&message(&[(0, vector(names))])))
}

fn read(extensions: &[(u16, Vec<u8>)]) -> Hello {
    match parse(&record(&message(extensions))) {
        Parsed::Hello(hello) => hello,
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_are_taken_as_bytes_and_wrong_ones_answered_with_an_alert() {
    for good in [&b"a.test"[..], b"A.Test.", b"127.0.0.1", b"*.w.test", b".x", b"\xc3\xa4.test", &[b'a'; 255]]
    {
        let Parsed::Hello(hello) = with_names(&name(0, good)) else { panic!("{good:?}") };
        assert_eq!(hello.name(), Some(good));
    }
    assert_eq!(read(&[]).name(), None);
    let alert = |names: &[u8]| match with_names(names) {
        Parsed::Alert(alert) => alert,
        other => panic!("{other:?}"),
    };
    assert_eq!(alert(&name(0, b"")), 112);
    assert_eq!(alert(&name(0, &[b'a'; 256])), 112);
    assert_eq!(alert(&name(0, b"a\0b")), 112);
    assert_eq!(alert(&name(1, b"a.test")), 112);
    assert_eq!(alert(b""), 112);
    assert_eq!(alert(&name(0, b"a.test")[..5]), 112);
    assert_eq!(alert(&[name(0, b"a.test"), name(0, b"b.test")].concat()), 50);
    assert!(matches!(parse(&record(&message(&[(0, vec![])]))), Parsed::Alert(112)));
    assert_eq!(alert_record(112), [21, 3, 3, 0, 2, 2, 112]);
}

#[test]
fn a_message_comes_in_as_many_pieces_as_it_likes() {
    let message = message(&[(0, vector(&name(0, b"a.test")))]);
    let whole = record(&message);
    for end in 0..whole.len() {
        assert!(matches!(parse(&whole[..end]), Parsed::NeedMore), "{end}");
    }
    for size in [1, 2, 5, 60] {
        let pieces: Vec<u8> = message.chunks(size).flat_map(record).collect();
        let Parsed::Hello(hello) = parse(&[&pieces[..], b"what follows"].concat()) else { panic!("{size}") };
        assert_eq!(hello.name(), Some(&b"a.test"[..]));
    }
    // Another kind of record in between.
    let torn = [record(&message[..9]), vec![21, 3, 1, 0, 2, 1, 0]].concat();
    assert!(matches!(parse(&torn), Parsed::Alert(10)));
    assert!(matches!(parse(&record(&[])), Parsed::Alert(10)));
    assert!(matches!(parse(&[22, 3, 1, 0xff, 0xff]), Parsed::Alert(22)));
    assert!(matches!(parse(&record(&[1, 1, 0, 0])), Parsed::Alert(47)), "no message is that large");
    assert!(matches!(parse(&record(&[2, 0, 0, 4])), Parsed::Alert(10)), "of a server");
}

#[test]
fn every_part_of_a_message_is_found() {
    let hello = read(&[
        (10, vector(&[0x11, 0xec, 0, 29])),
        (11, vec![2, 0, 1]),
        (13, vector(&[4, 3, 8, 4])),
        (16, vector(b"\x02h2\x08http/1.1")),
        (42, vec![]),
        (43, vec![4, 3, 4, 3, 3]),
    ]);
    assert_eq!(hello.legacy_version(), TLS12);
    assert_eq!((hello.random(), hello.session_id()), (&[7; 32][..], &[0xaa, 0xbb][..]));
    assert_eq!(hello.suites().collect::<Vec<_>>(), [0x1301, 0xc02f]);
    assert_eq!(hello.extension_ids().collect::<Vec<_>>(), [10, 11, 13, 16, 42, 43]);
    assert_eq!((hello.group_bytes(), hello.point_format_bytes()), (&[0x11, 0xec, 0, 29][..], &[0, 1][..]));
    assert_eq!(hello.signatures().collect::<Vec<_>>(), [0x0403, 0x0804]);
    assert_eq!(hello.protocols().collect::<Vec<_>>(), [&b"h2"[..], b"http/1.1"]);
    assert_eq!(hello.versions().collect::<Vec<_>>(), [TLS13, TLS12]);
    assert!(hello.has_early_data() && hello.speaks(TLS13) && hello.speaks(TLS12));
    let old = read(&[]);
    assert!(!old.has_early_data() && !old.speaks(TLS13) && old.speaks(TLS12));
    assert!(old.protocols().next().is_none() && old.version_bytes().is_empty());
}

#[test]
fn what_is_cut_or_odd_is_answered_not_believed() {
    let good = message(&[(13, vector(&[4, 3])), (0, vector(&name(0, b"a")))]);
    // Every length one too long, one too short.
    for at in 4..good.len() {
        for change in [1u8, 0xff] {
            let mut bad = good.clone();
            bad[at] = bad[at].wrapping_add(change);
            let _ = parse(&record(&bad));
        }
    }
    for end in 4..good.len() {
        let mut cut = good[..end].to_vec();
        cut[3] = u8::try_from(end - 4).unwrap();
        match parse(&record(&cut)) {
            Parsed::Alert(50) => {}
            // Without extensions it is a message too.
            Parsed::Hello(_) => assert_eq!(end, 4 + 2 + 32 + 3 + 6 + 2),
            other => panic!("{end}: {other:?}"),
        }
    }
}

#[test]
fn other_protocols_are_told_apart() {
    let is_http = |bytes: &[u8]| match parse(bytes) {
        Parsed::NotTls { is_http } => is_http,
        other => panic!("{other:?}"),
    };
    assert!(is_http(b"GET / HTTP/1.1\r\n") && is_http(b"PRI * HTTP/2.0\r\n"));
    assert!(!is_http(b"SSH-2.0") && !is_http(&[0x80, 0x2e, 1, 3, 1]) && !is_http(&[22, 2, 0, 0, 1]));
    assert!(matches!(parse(b"GE"), Parsed::NeedMore));
    assert!(matches!(parse(b""), Parsed::NeedMore));
}

#[test]
fn what_is_kept_is_small_and_says_the_same() {
    let extensions = [
        (51, vec![0; 1200]),
        (0, vector(&name(0, b"a.test"))),
        (35, vec![1; 300]),
        (13, vector(&[4, 3, 8, 4])),
        (41, vec![2; 100]),
    ];
    let kept = read(&extensions).compact();
    let ids: Vec<u16> = kept.extension_ids().collect();
    assert_eq!(ids, [51, 0, 35, 13, 41]);
    assert_eq!((kept.name(), kept.signature_bytes()), (Some(&b"a.test"[..]), &[4, 3, 8, 4][..]));
    assert_eq!((kept.random(), kept.suites().count()), (&[7; 32][..], 2));
    assert!(kept.size() < 300, "{}", kept.size());
    assert_eq!(read(&[]).compact().suites().count(), 2);
}
