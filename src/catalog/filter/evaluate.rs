//! Whether a record passes a filter.

use serde::Serialize;
use serde_json::Value;

use super::parse::{Filter, Test, Tree};

impl Filter {
    /// Judges a record as it would be answered.
    pub fn passes(&self, record: &impl Serialize) -> bool {
        serde_json::to_value(record).is_ok_and(|value| holds(&self.root, &value))
    }
}

fn holds(tree: &Tree, record: &Value) -> bool {
    match tree {
        Tree::Or(parts) => parts.iter().any(|part| holds(part, record)),
        Tree::And(parts) => parts.iter().all(|part| holds(part, record)),
        Tree::Not(part) => !holds(part, record),
        Tree::Match { selector, test } => {
            let found = selector.iter().try_fold(record, |value, key| value.get(key));
            tested(found.unwrap_or(&Value::Null), test)
        }
    }
}

fn tested(value: &Value, test: &Test) -> bool {
    match test {
        Test::Equal(wanted) => equal(value, wanted),
        Test::Contains(wanted) => match value {
            Value::Array(items) => items.iter().any(|item| equal(item, wanted)),
            Value::Object(object) => object.contains_key(wanted),
            Value::String(text) => text.contains(wanted.as_str()),
            _ => false,
        },
        Test::Empty => match value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(object) => object.is_empty(),
            Value::String(text) => text.is_empty(),
            _ => false,
        },
        Test::Matches(pattern) => match value {
            Value::String(text) => pattern.is_match(text),
            Value::Array(items) => items.iter().filter_map(Value::as_str).any(|text| pattern.is_match(text)),
            _ => false,
        },
    }
}

fn equal(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Bool(flag) => wanted == if *flag { "true" } else { "false" },
        Value::Number(number) => match (number.as_i64(), wanted.parse::<i64>()) {
            (Some(a), Ok(b)) => a == b,
            _ => number.as_f64().zip(wanted.parse::<f64>().ok()).is_some_and(|(a, b)| a == b),
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::filter::Schema;

    const SCHEMA: Schema = &[("", &["Node", "Port", "Tags", "Meta", "Meta.*", "Up"]), ("Service", &["Tags"])];

    fn passes(text: &str) -> bool {
        let record = serde_json::json!({
            "Node": "lb1", "Port": 80, "Tags": ["a", "tag:b"], "Meta": {"env": "prod", "a b": "x"},
            "Service": {"Tags": []}, "Up": true,
        });
        Filter::parse(text, SCHEMA).unwrap_or_else(|e| panic!("{text}: {e}")).passes(&record)
    }

    #[test]
    fn comparisons() {
        for yes in [
            "Node == \"lb1\"",
            "Node == lb1",
            "Node != `lb2`",
            "Port == 80",
            "Up == true",
            "\"tag:b\" in Tags",
            "Tags contains a",
            "Tags not contains c",
            "c not in Tags",
            "Service.Tags is empty",
            "Tags is not empty",
            "Meta.env == prod",
            "Meta[\"a b\"] == x",
            "Meta contains env",
            "env in Meta",
            "\"/Meta/env\" == prod",
            "Meta.none is empty",
            "Meta.none != x",
            "Node matches \"^lb[0-9]$\"",
            "Node not matches `x`",
            "Node contains \"b\"",
            "\"b1\" in Node",
        ] {
            assert!(passes(yes), "{yes}");
        }
        for no in ["Node == LB1", "Port == 81", "b in Tags", "Meta.none == x", "Tags is empty"] {
            assert!(!passes(no), "{no}");
        }
    }

    #[test]
    fn and_binds_tighter_than_or() {
        assert!(passes("Node == lb1 or Node == x and Port == 1"));
        assert!(!passes("(Node == lb1 or Node == x) and Port == 1"));
        assert!(passes("not Node == x and not (Port == 1 or Port == 2)"));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "not a valid expression((",
            "",
            "Node",
            "Node ==",
            "Node == a b",
            "None == a",
            "Node = a",
            "(Node == a",
            "Node == \"a",
            "Node is",
            "Node matches \"(\"",
            "Node.x == a",
            "Node not == a",
            "in Tags",
        ] {
            assert!(Filter::parse(text, SCHEMA).is_err(), "{text:?}");
        }
        assert!(Filter::parse(&"(".repeat(5000), SCHEMA).is_err());
        assert!(Filter::parse(&"not ".repeat(2000), SCHEMA).is_err());
    }
}
