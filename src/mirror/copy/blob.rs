//! One blob from a repository to another: not at all where it is there, by a mount where the registry has it elsewhere,
//! else in pieces, each of which may be the last that this process sends.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use super::checkpoint::{Checkpoint, key};
use super::copier::Copier;
use super::tap::{Tap, What};
use crate::mirror::client::backoff::{REQUEST, chance};
use crate::mirror::client::payload::{Payload, Shared};
use crate::mirror::client::{Fault, Upload};
use crate::mirror::digest::{Digest, Hasher};
use crate::mirror::manifest::Descriptor;

/// Bytes of a piece. What fits into one is sent with the end of its upload.
pub const PIECE: u64 = 16 << 20;

/// How a blob came to be where it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Present,
    Mounted,
    Sent,
}

impl Copier {
    /// Sees to it that the target has a blob.
    pub(super) async fn blob(&self, blob: &Descriptor) -> Result<How, Fault> {
        let digest = &blob.digest;
        let known = self.target.known.has(digest);
        if known.as_deref() == Some(&*self.to) {
            return Ok(How::Present);
        }
        let turn = self.target.known.turn(digest);
        let _turn = turn.lock().await;
        let _slots = self.slots().await;
        if self.target.registry.has_blob(&self.to, digest).await? {
            self.target.known.put(digest, &self.to);
            return Ok(How::Present);
        }
        let elsewhere = self.target.known.has(digest);
        let how = match self.keeper.load(&self.key(digest)).as_deref().and_then(Checkpoint::decode) {
            Some(checkpoint) => self.send(blob, None, Some(checkpoint)).await?,
            None => {
                let mount = elsewhere.as_deref().filter(|from| **from != *self.to).map(|from| (digest, from));
                match self.target.registry.begin_upload(&self.to, mount).await? {
                    None => How::Mounted,
                    Some(upload) => {
                        if mount.is_some() {
                            self.target.known.forget(digest);
                        }
                        self.send(blob, Some(upload), None).await?
                    }
                }
            }
        };
        self.target.known.put(digest, &self.to);
        Ok(how)
    }

    fn key(&self, digest: &Digest) -> String {
        key(&self.target.registry.access.name, &self.to, digest)
    }

    /// Sends a blob, as often as it takes.
    async fn send(
        &self,
        blob: &Descriptor,
        upload: Option<Upload>,
        mut checkpoint: Option<Checkpoint>,
    ) -> Result<How, Fault> {
        let (mut upload, mut failed) = (upload, 0);
        self.meter.due.fetch_add(blob.size, Ordering::Relaxed);
        loop {
            let mut best = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.at);
            let tried = self.try_send(blob, upload.take(), &mut checkpoint).await;
            let Err(fault) = tried else {
                self.keeper.clear(&self.key(&blob.digest));
                return Ok(How::Sent);
            };
            if matches!(fault, Fault::Corrupt { .. }) {
                // Which of its bytes are wrong nobody knows.
                (checkpoint, best) = (None, 0);
                self.keeper.clear(&self.key(&blob.digest));
            }
            let is_further = checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.at > best);
            failed = if is_further { 1 } else { failed + 1 };
            // What the registry does not take any more may be begun anew.
            let may_help =
                fault.is_passing() || fault.is_status(404) || fault.is_status(416) || fault.is_status(400);
            match REQUEST.after(failed, chance()).filter(|_| may_help) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(fault),
            }
        }
    }

    /// Goes on from a checkpoint as far as the registry has it, or begins.
    async fn start(
        &self,
        blob: &Descriptor,
        upload: Option<Upload>,
        checkpoint: &mut Option<Checkpoint>,
    ) -> Result<(Upload, Tap), Fault> {
        let what = Arc::new(What {
            source: self.source.clone(),
            repository: self.from.clone(),
            digest: blob.digest.clone(),
            size: blob.size,
            meter: self.meter.clone(),
            pace: self.pace.clone(),
            stop: self.stop.clone(),
        });
        let anew = || Hasher::new(blob.digest.algorithm());
        if let (None, Some(known)) = (&upload, checkpoint.as_ref()) {
            let status = self.target.registry.upload_status(&self.to, &known.location).await?;
            match status.filter(|upload| upload.at <= blob.size) {
                Some(upload) => {
                    let (at, hasher) = known.resume(&blob.digest, upload.at);
                    let mut tap = Tap::new(what, at, hasher, upload.at);
                    tap.settle().await?;
                    return Ok((upload, tap));
                }
                None => *checkpoint = None,
            }
        }
        let upload = match upload {
            Some(upload) => upload,
            None => match self.target.registry.begin_upload(&self.to, None).await? {
                Some(upload) => upload,
                None => {
                    return Err(Fault::Invalid(format!(
                        "{}: made a blob of nothing",
                        self.target.registry.host()
                    )));
                }
            },
        };
        Ok((upload, Tap::new(what, 0, anew(), 0)))
    }

    async fn try_send(
        &self,
        blob: &Descriptor,
        upload: Option<Upload>,
        checkpoint: &mut Option<Checkpoint>,
    ) -> Result<(), Fault> {
        let (mut upload, tap) = self.start(blob, upload, checkpoint).await?;
        let tap = Arc::new(Mutex::new(tap));
        let of_source = |fault: Fault| {
            let mut tap = tap.lock().unwrap_or_else(PoisonError::into_inner);
            tap.fault.take().unwrap_or(fault)
        };
        let piece = |len: u64| Payload::Piece { source: tap.clone() as Shared, left: len };
        let registry = &self.target.registry;
        while blob.size > PIECE && upload.at < blob.size {
            let len = PIECE.min(blob.size - upload.at);
            upload = registry.patch(&self.to, &upload, len, piece(len)).await.map_err(of_source)?;
            let hasher = {
                let tap = tap.lock().unwrap_or_else(PoisonError::into_inner);
                tap.hasher().clone()
            };
            let reached = Checkpoint::of(&upload, &hasher);
            self.keeper.save(&self.key(&blob.digest), reached.encode());
            *checkpoint = Some(reached);
            self.check_stop()?;
        }
        let last = if blob.size > upload.at { piece(blob.size - upload.at) } else { Payload::empty() };
        registry.end_upload(&self.to, &upload, &blob.digest, last).await.map_err(of_source)?;
        // To its end, so that the connection can be used again.
        if let Some(tap) = Arc::into_inner(tap) {
            let mut tap = tap.into_inner().unwrap_or_else(PoisonError::into_inner);
            tap.settle().await?;
        }
        Ok(())
    }
}
