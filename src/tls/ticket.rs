//! Tickets of sessions, sealed with keys from a file (`tls-ticket-keys`) so that other processes can open them, or with
//! random ones.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::server::ProducesTickets;

/// Of a ticket, as HAProxy's.
const LIFETIME_S: u32 = 7200;
const NAME_BYTES: usize = 16;
/// The last ones of a file are used.
const KEYS: usize = 3;
/// The place of the one that seals: its neighbours are the last and the next.
const SEALS: usize = 1;
const SIZES: [usize; 2] = [48, 80];

/// The keys of a file, from the oldest.
pub struct TicketKeys {
    secrets: ArcSwap<Vec<Secret>>,
    /// Of each key's bytes.
    size: usize,
    /// Of what the file said.
    digest: [u8; 32],
}

#[derive(Clone)]
struct Secret {
    bytes: Arc<[u8]>,
    key: Arc<LessSafeKey>,
}

/// Does not tell.
impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketKeys({} of {} bytes)", self.secrets.load().len(), self.size)
    }
}

impl Secret {
    fn of(bytes: &[u8]) -> Option<Secret> {
        let key = UnboundKey::new(&AES_256_GCM, digest(&SHA256, bytes).as_ref()).ok()?;
        Some(Secret { bytes: bytes.into(), key: Arc::new(LessSafeKey::new(key)) })
    }

    fn name(&self) -> &[u8] {
        self.bytes.get(..NAME_BYTES).unwrap_or_default()
    }
}

impl TicketKeys {
    /// Reads a file: a key in base64 on each line.
    pub fn parse(file: &str, text: &[u8]) -> Result<Arc<TicketKeys>, String> {
        let text = String::from_utf8_lossy(text);
        let mut secrets = Vec::new();
        let mut size = None;
        let lines = text.strip_suffix('\n').unwrap_or(&text).split('\n');
        for (n, line) in lines.enumerate() {
            let line_number = n + 1;
            let bytes = STANDARD
                .decode(line.strip_suffix('\r').unwrap_or(line))
                .map_err(|_| format!("'{file}' : unable to decode base64 key on line {line_number}"))?;
            let fits = SIZES.contains(&bytes.len()) && *size.get_or_insert(bytes.len()) == bytes.len();
            let secret = Secret::of(&bytes).filter(|_| fits);
            secrets.push(secret.ok_or_else(|| format!("'{file}' : wrong sized key on line {line_number}"))?);
        }
        if secrets.len() < KEYS {
            return Err(format!("'{file}' : please supply at least {KEYS} keys in the tls-tickets-file"));
        }
        let secrets = secrets.split_off(secrets.len() - KEYS);
        let mut own = [0; 32];
        own.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        let (secrets, size) = (ArcSwap::from_pointee(secrets), size.unwrap_or_default());
        Ok(Arc::new(TicketKeys { secrets, size, digest: own }))
    }

    /// Whether their files say the same, whatever keys came since.
    pub fn is_of_file_of(&self, other: &TicketKeys) -> bool {
        self.digest == other.digest
    }

    /// `set ssl tls-key`: the oldest leaves.
    pub fn push(&self, text: &str) -> Result<(), &'static str> {
        let bytes = STANDARD
            .decode(text)
            .map_err(|_| "'set ssl tls-key' received invalid base64 encoded TLS key.")?;
        let secret = Secret::of(&bytes).filter(|_| bytes.len() == self.size);
        let secret = secret.ok_or("'set ssl tls-key' received a key of wrong size.")?;
        self.secrets.rcu(|secrets| {
            let mut secrets: Vec<Secret> = secrets.iter().skip(1).cloned().collect();
            secrets.push(secret.clone());
            secrets
        });
        Ok(())
    }

    /// `show tls-keys`: from the oldest.
    pub fn texts(&self) -> Vec<String> {
        self.secrets.load().iter().map(|secret| STANDARD.encode(&secret.bytes)).collect()
    }

    fn seal(&self, realm: &[u8; 8], plain: &[u8]) -> Option<Vec<u8>> {
        let secrets = self.secrets.load();
        let secret = secrets.get(SEALS)?;
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut body = plain.to_vec();
        let sealed = Nonce::assume_unique_for_key(nonce);
        secret.key.seal_in_place_append_tag(sealed, Aad::from(realm), &mut body).ok()?;
        Some([secret.name(), &nonce, &body].concat())
    }

    fn open(&self, realm: &[u8; 8], ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_at_checked(NAME_BYTES)?;
        let (nonce, body) = rest.split_at_checked(NONCE_LEN)?;
        let secrets = self.secrets.load();
        let secret = secrets.iter().find(|secret| secret.name() == name)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = body.to_vec();
        let plain = secret.key.open_in_place(nonce, Aad::from(realm), &mut body).ok()?.len();
        body.truncate(plain);
        Some(body)
    }
}

/// Where the keys of tickets come from.
#[derive(Clone, Debug)]
pub enum Keys {
    File(Arc<TicketKeys>),
    /// Made here, and other ones every six hours.
    Random(Arc<dyn ProducesTickets>),
}

/// Tickets of those who are served alike: one of others is not opened.
#[derive(Debug)]
pub struct Tickets {
    keys: Keys,
    realm: [u8; 8],
}

impl Tickets {
    pub fn new(keys: Keys, realm: u64) -> Tickets {
        Tickets { keys, realm: realm.to_be_bytes() }
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        match &self.keys {
            Keys::File(_) => LIFETIME_S,
            Keys::Random(random) => random.lifetime().min(LIFETIME_S),
        }
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        match &self.keys {
            Keys::File(keys) => keys.seal(&self.realm, plain),
            Keys::Random(random) => random.encrypt(&[&self.realm, plain].concat()),
        }
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        match &self.keys {
            Keys::File(keys) => keys.open(&self.realm, ticket),
            Keys::Random(random) => {
                let plain = random.decrypt(ticket)?;
                Some(plain.strip_prefix(&self.realm)?.to_vec())
            }
        }
    }
}
