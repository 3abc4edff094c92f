//! Changes that runtime commands prepared and did not commit yet.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::sign::SigningKey;

use super::certificate::Certified;
use super::error::Fault;
use super::material::{Material, unloadable};
use super::ocsp;
use super::pem::Pem;
use super::provider::provider;
use super::trust::{CaFile, CrlFile};

/// One of each kind at most, as in HAProxy.
#[derive(Clone, Default)]
pub struct Drafts {
    pub certificate: Option<Draft>,
    pub ca_file: Option<Arc<CaFile>>,
    pub crl_file: Option<Arc<CrlFile>>,
}

/// A certificate that is being changed.
#[derive(Clone, Default)]
pub struct Draft {
    pub name: String,
    pub chain: Vec<CertificateDer<'static>>,
    pub key: Option<Arc<dyn SigningKey>>,
    pub issuer: Option<CertificateDer<'static>>,
    pub ocsp: Option<Vec<u8>>,
    pub sctl: Option<Vec<u8>>,
}

/// Why a draft cannot be committed.
pub enum Unfit {
    /// A part of it is not there.
    Missing(&'static str),
    /// The key is another certificate's.
    OtherKey,
    Other(Fault),
}

impl Draft {
    /// What a certificate consists of now.
    pub fn of(name: &str, material: Option<&Material>) -> Draft {
        let mut draft = Draft { name: name.to_owned(), ..Draft::default() };
        if let Some(material) = material {
            let key = &material.certified.key;
            draft.chain = key.cert.clone();
            draft.key = Some(key.key.clone());
            draft.ocsp = key.ocsp.clone();
            draft.issuer = material.issuer.clone();
            draft.sctl = material.sctl.clone();
        }
        draft
    }

    /// Takes a payload for one of its parts: an extension, or an empty text for certificate and key.
    pub fn take(&mut self, part: &str, payload: &str, now_s: i64) -> Result<(), String> {
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

    /// What it is once it is committed.
    pub fn material(&self) -> Result<Material, Unfit> {
        if self.chain.is_empty() {
            return Err(Unfit::Missing("certificate"));
        }
        let key = self.key.clone().ok_or(Unfit::Missing("private key"))?;
        let certified = Certified::with_key(&self.name, self.chain.clone(), key);
        let certified = certified.map_err(|e| match e.fault {
            Fault::OtherKey => Unfit::OtherKey,
            fault => Unfit::Other(fault),
        })?;
        let certified = certified.stapling(self.ocsp.clone());
        let (issuer, sctl) = (self.issuer.clone(), self.sctl.clone());
        Ok(Material { name: self.name.as_str().into(), certified, issuer, sctl })
    }
}

fn signing(pem: &Pem) -> Result<Arc<dyn SigningKey>, String> {
    let (_, key) = pem.key().map_err(|e| unloadable(pem.file(), &e))?;
    provider().key_provider.load_private_key(key).map_err(|e| e.to_string())
}

fn decoded(payload: &str) -> Result<Vec<u8>, String> {
    let text: String = payload.split_whitespace().collect();
    STANDARD.decode(text).map_err(|_| "invalid base64".to_owned())
}
