//! Tracked processes and files, looked at once a second by one thread.

use std::io;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::super::machine::Verdict;
use super::super::spec::TrackerKind;

const EVERY: Duration = Duration::from_secs(1);
/// The kernel keeps so much of a process's name.
const NAME_MAX: usize = 15;
/// Numbers beyond these add nothing more to a priority.
const LEVEL_MAX: i32 = 254;

/// Runs until it is dropped.
pub(super) struct Watch {
    _stop: SyncSender<()>,
}

/// Looks at these trackers. `tell` is called with each verdict that is new.
pub(super) fn start(
    trackers: Vec<(usize, TrackerKind)>,
    tell: impl Fn(usize, Verdict) + Send + 'static,
) -> io::Result<Watch> {
    let (stop, stopped) = sync_channel(0);
    let mut told: Vec<Option<Verdict>> = vec![None; trackers.len()];
    std::thread::Builder::new().name("vip-watch".into()).spawn(move || {
        loop {
            let names = if trackers.iter().any(|(_, kind)| matches!(kind, TrackerKind::Process { .. })) {
                processes(Path::new("/proc"))
            } else {
                Vec::new()
            };
            for ((tracker, kind), told) in trackers.iter().zip(&mut told) {
                let verdict = look(kind, &names);
                if *told != Some(verdict) {
                    *told = Some(verdict);
                    tell(*tracker, verdict);
                }
            }
            match stopped.recv_timeout(EVERY) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => return,
            }
        }
    })?;
    Ok(Watch { _stop: stop })
}

fn look(kind: &TrackerKind, names: &[String]) -> Verdict {
    match kind {
        TrackerKind::Process { process, quorum } => {
            let name = process.rsplit('/').next().unwrap_or_default();
            let cut: String = name.chars().take(NAME_MAX).collect();
            let running = names.iter().filter(|known| **known == cut).count();
            if running >= *quorum as usize { Verdict::Up } else { Verdict::Down }
        }
        TrackerKind::File { path } => Verdict::Level(level(path)),
        _ => Verdict::Unknown,
    }
}

/// The number at the beginning of a file; 0 when there is none.
fn level(path: &str) -> i32 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let number: i32 = text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0);
    number.clamp(-LEVEL_MAX, LEVEL_MAX)
}

/// The names of all processes.
fn processes(proc: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(proc).into_iter().flatten().flatten();
    let pids = entries.filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit));
    let name = |path: std::path::PathBuf| std::fs::read_to_string(path.join("comm")).ok();
    pids.filter_map(|entry| name(entry.path())).map(|name| name.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn processes_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        for (pid, name) in
            [("1", "init\n"), ("20", "averylongprogra\n"), ("30", "init\n"), ("self", "init\n")]
        {
            std::fs::create_dir(dir.path().join(pid)).unwrap();
            std::fs::write(dir.path().join(pid).join("comm"), name).unwrap();
        }
        let names = processes(dir.path());
        let looks =
            |process: &str, quorum| look(&TrackerKind::Process { process: process.into(), quorum }, &names);
        assert_eq!(looks("init", 2), Verdict::Up);
        assert_eq!(looks("init", 3), Verdict::Down);
        assert_eq!(looks("/usr/sbin/averylongprogramname", 1), Verdict::Up);
        assert_eq!(looks("none", 1), Verdict::Down);
    }

    #[test]
    fn a_file_tells_a_number() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("level");
        let (tell, told) = channel();
        let kind = TrackerKind::File { path: path.display().to_string() };
        let watch = start(vec![(7, kind)], move |tracker, verdict| {
            let _ = tell.send((tracker, verdict));
        })
        .unwrap();
        let next = || told.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(next(), (7, Verdict::Level(0)));
        std::fs::write(&path, "-20\n").unwrap();
        assert_eq!(next(), (7, Verdict::Level(-20)));
        std::fs::write(&path, "99999 junk").unwrap();
        assert_eq!(next(), (7, Verdict::Level(254)));
        drop(watch);
        assert!(told.recv_timeout(Duration::from_secs(20)).is_err(), "the thread ends");
    }
}
