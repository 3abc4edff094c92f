//! The algorithms of `compression algo`.

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Nothing is done to them.
    Identity,
    Gzip,
    /// In zlib's frame.
    Deflate,
    /// Without a frame, as some clients take `deflate` to be.
    RawDeflate,
}

impl Algorithm {
    pub fn of(name: &str) -> Option<Algorithm> {
        Some(match name {
            "identity" => Algorithm::Identity,
            "gzip" => Algorithm::Gzip,
            "deflate" => Algorithm::Deflate,
            "raw-deflate" => Algorithm::RawDeflate,
            _ => return None,
        })
    }

    /// As configurations call it.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::RawDeflate => "raw-deflate",
            _ => self.coding(),
        }
    }

    /// As messages call it.
    pub fn coding(self) -> &'static str {
        match self {
            Algorithm::Identity => "identity",
            Algorithm::Gzip => "gzip",
            Algorithm::Deflate | Algorithm::RawDeflate => "deflate",
        }
    }
}
