//! Properties of the stream: log level, timeouts, addresses, priorities.

use std::net::{IpAddr, SocketAddr};

use crate::lang::{Entry, Status, Word};
use crate::rules::cast::cast;
use crate::rules::expr::Expr;
use crate::rules::kind::RuleSetKind;
use crate::rules::sample::{Sample, SampleType};
use crate::rules::txn::Endpoint;
use crate::rules::words::{Failed, time_ms};

use super::entry::{Action, ActionKeyword, Input, Run, Sets, Step};

#[derive(Debug)]
struct SetLogLevel(u8);

impl Action for SetLogLevel {
    fn run(&self, run: &mut Run<'_>) -> Step {
        run.txn.log_level = Some(self.0);
        Step::Next
    }
}

const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

fn parse_level(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let word = input.words.want("exactly 1 argument (log level name or 'silent')")?;
    let level = match word.str() {
        "silent" => Some(255),
        name => LEVELS.iter().position(|l| *l == name).map(|n| n as u8),
    };
    match level {
        Some(level) => Ok(Box::new(SetLogLevel(level))),
        None => Err((word.span, "expects exactly 1 argument (log level name or 'silent')".into())),
    }
}

/// `disable-l7-retry`: a request that reached a server is not sent again, whatever `retry-on` says.
#[derive(Debug)]
struct ForbidRepeat;

impl Action for ForbidRepeat {
    fn run(&self, run: &mut Run<'_>) -> Step {
        run.txn.no_repeat = true;
        Step::Next
    }
}

/// `expect-proxy layer4`: the connection begins with a PROXY header.
#[derive(Debug)]
struct ExpectProxy;

impl Action for ExpectProxy {
    fn run(&self, run: &mut Run<'_>) -> Step {
        run.txn.expects_proxy = true;
        Step::Next
    }
}

fn parse_expect_proxy(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let word = input.words.want("'layer4'")?;
    match word.str() {
        "layer4" => Ok(Box::new(ExpectProxy)),
        other => Err((word.span, format!("only supports 'layer4' (got '{other}')"))),
    }
}

/// Accepted words without effect.
#[derive(Debug)]
struct NoEffect;

impl Action for NoEffect {
    fn run(&self, _: &mut Run<'_>) -> Step {
        Step::Next
    }
}

fn parse_nice(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let word = input.words.want("exactly 1 argument (integer value)")?;
    match word.str().parse::<i32>() {
        Ok(_) => Ok(Box::new(NoEffect)),
        Err(_) => Err((word.span, format!("invalid value '{}'", word.str()))),
    }
}

/// A number of milliseconds, or an expression for one.
#[derive(Debug)]
enum Duration {
    Constant(u64),
    Expr(Expr),
}

#[derive(Clone, Copy, Debug)]
enum Which {
    Client,
    Server,
    Tunnel,
    Connect,
    Queue,
    Tarpit,
}

#[derive(Debug)]
struct SetTimeout {
    which: Which,
    value: Duration,
}

impl Action for SetTimeout {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let value = match &self.value {
            Duration::Constant(ms) => Some(*ms),
            Duration::Expr(expr) => match expr.eval_as(run.ctx(), SampleType::Int) {
                Some(Sample::Int(n)) => u64::try_from(n).ok(),
                _ => None,
            },
        };
        if value.is_some() {
            let timeouts = &mut run.txn.timeouts;
            let place = match self.which {
                Which::Client => &mut timeouts.client_ms,
                Which::Server => &mut timeouts.server_ms,
                Which::Tunnel => &mut timeouts.tunnel_ms,
                Which::Connect => &mut timeouts.connect_ms,
                Which::Queue => &mut timeouts.queue_ms,
                Which::Tarpit => &mut timeouts.tarpit_ms,
            };
            *place = value;
        }
        Step::Next
    }
}

/// An expression in the words before a condition.
pub(super) fn expression(input: &mut Input<'_, '_, '_>) -> Result<Expr, Failed> {
    let (words, at) = input.words.slice();
    let is_end = |w: &Word| matches!(w.str(), "if" | "unless");
    let end = words[at..].iter().position(is_end).map_or(words.len(), |n| at + n);
    match Expr::parse(&words[..end], at, input.ctx) {
        Some((expr, used)) => {
            input.words.skip(used);
            Ok(expr)
        }
        None => input.words.fail("expects an expression"),
    }
}

fn parse_timeout(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let word = input.words.want("a timeout name")?;
    let which = match word.str() {
        "client" => Which::Client,
        "server" => Which::Server,
        "tunnel" => Which::Tunnel,
        "connect" => Which::Connect,
        "queue" => Which::Queue,
        "tarpit" => Which::Tarpit,
        other => return Err((word.span, format!("'{other}' is not a valid timeout"))),
    };
    // What does not begin like a number is an expression.
    let value = match input.words.rest().first() {
        Some(word) if word.str().starts_with(|c: char| c.is_ascii_digit()) => {
            input.words.skip(1);
            Duration::Constant(time_ms(word, input.ctx)?)
        }
        _ => Duration::Expr(expression(input)?),
    };
    Ok(Box::new(SetTimeout { which, value }))
}

/// `set-src`, `set-dst` and their ports.
#[derive(Debug)]
struct SetAddress {
    expr: Expr,
    is_source: bool,
    is_port: bool,
    /// A rule of `tcp-request connection`: the connection itself gets the address too.
    of_connection: bool,
}

impl Action for SetAddress {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let wanted = if self.is_port { SampleType::Int } else { SampleType::Addr };
        let value = self.expr.eval(run.ctx()).and_then(|s| cast(s, wanted)).map(Sample::into_owned);
        let txn = &mut *run.txn;
        let (stream, connection) = match self.is_source {
            true => (&mut txn.client, &mut txn.conn_client),
            false => (&mut txn.local, &mut txn.conn_local),
        };
        let now = stream.inet().unwrap_or(SocketAddr::new(IpAddr::from([0, 0, 0, 0]), 0));
        let changed = match value {
            Some(Sample::Ipv4(a)) => SocketAddr::new(a.into(), now.port()),
            Some(Sample::Ipv6(a)) => SocketAddr::new(a.into(), now.port()),
            Some(Sample::Int(n)) => SocketAddr::new(now.ip(), n as u16),
            _ => return Step::Next,
        };
        *stream = Endpoint::Inet(changed);
        if self.of_connection {
            *connection = *stream;
        }
        Step::Next
    }
}

fn parse_address(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let (is_source, is_port) = match input.name {
        "set-src" => (true, false),
        "set-src-port" => (true, true),
        "set-dst" => (false, false),
        _ => (false, true),
    };
    let of_connection = input.kind == RuleSetKind::TcpConnection;
    let expr = expression(input)?;
    Ok(Box::new(SetAddress { expr, is_source, is_port, of_connection }))
}

const ADDRESS: Sets =
    Sets::TCP_CONNECTION.union(Sets::TCP_SESSION).union(Sets::TCP_CONTENT).union(Sets::HTTP_REQUEST);
const ADDRESS_STATUS: Status =
    Status::Partial("rules, logs and headers see it; connections are made as before");

pub static ACTIONS: &[ActionKeyword] = &[
    ActionKeyword::new(
        Entry::full(
            "set-log-level",
            "<level>|silent",
            "The level of this transaction's log line, or none.",
            "set-log-level silent",
            "1.5",
        ),
        Sets::HTTP.union(Sets::TCP_CONTENT).union(Sets::TCP_RESPONSE),
        parse_level,
    ),
    ActionKeyword::new(
        Entry::full(
            "disable-l7-retry",
            "",
            "Whatever 'retry-on' says, the request is not sent again once it has reached a server.",
            "disable-l7-retry",
            "2.0",
        ),
        Sets::HTTP_REQUEST,
        |_| Ok(Box::new(ForbidRepeat)),
    ),
    ActionKeyword::new(
        Entry::full("set-nice", "<nice>", "The task's share of the processor.", "set-nice 10", "1.5"),
        Sets::HTTP_REQ_RES.union(Sets::TCP_CONTENT).union(Sets::TCP_RESPONSE),
        parse_nice,
    )
    .with(Status::Accepted("streams share a worker evenly")),
    ActionKeyword::new(
        Entry::full(
            "set-timeout",
            "client|server|tunnel|connect|queue|tarpit <time>|<expr>",
            "Another timeout for this stream, in milliseconds.",
            "set-timeout server 5s",
            "2.4",
        ),
        Sets::HTTP_REQ_RES,
        parse_timeout,
    ),
    ActionKeyword::new(
        Entry::full(
            "expect-proxy",
            "layer4",
            "The connection begins with a PROXY header, as with 'accept-proxy' on its bind line.",
            "expect-proxy layer4",
            "1.6",
        ),
        Sets::TCP_CONNECTION,
        parse_expect_proxy,
    ),
    ActionKeyword::new(
        Entry::full(
            "set-src",
            "<expr>",
            "Another source address: of the connection, of the session or of the stream, as the rule set says.",
            "set-src hdr(x-forwarded-for)",
            "1.6",
        ),
        ADDRESS,
        parse_address,
    )
    .with(ADDRESS_STATUS),
    ActionKeyword::new(
        Entry::full(
            "set-src-port",
            "<expr>",
            "Another source port for this stream.",
            "set-src-port int(4000)",
            "1.6",
        ),
        ADDRESS,
        parse_address,
    )
    .with(ADDRESS_STATUS),
    ActionKeyword::new(
        Entry::full(
            "set-dst",
            "<expr>",
            "Another destination address for this stream.",
            "set-dst ipv4(10.0.0.1)",
            "1.6",
        ),
        ADDRESS,
        parse_address,
    )
    .with(ADDRESS_STATUS),
    ActionKeyword::new(
        Entry::full(
            "set-dst-port",
            "<expr>",
            "Another destination port for this stream.",
            "set-dst-port int(4000)",
            "1.6",
        ),
        ADDRESS,
        parse_address,
    )
    .with(ADDRESS_STATUS),
];
