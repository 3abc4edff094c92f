//! A file of records in memory that outlives the process and not the machine: when sessions end, as this node knows it.
//!
//! Each record is its length (u32, little-endian), its CRC-32 and its bytes. What is cut off or damaged ends the file. It
//! stands apart from `data-dir`: a disk that hangs keeps nobody waiting for it, and what is true of this machine's clock
//! alone is gone with it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where such files lie.
pub const PLACE: &str = "/dev/shm";
/// Most that is read of one.
const MOST_BYTES: u64 = 64 << 20;
/// How long a file is before it is written anew, and how many times what it was then.
const SHORT_BYTES: u64 = 256 << 10;
const TIMES: u64 = 4;

pub struct EndsFile {
    file: File,
    path: PathBuf,
    len: u64,
    /// As long as that after it was last written anew.
    least: u64,
}

impl EndsFile {
    /// Opens the file of a store, or makes it; what is in it.
    pub fn open(place: &Path, store: u128) -> io::Result<(EndsFile, Vec<Vec<u8>>)> {
        let path = place.join(format!("isobar-ends-{store:032x}"));
        let file = opened(&path)?;
        let mut bytes = Vec::new();
        (&file).take(MOST_BYTES).read_to_end(&mut bytes)?;
        let records = records(&bytes);
        Ok((EndsFile { file, path, len: bytes.len() as u64, least: 0 }, records))
    }

    /// Puts a record behind the others. After an error the file says nothing any more.
    pub fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let framed = framed(record);
        self.len += framed.len() as u64;
        self.file.write_all(&framed)
    }

    /// Whether it is to be written anew.
    pub fn is_long(&self) -> bool {
        self.len > SHORT_BYTES.max(self.least * TIMES)
    }

    /// This record alone, in place of all.
    pub fn rewrite(&mut self, record: &[u8]) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        let _ = std::fs::remove_file(&fresh);
        let mut file = opened(&fresh)?;
        let framed = framed(record);
        file.write_all(&framed)?;
        std::fs::rename(&fresh, &self.path)?;
        (self.file, self.len, self.least) = (file, framed.len() as u64, framed.len() as u64);
        Ok(())
    }

    /// Takes it away: whoever is started after this knows nothing. It is emptied first, which needs no more than that it
    /// is open: the file of a process that has given up its privileges is another user's.
    pub fn remove(self) {
        let _ = self.file.set_len(0);
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Anybody may make files in such a place: one that is not this user's own is none.
fn opened(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    let meta = file.metadata()?;
    let is_own = meta.is_file() && meta.uid() == nix::unistd::geteuid().as_raw() && meta.mode() & 0o077 == 0;
    if is_own {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is not this user's own"))
    }
}

fn framed(record: &[u8]) -> Vec<u8> {
    let (len, sum) = (record.len() as u32, crc32fast::hash(record));
    [&len.to_le_bytes()[..], &sum.to_le_bytes(), record].concat()
}

fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk::<4>()
        && let Some((sum, rest)) = rest.split_first_chunk::<4>()
        && let Some((record, behind)) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)
        && crc32fast::hash(record) == u32::from_le_bytes(*sum)
    {
        found.push(record.to_vec());
        bytes = behind;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_up_to_what_is_damaged() {
        let place = tempfile::tempdir().unwrap();
        let (mut file, found) = EndsFile::open(place.path(), 7).unwrap();
        assert!(found.is_empty());
        for record in [&b"one"[..], b"", b"three"] {
            file.append(record).unwrap();
        }
        let read = || EndsFile::open(place.path(), 7).unwrap().1;
        assert_eq!(read(), [b"one".to_vec(), b"".to_vec(), b"three".to_vec()]);
        assert!(EndsFile::open(place.path(), 8).unwrap().1.is_empty(), "another store's");
        // A process that was killed in the middle of a record.
        let path = file.path.clone();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 2]).unwrap();
        assert_eq!(read(), [b"one".to_vec(), b"".to_vec()]);
        file.rewrite(b"all").unwrap();
        file.append(b"more").unwrap();
        assert_eq!(read(), [b"all".to_vec(), b"more".to_vec()]);
        assert!(!file.is_long());
        file.append(&vec![0; SHORT_BYTES as usize]).unwrap();
        assert!(file.is_long());
        let kept = File::open(&path).unwrap();
        file.remove();
        assert!(!path.exists() && kept.metadata().unwrap().len() == 0, "emptied, should it stay");
        assert!(read().is_empty());
    }

    #[test]
    fn a_file_that_others_may_have_written_is_none() {
        let place = tempfile::tempdir().unwrap();
        let path = EndsFile::open(place.path(), 7).unwrap().0.path;
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        assert!(EndsFile::open(place.path(), 7).is_err());
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(EndsFile::open(place.path(), 7).is_err());
    }
}
