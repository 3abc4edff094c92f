//! A task for each `resolvers` section: it asks for the names of servers again and again, and for those of streams once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use crate::base::clock;
use crate::check::Hooks;
use crate::config::Config;
use crate::resolve::{Answered, Lookup, Refusal, Resolvers};

use super::apply::{Around, apply, host_of, resolving_of};
use super::resolution::{Question, Resolution, Status};

/// Names that are asked for at once; those beyond wait.
const ASKING: usize = 256;
/// Names that streams asked for and that are remembered.
const REMEMBERED: usize = 4096;
/// Streams that wait for one name.
const WAITING: usize = 4096;

/// Keeps servers in step with their names. The tasks end when it is dropped.
pub struct Names {
    hooks: Arc<dyn Hooks>,
    sections: HashMap<Arc<str>, Section>,
}

struct Section {
    resolvers: Arc<Resolvers>,
    config: watch::Sender<Arc<Config>>,
    task: AbortHandle,
}

impl Drop for Section {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Names {
    pub fn new(hooks: Arc<dyn Hooks>) -> Names {
        Names { hooks, sections: HashMap::new() }
    }

    /// Follows the names of a configuration that was just put in place. To be called on a tokio runtime.
    pub fn follow(&mut self, config: &Arc<Config>) {
        let mut before = std::mem::take(&mut self.sections);
        for resolvers in &config.resolvers {
            let name = resolvers.spec.name.clone();
            let same = before
                .remove(&name)
                .filter(|section| Arc::ptr_eq(&section.resolvers, resolvers) && !section.task.is_finished());
            let section = match same {
                Some(section) => {
                    section.config.send_replace(config.clone());
                    section
                }
                None => self.start(resolvers, config),
            };
            self.sections.insert(name, section);
        }
    }

    /// Servers came, went or have other names.
    pub fn look_again(&self) {
        for section in self.sections.values() {
            section.config.send_modify(|_| {});
        }
    }

    fn start(&self, resolvers: &Arc<Resolvers>, config: &Arc<Config>) -> Section {
        let (sender, configs) = watch::channel(config.clone());
        let mut follower = Follower {
            asked: resolvers.open(),
            resolvers: resolvers.clone(),
            hooks: self.hooks.clone(),
            config: config.clone(),
            configs,
            names: HashMap::new(),
            asking: JoinSet::new(),
        };
        let task = tokio::spawn(async move {
            follower.scan();
            follower.run().await;
        });
        Section { resolvers: resolvers.clone(), config: sender, task: task.abort_handle() }
    }
}

/// One name.
#[derive(Default)]
struct Followed {
    resolution: Resolution,
    /// When it is to be asked for, or forgotten if nobody needs it; `None` while it is asked for.
    due: Option<Instant>,
    is_asked: bool,
    /// Where servers have it.
    backends: Vec<Arc<str>>,
    /// Streams that wait for it.
    waiting: Vec<Lookup>,
}

struct Follower {
    resolvers: Arc<Resolvers>,
    hooks: Arc<dyn Hooks>,
    config: Arc<Config>,
    configs: watch::Receiver<Arc<Config>>,
    asked: mpsc::Receiver<Lookup>,
    names: HashMap<Question, Followed>,
    asking: JoinSet<(Question, Result<Answered, Refusal>)>,
}

impl Follower {
    async fn run(&mut self) {
        loop {
            let due = self.names.values().filter_map(|followed| followed.due).min();
            let due = due.filter(|_| self.asking.len() < ASKING);
            let until = due.unwrap_or_else(|| after(Duration::from_secs(3600)));
            tokio::select! {
                changed = self.configs.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.config = self.configs.borrow_and_update().clone();
                    self.scan();
                }
                Some(lookup) = self.asked.recv() => self.look_up(lookup),
                Some(done) = self.asking.join_next() => {
                    if let Ok((question, result)) = done {
                        self.answered(&question, result);
                    }
                }
                () = tokio::time::sleep_until(until) => self.ask_due(),
            }
        }
    }

    /// Finds out which names servers have now.
    fn scan(&mut self) {
        let mut wanted: HashMap<Question, Vec<Arc<str>>> = HashMap::new();
        for proxy in self.config.proxies.iter().filter(|proxy| !proxy.disabled) {
            let Some(back) = &proxy.back else { continue };
            let mut want = |question: Question| {
                let backends = wanted.entry(question).or_default();
                if backends.last() != Some(&proxy.name) {
                    backends.push(proxy.name.clone());
                }
            };
            for server in &back.servers.load().list {
                let Some(resolving) = resolving_of(server, &self.resolvers) else { continue };
                let host = host_of(server, resolving);
                let services = server.spec.srv_record.as_deref().map(Question::services);
                // An address that came with its record is not asked for.
                let came_along = host.as_ref().zip(services.as_ref()).is_some_and(|(host, services)| {
                    let of_record = self.names.get(services).map(|followed| &followed.resolution);
                    of_record.is_some_and(|r| r.address_of(&host.name, resolving.prefer).is_some())
                });
                services.into_iter().for_each(&mut want);
                host.filter(|_| !came_along).into_iter().for_each(&mut want);
            }
        }
        let now = after(Duration::ZERO);
        self.names.retain(|question, followed| {
            // What streams alone asked for goes when its time is over.
            let is_of_streams = followed.backends.is_empty() || !followed.waiting.is_empty();
            let backends = wanted.remove(question).unwrap_or_default();
            if backends != followed.backends && !followed.is_asked {
                // What streams know of it already has not reached these.
                followed.due = Some(now);
            }
            followed.backends = backends;
            !followed.backends.is_empty() || is_of_streams
        });
        for (question, backends) in wanted {
            self.names.insert(question, Followed { due: Some(now), backends, ..Followed::default() });
        }
    }

    /// Asks for what is due, and forgets what nobody needs.
    fn ask_due(&mut self) {
        let now = after(Duration::ZERO);
        let is_due = |followed: &Followed| followed.due.is_some_and(|due| due <= now);
        self.names.retain(|_, followed| {
            !is_due(followed) || !followed.backends.is_empty() || !followed.waiting.is_empty()
        });
        let room = ASKING.saturating_sub(self.asking.len());
        for (question, followed) in self.names.iter_mut().filter(|(_, f)| is_due(f)).take(room) {
            (followed.due, followed.is_asked) = (None, true);
            let (question, resolvers) = (question.clone(), self.resolvers.clone());
            self.asking.spawn(async move {
                let result = resolvers.resolve(&question.name, question.kind()).await;
                (question, result)
            });
        }
    }

    fn answered(&mut self, question: &Question, result: Result<Answered, Refusal>) {
        let Some(followed) = self.names.get_mut(question) else { return };
        followed.is_asked = false;
        let now = clock::now_ms();
        let spec = &self.resolvers.spec;
        followed.resolution.take_in(result, &spec.hold, now);
        let is_valid = followed.resolution.status == Status::Valid;
        for lookup in followed.waiting.drain(..) {
            let found = followed.resolution.first(lookup.prefer).filter(|_| is_valid);
            lookup.found(found);
        }
        let pause_ms = match (followed.backends.is_empty(), is_valid) {
            (false, _) => spec.resolve_ms.max(1),
            (true, true) => spec.hold.valid_ms,
            (true, false) => 0,
        };
        followed.due = Some(after(Duration::from_millis(pause_ms)));
        let around = Around { config: &self.config, hooks: &self.hooks, resolvers: &self.resolvers, now };
        let has_renamed = apply(question, &followed.resolution, &followed.backends, &around);
        if has_renamed {
            self.scan();
        }
    }

    /// A stream wants to know an address.
    fn look_up(&mut self, lookup: Lookup) {
        let question = Question::host(&lookup.name, lookup.prefer);
        let count = self.names.len();
        let followed = match self.names.entry(question) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(_) if count >= REMEMBERED => return,
            std::collections::hash_map::Entry::Vacant(place) => place.insert(Followed::default()),
        };
        let hold_ms = self.resolvers.spec.hold.valid_ms;
        let age_ms = followed.resolution.age_ms(clock::now_ms());
        let is_valid = followed.resolution.status == Status::Valid;
        if is_valid && age_ms.is_some_and(|age| age < hold_ms) {
            let found = followed.resolution.first(lookup.prefer);
            return lookup.found(found);
        }
        if !followed.is_asked {
            followed.due = Some(after(Duration::ZERO));
        }
        if followed.waiting.len() < WAITING {
            followed.waiting.push(lookup);
        }
    }
}

/// That long from now: a sleep knows when it ends, so that no clock is read here.
fn after(wait: Duration) -> Instant {
    tokio::time::sleep(wait).deadline()
}
