//! What an action is to the tables, and to a rule that runs it.

use std::fmt;

use bitflags::bitflags;

use crate::base::clock::MS;
use crate::lang::void::is_void_action;
use crate::lang::{Entry, Status};
use crate::rules::build::BuildCtx;
use crate::rules::kind::RuleSetKind;
use crate::rules::track::ERROR;
use crate::rules::txn::{Ctx, Env, Outcome, Txn};
use crate::rules::words::{Failed, Words};

bitflags! {
    /// The rule sets that know an action (manual section 4.3).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Sets: u8 {
        const TCP_CONNECTION = 1;
        const TCP_SESSION = 2;
        const TCP_CONTENT = 4;
        const TCP_RESPONSE = 8;
        const HTTP_REQUEST = 16;
        const HTTP_RESPONSE = 32;
        const HTTP_AFTER = 64;
        const TCP = 15;
        const HTTP = 112;
        const HTTP_REQ_RES = 48;
    }
}

impl RuleSetKind {
    pub fn bit(self) -> Sets {
        match self {
            RuleSetKind::TcpConnection => Sets::TCP_CONNECTION,
            RuleSetKind::TcpSession => Sets::TCP_SESSION,
            RuleSetKind::TcpContent => Sets::TCP_CONTENT,
            RuleSetKind::TcpResponse => Sets::TCP_RESPONSE,
            RuleSetKind::HttpRequest => Sets::HTTP_REQUEST,
            RuleSetKind::HttpResponse => Sets::HTTP_RESPONSE,
            RuleSetKind::HttpAfterResponse => Sets::HTTP_AFTER,
        }
    }

    /// Rules that edit or read the response.
    pub fn is_response(self) -> bool {
        matches!(self, RuleSetKind::TcpResponse | RuleSetKind::HttpResponse | RuleSetKind::HttpAfterResponse)
    }
}

/// What an action's parser gets.
pub struct Input<'i, 'w, 'c> {
    pub words: &'i mut Words<'w>,
    pub ctx: &'i mut BuildCtx<'c>,
    pub kind: RuleSetKind,
    /// The name as written, without parentheses.
    pub name: &'w str,
    /// What stood in parentheses behind it.
    pub inside: Option<&'w str>,
}

/// Reads an action's arguments. They end where the words do, or at a condition.
pub type ParseFn = fn(&mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed>;

/// One action.
pub struct ActionKeyword {
    pub entry: Entry,
    pub sets: Sets,
    pub parse: ParseFn,
}

impl ActionKeyword {
    pub const fn new(entry: Entry, sets: Sets, parse: ParseFn) -> Self {
        ActionKeyword { entry, sets, parse }
    }

    pub const fn with(self, status: Status) -> Self {
        ActionKeyword { entry: self.entry.with(status), ..self }
    }

    /// Reads the arguments behind the name.
    pub fn read(&self, input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
        let action = (self.parse)(input)?;
        let void = is_void_action(input.kind.keyword(), self.entry.name);
        Ok(if void { Box::new(Void) } else { action })
    }
}

/// What an action led to.
pub enum Step {
    Next,
    Done(Outcome),
    /// A header or line could not be rewritten for lack of room.
    NoRoom,
}

impl Step {
    /// What becomes of the rules behind it, as it is told.
    pub fn word(&self) -> &'static str {
        match self {
            Step::Next => "goes on",
            Step::NoRoom => "finds no room",
            Step::Done(outcome) => match outcome {
                Outcome::Continue | Outcome::Stop => "ends this rule set",
                Outcome::Final { .. } | Outcome::Service(_) => "answers",
                Outcome::Tarpit { .. } => "answers late",
                Outcome::Close { .. } => "closes the connection",
                Outcome::SwitchMode { .. } => "goes on in HTTP",
                Outcome::Wait => "waits for more",
                Outcome::Error => "fails",
            },
        }
    }
}

/// A compiled action.
pub trait Action: Send + Sync + fmt::Debug {
    fn run(&self, run: &mut Run<'_>) -> Step;

    /// Ends the rule set when it runs, and HAProxy warns of rules behind it: they are never reached.
    fn is_last(&self) -> bool {
        false
    }
}

/// An action that does nothing, see `lang::void`.
#[derive(Debug)]
struct Void;

impl Action for Void {
    fn run(&self, _: &mut Run<'_>) -> Step {
        Step::Next
    }
}

/// What an action works on.
pub struct Run<'r> {
    pub txn: &'r mut Txn,
    pub env: &'r dyn Env,
    pub kind: RuleSetKind,
    /// `tune.maxrewrite` and `tune.bufsize`.
    pub maxrewrite: usize,
    pub bufsize: usize,
    /// Rewrites that fail are errors.
    pub strict: &'r mut bool,
    /// Memory for texts that are rendered and then copied.
    pub scratch: &'r mut Vec<u8>,
}

impl Run<'_> {
    pub fn ctx(&self) -> Ctx<'_> {
        Ctx { txn: self.txn, env: self.env }
    }

    /// The request is held against who is tracked.
    pub fn count_error(&self) {
        let counters = &self.txn.counters;
        if !counters.is_empty() {
            counters.count(self.env.now_ns() / MS, &ERROR);
        }
    }
}

/// The action of this name in a rule set.
pub fn find(name: &str, kind: RuleSetKind) -> Option<&'static ActionKeyword> {
    let tables = super::ACTIONS.iter().flat_map(|t| t.iter());
    // Counters have numbers: those beyond the first three have the same parser.
    let is_counter = |rest: &str| !rest.is_empty() && rest.bytes().all(|c| c.is_ascii_digit());
    let name = match name.strip_prefix("track-sc") {
        Some(rest) if is_counter(rest) && rest != "0" && rest != "1" => "track-sc2",
        _ => name,
    };
    tables.into_iter().find(|a| a.entry.name == name && a.sets.contains(kind.bit()))
}
