//! Server cookies that need no memory of clients (RFC 7873, RFC 9018).

use std::net::IpAddr;

use super::siphash::siphash24;

/// Octets of a client's part, of a server's, and of both.
pub const CLIENT: usize = 8;
pub const WHOLE: usize = 24;

/// How old a cookie may be, how far in the future, and from when on it is made anew, in seconds (RFC 9018, 4.3).
const OLDEST_S: u32 = 3600;
const NEWEST_S: u32 = 300;
const RENEWED_S: u32 = 1800;

/// What cookies are made with. Servers behind one address share it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 16]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// What a client's cookie is worth, and what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// This client received it from us: its address is not forged.
    pub is_valid: bool,
    pub answer: [u8; WHOLE],
}

/// `cookie`: at least the client's 8 octets. `now_s`: seconds since 1970.
pub fn judge(secret: &Secret, cookie: &[u8], client: IpAddr, now_s: u32) -> Judged {
    let (own, server) = cookie.split_at(CLIENT.min(cookie.len()));
    let mut stamped = None;
    if let Ok([1, _, _, _, a, b, c, d, ..]) = <[u8; 16]>::try_from(server) {
        let at = u32::from_be_bytes([a, b, c, d]);
        // Serial number arithmetic (RFC 1982).
        let age = now_s.wrapping_sub(at) as i32;
        let fresh = age <= OLDEST_S as i32 && age >= -(NEWEST_S as i32);
        let mut reserved = [0; 3];
        reserved.copy_from_slice(&server[1..4]);
        if fresh && make(secret, own, reserved, at, client)[CLIENT..] == *server {
            stamped = Some(if age > RENEWED_S as i32 { now_s } else { at });
        }
    }
    let is_valid = stamped.is_some();
    Judged { is_valid, answer: make(secret, own, [0; 3], stamped.unwrap_or(now_s), client) }
}

fn make(secret: &Secret, own: &[u8], reserved: [u8; 3], at: u32, client: IpAddr) -> [u8; WHOLE] {
    let mut input = [0; 32];
    input[..own.len()].copy_from_slice(own);
    input[8] = 1;
    input[9..12].copy_from_slice(&reserved);
    input[12..16].copy_from_slice(&at.to_be_bytes());
    let len = match client {
        IpAddr::V4(ip) => {
            input[16..20].copy_from_slice(&ip.octets());
            20
        }
        IpAddr::V6(ip) => {
            input[16..].copy_from_slice(&ip.octets());
            32
        }
    };
    let mut whole = [0; WHOLE];
    whole[..16].copy_from_slice(&input[..16]);
    whole[16..].copy_from_slice(&siphash24(&secret.0, &input[..len]).to_le_bytes());
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
    }

    fn secret(text: &str) -> Secret {
        Secret(hex(text).try_into().expect("16 octets"))
    }

    /// RFC 9018, A.1: learning a new server cookie.
    #[test]
    fn a_new_cookie() {
        let own = hex("2464c4abcf10c957");
        let client = "198.51.100.100".parse().expect("an address");
        let judged = judge(&secret("e5e973e5a6b2a43f48e7dc849e37bfcf"), &own, client, 1_559_731_985);
        assert!(!judged.is_valid);
        assert_eq!(judged.answer[..], hex("2464c4abcf10c957010000005cf79f111f8130c3eee29480"));
    }

    /// RFC 9018, A.2: renewing.
    #[test]
    fn a_cookie_is_renewed_after_half_an_hour() {
        let old = hex("2464c4abcf10c957010000005cf79f111f8130c3eee29480");
        let client = "198.51.100.100".parse().expect("an address");
        let secret = secret("e5e973e5a6b2a43f48e7dc849e37bfcf");
        let judged = judge(&secret, &old, client, 1_559_734_385);
        assert!(judged.is_valid);
        assert_eq!(judged.answer[..], hex("2464c4abcf10c957010000005cf7a871d4a564a1442aca77"));
        assert_eq!(judge(&secret, &old, client, 1_559_731_990).answer[..], old[..], "a young one stays");
        assert!(!judge(&secret, &old, client, 1_559_731_985 + 3601).is_valid, "too old");
        assert!(!judge(&secret, &old, client, 1_559_731_985 - 301).is_valid, "from the future");
        assert!(!judge(&secret, &old, "198.51.100.101".parse().expect("an address"), 1_559_731_990).is_valid);
    }

    /// RFC 9018, A.4: IPv6.
    #[test]
    fn a_cookie_of_an_ipv6_client() {
        let own = hex("22681ab97d52c298");
        let client = "2001:db8:220:1:59de:d0f4:8769:82b8".parse().expect("an address");
        let secret = secret("445536bcd2513298075a5d379663c962");
        let judged = judge(&secret, &own, client, 1_559_741_961);
        assert_eq!(judged.answer[..], hex("22681ab97d52c298010000005cf7c609a6bb79d16625507a"));
    }
}
