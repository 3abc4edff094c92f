//! TLS of both connections: what was agreed on, what the client asked for, and what certificates showed.

use std::borrow::Cow;

use rustls::{CommonState, HandshakeKind, ProtocolVersion};

use crate::conn::Tls;
use crate::conn::tls::{fault_name, fault_text};
use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec};
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;
use crate::tls::failure::Failure;
use crate::tls::info::{self, Certificate, Dn};
use crate::tls::{Hello, Verdict, suite};

use super::entry::{Cursor, Fetch, FetchFn, Needs};

const C: Needs = Needs::Client;
const S: Needs = Needs::Server;

const DN: ArgSpec = ArgSpec::new(0, &[ArgKind::Str, ArgKind::Int, ArgKind::Str]);

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
    text(info::curve(common.negotiated_key_exchange_group()?.name()))
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

/// Whose certificate is looked at.
#[derive(Clone, Copy)]
enum Of {
    Client,
    /// What the client was shown.
    Ours,
    Server,
}

/// Looks at a certificate.
fn of(whose: Of, ctx: Ctx<'_>, f: impl Fn(&[u8]) -> Answer) -> Answer {
    let shown = |common: &CommonState| f(common.peer_certificates()?.first()?);
    match whose {
        Of::Client => agreed(ctx.env.client_tls(), shown),
        Of::Server => agreed(ctx.env.server_tls(), shown),
        Of::Ours => {
            let material = ctx.env.client_tls()?.material()?;
            f(material.certified.key.cert.first()?)
        }
    }
}

/// A name of a certificate: all of it, or the part of this name at this place; or in the form of RFC 2253.
fn dn(args: &[Arg], name: Dn<'_>) -> Answer {
    let word = |at: usize| {
        let word = args.get(at).map(Arg::bytes).and_then(|word| std::str::from_utf8(word).ok());
        word.filter(|word| !word.is_empty())
    };
    let place = match args.get(1) {
        Some(Arg::Int(place)) => *place,
        _ => 1,
    };
    if word(2) == Some("rfc2253") {
        return text(name.rfc2253());
    }
    match word(0) {
        Some(part) => string(&name.entry(part, if place == 0 { 1 } else { place })?),
        None => string(&name.bytes()),
    }
}

/// What went wrong with the handshake, in OpenSSL's words.
fn failure(tls: Option<&Tls>) -> Option<Failure> {
    tls?.fault()?.failure()
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

macro_rules! certificate {
    ($name:literal, $whose:expr, $out:expr, $doc:literal, $since:literal, $f:expr) => {
        Fetch::new(Entry::full($name, "", $doc, $name, $since), $out, C, {
            let run: FetchFn = |_: &[Arg], ctx: Ctx<'_>, _: &mut Cursor| of($whose, ctx, $f);
            run
        })
    };
}

macro_rules! name_of {
    ($name:literal, $whose:expr, $doc:literal, $since:literal, $f:expr) => {
        Fetch::new(Entry::full($name, "[entry[,place[,format]]]", $doc, $name, $since), T::Str, C, {
            let run: FetchFn = |args: &[Arg], ctx: Ctx<'_>, _: &mut Cursor| {
                of($whose, ctx, |der| {
                    let certificate = Certificate::read(der)?;
                    let name: for<'c> fn(&'c Certificate<'c>) -> Dn<'c> = $f;
                    dn(args, name(&certificate))
                })
            };
            run
        })
        .args(DN)
    };
}

/// `fc_err` and its kin.
macro_rules! failed {
    ($name:literal, $tls:ident, $needs:expr, $out:expr, $doc:literal, $since:literal, $f:expr) => {
        Fetch::new(Entry::full($name, "", $doc, $name, $since), $out, $needs, {
            let run: FetchFn = |_: &[Arg], ctx: Ctx<'_>, _: &mut Cursor| {
                let f: fn(Option<&Tls>) -> Answer = $f;
                f(ctx.env.$tls())
            };
            run
        })
    };
}

/// What went wrong with the server's connection, where there is one.
fn server_fault(ctx: Ctx<'_>) -> Option<u8> {
    ctx.env.server_is_reused()?;
    Some(ctx.env.server_tls().map_or(0, Tls::fault_code))
}

const fn server_failed(
    name: &'static str,
    out: T,
    doc: &'static str,
    since: &'static str,
    run: FetchFn,
) -> Fetch {
    Fetch::new(Entry::full(name, "", doc, name, since), out, S, run)
        .partial("a connection that was refused or timed out has no error, only TLS has")
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
    client!(
        "ssl_fc_has_crt",
        T::Bool,
        "The client showed a certificate in this handshake.",
        "1.5",
        |common| flag(
            common.peer_certificates().is_some() && common.handshake_kind() != Some(HandshakeKind::Resumed)
        )
    ),
    client!("ssl_c_used", T::Bool, "The client has shown a certificate.", "1.5", |common| flag(
        common.peer_certificates().is_some()
    )),
    client!("ssl_c_der", T::Bin, "The client's certificate in DER.", "2.2", |common| certificate(
        common, None
    )),
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
    hello!(
        "ssl_fc_protocol_hello_id",
        T::Int,
        "The version in the client's first message.",
        "2.6",
        |hello| { number(hello.legacy_version()) }
    ),
    Fetch::new(
        Entry::full(
            "ssl_fc_crtname",
            "",
            "The file of the certificate that the client was shown.",
            "ssl_fc_crtname",
            "3.3",
        ),
        T::Str,
        C,
        |_, ctx, _| text(&*ctx.env.client_tls()?.material()?.name),
    ),
    Fetch::new(
        Entry::full(
            "ssl_f_der",
            "",
            "The certificate that the client was shown, in DER.",
            "ssl_f_der",
            "2.2",
        ),
        T::Bin,
        C,
        |_, ctx, _| binary(ctx.env.client_tls()?.material()?.certified.key.cert.first()?),
    ),
    Fetch::new(
        Entry::full(
            "ssl_c_verify",
            "",
            "The last error of the client's certificate; 0: none.",
            "ssl_c_verify",
            "1.5",
        ),
        T::Int,
        C,
        |_, ctx, _| {
            found(ctx, |verdict| verdict.last).filter(|_| ctx.env.client_tls().is_some_and(Tls::is_up))
        },
    ),
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
    server!("ssl_s_der", T::Bin, "The server's certificate in DER.", "2.2", |common| certificate(
        common, None
    )),
    server!("ssl_s_chain_der", T::Bin, "All that the server showed, in DER.", "2.2", |common| certificate(
        common,
        Some(0)
    )),
    certificate!("ssl_c_sha1", Of::Client, T::Bin, "The digest of the client's certificate.", "1.5", |der| {
        binary(&info::sha1(der))
    }),
    certificate!(
        "ssl_c_serial",
        Of::Client,
        T::Bin,
        "The number of the client's certificate.",
        "1.5",
        |der| binary(Certificate::read(der)?.serial())
    ),
    certificate!(
        "ssl_c_version",
        Of::Client,
        T::Int,
        "The version of the client's certificate.",
        "1.5",
        |der| number(Certificate::read(der)?.version())
    ),
    certificate!(
        "ssl_c_key_alg",
        Of::Client,
        T::Str,
        "The kind of key of the client's certificate.",
        "1.5",
        |der| text(Certificate::read(der)?.key_algorithm())
    ),
    certificate!(
        "ssl_c_sig_alg",
        Of::Client,
        T::Str,
        "How the client's certificate was signed.",
        "1.5",
        |der| text(Certificate::read(der)?.signature_algorithm())
    ),
    certificate!(
        "ssl_c_notbefore",
        Of::Client,
        T::Str,
        "From when on the client's certificate holds.",
        "1.5",
        |der| text(Certificate::read(der)?.not_before()?)
    ),
    certificate!(
        "ssl_c_notafter",
        Of::Client,
        T::Str,
        "Until when the client's certificate holds.",
        "1.5",
        |der| text(Certificate::read(der)?.not_after()?)
    ),
    name_of!("ssl_c_s_dn", Of::Client, "Whom the client's certificate names.", "1.5", |certificate| {
        certificate.subject()
    }),
    name_of!("ssl_c_i_dn", Of::Client, "Who signed the client's certificate.", "1.5", |certificate| {
        certificate.issuer()
    }),
    certificate!(
        "ssl_f_sha1",
        Of::Ours,
        T::Bin,
        "The digest of the certificate that the client was shown.",
        "1.5",
        |der| binary(&info::sha1(der))
    ),
    certificate!(
        "ssl_f_serial",
        Of::Ours,
        T::Bin,
        "The number of the certificate that the client was shown.",
        "1.5",
        |der| binary(Certificate::read(der)?.serial())
    ),
    certificate!(
        "ssl_f_version",
        Of::Ours,
        T::Int,
        "The version of the certificate that the client was shown.",
        "1.5",
        |der| number(Certificate::read(der)?.version())
    ),
    certificate!(
        "ssl_f_key_alg",
        Of::Ours,
        T::Str,
        "The kind of key of the certificate that the client was shown.",
        "1.5",
        |der| text(Certificate::read(der)?.key_algorithm())
    ),
    certificate!(
        "ssl_f_sig_alg",
        Of::Ours,
        T::Str,
        "How the certificate that the client was shown was signed.",
        "1.5",
        |der| text(Certificate::read(der)?.signature_algorithm())
    ),
    certificate!(
        "ssl_f_notbefore",
        Of::Ours,
        T::Str,
        "From when on the certificate that the client was shown holds.",
        "1.5",
        |der| text(Certificate::read(der)?.not_before()?)
    ),
    certificate!(
        "ssl_f_notafter",
        Of::Ours,
        T::Str,
        "Until when the certificate that the client was shown holds.",
        "1.5",
        |der| text(Certificate::read(der)?.not_after()?)
    ),
    name_of!(
        "ssl_f_s_dn",
        Of::Ours,
        "Whom the certificate that the client was shown names.",
        "1.5",
        |certificate| certificate.subject()
    ),
    name_of!(
        "ssl_f_i_dn",
        Of::Ours,
        "Who signed the certificate that the client was shown.",
        "1.5",
        |certificate| certificate.issuer()
    ),
    certificate!("ssl_s_sha1", Of::Server, T::Bin, "The digest of the server's certificate.", "2.2", |der| {
        binary(&info::sha1(der))
    }),
    certificate!(
        "ssl_s_serial",
        Of::Server,
        T::Bin,
        "The number of the server's certificate.",
        "2.2",
        |der| binary(Certificate::read(der)?.serial())
    ),
    certificate!(
        "ssl_s_version",
        Of::Server,
        T::Int,
        "The version of the server's certificate.",
        "2.2",
        |der| number(Certificate::read(der)?.version())
    ),
    certificate!(
        "ssl_s_key_alg",
        Of::Server,
        T::Str,
        "The kind of key of the server's certificate.",
        "2.2",
        |der| text(Certificate::read(der)?.key_algorithm())
    ),
    certificate!(
        "ssl_s_sig_alg",
        Of::Server,
        T::Str,
        "How the server's certificate was signed.",
        "2.2",
        |der| text(Certificate::read(der)?.signature_algorithm())
    ),
    certificate!(
        "ssl_s_notbefore",
        Of::Server,
        T::Str,
        "From when on the server's certificate holds.",
        "2.2",
        |der| text(Certificate::read(der)?.not_before()?)
    ),
    certificate!(
        "ssl_s_notafter",
        Of::Server,
        T::Str,
        "Until when the server's certificate holds.",
        "2.2",
        |der| text(Certificate::read(der)?.not_after()?)
    ),
    name_of!("ssl_s_s_dn", Of::Server, "Whom the server's certificate names.", "2.2", |certificate| {
        certificate.subject()
    }),
    name_of!("ssl_s_i_dn", Of::Server, "Who signed the server's certificate.", "2.2", |certificate| {
        certificate.issuer()
    }),
    certificate!(
        "ssl_c_san",
        Of::Client,
        T::Str,
        "The other names of the client's certificate.",
        "3.4",
        |der| text(Certificate::read(der)?.alternative_names())
    ),
    failed!(
        "ssl_fc_err",
        client_tls,
        C,
        T::Int,
        "Why the client's handshake failed, as OpenSSL counts.",
        "2.5",
        |tls| number(failure(Some(tls?)).map_or(0, |f| f.code))
    ),
    failed!(
        "ssl_fc_err_str",
        client_tls,
        C,
        T::Str,
        "Why the client's handshake failed, in OpenSSL's words.",
        "2.5",
        |tls| text(failure(Some(tls?)).map_or(String::new(), Failure::line))
    ),
    failed!(
        "fc_err",
        client_tls,
        C,
        T::Int,
        "What went wrong with the client's connection; 0: nothing.",
        "2.5",
        |tls| number(tls.map_or(0, Tls::fault_code))
    ),
    failed!("fc_err_str", client_tls, C, T::Str, "The same in words.", "2.5", |tls| text(fault_text(
        tls.map_or(0, Tls::fault_code)
    ))),
    failed!("fc_err_name", client_tls, C, T::Str, "The same in a word.", "3.0", |tls| text(fault_name(
        tls.map_or(0, Tls::fault_code)
    ))),
    server_failed(
        "bc_err",
        T::Int,
        "What went wrong with the server's connection; 0: nothing.",
        "2.5",
        |_, ctx, _| number(server_fault(ctx)?),
    ),
    server_failed("bc_err_name", T::Str, "The same in a word.", "3.0", |_, ctx, _| {
        text(fault_name(server_fault(ctx)?))
    }),
    server_failed("bc_err_str", T::Str, "The same in words.", "2.5", |_, ctx, _| {
        text(fault_text(server_fault(ctx)?))
    }),
    failed!(
        "ssl_bc_err",
        server_tls,
        S,
        T::Int,
        "Why the handshake with the server failed, as OpenSSL counts.",
        "2.5",
        |tls| number(failure(Some(tls?)).map_or(0, |f| f.code))
    ),
];
