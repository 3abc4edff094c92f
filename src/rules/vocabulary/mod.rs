//! HAProxy's words of the rule language, implemented or not. Nothing here has a meaning: the tables that implement
//! a word have.

pub mod acl;
pub mod action;
pub mod converter;
pub mod fetch;
pub mod log;

use crate::lang::registry::Vocabulary;

/// Every vocabulary of the room.
pub static ALL: [&Vocabulary; 15] = [
    &fetch::FETCHES,
    &converter::CONVERTERS,
    &acl::CRITERIA,
    &acl::MATCHES,
    &action::TCP_CONNECTION,
    &action::TCP_SESSION,
    &action::TCP_REQUEST,
    &action::TCP_RESPONSE,
    &action::HTTP_REQUEST,
    &action::HTTP_RESPONSE,
    &action::HTTP_AFTER_RESPONSE,
    &action::QUIC_INITIAL,
    &log::LOG_ALIASES,
    &log::FILTERS,
    &log::SERVICES,
];
