//! Templates: `${name.full}`, `${name.prefix}`, `${name.suffix}`, `${match(N)}`.

use super::definition::{Definition, Template};

/// The compiled size of a pattern, in bytes.
const PATTERN: usize = 1 << 20;

/// Only that kind is known.
pub const PREFIX_MATCH: &str = "name_prefix_match";

/// What is wrong with a template, if anything is.
pub fn check(template: &Template) -> Result<(), String> {
    if template.r#type != PREFIX_MATCH {
        return Err(format!("Bad Template.Type {:?}", template.r#type));
    }
    pattern(&template.regexp).map(|_| ()).map_err(|e| format!("Bad Template.Regexp: {e}"))
}

fn pattern(text: &str) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(text).size_limit(PATTERN).build()
}

/// The definition as it is for a name, which begins with the query's own.
pub fn filled(definition: &Definition, prefix: &str, name: &str) -> Definition {
    let Some(template) = &definition.template else { return definition.clone() };
    let regexp = pattern(&template.regexp).ok().filter(|_| !template.regexp.is_empty());
    let groups = regexp.as_ref().and_then(|regexp| regexp.captures(name));
    let group = |n: usize| groups.as_ref().and_then(|g| g.get(n)).map_or("", |m| m.as_str());
    let variable = |text: &str| -> Option<String> {
        Some(match text.trim() {
            "name.full" => name.to_owned(),
            "name.prefix" => prefix.to_owned(),
            "name.suffix" => name.strip_prefix(prefix).unwrap_or_default().to_owned(),
            "agent.segment" => String::new(),
            other => {
                let inner = other.strip_prefix("match(")?.strip_suffix(')')?;
                group(inner.trim().parse().ok()?).to_owned()
            }
        })
    };
    let mut filled = definition.clone();
    for text in filled.service.texts() {
        if text.contains("${") {
            *text = interpolated(text, &variable);
        }
    }
    if template.remove_empty_tags {
        filled.service.tags.retain(|tag| !tag.is_empty());
    }
    filled
}

/// What is no variable stays as it stands.
fn interpolated(text: &str, variable: &impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        match after.split_once('}').and_then(|(inner, tail)| Some((variable(inner)?, tail))) {
            Some((value, tail)) => {
                out.push_str(&value);
                rest = tail;
            }
            None => {
                out.push_str("${");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(regexp: &str) -> Definition {
        let template =
            Template { r#type: PREFIX_MATCH.into(), regexp: regexp.into(), remove_empty_tags: true };
        let mut definition = Definition { template: Some(template), ..Definition::default() };
        definition.service.service = "${match(1)}".into();
        definition.service.tags = vec!["${match(2)}".into(), "${name.suffix}-${x}".into(), "${".into()];
        definition
    }

    #[test]
    fn names_fill_templates() {
        let filled = filled(&template("^geo-db-(.*?)(-[a-z]*)?$"), "geo-db-", "geo-db-mysql");
        assert_eq!(filled.service.service, "mysql");
        assert_eq!(filled.service.tags, ["mysql-${x}", "${"]);
    }

    #[test]
    fn a_name_that_does_not_match_fills_with_nothing() {
        assert_eq!(filled(&template("^x(.)"), "geo-", "geo-a").service.service, "");
    }

    #[test]
    fn bad_templates_are_refused() {
        let template = |r#type: &str, regexp: &str| Template {
            r#type: r#type.into(),
            regexp: regexp.into(),
            ..Template::default()
        };
        assert!(check(&template(PREFIX_MATCH, "(a)")).is_ok());
        assert!(check(&template(PREFIX_MATCH, "(")).is_err());
        assert!(check(&template("other", "")).is_err());
    }
}
