//! Commands about variables of the process.

use crate::config::compile::variable::evaluate;
use crate::config::global::CliLevel::Operator;
use crate::rules::{Sample, to_bytes, vars};

use super::command::Command;
use super::session::{Answer, Session};
use super::words::Args;

pub static COMMANDS: &[Command] = &[
    Command::new(
        Operator,
        "get var",
        "<name>",
        "Type and value of a process-wide variable.",
        "get var proc.x",
        "2.1",
        get,
    ),
    Command::new(
        Operator,
        "set var",
        "<name> [expr|fmt] <value>",
        "Set a process-wide variable (in experimental mode).",
        "set var proc.x int(1)",
        "2.4",
        set,
    ),
];

fn get(_: &mut Session, args: &Args) -> Answer {
    let name = args.at(2);
    if name.is_empty() {
        return Answer::error("Missing process-wide variable identifier.\n");
    }
    let value = vars::lookup(name).filter(|_| name.starts_with("proc.")).and_then(vars::process);
    match value {
        None => Answer::error("Variable not found.\n"),
        // HAProxy ends this line with the answer itself.
        Some(value) => Answer::Dump(shown(name, &value)),
    }
}

fn set(session: &mut Session, args: &Args) -> Answer {
    if !session.is_experimental {
        return Answer::error("This command is restricted to experimental mode only.\n");
    }
    let name = args.at(2);
    let (is_format, at) = match args.at(3) {
        "fmt" => (true, 4),
        "expr" => (false, 4),
        _ => (false, 3),
    };
    let text = args.from(at).collect::<Vec<_>>().join(" ");
    if name.is_empty() || text.is_empty() {
        return Answer::error("Missing process-wide variable identifier or expression.\n");
    }
    // Only variables that a configuration names exist in the process.
    let Some(id) = vars::lookup(name).filter(|_| name.starts_with("proc.")) else {
        return Answer::error("Variable not found.\n");
    };
    match evaluate(&text, is_format) {
        Ok(Some(value)) => {
            vars::set_process(id, Some(value));
            Answer::Done
        }
        Ok(None) => Answer::error("Failed to evaluate expression.\n"),
        Err(e) => Answer::error(format!("{e}.\n")),
    }
}

fn shown(name: &str, value: &Sample<'_>) -> String {
    let printable = |b: &u8| if b.is_ascii_graphic() || *b == b' ' { *b as char } else { '.' };
    let text: String = to_bytes(value).iter().map(printable).collect();
    format!("{name}: type={} value=<{text}>", value.kind().name())
}
