//! What was answered, counted by each thread for itself and told together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::counter;

use crate::dns::answer::{Sent, State};
use crate::dns::name::to_text;
use crate::dns::tally::Tally;
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

/// Tells what zones and records of the map were asked since the last time.
fn publish_state(responder: &str, state: &State, tally: &Tally, seconds: f64) {
    let name = || responder.to_owned();
    for zone in state.zones.iter() {
        for (code, count) in zone.answers.take().into_iter().filter(|(_, count)| *count > 0) {
            let apex = to_text(zone.apex());
            counter!("isobar_dns_zone_answers_total", "responder" => name(), "zone" => apex, "rcode" => code)
                .increment(count);
        }
    }
    tally.turn(state.records.iter());
    let nowhere: Arc<str> = "".into();
    for record in state.records.iter() {
        for (region, count) in record.answers.iter().enumerate() {
            let count = count.swap(0, Ordering::Relaxed);
            if count > 0 {
                tally.add(record, state.regions.get(region).unwrap_or(&nowhere), count, seconds);
                counter!(
                    "isobar_dns_record_answers_total",
                    "responder" => name(),
                    "record" => to_text(&record.owner),
                    "service" => record.told.service.clone(),
                    "policy" => record.told.policy.clone(),
                    "region" => state.region_name(region as u16).to_owned(),
                )
                .increment(count);
            }
        }
    }
}

/// Tells the sums, and what came since so many seconds.
pub(super) fn publish(responder: &str, all: &[Arc<Figures>], state: &State, tally: &Tally, seconds: f64) {
    publish_state(responder, state, tally, seconds);
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
