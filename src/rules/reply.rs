//! `ReplySpec`: a response that the proxy makes itself, as configured; rendered to a [`Reply`] for one transaction.

use super::txn::{Ctx, Reply};

/// What `return`, `deny`, `http-error` and error files describe.
#[derive(Debug, Default)]
pub struct ReplySpec {}

impl ReplySpec {
    /// The response for this transaction.
    pub fn render(&self, _ctx: Ctx<'_>) -> Reply {
        Reply::default()
    }
}
