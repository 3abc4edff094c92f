//! What was answered, counted by each thread for itself and told together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::counter;

use crate::dns::answer::Sent;
use crate::dns::wire::rcode;

/// Response codes that are told apart.
const CODES: [(u16, &str); 8] = [
    (rcode::NOERROR, "NOERROR"),
    (rcode::FORMERR, "FORMERR"),
    (rcode::SERVFAIL, "SERVFAIL"),
    (rcode::NXDOMAIN, "NXDOMAIN"),
    (rcode::NOTIMP, "NOTIMP"),
    (rcode::REFUSED, "REFUSED"),
    (rcode::BADVERS, "BADVERS"),
    (u16::MAX, "other"),
];

/// Counters of one thread, on a cache line of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Figures {
    codes: [AtomicU64; CODES.len()],
    truncated: AtomicU64,
    from_map: AtomicU64,
    /// Datagrams that got no answer: no queries.
    pub silent: AtomicU64,
    /// Answers that the rate limit kept back, and those it made short.
    pub limited: AtomicU64,
    pub slipped: AtomicU64,
    pub connections: AtomicU64,
    /// Connections that were closed for there were too many.
    pub refused: AtomicU64,
}

impl Figures {
    pub fn count(&self, sent: &Sent) {
        let at = CODES.iter().position(|(code, _)| *code == sent.rcode).unwrap_or(CODES.len() - 1);
        self.codes[at].fetch_add(1, Ordering::Relaxed);
        if sent.truncated {
            self.truncated.fetch_add(1, Ordering::Relaxed);
        }
        if sent.chosen.is_some() {
            self.from_map.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Tells the sums.
pub(super) fn publish(responder: &str, all: &[Arc<Figures>]) {
    let sum =
        |of: &dyn Fn(&Figures) -> &AtomicU64| all.iter().map(|f| of(f).load(Ordering::Relaxed)).sum::<u64>();
    let name = || responder.to_owned();
    for (at, (_, code)) in CODES.iter().enumerate() {
        counter!("isobar_dns_answers_total", "responder" => name(), "rcode" => *code)
            .absolute(sum(&|f| &f.codes[at]));
    }
    counter!("isobar_dns_truncated_total", "responder" => name()).absolute(sum(&|f| &f.truncated));
    counter!("isobar_dns_map_answers_total", "responder" => name()).absolute(sum(&|f| &f.from_map));
    counter!("isobar_dns_ignored_total", "responder" => name()).absolute(sum(&|f| &f.silent));
    counter!("isobar_dns_rate_limited_total", "responder" => name(), "fate" => "dropped")
        .absolute(sum(&|f| &f.limited));
    counter!("isobar_dns_rate_limited_total", "responder" => name(), "fate" => "slipped")
        .absolute(sum(&|f| &f.slipped));
    counter!("isobar_dns_connections_total", "responder" => name()).absolute(sum(&|f| &f.connections));
    counter!("isobar_dns_refused_connections_total", "responder" => name()).absolute(sum(&|f| &f.refused));
}
