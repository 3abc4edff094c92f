//! `keepalived.conf`: the part of its language that is about VRRP, with all that real files get wrong and keepalived
//! tolerates (2.2.7; measured with `keepalived -t`). Blocks that are not Isobar's are named and left out.

mod address;
mod block;
mod command;
mod file;
mod finding;
mod global;
mod include;
mod instance;
mod settle;
mod track;
mod text;
#[cfg(test)]
mod tests;

pub use command::{Program, World};
pub use file::{Loaded, is_keepalived, load};
pub use finding::{Finding, Findings, Level, Place, Verdict};
pub use text::Outside;
