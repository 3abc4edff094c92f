//! The `rt` room.
