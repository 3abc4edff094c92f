//! Cases of header blocks: CONTINUATION, padding, HPACK.

use super::driver::*;

#[test]
fn continuations() {
    let whole = get_with(&[]);
    let (first, second) = whole.split_at(20);
    let begin = frame(HEADERS, ES, 1, first);
    let pieces: Vec<u8> = whole[1..]
        .iter()
        .enumerate()
        .flat_map(|(n, b)| frame(CONTINUATION, if n + 2 == whole.len() { EH } else { 0 }, 1, &[*b]))
        .collect();
    let empty = |n: usize| frame(CONTINUATION, 0, 1, b"").repeat(n);
    table(&[
        ("cont-ok", [begin.clone(), frame(CONTINUATION, EH, 1, second)].concat(), OK),
        ("cont-alone", frame(CONTINUATION, EH, 1, second), "GOAWAY(0,PROTOCOL)"),
        ("cont-after-eh", [post(1, &[]), frame(CONTINUATION, EH, 1, b"")].concat(), "GOAWAY(1,PROTOCOL)"),
        ("cont-data", [begin.clone(), frame(DATA, ES, 1, b"x")].concat(), "GOAWAY(1,PROTOCOL)"),
        ("cont-othersid", [begin.clone(), frame(CONTINUATION, EH, 3, second)].concat(), "GOAWAY(1,PROTOCOL)"),
        ("cont-1byte", [frame(HEADERS, ES, 1, &whole[..1]), pieces].concat(), OK),
        ("cont-empty100", [begin.clone(), empty(100), frame(CONTINUATION, EH, 1, second)].concat(), OK),
        ("cont-empty3000", [begin.clone(), empty(3000)].concat(), "GOAWAY(1,ENHANCE_YOUR_CALM)"),
        (
            "cont-flood",
            [begin, frame(CONTINUATION, 0, 1, &[0; 16_384]).repeat(20)].concat(),
            "GOAWAY(1,ENHANCE_YOUR_CALM)",
        ),
    ]);
}

#[test]
fn padding() {
    let padded = |flags: u8, payload: &[u8]| [post(1, &[]), frame(DATA, flags | PAD, 1, payload)].concat();
    let head = |pad: u8, behind: usize| {
        frame(HEADERS, EH | ES | PAD, 1, &[&[pad], &get_with(&[])[..], &vec![0; behind]].concat())
    };
    let live = |bytes: Vec<u8>| [bytes, get(3)].concat();
    const BOTH: &str = "H(1,200) D(1,ES) H(3,200) D(3,ES)";
    table(&[
        ("pad-all", live(padded(ES, &[4, 0, 0, 0, 0])), BOTH),
        ("pad-nonzero", live(padded(ES, &[2, b'x', 1, 2])), BOTH),
        ("pad-headers", live(head(7, 7)), BOTH),
        ("pad-toolong-d", padded(0, &[4, 0, 0, 0]), "GOAWAY(1,PROTOCOL)"),
        ("pad-toolong-h", head(200, 0), "GOAWAY(0,PROTOCOL)"),
        ("pad-empty", padded(0, b""), "GOAWAY(1,FRAME_SIZE)"),
    ]);
}

#[test]
fn hpack() {
    let broken = |bytes: &[u8]| frame(HEADERS, EH | ES, 1, bytes);
    let after = |bytes: &[u8]| broken(&[&get_with(&[]), bytes].concat());
    let before = |bytes: &[u8]| broken(&[bytes, &get_with(&[])].concat());
    const BAD: &str = "GOAWAY(1,COMPRESSION)";
    const TWICE: &str = "H(1,200) D(1,ES) H(3,200) D(3,ES)";
    let added = [&get_with(&[])[..], b"\x40\x01a\x01b"].concat();
    let again = frame(HEADERS, EH | ES, 3, &[&get_with(&[])[..], b"\xbe"].concat());
    let large = [&get_with(&[])[..], b"\x40\x01a\x7f\x81\x20", &[b'v'; 4224]].concat();
    table(&[
        ("hp-idx0", after(b"\x80"), BAD),
        ("hp-idx62", after(b"\xbe"), BAD),
        ("hp-intover", after(b"\xff\xff\xff\xff\xff\xff\xff\x7f"), BAD),
        ("hp-intzero", after(b"\x0f\x80\x80\x80\x80\x80\x80\x00"), BAD),
        ("hp-trunc", after(b"\x00\x05ab"), BAD),
        ("hp-huffpad0", after(b"\x00\x01a\x82\x00\x00"), BAD),
        ("hp-eos", after(b"\x00\x01a\x84\xff\xff\xff\xff"), BAD),
        ("hp-sizeup-big", before(b"\x3f\xe2\x1f"), BAD),
        ("hp-sizeup-ok", before(b"\x20\x3f\xe1\x1f"), OK),
        ("hp-sizeup-3", before(b"\x20\x21\x3f\xe1\x1f"), OK),
        ("hp-sizeup-end", after(b"\x20"), BAD),
        ("hp-empty", [broken(b""), get(3)].concat(), "RST(1,PROTOCOL) H(3,200) D(3,ES)"),
        ("hp-never", after(b"\x10\x01a\x01b"), OK),
        ("hp-evict", [broken(&large), get(3)].concat(), TWICE),
        ("hp-dyn", [broken(&added), again].concat(), TWICE),
    ]);
    let mut peer = Peer::server();
    peer.send(&broken(&added)).send(&frame(HEADERS, EH | ES, 3, &large)).saw();
    let gone = frame(HEADERS, EH | ES, 5, &[&get_with(&[])[..], b"\xbe"].concat());
    assert_eq!(peer.send(&gone).saw(), "GOAWAY(5,COMPRESSION)", "the table is empty");
}

/// What a malformed or refused request adds to the table is there for the next one.
#[test]
fn tables_survive_what_is_refused() {
    for first in [&b"\x40\x01a\x01b\x00\x01A\x00"[..], b"\x40\x01a\x01b\x00\x0aconnection\x00"] {
        let mut peer = Peer::server();
        peer.send(&frame(HEADERS, EH | ES, 1, &[&get_with(&[])[..], first].concat()));
        peer.send(&frame(HEADERS, EH | ES, 3, &[&get_with(&[])[..], b"\xbe"].concat()));
        assert_eq!(peer.saw(), "RST(1,PROTOCOL) H(3,200) D(3,ES)");
        assert!(peer.heads[0].ends_with("\r\na: b\r\n\r\n"), "{}", peer.heads[0]);
    }
}
