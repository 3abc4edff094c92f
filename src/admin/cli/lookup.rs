//! The commands, put together from the tables of this folder: look-up, running one, `help`, and what to say of unknown
//! ones.

use crate::admin::vocabulary;
use crate::config::global::CliLevel::User;
use crate::lang::void::is_void;
use crate::lang::{Entry, registry, suggest};

use super::command::Command;
use super::session::{Answer, Output, Session, Severity};
use super::words::{Args, words};
use super::{
    cache, counters, dynamic, frontend, invalid, mode, pattern, peers, resolvers, server, servers, show,
    table, tls, variable, vip,
};

static HELP: &[Command] = &[Command::new(
    User,
    "help",
    "[<command>]",
    "List all commands, or those that match.",
    "help show",
    "1.3",
    help,
)];

impl Session {
    /// Runs one command and says what is to be sent, the mark of its end and the prompt included.
    pub fn run(&mut self, text: &str, payload: Option<String>) -> Output {
        let mut args = Args { words: words(text), payload };
        if self.is_master && args.at(0).starts_with('@') {
            // Whatever process is meant, there is one. `@` alone would choose where the next commands go.
            args.words.remove(0);
            if args.words.is_empty() {
                return self.end(String::new(), 0);
            }
        }
        let answer = match find(&args.words) {
            Some(command) if !self.may(command) => Answer::error("Permission denied\n"),
            Some(command) if is_void(registry::Kind::Command, command.entry.name) => Answer::Done,
            Some(Command { run, .. }) => run(self, &args),
            None => unknown(self, &args),
        };
        match answer {
            Answer::Done => self.end(String::new(), 0),
            Answer::Dump(text) => self.end(text, 0),
            Answer::Message(severity, text) => self.end(self.message(severity, &text), 0),
            Answer::Wait(ms) => self.end(String::new(), ms),
            Answer::Quit => Output { text: String::new(), wait_ms: 0, is_over: true },
        }
    }

    /// Whether the session may run a command (and hear of it).
    pub fn may(&self, command: &Command) -> bool {
        self.level >= command.level
    }
}

/// Every command.
pub fn all() -> impl Iterator<Item = &'static Command> {
    [
        HELP,
        cache::COMMANDS,
        counters::COMMANDS,
        dynamic::COMMANDS,
        frontend::COMMANDS,
        invalid::COMMANDS,
        mode::COMMANDS,
        pattern::COMMANDS,
        peers::COMMANDS,
        server::COMMANDS,
        servers::COMMANDS,
        resolvers::COMMANDS,
        show::COMMANDS,
        table::COMMANDS,
        tls::COMMANDS,
        variable::COMMANDS,
        vip::COMMANDS,
    ]
    .into_iter()
    .flatten()
}

/// As entries of the registry.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    all().map(|c| &c.entry)
}

/// How many words of `name` begin `words`.
fn common(name: &str, words: &[String]) -> usize {
    name.split(' ').zip(words).take_while(|(a, b)| a == b).count()
}

/// The command with the most words that all begin `words`.
pub fn find(words: &[String]) -> Option<&'static Command> {
    let length = |c: &Command| c.entry.name.split(' ').count();
    all().filter(|c| common(c.entry.name, words) == length(c)).max_by_key(|c| length(c))
}

/// The usage of the commands that begin with `words` as far as any does.
fn list(session: &Session, words: &[String]) -> String {
    let seen: Vec<_> = all().filter(|c| session.may(c)).collect();
    let most = seen.iter().map(|c| common(c.entry.name, words)).max().unwrap_or(0);
    let mut lines: Vec<String> = Vec::new();
    if most == 0
        && let Some(word) = words.first()
    {
        let firsts = seen.iter().filter_map(|c| c.entry.name.split(' ').next());
        let near = suggest::nearest(word, firsts);
        let alike = seen.iter().filter(|c| near.is_some() && c.entry.name.split(' ').next() == near);
        lines.extend(alike.map(|c| c.usage()));
    }
    if lines.is_empty() {
        lines.extend(seen.iter().filter(|c| common(c.entry.name, words) == most).map(|c| c.usage()));
    }
    lines.sort();
    lines.dedup();
    lines.concat()
}

/// `help [<command>]`.
pub fn help(session: &mut Session, args: &Args) -> Answer {
    let text = list(session, args.words.get(1..).unwrap_or_default());
    Answer::Message(Severity::Info, format!("The following commands are valid at this level:\n{text}"))
}

/// A line that is no command of ours: HAProxy's others are named as such.
pub fn unknown(session: &Session, args: &Args) -> Answer {
    let words = &args.words;
    let known = vocabulary::COMMANDS.words.iter().map(|w| w.name);
    let theirs = known.filter(|name| common(name, words) == name.split(' ').count());
    if let Some(name) = theirs.max_by_key(|n| n.len()) {
        return Answer::error(format!("'{name}' is not supported by this release.\n"));
    }
    let Some(first) = words.first() else {
        let text = list(session, words);
        let head = "Unknown command: ''. Please enter one of the following commands only:";
        return Answer::Message(Severity::Info, format!("{head}\n{text}"));
    };
    let head =
        format!("Unknown command: '{first}', but maybe one of the following ones is a better match:\n");
    Answer::Message(Severity::Info, head + &list(session, words))
}
