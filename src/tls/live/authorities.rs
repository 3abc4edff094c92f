//! `new`, `set`, `add`, `commit`, `abort`, `del` and `show ssl ca-file`, and the same of `crl-file`.

use std::sync::Arc;

use super::show;
use super::state::Live;
use crate::tls::authority::Authorities;
use crate::tls::material::Told;
use crate::tls::trust::{CaFile, CrlFile, SYSTEM_CA};

fn dots(places: usize) -> String {
    ".".repeat(places)
}

impl Live {
    /// Whether a line names a file of authorities or revocations.
    fn is_named(&self, name: &str) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.uses(name, &self.library))
            || self.upstreams.iter().any(|upstream| upstream.uses(name, &self.library))
    }

    /// Has all lines that name a file look at its new content; how many they are.
    pub(super) fn trust_anew(&mut self, name: &str) -> Result<usize, String> {
        let (mut places, mut told) = (0, Told::default());
        for endpoint in &self.endpoints {
            match endpoint.trust_anew(name, &mut self.library, &mut told) {
                Some(found) => places += found,
                None => return Err(told.errors.join("\n")),
            }
        }
        for upstream in &self.upstreams {
            match upstream.anew(name, &mut self.library, &mut told) {
                Some(found) => places += found,
                None => return Err(told.errors.join("\n")),
            }
        }
        Ok(places)
    }

    pub fn new_ca_file(&mut self, name: &str) -> String {
        if self.ca_files.contains_key(name) {
            return format!("CA file '{name}' already exists!\n");
        }
        let empty = Arc::new(CaFile { name: name.into(), certificates: Vec::new() });
        self.ca_files.insert(name.to_owned(), empty.clone());
        self.library.ca_files().insert(name.to_owned(), empty);
        self.before.ca_files.insert(name.to_owned(), None);
        format!("New CA file created '{name}'!\n")
    }

    /// `adds`: to what there is already, instead of replacing it.
    pub fn set_ca_file(&mut self, name: &str, payload: &str, adds: bool) -> String {
        let refused = |why: &str| format!("{why}\nCan't update {name}!\n");
        if let Some(draft) = self.drafts.ca_file.as_ref().filter(|draft| *draft.name != *name) {
            return refused(&format!(
                "The ongoing transaction is about '{}' but you are trying to set '{name}'",
                draft.name
            ));
        }
        let Some(stored) = self.ca_files.get(name) else {
            return refused("Can't replace a CA file which is not referenced by the configuration!");
        };
        let Ok(mut file) = CaFile::parse(name, payload.as_bytes()) else { return refused("Invalid payload") };
        let is_new = self.drafts.ca_file.is_none();
        if adds {
            let before = self.drafts.ca_file.as_ref().unwrap_or(stored);
            let mut certificates = before.certificates.clone();
            certificates.append(&mut file.certificates);
            file.certificates = certificates;
        }
        self.drafts.ca_file = Some(Arc::new(file));
        format!("transaction {} for CA {name}!\n", if is_new { "created" } else { "updated" })
    }

    pub fn commit_ca_file(&mut self, name: &str) -> String {
        let Some(draft) = self.drafts.ca_file.take_if(|draft| *draft.name == *name) else {
            return format!("No ongoing transaction! !\nCan't commit {name}!\n");
        };
        let before = self.ca_files.insert(name.to_owned(), draft.clone());
        self.library.ca_files().insert(name.to_owned(), draft);
        match self.trust_anew(name) {
            Ok(places) => {
                self.before.ca_files.entry(name.to_owned()).or_insert(before);
                format!("Committing {name}{}\nSuccess!\n", dots(places))
            }
            Err(why) => {
                if let Some(before) = before {
                    self.ca_files.insert(name.to_owned(), before.clone());
                    self.library.ca_files().insert(name.to_owned(), before);
                    // What was in use can be used again.
                    let _ = self.trust_anew(name);
                }
                format!("Committing {name}\n{why}\nFailed!\n")
            }
        }
    }

    pub fn abort_ca_file(&mut self, name: &str) -> String {
        match self.drafts.ca_file.take_if(|draft| *draft.name == *name) {
            Some(_) => format!("Transaction aborted for certificate '{name}'!\n"),
            None => "No ongoing transaction!\n".into(),
        }
    }

    pub fn del_ca_file(&mut self, name: &str) -> String {
        let refused = |why: &str| format!("Can't remove the CA file: CA file '{name}' {why}!\n");
        if !self.ca_files.contains_key(name) {
            return refused("doesn't exist");
        }
        if self.is_named(name) {
            return refused("in use, can't be deleted");
        }
        self.ca_files.remove(name);
        self.before.ca_files.remove(name);
        self.library.ca_files().remove(name);
        format!("CA file '{name}' deleted!\n")
    }

    pub fn show_ca_files(&self) -> String {
        let mut text = String::new();
        let count = |count: usize| format!(" - {count} certificate(s)\n");
        if let Some(draft) = &self.drafts.ca_file {
            text += &format!("# transaction\n*{}{}", draft.name, count(draft.certificates.len()));
        }
        text += "# filename\n";
        let system = (SYSTEM_CA, Authorities::system().roots.len());
        let mut all: Vec<(&str, usize)> =
            self.ca_files.iter().map(|(name, file)| (name.as_str(), file.certificates.len())).collect();
        all.push(system);
        all.sort_unstable();
        all.into_iter().fold(text, |text, (name, certificates)| text + name + &count(certificates))
    }

    /// `name` may end with `:N`, a certificate's place.
    pub fn show_ca_file(&self, name: &str) -> String {
        let unknown = || "Can't display the CA file : Not found!\n".to_owned();
        let (of, place) = numbered(name);
        let (file, status) = match of.strip_prefix('*') {
            Some(own) => (self.drafts.ca_file.as_ref().filter(|draft| *draft.name == *own), "Uncommitted"),
            None => (self.ca_files.get(of), if self.is_named(of) { "Used" } else { "Unused" }),
        };
        let Some(file) = file else { return unknown() };
        let of_place = |at: usize| place.is_none_or(|place| place == at + 1);
        let shown: Vec<(usize, _)> =
            file.certificates.iter().enumerate().filter(|(at, _)| of_place(*at)).collect();
        if place.is_some() && shown.is_empty() {
            return String::new();
        }
        let head = format!("Filename: {of}\nStatus: {status}\n");
        shown.into_iter().fold(head, |text, (at, der)| {
            text + &format!(" \nCertificate #{}:\n{}", at + 1, show::facts(der))
        })
    }

    pub fn new_crl_file(&mut self, name: &str) -> String {
        if self.crl_files.contains_key(name) {
            return format!("CRL file '{name}' already exists!\n");
        }
        let empty = Arc::new(CrlFile { name: name.into(), lists: Vec::new() });
        self.crl_files.insert(name.to_owned(), empty.clone());
        self.library.crl_files().insert(name.to_owned(), empty);
        self.before.crl_files.insert(name.to_owned(), None);
        format!("New CRL file created '{name}'!\n")
    }

    pub fn set_crl_file(&mut self, name: &str, payload: &str) -> String {
        let refused = |why: &str| format!("{why}\nCan't update {name}!\n");
        if let Some(draft) = self.drafts.crl_file.as_ref().filter(|draft| *draft.name != *name) {
            return refused(&format!(
                "The ongoing transaction is about '{}' but you are trying to set '{name}'",
                draft.name
            ));
        }
        if !self.crl_files.contains_key(name) {
            return refused("Can't replace a CRL file which is not referenced by the configuration!");
        }
        let Ok(file) = CrlFile::parse(name, payload.as_bytes()) else { return refused("Invalid payload") };
        let done = if self.drafts.crl_file.replace(Arc::new(file)).is_none() { "created" } else { "updated" };
        format!("transaction {done} for CRL {name}!\n")
    }

    pub fn commit_crl_file(&mut self, name: &str) -> String {
        let Some(draft) = self.drafts.crl_file.take_if(|draft| *draft.name == *name) else {
            return format!("No ongoing transaction! !\nCan't commit {name}!\n");
        };
        let before = self.crl_files.insert(name.to_owned(), draft.clone());
        self.library.crl_files().insert(name.to_owned(), draft);
        match self.trust_anew(name) {
            Ok(places) => {
                self.before.crl_files.entry(name.to_owned()).or_insert(before);
                format!("Committing {name}{}\nSuccess!\n", dots(places))
            }
            Err(why) => {
                if let Some(before) = before {
                    self.crl_files.insert(name.to_owned(), before.clone());
                    self.library.crl_files().insert(name.to_owned(), before);
                    // What was in use can be used again.
                    let _ = self.trust_anew(name);
                }
                format!("Committing {name}\n{why}\nFailed!\n")
            }
        }
    }

    pub fn abort_crl_file(&mut self, name: &str) -> String {
        match self.drafts.crl_file.take_if(|draft| *draft.name == *name) {
            Some(_) => format!("Transaction aborted for certificate '{name}'!\n"),
            None => "No ongoing transaction!\n".into(),
        }
    }

    pub fn del_crl_file(&mut self, name: &str) -> String {
        let refused = |why: &str| format!("Can't remove the CRL file: CRL file '{name}' {why}!\n");
        if !self.crl_files.contains_key(name) {
            return refused("doesn't exist");
        }
        if self.is_named(name) {
            return refused("in use, can't be deleted");
        }
        self.crl_files.remove(name);
        self.before.crl_files.remove(name);
        self.library.crl_files().remove(name);
        format!("CRL file '{name}' deleted!\n")
    }

    pub fn show_crl_files(&self) -> String {
        let mut text = String::new();
        if let Some(draft) = &self.drafts.crl_file {
            text += &format!("# transaction\n*{}\n", draft.name);
        }
        text += "# filename\n";
        self.crl_files.keys().fold(text, |text, name| text + name + "\n")
    }

    /// `name` may end with `:N`, a list's place.
    pub fn show_crl_file(&self, name: &str) -> String {
        let (of, place) = numbered(name);
        let (file, status) = match of.strip_prefix('*') {
            Some(own) => (self.drafts.crl_file.as_ref().filter(|draft| *draft.name == *own), "Uncommitted"),
            None => (self.crl_files.get(of), if self.is_named(of) { "Used" } else { "Unused" }),
        };
        let Some(file) = file else { return "Can't display the CRL file : Not found!\n".into() };
        let of_place = |at: usize| place.is_none_or(|place| place == at + 1);
        let shown: Vec<(usize, _)> = file.lists.iter().enumerate().filter(|(at, _)| of_place(*at)).collect();
        if place.is_some() && shown.is_empty() {
            return String::new();
        }
        let head = format!("Filename: {of}\nStatus: {status}\n");
        shown.into_iter().fold(head, |text, (at, der)| {
            text + &format!(" \nCertificate Revocation List #{}:\n{}", at + 1, show::revocations(der))
        })
    }
}

/// A name, and the place that it may end with.
fn numbered(name: &str) -> (&str, Option<usize>) {
    let numbered = name.rsplit_once(':').and_then(|(of, n)| Some((of, n.parse::<usize>().ok()?)));
    match numbered {
        Some((of, place)) => (of, Some(place)),
        None => (name, None),
    }
}
