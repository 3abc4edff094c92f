//! One request: how its handler is found, what the handler sees and may do, and what is answered.

pub mod access;
pub mod answer;
pub mod budget;
pub mod call;
pub mod duration;
pub mod fault;
pub mod fields;
pub mod params;
pub mod route;
pub mod rows;
pub mod zip;

pub use access::{Access, Authority, Level, Resource, Rule};
pub use answer::{Answer, JSON, Stream, TEXT, Wire};
pub use budget::Budget;
pub use call::Call;
pub use fault::Fault;
pub use fields::{Fields, parse_value};
pub use params::{Params, decode_path, is_text};
pub use route::{DELETE, DOCUMENT, GET, Outcome, POST, PUT, PUT_OR_GET, PUT_OR_POST, Route, VALUE, Work};
pub use rows::show;
