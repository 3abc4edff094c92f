//! The texts of HAProxy for what happens to servers, without level and place. Pure functions.

use super::status::{Finding, Verdict};

/// A server as messages name it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub backend: &'a str,
    pub server: &'a str,
    pub is_backup: bool,
}

impl Subject<'_> {
    fn capital(self) -> String {
        let kind = if self.is_backup { "Backup Server" } else { "Server" };
        format!("{kind} {}/{}", self.backend, self.server)
    }
}

/// Figures that end a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Usable active and backup servers.
    pub active: u32,
    pub backup: u32,
    /// Sessions of the server, those taken from or given to its queue, and those still in it.
    pub sessions: u32,
    pub requeued: u32,
    pub queued: u32,
}

impl Tally {
    fn on_backup(self) -> &'static str {
        if self.active == 0 && self.backup > 0 { " Running on backup." } else { "" }
    }

    fn left(self) -> String {
        let Tally { active, backup, sessions, requeued, queued } = self;
        let on_backup = self.on_backup();
        format!(
            ". {active} active and {backup} backup servers left.{on_backup} {sessions} sessions active, {requeued} \
             requeued, {queued} remaining in queue."
        )
    }

    fn online(self) -> String {
        let Tally { active, backup, requeued, queued, .. } = self;
        let on_backup = self.on_backup();
        format!(
            ". {active} active and {backup} backup servers online.{on_backup} {requeued} sessions requeued, {queued} \
             total in queue."
        )
    }
}

/// Why a server changed: the check's finding, words (`changed from CLI`), or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Cause {
    #[default]
    Silent,
    Check(Finding),
    Text(String),
    /// The server that it tracks: backend and name.
    Via(String),
}

impl Cause {
    fn text(&self) -> String {
        match self {
            Cause::Silent => String::new(),
            Cause::Check(finding) => reason(finding),
            Cause::Text(text) => format!(", {text}"),
            Cause::Via(server) => via(server),
        }
    }
}

/// Names the server that is tracked.
pub fn via(server: &str) -> String {
    format!(" via {server}")
}

/// `, reason: ...` with code, details and duration where there are any.
fn reason(finding: &Finding) -> String {
    let mut text = format!(", reason: {}", finding.status.text());
    if finding.status.has_number() {
        text.push_str(&format!(", code: {}", finding.number.unwrap_or(0)));
    }
    if !finding.info.is_empty() {
        text.push_str(&format!(", info: \"{}\"", escape(&finding.info)));
    }
    if let Some(ms) = finding.duration_ms {
        text.push_str(&format!(", check duration: {ms}ms"));
    }
    text
}

/// Quotes, angle brackets and what is not printable ASCII as `<XX>`, as HAProxy writes them.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        match b {
            b'"' | b'<' | b'>' | 0..=31 | 127..=255 => out.push_str(&format!("<{b:02X}>")),
            _ => out.push(char::from(b)),
        }
    }
    out
}

pub fn down(subject: Subject<'_>, cause: &Cause, tally: Tally) -> String {
    format!("{} is DOWN{}{}", subject.capital(), cause.text(), tally.left())
}

pub fn up(subject: Subject<'_>, cause: &Cause, tally: Tally) -> String {
    format!("{} is UP{}{}", subject.capital(), cause.text(), tally.online())
}

pub fn stopping(subject: Subject<'_>, cause: &Cause, tally: Tally) -> String {
    format!("{} is stopping{}{}", subject.capital(), cause.text(), tally.online())
}

/// `option log-health-checks`. `health` after the check.
pub fn check(
    subject: Subject<'_>,
    finding: &Finding,
    health: u32,
    rise: u32,
    fall: u32,
    weight: u32,
) -> String {
    checked("Health", subject, finding, (health, rise, fall), weight)
}

/// The same of an agent, for which once is enough.
pub fn agent(subject: Subject<'_>, finding: &Finding, is_up: bool, weight: u32) -> String {
    checked("Agent", subject, finding, (u32::from(is_up), 1, 1), weight)
}

fn checked(
    what: &str,
    subject: Subject<'_>,
    finding: &Finding,
    (health, rise, fall): (u32, u32, u32),
    weight: u32,
) -> String {
    let kind = if subject.is_backup { "backup " } else { "" };
    let how = match finding.status.verdict() {
        Verdict::Passed => "succeeded",
        Verdict::Conditional => "conditionally succeeded",
        _ => "failed",
    };
    let (count, of, state) = match (health >= rise, weight) {
        (true, 0) => (health - rise + 1, fall, "DRAIN"),
        (true, _) => (health - rise + 1, fall, "UP"),
        (false, _) => (health, rise, "DOWN"),
    };
    let Subject { backend, server, .. } = subject;
    let reason = reason(finding);
    format!("{what} check for {kind}server {backend}/{server} {how}{reason}, status: {count}/{of} {state}.")
}

/// Entering maintenance. `tally` is `None` for a server that was down already.
pub fn maintenance(subject: Subject<'_>, cause: &str, tally: Option<Tally>) -> String {
    let cause = match cause {
        "" => String::new(),
        // The server that is tracked.
        via if via.starts_with(' ') => via.to_owned(),
        cause => format!(" ({cause})"),
    };
    match tally {
        None => format!("{} was DOWN and now enters maintenance{cause}.", subject.capital()),
        Some(tally) => format!("{} is going DOWN for maintenance{cause}{}", subject.capital(), tally.left()),
    }
}

/// Leaving maintenance: why it was there (`leaving forced maintenance`, `leaving maintenance`, `resolves again`), and
/// the server's name in the configuration when that is told.
pub fn ready(subject: Subject<'_>, host: Option<&str>, is_up: bool, drains: bool, why: &str) -> String {
    let state = if is_up { "UP" } else { "DOWN" };
    let admin = if drains { "DRAIN" } else { "READY" };
    let host = host.map(|h| format!(" ('{h}')")).unwrap_or_default();
    format!("{}{host} is {state}/{admin} ({why}).", subject.capital())
}

/// `via`: the server that is tracked, or nothing.
pub fn drain(subject: Subject<'_>, via: &str, is_up: bool, tally: Tally) -> String {
    let end = if is_up { tally.online() } else { tally.left() };
    format!("{} enters drain state{via}{end}", subject.capital())
}

pub fn drained(subject: Subject<'_>, is_up: bool, forced: bool) -> String {
    let state = if is_up { "UP" } else { "DOWN" };
    let how = if forced { "forced drain" } else { "drain" };
    format!("{} is {state} (leaving {how}).", subject.capital())
}

/// A change that leaves the server where it was: `remains in forced drain mode`, ...
pub fn remains(subject: Subject<'_>, how: &str) -> String {
    format!("{} {how}.", subject.capital())
}

/// The loss of the last server: for stderr and for the log. `kind` is `backend`, or `proxy` for a `listen` section.
pub fn no_server(kind: &str, name: &str) -> (String, String) {
    (format!("{kind} '{name}' has no server available!"), format!("{kind} {name} has no server available!"))
}

#[cfg(test)]
mod tests {
    use super::super::status::Status;
    use super::*;

    const S1: Subject<'_> = Subject { backend: "be", server: "s1", is_backup: false };
    const S2: Subject<'_> = Subject { backend: "be", server: "s2", is_backup: true };

    fn found(status: Status, number: i32, info: &str, ms: u64) -> Cause {
        Cause::Check(Finding { status, number: Some(number), info: info.to_owned(), duration_ms: Some(ms) })
    }

    fn tally(active: u32, backup: u32) -> Tally {
        Tally { active, backup, ..Tally::default() }
    }

    /// Lines recorded from HAProxy 2.6.12.
    #[test]
    fn texts_are_those_of_haproxy() {
        assert_eq!(
            down(S1, &found(Status::L4Con, 0, "Connection refused", 17), tally(1, 1)),
            "Server be/s1 is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", check duration: \
             17ms. 1 active and 1 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."
        );
        assert_eq!(
            down(S2, &found(Status::L7Sts, 500, "Internal Server Error", 24), tally(1, 0)),
            "Backup Server be/s2 is DOWN, reason: Layer7 wrong status, code: 500, info: \"Internal Server Error\", \
             check duration: 24ms. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in \
             queue."
        );
        assert_eq!(
            up(S2, &found(Status::L7Ok, 200, "", 24), tally(0, 1)),
            "Backup Server be/s2 is UP, reason: Layer7 check passed, code: 200, check duration: 24ms. 0 active and 1 \
             backup servers online. Running on backup. 0 sessions requeued, 0 total in queue."
        );
        assert_eq!(
            stopping(S1, &found(Status::L7OkCond, 404, "", 19), tally(0, 1)),
            "Server be/s1 is stopping, reason: Layer7 check conditionally passed, code: 404, check duration: 19ms. 0 \
             active and 1 backup servers online. Running on backup. 0 sessions requeued, 0 total in queue."
        );
        assert_eq!(
            down(S1, &Cause::Text("changed from CLI".to_owned()), tally(0, 1)),
            "Server be/s1 is DOWN, changed from CLI. 0 active and 1 backup servers left. Running on backup. 0 sessions \
             active, 0 requeued, 0 remaining in queue."
        );
        assert_eq!(
            down(S1, &Cause::Silent, tally(0, 0)),
            "Server be/s1 is DOWN. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in \
             queue."
        );
    }

    #[test]
    fn administrative_texts_are_those_of_haproxy() {
        assert_eq!(
            maintenance(S1, "", Some(tally(0, 1))),
            "Server be/s1 is going DOWN for maintenance. 0 active and 1 backup servers left. Running on backup. 0 \
             sessions active, 0 requeued, 0 remaining in queue."
        );
        assert_eq!(maintenance(S1, "", None), "Server be/s1 was DOWN and now enters maintenance.");
        assert_eq!(
            ready(S1, None, true, false, "leaving forced maintenance"),
            "Server be/s1 is UP/READY (leaving forced maintenance)."
        );
        assert_eq!(
            ready(S1, None, true, true, "leaving forced maintenance"),
            "Server be/s1 is UP/DRAIN (leaving forced maintenance)."
        );
        assert_eq!(
            drain(S1, "", true, tally(0, 1)),
            "Server be/s1 enters drain state. 0 active and 1 backup servers online. Running on backup. 0 sessions \
             requeued, 0 total in queue."
        );
        assert_eq!(drained(S1, true, true), "Server be/s1 is UP (leaving forced drain).");
        assert_eq!(remains(S1, "remains in forced drain mode"), "Server be/s1 remains in forced drain mode.");
        assert_eq!(no_server("backend", "be").0, "backend 'be' has no server available!");
    }

    #[test]
    fn check_lines_are_those_of_haproxy() {
        let ok =
            Finding { status: Status::L7Ok, number: Some(200), info: String::new(), duration_ms: Some(5) };
        assert_eq!(
            check(S1, &ok, 4, 2, 3, 1),
            "Health check for server be/s1 succeeded, reason: Layer7 check passed, code: 200, check duration: 5ms, \
             status: 3/3 UP."
        );
        let bad = Finding {
            status: Status::L7Sts,
            number: Some(500),
            info: "Internal Server Error".to_owned(),
            duration_ms: Some(12),
        };
        assert_eq!(
            check(S1, &bad, 0, 2, 3, 1),
            "Health check for server be/s1 failed, reason: Layer7 wrong status, code: 500, info: \"Internal Server \
             Error\", check duration: 12ms, status: 0/2 DOWN."
        );
        let odd = Finding::new(Status::L7Rsp, "a\"b\r<");
        assert_eq!(
            check(S2, &odd, 3, 2, 3, 0),
            "Health check for backup server be/s2 failed, reason: Layer7 invalid response, info: \"a<22>b<0D><3C>\", \
             status: 2/3 DRAIN."
        );
    }
}
