//! The program's DNS client: it asks upstream servers, and remembers what they said; and `resolvers` sections, whose
//! name servers are asked for the addresses of servers.

mod cache;
mod client;
mod line;
mod lookup;
mod record;
mod resolvers;
mod response;
mod section;
mod upstream;

pub use cache::{Cache, Entry, Freshness, Key};
pub use client::{Client, Failure, Route};
pub use lookup::{Lookup, Ticket};
pub use record::{Answer, Kind, Record, answer as read_answer, question};
pub use resolvers::{Answered, Counters, Refusal, Resolvers};
pub use response::{Shape, examine};
pub use section::{Around, Hold, LINES, Nameserver, RESOLV_CONF, Spec, of_resolv_conf, section};
pub use upstream::Upstream;

#[cfg(test)]
mod tests;
