//! Checks by a program (`option external-check`): what it is told, how it runs, what its end means.
//!
//! It is started on a thread for what blocks, with `posix_spawn(3)` where the system has it, so that neither a data worker
//! nor a check of another server waits. It has the rights of this process, and its root directory. It is in a process group
//! of its own, and does not outlive the check.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::base::clock;
use crate::model::Address;
use crate::os::child::{PidFd, owner};
use crate::os::process::kill_group;
use crate::os::socket::watch;

use super::change::Member;
use super::spec::{CheckSpec, External};
use super::status::{Finding, Status};

/// What HAProxy says in place of an address that there is none of.
const NOT_USED: &str = "NOT_USED";
/// How a program ends that could not be started.
const NOT_STARTED: i32 = 255;

/// A program that runs.
struct Running {
    child: Child,
    has_ended: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended {
            kill_group(self.child.id() as i32);
            let _ = self.child.wait();
        }
    }
}

/// Runs the program for a server. It may take `timeout check`, else the interval.
pub(super) async fn check(
    external: &External,
    spec: &CheckSpec,
    member: &Member,
    address: &Address,
) -> Finding {
    let start = clock::now_ms();
    let limit = if spec.timeout_check_ms > 0 { spec.timeout_check_ms } else { spec.inter_ms };
    let mut finding = match run(external, member, address, Duration::from_millis(limit)).await {
        Ok(Some(status)) if status.success() => ended(Status::ProcOk, 0),
        Ok(Some(status)) => ended(Status::ProcErr, status.code().unwrap_or(-1)),
        Ok(None) => ended(Status::ProcTimeout, 0),
        // It was not allowed.
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
            Finding::new(Status::SockErr, crate::lang::load::reason(&e))
        }
        Err(e) => {
            tracing::warn!("external check of {}: {}: {e}", member.backend, external.command);
            ended(Status::ProcErr, NOT_STARTED)
        }
    };
    finding.duration_ms = Some(clock::now_ms().saturating_sub(start));
    finding
}

fn ended(status: Status, code: i32) -> Finding {
    Finding { number: Some(code), ..Finding::new(status, "") }
}

/// How it ended; `None`: it took too long, and was ended.
async fn run(
    external: &External,
    member: &Member,
    address: &Address,
    limit: Duration,
) -> io::Result<Option<ExitStatus>> {
    if !external.may_fork && owner().0 != 0 {
        // As a limit of processes has it, by which HAProxy keeps itself from starting any.
        return Err(io::Error::from_raw_os_error(nix::libc::EAGAIN));
    }
    let mut command = command(external, member, address);
    // Whoever gives up the check while it starts ends it, too.
    let start = move || command.spawn().map(|child| Running { child, has_ended: false });
    let mut running = tokio::task::spawn_blocking(start).await.map_err(io::Error::other)??;
    let end = watch(PidFd::open(running.child.id())?.into())?;
    if tokio::time::timeout(limit, end.readable()).await.is_err() {
        return Ok(None);
    }
    let status = running.child.wait()?;
    running.has_ended = true;
    Ok(Some(status))
}

/// The program, its arguments and what it has for an environment.
fn command(external: &External, member: &Member, address: &Address) -> Command {
    let (server, live) = (&member.server.spec, member.live());
    let (ip, port) = match address {
        Address::Inet(address) => (address.ip().to_string(), address.port().to_string()),
        Address::Unix(path) => (path.display().to_string(), String::new()),
        other => (other.to_string(), String::new()),
    };
    let or_unused = |text: &str| if text.is_empty() { NOT_USED.to_owned() } else { text.to_owned() };
    let mut command = Command::new(find(&external.command, &external.path));
    if !external.keeps_environment {
        command.env_clear();
    }
    command
        .arg0(&*external.command)
        .args([
            or_unused(&external.proxy_address),
            or_unused(&external.proxy_port),
            ip.clone(),
            or_unused(&port),
        ])
        .env("PATH", &*external.path)
        .env("HAPROXY_PROXY_ADDR", &external.proxy_address)
        .env("HAPROXY_PROXY_ID", external.proxy_id.to_string())
        .env("HAPROXY_PROXY_NAME", &*member.backend)
        .env("HAPROXY_PROXY_PORT", &external.proxy_port)
        .env("HAPROXY_SERVER_ADDR", ip)
        .env("HAPROXY_SERVER_CURCONN", live.served.load(Ordering::Relaxed).to_string())
        .env("HAPROXY_SERVER_ID", server.id.to_string())
        .env("HAPROXY_SERVER_MAXCONN", live.maxconn.load(Ordering::Relaxed).to_string())
        .env("HAPROXY_SERVER_NAME", &*server.name)
        .env("HAPROXY_SERVER_PORT", port)
        .env("HAPROXY_SERVER_PROTO", external.proto)
        .env("HAPROXY_SERVER_SSL", if external.is_tls { "1" } else { "0" })
        .stdin(Stdio::null())
        .process_group(0);
    command
}

/// Where a program without a slash in its name is, among the directories of a PATH: found here, the child need not be a
/// copy of this process that looks for it. What is not found is left as it is, for the error that it gives.
fn find(command: &str, path: &str) -> PathBuf {
    let is_program = |file: &PathBuf| {
        file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let name = OsStr::from_bytes(command.as_bytes());
    let found = || {
        path.split(':').filter(|dir| !dir.is_empty()).map(|dir| Path::new(dir).join(name)).find(is_program)
    };
    match command.contains('/') {
        true => name.into(),
        // Nothing is to be found by the PATH of this process.
        false => found().unwrap_or_else(|| Path::new("/nonexistent").join(name)),
    }
}
