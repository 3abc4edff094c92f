//! Room for answers that wait for their readers: so much of all clients, and a part of that of each.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Octets of all clients.
const WHOLE: usize = 64 << 20;
/// Octets of one client, whatever the number of its connections: sixteen that read nothing are needed before others are
/// refused.
const EACH: usize = WHOLE / 16;

/// What waits. A client is in it for as long as something of its own waits, so there are no more than connections.
#[derive(Default)]
pub(super) struct Room(Mutex<Held>);

#[derive(Default)]
struct Held {
    whole: usize,
    clients: HashMap<IpAddr, usize>,
}

impl Room {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for an answer to this client, unless there is none.
    pub(super) fn take(self: &Arc<Self>, client: IpAddr, octets: usize) -> Option<Place> {
        let client = whose(client);
        let mut held = self.held();
        let own = held.clients.get(&client).copied().unwrap_or(0) + octets;
        let whole = held.whole + octets;
        if own > EACH || whole > WHOLE {
            return None;
        }
        held.whole = whole;
        held.clients.insert(client, own);
        Some(Place { room: self.clone(), client, octets })
    }
}

/// One client has a network of 64 bits in IPv6.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
        ip => ip,
    }
}

/// An answer's place, until it is dropped.
pub(super) struct Place {
    room: Arc<Room>,
    client: IpAddr,
    octets: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.room.held();
        held.whole -= self.octets;
        if let Some(own) = held.clients.get_mut(&self.client) {
            *own -= self.octets;
            if *own == 0 {
                held.clients.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(room: &Arc<Room>, client: &str, octets: usize) -> Vec<Place> {
        let client: IpAddr = client.parse().expect("an address");
        std::iter::from_fn(|| room.take(client, octets)).collect()
    }

    #[test]
    fn one_client_has_a_part_of_it() {
        let room = Arc::new(Room::default());
        let first = fill(&room, "192.0.2.1", 65_535);
        assert_eq!(first.len(), EACH / 65_535);
        assert!(room.take("::ffff:192.0.2.1".parse().expect("mapped"), 65_535).is_none(), "the same client");
        let others: Vec<Vec<Place>> = (2..40).map(|n| fill(&room, &format!("192.0.2.{n}"), 65_535)).collect();
        let octets = 65_535 * (first.len() + others.iter().map(Vec::len).sum::<usize>());
        assert!(octets <= WHOLE && octets > WHOLE - 65_535, "{octets}");
        drop(first);
        assert_eq!(fill(&room, "192.0.2.1", 65_535).len(), EACH / 65_535);
        drop(others);
        let held = room.held();
        assert_eq!((held.whole, held.clients.len()), (0, 0));
    }

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let room = Arc::new(Room::default());
        let _held = fill(&room, "2001:db8::1", 65_535);
        assert!(fill(&room, "2001:db8::2:1", 65_535).is_empty());
        assert!(!fill(&room, "2001:db8:0:1::1", 65_535).is_empty());
    }
}
