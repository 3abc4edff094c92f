//! Commands that show the process and its statistics.

use crate::admin::control::{process, snapshot};
use crate::admin::stat::Show;
use crate::admin::stat::render::{self, Form};
use crate::config::global::CliLevel::{Admin, Operator, User};
use crate::model::Address;

use super::command::Command;
use super::mode::level_name;
use super::session::{Answer, Session, Severity};
use super::words::Args;

pub static COMMANDS: &[Command] =
    &[
        Command::new(
            User,
            "show info",
            "[typed|json] [desc] [float]",
            "Figures of the process.",
            "show info",
            "1.3",
            info,
        ),
        Command::new(
            User,
            "show stat",
            "[<proxy> <type> <sid>] [typed|json] [desc] [up|no-maint]",
            "Statistics of frontends, backends and servers.",
            "show stat be 4 -1 json",
            "1.3",
            stat,
        ),
        Command::new(User, "show backend", "", "Names of the backends.", "show backend", "1.5", backend),
        Command::new(
            User,
            "show version",
            "",
            "Version of HAProxy that this is.",
            "show version",
            "2.5",
            |session, _| Answer::Message(Severity::Info, format!("{}\n", process(&*session.control).version)),
        ),
        Command::new(Operator, "show env", "[<name>]", "Environment variables.", "show env PATH", "1.6", env),
        Command::new(
            User,
            "show cli sockets",
            "",
            "Sockets of the runtime API.",
            "show cli sockets",
            "1.9",
            sockets,
        ),
        Command::new(
            Operator,
            "show startup-logs",
            "",
            "What was printed at the start.",
            "show startup-logs",
            "1.9",
            |session, _| Answer::Dump(format!("{}\n", session.control.startup_logs())),
        ),
        Command::new(Admin, "reload", "", "Read the configuration again (master).", "reload", "2.0", reload),
        Command::new(User, "show proc", "", "Processes (master).", "show proc", "1.9", |session, _| {
            match session.control.processes() {
                Some(text) => Answer::Dump(text),
                None => Answer::error("'show proc' needs a master process.\n"),
            }
        }),
    ];

fn info(session: &mut Session, args: &Args) -> Answer {
    let mut process = process(&*session.control);
    let mut form = Form::Plain;
    let mut describe = false;
    for word in args.from(2) {
        match word {
            "typed" => form = Form::Typed,
            "json" => form = Form::Json,
            "desc" => describe = true,
            "float" => process.is_float = true,
            _ => {}
        }
    }
    Answer::Dump(render::info(&process, form, describe))
}

/// A whole number at the beginning of a word, 0 for none, as C's `atoi`.
fn number(word: &str) -> i64 {
    let sign = usize::from(word.starts_with('-'));
    let digits = word[sign..].find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len() - sign);
    word[..sign + digits].parse().unwrap_or(0)
}

fn stat(session: &mut Session, args: &Args) -> Answer {
    let mut at = 2;
    if args.at(2) == "domain" {
        match args.at(3) {
            "proxy" => at = 4,
            "resolvers" => return Answer::error("Domain 'resolvers' is not supported by this release.\n"),
            _ => return Answer::error("Invalid statistics domain.\n"),
        }
    }
    let mut show = Show { legends: session.socket_level >= Operator, ..Show::default() };
    if !args.at(at + 2).is_empty() {
        let config = session.control.config();
        let named = config.proxies.iter().find(|p| *p.name == *args.at(at));
        let id = named.map_or_else(|| number(args.at(at)), |p| i64::from(p.uid));
        if id == 0 {
            return Answer::error("No such proxy.\n");
        }
        show.only = Some((id, number(args.at(at + 1)), number(args.at(at + 2))));
        at += 3;
    }
    let mut form = Form::Plain;
    let mut describe = false;
    for word in args.from(at) {
        match word {
            "typed" => form = Form::Typed,
            "json" => form = Form::Json,
            "desc" => describe = true,
            "up" => show.hide_down = true,
            "no-maint" => show.hide_maint = true,
            _ => {}
        }
    }
    let snapshot = snapshot(&*session.control, show);
    Answer::Dump(match form {
        Form::Plain => render::csv(&snapshot),
        Form::Typed => render::typed(&snapshot, describe),
        Form::Json => render::json(&snapshot),
    })
}

fn backend(session: &mut Session, _: &Args) -> Answer {
    let mut out = String::from("# name\n");
    for proxy in session.control.config().proxies.iter().filter(|p| p.back.is_some()) {
        out.push_str(&proxy.name);
        out.push('\n');
    }
    Answer::Dump(out)
}

fn env(_: &mut Session, args: &Args) -> Answer {
    let line = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        format!("{}={}\n", name.to_string_lossy(), value.to_string_lossy())
    };
    match args.at(2) {
        "" => Answer::Dump(std::env::vars_os().map(line).collect()),
        name => match std::env::var_os(name) {
            Some(value) => Answer::Dump(line((name.into(), value))),
            None => Answer::error("Variable not found\n"),
        },
    }
}

fn sockets(session: &mut Session, _: &Args) -> Answer {
    let mut out = String::from("# socket lvl processes\n");
    for socket in &session.control.config().global.stats_sockets {
        let family = match &socket.address {
            Address::Inet(a) if a.is_ipv4() => "ipv4@",
            Address::Inet(_) => "ipv6@",
            _ => "",
        };
        out.push_str(&format!("{family}{} {} all\n", socket.address, level_name(socket.level)));
    }
    Answer::Dump(out)
}

/// In the words that vtest and the data plane API look for.
fn reload(session: &mut Session, _: &Args) -> Answer {
    match session.control.reload() {
        Some((worked, logs)) => Answer::Dump(format!("Success={}\n--\n{logs}", u8::from(worked))),
        None => Answer::error("'reload' needs a master process.\n"),
    }
}
