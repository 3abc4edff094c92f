//! Expressions: a fetch with its arguments and converters, with automatic casts between them.

use std::sync::Arc;

use crate::lang::{Span, Word};

use super::args::{self, Arg};
use super::build::{BuildCtx, Dir};
use super::cast::{can_cast, cast};
use super::convert::{self, ConvFn};
use super::fetch::{self, Cursor, FetchFn, Needs};
use super::known;
use super::named::Wanted;
use super::purity::{is_pure_converter, is_pure_fetch};
use super::sample::{Sample, SampleType};
use super::txn::Ctx;
use super::vocabulary;
use crate::stick::Use;

/// A compiled expression; clones share it.
#[derive(Clone, Debug)]
pub struct Expr {
    inner: Arc<Compiled>,
}

struct Compiled {
    fetch: FetchFn,
    args: Box<[Arg]>,
    steps: Box<[Step]>,
    out: SampleType,
    needs: Needs,
    is_pure: bool,
    name: &'static str,
    text: Box<str>,
}

struct Step {
    input: SampleType,
    run: ConvFn,
    args: Box<[Arg]>,
    decides: bool,
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expr({})", self.text)
    }
}

/// Letters of fetch and converter names.
fn name_len(text: &[u8]) -> usize {
    text.iter()
        .position(|c| !(c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-' | b'+' | b':')))
        .unwrap_or(text.len())
}

impl Expr {
    /// Reads an expression that begins at `words[from]`; returns it and the number of words it took. Words after the
    /// first belong to it while they name converters.
    pub fn parse(words: &[Word], from: usize, ctx: &mut BuildCtx<'_>) -> Option<(Expr, usize)> {
        let word = words.get(from)?;
        match parse_words(words, from, ctx) {
            Ok(found) => Some(found),
            Err(message) => {
                ctx.error(word.span, message);
                None
            }
        }
    }

    /// The value now.
    pub fn eval<'a>(&'a self, ctx: Ctx<'a>) -> Option<Sample<'a>> {
        self.eval_at(ctx, &mut Cursor::default())
    }

    /// The value as a type.
    pub fn eval_as<'a>(&'a self, ctx: Ctx<'a>, to: SampleType) -> Option<Sample<'a>> {
        cast(self.eval(ctx)?, to)
    }

    /// The next value when the cursor iterates (see [`Cursor`]).
    pub fn eval_at<'a>(&'a self, ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
        let inner = &*self.inner;
        let mut sample = (inner.fetch)(&inner.args, ctx, cursor)?;
        for step in &inner.steps {
            sample = (step.run)(cast(sample, step.input)?, &step.args, ctx)?;
            cursor.may_change &= !step.decides;
        }
        Some(sample)
    }

    /// The type of its values; `Any` when only known at run time.
    pub fn out(&self) -> SampleType {
        self.inner.out
    }

    pub fn needs(&self) -> Needs {
        self.inner.needs
    }

    /// It gives the same value however often it is asked, and leaves nothing behind.
    pub(super) fn is_pure(&self) -> bool {
        self.inner.is_pure
    }

    /// The name of its fetch.
    pub fn fetch_name(&self) -> &'static str {
        self.inner.name
    }

    pub fn has_converters(&self) -> bool {
        !self.inner.steps.is_empty()
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.inner.text
    }
}

fn parse_words(words: &[Word], from: usize, ctx: &mut BuildCtx<'_>) -> Result<(Expr, usize), String> {
    let text = words[from].bytes();
    let (mut parts, end) = parse_text(text, words[from].span, ctx)?;
    if let Some(c) = text.get(end) {
        return Err(format!(
            "missing comma after '{}', but found '{}'",
            String::from_utf8_lossy(&text[..end]),
            char::from(*c)
        ));
    }
    let mut used = 1;
    while let Some(word) = words.get(from + used) {
        let name = &word.bytes()[..name_len(word.bytes())];
        if name.is_empty() || convert::find(&String::from_utf8_lossy(name)).is_none() {
            break;
        }
        let end = parts.converters(word.bytes(), 0, ctx)?;
        if end < word.bytes().len() {
            return Err(format!("unexpected text after converter in '{}'", word.str()));
        }
        used += 1;
    }
    let text = words[from..from + used].iter().map(Word::str).collect::<Vec<_>>().join(" ");
    Ok((parts.finish(&text), used))
}

/// Reads an expression at the beginning of `text`; returns it and the number of bytes it took. For log-formats, where
/// `]` follows.
pub fn parse_prefix(text: &[u8], span: Span, ctx: &mut BuildCtx<'_>) -> Result<(Expr, usize), String> {
    let (parts, end) = parse_text(text, span, ctx)?;
    Ok((parts.finish(&String::from_utf8_lossy(&text[..end])), end))
}

/// An expression that is being read.
pub(super) struct Parts {
    pub(super) fetch: &'static fetch::Fetch,
    run: FetchFn,
    args: Vec<Arg>,
    steps: Vec<Step>,
    out: SampleType,
    is_pure: bool,
    /// Where it stands.
    at: Span,
}

/// Fetch and converters at the beginning of `text`.
fn parse_text(text: &[u8], span: Span, ctx: &mut BuildCtx<'_>) -> Result<(Parts, usize), String> {
    let (mut parts, end) = parse_fetch(text, span, None, ctx)?;
    let end = match text.get(end) {
        Some(b',') => parts.converters(text, end + 1, ctx)?,
        _ => end,
    };
    Ok((parts, end))
}

/// A fetch with its arguments at the beginning of `text`. With `known`, the name was looked up already (an ACL's).
pub(super) fn parse_fetch(
    text: &[u8],
    span: Span,
    known: Option<&'static fetch::Fetch>,
    ctx: &mut BuildCtx<'_>,
) -> Result<(Parts, usize), String> {
    let len = name_len(text);
    let name = String::from_utf8_lossy(&text[..len]);
    if name.is_empty() {
        return Err("missing fetch method".into());
    }
    let fetch = match known.or_else(|| fetch::find(&name)) {
        Some(fetch) => fetch,
        None => {
            let names = fetch::FETCHES.iter().flat_map(|t| t.iter()).map(|f| f.entry.name);
            return Err(known::complaint("fetch method", &name, &vocabulary::fetch::FETCHES, names));
        }
    };
    let (mut args, taken) =
        args::parse(&text[len..], fetch.args).map_err(|e| format!("fetch method '{name}' : {e}"))?;
    if let Some(check) = fetch.check {
        check(&mut args, ctx).map_err(|e| format!("invalid args in fetch method '{name}' : {e}"))?;
    }
    link_tables(&mut args, &name, span, ctx)?;
    refer(&args, span, ctx);
    let run = fetch.function(ctx.dir);
    let is_pure = is_pure_fetch(fetch.entry.name);
    Ok((Parts { fetch, run, args, steps: Vec::new(), out: fetch.out, is_pure, at: span }, len + taken))
}

/// Gives arguments that name stick tables the cells that these will be in.
fn link_tables(args: &mut [Arg], what: &str, span: Span, ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    for arg in args {
        let Arg::TableName(name) = arg else { continue };
        let name = if name.is_empty() { ctx.table_here } else { &**name };
        if name.is_empty() {
            return Err(format!("'{what}' names no stick table, and there is none here"));
        }
        let used = Use {
            at: span,
            table: name.into(),
            from: ctx.section.into(),
            what: what.into(),
            fits: None,
            stores_server: false,
        };
        *arg = Arg::Table(ctx.tables.mention(used));
    }
    Ok(())
}

/// Tells the builder which proxies and servers must exist.
fn refer(args: &[Arg], span: Span, ctx: &mut BuildCtx<'_>) {
    for arg in args {
        match arg {
            Arg::Proxy(name) if !name.is_empty() => ctx.references.push((span, name.clone(), Wanted::Proxy)),
            Arg::Server { backend, server } => {
                ctx.references.push((span, backend.clone(), Wanted::Server(server.clone())));
            }
            _ => {}
        }
    }
}

impl Parts {
    /// Converters separated by commas from byte `at` on; returns where they end.
    pub(super) fn converters(
        &mut self,
        text: &[u8],
        mut at: usize,
        ctx: &mut BuildCtx<'_>,
    ) -> Result<usize, String> {
        loop {
            let rest = &text[at..];
            let len = name_len(rest);
            let name = String::from_utf8_lossy(&rest[..len]).into_owned();
            if name.is_empty() {
                return match rest.first() {
                    None => Err(format!("missing converter name after '{}'", String::from_utf8_lossy(text))),
                    Some(c) => {
                        Err(format!("unexpected character '{}' in place of a converter", char::from(*c)))
                    }
                };
            }
            let Some(conv) = convert::find(&name) else {
                let names = convert::CONVERTERS.iter().flat_map(|t| t.iter()).map(|c| c.entry.name);
                return Err(known::complaint("converter", &name, &vocabulary::converter::CONVERTERS, names));
            };
            if !can_cast(self.out, conv.input) {
                return Err(format!("converter '{name}' cannot be applied"));
            }
            let (mut args, taken) =
                args::parse(&rest[len..], conv.args).map_err(|e| format!("converter '{name}' : {e}"))?;
            if let Some(check) = conv.check {
                check(&mut args, ctx).map_err(|e| format!("invalid args in converter '{name}' : {e}"))?;
            }
            link_tables(&mut args, &name, self.at, ctx)?;
            // A converter that keeps the type says `Any` on both sides.
            if conv.out != SampleType::Any || conv.changes_type {
                self.out = conv.out;
            }
            self.is_pure &= is_pure_converter(conv.entry.name);
            self.steps.push(Step {
                input: conv.input,
                run: conv.function(),
                args: args.into(),
                decides: conv.decides,
            });
            at += len + taken;
            if text.get(at) != Some(&b',') {
                return Ok(at);
            }
            at += 1;
        }
    }

    pub(super) fn finish(self, text: &str) -> Expr {
        Expr {
            inner: Arc::new(Compiled {
                fetch: self.run,
                args: self.args.into(),
                steps: self.steps.into(),
                out: self.out,
                needs: self.fetch.needs,
                is_pure: self.is_pure,
                name: self.fetch.entry.name,
                text: text.into(),
            }),
        }
    }
}

/// Runs `parse` with fetches of both directions reading this one.
pub(super) fn with_dir<R>(ctx: &mut BuildCtx<'_>, dir: Dir, parse: impl FnOnce(&mut BuildCtx<'_>) -> R) -> R {
    let before = std::mem::replace(&mut ctx.dir, dir);
    let result = parse(ctx);
    ctx.dir = before;
    result
}
