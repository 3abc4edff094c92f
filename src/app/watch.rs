//! When files on disk are other ones than those that were read: a machine that is told what happens and looks by itself
//! now and then. It touches no file; whoever turns it brings the looks.
//!
//! Editors save by renaming a new file over the old, by truncating and writing, and in pieces. So what an event says is
//! not believed: it is a reason to look. A difference counts once it has stayed the same for a moment and nobody is in the
//! middle of writing. Looking now and then without a reason finds what no event tells: a link's far end, a network file
//! system, a directory that was made again.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::Millis;
use crate::os::watch::Seen;

/// How long a difference must stay the same.
const QUIET_MS: Millis = 300;
/// The longest that somebody who does not stop writing is waited for.
const PATIENCE_MS: Millis = 10_000;
/// How often to look without a reason.
const LOOK_MS: Millis = 5_000;
/// Most files that are looked at.
pub const MAX_FILES: usize = 1024;

/// What tells one content of a path from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    Missing,
    File {
        len: u64,
        modified: Duration,
        inode: u64,
    },
    /// A digest of the names in a directory and their stamps.
    Directory(u64),
}

/// Files, and what is known of them.
#[derive(Debug, Default)]
pub struct Watch {
    /// As they were when they were read last, or reported.
    files: BTreeMap<PathBuf, Stamp>,
    difference: Option<Difference>,
    /// Names that somebody is writing.
    unfinished: BTreeSet<OsString>,
    look_at: Millis,
}

/// A difference that has not been reported.
#[derive(Debug)]
struct Difference {
    stamps: Vec<(PathBuf, Stamp)>,
    /// When it began, and since when it is this one.
    began: Millis,
    since: Millis,
}

impl Watch {
    /// Looks at these files from now on, at most [`MAX_FILES`]. Those known before are compared with what they were.
    pub fn set(&mut self, files: &[PathBuf], look: &dyn Fn(&Path) -> Stamp) {
        let mut known = std::mem::take(&mut self.files);
        for path in files.iter().take(MAX_FILES) {
            let stamp = known.remove(path).unwrap_or_else(|| look(path));
            self.files.insert(path.clone(), stamp);
        }
        self.difference = None;
        self.unfinished.clear();
        self.look_at = 0;
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The directories in which something can happen to the files.
    pub fn directories(&self) -> BTreeSet<PathBuf> {
        let parents = self.files.keys().filter_map(|path| path.parent());
        let own = self.files.iter().filter(|(_, stamp)| matches!(stamp, Stamp::Directory(_)));
        parents.chain(own.map(|(path, _)| path.as_path())).map(PathBuf::from).collect()
    }

    /// Goes on: `seen` is what happened since the last time. Returns the files that are other ones now, each change once.
    pub fn turn(&mut self, now: Millis, seen: &[Seen], look: &dyn Fn(&Path) -> Stamp) -> Vec<PathBuf> {
        for event in seen {
            self.note(event, now);
        }
        if now < self.look_at {
            return Vec::new();
        }
        let stamps: Vec<_> = self.files.iter().map(|(path, was)| (path, *was, look(path))).collect();
        let stamps = stamps.into_iter().filter(|(_, was, is)| was != is);
        let stamps: Vec<(PathBuf, Stamp)> = stamps.map(|(path, _, is)| (path.clone(), is)).collect();
        if stamps.is_empty() {
            self.difference = None;
            self.look_at = now + LOOK_MS;
            return Vec::new();
        }
        self.look_at = now + QUIET_MS / 2;
        let difference =
            self.difference.get_or_insert(Difference { stamps: Vec::new(), began: now, since: now });
        if difference.stamps != stamps {
            (difference.stamps, difference.since) = (stamps, now);
        }
        let settled = self.unfinished.is_empty() && now >= difference.since + QUIET_MS;
        if settled || now >= difference.began + PATIENCE_MS { self.report(now) } else { Vec::new() }
    }

    /// A reason to look, and for files of ours a reason to wait.
    fn note(&mut self, event: &Seen, now: Millis) {
        self.look_at = now;
        let Some(name) = &event.name else { return };
        if !self.files.keys().any(|path| path.file_name() == Some(name)) {
            return;
        }
        if let Some(difference) = &mut self.difference {
            difference.since = now;
        }
        match event.unfinished {
            true => drop(self.unfinished.insert(name.clone())),
            false => drop(self.unfinished.remove(name)),
        }
    }

    fn report(&mut self, now: Millis) -> Vec<PathBuf> {
        self.unfinished.clear();
        self.look_at = now + QUIET_MS;
        let stamps = self.difference.take().map(|difference| difference.stamps).unwrap_or_default();
        stamps
            .into_iter()
            .map(|(path, stamp)| {
                self.files.insert(path.clone(), stamp);
                path
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    const CFG: &str = "/etc/haproxy.cfg";

    /// A disk of one's own, and a clock.
    struct Disk {
        files: RefCell<BTreeMap<PathBuf, u64>>,
        watch: Watch,
        now: Millis,
    }

    impl Disk {
        fn new() -> Disk {
            let files = BTreeMap::from([(PathBuf::from(CFG), 1), (PathBuf::from("/etc/a.map"), 1)]);
            let paths: Vec<_> = files.keys().cloned().collect();
            let mut disk = Disk { files: RefCell::new(files), watch: Watch::default(), now: 1_000_000 };
            let mut watch = Watch::default();
            watch.set(&paths, &|path| disk.look(path));
            disk.watch = watch;
            assert_eq!(disk.turns(3_000, &[]), 0);
            disk
        }

        fn look(&self, path: &Path) -> Stamp {
            self.files.borrow().get(path).map_or(Stamp::Missing, |version| Stamp::File {
                len: *version,
                modified: Duration::ZERO,
                inode: 1,
            })
        }

        fn save(&self, path: &str, version: Option<u64>) {
            let mut files = self.files.borrow_mut();
            match version {
                Some(version) => drop(files.insert(path.into(), version)),
                None => drop(files.remove(Path::new(path))),
            }
        }

        /// How many changes are told within `ms`, after these events.
        fn turns(&mut self, ms: u64, seen: &[(&str, bool)]) -> usize {
            let mut seen: Vec<_> = seen
                .iter()
                .map(|(name, unfinished)| Seen { name: Some(name.into()), unfinished: *unfinished })
                .collect();
            let (mut told, end) = (0, self.now + ms);
            while self.now < end {
                self.now += 100;
                let mut watch = std::mem::take(&mut self.watch);
                told += usize::from(!watch.turn(self.now, &seen, &|path| self.look(path)).is_empty());
                self.watch = watch;
                seen.clear();
            }
            told
        }
    }

    #[test]
    fn a_save_is_told_once_and_soon() {
        let mut disk = Disk::new();
        disk.save(CFG, Some(2));
        assert_eq!(disk.turns(700, &[("haproxy.cfg", false)]), 1);
        assert_eq!(disk.turns(20_000, &[]), 0);
    }

    #[test]
    fn without_an_event_it_is_found_all_the_same() {
        let mut disk = Disk::new();
        disk.save("/etc/a.map", Some(2));
        assert_eq!(disk.turns(6_000, &[]), 1);
    }

    #[test]
    fn a_file_that_is_being_written_is_waited_for() {
        let mut disk = Disk::new();
        for piece in 2..6 {
            disk.save(CFG, Some(piece));
            assert_eq!(disk.turns(1_000, &[("haproxy.cfg", true)]), 0, "piece {piece}");
        }
        assert_eq!(disk.turns(1_000, &[("haproxy.cfg", false)]), 1);
        // But not for ever.
        disk.save(CFG, Some(7));
        assert_eq!(disk.turns(12_000, &[("haproxy.cfg", true)]), 1);
    }

    #[test]
    fn a_file_that_vanishes_and_comes_back_within_a_moment_is_one_change() {
        let mut disk = Disk::new();
        disk.save(CFG, None);
        assert_eq!(disk.turns(200, &[("haproxy.cfg", false)]), 0);
        disk.save(CFG, Some(2));
        assert_eq!(disk.turns(1_000, &[("haproxy.cfg", false)]), 1);
        // One that stays away is told, and its return too.
        disk.save(CFG, None);
        assert_eq!(disk.turns(1_000, &[("haproxy.cfg", false)]), 1);
        disk.save(CFG, Some(2));
        assert_eq!(disk.turns(1_000, &[("haproxy.cfg", false)]), 1);
    }

    #[test]
    fn what_happens_to_others_is_no_change() {
        let mut disk = Disk::new();
        for _ in 0..20 {
            assert_eq!(disk.turns(300, &[("access.log", true), (".haproxy.cfg.swp", false)]), 0);
        }
        // A link beside it was turned: `..data` in a mounted volume.
        disk.save(CFG, Some(2));
        assert_eq!(disk.turns(700, &[("..data", false)]), 1);
    }

    #[test]
    fn the_list_may_change_and_is_bounded() {
        let mut disk = Disk::new();
        disk.save(CFG, Some(2));
        let many: Vec<PathBuf> = std::iter::once(CFG.into())
            .chain((0..2 * MAX_FILES).map(|i| PathBuf::from(format!("/etc/{i}"))))
            .collect();
        let mut watch = std::mem::take(&mut disk.watch);
        watch.set(&many, &|path| disk.look(path));
        assert_eq!(watch.files.len(), MAX_FILES);
        disk.watch = watch;
        // What was known before is compared with what it was then.
        assert_eq!(disk.turns(1_000, &[]), 1);
        assert_eq!(disk.watch.directories().len(), 1);
    }
}
