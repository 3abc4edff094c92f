//! The arguments of `connect` and `send` steps.

use std::net::{IpAddr, SocketAddr};

use super::rule::{Connect, Request};
use super::rules::Fault;

/// The words of a line, read one after the other; the first one is the step's own name.
pub(super) struct Words<'a> {
    list: &'a [&'a str],
    at: usize,
}

impl<'a> Words<'a> {
    pub(super) fn new(list: &'a [&'a str]) -> Self {
        Words { list, at: 0 }
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

/// Text where HAProxy takes a log-format: what it says literally. Fields are not supported in checks.
pub(super) fn literal(word: usize, text: &str) -> Result<String, Fault> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '%' {
            match chars.next() {
                Some('%') => {}
                None => {}
                Some(_) => {
                    return Err(Fault::new(
                        word,
                        format!("log-format in '{text}' is not supported in checks"),
                    ));
                }
            }
        }
        out.push(c);
    }
    Ok(out)
}

pub(super) fn parse_connect(words: &mut Words<'_>) -> Result<(Connect, Option<String>), Fault> {
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
                        return Err(Fault::new(i + 1, "sample expressions are not supported in checks"));
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
                "h1" | "none" => {}
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
            "via-socks4" => {
                return Err(Fault::new(i, format!("'{word}' is not supported in checks")));
            }
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

pub(super) fn parse_request(words: &mut Words<'_>) -> Result<(Request, Option<String>), Fault> {
    let mut request = Request::default();
    let mut comment = None;
    while let Some((i, word)) = words.next() {
        let missing = format!("'{word}' expects a string as argument");
        match word {
            "meth" => request.method = Some(words.argument(i, &missing)?.to_owned()),
            "uri" => request.uri = Some(words.argument(i, &missing)?.to_owned()),
            "uri-lf" => request.uri = Some(literal(i + 1, words.argument(i, &missing)?)?),
            "ver" => request.version = Some(words.argument(i, &missing)?.to_owned()),
            "body" => request.body = Some(words.argument(i, &missing)?.as_bytes().to_vec()),
            "body-lf" => request.body = Some(literal(i + 1, words.argument(i, &missing)?)?.into_bytes()),
            "comment" => comment = Some(words.argument(i, &missing)?.to_owned()),
            "hdr" => {
                let missing = format!("'{word}' expects <name> and <value> as arguments");
                let name = words.argument(i, &missing)?.to_ascii_lowercase();
                let value = words.argument(i, &missing)?;
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

fn add_header(request: &mut Request, word: usize, name: String, value: &str) -> Result<(), Fault> {
    match &*name {
        // Framing is ours.
        "content-length" | "transfer-encoding" => return Ok(()),
        "host" => {
            if let Some((_, old)) = request.headers.iter().find(|(n, _)| *n == name) {
                let message = format!("'{name}' header already defined (previous value is '{old}')");
                return Err(Fault::new(word + 1, message));
            }
        }
        _ => {}
    }
    request.headers.push((name, literal(word + 2, value)?));
    Ok(())
}

/// `send <data>`, `send-binary <hex>` and their log-format forms.
pub(super) fn parse_send(words: &mut Words<'_>) -> Result<(Vec<u8>, Option<String>), Fault> {
    let kind = words.list.first().copied().unwrap_or("");
    let data = words.argument(0, &format!("'{kind}' expects a string as argument"))?;
    let data = if kind.ends_with("-lf") { literal(1, data)? } else { data.to_owned() };
    let bytes = if kind.starts_with("send-binary") { hex(1, &data)? } else { data.into_bytes() };
    let mut comment = None;
    while let Some((i, word)) = words.next() {
        match word {
            "comment" => {
                comment = Some(words.argument(i, "'comment' expects a string as argument")?.to_owned())
            }
            _ => return Err(Fault::new(i, format!("expects 'comment' but got '{word}' as argument"))),
        }
    }
    Ok((bytes, comment))
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
