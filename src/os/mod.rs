//! Every syscall, and the only `unsafe` code.

pub mod bind;
pub mod burst;
pub mod capability;
pub mod child;
pub mod connection;
pub mod daemon;
pub mod datagram;
pub mod epoll;
pub mod identity;
pub mod limits;
pub mod netlink;
pub mod notify;
pub mod opener;
pub mod pages;
pub mod pipe;
pub mod process;
pub mod raw;
pub mod signal;
pub mod socket;
pub mod waker;
pub mod watch;
