//! Which of a name's addresses a server gets.

use std::net::IpAddr;

use crate::model::notation::Family;
use crate::model::server::Resolving;

/// The best address: of the family asked for, then of the networks, then one that no other server of the name has, then
/// the one that the server has now. `None` where all are taken and may not be shared.
pub fn select(
    addresses: impl Iterator<Item = IpAddr>,
    current: Option<IpAddr>,
    family: Option<Family>,
    resolving: &Resolving,
    is_taken: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let score = |ip: IpAddr| {
        let is_free = !is_taken(ip);
        if !is_free && !resolving.allow_dup_ip {
            return None;
        }
        let is_near = resolving.nets.iter().any(|net| net.contains(&ip));
        let is_preferred = family.unwrap_or(resolving.prefer).has(&ip);
        let wishes = [is_preferred, is_near, is_free, Some(ip) == current];
        Some(wishes.into_iter().fold(0, |score, wish| score * 2 + u8::from(wish)))
    };
    let mut best: Option<(u8, IpAddr)> = None;
    for ip in addresses {
        if let Some(score) = score(ip)
            && best.is_none_or(|(most, _)| score > most)
        {
            best = Some((score, ip));
        }
    }
    best.map(|(_, ip)| ip)
}
