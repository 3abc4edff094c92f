//! HTTP/2: frames for both roles, and header blocks.

use isobar::http::h2::fuzz;
use isobar::http::hpack::{Decoder, Encoder};

use super::mutate::drive;

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&[len[1], len[2], len[3], kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Header blocks of RFC 7541 appendix C, and one that resizes the table.
fn blocks() -> Vec<Vec<u8>> {
    vec![
        b"\x82\x86\x84\x41\x0fwww.example.com".to_vec(),
        b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff".to_vec(),
        b"\x83\x86\x84\x41\x01a\x40\x0acustom-key\x0ccustom-value\x0f\x0d\x013".to_vec(),
        b"\x20\x3f\xe1\x1f\x82\x86\x84\xbe".to_vec(),
        b"\x88\x61\x1dMon, 21 Oct 2013 20:13:21 GMT".to_vec(),
        b"\x00\x03x-t\x01v".to_vec(),
    ]
}

fn connections() -> Vec<Vec<u8>> {
    let settings = frame(4, 0, 0, b"\0\x03\0\0\0\x64\0\x04\0\0\xff\xff");
    let blocks = blocks();
    let body = [frame(1, 4, 1, &blocks[2]), frame(0, 8, 1, b"\x02ab\0\0"), frame(0, 1, 1, b"c")].concat();
    let trailers = [frame(1, 4, 1, &blocks[2]), frame(0, 0, 1, b"abc"), frame(1, 5, 1, &blocks[5])].concat();
    let split =
        [frame(1, 1, 3, &blocks[0][..5]), frame(9, 0, 3, b""), frame(9, 4, 3, &blocks[0][5..])].concat();
    let others = [
        frame(6, 0, 0, b"12345678"),
        frame(8, 0, 0, b"\0\0\x10\0"),
        frame(2, 0, 1, b"\0\0\0\0\x10"),
        frame(3, 0, 1, b"\0\0\0\x08"),
        frame(7, 0, 0, b"\0\0\0\0\0\0\0\0"),
    ]
    .concat();
    let answers = [frame(1, 4, 1, &blocks[4]), frame(0, 1, 1, b"ok")].concat();
    [body, trailers, split, others, answers].map(|frames| [&settings[..], &frames].concat()).to_vec()
}

#[test]
fn http_2_connections() {
    drive("HTTP/2 connections", &connections(), |bytes, random| {
        let step = 1 + random.below(60);
        fuzz::drive(bytes, false, step);
        fuzz::drive(bytes, true, step);
    });
}

/// What is decoded and encoded again is decoded to the same.
#[test]
fn header_blocks() {
    drive("header blocks", &blocks(), |bytes, _| {
        let mut fields = Vec::new();
        let mut decoder = Decoder::new(4096);
        let read = decoder.decode(bytes, |name, value, _| fields.push((name.to_vec(), value.to_vec())));
        if read.is_err() {
            return;
        }
        let (mut encoder, mut again) = (Encoder::new(false), Decoder::new(4096));
        for _ in 0..3 {
            let mut block = Vec::new();
            encoder.begin(&mut block);
            for (name, value) in &fields {
                encoder.field(name, value, &mut block);
            }
            let mut found = Vec::new();
            again.decode(&block, |name, value, _| found.push((name.to_vec(), value.to_vec()))).expect("ours");
            let lower = fields.iter().map(|(n, v)| (n.to_ascii_lowercase(), v.clone()));
            assert!(lower.eq(found.iter().cloned()), "{fields:?} became {found:?}");
        }
    });
}
