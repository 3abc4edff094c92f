//! Puts down when sessions end, as this node knows it, for the process that is started in its place: three members that
//! are restarted one after the other would else forget it between them.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::base::clock::{self, Nanos};
use crate::region::expiry::{Expiry, Kept};
use crate::region::store::EndsFile;

/// One that is later than that from now is not true of this machine: sessions end within two days.
const LATEST: Nanos = 72 * 3600 * clock::SEC;

pub struct Keeper {
    file: EndsFile,
    /// What the machine's clock is ahead of this process's.
    ahead: u64,
}

impl Keeper {
    /// With what the process before this one knew; without a place for such files with nothing.
    pub fn open(place: &Path, store: u128) -> (Option<Keeper>, Expiry) {
        let (file, records) = match EndsFile::open(place, store) {
            Ok(opened) => opened,
            Err(e) => {
                tracing::debug!("region map: {}: ends of sessions are not kept: {e}", place.display());
                return (None, Expiry::default());
            }
        };
        let (now, machine) = (clock::now_ns(), clock::machine_ns());
        let mut keeper = Keeper { file, ahead: machine.saturating_sub(now) };
        let kept: Option<Vec<Kept>> =
            records.iter().map(|record| keeper.read(postcard::from_bytes(record).ok()?, now)).collect();
        let expiry = Expiry::restored(kept.unwrap_or_default().into_iter());
        // Behind a record that was cut off nothing would be found.
        let all = keeper.write(expiry.all());
        match keeper.file.rewrite(&all) {
            Ok(()) => (Some(keeper), expiry),
            Err(_) => {
                keeper.file.remove();
                (None, Expiry::default())
            }
        }
    }

    /// By this process's clock. `None`: it is of another machine's.
    fn read(&self, kept: Kept, now: Nanos) -> Option<Kept> {
        let ahead = self.ahead;
        let own = |at: Nanos| at.saturating_sub(ahead);
        let kept = moved(kept, own);
        let (Kept::All { ends, .. } | Kept::Some { ends, .. }) = &kept else { return Some(kept) };
        ends.iter().all(|(_, at)| *at < now.saturating_add(LATEST)).then_some(kept)
    }

    /// By the machine's clock.
    fn write(&self, kept: Kept) -> Vec<u8> {
        let kept = moved(kept, |at| at.saturating_add(self.ahead));
        postcard::to_extend(&kept, Vec::new()).unwrap_or_default()
    }

    fn keep(&mut self, expiry: &mut Expiry) -> std::io::Result<()> {
        for kept in expiry.take_kept() {
            let record = self.write(kept);
            self.file.append(&record)?;
        }
        if self.file.is_long() {
            let all = self.write(expiry.all());
            self.file.rewrite(&all)?;
        }
        Ok(())
    }
}

fn moved(kept: Kept, by: impl Fn(Nanos) -> Nanos) -> Kept {
    let all = |ends: Vec<_>| ends.into_iter().map(|(id, at)| (id, by(at))).collect();
    match kept {
        Kept::All { term, seq, fence, ends } => Kept::All { term, seq, fence, ends: all(ends) },
        Kept::Some { seq, ends } => Kept::Some { seq, ends: all(ends) },
        Kept::Fence(fence) => Kept::Fence(fence),
    }
}

/// The keeper, where there is one.
#[derive(Default)]
pub struct Keeping(Mutex<Option<Keeper>>);

impl Keeping {
    pub fn by(keeper: Option<Keeper>) -> Keeping {
        Keeping(Mutex::new(keeper))
    }

    /// Puts down what has changed, before anybody is told that it is known here. The lock of `expiry` is held.
    pub fn put_down(&self, expiry: &mut Expiry) {
        let mut keeper = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(kept) = keeper.as_mut().map(|keeper| keeper.keep(expiry)) else { return };
        if let Err(e) = kept {
            // What is behind is worse than nothing: who reads it would count as one that knows.
            tracing::warn!("region map: ends of sessions are not kept any more: {e}");
            expiry.keep_no_more();
            if let Some(keeper) = keeper.take() {
                keeper.file.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_stand_by_the_machines_clock() {
        let place = tempfile::tempdir().unwrap();
        let (keeper, expiry) = Keeper::open(place.path(), 1);
        assert_eq!((expiry.next(), expiry.seq()), (None, 0));
        let mut keeper = keeper.unwrap();
        let at = clock::now_ns() + 10 * clock::SEC;
        let all = |ends| Kept::All { term: 3, seq: 5, fence: 4, ends };
        let record = keeper.write(all(vec![("s".into(), at)]));
        keeper.file.append(&record).unwrap();
        // As a process that was started a minute later than this one.
        keeper.ahead += 60 * clock::SEC;
        assert_eq!(
            keeper.read(postcard::from_bytes(&record).unwrap(), at),
            Some(all(vec![("s".into(), at.saturating_sub(60 * clock::SEC))]))
        );
        let (_, expiry) = Keeper::open(place.path(), 1);
        let (next, off) = (expiry.next().unwrap(), clock::SEC / 10);
        assert!(expiry.seq() == 5 && next.abs_diff(at) < off, "{next} {at}");
        // What cannot be of this machine counts for nothing.
        let record = keeper.write(all(vec![("s".into(), at + 2 * LATEST)]));
        keeper.file.append(&record).unwrap();
        drop(keeper);
        assert_eq!(Keeper::open(place.path(), 2).1.next(), None);
    }
}
