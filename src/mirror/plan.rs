//! What is to be done so that a repository at a target has what a rule wants there. A pure function of what was found on
//! both sides and, where rules copy both ways, of what was the same on both when last looked at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::rule::Delete;

/// What is found under a tag. `None`: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub source: Option<Digest>,
    pub target: Option<Digest>,
    /// What both had when they were last the same.
    pub base: Option<Digest>,
}

/// How a rule stands to the one that copies the other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// There is none.
    One,
    /// There is one. `wins`: what changed on both sides is taken from this rule's source. `deletes`: what is deleted at
    /// the target is to be deleted at the source.
    Both { wins: bool, deletes: bool },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub copy: BTreeMap<String, Digest>,
    pub delete: BTreeMap<String, Digest>,
    /// Tags that are the same.
    pub same: usize,
    /// Changed on both sides, and this is not the side that is taken.
    pub conflicts: Vec<String>,
    /// Deletions that were not planned because there were too many: how many, and of how many tags.
    pub refused: Option<(usize, usize)>,
}

/// Deletions that a guard lets through however few tags there are.
const FEW: usize = 1;

pub fn plan(found: &BTreeMap<String, Found>, delete: Delete, ways: Ways) -> Plan {
    let mut plan = Plan::default();
    let mut doomed = BTreeMap::new();
    for (tag, found) in found {
        match (&found.source, &found.target) {
            (Some(source), Some(target)) if source == target => plan.same += 1,
            (Some(source), target) => match taken(source, target.as_ref(), found.base.as_ref(), ways) {
                Taken::Copy => drop(plan.copy.insert(tag.clone(), source.clone())),
                Taken::Leave => {}
                Taken::Conflict => plan.conflicts.push(tag.clone()),
            },
            // With two ways only what was on both sides was deleted here; the rest is new there.
            (None, Some(target)) if ways == Ways::One || found.base.as_ref() == Some(target) => {
                doomed.insert(tag.clone(), target.clone());
            }
            _ => {}
        }
    }
    if let Delete::Propagate(percent) = delete {
        let of = found.values().filter(|found| found.target.is_some()).count();
        if doomed.len() > FEW && doomed.len() * 100 > of * usize::from(percent) {
            plan.refused = Some((doomed.len(), of));
        } else {
            plan.delete = doomed;
        }
    }
    plan
}

enum Taken {
    Copy,
    Leave,
    Conflict,
}

fn taken(source: &Digest, target: Option<&Digest>, base: Option<&Digest>, ways: Ways) -> Taken {
    let Ways::Both { wins, deletes } = ways else { return Taken::Copy };
    match (target, base) {
        // It was deleted there, since it was here.
        (None, Some(base)) if base == source && deletes => Taken::Leave,
        (None, _) => Taken::Copy,
        (Some(target), Some(base)) if base == target => Taken::Copy,
        (Some(_), Some(base)) if base == source => Taken::Leave,
        _ if wins => Taken::Copy,
        _ => Taken::Conflict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::digest::Algorithm;

    fn digest(c: char) -> Option<Digest> {
        (c != '-').then(|| Digest::of(Algorithm::Sha256, c.to_string().as_bytes()))
    }

    /// Tags by what they are at the source, at the target and before: `ab-`.
    fn done(tags: &[&str], delete: Delete, ways: Ways) -> String {
        let of = |text: &&str| {
            let mut chars = text.chars().map(digest);
            let mut next = || chars.next().flatten();
            ((*text).to_owned(), Found { source: next(), target: next(), base: next() })
        };
        let plan = plan(&tags.iter().map(of).collect(), delete, ways);
        let names = |map: &BTreeMap<String, Digest>| map.keys().cloned().collect::<Vec<_>>().join(" ");
        let conflicts = plan.conflicts.join(" ");
        format!(
            "copy [{}] delete [{}] conflict [{conflicts}] same {}",
            names(&plan.copy),
            names(&plan.delete),
            plan.same
        )
    }

    const ALL: [&str; 6] = ["aa-", "a--", "ab-", "abb", "aba", "-b-"];

    #[test]
    fn one_way_the_source_is_right() {
        let keep = done(&ALL, Delete::Keep, Ways::One);
        assert_eq!(keep, "copy [a-- ab- aba abb] delete [] conflict [] same 1");
        let propagate = done(&ALL, Delete::Propagate(50), Ways::One);
        assert_eq!(propagate, "copy [a-- ab- aba abb] delete [-b-] conflict [] same 1");
    }

    #[test]
    fn two_ways_what_changed_on_one_side_is_taken_to_the_other() {
        let both = |wins, deletes| Ways::Both { wins, deletes };
        let all = ["ab-", "aba", "abb", "abc", "a--", "a-a", "a-b", "-b-", "-bb", "-ba"];
        let first = done(&all, Delete::Propagate(50), both(true, true));
        assert_eq!(first, "copy [a-- a-b ab- abb abc] delete [-bb] conflict [] same 0");
        let second = done(&all, Delete::Propagate(50), both(false, false));
        assert_eq!(second, "copy [a-- a-a a-b abb] delete [-bb] conflict [ab- abc] same 0");
    }

    #[test]
    fn a_target_is_not_emptied() {
        let found = |gone: usize, same: usize| -> BTreeMap<String, Found> {
            let one = |n: usize| {
                let source = digest('x').filter(|_| n >= gone);
                (n.to_string(), Found { source, target: digest('x'), base: None })
            };
            (0..gone + same).map(one).collect()
        };
        let deleted = |gone, same, percent| {
            let plan = plan(&found(gone, same), Delete::Propagate(percent), Ways::One);
            (plan.delete.len(), plan.refused)
        };
        assert_eq!(deleted(5, 5, 50), (5, None));
        assert_eq!(deleted(6, 5, 50), (0, Some((6, 11))));
        assert_eq!(deleted(3, 0, 50), (0, Some((3, 3))));
        assert_eq!(deleted(3, 0, 100), (3, None));
        assert_eq!(deleted(1, 0, 50), (1, None));
    }

    /// Whatever happens, two rules that copy both ways agree in the end and copy nothing from then on.
    #[test]
    fn two_ways_come_to_rest() {
        let digests = ['-', 'a', 'b', 'c'].map(digest);
        for a in &digests {
            for b in &digests {
                for base in &digests {
                    for deletes in [false, true] {
                        rests(a.clone(), b.clone(), base.clone(), deletes);
                    }
                }
            }
        }
    }

    fn rests(mut a: Option<Digest>, mut b: Option<Digest>, mut base: Option<Digest>, deletes: bool) {
        let delete = if deletes { Delete::Propagate(100) } else { Delete::Keep };
        let mut moves = 0;
        for turn in 0..8 {
            let wins = turn % 2 == 0;
            let (source, target) = if wins { (&a, &b) } else { (&b, &a) };
            let found = Found { source: source.clone(), target: target.clone(), base: base.clone() };
            let plan = plan(&[("t".to_owned(), found)].into(), delete, Ways::Both { wins, deletes });
            let after = match (plan.copy.get("t"), plan.delete.contains_key("t")) {
                (Some(digest), _) => Some(Some(digest.clone())),
                (None, true) => Some(None),
                (None, false) => None,
            };
            if let Some(after) = after {
                moves += 1;
                if wins { b = after } else { a = after }
            }
            if a == b {
                base = a.clone();
            }
        }
        assert!(moves <= 1, "{a:?} {b:?} moved {moves} times");
        assert_eq!(a, b);
    }
}
