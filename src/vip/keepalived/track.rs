//! `vrrp_script`, `vrrp_track_process` and `vrrp_track_file`, and the entries that refer to them.

use std::time::Duration;

use super::block::Shape::{Flag, Ignored, Value, Wanted};
use super::block::{Keyword, Line, keyword, whole};
use super::finding::{Findings, Level, Place};

/// The longest interval and timeout, in seconds.
const MAX_SECONDS: i64 = 4_294;

/// A weight and whether it counts the other way round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    pub(super) weight: i32,
    pub(super) reverse: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    /// The command as it was written, and whether as one word.
    pub(super) command: Option<String>,
    pub(super) at: Place,
    pub(super) interval: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) rise: Option<u32>,
    pub(super) fall: Option<u32>,
    pub(super) weight: Weight,
    pub(super) user: Option<(String, String)>,
    pub(super) starts_down: bool,
}

pub(super) const SCRIPT: &[Keyword<Script>] = &[
    keyword("script", Wanted(script)),
    keyword("interval", Value(|s, f, line| s.interval = time(f, line).or(s.interval))),
    keyword("timeout", Value(|s, f, line| s.timeout = time(f, line).or(s.timeout))),
    keyword("weight", Value(|s, f, line| s.weight = weight(f, line, 1).unwrap_or(s.weight))),
    keyword("rise", Value(|s, f, line| s.rise = count(f, line))),
    keyword("fall", Value(|s, f, line| s.fall = count(f, line))),
    keyword("user", Value(|s, _, line| s.user = Some((line.str(1).to_owned(), line.str(2).to_owned())))),
    keyword("init_fail", Flag(|s, _, _| s.starts_down = true)),
];

/// One word, which holds the arguments too. Words after it are no arguments for keepalived; who writes them means them.
fn script(script: &mut Script, findings: &mut Findings, line: Line<'_>) {
    script.at = line.at;
    let words = &line.words[1..];
    let text: Vec<&str> = words.iter().map(|word| &*word.text).collect();
    if words.len() > 1 {
        let message = format!(
            "'script' without quotes: all of '{}' is run, keepalived runs its first word",
            text.join(" ")
        );
        findings.push(Level::Note, line.at, message);
    }
    script.command = Some(text.join(" "));
}

fn time(findings: &mut Findings, line: Line<'_>) -> Option<Duration> {
    let seconds: u64 = whole(findings, line, 1, 0, MAX_SECONDS)?;
    if seconds == 0 {
        findings.warning(line.at, format!("'{}' has to be 1 at least", line.keyword()));
    }
    Some(Duration::from_secs(seconds.max(1)))
}

fn count(findings: &mut Findings, line: Line<'_>) -> Option<u32> {
    whole(findings, line, 1, 1, i64::from(i32::MAX)).or(Some(1))
}

/// `N [reverse|noreverse]` from word `i` on.
pub(super) fn weight(findings: &mut Findings, line: Line<'_>, i: usize) -> Option<Weight> {
    let weight = whole(findings, line, i, -253, 253)?;
    let reverse = match line.str(i + 1) {
        "" | "noreverse" | "no_reverse" => false,
        "reverse" => true,
        other => {
            findings.warning(line.at, format!("'{other}' after a weight is unknown"));
            false
        }
    };
    Some(Weight { weight, reverse })
}

#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    pub(super) process: Option<String>,
    pub(super) quorum: Option<u32>,
    pub(super) weight: Weight,
}

const ONE_LOOK: &str = "processes are counted once a second";

pub(super) const PROCESS: &[Keyword<Process>] = &[
    keyword("process", Value(process)),
    keyword("weight", Value(|p, f, line| p.weight = weight(f, line, 1).unwrap_or(p.weight))),
    keyword("quorum", Value(|p, f, line| p.quorum = whole(f, line, 1, 1, 65_535).or(p.quorum))),
    keyword("quorum_max", Ignored(ONE_LOOK)),
    keyword("delay", Ignored(ONE_LOOK)),
    keyword("fork_delay", Ignored(ONE_LOOK)),
    keyword("terminate_delay", Ignored(ONE_LOOK)),
    keyword("full_command", Ignored(ONE_LOOK)),
    keyword("param_match", Ignored(ONE_LOOK)),
];

fn process(process: &mut Process, findings: &mut Findings, line: Line<'_>) {
    if line.words.len() > 2 {
        findings.push(Level::Ours, line.at, "parameters of the process are not compared: its name is");
    }
    process.process = Some(line.str(1).to_owned());
}

#[derive(Clone, Debug, Default)]
pub(super) struct File {
    pub(super) path: Option<String>,
    pub(super) weight: Option<Weight>,
}

pub(super) const FILE: &[Keyword<File>] = &[
    keyword("file", Wanted(|file, _, line| file.path = Some(line.str(1).to_owned()))),
    keyword("weight", Wanted(|file, f, line| file.weight = weight(f, line, 1).or(file.weight))),
    keyword("init_file", Flag(|_, _, _| {})),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tracked {
    Script,
    Interface,
    Process,
    File,
}

/// An entry of a `track_...` block.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) tracked: Tracked,
    pub(super) name: String,
    pub(super) weight: Option<Weight>,
    pub(super) at: Place,
}

/// `NAME [weight N [reverse]]`; an entry with a weight that is none is kept without.
pub(super) fn entry(findings: &mut Findings, line: Line<'_>, tracked: Tracked) -> Entry {
    let weight = match line.str(1) {
        "" => None,
        "weight" => weight(findings, line, 2),
        "reverse" => Some(Weight { weight: 0, reverse: true }),
        other => {
            findings.warning(line.at, format!("'{other}' after '{}' is unknown", line.keyword()));
            None
        }
    };
    Entry { tracked, name: line.keyword().to_owned(), weight, at: line.at }
}
