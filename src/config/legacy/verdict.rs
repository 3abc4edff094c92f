//! `reqallow`, `reqdeny`, `reqpass`, `reqtarpit`, `reqsetbe`, `rspdeny` and their forms without case, and `block`.

use crate::lang::Word;

use super::change::{Outcome, word, words};
use super::condition::{and, not, term};
use super::expression::{Group, caseless, named};
use super::header::{Old, Side};

/// Where the request line is kept for conditions.
const LINE: &str = "txn.isobar_line";
/// Set when a request was allowed: later verdicts do not touch it.
const ALLOWED: &str = "txn.isobar_allowed";

/// What one of these lines becomes. `has_allow`: some line allows.
pub fn verdict(old: &Old<'_>, has_allow: bool) -> Option<Outcome> {
    let at = old.line.at(1);
    let after = if old.verb == "setbe" { 3 } else { 2 };
    let condition = old.condition(after);
    let (mut made, tests) = tests(old);
    let allowed = term([&format!("var({ALLOWED})"), "-m", "found"], at);
    for test in tests {
        let mut condition = and(condition, &test);
        if has_allow && old.side == Side::Request && matches!(old.verb, "deny" | "tarpit") {
            condition = and(&condition, &not(allowed.clone()));
        }
        let rule = match old.verb {
            "allow" | "pass" => old.rule([&format!("set-var({ALLOWED})"), "int(1)"], condition),
            "deny" => old.rule(["deny"], condition),
            "tarpit" => old.rule(["tarpit"], condition),
            _ => {
                let mut rule = words(["use_backend"], at);
                rule.push(old.line.words.get(2)?.clone());
                rule.extend(condition);
                rule
            }
        };
        made.push(rule);
    }
    Some(Outcome::new(made, "verdicts are rules with conditions"))
}

/// Rules that must run before, and the conditions under which a line of the message matches.
fn tests(old: &Old<'_>) -> (Vec<Vec<Word>>, Vec<Vec<Word>>) {
    let at = old.line.at(1);
    let search = old.search();
    if let Some(named) = named(search) {
        let open = if named.group == Group::Line { "^(" } else { "^" };
        let regex = caseless(format!("{open}{}", named.rest), old.ignore_case);
        let fetch = format!("{}({})", old.side.fields(), named.name);
        return (Vec::new(), vec![term([&fetch, "-m", "reg", &regex], at)]);
    }
    let (keep, fields) = match old.side {
        Side::Request => ("%[method] %[pathq] HTTP/%[req.ver]", "req.hdrs"),
        Side::Response => ("HTTP/%[res.ver] %[status]", "res.hdrs"),
    };
    let mut set = old.rule([&format!("set-var-fmt({LINE})")], Vec::new());
    set.push(word(keep, at));
    let in_first =
        term([&format!("var({LINE})"), "-m", "reg", &caseless(search.to_owned(), old.ignore_case)], at);
    // Lines of fields end with a carriage return and a line feed, which `$` is to know wherever it stands.
    let flags = if old.ignore_case { "(?mi)" } else { "(?m)" };
    let in_fields = term([fields, "-m", "reg", &format!("(*ANYCRLF){flags}{search}")], at);
    (vec![set], vec![in_first, in_fields])
}

/// `block`, a verdict that came before all others.
pub fn block(line: &crate::lang::Line) -> Option<Outcome> {
    let mut rule = words(["http-request", "deny"], line.at(0));
    rule.extend_from_slice(line.words.get(1..)?);
    Some(Outcome::new(vec![rule], "a rule that denies"))
}
