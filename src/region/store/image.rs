//! The bytes of a snapshot, wherever they are.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

/// The bytes of a snapshot, to be sent piece by piece; what it names stays readable while one holds it.
#[derive(Clone, Debug)]
pub struct Image(Source);

#[derive(Clone, Debug)]
enum Source {
    Memory(Bytes),
    File { file: Arc<File>, len: u64 },
}

impl Image {
    pub(super) fn in_memory(bytes: Bytes) -> Image {
        Image(Source::Memory(bytes))
    }

    /// The first `len` bytes of a file.
    pub(super) fn in_file(file: File, len: u64) -> Image {
        Image(Source::File { file: Arc::new(file), len })
    }

    pub fn len(&self) -> u64 {
        match &self.0 {
            Source::Memory(bytes) => bytes.len() as u64,
            Source::File { len, .. } => *len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Up to `most` bytes from `offset`.
    pub fn piece(&self, offset: u64, most: usize) -> io::Result<Bytes> {
        let size = self.len().saturating_sub(offset).min(most as u64) as usize;
        match &self.0 {
            Source::Memory(bytes) => Ok(bytes.slice(offset as usize..offset as usize + size)),
            Source::File { file, .. } => {
                let mut piece = vec![0; size];
                file.read_exact_at(&mut piece, offset)?;
                Ok(piece.into())
            }
        }
    }

    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { image: self, offset: 0, crc: crc32fast::Hasher::new() }
    }
}

/// Reads an image from its start, counting its checksum.
pub(super) struct Reader<'a> {
    image: &'a Image,
    offset: u64,
    pub(super) crc: crc32fast::Hasher,
}

impl Reader<'_> {
    fn left(&self) -> u64 {
        self.image.len().saturating_sub(4).saturating_sub(self.offset)
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let piece = self.image.piece(self.offset, (self.left() as usize).min(out.len()))?;
        out[..piece.len()].copy_from_slice(&piece);
        self.crc.update(&piece);
        self.offset += piece.len() as u64;
        Ok(piece.len())
    }
}
