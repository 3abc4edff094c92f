//! The table of algorithms: what `balance` accepts, and what builds each.

use crate::base::Millis;
use crate::lang::registry::Kind;
use crate::lang::void::is_void;
use crate::lang::{Entry, Status};
use crate::model::{Balancer, Server};

use super::first::First;
use super::leastconn::LeastConn;
use super::map::Map;
use super::ring::RingBalancer;
use super::roundrobin::RoundRobin;
use super::spec::{Method, Spec};

/// One algorithm.
pub struct Algorithm {
    pub entry: Entry,
    /// What follows the name; a parenthesised argument (`hdr(host)`) comes first. Errors are HAProxy's texts.
    pub parse: fn(&[&str]) -> Result<Method, String>,
}

fn refuse(_: &[&str]) -> Result<Method, String> {
    Err("this balancing algorithm is not supported".to_owned())
}

const fn refused(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
    why: &'static str,
) -> Algorithm {
    Algorithm {
        entry: Entry::full(name, args, doc, example, since).with(Status::Refused(why)),
        parse: refuse,
    }
}

const fn full(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
    parse: fn(&[&str]) -> Result<Method, String>,
) -> Algorithm {
    Algorithm { entry: Entry::full(name, args, doc, example, since), parse }
}

/// In the order of the manual.
pub const ALGORITHMS: &[Algorithm] = &[
    full(
        "roundrobin",
        "",
        "Servers take turns in proportion to their weights, which may change while they run.",
        "balance roundrobin",
        "1.0",
        |_| Ok(Method::RoundRobin),
    ),
    full(
        "static-rr",
        "",
        "Servers take turns in proportion to the weights of the file; only weight 0 and back has an effect.",
        "balance static-rr",
        "1.4",
        |_| Ok(Method::StaticRr),
    ),
    full(
        "leastconn",
        "",
        "The server with the fewest streams for its weight, queued ones counted; equals take turns.",
        "balance leastconn",
        "1.4",
        |_| Ok(Method::LeastConn),
    ),
    full(
        "first",
        "",
        "The server with the lowest id that has a free slot under its maxconn.",
        "balance first",
        "1.5",
        |_| Ok(Method::First),
    ),
    full(
        "hash",
        "<expression>",
        "The server that the hash of a sample expression points to.",
        "balance hash req.hdr(x-user)",
        "2.6",
        parse_expr,
    ),
    full(
        "source",
        "",
        "The server that the hash of the client's address points to.",
        "balance source",
        "1.0",
        |_| Ok(Method::Source),
    ),
    full(
        "uri",
        "[whole] [path-only] [len <bytes>] [depth <directories>]",
        "The server that the hash of the URI (without its query, unless whole) points to.",
        "balance uri depth 3",
        "1.3.13",
        parse_uri,
    ),
    full(
        "url_param",
        "<name> [check_post]",
        "The server that the hash of a query parameter (or of a form's field) points to.",
        "balance url_param userid",
        "1.3.14",
        parse_url_param,
    ),
    full(
        "hdr",
        "(<name>) [use_domain_only]",
        "The server that the hash of a request header points to.",
        "balance hdr(Host) use_domain_only",
        "1.3.15",
        parse_header,
    ),
    full(
        "random",
        "[(<draws>)]",
        "Draws servers at random by weight (two unless said) and takes the least loaded of them.",
        "balance random(3)",
        "1.9",
        parse_random,
    ),
    full(
        "peak-ewma",
        "",
        "Ours: draws two servers at random by weight and takes the one with the shorter mean response time, times the requests that it has to answer; slow answers count at once, and are forgotten within seconds. In TCP mode only what it has to serve counts.",
        "balance peak-ewma",
        "isobar",
        |_| Ok(Method::PeakEwma),
    ),
    full(
        "rdp-cookie",
        "[(<name>)]",
        "The server that the hash of an RDP cookie (\"mstshash\" unless named) points to.",
        "balance rdp-cookie",
        "1.3.21",
        parse_desktop,
    ),
    refused(
        "log-hash",
        "<converters>",
        "The server that the hash of a log message points to, in \"mode log\".",
        "balance log-hash field(-2,\\\")",
        "2.9",
        "backends in \"mode log\" are not supported",
    ),
    refused(
        "sticky",
        "",
        "Stays with one server as long as it is up, in \"mode log\".",
        "balance sticky",
        "2.9",
        "backends in \"mode log\" are not supported",
    ),
];

/// The lines that go with a keyed algorithm; parsed by the functions of `spec.rs`.
pub const HASH_KEYWORDS: &[Entry] = &[
    Entry::full(
        "hash-type",
        "<map-based|consistent|maglev> [<sdbm|djb2|wt6|crc32|none> [avalanche]]",
        "How a hash points to a server: by a table of all servers, by the nearest point on a ring, or (ours) by Maglev's table, which spreads more evenly than a ring and moves hardly more keys when a server goes.",
        "hash-type consistent sdbm avalanche",
        "1.4",
    ),
    Entry::full(
        "hash-balance-factor",
        "<percent>",
        "With \"hash-type consistent\": no server gets more than this share of the average load; 0 is off.",
        "hash-balance-factor 150",
        "1.7",
    ),
    Entry::full(
        "hash-preserve-affinity",
        "<always|maxconn|maxqueue>",
        "With \"hash-type consistent\": when a key's server is passed over because it is busy.",
        "hash-preserve-affinity maxconn",
        "3.2",
    ),
];

/// The words after `balance`; none at all means `random`. Errors are HAProxy's texts without the place.
pub fn parse_balance(words: &[&str]) -> Result<Method, String> {
    let Some((&head, rest)) = words.split_first() else { return Ok(Method::Random { draws: 2 }) };
    let (name, inner) = match head.split_once('(') {
        Some((name, inner)) => (name, Some(inner)),
        None => (head, None),
    };
    let known = ALGORITHMS.iter().find(|a| a.entry.name == name).filter(|a| {
        let takes_inner = a.entry.args.contains('(');
        inner.is_none() || takes_inner
    });
    let Some(algorithm) = known else {
        return Err(
            "only supports 'roundrobin', 'static-rr', 'leastconn', 'source', 'uri', 'url_param', 'hash', \
                    'hdr(name)', 'rdp-cookie(name)', 'log-hash' and 'sticky' options."
                .to_owned(),
        );
    };
    if let Status::Refused(why) = algorithm.entry.status {
        return Err(format!("'{name}' is not supported: {why}."));
    }
    let mut args: Vec<&str> = Vec::with_capacity(words.len());
    args.extend(inner);
    args.extend(rest);
    let method = (algorithm.parse)(&args)?;
    // One that does nothing takes the first server, and `first` the next.
    let other = if name == "first" { Method::RoundRobin } else { Method::First };
    Ok(if is_void(Kind::Balance, name) { other } else { method })
}

fn positive(keyword: &str, word: Option<&&str>) -> Result<usize, String> {
    let word = word.copied().unwrap_or("");
    match word.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err(format!("uri : '{keyword}' expects a positive integer (got '{word}').")),
    }
}

fn parse_uri(args: &[&str]) -> Result<Method, String> {
    let (mut whole, mut path_only, mut len, mut depth) = (false, false, 0, 0);
    let mut words = args.iter();
    while let Some(&word) = words.next() {
        match word {
            "whole" => whole = true,
            "path-only" => path_only = true,
            "len" => len = positive(word, words.next())?,
            "depth" => depth = positive(word, words.next())?,
            _ => {
                return Err(format!(
                    "uri only accepts parameters 'len', 'depth', 'path-only', and 'whole' (got '{word}')."
                ));
            }
        }
    }
    Ok(Method::Uri { whole, path_only, len, depth })
}

fn parse_url_param(args: &[&str]) -> Result<Method, String> {
    let Some(name) = args.first() else { return Err("url_param requires an URL parameter name.".to_owned()) };
    let check_post = match args.get(1) {
        None => false,
        Some(&"check_post") => true,
        Some(other) => return Err(format!("url_param only accepts 'check_post' modifier (got '{other}').")),
    };
    Ok(Method::UrlParam { name: name.as_bytes().into(), check_post })
}

fn parse_expr(args: &[&str]) -> Result<Method, String> {
    match args {
        [] => Err("hash requires a sample expression.".to_owned()),
        [expr] => Ok(Method::Expr((*expr).into())),
        [_, other, ..] => Err(format!("hash takes no other argument (got '{other}').")),
    }
}

/// A remote desktop's cookie is a sample like others.
fn parse_desktop(args: &[&str]) -> Result<Method, String> {
    let name = match args.first() {
        None => "mstshash",
        Some(inner) => inner.split_once(')').map_or("", |(name, _)| name),
    };
    if name.is_empty() || name.contains([',', '(']) {
        return Err("rdp-cookie : missing cookie name.".to_owned());
    }
    Ok(Method::Expr(format!("req.rdp_cookie({name})").into()))
}

fn parse_header(args: &[&str]) -> Result<Method, String> {
    let name = args.first().and_then(|inner| inner.split_once(')')).map_or("", |(name, _)| name);
    if name.is_empty() {
        return Err("hdr requires an http header field name.".to_owned());
    }
    let use_domain_only = match args.get(1) {
        None => false,
        Some(&"use_domain_only") => true,
        Some(other) => {
            return Err(format!("hdr({name}) only accepts 'use_domain_only' modifier (got '{other}')."));
        }
    };
    Ok(Method::Header { name: name.to_ascii_lowercase().into_bytes().into(), use_domain_only })
}

fn parse_random(args: &[&str]) -> Result<Method, String> {
    let Some(inner) = args.first() else { return Ok(Method::Random { draws: 2 }) };
    let Some((number, _)) = inner.split_once(')') else {
        return Err("random : missing closing parenthesis.".to_owned());
    };
    match number.parse() {
        _ if number.is_empty() => Ok(Method::Random { draws: 2 }),
        Ok(0) => Err("random : number of draws must be at least 1.".to_owned()),
        Ok(draws) => Ok(Method::Random { draws }),
        Err(_) => Err(format!("random : unexpected character in '{number}'.")),
    }
}

/// The algorithm that `spec` names, over the servers of `list` as they are now.
pub fn build(spec: &Spec, list: &[Server], now: Millis) -> Box<dyn Balancer> {
    match &spec.method {
        Method::RoundRobin => Box::new(RoundRobin::new(spec, list, now)),
        Method::LeastConn => Box::new(LeastConn::new(spec, list, now)),
        Method::First => Box::new(First::new(spec, list, now)),
        Method::StaticRr => Box::new(Map::new(spec, list, now)),
        Method::Random { .. } | Method::PeakEwma => Box::new(RingBalancer::new(spec, list, now)),
        _ if spec.hash.consistent => Box::new(RingBalancer::new(spec, list, now)),
        _ => Box::new(Map::new(spec, list, now)),
    }
}
