//! Compiled rules: what the configuration builds and the data plane runs.

use crate::lang::Word;

use super::acl::Acls;
use super::build::BuildCtx;
use super::txn::{Ctx, Env, Outcome, Txn};

/// Where a log-format is used: it decides how unsafe bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogUse {
    /// `log-format`, `error-log-format`, `log-format-sd`, `unique-id-format`: runs of spaces merge, `-` for nothing.
    Log,
    /// Header values.
    Http,
    /// Everything else: paths, variables, bodies.
    Text,
}

/// A compiled `log-format`.
#[derive(Clone, Debug, Default)]
pub struct LogFormat {}

impl LogFormat {
    pub fn parse(_word: &Word, _use_: LogUse, _ctx: &mut BuildCtx<'_>) -> Option<LogFormat> {
        None
    }

    /// `option httplog`.
    pub fn httplog() -> LogFormat {
        LogFormat {}
    }

    /// `option httplog clf`.
    pub fn clf() -> LogFormat {
        LogFormat {}
    }

    /// `option tcplog`.
    pub fn tcplog() -> LogFormat {
        LogFormat {}
    }

    /// What a proxy logs that has no format: `Connect from ...`.
    pub fn connect() -> LogFormat {
        LogFormat {}
    }

    /// Has fields that are known only when the transaction ends.
    pub fn needs_end(&self) -> bool {
        true
    }

    pub fn render(&self, _ctx: Ctx<'_>, _out: &mut Vec<u8>) {}
}

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
