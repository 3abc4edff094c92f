//! `Command`: one command of the runtime API.

use crate::config::global::CliLevel;
use crate::lang::Entry;

use super::session::{Answer, Session};
use super::words::Args;

/// A command. Its words are the name of its entry.
pub struct Command {
    pub entry: Entry,
    /// The lowest level that may run it.
    pub level: CliLevel,
    pub run: fn(&mut Session, &Args) -> Answer,
}

impl Command {
    pub const fn new(
        level: CliLevel,
        name: &'static str,
        args: &'static str,
        doc: &'static str,
        example: &'static str,
        since: &'static str,
        run: fn(&mut Session, &Args) -> Answer,
    ) -> Command {
        Command { entry: Entry::full(name, args, doc, example, since), level, run }
    }

    pub fn usage(&self) -> String {
        let Entry { name, args, doc, .. } = self.entry;
        let head = if args.is_empty() { name.to_owned() } else { format!("{name} {args}") };
        format!("  {head:<40}: {doc}\n")
    }
}
