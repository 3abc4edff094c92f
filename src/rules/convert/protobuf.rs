//! Protocol buffers: a field of a message by its numbers, and the same behind the header of gRPC.

use std::borrow::Cow;

use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{ConvFn, Converter};
use super::text::bytes;

/// How a field's value is written.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// How a value is read; the place in this table is what an argument becomes.
const TYPES: [(&str, u64); 14] = [
    ("int32", VARINT),
    ("uint32", VARINT),
    ("sint32", VARINT),
    ("int64", VARINT),
    ("uint64", VARINT),
    ("sint64", VARINT),
    ("bool", VARINT),
    ("enum", VARINT),
    ("fixed64", FIXED64),
    ("sfixed64", FIXED64),
    ("double", FIXED64),
    ("fixed32", FIXED32),
    ("sfixed32", FIXED32),
    ("float", FIXED32),
];

/// A number of up to 64 bits, seven in a byte; and what follows it.
fn varint(data: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (i, byte) in data.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * i as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, &data[i + 1..]));
        }
    }
    None
}

/// The next field: number, how it is written, its value's bytes, and what follows.
fn field(data: &[u8]) -> Option<(u64, u64, &[u8], &[u8])> {
    let (key, rest) = varint(data)?;
    let kind = key & 7;
    let (value, rest) = match kind {
        VARINT => {
            let (_, after) = varint(rest)?;
            rest.split_at(rest.len() - after.len())
        }
        FIXED64 => rest.split_at_checked(8)?,
        FIXED32 => rest.split_at_checked(4)?,
        BYTES => {
            let (len, rest) = varint(rest)?;
            rest.split_at_checked(usize::try_from(len).ok()?)?
        }
        _ => return None,
    };
    Some((key >> 3, kind, value, rest))
}

/// The value at a path of field numbers, of the first field at each step; how it is written.
fn find<'m>(mut message: &'m [u8], path: &[Arg]) -> Option<(u64, &'m [u8])> {
    let mut path = path.iter().filter_map(|n| match n {
        Arg::Int(n) => u64::try_from(*n).ok(),
        _ => None,
    });
    let mut wanted = path.next()?;
    loop {
        let (number, kind, value, rest) = field(message)?;
        if number != wanted {
            message = rest;
            continue;
        }
        match path.next() {
            None => return Some((kind, value)),
            Some(next) if kind == BYTES => {
                wanted = next;
                message = value;
            }
            Some(_) => return None,
        }
    }
}

/// A value as a type of the table says.
fn typed(kind: usize, value: &[u8]) -> Option<Sample<'static>> {
    let unzigzag = |n: u64| (n >> 1) as i64 ^ -((n & 1) as i64);
    let word = || <[u8; 4]>::try_from(value).ok();
    let long = || <[u8; 8]>::try_from(value).ok();
    let number = || varint(value).map(|(n, _)| n);
    Some(Sample::Int(match TYPES.get(kind)?.0 {
        "int32" | "enum" => i64::from(number()? as i32),
        "uint32" => i64::from(number()? as u32),
        "sint32" => i64::from(unzigzag(u64::from(number()? as u32)) as i32),
        "sint64" => unzigzag(number()?),
        "bool" => i64::from(number()? != 0),
        "int64" | "uint64" => number()? as i64,
        "fixed64" | "sfixed64" => i64::from_le_bytes(long()?),
        "fixed32" => i64::from(u32::from_le_bytes(word()?)),
        "sfixed32" => i64::from(i32::from_le_bytes(word()?)),
        // Without what stands behind the point; that of four bytes comes without a sign.
        "double" => f64::from_le_bytes(long()?) as i64,
        _ => i64::from(f32::from_le_bytes(word()?) as i32 as u32),
    }))
}

/// Argument 0 is the type (or -1), the others are the path.
fn value(message: &[u8], args: &[Arg]) -> Option<Sample<'static>> {
    let (written, found) = find(message, args.get(1..)?)?;
    match usize::try_from(args.int(0)?) {
        Ok(kind) => typed(kind, found).filter(|_| TYPES[kind].1 == written),
        Err(_) => Some(Sample::Bin(Cow::Owned(found.to_vec()))),
    }
}

fn protobuf<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    value(&bytes(sample), args)
}

/// Looks into the messages one after the other: each has a byte and a length of four before it.
fn ungrpc<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let body = bytes(sample);
    let mut rest = &*body;
    loop {
        let (head, tail) = rest.split_first_chunk::<5>()?;
        let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let (message, after) = tail.split_at_checked(len)?;
        if let Some(found) = value(message, args) {
            return Some(found);
        }
        rest = after;
    }
}

fn check(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    let path = String::from_utf8_lossy(args.as_slice().str(0)).into_owned();
    let kind = String::from_utf8_lossy(args.as_slice().str(1)).into_owned();
    let kind = match kind.as_str() {
        "" => -1,
        name => match TYPES.iter().position(|(known, _)| *known == name) {
            Some(at) => at as i64,
            None => return Err(format!("unknown protocol buffers type '{name}'")),
        },
    };
    *args = vec![Arg::Int(kind)];
    for number in path.split('.') {
        match number.parse::<u32>() {
            Ok(n) => args.push(Arg::Int(n.into())),
            Err(_) => return Err(format!("invalid field number '{path}'")),
        }
    }
    Ok(())
}

const fn converter(name: &'static str, doc: &'static str, example: &'static str, run: ConvFn) -> Converter {
    Converter::new(
        Entry::full(name, "<number>[.<number>]*[,<type>]", doc, example, "2.0"),
        T::Bin,
        T::Any,
        run,
    )
    .args(ArgSpec::new(1, &[ArgKind::Protobuf, ArgKind::Str]))
    .check(check)
    .changes_type()
}

pub static CONVERTERS: &[Converter] = &[
    converter(
        "protobuf",
        "A field of a protocol buffers message, by its number and those of the fields it is in.",
        "req.body,ungrpc(48),protobuf(59.1,int32)",
        protobuf,
    ),
    converter(
        "ungrpc",
        "A field of a gRPC message, by its number and those of the fields it is in.",
        "req.body,ungrpc(48.59.1,int32)",
        ungrpc,
    ),
];
