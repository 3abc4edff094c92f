//! What the rules of this thread do, told to whoever asks for it (`isobar trace`). Where nobody does, it costs a look at
//! one flag.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::lang::Span;

/// One thing that rules did, in their order.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A line of an ACL was asked.
    Test {
        /// The ACL's name; none for one in braces.
        name: Box<str>,
        /// As it was written, without the name.
        text: Box<str>,
        at: Span,
        /// The values that it compared.
        samples: Vec<String>,
        verdict: &'static str,
    },
    /// The condition of a rule was asked.
    Condition { at: Span, holds: bool },
    /// A rule did what it says, and what came of it.
    Rule { set: &'static str, at: Span, outcome: &'static str },
    /// Rules that compare these samples were passed over, because none of them can hold.
    Lookup { passed_over: usize, samples: Vec<String> },
    /// A backend was chosen, by a line or by default.
    Backend { name: String, how: &'static str, at: Option<Span> },
    /// A server was chosen.
    Server { name: String, how: String },
    /// A rule asked a server something; `status` 0: there was no answer.
    Asked { backend: String, server: String, status: u16 },
    /// A log line; `is_sent`: somebody gets it.
    Log { line: String, is_sent: bool },
}

/// Somebody in the process asks.
static IS_ASKED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static ASKS: Cell<bool> = const { Cell::new(false) };
    static EVENTS: RefCell<Vec<Event>> = const { RefCell::new(Vec::new()) };
}

/// Most events that are kept.
const MOST: usize = 100_000;

/// Begins to keep what happens on this thread.
pub fn ask() {
    IS_ASKED.store(true, Ordering::Relaxed);
    ASKS.set(true);
}

/// What has happened since the last call.
pub fn take() -> Vec<Event> {
    EVENTS.take()
}

/// Whether what happens on this thread is to be told.
#[inline]
pub fn is_asked() -> bool {
    IS_ASKED.load(Ordering::Relaxed) && asks()
}

#[cold]
fn asks() -> bool {
    ASKS.get()
}

#[inline]
pub fn note(event: impl FnOnce() -> Event) {
    if is_asked() {
        keep(event);
    }
}

#[cold]
fn keep(event: impl FnOnce() -> Event) {
    let event = event();
    EVENTS.with_borrow_mut(|events| {
        if events.len() < MOST {
            events.push(event);
        }
    });
}
