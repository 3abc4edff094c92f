//! `ReplySpec`: a response that the proxy makes itself, as configured; rendered to a [`Reply`] for one transaction.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::http::status::{answer_statuses, reason_phrase};
use crate::lang::{Place, What, Word};

use super::build::BuildCtx;
use super::logformat::{LogFormat, LogUse};
use super::message;
use super::txn::{Ctx, Reply, ReplyBody};
use super::words::{Failed, Words};

/// The words of a reply that name files.
pub const REPLY_FILES: &[Place] = &[
    Place::option("errorfile", What::File),
    Place::option("file", What::File),
    Place::option("lf-file", What::File),
];

/// What `return`, `deny`, `http-error` and error files describe.
#[derive(Clone, Debug, Default)]
pub struct ReplySpec {
    pub status: u16,
    payload: Payload,
    content_type: Option<Box<[u8]>>,
    fields: Vec<(Box<[u8]>, LogFormat)>,
}

#[derive(Clone, Debug, Default)]
enum Payload {
    #[default]
    Empty,
    Bytes(Bytes),
    Format(LogFormat),
    /// A whole message: head and body.
    Message(Arc<Reply>),
    /// The page that the proxy has for the status, else the built-in one.
    DefaultErrors,
}

/// Whether pages can be set for a status.
pub fn is_handled(status: u16) -> bool {
    status != 505 && answer_statuses().any(|s| s == status)
}

impl ReplySpec {
    /// The page of the proxy for a status.
    pub fn default_errors(status: u16) -> ReplySpec {
        ReplySpec { status, payload: Payload::DefaultErrors, ..ReplySpec::default() }
    }

    /// A whole message.
    pub fn message(status: u16, reply: Arc<Reply>) -> ReplySpec {
        ReplySpec { status, payload: Payload::Message(reply), ..ReplySpec::default() }
    }

    /// Has neither payload nor fields of its own.
    pub fn is_bare(&self) -> bool {
        matches!(self.payload, Payload::Empty) && self.fields.is_empty()
    }

    /// The response for this transaction.
    pub fn render(&self, ctx: Ctx<'_>) -> Reply {
        let body = match &self.payload {
            Payload::Message(reply) => {
                let logged = (self.status != 0 && self.status != reply.status).then_some(self.status);
                return Reply { logged, ..(**reply).clone() };
            }
            Payload::DefaultErrors => {
                let page = ctx.env.error_page(self.status, ctx.txn);
                return page.unwrap_or_else(|| message::built_in(self.status));
            }
            Payload::Empty => Bytes::new(),
            Payload::Bytes(bytes) => bytes.clone(),
            Payload::Format(format) => {
                let mut out = Vec::new();
                format.render(ctx, &mut out);
                out.into()
            }
        };
        let mut reply = Reply {
            status: self.status,
            reason: Some(reason_phrase(self.status).as_bytes().into()),
            ..Reply::default()
        };
        for (name, format) in &self.fields {
            let mut value = Vec::new();
            format.render(ctx, &mut value);
            if !value.is_empty() {
                reply.fields.push((name.clone(), value.into()));
            }
        }
        if !body.is_empty() {
            let content_type = self.content_type.iter().map(|t| (b"content-type"[..].into(), t.clone()));
            reply.fields.extend(content_type);
            reply.body = ReplyBody::Bytes(body);
        }
        reply
    }

    /// As [`ReplySpec::render`], for a page that answers "the default": what it calls the default is built in.
    pub fn render_page(&self, ctx: Ctx<'_>) -> Reply {
        match self.payload {
            Payload::DefaultErrors => message::built_in(self.status),
            _ => self.render(ctx),
        }
    }

    /// Reads `status`, `content-type`, payloads and `hdr` up to a condition or an unknown word.
    pub fn parse(words: &mut Words<'_>, status: u16, ctx: &mut BuildCtx<'_>) -> Result<ReplySpec, Failed> {
        let mut spec = ReplySpec { status, ..ReplySpec::default() };
        let mut named: Option<&str> = None;
        loop {
            let keyword = words.peek();
            match keyword {
                "status" | "deny_status" => {
                    words.skip(1);
                    let word = words.want("<status_code> as argument")?;
                    spec.status = parse_status(word)?;
                }
                "content-type" => {
                    words.skip(1);
                    spec.content_type = Some(words.want("<ctype> as argument")?.bytes().into());
                }
                "hdr" => spec.parse_field(words, ctx)?,
                "errorfiles" | "default-errorfiles" | "errorfile" | "file" | "string" | "lf-file"
                | "lf-string" => {
                    if let Some(before) = named {
                        return words
                            .fail(format!("unexpected '{keyword}' argument, '{before}' already defined"));
                    }
                    named = Some(keyword);
                    words.skip(1);
                    if keyword == "default-errorfiles" {
                        spec.payload = Payload::DefaultErrors;
                        continue;
                    }
                    let what = if keyword == "errorfiles" { "<name> as argument" } else { "an argument" };
                    let word = words.want(what)?;
                    spec.parse_payload(keyword, word, ctx)?;
                }
                _ => break,
            }
        }
        spec.finish(named, words, ctx)?;
        Ok(spec)
    }

    fn parse_field(&mut self, words: &mut Words<'_>, ctx: &mut BuildCtx<'_>) -> Result<(), Failed> {
        words.skip(1);
        let name = words.want("<name> and <value> as arguments")?;
        let value = words.want("<name> and <value> as arguments")?;
        let lower = name.bytes().to_ascii_lowercase();
        if matches!(&lower[..], b"content-length" | b"transfer-encoding" | b"content-type") {
            let message = format!("header '{}' always ignored by the http reply.", name.str());
            ctx.warning(name.span, message);
            return Ok(());
        }
        // A format that does not parse was reported.
        if let Some(format) = LogFormat::parse(value, LogUse::Http, ctx) {
            self.fields.push((lower.into(), format));
        }
        Ok(())
    }

    fn parse_payload(&mut self, keyword: &str, word: &Word, ctx: &mut BuildCtx<'_>) -> Result<(), Failed> {
        let fail = |message: String| (word.span, message);
        self.payload = match keyword {
            "errorfile" => Payload::Message(Arc::new(error_file(word, ctx)?)),
            "string" => Payload::Bytes(Bytes::copy_from_slice(word.bytes())),
            "file" => Payload::Bytes(read(word, ctx)?.into()),
            "lf-string" => Payload::Format(LogFormat::parse(word, LogUse::Text, ctx).unwrap_or_default()),
            "lf-file" => {
                let text = read(word, ctx)?;
                Payload::Format(
                    LogFormat::parse_bytes(&text, word.span, LogUse::Text, ctx).unwrap_or_default(),
                )
            }
            _ => {
                let pages = ctx.http_errors.messages(word.str()).ok_or_else(|| {
                    fail(format!("unable to find the http-errors section '{}'", word.str()))
                })?;
                let page = pages.iter().find(|(status, _)| *status == self.status);
                Payload::Message(
                    page.map_or_else(|| Arc::new(message::built_in(self.status)), |(_, reply)| reply.clone()),
                )
            }
        };
        Ok(())
    }

    /// Checks what belongs together.
    fn finish(
        &mut self,
        named: Option<&str>,
        words: &Words<'_>,
        ctx: &mut BuildCtx<'_>,
    ) -> Result<(), Failed> {
        let without_body = matches!(self.status, 204 | 304);
        let no_body = || format!("No body expected for {} responses", self.status);
        let mut ignored = None;
        match &self.payload {
            Payload::Empty => ignored = Some("because neither errorfile nor payload defined"),
            Payload::Message(_) | Payload::DefaultErrors => {
                if !matches!(self.payload, Payload::Message(_)) && !is_handled(self.status) {
                    return words.fail(format!(
                        "status code '{}' not handled by default with '{}' argument.",
                        self.status,
                        named.unwrap_or_default()
                    ));
                }
                ignored = Some("when used with an errorfile");
                if !self.fields.is_empty() {
                    let message = "hdr parameters ignored by the http reply when used with an errorfile.";
                    ctx.warning(words.place(), message);
                    self.fields.clear();
                }
            }
            Payload::Bytes(bytes) if bytes.is_empty() => ignored = Some("when used with an empty payload"),
            Payload::Bytes(_) if without_body => return words.fail(no_body()),
            Payload::Bytes(_) if self.content_type.is_none() => {
                return words.fail("a content type must be defined when non-empty payload is configured");
            }
            Payload::Bytes(bytes) if bytes.len() + ctx.maxrewrite > ctx.bufsize => {
                let message = "http reply payload runs over the buffer space reserved to headers rewriting. It may \
                               lead to internal errors if strict rewriting mode is enabled.";
                ctx.warning(words.place(), message);
            }
            Payload::Bytes(_) => {}
            Payload::Format(_) if without_body => return words.fail(no_body()),
            Payload::Format(_) if self.content_type.is_none() => {
                return words.fail("a content type must be defined with a log-format payload");
            }
            Payload::Format(_) => {}
        }
        if let (Some(why), Some(kind)) = (ignored, &self.content_type) {
            let kind = String::from_utf8_lossy(kind);
            ctx.warning(words.place(), format!("content-type '{kind}' ignored by the http reply {why}."));
            self.content_type = None;
        }
        Ok(())
    }
}

/// A status from 200 to 599.
pub fn parse_status(word: &Word) -> Result<u16, Failed> {
    match word.str().parse::<u16>() {
        Ok(status @ 200..=599) => Ok(status),
        _ => Err((word.span, format!("Unexpected status code '{}'", word.str()))),
    }
}

/// The bytes of a payload file, at most a buffer.
fn read(word: &Word, ctx: &BuildCtx<'_>) -> Result<Vec<u8>, Failed> {
    let bytes = (ctx.files)(Path::new(word.str()))
        .map_err(|e| (word.span, format!("error opening file '{}' : {e}", word.str())))?;
    if bytes.len() > ctx.bufsize {
        let message =
            format!("file '{}' exceeds the buffer size ({} > {})", word.str(), bytes.len(), ctx.bufsize);
        return Err((word.span, message));
    }
    Ok(bytes)
}

/// An error file as a message.
pub fn error_file(word: &Word, ctx: &BuildCtx<'_>) -> Result<Reply, Failed> {
    let bytes = read(word, ctx)?;
    message::parse(&bytes)
        .map_err(|e| (word.span, format!("custom error message file '{}' : {e}", word.str())))
}
