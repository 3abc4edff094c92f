//! What a fetch is to the tables: its entry, arguments, type, what it needs, and its function.

use crate::lang::registry::Kind;
use crate::lang::void::is_void;
use crate::lang::{Entry, Status};
use crate::rules::args::{Arg, ArgSpec};
use crate::rules::build::{BuildCtx, Dir};
use crate::rules::sample::{Sample, SampleType};
use crate::rules::txn::Ctx;

/// Where a fetch stands while it is asked for value after value, and what it says about the answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    /// The caller wants every value of a list (an ACL), not only one.
    pub iterate: bool,
    /// There may be another value: ask again with this cursor.
    pub more: bool,
    /// The answer may be another one when more of the message is here.
    pub may_change: bool,
    /// Field and byte in it where the next value begins; meaning is the fetch's own.
    pub field: usize,
    pub byte: usize,
}

/// Reads one value; `None` when there is none (now).
pub type FetchFn = for<'a> fn(&'a [Arg], Ctx<'a>, &mut Cursor) -> Option<Sample<'a>>;

/// Turns parsed arguments into what the function wants; the error is completed with the fetch's name.
pub type CheckFn = fn(&mut Vec<Arg>, &mut BuildCtx<'_>) -> Result<(), String>;

/// What must be there for a fetch to find something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: constants, internal state.
    Nothing,
    /// The client's connection.
    Client,
    /// The server's connection.
    Server,
    /// Request bytes in the buffer (layer 6).
    RequestData,
    RequestHead,
    RequestBody,
    ResponseData,
    ResponseHead,
    ResponseBody,
    /// The end of the transaction.
    End,
}

/// One sample fetch.
pub struct Fetch {
    pub entry: Entry,
    pub args: ArgSpec,
    pub out: SampleType,
    pub needs: Needs,
    pub run: FetchFn,
    pub check: Option<CheckFn>,
    /// The function when the rule reads responses, for names that serve both (`hdr`).
    pub response: Option<FetchFn>,
}

impl Fetch {
    pub const fn new(entry: Entry, out: SampleType, needs: Needs, run: FetchFn) -> Self {
        Fetch { entry, args: ArgSpec::NONE, out, needs, run, check: None, response: None }
    }

    pub const fn args(self, args: ArgSpec) -> Self {
        Fetch { args, ..self }
    }

    pub const fn check(self, check: CheckFn) -> Self {
        Fetch { check: Some(check), ..self }
    }

    pub const fn or_response(self, run: FetchFn) -> Self {
        Fetch { response: Some(run), ..self }
    }

    pub const fn partial(self, why: &'static str) -> Self {
        Fetch { entry: self.entry.with(Status::Partial(why)), ..self }
    }

    /// The function for rules of this direction.
    pub fn function(&self, dir: Dir) -> FetchFn {
        match (dir, self.response) {
            _ if is_void(Kind::Fetch, self.entry.name) => |_, _, _| None,
            (Dir::Response, Some(run)) => run,
            _ => self.run,
        }
    }
}

/// The fetch of this name.
pub fn find(name: &str) -> Option<&'static Fetch> {
    super::FETCHES.iter().flat_map(|t| t.iter()).find(|f| f.entry.name == name)
}
