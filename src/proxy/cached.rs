//! A response from the cache: it takes the way of a server's, from its rules on.

use crate::base::Nanos;
use crate::filter::cache::Entry;
use crate::http::{BodyLen, CHUNK_END, ChunkHead, Hop, LAST_CHUNK};

use super::end::{Cause, End, Halt, Phase};
use super::exchange::client_end;
use super::passage::Passage;
use super::stream::Stream;
use super::transfer::{Extent, Side};

/// The name of the cache in logs, where a server's would stand.
const NAME: &str = "<CACHE>";

impl Stream<'_> {
    /// Rules found an answer in the cache.
    pub(super) fn is_cached(&self) -> bool {
        self.txn.cache.as_ref().is_some_and(|request| request.hit.is_some())
    }

    /// Answers with what the cache has.
    pub(super) async fn serve_cached(&mut self) -> Result<(), Halt> {
        let Some(hit) = self.txn.cache.as_ref().and_then(|request| request.hit.as_ref()) else {
            return Ok(());
        };
        let (entry, is_unmodified) = (hit.entry.clone(), hit.is_unmodified);
        self.end = End::new(Cause::Local, Phase::Request, 0);
        self.txn.service = Some(NAME);
        let now = self.now();
        let timers = &mut self.txn.timers;
        (timers.queue_done, timers.connected, timers.response) = (now, now, now);
        if self.has_filters() {
            self.prepare_filters();
        }
        self.begin_cached(&entry, is_unmodified);
        self.capture_response();
        self.judge_response();
        self.response_rules().await?;
        let wire = self.txn.res.body;
        let has_body = self.txn.res.settle(self.asked);
        self.txn.status = self.txn.res.status;
        self.is_served = self.can_drain();
        let is_over = self.txn.res.closes_by_rule() || self.s.is_over();
        self.keep_client &= (self.is_served || self.down.is_whole(&self.txn.req)) && !is_over;
        self.restart_patience();
        if !has_body {
            return self.begin_answer(b"").await;
        }
        let passage = if self.has_filters() { self.response_passage(wire) } else { None };
        match passage {
            Some(passage) => self.send_through_filters(&entry, passage).await,
            None => self.send_stored(&entry).await,
        }
    }

    fn begin_cached(&mut self, entry: &Entry, is_unmodified: bool) {
        let age = entry.age(self.now());
        let res = &mut self.txn.res;
        res.begin_response(200, &entry.head.reason, entry.head.body);
        res.version = entry.head.version;
        for (name, value) in entry.head.fields() {
            res.put(name, value);
        }
        if entry.head.body == BodyLen::UntilClose {
            // How long it is was not known when it came, and is now.
            res.set_body(BodyLen::Length(entry.len));
        }
        let mut digits = itoa::Buffer::new();
        res.add(b"age", digits.format(age).as_bytes());
        if is_unmodified {
            res.set_status(304, b"Not Modified");
        }
    }

    /// The head, and the first bytes of the body.
    async fn begin_answer(&mut self, body: &[u8]) -> Result<(), Halt> {
        let hop = Hop::to_client(self.keep_client, self.txn.req.version);
        let until = self.patience.until(Side::Client);
        (self.answered, self.responding) = (true, true);
        let sent = self.down.send_message(&self.txn.res, hop, body, until).await;
        self.note_head(sent)
    }

    async fn send_more(&mut self, bytes: &[u8]) -> Result<(), Halt> {
        self.patience.renew(Side::Client, self.now());
        let until = self.patience.until(Side::Client);
        let sent = self.down.send_data(bytes, until).await;
        self.txn.bytes_out += match &sent {
            Ok(()) => bytes.len(),
            Err((n, _)) => *n,
        } as u64;
        sent.map_err(|(_, e)| client_end(&e).into())
    }

    /// The body as it is stored.
    async fn send_stored(&mut self, entry: &Entry) -> Result<(), Halt> {
        let is_chunked = self.txn.res.body == BodyLen::Chunked;
        let (mut pieces, first) = (entry.body.iter(), ChunkHead::of(entry.len));
        if is_chunked && entry.len > 0 {
            self.begin_answer(&first).await?;
        } else {
            self.begin_answer(pieces.next().map_or(&b""[..], |piece| &piece[..])).await?;
        }
        for piece in pieces {
            self.send_more(piece).await?;
        }
        match (is_chunked, entry.len) {
            (false, _) => Ok(()),
            (true, 0) => self.send_more(LAST_CHUNK).await,
            (true, _) => self.send_more(&[CHUNK_END, LAST_CHUNK].concat()).await,
        }
    }

    async fn send_through_filters(&mut self, entry: &Entry, mut passage: Box<Passage>) -> Result<(), Halt> {
        let mut extent = Extent::Length(entry.len);
        let mut pieces = entry.body.iter();
        let mut out = Vec::new();
        let first = pieces.next().map_or(&b""[..], |piece| &piece[..]);
        pass(&mut passage, &mut extent, first, self.now(), &mut out);
        self.begin_answer(&out).await?;
        for piece in pieces {
            out.clear();
            pass(&mut passage, &mut extent, piece, self.now(), &mut out);
            self.send_more(&out).await?;
        }
        Ok(())
    }
}

/// A body whose length is known cannot be malformed.
fn pass(passage: &mut Passage, extent: &mut Extent, piece: &[u8], now: Nanos, out: &mut Vec<u8>) {
    let _ = passage.take(extent, piece, now, out);
}
