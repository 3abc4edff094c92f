//! One look of a rule at its repositories and targets, told piece by piece as it goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::shared::{Config, Shared, base_key};
use super::survey::{Survey, repositories};
use crate::mirror::client::Fault;
use crate::mirror::digest::Digest;
use crate::mirror::plan::Ways;
use crate::mirror::rule::{Name, Rule};

/// Repositories that are looked at together.
const TOGETHER: usize = 8;

pub enum Told {
    /// A repository and a target.
    Repository { rule: Name, target: Name, from: String, to: Arc<str>, result: Result<Survey, Fault> },
    /// The end. Whether all repositories were looked at, and what they are.
    End { rule: Name, whole: bool, result: Result<BTreeSet<String>, Fault> },
}

/// Looks at these repositories, or at all.
pub async fn look(
    shared: Arc<Shared>,
    config: Arc<Config>,
    rule: Arc<Rule>,
    only: BTreeSet<String>,
    to: mpsc::Sender<Told>,
) {
    let whole = only.is_empty();
    let result = look_at(&shared, &config, &rule, only, &to).await;
    let _ = to.send(Told::End { rule: rule.name.clone(), whole, result }).await;
}

async fn look_at(
    shared: &Arc<Shared>,
    config: &Arc<Config>,
    rule: &Arc<Rule>,
    only: BTreeSet<String>,
    to: &mpsc::Sender<Told>,
) -> Result<BTreeSet<String>, Fault> {
    let gone = || Fault::Invalid(format!("no registry {}", rule.from));
    let source = config.registries.target(&rule.from).ok_or_else(gone)?.registry.clone();
    let names: Vec<String> = match only.is_empty() {
        true => repositories(rule, &source).await?,
        false => only.into_iter().filter(|name| rule.has(name)).collect(),
    };
    let pairs =
        names.iter().flat_map(|name| rule.to.iter().map(move |target| (name.clone(), target.clone())));
    let pairs = pairs.filter(|(name, target)| !config.spec.is_echo(rule, target, name));
    let mut pairs = pairs.collect::<Vec<_>>().into_iter();
    let mut running = JoinSet::new();
    loop {
        while running.len() < TOGETHER
            && let Some((from, target)) = pairs.next()
        {
            let (shared, config, rule, to) = (shared.clone(), config.clone(), rule.clone(), to.clone());
            running.spawn(async move {
                let Some((place, result)) = one(&shared, &config, &rule, &from, &target).await else {
                    return;
                };
                let _ = to
                    .send(Told::Repository { rule: rule.name.clone(), target, from, to: place, result })
                    .await;
            });
        }
        if running.join_next().await.is_none() {
            return Ok(names.into_iter().collect());
        }
    }
}

/// One repository and one target; what both sides have in common is noted where rules copy both ways.
pub async fn one(
    shared: &Arc<Shared>,
    config: &Config,
    rule: &Arc<Rule>,
    from: &str,
    target: &str,
) -> Option<(Arc<str>, Result<Survey, Fault>)> {
    let side = config.side(rule, target, from, &shared.reduced)?;
    let ways = config.ways(rule, target);
    let key = base_key(rule, target, from, &side.to);
    let base = if ways == Ways::One { BTreeMap::new() } else { shared.base(&key) };
    let result = side.survey(&base, ways).await;
    if let (Ok(survey), Ways::Both { .. }) = (&result, ways) {
        let mut common = base.clone();
        for (tag, found) in &survey.found {
            match (&found.source, &found.target) {
                (Some(source), Some(target)) if source == target => {
                    drop(common.insert(tag.clone(), source.clone()))
                }
                (None, None) => drop(common.remove(tag)),
                _ => {}
            }
        }
        common.retain(|tag, _: &mut Digest| survey.found.contains_key(tag));
        if common != base
            && let Ok(value) = serde_json::to_vec(&common)
            && let Err(e) = shared.put(key, value).await
        {
            tracing::warn!("mirror {}: {e}", rule.name);
        }
    }
    Some((side.to, result))
}
