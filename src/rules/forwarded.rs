//! `option forwarded`: the `Forwarded` field (RFC 7239) that requests get.

use crate::lang::Word;

use super::build::BuildCtx;
use super::convert::{node_name, node_port};
use super::expr::Expr;
use super::fetch::address;
use super::sample::Sample;
use super::txn::{Ctx, Endpoint};

/// What a parameter says.
#[derive(Debug)]
enum Value {
    /// What is there to say: an end of the connection, the Host field.
    Own,
    Expr(Expr),
}

/// A node and its port.
#[derive(Debug, Default)]
struct Node {
    name: Option<Value>,
    port: Option<Value>,
}

/// The parameters in the order in which they are written.
#[derive(Debug, Default)]
pub struct Forwarded {
    proto: bool,
    host: Option<Value>,
    by: Node,
    from: Node,
}

impl Forwarded {
    /// Reads the words behind `option forwarded`.
    pub fn parse(words: &[Word], ctx: &mut BuildCtx<'_>) -> Option<Forwarded> {
        let mut all = Forwarded::default();
        let mut at = 0;
        while let Some(word) = words.get(at) {
            at += 1;
            let (name, has_expr) = match word.str().strip_suffix("-expr") {
                Some(name) => (name, true),
                None => (word.str(), false),
            };
            let value = match has_expr {
                true => {
                    if words.get(at).is_none() {
                        ctx.error(
                            word.span,
                            format!("'option forwarded' : '{}' expects an expression.", word.str()),
                        );
                        return None;
                    }
                    let (expr, used) = Expr::parse(words, at, ctx)?;
                    at += used;
                    Value::Expr(expr)
                }
                false => Value::Own,
            };
            match name {
                "proto" if !has_expr => all.proto = true,
                "host" => all.host = Some(value),
                "by" => all.by.name = Some(value),
                "by_port" => all.by.port = Some(value),
                "for" => all.from.name = Some(value),
                "for_port" => all.from.port = Some(value),
                _ => {
                    let message = "'option forwarded' only supports optional values: 'proto', 'host', \
                        'host-expr', 'by', 'by-expr', 'by_port', 'by_port-expr', 'for', 'for-expr', 'for_port' and \
                        'for_port-expr'.";
                    ctx.error(word.span, message);
                    return None;
                }
            }
        }
        if words.is_empty() {
            (all.proto, all.from.name) = (true, Some(Value::Own));
        }
        Some(all)
    }

    /// The field's value; empty where there is nothing to say.
    pub fn value(&self, ctx: Ctx<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        if self.proto {
            let is_tls = ctx.env.client_tls().is_some();
            out.extend_from_slice(if is_tls { b"proto=https" } else { b"proto=http" });
        }
        let host = match &self.host {
            None => None,
            Some(Value::Own) => ctx.txn.req.field(b"host").map(<[u8]>::to_vec),
            Some(Value::Expr(expr)) => expr.eval(ctx).map(|s| super::cast::text(s).into_owned()),
        };
        if let Some(host) = host {
            parameter(b"host", &host, true, &mut out);
        }
        for (name, node, end) in [(&b"by"[..], &self.by, ctx.txn.local), (b"for", &self.from, ctx.txn.client)]
        {
            if let Some(text) = node.text(ctx, end) {
                let is_token = !text.iter().any(|c| matches!(c, b'[' | b':'));
                parameter(name, &text, !is_token, &mut out);
            }
        }
        out
    }
}

impl Node {
    fn text(&self, ctx: Ctx<'_>, end: Endpoint) -> Option<Vec<u8>> {
        let name = match self.name.as_ref()? {
            Value::Own => address(end),
            Value::Expr(expr) => expr.eval(ctx),
        };
        let mut text = name.and_then(node_name).unwrap_or_else(|| b"unknown".to_vec());
        let port = match &self.port {
            None => None,
            Some(Value::Own) => end.inet().map(|addr| Sample::Int(addr.port().into())),
            Some(Value::Expr(expr)) => expr.eval(ctx),
        };
        if let Some(port) = port.and_then(node_port) {
            text.push(b':');
            text.extend(port);
        }
        Some(text)
    }
}

fn parameter(name: &[u8], value: &[u8], quoted: bool, out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(b';');
    }
    out.extend_from_slice(name);
    out.push(b'=');
    if !quoted {
        out.extend_from_slice(value);
        return;
    }
    out.push(b'"');
    for c in value.iter().filter(|c| !c.is_ascii_control()) {
        if matches!(c, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*c);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::super::tests::support::{FakeEnv, good, usual, words};
    use super::*;

    fn value(line: &str) -> String {
        let made = good(line, |ctx| Forwarded::parse(&words(line), ctx));
        let (txn, env) = (usual(), FakeEnv::default());
        String::from_utf8_lossy(&made.value(Ctx { txn: &txn, env: &env })).into_owned()
    }

    #[test]
    fn parameters_in_their_order() {
        for (line, expected) in [
            ("", "proto=http;for=10.1.2.3"),
            (
                "for-expr src for_port-expr str(id) by by_port-expr int(10)",
                "by=\"127.0.0.1:10\";for=\"10.1.2.3:_id\"",
            ),
            ("host-expr str(override)", "host=\"override\""),
            ("host proto", "proto=http;host=\"www.Example.com:8080\""),
            ("for for_port", "for=\"10.1.2.3:4000\""),
            ("for-expr ipv6(::1)", "for=\"[::1]\""),
            ("for-expr var(txn.none)", "for=unknown"),
            ("for_port", ""),
        ] {
            assert_eq!(value(line), expected, "{line}");
        }
    }
}
