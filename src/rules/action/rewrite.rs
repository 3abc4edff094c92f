//! Editing heads within the room that `tune.maxrewrite` leaves.

use crate::http::Head;
use crate::rules::logformat::LogFormat;
use crate::rules::txn::Ctx;

use super::entry::Run;

impl Run<'_> {
    /// The head that rules of this set edit.
    pub(super) fn head(&mut self) -> &mut Head {
        if self.kind.is_response() { &mut self.txn.res } else { &mut self.txn.req }
    }

    /// Counts `more` bytes (less than 0: room won) if there is room for them.
    pub(super) fn grow(&mut self, more: i64) -> bool {
        let (maxrewrite, bufsize) = (self.maxrewrite, self.bufsize);
        let (head, growth) = if self.kind.is_response() {
            (&self.txn.res, &mut self.txn.res_growth)
        } else {
            (&self.txn.req, &mut self.txn.req_growth)
        };
        let free = bufsize.saturating_sub(head.buf.written().len());
        let room = maxrewrite.max(free) as i64;
        let grown = i64::from(*growth) + more;
        if more > 0 && grown > room {
            return false;
        }
        *growth = grown.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32;
        true
    }

    /// Renders a format into the scratch memory, which the caller puts back.
    pub(super) fn render(&mut self, format: &Value) -> Vec<u8> {
        let mut out = std::mem::take(self.scratch);
        out.clear();
        match format {
            Value::Constant(text) => out.extend_from_slice(text),
            Value::Format(format) => format.render(Ctx { txn: self.txn, env: self.env }, &mut out),
        }
        out
    }
}

/// A text of a rule: most are the same for every transaction.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Constant(Box<[u8]>),
    Format(LogFormat),
}

impl Value {
    pub(super) fn new(format: LogFormat) -> Value {
        match format.constant() {
            Some(text) => Value::Constant(text.into()),
            None => Value::Format(format),
        }
    }
}
