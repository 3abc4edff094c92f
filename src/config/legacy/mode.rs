//! The mode itself: whether it is asked for, and what it does to what was loaded.

use crate::lang::load::{ACCEPT_LEGACY, Loaded};
use crate::lang::registry::Kind;
use crate::lang::void::is_void;
use crate::lang::{LEGACY_HINT, Line, Section, Severity, Span};

use super::change::{Target, apply, word};
use super::plan::{hints, plan};

/// Whether the configuration asks for it by itself.
fn asks(sections: &[Section]) -> bool {
    let global = sections.iter().filter(|s| s.kind() == "global");
    global.flat_map(|s| &s.lines).any(|line| line.str(0) == ACCEPT_LEGACY)
        && !is_void(Kind::Global, ACCEPT_LEGACY)
}

/// Puts today's lines in place of old ones, when the command line (`asked`) or the configuration wants that. Tells whether
/// one of them did.
pub fn modernize(loaded: &mut Loaded, asked: bool) -> bool {
    let asks = asks(&loaded.sections);
    if !asked && !asks {
        return false;
    }
    let changes = plan(&loaded.sections, Target::Isobar);
    for change in changes.iter().filter(|change| !change.note.is_empty()) {
        let severity = if change.is_lossy { Severity::Warning } else { Severity::Diag };
        loaded.diagnostics.push(severity, Some(change.at), format!("old syntax: {}.", change.note));
    }
    apply(&mut loaded.sections, &changes);
    if !asks {
        // From here on the flag is a line like others.
        let line = |text: &str| Line { words: vec![word(text, Span::default())], span: Span::default() };
        let global = Section { head: line("global"), lines: vec![line(ACCEPT_LEGACY)] };
        loaded.sections.insert(0, global);
    }
    true
}

/// Says of alerts that this mode would not give which mode that is.
pub fn hint(loaded: &mut Loaded) {
    if !loaded.diagnostics.has_alerts() {
        return;
    }
    let helped = hints(&loaded.sections);
    for alert in loaded.diagnostics.list.iter_mut().filter(|d| d.severity == Severity::Alert) {
        if alert.span.is_some_and(|at| helped.contains(&(at.file, at.line))) {
            alert.hint = Some(LEGACY_HINT.to_owned());
        }
    }
}
