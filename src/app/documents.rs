//! Configuration documents of the region map as this node runs them (`include map:NAME`), with a copy of each on disk
//! for a start while the cluster is out of reach.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::region::Seat;
use crate::region::map::{Map, Topic};
use crate::region::rollout::{Local, Prepared, State};

use super::change::{Change, ControlHandle, Request};

/// A node that could not activate a document tries again.
const RETRY: Duration = Duration::from_secs(10);

/// Longest wait for a change, in case one is missed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longest time that building takes; whoever asked has given up by then.
const BUILD_TIME: Duration = Duration::from_secs(20);

/// The documents of one node. Clones share them.
#[derive(Clone, Default)]
pub struct Documents {
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    /// Where copies are kept; `None` before it is known, and without `data-dir`.
    dir: Option<PathBuf>,
    /// There once the node has its seat.
    seat: Option<Seat>,
    /// A document that is tried instead of the one in the map.
    candidate: Option<(String, Bytes)>,
    /// What the build that goes on has read: version (0: none) and text by name.
    read: BTreeMap<String, (u64, String)>,
    /// Version by name of what runs.
    runs: BTreeMap<String, u64>,
    why: String,
}

impl Documents {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A build begins.
    pub fn begin(&self) {
        self.held().read.clear();
    }

    /// Whether the build that goes on has read any.
    pub fn were_read(&self) -> bool {
        !self.held().read.is_empty()
    }

    /// The documents that the build wanted and that are nowhere.
    pub fn missing(&self) -> Vec<String> {
        self.held()
            .read
            .iter()
            .filter(|(_, (version, _))| *version == 0)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The text that a build includes; empty for a document that is not there (yet).
    pub fn text(&self, name: &str) -> String {
        let mut held = self.held();
        let found = held.find(name);
        held.read.insert(name.to_owned(), found.clone());
        found.1
    }

    /// Learns where copies are (`data-dir`). Tells whether that was news.
    pub fn kept_in(&self, dir: Option<PathBuf>) -> bool {
        let mut held = self.held();
        let news = held.dir != dir;
        held.dir = dir;
        news
    }

    /// The node's seat, once it has one.
    pub fn seat(&self) -> Option<Seat> {
        self.held().seat.clone()
    }

    /// The node has its seat: from now on the map says what documents are.
    pub fn take_seat(&self, seat: Seat) {
        self.held().seat = Some(seat);
    }

    /// Builds within `build` see this document in the place of the map's.
    pub fn trying<T>(&self, name: &str, text: &Bytes, build: impl FnOnce() -> T) -> T {
        self.held().candidate = Some((name.to_owned(), text.clone()));
        let result = build();
        self.held().candidate = None;
        result
    }

    /// Whether the map's document is this one.
    pub fn is_current(&self, name: &str, text: &Bytes) -> bool {
        let held = self.held();
        held.seat.as_ref().is_some_and(|seat| seat.map().document(name).is_some_and(|d| d.text == *text))
    }

    /// What was built runs now.
    pub fn activated(&self) {
        let mut held = self.held();
        let held = &mut *held;
        let map = held.seat.as_ref().map(Seat::map);
        // What was tried ahead of its version has that version now.
        let version = |name: &str, version: u64, text: &str| {
            let document = map.as_ref()?.document(name)?;
            Some(if document.text == text.as_bytes() { document.version } else { version })
        };
        held.runs = std::mem::take(&mut held.read)
            .into_iter()
            .map(|(name, (read, text))| {
                let version = version(&name, read, &text).unwrap_or(read);
                if version > 0
                    && let Some(dir) = &held.dir
                    && let Err(e) = keep(dir, &name, version, &text)
                {
                    tracing::warn!("region map: no copy of document {name} in {}: {e}", dir.display());
                }
                (name, version)
            })
            .collect();
        held.why.clear();
    }

    /// What was built does not run, and why.
    pub fn refused(&self, why: &str) {
        self.held().why = why.trim().to_owned();
    }

    /// Whether the map has other versions of what runs here.
    fn is_behind(&self, map: &Map) -> bool {
        self.held()
            .runs
            .iter()
            .any(|(name, version)| map.document(name).is_some_and(|d| d.version != *version))
    }

    fn state(&self) -> State {
        let held = self.held();
        State { runs: held.runs.clone(), why: held.why.clone() }
    }

    /// Activates what the map gets, until dropped.
    pub async fn follow(self, seat: Seat, handle: Arc<ControlHandle>) {
        let mut after = 0;
        loop {
            let map = seat.map();
            let mut patience = PATIENCE;
            if self.is_behind(&map) && !self.activate(&handle).await {
                patience = RETRY;
            } else {
                after = map.index_of(&Topic::Documents);
            }
            let until = tokio::time::sleep(patience).deadline();
            if patience == RETRY {
                tokio::time::sleep_until(until).await;
            } else {
                let _ = seat.changed(&[Topic::Documents], after, until).await;
            }
        }
    }

    async fn activate(&self, handle: &Arc<ControlHandle>) -> bool {
        let handle = handle.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let (answer, wait) = sync_channel(1);
            handle.ask(Request::Change(Change::Map(answer))).then(|| wait.recv().ok()).flatten()
        });
        asked.await.ok().flatten().unwrap_or(false)
    }
}

impl Held {
    /// Version and text.
    fn find(&self, name: &str) -> (u64, String) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if let Some((_, bytes)) = self.candidate.as_ref().filter(|(n, _)| n == name) {
            return (u64::MAX, text(bytes));
        }
        let map = self.seat.as_ref().map(Seat::map);
        if let Some(document) = map.as_ref().and_then(|map| map.document(name)) {
            return (document.version, text(&document.text));
        }
        self.dir.as_deref().and_then(|dir| kept(dir, name)).unwrap_or_default()
    }
}

fn folder(dir: &Path, name: &str) -> PathBuf {
    dir.join("documents").join(name)
}

/// The newest copy: version and text.
fn kept(dir: &Path, name: &str) -> Option<(u64, String)> {
    if name.contains('/') || name.starts_with('.') {
        return None;
    }
    let folder = folder(dir, name);
    let versions = std::fs::read_dir(&folder).ok()?.flatten();
    let newest = versions.filter_map(|f| f.file_name().to_str()?.parse::<u64>().ok()).max()?;
    let text = std::fs::read_to_string(folder.join(newest.to_string())).ok()?;
    Some((newest, text))
}

/// Writes a copy beside the older ones, then removes these: one that is whole is always there.
fn keep(dir: &Path, name: &str, version: u64, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let folder = folder(dir, name);
    let path = folder.join(version.to_string());
    if path.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(&folder)?;
    let next = folder.join("next");
    let mut file = std::fs::File::create(&next)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&next, &path)?;
    for old in std::fs::read_dir(&folder)?.flatten().filter(|f| f.path() != path) {
        let _ = std::fs::remove_file(old.path());
    }
    Ok(())
}

/// Prepares documents on this node, for those who roll them out.
pub struct Preparing {
    pub documents: Documents,
    pub handle: Arc<ControlHandle>,
}

impl Local for Preparing {
    fn prepare(&self, name: &str, text: Bytes) -> Prepared<'_> {
        let (name, handle) = (name.to_owned(), self.handle.clone());
        Box::pin(async move {
            let asked = tokio::task::spawn_blocking(move || {
                let (answer, wait) = sync_channel(1);
                if !handle.ask(Request::Prepare { name, text, answer }) {
                    return Err("this node is stopping".to_owned());
                }
                wait.recv_timeout(BUILD_TIME).unwrap_or_else(|_| Err("building took too long".to_owned()))
            });
            asked.await.unwrap_or_else(|e| Err(e.to_string()))
        })
    }

    fn state(&self) -> State {
        self.documents.state()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_copy_is_found_again_and_is_the_only_one() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(kept(dir.path(), "web"), None);
        keep(dir.path(), "web", 9, "nine").unwrap();
        keep(dir.path(), "web", 10, "ten").unwrap();
        assert_eq!(kept(dir.path(), "web"), Some((10, "ten".into())));
        assert_eq!(std::fs::read_dir(folder(dir.path(), "web")).unwrap().count(), 1);
        assert_eq!(kept(dir.path(), "../web"), None);
    }

    #[test]
    fn a_candidate_is_seen_only_while_it_is_tried() {
        let documents = Documents::default();
        let seen = documents.trying("web", &Bytes::from_static(b"new"), || documents.text("web"));
        assert_eq!((seen.as_str(), documents.text("web").as_str()), ("new", ""));
        assert_eq!(documents.missing(), ["web"]);
    }
}
