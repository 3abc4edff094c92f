//! The side of the leader: looks when a rule is due, makes jobs of what is found, and gives them to nodes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::figures;
use super::look::{Told, look};
use super::record::{
    self, ASK, Ask, Assignment, DONE, JOB, NODE, NodeRules, PROGRESS, RULE, RuleStanding, Standing,
};
use super::shared::{Config, Shared};
use crate::base::clock;
use crate::mirror::client::backoff::chance;
use crate::mirror::job::{Failure, Job, Outcome};
use crate::mirror::plan::Ways;
use crate::mirror::rule::{Name, Rule, When};
use crate::mirror::schedule::{Node, Scheduler, Terms};
use crate::region::map::Availability;
use crate::region::seat::RaftState;
use crate::region::soft::{Kind, View};

/// How long nothing may happen before one looks around.
const TURN: Duration = Duration::from_millis(100);
/// After a look that failed, in milliseconds.
const AGAIN_MS: u64 = 10_000;
/// A registry announces a tag before it can be read: what is announced is looked at once more so long after, in
/// milliseconds.
const ONCE_MORE_MS: u64 = 500;
/// Tags whose lag is kept.
const BEHIND: usize = 100_000;
/// Repositories that are announced and not looked at; beyond it all are.
const ANNOUNCED: usize = 1000;

/// What the leader knows of a rule.
#[derive(Default)]
struct State {
    text: u64,
    /// When it is to be looked at next, in milliseconds since 1970.
    next: u64,
    looking: Option<AbortHandle>,
    /// What was announced or asked for: all, or some.
    asked: Option<BTreeSet<String>>,
    /// What was announced is asked for again then.
    once_more: Option<(u64, BTreeSet<String>)>,
    targets: BTreeMap<Name, OfTarget>,
    told: RuleStanding,
}

#[derive(Default)]
struct OfTarget {
    repositories: BTreeMap<String, OfRepository>,
    looked: u64,
    fault: String,
}

#[derive(Default)]
struct OfRepository {
    tags: usize,
    /// With the time when it was first missed.
    behind: BTreeMap<String, u64>,
    conflicts: usize,
    refused: usize,
}

struct Leader {
    shared: Arc<Shared>,
    scheduler: Scheduler,
    rules: HashMap<Name, State>,
    /// Assignments that were told: id and number.
    told: BTreeMap<String, u64>,
    /// Of what was asked for: what was seen already.
    heard: HashMap<(u64, String), u64>,
    to: mpsc::Sender<Told>,
    from: mpsc::Receiver<Told>,
}

/// Runs until it is dropped.
pub async fn run(shared: Arc<Shared>) {
    let mut leads: Option<Leader> = None;
    loop {
        let version = shared.seat.soft().view().version;
        match (shared.seat.status().state == RaftState::Leader, &mut leads) {
            (true, None) => leads = Some(Leader::new(shared.clone())),
            (true, Some(leader)) => leader.turn(),
            (false, Some(_)) => leads = None,
            (false, None) => {}
        }
        let news = async {
            match &mut leads {
                None => drop(shared.seat.soft().changed(version).await),
                Some(leader) => tokio::select! {
                    told = leader.from.recv() => told.into_iter().for_each(|told| leader.hear(told)),
                    _ = shared.seat.soft().changed(version) => {}
                    () = shared.changed.notified() => {}
                },
            }
        };
        let _ = tokio::time::timeout(TURN, news).await;
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        for state in self.rules.values_mut() {
            state.looking.take().inspect(AbortHandle::abort);
        }
        let soft = self.shared.seat.soft();
        self.told.keys().for_each(|id| soft.withdraw(Kind::Work, &format!("{JOB}{id}")));
        self.rules.keys().for_each(|rule| soft.withdraw(Kind::Work, &format!("{RULE}{rule}")));
    }
}

fn wall_ms() -> u64 {
    clock::wall().as_millis() as u64
}

impl Leader {
    fn new(shared: Arc<Shared>) -> Leader {
        let (to, from) = mpsc::channel(256);
        Leader {
            shared,
            scheduler: Scheduler::default(),
            rules: HashMap::new(),
            told: BTreeMap::new(),
            heard: HashMap::new(),
            to,
            from,
        }
    }

    fn turn(&mut self) {
        let (config, view) = (self.shared.config.load(), self.shared.seat.soft().view());
        while let Ok(told) = self.from.try_recv() {
            self.hear(told);
        }
        self.follow(&config);
        let nodes = self.nodes(&view);
        let differs = differs(&config, &view, self.shared.seat.status().id);
        self.scheduler.nodes(nodes, clock::now_ms());
        self.outcomes(&config, &view);
        self.progress(&view);
        self.asks(&config, &view);
        self.look(&config);
        let terms = terms(&config, |rule| self.shared.is_paused(rule));
        self.scheduler.assign(&terms, chance(), clock::now_ms());
        self.tell_jobs();
        self.tell_rules(&config, &differs);
    }

    /// Rules that came, went or changed.
    fn follow(&mut self, config: &Config) {
        let mut changed = BTreeSet::new();
        self.rules.retain(|name, state| {
            let stays = config.rule(name).is_some_and(|rule| rule.text == state.text);
            if !stays {
                changed.insert(name.clone());
                state.looking.take().inspect(AbortHandle::abort);
                self.shared.seat.soft().withdraw(Kind::Work, &format!("{RULE}{name}"));
            }
            stays
        });
        for rule in &config.spec.rules {
            self.rules
                .entry(rule.name.clone())
                .or_insert_with(|| State { text: rule.text, ..State::default() });
        }
        // What a rule planned that says something else now is not done.
        self.scheduler.keep(|rule| config.rule(rule).is_some() && !changed.contains(rule));
    }

    fn nodes(&self, view: &View) -> Vec<Node> {
        let map = self.shared.seat.map();
        let told = record::told::<NodeRules>(view, NODE);
        let told = told.filter_map(|(id, _, _, says)| {
            let member = map.member(id)?;
            member.alive.then(|| Node {
                id,
                region: member.region.clone(),
                slots: says.slots,
                drains: member.availability != Availability::Active,
                rules: says.rules.iter().map(|(name, _)| name.as_str().into()).collect(),
            })
        });
        told.collect()
    }

    fn outcomes(&mut self, config: &Config, view: &View) {
        let done: Vec<(u64, String, Outcome)> =
            record::told(view, DONE).map(|(node, id, _, outcome)| (node, id.to_owned(), outcome)).collect();
        for (node, id, outcome) in done {
            let job = self.scheduler.assigned().get(&id).map(|assigned| assigned.job.clone());
            if !self.scheduler.outcome(&id, node, &outcome, chance(), clock::now_ms()) {
                continue;
            }
            let (Some(job), None) = (job, &outcome.fault) else { continue };
            self.copied(config, &job);
        }
    }

    /// Hears of jobs that run, and takes back those of which nothing is heard.
    fn progress(&mut self, view: &View) {
        let now = clock::now_ms();
        for (node, name, _) in view.of_kind(Kind::Progress) {
            if let Some(id) = name.strip_prefix(PROGRESS) {
                self.scheduler.hear(id, node, now);
            }
        }
        for (id, node) in self.scheduler.take_back(now) {
            let name = view.node(node).map(|records| records.node.to_string()).unwrap_or_default();
            tracing::warn!("mirror: {name} says nothing of its job {id}: another node gets it");
        }
    }

    /// A job was done to its end.
    fn copied(&mut self, config: &Config, job: &Job) {
        let Some(state) = self.rules.get_mut(&job.rule) else { return };
        let repository =
            state.targets.get_mut(&job.target).and_then(|of| of.repositories.get_mut(&*job.from));
        if let Some(repository) = repository {
            repository.behind.retain(|tag, _| !job.copy.contains(tag));
        }
        // What both sides have now is to be noted before either changes.
        let is_both = config.rule(&job.rule).is_some_and(|rule| config.ways(rule, &job.target) != Ways::One);
        if is_both {
            state.ask([job.from.to_string()].into());
        }
    }

    fn asks(&mut self, config: &Config, view: &View) {
        let mut seen = HashMap::new();
        for (node, rule, _, ask) in record::told::<Ask>(view, ASK) {
            let key = (node, rule.to_owned());
            if self.heard.get(&key) != Some(&ask.nonce)
                && let Some(state) = config.rule(rule).and_then(|rule| self.rules.get_mut(&rule.name))
            {
                state.ask(ask.repositories.clone());
                if !ask.repositories.is_empty() {
                    state.ask_once_more(ask.repositories, wall_ms() + ONCE_MORE_MS);
                }
            }
            seen.insert(key, ask.nonce);
        }
        self.heard = seen;
    }

    /// Begins to look, for rules whose time it is.
    fn look(&mut self, config: &Arc<Config>) {
        let now = wall_ms();
        for rule in &config.spec.rules {
            let Some(state) = self.rules.get_mut(&rule.name) else { continue };
            if state.looking.as_ref().is_some_and(|look| !look.is_finished())
                || self.shared.is_paused(&rule.name)
            {
                continue;
            }
            if let Some((_, repositories)) = state.once_more.take_if(|(at, _)| now >= *at) {
                state.ask(repositories);
            }
            let is_due = now >= state.next;
            let Some(asked) = state.asked.take().or(is_due.then(BTreeSet::new)) else { continue };
            if is_due || asked.is_empty() {
                state.next = next(rule, now);
            }
            let only = if is_due { BTreeSet::new() } else { asked };
            if only.is_empty() {
                state.targets.values_mut().for_each(|of| of.fault.clear());
            }
            let looking = look(self.shared.clone(), config.clone(), rule.clone(), only, self.to.clone());
            state.looking = Some(tokio::spawn(looking).abort_handle());
        }
    }

    fn hear(&mut self, told: Told) {
        let now = wall_ms();
        match told {
            Told::Repository { rule, target, from, to, result } => {
                let Some(state) = self.rules.get_mut(&rule) else { return };
                let of = state.targets.entry(target.clone()).or_default();
                let survey = match result {
                    Ok(survey) => survey,
                    Err(fault) => {
                        tracing::warn!("mirror {rule}: {from} and {target}: {fault}");
                        of.fault = format!("{from}: {fault}").chars().take(400).collect();
                        return;
                    }
                };
                let known = of.repositories.values().map(|r| r.behind.len()).sum::<usize>();
                let repository = of.repositories.entry(from.clone()).or_default();
                let before = std::mem::take(&mut repository.behind);
                let since = |tag: &String| (tag.clone(), before.get(tag).copied().unwrap_or(now));
                repository.behind =
                    survey.plan.copy.keys().take(BEHIND.saturating_sub(known)).map(since).collect();
                repository.tags = survey.found.values().filter(|found| found.source.is_some()).count();
                repository.conflicts = survey.plan.conflicts.len();
                repository.refused = survey.plan.refused.map_or(0, |(count, _)| count);
                let jobs = Job::of(&rule, &target, &from, &to, &survey.plan);
                self.scheduler.offer(&rule, &target, &to, jobs, clock::now_ms());
            }
            Told::End { rule, whole, result } => {
                let Some(state) = self.rules.get_mut(&rule) else { return };
                state.looking = None;
                match result {
                    Ok(names) if whole => {
                        // Also those for which there was nothing to look at.
                        let config = self.shared.config.load();
                        for target in config.rule(&rule).into_iter().flat_map(|rule| &rule.to) {
                            state.targets.entry(target.clone()).or_default();
                        }
                        for of in state.targets.values_mut() {
                            of.repositories.retain(|name, _| names.contains(name));
                            of.looked = now;
                        }
                    }
                    Ok(_) => {}
                    Err(fault) => {
                        tracing::warn!("mirror {rule}: {fault}");
                        state.next = state.next.min(now + AGAIN_MS);
                        state.told.targets.iter_mut().for_each(|t| t.fault = fault.to_string());
                        for of in state.targets.values_mut() {
                            of.fault = fault.to_string().chars().take(400).collect();
                        }
                    }
                }
                // What failed is looked at again before its time.
                if whole && state.targets.values().any(|of| !of.fault.is_empty()) {
                    state.next = state.next.min(now + AGAIN_MS);
                }
            }
        }
    }

    /// Tells nodes what they are to do.
    fn tell_jobs(&mut self) {
        let soft = self.shared.seat.soft();
        let assigned = self.scheduler.assigned();
        // It would keep its place for nothing.
        let mut untold = Vec::new();
        self.told.retain(|id, nonce| {
            let stays = assigned.get(id).is_some_and(|a| a.nonce == *nonce);
            if !stays {
                soft.withdraw(Kind::Work, &format!("{JOB}{id}"));
            }
            stays
        });
        for (id, one) in assigned {
            if self.told.contains_key(id) {
                continue;
            }
            let body = Assignment { job: one.job.clone(), nonce: one.nonce };
            if record::tell(&self.shared.seat, &format!("{JOB}{id}"), one.node, &body) {
                self.told.insert(id.clone(), one.nonce);
            } else {
                untold.push((id.clone(), one.node, one.nonce));
            }
        }
        figures::jobs(self.scheduler.waiting().count(), assigned.len());
        for (id, node, nonce) in untold {
            let text = "it cannot be told to its node".to_owned();
            let fault = Some(Failure { cause: "invalid".into(), text, wait_ms: 0 });
            let outcome = Outcome { nonce, fault, bytes: 0, images: 0, took_ms: 0 };
            self.scheduler.outcome(&id, node, &outcome, chance(), clock::now_ms());
        }
    }

    fn tell_rules(&mut self, config: &Config, differs: &HashMap<Name, Vec<String>>) {
        let now = wall_ms();
        for rule in &config.spec.rules {
            let Some(state) = self.rules.get_mut(&rule.name) else { continue };
            let why = |target: &Name| {
                let mut failed = self.scheduler.waiting().filter(|(_, job, _, why)| {
                    job.rule == rule.name && job.target == *target && !why.is_empty()
                });
                failed.next().map(|(_, _, _, why)| why.to_owned())
            };
            let standing =
                state.standing(rule, self.shared.is_paused(&rule.name), differs.get(&rule.name), why);
            figures::standing(&rule.name, &standing, now);
            if standing != state.told {
                record::tell(&self.shared.seat, &format!("{RULE}{}", rule.name), 0, &standing);
                state.told = standing;
            }
        }
    }
}

impl State {
    fn ask(&mut self, repositories: BTreeSet<String>) {
        let all = repositories.is_empty();
        let asked = self.asked.get_or_insert_with(|| repositories.clone());
        if all || asked.len() > ANNOUNCED {
            asked.clear();
        } else if !asked.is_empty() {
            asked.extend(repositories);
        }
    }

    /// Asks again at a time, for what waits for that already too.
    fn ask_once_more(&mut self, mut repositories: BTreeSet<String>, at: u64) {
        let before = self.once_more.take().map(|(_, before)| before);
        let is_all = before.as_ref().is_some_and(BTreeSet::is_empty);
        repositories.extend(before.into_iter().flatten());
        if is_all || repositories.len() > ANNOUNCED {
            repositories.clear();
        }
        self.once_more = Some((at, repositories));
    }

    fn standing(
        &self,
        rule: &Rule,
        paused: bool,
        differs: Option<&Vec<String>>,
        why: impl Fn(&Name) -> Option<String>,
    ) -> RuleStanding {
        let of_target = |target: &Name| {
            let none = OfTarget::default();
            let of = self.targets.get(target).unwrap_or(&none);
            let all = || of.repositories.values();
            let since = all().flat_map(|r| r.behind.values()).min().copied();
            Standing {
                target: target.to_string(),
                tags: all().map(|r| r.tags).sum(),
                behind: all().map(|r| r.behind.len()).sum(),
                conflicts: all().map(|r| r.conflicts).sum(),
                refused: all().map(|r| r.refused).sum(),
                behind_since: since.unwrap_or(0),
                looked: of.looked,
                fault: why(target).unwrap_or_else(|| of.fault.clone()),
            }
        };
        RuleStanding {
            from: rule.from.to_string(),
            paused,
            looking: self.looking.is_some(),
            targets: rule.to.iter().map(of_target).collect(),
            differs: differs.cloned().unwrap_or_default(),
            next: self.next,
        }
    }
}

/// When a rule is to be looked at after a time.
fn next(rule: &Rule, now: u64) -> u64 {
    match &rule.when {
        When::Every(ms) => now + ms,
        When::Cron(cron) => cron.next(now, &clock::zone()).unwrap_or(u64::MAX),
    }
}

/// Nodes with rules that say something else than the leader's.
fn differs(config: &Config, view: &View, me: u64) -> HashMap<Name, Vec<String>> {
    let mut differs: HashMap<Name, Vec<String>> = HashMap::new();
    for (id, _, _, says) in record::told::<NodeRules>(view, NODE).filter(|(id, ..)| *id != me) {
        let node = view.node(id).map(|records| records.node.to_string()).unwrap_or_default();
        for (name, text) in says.rules {
            if let Some(rule) = config.rule(&name).filter(|rule| rule.text != text) {
                differs.entry(rule.name.clone()).or_default().push(node.clone());
            }
        }
    }
    differs
}

fn terms(config: &Config, is_paused: impl Fn(&str) -> bool) -> HashMap<Name, Terms> {
    let rules = config.spec.rules.iter().filter(|rule| !is_paused(&rule.name));
    let of = |rule: &Arc<Rule>| {
        let registries = rule.to.iter().chain([&rule.from]).filter_map(|name| config.spec.registry(name));
        let terms = Terms {
            parallel: rule.parallel,
            priority: rule.priority,
            most: registries.clone().map(|r| (r.name.clone(), r.maxconn)).collect(),
            from: rule.from.clone(),
            regions: registries.map(|r| (r.name.clone(), r.region.clone())).collect(),
        };
        (rule.name.clone(), terms)
    };
    rules.map(of).collect()
}
