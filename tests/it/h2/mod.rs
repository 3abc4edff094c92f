//! HTTP/2 of our own against peers that share no code with it (the `h2` crate, `grpcio`): HPACK in both directions, flow
//! control, trailers, many streams; and against clients that mean harm.

mod cases;
mod differential;
mod flood;
mod grpc;
mod peer;
mod raw;
mod tools;
