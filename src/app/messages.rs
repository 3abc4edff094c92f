//! What the program says about itself on stderr, in HAProxy's form, and the memory of it (`show startup-logs`).

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::version::HAPROXY_VERSION;
use crate::lang::Severity;
use crate::lang::render;

/// Most text that is remembered; the beginning is kept, where the cause of a failure is.
const KEPT: usize = 64 * 1024;

/// Clones share what was said.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    quiet: AtomicBool,
    introduced: AtomicBool,
    log: Mutex<String>,
    /// Warnings since the start (`TotalWarnings`).
    warnings: AtomicU32,
}

impl Messages {
    /// Whether nothing is written to stderr any more (`-q`, or away from the terminal). It is still remembered.
    pub fn set_quiet(&self, quiet: bool) {
        self.inner.quiet.store(quiet, Ordering::Relaxed);
    }

    /// For commands of ours: whoever calls them knows which program this is.
    pub fn need_no_introduction(&self) {
        self.inner.introduced.store(true, Ordering::Relaxed);
    }

    pub fn is_quiet(&self) -> bool {
        self.inner.quiet.load(Ordering::Relaxed)
    }

    pub fn alert(&self, text: &str) {
        self.say(Severity::Alert, text);
    }

    pub fn warning(&self, text: &str) {
        self.say(Severity::Warning, text);
    }

    pub fn notice(&self, text: &str) {
        self.say(Severity::Notice, text);
    }

    /// What is said in passing: written like everything else, and remembered by nobody.
    pub fn pass(&self, severity: Severity, text: &str) {
        if !self.is_quiet() {
            let line = format!("{}{text}\n", render::prefix(severity, std::process::id()));
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }

    pub fn say(&self, severity: Severity, text: &str) {
        if severity > Severity::Notice {
            self.introduce();
        }
        self.write(&format!("{}{text}\n", render::prefix(severity, std::process::id())));
    }

    /// Text that has its prefixes already, such as `lang::render::report` makes.
    pub fn report(&self, text: &str) {
        if !text.is_empty() {
            self.introduce();
            self.write(text);
        }
    }

    /// Which program this is, once, before the first thing that went wrong.
    fn introduce(&self) {
        if !self.inner.introduced.swap(true, Ordering::Relaxed) {
            let executable = std::env::current_exe().unwrap_or_default();
            self.write(&render::preamble(
                HAPROXY_VERSION,
                &executable.display().to_string(),
                std::process::id(),
            ));
        }
    }

    /// Warnings since the start, a reload's with them.
    pub fn warnings(&self) -> u32 {
        self.inner.warnings.load(Ordering::Relaxed)
    }

    fn write(&self, text: &str) {
        let warnings = text.lines().filter(|line| line.starts_with("[WARNING]")).count();
        self.inner.warnings.fetch_add(warnings as u32, Ordering::Relaxed);
        if !self.is_quiet() {
            let _ = std::io::stderr().write_all(text.as_bytes());
        }
        let mut log = self.inner.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() + text.len() <= KEPT {
            log.push_str(text);
        }
    }

    /// Everything said since the start or the last [`Messages::forget`].
    pub fn log(&self) -> String {
        self.inner.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins a new memory: a reload starts.
    pub fn forget(&self) {
        self.inner.log.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.inner.introduced.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_is_remembered_and_introduced_once() {
        let messages = Messages::default();
        messages.set_quiet(true);
        messages.notice("first");
        messages.warning("second");
        messages.clone().alert("third");
        let log = messages.log();
        let lines: Vec<_> = log.lines().collect();
        assert_eq!(lines.len(), 5, "{log}");
        assert!(lines[0].starts_with("[NOTICE] ") && lines[0].ends_with(" : first"));
        assert!(lines[1].contains("haproxy version is 3.4.0"));
        assert!(lines[4].starts_with("[ALERT] ") && lines[4].ends_with(" : third"));
        messages.forget();
        assert_eq!(messages.log(), "");
    }

    #[test]
    fn memory_is_bounded() {
        let messages = Messages::default();
        messages.set_quiet(true);
        for _ in 0..100 {
            messages.report(&"x".repeat(1000));
        }
        assert!(messages.log().len() <= KEPT && messages.log().len() > KEPT - 2000);
    }
}
