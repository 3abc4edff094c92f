//! The examples of RFC 7541 appendix C, what must be refused, and that whatever is encoded is decoded to the same.

use proptest::prelude::*;

use super::*;
use super::{code, huffman, integer, known, table};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|d| u8::from_str_radix(std::str::from_utf8(d).expect("digits"), 16).expect("hex"))
        .collect()
}

fn fields(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String, bool)>, Invalid> {
    let mut found = Vec::new();
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    decoder.decode(block, |name, value, never| found.push((text(name), text(value), never)))?;
    Ok(found)
}

/// Fields as `name: value`, one a line.
fn lines(decoder: &mut Decoder, hex: &str) -> String {
    let found = fields(decoder, &bytes(hex)).expect("a block of the RFC");
    found.iter().map(|(n, v, _)| format!("{n}: {v}\n")).collect()
}

#[test]
fn c1_integers() {
    for (value, bits, expected) in [(10, 5, "0a"), (1337, 5, "1f9a0a"), (42, 8, "2a")] {
        let mut out = Vec::new();
        integer::write(value, bits, 0, &mut out);
        assert_eq!(out, bytes(expected));
        let mut at = 0;
        assert_eq!(integer::read(&out, &mut at, bits), Some(value));
        assert_eq!(at, out.len());
    }
}

#[test]
fn c2_representations() {
    let mut d = Decoder::new(4096);
    let custom = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
    assert_eq!(lines(&mut d, custom), "custom-key: custom-header\n");
    assert_eq!(lines(&mut d, "be"), "custom-key: custom-header\n");
    assert_eq!(lines(&mut d, "040c 2f73 616d 706c 652f 7061 7468"), ":path: /sample/path\n");
    let secret = fields(&mut d, &bytes("1008 7061 7373 776f 7264 0673 6563 7265 74"));
    assert_eq!(secret, Ok(vec![("password".into(), "secret".into(), true)]));
    assert_eq!(lines(&mut d, "82"), ":method: GET\n");
    assert_eq!(fields(&mut d, &bytes("bf")), Err(Invalid::Index), "only one field was added");
}

const REQUESTS: [&str; 3] = [
    ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n",
    ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\ncache-control: no-cache\n",
    ":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\ncustom-key: custom-value\n",
];

#[test]
fn c3_and_c4_requests() {
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let coded = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    for blocks in [plain, coded] {
        let mut d = Decoder::new(4096);
        for (block, expected) in blocks.iter().zip(REQUESTS) {
            assert_eq!(lines(&mut d, block), expected);
        }
    }
}

#[test]
fn c5_and_c6_responses_with_evictions() {
    let plain = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32
         3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970
         7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61
         6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
    ];
    let coded = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad
         1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2
         e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    let date = |s: u8| format!("Mon, 21 Oct 2013 20:13:{s} GMT");
    let expected = [
        format!(
            ":status: 302\ncache-control: private\ndate: {}\nlocation: https://www.example.com\n",
            date(21)
        ),
        format!(
            ":status: 307\ncache-control: private\ndate: {}\nlocation: https://www.example.com\n",
            date(21)
        ),
        format!(
            ":status: 200\ncache-control: private\ndate: {}\nlocation: https://www.example.com\n\
             content-encoding: gzip\nset-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\n",
            date(22)
        ),
    ];
    for blocks in [plain, coded] {
        let mut d = Decoder::new(256);
        for (block, expected) in blocks.iter().zip(&expected) {
            assert_eq!(&lines(&mut d, block), expected);
        }
    }
}

#[test]
fn what_cannot_be_read() {
    let table = [
        ("80", Invalid::Index),                   // index 0
        ("be", Invalid::Index),                   // 62 of an empty table
        ("ffffffffffffffff7f", Invalid::Integer), // too large
        ("ff808080808000", Invalid::Integer),     // longer than any integer need be
        ("ff", Invalid::Integer),                 // not whole
        ("000561", Invalid::Length),              // a name longer than the block
        ("000161", Invalid::Length),              // no value
        ("000161820000", Invalid::Huffman),       // padding of zeros
        ("00016181ff", Invalid::Huffman),         // eight bits of padding
        ("00016184ffffffff", Invalid::Huffman),   // the end of the string in it
        ("000161841fffffff", Invalid::Huffman),   // a longer code that does not end
        ("3fe21f", Invalid::Resize),              // 4097
        ("8220", Invalid::Resize),                // not at the start
        ("2020202020208220", Invalid::Resize),    // at the start, and once more at the end
    ];
    for (hex, expected) in table {
        let mut d = Decoder::new(4096);
        assert_eq!(fields(&mut d, &bytes(hex)), Err(expected), "{hex}");
    }
    let mut d = Decoder::new(4096);
    assert_eq!(lines(&mut d, "20 3fe11f 82"), ":method: GET\n");
}

#[test]
fn an_entry_larger_than_the_table_empties_it() {
    let mut d = Decoder::new(100);
    lines(&mut d, "40 01 61 01 62");
    assert_eq!(lines(&mut d, "be"), "a: b\n");
    let large: String = "41 7f 01".chars().chain("61".repeat(128).chars()).collect();
    assert_eq!(lines(&mut d, &large).len(), ":authority: \n".len() + 128);
    assert_eq!(fields(&mut d, &bytes("be")), Err(Invalid::Index));
}

/// A name taken from the entry that leaves to make room for the new one.
#[test]
fn a_name_outlives_its_entry() {
    let mut d = Decoder::new(40);
    lines(&mut d, "40 03 616263 01 31");
    assert_eq!(lines(&mut d, "7e 01 32"), "abc: 2\n");
    assert_eq!(lines(&mut d, "be"), "abc: 2\n");
}

#[test]
fn every_symbol_is_coded_and_read() {
    let all: Vec<u8> = (0..=255).collect();
    let (mut coded, mut read) = (Vec::new(), Vec::new());
    huffman::encode(&all, &mut coded);
    assert_eq!(coded.len(), huffman::encoded_len(&all));
    assert!(huffman::decode(&coded, &mut read));
    assert_eq!(read, all);
    // Appendix B names these.
    for (symbol, code) in [(b'0', (0x0, 5)), (b'a', (0x3, 5)), (b'X', (0xfc, 8)), (255, (0x3ffffee, 26))] {
        assert_eq!(code::CODE.encode[usize::from(symbol)], code);
    }
}

#[test]
fn names_of_the_static_table_are_found() {
    for (at, (name, value)) in known::ENTRIES.iter().enumerate() {
        let first = known::name(&name.to_ascii_uppercase());
        assert_eq!(known::ENTRIES[first - 1].0, *name);
        assert!(first <= at + 1);
        if !value.is_empty() {
            assert_eq!(known::pair(first, value), at + 1);
        }
    }
    assert_eq!(known::name(b"x-other"), 0);
    assert_eq!(known::pair(known::name(b"accept"), b""), 0);
}

#[test]
fn a_field_seen_twice_gets_an_entry_and_one_seen_once_does_not() {
    let mut e = Encoder::new(false);
    let mut sizes = Vec::new();
    for _ in 0..3 {
        let mut out = Vec::new();
        e.field(b"Server", b"some-server", &mut out);
        e.field(b"content-length", b"12345", &mut out);
        e.field(b"set-cookie", b"a=b", &mut out);
        sizes.push(out.len());
    }
    let rest = 2 + 1 + 5 + 2 + 1 + 3;
    assert_eq!(e.entries(), 1);
    assert_eq!((sizes[0], sizes[2]), (2 + 1 + 11 + rest, 1 + rest));
    let mut e = Encoder::new(true);
    for n in 0..6 {
        let name: &[u8] = if n < 3 { b"x-token" } else { b"user-agent" };
        e.field(name, b"secret", &mut Vec::new());
    }
    assert_eq!(e.entries(), 1, "of a request only what is harmless");
}

#[test]
fn a_change_of_the_size_is_said_once() {
    let mut e = Encoder::new(false);
    let begin = |e: &mut Encoder| {
        let mut out = Vec::new();
        e.begin(&mut out);
        out
    };
    assert_eq!(begin(&mut e), b"");
    e.resize(0);
    assert_eq!(begin(&mut e), b"\x20");
    assert_eq!(begin(&mut e), b"");
    e.resize(0);
    assert_eq!(begin(&mut e), b"");
    e.resize(4096);
    e.resize(10);
    e.resize(100_000);
    assert_eq!(begin(&mut e), [&b"\x2a"[..], &bytes("3fe11f")].concat());
}

#[test]
fn an_idle_table_owns_nothing_and_a_used_one_no_more_than_its_limit() {
    let mut t = table::Table::new(300);
    for n in 0..10_000u32 {
        t.add(table::Name::Bytes(b"name"), &n.to_le_bytes());
        let place = t.place_of(n).expect("the newest");
        assert_eq!((place, t.get(0)), (0, Some((&b"name"[..], &n.to_le_bytes()[..]))));
    }
    assert_eq!(t.len(), 300 / 40);
    assert_eq!(t.place_of(0), None);
    t.resize(0);
    assert_eq!((t.len(), t.get(0)), (0, None));
}

fn some_field() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let name = prop_oneof![
        (0..known::COUNT).prop_map(|at| known::ENTRIES[at].0.to_vec()),
        "[a-z]{1,3}".prop_map(String::into_bytes),
        prop::collection::vec(b'a'..=b'z', 0..200),
    ];
    let value = prop_oneof![
        (0..known::COUNT).prop_map(|at| known::ENTRIES[at].1.to_vec()),
        "[a-z]{1,2}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..300),
    ];
    (name, value)
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        blocks in prop::collection::vec((prop::collection::vec(some_field(), 0..12), 0..20usize), 1..12),
        careful in any::<bool>(),
    ) {
        let mut encoder = Encoder::new(careful);
        let mut decoder = Decoder::new(4096);
        for (block, resize) in blocks {
            if resize < 4 {
                encoder.resize([0, 100, 1000, 4096][resize]);
            }
            let mut out = Vec::new();
            encoder.begin(&mut out);
            for (name, value) in &block {
                encoder.field(name, value, &mut out);
            }
            let mut found = Vec::new();
            decoder.decode(&out, |n, v, _| found.push((n.to_vec(), v.to_vec()))).expect("ours");
            prop_assert_eq!(found, block);
        }
    }

    #[test]
    fn huffman_reads_what_it_writes(text in prop::collection::vec(any::<u8>(), 0..300)) {
        let (mut coded, mut read) = (Vec::new(), Vec::new());
        huffman::encode(&text, &mut coded);
        prop_assert!(huffman::decode(&coded, &mut read));
        prop_assert_eq!(read, text);
    }

    #[test]
    fn no_block_is_too_odd(block in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut decoder = Decoder::new(512);
        let _ = decoder.decode(&block, |_, _, _| {});
        let _ = decoder.decode(&block, |_, _, _| {});
    }
}
