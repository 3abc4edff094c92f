//! Says through a member that this node lives, and what is registered with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::StatusCode;
use tokio::sync::watch;
use tokio::time::Instant;

use super::local::Local;
use super::members::Members;
use super::process::Say;
use crate::catalog::agent::client::{Heartbeat, HeartbeatReply, Holdings, Leaving};
use crate::lang::Severity;
use crate::region::map::{Command, Index, Node, Registration, Topic};
use crate::region::{Leader, Seat};

/// Between two heartbeats until a member says otherwise, and bounds of what one may say.
const INTERVAL_MS: u64 = 500;
const INTERVAL_LEAST_MS: u64 = 50;
const INTERVAL_MOST_MS: u64 = 10_000;
/// A member that has not answered by then is given up.
const HEARTBEAT: Duration = Duration::from_millis(1_500);
/// All that is registered may be much.
const TELL: Duration = Duration::from_secs(10);
const LEAVE: Duration = Duration::from_secs(2);

pub(super) struct Reporter {
    pub(super) seat: Seat,
    pub(super) local: Arc<Local>,
    pub(super) members: Arc<Members>,
    pub(super) say: Say,
    pub(super) id: String,
    pub(super) advertise: Option<String>,
    pub(super) datacenter: String,
    pub(super) told: watch::Sender<Index>,
    /// The cluster knows that this node leaves.
    pub(super) leaves: AtomicBool,
}

/// How it went last, so that each trouble is told once.
#[derive(Default)]
struct State {
    is_known: bool,
    trouble: String,
    interval_ms: u64,
}

impl Reporter {
    /// Until it is dropped.
    pub(super) async fn run(self: Arc<Self>) {
        let topics = [Topic::Node(self.seat.node_name().clone())];
        let mut state = State { interval_ms: INTERVAL_MS, ..State::default() };
        let mut due = soon(0);
        loop {
            if soon(0) >= due {
                due = soon(state.interval_ms);
                let said = self.heartbeat(&mut state).await;
                self.note(&mut state, said);
                if !state.is_known {
                    due = due.min(soon(INTERVAL_MS / 2));
                }
            }
            let index = self.index();
            if state.is_known && *self.told.borrow() < index {
                let said = self.tell().await;
                state.is_known = said.is_ok();
                self.note(&mut state, said);
            }
            let _ = self.seat.changed(&topics, index, due).await;
        }
    }

    fn index(&self) -> Index {
        self.seat.map().index_of(&Topic::Node(self.seat.node_name().clone()))
    }

    fn note(&self, state: &mut State, said: Result<(), String>) {
        match said {
            Ok(()) if !state.trouble.is_empty() => {
                state.trouble.clear();
                (self.say)(Severity::Notice, &format!("agent: {} answers.", self.members.current()));
            }
            Ok(()) => {}
            Err(why) => {
                state.is_known = false;
                self.local.led_by(None);
                // Another member each time: one line for all of them is enough.
                if state.trouble.is_empty() {
                    let text = format!("agent: the cluster does not hear this node: {why}.");
                    (self.say)(Severity::Warning, &text);
                }
                state.trouble = why;
            }
        }
    }

    /// The address at which this node is reached.
    fn address(&self) -> String {
        let own = || self.members.own().map_or_else(|| "127.0.0.1".to_owned(), |ip| ip.to_string());
        self.advertise.clone().unwrap_or_else(own)
    }

    async fn heartbeat(&self, state: &mut State) -> Result<(), String> {
        let (map, node) = (self.seat.map(), self.seat.node_name());
        let index = self.index();
        let heartbeat = Heartbeat {
            node: node.to_string(),
            id: self.id.clone(),
            address: self.address(),
            region: self.seat.region().to_string(),
            digest: Holdings::of(&map, node).digest(),
        };
        let body = serde_json::to_vec(&heartbeat).map_err(|e| e.to_string())?;
        let address = self.members.current();
        let reply: HeartbeatReply = match self.members.put("/v1/isobar/agent/alive", body, HEARTBEAT).await? {
            (StatusCode::OK, body) => serde_json::from_slice(&body).map_err(|e| format!("{address}: {e}"))?,
            (status, body) => {
                // It has no leader, say: another may.
                self.members.next(&address);
                let text = String::from_utf8_lossy(&body);
                return Err(format!("{address} says {status}: {}", text.trim()));
            }
        };
        if reply.datacenter != self.datacenter {
            return Err(format!(
                "the members are of datacenter '{}', not '{}'",
                reply.datacenter, self.datacenter
            ));
        }
        self.take_in(&heartbeat, &reply).await;
        state.interval_ms = reply.interval_ms.clamp(INTERVAL_LEAST_MS, INTERVAL_MOST_MS);
        state.is_known = true;
        self.told.send_modify(|told| match reply.current {
            true => *told = index.max(*told),
            // Somebody changed it, or it was never told.
            false => *told = 0,
        });
        Ok(())
    }

    async fn take_in(&self, heartbeat: &Heartbeat, reply: &HeartbeatReply) {
        self.members.learn(&reply.members);
        let leader = Leader {
            id: 0,
            name: reply.leader.as_str().into(),
            address: reply.leader_address.as_str().into(),
        };
        self.local.led_by((!reply.leader.is_empty()).then_some(leader));
        let node = own_node(&self.seat, &self.id, &heartbeat.address);
        let stands = self.seat.map().node(self.seat.node_name()).is_some_and(|old| {
            (&old.id, &old.address, &old.region) == (&node.id, &node.address, &node.region)
        });
        if !stands {
            let what = Registration { node, ..Registration::default() };
            let _ = self.seat.propose(Command::Register(Box::new(what))).await;
        }
    }

    /// Tells all that is registered here.
    async fn tell(&self) -> Result<(), String> {
        let (map, node) = (self.seat.map(), self.seat.node_name());
        let index = map.index_of(&Topic::Node(node.clone()));
        let body = serde_json::to_vec(&Holdings::of(&map, node)).map_err(|e| e.to_string())?;
        let address = self.members.current();
        match self.members.put("/v1/isobar/agent/holdings", body, TELL).await? {
            (StatusCode::OK, _) => {
                self.told.send_modify(|told| *told = index.max(*told));
                Ok(())
            }
            (status, body) => {
                self.members.next(&address);
                Err(format!("{address} says {status}: {}", String::from_utf8_lossy(&body).trim()))
            }
        }
    }

    /// Says that this node leaves, once.
    pub(super) async fn say_leaving(&self) {
        if self.leaves.swap(true, Ordering::Relaxed) {
            return;
        }
        let said = Leaving { node: self.seat.node_name().to_string(), id: self.id.clone() };
        let Ok(body) = serde_json::to_vec(&said) else { return };
        // A member of an earlier version does not know this; the node is taken out of the catalog all the same.
        let _ = self.members.put("/v1/isobar/agent/leaving", body, LEAVE).await;
    }

    /// Takes this node out of the catalog; what is registered here is kept here.
    pub(super) async fn leave(&self) {
        self.say_leaving().await;
        let body = serde_json::json!({ "Node": &**self.seat.node_name() }).to_string();
        for _ in 0..self.members.len() {
            let left = self.members.put("/v1/catalog/deregister", body.clone().into_bytes(), LEAVE).await;
            if matches!(left, Ok((StatusCode::OK, _))) {
                return;
            }
        }
    }
}

/// This node as its own map has it.
pub(super) fn own_node(seat: &Seat, id: &str, address: &str) -> Node {
    Node {
        id: id.into(),
        name: seat.node_name().clone(),
        address: address.into(),
        region: seat.region().clone(),
        ..Node::default()
    }
}

fn soon(ms: u64) -> Instant {
    tokio::time::sleep(Duration::from_millis(ms)).deadline()
}
