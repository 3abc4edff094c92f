//! What happens in directories, by inotify.
//!
//! Directories are watched and not files: a file that is saved by a rename is another one afterwards. The descriptor may
//! come from the opener, for a process that lost its privileges or has a new root can watch nothing by itself.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// Everything that can make a name mean another content.
const EVENTS: AddWatchFlags = AddWatchFlags::IN_MODIFY
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_CLOSE_WRITE)
    .union(AddWatchFlags::IN_MOVE)
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_ONLYDIR);

/// Most events taken at a time; the rest waits in the kernel, which bounds it.
const BATCH: usize = 1024;

/// Something happened in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The name in the directory; `None` for the directory itself, and when events were lost.
    pub name: Option<OsString>,
    /// It is being written: whoever writes has not closed it.
    pub unfinished: bool,
}

/// A descriptor that tells of these directories; those that are not there are left out.
pub fn directories(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> io::Result<OwnedFd> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    for path in paths {
        match inotify.add_watch(path.as_ref(), EVENTS) {
            Ok(_) | Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(inotify.into())
}

/// What happened since the last time; does not wait.
pub fn read(watch: &OwnedFd) -> io::Result<Vec<Seen>> {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while seen.len() < BATCH {
        match nix::unistd::read(watch, &mut buffer) {
            Ok(0) | Err(Errno::EAGAIN) => break,
            Ok(length) => seen.extend(events(&buffer[..length])),
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(seen)
}

/// Length of a record without its name: descriptor, mask, cookie and length of the name, four bytes each.
const HEAD: usize = 16;

/// The records of one read (inotify(7)): the kernel gives whole ones.
fn events(mut bytes: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(HEAD) {
        let number = |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let mask = AddWatchFlags::from_bits_truncate(number(4));
        let Some((name, rest)) = rest.split_at_checked(number(12) as usize) else { break };
        bytes = rest;
        let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
        seen.push(Seen {
            name: (end > 0).then(|| std::os::unix::ffi::OsStringExt::from_vec(name[..end].to_vec())),
            unfinished: mask.contains(AddWatchFlags::IN_MODIFY),
        });
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn writing_is_unfinished_until_it_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let watch = directories([dir.path(), Path::new("/nowhere/at/all")]).unwrap();
        assert_eq!(read(&watch).unwrap(), []);
        let mut file = std::fs::File::create(dir.path().join("a.cfg")).unwrap();
        file.write_all(b"half").unwrap();
        let last = read(&watch).unwrap().pop().unwrap();
        assert_eq!(last, Seen { name: Some("a.cfg".into()), unfinished: true });
        drop(file);
        let last = read(&watch).unwrap().pop().unwrap();
        assert_eq!(last, Seen { name: Some("a.cfg".into()), unfinished: false });
        std::fs::rename(dir.path().join("a.cfg"), dir.path().join("b.cfg")).unwrap();
        let names: Vec<_> = read(&watch).unwrap().into_iter().filter_map(|seen| seen.name).collect();
        assert_eq!(names, ["a.cfg", "b.cfg"]);
    }

    #[test]
    fn cut_records_are_left_out() {
        assert_eq!(events(&[1; 15]), []);
        assert_eq!(events(&[0xff; 40]), []);
    }
}
