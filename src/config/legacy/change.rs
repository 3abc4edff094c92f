//! What becomes of a line.

use std::collections::HashMap;

use crate::lang::{FileId, Line, Section, Span, Word};

/// Who is to read the new lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Isobar, which has rules of its own where HAProxy's cannot say the same.
    Isobar,
    Haproxy,
}

/// An old line, and what stands for it.
#[derive(Clone, Debug)]
pub struct Change {
    /// The old line as a whole.
    pub at: Span,
    /// Why, in a few words; empty for the lines of a section that is left out.
    pub note: String,
    /// The new lines do less than the old one did.
    pub is_lossy: bool,
    /// The new lines. That of a section's head comes first and begins the section; without any the section goes.
    pub made: Vec<Line>,
    /// Number of the line that they follow: the old one, or a later line of the section.
    pub behind: u32,
}

/// What one line becomes, before its place is known.
pub struct Outcome {
    pub made: Vec<Vec<Word>>,
    pub note: String,
    pub is_lossy: bool,
}

impl Outcome {
    pub fn new(made: Vec<Vec<Word>>, note: impl Into<String>) -> Outcome {
        Outcome { made, note: note.into(), is_lossy: false }
    }

    /// The line goes, and what it asked for happens anyway or no longer exists.
    pub fn gone(note: impl Into<String>) -> Outcome {
        Outcome::new(Vec::new(), note)
    }

    /// The line goes, and something is missed.
    pub fn lost(note: impl Into<String>) -> Outcome {
        Outcome { is_lossy: true, ..Outcome::gone(note) }
    }
}

/// A word that was not in the file, at the place of what it stands for.
pub fn word(text: impl Into<String>, at: Span) -> Word {
    Word::new(text.into().into_bytes(), at)
}

/// Several such words.
pub fn words<const N: usize>(texts: [&str; N], at: Span) -> Vec<Word> {
    texts.into_iter().map(|text| word(text, at)).collect()
}

/// Puts the changes into sections.
pub fn apply(sections: &mut Vec<Section>, changes: &[Change]) {
    if changes.is_empty() {
        return;
    }
    let mut of: HashMap<(FileId, u32), &Change> = HashMap::new();
    let mut behind: HashMap<(FileId, u32), Vec<&Change>> = HashMap::new();
    for change in changes {
        of.insert((change.at.file, change.at.line), change);
        behind.entry((change.at.file, change.behind)).or_default().push(change);
    }
    let place = |line: &Line| (line.span.file, line.span.line);
    sections.retain(|section| of.get(&place(&section.head)).is_none_or(|change| !change.made.is_empty()));
    for section in sections {
        let mut lines = Vec::with_capacity(section.lines.len());
        if let Some((head, rest)) = of.get(&place(&section.head)).and_then(|c| c.made.split_first()) {
            section.head = head.clone();
            lines.extend_from_slice(rest);
        }
        for line in section.lines.drain(..) {
            let here = place(&line);
            if !of.contains_key(&here) {
                lines.push(line);
            }
            for change in behind.get(&here).into_iter().flatten() {
                lines.extend_from_slice(&change.made);
            }
        }
        section.lines = lines;
    }
}
