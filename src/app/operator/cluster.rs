//! `isobar cluster`: forming, joining and leaving.

use serde_json::{Value, json};

use super::client::Api;
use super::operation::{Given, Operation};

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        words: ["cluster", "init"],
        args: "",
        takes: (0, 0),
        flags: &[],
        doc: "Forms a cluster of this node alone, which others join.",
        run: init,
    },
    Operation {
        words: ["cluster", "join-token"],
        args: "[--rotate] worker|manager",
        takes: (1, 1),
        flags: &["--rotate"],
        doc: "Shows the token with which a node joins.",
        run: join_token,
    },
    Operation {
        words: ["cluster", "join"],
        args: "--token=T ADDR...",
        takes: (1, 16),
        flags: &["--token="],
        doc: "Makes this node a member of the cluster at ADDR.",
        run: join,
    },
    Operation {
        words: ["cluster", "leave"],
        args: "[--force]",
        takes: (0, 0),
        flags: &["--force"],
        doc: "Takes this node out of its cluster.",
        run: leave,
    },
    Operation {
        words: ["cluster", "force-new"],
        args: "",
        takes: (0, 0),
        flags: &[],
        doc: "Makes this node a cluster of one with all it knows, when the others are lost.",
        run: force_new,
    },
];

fn init(api: &Api, _: &Given) -> Result<String, String> {
    api.put("/v1/isobar/cluster/init", "")?;
    Ok("Cluster formed: this node is its manager.\n".to_owned())
}

fn join_token(api: &Api, given: &Given) -> Result<String, String> {
    let role = given.words[0].as_str();
    if !matches!(role, "worker" | "manager") {
        return Err(format!("'{role}' is no role: worker or manager"));
    }
    let path = format!("/v1/isobar/cluster/join-token/{role}");
    let answer = if given.has("--rotate") { api.put(&path, "")? } else { api.get(&path)? };
    let Value::String(token) = &answer["Token"] else { return Err("the node gave no token".to_owned()) };
    Ok(format!("{token}\n"))
}

fn join(api: &Api, given: &Given) -> Result<String, String> {
    let token = given
        .value("--token")
        .ok_or("a token is needed: `isobar cluster join-token` on a member shows it")?;
    let body = json!({ "Token": token, "Addresses": given.words }).to_string();
    api.put("/v1/isobar/cluster/join", body)?;
    Ok("This node joined the cluster.\n".to_owned())
}

fn leave(api: &Api, given: &Given) -> Result<String, String> {
    api.put(
        if given.has("--force") { "/v1/isobar/cluster/leave?force" } else { "/v1/isobar/cluster/leave" },
        "",
    )?;
    Ok("Node left the cluster.\n".to_owned())
}

fn force_new(api: &Api, _: &Given) -> Result<String, String> {
    api.put("/v1/isobar/cluster/force-new", "")?;
    Ok("This node is a cluster of one; the others must be emptied before they join again.\n".to_owned())
}
