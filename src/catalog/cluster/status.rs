//! Who leads: `/v1/status`.

use crate::catalog::api::Api;
use crate::catalog::request::{Answer, Call, GET, Outcome, Route};

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/status/leader",
        body: 0,
        run: |call| Box::pin(leader(call)),
        doc: "The address of the leader; empty when there is none.",
    },
    Route {
        methods: GET,
        path: "/v1/status/peers",
        body: 0,
        run: |call| Box::pin(peers(call)),
        doc: "The addresses of the voters.",
    },
];

fn leader_address(api: &Api) -> String {
    api.seat.leader().map(|leader| leader.address.to_string()).unwrap_or_default()
}

async fn leader(call: &Call) -> Outcome {
    Answer::json(&leader_address(&call.api))
}

async fn peers(call: &Call) -> Outcome {
    let map = call.read_own().await?;
    let address = |id: &u64| map.member(*id).map(|member| member.address.to_string());
    let mut found: Vec<String> = call.api.seat.status().voters.iter().filter_map(address).collect();
    let leader = leader_address(&call.api);
    if !leader.is_empty() && !found.contains(&leader) {
        found.push(leader);
    }
    Answer::json(&found)
}
