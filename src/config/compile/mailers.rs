//! `mailers` sections and `email-alert`: read, and without effect. HAProxy too sends mail only by a script since 3.3.

use crate::lang::args::Args;
use crate::lang::time::{Unit, time};
use crate::lang::{Entry, Section, Status, suggest};
use crate::model::notation::{Accept, parse};

use super::draft::Cx;
use super::keyword::Scope;

const WHY: &str = "mail is not sent";

/// Lines of a `mailers` section.
pub const LINES: &[Entry] = &[
    Entry::full("mailer", "<name> <address>", "A server that mail goes to.", "mailer a 127.0.0.1:25", "1.6")
        .with(Status::Accepted(WHY)),
    Entry::full("timeout mail", "<time>", "How long a mail may take.", "timeout mail 10s", "1.6")
        .with(Status::Accepted(WHY)),
];

pub fn section<'a>(cx: &mut Cx<'a>, section: &'a Section) {
    let args = Args::of(&section.head);
    if args.str(1).is_empty() {
        return cx.diags.alert(args.span, "'mailers' expects a <name> argument");
    }
    cx.diags.warning(args.at(0), format!("'mailers {}' has no effect: {WHY}.", args.str(1)));
    for line in &section.lines {
        let args = Args::of(line);
        match (args.str(0), args.str(1)) {
            ("mailer", _) if args.has(2) => {
                let written = parse(args.str(2), Accept::PORT | Accept::STREAM, &cx.surroundings());
                if let Err(e) = written {
                    cx.diags.alert(args.at(2), format!("'mailer' : {e}."));
                }
            }
            ("mailer", _) => {
                cx.diags.alert(args.span, "'mailer' expects <name> and <addr>[:<port>] as arguments.")
            }
            ("timeout", "mail") if args.has(2) => {
                if let Err(e) = time(args.str(2), Unit::Milliseconds) {
                    cx.diags.alert(args.at(2), format!("'timeout mail' : {}.", e.about(args.str(2))));
                }
            }
            ("timeout", _) => cx.diags.alert(args.span, "'timeout' expects 'mail' and <time> as arguments."),
            (name, _) => {
                let hint = suggest::hint(name, LINES.iter().map(|entry| entry.name));
                let message = format!("unknown keyword '{name}' in 'mailers' section");
                cx.diags.alert_hint(args.at(0), message, hint);
            }
        }
    }
}

/// `email-alert { from | level | mailers | myhostname | to } <value>`.
pub fn email_alert<'a>(scope: &mut Scope<'_, 'a>, args: Args<'a>) {
    let what = args.str(1);
    if !matches!(what, "from" | "level" | "mailers" | "myhostname" | "to") {
        let message = format!("email-alert: unknown argument '{what}'.");
        let hint = suggest::hint(what, ["from", "level", "mailers", "myhostname", "to"]);
        return scope.cx.diags.alert_hint(args.at(1), message, hint);
    }
    if !args.has(2) {
        return scope.alert(args.at(1), format!("missing argument after '{what}'."));
    }
    // Once for a section is enough.
    if what == "mailers" {
        scope.warning(args.at(0), format!("'email-alert' has no effect: {WHY}."));
    }
}
