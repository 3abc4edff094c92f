//! Manifests as far as a mirror looks into them. What is stored is always the bytes as they came: a manifest that is
//! written anew has another digest.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::digest::{Algorithm, Digest};

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// What a registry is to answer with: without these docker-registry says 404 to OCI manifests.
pub const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                          application/vnd.docker.distribution.manifest.v2+json, \
                          application/vnd.docker.distribution.manifest.list.v2+json";

/// Bytes of a manifest at most: the specification's least that a registry must take.
pub const BYTES: usize = 4 << 20;
/// Manifests in an index, and layers in a manifest.
const PARTS: usize = 4096;

/// What names other content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Where content is that no registry holds ("foreign layers").
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    #[serde(default)]
    pub os: String,
    #[serde(default)]
    pub architecture: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// `os/architecture[/variant]`; without a variant any.
    pub fn parse(text: &str) -> Option<Platform> {
        let mut parts = text.split('/');
        let (os, architecture) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        let variant = parts.next().map(str::to_owned);
        let is_word =
            |s: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        let good = is_word(&os) && is_word(&architecture) && variant.as_deref().is_none_or(is_word);
        (good && parts.next().is_none()).then_some(Platform { os, architecture, variant })
    }

    /// Whether an image of that platform is what is asked for here.
    pub fn takes(&self, other: &Platform) -> bool {
        self.os == other.os
            && self.architecture == other.architecture
            && self.variant.as_ref().is_none_or(|wanted| other.variant.as_ref() == Some(wanted))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    /// Of OCI's former artifact manifests.
    blobs: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
}

/// A manifest: its bytes, and what they name.
#[derive(Clone, Debug)]
pub struct Manifest {
    pub bytes: Bytes,
    pub media_type: String,
    pub digest: Digest,
    /// Manifests of an index.
    pub children: Vec<Descriptor>,
    /// Configuration and layers.
    pub blobs: Vec<Descriptor>,
    pub subject: Option<Descriptor>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("a manifest that does not read: {0}")]
    Json(String),
    #[error("a manifest of schema 1, which has no digests of its own: push it anew")]
    Schema1,
    #[error("a manifest with more than {PARTS} parts")]
    Parts,
}

impl Manifest {
    /// `said`: the media type that came with it, which the manifest's own has to be if it names one.
    pub fn parse(bytes: Bytes, said: &str, algorithm: Algorithm) -> Result<Manifest, ManifestError> {
        let shape: Shape = serde_json::from_slice(&bytes).map_err(|e| ManifestError::Json(e.to_string()))?;
        let said = said.split(';').next().unwrap_or_default().trim();
        let is_known = |kind: &str| [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST].contains(&kind);
        let media_type = match shape.media_type {
            Some(own) => own,
            None if is_known(said) => said.to_owned(),
            None if shape.manifests.is_some() => OCI_INDEX.to_owned(),
            None if shape.layers.is_some() => OCI_MANIFEST.to_owned(),
            None => return Err(ManifestError::Schema1),
        };
        let parts = [shape.layers, shape.blobs].into_iter().flatten().flatten();
        let blobs: Vec<Descriptor> = shape.config.into_iter().chain(parts).collect();
        let children = shape.manifests.unwrap_or_default();
        if blobs.len() > PARTS || children.len() > PARTS {
            return Err(ManifestError::Parts);
        }
        let digest = Digest::of(algorithm, &bytes);
        Ok(Manifest { bytes, media_type, digest, children, blobs, subject: shape.subject })
    }

    pub fn is_index(&self) -> bool {
        matches!(self.media_type.as_str(), OCI_INDEX | DOCKER_LIST)
    }

    /// Blobs that a registry has, each once.
    pub fn own_blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let first = |at: usize, one: &Descriptor| !self.blobs.iter().take(at).any(|b| b.digest == one.digest);
        let all = self.blobs.iter().enumerate().filter(move |(at, blob)| first(*at, blob));
        all.map(|(_, blob)| blob).filter(|blob| blob.urls.is_empty())
    }

    /// What an index is for these platforms: the one manifest that is left, or an index of those that are. The index
    /// itself where nothing is taken from it.
    pub fn only(&self, platforms: &[Platform]) -> Result<Only, ManifestError> {
        let wanted = |child: &Descriptor| {
            child.platform.as_ref().is_some_and(|its| platforms.iter().any(|wanted| wanted.takes(its)))
        };
        if platforms.is_empty() || !self.is_index() || self.children.iter().all(wanted) {
            return Ok(Only::Whole);
        }
        let mut left = self.children.iter().filter(|child| wanted(child));
        match (left.next(), left.next()) {
            (None, _) => Ok(Only::Nothing),
            (Some(child), None) => Ok(Only::One(child.clone())),
            _ => {
                let mut value: Value =
                    serde_json::from_slice(&self.bytes).map_err(|e| ManifestError::Json(e.to_string()))?;
                if let Some(list) = value.get_mut("manifests").and_then(Value::as_array_mut) {
                    let mut kept = self.children.iter().map(wanted);
                    list.retain(|_| kept.next().unwrap_or(false));
                }
                let bytes = Bytes::from(value.to_string());
                Manifest::parse(bytes, &self.media_type, self.digest.algorithm())
                    .map(|m| Only::Some(Box::new(m)))
            }
        }
    }
}

/// What platforms leave of an index.
#[derive(Clone, Debug)]
pub enum Only {
    Whole,
    /// An index of fewer, with a digest of its own.
    Some(Box<Manifest>),
    One(Descriptor),
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: u8) -> Digest {
        Digest::of(Algorithm::Sha256, &[n])
    }

    fn index(platforms: &[&str]) -> Manifest {
        let child = |(n, text): (usize, &&str)| {
            let platform = Platform::parse(text).expect("a platform");
            Descriptor {
                media_type: OCI_MANIFEST.into(),
                digest: digest(n as u8),
                size: 7,
                platform: Some(platform),
                urls: Vec::new(),
            }
        };
        let manifests: Vec<Descriptor> = platforms.iter().enumerate().map(child).collect();
        let text = serde_json::json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests });
        Manifest::parse(text.to_string().into(), OCI_INDEX, Algorithm::Sha256).expect("an index")
    }

    #[test]
    fn a_manifest_names_its_blobs_once_and_not_the_foreign_ones() {
        let one = |n: u8| serde_json::json!({ "mediaType": "x", "digest": digest(n), "size": 3 });
        let mut foreign = one(9);
        foreign["urls"] = serde_json::json!(["http://elsewhere/"]);
        let text = serde_json::json!({
            "schemaVersion": 2, "config": one(1), "layers": [one(2), one(2), foreign], "subject": one(5),
        });
        let said = "application/vnd.oci.image.manifest.v1+json; charset=utf-8";
        let manifest = Manifest::parse(text.to_string().into(), said, Algorithm::Sha256).expect("a manifest");
        let blobs: Vec<&Digest> = manifest.own_blobs().map(|blob| &blob.digest).collect();
        assert_eq!(blobs, [&digest(1), &digest(2)]);
        assert_eq!((manifest.media_type.as_str(), manifest.is_index()), (OCI_MANIFEST, false));
        assert_eq!(manifest.subject.map(|subject| subject.digest), Some(digest(5)));
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let parse =
            |text: &str| Manifest::parse(text.to_owned().into(), "", Algorithm::Sha256).map(|m| m.media_type);
        assert!(matches!(parse("{"), Err(ManifestError::Json(_))));
        assert_eq!(parse(r#"{"schemaVersion":1,"fsLayers":[]}"#), Err(ManifestError::Schema1));
        assert!(matches!(parse(r#"{"config":{"digest":"sha256:1","size":1}}"#), Err(ManifestError::Json(_))));
    }

    #[test]
    fn platforms_leave_one_some_all_or_none() {
        let whole = index(&["linux/amd64", "linux/arm64", "linux/arm/v7"]);
        let only = |wanted: &[&str]| {
            let wanted: Vec<Platform> = wanted.iter().filter_map(|text| Platform::parse(text)).collect();
            whole.only(&wanted).expect("an index")
        };
        assert!(matches!(only(&[]), Only::Whole));
        assert!(matches!(only(&["linux/amd64", "linux/arm64", "linux/arm"]), Only::Whole));
        assert!(matches!(only(&["linux/arm/v7"]), Only::One(one) if one.digest == digest(2)));
        assert!(matches!(only(&["windows/amd64"]), Only::Nothing));
        let Only::Some(two) = only(&["linux/amd64", "linux/arm64"]) else { panic!("two") };
        assert!(two.children.len() == 2 && two.digest != whole.digest && two.media_type == OCI_INDEX);
        let Only::Some(again) = only(&["linux/arm64", "linux/amd64"]) else { panic!("two") };
        assert_eq!(again.digest, two.digest, "always the same");
        assert_eq!(Platform::parse("linux"), None);
        assert_eq!(Platform::parse("a/b/c/d"), None);
    }
}
