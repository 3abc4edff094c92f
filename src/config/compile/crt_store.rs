//! `crt-store` sections: where the parts of certificates are, and what `crt` calls them (`@store/name`).

use std::path::{Path, PathBuf};

use crate::lang::args::{Args, Cursor};
use crate::lang::registry::Kind;
use crate::lang::void::is_void_line;
use crate::lang::{Entry, Place, Section, What, suggest};
use crate::tls::StoreLine;

use super::draft::Cx;

const FILES: &[Place] = &[
    Place::option("crt", What::File),
    Place::option("key", What::File),
    Place::option("ocsp", What::File),
    Place::option("issuer", What::File),
    Place::option("sctl", What::File),
];

/// Lines of the section.
#[rustfmt::skip]
pub const LINES: &[Entry] = &[
    Entry::full("crt-base", "<dir>", "Directory of the section's certificates.", "crt-base /etc/ssl/certs", "3.0").naming(&[Place::argument(1, What::Base)]),
    Entry::full("key-base", "<dir>", "Directory of the section's private keys.", "key-base /etc/ssl/private", "3.0").naming(&[Place::argument(1, What::Base)]),
    Entry::full("load", "crt <file> [alias <name>] [key <file>] [ocsp <file>] [issuer <file>] [sctl <file>]", "A certificate, the files of its parts, and another name for it.", "load crt site.crt key site.key alias site", "3.0").naming(FILES),
];

/// The directories of a section, else those of `global`.
#[derive(Default)]
struct Bases {
    crt: Option<PathBuf>,
    key: Option<PathBuf>,
}

fn based(base: &Option<PathBuf>, name: &str) -> PathBuf {
    base.as_deref().unwrap_or(Path::new("")).join(name)
}

/// Reads a section.
pub fn section<'a>(cx: &mut Cx<'a>, section: &'a Section) {
    let head = Args::of(&section.head);
    if super::keyword::too_many(cx, head, 0, 1) {
        return;
    }
    let mut bases = Bases {
        crt: cx.global.tls.globals.crt_base.clone(),
        key: cx.global.tls.key_base.clone().or_else(|| cx.global.tls.globals.crt_base.clone()),
    };
    for line in &section.lines {
        let args = Args::of(line);
        let word = args.str(0);
        if is_void_line(Kind::In("crt-store"), args.words) {
            continue;
        }
        match word {
            "crt-base" | "key-base" if args.str(1).is_empty() => {
                cx.diags.alert(args.span, format!("'{word}' requires a <path> argument."));
            }
            "crt-base" => bases.crt = Some(args.str(1).into()),
            "key-base" => bases.key = Some(args.str(1).into()),
            "load" => load(cx, head.str(1), &bases, args),
            _ => {
                let hint = suggest::hint(word, LINES.iter().map(|entry| entry.name));
                cx.diags.alert_hint(
                    args.at(0),
                    format!("unknown keyword '{word}' in 'crt-store' section"),
                    hint,
                );
            }
        }
    }
}

fn load<'a>(cx: &mut Cx<'a>, store: &str, bases: &Bases, args: Args<'a>) {
    let mut line = StoreLine::default();
    let (mut file, mut alias) = (None, None);
    let mut words = Cursor::new(args, 1);
    while let Some(word) = words.take() {
        let name = word.str();
        let Some(value) = words.take().filter(|value| !value.str().is_empty()) else {
            return cx.diags.alert(word.span, format!("'load' : '{name}' requires an argument."));
        };
        let text = value.str();
        match name {
            "crt" => file = Some(text),
            "alias" => alias = Some(text),
            "key" => line.key = Some(based(&bases.key, text)),
            "ocsp" => line.ocsp = Some(based(&bases.crt, text)),
            "issuer" => line.issuer = Some(based(&bases.crt, text)),
            "sctl" => line.sctl = Some(based(&bases.crt, text)),
            "ocsp-update" if text == "off" => {}
            "ocsp-update" => {
                let message = "'load' : 'ocsp-update' is not supported by this release: nobody is asked for answers about certificates.";
                return cx.diags.alert(word.span, message);
            }
            _ => {
                let names = ["crt", "alias", "key", "ocsp", "issuer", "sctl", "ocsp-update"];
                let message = format!("'load' : unknown keyword '{name}'.");
                return cx.diags.alert_hint(word.span, message, suggest::hint(name, names));
            }
        }
    }
    let Some(file) = file else {
        return cx.diags.alert(args.span, "'load' : no 'crt' is given.");
    };
    line.crt = based(&bases.crt, file);
    let of_store = |name: &str| format!("@{store}/{name}");
    line.names = alias.into_iter().chain([file]).map(of_store).collect();
    if store.is_empty() {
        // Sections without a name are known by paths too.
        line.names.push(line.crt.display().to_string());
    }
    let stored = &cx.global.tls.globals.stored;
    if let Some(name) = line.names.iter().find(|name| stored.iter().any(|of| of.names.contains(name))) {
        return cx.diags.alert(args.span, format!("'load' : '{name}' is loaded already."));
    }
    cx.global.tls.globals.stored.push(line);
}
