//! From sections to a [`Spec`]: which lines belong where, and what must hold between them.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::ClientConfig;
use xxhash_rust::xxh3::xxh3_64;

use super::keyword::{Keyword, MIRROR, REGISTRY};
pub use super::reading::Inputs;
use super::reading::{OpenMirror, OpenRegistry, Reading};
use crate::lang::args::Args;
use crate::lang::registry::Kind;
use crate::lang::void::{is_void, is_void_in};
use crate::lang::{Diagnostics, Section, Span, suggest};
use crate::mirror::client::credential::of_docker_config;
use crate::mirror::rule::{Delete, Name, RegistrySpec, Rule, Spec, When};
use crate::tls::{Anyone, Authorities, Client, Pem, Servers, Versions};

const MAXCONN: usize = 8;
const PARALLEL: usize = 4;
const EVERY_MS: u64 = 3_600_000;

/// Builds the value. `None` when there was an alert; warnings do not prevent it.
pub fn build(inputs: &Inputs<'_>) -> (Option<Spec>, Diagnostics) {
    let mut reading = Reading { inputs, diags: Diagnostics::default() };
    let mut spec = Spec::default();
    let of = |kind: &'static str| {
        inputs.sections.iter().filter(move |s| s.kind() == kind && !is_void(Kind::Section, kind))
    };
    let mut heads = HashMap::new();
    for section in of("registry") {
        spec.registries.extend(registry(&mut reading, section, &mut heads));
    }
    heads.clear();
    for section in of("mirror") {
        let rule = mirror(&mut reading, section, &mut heads, &spec);
        spec.rules.extend(rule.map(Arc::new));
    }
    let usable = !reading.diags.has_alerts();
    (usable.then_some(spec), reading.diags)
}

/// The section's name, which no other of its kind has.
fn head(reading: &mut Reading<'_>, section: &Section, heads: &mut HashMap<Name, Span>) -> Option<Name> {
    let (head, kind) = (Args::of(&section.head), section.kind());
    let name: Name = head.str(1).into();
    if name.is_empty() {
        reading.alert(head.span, format!("'{kind}' expects a name as argument."));
        return None;
    }
    reading.too_many(head, 1);
    if name.len() > 64 || name.contains(['/', '#']) {
        reading
            .alert(head.at(1), format!("'{kind}' expects a name of at most 64 bytes without '/' and '#'."));
    }
    if let Some(first) = heads.insert(name.clone(), head.span) {
        let message = format!("{kind} '{name}' was declared already at {}.", reading.place(first));
        reading.alert(head.at(1), message);
    }
    Some(name)
}

/// Runs each line's keyword.
fn lines<T>(reading: &mut Reading<'_>, section: &Section, table: &'static [Keyword<T>], open: &mut T) {
    let kind = section.kind();
    let mut places: HashMap<&str, Span> = HashMap::new();
    for line in &section.lines {
        let args = Args::of(line);
        let word = args.str(0);
        let Some(keyword) = table.iter().find(|k| k.entry.name == word) else {
            let hint = suggest::hint(word, table.iter().map(|k| k.entry.name));
            let message = format!("unknown keyword '{word}' in '{kind}' section");
            reading.diags.alert_hint(args.at(0), message, hint);
            continue;
        };
        if let Some(first) = places.get(word).filter(|_| !keyword.repeats) {
            let message = format!("'{word}' was given already at {}.", reading.place(*first));
            reading.alert(args.at(0), message);
            continue;
        }
        places.entry(keyword.entry.name).or_insert(args.span);
        if !is_void_in(kind, word) {
            (keyword.parse)(reading, open, args);
        }
    }
}

fn registry(
    reading: &mut Reading<'_>,
    section: &Section,
    heads: &mut HashMap<Name, Span>,
) -> Option<RegistrySpec> {
    let name = head(reading, section, heads)?;
    let mut open = OpenRegistry::default();
    let alerts = reading.diags.list.len();
    lines(reading, section, REGISTRY, &mut open);
    let Some(origin) = open.origin.clone() else {
        if reading.diags.list.len() == alerts {
            reading.alert(section.head.span, "'registry' without a 'url' line.");
        }
        return None;
    };
    let mut credential = open.user.clone();
    if let Some((path, at)) = open.docker_config.as_ref().filter(|_| credential.is_none()) {
        let read = (reading.inputs.files)(path).map_err(|e| e.to_string());
        match read.and_then(|text| of_docker_config(&text, &origin.host)) {
            Ok(Some(found)) => credential = Some(found),
            Ok(None) => {
                let message = format!("'docker-config' says nothing of {}.", origin.host);
                reading.diags.warning(*at, message);
            }
            Err(e) => reading.alert(*at, format!("'docker-config' {}: {e}.", path.display())),
        }
    }
    let client = client(reading, &open, section.head.span)?;
    Some(RegistrySpec {
        name,
        origin,
        region: open.region,
        credential,
        client,
        ca_file: open.ca_file.map(|(path, _)| path),
        verify: !open.insecure,
        maxconn: open.maxconn.unwrap_or(MAXCONN),
    })
}

fn client(reading: &mut Reading<'_>, open: &OpenRegistry, head: Span) -> Option<Arc<ClientConfig>> {
    let servers = match &open.ca_file {
        _ if open.insecure => Servers::Verified(Arc::new(Anyone)),
        None => Servers::Signed(Authorities::system()),
        Some((path, at)) => {
            let read = (reading.inputs.files)(path).map_err(|e| e.to_string());
            let pem =
                read.and_then(|t| Pem::parse(&path.display().to_string(), &t).map_err(|e| e.to_string()));
            match pem.and_then(|pem| Authorities::of(&pem).map_err(|e| e.to_string())) {
                Ok(authorities) => Servers::Signed(authorities),
                Err(e) => {
                    reading.alert(*at, format!("'ca-file' {}: {e}.", path.display()));
                    return None;
                }
            }
        }
    };
    let alpn = vec![b"http/1.1".to_vec()];
    match (Client { servers, shows: None, versions: Versions::Both, alpn, resumes: true }).config() {
        Ok(client) => Some(client),
        Err(e) => {
            reading.alert(head, format!("TLS: {e}."));
            None
        }
    }
}

fn mirror(
    reading: &mut Reading<'_>,
    section: &Section,
    heads: &mut HashMap<Name, Span>,
    spec: &Spec,
) -> Option<Rule> {
    let name = head(reading, section, heads)?;
    let mut open = OpenMirror {
        from: None,
        to: Vec::new(),
        images: Vec::new(),
        platforms: Vec::new(),
        when: None,
        on_push: false,
        delete: Delete::Keep,
        rename: Vec::new(),
        bandwidth: 0,
        parallel: PARALLEL,
        priority: 0,
    };
    lines(reading, section, MIRROR, &mut open);
    let at = section.head.span;
    for (what, missing) in
        [("from", open.from.is_none()), ("to", open.to.is_empty()), ("images", open.images.is_empty())]
    {
        if missing {
            reading.alert(at, format!("'mirror' without a '{what}' line."));
        }
    }
    let (from, _) = open.from.clone()?;
    for (name, at) in open.from.iter().chain(&open.to) {
        if spec.registry(name).is_none() {
            let hint = suggest::hint(name, spec.registries.iter().map(|r| &*r.name));
            reading.diags.alert_hint(*at, format!("there is no 'registry {name}' section."), hint);
        }
    }
    if let Some((_, at)) = open.to.iter().find(|(to, _)| *to == from).filter(|_| open.rename.is_empty()) {
        reading.alert(*at, format!("'to {from}' is where the images come from."));
    }
    let words: Vec<String> = section.lines.iter().map(|line| Args::of(line).text_from(0)).collect();
    let rule = Rule {
        name,
        from,
        to: open.to.iter().map(|(name, _)| name.clone()).collect(),
        images: open.images,
        platforms: open.platforms,
        when: open.when.unwrap_or(When::Every(EVERY_MS)),
        on_push: open.on_push,
        delete: open.delete,
        rename: open.rename,
        bandwidth: open.bandwidth,
        parallel: open.parallel,
        priority: open.priority,
        text: xxh3_64(words.join("\n").as_bytes()),
    };
    Some(rule)
}
