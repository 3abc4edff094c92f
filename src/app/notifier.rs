//! Announces how far the process is: to the launcher, the master, the service manager, and `show proc`.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::messages::Messages;
use super::version::HAPROXY_VERSION;
use crate::base::clock;
use crate::os::daemon::Launch;
use crate::os::notify;
use crate::os::opener::{Opener, Report};
use crate::os::process::silence_streams;

/// Where announcements go.
#[derive(Debug)]
enum Route {
    /// This is the process that the user sees.
    Direct { launch: Mutex<Option<Launch>> },
    /// The master is.
    Master {
        opener: Opener,
        pid: u32,
        /// In the background: what becomes the standard streams.
        null: Mutex<Option<OwnedFd>>,
    },
}

/// One for the whole process, shared by the control thread and the command-line servers.
#[derive(Debug)]
pub struct Notifier {
    route: Route,
    messages: Messages,
    /// Wall-clock time at which the user's process started.
    started: Duration,
    /// Read before any fork: the service manager names the process that it watches.
    watchdog: Option<Duration>,
    /// When the watchdog was fed last.
    alive_at_ms: AtomicU64,
    ready: AtomicBool,
    reloads: AtomicU32,
    failed: AtomicU32,
    last_failed: AtomicBool,
}

impl Notifier {
    pub(super) fn direct(messages: Messages, started: Duration, launch: Option<Launch>) -> Notifier {
        let launch = Mutex::new(launch);
        Notifier::new(Route::Direct { launch }, messages, started, notify::watchdog())
    }

    pub(super) fn of_worker(
        messages: Messages,
        started: Duration,
        watchdog: Option<Duration>,
        opener: Opener,
        pid: u32,
        null: Option<OwnedFd>,
    ) -> Notifier {
        let null = Mutex::new(null);
        Notifier::new(Route::Master { opener, pid, null }, messages, started, watchdog)
    }

    fn new(route: Route, messages: Messages, started: Duration, watchdog: Option<Duration>) -> Notifier {
        let (ready, last_failed) = (AtomicBool::new(false), AtomicBool::new(false));
        let (reloads, failed) = (AtomicU32::new(0), AtomicU32::new(0));
        let alive_at_ms = AtomicU64::new(0);
        Notifier { route, messages, started, watchdog, alive_at_ms, ready, reloads, failed, last_failed }
    }

    /// Every listener accepts: the launcher of a daemon may exit, the service manager may go on.
    pub fn ready(&self) {
        if self.ready.swap(true, Ordering::AcqRel) {
            return;
        }
        match &self.route {
            Route::Direct { launch } => {
                notify::ready("Ready.");
                if let Some(launch) = launch.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    self.messages.set_quiet(true);
                    let _ = launch.ready();
                }
            }
            Route::Master { opener, null, .. } => {
                if let Some(null) = null.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    self.messages.set_quiet(true);
                    let _ = silence_streams(null.as_fd());
                }
                opener.report(Report::Ready);
            }
        }
    }

    /// A new configuration is about to be read. What is said from here on is the log of this reload.
    pub fn reloading(&self) {
        self.messages.forget();
        match &self.route {
            Route::Direct { .. } => notify::reloading(),
            Route::Master { opener, .. } => {
                opener.report(Report::Reloading);
            }
        }
    }

    /// It is in place, or was refused. Returns what the master CLI answers to `reload`.
    pub fn reloaded(&self, success: bool) -> String {
        self.reloads.fetch_add(1, Ordering::Relaxed);
        if !success {
            self.failed.fetch_add(1, Ordering::Relaxed);
        } else {
            self.failed.store(0, Ordering::Relaxed);
        }
        self.last_failed.store(!success, Ordering::Relaxed);
        match &self.route {
            Route::Direct { .. } => notify::ready(if success { "Ready." } else { RELOAD_FAILED }),
            Route::Master { opener, .. } => {
                opener.report(Report::Reloaded { success });
            }
        }
        let mut answer = format!("Success={}\n", u8::from(success));
        let log = self.messages.log();
        if !log.is_empty() {
            answer += "--\n";
            answer += &log;
        }
        answer
    }

    /// Whether the running configuration is older than the files because they were refused
    /// (`master[ReloadFailed]>`).
    pub fn last_reload_failed(&self) -> bool {
        self.last_failed.load(Ordering::Relaxed)
    }

    /// How often [`Notifier::alive`] is expected, when somebody watches.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The control thread goes round. Cheap to call at every turn: passed on only when somebody watches, and only
    /// as often as they want.
    pub fn alive(&self) {
        let Some(period) = self.watchdog else { return };
        let (now, last) = (clock::now_ms(), self.alive_at_ms.load(Ordering::Relaxed));
        if now < last + period.as_millis() as u64 / 2 {
            return;
        }
        self.alive_at_ms.store(now, Ordering::Relaxed);
        match &self.route {
            Route::Direct { .. } => notify::alive(),
            Route::Master { opener, .. } => {
                opener.report(Report::Alive);
            }
        }
    }

    /// This process will end. (A master says so by itself.)
    pub fn stopping(&self) {
        if let Route::Direct { .. } = &self.route {
            notify::stopping();
        }
    }

    /// The process that the user sees: the master, or this one.
    pub fn main_pid(&self) -> u32 {
        match &self.route {
            Route::Direct { .. } => std::process::id(),
            Route::Master { pid, .. } => *pid,
        }
    }

    pub fn has_master(&self) -> bool {
        matches!(self.route, Route::Master { .. })
    }

    /// What the master CLI answers to `show proc` (management manual 9.4.1). The worker outlives every reload, and is
    /// shown as young as its configuration would be: with no reload since.
    pub fn show_proc(&self) -> String {
        let reloads = self.reloads.load(Ordering::Relaxed);
        let failed = self.failed.load(Ordering::Relaxed);
        let age = clock::wall().saturating_sub(self.started);
        let row = |first: &str, columns: [&str; 4]| {
            let [a, b, c, d] = columns;
            format!("{first:<15} {a:<15} {b:<15} {c:<15} {d:<15}\n")
        };
        let master = [&format!("{reloads} [failed: {failed}]"), &uptime(age), HAPROXY_VERSION];
        row("#<PID>", ["<type>", "<reloads>", "<uptime>", "<version>"])
            + &row(&self.main_pid().to_string(), ["master", master[0], master[1], master[2]])
            + "# workers\n"
            + &row(&std::process::id().to_string(), ["worker", "0", &uptime(age), HAPROXY_VERSION])
    }
}

/// The status that goes with a configuration that was refused.
pub(super) const RELOAD_FAILED: &str = "Reload failed! The previous configuration stays in place.";

/// `0d00h02m07s`
fn uptime(age: Duration) -> String {
    let s = age.as_secs();
    format!("{}d{:02}h{:02}m{:02}s", s / 86_400, s / 3600 % 24, s / 60 % 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn show_proc_has_the_columns_of_the_manual() {
        let notifier = Notifier::direct(Messages::default(), clock::wall() - Duration::from_secs(127), None);
        let text = notifier.show_proc();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0].split_whitespace().collect::<Vec<_>>(),
            ["#<PID>", "<type>", "<reloads>", "<uptime>", "<version>"]
        );
        assert!(lines[1].contains(" master          0 [failed: 0]   0d00h02m0"), "{}", lines[1]);
        assert_eq!(lines[2], "# workers");
        assert_eq!(lines[1].find("master"), lines[3].find("worker"));
    }

    #[test]
    fn a_reload_answers_with_its_own_log() {
        let messages = Messages::default();
        messages.set_quiet(true);
        let notifier = Notifier::direct(messages.clone(), clock::wall(), None);
        messages.warning("old news");
        notifier.reloading();
        messages.alert("broken");
        let answer = notifier.reloaded(false);
        assert!(answer.starts_with("Success=0\n--\n") && answer.contains(" : broken"), "{answer}");
        assert!(!answer.contains("old news") && notifier.last_reload_failed());
        notifier.reloading();
        assert_eq!(notifier.reloaded(true), "Success=1\n");
        assert!(notifier.show_proc().contains("2 [failed: 0]"));
    }
}
