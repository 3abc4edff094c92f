//! Integers: arithmetic, bits, truth.

use std::borrow::Cow;

use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec};
use crate::rules::cast::{cast, leading_int};
use crate::rules::fetch;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{ConvFn, Converter};
use super::text::{bytes, numbers};

/// The other operand: a number or a variable.
fn operand(args: &[Arg], ctx: Ctx<'_>) -> Option<i64> {
    match args.first()? {
        Arg::Int(n) => Some(*n),
        Arg::Var(id) => match cast(fetch::variable_value(ctx, *id)?, T::Int)? {
            Sample::Int(n) => Some(n),
            _ => None,
        },
        _ => None,
    }
}

fn int(sample: Sample<'_>) -> Option<i64> {
    match sample {
        Sample::Int(n) => Some(n),
        _ => None,
    }
}

macro_rules! binary {
    ($name:ident, |$a:ident, $b:ident| $body:expr) => {
        fn $name<'a>(sample: Sample<'a>, args: &'a [Arg], ctx: Ctx<'a>) -> Option<Sample<'a>> {
            let ($a, $b) = (int(sample)?, operand(args, ctx)?);
            Some(Sample::Int($body))
        }
    };
}

binary!(add, |a, b| a.saturating_add(b));
binary!(sub, |a, b| a.saturating_sub(b));
binary!(mul, |a, b| a.saturating_mul(b));
binary!(div, |a, b| if b == 0 { i64::MAX } else { a.saturating_div(b) });
binary!(modulo, |a, b| if b == 0 { 0 } else { a.wrapping_rem(b) });
binary!(and, |a, b| a & b);
binary!(or, |a, b| a | b);
binary!(xor, |a, b| a ^ b);

const fn two(name: &'static str, doc: &'static str, example: &'static str, run: ConvFn) -> Converter {
    Converter::new(Entry::full(name, "<value>", doc, example, "1.6"), T::Int, T::Int, run)
        .args(ArgSpec::new(1, &[ArgKind::Str]))
        .check(|args, ctx| numbers(args, ctx))
}

const fn one(name: &'static str, doc: &'static str, example: &'static str, out: T, run: ConvFn) -> Converter {
    Converter::new(Entry::full(name, "", doc, example, "1.6"), T::Int, out, run)
}

pub static CONVERTERS: &[Converter] = &[
    two("add", "Adds a number or a variable.", "int(1),add(2)", add),
    two("sub", "Subtracts a number or a variable.", "int(1),sub(txn.x)", sub),
    two("mul", "Multiplies by a number or a variable.", "int(3),mul(2)", mul),
    two("div", "Divides by a number or a variable; by zero gives the largest number.", "int(9),div(2)", div),
    two("mod", "The remainder of a division; 0 for a division by zero.", "int(9),mod(4)", modulo),
    two("and", "Bitwise AND.", "int(6),and(3)", and),
    two("or", "Bitwise OR.", "int(6),or(1)", or),
    two("xor", "Bitwise exclusive OR.", "int(6),xor(2)", xor),
    one("cpl", "The complement of every bit.", "int(0),cpl", T::Int, |s, _, _| {
        int(s).map(|n| Sample::Int(!n))
    }),
    one("neg", "The number with the other sign.", "int(5),neg", T::Int, |s, _, _| {
        int(s).map(|n| Sample::Int(n.saturating_neg()))
    }),
    one("bool", "Whether it is not zero.", "int(5),bool", T::Bool, |s, _, _| {
        int(s).map(|n| Sample::Bool(n != 0))
    }),
    one("not", "Whether it is zero.", "int(5),not", T::Bool, |s, _, _| int(s).map(|n| Sample::Bool(n == 0))),
    one("odd", "Whether it is odd.", "int(5),odd", T::Bool, |s, _, _| {
        int(s).map(|n| Sample::Bool(n & 1 == 1))
    }),
    one("even", "Whether it is even.", "int(5),even", T::Bool, |s, _, _| {
        int(s).map(|n| Sample::Bool(n & 1 == 0))
    }),
    one("htonl", "The four bytes of the number in network order.", "int(5),htonl", T::Bin, |s, _, _| {
        int(s).map(|n| Sample::Bin(Cow::Owned((n as u32).to_be_bytes().to_vec())))
    }),
    Converter::new(
        Entry::full("hex2i", "", "The number written in hexadecimal.", "str(ff),hex2i", "2.5"),
        T::Str,
        T::Int,
        |s, _, _| {
            // Digits beyond 64 bits push the first ones out.
            let digit = |n: i64, c: &u8| Some(n << 4 | i64::from(char::from(*c).to_digit(16)?));
            bytes(s).iter().try_fold(0, digit).map(Sample::Int)
        },
    ),
    Converter::new(
        Entry::full(
            "port_only",
            "",
            "The port behind a host name; 0 when there is none.",
            "req.hdr(host),port_only",
            "2.4",
        ),
        T::Str,
        T::Int,
        |s, _, _| {
            let text = bytes(s);
            let (_, port) = split_port(&text);
            Some(Sample::Int(port.map_or(0, |p| leading_int(p).0)))
        },
    ),
    Converter::new(
        Entry::full(
            "host_only",
            "",
            "A host name in lower case without its port.",
            "req.hdr(host),host_only",
            "2.4",
        ),
        T::Str,
        T::Str,
        |s, _, _| {
            let text = bytes(s);
            let host = split_port(&text).0;
            Some(Sample::Str(match &text {
                Cow::Borrowed(b) if !host.iter().any(u8::is_ascii_uppercase) => {
                    Cow::Borrowed(&b[..host.len()])
                }
                _ => Cow::Owned(host.to_ascii_lowercase()),
            }))
        },
    ),
];

/// Host and port of `host:port`; the host may be an address in brackets.
fn split_port(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().rposition(|c| matches!(c, b':' | b']')) {
        Some(at) if text[at] == b':' => (&text[..at], Some(&text[at + 1..])),
        _ => (text, None),
    }
}
