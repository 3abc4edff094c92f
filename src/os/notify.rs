//! Telling a service manager how far we are (`sd_notify(3)`): only when it asked by `NOTIFY_SOCKET`.
//!
//! Sent by the process that the manager started (the master, when there is one): systemd takes messages from its main
//! process only, unless told otherwise.

use std::time::Duration;

use sd_notify::NotifyState;

/// Listening, and the configuration in place. `status` is a line for `systemctl status`.
pub fn ready(status: &str) {
    let main = NotifyState::MainPid(std::process::id());
    send(&[NotifyState::Ready, main, NotifyState::Status(status)]);
}

/// A new configuration is being read; [`ready`] follows, whether it was taken or not.
pub fn reloading() {
    let mut states = vec![NotifyState::Reloading, NotifyState::Status("Reloading Configuration.")];
    states.extend(NotifyState::monotonic_usec_now().ok());
    send(&states);
}

pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// Still alive; expected at least once in every [`watchdog`] period.
pub fn alive() {
    send(&[NotifyState::Watchdog]);
}

/// How often the manager wants to hear that we are alive (half of its patience); `None` when it does not ask.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|patience| patience / 2)
}

fn send(states: &[NotifyState<'_>]) {
    // A manager that went away is no reason to fail.
    let _ = sd_notify::notify(states);
}
