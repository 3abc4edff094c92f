//! `isobar cluster`: what is done to a cluster as a whole, and a node's place in it, as `docker swarm` does.

use std::path::Path;

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use super::client::{Api, segment};
use super::operation::{Given, Operation};
use crate::region::map::{ARCHIVE_PIECE, Map, unzip_archive};
use crate::region::store::FORCE_NEW;
use crate::region::store::snapshot::write_private;

/// Bytes of an archive.
const ARCHIVE: usize = 2 << 30;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        words: ["cluster", "init"],
        args: "",
        takes: (0, 0),
        flags: &[],
        doc: "Makes a cluster of the running node that is asked, which waits for it.",
        run: init,
    },
    Operation {
        words: ["cluster", "join"],
        args: "--token TOKEN HOST:PORT...",
        takes: (1, 64),
        flags: &["--token="],
        doc: "Makes the running node that is asked, which waits for it, join the cluster of those nodes.",
        run: join,
    },
    Operation {
        words: ["cluster", "join-token"],
        args: "[--rotate] [--quiet] worker|manager",
        takes: (1, 1),
        flags: &["--rotate", "--quiet"],
        doc: "Shows what a node needs to join, or replaces it.",
        run: join_token,
    },
    Operation {
        words: ["cluster", "backup"],
        args: "FILE",
        takes: (1, 1),
        flags: &[],
        doc: "Writes all that the map knows, but for the cluster itself, into a file.",
        run: backup,
    },
    Operation {
        words: ["cluster", "restore"],
        args: "FILE",
        takes: (1, 1),
        flags: &[],
        doc: "Puts what such a file has in the place of all that the map knows.",
        run: restore,
    },
    Operation {
        words: ["cluster", "rotate-ca"],
        args: "",
        takes: (0, 0),
        flags: &[],
        doc: "Replaces the cluster's CA, its join tokens and the keys of its secrets; members renew by themselves.",
        run: rotate_ca,
    },
    Operation {
        words: ["cluster", "leave"],
        args: "[--force]",
        takes: (0, 0),
        flags: &["--force"],
        doc: "The node that is asked leaves its cluster for good and ends; --force: also as a manager.",
        run: leave,
    },
    Operation {
        words: ["cluster", "force-new"],
        args: "DATA-DIR",
        takes: (1, 1),
        flags: &[],
        doc: "When the others are lost: the node that next starts with this data-dir is a cluster of one.",
        run: force_new,
    },
];

/// The command by which a node joins, as the operator is to run it there.
fn command(answer: &Value) -> String {
    let token = answer["Token"].as_str().unwrap_or_default();
    let address = answer["Addresses"][0].as_str().unwrap_or("HOST:PORT");
    format!("    isobar cluster join --token {token} {address}\n")
}

fn init(api: &Api, _: &Given) -> Result<String, String> {
    let answer = api.put("/v1/isobar/cluster/init", "")?;
    let node = answer["Node"].as_str().unwrap_or_default();
    Ok(format!(
        "Cluster initialized: current node ({node}) is now a manager.\n\n\
         To add a worker to this cluster, run the following command:\n\n{}\n\
         To add a manager to this cluster, run 'isobar cluster join-token manager' and follow the instructions.\n",
        command(&answer)
    ))
}

fn join(api: &Api, given: &Given) -> Result<String, String> {
    let Some(token) = given.value("--token") else {
        return Err("the join token is missing: --token TOKEN".into());
    };
    let wish = json!({ "Token": token, "Addresses": given.words });
    let answer = api.put("/v1/isobar/cluster/join", wish.to_string())?;
    let role = answer["Role"].as_str().unwrap_or("member");
    Ok(format!("This node joined a cluster as a {role}.\n"))
}

fn join_token(api: &Api, given: &Given) -> Result<String, String> {
    let (role, rotate) = (&given.words[0], given.has("--rotate"));
    let path = format!("/v1/isobar/cluster/join-token/{}", segment(role));
    let answer = if rotate { api.put(&path, "")? } else { api.get(&path)? };
    if given.has("--quiet") {
        return Ok(format!("{}\n", answer["Token"].as_str().unwrap_or_default()));
    }
    let rotated = if rotate { format!("Successfully rotated {role} join token.\n\n") } else { String::new() };
    let command = command(&answer);
    Ok(format!("{rotated}To add a {role} to this cluster, run the following command:\n\n{command}\n"))
}

fn rotate_ca(api: &Api, _: &Given) -> Result<String, String> {
    api.put("/v1/isobar/cluster/rotate-ca", "")?;
    Ok("The cluster has a new CA and new join tokens; members get new certificates by themselves.\n"
        .to_owned())
}

fn backup(api: &Api, given: &Given) -> Result<String, String> {
    let path = Path::new(&given.words[0]);
    let archive = api.raw_within(Method::GET, "/v1/snapshot", Bytes::new(), ARCHIVE)?;
    let failed = |e: std::io::Error| format!("{}: {}", path.display(), crate::lang::load::reason(&e));
    // What ended too early is none, and must not take the place of one that is.
    unzip_archive(&archive)?;
    write_private(path, &archive).map_err(failed)?;
    Ok(format!("{} bytes are in {}.\n", archive.len(), path.display()))
}

fn restore(api: &Api, given: &Given) -> Result<String, String> {
    let path = Path::new(&given.words[0]);
    let failed = |e: std::io::Error| format!("{}: {}", path.display(), crate::lang::load::reason(&e));
    let named = |e: String| format!("{}: {e}", path.display());
    let archive = unzip_archive(&std::fs::read(path).map_err(failed)?).map_err(named)?;
    Map::check_archive(&archive).map_err(|e| named(e.to_string()))?;
    let (id, mut rest, mut number) = (uuid::Uuid::new_v4(), Bytes::from(archive), 0);
    while number == 0 || !rest.is_empty() {
        let piece = rest.split_to(rest.len().min(ARCHIVE_PIECE));
        let last = if rest.is_empty() { "&last" } else { "" };
        let put =
            |query: &str, piece| api.put(&format!("/v1/isobar/cluster/restore?archive={id}&{query}"), piece);
        if let Err(e) = put(&format!("piece={number}{last}"), piece) {
            // An empty first piece gives back what came.
            let _ = put("piece=0", Bytes::new());
            return Err(e);
        }
        number += 1;
    }
    Ok("The map is as it was when that was written.\n".to_owned())
}

fn leave(api: &Api, given: &Given) -> Result<String, String> {
    api.put(&format!("/v1/isobar/cluster/leave{}", if given.has("--force") { "?force" } else { "" }), "")?;
    Ok("Node left the cluster.\n".to_owned())
}

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
