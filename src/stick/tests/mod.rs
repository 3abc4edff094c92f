//! The room as a whole, on a clock of the tests' own.

mod changes;
mod cluster;
mod counting;
mod lines;
mod million;
mod support;

use support::{spec, table};
