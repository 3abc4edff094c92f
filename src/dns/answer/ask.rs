//! Who asks.

use std::net::IpAddr;

/// Who asks, how, and when.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    pub client: IpAddr,
    /// The answer may be as long as a message can be.
    pub stream: bool,
    /// Seconds since 1970.
    pub now_s: u32,
    /// Different for each query.
    pub draw: u64,
    /// Whether this client may ask for names that are not ours.
    pub recursion: bool,
    /// Number of the key by which the query was signed.
    pub key: Option<usize>,
}
