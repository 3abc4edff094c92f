//! Zones: how they are kept, how a name is found in one, and how they are read from files.

mod build;
mod file;
mod generate;
mod rdata;
mod set;
mod table;
mod token;

pub use build::{Builder, Dynamic, ZoneError};
pub use file::{Fault, FileReader, ReadFile, included};
pub use rdata::{RdataError, rdata_of};
pub use set::Zones;
pub use table::{ALIAS, DYNAMIC, Found, Node, NodeId, RrSet, Zone};
