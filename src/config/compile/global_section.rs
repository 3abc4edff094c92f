//! The `global` section, line by line.

use crate::lang::args::{Args, Prefix, split_prefix};
use crate::lang::registry::Kind;
use crate::lang::void::is_void_line;
use crate::lang::{Section, suggest};

use super::draft::Cx;
use super::global_table::{GLOBAL_INDEX, GLOBAL_KEYWORDS};
use super::keyword::{refuse, too_many};

/// What the threads are must be known before any other section.
const FIRST: [&str; 3] = ["nbthread", "thread-group", "thread-groups"];

/// Reads the section; `is_late`: it stands behind a section of another kind.
pub fn global_section<'a>(cx: &mut Cx<'a>, section: &'a Section, is_late: bool) {
    too_many(cx, Args::of(&section.head), 0, 0);
    for line in &section.lines {
        let (prefix, args) = split_prefix(line);
        let name = args.str(0);
        if let Some(keyword) = GLOBAL_INDEX.get(name) {
            if refuse(cx, &keyword.entry, args.at(0)) {
                continue;
            }
            if prefix != Prefix::None && !keyword.negatable {
                cx.diags.alert(args.at(0), format!("negation/default is not supported for '{name}'."));
                continue;
            }
            if is_late && FIRST.contains(&name) {
                let message = format!(
                    "'{name}' not allowed if a non-global section was previously defined. This parameter must be set in the \
                     first global section."
                );
                cx.diags.alert(args.at(0), message);
                continue;
            }
            let fits = !keyword.entry.args.is_empty() || !too_many(cx, args, 0, 0);
            if fits && !is_void_line(Kind::Global, args.words) {
                (keyword.parse)(cx, args, prefix);
            }
        } else {
            let hint = suggest::hint(name, GLOBAL_KEYWORDS.iter().map(|k| k.entry.name));
            cx.diags.alert_hint(args.at(0), format!("unknown keyword '{name}' in 'global' section"), hint);
        }
    }
}
