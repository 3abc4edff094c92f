//! Verdicts of the parser and the bytes that are written, against RFC 9110/9112 and what HAProxy does.

mod support;
mod request;
mod response;
mod wire;
mod random;
