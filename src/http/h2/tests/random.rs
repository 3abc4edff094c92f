//! Any bytes, in any pieces; and pieces of what is right, in any order.

use proptest::prelude::*;

use super::driver::*;
use crate::http::h2::fuzz;

fn some_frame() -> impl Strategy<Value = Vec<u8>> {
    let stream = prop_oneof![Just(0u32), Just(1), Just(3), Just(5), 0..20u32];
    let payload = prop_oneof![
        Just(get_with(&[])),
        Just(get_with(&[("content-length", "3")])),
        Just(block(&[(":status", "200")])),
        Just(block(&[("x-t", "v")])),
        Just(vec![0, 0, 0, 8]),
        Just(vec![0; 6]),
        Just(vec![0; 8]),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    (0..11u8, any::<u8>(), stream, payload).prop_map(|(k, f, s, p)| frame(k, f, s, &p))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_frames(
        frames in prop::collection::vec(some_frame(), 0..30),
        cut in prop::collection::vec(any::<(u16, u8)>(), 0..4),
        is_client in any::<bool>(),
        step in 1..200usize,
    ) {
        let mut bytes = [settings(&[]), frames.concat()].concat();
        for (at, byte) in cut {
            let at = usize::from(at) % bytes.len();
            bytes[at] = byte;
        }
        fuzz::drive(&bytes, is_client, step);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600), step in 1..80usize) {
        fuzz::drive(&bytes, false, step);
        fuzz::drive(&bytes, true, step);
    }

    /// However the bytes are cut, the same is seen.
    #[test]
    fn pieces_do_not_matter(frames in prop::collection::vec(some_frame(), 0..12), step in 1..50usize) {
        let bytes = frames.concat();
        let (mut whole, mut cut) = (Peer::server(), Peer::server());
        whole.send(&bytes);
        for piece in bytes.chunks(step) {
            cut.send(piece);
        }
        prop_assert_eq!(whole.saw(), cut.saw());
        prop_assert_eq!(whole.heads, cut.heads);
        prop_assert_eq!(whole.body, cut.body);
    }
}
