//! HTTP/2 of our own against the `h2` crate, which shares no code with it: HPACK in both directions, flow control,
//! trailers, many streams.

mod peer;
