//! Syntax that HAProxy dropped, rewritten into today's: `--legacy`, `accept-legacy-syntax` and `check --modernize`.
//!
//! A [`plan`] says for each old line what stands for it now; [`apply`] puts that into the sections before they are
//! built, [`print()`](print()) into the text of the files.

mod change;
mod condition;
mod expression;
mod header;
mod lines;
mod mode;
mod order;
mod plan;
mod print;
mod request_line;
#[cfg(test)]
mod tests;
mod verdict;

pub use change::{Change, Target, apply};
pub use mode::{hint, modernize};
pub use plan::plan;
pub use print::print;
