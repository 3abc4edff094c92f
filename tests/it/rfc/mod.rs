//! Malformed and ambiguous messages, one row each: what the RFC wants done with them and what the proxy does.
//!
//! Where an RFC says MUST, the row holds the proxy to it; where it leaves a choice, the row names the choices.
//! Rows that differ from the letter of an RFC say why in `deviation`. `haproxy` is what HAProxy 2.6 does where that is
//! something else: with `ISOBAR_BIN=/usr/sbin/haproxy` the tables are checked against it.

mod request;
mod response;

mod r9110_5_fields;
mod r9110_7_8_upgrade;
mod r9110_7_routing;
mod r9112_2_lines;
mod r9112_3_request_line;
mod r9112_4_status_line;
mod r9112_5_folding;
mod r9112_6_request_length;
mod r9112_6_response_length;
mod r9112_7_chunked;
mod r9112_9_persistence;

/// The bytes of every request row: where fuzzing starts.
pub fn requests() -> Vec<Vec<u8>> {
    let rows = [
        r9110_5_fields::all(),
        r9110_7_routing::all(),
        r9110_7_8_upgrade::all(),
        r9112_2_lines::all(),
        r9112_3_request_line::all(),
        r9112_5_folding::all(),
        r9112_6_request_length::all(),
        r9112_7_chunked::all(),
        r9112_9_persistence::all(),
    ];
    rows.into_iter().flatten().map(|row| row.bytes).collect()
}

/// The bytes of every response row.
pub fn responses() -> Vec<Vec<u8>> {
    let rows = [r9112_4_status_line::all(), r9112_6_response_length::all()];
    rows.into_iter().flatten().map(|row| row.bytes).collect()
}
