//! A small name server whose records change while others ask.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::place;

/// What is said of one name.
#[derive(Clone, Debug, Default)]
pub struct Name {
    pub rcode: u8,
    /// No answer at all.
    pub is_silent: bool,
    /// Nothing fits in a datagram.
    pub is_truncated: bool,
    pub addresses: Vec<IpAddr>,
    /// Weight, port and target.
    pub services: Vec<(u16, u16, String)>,
    /// Addresses of targets that go along.
    pub additional: Vec<(String, IpAddr)>,
}

impl Name {
    pub fn at(addresses: &[&str]) -> Name {
        let addresses = addresses.iter().map(|ip| ip.parse().expect("an address")).collect();
        Name { addresses, ..Name::default() }
    }

    pub fn fails(rcode: u8) -> Name {
        Name { rcode, ..Name::default() }
    }
}

type Zone = Arc<Mutex<HashMap<String, Name>>>;

/// It runs as long as the process does.
pub struct NameServer {
    pub address: SocketAddr,
    zone: Zone,
    /// Name and type of each question.
    asked: Arc<Mutex<Vec<(String, u16)>>>,
}

impl NameServer {
    pub fn start() -> NameServer {
        let ip = IpAddr::from(place::address());
        // One port for both protocols.
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind((ip, 0)).expect("bind");
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("an address")) {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().expect("an address");
        let (zone, asked) = (Zone::default(), Arc::<Mutex<Vec<_>>>::default());
        let (of_udp, of_tcp) = ((zone.clone(), asked.clone()), (zone.clone(), asked.clone()));
        thread::spawn(move || {
            let mut room = [0; 4096];
            while let Ok((size, from)) = udp.recv_from(&mut room) {
                if let Some(answer) = answer(&room[..size], &of_udp, false) {
                    let _ = udp.send_to(&answer, from);
                }
            }
        });
        thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                let state = of_tcp.clone();
                thread::spawn(move || serve(stream, &state));
            }
        });
        NameServer { address, zone, asked }
    }

    /// From now on this is said of the name; without a word there is no such name.
    pub fn set(&self, name: &str, said: Name) {
        self.zone.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into(), said);
    }

    pub fn asked(&self) -> Vec<(String, u16)> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

type State = (Zone, Arc<Mutex<Vec<(String, u16)>>>);

fn serve(mut stream: TcpStream, state: &State) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
    let mut size = [0; 2];
    while stream.read_exact(&mut size).is_ok() {
        let mut query = vec![0; usize::from(u16::from_be_bytes(size))];
        if stream.read_exact(&mut query).is_err() {
            return;
        }
        let Some(answer) = answer(&query, state, true) else { continue };
        let framed = [&(answer.len() as u16).to_be_bytes()[..], &answer].concat();
        if stream.write_all(&framed).is_err() {
            return;
        }
    }
}

fn wire(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    labels.chain([0]).collect()
}

fn record(owner: &[u8], rtype: u16, data: &[u8]) -> Vec<u8> {
    let fixed = [rtype.to_be_bytes(), [0, 1], [0, 0], [0, 5], (data.len() as u16).to_be_bytes()].concat();
    [owner, &fixed, data].concat()
}

fn of_address(ip: &IpAddr) -> (u16, Vec<u8>) {
    match ip {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (28, ip.octets().to_vec()),
    }
}

fn answer(query: &[u8], (zone, asked): &State, is_tcp: bool) -> Option<Vec<u8>> {
    let mut at = 12;
    let mut labels = Vec::new();
    while *query.get(at)? > 0 {
        let size = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(query.get(at + 1..=at + size)?).to_lowercase());
        at += size + 1;
    }
    let name = labels.join(".");
    let rtype = u16::from_be_bytes([*query.get(at + 1)?, *query.get(at + 2)?]);
    let question = query.get(12..at + 5)?;
    asked.lock().unwrap_or_else(PoisonError::into_inner).push((name.clone(), rtype));
    let said = zone.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
    let said = said.unwrap_or_else(|| Name::fails(3));
    if said.is_silent {
        return None;
    }
    let is_cut = said.is_truncated && !is_tcp;
    let (mut answers, mut additional) = (Vec::new(), Vec::new());
    if said.rcode == 0 && !is_cut {
        for (of, data) in said.addresses.iter().map(of_address).filter(|(of, _)| *of == rtype) {
            answers.push(record(&[0xc0, 12], of, &data));
        }
        for (weight, port, target) in said.services.iter().filter(|_| rtype == 33) {
            let numbers = [1, *weight, *port].into_iter().flat_map(u16::to_be_bytes);
            let data: Vec<u8> = numbers.chain(wire(target)).collect();
            answers.push(record(&[0xc0, 12], 33, &data));
        }
        for (target, ip) in said.additional.iter().filter(|_| rtype == 33) {
            let (of, data) = of_address(ip);
            additional.push(record(&wire(target), of, &data));
        }
    }
    let flags = 0x8180 | u16::from(said.rcode) | if is_cut { 0x0200 } else { 0 };
    let counts = [flags, 1, answers.len() as u16, 0, additional.len() as u16];
    let mut out = query.get(..2)?.to_vec();
    out.extend(counts.iter().flat_map(|n| n.to_be_bytes()));
    out.extend(question);
    out.extend(answers.concat());
    out.extend(additional.concat());
    Some(out)
}
