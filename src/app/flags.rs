//! The table of command-line flags and command words, and the usage text made from it.

use std::fmt::Write;

use super::args::{Args, Command, DumpConfig, Fault, OldStop, Step};
use super::version::VersionText;
use crate::lang::{Entry, Status};

/// Where a flag's value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    /// The next word.
    Value,
    /// The rest of the same word, maybe empty.
    Attached,
    /// The rest of the same word, or the next word unless it starts with `-`.
    Trace,
    /// Every following word until one starts with `-`; `apply` is called first with "" and then once for each.
    Pids,
}

/// One flag.
pub struct Flag {
    pub entry: Entry,
    pub takes: Takes,
    pub(super) apply: fn(&mut Args, &str) -> Result<Step, Fault>,
}

type Outcome = Result<Step, Fault>;
const NEXT: Outcome = Ok(Step::Next);

fn number<T: std::str::FromStr>(flag: &str, text: &str) -> Result<T, Fault> {
    text.parse().map_err(|_| Fault::usage(format!("{flag} expects a number, not '{text}'.")))
}

fn version(text: VersionText) -> Outcome {
    Ok(Step::Done(Command::Version(text)))
}

fn pid(args: &mut Args, stop: OldStop, text: &str) -> Outcome {
    args.old_stop = stop;
    if text.is_empty() {
        return NEXT;
    }
    match text.parse::<i32>() {
        Ok(pid) if pid > 0 => args.old_pids.push(pid),
        _ => return Err(Fault::usage(format!("'{text}' is not a process id."))),
    }
    NEXT
}

fn dump_config(args: &mut Args, text: &str) -> Outcome {
    let digits = text.split(',').next().unwrap_or("");
    let key = digits.parse().unwrap_or(0);
    args.dump_config = Some(DumpConfig { key, line_numbers: text.split(',').any(|w| w == "line") });
    NEXT
}

const fn flag(entry: Entry, takes: Takes, apply: fn(&mut Args, &str) -> Outcome) -> Flag {
    Flag { entry, takes, apply }
}

const fn entry(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
) -> Entry {
    Entry::full(name, args, doc, example, since)
}

/// A switch without a value.
const fn switch(
    name: &'static str,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
    apply: fn(&mut Args, &str) -> Outcome,
) -> Flag {
    Flag { entry: Entry::full(name, "", doc, example, since), takes: Takes::Nothing, apply }
}

impl Flag {
    /// What the switch would change is always as it is; `enabled()` tells of it.
    const fn seen_by_conditions(self) -> Self {
        let why = Status::Partial("conditions (.if, -cc) see it; nothing else changes");
        Flag { entry: self.entry.with(why), ..self }
    }
}

/// A switch that is read and has no effect.
const fn idle(
    name: &'static str,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
    why: &'static str,
) -> Flag {
    let entry = Entry::full(name, "", doc, example, since).with(Status::Accepted(why));
    Flag { entry, takes: Takes::Nothing, apply: |_, _| NEXT }
}

const ONE_POLLER: &str = "there is one poller, epoll";

/// Every flag of HAProxy 3.4, in the order of the usage text.
pub static FLAGS: &[Flag] = &[
    flag(
        entry(
            "-f",
            "<cfgfile|cfgdir>",
            "Loads a file, or every *.cfg of a directory; may be repeated.",
            "-f a.cfg",
            "1.0",
        ),
        Takes::Value,
        |a, v| {
            a.files.push(v.into());
            NEXT
        },
    ),
    flag(
        entry(
            "--",
            "<cfgfile>*",
            "Takes every following word as a file or directory to load.",
            "-- a.cfg b.cfg",
            "1.5",
        ),
        Takes::Nothing,
        |_, _| NEXT,
    ),
    switch("-v", "Shows the version.", "-v", "1.0", |_, _| version(VersionText::Plain)),
    switch("-vv", "Shows the version, features and build options.", "-vv", "1.2", |_, _| {
        version(VersionText::Full)
    }),
    switch("-vq", "Shows only the version.", "-vq", "3.3", |_, _| version(VersionText::Bare)),
    switch("-vqs", "Shows only the version's numbers.", "-vqs", "3.3", |_, _| version(VersionText::Bare)),
    switch("-vqb", "Shows only the branch.", "-vqb", "3.3", |_, _| version(VersionText::Branch)),
    switch("-c", "Checks the configuration and exits.", "-c -f a.cfg", "1.0", |a, _| {
        a.check = true;
        NEXT
    }),
    flag(
        entry(
            "-cc",
            "<condition>",
            "Evaluates a condition: exit 0 if true, 1 if false, 2 on error.",
            "-cc 1",
            "2.4",
        ),
        Takes::Value,
        |a, v| {
            a.condition = Some(v.into());
            NEXT
        },
    ),
    flag(
        entry("-C", "<dir>", "Changes to a directory before any file is loaded.", "-C /etc -f a.cfg", "1.5"),
        Takes::Value,
        |a, v| {
            a.directory = Some(v.into());
            NEXT
        },
    ),
    switch("-D", "Runs in the background.", "-D -f a.cfg", "1.0", |a, _| {
        a.daemon = true;
        NEXT
    }),
    switch("-W", "Runs a worker under a master process.", "-W -f a.cfg", "1.8", |a, _| {
        a.master_worker = true;
        NEXT
    }),
    switch(
        "-Ws",
        "Like -W, in the foreground, and tells systemd when ready.",
        "-Ws -f a.cfg",
        "1.8",
        |a, _| {
            (a.master_worker, a.systemd, a.foreground) = (true, true, true);
            NEXT
        },
    ),
    flag(
        entry(
            "-S",
            "<bind>[,<option>...]",
            "Binds the master's command line.",
            "-W -S /run/m.sock,mode,600 -f a",
            "1.9",
        ),
        Takes::Value,
        |a, v| {
            a.master_cli.push(v.into());
            NEXT
        },
    ),
    flag(
        entry(
            "-p",
            "<file>",
            "Writes the process id to a file (with -D, -W or -Ws).",
            "-D -p /run/x.pid -f a",
            "1.0",
        ),
        Takes::Value,
        |a, v| {
            a.pidfile = Some(v.into());
            NEXT
        },
    ),
    flag(
        entry("-n", "<maxconn>", "Limits the connections of the process.", "-n 1000 -f a.cfg", "1.0"),
        Takes::Value,
        |a, v| {
            a.maxconn = Some(number("-n", v)?);
            NEXT
        },
    ),
    flag(
        entry("-N", "<maxconn>", "Sets the default connection limit of a proxy.", "-N 1000 -f a.cfg", "1.0")
            .with(Status::Accepted("a proxy without 'maxconn' is limited with the process alone")),
        Takes::Value,
        |_, v| number::<u32>("-N", v).and(NEXT),
    ),
    flag(
        entry("-m", "<megabytes>", "Limits the memory the process can allocate.", "-m 512 -f a.cfg", "1.2"),
        Takes::Value,
        |a, v| {
            a.memory_mb = Some(number("-m", v)?);
            NEXT
        },
    ),
    flag(
        entry(
            "-L",
            "<name>",
            "Sets the local peer's name, by default the host name.",
            "-L lb1 -f a.cfg",
            "1.5",
        ),
        Takes::Value,
        |a, v| {
            a.local_peer = Some(v.into());
            NEXT
        },
    ),
    switch("-q", "Stays quiet.", "-q -c -f a.cfg", "1.0", |a, _| {
        a.quiet = true;
        NEXT
    }),
    switch("-V", "Speaks even when told to be quiet.", "-V -c -f a.cfg", "1.0", |a, _| {
        a.verbose = true;
        NEXT
    }),
    switch("-d", "Debug mode: stays in the foreground.", "-d -f a.cfg", "1.0", |a, _| {
        a.debug = true;
        NEXT
    }),
    switch(
        "-db",
        "Stays in the foreground whatever the configuration says.",
        "-db -f a.cfg",
        "1.1",
        |a, _| {
            a.foreground = true;
            NEXT
        },
    ),
    switch("-dW", "Refuses to start if there is any warning.", "-dW -c -f a.cfg", "2.3", |a, _| {
        a.zero_warning = true;
        NEXT
    }),
    switch("-dD", "Warns about suspicious statements too.", "-dD -c -f a.cfg", "2.4", |a, _| {
        a.diagnostics = true;
        NEXT
    }),
    flag(
        entry(
            "-dK",
            "<class>[,<class>]*",
            "Lists the known keywords of the classes (help, all, ...).",
            "-dKall",
            "2.6",
        ),
        Takes::Attached,
        |a, v| {
            a.dump_keywords = Some(v.into());
            NEXT
        },
    ),
    flag(
        entry(
            "-dC",
            "[<key>][,line]",
            "Prints the configuration as read; a key hashes names.",
            "-dC -f a.cfg",
            "2.9",
        ),
        Takes::Attached,
        dump_config,
    ),
    switch(
        "-dL",
        "Lists the shared libraries in use, after the check.",
        "-dL -c -q -f a.cfg",
        "2.5",
        |a, _| {
            a.dump_libraries = true;
            NEXT
        },
    ),
    flag(
        entry("-dA", "<file>", "Archives the shared libraries in use.", "-dA/tmp/libs.tar -f a.cfg", "3.3")
            .with(Status::Refused("an archive of libraries is not made; -dL lists them")),
        Takes::Attached,
        |_, _| NEXT,
    ),
    flag(
        entry("-dM", "[<byte>][,<option>]*", "Memory debugging.", "-dM -f a.cfg", "1.5")
            .with(Status::Accepted("there are no memory pools to poison")),
        Takes::Attached,
        |_, v| match v {
            "help" => Ok(Step::Done(Command::MemoryHelp)),
            _ => NEXT,
        },
    ),
    flag(
        entry(
            "-dt",
            "[<source>[:<level>[:<verbosity>]],...]",
            "Traces to stderr.",
            "-dt h1:debug -f a.cfg",
            "2.9",
        )
        .with(Status::Accepted("there are no traces")),
        Takes::Trace,
        |_, _| NEXT,
    ),
    switch("-dR", "Does not use SO_REUSEPORT.", "-dR -f a.cfg", "1.7", |a, _| {
        a.no_reuseport = true;
        NEXT
    })
    .seen_by_conditions(),
    switch("-dS", "Does not use splice().", "-dS -f a.cfg", "1.4", |a, _| {
        a.no_splice = true;
        NEXT
    })
    .seen_by_conditions(),
    idle("-dZ", "Does not forward without copying.", "-dZ -f a.cfg", "2.9", "data moves as it always does"),
    switch("-dF", "Does not use fast forwarding, nor splice().", "-dF -f a.cfg", "2.7", |a, _| {
        a.no_fast_forward = true;
        NEXT
    })
    .seen_by_conditions(),
    switch("-dV", "Does not verify the certificates of servers.", "-dV -f a.cfg", "1.5", |a, _| {
        a.no_ssl_verify = true;
        NEXT
    })
    .seen_by_conditions(),
    switch("-dr", "Starts even if a server's name does not resolve.", "-dr -f a.cfg", "1.7", |a, _| {
        a.ignore_resolve_failures = true;
        NEXT
    }),
    idle(
        "-4",
        "Resolvers ask for and take IPv4 addresses only.",
        "-4 -f a.cfg",
        "3.3",
        "there are no resolvers",
    ),
    idle("-dI", "Lets the process fork after start-up.", "-dI -f a.cfg", "2.1", "no program is started"),
    idle("-dc", "Lists the CPUs that were chosen.", "-dc -f a.cfg", "3.2", "the kernel chooses them"),
    idle(
        "-dG",
        "Does not use getaddrinfo().",
        "-dG -f a.cfg",
        "1.6",
        "names are resolved the same way with it",
    ),
    idle("-dT", "Does not use kernel TLS.", "-dT -f a.cfg", "3.3", "kernel TLS is never used"),
    idle("-de", "Does not use epoll.", "-de -f a.cfg", "1.2", ONE_POLLER),
    idle("-dp", "Does not use poll.", "-dp -f a.cfg", "1.2", ONE_POLLER),
    idle("-dk", "Does not use kqueue.", "-dk -f a.cfg", "1.3", ONE_POLLER),
    idle("-dv", "Does not use event ports.", "-dv -f a.cfg", "2.1", ONE_POLLER),
    flag(
        entry(
            "-sf",
            "<pid>*",
            "Asks older processes to finish, once listening.",
            "-D -sf 123 -f a.cfg",
            "1.1",
        ),
        Takes::Pids,
        |a, v| pid(a, OldStop::Finish, v),
    ),
    flag(
        entry(
            "-st",
            "<pid>*",
            "Tells older processes to leave, once listening.",
            "-D -st 123 -f a.cfg",
            "1.1",
        ),
        Takes::Pids,
        |a, v| pid(a, OldStop::Terminate, v),
    ),
    flag(
        entry(
            "-x",
            "<unix_socket>",
            "Takes listening sockets over from an older process.",
            "-x /run/s -f a",
            "1.8",
        )
        .with(Status::Accepted("sockets are bound beside the old process's ones; a reload swaps in place")),
        Takes::Value,
        |a, v| {
            a.old_socket = Some(v.into());
            NEXT
        },
    ),
    switch(
        "--legacy",
        "Accepts what HAProxy had once and has no more, as 'accept-legacy-syntax' in 'global' does.",
        "--legacy -f a.cfg",
        "isobar",
        |a, _| {
            a.legacy = true;
            NEXT
        },
    ),
    switch("-h", "Shows this text.", "-h", "isobar", |_, _| Ok(Step::Done(Command::Help))),
    switch("--help", "Shows this text.", "--help", "isobar", |_, _| Ok(Step::Done(Command::Help))),
    switch("--version", "Shows the version.", "--version", "isobar", |_, _| version(VersionText::Plain)),
];

/// The words that may stand first instead of flags.
pub static COMMANDS: &[Entry] = &[
    entry(
        "check",
        "<file>... [--pretty] [--legacy | --modernize]",
        "Checks configuration files; with --modernize, prints them in today's syntax, with a note for each change.",
        "isobar check a.cfg --pretty",
        "isobar",
    ),
    entry(
        "explain",
        "<keyword>",
        "Says what a keyword, fetch, converter or action does.",
        "isobar explain bind",
        "isobar",
    ),
    entry(
        "trace",
        "-f <file>... [--from <address>] [--sni <name>] [--frontend <name>] [-H '<name>: <value>']... [--data <body>] [--legacy] [--json] <method> <url>",
        "Tells what becomes of a request, without any traffic: ACLs, rules, backend, server, the final request, the log line.",
        "isobar trace -f a.cfg --from 203.0.113.7 GET https://www.example.com/x",
        "isobar",
    ),
    entry(
        "test",
        "[-f <configuration>]... [--legacy] <file>...",
        "Tells whether what files expect of requests is what becomes of them.",
        "isobar test a.cfg.test",
        "isobar",
    ),
    entry(
        "reload",
        "[-p <pidfile> | -S <socket>]",
        "Makes a running process read its configuration again.",
        "isobar reload -S /run/haproxy-master.sock",
        "isobar",
    ),
    entry("node", "<command>", "Shows and changes the members of the cluster.", "isobar node ls", "isobar"),
    entry("vip", "<command>", "Shows and moves addresses that nodes share.", "isobar vip ls", "isobar"),
    entry(
        "dns",
        "<command>",
        "Says why a name is answered as it is.",
        "isobar dns explain www.lb.example.com A --from 203.0.113.7",
        "isobar",
    ),
    entry(
        "mirror",
        "<command>",
        "Shows and steers copies between registries.",
        "isobar mirror status",
        "isobar",
    ),
    entry(
        "cert",
        "<command>",
        "Lists what files of certificates would serve, without a running node.",
        "isobar cert ls /etc/haproxy/certs",
        "isobar",
    ),
    entry(
        "cluster",
        "<command>",
        "Makes a cluster, joins one, shows what others need to join, leaves it, or makes it anew from what is left.",
        "isobar cluster join-token worker",
        "isobar",
    ),
    entry(
        "config",
        "<command>",
        "Puts configuration documents on every node.",
        "isobar config status",
        "isobar",
    ),
    entry(
        "agent",
        "-join=[https://]<host>[:<port>],... [-node <name>] [-region <name>] [-http-addr <address>:<port>] [-data-dir <dir>] \
         [-token <token>] [-ca-file <file>] [-client-cert <file>] [-client-key <file>] [-advertise <address>] [-datacenter <name>] [-enable-script-checks] [-insecure]",
        "Runs a client agent: the catalog's API for this host, its checks, and the rest from members.",
        "isobar agent -join=10.1.0.2,10.2.0.2 -node web-1 -region eu-west",
        "isobar",
    ),
    entry("help", "", "Shows this text.", "isobar help", "isobar"),
    entry("version", "", "Shows the version.", "isobar version", "isobar"),
];

/// The usage text, without the version lines that are shown above it.
pub fn usage(program: &str) -> String {
    let mut out = format!("Usage : {program} [-f <cfgfile|cfgdir>]* [<option>...] [-- <cfgfile>*]\n");
    for row in FLAGS {
        line(&mut out, &row.entry, matches!(row.takes, Takes::Attached));
    }
    let _ = writeln!(out, "     or : {program} <command> [<argument>...]");
    for entry in COMMANDS {
        line(&mut out, entry, false);
    }
    out
}

fn line(out: &mut String, entry: &Entry, attached: bool) {
    let gap = if attached || entry.args.is_empty() { "" } else { " " };
    let head = format!("{}{gap}{}", entry.name, entry.args);
    let note = match entry.status {
        Status::Accepted(why) => format!(" (no effect: {why})"),
        Status::Refused(why) => format!(" (refused: {why})"),
        _ => String::new(),
    };
    let _ = writeln!(out, "        {head:<26} {}{note}", entry.doc);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> =
            FLAGS.iter().map(|f| f.entry.name).chain(COMMANDS.iter().map(|c| c.name)).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn usage_names_every_flag() {
        let text = usage("haproxy");
        assert!(text.starts_with("Usage : haproxy [-f"));
        for row in FLAGS {
            assert!(text.contains(&format!("        {}", row.entry.name)), "{}", row.entry.name);
        }
    }
}
