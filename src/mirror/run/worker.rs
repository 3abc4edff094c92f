//! The side of a node: does the jobs that the leader gives it, each under its lease.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::figures;
use super::keep::whole;
use super::record::{self, Assignment, DONE, JOB, NodeRules, PROGRESS};
use super::shared::{Checkpoints, SLOTS, Shared};
use crate::base::clock;
use crate::mirror::client::Fault;
use crate::mirror::copy::{Copied, Copier, Meter};
use crate::mirror::digest::Digest;
use crate::mirror::job::{Failure, Job, Outcome, UNHELD};
use crate::region::lease;
use crate::region::soft::{Kind, Progress, Record};

/// How long a job is still its node's that says nothing any more.
const LEASE: Duration = Duration::from_secs(10);
/// How often progress is told.
const TELL: Duration = Duration::from_millis(500);
/// A job that is to end has so long to come to the end of what it does.
const ENDING: Duration = Duration::from_secs(2);
/// How long the map is waited for when a job is done.
const RELEASE: Duration = Duration::from_secs(5);
/// Longest wait for news.
const PATIENCE: Duration = Duration::from_secs(1);

struct Running {
    nonce: u64,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let task = std::mem::replace(&mut self.task, tokio::spawn(async {}));
        tokio::spawn(async move {
            let abort = task.abort_handle();
            if tokio::time::timeout(ENDING, task).await.is_err() {
                abort.abort();
            }
        });
    }
}

/// Runs until it is dropped.
pub async fn run(shared: Arc<Shared>) {
    let mut running: BTreeMap<String, Running> = BTreeMap::new();
    let keeper = Arc::new(Checkpoints(shared.clone()));
    loop {
        let view = shared.seat.soft().view();
        let config = shared.config.load();
        let rules = config.spec.rules.iter().map(|rule| (rule.name.to_string(), rule.text)).collect();
        record::tell(&shared.seat, record::NODE, 0, &NodeRules { rules, slots: SLOTS });
        let (me, leader) = (shared.seat.status().id, shared.seat.leader().map(|leader| leader.id));
        // While nobody leads, what was given stays so.
        if let Some(leader) = leader {
            let mine = record::told::<Assignment>(&view, JOB)
                .filter(|(from, _, to, _)| *from == leader && *to == me);
            let mine: BTreeMap<String, Assignment> =
                mine.map(|(_, id, _, body)| (id.to_owned(), body)).collect();
            running.retain(|id, one| {
                let stays = mine.get(id).is_some_and(|assignment| assignment.nonce == one.nonce);
                if !stays {
                    shared.seat.soft().withdraw(Kind::Work, &format!("{DONE}{id}"));
                }
                stays
            });
            for (id, assignment) in mine {
                if running.len() < SLOTS * 2 {
                    running.entry(id.clone()).or_insert_with(|| start(&shared, &keeper, id, assignment));
                }
            }
        }
        let news = async {
            tokio::select! {
                _ = shared.seat.soft().changed(view.version) => {}
                () = shared.changed.notified() => {}
            }
        };
        let _ = tokio::time::timeout(PATIENCE, news).await;
    }
}

fn start(shared: &Arc<Shared>, keeper: &Arc<Checkpoints>, id: String, assignment: Assignment) -> Running {
    let stop = Arc::new(AtomicBool::new(false));
    let (nonce, stopped) = (assignment.nonce, stop.clone());
    let doing = under_lease(shared.clone(), keeper.clone(), id.clone(), assignment, stop.clone());
    let shared = shared.clone();
    let task = tokio::spawn(async move {
        let outcome = whole(doing).await.unwrap_or_else(|why| unheld(nonce, format!("it broke off: {why}")));
        // Nobody wants to know any more, and nobody would take it back.
        if !stopped.load(Ordering::Relaxed) {
            record::tell(&shared.seat, &format!("{DONE}{id}"), 0, &outcome);
        }
    });
    Running { nonce, stop, task }
}

/// What nobody could do, whatever the job is.
fn unheld(nonce: u64, text: String) -> Outcome {
    let fault = Some(Failure { cause: UNHELD.into(), text, wait_ms: 0 });
    Outcome { nonce, fault, bytes: 0, images: 0, took_ms: 0 }
}

async fn under_lease(
    shared: Arc<Shared>,
    keeper: Arc<Checkpoints>,
    id: String,
    assignment: Assignment,
    stop: Arc<AtomicBool>,
) -> Outcome {
    let nonce = assignment.nonce;
    let lease = match lease::acquire_anew(&shared.seat, &format!("{PROGRESS}{id}"), LEASE).await {
        Ok(lease) => lease,
        Err(e) => return unheld(nonce, e.to_string()),
    };
    let work = Work { shared, keeper, id, meter: Arc::default(), stop };
    let outcome = tokio::select! {
        outcome = work.run(&assignment) => outcome,
        () = lease.lost() => unheld(nonce, "its lease was lost".into()),
    };
    drop(work);
    // Whatever becomes of it, its time ends.
    let _ = tokio::time::timeout(RELEASE, lease.release()).await;
    outcome
}

struct Work {
    shared: Arc<Shared>,
    keeper: Arc<Checkpoints>,
    id: String,
    meter: Arc<Meter>,
    stop: Arc<AtomicBool>,
}

impl Drop for Work {
    fn drop(&mut self) {
        self.shared.seat.soft().withdraw(Kind::Progress, &format!("{PROGRESS}{}", self.id));
    }
}

impl Work {
    async fn run(&self, assignment: &Assignment) -> Outcome {
        let began = clock::now_ms();
        let telling = self.tell(&assignment.job);
        let mut copied = Copied::default();
        let mut images = 0;
        let done = tokio::select! {
            done = self.job(&assignment.job, &mut copied, &mut images) => done,
            () = telling => Ok(()),
        };
        let bytes = self.meter.sent.load(Ordering::Relaxed);
        figures::done(&assignment.job, bytes, images, done.as_ref().err());
        let fault = done.err().map(|fault| Failure {
            cause: fault.cause().to_owned(),
            text: fault.to_string().chars().take(500).collect(),
            wait_ms: match &fault {
                Fault::Limited { wait, .. } => wait.as_millis() as u64,
                _ => 0,
            },
        });
        Outcome { nonce: assignment.nonce, fault, bytes, images, took_ms: clock::now_ms() - began }
    }

    /// Tells how far the job is, for as long as it runs.
    async fn tell(&self, job: &Job) {
        loop {
            let progress = Progress {
                job: self.id.as_str().into(),
                done_bytes: self.meter.sent.load(Ordering::Relaxed),
                total_bytes: self.meter.due.load(Ordering::Relaxed),
                location: format!("{} {}", job.target, job.to).as_str().into(),
            };
            let _ = self
                .shared
                .seat
                .soft()
                .publish(&format!("{PROGRESS}{}", self.id), Record::Progress(progress));
            tokio::time::sleep(TELL).await;
        }
    }

    async fn job(&self, job: &Job, copied: &mut Copied, images: &mut u64) -> Result<(), Fault> {
        let config = self.shared.config.load();
        let gone = || Fault::Invalid(format!("this node has no rule {} to {}", job.rule, job.target));
        let rule = config.rule(&job.rule).ok_or_else(gone)?;
        let source = config.registries.target(&rule.from).ok_or_else(gone)?.registry.clone();
        let target = config.registries.target(&job.target).ok_or_else(gone)?.clone();
        let copier = Copier {
            source,
            from: job.from.clone(),
            target,
            to: job.to.clone(),
            platforms: rule.platforms.clone().into(),
            parallel: rule.parallel,
            keeper: self.keeper.clone(),
            meter: self.meter.clone(),
            pace: config.registries.pace(&rule.name),
            room: self.shared.room.clone(),
            stop: self.stop.clone(),
        };
        let tags = copier.source.tags(&job.from).await?.unwrap_or_default();
        let mut failed = None;
        for tag in &job.copy {
            let copying = async {
                match copier.source.head_manifest(&job.from, tag).await? {
                    Some(digest) => copier.image(tag, &digest, &tags).await,
                    // It is gone meanwhile.
                    None => Ok(Copied::default()),
                }
            };
            match copying.await {
                Ok(done) => {
                    copied.add(done);
                    *images += 1;
                }
                Err(Fault::Stopped) => return Err(Fault::Stopped),
                // One that does not go leaves the others alone.
                Err(fault) => {
                    tracing::warn!("mirror {}: {}:{tag}: {fault}", job.rule, job.from);
                    failed.get_or_insert(fault);
                }
            }
        }
        if !job.delete.is_empty() {
            delete(&copier, &job.delete).await?;
        }
        failed.map_or(Ok(()), Err)
    }
}

/// Deletes tags. A registry deletes by digest, and every tag of it: what another tag has stays.
async fn delete(copier: &Copier, doomed: &[(String, Digest)]) -> Result<(), Fault> {
    let (source, target) = (&copier.source, &copier.target.registry);
    let here = source.tags(&copier.from).await?.unwrap_or_default();
    if here.is_empty() {
        // Whoever planned it saw tags: it is not the moment to empty anything.
        return Ok(());
    }
    let there = target.tags(&copier.to).await?.unwrap_or_default();
    let is_doomed =
        |tag: &str| doomed.iter().any(|(one, _)| one == tag) && !here.iter().any(|one| one == tag);
    let mut kept = HashSet::new();
    for tag in there.iter().filter(|tag| !is_doomed(tag)) {
        kept.extend(target.head_manifest(&copier.to, tag).await?);
    }
    // What an index names is pulled by the index's tag.
    let mut open: Vec<Digest> = kept.iter().cloned().collect();
    while let Some(digest) = open.pop() {
        let found = match target.manifest(&copier.to, &digest.to_string()).await {
            Ok(found) => found,
            Err(Fault::Invalid(_)) => None,
            Err(fault) => return Err(fault),
        };
        for child in found.into_iter().flat_map(|manifest| manifest.children) {
            if kept.insert(child.digest.clone()) {
                open.push(child.digest);
            }
        }
    }
    for (tag, digest) in doomed.iter().filter(|(tag, _)| is_doomed(tag)) {
        if target.head_manifest(&copier.to, tag).await?.as_ref() != Some(digest) {
            continue;
        }
        if kept.contains(digest) {
            tracing::warn!("mirror: {}:{tag} stays: another tag has the same image", copier.to);
            continue;
        }
        target.delete_manifest(&copier.to, digest).await?;
    }
    Ok(())
}
