//! `isobar cluster`: what is done to a cluster as a whole.

use std::path::Path;

use super::client::Api;
use super::operation::{Given, Operation};
use crate::app::seat::FORCE_NEW;

pub(super) static OPERATIONS: &[Operation] = &[Operation {
    words: ["cluster", "force-new"],
    args: "DATA-DIR",
    takes: (1, 1),
    flags: &[],
    doc: "When the others are lost: the node that next starts with this data-dir is a cluster of one.",
    run: force_new,
}];

fn force_new(_: &Api, given: &Given) -> Result<String, String> {
    let dir = Path::new(&given.words[0]);
    if !dir.is_dir() {
        return Err(format!("{}: no such directory", dir.display()));
    }
    let path = dir.join(FORCE_NEW);
    std::fs::write(&path, b"")
        .map_err(|e| format!("{}: {}", path.display(), crate::lang::load::reason(&e)))?;
    Ok("Restart the node now: it will be a cluster of one with all that it knows.\n\
        The other nodes' data-dirs must be emptied before they join again.\n"
        .to_owned())
}
