//! Tests of the room: what is read, what is picked, what a handshake says.

mod handshake;
mod pem;
mod store;
