//! Commands about certificates, authorities, lists of certificates and keys of tickets: words and levels here, the rest in
//! `tls::live`.

use std::sync::PoisonError;

use crate::base::clock;
use crate::config::global::CliLevel::{Admin, Operator, User};
use crate::tls::Live;

use super::command::Command;
use super::session::{Answer, Session, Severity};
use super::words::Args;

pub static COMMANDS: &[Command] = &[
    Command::new(
        Operator,
        "show ssl cert",
        "[<certfile>]",
        "Certificates in use, or one of them.",
        "show ssl cert site.pem",
        "2.2",
        |session, args| named(session, args, Live::show_certs, Live::show_cert),
    ),
    Command::new(
        Admin,
        "new ssl cert",
        "<certfile>",
        "Make an empty certificate, to be filled.",
        "new ssl cert site.pem",
        "2.2",
        |session, args| on(session, args, "'new ssl cert' expects a filename", Live::new_cert),
    ),
    Command::new(
        Admin,
        "set ssl cert",
        "<certfile> <payload>",
        "Begin to replace a certificate.",
        "set ssl cert site.pem <<",
        "2.1",
        |session, args| {
            let missing = "'set ssl cert' expects a filename and a certificate as a payload";
            with_payload(session, args, missing, |live, name, payload| live.set_cert(name, payload, now_s()))
        },
    ),
    Command::new(
        Admin,
        "commit ssl cert",
        "<certfile>",
        "Use what 'set ssl cert' began with.",
        "commit ssl cert site.pem",
        "2.1",
        |session, args| on(session, args, "'commit ssl cert' expects a filename", Live::commit_cert),
    ),
    Command::new(
        Admin,
        "abort ssl cert",
        "<certfile>",
        "Forget what 'set ssl cert' began with.",
        "abort ssl cert site.pem",
        "2.1",
        |session, args| on(session, args, "'abort ssl cert' expects a filename", Live::abort_cert),
    ),
    Command::new(
        Admin,
        "del ssl cert",
        "<certfile>",
        "Remove a certificate that nothing uses.",
        "del ssl cert site.pem",
        "2.2",
        |session, args| on(session, args, "'del ssl cert' expects a certificate name", Live::del_cert),
    ),
    Command::new(
        Operator,
        "show ssl ca-file",
        "[<cafile>[:<index>]]",
        "Files of authorities in use, or one of them.",
        "show ssl ca-file ca.pem:1",
        "2.5",
        |session, args| named(session, args, Live::show_ca_files, Live::show_ca_file),
    ),
    Command::new(
        Admin,
        "new ssl ca-file",
        "<cafile>",
        "Make an empty file of authorities, to be filled.",
        "new ssl ca-file ca.pem",
        "2.5",
        |session, args| on(session, args, "'new ssl ca-file' expects a filename", Live::new_ca_file),
    ),
    Command::new(
        Admin,
        "set ssl ca-file",
        "<cafile> <payload>",
        "Begin to replace authorities.",
        "set ssl ca-file ca.pem <<",
        "2.5",
        |session, args| {
            let missing = "'set ssl ca-file' expects a filename and CAs as a payload";
            with_payload(session, args, missing, |live, name, payload| live.set_ca_file(name, payload, false))
        },
    ),
    Command::new(
        Admin,
        "add ssl ca-file",
        "<cafile> <payload>",
        "Begin to add authorities.",
        "add ssl ca-file ca.pem <<",
        "2.8",
        |session, args| {
            let missing = "'add ssl ca-file' expects a filename and CAs as a payload";
            with_payload(session, args, missing, |live, name, payload| live.set_ca_file(name, payload, true))
        },
    ),
    Command::new(
        Admin,
        "commit ssl ca-file",
        "<cafile>",
        "Use what 'set ssl ca-file' began with.",
        "commit ssl ca-file ca.pem",
        "2.5",
        |session, args| on(session, args, "'commit ssl ca-file' expects a filename", Live::commit_ca_file),
    ),
    Command::new(
        Admin,
        "abort ssl ca-file",
        "<cafile>",
        "Forget what 'set ssl ca-file' began with.",
        "abort ssl ca-file ca.pem",
        "2.5",
        |session, args| on(session, args, "'abort ssl ca-file' expects a filename", Live::abort_ca_file),
    ),
    Command::new(
        Admin,
        "del ssl ca-file",
        "<cafile>",
        "Remove authorities that nothing uses.",
        "del ssl ca-file ca.pem",
        "2.5",
        |session, args| on(session, args, "'del ssl ca-file' expects a CA file name", Live::del_ca_file),
    ),
    Command::new(
        Operator,
        "show ssl crl-file",
        "[<crlfile>[:<index>]]",
        "Files of revocations in use, or one of them.",
        "show ssl crl-file crl.pem:1",
        "2.5",
        |session, args| named(session, args, Live::show_crl_files, Live::show_crl_file),
    ),
    Command::new(
        Admin,
        "new ssl crl-file",
        "<crlfile>",
        "Make an empty file of revocations, to be filled.",
        "new ssl crl-file crl.pem",
        "2.5",
        |session, args| on(session, args, "'new ssl crl-file' expects a filename", Live::new_crl_file),
    ),
    Command::new(
        Admin,
        "set ssl crl-file",
        "<crlfile> <payload>",
        "Begin to replace revocations.",
        "set ssl crl-file crl.pem <<",
        "2.5",
        |session, args| {
            let missing = "'set ssl crl-file' expects a filename and CRLs as a payload";
            with_payload(session, args, missing, Live::set_crl_file)
        },
    ),
    Command::new(
        Admin,
        "commit ssl crl-file",
        "<crlfile>",
        "Use what 'set ssl crl-file' began with.",
        "commit ssl crl-file crl.pem",
        "2.5",
        |session, args| on(session, args, "'commit ssl crl-file' expects a filename", Live::commit_crl_file),
    ),
    Command::new(
        Admin,
        "abort ssl crl-file",
        "<crlfile>",
        "Forget what 'set ssl crl-file' began with.",
        "abort ssl crl-file crl.pem",
        "2.5",
        |session, args| on(session, args, "'abort ssl crl-file' expects a filename", Live::abort_crl_file),
    ),
    Command::new(
        Admin,
        "del ssl crl-file",
        "<crlfile>",
        "Remove revocations that nothing uses.",
        "del ssl crl-file crl.pem",
        "2.5",
        |session, args| on(session, args, "'del ssl crl-file' expects a CRL file name", Live::del_crl_file),
    ),
    Command::new(
        Admin,
        "show ssl crt-list",
        "[-n] [<list>]",
        "Lists of certificates, or the lines of one, with their numbers.",
        "show ssl crt-list -n list.txt",
        "2.2",
        show_crt_list,
    ),
    Command::new(
        Admin,
        "add ssl crt-list",
        "<list> <certfile>|<payload>",
        "Add a line to a list of certificates.",
        "add ssl crt-list list.txt site.pem",
        "2.2",
        add_crt_list,
    ),
    Command::new(
        Admin,
        "del ssl crt-list",
        "<list> <certfile>[:<line>]",
        "Remove a line of a list of certificates.",
        "del ssl crt-list list.txt site.pem:3",
        "2.2",
        del_crt_list,
    ),
    Command::new(
        User,
        "show ssl sni",
        "",
        "Names that are served, each with its certificate.",
        "show ssl sni",
        "3.2",
        |session, _| Answer::Dump(with(session, |live| live.show_sni())),
    ),
    Command::new(
        User,
        "show ssl ocsp-response",
        "[<id>|<certfile>]",
        "Answers about certificates (OCSP), or one of them.",
        "show ssl ocsp-response site.pem",
        "2.5",
        show_ocsp_response,
    ),
    Command::new(
        Admin,
        "set ssl ocsp-response",
        "<response>|<payload>",
        "Show another answer about a certificate (OCSP), in base64.",
        "set ssl ocsp-response MAo=",
        "1.5",
        set_ocsp_response,
    ),
    Command::new(
        Admin,
        "show tls-keys",
        "[#<id>|<file>|*]",
        "Files of keys of tickets, or the keys of one.",
        "show tls-keys #0",
        "1.6",
        |session, args| named(session, args, Live::show_tls_keys, Live::show_tls_key),
    ),
    Command::new(
        Admin,
        "set ssl tls-key",
        "#<id>|<file> <key>",
        "Add a key of tickets, in base64; the oldest leaves.",
        "set ssl tls-key #0 AAAA",
        "1.6",
        set_tls_key,
    ),
];

fn now_s() -> i64 {
    i64::try_from(clock::wall().as_secs()).unwrap_or(i64::MAX)
}

/// Calls with what is in use.
fn with<T>(session: &Session, f: impl FnOnce(&mut Live) -> T) -> T {
    let config = session.control.config();
    let mut live = config.tls.lock().unwrap_or_else(PoisonError::into_inner);
    f(live.reaching(config.upstreams()))
}

/// Shows all, or what is named.
fn named(session: &Session, args: &Args, all: fn(&Live) -> String, one: fn(&Live, &str) -> String) -> Answer {
    let name = args.words.last().filter(|_| args.words.len() > plain(args));
    Answer::Dump(with(session, |live| match name {
        Some(name) => one(live, name),
        None => all(live),
    }))
}

/// How many words the command itself has.
fn plain(args: &Args) -> usize {
    if args.at(1) == "ssl" { 3 } else { 2 }
}

/// Does something to what is named.
fn on(session: &Session, args: &Args, missing: &str, run: fn(&mut Live, &str) -> String) -> Answer {
    match args.at(3) {
        "" => Answer::error(missing),
        name => Answer::Message(Severity::Notice, with(session, |live| run(live, name))),
    }
}

fn with_payload(
    session: &Session,
    args: &Args,
    missing: &str,
    run: impl FnOnce(&mut Live, &str, &str) -> String,
) -> Answer {
    match (args.at(3), args.payload.as_deref()) {
        ("", _) | (_, None | Some("")) => Answer::error(missing),
        (name, Some(payload)) => {
            Answer::Message(Severity::Notice, with(session, |live| run(live, name, payload)))
        }
    }
}

fn show_crt_list(session: &mut Session, args: &Args) -> Answer {
    let is_numbered = args.at(3) == "-n";
    Answer::Dump(with(session, |live| match args.at(3 + usize::from(is_numbered)) {
        "" => live.show_crt_lists(),
        list => live.show_crt_list(list, is_numbered),
    }))
}

fn add_crt_list(session: &mut Session, args: &Args) -> Answer {
    let line = args.payload.as_deref().unwrap_or_else(|| args.at(4));
    if args.at(3).is_empty() || line.trim().is_empty() {
        return Answer::error("'add ssl crtlist' expects a filename and a certificate name");
    }
    Answer::Message(Severity::Notice, with(session, |live| live.add_crt_list(args.at(3), line)))
}

fn del_crt_list(session: &mut Session, args: &Args) -> Answer {
    if args.at(3).is_empty() || args.at(4).is_empty() {
        return Answer::error("'del ssl crtlist' expects a filename and a certificate name");
    }
    Answer::Message(Severity::Notice, with(session, |live| live.del_crt_list(args.at(3), args.at(4))))
}

fn show_ocsp_response(session: &mut Session, args: &Args) -> Answer {
    match args.at(3) {
        "" => Answer::Dump(with(session, |live| live.show_ocsp_responses())),
        id => match with(session, |live| live.show_ocsp_response(id)) {
            Some(text) => Answer::Dump(text),
            None => Answer::error("Certificate ID or path does not match any certificate."),
        },
    }
}

fn set_ocsp_response(session: &mut Session, args: &Args) -> Answer {
    match args.payload.as_deref().unwrap_or_else(|| args.at(3)) {
        "" => Answer::error("'set ssl ocsp-response' expects response in base64 encoding."),
        text => {
            let said = with(session, |live| live.set_ocsp_response(text, now_s()));
            Answer::Message(Severity::Notice, said)
        }
    }
}

fn set_tls_key(session: &mut Session, args: &Args) -> Answer {
    if args.at(3).is_empty() || args.at(4).is_empty() {
        let missing = "'set ssl tls-key' expects a filename and the new TLS key in base64 encoding.";
        return Answer::error(missing);
    }
    let said = with(session, |live| live.set_tls_key(args.at(3), args.at(4)));
    Answer::Message(Severity::Notice, said)
}
