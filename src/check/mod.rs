//! Health checks: the rise/fall machine without I/O, and what runs it.

/// What to check of a server, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckSpec {}
