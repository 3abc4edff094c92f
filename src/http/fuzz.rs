//! Entry points for fuzzing and property tests: any bytes, in pieces; every promise of the room is asserted.

use super::{Chunks, H1Options, Head, Hop, Method, Parse, Slices};
use crate::base::Buf;

/// Parses the bytes as a request or a response, handed over `step` at a time; an accepted head is written and parsed
/// again, and must be accepted with the same body and then be written the same.
pub fn parse(bytes: &[u8], response: bool, step: usize) {
    for accept_unsafe in [false, true] {
        let o = H1Options { accept_unsafe, ..H1Options::default() };
        let whole = pieces(bytes, response, bytes.len(), &o);
        let head = pieces(bytes, response, step, &o);
        assert_eq!(whole.is_some(), head.is_some(), "{}", bytes.escape_ascii());
        let (Some(whole), Some(head)) = (whole, head) else { continue };
        assert!(head.len <= head.buf.written().len());
        let first = write(&head);
        assert_eq!(
            (write(&whole), whole.body, whole.keep_alive),
            (first.clone(), head.body, head.keep_alive)
        );
        if accept_unsafe {
            continue;
        }
        let Some(again) = pieces(&first, response, first.len(), &o) else {
            panic!("written but refused: {}", first.escape_ascii());
        };
        assert_eq!((again.body, again.len), (head.body, first.len()), "{}", first.escape_ascii());
        assert_eq!(write(&again), first);
    }
}

fn pieces(bytes: &[u8], response: bool, step: usize, o: &H1Options) -> Option<Head> {
    let mut head = Head::with(Buf::take(bytes.len().max(1)));
    for piece in bytes.chunks(step.max(1)) {
        head.buf.push(piece);
        let verdict = if response { head.parse_response(Method::Get, o) } else { head.parse_request(o) };
        match verdict {
            Parse::Done => return Some(head),
            Parse::More => {}
            Parse::Bad(bad) => {
                assert!(bad.at <= head.buf.written().len());
                return None;
            }
        }
    }
    None
}

fn write(head: &Head) -> Vec<u8> {
    let mut out = Slices::new();
    head.slices(Hop::AsIs, &mut out);
    assert_eq!(out.len(), out.as_slice().iter().map(|piece| piece.len()).sum::<usize>());
    out.concat()
}

/// Scans the bytes as a chunked body, in one go and `step` at a time: both must agree.
pub fn scan(bytes: &[u8], response: bool, step: usize) {
    let mut whole = Chunks::new(response);
    let expected = whole.scan(bytes);
    let mut single = Chunks::new(response);
    let mut consumed = 0;
    for piece in bytes.chunks(step.max(1)) {
        match single.scan(piece) {
            Ok(scan) => consumed += scan.consumed,
            Err(bad) => {
                assert_eq!(expected.map_err(|e| (e.reason, e.at)), Err((bad.reason, consumed + bad.at)));
                return;
            }
        }
        if single.is_done() {
            break;
        }
    }
    assert_eq!(expected.map(|s| (s.consumed, s.done)).ok(), Some((consumed, single.is_done())));
}
