//! The mirror of a node: its threads, its configuration, and answers to who asks.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::keep::always;
use super::look::one;
use super::record::{self, ASK, Ask, Assignment, JOB, PROGRESS, RULE, RuleStanding};
use super::registries::Registries;
use super::shared::{Config, Shared, paused_key};
use super::survey::repositories;
use super::{leader, webhook, worker};
use crate::base::Live;
use crate::mirror::client::backoff::chance;
use crate::mirror::copy::ROOM;
use crate::mirror::rule::Spec;
use crate::os::process;
use crate::region::Seat;
use crate::region::soft::{Kind, Record};

/// Below what serves traffic.
const NICE: i32 = 10;
const THREADS: usize = 2;
/// How long what is asked for is told to whoever leads.
const ASKED: Duration = Duration::from_secs(5);
/// Octets of names that fit into one record of soft state.
const ASK_BYTES: usize = 3000;

/// Ends when it is dropped.
pub struct Mirror {
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

impl Mirror {
    pub fn start(spec: Spec, seat: Seat) -> io::Result<Mirror> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("mirror")
            .on_thread_start(|| drop(process::renice(NICE)))
            .enable_all()
            .build()?;
        let registries = Registries::of(&spec, &Registries::default());
        let shared = Arc::new(Shared {
            seat,
            config: Live::new(Config { spec, registries }),
            changed: tokio::sync::Notify::new(),
            reduced: Arc::default(),
            room: Arc::new(Semaphore::new(ROOM)),
        });
        let (leading, working) = (shared.clone(), shared.clone());
        runtime.spawn(always("leader", move || leader::run(leading.clone())));
        runtime.spawn(always("worker", move || worker::run(working.clone())));
        Ok(Mirror { shared, runtime: Some(runtime) })
    }

    pub fn change(&self, spec: Spec) {
        let registries = Registries::of(&spec, &self.shared.config.load().registries);
        self.shared.config.store(Arc::new(Config { spec, registries }));
        self.shared.changed.notify_waiters();
    }

    /// For who answers requests.
    pub fn asked(&self) -> Asked {
        let handle = self.runtime.as_ref().map(|runtime| runtime.handle().clone());
        Asked { shared: self.shared.clone(), handle }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let soft = self.shared.seat.soft();
        let me = self.shared.seat.status().id;
        let view = soft.view();
        let own = view.node(me).into_iter().flat_map(|records| records.of_kind(Kind::Work));
        own.filter(|(name, _)| name.starts_with(PROGRESS))
            .for_each(|(name, _)| soft.withdraw(Kind::Work, name));
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Answers what is asked of the mirror.
#[derive(Clone)]
pub struct Asked {
    shared: Arc<Shared>,
    handle: Option<tokio::runtime::Handle>,
}

/// Why there is no answer: a status of HTTP, and words.
pub type Refused = (u16, String);

impl Asked {
    /// How all rules stand, as the leader tells.
    pub fn status(&self) -> Value {
        let view = self.shared.seat.soft().view();
        let mut rules: Vec<Value> = Vec::new();
        for (_, name, _, standing) in record::told::<RuleStanding>(&view, RULE) {
            let targets = standing.targets.iter().map(|t| {
                json!({
                    "Target": t.target, "Tags": t.tags, "Behind": t.behind, "BehindSince": t.behind_since,
                    "Conflicts": t.conflicts, "DeletesHeld": t.refused, "Looked": t.looked, "Fault": t.fault,
                })
            });
            rules.push(json!({
                "Rule": name, "From": standing.from, "Paused": standing.paused, "Looking": standing.looking,
                "Next": standing.next, "Differs": standing.differs, "Targets": targets.collect::<Vec<_>>(),
            }));
        }
        Value::Array(rules)
    }

    /// Jobs that run, and where.
    pub fn jobs(&self) -> Value {
        let view = self.shared.seat.soft().view();
        let map = self.shared.seat.map();
        let row = |(_, id, to, one): (u64, &str, u64, Assignment)| {
            let progress =
                view.node(to).and_then(|r| r.record(Kind::Progress, &format!("{PROGRESS}{id}")).cloned());
            let (done, total) = match progress.as_deref() {
                Some(Record::Progress(p)) => (p.done_bytes, p.total_bytes),
                _ => (0, 0),
            };
            let lease = map.lease(&format!("{PROGRESS}{id}"));
            let state = match lease.map(|lease| lease.holder) {
                // Without progress it is the lease of who was there before, or of this node before it was started anew.
                Some(holder) if holder == to && progress.is_some() => "running",
                Some(_) => "waits for lease",
                None => "starting",
            };
            json!({
                "ID": id, "Rule": one.job.rule, "Target": one.job.target, "Repository": one.job.to,
                "Tags": one.job.copy.len() + one.job.delete.len(), "State": state, "Done": done, "Total": total,
                "Node": map.member(to).map(|member| member.name.to_string()),
            })
        };
        Value::Array(record::told::<Assignment>(&view, JOB).map(row).collect())
    }

    fn has(&self, rule: &str) -> Result<(), Refused> {
        let known = self.shared.config.load().rule(rule).is_some();
        known.then_some(()).ok_or_else(|| (404, format!("there is no mirror {rule:?} on this node")))
    }

    /// Has a rule look at once, at some repositories or at all.
    pub fn sync(&self, rule: &str, repositories: BTreeSet<String>) -> Result<(), Refused> {
        self.has(rule)?;
        let ask = Ask { nonce: chance(), repositories };
        let name = format!("{ASK}{rule}");
        // What was asked a moment ago and nobody may have heard yet.
        let view = self.shared.seat.soft().view();
        let me = self.shared.seat.status().id;
        let before = record::told::<Ask>(&view, ASK).find(|(node, of, ..)| *node == me && *of == rule);
        let ask = match before {
            Some((.., old)) if !ask.repositories.is_empty() && !old.repositories.is_empty() => {
                Ask { repositories: ask.repositories.union(&old.repositories).cloned().collect(), ..ask }
            }
            Some(_) => Ask { repositories: BTreeSet::new(), ..ask },
            None => ask,
        };
        // What does not fit into a record is all of them.
        let ask = match ask.repositories.iter().map(|name| name.len() + 3).sum::<usize>() {
            0..=ASK_BYTES => ask,
            _ => Ask { repositories: BTreeSet::new(), ..ask },
        };
        let nonce = ask.nonce;
        record::tell(&self.shared.seat, &name, 0, &ask);
        if let Some(handle) = &self.handle {
            let shared = self.shared.clone();
            handle.spawn(async move {
                tokio::time::sleep(ASKED).await;
                let (view, me) = (shared.seat.soft().view(), shared.seat.status().id);
                let stands = view.node(me).and_then(|r| r.record(Kind::Work, &name).cloned());
                let is_same = stands.is_some_and(|record| match &*record {
                    Record::Work(work) => {
                        serde_json::from_slice::<Ask>(&work.body).is_ok_and(|a| a.nonce == nonce)
                    }
                    _ => false,
                });
                if is_same {
                    shared.seat.soft().withdraw(Kind::Work, &name);
                }
            });
        }
        Ok(())
    }

    pub async fn pause(&self, rule: &str, paused: bool) -> Result<(), Refused> {
        self.has(rule)?;
        let key = paused_key(rule);
        let done =
            if paused { self.shared.put(key, b"1".to_vec()).await } else { self.shared.remove(key).await };
        done.map_err(|e| (500, e))
    }

    /// What a registry announces.
    pub fn announced(&self, body: &Bytes) -> Result<(), Refused> {
        let changed = webhook::changed(body).map_err(|e| (400, format!("no events: {e}")))?;
        let config = self.shared.config.load();
        for rule in config.spec.rules.iter().filter(|rule| rule.on_push) {
            let of_rule: BTreeSet<String> = changed.iter().filter(|name| rule.has(name)).cloned().collect();
            if !of_rule.is_empty() {
                self.sync(&rule.name, of_rule)?;
            }
        }
        Ok(())
    }

    /// What a rule would do now, looked at by this node.
    pub async fn plan(&self, rule: &str) -> Result<Value, Refused> {
        self.has(rule)?;
        let (shared, rule) = (self.shared.clone(), rule.to_owned());
        let work = async move {
            let config = shared.config.load();
            let rule = config.rule(&rule).ok_or_else(|| (404, "gone".to_owned()))?;
            let fault = |e: crate::mirror::client::Fault| (502, e.to_string());
            let source = config.registries.target(&rule.from).ok_or_else(|| (404, "gone".to_owned()))?;
            let names = repositories(rule, &source.registry).await.map_err(fault)?;
            let mut rows = Vec::new();
            for from in &names {
                for target in rule.to.iter().filter(|target| !config.spec.is_echo(rule, target, from)) {
                    let Some((to, result)) = one(&shared, &config, rule, from, target).await else {
                        continue;
                    };
                    let plan = result.map_err(fault)?.plan;
                    rows.push(json!({
                        "Target": target, "From": from, "To": to, "Same": plan.same, "Conflicts": plan.conflicts,
                        "Copy": plan.copy, "Delete": plan.delete, "DeletesHeld": plan.refused.map_or(0, |r| r.0),
                    }));
                }
            }
            Ok(Value::Array(rows))
        };
        match &self.handle {
            Some(handle) => handle.spawn(work).await.map_err(|e| (500, e.to_string()))?,
            None => work.await,
        }
    }
}
