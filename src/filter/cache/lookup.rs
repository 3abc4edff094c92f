//! A request at the cache (`http-request cache-use`).

use std::sync::Arc;

use super::entry::Entry;
use super::keep::Keep;
use super::rules::{self, Part};
use super::storage::Cache;
use super::vary::Asked;
use crate::base::Nanos;
use crate::http::Head;

/// What answers a request.
#[derive(Debug)]
pub struct Hit {
    pub entry: Arc<Entry>,
    pub cache: Arc<Cache>,
    /// The client has it already.
    pub is_unmodified: bool,
}

/// What the cache knows of a request.
#[derive(Debug)]
pub struct Request {
    pub(super) key: Box<[u8]>,
    pub(super) hash: u64,
    pub(super) part: Part,
    pub(super) asked: Asked,
    /// The answer.
    pub hit: Option<Hit>,
    /// The server's answer, which is about to be stored.
    pub keep: Option<Box<Keep>>,
}

impl Request {
    /// `None`: it does not say whom it asks.
    pub fn of(req: &Head) -> Option<Request> {
        let host = req.host()?;
        let key = [host, b" ", req.path_and_query()].concat();
        let hash = xxhash_rust::xxh3::xxh3_64(&key);
        let (part, asked) = (rules::part(req), Asked::of(req));
        Some(Request { key: key.into(), hash, part, asked, hit: None, keep: None })
    }

    /// It is of a kind that the cache may answer.
    pub fn may_be_answered(&self) -> bool {
        self.part == Part::Answers
    }

    /// Looks for an answer.
    pub fn look_up(&mut self, cache: &Arc<Cache>, req: &Head, now: Nanos) -> bool {
        let Some(entry) = cache.find(self.hash, &self.key, self.asked, now) else { return false };
        let is_unmodified = rules::is_unmodified(req, entry.etag.as_deref(), entry.times.modified_s);
        self.hit = Some(Hit { entry, cache: cache.clone(), is_unmodified });
        true
    }
}
