//! Statistics: what can be read of the process, its proxies and servers, and the forms it is shown in.

pub mod column;
pub mod exposition;
pub mod health;
pub mod info;
pub mod render;
pub mod row;
pub mod value;

#[cfg(test)]
mod tests;

pub use column::COLUMNS;
pub use info::{CompressionFigures, Process, TlsFigures};
pub use row::{Kind, Row, Show, Snapshot, Subject};
