//! A session of the runtime API: its level and modes, and how a command is found and run. No I/O here.

use std::sync::Arc;

use crate::admin::control::{Control, process};
use crate::config::global::{CliLevel, SeverityOutput};

/// Whether a session goes on after a line, and with a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// One line, then the connection is closed.
    #[default]
    Single,
    /// Many lines without a prompt (`prompt i`).
    Silent,
    /// Many lines with a prompt.
    Prompt,
}

/// Syslog severity of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error = 3,
    Warning = 4,
    Notice = 5,
    Info = 6,
}

/// What a command answers.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// Nothing to say: it was done.
    Done,
    /// What was asked for, without a severity.
    Dump(String),
    Message(Severity, String),
    /// Closes the connection without a word.
    Quit,
    /// Nothing more before this many milliseconds are over.
    Wait(u64),
}

impl Answer {
    /// A refusal: one line, with or without its end.
    pub fn error(text: impl Into<String>) -> Answer {
        Answer::Message(Severity::Error, text.into())
    }
}

/// What is sent after a command.
#[derive(Debug, PartialEq)]
pub struct Output {
    pub text: String,
    pub wait_ms: u64,
    pub is_over: bool,
}

/// A client of the runtime API.
pub struct Session {
    pub control: Arc<dyn Control>,
    pub level: CliLevel,
    /// The level it began with.
    pub socket_level: CliLevel,
    pub mode: Mode,
    pub is_timed: bool,
    pub severity: SeverityOutput,
    /// `set timeout cli`, else that of the socket.
    pub timeout_ms: u64,
    pub is_expert: bool,
    pub is_experimental: bool,
    /// A session of the master's socket (`-S`).
    pub is_master: bool,
}

impl Session {
    pub fn new(control: Arc<dyn Control>, level: CliLevel, timeout_ms: u64) -> Session {
        Session {
            control,
            level,
            socket_level: level,
            mode: Mode::Single,
            is_timed: false,
            severity: SeverityOutput::None,
            timeout_ms,
            is_expert: false,
            is_experimental: false,
            is_master: false,
        }
    }

    pub(super) fn message(&self, severity: Severity, text: &str) -> String {
        let number = severity as u8;
        let name = match severity {
            Severity::Error => "err",
            Severity::Warning => "warning",
            Severity::Notice => "notice",
            Severity::Info => "info",
        };
        let mut line = match self.severity {
            SeverityOutput::None => text.to_owned(),
            SeverityOutput::Number => format!("[{number}]: {text}"),
            SeverityOutput::String => format!("[{name}]: {text}"),
        };
        if !line.ends_with('\n') {
            line.push('\n');
        }
        line
    }

    pub(super) fn end(&self, mut text: String, wait_ms: u64) -> Output {
        text.push('\n');
        text.push_str(&self.prompt());
        Output { text, wait_ms, is_over: false }
    }

    /// `> `, with the uptime and the process if wanted; nothing in other modes.
    pub fn prompt(&self) -> String {
        if self.mode != Mode::Prompt {
            return String::new();
        }
        let who = if self.is_master { "master" } else { "" };
        if !self.is_timed {
            return format!("{who}> ");
        }
        let s = process(&*self.control).uptime_us / 1_000_000;
        let space = if who.is_empty() { "" } else { " " };
        format!("[{}:{:02}:{:02}:{:02}]{space}{who}> ", s / 86_400, s % 86_400 / 3600, s % 3600 / 60, s % 60)
    }
}
