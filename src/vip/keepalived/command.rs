//! Programs that a configuration names: whether they are there, and who runs them.

use super::super::spec::Command;
use super::finding::{Findings, Level, Place};
use super::global::Globals;
use super::instance::Told;

/// What of this host a configuration is checked against.
pub struct World<'a> {
    pub has_interface: &'a dyn Fn(&str) -> bool,
    /// Looks for a program, by path or along PATH.
    pub program: &'a dyn Fn(&str) -> Program,
    /// User and primary group.
    pub user: &'a dyn Fn(&str) -> Option<(u32, u32)>,
    pub group: &'a dyn Fn(&str) -> Option<u32>,
    /// Whether a name has an address.
    pub resolves: &'a dyn Fn(&str) -> bool,
}

/// What there is of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Missing,
    /// A directory, or a file that nobody may execute.
    Unusable,
    Usable,
}

/// Who runs programs when nothing else is said.
const DEFAULT_USER: &str = "keepalived_script";

/// Why a program will not run.
pub(super) enum Unusable {
    /// A user or group is unknown.
    Owner,
    /// There is no default user, and security asks for one.
    NoDefault,
}

/// User and group of a program; `user` may be empty.
pub(super) fn owner(
    world: &World<'_>,
    globals: &Globals,
    user: &str,
    group: &str,
) -> Result<(u32, u32), Unusable> {
    let named = |user: &str, group: &str| {
        let (uid, primary) = (world.user)(user).or_else(|| user.parse().ok().map(|uid| (uid, uid)))?;
        let gid = match group {
            "" => primary,
            _ => (world.group)(group).or_else(|| group.parse().ok())?,
        };
        Some((uid, gid))
    };
    if !user.is_empty() {
        return named(user, group).ok_or(Unusable::Owner);
    }
    let default = globals.script_user.as_ref().and_then(|(user, group)| named(user, group));
    match default.or_else(|| (world.user)(DEFAULT_USER)) {
        Some(owner) => Ok(owner),
        None if globals.script_security => Err(Unusable::NoDefault),
        None => Ok((0, 0)),
    }
}

/// Characters that mean something to a shell.
const OPERATORS: &[char] = &['|', '&', ';', '<', '>', '$', '`', '(', ')'];

/// Words of a command line; with shell operators in it a shell gets it whole.
pub(super) fn words(text: &str, at: Place, world: &World<'_>, findings: &mut Findings) -> Vec<String> {
    let (words, has_operator) = split(text);
    if !has_operator {
        return words;
    }
    // Only bash connects to what is redirected from there.
    let is_bash = text.contains("/dev/tcp/") && (world.program)("/bin/bash") == Program::Usable;
    let shell = if is_bash { "/bin/bash" } else { "/bin/sh" };
    let message = format!(
        "'{text}' has shell operators: {shell} runs it, which keepalived does not (there they are arguments)"
    );
    findings.push(Level::Note, at, message);
    [shell, "-c", text].map(String::from).to_vec()
}

/// The program that a command line begins with.
pub(super) fn program(text: &str) -> String {
    split(text).0.into_iter().next().unwrap_or_default()
}

/// Whether a command line that begins with this is for a shell, without a program of that name.
pub(super) fn is_of_shell(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "!", ".", ":", "[", "[[", "case", "cd", "command", "eval", "exec", "exit", "export", "for", "if",
        "set", "source", "test", "trap", "type", "ulimit", "umask", "until", "while", "{",
    ];
    WORDS.contains(&word) || word.starts_with(OPERATORS) || word.contains('=')
}

/// Words between white space, with quotes, and whether operators stand outside of single quotes.
fn split(text: &str) -> (Vec<String>, bool) {
    let (mut words, mut word, mut in_word, mut has_operator) = (Vec::new(), String::new(), false, false);
    let mut quote = None;
    for c in text.chars() {
        match (c, quote) {
            ('"' | '\'', None) => (quote, in_word) = (Some(c), true),
            (c, Some(open)) if c == open => quote = None,
            (c, None) if c.is_whitespace() => {
                if std::mem::take(&mut in_word) {
                    words.push(std::mem::take(&mut word));
                }
            }
            (c, _) => {
                has_operator |= quote != Some('\'') && OPERATORS.contains(&c);
                in_word = true;
                word.push(c);
            }
        }
    }
    if in_word {
        words.push(word);
    }
    (words, has_operator)
}

/// The program of a `notify_...` line, when it can run.
pub(super) fn told(
    told: Option<Told>,
    world: &World<'_>,
    globals: &Globals,
    findings: &mut Findings,
) -> Option<Command> {
    let told = told?;
    let (user, group) = (&*told.user, &*told.group);
    let owner = match owner(world, globals, user, group) {
        Ok(owner) => owner,
        Err(Unusable::Owner) => {
            let message =
                format!("there is no user or group '{user} {group}': '{}' is not run", told.command);
            findings.push(Level::Ours, told.at, message);
            return None;
        }
        Err(Unusable::NoDefault) => {
            findings
                .warning(told.at, format!("there is no user to run '{}': see 'script_user'", told.command));
            return None;
        }
    };
    let program = program(&told.command);
    let found = (world.program)(&program);
    findings.is_insecure |= found != Program::Missing && owner.0 == 0 && !globals.script_security;
    if found != Program::Usable {
        findings.push(Level::Ours, told.at, format!("there is no program '{program}': it is not run"));
        return None;
    }
    Some(Command { words: words(&told.command, told.at, world, findings), owner: Some(owner) })
}
