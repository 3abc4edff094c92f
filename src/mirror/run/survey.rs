//! Looks at a repository on both sides: lists and digests, and no pull.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use crate::mirror::client::{Fault, Registry};
use crate::mirror::copy::subject_of;
use crate::mirror::digest::Digest;
use crate::mirror::manifest::Only;
use crate::mirror::plan::{Found, Plan, Ways, plan};
use crate::mirror::rule::Rule;

/// What platforms make of an index, as far as it is known.
#[derive(Default)]
pub struct Reduced {
    known: Mutex<HashMap<(Digest, String), Digest>>,
}

const REDUCED: usize = 50_000;

/// One repository of a rule, and where it is.
#[derive(Clone)]
pub struct Side {
    pub source: Arc<Registry>,
    pub target: Arc<Registry>,
    pub rule: Arc<Rule>,
    pub from: Arc<str>,
    pub to: Arc<str>,
    pub reduced: Arc<Reduced>,
}

/// What was found, and what follows.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    pub found: BTreeMap<String, Found>,
    pub plan: Plan,
}

/// The repositories of a rule.
pub async fn repositories(rule: &Rule, source: &Registry) -> Result<Vec<String>, Fault> {
    if let Some(literal) = rule.literal() {
        let mut names: Vec<String> = literal.into_iter().map(str::to_owned).collect();
        names.sort();
        names.dedup();
        return Ok(names);
    }
    let _slot = source.slot().await;
    let mut names = source.repositories().await?;
    names.retain(|name| rule.has(name));
    Ok(names)
}

impl Side {
    /// Compares both sides. `base`: what was the same when last looked at.
    pub async fn survey(&self, base: &BTreeMap<String, Digest>, ways: Ways) -> Result<Survey, Fault> {
        let of = async |registry: &Registry, name: &str| {
            let _slot = registry.slot().await;
            registry.tags(name).await
        };
        let (here, there) = tokio::join!(of(&self.source, &self.from), of(&self.target, &self.to));
        let (here, there) = (here?, there?.unwrap_or_default());
        let is_listed = here.as_ref().is_some_and(|tags| !tags.is_empty());
        let here = here.unwrap_or_default();
        let (is_here, is_at_target): (HashSet<&String>, HashSet<&String>) =
            (here.iter().collect(), there.iter().collect());
        let mut wanted: BTreeMap<String, (bool, bool)> = BTreeMap::new();
        for tag in self.rule.select(&self.from, &here) {
            wanted.entry(tag.clone()).or_default().0 = true;
        }
        // What the rule would have put there, unless it is at the source and wanted no more.
        for tag in self.rule.select(&self.from, &there) {
            if wanted.contains_key(tag) || !is_here.contains(tag) {
                wanted.entry(tag.clone()).or_default().1 = true;
            }
        }
        for (tag, (_, is_there)) in &mut wanted {
            *is_there |= is_at_target.contains(tag);
        }
        let mut found = self.digests(wanted, base).await?;
        self.companions(&here, &there, &mut found).await?;
        let mut plan = plan(&found, self.rule.delete, ways);
        if !is_listed {
            plan.delete.clear();
        }
        Ok(Survey { found, plan })
    }

    async fn digests(
        &self,
        wanted: BTreeMap<String, (bool, bool)>,
        base: &BTreeMap<String, Digest>,
    ) -> Result<BTreeMap<String, Found>, Fault> {
        let (mut found, mut running) = (BTreeMap::new(), JoinSet::new());
        let most = self.source.access.most.max(self.target.access.most);
        let mut wanted = wanted.into_iter();
        loop {
            while running.len() < most
                && let Some((tag, (here, there))) = wanted.next()
            {
                let (side, base) = (self.clone(), base.get(&tag).cloned());
                running.spawn(async move {
                    let source = async { if here { side.expected(&tag).await } else { Ok(None) } };
                    let target = async { if there { side.at_target(&tag).await } else { Ok(None) } };
                    let (source, target) = tokio::join!(source, target);
                    Ok::<_, Fault>((tag, Found { source: source?, target: target?, base }))
                });
            }
            let Some(done) = running.join_next().await else { return Ok(found) };
            let (tag, one) = done.map_err(|e| Fault::Invalid(format!("a look ended: {e}")))??;
            found.insert(tag, one);
        }
    }

    async fn at_target(&self, tag: &str) -> Result<Option<Digest>, Fault> {
        let _slot = self.target.slot().await;
        self.target.head_manifest(&self.to, tag).await
    }

    /// What the target is to have under a tag.
    async fn expected(&self, tag: &str) -> Result<Option<Digest>, Fault> {
        let _slot = self.source.slot().await;
        let Some(digest) = self.source.head_manifest(&self.from, tag).await? else { return Ok(None) };
        if self.rule.platforms.is_empty() {
            return Ok(Some(digest));
        }
        let key = (digest.clone(), format!("{:?}", self.rule.platforms));
        let known = || self.reduced.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(expected) = known().get(&key) {
            return Ok(Some(expected.clone()));
        }
        let Some(manifest) = self.source.manifest(&self.from, &digest.to_string()).await? else {
            return Ok(None);
        };
        let only = manifest.only(&self.rule.platforms);
        let expected = match only.map_err(|e| Fault::Invalid(format!("{}:{tag}: {e}", self.from)))? {
            Only::Whole => digest,
            Only::Some(some) => some.digest.clone(),
            Only::One(child) => child.digest,
            Only::Nothing => return Ok(None),
        };
        let mut known = known();
        if known.len() >= REDUCED {
            known.clear();
        }
        known.insert(key, expected.clone());
        Ok(Some(expected))
    }

    /// Tags that stand for what refers to an image that is wanted: signatures may come after it.
    async fn companions(
        &self,
        here: &[String],
        there: &[String],
        found: &mut BTreeMap<String, Found>,
    ) -> Result<(), Fault> {
        if !self.rule.platforms.is_empty() {
            return Ok(());
        }
        let wanted: Vec<Digest> = found.values().filter_map(|found| found.source.clone()).collect();
        let wanted: HashSet<Digest> = wanted.into_iter().collect();
        let is_wanted = |tag: &&String| subject_of(tag).is_some_and(|subject| wanted.contains(&subject));
        let tags =
            here.iter().filter(is_wanted).map(|tag| (tag.clone(), (true, there.contains(tag)))).collect();
        found.extend(self.digests(tags, &BTreeMap::new()).await?);
        Ok(())
    }
}
