//! Opening a path step by step, without following links that an untrusted user made.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

/// Most links followed in one path, the kernel's own number.
const MAX_LINKS: usize = 40;

/// Opens an absolute path with `flags` on its last part. A link is followed unless it belongs to `distrusted`.
///
/// Every part is opened by itself and looked at through its descriptor, so nothing can be exchanged in between.
pub(super) fn open(path: &Path, flags: OFlag, distrusted: Option<u32>) -> io::Result<OwnedFd> {
    let mut todo: VecDeque<OsString> = names(path).collect();
    let mut at = root()?;
    let mut links = 0;
    let probe = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    while let Some(name) = todo.pop_front() {
        let step = openat(&at, name.as_os_str(), probe, Mode::empty())?;
        let stat = fstat(&step)?;
        if is(&stat, SFlag::S_IFLNK) {
            links += 1;
            if links > MAX_LINKS {
                return Err(io::Error::from_raw_os_error(libc::ELOOP));
            }
            if distrusted == Some(stat.st_uid) {
                let text = format!(
                    "a link in {} belongs to user {} and is not followed",
                    path.display(),
                    stat.st_uid
                );
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
            }
            let target = readlinkat(&step, c"")?;
            let target = Path::new(&target);
            if target.is_absolute() {
                at = root()?;
            }
            for name in names(target).collect::<Vec<_>>().into_iter().rev() {
                todo.push_front(name);
            }
        } else if todo.is_empty() {
            // Opened again for use: what stands there by now is judged by the caller, and is no link.
            let last =
                openat(&at, name.as_os_str(), flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
            return Ok(last);
        } else {
            at = step;
        }
    }
    Ok(openat(&at, ".", flags | OFlag::O_CLOEXEC, Mode::empty())?)
}

fn root() -> io::Result<OwnedFd> {
    Ok(nix::fcntl::open("/", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// The parts of a path; `..` is kept, for links may contain it and the kernel gives it the right meaning here.
fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}

pub(super) fn is(stat: &FileStat, kind: SFlag) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == kind
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    fn read(path: &Path, distrusted: Option<u32>) -> io::Result<String> {
        let mut text = String::new();
        std::fs::File::from(open(path, OFlag::O_RDONLY, distrusted)?).read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn links_are_followed_unless_their_owner_is_distrusted() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("archive/one")).unwrap();
        std::fs::write(at("archive/one/key"), "secret").unwrap();
        symlink("archive/one", at("live")).unwrap();
        symlink("../../archive/one/key", at("archive/one/again")).unwrap();
        symlink(at("live/again"), at("absolute")).unwrap();
        let me = nix::unistd::geteuid().as_raw();

        for name in ["archive/one/key", "live/key", "live/again", "absolute"] {
            assert_eq!(read(&at(name), None).unwrap(), "secret", "{name}");
            assert_eq!(read(&at(name), Some(me + 1)).unwrap(), "secret", "{name}");
            assert_eq!(read(&at(name), Some(me)).is_ok(), name == "archive/one/key", "{name}");
        }
    }

    #[test]
    fn loops_and_absences_end() {
        let dir = tempfile::tempdir().unwrap();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        assert_eq!(read(&dir.path().join("a"), None).unwrap_err().raw_os_error(), Some(libc::ELOOP));
        assert_eq!(read(&dir.path().join("c"), None).unwrap_err().kind(), io::ErrorKind::NotFound);
        open(Path::new("/"), OFlag::O_RDONLY, None).unwrap();
    }
}
