//! The command line: HAProxy 3.4's flags and our own command words, read into one [`Command`].
//!
//! The flags themselves, one row each, are in `flags.rs`. Flags are whole words (`-sf`, `-dKall`), never bundles of
//! letters. Where HAProxy takes any unknown `-d...` as debug mode, we refuse it and say so.

use std::ffi::OsString;
use std::path::PathBuf;

use super::flags::{COMMANDS, FLAGS, Takes};
use super::trace;
use super::version::VersionText;
use crate::lang::registry::Kind;
use crate::lang::suggest;
use crate::lang::void::is_void;
use crate::{client, operator};

/// What the user asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Load the configuration and run (or, with [`Args::check`], stop after checking).
    Run(Box<Args>),
    /// `-v`, `-vv`, `-vq`, `-vqs`, `-vqb`, `version`.
    Version(VersionText),
    /// `-cc`: evaluate one condition; exit 0 when true, 1 when false, 2 when it cannot be read.
    Condition(Box<Args>, String),
    /// `explain NAME`.
    Explain(String),
    /// `trace`: what becomes of a request.
    Trace(Box<trace::Asked>),
    /// `test`: whether what is expected of requests becomes of them.
    Test(Box<trace::Trial>),
    /// `reload`: tell a running process to read its configuration again.
    Reload(Target),
    /// `node`, `cluster`, `config`: what to ask of a running node.
    Operator(Vec<String>),
    /// `agent`: a client agent, by its own flags.
    Agent(Box<client::Options>),
    /// `help`, `-h`, `--help`: the usage text on stdout, exit 0.
    Help,
    /// `-dMhelp`.
    MemoryHelp,
}

/// How `isobar reload` finds the running process.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    Pidfile(PathBuf),
    MasterSocket(String),
    /// Neither was named: the places that packages use are tried in turn.
    Default,
}

/// Why a command line was refused. The caller prints the message, if any, then the usage text if asked; exit status 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub message: Option<String>,
    pub usage: bool,
    /// Of a command of ours: said without HAProxy's form.
    pub is_ours: bool,
}

impl Fault {
    pub fn usage(message: impl Into<String>) -> Self {
        Fault { message: Some(message.into()), usage: true, is_ours: false }
    }

    pub fn fatal(message: impl Into<String>) -> Self {
        Fault { message: Some(message.into()), usage: false, is_ours: false }
    }

    pub fn ours(message: impl Into<String>) -> Self {
        Fault { message: Some(message.into()), usage: false, is_ours: true }
    }
}

/// What `-sf` and `-st` send to older processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OldStop {
    /// `-sf`: SIGUSR1, finish and leave.
    #[default]
    Finish,
    /// `-st`: SIGTERM, leave at once.
    Terminate,
}

/// `-dC[key][,line]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DumpConfig {
    /// 0: as written; otherwise names and addresses are hashed with it.
    pub key: u32,
    pub line_numbers: bool,
}

/// Everything the flags said. Flags win over the same setting in `global`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Args {
    /// The name the program was called by, without its folders; shown in the usage text.
    pub program: String,
    /// The words after the program's name, as given.
    pub words: Vec<String>,
    /// `-f` and `--`, in order; directories are not expanded yet.
    pub files: Vec<PathBuf>,
    pub check: bool,
    /// `-cc`.
    pub condition: Option<String>,
    /// `-C`: applied before any other path is looked at.
    pub directory: Option<PathBuf>,
    pub daemon: bool,
    pub master_worker: bool,
    /// `-Ws`: also stays in the foreground.
    pub systemd: bool,
    /// `-S`, as written: `<bind>[,<option>...]`.
    pub master_cli: Vec<String>,
    pub pidfile: Option<PathBuf>,
    /// `-n`.
    pub maxconn: Option<u32>,
    /// `-m`.
    pub memory_mb: Option<u64>,
    pub local_peer: Option<String>,
    pub quiet: bool,
    pub verbose: bool,
    pub debug: bool,
    /// `-db`, and implied by `-Ws`.
    pub foreground: bool,
    pub diagnostics: bool,
    pub zero_warning: bool,
    /// `-dK<classes>`, as written.
    pub dump_keywords: Option<String>,
    pub dump_config: Option<DumpConfig>,
    pub dump_libraries: bool,
    pub no_reuseport: bool,
    pub no_splice: bool,
    pub no_fast_forward: bool,
    pub no_ssl_verify: bool,
    /// `-dr`: a name that does not resolve does not stop the start.
    pub ignore_resolve_failures: bool,
    pub old_pids: Vec<i32>,
    pub old_stop: OldStop,
    /// `-x`.
    pub old_socket: Option<PathBuf>,
    /// `--pretty` of `isobar check`: diagnostics with the source line under them.
    pub pretty: bool,
    /// `--legacy`: what HAProxy had once is accepted.
    pub legacy: bool,
    /// `isobar check --modernize`: the files in today's syntax, rather than what is wrong with them.
    pub modernize: bool,
    /// A command of ours (`isobar check`), whose messages need not be HAProxy's.
    pub is_ours: bool,
}

/// What a row of the table asks the parser to do next.
pub enum Step {
    Next,
    /// The command is known; the rest of the line is not read.
    Done(Command),
}

/// Reads a whole command line, the program's name first.
pub fn parse(argv: impl IntoIterator<Item = OsString>) -> Result<Command, Fault> {
    let mut words = Vec::new();
    for word in argv {
        let text =
            word.into_string().map_err(|w| Fault::fatal(format!("argument {w:?} is not UTF-8 text.")))?;
        words.push(text);
    }
    let name = if words.is_empty() { "isobar".to_owned() } else { words.remove(0) };
    let program = name.rsplit('/').next().unwrap_or("isobar").to_owned();
    let mut args = Args { program, words: words.clone(), ..Args::default() };
    match words.first() {
        Some(word) if !word.starts_with('-') => command_word(args, word, &words[1..]),
        _ => {
            let mut rest = words.iter().map(String::as_str).peekable();
            while let Some(word) = rest.next() {
                if let Step::Done(command) = flag(&mut args, word, &mut rest)? {
                    return Ok(command);
                }
            }
            Ok(match args.condition.take() {
                Some(text) => Command::Condition(Box::new(args), text),
                None => Command::Run(Box::new(args)),
            })
        }
    }
}

/// One flag with its value, if it takes one.
fn flag<'a>(
    args: &mut Args,
    word: &str,
    rest: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>,
) -> Result<Step, Fault> {
    if word == "--" {
        args.files.extend(rest.by_ref().map(PathBuf::from));
        return Ok(Step::Next);
    }
    let exact = FLAGS.iter().find(|f| f.entry.name == word && f.takes != Takes::Attached);
    let row = exact.or_else(|| {
        let attached = FLAGS.iter().filter(|f| f.takes == Takes::Attached || f.takes == Takes::Trace);
        attached.filter(|f| word.starts_with(f.entry.name)).max_by_key(|f| f.entry.name.len())
    });
    let Some(row) = row else { return Err(unknown(word)) };
    if let crate::lang::Status::Refused(why) = row.entry.status {
        return Err(Fault::fatal(format!("{}: {why}.", row.entry.name)));
    }
    let void: fn(&mut Args, &str) -> Result<Step, Fault> = |_, _| Ok(Step::Next);
    let apply = if is_void(Kind::Flag, row.entry.name) { void } else { row.apply };
    let attached = &word[row.entry.name.len()..];
    match row.takes {
        Takes::Nothing => apply(args, ""),
        Takes::Attached => apply(args, attached),
        Takes::Value => match rest.next() {
            Some(value) => apply(args, value),
            None => Err(Fault::usage(format!("{word} expects {}.", row.entry.args))),
        },
        Takes::Trace => {
            let next = if attached.is_empty() { rest.next_if(|w| !w.starts_with('-')) } else { None };
            apply(args, next.unwrap_or(attached))
        }
        Takes::Pids => {
            apply(args, "")?;
            while let Some(pid) = rest.next_if(|w| !w.starts_with('-')) {
                apply(args, pid)?;
            }
            Ok(Step::Next)
        }
    }
}

fn unknown(word: &str) -> Fault {
    if !word.starts_with('-') {
        return Fault::usage(format!("unexpected argument '{word}' (a file is named with -f or after --)."));
    }
    let near = FLAGS.iter().map(|f| f.entry.name).find(|n| n.eq_ignore_ascii_case(word));
    let hint = near.map(|n| format!(" Did you mean '{n}'?")).unwrap_or_default();
    Fault::usage(format!("unknown option '{word}'.{hint}"))
}

/// `isobar check`, `explain`, `reload`, `help`, `version`.
fn command_word(mut args: Args, word: &str, rest: &[String]) -> Result<Command, Fault> {
    if !COMMANDS.iter().any(|c| c.name == word) {
        let hint = suggest::hint(word, COMMANDS.iter().map(|c| c.name));
        let hint = hint.unwrap_or_else(|| "'isobar help' lists them".to_owned());
        return Err(Fault::ours(format!("unknown command '{word}'; {hint}")));
    }
    if operator::begins(word) {
        return Ok(Command::Operator(std::iter::once(word.to_owned()).chain(rest.iter().cloned()).collect()));
    }
    match (word, rest) {
        ("agent", rest) => match client::Options::parse(rest) {
            Ok(options) => Ok(Command::Agent(Box::new(options))),
            Err(why) => Err(Fault::ours(format!("agent: {why}"))),
        },
        ("help", _) => Ok(Command::Help),
        ("version", []) => Ok(Command::Version(VersionText::Plain)),
        ("explain", [name]) => Ok(Command::Explain(name.clone())),
        ("check", rest) => {
            for word in rest {
                match word.as_str() {
                    "--pretty" => args.pretty = true,
                    "--legacy" => args.legacy = true,
                    "--modernize" => (args.legacy, args.modernize) = (true, true),
                    flag if flag.starts_with('-') => {
                        let hint = suggest::hint(flag, ["--pretty", "--legacy", "--modernize"])
                            .map(|hint| format!("; {hint}"));
                        let hint = hint.unwrap_or_default();
                        return Err(Fault::ours(format!("check: unknown option '{flag}'{hint}")));
                    }
                    file => args.files.push(file.into()),
                }
            }
            if args.files.is_empty() {
                return Err(Fault::ours(
                    "check: which file? 'isobar check <file>... [--pretty] [--legacy | --modernize]'",
                ));
            }
            (args.check, args.verbose, args.is_ours) = (true, true, true);
            Ok(Command::Run(Box::new(args)))
        }
        ("trace", rest) => match trace::Asked::parse(rest) {
            Ok(asked) => Ok(Command::Trace(Box::new(asked))),
            Err(why) => Err(Fault::ours(format!("trace: {why}"))),
        },
        ("test", rest) => match trace::Trial::parse(rest) {
            Ok(trial) => Ok(Command::Test(Box::new(trial))),
            Err(why) => Err(Fault::ours(format!("test: {why}"))),
        },
        ("reload", []) => Ok(Command::Reload(Target::Default)),
        ("reload", [flag, value]) if flag == "-p" => Ok(Command::Reload(Target::Pidfile(value.into()))),
        ("reload", [flag, value]) if flag == "-S" => Ok(Command::Reload(Target::MasterSocket(value.clone()))),
        _ => {
            let usage = COMMANDS.iter().find(|c| c.name == word).map_or("", |c| c.args);
            Err(Fault::ours(format!("{word}: wrong arguments; 'isobar {word} {usage}' is the form")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::Status;

    fn of(line: &str) -> Result<Command, Fault> {
        parse(std::iter::once("/usr/sbin/haproxy").chain(line.split_whitespace()).map(OsString::from))
    }

    fn run(line: &str) -> Args {
        match of(line) {
            Ok(Command::Run(args)) => *args,
            other => panic!("{line}: {other:?}"),
        }
    }

    /// All that [`operator`] knows is offered here, and listed by `isobar help`.
    #[test]
    fn commands_of_operators() {
        for word in operator::beginnings() {
            assert!(matches!(of(&format!("{word} x")), Ok(Command::Operator(_))), "{word}");
        }
    }

    #[test]
    fn debian_unit() {
        let a = run("-Ws -f /etc/haproxy/haproxy.cfg -p /run/haproxy.pid -S /run/haproxy-master.sock");
        assert!(a.master_worker && a.systemd && a.foreground && !a.daemon);
        assert_eq!(a.files, [PathBuf::from("/etc/haproxy/haproxy.cfg")]);
        assert_eq!(a.pidfile, Some("/run/haproxy.pid".into()));
        assert_eq!(a.master_cli, ["/run/haproxy-master.sock"]);
        assert_eq!(a.program, "haproxy");
    }

    #[test]
    fn test_suite_prefix_and_version() {
        let a = run("-d -dM -dI -dW -m 100 -L A -f h1/cfg");
        assert!(a.debug && a.zero_warning);
        assert_eq!((a.memory_mb, a.local_peer.as_deref()), (Some(100), Some("A")));
        assert_eq!(of("-dM -dI -dW -vv"), Ok(Command::Version(VersionText::Full)));
        assert_eq!(of("-vqb nonsense"), Ok(Command::Version(VersionText::Branch)));
        let Ok(Command::Condition(args, text)) = of("-dW -cc feature(THREAD)") else { panic!() };
        assert!(args.zero_warning && text == "feature(THREAD)");
    }

    #[test]
    fn pids_end_at_the_next_flag() {
        let a = run("-D -sf 12 34 -f a.cfg -- b.cfg -x");
        assert_eq!((a.old_pids, a.old_stop), (vec![12, 34], OldStop::Finish));
        assert_eq!(a.files, ["a.cfg", "b.cfg", "-x"].map(PathBuf::from));
        assert_eq!(run("-st -f a").old_stop, OldStop::Terminate);
        assert!(of("-sf 12 -3x").is_err());
        assert!(of("-sf 0").unwrap_err().usage);
        assert!(of("-sf 99999999999999999999").is_err());
    }

    #[test]
    fn attached_values() {
        assert_eq!(run("-dKcfg,smp -f a").dump_keywords.as_deref(), Some("cfg,smp"));
        assert_eq!(run("-dC1234,line -f a").dump_config, Some(DumpConfig { key: 1234, line_numbers: true }));
        assert_eq!(run("-dt h1:debug -dt -f a").files, run("-dth2 -f a").files);
        assert_eq!(of("-dMhelp"), Ok(Command::MemoryHelp));
        assert!(run("-dM0x50,no-merge -f a").files.len() == 1);
    }

    #[test]
    fn refusals() {
        for line in
            ["-f", "-S", "-Z", "-df", "a.cfg", "-f a b", "-n many -f a", "-dA/tmp/x -f a", "check -q a"]
        {
            assert!(of(line).is_err(), "{line}");
        }
        assert!(of("-DS").unwrap_err().message.unwrap().contains("Did you mean '-dS'"));
        assert!(!of("-dA/tmp/x.tar -f a").unwrap_err().usage);
    }

    #[test]
    fn our_own_words() {
        let a = run("check a.cfg b.cfg --pretty");
        assert!(a.check && a.verbose && a.pretty && a.files.len() == 2);
        assert!(run("check a.cfg --legacy").legacy && !run("check a.cfg").legacy);
        assert!(run("check a.cfg --modernize").modernize && run("--legacy -f a.cfg").legacy);
        assert_eq!(of("explain maxconn"), Ok(Command::Explain("maxconn".into())));
        assert_eq!(of("reload -p /run/x.pid"), Ok(Command::Reload(Target::Pidfile("/run/x.pid".into()))));
        assert_eq!(of("reload"), Ok(Command::Reload(Target::Default)));
        assert_eq!(of("help"), Ok(Command::Help));
        assert_eq!(of("version"), Ok(Command::Version(VersionText::Plain)));
        for (line, said) in [
            ("chek a.cfg", "unknown command 'chek'; did you mean 'check' maybe ?"),
            ("qqqqqqq", "unknown command 'qqqqqqq'; 'isobar help' lists them"),
            ("check a.cfg --prety", "check: unknown option '--prety'; did you mean '--pretty' maybe ?"),
            ("check", "check: which file? 'isobar check <file>... [--pretty] [--legacy | --modernize]'"),
            ("explain", "explain: wrong arguments; 'isobar explain <keyword>' is the form"),
        ] {
            assert_eq!(of(line), Err(Fault::ours(said)), "{line}");
        }
        assert!(run("check a.cfg").is_ours && !run("-c -f a.cfg").is_ours);
        assert_eq!(of("-h"), Ok(Command::Help));
    }

    #[test]
    fn every_example_parses_unless_refused() {
        for row in FLAGS {
            let refused = matches!(row.entry.status, Status::Refused(_));
            assert_eq!(of(row.entry.example).is_err(), refused, "{}", row.entry.example);
        }
        for entry in COMMANDS {
            let words = entry.example.split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
            assert!(of(&words).is_ok(), "{words}");
        }
    }
}
