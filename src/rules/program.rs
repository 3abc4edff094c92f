//! Compiled rules: what the configuration builds and the data plane runs.

use std::sync::Arc;

use super::sample::Sample;
use super::txn::{Ctx, Env, Outcome, Reply, Txn};

/// A fetch with its converters.
#[derive(Default)]
pub struct Expr {}

impl Expr {
    pub fn eval<'a>(&'a self, _ctx: Ctx<'a>) -> Option<Sample<'a>> {
        None
    }
}

/// `if ...` or `unless ...`.
#[derive(Default)]
pub struct Condition {}

impl Condition {
    pub fn eval(&self, _ctx: Ctx<'_>) -> bool {
        false
    }
}

/// A compiled `log-format`.
#[derive(Default)]
pub struct LogFormat {}

impl LogFormat {
    pub fn render(&self, _ctx: Ctx<'_>, _out: &mut Vec<u8>) {}
}

/// The rules of one set (`http-request`, ...) in order.
#[derive(Default)]
pub struct RuleSet {}

impl RuleSet {
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Runs from rule `*at` on; `*at` is where to resume after [`Outcome::Wait`]. Start with 0.
    pub fn run(&self, _txn: &mut Txn, _env: &dyn Env, _at: &mut usize) -> Outcome {
        Outcome::Continue
    }
}

/// `errorfile`, `errorloc`, `http-error` and `errorfiles` of a proxy, by status.
#[derive(Default)]
pub struct ErrorPages {}

impl ErrorPages {
    /// The page set for a status, else `None`: the default one applies.
    pub fn page(&self, _status: u16) -> Option<&Arc<Reply>> {
        None
    }
}

/// The bytes of a sample as a string converter would make them.
pub fn to_bytes<'a>(sample: &'a Sample<'a>) -> std::borrow::Cow<'a, [u8]> {
    match sample {
        Sample::Str(s) | Sample::Bin(s) | Sample::Method(s) => std::borrow::Cow::Borrowed(s),
        Sample::Bool(b) => std::borrow::Cow::Borrowed(if *b { b"1" } else { b"0" }),
        Sample::Int(i) => std::borrow::Cow::Owned(i.to_string().into_bytes()),
        Sample::Ipv4(a) => std::borrow::Cow::Owned(a.to_string().into_bytes()),
        Sample::Ipv6(a) => std::borrow::Cow::Owned(a.to_string().into_bytes()),
    }
}
