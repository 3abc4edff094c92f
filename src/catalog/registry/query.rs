//! Prepared queries: `/v1/query`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::catalog::registry::health::{HealthView, may_see};
use crate::catalog::registry::select::sort_by_distance;
use crate::catalog::request::duration;
use crate::catalog::request::{
    Access, Answer, Call, DELETE, DOCUMENT, Fault, Fields, GET, Outcome, POST, PUT, Resource, Route,
};
use crate::region::map::*;
use crate::region::query::definition::Dns;
use crate::region::query::{
    Definition, Failover, Found, ServiceQuery, Target, Template, execute, lookup, template,
};

pub const ROUTES: &[Route] = &[
    Route {
        methods: POST,
        path: "/v1/query",
        body: DOCUMENT,
        run: |call| Box::pin(create(call)),
        doc: "Keeps a prepared query; answers its id.",
    },
    Route {
        methods: GET,
        path: "/v1/query",
        body: 0,
        run: |call| Box::pin(list(call)),
        doc: "Every prepared query.",
    },
    Route {
        methods: GET,
        path: "/v1/query/:id/execute",
        body: 0,
        run: |call| Box::pin(run(call)),
        doc: "What a query finds, by its id or name; ?near, ?limit.",
    },
    Route {
        methods: GET,
        path: "/v1/query/:id/explain",
        body: 0,
        run: |call| Box::pin(explain(call)),
        doc: "The query that a name means, its template filled in.",
    },
    Route {
        methods: GET,
        path: "/v1/query/*id",
        body: 0,
        run: |call| Box::pin(read(call)),
        doc: "A prepared query, in a list.",
    },
    Route {
        methods: PUT,
        path: "/v1/query/*id",
        body: DOCUMENT,
        run: |call| Box::pin(update(call)),
        doc: "Replaces a prepared query.",
    },
    Route {
        methods: DELETE,
        path: "/v1/query/*id",
        body: 0,
        run: |call| Box::pin(delete(call)),
        doc: "Deletes a prepared query.",
    },
];

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct QueryView<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    session: &'a str,
    #[serde(flatten)]
    definition: &'a Definition,
    create_index: Index,
    modify_index: Index,
}

fn view<'a>(call: &Call, query: &'a Query, definition: &'a mut Definition) -> QueryView<'a> {
    // A token that a query carries is shown to none but its like.
    if !definition.token.is_empty() && !call.authority.allows(Resource::Acl, "", Access::Write) {
        definition.token = "<hidden>".into();
    }
    QueryView {
        id: &query.id,
        name: &query.name,
        session: &query.session,
        definition,
        create_index: query.create_index,
        modify_index: query.modify_index,
    }
}

fn strings(names: Vec<Name>) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

fn pairs(pairs: Pairs) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn failover(fields: &Fields) -> Result<Failover, Fault> {
    let Some(given) = fields.object("Failover")? else { return Ok(Failover::default()) };
    let mut targets = Vec::new();
    for one in given.objects("Targets")? {
        let (datacenter, peer) = (one.text("Datacenter")?.to_string(), one.text("Peer")?.to_string());
        targets.push(Target { datacenter, peer });
    }
    Ok(Failover {
        nearest_n: given.small("NearestN")?,
        datacenters: strings(given.texts("Datacenters")?),
        targets,
    })
}

fn service(fields: &Fields) -> Result<ServiceQuery, Fault> {
    let Some(given) = fields.object("Service")? else {
        return Err(Fault::bad_request("Must provide a Service"));
    };
    let service = given.text("Service")?.to_string();
    if service.is_empty() {
        return Err(Fault::bad_request("Must provide a Service name to query"));
    }
    Ok(ServiceQuery {
        service,
        failover: failover(&given)?,
        only_passing: given.flag("OnlyPassing")?,
        ignore_check_ids: strings(given.texts("IgnoreCheckIDs")?),
        near: given.text("Near")?.to_string(),
        tags: strings(given.texts("Tags")?),
        node_meta: pairs(given.pairs("NodeMeta")?),
        service_meta: pairs(given.pairs("ServiceMeta")?),
        connect: given.flag("Connect")?,
    })
}

/// A query out of a body.
fn query(call: &Call, id: Name) -> Result<Query, Fault> {
    let fields = call.fields()?;
    let mut definition = Definition {
        token: fields.text("Token")?.to_string(),
        service: service(&fields)?,
        dns: Dns::default(),
        template: None,
    };
    if let Some(dns) = fields.object("DNS")? {
        let ttl = dns.text("TTL")?;
        if !ttl.is_empty() && duration::parse_ms(&ttl).is_none() {
            return Err(Fault::bad_request(format!("Bad DNS TTL {:?}", &*ttl)));
        }
        definition.dns.ttl = ttl.to_string();
    }
    let given = fields.object("Template")?.filter(|given| given.has("Type") || given.has("Regexp"));
    if let Some(given) = given.filter(|given| given.text("Type").is_ok_and(|kind| !kind.is_empty())) {
        let template = Template {
            r#type: given.text("Type")?.to_string(),
            regexp: given.text("Regexp")?.to_string(),
            remove_empty_tags: given.flag("RemoveEmptyTags")?,
        };
        template::check(&template).map_err(Fault::bad_request)?;
        definition.template = Some(template);
    }
    let name = fields.text("Name")?;
    let session = fields.text("Session")?;
    if name.is_empty() && session.is_empty() && definition.template.is_none() && definition.token.is_empty() {
        // As in Consul: what has neither would be out of everyone's control.
        let open = call.api.settings.write_token.is_none();
        if !open {
            return Err(Fault::bad_request("Must be bound to a session"));
        }
    }
    let definition = serde_json::to_vec(&definition).map_err(|e| Fault::internal(e.to_string()))?.into();
    Ok(Query { id, name, session, definition, ..Query::default() })
}

async fn create(call: &Call) -> Outcome {
    let id: Name = uuid::Uuid::new_v4().to_string().into();
    let query = query(call, id.clone())?;
    call.require(Resource::Query, &query.name, Access::Write)?;
    call.propose(Command::QueryPut(query)).await?;
    Answer::json(&json!({ "ID": &*id }))
}

/// The query of an id that the caller may change.
async fn standing(call: &Call) -> Result<Name, Fault> {
    let id = call.arg("Missing query ID")?;
    call.api.seat.fresh(crate::region::seat::Consistency::Default).await?;
    let map = call.api.seat.map();
    let found = map.query(id).filter(|query| *query.id == *id);
    let query = found.ok_or_else(|| Fault::not_found("Query not found"))?;
    call.require(Resource::Query, &query.name, Access::Write)?;
    Ok(query.id.clone())
}

async fn update(call: &Call) -> Outcome {
    let query = query(call, standing(call).await?)?;
    call.require(Resource::Query, &query.name, Access::Write)?;
    call.propose(Command::QueryPut(query)).await?;
    Ok(Answer::done())
}

async fn delete(call: &Call) -> Outcome {
    let id = standing(call).await?;
    call.propose(Command::QueryDelete { id }).await?;
    Ok(Answer::done())
}

fn definition(query: &Query) -> Definition {
    serde_json::from_slice(&query.definition).unwrap_or_default()
}

async fn list(call: &Call) -> Outcome {
    call.read(&[Topic::Queries], |map| {
        let seen = map.queries().filter(|query| call.allows(Resource::Query, &query.name, Access::Read));
        let mut found: Vec<_> = seen.map(|query| (query, definition(query))).collect();
        let rows: Vec<_> =
            found.iter_mut().map(|(query, definition)| view(call, query, definition)).collect();
        Answer::json(&rows)
    })
    .await
}

async fn read(call: &Call) -> Outcome {
    let id = call.arg("Missing query ID")?;
    call.read(&[Topic::Queries], |map| {
        let found = map.query(id).filter(|query| *query.id == *id);
        let Some(query) = found.filter(|q| call.allows(Resource::Query, &q.name, Access::Read)) else {
            return Ok(Answer::from(Fault::not_found("Query not found")));
        };
        Answer::json(&[view(call, query, &mut definition(query))])
    })
    .await
}

fn found(call: &Call, map: &Map, id: &str) -> Result<Found, Fault> {
    let found = lookup(map, id).ok_or_else(|| Fault::not_found("Query not found"))?;
    if *found.query.id != *id {
        call.require(Resource::Query, &found.query.name, Access::Read)?;
    }
    Ok(found)
}

async fn explain(call: &Call) -> Outcome {
    let id = call.arg("Missing query ID")?;
    call.read(&[Topic::Queries], |map| {
        let mut found = found(call, map, id)?;
        Answer::json(&json!({ "Query": to_value(&view(call, &found.query, &mut found.definition))? }))
    })
    .await
}

fn to_value(shown: &impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(shown).map_err(|e| Fault::internal(e.to_string()))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Executed<'a> {
    service: &'a str,
    namespace: &'a str,
    nodes: Vec<HealthView<'a>>,
    #[serde(rename = "DNS")]
    dns: &'a Dns,
    datacenter: &'a str,
    failovers: u32,
}

async fn run(call: &Call) -> Outcome {
    let id = call.arg("Missing query ID")?;
    let limit = call.params.number("limit")?.filter(|limit| *limit > 0).unwrap_or(u64::MAX) as usize;
    call.read(&[], |map| {
        let found = found(call, map, id)?;
        let query = &found.definition.service;
        let mut instances: Vec<_> = execute(map, query).filter(|one| may_see(call, one)).collect();
        shuffle(&mut instances);
        let near = call.params.text("near").unwrap_or(&query.near);
        // Where an address is, nobody here knows: the order stays as it came.
        if !near.is_empty() && near != "_ip" {
            let own = &*call.api.settings.node_name;
            let origin = if near == "_agent" { own } else { near };
            let known = call.api.coordinates.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            sort_by_distance(map, &known, origin, &mut instances, |one| &one.node);
        }
        instances.truncate(limit);
        let datacenter = &call.api.settings.datacenter;

        let mut nodes = Vec::with_capacity(instances.len());
        for one in instances {
            nodes.extend(map.node(&one.node).map(|node| HealthView::new(map, node, one, datacenter)));
        }
        Answer::json(&Executed {
            service: &query.service,
            namespace: "",
            nodes,
            dns: &found.definition.dns,
            datacenter,
            failovers: 0,
        })
    })
    .await
}

/// A fair order, so that clients that take the first spread.
fn shuffle<T>(items: &mut [T]) {
    let mut random = uuid::Uuid::new_v4().as_u64_pair().1 | 1;
    for n in (1..items.len()).rev() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        items.swap(n, (random % (n as u64 + 1)) as usize);
    }
}
