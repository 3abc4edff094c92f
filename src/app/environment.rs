//! The environment that a configuration sees at its start.

use crate::lang::env::Env;
use crate::os::process;

use super::args::Args;

/// The process's own, and what HAProxy adds to it (manual section 2.3).
pub fn environment(args: &Args) -> Env {
    let mut env = Env::of_process();
    let peer = args.local_peer.clone().unwrap_or_else(process::hostname);
    env.set("HAPROXY_LOCALPEER", peer);
    if args.master_worker {
        env.set("HAPROXY_MWORKER", "1");
    }
    env
}
