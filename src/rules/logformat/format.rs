//! `LogFormat`: a compiled format and its rendering.

use std::cell::Cell;
use std::sync::Arc;

use crate::lang::{Diagnostics, Span, Word};
use crate::rules::build::BuildCtx;
use crate::rules::cast::write_text;
use crate::rules::expr::Expr;
use crate::rules::fetch::Needs;
use crate::rules::sample::Sample;
use crate::rules::txn::Ctx;

use super::field::{Flags, LogStage, TagFn};
use super::parse;
use super::text;

/// Where a log-format is used: it decides how unsafe bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogUse {
    /// `log-format`, `error-log-format`, `log-format-sd`: runs of spaces merge, `-` stands for nothing.
    Log,
    /// `unique-id-format`: as a header's value, runs of spaces merge.
    UniqueId,
    /// Header values.
    Http,
    /// Everything else: paths, variables, bodies.
    Text,
}

impl LogUse {
    pub(super) fn flags(self) -> Flags {
        match self {
            LogUse::Log => Flags::MANDATORY | Flags::MERGE,
            LogUse::UniqueId => Flags::HTTP | Flags::MERGE,
            LogUse::Http => Flags::HTTP,
            LogUse::Text => Flags::empty(),
        }
    }
}

/// A compiled `log-format`; clones share it.
#[derive(Clone, Default)]
pub struct LogFormat {
    parts: Arc<[Part]>,
    stage: LogStage,
}

/// A piece of a format.
pub(super) enum Part {
    Text(Box<[u8]>),
    /// A space that merges with those around it.
    Space,
    Tag(TagFn, Flags),
    Expr(Expr, Flags),
}

const HTTPLOG: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r";
const HTTPSLOG: &str = " %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] %[ssl_fc_sni]/%sslv/%sslc";
const CLF: &str = "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl";
const TCPLOG: &str = "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq";
const TCPLOG_CLF: &str = "%{+Q}o %{-Q}ci - - [%T] \"TCP \" 000 %B \"\" \"\" %cp %ms %ft %b %s %Th %Tw %Tc %Tt %U %ts-- %ac %fc %bc %sc %rc %sq %bq \"\" \"\" ";

impl LogFormat {
    /// Compiles a word. Errors go into `ctx.diags`.
    pub fn parse(word: &Word, used: LogUse, ctx: &mut BuildCtx<'_>) -> Option<LogFormat> {
        Self::parse_bytes(word.bytes(), word.span, used, ctx)
    }

    /// Compiles the text of a file or of a default.
    pub fn parse_bytes(text: &[u8], span: Span, used: LogUse, ctx: &mut BuildCtx<'_>) -> Option<LogFormat> {
        match parse::parse(text, span, used.flags(), ctx) {
            Ok((parts, stage)) => Some(LogFormat { parts: parts.into(), stage }),
            Err(messages) => {
                messages.into_iter().for_each(|message| ctx.error(span, message));
                None
            }
        }
    }

    /// Compiles a format without expressions: no configuration is needed for it.
    fn built_in(text: &str) -> LogFormat {
        BuildCtx::with_nothing(&mut Diagnostics::default(), |ctx| {
            Self::parse_bytes(text.as_bytes(), Span::default(), LogUse::Log, ctx).unwrap_or_default()
        })
    }

    /// `option httplog`.
    pub fn httplog() -> LogFormat {
        Self::built_in(HTTPLOG)
    }

    /// `option httpslog`: the same, and then how the handshake went.
    pub fn httpslog(ctx: &mut BuildCtx<'_>) -> Option<LogFormat> {
        let text = [HTTPLOG, HTTPSLOG].concat();
        Self::parse_bytes(text.as_bytes(), Span::default(), LogUse::Log, ctx)
    }

    /// `option httplog clf`.
    pub fn clf() -> LogFormat {
        Self::built_in(CLF)
    }

    /// `option tcplog`.
    pub fn tcplog() -> LogFormat {
        Self::built_in(TCPLOG)
    }

    /// `option tcplog clf`.
    pub fn tcplog_clf() -> LogFormat {
        Self::built_in(TCPLOG_CLF)
    }

    /// When everything in it is known.
    pub fn stage(&self) -> LogStage {
        self.stage
    }

    /// Has fields that are known only when the transaction ends.
    pub fn needs_end(&self) -> bool {
        self.stage == LogStage::End
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The text, if it is the same for every transaction.
    pub fn constant(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        for part in &*self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                _ => return None,
            }
        }
        Some(out)
    }

    /// Gives the format filled in to `f`, in memory that is used again.
    pub fn render_for<R>(&self, ctx: Ctx<'_>, f: impl FnOnce(&[u8]) -> R) -> R {
        thread_local! {
            static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
        }
        let mut out = ROOM.take();
        out.clear();
        self.render(ctx, &mut out);
        let done = f(&out);
        ROOM.set(out);
        done
    }

    /// Appends the format filled in.
    pub fn render(&self, ctx: Ctx<'_>, out: &mut Vec<u8>) {
        let mut spaced = true;
        for part in &*self.parts {
            match part {
                Part::Text(text) => {
                    out.extend_from_slice(text);
                    spaced = false;
                }
                Part::Space => {
                    if !spaced {
                        out.push(b' ');
                    }
                    spaced = true;
                }
                Part::Tag(run, flags) => {
                    let before = out.len();
                    run(ctx, *flags, out);
                    spaced &= flags.contains(Flags::VANISHES) && out.len() == before;
                }
                Part::Expr(expr, flags) => {
                    render_expr(expr, *flags, ctx, out);
                    spaced = false;
                }
            }
        }
    }
}

fn render_expr(expr: &Expr, flags: Flags, ctx: Ctx<'_>, out: &mut Vec<u8>) {
    let sample = expr.eval(ctx);
    if flags.contains(Flags::HTTP) {
        return match &sample {
            Some(Sample::Str(s) | Sample::Bin(s) | Sample::Method(s)) => text::http_value(s, flags, out),
            Some(other) => write_text(other, out),
            None => {}
        };
    }
    match &sample {
        None => text::plain(b"", flags, out),
        // The text of a binary value ends at its first NUL, as a string does.
        Some(Sample::Bin(b)) if !flags.contains(Flags::BIN) => {
            let end = memchr::memchr(0, b).unwrap_or(b.len());
            text::plain(&b[..end], flags, out);
        }
        Some(Sample::Str(s) | Sample::Bin(s) | Sample::Method(s)) => text::plain(s, flags, out),
        Some(other) => text::quoted(flags, out, |out| write_text(other, out)),
    }
}

/// When an expression is known.
pub(super) fn stage_of(expr: &Expr) -> LogStage {
    match expr.needs() {
        Needs::Nothing | Needs::Client => LogStage::Accept,
        Needs::RequestData | Needs::RequestHead | Needs::RequestBody => LogStage::Request,
        Needs::Server => LogStage::Connect,
        Needs::ResponseData | Needs::ResponseHead | Needs::ResponseBody => LogStage::Response,
        Needs::End => LogStage::End,
    }
}

impl std::fmt::Debug for LogFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogFormat({} parts, {:?})", self.parts.len(), self.stage)
    }
}
