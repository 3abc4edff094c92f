//! One request as its handler sees it, and what every handler does: read at an index, propose, filter.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use serde::Serialize;
use tokio::time::Instant;

use crate::base::clock::MS;
use crate::catalog::api::Api;
use crate::catalog::filter::{Filter, Schema};
use crate::catalog::request::access::{Access, Authority, Resource};
use crate::catalog::request::answer::Answer;
use crate::catalog::request::duration;
use crate::catalog::request::fault::Fault;
use crate::catalog::request::fields::Fields;
use crate::catalog::request::params::Params;
use crate::region::map::{Command, Index, Map, Reply, Topic};
use crate::region::seat::{Consistency, Freshness, SeatError};

/// A wait when none is given, and the longest, in milliseconds (Consul's "blocking queries").
const WAIT_MS: u64 = 300_000;
const WAIT_MOST_MS: u64 = 600_000;

/// A request that found its route.
pub struct Call {
    pub api: Arc<Api>,
    /// What the path captured, decoded.
    pub args: Vec<String>,
    pub params: Params,
    pub body: Bytes,
    /// The token that it came with.
    pub token: Option<String>,
    pub authority: Authority,
}

impl Call {
    /// A captured piece that must be there: `missing` is the error's text otherwise.
    pub fn arg(&self, missing: &str) -> Result<&str, Fault> {
        let found = self.args.first().map(String::as_str).filter(|arg| !arg.is_empty());
        found.ok_or_else(|| Fault::bad_request(missing))
    }

    pub fn fields(&self) -> Result<Fields, Fault> {
        Fields::parse(&self.body)
    }

    pub fn consistency(&self) -> Result<Consistency, Fault> {
        match (self.params.flag("stale"), self.params.flag("consistent")) {
            (true, true) => {
                Err(Fault::bad_request("Cannot specify ?stale with ?consistent, conflicting semantics."))
            }
            (true, false) => Ok(Consistency::Stale),
            (false, true) => Ok(Consistency::Consistent),
            (false, false) => Ok(Consistency::Default),
        }
    }

    /// The datacenter of a query or a body must be ours.
    pub fn in_datacenter(&self, name: &str) -> Result<(), Fault> {
        if name.is_empty() || name == &*self.api.settings.datacenter {
            Ok(())
        } else {
            Err(Fault::internal("No path to datacenter"))
        }
    }

    pub fn allows(&self, resource: Resource, name: &str, access: Access) -> bool {
        self.authority.allows(resource, name, access)
    }

    pub fn require(&self, resource: Resource, name: &str, access: Access) -> Result<(), Fault> {
        if self.allows(resource, name, access) {
            return Ok(());
        }
        let on = if name.is_empty() { String::new() } else { format!(" on {name:?}") };
        let (access, resource) = (access.name(), resource.name());
        Err(Fault::forbidden(format!("token lacks permission '{resource}:{access}'{on}")))
    }

    /// Reads the map at an index: waits first, if the request asks to, until one of these topics changes.
    pub async fn read(
        &self,
        topics: &[Topic],
        answer: impl FnOnce(&Arc<Map>) -> Result<Answer, Fault>,
    ) -> Result<Answer, Fault> {
        let how = self.consistency()?;
        let freshness = self.api.seat.fresh(how).await?;
        let waits = self.wait_for(topics).await?;
        let map = self.api.seat.map();
        let index = topics.iter().map(|topic| map.index_of(topic)).max().unwrap_or(0);
        let answer = answer(&map)?.with_index(index);
        Ok(self.dated(answer, how, freshness, waits))
    }

    /// Reads the newest map that is here, with nothing said of its age: what an agent knows of itself.
    pub async fn read_own(&self) -> Result<Arc<Map>, Fault> {
        // An agent knows what was registered with it even when the cluster has no leader.
        let _ = self.api.seat.fresh(Consistency::Stale).await;
        Ok(self.api.seat.map())
    }

    fn dated(&self, answer: Answer, how: Consistency, fresh: Freshness, waits: bool) -> Answer {
        let effective = match how {
            Consistency::Default => "leader",
            Consistency::Consistent => "consistent",
            Consistency::Stale => "stale",
        };
        let mut answer = answer
            .with("x-consul-effective-consistency", effective)
            .with("x-consul-knownleader", if fresh.known_leader { "true" } else { "false" })
            .with_number("x-consul-lastcontact", fresh.last_contact_ms);
        if waits {
            answer = answer.with("x-consul-query-backend", "blocking-query");
        }
        if self.params.flag("cached") {
            answer = answer.with("x-cache", "HIT").with("age", "0");
        }
        answer
    }

    /// Whether the request asked to wait; it waits.
    async fn wait_for(&self, topics: &[Topic]) -> Result<bool, Fault> {
        let Some(text) = self.params.text("index") else { return Ok(false) };
        let after: Index = text.parse().map_err(|_| Fault::bad_request("Invalid index"))?;
        if after == 0 || topics.is_empty() {
            return Ok(false);
        }
        self.park(topics, after, self.deadline()?).await?;
        Ok(true)
    }

    /// When a query that waits gives up, by `?wait`.
    pub fn deadline(&self) -> Result<Instant, Fault> {
        let wait = match self.params.text("wait") {
            None => WAIT_MS,
            Some(text) => duration::parse_ms(text).ok_or_else(|| Fault::bad_request("Invalid wait time"))?,
        };
        let wait = if wait == 0 { WAIT_MS } else { wait.min(WAIT_MOST_MS) };
        Ok(after(jittered(wait)))
    }

    pub fn is_over(&self, until: Instant) -> bool {
        after(Duration::ZERO) >= until
    }

    /// Waits until one of these changes; one of a bounded number of places is held meanwhile.
    pub async fn park(&self, topics: &[Topic], after: Index, until: Instant) -> Result<(), Fault> {
        let full = |_| Fault::new(StatusCode::TOO_MANY_REQUESTS, "Too many blocking queries");
        let _parked = self.api.parked.try_acquire().map_err(full)?;
        Ok(self.api.seat.changed(topics, after, until).await?)
    }

    /// Proposes; what was applied and refused is an error like any other.
    pub async fn propose(&self, command: Command) -> Result<Reply, Fault> {
        match self.api.seat.propose(command).await? {
            Reply::Refused(refusal) => Err(Fault::internal(refusal.to_string())),
            reply => Ok(reply),
        }
    }

    /// The same, of what is registered with this node or taken away.
    pub async fn propose_own(&self, command: Command) -> Result<Reply, Fault> {
        match self.api.seat.propose_own(command).await? {
            Reply::Refused(refusal) => Err(Fault::internal(refusal.to_string())),
            reply => Ok(reply),
        }
    }

    /// Proposes what has a condition: whether it held.
    pub async fn propose_held(&self, command: Command) -> Result<bool, Fault> {
        Ok(match self.propose(command).await? {
            Reply::Held { held, .. } => held,
            _ => true,
        })
    }

    pub fn filter(&self, schema: Schema) -> Result<Option<Filter>, Fault> {
        let Some(text) = self.params.text("filter") else { return Ok(None) };
        let wrong = |e| Fault::bad_request(format!("Failed to create boolean expression evaluator: {e}"));
        Filter::parse(text, schema).map(Some).map_err(wrong)
    }

    /// Keeps what passes `?filter`.
    pub fn filtered<T: Serialize>(&self, schema: Schema, mut rows: Vec<T>) -> Result<Vec<T>, Fault> {
        if let Some(filter) = self.filter(schema)? {
            rows.retain(|row| filter.passes(row));
        }
        Ok(rows)
    }
}

/// That long from now: a sleep knows when it ends, so that no clock is read here.
fn after(wait: Duration) -> Instant {
    tokio::time::sleep(wait).deadline()
}

/// Up to a sixteenth more, so that waiters that came together do not all return together; never more, because clients
/// give up right after that.
fn jittered(wait_ms: u64) -> Duration {
    let wait_ns = wait_ms * MS;
    let random = uuid::Uuid::new_v4().as_u64_pair().1;
    Duration::from_nanos(wait_ns + random % (wait_ns / 16 + 1))
}

impl From<SeatError> for Fault {
    fn from(error: SeatError) -> Self {
        match error {
            SeatError::NoLeader => Fault::internal("No cluster leader"),
            SeatError::TooLarge => Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "Request is too large"),
            SeatError::Full(what) => Fault::new(StatusCode::TOO_MANY_REQUESTS, what),
            SeatError::Disk(_) => Fault::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            other => Fault::internal(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_never_longer_than_clients_bear() {
        for wait_ms in [1, 20, 1_000, WAIT_MOST_MS] {
            for _ in 0..200 {
                let waited = jittered(wait_ms).as_nanos();
                let wait = u128::from(wait_ms * MS);
                assert!(waited >= wait && waited <= wait + wait / 16, "{waited}");
            }
        }
    }
}
