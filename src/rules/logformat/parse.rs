//! Reading a format.

use crate::lang::Span;
use crate::lang::registry::Kind;
use crate::lang::void::is_void;
use crate::rules::build::BuildCtx;
use crate::rules::expr;
use crate::rules::known;
use crate::rules::vocabulary;

use super::field::{Flags, LogStage, LogTag};
use super::format::{Part, stage_of};
use super::tags::LOG_TAGS;

/// A format being read.
struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    parts: Vec<Part>,
    literal: Vec<u8>,
    stage: LogStage,
    /// What `%{...}o` set for the fields that follow.
    flags: Flags,
}

pub(super) fn parse(
    text: &[u8],
    span: Span,
    flags: Flags,
    ctx: &mut BuildCtx<'_>,
) -> Result<(Vec<Part>, LogStage), Vec<String>> {
    let mut wrong = Vec::new();
    let mut reader =
        Reader { text, at: 0, parts: Vec::new(), literal: Vec::new(), stage: LogStage::Accept, flags };
    while let Some(&c) = text.get(reader.at) {
        reader.at += 1;
        match c {
            b'%' => {
                let from = reader.at;
                if let Err(message) = reader.item(span, ctx) {
                    wrong.push(message);
                    reader.pass_over(from);
                }
            }
            b' ' if flags.contains(Flags::MERGE) => {
                reader.flush();
                if !matches!(reader.parts.last(), Some(Part::Space)) {
                    reader.parts.push(Part::Space);
                }
            }
            c => reader.literal.push(c),
        }
    }
    reader.flush();
    if wrong.is_empty() { Ok((reader.parts, reader.stage)) } else { Err(wrong) }
}

impl Reader<'_> {
    fn flush(&mut self) {
        if !self.literal.is_empty() {
            let literal = std::mem::take(&mut self.literal);
            self.parts.push(Part::Text(literal.into()));
        }
    }

    /// Goes on behind an item that is wrong, so that more can be told of the rest. It began at `from`.
    fn pass_over(&mut self, from: usize) {
        let read = self.text.get(from..self.at).unwrap_or_default();
        if read.last() == Some(&b'[') {
            let rest = self.text.get(self.at..).unwrap_or_default();
            self.at = memchr::memchr(b']', rest).map_or(self.text.len(), |len| self.at + len + 1);
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// What stands between an opening bracket and `close`.
    fn until(&mut self, close: u8) -> Result<String, String> {
        let rest = &self.text[self.at..];
        let Some(len) = memchr::memchr(close, rest) else {
            return Err(format!("truncated line after '{}'", String::from_utf8_lossy(rest)));
        };
        self.at += len + 1;
        Ok(String::from_utf8_lossy(&rest[..len]).into_owned())
    }

    /// What follows a percent sign.
    fn item(&mut self, span: Span, ctx: &mut BuildCtx<'_>) -> Result<(), String> {
        if self.peek() == Some(b'%') {
            self.at += 1;
            self.literal.push(b'%');
            return Ok(());
        }
        if self.peek() == Some(b'(') {
            self.at += 1;
            // A name is for encoders only.
            self.until(b')')?;
        }
        let mut flags = self.flags;
        let mut given = None;
        if self.peek() == Some(b'{') {
            self.at += 1;
            let list = self.until(b'}')?;
            flags = with_flags(flags, &list)?;
            given = Some(list);
        }
        match self.peek() {
            None => Err(format!("truncated line after '{}'", given.as_deref().unwrap_or("%"))),
            Some(b'[') => {
                self.at += 1;
                self.expression(flags, span, ctx)
            }
            Some(c) if c.is_ascii_alphabetic() => self.alias(flags, ctx),
            Some(_) if given.is_some() => Err(format!(
                "parse argument modifier without alias name near '%{{{}}}'",
                given.unwrap_or_default()
            )),
            Some(c) if c.is_ascii_digit() || c == b' ' || c == b'\t' => Err(format!(
                "unexpected alias name near '{}' at position {} line : '{}'. Maybe you want to write a single '%', \
                 use the syntax '%%'",
                char::from(c),
                self.at,
                String::from_utf8_lossy(self.text)
            )),
            // Any other character stands for itself, and the percent sign is lost.
            Some(_) => Ok(()),
        }
    }

    fn expression(&mut self, flags: Flags, span: Span, ctx: &mut BuildCtx<'_>) -> Result<(), String> {
        let rest = &self.text[self.at..];
        let shown = || String::from_utf8_lossy(rest).into_owned();
        let (expr, len) = expr::parse_prefix(rest, span, ctx)
            .map_err(|e| format!("failed to parse sample expression <{}> : {e}", shown()))?;
        match rest.get(len) {
            Some(b']') => {}
            Some(c) => {
                return Err(format!("expected ']' after '{}', but found '{}'", shown(), char::from(*c)));
            }
            None => return Err(format!("missing ']' after '{}'", shown())),
        }
        self.at += len + 1;
        self.flush();
        self.stage = self.stage.max(stage_of(&expr));
        self.parts.push(Part::Expr(expr, flags));
        Ok(())
    }

    fn alias(&mut self, mut flags: Flags, ctx: &mut BuildCtx<'_>) -> Result<(), String> {
        let rest = &self.text[self.at..];
        let len = rest.iter().position(|c| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let name = String::from_utf8_lossy(&rest[..len]).into_owned();
        self.at += len;
        if name == "o" {
            if !is_void(Kind::LogAlias, "o") {
                self.flags = flags;
            }
            return Ok(());
        }
        let Some(tag) = find(&name) else {
            if vocabulary::log::LOG_ALIASES.words.iter().any(|w| w.name == name) {
                return Err(known::complaint("format alias", &name, &vocabulary::log::LOG_ALIASES, []));
            }
            return Err(format!(
                "no such format alias '{name}'. If you wanted to emit the '%' character verbatim, you need to use '%%'"
            ));
        };
        if tag.http_only && !ctx.mode_http {
            return Err(format!("format alias '%{name}' is reserved for HTTP mode"));
        }
        self.flush();
        self.stage = self.stage.max(tag.stage);
        if matches!(tag.entry.name, "hr" | "hrl" | "hs" | "hsl") {
            flags |= Flags::VANISHES;
        }
        self.parts.push(Part::Tag(tag.function(), flags));
        Ok(())
    }
}

fn find(name: &str) -> Option<&'static LogTag> {
    LOG_TAGS.iter().find(|t| t.entry.name == name)
}

/// `+Q,-E`.
fn with_flags(mut flags: Flags, list: &str) -> Result<Flags, String> {
    for word in list.split(',') {
        let (on, name) = match word.split_at_checked(1) {
            Some(("+", name)) => (true, name),
            Some(("-", name)) => (false, name),
            _ => continue,
        };
        let flag = match name {
            "Q" => Flags::QUOTE,
            "X" => Flags::HEX,
            "E" => Flags::ESCAPE,
            "M" => Flags::MANDATORY,
            "bin" => Flags::BIN,
            "json" | "cbor" => return Err(format!("log-format encoding '+{name}' is not supported")),
            _ => continue,
        };
        flags.set(flag, on);
    }
    Ok(flags)
}
