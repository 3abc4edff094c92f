//! `Record`: an entry of a base as it lies there.

/// An entry of a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'b> {
    /// Its place, from 0.
    pub at: usize,
    pub key: &'b [u8],
    pub value: Option<&'b [u8]>,
}

impl Record<'_> {
    pub fn id(&self) -> u64 {
        self.at as u64 + 1
    }
}
