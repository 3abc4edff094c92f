//! Tests of the room: what is read, what is picked, what a handshake says.

mod cipher;
mod clients;
mod endpoint;
mod gcm;
mod handshake;
mod hello;
mod info;
mod live;
mod material;
mod ocsp;
mod pem;
mod sessions;
mod store;
mod upstream;
