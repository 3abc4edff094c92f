//! `isobar mirror`: how registries are kept in step, and what may be done about it.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use serde_json::Value;

use super::client::{Api, segment};
use super::operation::{Given, Operation, columns};
use crate::base::clock;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        words: ["mirror", "status"],
        args: "",
        takes: (0, 0),
        flags: &[],
        doc: "Shows how far each target of each rule is behind.",
        run: status,
    },
    Operation {
        words: ["mirror", "ps"],
        args: "[--watch]",
        takes: (0, 0),
        flags: &["--watch"],
        doc: "Lists the jobs that run, and where; --watch: until none does.",
        run: ps,
    },
    Operation {
        words: ["mirror", "plan"],
        args: "RULE",
        takes: (1, 1),
        flags: &[],
        doc: "Compares both sides now, and shows what would be copied and deleted.",
        run: plan,
    },
    Operation {
        words: ["mirror", "verify"],
        args: "RULE",
        takes: (1, 1),
        flags: &[],
        doc: "Compares both sides now; fails when anything differs.",
        run: verify,
    },
    Operation {
        words: ["mirror", "sync"],
        args: "RULE...",
        takes: (1, 100),
        flags: &[],
        doc: "Has rules run now.",
        run: |api, given| each(api, given, "sync", "runs."),
    },
    Operation {
        words: ["mirror", "pause"],
        args: "RULE...",
        takes: (1, 100),
        flags: &[],
        doc: "Gives rules no jobs; those that run go on.",
        run: |api, given| each(api, given, "pause", "is paused."),
    },
    Operation {
        words: ["mirror", "resume"],
        args: "RULE...",
        takes: (1, 100),
        flags: &[],
        doc: "Ends a pause.",
        run: |api, given| each(api, given, "resume", "goes on."),
    },
];

fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().map_or_else(|| value[key].to_string(), str::to_owned)
}

/// How long ago a time in milliseconds since 1970 is.
fn ago(at: u64) -> String {
    if at == 0 {
        return "-".to_owned();
    }
    let seconds = (clock::wall().as_millis() as u64).saturating_sub(at) / 1000;
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn status(api: &Api, _: &Given) -> Result<String, String> {
    let rules = api.get("/v1/mirror")?;
    let mut lines = Vec::new();
    let mut notes = String::new();
    for rule in rows(&rules) {
        let name = text(rule, "Rule");
        for target in rows(&rule["Targets"]) {
            let number = |key: &str| target[key].as_u64().unwrap_or(0);
            let state = match (rule["Paused"] == true, rule["Looking"] == true, number("Behind")) {
                (true, ..) => "paused",
                _ if !text(target, "Fault").is_empty() => "failing",
                (_, _, 1..) => "behind",
                (_, true, 0) => "looking",
                _ => "in step",
            };
            lines.push(vec![
                name.clone(),
                format!("{} -> {}", text(rule, "From"), text(target, "Target")),
                state.to_owned(),
                number("Tags").to_string(),
                number("Behind").to_string(),
                ago(number("BehindSince")),
                ago(number("Looked")),
            ]);
            for (key, what) in
                [("Conflicts", "changed on both sides"), ("DeletesHeld", "deletions held back: too many")]
            {
                if number(key) > 0 {
                    notes.push_str(&format!(
                        "{name} -> {}: {} {what}\n",
                        text(target, "Target"),
                        number(key)
                    ));
                }
            }
            if !text(target, "Fault").is_empty() {
                notes.push_str(&format!("{name} -> {}: {}\n", text(target, "Target"), text(target, "Fault")));
            }
        }
        for node in rows(&rule["Differs"]) {
            notes.push_str(&format!(
                "{name}: {} has a rule of this name that says something else\n",
                node.as_str().unwrap_or_default()
            ));
        }
    }
    Ok(columns(&["RULE", "COPIES", "STATE", "TAGS", "BEHIND", "LAG", "LOOKED"], &lines) + &notes)
}

/// Between two looks at jobs.
const LOOK: Duration = Duration::from_millis(500);
/// Of a bar, in characters.
const BAR: u64 = 20;

fn ps(api: &Api, given: &Given) -> Result<String, String> {
    if !given.has("--watch") {
        return Ok(table(&api.get("/v1/mirror/jobs")?));
    }
    let mut out = std::io::stdout();
    let is_terminal = out.is_terminal();
    let mut shown = 0;
    loop {
        let jobs = api.get("/v1/mirror/jobs")?;
        if rows(&jobs).next().is_none() {
            return Ok(String::new());
        }
        let text = table(&jobs);
        if is_terminal && shown > 0 {
            // Over what was written before.
            let _ = write!(out, "\x1b[{shown}A\x1b[J");
        }
        shown = text.lines().count();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        if written.is_err() {
            return Ok(String::new());
        }
        std::thread::sleep(LOOK);
    }
}

fn table(jobs: &Value) -> String {
    let row = |job: &Value| {
        let (done, total) = (job["Done"].as_u64().unwrap_or(0), job["Total"].as_u64().unwrap_or(0));
        let full = (done * BAR).checked_div(total).unwrap_or(0).min(BAR) as usize;
        vec![
            text(job, "Rule"),
            text(job, "Target"),
            text(job, "Repository"),
            text(job, "Tags"),
            job["Node"].as_str().unwrap_or("-").to_owned(),
            text(job, "State"),
            format!("[{}{}]", "#".repeat(full), " ".repeat(BAR as usize - full)),
            format!("{:.1}/{:.1} MB", done as f64 / 1e6, total as f64 / 1e6),
        ]
    };
    let lines: Vec<Vec<String>> = rows(jobs).map(row).collect();
    columns(&["RULE", "TARGET", "REPOSITORY", "TAGS", "NODE", "STATE", "", "DONE"], &lines)
}

fn look(api: &Api, given: &Given) -> Result<(String, usize), String> {
    let found = api.get(&format!("/v1/mirror/{}/plan", segment(&given.words[0])))?;
    let (mut out, mut differ, mut same) = (String::new(), 0, 0);
    for one in rows(&found) {
        let (target, to) = (text(one, "Target"), text(one, "To"));
        same += one["Same"].as_u64().unwrap_or(0);
        for (what, key) in [("copy", "Copy"), ("delete", "Delete")] {
            for (tag, digest) in one[key].as_object().into_iter().flatten() {
                differ += 1;
                out.push_str(&format!(
                    "{what:<8} {target} {to}:{tag} {}\n",
                    digest.as_str().unwrap_or_default()
                ));
            }
        }
        for tag in rows(&one["Conflicts"]) {
            differ += 1;
            out.push_str(&format!("conflict {target} {to}:{}\n", tag.as_str().unwrap_or_default()));
        }
        if let Some(held @ 1..) = one["DeletesHeld"].as_u64() {
            differ += 1;
            out.push_str(&format!("held     {target} {to}: {held} deletions are too many\n"));
        }
    }
    out.push_str(&format!("{same} tags are the same, {differ} differ.\n"));
    Ok((out, differ))
}

fn plan(api: &Api, given: &Given) -> Result<String, String> {
    look(api, given).map(|(out, _)| out)
}

fn verify(api: &Api, given: &Given) -> Result<String, String> {
    match look(api, given)? {
        (out, 0) => Ok(out),
        (out, _) => Err(out.trim_end().to_owned()),
    }
}

fn each(api: &Api, given: &Given, verb: &str, done: &str) -> Result<String, String> {
    let mut out = String::new();
    for rule in &given.words {
        api.put(&format!("/v1/mirror/{}/{verb}", segment(rule)), "")
            .map_err(|e| format!("{out}{rule}: {e}"))?;
        out.push_str(&format!("Mirror {rule} {done}\n"));
    }
    Ok(out)
}
