//! The commands, put together from the tables of this folder: look-up, `help`, and what to say of unknown ones.

use crate::admin::vocabulary;
use crate::config::global::CliLevel;
use crate::lang::Entry;
use crate::lang::suggest;

use super::session::{Answer, Session, Severity};
use super::words::Args;
use super::{counters, dynamic, frontend, invalid, mode, pattern, server, servers, show, variable};

/// A command. Its words are the name of its entry.
pub struct Command {
    pub entry: Entry,
    /// The lowest level that may run it.
    pub level: CliLevel,
    pub run: fn(&mut Session, &Args) -> Answer,
}

impl Command {
    pub const fn new(
        level: CliLevel,
        name: &'static str,
        args: &'static str,
        doc: &'static str,
        example: &'static str,
        since: &'static str,
        run: fn(&mut Session, &Args) -> Answer,
    ) -> Command {
        Command { entry: Entry::full(name, args, doc, example, since), level, run }
    }

    fn usage(&self) -> String {
        let Entry { name, args, doc, .. } = self.entry;
        let head = if args.is_empty() { name.to_owned() } else { format!("{name} {args}") };
        format!("  {head:<40}: {doc}\n")
    }
}

/// Every command.
pub fn all() -> impl Iterator<Item = &'static Command> {
    [
        counters::COMMANDS,
        dynamic::COMMANDS,
        frontend::COMMANDS,
        invalid::COMMANDS,
        mode::COMMANDS,
        pattern::COMMANDS,
        server::COMMANDS,
        servers::COMMANDS,
        show::COMMANDS,
        variable::COMMANDS,
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
