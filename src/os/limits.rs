//! Resource limits, and the `maxconn` that follows from them (manual: `maxconn`, `ulimit-n`, `fd-hard-limit`).

use std::io;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// What `maxconn` never goes below when it is computed.
pub const MIN_MAXCONN: u64 = 100;
/// `fd-hard-limit` when the configuration limits nothing: a system may allow a thousand million descriptors.
pub const DEFAULT_FD_LIMIT: u64 = 1_048_576;

/// The descriptor limits that the process was started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdLimit {
    pub soft: u64,
    pub hard: u64,
}

impl FdLimit {
    pub fn current() -> FdLimit {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
        FdLimit { soft, hard: if hard == RLIM_INFINITY { soft } else { hard } }
    }
}

/// What a configuration asks for; `None` where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub maxconn: Option<u64>,
    /// `ulimit-n`
    pub descriptors: Option<u64>,
    pub fd_hard_limit: Option<u64>,
    /// `-m`
    pub memory_mb: Option<u64>,
    /// Descriptors that are not connections: listeners, checks, pollers, logs.
    pub fixed: u64,
    /// Pipes for splicing (`maxpipes`); `None`: as many as a quarter of the connections.
    pub pipes: Option<u64>,
    /// Whether there are flows of datagrams: as many as connections, with a descriptor each.
    pub flows: bool,
    /// Whether there is an API, whose clients get descriptors of their own: what they use up is nobody else's.
    pub api: bool,
}

/// The limits that a process runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub maxconn: u64,
    /// Whether `maxconn` was computed and not given.
    pub automatic: bool,
    /// Descriptors that `maxconn` connections and the rest may take (`Maxsock` in `show info`).
    pub maxsock: u64,
    /// The limit to ask the kernel for.
    pub descriptors: u64,
    /// Connections of clients that the API may have; part of `maxsock`.
    pub api: u64,
}

/// What the API's clients may have of the process's descriptors: an eighth.
const API_PART: u64 = 8;
const API_LEAST: u64 = 32;
const API_MOST: u64 = 16_384;

impl Wanted {
    fn hard_limit(&self) -> Option<u64> {
        let limited = self.maxconn.is_some() || self.descriptors.is_some() || self.memory_mb.is_some();
        self.fd_hard_limit.or((!limited).then_some(DEFAULT_FD_LIMIT))
    }

    /// Descriptors of a client: two of a connection, and one of the flow that may be beside it.
    fn of_client(&self) -> u64 {
        2 + u64::from(self.flows)
    }

    /// Two descriptors a connection, one a flow, two a pipe, and what is left of the limit for the rest.
    pub fn budget(&self, boot: FdLimit) -> Budget {
        let maxconn = self.maxconn.unwrap_or_else(|| self.ideal_maxconn(boot));
        let pipes = self.pipes.unwrap_or(maxconn / 4);
        let proxy = self.fixed + self.of_client() * maxconn + 2 * pipes;
        // Where `maxconn` was given, what it leaves.
        let left = self.total(boot).saturating_sub(proxy).max(API_LEAST);
        let api = if self.api { self.share(boot).min(left) } else { 0 };
        let maxsock = proxy + api;
        let descriptors = self.descriptors.unwrap_or(maxsock);
        Budget { maxconn, automatic: self.maxconn.is_none(), maxsock, descriptors, api }
    }

    /// The descriptors that there may be at all.
    fn total(&self, boot: FdLimit) -> u64 {
        self.descriptors.unwrap_or(boot.soft.max(boot.hard)).min(self.hard_limit().unwrap_or(u64::MAX))
    }

    fn share(&self, boot: FdLimit) -> u64 {
        (self.total(boot) / API_PART).clamp(API_LEAST, API_MOST)
    }

    fn ideal_maxconn(&self, boot: FdLimit) -> u64 {
        let most = self.hard_limit().unwrap_or(u64::MAX);
        let api = if self.api { self.share(boot) } else { 0 };
        let mut remain = boot.soft.max(boot.hard).min(most).saturating_sub(self.fixed + api);
        let maxconn = match self.pipes {
            Some(pipes) => {
                if pipes * 2 < remain {
                    remain -= pipes * 2;
                }
                remain / self.of_client()
            }
            // Half a descriptor a connection for pipes.
            None => 2 * remain / (2 * self.of_client() + 1),
        };
        maxconn.max(MIN_MAXCONN)
    }
}

/// The kernel refused a limit.
#[derive(Debug, thiserror::Error)]
#[error("Cannot raise FD limit to {wanted}, current limit is {soft} and hard limit is {hard}.")]
pub struct FdLimitError {
    pub wanted: u64,
    pub soft: u64,
    pub hard: u64,
}

/// Raises the descriptor limit to at least `wanted` (never lowers it). On failure the soft limit is raised as far as
/// it goes, and the error says how far.
pub fn raise_descriptors(wanted: u64) -> Result<(), FdLimitError> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    if soft >= wanted {
        return Ok(());
    }
    if setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted)).is_ok() {
        return Ok(());
    }
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    let reached = FdLimit::current();
    Err(FdLimitError { wanted, soft: reached.soft, hard: reached.hard })
}

/// Limits what the process can allocate (`-m`). Data, not address space: stacks and mapped files are not data.
pub fn limit_memory(megabytes: u64) -> io::Result<()> {
    let bytes = megabytes.saturating_mul(1 << 20);
    Ok(setrlimit(Resource::RLIMIT_DATA, bytes, bytes)?)
}

/// Removes the limits on the size of core dumps and files (`set-dumpable`).
pub fn unlimit_core() -> io::Result<()> {
    setrlimit(Resource::RLIMIT_FSIZE, RLIM_INFINITY, RLIM_INFINITY)?;
    Ok(setrlimit(Resource::RLIMIT_CORE, RLIM_INFINITY, RLIM_INFINITY)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: FdLimit = FdLimit { soft: 1024, hard: 524_288 };

    #[test]
    fn maxconn_follows_from_the_hard_limit() {
        let wanted = Wanted { fixed: 88, pipes: Some(0), ..Wanted::default() };
        let budget = wanted.budget(BOOT);
        assert!(budget.automatic);
        assert_eq!(budget.maxconn, (524_288 - 88) / 2);
        assert_eq!(budget.maxsock, 524_288);
    }

    #[test]
    fn flows_have_descriptors_of_their_own() {
        for pipes in [Some(0), Some(100), None] {
            let wanted = Wanted { fixed: 88, pipes, flows: true, ..Wanted::default() };
            let budget = wanted.budget(BOOT);
            let pipes = 2 * pipes.unwrap_or(budget.maxconn / 4);
            assert_eq!(budget.maxsock, 88 + 3 * budget.maxconn + pipes);
            assert!(budget.maxsock <= 524_288 && budget.maxsock > 524_280, "{budget:?}");
        }
        let wanted = Wanted { maxconn: Some(1000), pipes: Some(0), flows: true, ..Wanted::default() };
        assert_eq!(wanted.budget(BOOT).maxsock, 3000);
    }

    #[test]
    fn an_unlimited_system_does_not_make_a_thousand_million() {
        let boot = FdLimit { soft: 1024, hard: 1_073_741_816 };
        let wanted = Wanted { pipes: Some(0), ..Wanted::default() };
        assert_eq!(wanted.budget(boot).maxconn, DEFAULT_FD_LIMIT / 2);
        let wanted = Wanted { fd_hard_limit: Some(50_000), ..wanted };
        assert_eq!(wanted.budget(boot).maxconn, 25_000);
    }

    #[test]
    fn a_tight_system_still_gets_the_minimum() {
        let boot = FdLimit { soft: 64, hard: 64 };
        assert_eq!(Wanted { fixed: 100, ..Wanted::default() }.budget(boot).maxconn, MIN_MAXCONN);
    }

    #[test]
    fn given_values_stand() {
        let wanted = Wanted { maxconn: Some(1000), fixed: 10, pipes: None, ..Wanted::default() };
        let budget = wanted.budget(BOOT);
        assert_eq!((budget.maxconn, budget.automatic, budget.maxsock), (1000, false, 10 + 2000 + 500));
        assert_eq!(Wanted { descriptors: Some(9000), ..wanted }.budget(BOOT).descriptors, 9000);
    }

    #[test]
    fn the_api_has_a_part_of_its_own() {
        let wanted = Wanted { fixed: 100, pipes: Some(0), api: true, ..Wanted::default() };
        let tight = FdLimit { soft: 1024, hard: 1024 };
        let budget = wanted.budget(tight);
        assert_eq!((budget.api, budget.maxconn), (128, (1024 - 100 - 128) / 2));
        assert!(budget.maxsock <= 1024);
        assert_eq!(wanted.budget(BOOT).api, 16_384);
        let given = Wanted { maxconn: Some(200), ..wanted };
        assert_eq!(given.budget(FdLimit { soft: 1024, hard: 16_000 }).api, 2000);
        assert_eq!(given.budget(FdLimit { soft: 600, hard: 600 }).api, 75);
        let greedy = Wanted { maxconn: Some(450), ..wanted };
        assert_eq!(greedy.budget(tight).api, 32, "what is left, and enough to be reached");
    }

    #[test]
    fn a_limit_is_not_lowered() {
        let before = FdLimit::current();
        raise_descriptors(16).unwrap();
        assert_eq!(FdLimit::current(), before);
    }
}
