//! Processes: forking, waiting, the pid file, names, CPUs, and what the kernel is told about us.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

/// Which side of a fork this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    Parent { child: i32 },
    Child,
}

/// Duplicates the process. Refused (`EBUSY`) when other threads run: the child would hold their locks for ever.
pub fn fork() -> io::Result<Forked> {
    if thread_count()? != 1 {
        return Err(Errno::EBUSY.into());
    }
    // SAFETY: the only hazard of fork() is a state left half-done by another thread, and there is none.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Forked::Parent { child: child.as_raw() }),
        ForkResult::Child => Ok(Forked::Child),
    }
}

fn thread_count() -> io::Result<usize> {
    match std::fs::read_dir("/proc/self/task") {
        Ok(tasks) => Ok(tasks.count()),
        // Without /proc nothing can be said; callers fork before they start threads.
        Err(_) => Ok(1),
    }
}

/// How a child ended, in the shell's numbers: its exit status, or 128 and the signal.
pub fn exit_code(status: &WaitStatus) -> Option<u8> {
    match status {
        WaitStatus::Exited(_, code) => Some(*code as u8),
        WaitStatus::Signaled(_, signal, _) => Some(128 + *signal as u8),
        _ => None,
    }
}

/// Waits until child `pid` is gone.
pub fn wait_for(pid: i32) -> io::Result<u8> {
    loop {
        match waitpid(Pid::from_raw(pid), None) {
            Ok(status) => {
                if let Some(code) = exit_code(&status) {
                    return Ok(code);
                }
            }
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// One child that has ended, without waiting: its pid and [`exit_code`].
pub fn reap() -> Option<(i32, u8)> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return None,
            Ok(status) => match (status.pid(), exit_code(&status)) {
                (Some(pid), Some(code)) => return Some((pid.as_raw(), code)),
                _ => continue,
            },
            Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
}

/// Sends a signal; the number of the processes that it reached.
pub fn signal_all(pids: &[i32], signal: Signal) -> usize {
    pids.iter().filter(|&&pid| pid > 0 && kill(Pid::from_raw(pid), signal).is_ok()).count()
}

/// Kills every process of a group, whose id is that of the process that began it.
pub fn kill_group(leader: i32) {
    if leader > 1 {
        let _ = nix::sys::signal::killpg(Pid::from_raw(leader), Signal::SIGKILL);
    }
}

/// The text of a signal number as shells print it.
pub fn signal_name(number: u8) -> &'static str {
    Signal::try_from(i32::from(number)).map_or("Exit", Signal::as_str)
}

/// Writes this process's id, replacing whatever the path held (never through a link that it may be).
pub fn write_pidfile(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o644).open(path)?;
    io::Write::write_all(&mut file, format!("{}\n", std::process::id()).as_bytes())
}

/// Makes the kernel send `signal` to this process when the thread that forked it ends. Cleared by a change of
/// user, so called after it.
pub fn die_with_parent(signal: Signal) -> io::Result<()> {
    Ok(prctl::set_pdeathsig(signal)?)
}

pub fn parent() -> i32 {
    nix::unistd::getppid().as_raw()
}

/// A short name of the calling thread for `ps` and `top` (15 bytes are kept).
pub fn name_thread(name: &str) {
    if let Ok(name) = CString::new(name) {
        let _ = prctl::set_name(&name);
    }
}

/// Starts a session of its own, away from the terminal.
pub fn new_session() -> io::Result<()> {
    nix::unistd::setsid()?;
    Ok(())
}

/// Puts /dev/null in the place of the standard streams.
pub fn silence_streams(null: BorrowedFd<'_>) -> io::Result<()> {
    for target in 0..=2 {
        // SAFETY: dup2 takes two numbers and touches no memory; descriptors 0 to 2 belong to nobody in particular.
        if unsafe { libc::dup2(null.as_raw_fd(), target) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Closes every descriptor from 3 up, except `keep`. For a child that inherited what it has no use for, such as the
/// listening sockets given to its parent.
pub fn close_others(keep: &[i32]) {
    let mut keep: Vec<u32> =
        keep.iter().filter_map(|&fd| u32::try_from(fd).ok()).filter(|&fd| fd > 2).collect();
    keep.sort_unstable();
    let mut first = 3;
    for fd in keep.into_iter().chain([u32::MAX]) {
        if first < fd {
            // SAFETY: close_range takes numbers. Owners of the closed descriptors in this process are never dropped:
            // the caller is a child that only runs its own loop and then exits.
            unsafe { libc::syscall(libc::SYS_close_range, first, fd - 1, 0) };
        }
        first = fd.saturating_add(1);
    }
}

/// Lets the kernel dump a core although the user was changed, whatever its size.
pub fn allow_core_dump() -> io::Result<()> {
    Ok(prctl::set_dumpable(true)?)
}

/// Gives freed memory back to the system: after a fork, what one side has freed is not paid for twice.
pub fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes a number; the allocator keeps itself consistent.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Whether this process holds what it takes to bind low ports and change users (effective user 0).
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Resident memory of this process; 0 when `/proc` is not there.
pub fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

pub fn hostname() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "localhost".into())
}

/// The kernel's name for itself: `Linux 6.1.0 #1 SMP x86_64`.
pub fn system() -> String {
    match nix::sys::utsname::uname() {
        Ok(u) => [u.sysname(), u.release(), u.version(), u.machine()]
            .map(|s| s.to_string_lossy().into_owned())
            .join(" "),
        Err(_) => "Linux".into(),
    }
}

/// The CPUs that the calling thread may run on, in ascending order.
pub fn cpus() -> Vec<usize> {
    match sched_getaffinity(Pid::from_raw(0)) {
        Ok(set) => (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).collect(),
        Err(_) => (0..std::thread::available_parallelism().map_or(1, usize::from)).collect(),
    }
}

/// Keeps the calling thread on some CPUs. CPUs that do not exist are an error (`EINVAL`).
pub fn pin(cpus: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Sets the scheduling priority of the calling thread (and of those it starts): -20 to 19.
pub fn renice(nice: i32) -> io::Result<()> {
    // SAFETY: plain numbers; the result tells.
    match unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The files that the program is mapped from: itself and its shared libraries, each once.
pub fn libraries() -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut files = Vec::new();
    for line in maps.lines() {
        let file = line.splitn(6, ' ').nth(5).map_or("", str::trim);
        if file.starts_with('/') && !files.iter().any(|f| f == file) {
            files.push(file.to_owned());
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_fork_beside_threads() {
        // The test harness itself runs this on a thread of its own.
        let busy = fork();
        assert!(matches!(&busy, Err(e) if e.raw_os_error() == Some(libc::EBUSY)), "{busy:?}");
    }

    #[test]
    fn pidfile_replaces_a_link_instead_of_following_it() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, path) = (dir.path().join("victim"), dir.path().join("pid"));
        std::fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        write_pidfile(&path).unwrap();
        write_pidfile(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
    }

    #[test]
    fn a_thread_can_be_pinned() {
        let one = cpus()[0];
        std::thread::spawn(move || {
            pin(&[one]).unwrap();
            assert_eq!(cpus(), [one]);
        })
        .join()
        .unwrap();
        assert!(pin(&[1023]).is_err());
    }

    #[test]
    fn the_program_maps_its_own_file() {
        let exe = std::env::current_exe().unwrap().canonicalize().unwrap();
        assert!(libraries().iter().any(|f| Path::new(f) == exe));
    }

    #[test]
    fn exit_codes_follow_the_shell() {
        let pid = Pid::from_raw(1);
        assert_eq!(exit_code(&WaitStatus::Exited(pid, 3)), Some(3));
        assert_eq!(exit_code(&WaitStatus::Signaled(pid, Signal::SIGINT, false)), Some(130));
        assert_eq!(exit_code(&WaitStatus::StillAlive), None);
        assert_eq!(signal_name(2), "SIGINT");
    }
}
