//! Where files come from: this process, or the opener that kept its privileges.

use std::io;
use std::path::Path;

/// Reads what configurations name.
pub trait Disk: Sync {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The names of the files in a directory; an error for what is none.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
}

/// This process itself.
#[derive(Clone, Copy, Debug)]
pub struct Local;

impl Disk for Local {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            // Links are followed.
            if std::fs::metadata(entry.path()).is_ok_and(|of| of.is_file())
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        Ok(names)
    }
}
