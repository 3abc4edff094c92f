//! SOCKS4: asking a proxy to connect to an address.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use crate::base::Nanos;

use super::link::Link;

/// Bytes of an answer.
pub const ANSWER: usize = 8;
/// Who asks, as HAProxy says it.
const USER: &[u8] = b"HAProxy\0";

/// The request for a connection. Only IPv4 can be asked for, in IPv6's form as well.
pub fn request(to: SocketAddr) -> Option<Vec<u8>> {
    let ip = match to.ip() {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(ip) => ip.to_ipv4_mapped()?,
    };
    let mut out = vec![4, 1];
    out.extend(to.port().to_be_bytes());
    out.extend(ip.octets());
    out.extend(USER);
    Some(out)
}

/// Whether a whole answer says that the connection stands.
pub fn is_granted(answer: &[u8]) -> bool {
    matches!(answer, [0, 90, ..])
}

/// Has the proxy at the far end of a connection connect to `to`.
pub async fn pass(link: &Link, to: Option<SocketAddr>, until: Nanos) -> io::Result<()> {
    let ask = to.and_then(request).ok_or(ErrorKind::Unsupported)?;
    link.send_all(&ask, false, until).await.map_err(|(_, e)| e)?;
    let (mut answer, mut have) = ([0; ANSWER], 0);
    while have < ANSWER {
        match link.recv(&mut answer[have..], until).await? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            n => have += n,
        }
    }
    if is_granted(&answer) { Ok(()) } else { Err(ErrorKind::ConnectionRefused.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers() {
        let of = |text: &str| request(text.parse().expect("an address"));
        assert_eq!(of("127.0.0.1:80").as_deref(), Some(&b"\x04\x01\0\x50\x7f\0\0\x01HAProxy\0"[..]));
        assert_eq!(of("[::ffff:1.2.3.4]:258").map(|r| r[2..8].to_vec()), Some(vec![1, 2, 1, 2, 3, 4]));
        assert_eq!(of("[::1]:80"), None);
        assert!(is_granted(&[0, 90, 0, 0, 0, 0, 0, 0]) && !is_granted(&[0, 91, 0, 0, 0, 0, 0, 0]));
    }
}
