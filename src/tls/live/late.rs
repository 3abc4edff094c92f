//! Changes that commands made while the next configuration was being built: they are made in it too.

use std::sync::Arc;

use super::state::Live;
use crate::tls::crt_list::List;
use crate::tls::kept::{self, Changed, Kept};
use crate::tls::material::{Material, Told};

/// Whether what a change began from is what the next configuration read.
fn fits<T>(change: &Changed<T>, read: Option<&T>, is_same: impl Fn(&T, &T) -> bool) -> bool {
    match (&change.file, read) {
        (Some(file), Some(read)) => is_same(file, read),
        (None, None) => true,
        _ => false,
    }
}

impl Live {
    /// `kept`: of the configuration that this one takes the place of now.
    pub fn catch_up(&mut self, kept: Kept) {
        for (name, change) in &kept.certificates {
            self.certificate_too(name, change);
        }
        for (name, change) in kept.ca_files {
            let read = self.before.ca_files.get(&name).cloned().unwrap_or(self.ca_files.get(&name).cloned());
            let same = fits(&change, read.as_ref(), |a, b| a.certificates == b.certificates);
            let is_there = |now: &Arc<_>| self.ca_files.get(&name).is_some_and(|own| Arc::ptr_eq(own, now));
            if let Some(now) = change.now.filter(|now| same && !is_there(now)) {
                self.before.ca_files.entry(name.clone()).or_insert(read);
                self.ca_files.insert(name.clone(), now.clone());
                self.library.ca_files().insert(name.clone(), now);
                // It was in use, and can be used again.
                let _ = self.trust_anew(&name);
            }
        }
        for (name, change) in kept.crl_files {
            let read =
                self.before.crl_files.get(&name).cloned().unwrap_or(self.crl_files.get(&name).cloned());
            let same = fits(&change, read.as_ref(), |a, b| a.lists == b.lists);
            let is_there = |now: &Arc<_>| self.crl_files.get(&name).is_some_and(|own| Arc::ptr_eq(own, now));
            if let Some(now) = change.now.filter(|now| same && !is_there(now)) {
                self.before.crl_files.entry(name.clone()).or_insert(read);
                self.crl_files.insert(name.clone(), now.clone());
                self.library.crl_files().insert(name.clone(), now);
                let _ = self.trust_anew(&name);
            }
        }
        for (name, change) in &kept.lists {
            self.list_too(name, change);
        }
        self.drafts = kept.drafts;
    }

    fn certificate_too(&mut self, name: &str, change: &Changed<Arc<Material>>) {
        let own = self.certificates.get(name).cloned().flatten();
        let read = self.before.certificates.get(name).cloned().unwrap_or_else(|| own.clone());
        if !fits(change, read.as_ref(), kept::is_same) {
            return;
        }
        match (&change.now, own) {
            (Some(now), Some(own)) if Arc::ptr_eq(now, &own) => {}
            (Some(now), _) => {
                self.put(now);
            }
            (None, _) => {
                self.certificates.entry(name.to_owned()).or_default();
                self.before.certificates.entry(name.to_owned()).or_default();
            }
        }
    }

    fn list_too(&mut self, name: &str, change: &Changed<Arc<List>>) {
        let (Some(own), Some(now)) = (self.lists.get(name).cloned(), &change.now) else { return };
        let read = self.before.lists.get(name).cloned().flatten().unwrap_or_else(|| own.clone());
        if !fits(change, Some(&read), |file, read| file == read) || own == *now {
            return;
        }
        let users: Vec<_> = self.endpoints.iter().filter(|of| of.has_list(name)).cloned().collect();
        for line in own.lines.iter().filter(|line| !now.lines.contains(line)) {
            users.iter().for_each(|endpoint| endpoint.remove(name, line.number));
        }
        let (of, mut told): (Arc<str>, _) = (name.into(), Told::default());
        for line in now.lines.iter().filter(|line| !own.lines.contains(line)) {
            let Some(Some(material)) = self.certificates.get(&line.crt).cloned() else { continue };
            for endpoint in &users {
                endpoint.insert(&of, line, &material, &mut self.library, &mut told);
            }
        }
        self.before.lists.entry(name.to_owned()).or_insert(Some(read));
        self.lists.insert(name.to_owned(), now.clone());
    }
}
