//! `reqadd`, `reqdel`, `reqrep`, `rspadd`, `rspdel`, `rsprep` and their forms without case (manual of HAProxy 2.0, 4.2).
//!
//! They work on whole lines: the first one, and of each field `Name: value`. Where a line tells which one it means, it
//! becomes a rule on that; else one of ours that looks at all of them.

use crate::lang::{Line, Word};

use super::change::{Outcome, Target, word, words};
use super::condition::{and, term};
use super::expression::{Group, Kind, caseless, is_anything, is_choice, literal, named, pieces, renumber};
use super::request_line;

/// Which message a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Request,
    Response,
}

impl Side {
    pub fn rules(self) -> &'static str {
        if self == Side::Request { "http-request" } else { "http-response" }
    }

    /// The fetch of whole field values.
    pub fn fields(self) -> &'static str {
        if self == Side::Request { "req.fhdr" } else { "res.fhdr" }
    }
}

/// A line of this family.
pub struct Old<'a> {
    pub line: &'a Line,
    pub side: Side,
    pub verb: &'a str,
    pub ignore_case: bool,
    pub target: Target,
}

impl<'a> Old<'a> {
    /// Reads the keyword: `req` or `rsp`, `i` for no case, and what to do.
    pub fn of(line: &'a Line, target: Target) -> Option<Old<'a>> {
        let keyword = line.str(0);
        let (side, rest) = match (keyword, keyword.get(..3)?) {
            // The oldest names.
            ("cliexp", _) => (Side::Request, "rep"),
            ("srvexp", _) => (Side::Response, "rep"),
            (_, "req") => (Side::Request, &keyword[3..]),
            (_, "rsp") => (Side::Response, &keyword[3..]),
            _ => return None,
        };
        const VERBS: [&str; 8] = ["add", "allow", "del", "deny", "pass", "rep", "setbe", "tarpit"];
        let (ignore_case, verb) = match rest.strip_prefix('i') {
            Some(verb) => (true, verb),
            None => (false, rest),
        };
        // One without its argument would match every line; it was refused.
        (VERBS.contains(&verb) && !line.str(1).is_empty()).then_some(Old {
            line,
            side,
            verb,
            ignore_case,
            target,
        })
    }

    pub fn search(&self) -> &'a str {
        self.line.str(1)
    }

    /// Words from `i` on: the condition.
    pub fn condition(&self, i: usize) -> &'a [Word] {
        self.line.words.get(i..).unwrap_or(&[])
    }

    /// `http-request ACTION ...` with a condition.
    pub fn rule<const N: usize>(&self, action: [&str; N], condition: Vec<Word>) -> Vec<Word> {
        let mut rule = words([self.side.rules()], self.line.span);
        // What replaces an argument stands where that does.
        let at = |i: usize| self.line.at(if i == 0 { 0 } else { 1 });
        rule.extend(action.into_iter().enumerate().map(|(i, text)| word(text, at(i))));
        rule.extend(condition);
        rule
    }

    fn one<const N: usize>(&self, action: [&str; N], condition: Vec<Word>, note: &str) -> Outcome {
        Outcome::new(vec![self.rule(action, condition)], note)
    }
}

/// `reqadd` and `rspadd`.
pub fn add(old: &Old<'_>) -> Option<Outcome> {
    let (name, value) = old.search().split_once(':')?;
    let (name, value) = (name.trim(), literal(value.trim()));
    if name.is_empty() || value.is_empty() {
        return None;
    }
    Some(old.one(["add-header", name, &value], old.condition(2).to_vec(), "headers are added by rules"))
}

/// `reqrep` and `rsprep`.
pub fn replace(old: &Old<'_>) -> Option<Outcome> {
    let (search, string) = (old.search(), old.line.words.get(2)?.str());
    let condition = old.condition(3);
    if let Some((name, regex, value)) = field(search, string, old.ignore_case) {
        let action = ["replace-header", &name, &regex, &value];
        return Some(old.one(action, condition.to_vec(), "lines are replaced field by field"));
    }
    let path = (old.side == Side::Request).then(|| request_line::replace(search, string)).flatten();
    if let Some(path) = path {
        let mut condition = condition.to_vec();
        if !path.methods.is_empty() {
            let at = old.line.at(1);
            let fetch = if old.ignore_case { vec!["method", "-i"] } else { vec!["method"] };
            let inside = fetch.into_iter().map(str::to_owned).chain(path.methods).collect::<Vec<_>>();
            let mut methods = vec![word("{", at)];
            methods.extend(inside.into_iter().map(|text| word(text, at)));
            methods.push(word("}", at));
            condition = and(&condition, &methods);
        }
        let regex = caseless(path.regex, old.ignore_case);
        let action = [path.action, &regex, &path.replacement];
        return Some(old.one(action, condition, "the request line is replaced part by part"));
    }
    Some(match old.target {
        Target::Isobar => {
            let regex = caseless(search.to_owned(), old.ignore_case);
            old.one(["replace-line", &regex, string], condition.to_vec(), "a rule on whole lines")
        }
        Target::Haproxy => Outcome::lost(
            "HAProxy has no rule on whole lines any more, and which line is meant cannot be told: \
             'replace-header', 'replace-path' or 'set-status' do this for one",
        ),
    })
}

/// The arguments of `replace-header` that say the same as an expression on the lines of one field.
fn field(search: &str, string: &str, ignore_case: bool) -> Option<(String, String, String)> {
    let named = named(search)?;
    let literal_name = string.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case(&named.name));
    let value = match (named.group, literal_name) {
        (Group::None, Some((_, value))) => value.trim_start().to_owned(),
        (Group::Name, Some((_, value))) => renumber(value.trim_start(), 1)?,
        (Group::Name, None) => renumber(string.strip_prefix(r"\1")?.trim_start(), 1)?,
        (Group::Line, None) => {
            let behind = string.strip_prefix(r"\1")?;
            if behind.contains(r"\1") {
                return None;
            }
            string.to_owned()
        }
        (Group::Line, Some(_)) | (Group::None, None) => return None,
    };
    if value.is_empty() || value.contains(r"\0") || !named.had_blank && !begins_openly(&named.rest, &value) {
        return None;
    }
    let open = if named.group == Group::Line { "^(" } else { "^" };
    let regex = caseless(format!("{open}{}", named.rest), ignore_case);
    Some((named.name, regex, literal(&value)))
}

/// Whether an expression for what follows the colon matches the blank there without telling: `.*`, or a group of it that
/// the value begins with.
fn begins_openly(rest: &str, value: &str) -> bool {
    let Some(list) = pieces(rest.trim_end_matches(')')).or_else(|| pieces(rest)) else { return false };
    let kind = |i: usize| list.get(i).map(|p| p.kind);
    let is_wide = |i: usize| {
        matches!(kind(i), Some(Kind::Any)) && kind(i + 1) == Some(Kind::Repeat)
            || kind(i) == Some(Kind::Set)
                && rest[list[i].range.clone()].starts_with("[^")
                && !rest[list[i].range.clone()].contains(' ')
                && kind(i + 1) == Some(Kind::Repeat)
    };
    match kind(0) {
        None => true,
        Some(Kind::Open { captures: true }) => {
            is_wide(1) && (value.starts_with(r"\1") || !value.contains(r"\1"))
        }
        _ => is_wide(0),
    }
}

/// `reqdel` and `rspdel`.
pub fn delete(old: &Old<'_>) -> Option<Outcome> {
    let condition = old.condition(2).to_vec();
    let search = old.search();
    let note = "fields are removed by name";
    let list = pieces(search)?;
    if let Some(name) = prefix(search) {
        return Some(old.one(["del-header", &name, "-m", "beg"], condition, note));
    }
    if let Some(named) = named(search) {
        if named.group != Group::Line && is_anything(&named.rest) {
            return Some(old.one(["del-header", &named.name], condition, note));
        }
        if old.target == Target::Haproxy && named.group == Group::None && named.had_blank {
            let regex = caseless(format!("^{}", named.rest), old.ignore_case);
            let fetch = format!("{}({})", old.side.fields(), named.name);
            let term = term([&fetch, "-m", "reg", &regex], old.line.at(1));
            let rule = old.rule(["del-header", &named.name], and(&condition, &term));
            let note = "HAProxy removes all fields of a name or none: more than one go when one matches";
            return Some(Outcome { is_lossy: true, ..Outcome::new(vec![rule], note) });
        }
    }
    let colon = list.iter().position(|p| p.depth == 0 && p.is_literal(':'));
    if let Some(colon) = colon.filter(|_| list[0].kind == Kind::Begin && !is_choice(&list))
        && is_anything(&search[list[colon].range.end..])
    {
        let name = caseless(format!("{}$", &search[..list[colon].range.start]), true);
        return Some(old.one(["del-header", &name, "-m", "reg"], condition, note));
    }
    Some(match old.target {
        Target::Isobar => {
            let regex = caseless(search.to_owned(), old.ignore_case);
            old.one(["del-line", &regex], condition, "a rule on whole lines")
        }
        Target::Haproxy => {
            Outcome::lost("HAProxy has no rule on whole lines any more: 'del-header' removes by name")
        }
    })
}

/// `^X-Internal`, which says how names begin and nothing else.
fn prefix(search: &str) -> Option<String> {
    let name = search.strip_prefix('^')?;
    let name = name.strip_suffix(".*").unwrap_or(name).replace(r"\-", "-");
    let is_name =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    is_name.then_some(name)
}
