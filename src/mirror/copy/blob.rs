//! One blob from a repository to another: not at all where it is there, by a mount where the registry has it elsewhere,
//! else in pieces, each of which may be the last that this process sends.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::checkpoint::{Checkpoint, key};
use super::copier::Copier;
use super::piece::{PIECE, Piece, lock};
use super::tap::{Tap, What};
use crate::mirror::client::backoff::{REQUEST, chance};
use crate::mirror::client::payload::{Payload, Shared};
use crate::mirror::client::{Fault, Upload};
use crate::mirror::digest::{Digest, Hasher};
use crate::mirror::manifest::Descriptor;

/// A blob of no more bytes is sent with the end of its upload, as it comes.
const AT_ONCE: u64 = 2 * PIECE;

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
            self.keeper.clear(&self.key(digest));
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
                if let Some(Checkpoint { location, at, .. }) = checkpoint.take() {
                    self.target.registry.cancel_upload(&self.to, &Upload { location, at }).await;
                }
                best = 0;
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
        let (upload, tap) = self.start(blob, upload, checkpoint).await?;
        let tap = Arc::new(Mutex::new(tap));
        let of_source = |fault: Fault| lock(&tap).fault.take().unwrap_or(fault);
        let sent = if blob.size > AT_ONCE {
            self.send_pieces(blob, upload, &tap, checkpoint).await
        } else {
            let all = Payload::piece(tap.clone() as Shared, blob.size - upload.at);
            self.target.registry.end_upload(&self.to, &upload, &blob.digest, all).await
        };
        sent.map_err(of_source)?;
        // To its end, so that the connection can be used again.
        if let Some(tap) = Arc::into_inner(tap) {
            let mut tap = tap.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
            tap.settle().await?;
        }
        Ok(())
    }

    /// Sends a large blob piece by piece. How far it is is kept before anything more is sent: there are registries that
    /// take the last location that they gave, and forget an upload when they are shown another. The next piece is read
    /// meanwhile if there is room.
    async fn send_pieces(
        &self,
        blob: &Descriptor,
        mut upload: Upload,
        tap: &Mutex<Tap>,
        checkpoint: &mut Option<Checkpoint>,
    ) -> Result<(), Fault> {
        let registry = &self.target.registry;
        let len = |at: u64| PIECE.min(blob.size.saturating_sub(at));
        let no_room = |_| Fault::Stopped;
        // Whoever goes on after this process finds the upload, and the registry need not keep it for nobody.
        if checkpoint.is_none() {
            let begun = Checkpoint::of(&upload, &Hasher::new(blob.digest.algorithm()));
            self.keeper.save(&self.key(&blob.digest), begun.encode()).await;
            *checkpoint = Some(begun);
        }
        let mut ahead = None;
        loop {
            let piece = match ahead.take() {
                Some(piece) => piece,
                None => {
                    let room = self.room.clone().acquire_owned().await.map_err(no_room)?;
                    Piece::read(tap, len(upload.at), room).await?
                }
            };
            let end = upload.at + piece.len();
            if end >= blob.size {
                return registry.end_upload(&self.to, &upload, &blob.digest, piece.into_payload()).await;
            }
            let hasher = piece.hasher.clone();
            let sending = async {
                upload = registry.patch(&self.to, &upload, piece.len(), piece.into_payload()).await?;
                let reached = Checkpoint::of(&upload, &hasher);
                self.keeper.save(&self.key(&blob.digest), reached.encode()).await;
                *checkpoint = Some(reached);
                Ok::<(), Fault>(())
            };
            let reading = async {
                match self.room.clone().try_acquire_owned() {
                    Ok(room) => Piece::read(tap, len(end), room).await.map(Some),
                    Err(_) => Ok(None),
                }
            };
            let (sent, read) = tokio::join!(sending, reading);
            sent?;
            ahead = read?;
            self.check_stop()?;
        }
    }
}
