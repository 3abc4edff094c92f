//! `isobar vip`: addresses that move between nodes, as a node's API shows them, or its runtime API where there is no region
//! map.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;

use super::client::{Api, segment};
use super::operation::{Given, Operation, columns};

const SOCKET: &str = "--socket=";

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        words: ["vip", "ls"],
        args: "[--socket=PATH]",
        takes: (0, 0),
        flags: &[SOCKET],
        doc: "Lists virtual routers: who holds which address, since when and why.",
        run: ls,
    },
    Operation {
        words: ["vip", "status"],
        args: "[--socket=PATH] NAME",
        takes: (1, 1),
        flags: &[SOCKET],
        doc: "Shows all that is known of one, as JSON.",
        run: status,
    },
    Operation {
        words: ["vip", "move"],
        args: "[--socket=PATH] [--here] NAME",
        takes: (1, 1),
        flags: &[SOCKET, "--here"],
        doc: "The node that is asked gives its addresses to another; --here: takes them.",
        run: move_it,
    },
    Operation {
        words: ["vip", "priority"],
        args: "[--socket=PATH] NAME PRIORITY",
        takes: (2, 2),
        flags: &[SOCKET],
        doc: "Another priority on the node that is asked, until its configuration is read again.",
        run: priority,
    },
];

/// Longest answer that is read, and longest wait for it.
const ANSWER: u64 = 16 << 20;
const PATIENCE: Duration = Duration::from_secs(10);

/// The socket of the runtime API: `--socket`, else `ISOBAR_SOCKET`.
fn socket(given: &Given) -> Option<String> {
    let variable = || std::env::var("ISOBAR_SOCKET").ok().filter(|path| !path.is_empty());
    given.value("--socket").map(str::to_owned).or_else(variable)
}

/// Asks the runtime API.
fn ask(address: &str, command: &str) -> Result<String, String> {
    let failed = |e: std::io::Error| format!("{address}: {e}");
    let path = address.strip_prefix("unix@").unwrap_or(address);
    let answer = if path.starts_with('/') || address.starts_with("unix@") || !address.contains(':') {
        let stream = UnixStream::connect(path).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        converse(stream, command)
    } else {
        let stream = TcpStream::connect(address).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        converse(stream, command)
    };
    answer.map(|text| text.trim().to_owned()).map_err(failed)
}

fn converse(mut stream: impl Read + Write, command: &str) -> std::io::Result<String> {
    stream.write_all(format!("{command}\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// An order, which is answered with nothing where it was done.
fn order(address: &str, command: &str) -> Result<(), String> {
    match ask(address, command)? {
        done if done.is_empty() => Ok(()),
        why => Err(why),
    }
}

fn rows(api: &Api, given: &Given) -> Result<Vec<Value>, String> {
    let answer = match socket(given) {
        Some(address) => {
            let text = ask(&address, "show vip json")?;
            serde_json::from_str(&text).map_err(|_| format!("{address}: {text}"))?
        }
        None => api.get("/v1/isobar/vips")?,
    };
    match answer {
        Value::Array(rows) => Ok(rows),
        _ => Err("not the answer of a node".into()),
    }
}

/// How long ago that was, in milliseconds since 1970, in the largest unit that says something.
fn ago(since_ms: u64, now_ms: u64) -> String {
    let seconds = now_ms.saturating_sub(since_ms) / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join(","),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn ls(api: &Api, given: &Given) -> Result<String, String> {
    let now_ms = crate::base::clock::wall().as_millis() as u64;
    let row = |row: &Value| {
        let holds = if row["Held"] == Value::Bool(true) { cell(&row["Addresses"]) } else { "-".to_owned() };
        let me = if row["Self"] == Value::Bool(true) { " *" } else { "" };
        vec![
            cell(&row["Name"]),
            format!("{}{me}", cell(&row["Node"])),
            cell(&row["State"]),
            cell(&row["Priority"]),
            holds,
            ago(row["Since"].as_u64().unwrap_or(now_ms), now_ms),
            cell(&row["Cause"]),
        ]
    };
    let rows: Vec<Vec<String>> = rows(api, given)?.iter().map(row).collect();
    Ok(columns(&["NAME", "NODE", "STATE", "PRIORITY", "HOLDS", "FOR", "CAUSE"], &rows))
}

fn status(api: &Api, given: &Given) -> Result<String, String> {
    let name = &given.words[0];
    let mut found = rows(api, given)?;
    found.retain(|row| row["Name"] == name.as_str());
    if found.is_empty() {
        return Err(format!("no such virtual router: {name}"));
    }
    serde_json::to_string_pretty(&found).map(|text| text + "\n").map_err(|e| e.to_string())
}

fn move_it(api: &Api, given: &Given) -> Result<String, String> {
    let (name, here) = (&given.words[0], given.has("--here"));
    match socket(given) {
        Some(address) => {
            order(&address, &format!("set vip {name} move {}", if here { "here" } else { "away" }))?;
        }
        None => {
            let path = format!("/v1/isobar/vip/{}/move{}", segment(name), if here { "?here" } else { "" });
            api.put(&path, "")?;
        }
    }
    Ok(format!("{name}: {}\n", if here { "comes to this node." } else { "leaves this node." }))
}

fn priority(api: &Api, given: &Given) -> Result<String, String> {
    let (name, value) = (&given.words[0], &given.words[1]);
    match socket(given) {
        Some(address) => order(&address, &format!("set vip {name} priority {value}"))?,
        None => {
            let path = format!("/v1/isobar/vip/{}/priority?value={}", segment(name), segment(value));
            api.put(&path, "")?;
        }
    }
    Ok(format!("{name}: priority {value} until the configuration is read again.\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_largest_unit_that_says_something() {
        let of = |seconds: u64| ago(1_000, 1_000 + seconds * 1_000);
        assert_eq!(
            [of(0), of(119), of(120), of(7_200), of(900_000)],
            ["0 s", "119 s", "2 min", "2 h", "10 d"]
        );
        assert_eq!(ago(9_000, 1_000), "0 s", "a clock that went back");
    }
}
