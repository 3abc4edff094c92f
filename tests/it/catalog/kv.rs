//! Keys.

use serde_json::{Value, json};

use super::served::Served;

#[test]
fn a_key_goes_and_comes() {
    let node = Served::start();
    let absent = node.get("/v1/kv/a/b");
    assert_eq!((absent.status, absent.body.as_str()), (404, ""));
    assert!(absent.index() >= 1);
    assert_eq!(node.put("/v1/kv/a//b%20c?flags=18446744073709551615", "hello").body, "true");
    let found = node.get("/v1/kv/a//b%20c");
    let entry = &found.json()[0];
    let index = found.index();
    assert_eq!(
        *entry,
        json!({ "LockIndex": 0, "Key": "a//b c", "Flags": u64::MAX, "Value": "aGVsbG8=",
                "CreateIndex": index, "ModifyIndex": index })
    );
    assert_eq!(node.get("/v1/kv/a//b%20c?raw").body, "hello");
    assert_eq!(node.ask("DELETE", "/v1/kv/a//b%20c", "", b"").body, "true");
    let gone = node.get("/v1/kv/a//b%20c");
    assert_eq!(gone.status, 404);
    assert!(gone.index() > index, "the index moves when a key goes");
}

#[test]
fn conditions_hold_or_do_not() {
    let node = Served::start();
    assert_eq!(node.put("/v1/kv/k?cas=9", "x").body, "false");
    assert_eq!(node.put("/v1/kv/k?cas=0", "x").body, "true");
    assert_eq!(node.put("/v1/kv/k?cas=0", "y").body, "false");
    let index = node.get("/v1/kv/k").index();
    assert_eq!(node.ask("DELETE", &format!("/v1/kv/k?cas={}", index - 1), "", b"").body, "false");
    assert_eq!(node.put(&format!("/v1/kv/k?cas={index}"), "y").body, "true");
    for bad in ["cas=x", "flags=-1", "cas=1&acquire=s"] {
        assert_eq!(node.put(&format!("/v1/kv/k?{bad}"), "z").status, 400, "{bad}");
    }
    let invalid = node.put("/v1/kv/k?acquire=none", "z");
    assert_eq!(invalid.status, 500);
    assert!(invalid.body.starts_with("invalid session"), "{}", invalid.body);
    assert_eq!(node.put("/v1/kv/k?release=none", "z").body, "false");
}

/// A script with an unset variable must not believe that it holds a lock, or overwrite what it meant to protect.
#[test]
fn words_without_a_value_do_nothing() {
    let node = Served::start();
    node.ok("/v1/kv/k", "old");
    let index = node.get("/v1/kv/k").index();
    for said in [
        "cas=",
        "cas",
        "acquire=",
        "acquire",
        "release=",
        "flags=",
        "cas=-1",
        "cas=+1",
        "cas=%20",
        "cas=1.0",
        "cas=18446744073709551616",
        "flags=0x1",
        "cas=0&cas=1",
        "acquire=a&acquire=b",
        "cas=&cas=0",
        "acquire=%FF",
        "cas=%FF",
        "%FF=1",
    ] {
        let path = format!("/v1/kv/k?{said}");
        let put = node.put(&path, "new");
        assert_eq!(put.status, 400, "PUT {path}: {put:?}");
        if said.contains("cas") || said.contains("FF") {
            let deleted = node.ask("DELETE", &path, "", b"");
            assert_eq!(deleted.status, 400, "DELETE {path}: {deleted:?}");
        }
    }
    for said in ["recurse=false", "recurse=0"] {
        node.ok("/v1/kv/k/below", "stays");
        assert_eq!(node.ask("DELETE", &format!("/v1/kv/none?{said}"), "", b"").body, "true");
        assert_eq!(node.ask("DELETE", &format!("/v1/kv/k/?{said}"), "", b"").body, "true");
    }
    assert_eq!(node.get("/v1/kv/k/below?raw").body, "stays");
    assert_eq!((node.get("/v1/kv/k?raw").body.as_str(), node.get("/v1/kv/k").index()), ("old", index));
    // What says nothing elsewhere is as if it were not there, as in Consul.
    for said in ["dc=", "index=", "token=", "wait=", "near=", "filter=", "tag=", "separator="] {
        assert_eq!(node.get(&format!("/v1/kv/k?{said}")).status, 200, "{said}");
        assert_eq!(node.get(&format!("/v1/catalog/services?{said}")).status, 200, "{said}");
    }
    for said in ["index=-1", "index=x", "index=1&wait=x", "index=1&wait=-1s"] {
        assert_eq!(node.get(&format!("/v1/catalog/services?{said}")).status, 400, "{said}");
    }
    // Two keys that are not UTF-8 must not become one.
    assert_eq!(node.put("/v1/kv/%FE", "a").status, 400);
    assert_eq!(node.get("/v1/kv/%FF").status, 400);
    let lock = r#"[{"KV":{"Verb":"lock","Key":"k","Value":"bmV3","Session":""}}]"#;
    assert_ne!(node.put("/v1/txn", lock).status, 200);
    assert_eq!(node.get("/v1/kv/k?raw").body, "old");
    let config = r#"{"Kind":"service-defaults","Name":"web","Protocol":"http"}"#;
    assert_eq!(node.put("/v1/config?cas=", config).status, 400);
}

#[test]
fn lists_and_their_index() {
    let node = Served::start();
    for key in ["a/1", "a/2", "a/b/3", "z"] {
        node.ok(&format!("/v1/kv/{key}"), "v");
    }
    assert_eq!(node.get("/v1/kv/a/?keys&separator=/").json(), json!(["a/1", "a/2", "a/b/"]));
    assert_eq!(node.get("/v1/kv/?keys").json(), json!(["a/1", "a/2", "a/b/3", "z"]));
    let list = node.get("/v1/kv/a/?recurse=True");
    assert_eq!(list.json().as_array().map(Vec::len), Some(3));
    let before = list.index();
    node.ok("/v1/kv/z", "w");
    assert_eq!(node.get("/v1/kv/a/?recurse").index(), before, "others' changes do not move it");
    node.ask("DELETE", "/v1/kv/a/1", "", b"");
    assert!(node.get("/v1/kv/a/?recurse").index() > before, "a deletion does");
    assert_eq!(node.get("/v1/kv/none/?recurse").status, 404);
}

#[test]
fn wiping_every_key_leaves_what_the_catalog_keeps_for_itself() {
    let node = Served::start();
    node.ok("/v1/config", r#"{"Kind":"service-defaults","Name":"web","Protocol":"http"}"#);
    for key in ["a", "b/c", "%C3%BC"] {
        node.ok(&format!("/v1/kv/{key}"), "v");
    }
    assert_eq!(node.ask("DELETE", "/v1/kv/?recurse", "", b"").body, "true");
    assert_eq!(node.get("/v1/kv/?recurse").status, 404);
    assert_eq!(node.get("/v1/config/service-defaults/web").json()["Protocol"], "http");
    let txn = r#"[{"KV":{"Verb":"delete-tree","Key":""}},{"KV":{"Verb":"get-tree","Key":""}}]"#;
    assert_eq!(node.put("/v1/txn", txn).json(), json!({ "Results": [], "Errors": null }));
    assert_eq!(node.get("/v1/config/service-defaults").json().as_array().map(Vec::len), Some(1));
    for path in ["/v1/kv/%00config/service-defaults/web", "/v1/kv/%00?recurse", "/v1/kv/%00?keys"] {
        assert_eq!(node.get(path).status, 400, "{path}");
        assert_eq!(node.put(path, "x").status, 400, "{path}");
    }
}

#[test]
fn intentions_are_kept_in_the_entry_of_their_destination_and_the_most_exact_speaks() {
    let node = Served::start();
    let exact = |source: &str, destination: &str| {
        format!("/v1/connect/intentions/exact?source={source}&destination={destination}")
    };
    assert_eq!(node.put(&exact("*", "db"), r#"{"Action":"deny"}"#).body, "true");
    assert_eq!(node.put(&exact("web", "db"), r#"{"Action":"allow","Description":"d"}"#).body, "true");
    assert_eq!(node.put(&exact("web", "*"), r#"{"Permissions":[{"Action":"allow"}]}"#).body, "true");
    let allowed = |source: &str, destination: &str| {
        let path = format!("/v1/connect/intentions/check?source={source}&destination={destination}");
        node.get(&path).json()["Allowed"].as_bool()
    };
    assert_eq!(allowed("web", "db"), Some(true));
    assert_eq!(allowed("api", "db"), Some(false));
    assert_eq!(allowed("web", "cache"), Some(false), "by request is not by connection");
    assert_eq!(allowed("api", "cache"), Some(true), "nothing speaks, nobody needs a token");
    let kept = node.get("/v1/config/service-intentions/db").json();
    assert_eq!(kept["Sources"].as_array().map(Vec::len), Some(2));
    let of = |path: &str| {
        let found = node.get(path).json();
        let names =
            |value: &Value| format!("{}>{}", value["SourceName"], value["DestinationName"]).replace('"', "");
        found.as_array().map(|all| all.iter().map(names).collect::<Vec<_>>())
    };
    let all = ["web>db", "*>db", "web>*"].map(String::from).to_vec();
    assert_eq!(of("/v1/connect/intentions"), Some(all));
    assert_eq!(
        of("/v1/connect/intentions?filter=SourceName==web%20and%20Precedence==9").map(|all| all.len()),
        Some(1)
    );
    let matched = node.get("/v1/connect/intentions/match?by=source&name=web&name=api").json();
    assert_eq!(matched["web"].as_array().map(Vec::len), Some(3));
    assert_eq!(matched["api"][0]["DestinationName"], "db");
    for _ in 0..2 {
        assert_eq!(node.ask("DELETE", &exact("web", "db"), "", b"").body, "true");
        assert_eq!(node.get(&exact("web", "db")).status, 404);
    }
    assert_eq!(node.ask("DELETE", &exact("*", "db"), "", b"").body, "true");
    assert_eq!(node.get("/v1/config/service-intentions/db").status, 404, "an entry without sources is gone");
    for (path, body) in [
        ("/v1/connect/intentions/exact?source=web", r#"{"Action":"allow"}"#),
        (&*exact("web", "db"), r#"{"Action":"maybe"}"#),
        (&*exact("web", "db"), r#"{}"#),
        (&*exact("w*", "db"), r#"{"Action":"allow"}"#),
        (&*exact("web", "db"), r#"{"Action":"allow","Permissions":[{}]}"#),
    ] {
        assert_eq!(node.put(path, body).status, 400, "{path} {body}");
    }
}

#[test]
fn a_transaction_is_all_or_nothing() {
    let node = Served::start();
    let set = r#"[{"KV":{"Verb":"set","Key":"a","Value":"MQ==","Flags":3}},{"KV":{"verb":"get","key":"a"}}]"#;
    let done = node.put("/v1/txn", set);
    let results = done.json();
    assert_eq!(results["Errors"], json!(null));
    assert!(results["Results"][0]["KV"].get("Value").is_none(), "a set answers no value");
    assert_eq!(results["Results"][1]["KV"]["Value"], "MQ==");
    let conflict =
        r#"[{"KV":{"Verb":"set","Key":"b","Value":"MQ=="}},{"KV":{"Verb":"check-not-exists","Key":"a"}}]"#;
    let refused = node.put("/v1/txn", conflict);
    assert_eq!(refused.status, 409);
    assert_eq!(refused.json()["Errors"][0]["OpIndex"], 1);
    assert_eq!(refused.json()["Results"], json!(null));
    assert_eq!(node.get("/v1/kv/b").status, 404);
    for bad in [
        r#"{"KV":{}}"#,
        r#"[{"KV":{"Verb":"jump","Key":"a"}}]"#,
        r#"[{"What":{}}]"#,
        "[",
        r#"[{"KV":{"Verb":"set","Key":"a","Value":"%"}}]"#,
    ] {
        assert_eq!(node.put("/v1/txn", bad).status, 400, "{bad}");
    }
}
