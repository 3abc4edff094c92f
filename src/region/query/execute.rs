//! Which query a name means, and the instances that it finds.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::definition::{Definition, ServiceQuery};
use super::template;
use crate::region::map::*;

/// A query that was found for a name, its template filled in.
#[derive(Debug, Clone)]
pub struct Found {
    pub query: Arc<Query>,
    pub definition: Definition,
}

/// By id, by name, or the template with the longest name that this one begins with.
pub fn lookup(map: &Map, id_or_name: &str) -> Option<Found> {
    if let Some(query) = map.query(id_or_name) {
        let definition: Definition = serde_json::from_slice(&query.definition).ok()?;
        return Some(Found {
            definition: template::filled(&definition, &query.name, id_or_name),
            query: query.clone(),
        });
    }
    let mut best: Option<(Arc<Query>, Definition)> = None;
    for query in map.queries().filter(|query| id_or_name.starts_with(&*query.name)) {
        if best.as_ref().is_some_and(|(best, _)| best.name.len() >= query.name.len()) {
            continue;
        }
        let definition = serde_json::from_slice::<Definition>(&query.definition).ok();
        if let Some(definition) = definition.filter(|definition| definition.template.is_some()) {
            best = Some((query.clone(), definition));
        }
    }
    let (query, definition) = best?;
    Some(Found { definition: template::filled(&definition, &query.name, id_or_name), query })
}

/// The instances that a query finds, in the order of the map: critical ones are left out.
pub fn execute<'a>(map: &'a Map, query: &'a ServiceQuery) -> impl Iterator<Item = &'a Arc<Instance>> {
    map.instances_of(&query.service).filter(move |instance| {
        let node = map.node(&instance.node);
        usable(map, query, instance)
            && tagged(query, instance)
            && has(&instance.meta, &query.service_meta)
            && node.is_some_and(|node| has(&node.meta, &query.node_meta))
    })
}

fn usable(map: &Map, query: &ServiceQuery, instance: &Instance) -> bool {
    let counts = |check: &&Arc<Check>| query.ignore_check_ids.iter().all(|id| **id != *check.id);
    map.checks_of(instance).filter(counts).all(|check| match check.status {
        Health::Passing => true,
        Health::Warning => !query.only_passing,
        Health::Critical => false,
    })
}

fn tagged(query: &ServiceQuery, instance: &Instance) -> bool {
    let has = |wanted: &str| instance.tags.iter().any(|tag| tag.eq_ignore_ascii_case(wanted));
    query.tags.iter().all(|tag| match tag.strip_prefix('!') {
        Some(unwanted) => !has(unwanted),
        None => has(tag),
    })
}

fn has(meta: &Pairs, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| meta.get(key.as_str()).is_some_and(|found| **found == **value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::query::Template;

    fn apply(map: &mut Map, command: Command) {
        let index = map.index() + 1;
        let reply = map.apply(index, Proposal { at: 0, command }, &mut Vec::new());
        assert!(!matches!(reply, Reply::Refused(_)), "{reply:?}");
    }

    fn instance(map: &mut Map, node: &str, tags: &[&str], status: Health) {
        let check = Check { id: "c".into(), service_id: "web".into(), status, ..Check::default() };
        let instance = Instance {
            id: "web".into(),
            service: "web".into(),
            tags: tags.iter().map(|tag| Name::from(*tag)).collect(),
            ..Instance::default()
        };
        let node = Node { name: node.into(), address: "10.0.0.1".into(), ..Node::default() };
        let what =
            Registration { node, instance: Some(instance), checks: vec![check], ..Registration::default() };
        apply(map, Command::Register(Box::new(what)));
    }

    fn query(map: &mut Map, name: &str, definition: &Definition) {
        let definition = serde_json::to_vec(definition).unwrap().into();
        let query =
            Query { id: format!("id-{name}").into(), name: name.into(), definition, ..Query::default() };
        apply(map, Command::QueryPut(query));
    }

    #[test]
    fn finds_by_health_and_tags() {
        let mut map = Map::default();
        instance(&mut map, "a", &["v1"], Health::Passing);
        instance(&mut map, "b", &["v1", "canary"], Health::Warning);
        instance(&mut map, "c", &["v1"], Health::Critical);
        let mut query = ServiceQuery { service: "web".into(), ..ServiceQuery::default() };
        let found =
            |query: &ServiceQuery| execute(&map, query).map(|i| i.node.to_string()).collect::<Vec<_>>();
        assert_eq!(found(&query), ["a", "b"]);
        query.tags = vec!["V1".into(), "!canary".into()];
        assert_eq!(found(&query), ["a"]);
        query.tags.clear();
        query.only_passing = true;
        assert_eq!(found(&query), ["a"]);
        query.ignore_check_ids = vec!["c".into()];
        assert_eq!(found(&query), ["a", "b", "c"]);
        query.service_meta.insert("k".into(), "v".into());
        assert!(found(&query).is_empty());
    }

    #[test]
    fn the_longest_template_stands_for_a_name() {
        let mut map = Map::default();
        let mut definition = Definition::default();
        definition.service.service = "plain".into();
        query(&mut map, "geo-exact", &definition);
        definition.template = Some(Template { r#type: template::PREFIX_MATCH.into(), ..Template::default() });
        definition.service.service = "any-${name.suffix}".into();
        query(&mut map, "", &definition);
        definition.service.service = "geo-${name.suffix}".into();
        query(&mut map, "geo-", &definition);
        let service = |name: &str| lookup(&map, name).map(|found| found.definition.service.service);
        assert_eq!(service("geo-exact").as_deref(), Some("plain"));
        assert_eq!(service("geo-web").as_deref(), Some("geo-web"));
        assert_eq!(service("web").as_deref(), Some("any-web"));
        assert_eq!(service("id-geo-exact").as_deref(), Some("plain"));
    }
}
