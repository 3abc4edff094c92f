//! Malformed and ambiguous messages, one row each: what the RFC wants done with them and what the proxy does.
//!
//! Where an RFC says MUST, the row holds the proxy to it; where it leaves a choice, the row names the choices.
//! Rows that differ from the letter of an RFC say why in `deviation`. `haproxy` is what HAProxy 2.6 does where that is
//! something else: with `ISOBAR_BIN=/usr/sbin/haproxy` the tables are checked against it.

mod request;
mod response;

mod r9110_5_fields;
mod r9110_7_routing;
mod r9112_2_lines;
mod r9112_3_request_line;
mod r9112_4_status_line;
mod r9112_5_folding;
mod r9112_6_request_length;
mod r9112_6_response_length;
mod r9112_7_chunked;
mod r9112_9_persistence;
