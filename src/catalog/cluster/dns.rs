//! What the DNS responders answer, and why: `/v1/isobar/dns`.

use crate::catalog::request::{Access, Answer, Call, Fault, GET, Outcome, Resource, Route};

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/isobar/dns",
        body: 0,
        run: |call| Box::pin(shown(call)),
        doc: "This node's DNS responders: zones, records from the map with answers by region since the start and a second, \
              what each region sheds, and why it is not named.",
    },
    Route {
        methods: GET,
        path: "/v1/isobar/dns/explain/:name/:type",
        body: 0,
        run: |call| Box::pin(explain(call)),
        doc: "What this node's DNS responders would answer a client ('?from=', an address; its own by default), every \
              region that might be named, and why it is or is not.",
    },
];

async fn shown(call: &Call) -> Outcome {
    call.require(Resource::Node, "", Access::Read)?;
    Answer::json(&call.api.process.dns())
}

async fn explain(call: &Call) -> Outcome {
    call.require(Resource::Node, "", Access::Read)?;
    let name = call.arg("Missing name")?;
    let kind = call.args.get(1).map_or("A", String::as_str);
    let from = call.params.text("from").unwrap_or("127.0.0.1");
    match call.api.process.explain_dns(name, kind, from) {
        Some(Ok(told)) => Answer::json(&told),
        Some(Err(why)) => Err(Fault::bad_request(why)),
        None => Err(Fault::not_found("no DNS responder runs here")),
    }
}
