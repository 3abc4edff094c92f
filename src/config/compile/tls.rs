//! What `global`, `bind` and `server` lines say of TLS becomes what connections begin with.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use crate::base::clock;
use crate::check::{CheckSpec, CheckTls};
use crate::lang::args::Args;
use crate::lang::time::{Unit, time};
use crate::lang::{Severity, Span};
use crate::model::{Mode, ServerTls};
use crate::tls::{
    BindWords, Endpoint, ExtraFiles, Ignored, Library, Live, Options, ServerWords, Source, Told, Upstream,
    Verify,
};

use super::super::proxy::{Bind, Config};
use super::declared::TlsSettings;
use super::draft::{Cx, Draft};

/// A word of a `bind` line, with its value if it has one.
pub fn bind_word(words: &mut BindWords, name: &str, value: &str) -> Result<(), String> {
    let text = || value.to_owned();
    let error = |e| format!("'{name}' : {e}");
    match name {
        "crt" => words.certificates.push(Source::Crt(text())),
        "default-crt" => words.certificates.push(Source::DefaultCrt(text())),
        "crt-list" => words.certificates.push(Source::CrtList(text())),
        "strict-sni" => words.is_strict = true,
        "no-strict-sni" => words.is_strict = false,
        "tls-ticket-keys" => words.ticket_keys = Some(text()),
        "no-tls-tickets" => words.no_tickets = true,
        "tls-tickets" => words.no_tickets = false,
        "prefer-client-ciphers" => words.prefer_client_ciphers = true,
        "crt-ignore-err" => words.crt_ignore_err = Ignored::parse(value).map_err(error)?,
        "ca-ignore-err" => words.ca_ignore_err = Ignored::parse(value).map_err(error)?,
        _ => return handshake_word(&mut words.options, name, value),
    }
    Ok(())
}

/// A word of a `server` line, with its value if it has one.
pub fn server_word(words: &mut ServerWords, name: &str, value: &str) -> Result<(), String> {
    match name {
        "crt" => words.crt = Some(value.to_owned()),
        "verifyhost" => words.verify_host = Some(value.to_owned()),
        "no-ssl-reuse" => words.no_reuse = true,
        "ssl-reuse" => words.no_reuse = false,
        "no-tls-tickets" => words.no_tickets = true,
        "tls-tickets" => words.no_tickets = false,
        _ => return handshake_word(&mut words.options, name, value),
    }
    Ok(())
}

fn handshake_word(options: &mut Options, name: &str, value: &str) -> Result<(), String> {
    options
        .read(&[name, value])
        .map_or_else(|| Err(format!("'{name}' : is no word of TLS")), |read| read.map(|_| ()))
}

/// A line of `global` that is for all lines with TLS.
pub fn global_word(cx: &mut Cx<'_>, args: Args<'_>) {
    let (name, value) = (args.str(0), args.str(1));
    if let Err(message) = apply(cx, name, value, args) {
        let at = cx.blamed(args.at(1), &message);
        let at = if at == args.at(1) && !args.has(1) { args.span } else { at };
        cx.diags.alert(at, format!("'{name}' : {message}"));
    }
}

fn apply(cx: &mut Cx<'_>, name: &str, value: &str, args: Args<'_>) -> Result<(), String> {
    let tls = &mut cx.global.tls;
    let number = || value.parse::<u64>().map_err(|_| format!("expects an integer argument, found '{value}'"));
    match name {
        "crt-base" => tls.globals.crt_base = Some(value.into()),
        "key-base" => tls.key_base = Some(value.into()),
        "ca-base" => tls.globals.ca_base = Some(value.into()),
        "ssl-load-extra-files" => tls.globals.extra = extra_files(args)?,
        "ssl-load-extra-del-ext" => tls.globals.is_extension_dropped = true,
        "ssl-skip-self-issued-ca" => tls.globals.skips_self_issued = true,
        "tune.ssl.cachesize" => tls.globals.cache_blocks = number()? as usize,
        "tune.ssl.lifetime" => {
            let lifetime = time(value, Unit::Seconds).map_err(|e| e.about(value))?;
            tls.globals.lifetime_s = lifetime.value;
        }
        "ssl-server-verify" => {
            tls.server.options.verify = match value {
                "none" => Some(Verify::None),
                "required" => Some(Verify::Required),
                _ => return Err(format!("expects 'none' or 'required' as argument, got '{value}'.")),
            }
        }
        "ssl-default-bind-options" => {
            return defaults(args, |name, value| bind_word(&mut tls.bind, name, value));
        }
        "ssl-default-server-options" => {
            return defaults(args, |name, value| server_word(&mut tls.server, name, value));
        }
        _ => {
            if let Some(word) = name.strip_prefix("ssl-default-bind-").filter(|word| is_list(word)) {
                handshake_word(&mut tls.bind.options, word, value)?;
            }
            if let Some(word) = name.strip_prefix("ssl-default-server-").filter(|word| is_list(word)) {
                handshake_word(&mut tls.server.options, word, value)?;
            }
        }
    }
    Ok(())
}

fn is_list(word: &str) -> bool {
    matches!(word, "ciphers" | "ciphersuites" | "curves")
}

fn extra_files(args: Args<'_>) -> Result<ExtraFiles, String> {
    let mut extra = ExtraFiles::empty();
    let mut at = 1;
    while args.has(at) {
        extra |= match args.str(at) {
            "bundle" => ExtraFiles::BUNDLE,
            "sctl" => ExtraFiles::SCTL,
            "ocsp" => ExtraFiles::OCSP,
            "issuer" => ExtraFiles::ISSUER,
            "key" => ExtraFiles::KEY,
            "all" => ExtraFiles::all(),
            "none" => ExtraFiles::empty(),
            other => return Err(format!("unknown option '{other}'.")),
        };
        at += 1;
    }
    Ok(extra)
}

/// The words of `ssl-default-*-options`.
fn defaults(args: Args<'_>, mut set: impl FnMut(&str, &str) -> Result<(), String>) -> Result<(), String> {
    let mut at = 1;
    while args.has(at) {
        let word = args.str(at);
        let has_value =
            matches!(word, "ssl-min-ver" | "ssl-max-ver" | "curves" | "sigalgs" | "client-sigalgs");
        let value = if has_value { args.str(at + 1) } else { "" };
        set(word, value)?;
        at += 1 + usize::from(has_value);
    }
    Ok(())
}

/// Takes the certificates that were read so far, those of the configuration before where commands have changed them.
fn library<'a>(cx: &mut Cx<'a>) -> Library<'a> {
    if let Some(library) = cx.library.take() {
        return library;
    }
    let before = cx.inputs.previous.map(|config| {
        let live = config.tls.lock().unwrap_or_else(PoisonError::into_inner);
        (live.sessions(), live.kept())
    });
    let (sessions, kept) = before.unzip();
    let now_s = i64::try_from(clock::wall().as_secs()).unwrap_or(i64::MAX);
    let library = Library::new(cx.inputs.disk, cx.global.tls.globals.clone(), now_s, sessions);
    library.keeping(kept.unwrap_or_default())
}

/// Calls with the certificates of the configuration; what was wrong with those it needed is told of this place.
fn with_library<'a, T>(
    cx: &mut Cx<'a>,
    at: Span,
    title: &str,
    f: impl FnOnce(&Cx<'a>, &mut Library<'a>, &mut Told) -> T,
) -> T {
    let mut library = library(cx);
    let mut told = Told::default();
    let made = f(cx, &mut library, &mut told);
    cx.library = Some(library);
    let warnings = told.warnings.into_iter().map(|text| (Severity::Warning, text));
    for (severity, text) in warnings.chain(told.errors.into_iter().map(|text| (Severity::Alert, text))) {
        let at = cx.blamed(at, &text);
        cx.diags.push(severity, Some(at), format!("{title} : {text}"));
    }
    made
}

/// Makes what the lines with `ssl` show to clients. One line may have made several listeners: they share it.
pub fn endpoints(cx: &mut Cx<'_>, draft: &Draft<'_>, binds: &mut [Bind]) {
    let mut last: Option<(Span, Option<Arc<Endpoint>>)> = None;
    for bind in binds.iter_mut().filter(|bind| bind.tls.is_on) {
        let made = match &last {
            Some((at, endpoint)) if *at == bind.declared_at => endpoint.clone(),
            _ => {
                let title = format!("'bind {}' in section '{}'", bind.tls.written, draft.kind.word());
                let name = match &bind.name {
                    Some(name) => format!("{}/{name}", draft.name),
                    None => format!("{}/{}", draft.name, bind.tls.written),
                };
                let mut words = completed(&bind.tls.words, &cx.global.tls.bind);
                if words.options.alpn.is_none() && draft.set.mode == Mode::Http {
                    let offered = match () {
                        () if bind.proto_h2 => "h2",
                        () if bind.proto_h1 => "http/1.1",
                        () => "h2,http/1.1",
                    };
                    words.options.alpn = Some(offered.to_owned());
                }
                let made = with_library(cx, bind.declared_at, &title, |_, library, told| {
                    Endpoint::build(&name, words, library, told)
                });
                made.inspect(|endpoint| endpoint.stand_at(cx.place(bind.declared_at)))
            }
        };
        bind.tls.endpoint = made.clone();
        last = Some((bind.declared_at, made));
    }
}

/// Makes what a line of a `peers` section with `ssl` shows to peers.
pub fn peers_endpoint(cx: &mut Cx<'_>, section: &str, bind: &Bind) -> Option<Arc<Endpoint>> {
    if !bind.tls.is_on {
        return None;
    }
    let title = format!("'bind {}' in section 'peers {section}'", bind.tls.written);
    let name = format!("{section}/{}", bind.tls.written);
    let words = completed(&bind.tls.words, &cx.global.tls.bind);
    let made = with_library(cx, bind.declared_at, &title, |_, library, told| {
        Endpoint::build(&name, words, library, told)
    });
    made.inspect(|endpoint| endpoint.stand_at(cx.place(bind.declared_at)))
}

/// What runtime commands act on, once all lines are read.
pub fn live(cx: &mut Cx<'_>, config: &Config) -> Live {
    let library = library(cx);
    let mut endpoints: Vec<Arc<Endpoint>> = Vec::new();
    let binds = config.proxies.iter().filter_map(|proxy| proxy.front.as_ref()).flat_map(|front| &front.binds);
    for endpoint in binds.filter_map(|bind| bind.tls.endpoint.as_ref()) {
        // Several addresses of a line share it, one after the other.
        if endpoints.last().is_none_or(|last| !Arc::ptr_eq(last, endpoint)) {
            endpoints.push(endpoint.clone());
        }
    }
    Live::new(library, endpoints)
}

/// How TLS is spoken to a server whose line has `ssl`; as it was `before` if nothing of it has changed.
pub fn server(
    cx: &mut Cx<'_>,
    at: Span,
    title: &str,
    set: &TlsSettings,
    before: Option<&ServerTls>,
) -> Option<ServerTls> {
    if !set.is_on {
        return None;
    }
    let mut words = set.words.clone();
    words.options = words.options.or(&cx.global.tls.server.options);
    words.no_tickets |= cx.global.tls.server.no_tickets;
    let fingerprint = fingerprint(cx, &words);
    // Also where nothing has changed: commands want to know of its files.
    let upstream = with_library(cx, at, title, |_, library, told| Upstream::build(&words, library, told))?;
    if let Some(before) = before.filter(|before| before.fingerprint == fingerprint) {
        return Some(before.clone());
    }
    let alpn = words.options.alpn.as_deref().unwrap_or_default();
    let offers = |name: &str| alpn.split(',').any(|protocol| protocol == name);
    let (offers_h2, offers_h1) = (offers("h2"), offers("http/1.1"));
    Some(ServerTls { upstream, offers_h2, offers_h1, fingerprint })
}

/// How the checks of a server speak TLS, if they do. `own`: how its traffic does.
pub fn check(
    cx: &mut Cx<'_>,
    (at, title): (Span, &str),
    set: &TlsSettings,
    own: Option<&ServerTls>,
    spec: &CheckSpec,
) -> Option<CheckTls> {
    let is_default = set.check || own.is_some() && !spec.has_own_way();
    if !is_default && !spec.asks_for_tls() {
        return None;
    }
    let made;
    let tls = match own {
        Some(own) => own,
        None => {
            made = server(cx, at, title, &TlsSettings { is_on: true, ..set.clone() }, None)?;
            &made
        }
    };
    let alpn: Vec<Vec<u8>> = match &set.check_alpn {
        Some(list) => list.split(',').map(|protocol| protocol.as_bytes().to_vec()).collect(),
        None => Vec::new(),
    };
    let fingerprint = tls.fingerprint ^ xxhash_rust::xxh3::xxh3_64(format!("{alpn:?}").as_bytes());
    let sni = set.check_sni.as_ref().map(|name| name.as_bytes().into());
    Some(CheckTls { upstream: tls.upstream.clone(), is_default, alpn, sni, fingerprint })
}

/// Of words, and of what the files hold that they name.
fn fingerprint(cx: &Cx<'_>, words: &ServerWords) -> u64 {
    let globals = &cx.global.tls.globals;
    let mut whole = format!("{words:?} {:?} {:?}", globals.crt_base, globals.ca_base).into_bytes();
    let of = |base: &Option<PathBuf>, name: &str| base.as_ref().map_or(PathBuf::from(name), |b| b.join(name));
    let crt = words.crt.as_deref().map(|name| of(&globals.crt_base, name));
    let signers = [&words.options.ca_file, &words.options.crl_file].into_iter().flatten();
    let stored =
        globals.stored.iter().find(|l| words.crt.as_ref().is_some_and(|name| l.names.contains(name)));
    let parts = stored.into_iter().flat_map(|l| std::iter::once(l.crt.clone()).chain(l.key.clone()));
    for path in crt.into_iter().chain(parts).chain(signers.map(|name| of(&globals.ca_base, name))) {
        whole.extend(cx.inputs.disk.read(&path).unwrap_or_default());
    }
    xxhash_rust::xxh3::xxh3_64(&whole)
}

/// What a line says, and for the rest what `global` says.
fn completed(line: &BindWords, defaults: &BindWords) -> BindWords {
    let mut words = line.clone();
    words.options = words.options.or(&defaults.options);
    words.is_strict |= defaults.is_strict;
    words.no_tickets |= defaults.no_tickets;
    words.prefer_client_ciphers |= defaults.prefer_client_ciphers;
    words
}
