//! Which addresses a client gets: where it is, in what order regions stand for it, and who of them can take it now.

mod geography;
mod order;
mod pick;
mod ranges;
mod view;

pub use geography::{ClientMap, ClientPlace, Country};
pub use order::{Geography, Order, Place, Preferences, Ranked, Step};
pub use pick::{Client, Fate, LastResort, Picked, Policy, Spread, Trace, Wanted, pick};
pub use ranges::{Key, Ranges};
pub use view::{Endpoint, InRegion, RegionId, ServiceView, Standing};

#[cfg(test)]
mod tests;
