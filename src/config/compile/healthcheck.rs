//! `healthcheck` sections: how servers are checked that name one, whatever their backends say.

use crate::check::Rules;
use crate::lang::args::Args;
use crate::lang::void::is_void_line;
use crate::lang::{Entry, Section, Severity, registry, suggest};
use crate::model::{Caps, Mode};
use crate::rules::{Captures, HttpErrors};

use super::draft::Cx;
use super::keyword::too_many;
use super::rule::build_ctx;

/// Lines of a `healthcheck` section.
#[rustfmt::skip]
pub const LINES: &[Entry] = &[
    Entry::full("http-check", "{ comment | connect | disable-on-404 | expect | send | send-state | set-var | set-var-fmt | unset-var } ...", "A step of a check of type 'httpchk', as in a backend.", "http-check send meth GET uri /health", "3.4"),
    Entry::full("tcp-check", "{ comment | connect | expect | send | send-lf | send-binary | send-binary-lf | set-var | set-var-fmt | unset-var } ...", "A step of a check of type 'tcp-check', as in a backend.", "tcp-check connect", "3.4"),
    Entry::full("type", "{ httpchk [<method>] [<uri> [<version> [<host>]]] | tcp-check | udp-check | ssl-hello-chk | smtpchk ... | mysql-check ... | pgsql-check ... | redis-check | ldap-check | spop-check }", "What is checked, as 'option' says it in a backend; without it connecting is all.", "type httpchk", "3.4"),
];

/// Types that are steps of their own.
const OWN: [&str; 7] =
    ["ssl-hello-chk", "smtpchk", "mysql-check", "pgsql-check", "redis-check", "ldap-check", "spop-check"];

/// Reads a section.
pub fn section<'a>(cx: &mut Cx<'a>, section: &'a Section) {
    let head = Args::of(&section.head);
    let name = head.str(1);
    if name.is_empty() {
        return cx.diags.alert(head.span, "'healthcheck' expects a name.");
    }
    if too_many(cx, head, 0, 1) {
        return;
    }
    if let Some((_, at)) = cx.healthchecks.get(name) {
        let place = cx.place(*at);
        return cx.diags.alert(head.at(1), format!("there is a healthcheck '{name}' already, at {place}."));
    }
    let (mut rules, mut steps) = (Rules::default(), [false; 2]);
    for line in &section.lines {
        let args = Args::of(line);
        if !is_void_line(registry::Kind::In("healthcheck"), args.words) {
            one_line(cx, name, args, &mut rules);
            steps[0] |= args.str(0) == "http-check";
            steps[1] |= args.str(0) == "tcp-check";
        }
    }
    let uses = [rules.is_http(), rules.is_script()];
    for (word, kind, at) in [("http-check", "httpchk", 0), ("tcp-check", "tcp-check", 1)] {
        if steps[at] && !uses[at] {
            let message = format!(
                "healthcheck '{name}' has '{word}' lines without 'type {kind}', so they are ignored."
            );
            cx.diags.warning(head.span, message);
        }
    }
    cx.healthchecks.insert(name.into(), (rules, head.at(1)));
}

fn one_line<'a>(cx: &mut Cx<'a>, name: &'a str, args: Args<'a>, rules: &mut Rules) {
    let words: Vec<&str> = (1..args.words.len()).map(|i| args.str(i)).collect();
    let title = format!("healthcheck '{name}'");
    let (mut captures, pages) = (Captures::default(), HttpErrors::default());
    let caps = Caps { front: false, back: true };
    let mut ctx = build_ctx(cx, &title, caps, Mode::Http, &mut captures, &pages);
    let (result, first) = match args.str(0) {
        "http-check" => (rules.http_check(&words, &mut ctx).map(|()| Vec::new()), 1),
        "tcp-check" => (rules.tcp_check(&words, &mut ctx).map(|()| Vec::new()), 1),
        "type" => match args.str(1) {
            "httpchk" => (rules.option_httpchk(words.get(1..).unwrap_or_default(), &mut ctx), 2),
            "tcp-check" | "udp-check" => {
                if args.str(1) == "tcp-check" {
                    rules.option_tcp_check()
                } else {
                    rules.option_udp_check()
                }
                too_many(cx, args, 1, 0);
                return;
            }
            own if OWN.contains(&own) => {
                (rules.option_protocol(own, words.get(1..).unwrap_or_default()).map(|()| Vec::new()), 2)
            }
            other => {
                let message = format!("'type' expects a kind of check, not '{other}'.");
                let kinds = OWN.into_iter().chain(["httpchk", "tcp-check", "udp-check"]);
                return cx.diags.alert_hint(args.at(1), message, suggest::hint(other, kinds));
            }
        },
        other => {
            let message = format!("unknown keyword '{other}' in 'healthcheck' section");
            let hint = suggest::hint(other, LINES.iter().map(|entry| entry.name));
            return cx.diags.alert_hint(args.at(0), message, hint);
        }
    };
    cx.keep_references(name);
    let (severity, faults) = match result {
        Ok(warnings) => (Severity::Warning, warnings),
        Err(fault) => (Severity::Alert, vec![fault]),
    };
    for fault in faults {
        cx.diags.push(severity, Some(args.at(first + fault.word)), fault.message);
    }
}
