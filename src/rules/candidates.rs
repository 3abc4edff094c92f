//! Which rules of a list may hold, found by one lookup where many compare the same sample with patterns
//! (`use_backend a if { hdr(host) a.example }`, a thousand times).
//!
//! Lookups only pass over rules that cannot hold. Those that are left are tried as written and in order, so the answer is
//! the one that trying all of them gives.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use smallvec::SmallVec;

use super::acl::Test;
use super::cast::cast;
use super::condition::Condition;
use super::expr::Expr;
use super::fetch::Cursor;
use super::pattern::{Match, Matcher};
use super::sample::Sample;
use super::txn::Ctx;
use super::witness;

/// With fewer rules trying each is as fast.
const MANY: usize = 4;

/// The rules of a list that lookups can pass over.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    runs: Vec<Run>,
}

/// Rules that follow each other, and the lookups that tell which of them may hold.
#[derive(Clone, Debug)]
struct Run {
    rules: Range<usize>,
    groups: Vec<Group>,
    /// Rules that may always hold.
    others: Vec<u32>,
    /// What the lookups were made of: a rule whose patterns were changed since may hold too.
    matchers: Vec<(u32, Arc<Matcher>)>,
    lines_changed: Arc<AtomicBool>,
}

/// One sample, with the rules that each of its values leads to.
#[derive(Clone, Debug)]
struct Group {
    expr: Expr,
    method: Match,
    ignore_case: bool,
    keys: HashMap<Box<[u8]>, SmallVec<[u32; 2]>, foldhash::fast::RandomState>,
    /// Of keys that are beginnings or ends.
    lengths: Vec<usize>,
}

/// What was found for a run; whoever goes through a list has one.
#[derive(Debug, Default)]
pub struct Found {
    run: Option<usize>,
    rules: SmallVec<[u32; 8]>,
}

impl Found {
    /// Samples may have changed.
    pub fn forget(&mut self) {
        self.run = None;
    }
}

/// A group that is being made, and the keys of its rules.
struct Draft<'c> {
    test: &'c Test,
    keys: Vec<(u32, Vec<Box<[u8]>>)>,
}

/// What a condition is to a lookup.
enum Role {
    /// It fails unless one of these groups has it.
    Keyed(Vec<usize>),
    /// It may hold whatever the lookups say.
    Other,
    /// It may do more than look.
    Break,
}

impl Candidates {
    /// For a list of conditions; a rule without one always holds. `mixes`: a rule that holds ends the list, so that those
    /// which no lookup passes over may stand among others.
    pub fn of(conditions: &[Option<&Condition>], mixes: bool) -> Candidates {
        if conditions.len() < MANY {
            return Candidates::default();
        }
        let mut drafts: Vec<Draft<'_>> = Vec::new();
        let mut places: HashMap<(&str, Match, bool), usize> = HashMap::new();
        let mut roles: Vec<Role> = Vec::with_capacity(conditions.len());
        for (rule, condition) in conditions.iter().enumerate() {
            roles.push(role(rule as u32, *condition, &mut drafts, &mut places));
        }
        let is_worth = |group: &usize| drafts[*group].keys.len() >= MANY;
        for role in &mut roles {
            match role {
                Role::Keyed(groups) if !groups.iter().all(is_worth) => *role = Role::Other,
                _ => {}
            }
        }
        let ends = |role: &Role| match role {
            Role::Keyed(_) => false,
            Role::Other => !mixes,
            Role::Break => true,
        };
        let mut runs = Vec::new();
        let mut from = 0;
        while from < roles.len() {
            let len = roles[from..].iter().position(ends).unwrap_or(roles.len() - from);
            runs.extend(Run::of(from..from + len, &roles, &drafts));
            from += len + 1;
        }
        runs.iter_mut().for_each(|run: &mut Run| run.watch(conditions));
        Candidates { runs }
    }

    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The next rule from `at` on that may hold; none of those before it does.
    pub fn next(&self, at: usize, ctx: Ctx<'_>, found: &mut Found) -> usize {
        let nth = self.runs.partition_point(|run| run.rules.end <= at);
        let Some(run) = self.runs.get(nth).filter(|run| run.rules.start <= at) else { return at };
        if found.run != Some(nth) {
            found.run = Some(nth);
            run.find(ctx, &mut found.rules);
        }
        let next = found.rules.partition_point(|rule| (*rule as usize) < at);
        found.rules.get(next).map_or(run.rules.end, |rule| *rule as usize)
    }
}

/// Adds the keys of a rule to those of its groups.
fn role<'c>(
    rule: u32,
    condition: Option<&'c Condition>,
    drafts: &mut Vec<Draft<'c>>,
    places: &mut HashMap<(&'c str, Match, bool), usize>,
) -> Role {
    let Some(condition) = condition else { return Role::Other };
    if !condition.tests().all(|test| test.expr().is_pure()) {
        return Role::Break;
    }
    let Some(tests) = condition.needed(|test| keys(test).is_some()) else { return Role::Other };
    let mut groups = Vec::new();
    for test in tests {
        let method = test.method();
        let name = (test.expr().text(), method, test.ignores_case());
        let group = *places.entry(name).or_insert_with(|| {
            drafts.push(Draft { test, keys: Vec::new() });
            drafts.len() - 1
        });
        let of_rule = &mut drafts[group].keys;
        let keys = keys(test).unwrap_or_default();
        match of_rule.last_mut() {
            Some((last, list)) if *last == rule => list.extend(keys),
            _ => of_rule.push((rule, keys)),
        }
        groups.push(group);
    }
    Role::Keyed(groups)
}

/// The values that a test passes for, or their beginnings or ends, where they can be listed.
fn keys(test: &Test) -> Option<Vec<Box<[u8]>>> {
    let method = test.method();
    if !test.is_of_line() || !matches!(method, Match::Str | Match::Beg | Match::End | Match::Int) {
        return None;
    }
    let (mut keys, mut are_listed) = (Vec::new(), true);
    for matcher in test.matchers() {
        matcher.each(|pattern| match (method, pattern.range()) {
            (Match::Int, Some(range)) if range.min == range.max => keys.push(range.min.to_le_bytes().into()),
            (Match::Int, _) => are_listed = false,
            _ => keys.push(pattern.text().into()),
        });
    }
    are_listed.then_some(keys)
}

impl Run {
    /// `None`: too few of the rules can be passed over.
    fn of(rules: Range<usize>, roles: &[Role], drafts: &[Draft<'_>]) -> Option<Run> {
        let is_inside = |rule: &u32| rules.contains(&(*rule as usize));
        let is_keyed = |rule: &u32| matches!(roles[*rule as usize], Role::Keyed(_));
        let keyed = rules.clone().filter(|rule| is_keyed(&(*rule as u32))).count();
        if keyed < MANY {
            return None;
        }
        let others = (rules.start as u32..rules.end as u32).filter(|rule| !is_keyed(rule)).collect();
        let mut run = Run {
            rules: rules.clone(),
            groups: Vec::new(),
            others,
            matchers: Vec::new(),
            lines_changed: Arc::default(),
        };
        for draft in drafts {
            let of_run = draft.keys.iter().filter(|(rule, _)| is_inside(rule) && is_keyed(rule));
            let group = Group::of(draft.test, of_run);
            run.groups.extend((!group.keys.is_empty()).then_some(group));
        }
        Some(run)
    }

    /// Says which matchers the rules were read from.
    fn watch(&mut self, conditions: &[Option<&Condition>]) {
        for rule in self.rules.clone() {
            let tests = conditions[rule].into_iter().flat_map(Condition::tests);
            for matcher in tests.flat_map(Test::matchers) {
                self.lines_changed = matcher.lines_changed().clone();
                self.matchers.push((rule as u32, matcher.clone()));
            }
        }
    }

    /// The rules that may hold, in order.
    fn find(&self, ctx: Ctx<'_>, found: &mut SmallVec<[u32; 8]>) {
        found.clear();
        found.extend_from_slice(&self.others);
        for group in &self.groups {
            group.find(ctx, found);
        }
        if self.lines_changed.load(Ordering::Acquire) {
            let changed = self.matchers.iter().filter(|(_, matcher)| matcher.is_changed());
            found.extend(changed.map(|(rule, _)| *rule));
        }
        found.sort_unstable();
        found.dedup();
        witness::note(|| witness::Event::Lookup {
            passed_over: self.rules.len() - found.len(),
            samples: self.groups.iter().map(|group| group.expr.text().to_owned()).collect(),
        });
    }
}

impl Group {
    fn of<'d>(test: &Test, rules: impl Iterator<Item = &'d (u32, Vec<Box<[u8]>>)>) -> Group {
        let mut group = Group {
            expr: test.expr().clone(),
            method: test.method(),
            ignore_case: test.ignores_case(),
            keys: HashMap::default(),
            lengths: Vec::new(),
        };
        for (rule, keys) in rules {
            for key in keys {
                let of_key = group.keys.entry(key.clone()).or_default();
                if of_key.last() != Some(rule) {
                    of_key.push(*rule);
                }
            }
        }
        if matches!(group.method, Match::Beg | Match::End) {
            group.lengths = group.keys.keys().map(|key| key.len()).collect();
            group.lengths.sort_unstable();
            group.lengths.dedup();
        }
        group
    }

    /// Adds the rules that some value of the sample leads to, as an ACL looks at every one.
    fn find(&self, ctx: Ctx<'_>, found: &mut SmallVec<[u32; 8]>) {
        let mut cursor = Cursor { iterate: true, ..Cursor::default() };
        let wants = self.method.wants();
        loop {
            cursor.more = false;
            match self.expr.eval_at(ctx, &mut cursor).and_then(|sample| cast(sample, wants)) {
                Some(Sample::Int(n)) => self.look_up(&n.to_le_bytes(), found),
                Some(Sample::Str(text) | Sample::Bin(text) | Sample::Method(text)) => {
                    if self.ignore_case && text.iter().any(u8::is_ascii_uppercase) {
                        self.look_up(&text.to_ascii_lowercase(), found);
                    } else {
                        self.look_up(&text, found);
                    }
                }
                _ => {}
            }
            if !cursor.more {
                return;
            }
        }
    }

    fn look_up(&self, text: &[u8], found: &mut SmallVec<[u32; 8]>) {
        let mut add = |key: &[u8]| {
            if let Some(rules) = self.keys.get(key) {
                found.extend_from_slice(rules);
            }
        };
        let fitting = self.lengths.iter().take_while(|len| **len <= text.len());
        match self.method {
            Match::Beg => fitting.for_each(|len| add(&text[..*len])),
            Match::End => fitting.for_each(|len| add(&text[text.len() - len..])),
            _ => add(text),
        }
    }
}
