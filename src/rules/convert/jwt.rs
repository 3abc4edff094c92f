//! JSON Web Tokens (RFC 7519) in compact form: what they say, and whether their signature is right.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::lang::{Entry, Place};
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::code::URL_SAFE_ANY;
use super::crypto::hmac_sha2;
use super::entry::Converter;
use super::operand::{either, plain};
use super::text::bytes;
use super::{json, operand};

/// What `jwt_verify` answers.
const RIGHT: i64 = 1;
const WRONG: i64 = 0;
const UNKNOWN_ALGORITHM: i64 = -1;
const INVALID_TOKEN: i64 = -3;
const UNKNOWN_KEY: i64 = -5;

/// How a token is signed (RFC 7518 section 3.1).
enum Signed {
    Not,
    Hmac(u32),
    Key(&'static dyn VerificationAlgorithm),
}

fn signed(name: &[u8]) -> Option<Signed> {
    Some(match name {
        b"none" => Signed::Not,
        b"HS256" => Signed::Hmac(256),
        b"HS384" => Signed::Hmac(384),
        b"HS512" => Signed::Hmac(512),
        b"RS256" => Signed::Key(&signature::RSA_PKCS1_2048_8192_SHA256),
        b"RS384" => Signed::Key(&signature::RSA_PKCS1_2048_8192_SHA384),
        b"RS512" => Signed::Key(&signature::RSA_PKCS1_2048_8192_SHA512),
        b"ES256" => Signed::Key(&signature::ECDSA_P256_SHA256_FIXED),
        b"ES384" => Signed::Key(&signature::ECDSA_P384_SHA384_FIXED),
        b"ES512" => Signed::Key(&signature::ECDSA_P521_SHA512_FIXED),
        b"PS256" => Signed::Key(&signature::RSA_PSS_2048_8192_SHA256),
        b"PS384" => Signed::Key(&signature::RSA_PSS_2048_8192_SHA384),
        b"PS512" => Signed::Key(&signature::RSA_PSS_2048_8192_SHA512),
        _ => return None,
    })
}

type Keys = HashMap<Box<[u8]>, Arc<[u8]>>;

/// Public keys by the path that configurations name: a variable may hold one of these paths. Only loads add to it.
static KEYS: RwLock<Option<Keys>> = RwLock::new(None);

fn key_of(path: &[u8]) -> Option<Arc<[u8]>> {
    KEYS.read().unwrap_or_else(PoisonError::into_inner).as_ref()?.get(path).cloned()
}

/// The public key (or with `certificate` a certificate's) in a PEM file, in DER.
fn public_key(pem: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let der = STANDARD.decode(body.split_ascii_whitespace().collect::<String>()).ok()?;
    match label {
        "PUBLIC KEY" | "RSA PUBLIC KEY" => Some(der),
        "CERTIFICATE" => X509Certificate::from_der(&der).ok().map(|(_, c)| c.public_key().raw.to_vec()),
        _ => None,
    }
}

/// Reads the key that argument 1 names, if it names a file.
fn load(args: &[Arg], ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    let Some(Arg::Str(path)) = args.get(1) else { return Ok(()) };
    let name = String::from_utf8_lossy(path).into_owned();
    let pem =
        (ctx.files)(Path::new(&name)).map_err(|e| format!("failed to load public key '{name}': {e}"))?;
    let key = public_key(&pem).ok_or_else(|| format!("'{name}' has no public key"))?;
    let mut keys = KEYS.write().unwrap_or_else(PoisonError::into_inner);
    keys.get_or_insert_default().insert(path.clone(), key.into());
    Ok(())
}

#[expect(clippy::ptr_arg, reason = "the type of all checks")]
fn check_verify(args: &mut Vec<Arg>, ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    either(args, 0, ctx)?;
    either(args, 1, ctx)?;
    match &args[0] {
        Arg::Str(name) => match signed(name) {
            None => Err(format!("unknown JWT algorithm : {}", String::from_utf8_lossy(name))),
            Some(Signed::Key(_)) => load(args, ctx),
            Some(_) => Ok(()),
        },
        _ => load(args, ctx),
    }
}

/// Certificates only.
fn check_verify_cert(args: &mut Vec<Arg>, ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    check_verify(args, ctx)?;
    match &args[0] {
        Arg::Str(name) if matches!(signed(name), Some(Signed::Hmac(_))) => {
            Err("HMAC algorithms have no certificate: use 'jwt_verify'".into())
        }
        _ => Ok(()),
    }
}

/// The parts of a token between dots, at most `most` of them.
fn parts(token: &[u8], most: usize) -> Option<smallvec::SmallVec<[&[u8]; 5]>> {
    let parts: smallvec::SmallVec<[&[u8]; 5]> = token.splitn(most + 1, |c| *c == b'.').collect();
    (parts.len() <= most).then_some(parts)
}

fn verdict(token: &[u8], algorithm: &[u8], key: &[u8]) -> i64 {
    let Some(how) = signed(algorithm) else { return UNKNOWN_ALGORITHM };
    let Some(parts) = parts(token, 3) else { return INVALID_TOKEN };
    let signature = match (parts.get(2), &how) {
        (Some(text), _) => *text,
        (None, Signed::Not) if parts.len() == 2 => &[],
        _ => return INVALID_TOKEN,
    };
    let message = &token[..parts[0].len() + 1 + parts[1].len()];
    let is_right = match how {
        Signed::Not => signature.is_empty(),
        _ if signature.is_empty() => return INVALID_TOKEN,
        Signed::Hmac(bits) => {
            let Ok(signature) = URL_SAFE_ANY.decode(signature) else { return INVALID_TOKEN };
            hmac_sha2(bits, key, message).is_some_and(|code| {
                aws_lc_rs::constant_time::verify_slices_are_equal(&code, &signature).is_ok()
            })
        }
        Signed::Key(algorithm) => {
            let Ok(signature) = URL_SAFE_ANY.decode(signature) else { return INVALID_TOKEN };
            let Some(key) = key_of(key) else { return UNKNOWN_KEY };
            UnparsedPublicKey::new(algorithm, &*key).verify(message, &signature).is_ok()
        }
    };
    if is_right { RIGHT } else { WRONG }
}

fn verify<'a>(sample: Sample<'a>, args: &'a [Arg], ctx: Ctx<'a>) -> Option<Sample<'a>> {
    let (algorithm, key) = (plain(args, 0, ctx)?, operand::plain(args, 1, ctx)?);
    Some(Sample::Int(verdict(&bytes(sample), &algorithm, &key)))
}

/// The JSON of a token's part, or a value in it.
fn query<'a>(sample: Sample<'a>, args: &'a [Arg], at: usize) -> Option<Sample<'a>> {
    let token = bytes(sample);
    let text = URL_SAFE_ANY.decode(parts(&token, 5)?.get(at)?).ok()?;
    match args.first() {
        None => Some(Sample::Str(Cow::Owned(text))),
        Some(_) => json::query(&text, args),
    }
}

fn check_query(args: &mut Vec<Arg>, ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    if args.is_empty() || args.as_slice().str(0).is_empty() {
        args.clear();
        return Ok(());
    }
    json::check_query(args, ctx)
}

const QUERY: ArgSpec = ArgSpec::new(0, &[ArgKind::Str, ArgKind::Str]);
const VERIFY: ArgSpec = ArgSpec::new(2, &[ArgKind::Str, ArgKind::Str]);

pub static CONVERTERS: &[Converter] = &[
    Converter::new(
        Entry::full(
            "jwt_header_query",
            "[<path>[,int]]",
            "A token's header as JSON, or the value at a path in it.",
            "http_auth_bearer,jwt_header_query('$.alg')",
            "2.5",
        ),
        T::Bin,
        T::Any,
        |sample, args, _| query(sample, args, 0),
    )
    .args(QUERY)
    .check(check_query)
    .changes_type(),
    Converter::new(
        Entry::full(
            "jwt_payload_query",
            "[<path>[,int]]",
            "A token's payload as JSON, or the value at a path in it.",
            "http_auth_bearer,jwt_payload_query('$.iss')",
            "2.5",
        ),
        T::Bin,
        T::Any,
        |sample, args, _| query(sample, args, 1),
    )
    .args(QUERY)
    .check(check_query)
    .changes_type(),
    Converter::new(
        Entry::full(
            "jwt_verify",
            "<alg>,<key>",
            "Whether a token's signature is right: 1 or 0, negative where that cannot be said. Both may be variables; <key> is a secret or a file with a public key.",
            "http_auth_bearer,jwt_verify(HS256,secret)",
            "2.5",
        )
        .naming(Place::FILE),
        T::Bin,
        T::Int,
        verify,
    )
    .args(VERIFY)
    .check(check_verify),
    Converter::new(
        Entry::full(
            "jwt_verify_cert",
            "<alg>,<cert>",
            "The same by the key of a certificate.",
            "http_auth_bearer,jwt_verify_cert(none,txn.cert)",
            "3.3",
        )
        .naming(Place::FILE),
        T::Bin,
        T::Int,
        verify,
    )
    .args(VERIFY)
    .check(check_verify_cert)
    .partial("certificates are those that configurations name here, not those of crt-stores"),
];
