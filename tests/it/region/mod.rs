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
//! | `limits` | limits that hold over all nodes |
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
//! | `disks` | a file system of its own for each node: it hangs, it is full |
//! | `places` | nodes that move to another address, that leave and join anew |
//! | `full` | disks that are full for a while |
//! | `faults` | kill, pause, cut, and all of the above |
//! | `locks` | was a lock held by two, or for too long? |
//! | `contenders` | clients that want locks, and die with them |
//! | `leading` | how long nobody leads |
//! | `outlive` | what stays when a node dies, leaves, is forgotten, or another takes its name |
//! | `chaos` | traffic under faults, and the verdict |

mod agent;
mod api;
pub mod browser;
mod chaos;
mod checkers;
mod cluster;
mod contenders;
mod disks;
mod failover;
mod faults;
mod forming;
mod full;
mod leading;
mod limits;
mod linear;
mod load;
mod locks;
mod outlive;
mod page;
mod places;
mod propagation;
mod relay;
mod reload;
mod rollout;
mod secure;
mod traffic;
mod trust;
