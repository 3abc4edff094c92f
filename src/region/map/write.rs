//! Writes to keys, and the locks that sessions hold on them.

use std::sync::Arc;

use super::change::Change;
use super::command::{DeleteWhen, PutWhen, Refusal};
use super::map::Map;
use super::record::*;

impl Map {
    /// Whether the condition held and the value was written.
    pub(super) fn kv_put(
        &mut self,
        entry: Entry,
        when: &PutWhen,
        change: &mut Change,
    ) -> Result<bool, Refusal> {
        if entry.key.is_empty() {
            return Err(Refusal::Invalid("missing key name".into()));
        }
        let standing = self.kv.entries.get(&entry.key).cloned();
        let standing = standing.as_deref();
        let (session, lock_index) = standing.map_or((None, 0), |old| (old.session.clone(), old.lock_index));
        let (session, lock_index) = match when {
            PutWhen::Always => (session, lock_index),
            PutWhen::Cas(index) if standing.map_or(0, |old| old.modify_index) != *index => return Ok(false),
            PutWhen::Cas(_) => (session, lock_index),
            PutWhen::Acquire(id) => match self.acquire(&entry.key, id, session, lock_index, change.at)? {
                Some(lock) => lock,
                None => return Ok(false),
            },
            PutWhen::Release(id) => {
                if id.is_empty() {
                    return Err(Refusal::Invalid("missing session".into()));
                }
                if session.as_ref() != Some(id) {
                    return Ok(false);
                }
                (None, lock_index)
            }
        };
        self.kv_store(Entry { session, lock_index, ..entry }, change);
        Ok(true)
    }

    fn standing_session(&self, id: &Name) -> Result<Name, Refusal> {
        match self.sessions.by_id.get(id) {
            Some(held) => Ok(held.session.id.clone()),
            None => Err(Refusal::InvalidSession(id.clone())),
        }
    }

    /// The holder and the count of takings that result, or nothing when it is held or delayed.
    fn acquire(
        &self,
        key: &Name,
        id: &Name,
        holder: Option<Name>,
        lock_index: u64,
        at: WallMs,
    ) -> Result<Option<(Option<Name>, u64)>, Refusal> {
        let id = self.standing_session(id)?;
        Ok(match holder {
            Some(holder) if holder == id => Some((Some(id), lock_index)),
            Some(_) => None,
            None if self.lock_delayed(key, at) => None,
            None => Some((Some(id), lock_index.saturating_add(1))),
        })
    }

    pub(super) fn lock_delayed(&self, key: &str, at: WallMs) -> bool {
        self.kv.delays.by_key.get(key).is_some_and(|until| at < *until)
    }

    /// Writes an entry as it is but for its indexes; one that is equal changes nothing.
    pub(super) fn kv_store(&mut self, mut entry: Entry, change: &mut Change) {
        let standing = self.kv.entries.get(&entry.key).cloned();
        entry.create_index = change.index;
        if let Some(old) = &standing {
            entry.key = old.key.clone();
            entry.create_index = old.create_index;
            entry.modify_index = old.modify_index;
            if **old == entry {
                return;
            }
        } else {
            self.kv.gone.lift(&entry.key);
        }
        entry.modify_index = change.index;
        let before = standing.as_ref().and_then(|old| old.session.as_ref());
        if before != entry.session.as_ref() {
            self.move_lock(&entry.key, before, entry.session.as_ref());
        }
        self.kv.index = change.index;
        change.touch_key(&entry.key);
        self.kv.entries.insert(Arc::new(entry));
    }

    pub(super) fn move_lock(&mut self, key: &Name, from: Option<&Name>, to: Option<&Name>) {
        if let Some(held) = from.and_then(|id| self.sessions.by_id.get_mut(id)) {
            Arc::make_mut(held).keys.remove(key);
        }
        if let Some(held) = to.and_then(|id| self.sessions.by_id.get_mut(id)) {
            Arc::make_mut(held).keys.insert(key.clone());
        }
    }

    /// Whether the condition held. What is not there is gone already.
    pub(super) fn kv_delete(&mut self, key: &Name, when: &DeleteWhen, change: &mut Change) -> bool {
        match when {
            DeleteWhen::Always => self.kv_remove(key, change),
            DeleteWhen::Cas(index) => match self.kv.entries.get(key) {
                Some(entry) if entry.modify_index != *index => return false,
                _ => self.kv_remove(key, change),
            },
            DeleteWhen::Tree => {
                let keys: Vec<Name> = self.kv.under(key).map(|entry| entry.key.clone()).collect();
                for key in keys {
                    self.kv_remove(&key, change);
                }
            }
        }
        true
    }

    pub(super) fn kv_remove(&mut self, key: &str, change: &mut Change) {
        let Some(entry) = self.kv.entries.remove(key) else { return };
        self.move_lock(&entry.key, entry.session.as_ref(), None);
        self.kv.gone.add(entry.key.clone(), change.index);
        self.kv.index = change.index;
        change.touch_key(&entry.key);
    }
}
