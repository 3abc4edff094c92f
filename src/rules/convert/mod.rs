//! Converters: functions that change a sample, one table a family.

mod address;
mod code;
mod crypto;
mod date;
mod digest;
mod entry;
mod fix;
mod json;
mod jwt;
mod live;
mod map;
mod mqtt;
mod number;
mod operand;
mod packet;
mod protobuf;
mod rfc7239;
mod table;
mod text;
mod transaction;
mod url;

pub use entry::{ConvFn, Converter, find};
pub use rfc7239::{node_name, node_port};

/// Every converter there is, in families.
pub static CONVERTERS: &[&[Converter]] = &[
    text::CONVERTERS,
    code::CONVERTERS,
    url::CONVERTERS,
    number::CONVERTERS,
    digest::CONVERTERS,
    crypto::CONVERTERS,
    jwt::CONVERTERS,
    date::CONVERTERS,
    address::CONVERTERS,
    json::CONVERTERS,
    map::CONVERTERS,
    transaction::CONVERTERS,
    fix::CONVERTERS,
    mqtt::CONVERTERS,
    protobuf::CONVERTERS,
    rfc7239::CONVERTERS,
    packet::CONVERTERS,
    live::CONVERTERS,
    table::CONVERTERS[0],
    table::CONVERTERS[1],
    table::CONVERTERS[2],
];
