//! Response rate limiting: a forged source gets few answers, and a real one that is limited hears that it may use TCP.

use std::net::IpAddr;

use xxhash_rust::xxh3::xxh3_64;

use crate::base::Millis;
use crate::dns::wire::rcode;

/// Networks that are counted at once; those that share a place share what they get.
const PLACES: usize = 1 << 16;
/// A network that was silent may have so many seconds' worth at once.
const BURST_S: u64 = 2;

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Send,
    /// Truncated, so that who really asked comes back over TCP.
    Slip,
    Drop,
}

#[derive(Clone, Copy, Default)]
struct Place {
    tag: u32,
    /// Answers above the limit, to let every second slip.
    over: u32,
    at_ms: Millis,
    /// Thousandths of an answer.
    balance: u64,
}

pub(super) struct Limiter {
    places: Box<[Place]>,
}

impl Default for Limiter {
    fn default() -> Self {
        Limiter { places: vec![Place::default(); PLACES].into() }
    }
}

impl Limiter {
    /// `rate`: answers in a second.
    pub(super) fn judge(&mut self, client: IpAddr, code: u16, rate: u32, now_ms: Millis) -> Verdict {
        let kind = match code {
            rcode::NOERROR => 0,
            rcode::NXDOMAIN => 1,
            _ => 2,
        };
        let hash = match client {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                xxh3_64(&[kind, 4, a, b, c])
            }
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, g, ..] = ip.octets();
                xxh3_64(&[kind, a, b, c, d, e, f, g])
            }
        };
        let place = &mut self.places[hash as usize % PLACES];
        let most = u64::from(rate) * 1000 * BURST_S;
        if place.tag != (hash >> 32) as u32 && now_ms.saturating_sub(place.at_ms) > 1000 * BURST_S {
            *place = Place { tag: (hash >> 32) as u32, over: 0, at_ms: now_ms, balance: most };
        }
        let earned = now_ms.saturating_sub(place.at_ms).saturating_mul(u64::from(rate));
        (place.balance, place.at_ms) = ((place.balance + earned).min(most), now_ms);
        match place.balance.checked_sub(1000) {
            Some(left) => {
                place.balance = left;
                Verdict::Send
            }
            None => {
                place.over = place.over.wrapping_add(1);
                if place.over % 2 == 1 { Verdict::Slip } else { Verdict::Drop }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_gets_its_rate_and_no_more() {
        let mut limiter = Limiter::default();
        let client = "198.51.100.1".parse().expect("an address");
        let count = |limiter: &mut Limiter, from: u64, ip: IpAddr, code: u16| {
            let verdicts: Vec<Verdict> = (0..1000).map(|n| limiter.judge(ip, code, 100, from + n)).collect();
            let of = |verdict| verdicts.iter().filter(|v| **v == verdict).count();
            (of(Verdict::Send), of(Verdict::Slip), of(Verdict::Drop))
        };
        // Two seconds' worth at first, then what is earned in this one.
        let (sent, slipped, dropped) = count(&mut limiter, 10_000, client, 0);
        assert!((298..=301).contains(&sent) && slipped.abs_diff(dropped) <= 1, "{sent} {slipped} {dropped}");
        let (sent, ..) = count(&mut limiter, 11_000, client, 0);
        assert!((98..=102).contains(&sent), "{sent}");
        let neighbour = "198.51.100.200".parse().expect("an address");
        assert!(count(&mut limiter, 12_000, neighbour, 0).0 <= 102, "the same network");
        assert!(count(&mut limiter, 13_000, client, 3).0 >= 298, "another kind of answer");
        assert!(count(&mut limiter, 14_000, "203.0.113.1".parse().expect("an address"), 0).0 >= 298);
        assert!(count(&mut limiter, 60_000, client, 0).0 >= 298, "silence earns a burst");
    }
}
