//! `build`: from sections to a configuration that can be activated.

use crate::lang::{Diagnostics, Entry};

use super::bind::BIND_OPTIONS;
use super::draft::{Cx, Inputs};
use super::finish::{Built, finish};
use super::global_table::GLOBAL_KEYWORDS;
use super::option_table::OPTIONS;
use super::proxy_table::KEYWORDS;
use super::section::{REFUSED_SECTIONS, read};
use super::server_option::SERVER_OPTIONS;
use super::stats::STATS;
use super::timeout::TIMEOUTS;

/// Builds the proxy part of a configuration. `None` when there was an alert; warnings do not prevent it.
pub fn build(inputs: &Inputs<'_>) -> (Option<Built>, Diagnostics) {
    let mut cx = Cx::new(inputs);
    let drafts = read(&mut cx);
    let built = finish(&mut cx, &drafts);
    let usable = !cx.diags.has_alerts();
    (usable.then_some(built), cx.diags)
}

/// Every nameable thing of this room, with the words that stand before it (`""`, `option`, `bind <addr>`...).
pub fn entries() -> impl Iterator<Item = (&'static str, &'static Entry)> {
    let global = GLOBAL_KEYWORDS.iter().map(|k| ("global", &k.entry));
    let sections = REFUSED_SECTIONS.iter().map(|e| ("section", e));
    let proxy = KEYWORDS.iter().map(|k| ("proxy", &k.entry));
    let options = OPTIONS.iter().map(|k| ("option", &k.entry));
    let timeouts = TIMEOUTS.iter().map(|k| ("timeout", &k.entry));
    let stats = STATS.iter().map(|k| ("stats", &k.entry));
    let binds = BIND_OPTIONS.iter().map(|k| ("bind <addr>", &k.entry));
    let servers = SERVER_OPTIONS.iter().map(|k| ("server <name> <addr>", &k.entry));
    global
        .chain(sections)
        .chain(proxy)
        .chain(options)
        .chain(timeouts)
        .chain(stats)
        .chain(binds)
        .chain(servers)
}
