//! `new`, `set`, `commit`, `abort`, `del` and `show ssl cert`.

use std::sync::Arc;

use super::show;
use super::state::Live;
use crate::tls::draft::{Draft, Unfit};
use crate::tls::material::{Material, Told};

const EXTENSIONS: [&str; 4] = [".key", ".issuer", ".ocsp", ".sctl"];

impl Live {
    pub fn new_cert(&mut self, name: &str) -> String {
        if self.certificates.contains_key(name) {
            return format!("Certificate '{name}' already exists!\n");
        }
        self.certificates.insert(name.to_owned(), None);
        self.before.certificates.insert(name.to_owned(), None);
        format!("New empty certificate store '{name}'!\n")
    }

    /// `name` may be that of a part, which has an extension.
    pub fn set_cert(&mut self, name: &str, payload: &str, now_s: i64) -> String {
        if payload.trim().is_empty() {
            return "'set ssl cert' expects a filename and a certificate as a payload\n".into();
        }
        let refused = |why: String| format!("{why}\nCan't update {name}!\n");
        let (base, part) = self.part(name);
        let base = base.as_str();
        if let Some(draft) = self.drafts.certificate.as_ref().filter(|draft| draft.name != base) {
            let why = format!(
                "The ongoing transaction is about '{}' but you are trying to set '{base}'",
                draft.name
            );
            return refused(why);
        }
        let Some(stored) = self.certificates.get(base) else {
            return refused(
                "Can't replace a certificate which is not referenced by the configuration!".into(),
            );
        };
        let is_new = self.drafts.certificate.is_none();
        let draft = self.drafts.certificate.clone();
        let mut draft = draft.unwrap_or_else(|| Draft::of(base, stored.as_deref()));
        if let Err(why) = draft.take(part, payload, now_s) {
            return refused(format!("{why}\nCan't load the payload"));
        }
        self.drafts.certificate = Some(draft);
        let done = if is_new { "created" } else { "updated" };
        format!("Transaction {done} for certificate {base}!\n")
    }

    /// Which certificate a name is of, and which part of it: an extension, or an empty text for certificate and key.
    fn part(&self, name: &str) -> (String, &'static str) {
        let part = EXTENSIONS.iter().find_map(|extension| Some((name.strip_suffix(extension)?, *extension)));
        match part {
            Some((base, part)) if !self.certificates.contains_key(name) => {
                let longer = format!("{base}.crt");
                let is_dropped = self.library.globals().is_extension_dropped;
                let of_crt = is_dropped && self.certificates.contains_key(&longer);
                (if of_crt { longer } else { base.to_owned() }, part)
            }
            _ => (name.to_owned(), ""),
        }
    }

    pub fn commit_cert(&mut self, name: &str) -> String {
        let Some(draft) = self.drafts.certificate.take_if(|draft| draft.name == name) else {
            return format!("No ongoing transaction! !\nCan't commit {name}!\n");
        };
        let committing = format!("Committing {name}");
        let material = match draft.material() {
            Ok(material) => Arc::new(material),
            Err(Unfit::Missing(what)) => {
                return format!(
                    "{committing}\nunable to load SSL {what} into SSL Context '{name}': passed a null parameter.\nFailed!\n"
                );
            }
            Err(Unfit::OtherKey) => {
                self.drafts.certificate = Some(draft);
                return format!(
                    "inconsistencies between private key and certificate loaded '{name}'.\nCan't commit {name}!\n"
                );
            }
            Err(Unfit::Other(fault)) => return format!("{committing}\n{fault}\nFailed!\n"),
        };
        let mut places = self.put(&material);
        let mut told = Told::default();
        for upstream in &self.upstreams {
            places += upstream.anew(name, &mut self.library, &mut told).unwrap_or_default();
        }
        format!("{committing}{}\nSuccess!\n", ".".repeat(places))
    }

    pub fn abort_cert(&mut self, name: &str) -> String {
        match self.drafts.certificate.take_if(|draft| draft.name == name) {
            Some(_) => format!("Transaction aborted for certificate '{name}'!\n"),
            None => "No ongoing transaction!\n".into(),
        }
    }

    pub fn del_cert(&mut self, name: &str) -> String {
        let refused = |why: &str| format!("Can't remove the certificate: certificate '{name}' {why}!\n");
        if !self.certificates.contains_key(name) {
            return refused("doesn't exist");
        }
        if self.is_shown(name) {
            return refused("in use, can't be deleted");
        }
        self.certificates.remove(name);
        self.before.certificates.remove(name);
        self.library.forget(name);
        format!("Certificate '{name}' deleted!\n")
    }

    pub fn show_certs(&self) -> String {
        let mut text = String::new();
        if let Some(draft) = &self.drafts.certificate {
            text += &format!("# transaction\n*{}\n", draft.name);
        }
        text += "# filename\n";
        for name in self.certificates.keys() {
            text += &format!("{name}\n");
        }
        text
    }

    /// `name` may begin with `*`, for what is not committed yet, and end with `.ocsp`.
    pub fn show_cert(&self, name: &str) -> String {
        let unknown =
            || "Can't display the certificate: Not found or the certificate is a bundle!\n".to_owned();
        if let Some(name) = name.strip_prefix('*') {
            let (base, part) = self.part(name);
            let Some(draft) = self.drafts.certificate.as_ref().filter(|draft| draft.name == base) else {
                return unknown();
            };
            let material = draft.material().ok();
            return match (part, material) {
                ("", material) => {
                    show::certificate(&format!("*{name}"), name, "Uncommitted", material.as_ref())
                }
                (".ocsp", Some(material)) => show::staple(&material).unwrap_or_else(unknown),
                _ => unknown(),
            };
        }
        match (self.certificates.get(name), self.part(name)) {
            (Some(None), _) => show::certificate(name, name, "Empty", None),
            (Some(Some(material)), _) => {
                let status = if self.is_shown(name) { "Used" } else { "Unused" };
                show::certificate(name, name, status, Some(material))
            }
            (None, (base, ".ocsp")) => {
                let material = self.certificates.get(&base).and_then(Option::as_deref);
                material.and_then(show::staple).unwrap_or_else(unknown)
            }
            _ => unknown(),
        }
    }

    /// The certificates that are known by their files, those of commands included.
    pub fn materials(&self) -> impl Iterator<Item = &Arc<Material>> {
        self.certificates.values().flatten()
    }
}
