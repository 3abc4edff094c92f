//! What a `bind` line shows to clients: which certificate, by which rules of TLS. It can change while it is in use.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use imbl::OrdMap;
use rustls::server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{ServerConfig, SignatureAlgorithm, SignatureScheme};
use xxhash_rust::xxh64::xxh64;

use super::crt_list::Line;
use super::filter::Filter;
use super::hello::{self, Hello};
use super::index::Index;
use super::library::{Library, Planned};
use super::material::{Material, Told};
use super::session::{Realm, Sessions};
use super::settings::{Basis, basis};
use super::store::best;
use super::suite::{Authentication, authenticates};
use super::ticket::{Keys, Tickets};
use super::trust::Trust;
use super::verifier::ClientVerifier;
use super::words::{BindWords, Ignored, Options, Verify};

/// As HAProxy's buffers give.
const EARLY_DATA_BYTES: u32 = 15_360;

/// The certificates and rules of a `bind` line.
pub struct Endpoint {
    /// Which line it is, for those who list endpoints.
    pub name: Box<str>,
    /// `FILE:LINE`, once it is known.
    place: OnceLock<Box<str>>,
    words: BindWords,
    /// The lists and directories that its words name.
    lists: Vec<Arc<str>>,
    shelf: ArcSwap<Shelf>,
    shared: Shared,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({}, {} certificates)", self.name, self.shelf.load().entries.len())
    }
}

/// What all configurations of an endpoint have in common.
struct Shared {
    sessions: Arc<Sessions>,
    keys: Option<Keys>,
}

/// What is shown now.
#[derive(Clone, Default)]
pub(super) struct Shelf {
    pub(super) entries: OrdMap<u32, Arc<Entry>>,
    index: Index,
    /// By the options of lines; `None` where an error was told.
    settings: HashMap<Options, Option<Arc<Settings>>>,
    next: u32,
}

/// A certificate as one line shows it.
pub(super) struct Entry {
    pub(super) material: Arc<Material>,
    pub(super) list: Option<(Arc<str>, usize)>,
    pub(super) line: Line,
    is_default: bool,
    settings: Arc<Settings>,
    /// With the protocols of the line, and without for clients who speak none of them.
    configs: [OnceLock<Arc<ServerConfig>>; 2],
}

/// The rules of a line.
pub(super) struct Settings {
    base: ServerConfig,
    suites: Vec<u16>,
    has_early_data: bool,
}

/// What a client is shown.
#[derive(Clone, Debug)]
pub struct Choice {
    pub config: Arc<ServerConfig>,
    pub material: Arc<Material>,
    /// `allow-0rtt`.
    pub has_early_data: bool,
}

/// A name that is served.
#[derive(Clone, Debug)]
pub struct Served {
    /// As a list writes it: `*` for those who ask for nothing else that is here.
    pub name: String,
    /// Names that its wildcard leaves out.
    pub except: Vec<String>,
    pub material: Arc<Material>,
}

/// A client that is shown nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub alert: u8,
}

impl Endpoint {
    /// Reads what the words of a line name. `name` says which line it is, and must be the same after a reload. `None`: an
    /// error was told.
    pub fn build(
        name: &str,
        words: BindWords,
        library: &mut Library<'_>,
        told: &mut Told,
    ) -> Option<Arc<Endpoint>> {
        let errors = told.errors.len();
        let keys = match &words.ticket_keys {
            _ if words.no_tickets => None,
            Some(file) => library.keys_of_tickets(file).map_err(|e| told.errors.push(e)).ok().map(Keys::File),
            None => match rustls::crypto::aws_lc_rs::Ticketer::new() {
                Ok(random) => Some(Keys::Random(random)),
                Err(e) => {
                    told.errors.push(format!("no keys of tickets: {e}."));
                    None
                }
            },
        };
        let planned = library.plan(&words.certificates, told);
        library.load(planned.iter().map(|of| of.line.crt.clone()), told);
        let shared = Shared { sessions: library.sessions.clone(), keys };
        let lists = library.lists_of(&words.certificates);
        let (name, place) = (name.into(), OnceLock::new());
        let endpoint = Endpoint { name, place, words, lists, shelf: ArcSwap::default(), shared };
        let mut shelf = Shelf::default();
        // The line's own rules are looked at even if no certificate goes by them.
        endpoint.settings(&mut shelf, &Options::default(), library, told);
        for of in &planned {
            for material in library.certificates(&of.line.crt).to_vec() {
                if let Some(settings) = endpoint.settings(&mut shelf, &of.line.options, library, told) {
                    shelf.add(material, of, settings);
                }
            }
        }
        if shelf.entries.is_empty() && told.errors.len() == errors {
            if endpoint.words.is_strict {
                told.warnings.push("no SSL certificate: every handshake will be refused.".into());
            } else {
                told.errors.push("no SSL certificate specified (use 'crt').".into());
            }
        }
        if told.errors.len() > errors {
            return None;
        }
        endpoint.shelf.store(Arc::new(shelf));
        Some(Arc::new(endpoint))
    }

    /// The rules of a line with these options of its own.
    fn settings(
        &self,
        shelf: &mut Shelf,
        own: &Options,
        library: &mut Library<'_>,
        told: &mut Told,
    ) -> Option<Arc<Settings>> {
        if let Some(settings) = shelf.settings.get(own) {
            return settings.clone();
        }
        let options = own.or(&self.words.options);
        let built = Settings::build(&self.name, &options, &self.words, &self.shared, library, told);
        shelf.settings.insert(own.clone(), built.clone());
        built
    }

    /// Says where its line is.
    pub fn stand_at(&self, place: String) {
        let _ = self.place.set(place.into());
    }

    /// Where its line is, for those who list endpoints; without that, which of its section's it is.
    pub(super) fn place(&self) -> &str {
        let own = || self.name.split_once('/').map_or(&*self.name, |(_, own)| own);
        self.place.get().map_or_else(own, |place| &**place)
    }

    /// The section of its line.
    pub(super) fn section(&self) -> &str {
        self.name.split_once('/').map_or(&*self.name, |(section, _)| section)
    }

    /// What a client is shown.
    pub fn choose(&self, hello: &Hello) -> Result<Choice, Refusal> {
        let shelf = self.shelf.load();
        let name = hello.name().and_then(|name| std::str::from_utf8(name).ok()).map(str::to_ascii_lowercase);
        let offered: Vec<SignatureScheme> = hello.signatures().map(SignatureScheme::from).collect();
        let can = |entry: &Arc<Entry>| entry.can(hello, &offered);
        let kind = |entry: &Arc<Entry>| entry.material.certified.key.key.algorithm();
        let named = name.as_deref().and_then(|name| best(shelf.of(shelf.index.named(name)), kind, can));
        let entry = match named {
            None if self.words.is_strict => None,
            None => best(shelf.of(shelf.index.defaults().iter().copied()), kind, can),
            named => named,
        };
        let entry = entry.ok_or(Refusal { alert: hello::UNRECOGNIZED_NAME })?;
        Ok(Choice {
            config: entry.config(hello),
            material: entry.material.clone(),
            has_early_data: entry.settings.has_early_data,
        })
    }

    /// What is shown to those who are not asked whom they look for: the first certificate, by the rules of its line.
    pub fn first(&self) -> Option<Arc<ServerConfig>> {
        let shelf = self.shelf.load();
        let entry = shelf.entries.values().next()?;
        let mut config = entry.settings.base.clone();
        config.cert_resolver = Arc::new(SingleCertAndKey::from(entry.material.certified.key.clone()));
        Some(Arc::new(config))
    }

    /// The certificates that are shown, each as often as lines show it.
    pub fn materials(&self) -> Vec<Arc<Material>> {
        self.shelf.load().entries.values().map(|entry| entry.material.clone()).collect()
    }

    /// Every name that is served, in the order of lines.
    pub fn served(&self) -> Vec<Served> {
        let mut served = Vec::new();
        for entry in self.shelf.load().entries.values() {
            let filters = entry.filters();
            let excepted = |filter: &Filter| match filter {
                Filter::Except(name) => Some(name.to_string()),
                _ => None,
            };
            let except: Vec<String> = filters.iter().filter_map(excepted).collect();
            for filter in filters {
                let (name, except) = match filter {
                    Filter::Exact(name) => (name.into_string(), Vec::new()),
                    Filter::Wildcard(rest) => (format!("*{rest}"), except.clone()),
                    Filter::Default => ("*".to_owned(), Vec::new()),
                    Filter::Except(_) => continue,
                };
                served.push(Served { name, except, material: entry.material.clone() });
            }
        }
        served
    }

    pub fn is_strict(&self) -> bool {
        self.words.is_strict
    }

    pub(super) fn shelf(&self) -> Arc<Shelf> {
        self.shelf.load_full()
    }

    pub(super) fn has_list(&self, list: &str) -> bool {
        self.lists.iter().any(|of| **of == *list)
    }

    /// Shows another certificate wherever one of its name is shown, and how many places that were.
    pub(super) fn replace(&self, material: &Arc<Material>) -> usize {
        let mut shelf = Shelf::clone(&self.shelf.load());
        let places: Vec<u32> = shelf.numbers(|entry| entry.material.name == material.name);
        for number in &places {
            shelf.change(*number, |entry| Entry { material: material.clone(), ..entry });
        }
        self.shelf.store(Arc::new(shelf));
        places.len()
    }

    /// Shows certificates by a line that a list got.
    pub(super) fn insert(
        &self,
        list: &Arc<str>,
        line: &Line,
        material: &Arc<Material>,
        library: &mut Library<'_>,
        told: &mut Told,
    ) -> Option<()> {
        let mut shelf = Shelf::clone(&self.shelf.load());
        let settings = self.settings(&mut shelf, &line.options, library, told)?;
        let planned =
            Planned { list: Some((list.clone(), line.number)), line: line.clone(), is_default: false };
        shelf.add(material.clone(), &planned, settings);
        self.shelf.store(Arc::new(shelf));
        Some(())
    }

    /// Whether it shows a line of a list to those who ask for nothing that is here.
    pub(super) fn defaults_to(&self, list: &str, line: usize) -> bool {
        let of = |entry: &Entry| entry.is_default && entry.is_of(list, line);
        !self.words.is_strict && self.shelf.load().entries.values().any(|entry| of(entry))
    }

    /// Shows a line of a list no more.
    pub(super) fn remove(&self, list: &str, line: usize) {
        let mut shelf = Shelf::clone(&self.shelf.load());
        for number in shelf.numbers(|entry| entry.is_of(list, line)) {
            shelf.remove(number);
        }
        self.shelf.store(Arc::new(shelf));
    }

    /// Reads authorities and revocations anew, for those lines that name a file; how many they are. `None`: an error was
    /// told, and nothing has changed.
    pub(super) fn trust_anew(&self, file: &str, library: &mut Library<'_>, told: &mut Told) -> Option<usize> {
        let mut shelf = Shelf::clone(&self.shelf.load());
        shelf.settings.retain(|own, _| !names(&own.or(&self.words.options), file, library));
        let uses = |entry: &Entry| names(&entry.line.options.or(&self.words.options), file, library);
        let places: Vec<u32> = shelf.numbers(uses);
        for number in &places {
            let options = shelf.entries.get(number)?.line.options.clone();
            let settings = self.settings(&mut shelf, &options, library, told)?;
            shelf.change(*number, |entry| Entry { settings, ..entry });
        }
        self.shelf.store(Arc::new(shelf));
        Some(places.len())
    }

    /// Whether a file of authorities or revocations is named.
    pub(super) fn uses(&self, file: &str, library: &Library<'_>) -> bool {
        names(&self.words.options, file, library)
            || self
                .shelf
                .load()
                .entries
                .values()
                .any(|entry| names(&entry.line.options.or(&self.words.options), file, library))
    }
}

fn names(options: &Options, file: &str, library: &Library<'_>) -> bool {
    let named = [&options.ca_file, &options.ca_verify_file, &options.crl_file];
    named.into_iter().flatten().any(|name| library.globals().ca(name).as_os_str() == file)
}

impl Shelf {
    fn add(&mut self, material: Arc<Material>, of: &Planned, settings: Arc<Settings>) {
        let number = self.next;
        self.next += 1;
        // The first of all is the default, and with it the other half of its bundle.
        let is_first = self.entries.len() < 2
            && self.entries.values().all(|entry| {
                entry.line.crt == of.line.crt && entry.list == of.list && entry.material.name != material.name
            });
        let entry = Entry {
            material,
            list: of.list.clone(),
            line: of.line.clone(),
            is_default: of.is_default || is_first,
            settings,
            configs: Default::default(),
        };
        self.index.add(number, entry.filters());
        if entry.is_default {
            self.index.default_to(number);
        }
        self.entries.insert(number, Arc::new(entry));
    }

    fn numbers(&self, is: impl Fn(&Entry) -> bool) -> Vec<u32> {
        self.entries.iter().filter(|(_, entry)| is(entry)).map(|(number, _)| *number).collect()
    }

    fn change(&mut self, number: u32, change: impl FnOnce(Entry) -> Entry) {
        let Some(before) = self.entries.get(&number).cloned() else { return };
        let after = change(Entry {
            material: before.material.clone(),
            list: before.list.clone(),
            line: before.line.clone(),
            is_default: before.is_default,
            settings: before.settings.clone(),
            configs: Default::default(),
        });
        self.index.remove(number, before.filters());
        self.index.add(number, after.filters());
        if after.is_default {
            self.index.default_to(number);
        }
        self.entries.insert(number, Arc::new(after));
    }

    fn remove(&mut self, number: u32) {
        if let Some(entry) = self.entries.remove(&number) {
            self.index.remove(number, entry.filters());
        }
    }

    fn of(&self, numbers: impl Iterator<Item = u32>) -> impl Iterator<Item = &Arc<Entry>> {
        numbers.filter_map(|number| self.entries.get(&number))
    }
}

impl Entry {
    fn is_of(&self, list: &str, line: usize) -> bool {
        self.list.as_ref().is_some_and(|(of, number)| **of == *list && *number == line)
    }

    fn filters(&self) -> Vec<Filter> {
        let own = || self.material.certified.names.iter().filter_map(|name| Filter::parse(name)).collect();
        self.line.names().unwrap_or_else(own)
    }

    /// Whether a client can check what this is shown with.
    fn can(&self, hello: &Hello, offered: &[SignatureScheme]) -> bool {
        let key = &self.material.certified.key.key;
        let is_rsa = key.algorithm() == SignatureAlgorithm::RSA;
        // Without the extension it knows SHA-1 alone, as clients of old.
        if offered.is_empty() || key.choose_scheme(offered).is_none() {
            return false;
        }
        let wanted = if is_rsa { Authentication::RSA } else { Authentication::ECDSA };
        let of_12 = |id: u16| self.settings.suites.contains(&id) && authenticates(id) == Some(wanted);
        hello.speaks(hello::TLS13) || hello.suites().any(of_12)
    }

    fn config(&self, hello: &Hello) -> Arc<ServerConfig> {
        let base = &self.settings.base;
        let spoken = |protocol: &[u8]| base.alpn_protocols.iter().any(|own| own == protocol);
        let mut offered = hello.protocols().peekable();
        let is_mute = offered.peek().is_some() && !offered.any(spoken);
        let [with, without] = &self.configs;
        let made = || {
            let mut config = base.clone();
            config.cert_resolver = Arc::new(SingleCertAndKey::from(self.material.certified.key.clone()));
            if is_mute {
                config.alpn_protocols = Vec::new();
            }
            Arc::new(config)
        };
        let cell = if is_mute && !base.alpn_protocols.is_empty() { without } else { with };
        cell.get_or_init(made).clone()
    }
}

impl Settings {
    fn build(
        name: &str,
        options: &Options,
        words: &BindWords,
        shared: &Shared,
        library: &mut Library<'_>,
        told: &mut Told,
    ) -> Option<Arc<Settings>> {
        let verification = verification(options, words, library).map_err(|e| told.errors.push(e)).ok()?;
        let forgives = [&words.crt_ignore_err, &words.ca_ignore_err];
        let is_lenient =
            verification.is_some() && forgives.iter().any(|errors| **errors != Ignored::default());
        let Basis { provider, versions, alpn } = basis(options, told)?;
        let suites = provider.cipher_suites.iter().map(|suite| u16::from(suite.suite())).collect();
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions);
        let builder = builder.map_err(|e| told.errors.push(format!("{e}."))).ok()?;
        let (builder, realm) = match verification {
            Some((verifier, realm)) => (builder.with_client_cert_verifier(verifier), realm),
            None => (builder.with_client_cert_verifier(WebPkiClientVerifier::no_client_auth()), 0),
        };
        let mut base = builder.with_cert_resolver(Arc::new(Nobody));
        base.alpn_protocols = alpn;
        base.ignore_client_order = !words.prefer_client_ciphers;
        if let Some(keys) = &shared.keys {
            base.ticketer = Arc::new(Tickets::new(keys.clone(), realm)) as Arc<dyn ProducesTickets>;
        }
        let own = xxh64(name.as_bytes(), realm);
        base.session_storage = Arc::new(Realm::new(shared.sessions.clone(), own));
        if options.has_early_data {
            // rustls takes them from sessions in the table alone, each once.
            base.ticketer = Arc::new(NoTickets);
            base.max_early_data_size = EARLY_DATA_BYTES;
        } else if library.globals().cache_blocks == 0 {
            base.session_storage = Arc::new(NoServerSessionStorage {});
        }
        if is_lenient {
            // A session does not hold what was wrong: who goes on with one would pass for one with nothing wrong.
            base.ticketer = Arc::new(NoTickets);
            base.session_storage = Arc::new(NoServerSessionStorage {});
            base.send_tls13_tickets = 0;
        }
        Some(Arc::new(Settings { base, suites, has_early_data: options.has_early_data }))
    }
}

/// Whom clients must please: a session with who pleased others is not gone on with, also after authorities or revocations
/// have changed.
fn realm(is_required: bool, trust: &Trust) -> u64 {
    let ders = trust.pinned.iter().map(|der| der.as_ref()).chain(trust.crls.iter().map(|der| der.as_ref()));
    ders.fold(1 + u64::from(is_required), |hash, der| xxh64(der, hash))
}

fn verification(
    options: &Options,
    words: &BindWords,
    library: &mut Library<'_>,
) -> Result<Option<(Arc<ClientVerifier>, u64)>, String> {
    let is_required = match options.verify {
        None | Some(Verify::None) => {
            // Still read, for what is wrong with them.
            for name in [&options.ca_file, &options.ca_verify_file].into_iter().flatten() {
                library.ca_file(name)?;
            }
            options.crl_file.as_deref().map(|name| library.crl_file(name)).transpose()?;
            return Ok(None);
        }
        Some(Verify::Optional) => false,
        Some(Verify::Required) => true,
    };
    let mut files = Vec::new();
    for name in [&options.ca_file, &options.ca_verify_file].into_iter().flatten() {
        files.push(library.ca_file(name)?);
    }
    if files.is_empty() {
        return Err("verify is enabled but no CA file specified.".into());
    }
    let crls = options.crl_file.as_deref().map(|name| library.crl_file(name)).transpose()?;
    let trust = Trust::of(&files, crls.as_deref());
    let hints = match &options.ca_file {
        Some(name) if !options.no_ca_names => {
            let told = Trust::of(&[library.ca_file(name)?], None);
            told.roots.subjects()
        }
        _ => Vec::new(),
    };
    let (own, ca) = (words.crt_ignore_err.clone(), words.ca_ignore_err.clone());
    let realm = realm(is_required, &trust);
    let verifier = ClientVerifier::new(&trust, hints, is_required, own, ca)?;
    Ok(Some((Arc::new(verifier), realm)))
}

/// What stands in a configuration before its certificate is known.
#[derive(Debug)]
struct Nobody;

impl rustls::server::ResolvesServerCert for Nobody {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }
}

#[derive(Debug)]
struct NoTickets;

impl ProducesTickets for NoTickets {
    fn enabled(&self) -> bool {
        false
    }

    fn lifetime(&self) -> u32 {
        0
    }

    fn encrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn decrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}
