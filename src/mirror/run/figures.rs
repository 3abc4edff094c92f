//! Counters of what was copied, and how far rules are behind.

use metrics::{counter, gauge};

use super::record::RuleStanding;
use crate::mirror::client::Fault;
use crate::mirror::job::Job;

pub fn done(job: &Job, bytes: u64, images: u64, fault: Option<&Fault>) {
    let (rule, target) = (job.rule.to_string(), job.target.to_string());
    counter!("isobar_mirror_bytes_total", "rule" => rule.clone(), "target" => target.clone())
        .increment(bytes);
    counter!("isobar_mirror_images_total", "rule" => rule.clone(), "target" => target.clone())
        .increment(images);
    if let Some(fault) = fault {
        let cause = fault.cause();
        counter!("isobar_mirror_failures_total", "rule" => rule, "target" => target, "cause" => cause)
            .increment(1);
    }
}

/// Told by the leader. `now`: milliseconds since 1970.
pub fn standing(rule: &str, standing: &RuleStanding, now: u64) {
    for target in &standing.targets {
        let (rule, to) = (rule.to_owned(), target.target.clone());
        let lag = match target.behind_since {
            0 => 0,
            since => now.saturating_sub(since),
        };
        gauge!("isobar_mirror_lag_seconds", "rule" => rule.clone(), "target" => to.clone())
            .set(lag as f64 / 1000.0);
        gauge!("isobar_mirror_tags_behind", "rule" => rule, "target" => to).set(target.behind as f64);
    }
}

pub fn jobs(waiting: usize, running: usize) {
    gauge!("isobar_mirror_jobs", "state" => "waiting").set(waiting as f64);
    gauge!("isobar_mirror_jobs", "state" => "running").set(running as f64);
}
