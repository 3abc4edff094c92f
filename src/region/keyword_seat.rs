//! Lines of the `region-map` section, and what must hold between them.

use std::net::SocketAddr;

use crate::lang::args::{Args, Cursor};
use crate::lang::{Span, suggest};

use super::member::Admission;
use super::reading::Reading;
use super::spec::{Listen, Profile, SeatSpec, Tls};

pub fn node<'a>(reading: &mut Reading<'_>, spec: &mut SeatSpec, args: Args<'a>) {
    if !args.has(1) {
        return reading.alert(args.span, "'node' expects a name as argument.");
    }
    spec.node = reading.name(args, 1, "node name");
    match args.str(2) {
        "" => {}
        "region" if args.has(3) => {
            let Some(region) = reading.name(args, 3, "region name") else { return };
            reading.mentioned.push((region.clone(), args.at(3)));
            spec.region = region;
            reading.too_many(args, 3);
        }
        "region" => reading.alert(args.at(2), "'region' expects a name as argument."),
        word => {
            let hint = suggest::hint(word, ["region"]);
            let message = format!("'node' only takes 'region' after its name, got '{word}'.");
            reading.diags.alert_hint(args.at(2), message, hint);
        }
    }
}

pub fn bind<'a>(reading: &mut Reading<'_>, spec: &mut SeatSpec, args: Args<'a>) {
    let Some(listen) = listen(reading, args) else { return };
    if listen.tls.as_ref().is_some_and(|tls| tls.crt.is_some() && tls.ca_file.is_none()) {
        return reading
            .alert(args.span, "'bind' with 'ssl crt' expects 'ca-file <file>': who signed the others.");
    }
    spec.bind = Some(listen);
}

pub fn http_api<'a>(reading: &mut Reading<'_>, spec: &mut SeatSpec, args: Args<'a>) {
    let Some(listen) = listen(reading, args) else { return };
    if listen.tls.as_ref().is_some_and(|tls| tls.crt.is_none()) {
        return reading.alert(args.span, "'http-api' with 'ssl' expects 'crt <file>'.");
    }
    spec.http_api = Some(listen);
}

const LISTEN_OPTIONS: [&str; 5] = ["ca-file", "crt", "insecure", "ssl", "verify"];

/// `<address>:<port> [ssl [crt F] [ca-file F] [verify none|required]] [insecure]`.
fn listen(reading: &mut Reading<'_>, args: Args<'_>) -> Option<Listen> {
    let address: SocketAddr = reading.listen(args, 1)?;
    let mut listen = Listen { address, tls: None, insecure: false };
    let (mut tls, mut tls_word) = (Tls::default(), None);
    let mut cursor = Cursor::new(args, 2);
    while let Some(word) = cursor.take() {
        let at = word.span;
        let mut value = |reading: &mut Reading<'_>, what: &str| match cursor.take() {
            Some(value) => Some(value.str()),
            None => {
                reading.alert(at, format!("'{}' expects {what}.", word.str()));
                None
            }
        };
        match word.str() {
            "ssl" => listen.tls = Some(Tls::default()),
            "insecure" => listen.insecure = true,
            "crt" => tls.crt = Some(value(reading, "a file name")?.into()),
            "ca-file" => tls.ca_file = Some(value(reading, "a file name")?.into()),
            "verify" => match value(reading, "'none' or 'required'")? {
                "none" => tls.verify = false,
                "required" => tls.verify = true,
                other => {
                    let message = format!("'verify' expects 'none' or 'required', got '{other}'.");
                    reading.alert(at, message);
                    return None;
                }
            },
            other => {
                let hint = suggest::hint(other, LISTEN_OPTIONS);
                let message = format!("'{}' unknown keyword '{other}'.", args.str(0));
                reading.diags.alert_hint(at, message, hint);
                return None;
            }
        }
        if matches!(word.str(), "crt" | "ca-file" | "verify") {
            tls_word.get_or_insert(word);
        }
    }
    match (&mut listen.tls, tls_word) {
        (Some(slot), _) => *slot = tls,
        (None, Some(word)) => {
            reading.alert(word.span, format!("'{}' needs 'ssl' on the same line.", word.str()));
            return None;
        }
        (None, None) => {}
    }
    if listen.tls.as_ref().is_some_and(|tls| tls.crt.is_none() && (tls.ca_file.is_some() || tls.verify)) {
        reading.alert(args.span, "'ca-file' and 'verify' expect 'crt <file>' on the same line.");
        return None;
    }
    if listen.tls.as_ref().is_some_and(|tls| tls.verify && tls.ca_file.is_none() && tls.crt.is_some()) {
        reading.alert(args.span, "'verify required' expects 'ca-file <file>'.");
        return None;
    }
    Some(listen)
}

pub fn data_dir<'a>(reading: &mut Reading<'_>, spec: &mut SeatSpec, args: Args<'a>) {
    spec.data_dir = reading.one(args, "a directory").map(Into::into);
}

pub fn retry_join<'a>(reading: &mut Reading<'_>, spec: &mut SeatSpec, args: Args<'a>) {
    for (i, text) in reading.several(args, "a <host>:<port>") {
        let split = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        let port = split.and_then(|(_, port)| port.parse::<u16>().ok()).filter(|port| *port > 0);
        match port {
            Some(_) if spec.retry_join.iter().any(|known| known == text) => {
                reading.alert(args.at(i), format!("'{text}' is there already."));
            }
            Some(_) => spec.retry_join.push(text.to_owned()),
            None => reading.alert(args.at(i), format!("'retry-join' expects <host>:<port>, got '{text}'.")),
        }
    }
}

pub fn expect<'a>(reading: &mut Reading<'_>, spec: &mut SeatSpec, args: Args<'a>) {
    let Some(text) = reading.one(args, "a number of nodes") else { return };
    match text.parse() {
        Ok(n @ 1..=99) => spec.expect = n,
        _ => reading.alert(args.at(1), format!("'expect' expects a number from 1 to 99, got '{text}'.")),
    }
}

pub fn join_token<'a>(reading: &mut Reading<'_>, spec: &mut SeatSpec, args: Args<'a>) {
    let Some(text) = reading.one(args, "a token or a secret") else { return };
    match Admission::parse(text) {
        Ok(admission) => spec.admission = Some(admission),
        Err(e) => reading.alert(args.at(1), format!("'join-token': {e}.")),
    }
}

pub fn read_token<'a>(reading: &mut Reading<'_>, spec: &mut SeatSpec, args: Args<'a>) {
    spec.read_token = token(reading, args);
}

pub fn write_token<'a>(reading: &mut Reading<'_>, spec: &mut SeatSpec, args: Args<'a>) {
    spec.write_token = token(reading, args);
}

fn token(reading: &mut Reading<'_>, args: Args<'_>) -> Option<String> {
    let text = reading.one(args, "a token")?;
    // It travels in a header field.
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        reading.alert(args.at(1), format!("'{}' expects visible ASCII characters.", args.str(0)));
        return None;
    }
    Some(text.to_owned())
}

pub fn region_timeout<'a>(reading: &mut Reading<'_>, spec: &mut SeatSpec, args: Args<'a>) {
    if let Some(time) = reading.duration(args) {
        spec.region_timeout = time;
    }
}

pub fn liveness_timeout<'a>(reading: &mut Reading<'_>, spec: &mut SeatSpec, args: Args<'a>) {
    if let Some(time) = reading.duration(args) {
        spec.liveness_timeout = time;
    }
}

pub fn profile<'a>(reading: &mut Reading<'_>, spec: &mut SeatSpec, args: Args<'a>) {
    let Some(word) = reading.one(args, "'lan' or 'wan'") else { return };
    match word {
        "lan" => spec.profile = Profile::Lan,
        "wan" => spec.profile = Profile::Wan,
        _ => reading.alert(args.at(1), format!("'profile' expects 'lan' or 'wan', got '{word}'.")),
    }
}

pub fn script_checks<'a>(reading: &mut Reading<'_>, spec: &mut SeatSpec, args: Args<'a>) {
    spec.script_checks = !reading.too_many(args, 0);
}

pub fn datacenter<'a>(reading: &mut Reading<'_>, spec: &mut SeatSpec, args: Args<'a>) {
    if reading.one(args, "a name").is_some()
        && let Some(name) = reading.name(args, 1, "datacenter name")
    {
        spec.datacenter = name;
    }
}

/// What holds between lines. `at` gives the place of a keyword, or the section's.
pub fn settle(reading: &mut Reading<'_>, spec: &SeatSpec, at: &dyn Fn(&str) -> Span) {
    let is_open = |listen: &&Listen| !listen.address.ip().is_loopback() && !listen.insecure;
    if let Some(bind) = spec.bind.as_ref().filter(is_open)
        && bind.tls.is_none()
    {
        let message = format!(
            "'bind {}' can be reached from other hosts and has no 'ssl': whoever gets there owns the cluster. Add \
             'ssl', or 'insecure' if the network is trusted.",
            bind.address
        );
        reading.alert(at("bind"), message);
    }
    let has_tokens = spec.write_token.is_some();
    if let Some(api) = spec.http_api.as_ref().filter(is_open)
        && !has_tokens
    {
        let message = format!(
            "'http-api {}' can be reached from other hosts and there is no 'write-token': whoever gets there may \
             register anything. Add tokens, or 'insecure' if the network is trusted.",
            api.address
        );
        reading.alert(at("http-api"), message);
    }
    if spec.read_token.is_some() && !has_tokens {
        reading.alert(at("read-token"), "'read-token' without 'write-token': nobody could write.");
    }
    if spec.read_token.is_some() && spec.read_token == spec.write_token {
        reading
            .diags
            .warning(at("read-token"), "'read-token' and 'write-token' are the same: readers may write.");
    }
    if !spec.is_lone() && spec.bind.is_none() {
        let word = if spec.retry_join.is_empty() { "expect" } else { "retry-join" };
        reading.alert(at(word), format!("'{word}' needs a 'bind' line, on which the other nodes answer."));
    }
    if let Some(bind) = spec.bind.as_ref().filter(|bind| bind.address.ip().is_unspecified())
        && (!spec.is_lone() || spec.has_authority())
    {
        let message = format!(
            "'bind {}': the other nodes are told this address and cannot reach it. Give the one of this host, or a \
             name that leads to it (\"${{HOSTNAME}}:{}\").",
            bind.address,
            bind.address.port()
        );
        reading.alert(at("bind"), message);
    }
    settle_admission(reading, spec, at);
    if spec.expect > 1 && spec.data_dir.is_none() {
        let message =
            "'expect' without 'data-dir': what this node promised its peers is lost when it restarts.";
        reading.alert(at("expect"), message);
    }
    if spec.region_timeout < spec.liveness_timeout {
        let message =
            "'region-timeout' is shorter than 'liveness-timeout': a region would be lost before its nodes.";
        reading.alert(at("region-timeout"), message);
    }
}

/// What must hold where the cluster has an authority of its own, and where it has not.
fn settle_admission(reading: &mut Reading<'_>, spec: &SeatSpec, at: &dyn Fn(&str) -> Span) {
    if !spec.has_authority() {
        if spec.admission.is_some() {
            let message = "'join-token' needs 'bind' with 'ssl' and without 'crt': only a cluster with a CA of its own \
                           admits by tokens.";
            reading.alert(at("join-token"), message);
        }
        return;
    }
    if spec.data_dir.is_none() {
        let message = "'bind' with 'ssl' and without 'crt' needs 'data-dir': the certificate is kept there.";
        reading.alert(at("bind"), message);
    }
    let founds = spec.expect > 1;
    match &spec.admission {
        None if founds => {
            let message = "'expect' with 'ssl' and without 'crt' needs 'join-token' with a secret that the first nodes \
                           share: else anybody could be one of them.";
            reading.alert(at("expect"), message);
        }
        Some(Admission::Token(_)) if founds => {
            let message = "'join-token' with a join token and 'expect': a token is of a cluster that stands, 'expect' \
                           forms one.";
            reading.alert(at("join-token"), message);
        }
        Some(Admission::Token(_)) if spec.retry_join.is_empty() => {
            reading.alert(at("join-token"), "'join-token' needs 'retry-join': whom to ask.");
        }
        Some(Admission::Founding(_)) if !founds => {
            let message = "'join-token' is no join token (those begin with ISBTKN-1-), and a secret of the first nodes \
                           needs 'expect'.";
            reading.alert(at("join-token"), message);
        }
        _ => {}
    }
}
