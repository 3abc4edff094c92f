//! Capture slots: where `capture request header` and `http-request capture` keep what logs and `capture.*` show.

/// `capture request header <name> len <n>`; no name for `declare capture` and `http-request capture ... len`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    pub name: Option<Box<[u8]>>,
    /// Most bytes kept.
    pub len: usize,
}

/// The slots of a proxy, by index, which is also the order in logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures {
    pub req: Vec<Capture>,
    pub res: Vec<Capture>,
}
