//! `show tls-keys`, `set ssl tls-key`, and answers about certificates: `show` and `set ssl ocsp-response`.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::show;
use super::state::Live;
use crate::tls::material::Material;
use crate::tls::ocsp;
use crate::tls::ticket::TicketKeys;

impl Live {
    /// By `#N` or by its path.
    fn keys(&self, id: &str) -> Option<(usize, &str, &Arc<TicketKeys>)> {
        let all = self.library.ticket_keys.iter().enumerate();
        let number = id.strip_prefix('#').and_then(|n| n.parse::<usize>().ok());
        let mut all = all.map(|(n, (file, keys))| (n, file.as_str(), keys));
        all.find(|(n, file, _)| number.map_or(*file == id, |number| number == *n))
    }

    pub fn show_tls_keys(&self) -> String {
        let all = self.library.ticket_keys.iter().enumerate();
        all.fold("# id (file)\n".to_owned(), |text, (n, (file, _))| text + &format!("{n} ({file})\n"))
    }

    /// `*`: all of them.
    pub fn show_tls_key(&self, id: &str) -> String {
        let all: Vec<_> = match id {
            "*" => self
                .library
                .ticket_keys
                .iter()
                .enumerate()
                .map(|(n, (file, keys))| (n, file.as_str(), keys))
                .collect(),
            id => self.keys(id).into_iter().collect(),
        };
        if all.is_empty() {
            return "'show tls-keys' unable to locate referenced filename\n".into();
        }
        let mut text = "# id secret\n".to_owned();
        for (n, file, keys) in all {
            text += &format!("# {n} ({file})\n");
            for (place, secret) in keys.texts().iter().enumerate() {
                text += &format!("{n}.{place} {secret}\n");
            }
        }
        text
    }

    pub fn set_tls_key(&mut self, id: &str, secret: &str) -> String {
        match self.keys(id) {
            None => "'set ssl tls-key' unable to locate referenced filename\n".into(),
            Some((_, _, keys)) => match keys.push(secret) {
                Ok(()) => "TLS ticket key updated!\n".into(),
                Err(why) => format!("{why}\n"),
            },
        }
    }

    /// Those that have an answer, with what it is known by.
    fn stapled(&self) -> impl Iterator<Item = (String, &Arc<Material>)> {
        let all = self.certificates.values().flatten();
        all.filter_map(|material| Some((show::certificate_id(material)?, material)))
    }

    pub fn show_ocsp_responses(&self) -> String {
        let mut text = "# Certificate IDs\n".to_owned();
        for (id, material) in self.stapled() {
            let Some(answer) = answer(material) else { continue };
            text += &format!(
                "Certificate ID key : {id}\nCertificate path : {}\n Certificate ID:\n   Issuer Name Hash: {}\n   Issuer Key Hash: {}\n   Serial Number: {}\n",
                material.name,
                show::hex(&answer.name_hash),
                show::hex(&answer.key_hash),
                show::hex(&answer.serial),
            );
        }
        text
    }

    /// The answer about a certificate, by what it is known by or by the certificate's path.
    pub fn show_ocsp_response(&self, id: &str) -> Option<String> {
        let is_meant = |(own, material): &(String, &Arc<Material>)| *own == id || *material.name == *id;
        let (_, material) = self.stapled().find(is_meant)?;
        show::staple(material)
    }

    /// Puts an answer in place of that about the same certificate.
    pub fn set_ocsp_response(&mut self, text: &str, now_s: i64) -> String {
        let text: String = text.split_whitespace().collect();
        let Ok(response) = STANDARD.decode(text) else {
            return "'set ssl ocsp-response' received invalid base64 encoded response.\n".into();
        };
        let known: Vec<Arc<Material>> = self.stapled().map(|(_, material)| material.clone()).collect();
        let mut reason = "OCSP single response: Certificate ID does not match any certificate or issuer.";
        let mut is_done = false;
        for material in known {
            let Some((own, issuer)) = ocsp::pair(&material.certified.key.cert, material.issuer.as_ref())
            else {
                continue;
            };
            match ocsp::check(&response, own, issuer, now_s) {
                Ok(_) => {
                    let certified = material.certified.clone().stapling(Some(response.clone()));
                    let (issuer, sctl) = (material.issuer.clone(), material.sctl.clone());
                    let material =
                        Arc::new(Material { name: material.name.clone(), certified, issuer, sctl });
                    self.put(&material);
                    is_done = true;
                }
                Err(ocsp::OTHER) => {}
                Err(why) => reason = why,
            }
        }
        if is_done { "OCSP Response updated!\n".into() } else { format!("{reason}.\n") }
    }
}

fn answer(material: &Material) -> Option<ocsp::Answer> {
    let (own, issuer) = ocsp::pair(&material.certified.key.cert, material.issuer.as_ref())?;
    ocsp::read(material.certified.key.ocsp.as_ref()?, own, issuer).ok()
}
