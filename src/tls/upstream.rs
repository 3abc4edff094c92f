//! What a `server` line says of TLS towards it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;

use super::library::Library;
use super::material::Told;
use super::settings::{Basis, basis};
use super::trust::Trust;
use super::verifier::{ServerVerifier, Unchecked};
use super::words::{ServerWords, Verify};

/// Sessions that are kept of a server, for its names together.
const SESSIONS: usize = 256;

/// How TLS is spoken to a server. It can change while it is in use; its copies change with it.
#[derive(Clone, Debug)]
pub struct Upstream {
    words: Arc<ServerWords>,
    configs: Arc<ArcSwap<Configs>>,
}

#[derive(Debug)]
struct Configs {
    own: Arc<ClientConfig>,
    /// Without the protocols of the line, for what speaks none (checks).
    mute: Arc<ClientConfig>,
}

impl Upstream {
    /// Reads what the words of a line name. `None`: an error was told.
    pub fn build(words: &ServerWords, library: &mut Library<'_>, told: &mut Told) -> Option<Upstream> {
        let configs = Configs::build(words, library, told)?;
        let configs = Arc::new(ArcSwap::from_pointee(configs));
        Some(Upstream { words: Arc::new(words.clone()), configs })
    }

    /// Takes what files hold now, where its line names this one; how many places that are. `None`: an error was told.
    pub(super) fn anew(&self, file: &str, library: &mut Library<'_>, told: &mut Told) -> Option<usize> {
        if !self.uses(file, library) {
            return Some(0);
        }
        self.configs.store(Arc::new(Configs::build(&self.words, library, told)?));
        Some(1)
    }

    /// Whether its line names a file.
    pub(super) fn uses(&self, file: &str, library: &Library<'_>) -> bool {
        let ServerWords { crt, options, .. } = &*self.words;
        let is_named = |name: &Option<String>, path: &dyn Fn(&str) -> PathBuf| {
            name.as_deref().is_some_and(|name| path(name).as_os_str() == file)
        };
        let globals = library.globals();
        is_named(crt, &|name| globals.crt(name))
            || [&options.ca_file, &options.crl_file]
                .iter()
                .any(|name| is_named(name, &|name| globals.ca(name)))
    }

    /// Leaves one of those that change together.
    pub fn distinct(all: &mut Vec<Upstream>) {
        let place = |of: &Upstream| Arc::as_ptr(&of.configs).addr();
        all.sort_by_key(place);
        all.dedup_by_key(|of| place(of));
    }

    pub fn config(&self) -> Arc<ClientConfig> {
        self.configs.load().own.clone()
    }

    /// The same offering other protocols: `check-alpn`, or none.
    pub fn speaking(&self, alpn: &[Vec<u8>]) -> Arc<ClientConfig> {
        let mute = self.configs.load().mute.clone();
        if alpn.is_empty() {
            return mute;
        }
        let mut config = ClientConfig::clone(&mute);
        config.alpn_protocols = alpn.to_vec();
        Arc::new(config)
    }
}

impl Configs {
    fn build(words: &ServerWords, library: &mut Library<'_>, told: &mut Told) -> Option<Configs> {
        let Basis { provider, versions, alpn } = basis(&words.options, told)?;
        let verifier = verifier(words, library).map_err(|e| told.errors.push(e)).ok()?;
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&versions);
        let builder = builder.map_err(|e| told.errors.push(format!("{e}."))).ok()?;
        let builder = builder.dangerous();
        let builder = match verifier {
            Some(verifier) => builder.with_custom_certificate_verifier(verifier),
            None => builder.with_custom_certificate_verifier(Arc::new(Unchecked)),
        };
        let mut config = match &words.crt {
            Some(name) => {
                let name = library.globals().crt(name).display().to_string();
                library.load([name.clone()], told);
                let [shown, ..] = library.certificates(&name) else { return None };
                builder.with_client_cert_resolver(shown.certified.alone())
            }
            None => builder.with_no_client_auth(),
        };
        config.resumption =
            if words.no_reuse { Resumption::disabled() } else { Resumption::in_memory_sessions(SESSIONS) };
        if words.no_tickets && !words.no_reuse {
            config.resumption =
                config.resumption.tls12_resumption(rustls::client::Tls12Resumption::SessionIdOnly);
        }
        let mut with = config.clone();
        with.alpn_protocols = alpn;
        // HAProxy goes on with a server that picked none of them.
        with.check_selected_alpn = false;
        Some(Configs { own: Arc::new(with), mute: Arc::new(config) })
    }
}

/// What a connection is made with: the name that is sent (`sni`), and checked then. With an address nothing is sent, and
/// `verifyhost` is checked if there is one. `None`: a name that TLS cannot send.
pub fn server_name(sni: Option<&[u8]>, address: IpAddr) -> Option<ServerName<'static>> {
    match sni {
        None | Some([]) => Some(ServerName::IpAddress(address.into())),
        Some(name) => {
            let name = std::str::from_utf8(name).ok()?;
            match ServerName::try_from(name.to_owned()).ok()? {
                // An address is no name of a host (RFC 6066), but a certificate may be for it.
                ServerName::IpAddress(_) => Some(ServerName::IpAddress(address.into())),
                name => Some(name),
            }
        }
    }
}

fn verifier(words: &ServerWords, library: &mut Library<'_>) -> Result<Option<Arc<ServerVerifier>>, String> {
    let options = &words.options;
    let ca = options.ca_file.as_deref().map(|name| library.ca_file(name)).transpose()?;
    if options.verify == Some(Verify::None) {
        return Ok(None);
    }
    let Some(ca) = ca else {
        return Err("verify is enabled by default but no CA file specified. If you're running on a LAN where you're certain to trust the server's certificate, please set an explicit 'verify none' statement on the 'server' line, or use 'ssl-server-verify none' in the global section to disable server-side verifications by default.".into());
    };
    let crls = options.crl_file.as_deref().map(|name| library.crl_file(name)).transpose()?;
    let trust = Trust::of(&[ca], crls.as_deref());
    let verifier = ServerVerifier::new(&trust, words.verify_host.as_deref(), super::provider::provider())?;
    Ok(Some(Arc::new(verifier)))
}
