//! The answer machine: a query's octets, who asks and the present state in, an answer's octets out. No I/O, no clock, and
//! no allocation for what is asked every day.

mod additional;
mod ask;
mod authority;
mod catalog;
mod live;
mod relay;
mod respond;
mod state;

pub use ask::Ask;
pub use authority::dynamic_of;
pub use catalog::Catalog;
pub use relay::{Question, fail, relay};
pub use respond::{Outcome, Sent, respond, respond_to};
pub use state::{MayTransfer, Record, Settings, State, Told};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
