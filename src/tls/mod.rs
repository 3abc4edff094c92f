//! TLS without connections: PEM with the place of every fault, certificates and the store that picks one by name, whom
//! to believe, and the configurations of servers and clients. Nothing outside this room builds one by hand.

mod digest;
pub mod error;
mod gcm;
pub mod provider;
pub mod pem;
pub mod disk;
pub mod words;
pub mod hello;
pub mod suite;
pub mod cipher;
pub mod authority;
pub mod certificate;
pub mod ocsp;
pub mod material;
pub mod trust;
pub mod legacy;
pub mod verifier;
pub mod session;
pub mod ticket;
pub mod settings;
pub mod filter;
pub mod index;
pub mod store;
pub mod crt_list;
pub mod draft;
pub mod kept;
pub mod library;
pub mod endpoint;
pub mod upstream;
pub mod oid;
pub mod info;
pub mod failure;
pub mod live;
pub mod server;
pub mod client;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

pub use authority::Authorities;
pub use certificate::{Certified, Validity};
pub use client::{Client, Files, Secure, Servers};
pub use disk::{Disk, Local};
pub use endpoint::{Choice, Endpoint, Refusal, Served};
pub use error::{Error, Fault, PemError};
pub use filter::Filter;
pub use gcm::{places, placing};
pub use hello::Hello;
pub use library::Library;
pub use live::Live;
pub use material::{Material, Told};
pub use pem::Pem;
pub use provider::{Anyone, Versions, provider};
pub use server::{Clients, Server};
pub use store::Store;
pub use trust::{Mismatch, Verdict, take_verdict};
pub use upstream::{Upstream, server_name};
pub use words::{
    BindWords, ExtraFiles, Globals, Ignored, Options, ServerWords, Source, StoreLine, Verify, Version,
};
