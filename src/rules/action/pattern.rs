//! Changing ACLs and maps from rules: `add-acl`, `del-acl`, `set-map`, `del-map`.

use std::sync::Arc;

use crate::lang::Entry;
use crate::rules::logformat::{LogFormat, LogUse};
use crate::rules::pattern::{Key, PatternRef, reference_of_file};
use crate::rules::words::Failed;

use super::entry::{Action, ActionKeyword, Input, Run, Sets, Step};
use super::rewrite::Value;

#[derive(Debug)]
struct Change {
    list: Arc<PatternRef>,
    deletes: bool,
    key: Value,
    /// In a map.
    value: Option<Value>,
}

impl Action for Change {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let key = run.render(&self.key);
        if self.deletes {
            self.list.delete(Key::Text(&key));
            *run.scratch = key;
            return Step::Next;
        }
        let key = key.clone();
        let value = self.value.as_ref().map(|v| run.render(v));
        // A pattern that cannot be read is left out, as by the runtime API.
        let _ = match &value {
            Some(value) => self.list.put(&key, value),
            None => self.list.add_once(&key),
        };
        *run.scratch = value.unwrap_or(key);
        Step::Next
    }
}

fn parse(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let Some(file) = input.inside else {
        return input.words.fail(format!("'{}' expects a file name in parentheses", input.name));
    };
    let is_map = input.name.ends_with("-map");
    let deletes = input.name.starts_with("del-");
    let list = reference_of_file(file, is_map, input.words.place().line, input.ctx)
        .map_err(|e| (input.words.start(), e))?;
    let key = input.words.want("a key")?;
    let key = Value::new(LogFormat::parse(key, LogUse::Text, input.ctx).unwrap_or_default());
    let mut value = None;
    if is_map && !deletes {
        let word = input.words.want("a key and a value")?;
        value = Some(Value::new(LogFormat::parse(word, LogUse::Text, input.ctx).unwrap_or_default()));
    }
    Ok(Box::new(Change { list, deletes, key, value }))
}

const fn change(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    example: &'static str,
    sets: Sets,
) -> ActionKeyword {
    ActionKeyword::new(Entry::full(name, args, doc, example, "1.6"), sets, parse)
}

pub static ACTIONS: &[ActionKeyword] = &[
    change(
        "add-acl",
        "(<file>) <key fmt>",
        "Adds a pattern to an ACL's list.",
        "add-acl(virt@blocked) %[src]",
        Sets::HTTP_REQ_RES,
    ),
    change(
        "del-acl",
        "(<file>) <key fmt>",
        "Removes a pattern from an ACL's list.",
        "del-acl(virt@blocked) %[src]",
        Sets::HTTP,
    ),
    change(
        "set-map",
        "(<file>) <key fmt> <value fmt>",
        "Adds a key with its value to a map, or changes its value.",
        "set-map(virt@seen) %[src] %[path]",
        Sets::HTTP,
    ),
    change(
        "del-map",
        "(<file>) <key fmt>",
        "Removes a key from a map.",
        "del-map(virt@seen) %[src]",
        Sets::HTTP,
    ),
];
