//! Tests of the room: what is read, what is picked, what a handshake says.

mod cipher;
mod endpoint;
mod handshake;
mod hello;
mod pem;
mod store;
