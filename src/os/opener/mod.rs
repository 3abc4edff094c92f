//! The opener: what a process that gave up its privileges can still ask for.
//!
//! A configuration with `user` or `chroot` leaves a process that can neither read a 0600 key nor bind port 443, so a
//! reload in place would fail. Therefore a part of the program keeps its privileges in a process of its own, forked
//! before there is any thread, and passes descriptors over a socketpair. With `-W` it is the master; otherwise it is
//! a child that ends when its socket is closed.
//!
//! # What it protects from
//!
//! The unprivileged process may be taken over from the network. Then it says whatever it likes on the socketpair, and
//! must not gain more than it had anyway:
//! - A request is granted only if the same one was made before [`Opener::seal`] (while the process still held all
//!   privileges), or if the [`Policy`] grants it. The policy of the program reads the configuration files again, by
//!   itself and as root, and grants what they name. Whoever can write them is trusted, as when starting.
//! - So it can read keys and maps that the configuration names, as it had to; it cannot read `/etc/shadow`, bind a
//!   port that no configuration mentions, replace a file that is not a socket, or write anything.
//! - A symbolic link that belongs to the unprivileged user is not followed, in any part of a path: else it could
//!   point a permitted name in a directory of its own elsewhere. Hard links to foreign files are left to the kernel
//!   (`fs.protected_hardlinks`).
//! - Messages are bounded, parsed by `serde`, and answered one at a time; descriptors sent to the opener are dropped.
//!
//! It does not protect from a fault in the opener's own code, or from an attacker who was there before [`Opener::seal`].

mod client;
mod message;
mod server;
mod trusted;
mod wire;

pub use client::{Ends, Opener, REQUESTS};
pub use message::{FileStat, Policy, Report, Request};
pub use server::{Server, Turn};
