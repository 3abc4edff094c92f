//! Hashes, and SHA-1, which handshakes of WebSockets are made with.

use std::borrow::Cow;

use crate::lang::Entry;
use crate::rules::args::{ArgKind, ArgSpec, Args};
use crate::rules::hash::{crc32c, djb2, full_hash, sdbm_from, wt6};
use crate::rules::sample::{Sample, SampleType as T};
use crate::tls::info::sha1;

use super::entry::{ConvFn, Converter};
use super::text::bytes;

macro_rules! hash32 {
    ($name:literal, $doc:literal, $example:literal, $since:literal, $hash:expr) => {
        table($name, "[<avalanche>]", $doc, $example, $since, |sample, args, _| {
            let hash: u32 = $hash(&bytes(sample));
            let hash = if args.int(0).unwrap_or(0) != 0 { full_hash(hash) } else { hash };
            Some(Sample::Int(i64::from(hash)))
        })
    };
}

const fn table(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
    run: ConvFn,
) -> Converter {
    Converter::new(Entry::full(name, args, doc, example, since), T::Bin, T::Int, run)
        .args(ArgSpec::new(0, &[ArgKind::Int]))
}

pub static CONVERTERS: &[Converter] = &[
    hash32!("crc32", "CRC-32 as in Ethernet and gzip.", "src,crc32", "1.6", |b: &[u8]| crc32fast::hash(b)),
    hash32!("crc32c", "CRC-32C (Castagnoli).", "src,crc32c", "1.8", crc32c),
    hash32!("djb2", "DJB2, with an avalanche when asked for.", "path,djb2(1)", "1.6", djb2),
    hash32!("sdbm", "SDBM, with an avalanche when asked for.", "path,sdbm", "1.6", |b: &[u8]| sdbm_from(
        0, b
    )),
    hash32!("wt6", "WT6, with an avalanche when asked for.", "path,wt6", "1.6", wt6),
    table("xxh32", "[<seed>]", "XXH32.", "path,xxh32", "1.6", |sample, args, _| {
        let seed = args.int(0).unwrap_or(0) as u32;
        Some(Sample::Int(i64::from(xxhash_rust::xxh32::xxh32(&bytes(sample), seed))))
    }),
    table("xxh64", "[<seed>]", "XXH64.", "path,xxh64(7)", "1.6", |sample, args, _| {
        let seed = args.int(0).unwrap_or(0) as u64;
        Some(Sample::Int(xxhash_rust::xxh64::xxh64(&bytes(sample), seed) as i64))
    }),
    table("xxh3", "[<seed>]", "XXH3, 64 bits.", "path,xxh3", "2.4", |sample, args, _| {
        let seed = args.int(0).unwrap_or(0) as u64;
        Some(Sample::Int(xxhash_rust::xxh3::xxh3_64_with_seed(&bytes(sample), seed) as i64))
    }),
    Converter::new(
        Entry::full("sha1", "", "SHA-1, 20 bytes.", "path,sha1,hex", "1.6"),
        T::Bin,
        T::Bin,
        |sample, _, _| Some(Sample::Bin(Cow::Owned(sha1(&bytes(sample))))),
    ),
];
