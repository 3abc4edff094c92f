//! TLS of both connections: what was agreed on, what the client asked for, and what certificates showed.

use std::borrow::Cow;

use rustls::{CommonState, HandshakeKind, ProtocolVersion};

use crate::conn::Tls;
use crate::lang::Entry;
use crate::rules::args::Arg;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;
use crate::tls::{Hello, Verdict, suite};

use super::entry::{Cursor, Fetch, FetchFn, Needs};

const C: Needs = Needs::Client;
const S: Needs = Needs::Server;

type Answer = Option<Sample<'static>>;

fn text(text: impl Into<String>) -> Answer {
    Some(Sample::Str(Cow::Owned(text.into().into_bytes())))
}

fn string(bytes: &[u8]) -> Answer {
    Some(Sample::Str(Cow::Owned(bytes.to_vec())))
}

fn binary(bytes: &[u8]) -> Answer {
    Some(Sample::Bin(Cow::Owned(bytes.to_vec())))
}

fn number(number: impl Into<i64>) -> Answer {
    Some(Sample::Int(number.into()))
}

/// What a connection agreed on, once hands are shaken.
fn agreed(tls: Option<&Tls>, f: impl FnOnce(&CommonState) -> Answer) -> Answer {
    tls?.look(f)?
}

/// What the client asked for.
fn asked(ctx: Ctx<'_>, f: impl FnOnce(&Hello) -> Answer) -> Answer {
    ctx.env.client_tls()?.hello(f)?
}

/// What was found of the client's certificate.
fn found(ctx: Ctx<'_>, f: impl FnOnce(Verdict) -> u32) -> Answer {
    let tls = ctx.env.client_tls()?;
    number(f(tls.verdict().unwrap_or_default()))
}

fn alpn(common: &CommonState) -> Answer {
    common.alpn_protocol().and_then(string)
}

fn suite_id(common: &CommonState) -> Option<u16> {
    common.negotiated_cipher_suite().map(|suite| u16::from(suite.suite()))
}

fn cipher(common: &CommonState) -> Answer {
    text(suite::name(suite_id(common)?)?)
}

fn key_bits(common: &CommonState) -> Answer {
    number(suite::bits(suite_id(common)?)?)
}

fn protocol(common: &CommonState) -> Answer {
    text(version(common)?)
}

/// As logs and fetches name it.
pub fn version(common: &CommonState) -> Option<&'static str> {
    match common.protocol_version()? {
        ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
        ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
        _ => None,
    }
}

/// The suite of a connection, as logs name it.
pub fn suite_name(common: &CommonState) -> Option<&'static str> {
    suite::name(suite_id(common)?)
}

fn curve(common: &CommonState) -> Answer {
    let name = format!("{:?}", common.negotiated_key_exchange_group()?.name());
    text(match name.as_str() {
        "secp256r1" => "prime256v1",
        other => other,
    })
}

fn is_resumed(common: &CommonState) -> Answer {
    Some(Sample::Bool(common.handshake_kind() == Some(HandshakeKind::Resumed)))
}

/// The peer's certificate, or all behind it one after the other.
fn certificate(common: &CommonState, chain: Option<usize>) -> Answer {
    let shown = common.peer_certificates()?;
    match chain {
        None => binary(shown.first()?),
        Some(from) => {
            let whole = shown.get(from..).unwrap_or_default().iter().flat_map(|der| der.iter().copied());
            Some(Sample::Bin(Cow::Owned(whole.collect())))
        }
    }
}

fn flag(is_it: bool) -> Answer {
    Some(Sample::Bool(is_it))
}

macro_rules! client {
    ($name:literal, $out:expr, $doc:literal, $since:literal, $f:expr) => {
        Fetch::new(Entry::full($name, "", $doc, $name, $since), $out, C, {
            let run: FetchFn = |_: &[Arg], ctx: Ctx<'_>, _: &mut Cursor| agreed(ctx.env.client_tls(), $f);
            run
        })
    };
}

macro_rules! server {
    ($name:literal, $out:expr, $doc:literal, $since:literal, $f:expr) => {
        Fetch::new(Entry::full($name, "", $doc, $name, $since), $out, S, {
            let run: FetchFn = |_: &[Arg], ctx: Ctx<'_>, _: &mut Cursor| agreed(ctx.env.server_tls(), $f);
            run
        })
    };
}

macro_rules! hello {
    ($name:literal, $out:expr, $doc:literal, $since:literal, $f:expr) => {
        Fetch::new(Entry::full($name, "", $doc, $name, $since), $out, C, {
            let run: FetchFn = |_: &[Arg], ctx: Ctx<'_>, _: &mut Cursor| asked(ctx, $f);
            run
        })
    };
}

macro_rules! verdict {
    ($name:literal, $doc:literal, $f:expr) => {
        Fetch::new(Entry::full($name, "", $doc, $name, "1.5"), T::Int, C, {
            let run: FetchFn = |_: &[Arg], ctx: Ctx<'_>, _: &mut Cursor| found(ctx, $f);
            run
        })
    };
}

pub static FETCHES: &[Fetch] = &[
    Fetch::new(
        Entry::full("ssl_fc", "", "The client's connection speaks TLS.", "ssl_fc", "1.5"),
        T::Bool,
        C,
        |_, ctx, _| flag(ctx.env.client_tls().is_some()),
    ),
    Fetch::new(
        Entry::full("ssl_bc", "", "The server's connection speaks TLS.", "ssl_bc", "1.7"),
        T::Bool,
        S,
        |_, ctx, _| flag(ctx.env.server_tls().is_some()),
    ),
    client!("ssl_fc_alg_keysize", T::Int, "Bits of the client connection's key.", "1.5", key_bits),
    client!("ssl_fc_alpn", T::Str, "The protocol that the client chose.", "1.5", alpn),
    client!("ssl_fc_cipher", T::Str, "The client connection's cipher suite.", "1.5", cipher),
    client!("ssl_fc_curve", T::Str, "The group of the client's key exchange.", "2.8", curve),
    Fetch::new(
        Entry::full(
            "ssl_fc_is_resumed",
            "",
            "The client went on with an earlier session.",
            "ssl_fc_is_resumed",
            "1.5",
        ),
        T::Bool,
        C,
        |_, ctx, _| agreed(ctx.env.client_tls(), is_resumed).or(flag(false)),
    ),
    client!("ssl_fc_protocol", T::Str, "The version of TLS that the client speaks.", "1.5", protocol),
    client!("ssl_fc_use_keysize", T::Int, "Bits in use of the client connection's key.", "1.5", key_bits),
    client!("ssl_fc_has_crt", T::Bool, "The client showed a certificate in this handshake.", "1.5", |common| flag(
        common.peer_certificates().is_some() && common.handshake_kind() != Some(HandshakeKind::Resumed)
    )),
    client!("ssl_c_used", T::Bool, "The client has shown a certificate.", "1.5", |common| flag(
        common.peer_certificates().is_some()
    )),
    client!("ssl_c_der", T::Bin, "The client's certificate in DER.", "2.2", |common| certificate(common, None)),
    client!("ssl_c_chain_der", T::Bin, "What the client showed beside it, in DER.", "2.2", |common| {
        certificate(common, Some(1))
    }),
    Fetch::new(
        Entry::full("ssl_fc_has_sni", "", "The client asked for a name.", "ssl_fc_has_sni", "1.5"),
        T::Bool,
        C,
        |_, ctx, _| asked(ctx, |hello| flag(hello.name().is_some())).or(flag(false)),
    ),
    hello!("ssl_fc_sni", T::Str, "The name that the client asked for.", "1.5", |hello| string(hello.name()?)),
    hello!("ssl_fc_client_random", T::Bin, "The random number of the client.", "2.0", |hello| binary(
        hello.random()
    )),
    hello!("ssl_fc_protocol_hello_id", T::Int, "The version in the client's first message.", "2.6", |hello| {
        number(hello.legacy_version())
    }),
    Fetch::new(
        Entry::full("ssl_fc_crtname", "", "The file of the certificate that the client was shown.", "ssl_fc_crtname", "3.3"),
        T::Str,
        C,
        |_, ctx, _| text(&*ctx.env.client_tls()?.material()?.name),
    ),
    Fetch::new(
        Entry::full("ssl_f_der", "", "The certificate that the client was shown, in DER.", "ssl_f_der", "2.2"),
        T::Bin,
        C,
        |_, ctx, _| binary(ctx.env.client_tls()?.material()?.certified.key.cert.first()?),
    ),
    verdict!("ssl_c_verify", "The last error of the client's certificate; 0: none.", |verdict| verdict.last),
    verdict!("ssl_c_err", "The first error of the client's certificate itself.", |verdict| verdict.own),
    verdict!("ssl_c_ca_err", "The first error of who signed it.", |verdict| verdict.ca),
    verdict!("ssl_c_ca_err_depth", "How far from it that was.", |verdict| verdict.ca_depth),
    server!("ssl_bc_alg_keysize", T::Int, "Bits of the server connection's key.", "2.0", key_bits),
    server!("ssl_bc_alpn", T::Str, "The protocol that the server chose.", "2.0", alpn),
    server!("ssl_bc_cipher", T::Str, "The server connection's cipher suite.", "2.0", cipher),
    server!("ssl_bc_curve", T::Str, "The group of the key exchange with the server.", "2.9", curve),
    server!("ssl_bc_is_resumed", T::Bool, "The server went on with an earlier session.", "2.0", is_resumed),
    server!("ssl_bc_protocol", T::Str, "The version of TLS that the server speaks.", "2.0", protocol),
    server!("ssl_bc_use_keysize", T::Int, "Bits in use of the server connection's key.", "2.0", key_bits),
    server!("ssl_s_der", T::Bin, "The server's certificate in DER.", "2.2", |common| certificate(common, None)),
    server!("ssl_s_chain_der", T::Bin, "All that the server showed, in DER.", "2.2", |common| certificate(
        common,
        Some(0)
    )),
];
