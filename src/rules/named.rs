//! What expressions and rules name that must exist once everything was read.

use crate::lang::Span;

/// What is wanted of a proxy that is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// That it is there.
    Proxy,
    /// A server of it.
    Server(Box<str>),
    /// It is a backend in HTTP mode, of which a rule asks something.
    Asked,
}

/// A place, the proxy that it names (`""`: the current one), and what is wanted of it.
pub type Reference = (Span, Box<str>, Wanted);
