//! Digests of content (OCI image specification, "Digests"), and how one is computed while bytes go by.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest as _, Sha256, Sha512};

use crate::base::hex::to_hex;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    const fn digits(self) -> usize {
        match self {
            Algorithm::Sha256 => 64,
            Algorithm::Sha512 => 128,
        }
    }
}

/// `sha256:<64 hexadecimal digits>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest {
    algorithm: Algorithm,
    hex: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no digest: write sha256: and 64 hexadecimal digits in lower case")]
pub struct NoDigest(String);

impl Digest {
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// Of bytes that are here whole.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.digest()
    }

    /// The tag under which registries without referrers keep what refers to this (distribution specification,
    /// "Referrers Tag Schema"), and to which cosign adds `.sig`, `.att` and `.sbom`.
    pub fn as_tag(&self) -> String {
        format!("{}-{}", self.algorithm.name(), self.hex)
    }
}

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Digest, NoDigest> {
        let wrong = || NoDigest(text.chars().take(160).collect());
        let (name, hex) = text.split_once(':').ok_or_else(wrong)?;
        let algorithm = [Algorithm::Sha256, Algorithm::Sha512].into_iter().find(|a| a.name() == name);
        let algorithm = algorithm.ok_or_else(wrong)?;
        let is_hex = hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if hex.len() != algorithm.digits() || !is_hex {
            return Err(wrong());
        }
        Ok(Digest { algorithm, hex: hex.into() })
    }
}

impl TryFrom<String> for Digest {
    type Error = NoDigest;

    fn try_from(text: String) -> Result<Digest, NoDigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A digest that is being computed. It can be put down and taken up again by another process.
#[derive(Clone)]
pub enum Hasher {
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

impl Hasher {
    pub fn new(algorithm: Algorithm) -> Hasher {
        match algorithm {
            Algorithm::Sha256 => Hasher::Sha256(Sha256::new()),
            Algorithm::Sha512 => Hasher::Sha512(Box::default()),
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(state) => state.update(bytes),
            Hasher::Sha512(state) => state.update(bytes),
        }
    }

    pub fn digest(&self) -> Digest {
        let (algorithm, bytes) = match self {
            Hasher::Sha256(state) => (Algorithm::Sha256, state.clone().finalize().to_vec()),
            Hasher::Sha512(state) => (Algorithm::Sha512, state.clone().finalize().to_vec()),
        };
        Digest { algorithm, hex: to_hex(&bytes).into() }
    }

    pub fn put_down(&self) -> Vec<u8> {
        match self {
            Hasher::Sha256(state) => state.serialize().to_vec(),
            Hasher::Sha512(state) => state.serialize().to_vec(),
        }
    }

    /// What was put down by a hasher of that algorithm.
    pub fn take_up(algorithm: Algorithm, bytes: &[u8]) -> Option<Hasher> {
        Some(match algorithm {
            Algorithm::Sha256 => {
                let state = SerializedState::<Sha256>::try_from(bytes).ok()?;
                Hasher::Sha256(Sha256::deserialize(&state).ok()?)
            }
            Algorithm::Sha512 => {
                let state = SerializedState::<Sha512>::try_from(bytes).ok()?;
                Hasher::Sha512(Box::new(Sha512::deserialize(&state).ok()?))
            }
        })
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn digests_are_read_written_and_computed() {
        let digest: Digest = ABC.parse().expect("a digest");
        assert_eq!(digest.to_string(), ABC);
        assert_eq!(Digest::of(Algorithm::Sha256, b"abc"), digest);
        assert_eq!(digest.as_tag(), ABC.replace(':', "-"));
        let long = Digest::of(Algorithm::Sha512, b"abc");
        assert!(long.to_string().starts_with("sha512:ddaf35a193617aba"));
        assert_eq!(long.to_string().parse::<Digest>(), Ok(long));
        for wrong in ["", "sha256:", "sha256:AB", "md5:0", &ABC.to_uppercase(), &ABC[1..], &ABC[..70]] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_hasher_is_put_down_and_taken_up_at_any_byte() {
        let bytes: Vec<u8> = (0..1000_u32).map(|n| n as u8).collect();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            for at in [0, 1, 63, 64, 65, 127, 128, 500, 1000] {
                let mut hasher = Hasher::new(algorithm);
                hasher.update(&bytes[..at]);
                let mut hasher = Hasher::take_up(algorithm, &hasher.put_down()).expect("a state");
                hasher.update(&bytes[at..]);
                assert_eq!(hasher.digest(), Digest::of(algorithm, &bytes), "{at}");
            }
            assert!(Hasher::take_up(algorithm, b"short").is_none());
        }
    }
}
