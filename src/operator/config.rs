//! `isobar config`: configuration documents that every node activates together.

use bytes::Bytes;
use hyper::Method;
use serde_json::Value;

use super::client::{Api, segment};
use super::operation::{Given, Operation, columns};

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        words: ["config", "put"],
        args: "[--dry-run] NAME FILE",
        takes: (2, 2),
        flags: &["--dry-run"],
        doc: "Puts a document on every node, if all can activate it.",
        run: put,
    },
    Operation {
        words: ["config", "ls"],
        args: "",
        takes: (0, 0),
        flags: &[],
        doc: "Lists the documents.",
        run: ls,
    },
    Operation {
        words: ["config", "get"],
        args: "NAME [VERSION]",
        takes: (1, 2),
        flags: &[],
        doc: "Shows a document.",
        run: get,
    },
    Operation {
        words: ["config", "history"],
        args: "NAME",
        takes: (1, 1),
        flags: &[],
        doc: "Lists its versions.",
        run: history,
    },
    Operation {
        words: ["config", "rollback"],
        args: "NAME VERSION",
        takes: (2, 2),
        flags: &[],
        doc: "Puts an old version again.",
        run: rollback,
    },
    Operation {
        words: ["config", "status"],
        args: "",
        takes: (0, 0),
        flags: &[],
        doc: "Shows what each node runs.",
        run: status,
    },
];

fn put(api: &Api, given: &Given) -> Result<String, String> {
    let (name, file) = (&given.words[0], &given.words[1]);
    let text = if file == "-" {
        std::io::read_to_string(std::io::stdin()).map(String::into_bytes)
    } else {
        std::fs::read(file)
    };
    let text = text.map_err(|e| format!("{file}: {}", crate::lang::load::reason(&e)))?;
    let dry = given.has("--dry-run");
    let path = format!("/v1/isobar/config/{}{}", segment(name), if dry { "?dry-run" } else { "" });
    let answer = api.put(&path, text)?;
    Ok(if dry {
        format!("{name}: every node can activate it.\n")
    } else {
        format!("{name}: version {} is active.\n", answer["Version"])
    })
}

fn cell(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned)
}

/// An array of objects as a table.
fn table(answer: &Value, columns_of: &[(&str, &str)]) -> String {
    let rows: Vec<Vec<String>> = answer
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| columns_of.iter().map(|(_, key)| cell(&row[*key])).collect())
        .collect();
    columns(&columns_of.iter().map(|(head, _)| *head).collect::<Vec<_>>(), &rows)
}

fn ls(api: &Api, _: &Given) -> Result<String, String> {
    let columns =
        [("NAME", "Name"), ("VERSION", "Version"), ("BYTES", "Bytes"), ("CHANGED", "At"), ("BY", "Author")];
    Ok(table(&api.get("/v1/isobar/config")?, &columns))
}

fn get(api: &Api, given: &Given) -> Result<String, String> {
    let version = given.words.get(1).map(|v| format!("?version={}", segment(v))).unwrap_or_default();
    let path = format!("/v1/isobar/config/{}{version}", segment(&given.words[0]));
    let text = api.raw(Method::GET, &path, Bytes::new())?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn history(api: &Api, given: &Given) -> Result<String, String> {
    let columns = [("VERSION", "Version"), ("BYTES", "Bytes"), ("CHANGED", "At"), ("BY", "Author")];
    Ok(table(&api.get(&format!("/v1/isobar/config/{}/history", segment(&given.words[0])))?, &columns))
}

fn rollback(api: &Api, given: &Given) -> Result<String, String> {
    let (name, version) = (&given.words[0], &given.words[1]);
    let path = format!("/v1/isobar/config/{}/rollback?version={}", segment(name), segment(version));
    let answer = api.put(&path, "")?;
    Ok(format!("{name}: version {version} is active again, as version {}.\n", answer["Version"]))
}

fn status(api: &Api, _: &Given) -> Result<String, String> {
    let columns =
        [("NODE", "Node"), ("STATE", "State"), ("RUNS", "Runs"), ("WANTS", "Wants"), ("WHY", "Why")];
    Ok(table(&api.get("/v1/isobar/config-status")?, &columns))
}
