//! The `admin` room.

pub mod vocabulary;
