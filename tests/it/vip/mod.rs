//! The VIP agent: what it says of a configuration, pairs with a real keepalived on a bridge, operators, dropped privileges,
//! and addresses held under a lease of the region map.

mod apart;
mod check;
mod fenced;
mod node;
mod pair;
mod told;
