//! What an ACL or a map converter reads: the patterns of a reference as it is now.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::base::Live;
use crate::rules::sample::Sample;

use super::list::Patterns;
use super::reading::{Pattern, Reading};

/// The current patterns of a reference in one reading. Readers never wait for who changes them.
#[derive(Debug)]
pub struct Matcher {
    pub reading: Reading,
    live: Live<Patterns>,
    /// The first ones, where they are few: read without a look at `live` for as long as nobody changed them.
    first: Option<Patterns>,
    is_changed: AtomicBool,
    /// Somebody has changed patterns of a line of this configuration.
    lines_changed: Arc<AtomicBool>,
}

impl Matcher {
    pub(super) fn new(patterns: Patterns, lines_changed: Arc<AtomicBool>) -> Matcher {
        let first = patterns.are_few().then(|| patterns.clone());
        Matcher {
            reading: patterns.reading,
            live: Live::new(patterns),
            first,
            is_changed: AtomicBool::new(false),
            lines_changed,
        }
    }

    #[inline]
    fn with<R>(&self, f: impl FnOnce(&Patterns) -> R) -> R {
        match &self.first {
            Some(first) if !self.is_changed.load(Ordering::Acquire) => f(first),
            _ => self.live.with(f),
        }
    }

    pub(super) fn store(&self, patterns: Patterns) {
        self.live.store(Arc::new(patterns));
        self.is_changed.store(true, Ordering::Release);
        self.lines_changed.store(true, Ordering::Release);
    }

    /// Whether its patterns are not those of the configuration any more.
    pub fn is_changed(&self) -> bool {
        self.is_changed.load(Ordering::Acquire)
    }

    /// Told where patterns of any line of the configuration change.
    pub fn lines_changed(&self) -> &Arc<AtomicBool> {
        &self.lines_changed
    }

    /// Tells each pattern, as the configuration has them.
    pub fn each(&self, tell: impl FnMut(&Pattern)) {
        self.with(|p| p.each(tell));
    }

    /// Whether a pattern matches. The sample has the type that the method wants.
    pub fn matches(&self, sample: &Sample<'_>) -> bool {
        self.with(|p| p.matches(sample))
    }

    /// The value of the key that counts.
    pub fn value(&self, sample: &Sample<'_>) -> Option<Sample<'static>> {
        self.with(|p| p.find(sample)?.value(p.reading))
    }

    /// The key that counts, as it was written.
    pub fn key(&self, sample: &Sample<'_>) -> Option<Vec<u8>> {
        self.with(|p| Some(p.find(sample)?.key().to_vec()))
    }

    /// The value of the expression that counts, with its `\1` filled in.
    pub fn expanded(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.with(|p| {
            let sample = Sample::Str(text.into());
            let found = p.find(&sample)?;
            let mut out = Vec::new();
            found.regex()?.groups(text, 0)?.expand(text, found.written()?, &mut out);
            Some(out)
        })
    }
}
