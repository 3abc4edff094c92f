//! A private heartbeat between two Isobar nodes: small UDP packets many times a second, authenticated, which say what the
//! sender is. A backup whose master falls silent there takes over at once; VRRP's own timers stay as they are.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};

use aws_lc_rs::{constant_time, hmac};

use super::super::machine::State;
use super::super::spec::HeartbeatSpec;
use crate::base::Nanos;

/// The first bytes, with the version of the format.
const MAGIC: [u8; 4] = *b"ihb1";
/// Magic, VRID, state, priority, a reserved byte, sequence.
const BODY: usize = 16;
const TAG: usize = 16;
/// What goes over the wire; a packet of another length is none.
pub(super) const PACKET: usize = BODY + TAG;
/// A peer is silent after so many intervals, which leaves room for two that are lost.
const SILENT: u64 = 3;

/// What a heartbeat says of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Neither master nor leaving.
    Here,
    Master,
    /// It was master and gives up.
    Leaving,
}

/// What follows from a heartbeat, or from its absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The peer, which was master, is silent for so long.
    Silent(Nanos),
    /// The peer, which was master, leaves.
    Leaving,
    /// The peer was silent and is there again.
    Back,
}

/// The heartbeat of one instance.
pub(super) struct Heartbeat {
    socket: UdpSocket,
    spec: HeartbeatSpec,
    key: hmac::Key,
    vrid: u8,
    /// Grows with each packet, and from one start to the next.
    sequence: u64,
    send_at: Nanos,
    heard: Option<Heard>,
}

#[derive(Clone, Copy)]
struct Heard {
    at: Nanos,
    sequence: u64,
    word: Word,
    is_silent: bool,
}

impl Heartbeat {
    /// `start` is a number that no earlier start had: microseconds of the wall clock.
    pub(super) fn open(spec: &HeartbeatSpec, vrid: u8, start: u64, now: Nanos) -> io::Result<Heartbeat> {
        let any = match spec.peer {
            SocketAddr::V4(_) => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), spec.peer.port()),
            SocketAddr::V6(_) => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), spec.peer.port()),
        };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, spec.key.as_bytes());
        Ok(Heartbeat { socket, spec: spec.clone(), key, vrid, sequence: start, send_at: now, heard: None })
    }

    pub(super) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// When something is due.
    pub(super) fn due(&self) -> Nanos {
        let silent_at = self.heard.filter(|heard| !heard.is_silent).map(|heard| heard.at + self.patience());
        silent_at.map_or(self.send_at, |at| at.min(self.send_at))
    }

    fn patience(&self) -> Nanos {
        SILENT * self.spec.interval_ns
    }

    /// Sends what is due. A peer that cannot be reached will not hear it.
    pub(super) fn send(&mut self, now: Nanos, word: Word, priority: u8) {
        if now < self.send_at {
            return;
        }
        self.send_at = now + self.spec.interval_ns;
        self.say(word, priority);
    }

    /// Sends at once.
    pub(super) fn say(&mut self, word: Word, priority: u8) {
        self.sequence += 1;
        let packet = seal(&self.key, self.vrid, word, priority, self.sequence);
        let _ = self.socket.send_to(&packet, self.spec.peer);
    }

    /// Takes in what has come; what follows from it, at most one thing.
    pub(super) fn receive(&mut self, now: Nanos) -> Option<News> {
        let mut news = None;
        let mut room = [0; PACKET + 1];
        // As many as a second has.
        for _ in 0..1_000 {
            let Ok((len, from)) = self.socket.recv_from(&mut room) else { break };
            if from.ip() != self.spec.peer.ip() {
                continue;
            }
            let Some((vrid, word, sequence)) = open(&self.key, &room[..len]) else { continue };
            if vrid != self.vrid || self.heard.is_some_and(|heard| sequence <= heard.sequence) {
                continue;
            }
            let before = self.heard.replace(Heard { at: now, sequence, word, is_silent: false });
            if word == Word::Leaving && before.is_some_and(|heard| heard.word == Word::Master) {
                news = Some(News::Leaving);
            } else if before.is_some_and(|heard| heard.is_silent) {
                news = Some(News::Back);
            }
        }
        news
    }

    /// Whether the peer has fallen silent.
    pub(super) fn look(&mut self, now: Nanos) -> Option<News> {
        let patience = self.patience();
        let heard = self.heard.as_mut().filter(|heard| !heard.is_silent && now >= heard.at + patience)?;
        heard.is_silent = true;
        (heard.word == Word::Master).then_some(News::Silent(now - heard.at))
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.spec.peer
    }
}

/// What an instance says of itself.
pub(super) fn word(state: State, holds: bool) -> Word {
    match state {
        State::Master => Word::Master,
        State::Fault | State::Stopped | State::Backup if holds => Word::Leaving,
        _ => Word::Here,
    }
}

fn seal(key: &hmac::Key, vrid: u8, word: Word, priority: u8, sequence: u64) -> [u8; PACKET] {
    let mut packet = [0; PACKET];
    packet[..4].copy_from_slice(&MAGIC);
    packet[4] = vrid;
    packet[5] = match word {
        Word::Here => 0,
        Word::Master => 1,
        Word::Leaving => 2,
    };
    packet[6] = priority;
    packet[8..BODY].copy_from_slice(&sequence.to_be_bytes());
    let tag = hmac::sign(key, &packet[..BODY]);
    packet[BODY..].copy_from_slice(&tag.as_ref()[..TAG]);
    packet
}

/// VRID, word and sequence of a packet that somebody with the key made.
fn open(key: &hmac::Key, packet: &[u8]) -> Option<(u8, Word, u64)> {
    let packet: &[u8; PACKET] = packet.try_into().ok()?;
    let tag = hmac::sign(key, &packet[..BODY]);
    constant_time::verify_slices_are_equal(&tag.as_ref()[..TAG], &packet[BODY..]).ok()?;
    let word = match (packet.starts_with(&MAGIC), packet[5]) {
        (true, 0) => Word::Here,
        (true, 1) => Word::Master,
        (true, 2) => Word::Leaving,
        _ => return None,
    };
    let sequence = packet[8..BODY].first_chunk().map(|bytes| u64::from_be_bytes(*bytes))?;
    Some((packet[4], word, sequence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::MS;

    const NOW: Nanos = 1_000 * MS;

    fn key(text: &str) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes())
    }

    #[test]
    fn only_who_has_the_key_is_believed() {
        let packet = seal(&key("secret"), 51, Word::Master, 100, 7);
        assert_eq!(open(&key("secret"), &packet), Some((51, Word::Master, 7)));
        assert_eq!(open(&key("other"), &packet), None);
        assert_eq!(open(&key("secret"), &packet[1..]), None);
        for at in 0..PACKET {
            let mut broken = packet;
            broken[at] ^= 1;
            assert_eq!(open(&key("secret"), &broken), None, "byte {at}");
        }
    }

    /// Two ends on addresses of their own, one port.
    fn ends() -> (Heartbeat, Heartbeat, UdpSocket) {
        let spec = |peer: &str, port| HeartbeatSpec {
            peer: format!("{peer}:{port}").parse().unwrap(),
            key: "secret".into(),
            interval_ns: 20 * MS,
        };
        let own = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = own.local_addr().unwrap().port();
        drop(own);
        let one = Heartbeat::open(&spec("127.0.0.1", port), 51, 5, NOW).unwrap();
        // The other end is a bare socket, for both listen on one port.
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = other.local_addr().unwrap().port();
        let two = Heartbeat {
            spec: spec("127.0.0.1", to),
            ..Heartbeat::open(&spec("127.0.0.1", to + 1), 51, 5, NOW).unwrap()
        };
        (one, two, other)
    }

    fn tell(beat: &Heartbeat, from: &UdpSocket, word: Word, sequence: u64) {
        let port = beat.socket.local_addr().unwrap().port();
        from.send_to(&seal(&key("secret"), 51, word, 100, sequence), ("127.0.0.1", port)).unwrap();
    }

    #[test]
    fn silence_of_a_master_is_news_and_so_is_its_return() {
        let (mut beat, _two, from) = ends();
        assert_eq!((beat.receive(NOW), beat.look(NOW + 1_000 * MS)), (None, None), "nobody was there");
        tell(&beat, &from, Word::Master, 1);
        assert_eq!(beat.receive(NOW), None);
        assert_eq!(beat.look(NOW + 59 * MS), None);
        assert_eq!(beat.look(NOW + 60 * MS), Some(News::Silent(60 * MS)));
        assert_eq!(beat.look(NOW + 90 * MS), None, "said once");
        tell(&beat, &from, Word::Master, 1);
        assert_eq!(beat.receive(NOW + 100 * MS), None, "an old packet again");
        tell(&beat, &from, Word::Master, 2);
        assert_eq!(beat.receive(NOW + 100 * MS), Some(News::Back));
        tell(&beat, &from, Word::Leaving, 3);
        assert_eq!(beat.receive(NOW + 110 * MS), Some(News::Leaving));
        tell(&beat, &from, Word::Here, 4);
        assert_eq!(beat.receive(NOW + 120 * MS), None);
        assert_eq!(beat.look(NOW + 1_000 * MS), None, "a backup may be silent");
    }

    #[test]
    fn it_beats_as_often_as_it_is_told() {
        let (_one, mut beat, heard) = ends();
        for at in 0..100 {
            beat.send(NOW + at * MS, Word::Here, 1);
        }
        heard.set_nonblocking(true).unwrap();
        let count = std::iter::from_fn(|| heard.recv(&mut [0; 64]).ok()).count();
        assert_eq!((count, beat.due()), (5, NOW + 100 * MS));
    }
}
