//! The log of queries: one of so many, told by a task of its own, so that nobody who answers waits for who reads it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::dns::answer::{Sent, State};
use crate::dns::name::to_text;
use crate::dns::wire::Query;

/// Lines that wait to be told; more are left out.
const LINES: usize = 256;

pub(super) struct QueryLog {
    /// 0: none is told.
    every: AtomicU32,
    seen: AtomicU32,
    lines: Sender<String>,
}

impl QueryLog {
    pub(super) fn new() -> (QueryLog, Receiver<String>) {
        let (lines, told) = channel(LINES);
        (QueryLog { every: AtomicU32::new(0), seen: AtomicU32::new(0), lines }, told)
    }

    pub(super) fn set(&self, every: u32) {
        self.every.store(every, Ordering::Relaxed);
    }

    /// Tells of an answer when it is the turn of one.
    pub(super) fn note(&self, state: &State, query: &[u8], client: IpAddr, sent: &Sent) {
        let every = self.every.load(Ordering::Relaxed);
        if every > 0 && self.seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(every) {
            let _ = self.lines.try_send(line(state, query, client, sent));
        }
    }
}

fn line(state: &State, query: &[u8], client: IpAddr, sent: &Sent) -> String {
    let (query, _) = Query::parse(query);
    let asked = query.question.as_ref().map_or_else(
        || "no question".to_owned(),
        |question| format!("{} type {}", to_text(question.name.as_wire()), question.qtype),
    );
    let subnet = query.edns.and_then(|edns| edns.subnet);
    let of = subnet.map(|of| format!(" for {}/{}", of.address, of.source)).unwrap_or_default();
    let chosen = sent.chosen.map(|(_, region)| format!(", region {}", state.region_name(region)));
    let truncated = if sent.truncated { ", truncated" } else { "" };
    let Sent { rcode, len, .. } = sent;
    format!("{client}{of} asks {asked}: code {rcode}, {len} octets{}{truncated}", chosen.unwrap_or_default())
}

/// Tells lines until nobody has any more.
pub(super) async fn tell(responder: std::sync::Arc<str>, mut lines: Receiver<String>) {
    while let Some(line) = lines.recv().await {
        tracing::info!("dns {responder}: {line}");
    }
}
