//! HTTP messages without I/O: the head, its framing, the HTTP/1 codec, HTTP/2.

pub mod head;
pub mod method;
pub mod token;
pub mod bad;
pub mod list;
pub mod cookie;
pub mod uri;
pub mod h1;
mod start;
mod strict;
mod message;
pub mod edit;
mod own;
pub mod status;
pub mod write;
pub mod body;
pub mod hpack;
pub mod h2;
pub mod fuzz;

pub use bad::{BadMessage, Reason};
pub use body::{CHUNK_END, ChunkHead, Chunks, LAST_CHUNK, Scan};
pub use edit::Prepared;
pub use h1::{H1Options, Parse};
pub use head::{BodyLen, Field, FieldKind, Head, Method, Slot, Version};
pub use write::{Hop, Slices};

#[cfg(test)]
mod tests;
