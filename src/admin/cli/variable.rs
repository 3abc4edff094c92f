//! Commands about variables of the process.

use crate::config::global::CliLevel::Operator;
use crate::rules::{Sample, to_bytes, vars};

use super::command::Command;
use super::session::{Answer, Session, Severity};
use super::words::Args;

pub static COMMANDS: &[Command] = &[Command::new(
    Operator,
    "get var",
    "<name>",
    "Type and value of a process-wide variable.",
    "get var proc.x",
    "2.1",
    get,
)];

fn get(_: &mut Session, args: &Args) -> Answer {
    let name = args.at(2);
    if name.is_empty() {
        return Answer::error("Missing process-wide variable identifier.\n");
    }
    let value = vars::lookup(name).filter(|_| name.starts_with("proc.")).and_then(vars::process);
    match value {
        None => Answer::error("Variable not found.\n"),
        Some(value) => Answer::Message(Severity::Info, shown(name, &value)),
    }
}

fn shown(name: &str, value: &Sample<'_>) -> String {
    let printable = |b: &u8| if b.is_ascii_graphic() || *b == b' ' { *b as char } else { '.' };
    let text: String = to_bytes(value).iter().map(printable).collect();
    format!("{name}: type={} value=<{text}>\n", value.kind().name())
}
