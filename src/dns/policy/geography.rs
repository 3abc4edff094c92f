//! Where clients are: what a geographic database says of networks, whatever its format was.

use std::net::IpAddr;

use super::ranges::Ranges;

/// ISO 3166, two letters; continents likewise (`EU`).
pub type Country = [u8; 2];

/// Where a network is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClientPlace {
    pub country: Option<Country>,
    pub continent: Option<Country>,
    /// Degrees north and east: the network's own, else its country's centre.
    pub location: Option<(f64, f64)>,
}

/// Networks and where they are; the value of a network is the number of its place. Place 0 is unknown.
#[derive(Clone, Debug)]
pub struct ClientMap {
    pub v4: Ranges<u32>,
    pub v6: Ranges<u128>,
    pub places: Vec<ClientPlace>,
}

impl Default for ClientMap {
    fn default() -> Self {
        ClientMap { v4: Ranges::all(0), v6: Ranges::all(0), places: vec![ClientPlace::default()] }
    }
}

impl ClientMap {
    pub fn place(&self, client: IpAddr) -> &ClientPlace {
        let (at, _) = match client {
            IpAddr::V4(ip) => self.v4.lookup(ip.to_bits()),
            IpAddr::V6(ip) => self.v6.lookup(ip.to_bits()),
        };
        &self.places[at as usize]
    }
}
