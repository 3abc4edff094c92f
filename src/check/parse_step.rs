//! The arguments of `connect` and `send` steps.

use std::net::{IpAddr, SocketAddr};

use crate::rules::BuildCtx;

use super::phrase::{Formula, Phrase};
use super::rule::{Connect, Request, Send, Set, Value};
use super::rules::Fault;

/// The words of a line, read one after the other; the first one is the step's own name.
pub(super) struct Words<'a, 'c> {
    list: &'a [&'a str],
    at: usize,
    /// What formats and expressions may name.
    ctx: &'a mut BuildCtx<'c>,
}

impl<'a, 'c> Words<'a, 'c> {
    pub(super) fn new(list: &'a [&'a str], ctx: &'a mut BuildCtx<'c>) -> Self {
        Words { list, at: 0, ctx }
    }

    /// The text at `word` as a format.
    pub(super) fn phrase(&mut self, word: usize, text: &str) -> Result<Phrase, Fault> {
        Phrase::read(text, self.ctx).map_err(|message| Fault::new(word, message))
    }

    /// The expression that begins at the next word.
    pub(super) fn formula(&mut self, of: usize, missing: &str) -> Result<Formula, Fault> {
        let rest = self.list.get(self.at + 1..).filter(|rest| !rest.is_empty());
        let rest = rest.ok_or_else(|| Fault::new(of, missing))?;
        let read = Formula::read(rest, self.ctx);
        let (formula, used) = read.map_err(|message| Fault::new(self.at + 1, message))?;
        self.at += used;
        Ok(formula)
    }

    /// The next word and its index.
    pub(super) fn next(&mut self) -> Option<(usize, &'a str)> {
        self.at += 1;
        self.list.get(self.at).map(|w| (self.at, *w))
    }

    pub(super) fn peek(&self) -> Option<&'a str> {
        self.list.get(self.at + 1).copied()
    }

    /// The argument of the word at `of`.
    pub(super) fn argument(&mut self, of: usize, missing: &str) -> Result<&'a str, Fault> {
        match self.next() {
            Some((_, word)) if !word.is_empty() => Ok(word),
            _ => Err(Fault::new(of, missing)),
        }
    }
}

pub(super) fn parse_connect(words: &mut Words<'_, '_>) -> Result<(Connect, Option<String>), Fault> {
    let mut connect = Connect::default();
    let mut comment = None;
    while let Some((i, word)) = words.next() {
        let expects = |what: &str| format!("'{word}' expects {what} as argument");
        match word {
            "default" => connect.default = true,
            "send-proxy" => connect.send_proxy = true,
            "linger" => connect.linger = true,
            "comment" => comment = Some(words.argument(i, &expects("a string"))?.to_owned()),
            "addr" => {
                let text = words.argument(i, &expects("<ipv4|ipv6>"))?;
                let addr =
                    text.parse().ok().or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, 0)));
                connect.addr = Some(
                    addr.ok_or_else(|| Fault::new(i + 1, format!("'addr' : invalid address '{text}'")))?,
                );
            }
            "port" => {
                let text = words.argument(i, &expects("a port number or a sample expression"))?;
                connect.port = match text.parse::<u16>() {
                    Ok(port) if port > 0 => Some(port),
                    _ if text.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                        words.at -= 1;
                        connect.port_from = Some(words.formula(i, &expects("a port"))?);
                        continue;
                    }
                    _ => {
                        return Err(Fault::new(
                            i + 1,
                            format!(
                                "expects a valid TCP port (from range 1 to 65535) or a sample expression, got {text}"
                            ),
                        ));
                    }
                };
            }
            "proto" => match words.argument(i, &expects("a MUX protocol"))? {
                "h1" | "none" => connect.h2 = false,
                "h2" => connect.h2 = true,
                other => {
                    return Err(Fault::new(
                        i + 1,
                        format!("'proto' : protocol '{other}' is not supported in checks"),
                    ));
                }
            },
            "ssl" => connect.ssl = true,
            "sni" => connect.sni = Some(words.argument(i, &expects("a string"))?.as_bytes().into()),
            "alpn" => {
                let list = words.argument(i, &expects("a list of protocols"))?;
                connect.alpn = list.split(',').map(|protocol| protocol.as_bytes().to_vec()).collect();
            }
            "via-socks4" => connect.via_socks4 = true,
            _ => {
                return Err(Fault::new(
                    i,
                    format!(
                        "expects 'comment', 'port', 'addr', 'send-proxy', 'ssl', 'sni', 'alpn' or 'via-socks4', \
                         'linger', 'default' but got '{word}' as argument"
                    ),
                ));
            }
        }
    }
    Ok((connect, comment))
}

pub(super) fn parse_request(words: &mut Words<'_, '_>) -> Result<(Request, Option<String>), Fault> {
    let mut request = Request::default();
    let mut comment = None;
    while let Some((i, word)) = words.next() {
        let missing = format!("'{word}' expects a string as argument");
        match word {
            "meth" => request.method = Some(words.argument(i, &missing)?.to_owned()),
            "uri" => request.uri = Some(Phrase::fixed(words.argument(i, &missing)?)),
            "uri-lf" => {
                let text = words.argument(i, &missing)?;
                request.uri = Some(words.phrase(i + 1, text)?);
            }
            "ver" => request.version = Some(words.argument(i, &missing)?.to_owned()),
            "body" => request.body = Some(Phrase::fixed(words.argument(i, &missing)?)),
            "body-lf" => {
                let text = words.argument(i, &missing)?;
                request.body = Some(words.phrase(i + 1, text)?);
            }
            "comment" => comment = Some(words.argument(i, &missing)?.to_owned()),
            "hdr" => {
                let missing = format!("'{word}' expects <name> and <value> as arguments");
                let name = words.argument(i, &missing)?.to_ascii_lowercase();
                let value = words.argument(i, &missing)?;
                let value = words.phrase(i + 2, value)?;
                add_header(&mut request, i, name, value)?;
            }
            _ => {
                return Err(Fault::new(
                    i,
                    format!(
                        "expects 'comment', 'meth', 'uri', 'uri-lf', 'ver', 'hdr', 'body' or 'body-lf' but got '{word}' \
                         as argument"
                    ),
                ));
            }
        }
    }
    Ok((request, comment))
}

fn add_header(request: &mut Request, word: usize, name: String, value: Phrase) -> Result<(), Fault> {
    match &*name {
        // Framing is ours.
        "content-length" | "transfer-encoding" => return Ok(()),
        "host" => {
            if let Some((_, old)) = request.headers.iter().find(|(n, _)| *n == name) {
                let old = old.text(None);
                let message = format!("'{name}' header already defined (previous value is '{old}')");
                return Err(Fault::new(word + 1, message));
            }
        }
        _ => {}
    }
    request.headers.push((name, value));
    Ok(())
}

/// `send <data>`, `send-binary <hex>` and their log-format forms.
pub(super) fn parse_send(words: &mut Words<'_, '_>) -> Result<(Send, Option<String>), Fault> {
    let kind = words.list.first().copied().unwrap_or("");
    let data = words.argument(0, &format!("'{kind}' expects a string as argument"))?;
    let phrase = if kind.ends_with("-lf") { words.phrase(1, data)? } else { Phrase::fixed(data) };
    let send = match phrase {
        phrase if !kind.starts_with("send-binary") => Send::Bytes(phrase),
        Phrase::Fixed(text) => Send::Bytes(Phrase::fixed(hex(1, &String::from_utf8_lossy(&text))?)),
        made => Send::Hex(made),
    };
    let mut comment = None;
    while let Some((i, word)) = words.next() {
        match word {
            "comment" => {
                comment = Some(words.argument(i, "'comment' expects a string as argument")?.to_owned())
            }
            _ => return Err(Fault::new(i, format!("expects 'comment' but got '{word}' as argument"))),
        }
    }
    Ok((send, comment))
}

/// `set-var(<name>) <expression>`, `set-var-fmt(<name>) <format>` and `unset-var(<name>)`; `None` for other words.
pub(super) fn parse_set(words: &mut Words<'_, '_>) -> Option<Result<Set, Fault>> {
    let first = words.list.first().copied().unwrap_or("");
    let (kind, rest) = first.split_once('(')?;
    let name = rest.strip_suffix(')')?;
    if !matches!(kind, "set-var" | "set-var-fmt" | "unset-var") {
        return None;
    }
    let id = match words.ctx.names.var(name) {
        Ok(id) => id,
        Err(message) => return Some(Err(Fault::new(0, message))),
    };
    let value = match kind {
        "set-var" => words.formula(0, "expects an expression").map(Value::Formula),
        "set-var-fmt" => {
            words.argument(0, "expects a format").and_then(|text| words.phrase(1, text)).map(Value::Phrase)
        }
        _ => Ok(Value::None),
    };
    if let (Ok(_), Some((i, word))) = (&value, words.next()) {
        return Some(Err(Fault::new(i, format!("cannot handle unexpected argument '{word}'"))));
    }
    Some(value.map(|value| Set { id, value }))
}

/// Bytes from pairs of hexadecimal digits.
pub(super) fn hex(word: usize, text: &str) -> Result<Vec<u8>, Fault> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    match digits {
        Some(digits) if digits.len().is_multiple_of(2) => {
            Ok(digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect())
        }
        Some(_) => Err(Fault::new(word, "an even number of hex digit is expected")),
        None => Err(Fault::new(word, format!("an hex digit is expected, found '{text}'"))),
    }
}
