//! HTTP messages without I/O: the head, its framing, the HTTP/1 codec.

pub mod head;

pub use head::{BodyLen, Field, Head, Method, Version};
