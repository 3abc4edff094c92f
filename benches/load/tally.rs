//! What a client counted, and its report: one line of JSON.

use crate::cpu::Spent;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const MOST_SLICES: usize = 10_000;

/// Counts of one measuring window, and of the whole run where the name says so.
pub struct Tally {
    latency_ns: Histogram<u64>,
    /// The latencies of each so many nanoseconds of the window, when asked for.
    slices: Option<Slices>,
    requests: u64,
    body_bytes: u64,
    total_requests: u64,
    total_connects: u64,
    errors: BTreeMap<String, u64>,
    /// Idle connections that the proxy closed between requests, which HTTP allows.
    pub idle_closes: u64,
}

/// Latencies by the time at which their requests ended.
struct Slices {
    every_ns: u64,
    latency_ns: Vec<Vec<u64>>,
}

impl Tally {
    /// `slices_ns`: how long a slice of the window is that is told on its own; 0: none is.
    pub fn new(slices_ns: u64) -> Result<Self, String> {
        Ok(Self {
            slices: (slices_ns > 0).then_some(Slices { every_ns: slices_ns, latency_ns: Vec::new() }),
            latency_ns: Histogram::new_with_bounds(1_000, 600_000_000_000, 3)
                .map_err(|error| error.to_string())?,
            requests: 0,
            body_bytes: 0,
            total_requests: 0,
            total_connects: 0,
            errors: BTreeMap::new(),
            idle_closes: 0,
        })
    }

    /// Starts the window; totals and errors go on, for a failure in the warm-up is a failure too.
    pub fn open_window(&mut self) {
        self.latency_ns.reset();
        if let Some(slices) = &mut self.slices {
            slices.latency_ns.clear();
        }
        self.requests = 0;
        self.body_bytes = 0;
    }

    pub fn connected(&mut self) {
        self.total_connects += 1;
    }

    pub fn received(&mut self, bytes: u64) {
        self.body_bytes += bytes;
    }

    /// A request was answered, `at_ns` after the window began.
    pub fn completed(&mut self, latency_ns: u64, at_ns: u64) {
        if let Some(slices) = &mut self.slices {
            let number = usize::try_from(at_ns / slices.every_ns).unwrap_or(MOST_SLICES);
            if number < MOST_SLICES {
                if slices.latency_ns.len() <= number {
                    slices.latency_ns.resize(number + 1, Vec::new());
                }
                slices.latency_ns[number].push(latency_ns);
            }
        }
        self.requests += 1;
        self.total_requests += 1;
        self.latency_ns.saturating_record(latency_ns);
    }

    pub fn failed(&mut self, kind: &str) {
        *self.errors.entry(kind.to_owned()).or_default() += 1;
    }

    pub fn failures(&self) -> u64 {
        self.errors.values().sum()
    }

    pub fn total_requests(&self) -> u64 {
        self.total_requests
    }

    /// The counts of the window, frozen when it closes.
    pub fn window(&self, seconds: f64, spent: &Spent) -> Value {
        let micros = |quantile: f64| self.latency_ns.value_at_quantile(quantile) as f64 / 1e3;
        json!({
            "requests": self.requests,
            "body_bytes": self.body_bytes,
            "seconds": seconds,
            "cpu_ns": spent.cpu_ns,
            "cpu_ns_by_thread": spent.by_thread_ns,
            "threads_gone": spent.threads_gone,
            "latency_us": {
                "p50": micros(0.5), "p90": micros(0.9), "p99": micros(0.99), "p999": micros(0.999),
                "max": self.latency_ns.max() as f64 / 1e3,
            },
        })
    }

    /// Adds the totals of the whole run to a window's counts.
    pub fn report(&self, mut window: Value, unsent: usize) -> Value {
        window["total_requests"] = json!(self.total_requests);
        window["total_connects"] = json!(self.total_connects);
        window["failed"] = json!(self.failures());
        window["errors"] = json!(self.errors);
        window["idle_closes"] = json!(self.idle_closes);
        window["unsent"] = json!(unsent);
        if let Some(slices) = &self.slices {
            window["slices"] = slices.latency_ns.iter().map(|one| told(one)).collect();
        }
        window
    }
}

/// How many requests, and their median, worst hundredth and longest, in microseconds.
fn told(latency_ns: &[u64]) -> Value {
    let mut sorted = latency_ns.to_vec();
    sorted.sort_unstable();
    let at = |part: usize| sorted.get(sorted.len() * part / 100).or(sorted.last()).map_or(0, |ns| ns / 1000);
    json!([sorted.len(), at(50), at(99), at(100)])
}
