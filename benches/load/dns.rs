//! The DNS client: queries over UDP from one socket, so many in flight or so many a second, each for the next of a list of
//! names and, where that is asked for, from a network of its own (RFC 7871), which no common tool varies.

use crate::args::Args;
use crate::cpu::Sample;
use crate::pace::Schedule;
use crate::socket::Clock;
use crate::tally::Tally;
use serde_json::Value;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};

/// Different packets at most; after them the first comes again.
const PACKETS: usize = 1 << 16;
/// How long an answer may take; then the query counts as lost.
const LOST_NS: u64 = 1_000_000_000;
const NOBODY: u64 = u64::MAX;
const SENDING: usize = 32;

struct Client {
    socket: UdpSocket,
    clock: Clock,
    packets: Vec<Vec<u8>>,
    next: usize,
    /// When the query with this id was due; nobody waits for it otherwise.
    due: Vec<u64>,
    /// Ids in the order they were sent.
    sent: std::collections::VecDeque<(u16, u64)>,
    id: u16,
    in_flight: usize,
    tally: Tally,
    lost: u64,
}

/// Runs a client to its end and prints its report. `--names FILE` has a name and a type in each line.
pub fn run(args: &Args) -> Result<(), String> {
    let target: SocketAddr = args.required("target")?.parse().map_err(|_| "--target: bad address")?;
    let text = std::fs::read_to_string(args.required("names")?).map_err(|e| e.to_string())?;
    let mut client = Client::new(target, packets(&text, args.flag("ecs"))?)?;
    let rate: Option<f64> = args.optional("rate")?;
    let window: usize = args.or("window", 128)?;
    let warmup = nanos(args.or("warmup", 0.3)?);
    let duration = nanos(args.or("duration", 1.0)?);
    let pids = args.list("pid")?;
    let mut schedule = rate.map(Schedule::new);
    let begin = client.clock.now_ns();
    if let Some(schedule) = &mut schedule {
        schedule.start(begin);
    }
    client.until(begin + warmup, window, &mut schedule)?;
    client.tally.open_window();
    let (lost, from, before) = (client.lost, client.clock.now_ns(), Sample::take(&pids));
    client.until(from + duration, window, &mut schedule)?;
    let (to, after) = (client.clock.now_ns(), Sample::take(&pids));
    let seconds = (to - from) as f64 / 1e9;
    let report = client.tally.window(seconds, &before.until(&after));
    client.drain()?;
    println!("{}", finished(&client, report, client.lost - lost, schedule.map_or(0, |s| s.backlog.len())));
    Ok(())
}

fn finished(client: &Client, window: Value, lost: u64, unsent: usize) -> Value {
    let mut report = client.tally.report(window, unsent);
    report["lost"] = lost.into();
    report
}

fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

/// A query for each line, again and again where each has a network of its own.
fn packets(text: &str, with_network: bool) -> Result<Vec<Vec<u8>>, String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() {
        return Err("--names: the file has no names".to_owned());
    }
    let count = if with_network { PACKETS } else { lines.len().min(PACKETS) };
    let mut draw = 0x2545_f491_4f6c_dd1du64;
    (0..count).map(|at| packet(lines[at % lines.len()], with_network, &mut draw)).collect()
}

fn packet(line: &str, with_network: bool, draw: &mut u64) -> Result<Vec<u8>, String> {
    let (name, kind) = line.trim().split_once(' ').ok_or(format!("'{line}': a name and a type"))?;
    let kind: u16 = match kind.trim() {
        "A" => 1,
        "TXT" => 16,
        "AAAA" => 28,
        "SRV" => 33,
        other => return Err(format!("type '{other}' is not known here")),
    };
    let mut packet = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(with_network)];
    for label in name.trim_end_matches('.').split('.') {
        packet.push(label.len() as u8);
        packet.extend(label.bytes());
    }
    packet.push(0);
    packet.extend(kind.to_be_bytes());
    packet.extend([0, 1]);
    if with_network {
        *draw ^= *draw << 13;
        *draw ^= *draw >> 7;
        *draw ^= *draw << 17;
        let [a, b, c, ..] = draw.to_be_bytes();
        // A /24 of what is somebody's network.
        packet.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 11, 0, 8, 0, 7, 0, 1, 24, 0, 1 + a % 223, b, c]);
    }
    Ok(packet)
}

impl Client {
    fn new(target: SocketAddr, packets: Vec<Vec<u8>>) -> Result<Client, String> {
        let any: SocketAddr = if target.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        let open = || {
            let socket = UdpSocket::bind(any)?;
            socket.connect(target)?;
            socket.set_nonblocking(true)?;
            let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20);
            Ok(socket)
        };
        let socket = open().map_err(|e: std::io::Error| e.to_string())?;
        Ok(Client {
            socket,
            clock: Clock::start(),
            packets,
            next: 0,
            due: vec![NOBODY; 1 << 16],
            sent: Default::default(),
            id: 0,
            in_flight: 0,
            tally: Tally::new(0)?,
            lost: 0,
        })
    }

    /// Sends and receives until then. It never sleeps: the core is its own.
    fn until(&mut self, end_ns: u64, window: usize, schedule: &mut Option<Schedule>) -> Result<(), String> {
        loop {
            let now = self.clock.now_ns();
            if now >= end_ns {
                return Ok(());
            }
            self.receive(now)?;
            match schedule {
                Some(schedule) => {
                    schedule.release(now);
                    for _ in 0..SENDING {
                        let Some(due) = schedule.backlog.pop_front() else { break };
                        self.send(due)?;
                    }
                }
                None => {
                    let room = window.saturating_sub(self.in_flight);
                    // Few wake-ups of the other side: a few at once.
                    if room >= window / 4 {
                        for _ in 0..room {
                            let now = self.clock.now_ns();
                            self.send(now)?;
                        }
                    }
                }
            }
        }
    }

    fn drain(&mut self) -> Result<(), String> {
        let end = self.clock.now_ns() + LOST_NS + LOST_NS / 2;
        while self.in_flight > 0 && self.clock.now_ns() < end {
            let now = self.clock.now_ns();
            self.receive(now)?;
        }
        Ok(())
    }

    fn send(&mut self, due_ns: u64) -> Result<(), String> {
        self.id = self.id.wrapping_add(1);
        let place = &mut self.due[usize::from(self.id)];
        if *place != NOBODY {
            // So many are in flight that the ids are used up: the oldest are lost already or soon.
            self.lost += 1;
            self.in_flight -= 1;
        }
        *place = due_ns;
        let at = self.next;
        self.next = (at + 1) % self.packets.len().max(1);
        let packet = &mut self.packets[at];
        packet[..2].copy_from_slice(&self.id.to_be_bytes());
        loop {
            match self.socket.send(packet) {
                Ok(_) => break,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) => {}
                Err(e) => return Err(format!("send: {e}")),
            }
        }
        self.sent.push_back((self.id, due_ns));
        self.in_flight += 1;
        Ok(())
    }

    fn receive(&mut self, now_ns: u64) -> Result<(), String> {
        let mut room = [0u8; 4096];
        loop {
            let size = match self.socket.recv(&mut room) {
                Ok(size) => size,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::ConnectionRefused => continue,
                Err(e) => return Err(format!("receive: {e}")),
            };
            if size < 12 {
                self.tally.failed("no message");
                continue;
            }
            let place = &mut self.due[usize::from(u16::from_be_bytes([room[0], room[1]]))];
            let due = std::mem::replace(place, NOBODY);
            if due == NOBODY {
                self.tally.failed("an answer nobody waits for");
                continue;
            }
            self.in_flight -= 1;
            match (room[3] & 15, room[2] & 2 != 0, room[6..8] == [0, 0]) {
                (0, false, false) => {}
                (0, true, _) => self.tally.failed("truncated"),
                (0, _, true) => self.tally.failed("no records"),
                (code, ..) => self.tally.failed(&format!("rcode {code}")),
            }
            self.tally.completed(self.clock.now_ns().saturating_sub(due), 0);
        }
        while let Some((id, due)) = self.sent.front().copied() {
            let place = &mut self.due[usize::from(id)];
            if *place == due && now_ns.saturating_sub(due) < LOST_NS {
                break;
            }
            if *place == due {
                *place = NOBODY;
                self.lost += 1;
                self.in_flight -= 1;
            }
            self.sent.pop_front();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_as_a_resolver_writes_them() {
        let all = packets("www.example.com A\n_a._tcp.b SRV\n", true).expect("packets");
        assert_eq!(all.len(), PACKETS);
        assert_eq!(&all[0][12..33], b"\x03www\x07example\x03com\0\0\x01\0\x01");
        assert_eq!(all[0].len(), 33 + 22);
        assert_ne!(all[0][52..], all[2][52..], "each from its own network");
        assert!(packets("www\n", false).is_err());
    }
}
