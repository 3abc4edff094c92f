//! Who the process is: chroot, user and group (`chroot`, `user`, `group`, `uid`, `gid` of `global`).

use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};

use crate::base::clock;

/// The user id that a name or a number stands for.
pub fn user(text: &str) -> io::Result<u32> {
    match User::from_name(text)? {
        Some(user) => Ok(user.uid.as_raw()),
        None => text.parse().map_err(|_| not_found("user", text)),
    }
}

/// The group id that a name or a number stands for.
pub fn group(text: &str) -> io::Result<u32> {
    match Group::from_name(text)? {
        Some(group) => Ok(group.gid.as_raw()),
        None => text.parse().map_err(|_| not_found("group", text)),
    }
}

fn not_found(kind: &str, text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("there is no {kind} '{text}'"))
}

/// What a process becomes once it holds its sockets. `None` leaves as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// A directory, `auto` for a new one that has no name, or `/`.
    pub chroot: Option<PathBuf>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// A step of [`Identity::apply`] that failed.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("Cannot chroot({}): {}.", .0.display(), .1)]
    Chroot(PathBuf, #[source] io::Error),
    #[error("Cannot set gid {0}: {1}.")]
    Group(u32, #[source] io::Error),
    #[error("Cannot set uid {0}: {1}.")]
    User(u32, #[source] io::Error),
}

impl Identity {
    /// Whether [`Identity::apply`] takes anything away from the calling process: from then on it cannot open every
    /// path, bind every port, or find files where they were.
    pub fn restricts(&self) -> bool {
        let user = self.uid.is_some_and(|uid| uid != Uid::effective().as_raw());
        let root = self.chroot.as_deref().is_some_and(|path| path != Path::new("/"));
        user || root
    }

    /// Becomes it, for good. The group goes first and takes the supplementary groups with it.
    pub fn apply(&self) -> Result<(), IdentityError> {
        clock::zone();
        if let Some(path) = &self.chroot {
            chroot(path).map_err(|e| IdentityError::Chroot(path.clone(), e))?;
        }
        if let Some(gid) = self.gid.filter(|&gid| gid > 0) {
            let change = || {
                if Uid::effective().is_root() {
                    nix::unistd::setgroups(&[])?;
                }
                nix::unistd::setgid(Gid::from_raw(gid))
            };
            change().map_err(|e| IdentityError::Group(gid, e.into()))?;
        }
        if let Some(uid) = self.uid.filter(|&uid| uid > 0) {
            nix::unistd::setuid(Uid::from_raw(uid)).map_err(|e| IdentityError::User(uid, e.into()))?;
        }
        Ok(())
    }
}

fn chroot(path: &Path) -> io::Result<()> {
    if path == Path::new("auto") {
        // Kept alive by being the current directory; nobody else can reach it once it has no name.
        let dir = nix::unistd::mkdtemp("/tmp/isobar.XXXXXX")?;
        let moved = nix::unistd::chdir(&dir);
        std::fs::remove_dir(&dir)?;
        moved?;
        nix::unistd::chroot(".")?;
    } else if path != Path::new("/") {
        nix::unistd::chroot(path)?;
    }
    Ok(nix::unistd::chdir("/")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(user("root").unwrap(), 0);
        assert_eq!(user("12345").unwrap(), 12345);
        assert_eq!(group("root").unwrap(), 0);
        assert_eq!(
            user("no-such-user-here").unwrap_err().to_string(),
            "there is no user 'no-such-user-here'"
        );
    }

    #[test]
    fn what_restricts() {
        let own = Uid::effective().as_raw();
        assert!(!Identity::default().restricts());
        assert!(!Identity { uid: Some(own), chroot: Some("/".into()), gid: None }.restricts());
        assert!(Identity { uid: Some(own + 1), ..Identity::default() }.restricts());
        assert!(Identity { chroot: Some("/var/empty".into()), ..Identity::default() }.restricts());
    }

    #[test]
    fn a_missing_directory_is_named() {
        let identity = Identity { chroot: Some("/no/such/dir".into()), ..Identity::default() };
        assert!(identity.apply().unwrap_err().to_string().starts_with("Cannot chroot(/no/such/dir)"));
    }
}
