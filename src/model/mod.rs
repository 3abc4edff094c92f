//! Ids, nouns and the live cells that outlast a configuration; contracts between rooms that never meet.

pub mod address;
pub mod agent;
pub mod applet;
pub mod balancer;
pub mod check_state;
pub mod counters;
pub mod invalid;
pub mod need;
pub mod notation;
pub mod proxy;
pub mod queue;
pub mod server;

pub use address::Address;
pub use balancer::{Balancer, Pick};
pub use check_state::{CheckState, Took};
pub use counters::{ProxyCounters, ServerCounters, Totals};
pub use proxy::{Caps, ListenerLive, Mode, ProxyId, ProxyLive};
pub use queue::{Ticket, WaitQueue};
pub use server::{
    AdminState, Cut, HashKey, Observer, OperState, Seen, Server, ServerLive, ServerSet, ServerSpec,
    ServerTls, TlsSwitch, Websockets,
};
