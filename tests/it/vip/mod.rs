//! The VIP agent: what it says of a configuration, and pairs with a real keepalived on a bridge.

mod check;
mod pair;
