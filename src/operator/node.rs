//! `isobar node`: the members of the cluster, as `docker node` shows and changes them.

use serde_json::Value;

use super::client::{Api, segment};
use super::operation::{Given, Operation, columns};

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        words: ["node", "ls"],
        args: "[--quiet]",
        takes: (0, 0),
        flags: &["--quiet"],
        doc: "Lists the members.",
        run: ls,
    },
    Operation {
        words: ["node", "inspect"],
        args: "NODE...",
        takes: (1, 100),
        flags: &[],
        doc: "Shows all that is known of members, as JSON.",
        run: inspect,
    },
    Operation {
        words: ["node", "promote"],
        args: "NODE...",
        takes: (1, 100),
        flags: &[],
        doc: "Makes workers managers, which vote.",
        run: |a, g| each(a, g, "promote", "promoted to a manager in the cluster."),
    },
    Operation {
        words: ["node", "demote"],
        args: "NODE...",
        takes: (1, 100),
        flags: &[],
        doc: "Makes managers workers.",
        run: |a, g| each(a, g, "demote", "demoted in the cluster."),
    },
    Operation {
        words: ["node", "drain"],
        args: "NODE...",
        takes: (1, 100),
        flags: &[],
        doc: "Empties nodes: they get no new work.",
        run: |a, g| each(a, g, "drain", "drained."),
    },
    Operation {
        words: ["node", "activate"],
        args: "NODE...",
        takes: (1, 100),
        flags: &[],
        doc: "Ends a drain.",
        run: |a, g| each(a, g, "activate", "active."),
    },
    Operation {
        words: ["node", "rm"],
        args: "[--force] NODE...",
        takes: (1, 100),
        flags: &["--force"],
        doc: "Removes workers that are down; --force: that are not.",
        run: rm,
    },
];

fn text(value: &Value, key: &str) -> String {
    match &value[key] {
        Value::String(s) => s.clone(),
        Value::Number(n) => n.to_string(),
        _ => String::new(),
    }
}

/// `ready` as `Ready`.
fn title(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn ls(api: &Api, given: &Given) -> Result<String, String> {
    let nodes = api.get("/v1/isobar/nodes")?;
    let nodes = nodes.as_array().map(Vec::as_slice).unwrap_or_default();
    if given.has("--quiet") {
        return Ok(nodes.iter().map(|n| text(n, "ID") + "\n").collect());
    }
    let rows: Vec<Vec<String>> = nodes
        .iter()
        .map(|n| {
            let me = if n["Self"] == Value::Bool(true) { " *" } else { "" };
            let title = |key| title(&text(n, key));
            vec![
                format!("{}{me}", text(n, "ID")),
                text(n, "Name"),
                title("Status"),
                title("Availability"),
                title("ManagerStatus"),
                text(n, "Region"),
                text(n, "Address"),
            ]
        })
        .collect();
    Ok(columns(&["ID", "HOSTNAME", "STATUS", "AVAILABILITY", "MANAGER STATUS", "REGION", "ADDRESS"], &rows))
}

fn inspect(api: &Api, given: &Given) -> Result<String, String> {
    let found: Result<Vec<Value>, String> =
        given.words.iter().map(|name| api.get(&format!("/v1/isobar/node/{}", segment(name)))).collect();
    serde_json::to_string_pretty(&found?).map(|t| t + "\n").map_err(|e| e.to_string())
}

fn each(api: &Api, given: &Given, verb: &str, done: &str) -> Result<String, String> {
    let mut out = String::new();
    for name in &given.words {
        api.put(&format!("/v1/isobar/node/{}/{verb}", segment(name)), "")
            .map_err(|e| format!("{out}{name}: {e}"))?;
        out.push_str(&format!("Node {name} {done}\n"));
    }
    Ok(out)
}

fn rm(api: &Api, given: &Given) -> Result<String, String> {
    let force = if given.has("--force") { "?force" } else { "" };
    let mut out = String::new();
    for name in &given.words {
        api.delete(&format!("/v1/isobar/node/{}{force}", segment(name)))
            .map_err(|e| format!("{out}{name}: {e}"))?;
        out.push_str(&format!("{name}\n"));
    }
    Ok(out)
}
