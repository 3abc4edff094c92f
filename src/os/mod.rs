//! Every syscall, and the only `unsafe` code.

pub mod epoll;
pub mod pipe;
pub mod socket;
pub mod waker;
