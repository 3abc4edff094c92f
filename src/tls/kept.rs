//! What runtime commands changed of things that files hold. A reload takes it over, except where a file has changed since:
//! then the file wins.

use std::collections::HashMap;
use std::sync::Arc;

use super::crt_list::List;
use super::draft::Drafts;
use super::material::Material;
use super::ticket::TicketKeys;
use super::trust::{CaFile, CrlFile};

/// A thing that was changed: as its file had it (`None`: it was made by a command), and as it is now.
#[derive(Clone, Debug)]
pub struct Changed<T> {
    pub file: Option<T>,
    /// `None`: it was made and is empty yet.
    pub now: Option<T>,
}

/// By the names of things.
pub type ChangedBy<T> = HashMap<String, Changed<T>>;

#[derive(Clone, Default)]
pub struct Kept {
    pub certificates: ChangedBy<Arc<Material>>,
    pub lists: ChangedBy<Arc<List>>,
    pub ca_files: ChangedBy<Arc<CaFile>>,
    pub crl_files: ChangedBy<Arc<CrlFile>>,
    /// Those of files that say the same as before have the keys that came since.
    pub ticket_keys: Vec<(String, Arc<TicketKeys>)>,
    pub drafts: Drafts,
}

/// What files had before commands changed it; `None` for what only commands made.
pub type Originals<T> = HashMap<String, Option<T>>;

/// Each of these with what it is now.
pub fn changed<T: Clone>(originals: &Originals<T>, now: impl Fn(&str) -> Option<Option<T>>) -> ChangedBy<T> {
    let of = |(name, file): (&String, &Option<T>)| {
        Some((name.clone(), Changed { file: file.clone(), now: now(name)? }))
    };
    originals.iter().filter_map(of).collect()
}

/// What stands for a thing that a file was read for: what a command made of it, if the file is as it was then.
pub fn take<T: Clone>(by: &mut ChangedBy<T>, name: &str, read: &T, is_same: impl Fn(&T, &T) -> bool) -> T {
    let kept = by.get(name).filter(|of| of.file.as_ref().is_some_and(|file| is_same(file, read)));
    match kept.and_then(|of| of.now.clone()) {
        Some(now) => now,
        None => {
            by.remove(name);
            read.clone()
        }
    }
}

/// What a command made that no file has.
pub fn made<T: Clone>(by: &ChangedBy<T>, name: &str) -> Option<T> {
    by.get(name).filter(|of| of.file.is_none())?.now.clone()
}

/// Whether two files about a certificate say the same. A staple that has run out meanwhile is none, and no change.
pub fn is_same(file: &Arc<Material>, read: &Arc<Material>) -> bool {
    let (own, other) = (&file.certified.key, &read.certified.key);
    own.cert == other.cert
        && (own.ocsp == other.ocsp || other.ocsp.is_none())
        && file.issuer == read.issuer
        && file.sctl == read.sctl
}
