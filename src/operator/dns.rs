//! `isobar dns`: why DNS answers as it does.

use serde_json::Value;

use super::client::{Api, segment};
use super::operation::{Given, Operation, columns};

pub(super) static OPERATIONS: &[Operation] = &[Operation {
    words: ["dns", "explain"],
    args: "NAME [TYPE] [--from=ADDRESS]",
    takes: (1, 2),
    flags: &["--from="],
    doc: "Shows what a client at an address is answered, every region that might be named, and why it is or is not.",
    run: explain,
}];

fn explain(api: &Api, given: &Given) -> Result<String, String> {
    let kind = given.words.get(1).map_or("A", String::as_str);
    let from = given.value("--from").unwrap_or("127.0.0.1");
    let path = format!(
        "/v1/isobar/dns/explain/{}/{}?from={}",
        segment(&given.words[0]),
        segment(kind),
        segment(from)
    );
    let told = api.get(&path)?;
    match told.as_array().map(Vec::as_slice) {
        Some([]) | None => Err(format!("no zone here has {}.", given.words[0])),
        Some(all) => Ok(all.iter().map(shown).collect::<Vec<_>>().join("\n")),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn shown(told: &Value) -> String {
    let mut out = format!(
        "{} {} for {}: {} (dns {}, zone {})\n",
        text(&told["Name"]),
        text(&told["Type"]),
        text(&told["From"]),
        text(&told["Code"]),
        text(&told["Responder"]),
        text(&told["Zone"]),
    );
    for answer in told["Answers"].as_array().into_iter().flatten() {
        out.push_str(&format!("    {}\n", text(answer)));
    }
    let scope = match told["Scope"].as_u64() {
        Some(0) | None => "the same for every client".to_owned(),
        Some(len) => format!("the same for all of the client's /{len}"),
    };
    out.push_str(&format!("Scope: {scope}\n"));
    if told["Record"].is_null() {
        return out;
    }
    out.push_str(&format!(
        "Record {}: service {}, policy {}, TTL {}{}\n\n",
        text(&told["Record"]),
        text(&told["Service"]),
        text(&told["Policy"]),
        told["TTL"],
        if told["LastResort"] == true { "; nobody is healthy: the last resort" } else { "" },
    ));
    let row = |region: &Value| {
        let name = text(&region["Region"]);
        vec![
            if region["Named"] == true { "*".to_owned() } else { String::new() },
            if name.is_empty() { "(none)".to_owned() } else { name },
            region["Rank"].as_u64().map_or_else(String::new, |rank| (rank + 1).to_string()),
            format!(
                "{}/{}",
                region["Healthy"],
                region["Healthy"].as_u64().unwrap_or(0) + region["Unhealthy"].as_u64().unwrap_or(0)
            ),
            format!("{:.0}%", region["Load"].as_f64().unwrap_or(0.0) * 100.0),
            text(&region["Why"]),
        ]
    };
    let rows: Vec<Vec<String>> = told["Regions"].as_array().into_iter().flatten().map(row).collect();
    out.push_str(&columns(&["", "REGION", "RANK", "HEALTHY", "LOAD", "WHY"], &rows));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_explanation_is_a_page_of_text() {
        let region = |name: &str, named: bool, why: &str| json!({"Region": name, "Rank": 0, "Healthy": 1, "Unhealthy": 1, "Load": 0.25, "Named": named, "Why": why});
        let told = json!({
            "Name": "www.a.", "Type": "A", "From": "192.0.2.1", "Code": "NOERROR", "Responder": "x", "Zone": "a.",
            "Answers": ["30 192.0.2.9"], "Scope": 24, "Record": "www.a.", "Service": "web", "Policy": "nearest", "TTL": 30,
            "LastResort": false, "Regions": [region("eu", true, "chosen"), region("us", false, "others come first")],
        });
        let page = shown(&told);
        for line in [
            "www.a. A for 192.0.2.1: NOERROR (dns x, zone a.)\n    30 192.0.2.9\n",
            "the same for all of the client's /24",
            "Record www.a.: service web, policy nearest, TTL 30\n",
            "*   eu       1      1/2       25%    chosen",
            "    us       1      1/2       25%    others come first",
        ] {
            assert!(page.contains(line), "{line:?} is not in {page}");
        }
    }
}
