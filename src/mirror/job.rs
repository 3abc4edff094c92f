//! A job: some tags of one repository for one target, small enough to be told to other nodes; and what became of it.

use serde::{Deserialize, Serialize};

use super::digest::{Algorithm, Digest};
use super::plan::Plan;
use super::rule::Name;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub rule: Name,
    pub target: Name,
    pub from: Name,
    pub to: Name,
    pub copy: Vec<String>,
    /// With the digest that the target had.
    pub delete: Vec<(String, Digest)>,
    /// Where a rule has more tags than fit into a job.
    pub part: u32,
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Of the assignment that it answers.
    pub nonce: u64,
    pub fault: Option<Failure>,
    pub bytes: u64,
    pub images: u64,
    pub took_ms: u64,
}

/// The cause of a failure that says nothing of the job: its lease was not had or was lost, or its node fell silent.
pub const UNHELD: &str = "lease";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub cause: String,
    pub text: String,
    /// Not before, in milliseconds from now; 0: nothing is said.
    pub wait_ms: u64,
}

/// Bytes of tags in a job: its record is to stay below what soft state takes.
const BYTES: usize = 2400;

impl Job {
    /// The name of its lease and of its records.
    pub fn id(&self) -> String {
        let id = format!("{}/{}/{}#{}", self.rule, self.target, self.to, self.part);
        if id.len() <= 160 {
            id
        } else {
            format!("{}/{}", self.rule, Digest::of(Algorithm::Sha256, id.as_bytes()).hex())
        }
    }

    /// The jobs of a plan.
    pub fn of(rule: &Name, target: &Name, from: &str, to: &str, plan: &Plan) -> Vec<Job> {
        let empty = |part: usize| Job {
            rule: rule.clone(),
            target: target.clone(),
            from: from.into(),
            to: to.into(),
            copy: Vec::new(),
            delete: Vec::new(),
            part: part as u32,
        };
        let (mut jobs, mut bytes) = (Vec::new(), usize::MAX);
        let mut room = |cost: usize, jobs: &mut Vec<Job>| {
            bytes = bytes.saturating_add(cost);
            if bytes > BYTES {
                jobs.push(empty(jobs.len()));
                bytes = cost;
            }
        };
        for tag in plan.copy.keys() {
            room(tag.len() + 4, &mut jobs);
            jobs.iter_mut().next_back().into_iter().for_each(|job| job.copy.push(tag.clone()));
        }
        for (tag, digest) in &plan.delete {
            room(tag.len() + digest.to_string().len() + 8, &mut jobs);
            jobs.iter_mut()
                .next_back()
                .into_iter()
                .for_each(|job| job.delete.push((tag.clone(), digest.clone())));
        }
        jobs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_cut_into_jobs_that_can_be_told() {
        let digest = Digest::of(Algorithm::Sha256, b"");
        let mut plan = Plan::default();
        (0..500).for_each(|n| drop(plan.copy.insert(format!("{n:0128}"), digest.clone())));
        (0..50).for_each(|n| drop(plan.delete.insert(format!("d{n}"), digest.clone())));
        let jobs = Job::of(&"r".into(), &"t".into(), "a", "b", &plan);
        assert_eq!(jobs.iter().map(|job| job.copy.len()).sum::<usize>(), 500);
        assert_eq!(jobs.iter().map(|job| job.delete.len()).sum::<usize>(), 50);
        let largest = jobs.iter().map(|job| serde_json::to_vec(job).expect("written").len()).max();
        assert!(largest < Some(3800), "{largest:?}");
        let ids: std::collections::BTreeSet<String> = jobs.iter().map(Job::id).collect();
        assert_eq!(ids.len(), jobs.len());
        assert!(Job::of(&"r".into(), &"t".into(), "a", "b", &Plan::default()).is_empty());
        let long = Job { to: "x".repeat(255).as_str().into(), ..jobs[0].clone() };
        assert!(long.id().len() < 200);
    }
}
