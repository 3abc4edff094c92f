//! Encodings of bytes: hexadecimal, base64, binary digits.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, URL_SAFE_NO_PAD};

use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{ConvFn, Converter};
use super::text::bytes;

/// base64url, with padding or without.
pub const URL_SAFE_ANY: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// base64 whose last bits are not looked at.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

fn push_hex(byte: u8, out: &mut Vec<u8>) {
    out.push(DIGITS[usize::from(byte >> 4)]);
    out.push(DIGITS[usize::from(byte & 15)]);
}

fn hex<'a>(sample: Sample<'a>, _: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let value = bytes(sample);
    let mut out = Vec::with_capacity(value.len() * 2);
    value.iter().for_each(|b| push_hex(*b, &mut out));
    Some(Sample::Str(Cow::Owned(out)))
}

fn base2<'a>(sample: Sample<'a>, _: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let mut out = Vec::new();
    for byte in bytes(sample).iter() {
        out.extend((0..8).rev().map(|bit| b'0' + (byte >> bit & 1)));
    }
    Some(Sample::Str(Cow::Owned(out)))
}

/// Chunks of `size` bytes as numbers, separator between them; the last short one unless `truncate`.
fn chunks<'a>(sample: Sample<'a>, args: &'a [Arg], write: fn(&[u8], &mut Vec<u8>)) -> Option<Sample<'a>> {
    let value = bytes(sample);
    let size = usize::try_from(args.int(1).unwrap_or(1)).ok().filter(|n| *n > 0)?;
    let truncate = args.int(2).unwrap_or(0) != 0;
    let mut out = Vec::new();
    for (i, chunk) in value.chunks(size).enumerate() {
        if truncate && chunk.len() < size {
            break;
        }
        if i > 0 {
            out.extend_from_slice(args.str(0));
        }
        write(chunk, &mut out);
    }
    Some(Sample::Str(Cow::Owned(out)))
}

fn decimal(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn be2dec<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    chunks(sample, args, |chunk, out| {
        decimal(chunk.iter().fold(0, |n, b| n << 8 | u64::from(*b)), out);
    })
}

fn le2dec<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    chunks(sample, args, |chunk, out| {
        decimal(chunk.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)), out);
    })
}

fn be2hex<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    chunks(sample, args, |chunk, out| chunk.iter().for_each(|b| push_hex(*b, out)))
}

fn check_chunk(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    match args.as_slice().int(1) {
        None | Some(1..=8) => Ok(()),
        Some(n) => Err(format!("chunk_size value must be in range 1 to 8, got {n}")),
    }
}

fn check_hex_chunk(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    match args.as_slice().int(1) {
        None | Some(1..) => Ok(()),
        Some(n) => Err(format!("chunk size {n} must be at least 1")),
    }
}

fn encode<'a>(sample: Sample<'a>, _: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    Some(Sample::Str(Cow::Owned(STANDARD.encode(bytes(sample)).into_bytes())))
}

fn decode<'a>(sample: Sample<'a>, _: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    LENIENT.decode(bytes(sample)).ok().map(|b| Sample::Bin(Cow::Owned(b)))
}

fn url_encode<'a>(sample: Sample<'a>, _: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    Some(Sample::Str(Cow::Owned(URL_SAFE_NO_PAD.encode(bytes(sample)).into_bytes())))
}

fn url_decode<'a>(sample: Sample<'a>, _: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    URL_SAFE_ANY.decode(bytes(sample)).ok().map(|b| Sample::Bin(Cow::Owned(b)))
}

const fn to_text(
    name: &'static str,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
    run: ConvFn,
) -> Converter {
    Converter::new(Entry::full(name, "", doc, example, since), T::Bin, T::Str, run)
}

const fn chunked(name: &'static str, doc: &'static str, example: &'static str, run: ConvFn) -> Converter {
    Converter::new(
        Entry::full(name, "<separator>[,<chunk_size>[,<truncate>]]", doc, example, "2.5"),
        T::Bin,
        T::Str,
        run,
    )
    .args(ArgSpec::new(1, &[ArgKind::Str, ArgKind::Int, ArgKind::Int]))
}

pub static CONVERTERS: &[Converter] = &[
    to_text("hex", "The bytes as hexadecimal digits.", "bin(0a),hex", "1.5", hex),
    to_text("base2", "The bytes as binary digits.", "bin(0a),base2", "3.2", base2),
    to_text("base64", "The bytes in base64.", "str(a),base64", "1.5", encode),
    to_text("ub64enc", "The bytes in base64url without padding.", "str(a),ub64enc", "2.4", url_encode),
    Converter::new(
        Entry::full("b64dec", "", "The bytes that a base64 text stands for.", "str(YQ==),b64dec", "1.7"),
        T::Str,
        T::Bin,
        decode,
    ),
    Converter::new(
        Entry::full("ub64dec", "", "The bytes that a base64url text stands for.", "str(YQ),ub64dec", "2.4"),
        T::Str,
        T::Bin,
        url_decode,
    ),
    chunked("be2dec", "Big-endian chunks as decimal numbers.", "bin(0102),be2dec(.,1)", be2dec)
        .check(check_chunk),
    chunked("le2dec", "Little-endian chunks as decimal numbers.", "bin(0102),le2dec(.,2)", le2dec)
        .check(check_chunk),
    chunked("be2hex", "Chunks as hexadecimal digits.", "bin(0102),be2hex(:,1)", be2hex)
        .check(check_hex_chunk),
];
