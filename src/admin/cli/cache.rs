//! The command that shows caches.

use crate::base::clock::{self, SEC};
use crate::config::global::CliLevel::User;
use crate::filter::cache::Cache;

use super::command::Command;
use super::session::Answer;

pub static COMMANDS: &[Command] = &[Command::new(
    User,
    "show cache",
    "",
    "Caches, and the responses that they hold: until when, and how large.",
    "show cache",
    "1.8",
    |session, _| {
        let config = session.control.config();
        let mut caches: Vec<_> = config.caches.values().collect();
        caches.sort_by_key(|cache| cache.settings.name.clone());
        Answer::Dump(caches.iter().map(|cache| text(cache)).collect())
    },
)];

/// A line for the cache and one for each response. HAProxy's have addresses in memory, in whose place numbers stand.
fn text(cache: &Cache) -> String {
    let (name, now) = (&cache.settings.name, clock::now_ns());
    let free = cache.settings.total.saturating_sub(cache.used()) / 1024;
    let mut out = format!("0x0: {name} (shctx:0x0, available blocks:{free})\n");
    for (at, entry) in cache.list().iter().enumerate().filter(|(_, entry)| entry.is_fresh(now)) {
        out += &format!(
            "{:#x} hash:{} vary:0x{:016x} size:{} ({} blocks), refcount:{}, expire:{}\n",
            at + 1,
            entry.hash >> 32,
            entry.secondary.shown(),
            entry.size(),
            entry.share.blocks(),
            std::sync::Arc::strong_count(entry) - 2,
            (entry.times.expires - now) / SEC,
        );
    }
    out
}
