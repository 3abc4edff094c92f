//! Real processes as nodes of a region map: what holds while they fail.
//!
//! | file | what |
//! |---|---|
//! | `api` | a client of the HTTP API that tells a failure that did nothing from one that may have done something |
//! | `cluster` | processes on addresses of their own, killed and started again on the data they left |
//! | `forming` | the files in `conf/`: they form, serve, survive, refuse and recover |
//! | `rollout` | configuration documents: on every node or on none |
//! | `failover` | regions that spill, die and come back |
//! | `load` | clients that ask without rest |
//! | `page` | the page in a browser |
//! | `browser` | a browser that tests drive |
//! | `checkers` | who checks an instance, and by whose word all route |
//! | `agent` | a client agent: registration, passing on, death; a region that is lost and back |
//! | `reload` | what a reload tells the map; the first moments of a node |
//! | `propagation` | how long from a registration to the first request served elsewhere |
//! | `relay` | distance between nodes |
//! | `secure` | the API over TLS |
//! | `trust` | a CA of the cluster's own: tokens, roles, leaving, strangers |
//! | `linear` | is a history of operations on one key possible for a single register? |
//! | `traffic` | clients that make such histories |
//! | `faults` | kill, pause, cut |
//! | `outlive` | what stays when a node dies, leaves, is forgotten, or another takes its name |
//! | `chaos` | traffic under faults, and the verdict |

mod agent;
mod api;
pub mod browser;
mod chaos;
mod checkers;
mod cluster;
mod failover;
mod faults;
mod forming;
mod linear;
mod load;
mod outlive;
mod page;
mod propagation;
mod relay;
mod reload;
mod rollout;
mod secure;
mod traffic;
mod trust;
