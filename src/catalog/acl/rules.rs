//! The rules of a policy, in HCL or JSON: `key_prefix "a/" { policy = "read" }`.

use serde_json::Value;

use crate::catalog::request::{Level, Resource, Rule};

/// Bytes and rules that a policy may have.
const LENGTH: usize = 64 << 10;
const RULES: usize = 1024;

/// The rules of a text, or what is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Rule>, String> {
    if text.len() > LENGTH {
        return Err(format!("a policy may have at most {LENGTH} bytes"));
    }
    let rules = if text.trim_start().starts_with('{') {
        let value: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        from_json(&value)?
    } else {
        from_hcl(text)?
    };
    if rules.len() > RULES { Err(format!("a policy may have at most {RULES} rules")) } else { Ok(rules) }
}

fn level(text: &str) -> Result<Level, String> {
    match text {
        "deny" => Ok(Level::Deny),
        "read" | "list" => Ok(Level::Read),
        "write" => Ok(Level::Write),
        other => Err(format!("unknown policy {other:?}")),
    }
}

/// The resource of `key` or `key_prefix`, and whether it is of prefixes.
fn resource(word: &str) -> Result<(Resource, bool), String> {
    let (name, prefix) = word.strip_suffix("_prefix").map_or((word, false), |name| (name, true));
    let found = Resource::ALL.into_iter().find(|r| r.name() == name && !(prefix && r.whole()));
    found.map(|r| (r, prefix)).ok_or_else(|| format!("unknown resource {word:?}"))
}

fn from_json(value: &Value) -> Result<Vec<Rule>, String> {
    let object = value.as_object().ok_or("rules must be an object")?;
    let mut out = Vec::new();
    for (word, value) in object {
        let (resource, prefix) = resource(word)?;
        match value {
            Value::String(text) if resource.whole() => {
                out.push(Rule { resource, name: String::new(), prefix, level: level(text)? });
            }
            Value::Object(names) if !resource.whole() => {
                for (name, body) in names {
                    let policy = body.get("policy").and_then(Value::as_str);
                    let text = policy.ok_or_else(|| format!("{word} {name:?} has no policy"))?;
                    out.push(Rule { resource, name: name.clone(), prefix, level: level(text)? });
                }
            }
            _ => return Err(format!("{word} has the wrong shape")),
        }
    }
    Ok(out)
}

fn from_hcl(text: &str) -> Result<Vec<Rule>, String> {
    let words = words(text)?;
    let mut at = words.iter().map(String::as_str).peekable();
    let mut out = Vec::new();
    while let Some(word) = at.next() {
        let (resource, prefix) = resource(word)?;
        if resource.whole() {
            if at.next() != Some("=") {
                return Err(format!("expected `=` after {word}"));
            }
            let text = at.next().ok_or("a policy is missing")?;
            out.push(Rule { resource, name: String::new(), prefix, level: level(unquoted(text)?)? });
            continue;
        }
        let name = unquoted(at.next().ok_or_else(|| format!("{word} needs a name"))?)?.to_owned();
        at.next_if_eq(&"=");
        if at.next() != Some("{") {
            return Err(format!("expected an opening brace after {word} {name:?}"));
        }
        let mut found = None;
        loop {
            match at.next() {
                Some("}") => break,
                Some(key) => {
                    if !matches!(at.next(), Some("=" | ":")) {
                        return Err(format!("expected `=` after {key}"));
                    }
                    let value = unquoted(at.next().ok_or("a value is missing")?)?;
                    if key.trim_matches('"') == "policy" {
                        found = Some(level(value)?);
                    }
                    at.next_if_eq(&",");
                }
                None => return Err(format!("{word} {name:?} does not close")),
            }
        }
        let level = found.ok_or_else(|| format!("{word} {name:?} has no policy"))?;
        out.push(Rule { resource, name, prefix, level });
    }
    Ok(out)
}

fn unquoted(word: &str) -> Result<&str, String> {
    let inner = word.strip_prefix('"').and_then(|w| w.strip_suffix('"'));
    inner.ok_or_else(|| format!("expected a string, found {word:?}"))
}

/// Strings keep their quotes; comments are gone.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(c) = rest.chars().next() {
        let len = match c {
            '#' => {
                rest = rest.split_once('\n').map_or("", |(_, tail)| tail).trim_start();
                continue;
            }
            '/' if rest.starts_with("//") => {
                rest = rest.split_once('\n').map_or("", |(_, tail)| tail).trim_start();
                continue;
            }
            '"' => rest[1..].find('"').map(|n| n + 2).ok_or("a string does not close")?,
            '{' | '}' | '=' | ':' | ',' => 1,
            c if c.is_alphanumeric() || c == '_' => {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
            }
            c => return Err(format!("unexpected {c:?} in rules")),
        };
        let (word, tail) = rest.split_at(len);
        out.push(word.to_owned());
        rest = tail.trim_start();
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hcl_and_json_say_the_same() {
        let hcl = "# all\nkey \"\" { policy = \"read\" }\nservice_prefix \"web\" {\n policy = \"write\"\n intentions = \"read\" }\noperator = \"deny\"";
        let json =
            r#"{"key":{"":{"policy":"read"}},"service_prefix":{"web":{"policy":"write"}},"operator":"deny"}"#;
        let mut a = parse(hcl).unwrap();
        let mut b = parse(json).unwrap();
        a.sort_by_key(|r| r.resource.name());
        b.sort_by_key(|r| r.resource.name());
        assert_eq!(a, b);
        assert_eq!(a.len(), 3);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "key",
            "key \"a\"",
            "key \"a\" {",
            "key \"a\" { policy = \"x\" }",
            "what \"a\" { policy = \"read\" }",
            "key \"a { policy",
            "operator \"x\"",
            "{\"key\":1}",
            "{",
            "key \"a\" { intentions = \"read\" }",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert_eq!(parse(""), Ok(vec![]));
    }
}
