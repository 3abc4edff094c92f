//! Reading request bodies. Consul's keys match whatever their case, and several have an alias with underscores, so a
//! key is compared without either; keys that belong to the user (of `Meta`, headers...) are left alone.

use serde_json::{Map as Object, Value};

use crate::base::clock::MS;
use crate::catalog::request::duration;
use crate::catalog::request::fault::Fault;
use crate::region::map::{Name, Pairs, TaggedAddress, TaggedAddresses};

/// One JSON object of a request.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    object: Object<String, Value>,
}

type Read<T> = Result<T, Fault>;

fn same_key(given: &str, wanted: &str) -> bool {
    let mut given = given.bytes().filter(|b| *b != b'_').map(|b| b.to_ascii_lowercase());
    let mut wanted = wanted.bytes().filter(|b| *b != b'_').map(|b| b.to_ascii_lowercase());
    loop {
        match (given.next(), wanted.next()) {
            (None, None) => return true,
            (a, b) if a == b => {}
            _ => return false,
        }
    }
}

fn wrong(name: &str, wanted: &str) -> Fault {
    Fault::bad_request(format!("Request decode failed: {name} must be {wanted}"))
}

/// An array or object out of a request's body, whatever it is.
pub fn parse_value(body: &[u8]) -> Read<Value> {
    serde_json::from_slice(body).map_err(|e| Fault::bad_request(format!("Request decode failed: {e}")))
}

impl Fields {
    /// An empty body is an empty object.
    pub fn parse(body: &[u8]) -> Read<Self> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Fields::default());
        }
        Fields::of(parse_value(body)?)
    }

    pub fn of(value: Value) -> Read<Self> {
        match value {
            Value::Object(object) => Ok(Fields { object }),
            Value::Null => Ok(Fields::default()),
            _ => Err(wrong("the body", "an object")),
        }
    }

    /// What stands under a key; `null` is as if it were not there.
    pub fn value(&self, name: &str) -> Option<&Value> {
        let exact = self.object.get(name);
        let found = exact.or_else(|| self.object.iter().find(|(k, _)| same_key(k, name)).map(|(_, v)| v));
        found.filter(|value| !value.is_null())
    }

    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Empty when it is not there.
    pub fn text(&self, name: &str) -> Read<Name> {
        match self.value(name) {
            None => Ok("".into()),
            Some(Value::String(text)) => Ok(text.as_str().into()),
            Some(_) => Err(wrong(name, "a string")),
        }
    }

    pub fn flag(&self, name: &str) -> Read<bool> {
        match self.value(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text == "true" || text == "false" => Ok(text == "true"),
            Some(_) => Err(wrong(name, "true or false")),
        }
    }

    pub fn number(&self, name: &str) -> Read<Option<u64>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Number(number)) => number
                .as_u64()
                .or_else(|| number.as_f64().filter(|f| *f >= 0.0 && f.fract() == 0.0).map(|f| f as u64))
                .map(Some)
                .ok_or_else(|| wrong(name, "a number that is not negative")),
            Some(Value::String(text)) => text.parse().map(Some).map_err(|_| wrong(name, "a number")),
            Some(_) => Err(wrong(name, "a number")),
        }
    }

    pub fn small(&self, name: &str) -> Read<u32> {
        let number = self.number(name)?.unwrap_or(0);
        u32::try_from(number).map_err(|_| wrong(name, "a smaller number"))
    }

    pub fn port(&self, name: &str) -> Read<u16> {
        let number = self.number(name)?.unwrap_or(0);
        u16::try_from(number).map_err(|_| wrong(name, "a port"))
    }

    pub fn texts(&self, name: &str) -> Read<Vec<Name>> {
        let Some(value) = self.value(name) else { return Ok(Vec::new()) };
        let item = |v: &Value| v.as_str().map(Name::from).ok_or_else(|| wrong(name, "a list of strings"));
        value.as_array().ok_or_else(|| wrong(name, "a list of strings"))?.iter().map(item).collect()
    }

    pub fn pairs(&self, name: &str) -> Read<Pairs> {
        let Some(value) = self.value(name) else { return Ok(Pairs::default()) };
        let object = value.as_object().ok_or_else(|| wrong(name, "an object of strings"))?;
        let pair = |(key, value): (&String, &Value)| {
            let text = value.as_str().ok_or_else(|| wrong(name, "an object of strings"))?;
            Ok((Name::from(key.as_str()), Name::from(text)))
        };
        object.iter().map(pair).collect()
    }

    /// A service's are objects with a port, a node's are plain addresses.
    pub fn tagged_addresses(&self, name: &str) -> Read<TaggedAddresses> {
        let Some(value) = self.value(name) else { return Ok(TaggedAddresses::default()) };
        let object = value.as_object().ok_or_else(|| wrong(name, "an object of addresses"))?;
        let tagged = |(tag, value): (&String, &Value)| {
            let address = match value {
                Value::String(text) => TaggedAddress { address: text.as_str().into(), port: 0 },
                other => {
                    let fields = Fields::of(other.clone())?;
                    TaggedAddress { address: fields.text("Address")?, port: fields.port("Port")? }
                }
            };
            Ok((Name::from(tag.as_str()), address))
        };
        object.iter().map(tagged).collect()
    }

    pub fn object(&self, name: &str) -> Read<Option<Fields>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(Fields { object: object.clone() })),
            Some(_) => Err(wrong(name, "an object")),
        }
    }

    pub fn objects(&self, name: &str) -> Read<Vec<Fields>> {
        let Some(value) = self.value(name) else { return Ok(Vec::new()) };
        let items = value.as_array().ok_or_else(|| wrong(name, "a list of objects"))?;
        items.iter().map(|item| Fields::of(item.clone())).collect()
    }

    /// A duration as text, or as a number of nanoseconds as Go has them.
    pub fn millis(&self, name: &str) -> Read<Option<u64>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => duration::parse_ms(text).map(Some).ok_or_else(|| {
                Fault::bad_request(format!("Request decode failed: {name}: invalid duration {text:?}"))
            }),
            Some(Value::Number(_)) => Ok(self.number(name)?.map(|ns| ns.div_ceil(MS))),
            Some(_) => Err(wrong(name, "a duration")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        Fields::parse(text.as_bytes()).expect("an object")
    }

    #[test]
    fn keys_match_in_any_case_and_with_underscores() {
        let f = fields(r#"{"enable_tag_override":true,"NAME":"web","port":80,"Meta":{"Some_Key":"v"}}"#);
        assert!(f.flag("EnableTagOverride").unwrap());
        assert_eq!(&*f.text("Name").unwrap(), "web");
        assert_eq!(f.port("Port").unwrap(), 80);
        assert_eq!(f.pairs("Meta").unwrap().get("Some_Key").map(|v| &**v), Some("v"));
        assert!(!f.has("Nam"));
    }

    #[test]
    fn durations_are_text_or_nanoseconds() {
        let f = fields(r#"{"ttl":"30s","Interval":10,"Timeout":"","Bad":"1y"}"#);
        assert_eq!(f.millis("TTL").unwrap(), Some(30_000));
        assert_eq!(f.millis("Interval").unwrap(), Some(1));
        assert_eq!(f.millis("Timeout").unwrap(), None);
        assert!(f.millis("Bad").is_err());
    }

    #[test]
    fn wrong_types_are_bad_requests() {
        let f = fields(r#"{"Name":7,"Port":-1,"Tags":"a","Meta":{"a":1},"Check":[],"Big":70000}"#);
        assert!(f.text("Name").is_err() && f.port("Port").is_err() && f.texts("Tags").is_err());
        assert!(f.pairs("Meta").is_err() && f.object("Check").is_err() && f.port("Big").is_err());
        assert!(Fields::parse(b"[1]").is_err() && Fields::parse(b"{").is_err());
        assert!(Fields::parse(b" ").is_ok() && Fields::parse(b"null").is_ok());
    }

    #[test]
    fn tagged_addresses_are_objects_or_plain() {
        let f = fields(r#"{"tagged_addresses":{"lan":{"address":"10.0.0.1","port":80},"wan":"1.2.3.4"}}"#);
        let found = f.tagged_addresses("TaggedAddresses").unwrap();
        assert_eq!(*found.get("lan").unwrap(), TaggedAddress { address: "10.0.0.1".into(), port: 80 });
        assert_eq!(*found.get("wan").unwrap(), TaggedAddress { address: "1.2.3.4".into(), port: 0 });
    }
}
