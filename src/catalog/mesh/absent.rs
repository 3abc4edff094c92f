//! What clients ask of a mesh, of peers and of other datacenters: answers that say that there is none.

use serde_json::json;

use crate::catalog::request::{Access, Answer, Call, GET, JSON, Outcome, Resource, Route};

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/connect/ca/roots",
        body: 0,
        run: |call| Box::pin(roots(call)),
        doc: "The CAs of the mesh: none, there is no mesh.",
    },
    Route {
        methods: GET,
        path: "/v1/agent/connect/ca/roots",
        body: 0,
        run: |call| Box::pin(roots(call)),
        doc: "The same.",
    },
    Route {
        methods: GET,
        path: "/v1/exported-services",
        body: 0,
        run: |call| Box::pin(nothing(call)),
        doc: "The services that peers may use: none, there are no peers.",
    },
    Route {
        methods: GET,
        path: "/v1/imported-services",
        body: 0,
        run: |call| Box::pin(nothing(call)),
        doc: "The services of peers: none, there are no peers.",
    },
    Route {
        methods: GET,
        path: "/v1/acl/replication",
        body: 0,
        run: |call| Box::pin(replication(call)),
        doc: "How tokens come from another datacenter: not at all, every node has them.",
    },
];

async fn roots(call: &Call) -> Outcome {
    call.read(&[], |_| Answer::json(&json!({ "ActiveRootID": "", "TrustDomain": "", "Roots": [] }))).await
}

async fn nothing(call: &Call) -> Outcome {
    call.require(Resource::Mesh, "", Access::Read)?;
    call.read(&[], |_| Ok(Answer::raw(JSON, "[]"))).await
}

/// As Go writes a time that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

async fn replication(_: &Call) -> Outcome {
    Answer::json(&json!({
        "Enabled": false, "Running": false, "SourceDatacenter": "", "ReplicationType": "",
        "ReplicatedIndex": 0, "ReplicatedRoleIndex": 0, "ReplicatedTokenIndex": 0,
        "LastSuccess": NEVER, "LastError": NEVER, "LastErrorMessage": "",
    }))
}
