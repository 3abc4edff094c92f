//! Snapshots: one file each in the `data-dir`, or bytes in memory; written whole or not at all, checked when read.
//!
//! A file is: `ISOREGN1`, the length of the description (u32, little-endian), the description (a record), the map, the
//! CRC-32 of all that (u32). The map's own format has its own version.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::image::{Image, Reader};
use super::record;
use crate::region::raft::types::SnapshotMeta;

const MAGIC: &[u8; 8] = b"ISOREGN1";
const SUFFIX: &str = "snapshot";
/// Longer than any description.
const META_BYTES: u32 = 1 << 20;

/// An image on its way in.
pub struct Incoming {
    out: Sink,
    written: u64,
}

enum Sink {
    Memory(Vec<u8>),
    File(File, Scrap),
}

/// The name of a file that goes with it: an image that breaks off leaves nothing behind.
struct Scrap(PathBuf);

impl Drop for Scrap {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Incoming {
    /// How much is there: where the next piece begins.
    pub fn written(&self) -> u64 {
        self.written
    }

    pub fn in_memory(&self) -> bool {
        matches!(self.out, Sink::Memory(_))
    }

    pub fn put(&mut self, piece: &[u8]) -> io::Result<()> {
        match &mut self.out {
            Sink::Memory(bytes) => bytes.extend_from_slice(piece),
            Sink::File(file, _) => file.write_all(piece)?,
        }
        self.written += piece.len() as u64;
        Ok(())
    }

    pub fn finish(self) -> Image {
        match self.out {
            Sink::Memory(bytes) => Image::in_memory(bytes.into()),
            Sink::File(file, scrap) => {
                // The open file is enough; install writes the one that stays.
                drop(scrap);
                Image::in_file(file, self.written)
            }
        }
    }
}

/// Where snapshots are kept: the newest is.
#[derive(Clone)]
pub struct Snapshots {
    dir: Option<Arc<Path>>,
    current: Arc<Mutex<Option<(SnapshotMeta, Image)>>>,
}

fn bad(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Snapshots {
    /// Opens the directory, where what was left half-written is removed. The newest snapshot is the current one.
    pub fn open(dir: Option<&Path>) -> io::Result<Snapshots> {
        let mut newest: Option<(SnapshotMeta, Image, PathBuf)> = None;
        for entry in dir.map(std::fs::read_dir).transpose()?.into_iter().flatten() {
            let path = entry?.path();
            match path.extension().and_then(|e| e.to_str()) {
                Some("tmp") => std::fs::remove_file(&path)?,
                Some(SUFFIX) => {
                    let image = image_of(&path)?;
                    let meta =
                        meta_of(&mut image.reader()).map_err(|e| bad(format!("{}: {e}", path.display())))?;
                    if newest.as_ref().is_none_or(|(best, ..)| best.last_log_id < meta.last_log_id) {
                        newest = Some((meta, image, path));
                    }
                }
                _ => {}
            }
        }
        let current = newest.map(|(meta, image, _)| (meta, image));
        Ok(Snapshots { dir: dir.map(Arc::from), current: Arc::new(Mutex::new(current)) })
    }

    pub fn current(&self) -> Option<(SnapshotMeta, Image)> {
        self.lock().clone()
    }

    /// Writes a snapshot whose map `write` writes; it is durable and the current one when this returns. Blocks.
    pub fn make(
        &self,
        meta: &SnapshotMeta,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<Image> {
        self.keep(meta, |out| {
            let mut out = Counted { out, crc: crc32fast::Hasher::new() };
            let described = record::meta_to_bytes(meta);
            out.write_all(MAGIC)?;
            out.write_all(&(described.len() as u32).to_le_bytes())?;
            out.write_all(&described)?;
            write(&mut out)?;
            let crc = out.crc.clone().finalize();
            out.out.write_all(&crc.to_le_bytes())
        })
    }

    /// Reads an image through: its description, and what `read` makes of the map. Blocks.
    pub fn load<T>(
        image: &Image,
        read: impl FnOnce(&mut dyn Read) -> io::Result<T>,
    ) -> io::Result<(SnapshotMeta, T)> {
        let mut reader = image.reader();
        let meta = meta_of(&mut reader)?;
        let value = read(&mut reader)?;
        io::copy(&mut reader, &mut io::sink())?;
        let stored = image.piece(image.len().saturating_sub(4), 4)?;
        if stored[..] != reader.crc.finalize().to_le_bytes() {
            return Err(bad("the checksum is wrong"));
        }
        Ok((meta, value))
    }

    /// Keeps an image that came from elsewhere, and was read through, as the current snapshot. Blocks.
    pub fn install(&self, meta: &SnapshotMeta, image: &Image) -> io::Result<()> {
        self.keep(meta, |out| {
            let mut offset = 0;
            while offset < image.len() {
                let piece = image.piece(offset, 1 << 20)?;
                out.write_all(&piece)?;
                offset += piece.len() as u64;
            }
            Ok(())
        })?;
        Ok(())
    }

    pub fn incoming(&self) -> io::Result<Incoming> {
        let out = match &self.dir {
            None => Sink::Memory(Vec::new()),
            Some(dir) => {
                let path = dir.join(format!("incoming-{}.tmp", uuid::Uuid::new_v4()));
                let file = File::options().read(true).write(true).create_new(true).open(&path)?;
                Sink::File(file, Scrap(path))
            }
        };
        Ok(Incoming { out, written: 0 })
    }

    fn keep(
        &self,
        meta: &SnapshotMeta,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<Image> {
        let image = match &self.dir {
            None => {
                let mut bytes = Vec::new();
                write(&mut bytes)?;
                Image::in_memory(bytes.into())
            }
            Some(dir) => {
                let (term, index) = meta.last_log_id.map_or((0, 0), |id| (id.leader_id.term, id.index));
                let path = dir.join(format!("{index:020}-{term}.{SUFFIX}"));
                write_whole(&path, write)?;
                image_of(&path)?
            }
        };
        let mut current = self.lock();
        // One built while another, newer, was installed is not the current one.
        if current.as_ref().is_none_or(|(have, _)| have.last_log_id <= meta.last_log_id) {
            *current = Some((meta.clone(), image.clone()));
        }
        let newest = current.as_ref().and_then(|(have, _)| have.last_log_id).map_or(0, |id| id.index);
        drop(current);
        self.clean(newest);
        Ok(image)
    }

    /// Removes the files of older snapshots.
    fn clean(&self, newest: u64) {
        let files =
            self.dir.as_deref().and_then(|dir| std::fs::read_dir(dir).ok()).into_iter().flatten().flatten();
        for path in files.map(|file| file.path()).filter(|p| p.extension().is_some_and(|e| e == SUFFIX)) {
            let stem = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.split('-').next());
            if stem.and_then(|s| s.parse::<u64>().ok()).is_some_and(|index| index < newest)
                && let Err(e) = std::fs::remove_file(&path)
            {
                tracing::warn!("region map: cannot remove {}: {e}", path.display());
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(SnapshotMeta, Image)>> {
        self.current.lock().unwrap_or_else(|e| e.into_inner())
    }
}

struct Counted<'a> {
    out: &'a mut dyn Write,
    crc: crc32fast::Hasher,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.crc.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn image_of(path: &Path) -> io::Result<Image> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    Ok(Image::in_file(file, len))
}

fn meta_of(reader: &mut Reader<'_>) -> io::Result<SnapshotMeta> {
    let mut head = [0; 12];
    reader.read_exact(&mut head)?;
    let size = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    if head[..8] != *MAGIC || size > META_BYTES {
        return Err(bad("not a snapshot of the region map, or one of another version"));
    }
    let mut described = vec![0; size as usize];
    reader.read_exact(&mut described)?;
    record::meta_from_bytes(&described).map_err(bad)
}

/// Writes a file that is there whole, and durable, or not at all.
pub(super) fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let tmp = path.with_extension("tmp");
    let written = (|| {
        let mut out = BufWriter::with_capacity(256 << 10, private(&tmp)?);
        write(&mut out)?;
        out.into_inner().map_err(|e| e.into_error())?.sync_all()?;
        std::fs::rename(&tmp, path)?;
        let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(dir)?.sync_all()
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&tmp);
    }
    written
}

/// A new file that nobody else may read: the map holds secrets.
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Writes a small file that nobody else may read, whole or not at all.
pub fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    write_whole(path, |out| out.write_all(text))
}
