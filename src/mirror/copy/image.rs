//! One image: its manifests from the leaves up, so that nothing is ever named that is not there whole.

use std::collections::HashSet;

use tokio::task::JoinSet;

use super::blob::How;
use super::copier::{Copied, Copier};
use crate::mirror::client::Fault;
use crate::mirror::digest::Digest;
use crate::mirror::manifest::{Descriptor, Manifest, Only};

/// Indexes within indexes.
const DEPTH: usize = 4;
/// Bytes of all manifests of an index together.
const TREE_BYTES: usize = 64 << 20;
/// Manifests of an image with all that refers to them.
pub(super) const MANIFESTS: usize = 4096;

impl Copier {
    /// Copies what a digest names, under a tag, with what refers to it. `tags` are all those of the source.
    pub async fn image(&self, tag: &str, digest: &Digest, tags: &[String]) -> Result<Copied, Fault> {
        let mut copied = Copied::default();
        let mut seen = HashSet::new();
        let top = self.top(digest).await?;
        self.tree(&top, Some(tag), &mut seen, &mut copied).await?;
        if self.platforms.is_empty() {
            self.companions(&mut seen, tags, &mut copied).await?;
        }
        Ok(copied)
    }

    /// What is copied in the place of a manifest, by the platforms that are wanted.
    async fn top(&self, digest: &Digest) -> Result<Manifest, Fault> {
        let whole = self.fetch(digest).await?;
        let only = whole
            .only(&self.platforms)
            .map_err(|e| Fault::Invalid(format!("{}@{digest}: {e}", self.from)))?;
        match only {
            Only::Whole => Ok(whole),
            Only::Some(some) => Ok(*some),
            Only::One(child) => self.fetch(&child.digest).await,
            Only::Nothing => {
                Err(Fault::Invalid(format!("{}@{digest} is for none of the platforms", self.from)))
            }
        }
    }

    pub(super) async fn fetch(&self, digest: &Digest) -> Result<Manifest, Fault> {
        let _slot = self.source.slot().await;
        let found = self.source.manifest(&self.from, &digest.to_string()).await?;
        found.ok_or_else(|| Fault::Status {
            host: self.source.host().to_owned(),
            what: format!("{}@{digest}", self.from),
            status: 404,
            words: "not there (any more)".into(),
        })
    }

    /// A manifest with all that it names, unless the target has it: then it has those too.
    pub(super) async fn tree(
        &self,
        top: &Manifest,
        tag: Option<&str>,
        seen: &mut HashSet<Digest>,
        copied: &mut Copied,
    ) -> Result<(), Fault> {
        let mut manifests = vec![top.clone()];
        let (mut known, mut bytes) = (HashSet::from([top.digest.clone()]), top.bytes.len());
        let (mut next, mut depth) = (vec![top.children.clone()], 0);
        while let Some(children) = next.pop() {
            depth += 1;
            if depth > DEPTH * MANIFESTS || manifests.len() > MANIFESTS {
                return Err(Fault::Invalid(format!("{}@{}: too many manifests", self.from, top.digest)));
            }
            for child in children {
                if !known.insert(child.digest.clone()) {
                    continue;
                }
                let manifest = self.fetch(&child.digest).await?;
                bytes += manifest.bytes.len();
                if bytes > TREE_BYTES || known.len() > MANIFESTS {
                    return Err(Fault::Invalid(format!("{}@{}: too many manifests", self.from, top.digest)));
                }
                next.push(manifest.children.clone());
                manifests.push(manifest);
            }
        }
        seen.extend(manifests.iter().map(|manifest| manifest.digest.clone()));
        // Parents come before children in the list: written from its end.
        for (at, manifest) in manifests.iter().enumerate().rev() {
            self.check_stop()?;
            let (is_top, by_digest) = (at == 0, manifest.digest.to_string());
            let is_there = self.has_manifest(&by_digest).await?.as_ref() == Some(&manifest.digest);
            if !is_there {
                self.blobs(manifest, copied).await?;
            }
            let reference = tag.filter(|_| is_top).unwrap_or(&by_digest);
            if is_there && reference == by_digest {
                continue;
            }
            if let Err(fault) = self.put(manifest, reference).await {
                if !fault.is_status(400) && !fault.is_status(404) {
                    return Err(fault);
                }
                // What was there is gone: the registry was emptied, or has collected what it took for garbage.
                manifest.own_blobs().for_each(|blob| self.target.known.forget(&blob.digest));
                self.blobs(manifest, copied).await?;
                self.put(manifest, reference).await?;
            }
            copied.manifests += 1;
        }
        Ok(())
    }

    pub(super) async fn has_manifest(&self, reference: &str) -> Result<Option<Digest>, Fault> {
        let _slot = self.target.registry.slot().await;
        self.target.registry.head_manifest(&self.to, reference).await
    }

    pub(super) async fn put(&self, manifest: &Manifest, reference: &str) -> Result<(), Fault> {
        let is_noted = {
            let _slot = self.target.registry.slot().await;
            self.target.registry.put_manifest(&self.to, reference, manifest).await?
        };
        match &manifest.subject {
            Some(subject) if !is_noted => self.note_referrer(&subject.digest, manifest).await,
            _ => Ok(()),
        }
    }

    /// All blobs of a manifest, some at a time.
    async fn blobs(&self, manifest: &Manifest, copied: &mut Copied) -> Result<(), Fault> {
        let mut wanted = manifest.own_blobs().cloned().collect::<Vec<Descriptor>>().into_iter();
        let mut running: JoinSet<Result<How, Fault>> = JoinSet::new();
        loop {
            while running.len() < self.parallel.max(1)
                && let Some(blob) = wanted.next()
            {
                let copier = self.clone();
                running.spawn(async move { copier.blob(&blob).await });
            }
            match running.join_next().await {
                None => return Ok(()),
                Some(Ok(Ok(How::Present))) => copied.present += 1,
                Some(Ok(Ok(How::Mounted))) => copied.mounted += 1,
                Some(Ok(Ok(How::Sent))) => copied.sent += 1,
                Some(Ok(Err(fault))) => return Err(fault),
                Some(Err(e)) => return Err(Fault::Invalid(format!("a transfer ended: {e}"))),
            }
        }
    }
}
