//! Redirects: `redirect` as an action and as a keyword of its own.

use crate::http::BodyLen;
use crate::http::status::reason_phrase;
use crate::lang::{Entry, Word};
use crate::rules::build::BuildCtx;
use crate::rules::fetch::{path_of, without_query};
use crate::rules::logformat::{LogFormat, LogUse};
use crate::rules::txn::{Outcome, Reply};
use crate::rules::words::{Failed, Words};

use super::entry::{Action, ActionKeyword, Input, Run, Sets, Step};
use super::rewrite::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Location,
    Prefix,
    Scheme,
}

#[derive(Debug)]
struct Redirect {
    kind: Kind,
    code: u16,
    to: Value,
    cookie: Option<Value>,
    drop_query: bool,
    keep_query: bool,
    append_slash: bool,
    ignore_empty: bool,
}

impl Action for Redirect {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let mut location = run.render(&self.to);
        if self.kind == Kind::Location && location.is_empty() && self.ignore_empty {
            *run.scratch = location;
            return Step::Next;
        }
        self.complete(&mut location, run);
        let field = |name: &[u8], value: &[u8]| (name.into(), value.into());
        let mut fields = vec![field(b"location", &location)];
        *run.scratch = location;
        if matches!(self.code, 302 | 303 | 307) {
            fields.push(field(b"cache-control", b"no-cache"));
        }
        if let Some(cookie) = &self.cookie {
            let value = run.render(cookie);
            fields.push(field(b"set-cookie", &value));
            *run.scratch = value;
        }
        let reason = Some(reason_phrase(self.code).as_bytes().into());
        // Nobody will read what the client has to send: it had better send it where it is sent to.
        let close = !matches!(run.txn.req.body, BodyLen::None | BodyLen::Tunnel | BodyLen::Length(0));
        let reply = Reply { status: self.code, reason, fields, close, ..Reply::default() };
        Step::Done(Outcome::Final { reply, denied: false })
    }

    fn is_last(&self) -> bool {
        !self.ignore_empty
    }
}

impl Redirect {
    /// Adds what is taken from the request.
    fn complete(&self, location: &mut Vec<u8>, run: &Run<'_>) {
        let req = &run.txn.req;
        let path = path_of(req.target_bytes());
        if self.kind == Kind::Location {
            if self.keep_query {
                keep_query(location, path.unwrap_or_default());
            }
            return;
        }
        if self.kind == Kind::Scheme {
            location.extend_from_slice(b"://");
            location.extend_from_slice(req.field(b"host").unwrap_or_default());
        }
        let path = path.unwrap_or(b"/");
        location.extend_from_slice(if self.drop_query { without_query(path) } else { path });
        if self.append_slash && location.last().is_some_and(|c| *c != b'/') {
            location.push(b'/');
        }
    }
}

/// Appends the request's query behind the location's own.
fn keep_query(location: &mut Vec<u8>, path: &[u8]) {
    let Some(query) = memchr::memchr(b'?', path).map(|at| &path[at + 1..]).filter(|q| !q.is_empty()) else {
        return;
    };
    match location.iter().position(|c| *c == b'?') {
        None => location.push(b'?'),
        Some(at) if at + 1 < location.len() => location.push(b'&'),
        Some(_) => {}
    }
    location.extend_from_slice(query);
}

/// Reads a redirect. `formats`: texts are log-formats (`http-request redirect`), else as they stand (`redirect`).
fn parse(
    words: &mut Words<'_>,
    formats: bool,
    in_response: bool,
    ctx: &mut BuildCtx<'_>,
) -> Result<Redirect, Failed> {
    let mut redirect = Redirect {
        kind: Kind::Location,
        code: 302,
        to: Value::Constant(Box::default()),
        cookie: None,
        drop_query: false,
        keep_query: false,
        append_slash: false,
        ignore_empty: false,
    };
    let mut target: Option<&Word> = None;
    while !words.at_end() {
        let (keyword, place) = (words.peek(), words.place());
        words.skip(1);
        let argument = format!("an argument for '{keyword}'");
        match keyword {
            "location" | "prefix" | "scheme" => {
                redirect.kind = match keyword {
                    "location" => Kind::Location,
                    "prefix" => Kind::Prefix,
                    _ => Kind::Scheme,
                };
                target = Some(words.want(&argument)?);
            }
            "code" => redirect.code = parse_code(words.want(&argument)?)?,
            "set-cookie" => redirect.cookie = Some(constant(words.want(&argument)?, b"; path=/;")),
            "clear-cookie" => {
                redirect.cookie = Some(constant(words.want(&argument)?, b"; path=/; Max-Age=0;"))
            }
            "set-cookie-fmt" => {
                let word = words.want(&argument)?;
                let word = Word::new([word.bytes(), b"; path=/;"].concat(), word.span);
                redirect.cookie = LogFormat::parse(&word, LogUse::Http, ctx).map(Value::new);
            }
            "drop-query" => redirect.drop_query = true,
            "keep-query" => redirect.keep_query = true,
            "append-slash" => redirect.append_slash = true,
            "ignore-empty" => redirect.ignore_empty = true,
            other => {
                let message = format!(
                    "expects 'code', 'prefix', 'location', 'scheme', 'set-cookie', 'set-cookie-fmt', 'clear-cookie', \
                     'drop-query', 'keep-query', 'ignore-empty' or 'append-slash' (was '{other}')"
                );
                return Err((place, message));
            }
        }
    }
    let Some(target) = target else {
        return words.fail("redirection type expected ('prefix', 'location', or 'scheme')");
    };
    if in_response && redirect.kind != Kind::Location {
        return words.fail("response only supports redirect type 'location'");
    }
    // A prefix of `/` alone stands for none, so that a redirect to oneself can be written.
    let nothing = redirect.kind == Kind::Prefix && target.str() == "/";
    redirect.to = if nothing {
        Value::Constant(Box::default())
    } else if formats {
        Value::new(LogFormat::parse(target, LogUse::Http, ctx).unwrap_or_default())
    } else {
        constant(target, b"")
    };
    Ok(redirect)
}

fn constant(word: &Word, tail: &[u8]) -> Value {
    Value::Constant([word.bytes(), tail].concat().into())
}

fn parse_code(word: &Word) -> Result<u16, Failed> {
    match word.str().parse() {
        Ok(code @ (301 | 302 | 303 | 307 | 308)) => Ok(code),
        _ => {
            let text = word.str();
            let message =
                format!("'code': unsupported HTTP code '{text}' (must be one of 301, 302, 303, 307 or 308)");
            Err((word.span, message))
        }
    }
}

/// The `redirect` keyword: its texts are no log-formats.
pub fn legacy(words: &mut Words<'_>, ctx: &mut BuildCtx<'_>) -> Result<Box<dyn Action>, Failed> {
    Ok(Box::new(parse(words, false, false, ctx)?))
}

pub static ACTIONS: &[ActionKeyword] = &[ActionKeyword::new(
    Entry::full(
        "redirect",
        "location|prefix|scheme <fmt> [code <code>] [set-cookie <cookie>] [clear-cookie <cookie>] [drop-query] [keep-query] [append-slash] [ignore-empty]",
        "Answers with a redirect.",
        "redirect scheme https code 301",
        "1.5",
    ),
    Sets::HTTP_REQ_RES,
    |input: &mut Input<'_, '_, '_>| {
        let in_response = input.kind.is_response();
        Ok(Box::new(parse(input.words, true, in_response, input.ctx)?))
    },
)];
