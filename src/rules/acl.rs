//! ACLs: a name, or braces, for "one of these expressions matches one of its patterns".

use std::collections::HashMap;
use std::sync::Arc;

use crate::lang::registry::Kind;
use crate::lang::void::is_void;
use crate::lang::{Line, Place, Span, What, Word, suggest};

use super::build::{BuildCtx, Dir};
use super::cast::{can_cast, cast, to_bytes};
use super::criterion;
use super::expr::{self, Expr, with_dir};
use super::fetch::{self, Cursor};
use super::holds::Holds;
use super::known;
use super::pattern::{self, Match, Matcher, Operator, Reading};
use super::sample::{Sample, SampleType};
use super::txn::Ctx;
use super::vocabulary;
use super::witness::{self, Event};

/// The flag that names a file of patterns; conditions stand in lines of all kinds.
pub const PATTERN_FILE: Place = Place::option("-f", What::File);

/// What a test said; `Miss`: it may be another when more of the message is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Fail,
    Miss,
    Pass,
}

impl Verdict {
    pub fn negated(self) -> Verdict {
        match self {
            Verdict::Fail => Verdict::Pass,
            Verdict::Miss => Verdict::Miss,
            Verdict::Pass => Verdict::Fail,
        }
    }
}

/// One `acl` line: an expression and its patterns.
#[derive(Debug)]
pub struct Test {
    expr: Expr,
    method: Match,
    /// Files and the patterns of the line: one of them must match.
    matchers: Box<[Arc<Matcher>]>,
    /// All patterns stand in the line.
    is_of_line: bool,
    ignores_case: bool,
    /// The ACL's name, and what follows it as it was written.
    name: Box<str>,
    text: Box<str>,
    at: Span,
}

/// The tests of one name.
#[derive(Clone, Debug, Default)]
pub struct Acl {
    tests: Vec<Arc<Test>>,
}

/// An ACL in a condition.
#[derive(Clone, Debug)]
pub struct Term {
    pub negated: bool,
    pub acl: Arc<Acl>,
}

impl Test {
    fn eval(&self, ctx: Ctx<'_>, is_final: bool) -> Verdict {
        if witness::is_asked() { self.told(ctx, is_final) } else { self.run(ctx, is_final, |_| {}) }
    }

    /// Tells what it finds beside what it says.
    #[cold]
    fn told(&self, ctx: Ctx<'_>, is_final: bool) -> Verdict {
        let mut samples = Vec::new();
        let verdict = self.run(ctx, is_final, |sample| samples.push(shown(sample)));
        witness::note(|| Event::Test {
            name: self.name.clone(),
            text: self.text.clone(),
            at: self.at,
            samples,
            verdict: match verdict {
                Verdict::Fail => "no",
                Verdict::Miss => "not known yet",
                Verdict::Pass => "yes",
            },
        });
        verdict
    }

    #[inline]
    fn run(&self, ctx: Ctx<'_>, is_final: bool, mut tell: impl FnMut(&Sample<'_>)) -> Verdict {
        let mut cursor = Cursor { iterate: true, ..Cursor::default() };
        let wants = self.method.wants();
        let mut verdict = Verdict::Fail;
        loop {
            cursor.more = false;
            cursor.may_change = false;
            let matches = |s: &Sample<'_>| self.matchers.iter().any(|m| m.matches(s));
            let passes = match self.expr.eval_at(ctx, &mut cursor) {
                Some(sample) => {
                    tell(&sample);
                    if sample.kind() == wants {
                        matches(&sample)
                    } else {
                        cast(sample, wants).is_some_and(|s| matches(&s))
                    }
                }
                None => false,
            };
            if passes {
                return Verdict::Pass;
            }
            if cursor.may_change && !is_final {
                verdict = Verdict::Miss;
            }
            if !cursor.more {
                return verdict;
            }
        }
    }
}

impl Test {
    pub(super) fn expr(&self) -> &Expr {
        &self.expr
    }

    pub(super) fn method(&self) -> Match {
        self.method
    }

    pub(super) fn matchers(&self) -> &[Arc<Matcher>] {
        &self.matchers
    }

    pub(super) fn is_of_line(&self) -> bool {
        self.is_of_line
    }

    pub(super) fn ignores_case(&self) -> bool {
        self.ignores_case
    }
}

/// Longest sample that is told.
const SHOWN: usize = 400;

/// A sample as it is told.
fn shown(sample: &Sample<'_>) -> String {
    let text = to_bytes(sample);
    String::from_utf8_lossy(&text[..text.len().min(SHOWN)]).into_owned()
}

impl Acl {
    pub(super) fn tests(&self) -> &[Arc<Test>] {
        &self.tests
    }

    pub fn eval(&self, ctx: Ctx<'_>, is_final: bool) -> Verdict {
        let mut verdict = Verdict::Fail;
        for test in &self.tests {
            verdict = verdict.max(test.eval(ctx, is_final));
            if verdict == Verdict::Pass {
                break;
            }
        }
        verdict
    }
}

impl Holds for Acl {
    fn holds(&self, ctx: Ctx<'_>) -> bool {
        self.eval(ctx, true) == Verdict::Pass
    }
}

impl Term {
    pub fn eval(&self, ctx: Ctx<'_>, is_final: bool) -> Verdict {
        let verdict = self.acl.eval(ctx, is_final);
        if self.negated { verdict.negated() } else { verdict }
    }
}

/// The named ACLs of one proxy, with those of its defaults.
#[derive(Clone, Debug, Default)]
pub struct Acls {
    named: HashMap<Box<str>, Arc<Acl>>,
}

impl Acls {
    /// One `acl <name> <criterion> ...` line; a name that exists gets one more test.
    pub fn define(&mut self, line: &Line, ctx: &mut BuildCtx<'_>) {
        let name = line.str(1);
        let bad =
            name.bytes().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.' | b':')));
        if let Some(c) = bad {
            ctx.error(
                line.at(1),
                format!("character '{}' is not permitted in acl name '{name}'.", c as char),
            );
            return;
        }
        if name.eq_ignore_ascii_case("or") {
            let message = format!(
                "acl name '{name}' will never match. 'or' is used to express a logical OR within a condition."
            );
            ctx.error(line.at(1), message);
            return;
        }
        if line.words.len() < 3 {
            ctx.error(line.span, "acl expects <name> and <criterion> [<value>...]");
            return;
        }
        if let Some(test) = parse_test(name, &line.words[2..], ctx) {
            ctx.acls.remove(name);
            let acl = self.named.entry(name.into()).or_default();
            Arc::make_mut(acl).tests.push(Arc::new(test));
            ctx.acls.insert(name.into(), acl.clone());
        }
    }

    pub fn find(&self, name: &str) -> Option<&Arc<Acl>> {
        self.named.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(|n| &**n)
    }
}

/// The words between braces as an ACL.
pub fn anonymous(words: &[Word], ctx: &mut BuildCtx<'_>) -> Option<Arc<Acl>> {
    called("", words, ctx)
}

fn called(name: &str, words: &[Word], ctx: &mut BuildCtx<'_>) -> Option<Arc<Acl>> {
    let test = parse_test(name, words, ctx)?;
    Some(Arc::new(Acl { tests: vec![Arc::new(test)] }))
}

/// ACLs that need no definition (manual section 7.4).
#[rustfmt::skip]
const PREDEFINED: &[(&str, &[&str])] = &[
    ("FALSE", &["always_false"]),
    ("HTTP", &["req.proto_http"]),
    ("HTTP_1.0", &["req.ver", "1.0"]),
    ("HTTP_1.1", &["req.ver", "1.1"]),
    ("HTTP_2.0", &["req.ver", "2.0"]),
    ("HTTP_3.0", &["req.ver", "3.0"]),
    ("HTTP_CONTENT", &["req.hdr_val(content-length)", "gt", "0"]),
    ("HTTP_URL_ABS", &["url_reg", "^[^/:]*://"]),
    ("HTTP_URL_SLASH", &["url_beg", "/"]),
    ("HTTP_URL_STAR", &["url", "*"]),
    ("LOCALHOST", &["src", "127.0.0.1/8", "::1"]),
    ("METH_CONNECT", &["method", "CONNECT"]),
    ("METH_DELETE", &["method", "DELETE"]),
    ("METH_GET", &["method", "GET", "HEAD"]),
    ("METH_HEAD", &["method", "HEAD"]),
    ("METH_OPTIONS", &["method", "OPTIONS"]),
    ("METH_POST", &["method", "POST"]),
    ("METH_PUT", &["method", "PUT"]),
    ("METH_TRACE", &["method", "TRACE"]),
    ("RDP_COOKIE", &["req.rdp_cookie_cnt", "gt", "0"]),
    ("REQ_CONTENT", &["req.len", "gt", "0"]),
    ("TRUE", &["always_true"]),
    ("WAIT_END", &["wait_end"]),
];

/// The names of [`PREDEFINED`].
pub fn predefined_names<'n>() -> impl Iterator<Item = &'n str> {
    PREDEFINED.iter().map(|(name, _)| -> &'n str { name })
}

/// The predefined ACL of this name.
pub fn predefined(name: &str, span: Span, ctx: &mut BuildCtx<'_>) -> Option<Arc<Acl>> {
    let (_, words) = PREDEFINED.iter().find(|(n, _)| *n == name)?;
    let words: Vec<Word> = words.iter().map(|w| Word::new(w.as_bytes().to_vec(), span)).collect();
    called(name, &words, ctx)
}

fn parse_test(name: &str, words: &[Word], ctx: &mut BuildCtx<'_>) -> Option<Test> {
    // Criteria without a direction in their name read the request, whatever rule uses the ACL.
    with_dir(ctx, Dir::Request, |ctx| match parse_expr(words, ctx) {
        Ok((expr, method, forced)) => {
            let mut test = parse_patterns(words, expr, method, forced, ctx)?;
            test.name = name.into();
            Some(test)
        }
        Err(message) => {
            let first = words.first()?;
            ctx.error(first.span, message);
            None
        }
    })
}

/// The criterion: its expression, the method its name or type implies, and the name whose method must not be
/// overridden silently.
fn parse_expr(
    words: &[Word],
    ctx: &mut BuildCtx<'_>,
) -> Result<(Expr, Option<Match>, Option<&'static str>), String> {
    let word = words.first().ok_or("missing ACL expression")?;
    let text = word.bytes();
    let len = text.iter().position(|c| matches!(c, b'(' | b',')).unwrap_or(text.len());
    let name = String::from_utf8_lossy(&text[..len]);
    let found = criterion::find(&name).and_then(|c| Some((c, fetch::find(c.fetch)?)));
    let there = |e: String| format!("{e} in ACL expression '{}'", word.str());
    if found.is_none() && fetch::find(&name).is_none() && !name.is_empty() {
        return Err(there(unknown(&name)));
    }
    let (mut parts, mut end) =
        expr::parse_fetch(text, word.span, found.map(|(_, f)| f), ctx).map_err(there)?;
    let has_converters = text.get(end) == Some(&b',');
    if has_converters {
        end = parts.converters(text, end + 1, ctx)?;
    }
    if let Some(c) = text.get(end) {
        return Err(format!("unexpected character '{}' in ACL expression '{}'", char::from(*c), word.str()));
    }
    let expr = parts.finish(word.str());
    let implied = match found {
        Some((criterion, _)) if !has_converters => Some(criterion.method),
        _ => Match::default_for(expr.out()),
    };
    let named = found.map(|(c, _)| c.name).filter(|_| !has_converters);
    Ok((expr, implied, named))
}

/// What to say of a name that is neither a fetch nor a criterion.
fn unknown(name: &str) -> String {
    let criteria = criterion::all().filter(|c| fetch::find(c.fetch).is_some()).map(|c| c.name);
    let fetches = fetch::FETCHES.iter().flat_map(|t| t.iter()).map(|f| f.entry.name);
    known::complaint("fetch method", name, &vocabulary::fetch::FETCHES, fetches.chain(criteria))
}

/// Flags and patterns behind the criterion.
fn parse_patterns(
    words: &[Word],
    expr: Expr,
    implied: Option<Match>,
    named: Option<&'static str>,
    ctx: &mut BuildCtx<'_>,
) -> Option<Test> {
    let first = words.first()?.span;
    let (flags, files, at) = read_flags(words, &expr, ctx)?;
    let void = flags.is_void || named.is_some_and(|name| is_void(Kind::Criterion, name));
    let Some(method) = flags.method.or(implied) else {
        let message = format!(
            "matching method must be specified first (using '-m') when using a sample fetch of this type ('{}')",
            expr.fetch_name()
        );
        ctx.error(first, message);
        return None;
    };
    warn(&expr, implied, &flags, named, words, first, ctx);
    let mut matchers = Vec::new();
    for (file, ignore_case) in &files {
        matchers.push(of_file(file, method, Flags { ignore_case: *ignore_case, ..flags }, ctx)?);
    }
    let rest = words.get(at..).unwrap_or_default();
    // Methods without patterns need a matcher all the same.
    if !rest.is_empty() || files.is_empty() {
        let description = format!("acl '{}' in {} line {}", expr.fetch_name(), ctx.section, first.line);
        matchers.push(of_words(rest, method, flags, description, first, ctx)?);
    }
    if void {
        matchers.clear();
    }
    let text = words.iter().map(Word::str).collect::<Vec<_>>().join(" ").into();
    Some(Test {
        expr,
        method,
        matchers: matchers.into(),
        is_of_line: files.is_empty(),
        ignores_case: flags.ignore_case,
        name: "".into(),
        text,
        at: first,
    })
}

/// The flags before the patterns, files with whether case is ignored in them, and where the patterns begin.
type ReadFlags<'w> = (Flags, Vec<(&'w Word, bool)>, usize);

fn read_flags<'w>(words: &'w [Word], expr: &Expr, ctx: &mut BuildCtx<'_>) -> Option<ReadFlags<'w>> {
    let mut flags = Flags::default();
    let mut at = 1;
    let mut files: Vec<(&'w Word, bool)> = Vec::new();
    while let Some(word) = words.get(at).filter(|w| w.str().starts_with('-')) {
        at += 1;
        match word.str() {
            "--" => break,
            "-i" => flags.ignore_case = true,
            "-n" => flags.no_dns = true,
            "-M" => flags.as_map = true,
            "-u" => {
                flags.id = words.get(at).and_then(|w| w.str().parse().ok());
                if flags.id.is_none() {
                    ctx.error(word.span, "the argument of -u must be an integer");
                    return None;
                }
                at += 1;
            }
            "-f" => {
                files.push((words.get(at).unwrap_or(word), flags.ignore_case));
                at += 1;
            }
            "-m" => {
                let name = words.get(at).map_or("", Word::str);
                flags.is_void = is_void(Kind::AclMatch, name);
                let place = words.get(at).map_or(word.span, |w| w.span);
                flags.method = Some(forced_method(name, place, expr, &flags, !files.is_empty(), ctx)?);
                at += 1;
            }
            other => {
                let message = format!(
                    "'{other}' is not a valid ACL option. Please use '--' before any pattern beginning with a '-'"
                );
                ctx.error(word.span, message);
                return None;
            }
        }
    }
    Some((flags, files, at))
}

#[derive(Clone, Copy, Default)]
struct Flags {
    ignore_case: bool,
    no_dns: bool,
    as_map: bool,
    method: Option<Match>,
    id: Option<u32>,
    is_void: bool,
}

fn forced_method(
    name: &str,
    span: Span,
    expr: &Expr,
    flags: &Flags,
    is_loaded: bool,
    ctx: &mut BuildCtx<'_>,
) -> Option<Match> {
    let error = if is_loaded {
        "'-m' must only be specified before patterns and files in parsing ACL expression".to_owned()
    } else if flags.method.is_some() {
        "only one explicit matching method can be defined with '-m' parameter. if migrating from an old version, \
         just keep the last one"
            .to_owned()
    } else {
        match pattern::find(name) {
            Some(Match::Found) => return Some(Match::Found),
            Some(method) if can_cast(expr.out(), method.wants()) => return Some(method),
            Some(_) => {
                format!("matching method '{name}' cannot be used with fetch keyword '{}'", expr.fetch_name())
            }
            None => {
                let names = pattern::MATCHES.iter().map(|m| m.entry.name);
                let message = format!("unknown matching method '{name}' when parsing ACL expression");
                suggest::with_hint(message, name, names)
            }
        }
    };
    ctx.error(span, error);
    None
}

/// The mistakes HAProxy warns of.
fn warn(
    expr: &Expr,
    implied: Option<Match>,
    flags: &Flags,
    named: Option<&'static str>,
    words: &[Word],
    span: Span,
    ctx: &mut BuildCtx<'_>,
) {
    if words.len() == 1 && expr.out() != SampleType::Bool && implied.is_some() {
        let message = format!(
            "parsing acl keyword '{}' : no pattern to match against were provided, so this ACL will never match. If \
             this is what you intended, please add '--' to get rid of this warning. If you intended to match only for \
             existence, please use '-m found'. If you wanted to force an int to match as a bool, please use '-m bool'.",
            words[0].str()
        );
        ctx.warning(span, message);
    }
    let is_plain =
        matches!(implied, None | Some(Match::Str | Match::Bin | Match::Int | Match::Bool | Match::Ip));
    if let (Some(name), Some(method), false) = (named, flags.method, is_plain)
        && Some(method) != implied
    {
        ctx.warning(
            span,
            format!("original matching method '{name}' was overwritten and will not be applied as expected."),
        );
    }
}

fn reading(method: Match, flags: Flags) -> Reading {
    Reading { method, ignore_case: flags.ignore_case, resolve: !flags.no_dns, out: None }
}

fn of_file(file: &Word, method: Match, flags: Flags, ctx: &mut BuildCtx<'_>) -> Option<Arc<Matcher>> {
    let found = pattern::reference_of_file(file.str(), flags.as_map, file.span.line, ctx).and_then(|list| {
        list.matcher(reading(method, flags)).map_err(|e| format!("{e} of file '{}'", file.str()))
    });
    found.map_err(|e| ctx.error(file.span, e)).ok()
}

fn of_words(
    words: &[Word],
    method: Match,
    flags: Flags,
    description: String,
    span: Span,
    ctx: &mut BuildCtx<'_>,
) -> Option<Arc<Matcher>> {
    let list = ctx.patterns.inline(flags.id, description).map_err(|e| ctx.error(span, e)).ok()?;
    let is_number = matches!(method, Match::Int | Match::Len);
    let mut operator = Operator::Eq;
    for word in words {
        if is_number && let Some(op) = Operator::parse(word.str()) {
            operator = op;
            continue;
        }
        let text = if is_number { operator.apply(word.bytes()) } else { word.bytes().to_vec() };
        list.load(&text, None, 0);
    }
    let place = words.first().map_or(span, |w| w.span);
    list.matcher(reading(method, flags)).map_err(|e| ctx.error(place, e)).ok()
}
