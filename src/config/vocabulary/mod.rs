//! HAProxy's words for everything that is configured, implemented or not. Nothing here has a meaning: the tables
//! that implement a word have.

pub mod bind;
pub mod global;
pub mod proxy;
pub mod section;
pub mod server;

use crate::lang::registry::Vocabulary;

/// Every vocabulary of the room.
pub static ALL: [&Vocabulary; 25] = [
    &section::SECTION,
    &global::GLOBAL,
    &proxy::PROXY,
    &proxy::OPTIONS,
    &proxy::BALANCE,
    &bind::BIND,
    &bind::BIND_SSL,
    &bind::CRT_LIST,
    &server::SERVER,
    &section::USERLIST,
    &section::PEERS,
    &section::RESOLVERS,
    &section::MAILERS,
    &section::CACHE,
    &section::FCGI_APP,
    &section::HTTP_ERRORS,
    &section::LOG_FORWARD,
    &section::LOG_PROFILE,
    &section::RING,
    &section::CRT_STORE,
    &section::TRACES,
    &section::ACME,
    &section::HEALTHCHECK,
    &section::NAMESPACE_LIST,
    &section::PROGRAM,
];
