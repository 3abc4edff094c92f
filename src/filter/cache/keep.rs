//! A response on its way into the cache (`http-response cache-store`): its head is taken when the rule is run, its body
//! as it passes.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;

use super::entry::{Body, Entry, Share, Stored, Times};
use super::lookup::Request;
use super::rules::{self, Part};
use super::storage::Cache;
use super::vary::{Secondary, Varies};
use crate::base::Nanos;
use crate::base::clock::SEC;
use crate::filter::Filter;
use crate::http::{BodyLen, Head, Method};

/// A piece of a stored body, unless it is the last one.
const PIECE: usize = 16 * 1024;

/// The head of a response that is to be stored, and the right to do so.
#[derive(Debug)]
pub struct Keep {
    pub cache: Arc<Cache>,
    hash: u64,
    key: Box<[u8]>,
    secondary: Secondary,
    head: Stored,
    etag: Option<Box<[u8]>>,
    times: Times,
    share: Option<Share>,
}

/// What the response to a request means for a cache: it may be stored from now on, or nothing stored is good any more.
pub fn consider(
    cache: &Arc<Cache>,
    request: &mut Request,
    (req, res): (&Head, &Head),
    (now, now_s): (Nanos, u64),
) {
    if request.hit.is_some() {
        return;
    }
    if rules::is_unsafe(req.method) {
        if (200..400).contains(&res.status) {
            cache.invalidate(request.hash, &request.key);
        }
        return;
    }
    if request.part != Part::Watches && req.method == Method::Get && res.status == 200 {
        request.keep = Keep::begin(cache, request, res, (now, now_s)).map(Box::new);
    }
}

impl Keep {
    fn begin(cache: &Arc<Cache>, request: &Request, res: &Head, (now, now_s): (Nanos, u64)) -> Option<Keep> {
        let settings = &cache.settings;
        let varies = Varies::of(res)?;
        if varies.any() && !settings.process_vary {
            return None;
        }
        let secondary = Secondary::of(res, request.asked)?;
        let lifetime_s = rules::lifetime(res, settings.max_age_s, now_s)?;
        let age_s = rules::age(res).ok().filter(|age| *age <= lifetime_s)?;
        // `max-age` of the cache counts from when it is stored.
        let left_s = (lifetime_s - age_s).min(settings.max_age_s);
        let head = Stored::of(res);
        let size = (head.fields.len() + request.key.len()) as u64;
        let body = if let BodyLen::Length(n) = res.body { n } else { 0 };
        if size.saturating_add(body) > settings.max_object {
            return None;
        }
        let times = Times {
            stored: now,
            age_s,
            expires: now + left_s * SEC,
            modified_s: rules::modified(res, now_s),
        };
        if !cache.announce((request.hash, &request.key), secondary, now) {
            return None;
        }
        let mut keep = Keep {
            cache: cache.clone(),
            hash: request.hash,
            key: request.key.clone(),
            secondary,
            head,
            etag: res.field(b"etag").map(Into::into),
            times,
            share: Some(cache.share()),
        };
        keep.has_room(0).then_some(keep)
    }

    /// There is memory for a body of this length.
    fn has_room(&mut self, len: u64) -> bool {
        let size = len + (self.head.fields.len() + self.key.len()) as u64;
        let Some(share) = &mut self.share else { return false };
        size <= self.cache.settings.max_object && self.cache.make_room(share, size)
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        self.cache.withdraw(self.hash, self.secondary);
    }
}

/// The filter that stores a body.
pub struct Keeper {
    /// `None`: it became too large.
    keep: Option<Box<Keep>>,
    body: Body,
    piece: Vec<u8>,
    len: u64,
}

impl Keeper {
    pub fn new(keep: Box<Keep>) -> Keeper {
        Keeper { keep: Some(keep), body: Vec::new(), piece: Vec::new(), len: 0 }
    }

    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let n = bytes.len().min(PIECE - self.piece.len());
            self.piece.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            if self.piece.len() == PIECE {
                self.end_piece();
            }
        }
    }

    fn end_piece(&mut self) {
        if !self.piece.is_empty() {
            let piece = std::mem::take(&mut self.piece).into_boxed_slice();
            self.body.push(Bytes::from(piece));
        }
    }
}

impl Filter for Keeper {
    fn data<'b>(&'b mut self, bytes: &'b [u8], _: Nanos) -> &'b [u8] {
        self.len += bytes.len() as u64;
        if let Some(keep) = &mut self.keep {
            if keep.has_room(self.len) {
                self.append(bytes);
            } else {
                (self.keep, self.body, self.piece) = Default::default();
            }
        }
        bytes
    }

    fn end(&mut self, _: Nanos) -> &[u8] {
        self.end_piece();
        if let Some(mut keep) = self.keep.take()
            && let Some(share) = keep.share.take()
        {
            let entry = Entry {
                hash: keep.hash,
                key: std::mem::take(&mut keep.key),
                secondary: keep.secondary,
                head: std::mem::take(&mut keep.head),
                etag: keep.etag.take(),
                times: keep.times,
                body: std::mem::take(&mut self.body),
                len: self.len,
                share,
                used_at: AtomicU64::new(0),
            };
            keep.cache.store(entry);
        }
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::super::storage::Settings;
    use super::*;

    const NOW: (Nanos, u64) = (1_000 * SEC, 5_000);

    fn cache(total: u64, max_object: u64) -> Arc<Cache> {
        Arc::new(Cache::new(Settings {
            name: "c".into(),
            total,
            max_object,
            max_age_s: 60,
            process_vary: true,
            max_secondary: 2,
        }))
    }

    fn head(fields: &[(&str, &str)]) -> Head {
        let mut head = Head::default();
        head.method = Method::Get;
        fields.iter().for_each(|(name, value)| head.add(name.as_bytes(), value.as_bytes()));
        head
    }

    fn asks(path: &str, fields: &[(&str, &str)]) -> Head {
        let mut req = head(fields);
        req.add(b"host", b"h");
        req.set_target(path.as_bytes());
        req
    }

    fn answer(fields: &[(&str, &str)], body: BodyLen) -> Head {
        let mut res = Head::default();
        res.begin_response(200, b"OK", body);
        fields.iter().for_each(|(name, value)| res.add(name.as_bytes(), value.as_bytes()));
        res
    }

    /// Whether it was stored.
    fn store(cache: &Arc<Cache>, req: &Head, res: &Head, pieces: &[&[u8]]) -> bool {
        let mut request = Request::of(req).expect("a host");
        consider(cache, &mut request, (req, res), NOW);
        let Some(keep) = request.keep.take() else { return false };
        let mut keeper = Keeper::new(keep);
        for piece in pieces {
            assert_eq!(keeper.data(piece, NOW.0), *piece);
        }
        keeper.end(NOW.0);
        find(cache, req, NOW.0).is_some()
    }

    fn find(cache: &Arc<Cache>, req: &Head, now: Nanos) -> Option<Arc<Entry>> {
        let mut request = Request::of(req)?;
        request.look_up(cache, req, now);
        request.hit.map(|hit| hit.entry)
    }

    const FRESH: (&str, &str) = ("Cache-Control", "max-age=50");

    #[test]
    fn a_body_is_stored_in_pieces_and_given_back() {
        let cache = cache(1 << 20, 1 << 18);
        let (req, res) = (asks("/a", &[]), answer(&[FRESH, ("Age", "10"), ("X-A", "1")], BodyLen::Chunked));
        let body: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        assert!(store(&cache, &req, &res, &[&body[..70_000], &body[70_000..]]));
        let entry = find(&cache, &req, NOW.0 + 5 * SEC).expect("it is stored");
        assert_eq!(entry.body.concat(), body);
        assert_eq!((entry.len, entry.age(NOW.0 + 5 * SEC)), (100_000, 15));
        let fields: Vec<_> = entry.head.fields().collect();
        assert_eq!(fields, [(&b"Cache-Control"[..], &b"max-age=50"[..]), (b"X-A", b"1")]);
        assert!(find(&cache, &asks("/b", &[]), NOW.0).is_none());
        assert!(find(&cache, &req, NOW.0 + 40 * SEC).is_none(), "40 seconds later it is 50 seconds old");
        drop(entry);
        assert_eq!(cache.used(), 0, "what is too old is gone");
    }

    #[test]
    fn memory_is_bounded_and_what_was_used_last_stays() {
        let cache = cache(64 * 1024, 32 * 1024);
        let res = answer(&[FRESH], BodyLen::Chunked);
        let body = [7; 10_000];
        let first = asks("/0", &[]);
        for n in 0..100 {
            assert!(store(&cache, &asks(&format!("/{n}"), &[]), &res, &[&body]), "{n}");
            assert!(cache.used() <= 64 * 1024);
            assert!(find(&cache, &first, NOW.0).is_some(), "{n}");
        }
        assert!(find(&cache, &asks("/1", &[]), NOW.0).is_none());
        assert!(!store(&cache, &asks("/x", &[]), &res, &[&[0; 40_000]]), "it is too large");
        assert!(!store(&cache, &asks("/x", &[]), &answer(&[FRESH], BodyLen::Length(40_000)), &[]));
        // What is being sent takes memory though it is stored no more.
        let held: Vec<_> = cache.list();
        held.iter().for_each(|e| cache.invalidate(e.hash, &e.key));
        assert!(cache.used() > 0 && !store(&cache, &asks("/y", &[]), &res, &[&[0; 30_000]]));
        drop(held);
        assert_eq!(cache.used(), 0);
    }

    #[test]
    fn one_response_is_stored_once_at_a_time_and_not_if_it_is_cut_off() {
        let cache = cache(64 * 1024, 32 * 1024);
        let (req, res) = (asks("/a", &[]), answer(&[FRESH], BodyLen::Length(10)));
        let begin = || {
            let mut request = Request::of(&req).expect("a host");
            consider(&cache, &mut request, (&req, &res), NOW);
            request.keep
        };
        let first = begin().expect("nobody else stores it");
        assert!(begin().is_none());
        let mut keeper = Keeper::new(first);
        keeper.data(b"12345", NOW.0);
        drop(keeper);
        assert!(find(&cache, &req, NOW.0).is_none() && cache.used() == 0);
        assert!(begin().is_some());
    }

    #[test]
    fn variants_of_one_url() {
        let cache = cache(1 << 20, 1 << 18);
        let of = |coding| asks("/a", &[("Accept-Encoding", coding)]);
        let made = |coding| {
            answer(&[FRESH, ("Vary", "accept-encoding"), ("Content-Encoding", coding)], BodyLen::Chunked)
        };
        assert!(store(&cache, &of("gzip"), &made("gzip"), &[b"1"]));
        assert!(store(&cache, &of("br"), &made("br"), &[b"2"]));
        assert!(!store(&cache, &of("deflate"), &made("deflate"), &[b"3"]), "two are the most");
        assert_eq!(find(&cache, &of("br, x"), NOW.0).expect("there").body.concat(), b"2");
        let mut post = of("br");
        post.method = Method::Post;
        let mut request = Request::of(&post).expect("a host");
        consider(&cache, &mut request, (&post, &answer(&[], BodyLen::None)), NOW);
        assert!(find(&cache, &of("br"), NOW.0).is_none() && find(&cache, &of("gzip"), NOW.0).is_none());
    }
}
