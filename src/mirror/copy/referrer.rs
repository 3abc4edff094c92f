//! What refers to an image travels with it: signatures, bills of materials, attestations. As referrers where registries
//! know them, else under the tags that stand for them.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::copier::{Copied, Copier};
use super::image::MANIFESTS;
use crate::mirror::client::Fault;
use crate::mirror::digest::{Algorithm, Digest};
use crate::mirror::manifest::{Manifest, OCI_INDEX};

/// The digest that a tag like `sha256-<hex>` or `sha256-<hex>.sig` speaks of.
pub fn subject_of(tag: &str) -> Option<Digest> {
    let (algorithm, rest) = tag.split_once('-')?;
    let hex = rest.split_once('.').map_or(rest, |(hex, _)| hex);
    format!("{algorithm}:{hex}").parse().ok()
}

impl Copier {
    /// What refers to any of these, and to that again.
    pub(super) async fn companions(
        &self,
        seen: &mut HashSet<Digest>,
        tags: &[String],
        copied: &mut Copied,
    ) -> Result<(), Fault> {
        let by_tag: Vec<(&String, Digest)> =
            tags.iter().filter_map(|tag| Some((tag, subject_of(tag)?))).collect();
        let mut fresh: Vec<Digest> = seen.iter().cloned().collect();
        let mut knows_referrers = true;
        while let Some(subject) = fresh.pop() {
            let before = seen.clone();
            if knows_referrers {
                let found = {
                    let _slot = self.source.slot().await;
                    self.source.referrers(&self.from, &subject).await?
                };
                knows_referrers = found.is_some();
                for referrer in found.into_iter().flatten() {
                    if seen.len() > MANIFESTS {
                        return Err(Fault::Invalid(format!("{}: too many referrers", self.from)));
                    }
                    if !seen.contains(&referrer.digest) {
                        let manifest = self.fetch(&referrer.digest).await?;
                        self.tree(&manifest, None, seen, copied).await?;
                    }
                }
            }
            for (tag, _) in by_tag.iter().filter(|(_, of)| *of == subject) {
                self.companion(tag, seen, copied).await?;
            }
            fresh.extend(seen.difference(&before).cloned());
        }
        Ok(())
    }

    /// A tag that stands for what refers to something.
    async fn companion(
        &self,
        tag: &str,
        seen: &mut HashSet<Digest>,
        copied: &mut Copied,
    ) -> Result<(), Fault> {
        let at_source = {
            let _slot = self.source.slot().await;
            self.source.head_manifest(&self.from, tag).await?
        };
        let Some(digest) = at_source else { return Ok(()) };
        if self.has_manifest(tag).await?.as_ref() != Some(&digest) {
            let manifest = self.fetch(&digest).await?;
            self.tree(&manifest, Some(tag), seen, copied).await?;
        }
        Ok(())
    }

    /// Adds a manifest to the index of what refers to a subject, for a registry that keeps none by itself.
    pub(super) async fn note_referrer(&self, subject: &Digest, manifest: &Manifest) -> Result<(), Fault> {
        let (registry, tag) = (&self.target.registry, subject.as_tag());
        let _slot = registry.slot().await;
        let standing = registry.manifest(&self.to, &tag).await?;
        let mut index: Value = standing
            .and_then(|m| serde_json::from_slice(&m.bytes).ok())
            .unwrap_or_else(|| json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [] }));
        let Some(list) = index.get_mut("manifests").and_then(Value::as_array_mut) else { return Ok(()) };
        let digest = manifest.digest.to_string();
        if list.iter().any(|one| one["digest"] == digest.as_str()) {
            return Ok(());
        }
        let own: Value = serde_json::from_slice(&manifest.bytes).unwrap_or_default();
        let mut entry = json!({
            "mediaType": manifest.media_type, "digest": digest, "size": manifest.bytes.len(),
        });
        let kind = own.get("artifactType").or_else(|| own.get("config").and_then(|c| c.get("mediaType")));
        for (name, value) in [("artifactType", kind), ("annotations", own.get("annotations"))] {
            if let Some(value) = value {
                entry[name] = value.clone();
            }
        }
        list.push(entry);
        let wrong = |e| Fault::Invalid(format!("{tag}: {e}"));
        let index = Manifest::parse(index.to_string().into(), OCI_INDEX, Algorithm::Sha256).map_err(wrong)?;
        registry.put_manifest(&self.to, &tag, &index).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_speak_of_a_digest() {
        let digest = Digest::of(Algorithm::Sha256, b"x");
        assert_eq!(subject_of(&digest.as_tag()), Some(digest.clone()));
        assert_eq!(subject_of(&format!("{}.sig", digest.as_tag())), Some(digest));
        assert_eq!(subject_of("latest"), None);
        assert_eq!(subject_of("sha256-12"), None);
    }
}
