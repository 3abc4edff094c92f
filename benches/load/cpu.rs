//! CPU time of other processes: every thread's run time from `/proc/PID/task/TID/schedstat`.
//!
//! The kernel charges softirq work (the receive half of loopback TCP) to the thread that runs when it happens,
//! which is the sender; so a proxy pays for what its own writes set in motion, and its peers pay the rest.

use std::collections::BTreeMap;
use std::fs;

/// Run time in nanoseconds by thread id.
#[derive(Default)]
pub struct Sample {
    by_thread: BTreeMap<u32, u64>,
}

/// What a set of processes consumed between two samples.
pub struct Spent {
    pub cpu_ns: u64,
    /// Threads that ended in between, whose last slice of time is lost.
    pub threads_gone: usize,
    /// The busiest threads first.
    pub by_thread_ns: Vec<u64>,
}

impl Sample {
    /// Reads all threads of these processes; a process that is gone has none.
    pub fn take(pids: &[u32]) -> Self {
        let mut by_thread = BTreeMap::new();
        for pid in pids {
            let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
            for task in tasks.flatten() {
                let Some(tid) = task.file_name().to_str().and_then(|name| name.parse().ok()) else {
                    continue;
                };
                let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
                if let Some(run_ns) = text.split(' ').next().and_then(|first| first.parse().ok()) {
                    by_thread.insert(tid, run_ns);
                }
            }
        }
        Self { by_thread }
    }

    /// What was spent from this sample to a later one; a thread born in between counts from zero.
    pub fn until(&self, later: &Self) -> Spent {
        let mut by_thread_ns: Vec<u64> = later
            .by_thread
            .iter()
            .map(|(tid, run_ns)| run_ns.saturating_sub(self.by_thread.get(tid).copied().unwrap_or(0)))
            .collect();
        by_thread_ns.sort_unstable_by(|a, b| b.cmp(a));
        Spent {
            cpu_ns: by_thread_ns.iter().sum(),
            threads_gone: self.by_thread.keys().filter(|tid| !later.by_thread.contains_key(tid)).count(),
            by_thread_ns,
        }
    }
}
