//! Cases of flow control (RFC 9113 section 5.2).

use super::driver::*;
use crate::http::h2::Options;

/// Bytes of DATA in what was seen.
fn data(peer: &mut Peer) -> Vec<usize> {
    let seen = std::mem::take(&mut peer.seen);
    seen.iter().filter_map(|s| s.strip_prefix("D(1)[")?.strip_suffix(']')?.parse().ok()).collect()
}

fn sends(n: usize) -> Peer {
    let mut peer = Peer::server();
    peer.origin = Origin::Sends(n);
    peer
}

#[test]
fn fc_iws0() {
    let mut peer = sends(20);
    assert_eq!(peer.send(&settings(&[(4, 0)])).send(&get(1)).saw(), "H(1,200)");
    assert_eq!(peer.send(&update(1, 20)).saw(), "D(1,ES)");
}

#[test]
fn fc_iws1() {
    let mut peer = sends(1000);
    peer.send(&settings(&[(4, 1)])).send(&get(1));
    for _ in 0..10 {
        peer.send(&update(1, 1));
    }
    assert_eq!(data(&mut peer), [1; 11]);
}

#[test]
fn fc_negative() {
    let mut peer = sends(10_000);
    peer.send(&settings(&[(4, 1000)])).send(&get(1)).send(&settings(&[(4, 0)]));
    assert_eq!(data(&mut peer), [1000]);
    peer.send(&update(1, 900));
    assert_eq!(data(&mut peer), [0; 0], "the window was below 0");
    peer.send(&update(1, 300));
    assert_eq!(data(&mut peer), [200]);
    peer.send(&settings(&[(4, 500)]));
    assert_eq!(data(&mut peer), [500]);
}

#[test]
fn fc_conn() {
    let mut peer = sends(100_000);
    peer.send(&settings(&[(4, 1_000_000)])).send(&get(1));
    assert_eq!(data(&mut peer).iter().sum::<usize>(), 65_535);
    peer.origin = Origin::Sends(10);
    assert_eq!(peer.send(&get(3)).saw(), "H(3,200)", "no window for its data");
    peer.send(&update(0, 100_000));
    assert!(peer.seen.contains(&"D(1,ES)".to_owned()) && peer.seen.contains(&"D(3,ES)".to_owned()));
    assert_eq!(data(&mut peer).iter().sum::<usize>(), 2 * 16_384, "and the last frame");
}

/// fc-over-stream.
#[test]
fn who_does_not_wait_for_windows_is_reset() {
    let mut peer = Peer::server();
    peer.consumes = false;
    let burst: Vec<u8> = (0..5).flat_map(|_| frame(DATA, 0, 1, &[0; 16_000])).collect();
    assert_eq!(peer.send(&post(1, &[])).send(&burst).saw(), "RST(1,FLOW_CONTROL)");
    assert_eq!(peer.body.len(), 64_000);
    assert_eq!(peer.send(&get(3)).saw(), "H(3,200) D(3,ES)");
}

/// fc-pad: padding and the octet that says how long it is come back.
#[test]
fn padding_is_credited() {
    let mut peer = Peer::server();
    peer.consumes = false;
    let padded = frame(DATA, PAD, 1, &[&[200u8][..], &[0; 200]].concat());
    peer.send(&post(1, &[])).send(&padded.repeat(326 * 3));
    assert_eq!(peer.saw(), "");
    let credit: u32 = peer.updates.iter().filter(|(s, _)| *s == 1).map(|(_, n)| n).sum();
    assert!(credit >= 2 * 65_535, "{credit}");
}

#[test]
fn credit_follows_the_reader() {
    let mut peer = Peer::server();
    peer.consumes = false;
    peer.send(&post(1, &[])).send(&frame(DATA, 0, 1, &[0; 16_000]).repeat(4));
    assert_eq!(peer.updates.iter().filter(|(s, _)| *s == 1).count(), 0, "nothing was taken");
    peer.connection.consumed(1, 64_000);
    peer.look();
    let (_, granted) = *peer.updates.last().expect("credit");
    assert_eq!(granted as usize, (1 << 20) - (65_536 - 64_000), "a stream that is read gets a large window");
    // Ten MiB in full frames: few updates.
    peer.updates.clear();
    peer.consumes = true;
    for _ in 0..640 {
        peer.send(&frame(DATA, 0, 1, &[0; 16_384]));
    }
    assert_eq!(peer.saw(), "");
    assert!(peer.updates.len() < 200, "{} updates", peer.updates.len());
    let mut peer = Peer::server_with(Options { receive_room: 300_000, ..Options::default() });
    peer.consumes = false;
    for stream in [1, 3, 5] {
        peer.send(&post(stream, &[])).send(&frame(DATA, 0, stream, &[0; 16_000]));
    }
    peer.connection.consumed(1, 16_000);
    peer.look();
    let (_, granted) = *peer.updates.last().expect("credit");
    assert_eq!(granted, 100_000 - 65_536 + 16_000, "a third of what there is for all");
}
