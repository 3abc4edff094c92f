//! User events: `/v1/event`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::catalog::request::{Access, Answer, Call, Fault, GET, Outcome, PUT, Resource, Route};
use crate::region::map::*;

/// Bytes of an event's payload.
const PAYLOAD: usize = 64 << 10;

pub const ROUTES: &[Route] = &[
    Route {
        methods: PUT,
        path: "/v1/event/fire/*name",
        body: PAYLOAD,
        run: |call| Box::pin(fire(call)),
        doc: "Fires an event with the body as its payload; ?node, ?service, ?tag say for whom it is.",
    },
    Route {
        methods: GET,
        path: "/v1/event/list",
        body: 0,
        run: |call| Box::pin(list(call)),
        doc: "The newest 256 events; ?name.",
    },
];

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EventView<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    payload: Option<String>,
    node_filter: &'a str,
    service_filter: &'a str,
    tag_filter: &'a str,
    version: u8,
    #[serde(rename = "LTime")]
    time: u64,
}

impl<'a> EventView<'a> {
    fn new(event: &'a Event) -> Self {
        EventView {
            id: &event.id,
            name: &event.name,
            payload: (!event.payload.is_empty()).then(|| STANDARD.encode(&event.payload)),
            node_filter: &event.node_filter,
            service_filter: &event.service_filter,
            tag_filter: &event.tag_filter,
            version: 1,
            time: event.index,
        }
    }
}

async fn fire(call: &Call) -> Outcome {
    let name = call.arg("Missing name")?;
    call.require(Resource::Event, name, Access::Write)?;
    let filter = |name: &str| -> Result<Name, Fault> {
        let text = call.params.text(name).unwrap_or_default();
        let pattern = regex::RegexBuilder::new(text).size_limit(1 << 20).build();
        pattern.map_err(|e| Fault::bad_request(format!("Invalid {name} filter: {e}")))?;
        Ok(text.into())
    };
    let mut event = Event {
        id: uuid::Uuid::new_v4().to_string().into(),
        name: name.into(),
        payload: call.body.clone(),
        node_filter: filter("node")?,
        service_filter: filter("service")?,
        tag_filter: filter("tag")?,
        index: 0,
    };
    if event.service_filter.is_empty() && !event.tag_filter.is_empty() {
        return Err(Fault::bad_request("Cannot provide tag filter without service filter"));
    }
    if let Reply::Done { index } = call.propose(Command::EventFire(event.clone())).await? {
        event.index = index;
    }
    Answer::json(&EventView::new(&event))
}

async fn list(call: &Call) -> Outcome {
    let name = call.params.text("name");
    call.read(&[Topic::Events], |map| {
        let wanted = |event: &&std::sync::Arc<Event>| {
            name.is_none_or(|name| *event.name == *name)
                && call.allows(Resource::Event, &event.name, Access::Read)
        };
        Answer::json(&map.events().filter(wanted).map(|event| EventView::new(event)).collect::<Vec<_>>())
    })
    .await
}
