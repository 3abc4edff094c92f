//! What ends a rule set or its connection, what waits, and how strict rewriting is.

use std::fmt;
use std::sync::Arc;

use crate::http::BodyLen;
use crate::lang::time::size;
use crate::lang::{Entry, Status};
use crate::model::applet::Applet;
use crate::rules::txn::{Outcome, Wait};
use crate::rules::words::{Failed, time_ms};

use super::entry::{Action, ActionKeyword, Input, Run, Sets, Step};

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
    silent: bool,
}

impl Action for Close {
    fn run(&self, _: &mut Run<'_>) -> Step {
        Step::Done(Outcome::Close { silent: self.silent })
    }
}

fn parse_drop(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    if input.words.take("rst-ttl") {
        input.words.want("a TTL")?;
    }
    Ok(Box::new(Close { silent: true }))
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

pub static ACTIONS: &[ActionKeyword] = &[
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
        |_| Ok(Box::new(Close { silent: false })),
    ),
    ActionKeyword::new(
        Entry::full("close", "", "Closes the connection to the server.", "close", "1.6"),
        Sets::TCP_RESPONSE,
        |_| Ok(Box::new(Close { silent: false })),
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
    )
    .with(Status::Partial("the connection is closed with a reset; rst-ttl has no effect")),
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
