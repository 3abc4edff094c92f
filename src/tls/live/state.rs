//! What can be changed, and the changes that are prepared and not yet in use.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::tls::crt_list::List;
use crate::tls::draft::Drafts;
use crate::tls::endpoint::Endpoint;
use crate::tls::kept::{self, Kept, Originals};
use crate::tls::library::Library;
use crate::tls::material::Material;
use crate::tls::session::Sessions;
use crate::tls::trust::{CaFile, CrlFile};
use crate::tls::upstream::Upstream;

/// All that runtime commands act on.
pub struct Live {
    pub(super) library: Library<'static>,
    pub(super) endpoints: Vec<Arc<Endpoint>>,
    pub(super) upstreams: Vec<Upstream>,
    /// By name; one that was made and not yet filled has nothing.
    pub(super) certificates: BTreeMap<String, Option<Arc<Material>>>,
    pub(super) lists: BTreeMap<String, Arc<List>>,
    pub(super) ca_files: BTreeMap<String, Arc<CaFile>>,
    pub(super) crl_files: BTreeMap<String, Arc<CrlFile>>,
    pub(super) drafts: Drafts,
    pub(super) before: Before,
}

/// What was changed, as the files had it.
#[derive(Default)]
pub(super) struct Before {
    pub certificates: Originals<Arc<Material>>,
    pub lists: Originals<Arc<List>>,
    pub ca_files: Originals<Arc<CaFile>>,
    pub crl_files: Originals<Arc<CrlFile>>,
}

/// Of nothing.
impl Default for Live {
    fn default() -> Live {
        Live::new(Library::empty(), Vec::new())
    }
}

impl Live {
    /// Of a configuration that is in use.
    pub fn new(library: Library<'_>, endpoints: Vec<Arc<Endpoint>>) -> Live {
        let mut library = library.closed();
        let Kept { certificates: kept, lists, ca_files, crl_files, drafts, .. } =
            std::mem::take(&mut library.kept);
        let mut live = Live {
            certificates: library.all().map(|of| (of.name.to_string(), Some(of.clone()))).collect(),
            lists: library.lists.iter().map(|(name, list)| (name.clone(), list.clone())).collect(),
            ca_files: library.ca_files().iter().map(|(name, file)| (name.clone(), file.clone())).collect(),
            crl_files: library.crl_files().iter().map(|(name, file)| (name.clone(), file.clone())).collect(),
            library,
            endpoints,
            upstreams: Vec::new(),
            drafts,
            before: Before::default(),
        };
        for (name, of) in kept {
            if of.file.is_none() && !live.certificates.contains_key(&name) {
                of.now.iter().for_each(|material| live.library.put(material));
                live.certificates.insert(name.clone(), of.now);
            }
            live.before.certificates.insert(name, of.file);
        }
        for (name, of) in lists {
            live.before.lists.insert(name, of.file);
        }
        for (name, of) in ca_files {
            if let (None, Some(now)) = (&of.file, of.now) {
                live.library.ca_files().entry(name.clone()).or_insert_with(|| now.clone());
                live.ca_files.entry(name.clone()).or_insert(now);
            }
            live.before.ca_files.insert(name, of.file);
        }
        for (name, of) in crl_files {
            if let (None, Some(now)) = (&of.file, of.now) {
                live.library.crl_files().entry(name.clone()).or_insert_with(|| now.clone());
                live.crl_files.entry(name.clone()).or_insert(now);
            }
            live.before.crl_files.insert(name, of.file);
        }
        live
    }

    /// How TLS is spoken to servers now: of these, too, certificates and authorities change.
    pub fn reaching(&mut self, upstreams: Vec<Upstream>) -> &mut Live {
        self.upstreams = upstreams;
        self
    }

    /// To be handed to the next configuration's library, whose clients go on with their sessions.
    pub fn sessions(&self) -> Arc<Sessions> {
        self.library.sessions()
    }

    /// What the next configuration takes over.
    pub fn kept(&self) -> Kept {
        let Before { certificates, lists, ca_files, crl_files } = &self.before;
        Kept {
            certificates: kept::changed(certificates, |name| self.certificates.get(name).cloned()),
            lists: kept::changed(lists, |name| Some(self.lists.get(name).cloned())),
            ca_files: kept::changed(ca_files, |name| Some(Some(self.ca_files.get(name)?.clone()))),
            crl_files: kept::changed(crl_files, |name| Some(Some(self.crl_files.get(name)?.clone()))),
            ticket_keys: self.library.ticket_keys.clone(),
            drafts: self.drafts.clone(),
        }
    }

    /// All that was read, for a server that is added while running.
    pub fn library(&self) -> Library<'static> {
        self.library.clone()
    }

    /// Whether a certificate is shown anywhere.
    pub(super) fn is_shown(&self, name: &str) -> bool {
        let shows = |endpoint: &Arc<Endpoint>| {
            endpoint.shelf().entries.values().any(|entry| *entry.material.name == *name)
        };
        self.endpoints.iter().any(shows)
            || self.upstreams.iter().any(|upstream| upstream.uses(name, &self.library))
            || self.lists.values().any(|list| list.lines.iter().any(|line| line.crt == name))
    }

    /// Puts a certificate in place of another of its name, wherever that is used; how many places that were.
    pub(super) fn put(&mut self, material: &Arc<Material>) -> usize {
        let name = &*material.name;
        let before = self.certificates.insert(name.to_owned(), Some(material.clone())).flatten();
        self.before.certificates.entry(name.to_owned()).or_insert(before);
        self.library.put(material);
        self.endpoints.iter().map(|endpoint| endpoint.replace(material)).sum()
    }
}
