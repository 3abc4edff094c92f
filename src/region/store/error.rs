//! Why a store cannot be opened, in words for the operator: nothing is ever reset on its own.

use std::path::PathBuf;

use super::record::RecordError;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("data-dir {0}: in use by another process")]
    Locked(PathBuf),
    #[error(
        "data-dir {0}: {1}. It was not written by this program, or is damaged; it is left as it is. Restore it from a \
         backup, or name an empty data-dir and let this node join again"
    )]
    Damaged(PathBuf, String),
    #[error(
        "data-dir {path}: written in format {found}; this program reads up to format {known}. Start the newer program"
    )]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error("data-dir {0}: {1}")]
    Io(PathBuf, #[source] std::io::Error),
    #[error("the store holds {0}")]
    Record(#[from] RecordError),
    #[error("the store: {0}")]
    Database(#[from] redb::Error),
    #[error("the storage thread is gone")]
    Gone,
}

impl StoreError {
    /// Whether it says that something else failed before: the file is closed and opened again then.
    pub(super) fn is_of_former(&self) -> bool {
        matches!(self, StoreError::Database(redb::Error::PreviousIo))
    }

    /// Whether room on the disk, once there is some, makes it go away.
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            StoreError::Io(_, e) | StoreError::Database(redb::Error::Io(e)) => {
                matches!(e.kind(), StorageFull | QuotaExceeded)
            }
            _ => false,
        }
    }
}
