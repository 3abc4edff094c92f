//! Integers, greetings and the frames of messages.

use super::super::hello::{self, Hello, Read, Status};
use super::super::message::{self, Fault};
use super::super::resync::Resync;
use super::super::varint::{Taken, put, take};
use super::support::stream;

#[test]
fn integers_are_haproxys() {
    for (value, bytes) in [
        (0, &b"\0"[..]),
        (239, b"\xef"),
        (240, b"\xf0\x00"),
        (2287, b"\xff\x7f"),
        (2288, b"\xf0\x80\x00"),
        (264_431, b"\xff\xff\x7f"),
        (264_432, b"\xf0\x80\x80\x00"),
        (33_818_864, b"\xf0\x80\x80\x80\x00"),
        (u64::from(u32::MAX), b"\xff\xf0\xfe\xfe\x7e"),
        (4_328_786_160, b"\xf0\x80\x80\x80\x80\x00"),
        (u64::MAX, b"\xff\xf0\xfe\xfe\xfe\xfe\xfe\xfe\xfe\x0e"),
    ] {
        let mut out = Vec::new();
        put(&mut out, value);
        assert_eq!(out, bytes, "{value}");
        assert_eq!(take(&out), Taken::Whole(value, out.len()), "{value}");
        for end in 0..out.len() {
            assert_eq!(take(&out[..end]), Taken::Short);
        }
    }
    assert_eq!(take(&[0xff; 20]), Taken::Long);
}

#[test]
fn greetings_are_answered_as_haproxy_does() {
    for name in ["f-e501", "f-e501b", "f-e502", "f-e503", "f-e504"] {
        let came = stream(&format!("{name}.c2s"));
        let Read::Refused(status) = hello::read(&came, "A", |who| who == "B") else { panic!("{name}") };
        assert_eq!(status.line(false).as_bytes(), stream(&format!("{name}.s2c")), "{name}");
    }
    let came = stream("f-v20.c2s");
    let read = hello::read(&came, "A", |who| who == "B");
    let Read::Whole(hello, len) = read else { panic!("{read:?}") };
    assert_eq!((hello.minor, hello.is_ours, &came[len..]), (0, false, &b""[..]));
    for end in 0..len {
        assert_eq!(hello::read(&came[..end], "A", |_| true), Read::Short, "{end}");
    }
    assert_eq!(hello::read(&[b'x'; hello::MOST], "A", |_| true), Read::Refused(Status::Protocol));
}

#[test]
fn our_own_greeting_is_known() {
    let greeting = hello::greeting("b", "a", 7);
    let read = hello::read(greeting.as_bytes(), "b", |who| who == "a");
    let hello = Hello { minor: 1, from: "a".into(), is_ours: true };
    assert_eq!(read, Read::Whole(hello, greeting.len()));
    let answer = hello::answer(Status::Good.line(true).as_bytes()).expect("an answer");
    assert!(answer.is_ours && answer.status == 200);
    let answer = hello::answer(b"200\n\0\x04").expect("an answer");
    assert_eq!((answer.status, answer.is_ours, answer.len), (200, false, 4));
    assert_eq!(hello::answer(b"nonsense\n").expect("an answer").status, 0);
    assert_eq!(hello::answer(b"20"), None);
}

#[test]
fn frames_are_bounded() {
    assert_eq!(message::read(b""), Ok(None));
    assert_eq!(message::read(b"\x0a\x80\x05ab"), Ok(None));
    let whole = message::read(b"\x0a\x80\x02abc").expect("no fault").expect("a message");
    assert_eq!((whole.content, whole.len), (&b"ab"[..], 5));
    assert_eq!(message::read(b"\xff"), Err(Fault::Protocol));
    let mut long = vec![10, 128];
    put(&mut long, 16_385);
    assert_eq!(message::read(&long), Err(Fault::Size));
}

#[test]
fn one_peer_after_the_other_is_asked() {
    let mut resync = Resync::new(0);
    assert!(resync.ask(1, 10));
    assert!(!resync.ask(0, 10) && !resync.ask(1, 10));
    resync.taught(1, false, 20);
    assert!(!resync.ask(1, 30) && resync.ask(0, 30) && !resync.is_whole());
    resync.lost(0, 40);
    assert!(resync.ask(0, 50));
    resync.taught(0, true, 60);
    assert!(resync.is_whole() && !resync.ask(2, 70));
    let mut alone = Resync::new(0);
    alone.look(4999);
    assert!(!alone.is_whole());
    alone.look(5000);
    assert!(alone.is_whole());
}
