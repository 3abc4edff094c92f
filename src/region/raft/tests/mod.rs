//! Whole nodes in one process, over loopback TCP, with a network that can be cut.

mod archive;
mod calm;
mod chaos;
mod cluster;
mod faulty;
mod forming;
mod leases;
mod liveness;
mod replication;
mod secrets;
mod secure;
mod sessions;
mod sick;
mod soft;
mod throughput;
mod trust;
