//! Builds from text, for the tests of this room.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::config::{Built, Config, Proxy};
use crate::lang::{Diagnostics, Env, Facts, Input, LoadOptions, Loaded, Severity, load};
use crate::model::applet::{Applet, AppletReply, AppletRequest};

use super::{Inputs, build, section_kinds};

/// A service for configurations that name one.
struct Silent;

impl Applet for Silent {
    fn call(&self, _: &AppletRequest<'_>) -> AppletReply {
        AppletReply::default()
    }
}

/// Loads `text` as a file named `test.cfg`.
pub fn load_text(text: &str) -> Loaded {
    let facts = Facts::default();
    let kinds: Vec<&str> = section_kinds().collect();
    let options = LoadOptions::new(&facts, Env::default(), &kinds);
    let input = Input::Text { name: "test.cfg".to_owned(), text: text.to_owned() };
    load(&[input], options)
}

/// Builds `text` on top of `previous`; names in `.invalid` do not resolve, others are 127.0.0.9.
pub fn build_on(text: &str, previous: Option<&Config>) -> (Option<Built>, Diagnostics) {
    let loaded = load_text(text);
    let inputs = Inputs {
        sections: &loaded.sections,
        sources: &loaded.sources,
        resolve: &|name| match name.ends_with(".invalid") {
            true => Err(io::ErrorKind::NotFound.into()),
            false => Ok(vec!["127.0.0.9".parse().expect("an address")]),
        },
        env: &|_| None,
        files: &|path: &Path| std::fs::read(path),
        disk: &crate::tls::Local,
        user: &|name| (name == "root" || name == "haproxy").then_some(0),
        group: &|name| (name == "root" || name == "haproxy").then_some(0),
        services: &|name| {
            matches!(name, "haterm" | "stats" | "prometheus-exporter").then(|| Arc::new(Silent) as _)
        },
        previous,
        lent: None,
        ignore_unresolved: false,
        default_maxconn: 1000,
        workers: crate::base::shard::MAX_WORKERS,
        now: 5000,
    };
    let (built, mut diags) = build(&inputs);
    let mut all = loaded.diagnostics;
    all.list.append(&mut diags.list);
    (built.filter(|_| !all.has_alerts()), all)
}

pub fn build_text(text: &str) -> (Option<Built>, Diagnostics) {
    build_on(text, None)
}

/// Builds one section.
pub fn proxy(head: &str, lines: &[&str]) -> (Option<Proxy>, Diagnostics) {
    let (built, diags) = build_text(&format!("{head}\n{}\n", lines.join("\n")));
    (built.and_then(|b| b.config.proxies.into_iter().next()), diags)
}

/// The texts of warnings and alerts.
pub fn messages(diags: &Diagnostics) -> Vec<String> {
    diags.list.iter().filter(|d| d.severity >= Severity::Warning).map(|d| d.message.clone()).collect()
}
