//! What a converter is to the tables: its entry, arguments, types and function.

use crate::lang::registry::Kind;
use crate::lang::void::is_void;
use crate::lang::{Entry, Status};
use crate::rules::args::{Arg, ArgSpec};
use crate::rules::build::BuildCtx;
use crate::rules::sample::{Sample, SampleType};
use crate::rules::txn::Ctx;

/// Changes a sample, which has the input type already; `None` drops it.
pub type ConvFn = for<'a> fn(Sample<'a>, &'a [Arg], Ctx<'a>) -> Option<Sample<'a>>;

/// Turns parsed arguments into what the function wants.
pub type CheckFn = fn(&mut Vec<Arg>, &mut BuildCtx<'_>) -> Result<(), String>;

/// One converter.
pub struct Converter {
    pub entry: Entry,
    pub args: ArgSpec,
    pub input: SampleType,
    pub out: SampleType,
    /// `Any` as output means "unknown" and not "as it was".
    pub changes_type: bool,
    /// What it says of an unfinished message will be said of the finished one.
    pub decides: bool,
    pub run: ConvFn,
    pub check: Option<CheckFn>,
}

impl Converter {
    pub const fn new(entry: Entry, input: SampleType, out: SampleType, run: ConvFn) -> Self {
        Converter {
            entry,
            args: ArgSpec::NONE,
            input,
            out,
            changes_type: false,
            decides: false,
            run,
            check: None,
        }
    }

    pub const fn args(self, args: ArgSpec) -> Self {
        Converter { args, ..self }
    }

    pub const fn check(self, check: CheckFn) -> Self {
        Converter { check: Some(check), ..self }
    }

    pub const fn changes_type(self) -> Self {
        Converter { changes_type: true, ..self }
    }

    pub const fn decides(self) -> Self {
        Converter { decides: true, ..self }
    }

    pub const fn partial(self, why: &'static str) -> Self {
        Converter { entry: self.entry.with(Status::Partial(why)), ..self }
    }

    /// The function that an expression runs.
    pub fn function(&self) -> ConvFn {
        if is_void(Kind::Converter, self.entry.name) { |sample, _, _| Some(sample) } else { self.run }
    }
}

/// The converter of this name.
pub fn find(name: &str) -> Option<&'static Converter> {
    super::CONVERTERS.iter().flat_map(|t| t.iter()).find(|c| c.entry.name == name)
}
