//! Constants and the state of the process: `str`, `int`, `env`, `date`, `rand`, `uuid`...

use std::borrow::Cow;

use crate::base::WorkerId;
use crate::base::clock;
use crate::base::hex::from_hex;
use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{Fetch, Needs};

const N: Needs = Needs::Nothing;
const STR: ArgSpec = ArgSpec::new(1, &[ArgKind::Str]);

pub static FETCHES: &[Fetch] = &[
    Fetch::new(
        Entry::full("str", "<string>", "The string given.", "str(hello)", "1.5"),
        T::Str,
        N,
        |a, _, _| Some(Sample::Str(Cow::Borrowed(a.str(0)))),
    )
    .args(STR),
    Fetch::new(
        Entry::full("int", "<integer>", "The signed number given.", "int(42)", "1.5"),
        T::Int,
        N,
        |a, _, _| a.int(0).map(Sample::Int),
    )
    .args(ArgSpec::new(1, &[ArgKind::Int])),
    Fetch::new(
        Entry::full("bool", "<bool>", "The boolean given: true, false, 1 or 0.", "bool(true)", "1.5"),
        T::Bool,
        N,
        |a, _, _| a.int(0).map(|i| Sample::Bool(i != 0)),
    )
    .args(STR)
    .check(check_bool),
    Fetch::new(
        Entry::full("bin", "<hex>", "The bytes given as hexadecimal digits.", "bin(414243)", "1.5"),
        T::Bin,
        N,
        |a, _, _| Some(Sample::Bin(Cow::Borrowed(a.str(0)))),
    )
    .args(STR)
    .check(check_bin),
    Fetch::new(
        Entry::full("ipv4", "<ipv4>", "The IPv4 address given.", "ipv4(10.0.0.1)", "1.5"),
        T::Ipv4,
        N,
        |a, _, _| match a.first() {
            Some(Arg::Ipv4(ip)) => Some(Sample::Ipv4(*ip)),
            _ => None,
        },
    )
    .args(ArgSpec::new(1, &[ArgKind::Ipv4])),
    Fetch::new(
        Entry::full("ipv6", "<ipv6>", "The IPv6 address given.", "ipv6(::1)", "1.5"),
        T::Ipv6,
        N,
        |a, _, _| match a.first() {
            Some(Arg::Ipv6(ip)) => Some(Sample::Ipv6(*ip)),
            _ => None,
        },
    )
    .args(ArgSpec::new(1, &[ArgKind::Ipv6])),
    Fetch::new(
        Entry::full("meth", "<method>", "The HTTP method given.", "meth(GET)", "1.6"),
        T::Method,
        N,
        |a, _, _| Some(Sample::Method(Cow::Borrowed(a.str(0)))),
    )
    .args(STR),
    Fetch::new(
        Entry::full("always_true", "", "True, for tests.", "always_true", "1.3"),
        T::Bool,
        N,
        |_, _, _| Some(Sample::Bool(true)),
    ),
    Fetch::new(
        Entry::full(
            "acl",
            "[!]<name>[,[!]<name>]*",
            "Whether all of these ACLs of the section hold, or do not with '!'.",
            "acl(a,!b)",
            "2.9",
        ),
        T::Bool,
        N,
        |a, ctx, _| {
            let holds = |arg: &Arg| matches!(arg, Arg::Holds { acl, negated } if acl.holds(ctx) != *negated);
            Some(Sample::Bool(a.iter().all(holds)))
        },
    )
    .args(ArgSpec::new(1, &[ArgKind::Str; 12]))
    .check(check_acl),
    Fetch::new(
        Entry::full("always_false", "", "False; switches a rule off.", "always_false", "1.3"),
        T::Bool,
        N,
        |_, _, _| Some(Sample::Bool(false)),
    ),
    Fetch::new(
        Entry::full(
            "env",
            "<name>",
            "The environment variable as it was when the configuration was loaded.",
            "env(HOME)",
            "1.5",
        ),
        T::Str,
        N,
        |a, _, _| a.first().map(|v| Sample::Str(Cow::Borrowed(v.bytes()))),
    )
    .args(STR)
    .check(check_env),
    Fetch::new(
        Entry::full(
            "date",
            "[<offset>],[s|ms|us]",
            "Time since the epoch in seconds (or the unit given), with an offset in the same unit.",
            "date(-3600)",
            "1.5",
        ),
        T::Int,
        N,
        |a, ctx, _| {
            let now = in_unit(ctx.env.date_us(), a.int(1).unwrap_or(0));
            Some(Sample::Int(now.wrapping_add(a.int(0).unwrap_or(0))))
        },
    )
    .args(ArgSpec::new(0, &[ArgKind::Int, ArgKind::Str]))
    .check(|args, ctx| check_date_unit(args, ctx)),
    Fetch::new(
        Entry::full("date_us", "", "The microseconds part of the current time.", "date_us", "1.7"),
        T::Int,
        N,
        |_, ctx, _| Some(Sample::Int((ctx.env.date_us() % 1_000_000) as i64)),
    ),
    Fetch::new(
        Entry::full("hostname", "", "The system's host name.", "hostname", "1.7"),
        T::Str,
        N,
        |_, ctx, _| Some(Sample::Str(Cow::Borrowed(ctx.env.hostname().as_bytes()))),
    ),
    Fetch::new(Entry::full("pid", "", "The number of the process.", "pid", "2.4"), T::Int, N, |_, ctx, _| {
        Some(Sample::Int(i64::from(ctx.env.pid())))
    }),
    Fetch::new(
        Entry::full("nbproc", "", "The number of processes: always 1.", "nbproc", "1.5"),
        T::Int,
        N,
        |_, _, _| Some(Sample::Int(1)),
    ),
    Fetch::new(
        Entry::full("proc", "", "The rank of the process: always 1.", "proc", "1.5"),
        T::Int,
        N,
        |_, _, _| Some(Sample::Int(1)),
    ),
    Fetch::new(
        Entry::full("thread", "", "The rank of the worker, from 0.", "thread", "1.8"),
        T::Int,
        N,
        |_, _, _| Some(Sample::Int(i64::from(WorkerId::current().0.saturating_sub(1)))),
    ),
    Fetch::new(
        Entry::full("tgroup", "", "The thread group: always 1.", "tgroup", "3.1"),
        T::Int,
        N,
        |_, _, _| Some(Sample::Int(1)),
    ),
    Fetch::new(
        Entry::full("quic_enabled", "", "Whether QUIC listeners work: not yet.", "quic_enabled", "2.9"),
        T::Bool,
        N,
        |_, _, _| Some(Sample::Bool(false)),
    ),
    Fetch::new(
        Entry::full(
            "rand",
            "[<range>]",
            "A random number below <range>, or below 2^32 without one.",
            "rand(100)",
            "1.5",
        ),
        T::Int,
        N,
        |a, ctx, _| {
            let random = ctx.env.random() >> 32;
            Some(Sample::Int(match a.int(0) {
                Some(range) if range > 0 => ((random * (range as u64 & 0xffff_ffff)) >> 32) as i64,
                Some(_) => 0,
                None => random as i64,
            }))
        },
    )
    .args(ArgSpec::new(0, &[ArgKind::Int])),
    Fetch::new(
        Entry::full("uptime", "", "Seconds since the process started.", "uptime", "2.5"),
        T::Int,
        N,
        |_, ctx, _| Some(Sample::Int((ctx.env.now_ns() / clock::SEC).saturating_sub(1) as i64)),
    ),
    Fetch::new(
        Entry::full("uuid", "[<version>]", "A UUID of version 4 (random) or 7 (ordered).", "uuid(4)", "2.1"),
        T::Str,
        N,
        |a, ctx, _| Some(Sample::Str(Cow::Owned(uuid(a.int(0).unwrap_or(4), ctx)))),
    )
    .args(ArgSpec::new(0, &[ArgKind::Int]))
    .check(|a, _| match a.as_slice().int(0) {
        None | Some(4 | 7) => Ok(()),
        Some(_) => Err("Unsupported UUID version".into()),
    }),
];

fn check_acl(args: &mut Vec<Arg>, ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    for arg in args {
        let text = String::from_utf8_lossy(arg.bytes()).into_owned();
        let name = text.trim_start_matches('!');
        let negated = (text.len() - name.len()) % 2 == 1;
        let acl = ctx.acls.get(name).ok_or_else(|| format!("no such ACL : '{name}'"))?.clone();
        *arg = Arg::Holds { acl, negated };
    }
    Ok(())
}

fn check_bool(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    let value = match args.as_slice().str(0).to_ascii_lowercase().as_slice() {
        b"true" | b"1" => 1,
        b"false" | b"0" => 0,
        other => return Err(format!("invalid bool '{}'", String::from_utf8_lossy(other))),
    };
    args[0] = Arg::Int(value);
    Ok(())
}

fn check_bin(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    let bytes =
        from_hex(args.as_slice().str(0)).ok_or("an hex string with an even number of digits is expected")?;
    args[0] = Arg::Str(bytes.into());
    Ok(())
}

fn check_env(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let name = std::ffi::OsStr::from_bytes(args.as_slice().str(0));
    // An unset variable leaves no argument, and the fetch finds nothing.
    let value = std::env::var_os(name).map(|v| Arg::Str(v.into_vec().into()));
    args.clear();
    args.extend(value);
    Ok(())
}

/// Replaces a unit (`s`, `ms`, `us`) at `args[at]` by the number that [`in_unit`] takes.
pub fn check_unit(args: &mut [Arg], at: usize) -> Result<(), String> {
    let Some(arg) = args.get_mut(at) else { return Ok(()) };
    let unit = match arg.bytes() {
        b"" | b"s" => 0,
        b"ms" => 1,
        b"us" => 2,
        _ => return Err("expects 's', 'ms' or 'us', got something else".into()),
    };
    *arg = Arg::Int(unit);
    Ok(())
}

fn check_date_unit(args: &mut [Arg], _: &mut BuildCtx<'_>) -> Result<(), String> {
    check_unit(args, 1)
}

/// Microseconds in seconds (0), milliseconds (1) or as they are (2).
pub fn in_unit(us: u64, unit: i64) -> i64 {
    (match unit {
        1 => us / 1000,
        2 => us,
        _ => us / 1_000_000,
    }) as i64
}

fn uuid(version: i64, ctx: Ctx<'_>) -> Vec<u8> {
    let mut value = u128::from(ctx.env.random()) << 64 | u128::from(ctx.env.random());
    if version == 7 {
        let ms = u128::from(ctx.env.date_us() / 1000);
        value = value & (u128::MAX >> 48) | ms << 80;
    }
    value = value & !(0xf << 76) | (version as u128) << 76;
    value = value & !(3 << 62) | 2 << 62;
    let mut out = Vec::with_capacity(36);
    for i in 0..32 {
        if matches!(i, 8 | 12 | 16 | 20) {
            out.push(b'-');
        }
        let digit = (value >> (124 - 4 * i)) as u8 & 15;
        out.push(b"0123456789abcdef"[usize::from(digit)]);
    }
    out
}
