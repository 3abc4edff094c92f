//! Who does which job: a machine without I/O, run by the leader. Jobs come from plans, nodes and their outcomes from soft
//! state; out come assignments. That no job runs twice is not its affair but that of the job's lease.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::client::backoff::JOB;
use super::job::{Failure, Job, Outcome, UNHELD};
use super::rule::Name;
use crate::base::Millis;

/// Jobs that wait, at most; what is beyond is planned anew by the next run of its rule.
const WAITING: usize = 20_000;
/// A job of which its node says nothing for so long is given to another: three times its lease.
const SILENCE: Millis = 30_000;
/// How long others come before a node that was silent.
const SHUNNED: Millis = 60_000;

/// A node that may take jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub id: u64,
    pub region: Name,
    /// Jobs at once.
    pub slots: usize,
    /// Takes no new ones, and gives up those it has.
    pub drains: bool,
    pub rules: BTreeSet<Name>,
}

/// What a rule says of its jobs.
#[derive(Clone, Debug)]
pub struct Terms {
    pub parallel: usize,
    pub priority: i32,
    /// Of the source and each target: jobs at once.
    pub most: HashMap<Name, usize>,
    pub from: Name,
    /// Regions of targets.
    pub regions: HashMap<Name, Name>,
}

#[derive(Clone, Debug)]
pub struct Assigned {
    pub job: Job,
    pub node: u64,
    /// Another one with each assignment.
    pub nonce: u64,
    pub since: Millis,
    /// When its node last said how far it is.
    pub heard: Millis,
}

#[derive(Clone, Debug)]
struct Waiting {
    job: Job,
    not_before: Millis,
    why: String,
    order: u64,
}

#[derive(Debug, Default)]
pub struct Scheduler {
    waiting: BTreeMap<String, Waiting>,
    assigned: BTreeMap<String, Assigned>,
    /// Planned anew while it runs.
    again: BTreeMap<String, Job>,
    nodes: BTreeMap<u64, Node>,
    /// Bytes that each node moved, for the next to go to the one that had least.
    moved: HashMap<u64, u64>,
    /// What a job moves, about.
    mean: u64,
    /// Tries of a job in turn that failed.
    failures: HashMap<String, u32>,
    /// Nodes that had a job and said nothing of it, and until when others come first.
    silent: HashMap<u64, Millis>,
    /// When a rule had its turn last.
    turns: HashMap<Name, u64>,
    count: u64,
}

impl Scheduler {
    /// Jobs of a plan, in the place of those that the rule has waiting for this repository.
    pub fn offer(&mut self, rule: &str, target: &str, to: &str, jobs: Vec<Job>, now: Millis) {
        let of_plan = |job: &Job| *job.rule == *rule && *job.target == *target && *job.to == *to;
        let ids: BTreeSet<String> = jobs.iter().map(Job::id).collect();
        let failures = &mut self.failures;
        self.waiting.retain(|id, waiting| {
            let stays = !of_plan(&waiting.job) || ids.contains(id);
            if !stays {
                failures.remove(id);
            }
            stays
        });
        self.again.retain(|_, job| !of_plan(job));
        for job in jobs {
            let id = job.id();
            if let Some(assigned) = self.assigned.get(&id) {
                if assigned.job != job {
                    self.again.insert(id, job);
                }
                continue;
            }
            self.wait(id, job, now);
        }
    }

    fn wait(&mut self, id: String, job: Job, now: Millis) {
        if let Some(waiting) = self.waiting.get_mut(&id) {
            waiting.job = job;
        } else if self.waiting.len() < WAITING {
            self.count += 1;
            let order = self.count;
            self.waiting.insert(id, Waiting { job, not_before: now, why: String::new(), order });
        }
    }

    /// Rules that are there. Jobs of others are dropped.
    pub fn keep(&mut self, is_there: impl Fn(&str) -> bool) {
        self.waiting.retain(|_, waiting| is_there(&waiting.job.rule));
        self.assigned.retain(|_, assigned| is_there(&assigned.job.rule));
        self.again.retain(|_, job| is_there(&job.rule));
        let (waiting, assigned) = (&self.waiting, &self.assigned);
        self.failures.retain(|id, _| waiting.contains_key(id) || assigned.contains_key(id));
    }

    /// The nodes that live. Jobs of others wait again: whoever takes them waits for their leases.
    pub fn nodes(&mut self, nodes: impl IntoIterator<Item = Node>, now: Millis) {
        let old = std::mem::take(&mut self.nodes);
        self.nodes = nodes.into_iter().map(|node| (node.id, node)).collect();
        // One that is new is not to make up for all that others did before.
        let least = old.keys().filter_map(|id| self.moved.get(id)).min().copied().unwrap_or(0);
        for id in self.nodes.keys() {
            self.moved.entry(*id).or_insert(least);
        }
        self.moved.retain(|id, _| self.nodes.contains_key(id));
        let gone = |assigned: &Assigned| self.nodes.get(&assigned.node).is_none_or(|node| node.drains);
        let lost: Vec<String> =
            self.assigned.iter().filter(|(_, assigned)| gone(assigned)).map(|(id, _)| id.clone()).collect();
        for id in lost {
            if let Some(assigned) = self.assigned.remove(&id) {
                let job = self.again.remove(&id).unwrap_or(assigned.job);
                self.wait(id, job, now);
            }
        }
    }

    /// What a node says of an assignment. True when that was news.
    pub fn outcome(&mut self, id: &str, node: u64, outcome: &Outcome, chance: u64, now: Millis) -> bool {
        let is = |assigned: &Assigned| assigned.node == node && assigned.nonce == outcome.nonce;
        if !self.assigned.get(id).is_some_and(is) {
            return false;
        }
        let Some(assigned) = self.assigned.remove(id) else { return false };
        *self.moved.entry(node).or_default() += outcome.bytes.max(1);
        self.mean = (self.mean.saturating_mul(7).saturating_add(outcome.bytes)) / 8;
        let next = self.again.remove(id);
        if let Some(failure) = &outcome.fault {
            // A job does not wait the longer because nodes die.
            let before = self.failures.get(id).copied().unwrap_or(0);
            let is_its_own = failure.cause != UNHELD;
            let failed = if is_its_own { before + 1 } else { before.min(1) };
            let pause = JOB.after(failed, chance).map_or(0, |pause| pause.as_millis() as Millis);
            self.failures.insert(id.to_owned(), before + u32::from(is_its_own));
            self.wait(id.to_owned(), next.unwrap_or(assigned.job), now);
            if let Some(waiting) = self.waiting.get_mut(id) {
                waiting.not_before = now + pause.max(failure.wait_ms);
                waiting.why = failure.text.clone();
            }
        } else {
            self.failures.remove(id);
            if let Some(job) = next {
                self.wait(id.to_owned(), job, now);
            }
        }
        true
    }

    /// A node says how far its job is.
    pub fn hear(&mut self, id: &str, node: u64, now: Millis) {
        if let Some(assigned) = self.assigned.get_mut(id).filter(|assigned| assigned.node == node) {
            assigned.heard = now;
        }
    }

    /// Takes back jobs of which their nodes say nothing. A node that waits for the lease of one before it says nothing
    /// either, but not for so long. Whatever keeps such a node, others come first for a while.
    pub fn take_back(&mut self, now: Millis) -> Vec<(String, u64)> {
        self.silent.retain(|_, until| *until > now);
        let is_over = |assigned: &Assigned| now >= assigned.heard.max(assigned.since) + SILENCE;
        let over = self.assigned.iter().filter(|(_, assigned)| is_over(assigned));
        let over: Vec<(String, u64, u64)> =
            over.map(|(id, assigned)| (id.clone(), assigned.node, assigned.nonce)).collect();
        for (id, node, nonce) in &over {
            let text = format!("its node said nothing of it for {} s", SILENCE / 1000);
            let fault = Some(Failure { cause: UNHELD.into(), text, wait_ms: 0 });
            let outcome = Outcome { nonce: *nonce, fault, bytes: 0, images: 0, took_ms: 0 };
            self.outcome(id, *node, &outcome, 0, now);
            self.waiting.get_mut(id).into_iter().for_each(|waiting| waiting.not_before = now);
            self.silent.insert(*node, now + SHUNNED);
        }
        over.into_iter().map(|(id, node, _)| (id, node)).collect()
    }

    /// Assigns what can be: those of the highest priority first, rules in turn, and for each job the node that moved least
    /// when what it has to do is counted as done, in the target's region if there is room.
    pub fn assign(&mut self, terms: &HashMap<Name, Terms>, chance: u64, now: Millis) -> usize {
        let mut made = 0;
        while let Some((id, node)) = self.next(terms, now) {
            let Some(waiting) = self.waiting.remove(&id) else { break };
            self.count += 1;
            self.turns.insert(waiting.job.rule.clone(), self.count);
            let nonce = chance ^ self.count;
            self.assigned.insert(id, Assigned { job: waiting.job, node, nonce, since: now, heard: now });
            made += 1;
        }
        made
    }

    fn next(&self, terms: &HashMap<Name, Terms>, now: Millis) -> Option<(String, u64)> {
        let mut load: HashMap<u64, usize> = HashMap::new();
        let mut of_rule: HashMap<&Name, usize> = HashMap::new();
        let mut of_registry: HashMap<&Name, usize> = HashMap::new();
        for assigned in self.assigned.values() {
            *load.entry(assigned.node).or_default() += 1;
            *of_rule.entry(&assigned.job.rule).or_default() += 1;
            *of_registry.entry(&assigned.job.target).or_default() += 1;
            if let Some(terms) = terms.get(&assigned.job.rule) {
                *of_registry.entry(&terms.from).or_default() += 1;
            }
        }
        let room = |registry: &Name, terms: &Terms| {
            let most = terms.most.get(registry).copied().unwrap_or(usize::MAX);
            of_registry.get(registry).copied().unwrap_or(0) < most
        };
        let ready = self.waiting.iter().filter(|(_, waiting)| waiting.not_before <= now);
        let ready = ready.filter_map(|(id, waiting)| {
            let terms = terms.get(&waiting.job.rule)?;
            let may = of_rule.get(&waiting.job.rule).copied().unwrap_or(0) < terms.parallel
                && room(&waiting.job.target, terms)
                && room(&terms.from, terms);
            may.then_some((id, waiting, terms))
        });
        let turn = |waiting: &Waiting| self.turns.get(&waiting.job.rule).copied().unwrap_or(0);
        let (id, waiting, terms) = ready
            .min_by_key(|(_, waiting, terms)| (-i64::from(terms.priority), turn(waiting), waiting.order))?;
        let region = terms.regions.get(&waiting.job.target).filter(|region| !region.is_empty());
        let free = self.nodes.values().filter(|node| {
            let has = load.get(&node.id).copied().unwrap_or(0);
            !node.drains && has < node.slots && node.rules.contains(&waiting.job.rule)
        });
        let best = free.min_by_key(|node| {
            let is_near = region.is_none_or(|region| node.region == *region);
            let (moved, has) = (self.moved.get(&node.id).copied(), load.get(&node.id).copied());
            let due = (has.unwrap_or(0) as u64).saturating_mul(self.mean.max(1));
            let is_silent = self.silent.contains_key(&node.id);
            (is_silent, !is_near, moved.unwrap_or(0).saturating_add(due), has, node.id)
        })?;
        Some((id.clone(), best.id))
    }

    pub fn assigned(&self) -> &BTreeMap<String, Assigned> {
        &self.assigned
    }

    /// Those that wait: the job, when it may run, and why it failed last.
    pub fn waiting(&self) -> impl Iterator<Item = (&str, &Job, Millis, &str)> {
        self.waiting.iter().map(|(id, w)| (id.as_str(), &w.job, w.not_before, w.why.as_str()))
    }

    /// When something that waits may run.
    pub fn next_at(&self) -> Option<Millis> {
        self.waiting.values().map(|waiting| waiting.not_before).min()
    }

    /// Whether a rule has anything to do for a target.
    pub fn is_idle(&self, rule: &str, target: &str) -> bool {
        let of = |job: &Job| *job.rule == *rule && *job.target == *target;
        !self.waiting.values().any(|w| of(&w.job)) && !self.assigned.values().any(|a| of(&a.job))
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
