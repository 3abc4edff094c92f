//! What a registry announces (`application/vnd.docker.distribution.events.v1+json`). It is a hint: what counts is what is
//! found when one looks.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::mirror::reference::is_repository;

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    action: String,
    #[serde(default)]
    target: Subject,
}

#[derive(Default, Deserialize)]
struct Subject {
    #[serde(default)]
    repository: String,
    #[serde(default)]
    tag: String,
}

/// Repositories of which tags changed. What a mirror pushed is among them: another rule may take it further.
pub fn changed(body: &[u8]) -> Result<BTreeSet<String>, String> {
    let envelope: Envelope = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let tells =
        |event: &Event| (event.action == "push" && !event.target.tag.is_empty()) || event.action == "delete";
    let changed = envelope.events.into_iter().filter(tells);
    let names = changed.map(|event| event.target.repository);
    Ok(names.filter(|name| is_repository(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_of_tags_and_deletions_are_heard() {
        let event = |action: &str, tag: &str, name: &str| {
            format!(
                r#"{{"id":"1","action":"{action}","target":{{"repository":"{name}","tag":"{tag}","digest":"x"}}}}"#
            )
        };
        let all = [
            event("push", "v1", "a"),
            event("push", "", "b"),
            event("pull", "v1", "c"),
            event("delete", "", "d"),
        ];
        let body = format!(r#"{{"events":[{}]}}"#, all.join(","));
        let names = changed(body.as_bytes()).expect("events");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a", "d"]);
        assert!(changed(b"{}").expect("none").is_empty());
        assert!(changed(b"x").is_err());
    }
}
