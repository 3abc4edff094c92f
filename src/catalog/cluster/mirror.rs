//! The mirror of registries as `isobar mirror` shows and steers it: `/v1/mirror`.

use hyper::StatusCode;

use crate::catalog::api::MirrorAsk;
use crate::catalog::request::{
    Access, Answer, Call, DOCUMENT, Fault, GET, Outcome, POST, PUT, Resource, Route,
};

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/mirror",
        body: 0,
        run: |call| Box::pin(ask(call, Access::Read, |_| MirrorAsk::Status)),
        doc: "The mirror's rules: how far each target is behind, and since when (ms since 1970).",
    },
    Route {
        methods: GET,
        path: "/v1/mirror/jobs",
        body: 0,
        run: |call| Box::pin(ask(call, Access::Read, |_| MirrorAsk::Jobs)),
        doc: "Its jobs that run: where, and how many bytes of how many are done.",
    },
    Route {
        methods: POST,
        path: "/v1/mirror/events",
        body: DOCUMENT,
        run: |call| Box::pin(events(call)),
        doc: "Takes what a registry's webhook announces.",
    },
    Route {
        methods: GET,
        path: "/v1/mirror/:rule/plan",
        body: 0,
        run: |call| Box::pin(ask(call, Access::Read, MirrorAsk::Plan)),
        doc: "Compares both sides of a rule now: what it would copy and delete.",
    },
    Route {
        methods: PUT,
        path: "/v1/mirror/:rule/sync",
        body: 0,
        run: |call| Box::pin(ask(call, Access::Write, MirrorAsk::Sync)),
        doc: "Has a rule run now.",
    },
    Route {
        methods: PUT,
        path: "/v1/mirror/:rule/pause",
        body: 0,
        run: |call| Box::pin(ask(call, Access::Write, |rule| MirrorAsk::Pause(rule, true))),
        doc: "Gives a rule no jobs until it is resumed; those that run go on.",
    },
    Route {
        methods: PUT,
        path: "/v1/mirror/:rule/resume",
        body: 0,
        run: |call| Box::pin(ask(call, Access::Write, |rule| MirrorAsk::Pause(rule, false))),
        doc: "Ends a pause.",
    },
];

async fn ask(call: &Call, access: Access, what: impl Fn(String) -> MirrorAsk) -> Outcome {
    call.require(Resource::Operator, "", access)?;
    answer(call, what(call.args.first().cloned().unwrap_or_default())).await
}

/// A registry has no more to show than a token in a header; what it says is a hint that costs a look.
async fn events(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Write)?;
    answer(call, MirrorAsk::Events(call.body.clone())).await
}

async fn answer(call: &Call, what: MirrorAsk) -> Outcome {
    let Some(mirror) = call.api.mirror.get() else {
        return Err(Fault::not_found("no mirror runs on this node"));
    };
    let status = |code| StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let value = mirror.ask(what).await.map_err(|(code, words)| Fault::new(status(code), words))?;
    Answer::json(&value)
}
