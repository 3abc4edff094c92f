//! `errorfile`, `errorloc`, `http-error`, `errorfiles` and the lines of `http-errors`: which page answers a status.

use std::sync::Arc;

use crate::http::status::reason_phrase;
use crate::lang::{Section, Span, Word, suggest};

use super::build::BuildCtx;
use super::http_errors::{HttpErrors, Messages};
use super::reply::{ReplySpec, error_file, is_handled};
use super::txn::Reply;
use super::words::{Failed, Words};

/// The pages of a proxy by status; what is not here is answered by the built-in page.
#[derive(Clone, Debug, Default)]
pub struct ErrorPages {
    list: Vec<(u16, Arc<ReplySpec>)>,
}

fn place(words: &[Word]) -> Span {
    words.first().map_or(Span::default(), |w| w.span)
}

fn handled(word: &Word) -> Result<u16, Failed> {
    let status = word.str().parse().ok().filter(|s| is_handled(*s));
    status.ok_or_else(|| (word.span, format!("status code '{}' not handled.", word.str())))
}

impl ErrorPages {
    /// The page set for a status, else `None`: the default one applies.
    pub fn page(&self, status: u16) -> Option<&Arc<ReplySpec>> {
        self.list.iter().find(|(s, _)| *s == status).map(|(_, p)| p)
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The last one set for a status wins.
    fn set(&mut self, status: u16, page: Arc<ReplySpec>) {
        self.list.retain(|(s, _)| *s != status);
        self.list.push((status, page));
    }

    /// `errorfile <code> <file>`; `words` begin after the keyword.
    pub fn errorfile(&mut self, words: &[Word], ctx: &mut BuildCtx<'_>) {
        if let Some((status, reply)) = errorfile(words, ctx) {
            self.set(status, Arc::new(ReplySpec::message(status, reply)));
        }
    }

    /// `errorloc`, `errorloc302` (`status` 302) or `errorloc303` (303) `<code> <url>`.
    pub fn errorloc(&mut self, status: u16, words: &[Word], ctx: &mut BuildCtx<'_>) {
        let [code, url] = words else {
            return ctx.error(place(words), "errorloc : expects <status_code> and <url> as arguments.");
        };
        match handled(code) {
            Ok(replaced) => {
                let field = |name: &[u8], value: &[u8]| (name.into(), value.into());
                let reply = Reply {
                    status,
                    reason: Some(reason_phrase(status).as_bytes().into()),
                    fields: vec![
                        field(b"cache-control", b"no-cache"),
                        field(b"content-length", b"0"),
                        field(b"location", url.bytes()),
                    ],
                    ..Reply::default()
                };
                self.set(replaced, Arc::new(ReplySpec::message(replaced, Arc::new(reply))));
            }
            Err((span, message)) => ctx.error(span, format!("errorloc : {message}")),
        }
    }

    /// `errorfiles <name> [<code> ...]`.
    pub fn errorfiles(&mut self, words: &[Word], ctx: &mut BuildCtx<'_>) {
        let Some((name, codes)) = words.split_first() else {
            return ctx.error(place(words), "errorfiles : expects <name> as argument.");
        };
        let Some(section) = ctx.http_errors.messages(name.str()) else {
            let message = format!("errorfiles : unable to find the http-errors section '{}'", name.str());
            return ctx.error(name.span, message);
        };
        if codes.is_empty() {
            for (status, reply) in section {
                self.set(*status, Arc::new(ReplySpec::message(*status, reply.clone())));
            }
            return;
        }
        for code in codes {
            let of = |status| section.iter().find(|(s, _)| *s == status).map(|(_, reply)| reply.clone());
            match handled(code).map(|status| (status, of(status))) {
                Ok((status, Some(reply))) => self.set(status, Arc::new(ReplySpec::message(status, reply))),
                Ok((status, None)) => {
                    let message = format!(
                        "errorfiles : status '{status}' not declared in the http-errors section '{}'",
                        name.str()
                    );
                    return ctx.error(code.span, message);
                }
                Err((span, message)) => return ctx.error(span, format!("errorfiles : {message}")),
            }
        }
    }

    /// `http-error status <code> ...`.
    pub fn http_error(&mut self, words: &[Word], ctx: &mut BuildCtx<'_>) {
        let mut reader = Words::new(words, place(words));
        let spec = match ReplySpec::parse(&mut reader, 0, ctx) {
            Ok(spec) => spec,
            Err((span, message)) => return ctx.error(span, format!("http-error : {message}")),
        };
        let error = if spec.status == 0 {
            "http-error : expects at least a <status> as arguments.".to_owned()
        } else if !is_handled(spec.status) {
            format!("http-error: status code '{}' not handled.", spec.status)
        } else if let Some(word) = reader.rest().first() {
            format!("http-error : unknown keyword '{}'.", word.str())
        } else {
            return self.set(spec.status, Arc::new(spec));
        };
        ctx.error(reader.place(), error);
    }
}

/// Reads one `errorfile <code> <file>`; what is wrong with it was reported.
fn errorfile(words: &[Word], ctx: &mut BuildCtx<'_>) -> Option<(u16, Arc<Reply>)> {
    let [code, file] = words else {
        ctx.error(place(words), "errorfile : expects <status_code> and <file> as arguments.");
        return None;
    };
    let found = handled(code).and_then(|status| Ok((status, Arc::new(error_file(file, ctx)?))));
    found.map_err(|(span, message)| ctx.error(span, format!("errorfile : {message}"))).ok()
}

/// Reads one `http-errors <name>` section. `ctx` holds other sections (or none), as this one is being made.
pub fn http_errors_section(errors: &mut HttpErrors, section: &Section, ctx: &mut BuildCtx<'_>) {
    let name = section.head.str(1);
    if name.is_empty() {
        return ctx.error(section.head.span, "missing name for http-errors section");
    }
    if errors.messages(name).is_some() {
        let message = format!("http-errors section '{name}' already defined");
        return ctx.error(section.head.at(1), message);
    }
    let mut messages = Messages::default();
    for line in &section.lines {
        match line.str(0) {
            "errorfile" => {
                if let Some((status, reply)) = errorfile(&line.words[1..], ctx) {
                    messages.retain(|(s, _)| *s != status);
                    messages.push((status, reply));
                }
            }
            other => {
                let message = format!("unknown keyword '{other}' in 'http-errors' section");
                ctx.diags.alert_hint(line.at(0), message, suggest::hint(other, ["errorfile"]));
            }
        }
    }
    errors.add(name, messages);
}
