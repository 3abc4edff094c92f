//! The room as a whole, on streams that HAProxy 2.6 and 3.4 have sent, and between sessions of our own.

mod cluster;
mod pairs;
mod recorded;
mod support;
mod words;
