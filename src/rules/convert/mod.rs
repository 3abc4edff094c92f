//! Converters: functions that change a sample, one table a family.

mod address;
mod code;
mod date;
mod digest;
mod entry;
mod json;
mod map;
mod number;
mod table;
mod text;
mod transaction;
mod url;

pub use entry::{ConvFn, Converter, find};

/// Every converter there is, in families.
pub static CONVERTERS: &[&[Converter]] = &[
    text::CONVERTERS,
    code::CONVERTERS,
    url::CONVERTERS,
    number::CONVERTERS,
    digest::CONVERTERS,
    date::CONVERTERS,
    address::CONVERTERS,
    json::CONVERTERS,
    map::CONVERTERS,
    transaction::CONVERTERS,
    table::CONVERTERS[0],
    table::CONVERTERS[1],
    table::CONVERTERS[2],
];
