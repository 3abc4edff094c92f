//! Cryptography: message digests, authentication codes, AES in its modes.

use std::borrow::Cow;

use aws_lc_rs::aead::{
    AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey,
};
use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
    PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::{digest, iv};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha2::{Digest, Sha512_224};

use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::{Ctx, Store};

use super::entry::{CheckFn, ConvFn, Converter};
use super::operand::{decoded, encoded};
use super::text::bytes;

/// A message digest by OpenSSL's name of it.
pub struct Algorithm {
    name: &'static str,
    /// Bytes of a block, which authentication codes go by.
    block: usize,
    hash: fn(&[&[u8]]) -> Vec<u8>,
}

fn hash(algorithm: &'static digest::Algorithm, parts: &[&[u8]]) -> Vec<u8> {
    let mut context = digest::Context::new(algorithm);
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().to_vec()
}

fn soft<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
    let mut state = D::new();
    parts.iter().for_each(|part| state.update(part));
    state.finalize().to_vec()
}

macro_rules! algorithm {
    ($name:literal, $block:literal, $of:ident) => {
        Algorithm { name: $name, block: $block, hash: |parts| hash(&digest::$of, parts) }
    };
}

static ALGORITHMS: [Algorithm; 11] = [
    Algorithm { name: "md5", block: 64, hash: soft::<Md5> },
    algorithm!("sha1", 64, SHA1_FOR_LEGACY_USE_ONLY),
    algorithm!("sha224", 64, SHA224),
    algorithm!("sha256", 64, SHA256),
    algorithm!("sha384", 128, SHA384),
    algorithm!("sha512", 128, SHA512),
    Algorithm { name: "sha512-224", block: 128, hash: soft::<Sha512_224> },
    algorithm!("sha512-256", 128, SHA512_256),
    algorithm!("sha3-256", 136, SHA3_256),
    algorithm!("sha3-384", 104, SHA3_384),
    algorithm!("sha3-512", 72, SHA3_512),
];

/// The place of an algorithm among those there are.
fn algorithm(name: &[u8]) -> Option<usize> {
    ALGORITHMS.iter().position(|a| a.name.as_bytes().eq_ignore_ascii_case(name))
}

/// The algorithm that argument 0 has become.
fn chosen(args: &[Arg]) -> Option<&'static Algorithm> {
    ALGORITHMS.get(usize::try_from(args.int(0)?).ok()?)
}

fn check_algorithm(args: &mut [Arg]) -> Result<(), String> {
    let name = Args::str(args, 0);
    let at = algorithm(name).ok_or_else(|| {
        format!("algorithm '{}' is not a valid message digest name", String::from_utf8_lossy(name))
    })?;
    args[0] = Arg::Int(at as i64);
    Ok(())
}

/// RFC 2104.
fn hmac(with: &Algorithm, key: &[u8], message: &[u8]) -> Vec<u8> {
    let short;
    let key = if key.len() > with.block {
        short = (with.hash)(&[key]);
        &short
    } else {
        key
    };
    let pad =
        |byte: u8| -> Vec<u8> { (0..with.block).map(|i| key.get(i).copied().unwrap_or(0) ^ byte).collect() };
    let inner = (with.hash)(&[&pad(0x36), message]);
    (with.hash)(&[&pad(0x5c), &inner])
}

/// HMAC with SHA-2 of so many bits.
pub fn hmac_sha2(bits: u32, key: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let at = algorithm(format!("sha{bits}").as_bytes())?;
    Some(hmac(&ALGORITHMS[at], key, message))
}

fn run_digest<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    Some(Sample::Bin((chosen(args)?.hash)(&[&bytes(sample)]).into()))
}

fn run_hmac<'a>(sample: Sample<'a>, args: &'a [Arg], ctx: Ctx<'a>) -> Option<Sample<'a>> {
    let key = decoded(args, 1, ctx)?;
    Some(Sample::Bin(hmac(chosen(args)?, &key, &bytes(sample)).into()))
}

fn check_sha2(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    let bits = args.as_slice().int(0).unwrap_or(256);
    if !matches!(bits, 224 | 256 | 384 | 512) {
        return Err(format!("Unsupported number of bits: '{bits}'"));
    }
    *args = vec![Arg::Str(format!("sha{bits}").into_bytes().into())];
    check_algorithm(args)
}

/// AES with a key of this many bits: as an authenticated cipher, and as a block cipher.
fn aead(bits: i64, key: &[u8]) -> Option<LessSafeKey> {
    let algorithm = match bits {
        128 => &AES_128_GCM,
        192 => &AES_192_GCM,
        _ => &AES_256_GCM,
    };
    UnboundKey::new(algorithm, key).ok().map(LessSafeKey::new)
}

fn block(bits: i64, key: &[u8]) -> Option<UnboundCipherKey> {
    let algorithm = match bits {
        128 => &AES_128,
        192 => &AES_192,
        _ => &AES_256,
    };
    UnboundCipherKey::new(algorithm, key).ok()
}

/// Additional data, where it is given.
fn additional<'a>(args: &'a [Arg], at: usize, ctx: Ctx<'a>) -> Option<Cow<'a, [u8]>> {
    match args.get(at) {
        Some(_) => decoded(args, at, ctx),
        None => Some(Cow::Borrowed(&[])),
    }
}

fn gcm_enc<'a>(sample: Sample<'a>, args: &'a [Arg], ctx: Ctx<'a>) -> Option<Sample<'a>> {
    let nonce = Nonce::try_assume_unique_for_key(&decoded(args, 1, ctx)?).ok()?;
    let key = aead(args.int(0)?, &decoded(args, 2, ctx)?)?;
    let aad = additional(args, 4, ctx)?;
    let mut text = bytes(sample).into_owned();
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut text).ok()?;
    let Some(Arg::Var(id)) = args.get(3) else { return None };
    ctx.txn.pending.push(Store::Var(*id), Some(Sample::Str(STANDARD.encode(tag).into_bytes().into())));
    Some(Sample::Bin(text.into()))
}

fn gcm_dec<'a>(sample: Sample<'a>, args: &'a [Arg], ctx: Ctx<'a>) -> Option<Sample<'a>> {
    let nonce = Nonce::try_assume_unique_for_key(&decoded(args, 1, ctx)?).ok()?;
    let key = aead(args.int(0)?, &decoded(args, 2, ctx)?)?;
    let aad = additional(args, 4, ctx)?;
    let mut text = bytes(sample).into_owned();
    let len = text.len();
    text.extend_from_slice(&decoded(args, 3, ctx)?);
    key.open_in_place(nonce, Aad::from(aad), &mut text).ok().filter(|plain| plain.len() == len)?;
    text.truncate(len);
    Some(Sample::Bin(text.into()))
}

/// A short nonce goes on in zeroes.
fn initial(args: &[Arg], ctx: Ctx<'_>) -> Option<iv::FixedLength<16>> {
    let nonce = decoded(args, 1, ctx)?;
    let mut value = [0; 16];
    value.iter_mut().zip(nonce.iter()).for_each(|(to, from)| *to = *from);
    Some(iv::FixedLength::from(value))
}

fn cbc_enc<'a>(sample: Sample<'a>, args: &'a [Arg], ctx: Ctx<'a>) -> Option<Sample<'a>> {
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(block(args.int(0)?, &decoded(args, 2, ctx)?)?).ok()?;
    let mut text = bytes(sample).into_owned();
    key.less_safe_encrypt(&mut text, EncryptionContext::Iv128(initial(args, ctx)?)).ok()?;
    Some(Sample::Bin(text.into()))
}

fn cbc_dec<'a>(sample: Sample<'a>, args: &'a [Arg], ctx: Ctx<'a>) -> Option<Sample<'a>> {
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(block(args.int(0)?, &decoded(args, 2, ctx)?)?).ok()?;
    let mut text = bytes(sample).into_owned();
    let plain = key.decrypt(&mut text, DecryptionContext::Iv128(initial(args, ctx)?)).ok()?.to_vec();
    Some(Sample::Bin(plain.into()))
}

/// Bits, nonce and key; then what the mode wants.
fn check_aes(args: &mut [Arg], ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    let bits = args.int(0).unwrap_or(0);
    if !matches!(bits, 128 | 192 | 256) {
        return Err(format!("key size must be 128, 192 or 256 (bits), not {bits}"));
    }
    encoded(args, 1, ctx).map_err(|e| format!("{e} nonce"))?;
    encoded(args, 2, ctx).map_err(|e| format!("{e} key"))?;
    // HAProxy cuts a longer key, and fails at run time with a shorter one.
    if let Arg::Str(key) = &mut args[2]
        && key.len() > (bits / 8) as usize
    {
        *key = key[..(bits / 8) as usize].into();
    }
    Ok(())
}

fn check_gcm(args: &mut [Arg], ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    check_aes(args, ctx)?;
    match &args[1] {
        Arg::Str(nonce) if nonce.len() != NONCE_LEN => Err(format!("a nonce has {NONCE_LEN} bytes here")),
        _ => Ok(()),
    }
}

#[expect(clippy::ptr_arg, reason = "the type of all checks")]
fn check_gcm_enc(args: &mut Vec<Arg>, ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    check_gcm(args, ctx)?;
    crate::rules::fetch::check_variable(args, 3, ctx).map_err(|e| format!("aead_tag: {e}"))?;
    encoded(args, 4, ctx).map_err(|e| format!("{e} aad"))
}

#[expect(clippy::ptr_arg, reason = "the type of all checks")]
fn check_gcm_dec(args: &mut Vec<Arg>, ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    check_gcm(args, ctx)?;
    encoded(args, 3, ctx).map_err(|e| format!("{e} aead_tag"))?;
    encoded(args, 4, ctx).map_err(|e| format!("{e} aad"))
}

/// Nothing authenticates additional data in CBC.
#[expect(clippy::ptr_arg, reason = "the type of all checks")]
fn check_cbc(args: &mut Vec<Arg>, ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    check_aes(args, ctx)?;
    encoded(args, 3, ctx).map_err(|e| format!("{e} aad"))
}

const GCM: ArgSpec = ArgSpec::new(4, &[ArgKind::Int, ArgKind::Str, ArgKind::Str, ArgKind::Str, ArgKind::Str]);
const CBC: ArgSpec = ArgSpec::new(3, &[ArgKind::Int, ArgKind::Str, ArgKind::Str, ArgKind::Str]);

const fn bin(entry: Entry, args: ArgSpec, run: ConvFn, check: CheckFn) -> Converter {
    Converter::new(entry, T::Bin, T::Bin, run).args(args).check(check)
}

pub static CONVERTERS: &[Converter] = &[
    bin(
        Entry::full("digest", "<algorithm>", "The message digest of this name.", "path,digest(sha256),hex", "2.3"),
        ArgSpec::new(1, &[ArgKind::Str]),
        run_digest,
        |args, _| check_algorithm(args),
    )
    .partial("MD5, SHA-1, SHA-2 and SHA-3 (256 bits and more); not BLAKE2, RIPEMD-160, SM3"),
    bin(
        Entry::full(
            "hmac",
            "<algorithm>,<key>",
            "The message authentication code by a key in base64, which may be in a variable.",
            "path,hmac(sha256,a2V5),hex",
            "2.3",
        ),
        ArgSpec::new(2, &[ArgKind::Str, ArgKind::Str]),
        run_hmac,
        |args, ctx| {
            check_algorithm(args)?;
            encoded(args, 1, ctx).map_err(|e| format!("{e} key"))
        },
    )
    .partial("the algorithms of digest"),
    bin(
        Entry::full("sha2", "[<bits>]", "SHA-2 of 224, 256 (default), 384 or 512 bits.", "path,sha2(384),hex", "2.1"),
        ArgSpec::new(0, &[ArgKind::Int]),
        run_digest,
        check_sha2,
    ),
    bin(
        Entry::full(
            "aes_gcm_enc",
            "<bits>,<nonce>,<key>,<tag>[,<aad>]",
            "Encrypts with AES-GCM; nonce, key and additional data are in base64 or a variable, the tag goes to one.",
            "path,aes_gcm_enc(128,bm9uY2VzLTEyLWJp,Zm9vb2Zvb29mb29wZm9vbw==,txn.tag),base64",
            "3.0",
        ),
        GCM,
        gcm_enc,
        check_gcm_enc,
    )
    .partial("the nonce has 12 bytes"),
    bin(
        Entry::full(
            "aes_gcm_dec",
            "<bits>,<nonce>,<key>,<tag>[,<aad>]",
            "Decrypts AES-GCM; nothing where the tag does not agree. All but <bits> are in base64 or a variable.",
            "path,aes_gcm_dec(128,bm9uY2VzLTEyLWJp,Zm9vb2Zvb29mb29wZm9vbw==,txn.tag)",
            "2.2",
        ),
        GCM,
        gcm_dec,
        check_gcm_dec,
    )
    .partial("the nonce has 12 bytes"),
    bin(
        Entry::full(
            "aes_cbc_enc",
            "<bits>,<nonce>,<key>[,<aad>]",
            "Encrypts with AES-CBC (PKCS#7); nonce and key are in base64 or a variable.",
            "path,aes_cbc_enc(128,bm9uY2VzLTEyLWJub25jZQ==,Zm9vb2Zvb29mb29wZm9vbw==),base64",
            "3.3",
        ),
        CBC,
        cbc_enc,
        check_cbc,
    ),
    bin(
        Entry::full(
            "aes_cbc_dec",
            "<bits>,<nonce>,<key>[,<aad>]",
            "Decrypts AES-CBC (PKCS#7); nonce and key are in base64 or a variable.",
            "path,aes_cbc_dec(128,bm9uY2VzLTEyLWJub25jZQ==,Zm9vb2Zvb29mb29wZm9vbw==)",
            "3.3",
        ),
        CBC,
        cbc_dec,
        check_cbc,
    ),
];
