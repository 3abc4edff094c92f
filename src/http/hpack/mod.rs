//! HPACK, the header compression of HTTP/2 (RFC 7541): both tables, the Huffman code, decoder and encoder. No I/O.

mod code;
mod huffman;
mod integer;
mod known;
mod table;
mod decoder;
mod encoder;

pub use decoder::{Decoder, Invalid};
pub use encoder::Encoder;
pub use table::OVERHEAD;

#[cfg(test)]
mod tests;
