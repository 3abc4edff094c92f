//! The filters of a stream: which of them look at a message, and the way that they make of its body.

use crate::base::clock::MS;
use crate::filter::cache::{Cache, Keep, Keeper};
use crate::filter::compression::{self, Algorithm, Coder, METER, Tally};
use crate::filter::{Chain, Spec};
use crate::http::{BodyLen, Version};

use super::passage::{Leaving, Passage};
use super::stream::Stream;

/// Which message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Response,
}

impl<'a> Stream<'a> {
    /// Something of the configuration looks at bodies.
    #[inline]
    pub(super) fn has_filters(&self) -> bool {
        !self.route.front.filters.is_empty() || !self.route.back.filters.is_empty()
    }

    /// The filters in their order: the frontend's, then the backend's.
    fn specs(&self) -> impl Iterator<Item = &'a Spec> + use<'a> {
        let back = if self.route.has_two() { &self.route.back.filters[..] } else { &[] };
        self.route.front.filters.iter().chain(back)
    }

    /// What `compression` lines say, the backend's first.
    fn settings(&self) -> [Option<&'a compression::Settings>; 2] {
        [self.route.back.compression.as_deref(), self.route.front.compression.as_deref()]
    }

    /// The request's head is as it goes on, but for what it says of its own body, and of the response's.
    pub(super) fn prepare_filters(&mut self) {
        let settings = self.settings();
        if self.specs().any(|spec| matches!(spec, Spec::CompressRequests)) {
            self.upload_coding = self.request_algorithm();
        }
        if let Some(algorithm) = self.upload_coding {
            compression::announce_request(&mut self.txn.req, algorithm);
        }
        if !self.specs().any(|spec| matches!(spec, Spec::CompressResponses)) {
            return;
        }
        self.txn.compressed = compression::offer(&self.txn.req, settings);
        if self.txn.compressed.is_some() && settings.iter().flatten().any(|s| s.offload) {
            self.txn.req.remove(b"accept-encoding");
        }
    }

    /// The response's head has come: whether its body is one to be compressed. Rules see what was decided.
    pub(super) fn judge_response(&mut self) {
        if self.txn.compressed.is_some() {
            let may = compression::is_eligible(&self.txn.res, &self.txn.req, self.settings());
            if !may || !self.has_room() {
                self.txn.compressed = None;
            }
        }
    }

    /// The way of the response's body, if there is something on it. Its head says then what the body becomes.
    pub(super) fn response_passage(&mut self, wire: BodyLen) -> Option<Box<Passage>> {
        let chain = self.chain(Way::Response);
        // HTTP/1.0 knows no chunks: the body ends with the connection.
        let is_bare = wire == BodyLen::Chunked && self.txn.req.version == Version::Http10;
        if chain.is_empty() && !is_bare {
            return None;
        }
        let leaving = match chain.rewrites() {
            _ if is_bare => Leaving::Bare,
            true => Leaving::Chunked,
            false => Leaving::AsCame,
        };
        match (self.txn.compressed, leaving) {
            (Some(algorithm), Leaving::Chunked) => {
                compression::announce_response(&mut self.txn.res, algorithm)
            }
            (_, Leaving::Chunked) => self.txn.res.become_chunked(),
            (_, Leaving::Bare) => {
                self.keep_client = false;
                self.txn.res.set_body(BodyLen::UntilClose);
            }
            (_, Leaving::AsCame) => {}
        }
        Some(Box::new(Passage::new(chain, leaving)))
    }

    /// The same of the request's.
    pub(super) fn request_passage(&mut self) -> Option<Box<Passage>> {
        let chain = self.chain(Way::Request);
        if chain.is_empty() {
            return None;
        }
        let leaving = if chain.rewrites() { Leaving::Chunked } else { Leaving::AsCame };
        Some(Box::new(Passage::new(chain, leaving)))
    }

    fn chain(&mut self, way: Way) -> Chain {
        let mut chain = Chain::default();
        let mut algorithm = match way {
            Way::Request => self.upload_coding,
            Way::Response => self.txn.compressed,
        };
        for spec in self.specs() {
            match spec {
                Spec::CompressRequests if way == Way::Request => {}
                Spec::CompressResponses if way == Way::Response => {}
                Spec::Cache(cache) if way == Way::Response => {
                    if let Some(keep) = self.kept_in(cache) {
                        chain.push(Box::new(Keeper::new(keep)));
                    }
                    continue;
                }
                _ => continue,
            }
            // Once, whoever asks for it.
            if let Some(algorithm) = algorithm.take() {
                chain.push(Box::new(self.coder(algorithm)));
            }
        }
        chain
    }

    /// The response is to be stored, and in this cache.
    fn kept_in(&mut self, cache: &Cache) -> Option<Box<Keep>> {
        let keep = &mut self.txn.cache.as_mut()?.keep;
        if std::ptr::eq(&*keep.as_ref()?.cache, cache) { keep.take() } else { None }
    }

    /// Once, and before the first try.
    fn request_algorithm(&self) -> Option<Algorithm> {
        compression::request_algorithm(&self.txn.req, self.settings()).filter(|_| self.has_room())
    }

    /// The limits of compression allow another one.
    fn has_room(&self) -> bool {
        let limits = &self.route.config.global.compression;
        self.s.worker.rt.idle_percent() >= limits.least_idle && METER.has_room(limits, self.now() / MS)
    }

    fn coder(&self, algorithm: Algorithm) -> Coder {
        let back = self.route.back_id.map(|_| self.route.back.live.clone());
        let tally = Tally { front: self.route.front.live.clone(), back };
        Coder::new(algorithm, self.route.config.global.compression.level, tally)
    }
}
