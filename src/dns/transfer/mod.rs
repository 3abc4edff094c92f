//! Zones for other servers: who may have one, and its records in messages (RFC 5936), signed where a key is shared
//! (RFC 8945).

mod axfr;
mod tsig;

pub use axfr::{MESSAGE, Transfer};
pub use tsig::{Algorithm, Key, ROOM, Signer, Verdict, rejection, unsigned, verify};
