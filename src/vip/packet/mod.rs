//! What goes over the wire: VRRP advertisements, and the frames that tell neighbours where an address is. Bytes only.

mod advert;
mod checksum;
mod neighbour;
#[cfg(test)]
mod tests;

pub use advert::{
    Advert, Bad, CENTISECOND, Checksum, PROTOCOL, Password, Version, decode, encode, inside_ipv4,
};
pub use neighbour::{Mac, gratuitous_arp, unsolicited_advertisement};
