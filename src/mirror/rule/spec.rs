//! What `registry` and `mirror` sections say, every word checked.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;

use super::cron::Cron;
use super::pattern::Glob;
use super::selection::Images;
use crate::mirror::client::{Access, Credential, Origin};
use crate::mirror::manifest::Platform;

pub type Name = Arc<str>;

#[derive(Clone, Debug, Default)]
pub struct Spec {
    pub registries: Vec<RegistrySpec>,
    pub rules: Vec<Arc<Rule>>,
}

/// A `registry` section.
#[derive(Clone, Debug)]
pub struct RegistrySpec {
    pub name: Name,
    pub origin: Origin,
    /// Empty: not said.
    pub region: Name,
    pub credential: Option<Credential>,
    pub client: Arc<ClientConfig>,
    /// What `client` was made of.
    pub ca_file: Option<PathBuf>,
    pub verify: bool,
    pub maxconn: usize,
}

impl RegistrySpec {
    pub fn access(&self) -> Access {
        Access {
            name: self.name.clone(),
            origin: self.origin.clone(),
            client: self.client.clone(),
            credential: self.credential.clone(),
            most: self.maxconn,
        }
    }

    /// Whether the other is reached and shown the same.
    pub fn same(&self, other: &RegistrySpec) -> bool {
        let of = |r: &RegistrySpec| {
            (r.name.clone(), r.origin.clone(), r.credential.clone(), r.ca_file.clone(), r.verify, r.maxconn)
        };
        of(self) == of(other)
    }
}

/// A `mirror` section.
#[derive(Clone, Debug)]
pub struct Rule {
    pub name: Name,
    pub from: Name,
    pub to: Vec<Name>,
    pub images: Vec<Images>,
    pub platforms: Vec<Platform>,
    pub when: When,
    /// Copies what is announced.
    pub on_push: bool,
    pub delete: Delete,
    /// The first that matches.
    pub rename: Vec<(Glob, Box<str>)>,
    /// Bytes in a second on each node; 0: no limit.
    pub bandwidth: u64,
    /// Images at once, in the cluster.
    pub parallel: usize,
    /// Those with a higher one come first.
    pub priority: i32,
    /// The section as it is written, to see whether nodes have the same.
    pub text: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// Milliseconds.
    Every(u64),
    Cron(Box<Cron>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delete {
    Keep,
    /// What the source has no more is deleted, but never more than so many percent of what a rule has put into a
    /// repository.
    Propagate(u8),
}

impl Rule {
    /// What a repository is called at the targets.
    pub fn renamed(&self, repository: &str) -> String {
        let found = self.rename.iter().find_map(|(glob, template)| glob.rewrite(repository, template));
        found.unwrap_or_else(|| repository.to_owned())
    }

    pub fn has(&self, repository: &str) -> bool {
        self.images.iter().any(|images| images.has(repository))
    }

    /// The repositories it names, if it needs no list of them.
    pub fn literal(&self) -> Option<Vec<&str>> {
        self.images.iter().flat_map(|images| &images.repositories).map(Glob::literal).collect()
    }

    /// Tags of a repository, each once.
    pub fn select<'a>(&self, repository: &str, tags: &'a [String]) -> Vec<&'a String> {
        let mut found: Vec<&String> = Vec::new();
        for images in self.images.iter().filter(|images| images.has(repository)) {
            found.extend(images.select(tags.iter()));
        }
        found.sort();
        found.dedup();
        found
    }
}

impl Spec {
    pub fn registry(&self, name: &str) -> Option<&RegistrySpec> {
        self.registries.iter().find(|registry| *registry.name == *name)
    }

    /// The rule that brings back what a rule copies to a target, if there is one.
    pub fn opposite(&self, rule: &Rule, target: &str) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|other| {
            *other.from == *target && other.to.contains(&rule.from) && *other.name != *rule.name
        })
    }

    /// Whether a repository came to the source by a rule in the other direction under another name: copied once more, it
    /// would come back with a longer one, again and again.
    pub fn is_echo(&self, rule: &Rule, target: &str, repository: &str) -> bool {
        let Some(other) = self.opposite(rule, target) else { return false };
        // What it was called there before the other rule brought it here.
        let before = other.rename.iter().find_map(|(glob, template)| {
            let before = Glob::new(template).ok()?.rewrite(repository, glob.as_str())?;
            (other.renamed(&before) == repository).then_some(before)
        });
        // What came under its own name does not grow: it goes on under the new one, and that is where it ends.
        let Some(before) = before.filter(|before| before != repository) else { return false };
        other.has(&before) && other.renamed(&before) == repository && rule.renamed(repository) != before
    }
}
