//! Commands about the session itself: prompt, level, timeout, severity, expert mode.

use crate::config::global::CliLevel::{self, Admin, Operator, User};
use crate::config::global::SeverityOutput;

use super::command::Command;
use super::session::{Answer, Mode, Session, Severity};
use super::words::Args;

pub static COMMANDS: &[Command] = &[
    Command::new(
        User,
        "prompt",
        "[help | n | i | p | timed]*",
        "Switch the interactive mode and its prompt.",
        "prompt",
        "1.3",
        prompt,
    ),
    Command::new(User, "quit", "", "Close the connection.", "quit", "1.3", |_, _| Answer::Quit),
    Command::new(Operator, "operator", "", "Give up level admin.", "operator", "1.9", |session, _| {
        lower(session, Operator)
    }),
    Command::new(User, "user", "", "Give up levels admin and operator.", "user", "1.9", |session, _| {
        lower(session, User)
    }),
    Command::new(
        Admin,
        "expert-mode",
        "[on|off]",
        "Allow commands for experts.",
        "expert-mode on",
        "2.4",
        |s, a| switch(&mut s.is_expert, "expert-mode", a),
    ),
    Command::new(
        Admin,
        "experimental-mode",
        "[on|off]",
        "Allow experimental commands.",
        "experimental-mode on",
        "2.4",
        |s, a| switch(&mut s.is_experimental, "experimental-mode", a),
    ),
    Command::new(
        User,
        "set severity-output",
        "[none|number|string]",
        "Put the severity before messages.",
        "set severity-output number",
        "1.8",
        severity,
    ),
    Command::new(
        User,
        "set timeout",
        "cli <delay>",
        "Close this connection after so much silence.",
        "set timeout cli 1m",
        "1.4",
        timeout,
    ),
    Command::new(
        User,
        "show cli level",
        "",
        "Level of this session.",
        "show cli level",
        "1.9",
        |session, _| Answer::Message(Severity::Info, format!("{}\n", level_name(session.level))),
    ),
    Command::new(User, "wait", "<delay>", "Answer after a while.", "wait 10ms", "3.0", wait),
];

pub fn level_name(level: CliLevel) -> &'static str {
    match level {
        User => "user",
        Operator => "operator",
        Admin => "admin",
    }
}

fn lower(session: &mut Session, level: CliLevel) -> Answer {
    session.level = level;
    session.is_expert = false;
    session.is_experimental = false;
    Answer::Done
}

fn switch(flag: &mut bool, name: &str, args: &Args) -> Answer {
    match args.at(1) {
        "" => {
            let state = if *flag { "ON" } else { "OFF" };
            Answer::Message(Severity::Info, format!("{name} is {state}\n"))
        }
        word => {
            *flag = word == "on";
            Answer::Done
        }
    }
}

const PROMPT_USAGE: &str = "\
Usage: prompt [help | n | i | p | timed]*
  help    this text
  n       one line, then close
  i       many lines, no prompt
  p       many lines with a prompt
  timed   show the uptime in the prompt, or no longer
Without argument: p, or back to n.
";

fn prompt(session: &mut Session, args: &Args) -> Answer {
    let mut mode = None;
    for word in args.from(1) {
        match word {
            "n" => mode = Some(Mode::Single),
            "i" => mode = Some(Mode::Silent),
            "p" => mode = Some(Mode::Prompt),
            "timed" => {
                session.is_timed = !session.is_timed;
                mode = mode.or(Some(Mode::Prompt));
            }
            "help" => return Answer::Message(Severity::Info, PROMPT_USAGE.into()),
            _ => return Answer::error(PROMPT_USAGE),
        }
    }
    let toggled = if session.mode == Mode::Prompt { Mode::Single } else { Mode::Prompt };
    session.mode = mode.unwrap_or(toggled);
    Answer::Done
}

fn severity(session: &mut Session, args: &Args) -> Answer {
    match SeverityOutput::of(args.at(2)) {
        None => Answer::error("one of 'none', 'number', 'string' is a required argument\n"),
        Some(severity) => {
            session.severity = severity;
            Answer::Done
        }
    }
}

/// A delay as the configuration writes them; a bare number counts `unit_ms`.
fn delay_ms(text: &str, unit_ms: u64) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    match &text[digits..] {
        "" => number.checked_mul(unit_ms),
        "us" => Some(number.div_ceil(1000)),
        "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        "d" => number.checked_mul(86_400_000),
        _ => None,
    }
}

fn timeout(session: &mut Session, args: &Args) -> Answer {
    match (args.at(2), args.at(3)) {
        ("cli", "") => Answer::error("Expects an integer value.\n"),
        ("cli", text) => match delay_ms(text, 1000) {
            Some(ms) if ms > 0 => {
                session.timeout_ms = ms;
                Answer::Done
            }
            _ => Answer::error("Invalid timeout value.\n"),
        },
        _ => Answer::error("'set timeout' only supports 'cli'.\n"),
    }
}

fn wait(_: &mut Session, args: &Args) -> Answer {
    match (delay_ms(args.at(1), 1), args.at(2)) {
        (None, _) => Answer::error("Expects a duration in milliseconds.\n"),
        (Some(ms), "") => Answer::Wait(ms),
        (_, condition) => {
            Answer::error(format!("Condition '{condition}' is not supported by this release.\n"))
        }
    }
}
