//! The keys under which the cluster's secrets are sealed in the map. Managers alone have them, and pass them to each
//! other (see [`keepers`](super::keepers)); the map says by number under which a secret lies.
//!
//! Sealed is AES-256-GCM, bound to the name of what is sealed: a version byte, the key's number (eight bytes,
//! little-endian), the nonce, and what was sealed with its tag.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::credential::{CredentialError, read};
use crate::region::store::snapshot::write_private;

/// In the `data-dir` of a manager.
pub const FILE: &str = "manager.keys";
const VERSION: u8 = 1;
const HEAD: usize = 1 + 8 + NONCE_LEN;
/// Keys that are kept; older ones go first.
const KEYS: usize = 512;

/// One key. What is left behind when it goes is overwritten.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealingKey([u8; 32]);

impl SealingKey {
    /// A new one. `None` without a source of randomness.
    pub fn draw() -> Option<SealingKey> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).ok()?;
        Some(SealingKey(bytes))
    }
}

impl Drop for SealingKey {
    fn drop(&mut self) {
        self.0.fill(0);
        std::hint::black_box(&self.0);
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(...)")
    }
}

/// Keys by their numbers.
pub type Keys = BTreeMap<u64, SealingKey>;

/// The keys that this node has, in memory and in its `data-dir`.
pub struct Ring {
    path: PathBuf,
    keys: Mutex<Keys>,
    /// Up to which number other members said that they have the keys.
    others: Mutex<BTreeMap<u64, u64>>,
}

impl Ring {
    /// With what a `data-dir` has.
    pub fn open(dir: &Path) -> Result<Ring, CredentialError> {
        let path = dir.join(FILE);
        let broken = |e| {
            CredentialError::Io(path.display().to_string(), io::Error::new(io::ErrorKind::InvalidData, e))
        };
        let keys = match read(&path)? {
            Some(text) => postcard::from_bytes(&text).map_err(broken)?,
            None => Keys::new(),
        };
        Ok(Ring { keys: Mutex::new(keys), others: Mutex::default(), path })
    }

    fn lock(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn has(&self, number: u64) -> bool {
        self.lock().contains_key(&number)
    }

    /// The number of the newest key; 0 without any.
    pub fn newest(&self) -> u64 {
        self.lock().last_key_value().map_or(0, |(number, _)| *number)
    }

    /// Those above a number.
    pub fn above(&self, number: u64) -> Keys {
        self.lock().range(number.saturating_add(1)..).map(|(n, key)| (*n, key.clone())).collect()
    }

    /// A member said that it has the keys up to a number.
    pub fn held(&self, member: u64, number: u64) {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).insert(member, number);
    }

    /// Whether a member said that it has the key of a number.
    pub fn is_held(&self, member: u64, number: u64) -> bool {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.get(&member).is_some_and(|held| *held >= number)
    }

    /// Takes keys, durably: they are used only once the disk has them. Blocks on the disk.
    pub fn add(&self, more: Keys) -> Result<(), CredentialError> {
        let mut all = self.lock().clone();
        all.extend(more);
        while all.len() > KEYS {
            all.pop_first();
        }
        let failed = |e| CredentialError::Io(self.path.display().to_string(), e);
        let text = postcard::to_stdvec(&all).map_err(|e| failed(io::Error::other(e)))?;
        write_private(&self.path, &text).map_err(failed)?;
        *self.lock() = all;
        Ok(())
    }

    /// This node is no manager any more. Whether it had any. Blocks on the disk.
    pub fn forget(&self) -> Result<bool, CredentialError> {
        match std::fs::remove_file(&self.path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(CredentialError::Io(self.path.display().to_string(), e))
            }
            _ => Ok(!std::mem::take(&mut *self.lock()).is_empty()),
        }
    }

    /// Seals what has that name under that key. `None` without the key.
    pub fn seal(&self, number: u64, name: &str, text: &[u8]) -> Option<Bytes> {
        let key = self.lock().get(&number)?.clone();
        let mut sealed = text.to_vec();
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, &key.0).ok()?;
        let nonce = cipher.seal_in_place_append_tag(Aad::from(name), &mut sealed).ok()?;
        let mut out = Vec::with_capacity(HEAD + sealed.len());
        out.push(VERSION);
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(nonce.as_ref());
        out.append(&mut sealed);
        Some(out.into())
    }

    /// What was sealed under that name. `None` without the key, or if it is not what was sealed.
    pub fn unseal(&self, name: &str, sealed: &[u8]) -> Option<Bytes> {
        let key = self.lock().get(&number_of(sealed)?)?.clone();
        let nonce = Nonce::try_assume_unique_for_key(sealed.get(HEAD - NONCE_LEN..HEAD)?).ok()?;
        let mut text = sealed.get(HEAD..)?.to_vec();
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, &key.0).ok()?;
        let length = cipher.open_in_place(nonce, Aad::from(name), &mut text).ok()?.len();
        text.truncate(length);
        Some(text.into())
    }
}

/// The number of the key under which something is sealed.
pub fn number_of(sealed: &[u8]) -> Option<u64> {
    match sealed.split_first() {
        Some((&VERSION, rest)) => Some(u64::from_le_bytes(rest.get(..8)?.try_into().ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(numbers: impl IntoIterator<Item = u64>) -> Keys {
        numbers.into_iter().map(|number| (number, SealingKey::draw().unwrap())).collect()
    }

    #[test]
    fn what_is_sealed_opens_under_its_name_and_with_its_key_alone() {
        let dir = tempfile::tempdir().unwrap();
        let ring = Ring::open(dir.path()).unwrap();
        assert_eq!((ring.newest(), ring.seal(0, "a", b"text")), (0, None));
        ring.add(keys([3, 9])).unwrap();
        let sealed = ring.seal(9, "a", b"text").unwrap();
        assert!(!sealed.windows(4).any(|w| w == b"text") && number_of(&sealed) == Some(9));
        assert_eq!(ring.unseal("a", &sealed).as_deref(), Some(&b"text"[..]));
        assert_eq!(ring.unseal("b", &sealed), None);
        assert_ne!(ring.seal(9, "a", b"text").unwrap(), sealed, "a nonce of its own");
        for at in 0..sealed.len() {
            let mut bad = sealed.to_vec();
            bad[at] ^= 1;
            assert_eq!(ring.unseal("a", &bad), None, "{at}");
            assert_eq!(ring.unseal("a", &sealed[..at]), None, "{at}");
        }
        let other = tempfile::tempdir().unwrap();
        let other = Ring::open(other.path()).unwrap();
        other.add(keys([9])).unwrap();
        assert_eq!(other.unseal("a", &sealed), None);
        other.add(ring.above(3)).unwrap();
        assert_eq!(other.unseal("a", &sealed).as_deref(), Some(&b"text"[..]));
        assert!(!other.has(3) && ring.has(3));
    }

    #[test]
    fn keys_are_kept_and_forgotten() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let ring = Ring::open(dir.path()).unwrap();
        ring.add(keys(1..=600)).unwrap();
        let again = Ring::open(dir.path()).unwrap();
        assert!(again.newest() == 600 && again.has(600) && !again.has(1), "a bounded number");
        let path = dir.path().join(FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(again.forget().unwrap() && !path.exists() && again.newest() == 0);
        assert!(!again.forget().unwrap());
        std::fs::write(&path, b"\xff\xff\xff").unwrap();
        assert!(Ring::open(dir.path()).is_err());
    }
}
