//! What every nameable thing says about itself: the one struct that keyword tables are made of.

/// How far Isobar supports a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Behaves as HAProxy's manual says.
    Full,
    /// Works, except for what the text names.
    Partial(&'static str),
    /// Parsed and without effect, for the reason given.
    Accepted(&'static str),
    /// A configuration that uses it is refused, with this reason.
    Refused(&'static str),
}

/// One keyword, fetch, converter, action, runtime command, field, algorithm or flag.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub name: &'static str,
    /// Arguments as the manual writes them: `<conns>`, `[<addr>]:<port>`. Empty for none.
    pub args: &'static str,
    /// One line.
    pub doc: &'static str,
    /// One configuration line (or expression, or command) that parses.
    pub example: &'static str,
    /// HAProxy version that introduced it (`"1.5"`), or `"isobar"` for our own.
    pub since: &'static str,
    pub status: Status,
}

impl Entry {
    pub const fn full(
        name: &'static str,
        args: &'static str,
        doc: &'static str,
        example: &'static str,
        since: &'static str,
    ) -> Self {
        Entry { name, args, doc, example, since, status: Status::Full }
    }

    pub const fn with(self, status: Status) -> Self {
        Entry { status, ..self }
    }
}
