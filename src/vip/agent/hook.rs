//! Programs of `on` that are to succeed: each is run again until it does, as often and for as long as was said, or until
//! the next transition makes it pointless. Whoever moves an address at a cloud with one does not move it back late.

use std::process::Child;

use crate::base::Nanos;
use crate::base::clock::{self, SEC};
use crate::os::process::kill_group;

use super::super::spec::Hook;
use super::order::Listener;
use super::script::spawn;

/// Before it is run again.
const PAUSE_NS: Nanos = SEC;

/// One that has not succeeded yet.
pub(super) struct Running {
    /// Whose transition it is: `INSTANCE` or `GROUP`, and the name.
    pub(super) whose: (&'static str, String),
    hook: Hook,
    arguments: Vec<String>,
    child: Option<Child>,
    tries: u32,
    again_at: Nanos,
    until: Option<Nanos>,
}

impl Running {
    pub(super) fn new(whose: (&'static str, String), hook: Hook, arguments: Vec<String>) -> Running {
        let now = clock::now_ns();
        let until = hook.within.map(|within| now + within.as_nanos() as u64);
        Running { whose, hook, arguments, child: None, tries: 0, again_at: now, until }
    }

    /// Sees how it goes, and runs it when it is time. Whether there is more to do.
    pub(super) fn look(&mut self, listener: &Listener) -> bool {
        let now = clock::now_ns();
        let ended = match self.child.as_mut().map(Child::try_wait) {
            Some(Ok(Some(status))) if status.success() => {
                self.say(listener, false, &format!("done, after {}", self.count()));
                return false;
            }
            Some(Ok(Some(status))) => Some(status.to_string()),
            Some(Ok(None)) | None => None,
            Some(Err(e)) => Some(e.to_string()),
        };
        if self.until.is_some_and(|until| now >= until) {
            self.end();
            let why = ended.map_or_else(String::new, |why| format!(" ({why})"));
            self.say(listener, true, &format!("given up after {}: its time is over{why}", self.count()));
            return false;
        }
        if let Some(why) = ended {
            return self.failed(now, &why, listener);
        }
        if self.child.is_some() || now < self.again_at {
            return true;
        }
        self.tries += 1;
        match spawn(&self.hook.command, &self.arguments) {
            Ok(child) => {
                self.child = Some(child);
                true
            }
            Err(e) => self.failed(now, &e.to_string(), listener),
        }
    }

    fn failed(&mut self, now: Nanos, why: &str, listener: &Listener) -> bool {
        self.child = None;
        if self.tries > self.hook.retries {
            self.say(listener, true, &format!("given up after {}: {why}", self.count()));
            return false;
        }
        self.say(listener, true, &format!("{why}: it is run again"));
        self.again_at = now + PAUSE_NS;
        true
    }

    /// Kills what runs.
    pub(super) fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            kill_group(child.id() as i32);
            let _ = child.wait();
        }
    }

    fn count(&self) -> String {
        format!("{} {}", self.tries, if self.tries == 1 { "run" } else { "runs" })
    }

    fn say(&self, listener: &Listener, is_warning: bool, what: &str) {
        let text = format!("{}: '{}': {what}", self.whose.1, self.hook.command.words.join(" "));
        listener.say(is_warning, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vip::spec::Command;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    /// Runs a shell's text to its end: the lines that were said, and how long it took.
    fn run(text: &str, retries: u32, within: Option<Duration>) -> (Vec<(bool, String)>, Duration) {
        let words = ["/bin/sh", "-c", text].map(String::from).to_vec();
        let hook = Hook { retries, within, ..Hook::new(Command { words, owner: None }) };
        let said = Arc::new(Mutex::new(Vec::new()));
        let lines = said.clone();
        let listener =
            Listener::new(move |warning, text: &str| lines.lock().unwrap().push((warning, text.to_owned())));
        let began = clock::now_ns();
        let mut running = Running::new(("INSTANCE", "VI_1".into()), hook, vec!["VI_1".into()]);
        while running.look(&listener) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let took = Duration::from_nanos(clock::now_ns() - began);
        (std::mem::take(&mut *said.lock().unwrap()), took)
    }

    #[test]
    fn it_is_run_again_until_it_succeeds() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("echo $0 >> {0}/n; test $(wc -l < {0}/n) -ge 3", dir.path().display());
        let (said, took) = run(&text, 5, None);
        assert!(took >= Duration::from_secs(2), "there is no pause: {took:?}");
        let lines: Vec<&str> = said.iter().map(|(_, text)| text.rsplit("': ").next().unwrap()).collect();
        assert_eq!(
            lines,
            ["exit status: 1: it is run again", "exit status: 1: it is run again", "done, after 3 runs"]
        );
        assert_eq!(std::fs::read_to_string(dir.path().join("n")).unwrap(), "VI_1\nVI_1\nVI_1\n");
    }

    #[test]
    fn it_is_given_up_after_so_many_runs() {
        let (said, _) = run("exit 7", 1, None);
        let last = said.last().unwrap();
        assert!(last.0 && last.1.ends_with("given up after 2 runs: exit status: 7"), "{said:?}");
        assert_eq!(said.len(), 2);
    }

    #[test]
    fn its_time_ends_it_however_it_goes() {
        let (said, took) = run("sleep 60 & wait", 9, Some(Duration::from_millis(300)));
        assert!(took < Duration::from_secs(20), "{took:?}");
        assert!(said[0].0 && said[0].1.contains("given up after 1 run: its time is over"), "{said:?}");
    }
}
