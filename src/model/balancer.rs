//! The contract of a balancing algorithm.

use crate::base::Millis;

use super::server::Server;

/// What a pick depends on besides the servers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pick {
    /// Hash of the key (`source`, `uri`, `hdr()`...), when the algorithm has one and the request carries it.
    pub hash: Option<u32>,
    /// Index of a server to avoid when another one can serve (redispatch).
    pub avoid: Option<usize>,
    /// A random word, for `random`.
    pub random: u64,
    /// Streams of the backend now, served and queued: with `fullconn` it sets how far `minconn` is raised.
    pub backend_cur: u32,
    /// For slow start and session rates; 0 when unknown, which takes both as settled.
    pub now: Millis,
}

/// A balancing algorithm over the servers of one [`super::ServerSet`], shared by all workers.
///
/// `list` is always the set's own list, so that indices agree.
pub trait Balancer: Send + Sync + std::fmt::Debug {
    /// Called after any change of state or weight of a server of the list.
    fn refresh(&self, list: &[Server], now: Millis);

    /// The server for a new stream, or `None` when none can take it now. Dynamic algorithms pass over servers that
    /// have reached `maxconn` (the stream is then queued on the backend); keyed ones return the key's server
    /// even when it is full (the stream is queued on that server).
    fn pick(&self, list: &[Server], pick: &Pick) -> Option<usize>;

    /// The number of streams served by (or queued on) `list[index]` rose (`taken`) or fell. Called after the
    /// counter in [`super::ServerLive`] was changed.
    fn load_changed(&self, _list: &[Server], _index: usize, _taken: bool) {}

    /// Needs [`Pick::hash`].
    fn is_keyed(&self) -> bool {
        false
    }
}

/// The algorithm of an empty or unbalanced set: never picks.
#[derive(Debug, Default)]
pub struct NoBalancer;

impl Balancer for NoBalancer {
    fn refresh(&self, _list: &[Server], _now: Millis) {}

    fn pick(&self, _list: &[Server], _pick: &Pick) -> Option<usize> {
        None
    }
}
