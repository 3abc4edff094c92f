//! What ends a rule set or its connection, what waits, and how strict rewriting is.

use std::fmt;
use std::sync::Arc;

use crate::http::BodyLen;
use crate::lang::time::size;
use crate::lang::{Entry, Status};
use crate::model::applet::Applet;
use crate::rules::logformat::{LogFormat, LogUse};
use crate::rules::txn::{Outcome, SilentDrop, Wait};
use crate::rules::words::{Failed, time_ms};

use super::entry::{Action, ActionKeyword, Input, Run, Sets, Step};
use super::packets::{Number, expression};

/// `allow`, `accept`.
#[derive(Debug)]
struct Allow;

impl Action for Allow {
    fn run(&self, _: &mut Run<'_>) -> Step {
        Step::Done(Outcome::Stop)
    }

    fn is_last(&self) -> bool {
        true
    }
}

/// `reject`, `close`, `silent-drop`.
#[derive(Debug)]
struct Close {
    drop: Option<SilentDrop>,
}

impl Action for Close {
    fn run(&self, _: &mut Run<'_>) -> Step {
        Step::Done(Outcome::Close { drop: self.drop })
    }
}

fn parse_drop(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let mut rst_ttl = None;
    if input.words.take("rst-ttl") {
        let word = input.words.want("a TTL")?;
        let bad = || (word.span, format!("invalid TTL '{}': expects 1 to 255", word.str()));
        rst_ttl = Some(word.str().parse().ok().filter(|n| *n > 0).ok_or_else(bad)?);
    }
    Ok(Box::new(Close { drop: Some(SilentDrop { rst_ttl }) }))
}

/// `switch-mode http`: no other rule is looked at. Of a connection that speaks HTTP already it ends the rules, too.
#[derive(Debug)]
struct SwitchMode {
    h2: bool,
}

impl Action for SwitchMode {
    fn run(&self, _: &mut Run<'_>) -> Step {
        Step::Done(Outcome::SwitchMode { h2: self.h2 })
    }
}

fn parse_switch(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let word = input.words.want("'http' as the mode to switch to")?;
    if word.str() != "http" {
        return Err((word.span, format!("'{}' is no mode to switch to: only 'http' is", word.str())));
    }
    let mut h2 = false;
    if input.words.take("proto") {
        let word = input.words.want("a protocol name")?;
        h2 = match word.str() {
            "h1" => false,
            "h2" => true,
            other => return Err((word.span, format!("protocol '{other}' is not spoken here"))),
        };
    }
    Ok(Box::new(SwitchMode { h2 }))
}

/// `use-service`.
struct Service(Arc<dyn Applet>);

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Service")
    }
}

impl Action for Service {
    fn run(&self, _: &mut Run<'_>) -> Step {
        Step::Done(Outcome::Service(self.0.clone()))
    }
}

fn parse_service(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let word = input.words.want("a service name")?;
    match (input.ctx.services)(word.str()) {
        Some(applet) => Ok(Box::new(Service(applet))),
        None => Err((word.span, format!("unknown service '{}'", word.str()))),
    }
}

/// `strict-mode`.
#[derive(Debug)]
struct StrictMode(bool);

impl Action for StrictMode {
    fn run(&self, run: &mut Run<'_>) -> Step {
        *run.strict = self.0;
        Step::Next
    }
}

fn parse_strict(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let word = input.words.want("'on' or 'off'")?;
    match word.str() {
        "on" => Ok(Box::new(StrictMode(true))),
        "off" => Ok(Box::new(StrictMode(false))),
        other => Err((word.span, format!("Unexpected value '{other}'. Only 'on' and 'off' are supported"))),
    }
}

/// `wait-for-body`.
#[derive(Debug)]
struct WaitForBody {
    time_ms: u64,
    at_least: u64,
}

impl Action for WaitForBody {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let (head, awaited) = match run.kind.is_response() {
            true => (&run.txn.res, run.txn.response_awaited),
            false => (&run.txn.req, run.txn.body_awaited),
        };
        let has_body = !matches!(head.body, BodyLen::None | BodyLen::Tunnel | BodyLen::Length(0));
        if !has_body || awaited {
            return Step::Next;
        }
        run.txn.wait = Wait::Body { time_ms: self.time_ms, at_least: self.at_least };
        Step::Done(Outcome::Wait)
    }
}

fn parse_wait(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let mut time = None;
    let mut at_least = 0;
    while !input.words.at_end() {
        if input.words.take("time") {
            let word = input.words.want("<time> as argument")?;
            time = Some(time_ms(word, input.ctx)?);
        } else if input.words.take("at-least") {
            let word = input.words.want("<size> as argument")?;
            at_least = size(word.str()).map_err(|e| (word.span, e.about(word.str())))?;
        } else {
            return input.words.fail("expects 'time' and optionally 'at-least'");
        }
    }
    match time {
        Some(time_ms) => Ok(Box::new(WaitForBody { time_ms, at_least })),
        None => input.words.fail("expects 'time <time>'"),
    }
}

/// `pause`.
#[derive(Debug)]
struct Pause(Number);

impl Action for Pause {
    fn run(&self, run: &mut Run<'_>) -> Step {
        if run.txn.wait == Wait::Paused {
            run.txn.wait = Wait::Data;
            return Step::Next;
        }
        match self.0.value(run) {
            Some(ms @ 1..) => {
                run.txn.wait = Wait::Pause { time_ms: ms as u64 };
                Step::Done(Outcome::Wait)
            }
            _ => Step::Next,
        }
    }
}

fn parse_pause(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    // What does not begin like a number is an expression.
    let time = match input.words.rest().first() {
        Some(word) if word.str().starts_with(|c: char| c.is_ascii_digit()) => {
            input.words.skip(1);
            Number::Constant(i64::try_from(time_ms(word, input.ctx)?).unwrap_or(i64::MAX))
        }
        _ => Number::Expr(expression(input)?),
    };
    Ok(Box::new(Pause(time)))
}

/// `wait-for-handshake`.
#[derive(Debug)]
struct WaitForHandshake;

impl Action for WaitForHandshake {
    fn run(&self, _: &mut Run<'_>) -> Step {
        Step::Next
    }
}

/// `early-hint`.
#[derive(Debug)]
struct EarlyHint {
    /// A rule with a condition begins a response of its own.
    begins: bool,
    name: Box<[u8]>,
    value: LogFormat,
}

/// Most fields of one interim response.
const MOST_HINTS: usize = 100;

impl Action for EarlyHint {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let mut value = Vec::new();
        self.value.render(run.ctx(), &mut value);
        if run.txn.hints.len() < MOST_HINTS {
            if self.begins && !run.txn.hints.is_empty() {
                run.txn.hints.push((Default::default(), Default::default()));
            }
            run.txn.hints.push((self.name.clone(), value.into()));
        }
        Step::Next
    }
}

fn parse_hint(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let name = input.words.want("exactly 2 arguments")?;
    let value = input.words.want("exactly 2 arguments")?;
    let value = LogFormat::parse(value, LogUse::Http, input.ctx).unwrap_or_default();
    let begins = matches!(input.words.peek(), "if" | "unless");
    Ok(Box::new(EarlyHint { begins, name: name.bytes().to_ascii_lowercase().into(), value }))
}

/// `do-log`.
#[derive(Debug)]
struct DoLog;

impl Action for DoLog {
    fn run(&self, run: &mut Run<'_>) -> Step {
        run.env.log_now(run.txn);
        Step::Next
    }
}

fn parse_log(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    if input.words.take("profile") {
        return input.words.fail("has no profiles: 'log-profile' sections are not read");
    }
    Ok(Box::new(DoLog))
}

pub static ACTIONS: &[ActionKeyword] = &[
    ActionKeyword::new(
        Entry::full("do-log", "", "Writes a line to the frontend's logs now.", "do-log", "3.1"),
        Sets::TCP.union(Sets::HTTP),
        parse_log,
    ),
    ActionKeyword::new(
        Entry::full("pause", "<time>|<expr>", "Holds the message for so long.", "pause 100ms", "3.2"),
        Sets::HTTP_REQ_RES,
        parse_pause,
    ),
    ActionKeyword::new(
        Entry::full(
            "early-hint",
            "<name> <fmt>",
            "Adds a field to a 103 response, which is sent before the final one.",
            "early-hint Link \"</style.css>; rel=preload\"",
            "1.9",
        ),
        Sets::HTTP_REQUEST,
        parse_hint,
    ),
    ActionKeyword::new(
        Entry::full(
            "wait-for-handshake",
            "",
            "Waits for the end of the client's TLS handshake: nothing of a request is taken before it.",
            "wait-for-handshake",
            "1.8",
        ),
        Sets::HTTP_REQUEST,
        |_| Ok(Box::new(WaitForHandshake)),
    )
    .with(Status::Accepted("requests are read once the handshake is done")),
    ActionKeyword::new(
        Entry::full("allow", "", "Ends this rule set; the message goes on.", "allow", "1.3"),
        Sets::HTTP,
        |_| Ok(Box::new(Allow)),
    ),
    ActionKeyword::new(
        Entry::full("accept", "", "Ends this rule set; the connection goes on.", "accept", "1.5"),
        Sets::TCP,
        |_| Ok(Box::new(Allow)),
    ),
    ActionKeyword::new(
        Entry::full("reject", "", "Closes the connection without an answer.", "reject", "1.5"),
        Sets::TCP.union(Sets::HTTP_REQUEST),
        |_| Ok(Box::new(Close { drop: None })),
    ),
    ActionKeyword::new(
        Entry::full("close", "", "Closes the connection to the server.", "close", "1.6"),
        Sets::TCP_RESPONSE,
        |_| Ok(Box::new(Close { drop: None })),
    ),
    ActionKeyword::new(
        Entry::full(
            "silent-drop",
            "[rst-ttl <ttl>]",
            "Forgets the connection without telling the client.",
            "silent-drop",
            "1.6",
        ),
        Sets::TCP.union(Sets::HTTP_REQ_RES),
        parse_drop,
    ),
    ActionKeyword::new(
        Entry::full(
            "switch-mode",
            "http [proto <name>]",
            "The connection speaks HTTP from here on.",
            "switch-mode http if HTTP",
            "2.5",
        ),
        Sets::TCP_CONTENT,
        parse_switch,
    ),
    ActionKeyword::new(
        Entry::full(
            "use-service",
            "<name>",
            "Lets a service inside the process answer.",
            "use-service prometheus-exporter",
            "1.6",
        ),
        Sets::HTTP_REQUEST,
        parse_service,
    ),
    ActionKeyword::new(
        Entry::full(
            "strict-mode",
            "on|off",
            "Whether rewrites that find no room are internal errors, from here on.",
            "strict-mode off",
            "2.2",
        ),
        Sets::HTTP,
        parse_strict,
    ),
    ActionKeyword::new(
        Entry::full(
            "wait-for-body",
            "time <time> [at-least <size>]",
            "Waits for the message's body, so that rules can read it.",
            "wait-for-body time 1s",
            "2.4",
        ),
        Sets::HTTP_REQ_RES,
        parse_wait,
    ),
];
