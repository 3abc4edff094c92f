//! Arguments of fetches and converters: the `(a,b,c)` behind a name, with HAProxy's quoting inside it.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::account::Accounts;
use super::cast::leading_int;
use super::holds::Holds;
use super::pattern::Matcher;
use super::regex::Regex;
use super::vars::VarId;
use crate::stick::TableCell;

/// Most arguments of one fetch or converter.
const MAX: usize = 12;

/// What an argument may be; the text is HAProxy's name of the type (shown by `-dKall` and in messages).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgKind {
    Str,
    Int,
    Ipv4,
    Ipv6,
    Mask4,
    Mask6,
    Regex,
    Frontend,
    Backend,
    Server,
    UserList,
    /// Numbers of fields with dots between them.
    Protobuf,
    Table,
}

impl ArgKind {
    pub fn name(self) -> &'static str {
        match self {
            ArgKind::Str => "string",
            ArgKind::Int => "integer",
            ArgKind::Ipv4 => "IPv4 address",
            ArgKind::Ipv6 => "IPv6 address",
            ArgKind::Mask4 => "IPv4 mask",
            ArgKind::Mask6 => "IPv6 mask",
            ArgKind::Regex => "regex",
            ArgKind::Frontend => "frontend",
            ArgKind::Backend => "backend",
            ArgKind::Server => "server",
            ArgKind::UserList => "user list",
            ArgKind::Protobuf => "Protocol buffers field number",
            ArgKind::Table => "table",
        }
    }
}

/// How many arguments and of which types; at least the first `min` must be given.
#[derive(Clone, Copy, Debug)]
pub struct ArgSpec {
    pub min: usize,
    pub kinds: &'static [ArgKind],
}

impl ArgSpec {
    pub const NONE: ArgSpec = ArgSpec { min: 0, kinds: &[] };

    pub const fn new(min: usize, kinds: &'static [ArgKind]) -> Self {
        ArgSpec { min, kinds }
    }
}

/// One argument, parsed. `check` functions of fetches turn strings into the richer kinds.
#[derive(Clone, Debug)]
pub enum Arg {
    Str(Box<[u8]>),
    Int(i64),
    Ipv4(Ipv4Addr),
    Ipv6(Ipv6Addr),
    Var(VarId),
    Regex(Arc<Regex>),
    Accounts(Arc<Accounts>),
    /// A backend's or frontend's name; `""` is the current one.
    Proxy(Box<str>),
    Server {
        backend: Box<str>,
        server: Box<str>,
    },
    Map(Arc<Matcher>),
    /// A stick table's name, before it is looked for; `""` is the section's own.
    TableName(Box<str>),
    Table(TableCell),
    /// An ACL that must hold, or must not.
    Holds {
        acl: Arc<dyn Holds>,
        negated: bool,
    },
}

impl Arg {
    /// The bytes of a string argument, empty for any other.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Arg::Str(s) => s,
            _ => &[],
        }
    }
}

/// Reads of an argument list; shapes a missing argument takes.
pub trait Args {
    /// String `i`, or empty.
    fn str(&self, i: usize) -> &[u8];
    /// Number `i`, if given.
    fn int(&self, i: usize) -> Option<i64>;
    /// Proxy name `i`, `""` for the current one.
    fn proxy(&self, i: usize) -> &str;
}

impl Args for [Arg] {
    fn str(&self, i: usize) -> &[u8] {
        self.get(i).map_or(&[], Arg::bytes)
    }

    fn int(&self, i: usize) -> Option<i64> {
        match self.get(i) {
            Some(Arg::Int(n)) => Some(*n),
            _ => None,
        }
    }

    fn proxy(&self, i: usize) -> &str {
        match self.get(i) {
            Some(Arg::Proxy(name)) => name,
            _ => "",
        }
    }
}

/// Parses the list at the beginning of `text` (which may be empty or begin with anything but `(`: no list). Returns
/// the arguments and the number of bytes taken.
pub fn parse(text: &[u8], spec: ArgSpec) -> Result<(Vec<Arg>, usize), String> {
    let listed = text.first() == Some(&b'(');
    let kinds = &spec.kinds[..spec.kinds.len().min(MAX)];
    let mut args = Vec::new();
    let mut at = usize::from(listed);
    if !kinds.is_empty() && (listed || spec.min > 0) {
        for (i, kind) in kinds.iter().enumerate() {
            let (word, next) = if listed { one(text, at, *kind, i)? } else { (Vec::new(), at) };
            let closes = !matches!(text.get(next), Some(b','));
            at = next;
            if word.is_empty() && needs_value(*kind) {
                if i >= spec.min {
                    break;
                }
                return Err(format!(
                    "expected type '{}' at position {}, but got nothing",
                    kind.name(),
                    i + 1
                ));
            }
            args.push(typed(word, *kind, i)?);
            if closes || i + 1 == kinds.len() {
                break;
            }
            at += 1;
        }
        if args.len() < spec.min {
            return Err(format!(
                "missing arguments (got {}/{}), type '{}' expected",
                args.len(),
                spec.min,
                kinds[args.len()].name()
            ));
        }
    }
    if !listed {
        return Ok((args, 0));
    }
    match text.get(at) {
        Some(b')') => Ok((args, at + 1)),
        Some(_) => Err(format!("expected ')' before '{}'", String::from_utf8_lossy(&text[at..]))),
        None => Err("expected ')'".into()),
    }
}

fn needs_value(kind: ArgKind) -> bool {
    matches!(kind, ArgKind::Int | ArgKind::Ipv4 | ArgKind::Ipv6 | ArgKind::Mask4 | ArgKind::Mask6)
}

/// One argument's bytes from `at` on with quotes and escapes resolved, and where it ended.
fn one(text: &[u8], mut at: usize, kind: ArgKind, position: usize) -> Result<(Vec<u8>, usize), String> {
    let mut out = Vec::new();
    let mut quote = None;
    while let Some(&c) = text.get(at) {
        match c {
            b'"' | b'\'' if quote.is_none() => quote = Some(c),
            _ if quote == Some(c) => quote = None,
            b'\\' if quote != Some(b'\'') => {
                let Some(&next) = text.get(at + 1) else {
                    return Err(format!(
                        "failed to parse '\\' after '{}' as type '{}' at position {}",
                        String::from_utf8_lossy(&out),
                        kind.name(),
                        position + 1
                    ));
                };
                let escaped = match next {
                    b'\\' | b' ' | b'"' | b'\'' => Some(next),
                    b'r' => Some(b'\r'),
                    b'n' => Some(b'\n'),
                    b't' => Some(b'\t'),
                    _ => None,
                };
                out.push(escaped.unwrap_or(b'\\'));
                at += usize::from(escaped.is_some());
            }
            b',' | b')' if quote.is_none() => break,
            _ => out.push(c),
        }
        at += 1;
    }
    Ok((out, at))
}

fn typed(word: Vec<u8>, kind: ArgKind, position: usize) -> Result<Arg, String> {
    let text = String::from_utf8_lossy(&word).into_owned();
    let bad = || format!("failed to parse '{text}' as type '{}' at position {}", kind.name(), position + 1);
    Ok(match kind {
        ArgKind::Str | ArgKind::Regex | ArgKind::UserList | ArgKind::Protobuf => Arg::Str(word.into()),
        ArgKind::Int => match leading_int(&word) {
            (n, len) if len == word.len() => Arg::Int(n),
            _ => return Err(bad()),
        },
        ArgKind::Ipv4 => Arg::Ipv4(text.parse().map_err(|_| bad())?),
        ArgKind::Ipv6 => Arg::Ipv6(text.parse().map_err(|_| bad())?),
        ArgKind::Mask4 => Arg::Ipv4(mask4(&text).ok_or_else(bad)?),
        ArgKind::Mask6 => Arg::Ipv6(mask6(&text).ok_or_else(bad)?),
        ArgKind::Frontend | ArgKind::Backend => Arg::Proxy(text.into()),
        ArgKind::Table => Arg::TableName(text.into()),
        ArgKind::Server => match text.split_once('/') {
            Some((backend, server)) => Arg::Server { backend: backend.into(), server: server.into() },
            None => Arg::Server { backend: "".into(), server: text.into() },
        },
    })
}

fn mask4(text: &str) -> Option<Ipv4Addr> {
    if text.contains('.') {
        return text.parse().ok();
    }
    let bits: u32 = text.parse().ok().filter(|b| *b <= 32)?;
    Some(Ipv4Addr::from(u32::MAX.checked_shl(32 - bits).unwrap_or(0)))
}

fn mask6(text: &str) -> Option<Ipv6Addr> {
    if text.contains(':') {
        return text.parse().ok();
    }
    let bits: u32 = text.parse().ok().filter(|b| *b <= 128)?;
    Some(Ipv6Addr::from(u128::MAX.checked_shl(128 - bits).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(text: &str, spec: ArgSpec) -> Result<(Vec<String>, usize), String> {
        let (args, n) = parse(text.as_bytes(), spec)?;
        Ok((args.iter().map(|a| String::from_utf8_lossy(a.bytes()).into_owned()).collect(), n))
    }

    #[test]
    fn quotes_and_escapes() {
        const TWO: ArgSpec = ArgSpec::new(0, &[ArgKind::Str, ArgKind::Str]);
        for (text, expected, taken) in [
            ("", vec![], 0),
            (",lower", vec![], 0),
            ("(a)", vec!["a"], 3),
            ("(a,b),lower", vec!["a", "b"], 5),
            ("(,b)", vec!["", "b"], 4),
            ("(\"a,b\",')')", vec!["a,b", ")"], 11),
            (r"(a\ b,\\)", vec!["a b", "\\"], 9),
            (r"(\d+,x)", vec![r"\d+", "x"], 7),
        ] {
            let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(strings(text, TWO), Ok((expected, taken)), "{text}");
        }
        assert_eq!(strings("(a", TWO), Err("expected ')'".into()));
        assert_eq!(strings("(a,b,c)", TWO), Err("expected ')' before ',c)'".into()));
    }

    #[test]
    fn numbers_and_masks() {
        const INT: ArgSpec = ArgSpec::new(1, &[ArgKind::Int]);
        assert!(matches!(parse(b"(-3)", INT).unwrap().0[..], [Arg::Int(-3)]));
        assert_eq!(parse(b"(x)", INT).unwrap_err(), "failed to parse 'x' as type 'integer' at position 1");
        assert!(parse(b"()", INT).is_err());
        const MASK: ArgSpec = ArgSpec::new(1, &[ArgKind::Mask4, ArgKind::Mask6]);
        let (args, _) = parse(b"(24,64)", MASK).unwrap();
        assert!(matches!(args[0], Arg::Ipv4(m) if m == Ipv4Addr::new(255, 255, 255, 0)));
        assert!(matches!(args[1], Arg::Ipv6(m) if m == "ffff:ffff:ffff:ffff::".parse::<Ipv6Addr>().unwrap()));
        // A backend that is not named is the current one.
        let (args, _) = parse(b"", ArgSpec::new(1, &[ArgKind::Backend])).unwrap();
        assert!(matches!(&args[0], Arg::Proxy(name) if name.is_empty()));
    }
}
