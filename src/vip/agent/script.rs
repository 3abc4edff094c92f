//! Tracked programs: each has a thread that runs it every so often, and says when its verdict changes.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command as Process, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::base::clock::{self, MS};
use crate::os::child::{self, PidFd};
use crate::os::process::kill_group;

use super::super::machine::Verdict;
use super::super::spec::{Command, ScriptSpec};

/// How long a program that is to end has before it is killed.
const GRACE_MS: u32 = 1_000;

/// Counts successes and failures in a row.
#[derive(Clone, Debug)]
pub(super) struct Counter {
    rise: u32,
    fall: u32,
    verdict: Verdict,
    /// Results in a row that speak against the verdict.
    against: u32,
}

impl Counter {
    pub(super) fn new(spec: &ScriptSpec) -> Counter {
        let verdict = if spec.starts_down { Verdict::Down } else { Verdict::Unknown };
        Counter { rise: spec.rise, fall: spec.fall, verdict, against: 0 }
    }

    /// The verdict after one more result. The first one decides at once.
    pub(super) fn take(&mut self, success: bool) -> Verdict {
        let (to, needed) = if success { (Verdict::Up, self.rise) } else { (Verdict::Down, self.fall) };
        if self.verdict == to {
            self.against = 0;
        } else {
            self.against += 1;
            if self.verdict == Verdict::Unknown || self.against >= needed {
                (self.verdict, self.against) = (to, 0);
            }
        }
        self.verdict
    }
}

/// Runs until it is dropped.
pub(super) struct Runner {
    _stop: SyncSender<()>,
}

/// Starts the thread of a program. `tell` is called with each verdict that is new, and once at the beginning for one
/// that starts down.
pub(super) fn start(spec: ScriptSpec, tell: impl Fn(Verdict) + Send + 'static) -> io::Result<Runner> {
    let (stop, stopped) = sync_channel(0);
    std::thread::Builder::new().name("vip-script".into()).spawn(move || repeat(&spec, &stopped, &tell))?;
    Ok(Runner { _stop: stop })
}

fn repeat(spec: &ScriptSpec, stopped: &Receiver<()>, tell: &dyn Fn(Verdict)) {
    let mut counter = Counter::new(spec);
    let mut told = counter.verdict;
    if told != Verdict::Unknown {
        tell(told);
    }
    loop {
        let began = clock::now_ns();
        // A program that cannot be run has failed.
        let success = run(&spec.command, spec.timeout).unwrap_or(false);
        let verdict = counter.take(success);
        if verdict != told {
            tell(verdict);
            told = verdict;
        }
        let spent = Duration::from_nanos(clock::now_ns() - began);
        match stopped.recv_timeout(spec.interval.saturating_sub(spent)) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => return,
        }
    }
}

/// A program in a process group of its own, without input and output.
pub(super) fn spawn(command: &Command, arguments: &[String]) -> io::Result<Child> {
    let Some((program, rest)) = command.words.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut process = Process::new(program);
    process.args(rest).args(arguments).process_group(0);
    process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Asking for what holds anyhow would cost a copy of the page tables.
    if let Some((uid, gid)) = command.owner.filter(|owner| *owner != child::owner()) {
        process.uid(uid).gid(gid);
    }
    process.spawn()
}

/// Runs a program to its end: whether its exit status was 0 within the time given.
fn run(command: &Command, timeout: Duration) -> io::Result<bool> {
    let mut program = spawn(command, &[])?;
    let pid = PidFd::open(program.id())?;
    let until = clock::now_ns() + timeout.as_nanos() as u64;
    if wait_until(&pid, until)? {
        return Ok(program.wait()?.success());
    }
    child::end_group(program.id());
    if !pid.wait(GRACE_MS)? {
        kill_group(program.id() as i32);
    }
    program.wait()?;
    Ok(false)
}

fn wait_until(pid: &PidFd, until: u64) -> io::Result<bool> {
    loop {
        let left = until.saturating_sub(clock::now_ns()).div_ceil(MS);
        if pid.wait(u32::try_from(left).unwrap_or(u32::MAX))? {
            return Ok(true);
        }
        if clock::now_ns() >= until {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn spec(script: &str) -> ScriptSpec {
        ScriptSpec {
            command: Command { words: ["/bin/sh", "-c", script].map(String::from).to_vec(), owner: None },
            interval: Duration::from_millis(20),
            timeout: Duration::from_secs(5),
            rise: 2,
            fall: 3,
            starts_down: false,
        }
    }

    #[test]
    fn verdicts_need_so_many_in_a_row() {
        use Verdict::{Down, Up};
        let verdicts = |starts_down, results: &[bool]| -> Vec<Verdict> {
            let mut counter = Counter::new(&ScriptSpec { starts_down, ..spec("") });
            results.iter().map(|success| counter.take(*success)).collect()
        };
        assert_eq!(
            verdicts(false, &[true, false, false, true, false, false, false]),
            [Up, Up, Up, Up, Up, Up, Down]
        );
        assert_eq!(verdicts(false, &[false, true, false, true, true]), [Down, Down, Down, Down, Up]);
        assert_eq!(verdicts(true, &[true, true]), [Down, Up]);
    }

    #[test]
    fn a_program_is_run_again_and_again() {
        let dir = tempfile::tempdir().unwrap();
        let (flag, (tell, told)) = (dir.path().join("flag"), channel());
        let script = format!("test -e {}", flag.display());
        let runner = start(spec(&script), move |verdict| {
            let _ = tell.send(verdict);
        })
        .unwrap();
        let next = || told.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(next(), Verdict::Down);
        std::fs::write(&flag, "").unwrap();
        assert_eq!(next(), Verdict::Up);
        std::fs::remove_file(&flag).unwrap();
        assert_eq!(next(), Verdict::Down);
        drop(runner);
        assert!(told.recv_timeout(Duration::from_secs(20)).is_err(), "the thread ends");
    }

    #[test]
    fn a_program_that_takes_too_long_has_failed() {
        let command = spec("sleep 60 & wait").command;
        let began = clock::now_ns();
        assert!(!run(&command, Duration::from_millis(50)).unwrap());
        assert!(clock::now_ns() - began < 10 * clock::SEC);
        assert!(run(&spec("exit 0").command, Duration::from_secs(20)).unwrap());
        assert!(!run(&spec("exit 1").command, Duration::from_secs(20)).unwrap());
        let nothing = Command { words: vec!["/nonexistent/program".into()], owner: None };
        assert!(run(&nothing, Duration::from_secs(1)).is_err());
    }
}
