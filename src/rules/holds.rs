//! What an ACL is to those who ask for it by name and know no more of it.

use std::fmt;

use super::txn::Ctx;

pub trait Holds: fmt::Debug + Send + Sync {
    /// Whether it holds now.
    fn holds(&self, ctx: Ctx<'_>) -> bool;
}
