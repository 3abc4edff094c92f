//! `watch-config` as a part: saving a file is enough. It looks at what was read the last time, whether that runs or was
//! refused, so that mending a broken save is noticed as well.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::Millis;
use crate::lang::{Diagnostics, Places};
use crate::os;
use crate::os::opener::Opener;

use super::super::change::{Change, Request};
use super::super::named::{Names, normal};
use super::super::program::BindError;
use super::super::watch::{MAX_FILES, Stamp, Watch};
use super::part::{Handles, Means, Order, Part, Process, Reading, Row};

pub static WATCH: Row = Row {
    name: "watch",
    sections: Vec::new,
    register: |_| {},
    make: |handles| Box::new(WatchPart::new(handles)),
};

/// Most directories that the kernel is asked to tell of; others are looked at now and then.
const MAX_DIRECTORIES: usize = 256;

struct WatchPart {
    places: Arc<Places>,
    /// Where relative names start: that of the beginning, for a process may get another root.
    current: Option<PathBuf>,
    /// What the configuration that runs was read from; empty unless it says `watch-config`.
    runs: BTreeSet<PathBuf>,
    next: Option<Next>,
    watch: Watch,
    events: Option<OwnedFd>,
    process: Option<Arc<Process>>,
    draining: bool,
}

/// What the configuration that was read last was read from, and whether it wants to be watched.
#[derive(Default)]
struct Next {
    files: Vec<PathBuf>,
    /// As they were then: what is saved before a commit is a change as well.
    stamps: BTreeMap<PathBuf, Stamp>,
    wanted: bool,
}

impl WatchPart {
    fn new(handles: &Handles) -> WatchPart {
        WatchPart {
            places: handles.places.clone(),
            current: None,
            runs: BTreeSet::new(),
            next: None,
            watch: Watch::default(),
            events: None,
            process: None,
            draining: false,
        }
    }

    /// Looks at what runs and at what was read last, which may have been refused.
    fn look_at(&mut self, read: &Next, opener: &Opener) {
        let more = read.files.iter().filter(|path| !self.runs.is_empty() && !self.runs.contains(*path));
        let files: Vec<PathBuf> = self.runs.iter().chain(more).cloned().collect();
        if let Some(process) = self.process.as_ref().filter(|_| files.len() > MAX_FILES) {
            let text = format!("watch-config: only {MAX_FILES} of {} files are watched.", files.len());
            process.messages.warning(&text);
        }
        let as_read = |path: &Path| read.stamps.get(path).copied();
        self.watch.set(&files, &|path| as_read(path).unwrap_or_else(|| stamp(opener, path)));
        let directories: Vec<PathBuf> = self.watch.directories().into_iter().take(MAX_DIRECTORIES).collect();
        // Without events, changes are found by looking now and then.
        self.events = if directories.is_empty() { None } else { opener.watch(&directories).ok() };
    }
}

impl Part for WatchPart {
    fn loaded(&mut self, reading: &Reading<'_>) {
        let current =
            self.current.get_or_insert_with(|| std::env::current_dir().unwrap_or_else(|_| "/".into()));
        if !reading.preview.watch && self.runs.is_empty() {
            self.next = Some(Next::default());
            return;
        }
        let read = |path: &Path| reading.opener.read(path).ok();
        let names = Names::of(reading.loaded, &self.places, current, &read);
        let given = reading.args.files.iter().chain(&reading.loaded.directories);
        let mut files: Vec<PathBuf> = given.map(|path| normal(&current.join(path))).collect();
        // The configuration itself comes first: it is what must not be left out.
        files.extend(reading.loaded.sources.files.iter().map(|file| normal(&current.join(&file.path))));
        files.extend(names.files);
        let seen = files.iter().take(MAX_FILES);
        let stamps = seen.map(|path| (path.clone(), stamp(reading.opener, path))).collect();
        self.next = Some(Next { files, stamps, wanted: reading.preview.watch });
    }

    fn build(&mut self, _reading: &Reading<'_>) -> Diagnostics {
        Diagnostics::default()
    }

    fn prepare(&mut self, _means: &Means<'_>) -> Result<(), BindError> {
        Ok(())
    }

    fn start(&mut self, process: &Arc<Process>) -> io::Result<()> {
        self.process = Some(process.clone());
        Ok(())
    }

    fn commit(&mut self) {
        let (Some(process), Some(read)) = (self.process.clone(), self.next.take()) else { return };
        self.runs = if read.wanted { read.files.iter().cloned().collect() } else { BTreeSet::new() };
        self.look_at(&read, &process.opener);
    }

    /// What was read and is not used is looked at too: mending it is a change.
    fn abandon(&mut self, opener: &Opener) {
        if let Some(read) = self.next.take().filter(|_| !self.runs.is_empty()) {
            self.look_at(&read, opener);
        }
    }

    fn steer(&mut self, order: &Order) {
        self.draining |= *order == Order::Drain;
    }

    fn turn(&mut self, now: Millis) {
        let Some(process) = self.process.as_ref().filter(|_| !self.watch.is_empty() && !self.draining) else {
            return;
        };
        let seen = self.events.as_ref().and_then(|events| os::watch::read(events).ok()).unwrap_or_default();
        let changed = self.watch.turn(now, &seen, &|path| stamp(&process.opener, path));
        if !changed.is_empty() {
            process.handle().ask(Request::Change(Change::Files(changed)));
            // A directory that was made again is another one.
            let directories: Vec<PathBuf> =
                self.watch.directories().into_iter().take(MAX_DIRECTORIES).collect();
            self.events = process.opener.watch(&directories).ok();
        }
    }

    fn stop(&mut self) {
        self.events = None;
    }
}

/// What a path holds now. Names in a directory that editors leave behind do not count.
fn stamp(opener: &Opener, path: &Path) -> Stamp {
    let Ok(stat) = opener.stat(path) else { return Stamp::Missing };
    if !stat.is_dir {
        return Stamp::File { len: stat.len, modified: stat.modified, inode: stat.inode };
    }
    let mut digest = DefaultHasher::new();
    let names = opener.list(path).unwrap_or_default();
    let counts = |name: &&String| !name.starts_with(['.', '#']) && !name.ends_with('~');
    for name in names.iter().filter(counts).take(MAX_FILES) {
        let inside = opener.stat(&path.join(name)).ok().filter(|stat| !stat.is_dir);
        if let Some(stat) = inside {
            (name, stat.len, stat.modified, stat.inode).hash(&mut digest);
        }
    }
    Stamp::Directory(digest.finish())
}
