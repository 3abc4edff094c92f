//! Compiled rules: what the configuration builds and the data plane runs.

use crate::lang::Word;

use super::acl::Acls;
use super::build::BuildCtx;
use super::txn::{Ctx, Env, Outcome, Txn};

/// The keyword before a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleSetKind {
    TcpConnection,
    TcpSession,
    TcpContent,
    TcpResponse,
    HttpRequest,
    HttpResponse,
    HttpAfterResponse,
}

/// The rules of one set (`http-request`, ...) in order.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {}

impl RuleSet {
    /// One line as one rule; `words` begin behind the keyword (`http-request`, `tcp-request content`...).
    pub fn push(&mut self, _kind: RuleSetKind, _words: &[Word], _acls: &Acls, _ctx: &mut BuildCtx<'_>) {}

    /// A `redirect` line; `words` begin behind the keyword.
    pub fn push_redirect(&mut self, _words: &[Word], _acls: &Acls, _ctx: &mut BuildCtx<'_>) {}

    /// Appends the rules of a `defaults` section; they are shared, not copied.
    pub fn extend_from(&mut self, _other: &RuleSet) {}

    pub fn is_empty(&self) -> bool {
        true
    }

    pub fn len(&self) -> usize {
        0
    }

    /// Runs from rule `*at` on; `*at` is where to resume after [`Outcome::Wait`]. Start with 0.
    pub fn run(&self, _txn: &mut Txn, _env: &dyn Env, _at: &mut usize) -> Outcome {
        Outcome::Continue
    }
}
