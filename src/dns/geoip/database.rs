//! Reads a database whole: its networks become ranges, its records places, each kept once.

use std::collections::HashMap;
use std::net::IpAddr;

use maxminddb::{MaxMindDbError, Reader};
use serde::Deserialize;

use super::country::centre;
use crate::dns::policy::{ClientMap, ClientPlace, Country, Ranges};

#[derive(Debug, thiserror::Error)]
pub enum GeoError {
    #[error("not a database in MaxMind's format: {0}")]
    Format(#[from] MaxMindDbError),
    #[error("it has more than {0} networks")]
    Size(usize),
    #[error("it says of no network in which country or where it is")]
    Empty,
}

/// Networks that are read at most: the largest databases of cities have 12 million.
const NETWORKS: usize = 32_000_000;

/// Both schemas at once: GeoIP2's, and the flat one of others.
#[derive(Deserialize, Default)]
struct Entry<'d> {
    #[serde(borrow, default)]
    country: Option<Coded<'d>>,
    #[serde(borrow, default)]
    registered_country: Option<Coded<'d>>,
    #[serde(borrow, default)]
    continent: Option<Continent<'d>>,
    #[serde(default)]
    location: Option<Location>,
    #[serde(borrow, default)]
    country_code: Option<&'d str>,
    #[serde(borrow, default)]
    continent_code: Option<&'d str>,
    #[serde(default)]
    latitude: Option<f64>,
    #[serde(default)]
    longitude: Option<f64>,
}

/// `country` is a map in one schema and a text in others.
#[derive(Deserialize)]
#[serde(untagged)]
enum Coded<'d> {
    Nested {
        #[serde(borrow, default)]
        iso_code: Option<&'d str>,
    },
    Flat(&'d str),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Continent<'d> {
    Nested {
        #[serde(borrow, default)]
        code: Option<&'d str>,
    },
    Flat(&'d str),
}

#[derive(Deserialize)]
struct Location {
    #[serde(default)]
    latitude: Option<f64>,
    #[serde(default)]
    longitude: Option<f64>,
}

impl Entry<'_> {
    fn place(&self) -> ClientPlace {
        let of_country = |coded: &Option<Coded<'_>>| match coded {
            Some(Coded::Nested { iso_code }) => iso_code.and_then(code),
            Some(Coded::Flat(text)) => code(text),
            None => None,
        };
        let country = of_country(&self.country)
            .or_else(|| of_country(&self.registered_country))
            .or_else(|| self.country_code.and_then(code));
        let known = country.and_then(centre);
        let continent = match &self.continent {
            Some(Continent::Nested { code: Some(text) } | Continent::Flat(text)) => code(text),
            _ => self.continent_code.and_then(code),
        };
        let own = match &self.location {
            Some(Location { latitude: Some(north), longitude: Some(east) }) => Some((*north, *east)),
            _ => self.latitude.zip(self.longitude),
        };
        let sound = |place: &(f64, f64)| place.0.abs() <= 90.0 && place.1.abs() <= 180.0;
        // Places that are nearer to each other than half a degree are one: it is regions that are looked for.
        let rounded = |(north, east): (f64, f64)| ((north * 2.0).round() / 2.0, (east * 2.0).round() / 2.0);
        ClientPlace {
            country,
            continent: continent.or(known.map(|k| k.continent)),
            location: own.filter(sound).map(rounded).or(known.map(|k| k.location)),
        }
    }
}

fn code(text: &str) -> Option<Country> {
    let code = <Country>::try_from(text.as_bytes()).ok()?;
    code.iter().all(u8::is_ascii_alphabetic).then(|| code.map(|c| c.to_ascii_uppercase()))
}

/// Reads a database.
pub fn clients(octets: Vec<u8>) -> Result<ClientMap, GeoError> {
    let reader = Reader::from_source(octets)?;
    let mut places = Places::default();
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    let mut by_offset: HashMap<usize, u32> = HashMap::new();
    for found in reader.networks(Default::default())? {
        let found = found?;
        let Some(offset) = found.offset() else { continue };
        let place = match by_offset.get(&offset) {
            Some(place) => *place,
            None => {
                // What cannot be read as either schema says nothing of where it is.
                let entry: Entry<'_> = found.decode().ok().flatten().unwrap_or_default();
                let place = places.number(entry.place());
                by_offset.insert(offset, place);
                place
            }
        };
        let network = found.network()?;
        match network.ip() {
            IpAddr::V4(ip) => v4.push((ip.to_bits(), network.prefix(), place)),
            IpAddr::V6(ip) if ip.to_bits() >> 32 == 0 && network.prefix() >= 96 => {
                v4.push((ip.to_bits() as u32, network.prefix() - 96, place));
            }
            IpAddr::V6(ip) => v6.push((ip.to_bits(), network.prefix(), place)),
        }
        if v4.len() + v6.len() > NETWORKS {
            return Err(GeoError::Size(NETWORKS));
        }
    }
    if places.list.len() < 2 {
        return Err(GeoError::Empty);
    }
    Ok(ClientMap { v4: Ranges::of(&v4, 0), v6: Ranges::of(&v6, 0), places: places.list })
}

/// Each place once; the first is unknown.
struct Places {
    list: Vec<ClientPlace>,
    numbers: HashMap<Key, u32>,
}

/// A place in half degrees.
type Key = (Option<Country>, Option<Country>, Option<(i32, i32)>);

impl Default for Places {
    fn default() -> Self {
        let unknown = ClientPlace::default();
        Places { list: vec![unknown], numbers: HashMap::from([(key(&unknown), 0)]) }
    }
}

fn key(place: &ClientPlace) -> Key {
    let location = place.location.map(|(north, east)| ((north * 10.0) as i32, (east * 10.0) as i32));
    (place.country, place.continent, location)
}

impl Places {
    fn number(&mut self, place: ClientPlace) -> u32 {
        let next = self.list.len() as u32;
        let number = *self.numbers.entry(key(&place)).or_insert(next);
        if number == next {
            self.list.push(place);
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database of one tree of depth `nets`: each network is a v4 /8, its value one of the data records.
    fn database(records: &[Vec<u8>], networks: &[(u8, usize)]) -> Vec<u8> {
        // Nodes of 2 x 24 bits; a node for each bit of the first octet on the way, the tree built by hand.
        let mut nodes: Vec<[Option<usize>; 2]> = vec![[None, None]];
        let mut leaves: Vec<(usize, usize, usize)> = Vec::new();
        for (octet, record) in networks {
            let mut at = 0;
            for bit in (1..8).rev() {
                let side = usize::from(octet >> bit & 1);
                at = match nodes[at][side] {
                    Some(next) => next,
                    None => {
                        nodes.push([None, None]);
                        let next = nodes.len() - 1;
                        nodes[at][side] = Some(next);
                        next
                    }
                };
            }
            leaves.push((at, usize::from(octet & 1), *record));
        }
        let count = nodes.len();
        let mut offsets = Vec::new();
        let mut data: Vec<u8> = Vec::new();
        for record in records {
            offsets.push(data.len());
            data.extend(record);
        }
        let mut out = Vec::new();
        for (at, node) in nodes.iter().enumerate() {
            for (side, next) in node.iter().enumerate() {
                let leaf = leaves.iter().find(|(n, s, _)| (*n, *s) == (at, side));
                let value = match (next, leaf) {
                    (_, Some((_, _, record))) => count + 16 + offsets[*record],
                    (Some(next), _) => *next,
                    (None, None) => count,
                };
                out.extend(&(value as u32).to_be_bytes()[1..]);
            }
        }
        out.extend([0; 16]);
        out.extend(data);
        out.extend(b"\xab\xcd\xefMaxMind.com");
        let number = |n: u32| [vec![0xc4], n.to_be_bytes().to_vec()].concat();
        let fields = [
            ("node_count", number(count as u32)),
            ("record_size", vec![0xa1, 24]),
            ("ip_version", vec![0xa1, 4]),
            ("database_type", text("Test")),
            ("languages", vec![0x00, 0x04]),
            ("binary_format_major_version", vec![0xa1, 2]),
            ("binary_format_minor_version", vec![0xa0]),
            ("build_epoch", vec![0x00, 0x02]),
            ("description", vec![0xe0]),
        ];
        out.push(0xe0 + fields.len() as u8);
        for (name, value) in fields {
            out.extend(text(name));
            out.extend(value);
        }
        out
    }

    fn text(text: &str) -> Vec<u8> {
        [vec![0x40 + text.len() as u8], text.as_bytes().to_vec()].concat()
    }

    fn map(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut out = vec![0xe0 + fields.len() as u8];
        for (name, value) in fields {
            out.extend(text(name));
            out.extend(value);
        }
        out
    }

    fn double(value: f64) -> Vec<u8> {
        [vec![0x68], value.to_be_bytes().to_vec()].concat()
    }

    #[test]
    fn both_schemas_are_read() {
        let flat = map(&[("country_code", text("IE"))]);
        let nested = map(&[
            ("country", map(&[("iso_code", text("SG"))])),
            ("continent", map(&[("code", text("AS"))])),
        ]);
        let city = map(&[
            ("country", map(&[("iso_code", text("US"))])),
            ("location", map(&[("latitude", double(37.7)), ("longitude", double(-122.4))])),
        ]);
        let octets = database(&[flat, nested, city], &[(10, 0), (11, 1), (12, 2), (13, 0)]);
        let clients = clients(octets).expect("a database");
        let at = |ip: &str| *clients.place(ip.parse().expect("an address"));
        let ireland = at("10.1.2.3");
        assert_eq!((ireland.country, ireland.continent), (Some(*b"IE"), Some(*b"EU")));
        assert_eq!(ireland.location, Some((53.2, -7.2)), "its country's centre");
        assert_eq!((at("11.0.0.0").country, at("11.0.0.0").continent), (Some(*b"SG"), Some(*b"AS")));
        assert_eq!(at("12.255.0.1").location, Some((37.5, -122.5)), "to half a degree");
        assert_eq!(at("13.0.0.1"), ireland);
        assert_eq!((at("14.0.0.1"), at("2001:db8::1")), (ClientPlace::default(), ClientPlace::default()));
    }

    #[test]
    fn what_is_no_database_is_refused() {
        assert!(matches!(clients(b"nonsense".to_vec()), Err(GeoError::Format(_))));
        let nothing = database(&[map(&[("name", text("x"))])], &[(10, 0)]);
        assert!(matches!(clients(nothing), Err(GeoError::Empty)));
    }
}
