//! `new`, `set`, `commit`, `abort`, `del` and `show ssl cert`.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::show;
use super::state::{Draft, Live};
use crate::tls::certificate::Certified;
use crate::tls::error::Fault;
use crate::tls::material::{Material, Told, unloadable};
use crate::tls::ocsp;
use crate::tls::pem::Pem;
use crate::tls::provider::provider;

const EXTENSIONS: [&str; 4] = [".key", ".issuer", ".ocsp", ".sctl"];

impl Live {
    pub fn new_cert(&mut self, name: &str) -> String {
        if self.certificates.contains_key(name) {
            return format!("Certificate '{name}' already exists!\n");
        }
        self.certificates.insert(name.to_owned(), None);
        format!("New empty certificate store '{name}'!\n")
    }

    /// `name` may be that of a part, which has an extension.
    pub fn set_cert(&mut self, name: &str, payload: &str, now_s: i64) -> String {
        if payload.trim().is_empty() {
            return "'set ssl cert' expects a filename and a certificate as a payload\n".into();
        }
        let refused = |why: String| format!("{why}\nCan't update {name}!\n");
        let part = EXTENSIONS.iter().find_map(|extension| Some((name.strip_suffix(extension)?, *extension)));
        let (base, part) = match part {
            Some((base, part)) if !self.certificates.contains_key(name) => (base, part),
            _ => (name, ""),
        };
        if let Some(draft) = self.draft.as_ref().filter(|draft| draft.name != base) {
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
        let is_new = self.draft.is_none();
        let mut draft = self.draft.clone().unwrap_or_else(|| Draft::of(base, stored.as_deref()));
        if let Err(why) = draft.take(part, payload, now_s) {
            return refused(format!("{why}\nCan't load the payload"));
        }
        self.draft = Some(draft);
        let done = if is_new { "created" } else { "updated" };
        format!("Transaction {done} for certificate {base}!\n")
    }

    pub fn commit_cert(&mut self, name: &str) -> String {
        let Some(draft) = self.draft.take_if(|draft| draft.name == name) else {
            return format!("No ongoing transaction! !\nCan't commit {name}!\n");
        };
        let committing = format!("Committing {name}");
        let missing = |what: &str| {
            format!(
                "{committing}\nunable to load SSL {what} into SSL Context '{name}': passed a null parameter.\nFailed!\n"
            )
        };
        if draft.chain.is_empty() {
            return missing("certificate");
        }
        let Some(key) = draft.key.clone() else { return missing("private key") };
        let certified = match Certified::with_key(name, draft.chain.clone(), key) {
            Ok(certified) => certified,
            Err(e) if matches!(e.fault, Fault::OtherKey) => {
                self.draft = Some(draft);
                return format!(
                    "inconsistencies between private key and certificate loaded '{name}'.\nCan't commit {name}!\n"
                );
            }
            Err(e) => return format!("{committing}\n{}\nFailed!\n", e.fault),
        };
        let certified = certified.stapling(draft.ocsp);
        let material =
            Arc::new(Material { name: name.into(), certified, issuer: draft.issuer, sctl: draft.sctl });
        self.certificates.insert(name.to_owned(), Some(material.clone()));
        self.library.put(&material);
        let mut places: usize = self.endpoints.iter().map(|endpoint| endpoint.replace(&material)).sum();
        let mut told = Told::default();
        for upstream in &self.upstreams {
            places += upstream.anew(name, &mut self.library, &mut told).unwrap_or_default();
        }
        format!("{committing}{}\nSuccess!\n", ".".repeat(places))
    }

    pub fn abort_cert(&mut self, name: &str) -> String {
        match self.draft.take_if(|draft| draft.name == name) {
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
        format!("Certificate '{name}' deleted!\n")
    }

    pub fn show_certs(&self) -> String {
        let mut text = String::new();
        if let Some(draft) = &self.draft {
            text += &format!("# transaction\n*{}\n", draft.name);
        }
        text += "# filename\n";
        for name in self.certificates.keys() {
            text += &format!("{name}\n");
        }
        text
    }

    pub fn show_cert(&self, name: &str) -> String {
        let unknown =
            || "Can't display the certificate: Not found or the certificate is a bundle!\n".to_owned();
        if let Some(name) = name.strip_prefix('*') {
            let Some(draft) = self.draft.as_ref().filter(|draft| draft.name == name) else {
                return unknown();
            };
            let key =
                draft.key.clone().and_then(|key| Certified::with_key(name, draft.chain.clone(), key).ok());
            let material = key.map(|certified| Material {
                name: name.into(),
                certified,
                issuer: draft.issuer.clone(),
                sctl: draft.sctl.clone(),
            });
            return show::certificate(&format!("*{name}"), name, "Uncommitted", material.as_ref());
        }
        match self.certificates.get(name) {
            None => unknown(),
            Some(None) => show::certificate(name, name, "Empty", None),
            Some(Some(material)) => {
                let status = if self.is_shown(name) { "Used" } else { "Unused" };
                show::certificate(name, name, status, Some(material))
            }
        }
    }
}

impl Draft {
    fn take(&mut self, part: &str, payload: &str, now_s: i64) -> Result<(), String> {
        let pem = || Pem::parse(&self.name, payload.as_bytes()).map_err(|e| unloadable(&self.name, &e));
        match part {
            ".ocsp" => {
                let response = decoded(payload)?;
                let pair = ocsp::pair(&self.chain, self.issuer.as_ref());
                let (own, issuer) =
                    pair.ok_or("no certificate that the response could be about, or no issuer of it")?;
                ocsp::check(&response, own, issuer, now_s)?;
                self.ocsp = Some(response);
            }
            ".sctl" => self.sctl = Some(decoded(payload)?),
            ".issuer" => self.issuer = Some(pem()?.certificate().map_err(|e| unloadable(&self.name, &e))?),
            ".key" => self.key = Some(signing(&pem()?)?),
            _ => {
                let pem = pem()?;
                self.chain = pem.certificates().map_err(|e| unloadable(&self.name, &e))?;
                // An answer is about the certificate that was there before.
                self.ocsp = None;
                self.key = match pem.key() {
                    Ok(_) => Some(signing(&pem)?),
                    Err(_) => None,
                };
            }
        }
        Ok(())
    }
}

fn signing(pem: &Pem) -> Result<Arc<dyn rustls::sign::SigningKey>, String> {
    let (_, key) = pem.key().map_err(|e| unloadable(pem.file(), &e))?;
    provider().key_provider.load_private_key(key).map_err(|e| e.to_string())
}

fn decoded(payload: &str) -> Result<Vec<u8>, String> {
    let text: String = payload.split_whitespace().collect();
    STANDARD.decode(text).map_err(|_| "invalid base64".to_owned())
}
