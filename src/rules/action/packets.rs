//! What packets of a connection say outside of TCP: marks for firewalls, types of service. And how often connecting is
//! tried, and in which order streams leave queues.

use crate::lang::{Entry, Word};
use crate::rules::expr::Expr;
use crate::rules::sample::{Sample, SampleType};
use crate::rules::txn::Packets;
use crate::rules::words::Failed;

use super::entry::{Action, ActionKeyword, Input, Run, Sets, Step};

/// A number, or an expression for one.
#[derive(Debug)]
pub enum Number {
    Constant(i64),
    Expr(Expr),
}

impl Number {
    pub fn value(&self, run: &Run<'_>) -> Option<i64> {
        match self {
            Number::Constant(n) => Some(*n),
            Number::Expr(expr) => match expr.eval_as(run.ctx(), SampleType::Int) {
                Some(Sample::Int(n)) => Some(n),
                _ => None,
            },
        }
    }
}

/// An expression in the words before a condition.
pub fn expression(input: &mut Input<'_, '_, '_>) -> Result<Expr, Failed> {
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

/// A number in decimal or, with `0x`, in hexadecimal.
fn constant(text: &str) -> Option<i64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// What does not begin like a number is an expression.
pub fn number(input: &mut Input<'_, '_, '_>, most: i64) -> Result<Number, Failed> {
    let Some(word) = input.words.rest().first().filter(|w| w.str().starts_with(|c: char| c.is_ascii_digit()))
    else {
        return Ok(Number::Expr(expression(input)?));
    };
    input.words.skip(1);
    match constant(word.str()) {
        Some(n) if n <= most => Ok(Number::Constant(n)),
        Some(n) => Err((word.span, format!("value {n} is out of range: at most {most}"))),
        None => Err((word.span, format!("invalid value '{}'", word.str()))),
    }
}

/// `set-fc-mark`, `set-fc-tos`, and the same of the server's connection.
#[derive(Debug)]
struct SetPackets {
    value: Number,
    is_tos: bool,
    of_server: bool,
}

impl Action for SetPackets {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let Some(value) = self.value.value(run) else { return Step::Next };
        let packets = match self.is_tos {
            true => Packets { tos: Some(value as u8), mark: None },
            false => Packets { mark: Some(value as u32), tos: None },
        };
        if !self.of_server {
            run.env.tell_client(packets);
            return Step::Next;
        }
        let wanted = &mut run.txn.server_packets;
        wanted.tos = packets.tos.or(wanted.tos);
        wanted.mark = packets.mark.or(wanted.mark);
        Step::Next
    }
}

fn parse_packets(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let is_tos = input.name.ends_with("tos");
    let value = number(input, if is_tos { 255 } else { i64::from(u32::MAX) })?;
    Ok(Box::new(SetPackets { value, is_tos, of_server: input.name.starts_with("set-bc") }))
}

/// `set-priority-class`, `set-priority-offset`.
#[derive(Debug)]
struct SetPriority {
    expr: Expr,
    is_class: bool,
}

const MOST_CLASS: i64 = 2047;
const MOST_OFFSET: i64 = 524_287;

impl Action for SetPriority {
    fn run(&self, run: &mut Run<'_>) -> Step {
        let Some(Sample::Int(n)) = self.expr.eval_as(run.ctx(), SampleType::Int) else { return Step::Next };
        let priority = &mut run.txn.priority;
        match self.is_class {
            true => priority.class = n.clamp(-MOST_CLASS, MOST_CLASS) as i16,
            false => priority.offset_ms = n.clamp(-MOST_OFFSET, MOST_OFFSET) as i32,
        }
        Step::Next
    }
}

fn parse_priority(input: &mut Input<'_, '_, '_>) -> Result<Box<dyn Action>, Failed> {
    let is_class = input.name == "set-priority-class";
    Ok(Box::new(SetPriority { expr: expression(input)?, is_class }))
}

/// `set-retries`.
#[derive(Debug)]
struct SetRetries(Number);

const MOST_RETRIES: i64 = 100;

impl Action for SetRetries {
    fn run(&self, run: &mut Run<'_>) -> Step {
        if let Some(n @ 0..=MOST_RETRIES) = self.0.value(run) {
            run.txn.retries_wanted = Some(n as u32);
        }
        Step::Next
    }
}

const CLIENT: Sets = Sets::TCP.union(Sets::HTTP_REQ_RES);
const BEFORE_SERVER: Sets = Sets::TCP_CONTENT.union(Sets::HTTP_REQUEST);

const fn mark(name: &'static str, example: &'static str, sets: Sets, since: &'static str) -> ActionKeyword {
    let doc = "Packets of the connection carry this mark, which firewalls and routes may ask for (with the right to administer the network).";
    ActionKeyword::new(Entry::full(name, "<mark>|<expr>", doc, example, since), sets, parse_packets)
}

const fn tos(name: &'static str, example: &'static str, sets: Sets, since: &'static str) -> ActionKeyword {
    let doc = "Packets of the connection say this type of service.";
    ActionKeyword::new(Entry::full(name, "<tos>|<expr>", doc, example, since), sets, parse_packets)
}

pub static ACTIONS: &[ActionKeyword] = &[
    mark("set-fc-mark", "set-fc-mark 0x2a", CLIENT, "3.0"),
    mark("set-mark", "set-mark 42", CLIENT, "1.5"),
    mark("set-bc-mark", "set-bc-mark 42", BEFORE_SERVER, "3.0"),
    tos("set-fc-tos", "set-fc-tos int(16)", CLIENT, "3.0"),
    tos("set-tos", "set-tos 0x10", CLIENT, "1.5"),
    tos("set-bc-tos", "set-bc-tos 16", BEFORE_SERVER, "3.0"),
    ActionKeyword::new(
        Entry::full(
            "set-priority-class",
            "<expr>",
            "Streams of a lower class leave queues first.",
            "set-priority-class int(-5)",
            "1.9",
        ),
        BEFORE_SERVER,
        parse_priority,
    ),
    ActionKeyword::new(
        Entry::full(
            "set-priority-offset",
            "<expr>",
            "Within its class the stream counts as so many milliseconds older or younger.",
            "set-priority-offset int(100)",
            "1.9",
        ),
        BEFORE_SERVER,
        parse_priority,
    ),
    ActionKeyword::new(
        Entry::full(
            "set-retries",
            "<number>|<expr>",
            "How often connecting to a server is tried again for this stream, 0 to 100.",
            "set-retries 3",
            "3.2",
        ),
        BEFORE_SERVER,
        |input| Ok(Box::new(SetRetries(number(input, MOST_RETRIES)?))),
    ),
];
