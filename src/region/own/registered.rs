//! What a member remembers of what was registered with it, beside the map and in its `data-dir`.
//!
//! Whoever registers something with this node, or takes it away, does so through [`Own::propose`]; what happens to the
//! catalog otherwise (`catalog/deregister`, `force-leave`, a node that is renamed) is not this node's will, and
//! [`keep`](super::keep) puts it back, as an agent of Consul does.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, RwLock};

use super::holdings::{Holdings, plain, plain_check};
use crate::region::map::*;
use crate::region::seat::{Seat, SeatError};
use crate::region::store::snapshot::write_private;

const FILE: &str = "registered.json";

#[derive(Debug)]
pub struct Own {
    /// `None` until it is known: a node of an earlier version has it in the map alone.
    held: Mutex<Option<Holdings>>,
    dir: Option<PathBuf>,
    /// Of what is held; moves with each change.
    version: AtomicU64,
    /// The version that is written down.
    saved: tokio::sync::Mutex<u64>,
    pub(super) changed: Notify,
    /// Held for reading while something is registered or taken away, for writing while the catalog is mended.
    pub(super) steady: RwLock<()>,
}

/// What was there of what a command touches.
struct Before {
    instances: Vec<(Name, Option<Instance>)>,
    checks: Vec<(Name, Option<Check>)>,
}

impl Own {
    /// What this node kept; what cannot be read is an error, never nothing.
    pub fn open(dir: Option<&Path>, node: &Name) -> io::Result<Arc<Own>> {
        let held = match dir.map(|dir| dir.join(FILE)).filter(|path| path.exists()) {
            None => None,
            Some(path) => {
                let text = std::fs::read(&path)?;
                let wrong = |e: &dyn std::fmt::Display| {
                    io::Error::other(format!(
                        "{}: {e}. Without this file the node knows what the catalog says of it",
                        path.display()
                    ))
                };
                let mut held: Holdings = serde_json::from_slice(&text).map_err(|e| wrong(&e))?;
                // It left, and came back under another name.
                held.rename(node);
                Some(held)
            }
        };
        Ok(Arc::new(Own {
            held: Mutex::new(held),
            dir: dir.map(Path::to_owned),
            version: AtomicU64::new(0),
            saved: tokio::sync::Mutex::new(0),
            changed: Notify::new(),
            steady: RwLock::new(()),
        }))
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Option<Holdings>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what this node is told, and proposes it; both are durable when it returns. What is not done is not kept.
    pub async fn propose(self: &Arc<Self>, seat: &Seat, command: Command) -> Result<Reply, SeatError> {
        let _steady = self.steady.read().await;
        self.know(&seat.map(), seat.node_name());
        let before = self.take(&command);
        let done = seat.propose(command).await;
        if !matches!(done, Ok(ref reply) if !matches!(reply, Reply::Refused(_))) {
            self.put_back(before);
        }
        if let Err(e) = self.save().await {
            tracing::error!("region map: what is registered with this node cannot be kept: {e}");
            // It is tried again.
            self.changed.notify_one();
        }
        done
    }

    /// What the catalog says of this node is what is registered with it, unless more is known.
    pub(super) fn know(&self, map: &Map, node: &Name) {
        if map.node(node).is_some() {
            self.held().get_or_insert_with(|| Holdings::of(map, node));
        }
    }

    fn take(&self, command: &Command) -> Option<Before> {
        let mut held = self.held();
        self.version.fetch_add(1, Ordering::SeqCst);
        let held = held.as_mut()?;
        let touched = touched(held, command);
        let find = |id: &Name| held.instances.iter().find(|one| one.id == *id).cloned();
        let instances = touched.0.into_iter().map(|id| (id.clone(), find(&id))).collect();
        let find = |id: &Name| held.checks.iter().find(|one| one.id == *id).cloned();
        let checks = touched.1.into_iter().map(|id| (id.clone(), find(&id))).collect();
        let before = Before { instances, checks };
        held.instances.retain(|one| before.instances.iter().all(|(id, _)| *id != one.id));
        held.checks.retain(|one| before.checks.iter().all(|(id, _)| *id != one.id));
        if let Command::Register(what) = command {
            let node = held.node.clone();
            held.instances
                .extend(what.instance.iter().map(|one| Instance { node: node.clone(), ..plain(one) }));
            let own = what.checks.iter().filter(|check| *check.id != *NODE_LIVENESS);
            held.checks.extend(own.map(|check| Check { node: node.clone(), ..plain_check(check) }));
            held.sort();
        }
        Some(before)
    }

    fn put_back(&self, before: Option<Before>) {
        let (Some(before), Some(held)) = (before, &mut *self.held()) else { return };
        self.version.fetch_add(1, Ordering::SeqCst);
        held.instances.retain(|one| before.instances.iter().all(|(id, _)| *id != one.id));
        held.checks.retain(|one| before.checks.iter().all(|(id, _)| *id != one.id));
        held.instances.extend(before.instances.into_iter().filter_map(|(_, one)| one));
        held.checks.extend(before.checks.into_iter().filter_map(|(_, one)| one));
        held.sort();
    }

    /// Takes over what the map says by itself; whether that is news.
    pub(super) fn follow(&self, map: &Map) -> Option<Holdings> {
        let mut held = self.held();
        let held = held.as_mut()?;
        let before = held.clone();
        held.follow(map);
        if *held != before {
            self.version.fetch_add(1, Ordering::SeqCst);
        }
        Some(held.clone())
    }

    /// Writes down what is held, unless somebody else has just done so.
    pub(super) async fn save(self: &Arc<Self>) -> io::Result<()> {
        let wanted = self.version.load(Ordering::SeqCst);
        let mut saved = self.saved.lock().await;
        if *saved >= wanted || self.dir.is_none() {
            return Ok(());
        }
        let (version, held) = {
            let held = self.held();
            (self.version.load(Ordering::SeqCst), held.clone())
        };
        let Some(held) = held else { return Ok(()) };
        let own = self.clone();
        let written = tokio::task::spawn_blocking(move || own.write(&held)).await;
        written.unwrap_or_else(|e| Err(io::Error::other(e)))?;
        *saved = version;
        Ok(())
    }

    /// Blocks.
    fn write(&self, held: &Holdings) -> io::Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let text = serde_json::to_vec(held).map_err(io::Error::other)?;
        write_private(&dir.join(FILE), &text)
    }
}

/// The ids of instances and checks that a command makes or takes away.
fn touched(held: &Holdings, command: &Command) -> (Vec<Name>, Vec<Name>) {
    let of = |service: &Name| -> Vec<Name> {
        held.checks
            .iter()
            .filter(|check| check.service_id == *service)
            .map(|check| check.id.clone())
            .collect()
    };
    match command {
        Command::Register(what) => {
            let instance = what.instance.as_ref().map(|one| one.id.clone());
            let mut checks: Vec<Name> = what.checks.iter().map(|check| check.id.clone()).collect();
            checks.extend(instance.iter().filter(|_| what.replace_checks).flat_map(of));
            (instance.into_iter().collect(), checks)
        }
        Command::Deregister(Deregistration { service_id: Some(id), .. }) => (vec![id.clone()], of(id)),
        Command::Deregister(Deregistration { check_id: Some(id), .. }) => (Vec::new(), vec![id.clone()]),
        _ => (Vec::new(), Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::Direct;

    fn register(id: &str, checks: &[&str], replace_checks: bool) -> Command {
        let check = |check: &&str| Check {
            id: (*check).into(),
            service_id: id.into(),
            status: Health::Passing,
            ..Check::default()
        };
        Command::Register(Box::new(Registration {
            node: Node { name: "a".into(), ..Node::default() },
            skip_node_update: true,
            instance: Some(Instance { id: id.into(), service: id.into(), ..Instance::default() }),
            checks: checks.iter().map(check).collect(),
            replace_checks,
        }))
    }

    fn ids(own: &Own) -> (Vec<String>, Vec<String>) {
        let held = own.held().clone().expect("known");
        let instances = held.instances.iter().map(|one| one.id.to_string()).collect();
        (instances, held.checks.iter().map(|check| check.id.to_string()).collect())
    }

    #[tokio::test]
    async fn what_was_done_is_kept_and_what_was_refused_is_not() {
        let seat = Direct::seat("a", "");
        let own = Own::open(None, &"a".into()).expect("nothing");
        *own.held() = Some(Holdings { node: "a".into(), ..Holdings::default() });
        own.propose(&seat, register("web", &["w1", "w2"], false)).await.expect("registered");
        own.propose(&seat, register("db", &["d"], false)).await.expect("registered");
        own.propose(&seat, register("web", &["w3"], true)).await.expect("registered");
        assert_eq!(ids(&own), (vec!["db".into(), "web".into()], vec!["d".into(), "w3".into()]));
        assert_eq!(own.held().as_ref(), Some(&Holdings::of(&seat.map(), &"a".into())), "as in the map");
        let refused = own.propose(&seat, register("", &["x"], false)).await;
        assert!(matches!(refused, Ok(Reply::Refused(_))), "{refused:?}");
        let gone = Deregistration { node: "a".into(), service_id: Some("db".into()), check_id: None };
        own.propose(&seat, Command::Deregister(gone)).await.expect("gone");
        assert_eq!(ids(&own), (vec!["web".into()], vec!["w3".into()]));
    }

    #[test]
    fn what_is_kept_is_there_again_and_what_is_torn_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let own = Own::open(Some(dir.path()), &"a".into()).expect("nothing");
        assert!(own.held().is_none());
        let held = Holdings { node: "a".into(), id: "i".into(), ..Holdings::default() };
        own.write(&held).expect("written");
        assert_eq!(Own::open(Some(dir.path()), &"a".into()).expect("read").held().as_ref(), Some(&held));
        let renamed = Own::open(Some(dir.path()), &"b".into()).expect("read");
        assert_eq!(renamed.held().as_ref().map(|held| held.node.to_string()), Some("b".into()));
        std::fs::write(dir.path().join(FILE), "{").expect("torn");
        assert!(Own::open(Some(dir.path()), &"a".into()).expect_err("torn").to_string().contains(FILE));
    }
}
