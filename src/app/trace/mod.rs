//! `isobar trace` and `isobar test`: what a configuration does with a request, found without any traffic. A data worker
//! on socket pairs serves the request as every worker does, tells what its rules do meanwhile, and finds a server that
//! answers everything.

mod asked;
mod course;
mod entrance;
mod expect;
mod json;
mod message;
mod play;
mod run;
mod script;
#[cfg(test)]
mod tests;
mod text;
mod wire;

pub use asked::{Asked, Trial};
pub use run::{test, trace};
