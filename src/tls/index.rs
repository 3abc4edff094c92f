//! Which of many things are shown for a name that a client asks for (SNI), as HAProxy finds them: bytes rather than DNS
//! rules, and a wildcard is one label. A value that is cheap to copy: a change shares what it leaves alone.

use imbl::HashMap;
use smallvec::SmallVec;

use super::filter::Filter;

/// The numbers of what is shown, from the first.
type Numbers = SmallVec<[u32; 2]>;

#[derive(Clone, Debug, Default)]
pub struct Index {
    exact: HashMap<Box<str>, Numbers>,
    /// By what follows the asterisk.
    wildcard: HashMap<Box<str>, Numbers>,
    /// The names that a thing is not shown for by its wildcards.
    except: HashMap<u32, Box<[Box<str>]>>,
    defaults: Numbers,
}

impl Index {
    /// Adds a number, which is not there yet: a smaller one comes before a larger.
    pub fn add(&mut self, number: u32, filters: impl IntoIterator<Item = Filter>) {
        let mut except = Vec::new();
        for filter in filters {
            match filter {
                Filter::Exact(name) => insert(self.exact.entry(name).or_default(), number),
                Filter::Wildcard(rest) => insert(self.wildcard.entry(rest).or_default(), number),
                Filter::Except(name) => except.push(name),
                Filter::Default => self.default_to(number),
            }
        }
        if !except.is_empty() {
            self.except.insert(number, except.into());
        }
    }

    /// Takes a number out, by the filters that it came with.
    pub fn remove(&mut self, number: u32, filters: impl IntoIterator<Item = Filter>) {
        for filter in filters {
            let (map, name) = match filter {
                Filter::Exact(name) => (&mut self.exact, name),
                Filter::Wildcard(rest) => (&mut self.wildcard, rest),
                Filter::Except(_) | Filter::Default => continue,
            };
            if let Some(numbers) = map.get_mut(&name) {
                numbers.retain(|of| *of != number);
                if numbers.is_empty() {
                    map.remove(&name);
                }
            }
        }
        self.except.remove(&number);
        self.defaults.retain(|of| *of != number);
    }

    /// Shows a number also to who asks for nothing that is here.
    pub fn default_to(&mut self, number: u32) {
        insert(&mut self.defaults, number);
    }

    pub fn defaults(&self) -> &[u32] {
        &self.defaults
    }

    /// Those for a name, in lower case: first by all of it, then by wildcards.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = u32> + 'a {
        let rest = name.find('.').and_then(|dot| name.get(dot..));
        let wildcard = rest.and_then(|rest| self.wildcard.get(rest)).into_iter().flatten().copied();
        let is_excepted = move |number: &u32| {
            self.except.get(number).is_some_and(|names| names.iter().any(|except| **except == *name))
        };
        let exact = self.exact.get(name).into_iter().flatten().copied();
        exact.chain(wildcard.filter(move |number| !is_excepted(number)))
    }
}

fn insert(numbers: &mut Numbers, number: u32) {
    let at = numbers.partition_point(|of| *of < number);
    if numbers.get(at) != Some(&number) {
        numbers.insert(at, number);
    }
}
