//! `build`: from sections to a configuration that can be activated.

use std::collections::HashSet;

use crate::check;
use crate::lang::registry::{Kind, Registry};
use crate::lang::{Diagnostics, Entry, FileId};

use super::bind::BIND_OPTIONS;
use super::draft::{Cx, Inputs};
use super::finish::{Built, finish};
use super::global_table::{GLOBAL_KEYWORDS, STATS_SUBKEYWORDS};
use super::option_table::OPTIONS;
use super::proxy_table::{KEYWORDS, REMOVED, SUBKEYWORDS};
use super::section::{HTTP_ERRORS, REFUSED_SECTIONS, SECTIONS, read};
use super::server_option::SERVER_OPTIONS;
use super::stats::STATS;
use super::timeout::TIMEOUTS;

/// Builds the proxy part of a configuration. `None` when there was an alert; warnings do not prevent it.
pub fn build(inputs: &Inputs<'_>) -> (Option<Built>, Diagnostics) {
    let mut cx = Cx::new(inputs);
    let drafts = read(&mut cx);
    let built = finish(&mut cx, &drafts);
    let defaults = inputs.sections.iter().filter(|s| s.kind() == "defaults").flat_map(|s| &s.lines);
    let shared: HashSet<(FileId, u32)> = defaults.map(|l| (l.span.file, l.span.line)).collect();
    cx.diags.once(|at| shared.contains(&(at.file, at.line)));
    let usable = !cx.diags.has_alerts();
    (usable.then_some(built), cx.diags)
}

/// Keywords of `global` that act while files are loaded: `lang` describes them.
const LOADED: [&str; 5] = ["default-path", "presetenv", "resetenv", "setenv", "unsetenv"];

/// Every nameable thing of this room.
pub fn entries() -> impl Iterator<Item = (Kind, &'static Entry)> {
    let all = |kind: Kind, list: &'static [Entry]| list.iter().map(move |e| (kind, e));
    let errors = all(Kind::In("http-errors"), HTTP_ERRORS);
    let errors = errors.chain(all(Kind::In("userlist"), crate::rules::account::LINES));
    let errors = errors.chain(all(Kind::In("crt-store"), super::crt_store::LINES));
    let errors = errors.chain(all(Kind::In("resolvers"), crate::resolve::LINES));
    let errors = errors.chain(all(Kind::In("cache"), super::cache::LINES));
    let errors = errors.chain(all(Kind::In("healthcheck"), super::healthcheck::LINES));
    let errors = errors.chain(all(Kind::In("mailers"), super::mailers::LINES));
    let errors = errors.chain(all(Kind::In("peers"), super::peers::LINES));
    let sections = errors.chain(all(Kind::Section, SECTIONS)).chain(all(Kind::Section, REFUSED_SECTIONS));
    let global = GLOBAL_KEYWORDS.iter().map(|k| &k.entry).filter(|e| !LOADED.contains(&e.name));
    let global = global.map(|e| (Kind::Global, e));
    let global = global.chain(all(Kind::Global, STATS_SUBKEYWORDS));
    let proxy = KEYWORDS.iter().map(|k| (Kind::Proxy, &k.entry));
    let more = all(Kind::Proxy, SUBKEYWORDS).chain(all(Kind::Proxy, REMOVED));
    let timeouts = TIMEOUTS.iter().map(|k| (Kind::Proxy, &k.entry));
    let stats = STATS.iter().map(|k| (Kind::Proxy, &k.entry));
    // Steps of checks are read by their own room.
    let is_step = |e: &&Entry| !e.name.starts_with("option ");
    let checks = check::BACKEND_KEYWORDS.iter().filter(is_step).map(|e| (Kind::Proxy, e));
    let filters = all(Kind::Filter, super::filter::FILTERS);
    let options = OPTIONS.iter().map(|k| (Kind::Option, &k.entry));
    let binds = BIND_OPTIONS.iter().map(|k| (Kind::Bind, &k.entry));
    let servers = SERVER_OPTIONS.iter().map(|k| (Kind::Server, &k.entry));
    let proxies = proxy.chain(more).chain(timeouts).chain(stats).chain(checks);
    sections.chain(global).chain(proxies).chain(filters).chain(options).chain(binds).chain(servers)
}

/// Hands all of them to the registry.
pub fn register(registry: &mut Registry) {
    for (kind, entry) in entries() {
        registry.add(kind, [entry]);
    }
}
