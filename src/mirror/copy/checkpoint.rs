//! How far the upload of a large blob is, so that another process goes on with it.

use std::pin::Pin;

use serde::{Deserialize, Serialize};

use crate::mirror::client::Upload;
use crate::mirror::digest::{Digest, Hasher};

/// Where checkpoints are kept. What is kept there for long is bounded: one for each blob that is on its way.
pub trait Keeper: Send + Sync {
    fn load(&self, key: &str) -> Option<Vec<u8>>;
    /// Returns when it is kept, or after a while when it cannot be: what is sent from then on may have to be sent again.
    fn save(&self, key: &str, value: Vec<u8>) -> Saved<'_>;
    fn clear(&self, key: &str);
}

pub type Saved<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Keeps nothing.
pub struct Nowhere;

impl Keeper for Nowhere {
    fn load(&self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn save(&self, _: &str, _: Vec<u8>) -> Saved<'_> {
        Box::pin(async {})
    }

    fn clear(&self, _: &str) {}
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub location: String,
    pub at: u64,
    /// The digest of what lies before that, as far as it is computed.
    pub hash: Vec<u8>,
}

impl Checkpoint {
    pub fn of(upload: &Upload, hasher: &Hasher) -> Checkpoint {
        Checkpoint { location: upload.location.clone(), at: upload.at, hash: hasher.put_down() }
    }

    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub fn decode(bytes: &[u8]) -> Option<Checkpoint> {
        serde_json::from_slice(bytes).ok()
    }

    /// Where to read the source from and with what, when the registry has so many bytes: what is behind this
    /// checkpoint is read for its digest alone.
    pub fn resume(&self, digest: &Digest, has: u64) -> (u64, Hasher) {
        let anew = || (0, Hasher::new(digest.algorithm()));
        if has < self.at {
            return anew();
        }
        Hasher::take_up(digest.algorithm(), &self.hash).map_or_else(anew, |hasher| (self.at, hasher))
    }
}

/// One blob on its way to one repository.
pub fn key(target: &str, repository: &str, digest: &Digest) -> String {
    format!("{target}/{repository}@{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::digest::Algorithm;

    #[test]
    fn a_checkpoint_is_gone_on_with_where_the_registry_is() {
        let digest = Digest::of(Algorithm::Sha256, b"abcdef");
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(b"abc");
        let checkpoint = Checkpoint::of(&Upload { location: "/l".into(), at: 3 }, &hasher);
        let checkpoint = Checkpoint::decode(&checkpoint.encode()).expect("one");
        for has in [3, 5] {
            let (at, mut hasher) = checkpoint.resume(&digest, has);
            hasher.update(b"def");
            assert_eq!((at, hasher.digest()), (3, digest.clone()));
        }
        let (at, mut hasher) = checkpoint.resume(&digest, 2);
        hasher.update(b"abcdef");
        assert_eq!((at, hasher.digest()), (0, digest));
        assert_eq!(Checkpoint::decode(b"x"), None);
    }
}
