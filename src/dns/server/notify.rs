//! Tells other servers that a zone changed (RFC 1996), until they say that they heard it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::dns::name::to_text;
use crate::dns::wire::{CLASS_IN, flag, rtype, u16_at, u32_at};
use crate::dns::zone::{Zone, Zones};

/// How often it is said, and how long an answer may take.
const TRIES: u32 = 4;
const TRY: Duration = Duration::from_secs(2);
const OPCODE: u16 = 4 << 11;

fn serial(zone: &Zone) -> Option<u32> {
    let soa = zone.soa()?.iter().next()?;
    u32_at(soa, soa.len().checked_sub(20)?)
}

/// The zones that are new, or have another serial number than before.
pub(super) fn changed(before: &Zones, now: &Zones) -> Vec<Box<[u8]>> {
    let is_news =
        |zone: &&std::sync::Arc<Zone>| before.zone(zone.apex()).is_none_or(|old| serial(old) != serial(zone));
    now.iter().filter(is_news).map(|zone| zone.apex().into()).collect()
}

/// Tells each of the servers of each zone.
pub(super) async fn tell(servers: Vec<SocketAddr>, zones: Vec<Box<[u8]>>) {
    for zone in &zones {
        for server in &servers {
            let heard = tell_one(*server, zone).await;
            if !heard {
                tracing::warn!("dns: {server} does not answer that zone {} changed", to_text(zone));
            }
        }
    }
}

async fn tell_one(server: SocketAddr, zone: &[u8]) -> bool {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let Ok(socket) = UdpSocket::bind(any).await else { return false };
    if socket.connect(server).await.is_err() {
        return false;
    }
    let random = uuid::Uuid::new_v4();
    let id = u16::from_be_bytes([random.as_bytes()[0], random.as_bytes()[1]]);
    let mut message = Vec::new();
    for word in [id, OPCODE | flag::AA, 1, 0, 0, 0] {
        message.extend(word.to_be_bytes());
    }
    message.extend(zone);
    message.extend(rtype::SOA.to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    for _ in 0..TRIES {
        if socket.send(&message).await.is_err() {
            tokio::time::sleep(TRY).await;
            continue;
        }
        let mut room = [0; 512];
        let answered = async {
            loop {
                match socket.recv(&mut room).await {
                    Ok(size) => {
                        let is_answer = u16_at(&room[..size], 2).is_some_and(|flags| flags & flag::QR != 0);
                        if is_answer && u16_at(&room, 0) == Some(id) {
                            return true;
                        }
                    }
                    Err(_) => return false,
                }
            }
        };
        match timeout(TRY, answered).await {
            Ok(true) => return true,
            // Refused at once: nobody listens there yet.
            Ok(false) => tokio::time::sleep(TRY).await,
            Err(_) => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::zone::Builder;

    fn zones(serial: u32) -> Zones {
        let mut builder = Builder::new(b"\x01a\0");
        let soa = [&[0, 0][..], &serial.to_be_bytes(), &[0; 16]].concat();
        builder.add(b"\x01a\0", rtype::SOA, 1, &soa).expect("room");
        let mut zones = Zones::default();
        zones.insert(builder.finish().expect("a zone").into());
        zones
    }

    #[test]
    fn only_what_changed_is_told() {
        assert_eq!(changed(&Zones::default(), &zones(1)), [Box::from(&b"\x01a\0"[..])]);
        assert_eq!(changed(&zones(1), &zones(1)).len(), 0);
        assert_eq!(changed(&zones(1), &zones(2)).len(), 1);
    }

    #[tokio::test]
    async fn it_is_said_until_it_is_heard() {
        let server = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
        let address = server.local_addr().expect("bound");
        let telling = tokio::spawn(tell_one(address, b"\x01a\0"));
        let mut room = [0; 512];
        let (size, from) = server.recv_from(&mut room).await.expect("a message");
        assert_eq!(
            (&room[2..12], &room[12..size]),
            (&[0x24, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &b"\x01a\0\0\x06\0\x01"[..])
        );
        room[0] ^= 1;
        room[2] |= 0x80;
        server.send_to(&room[..size], from).await.expect("sent");
        room[0] ^= 1;
        server.send_to(&room[..size], from).await.expect("sent");
        assert!(telling.await.expect("a task"));
    }
}
