//! Members of the cluster as `isobar node` shows and changes them: `/v1/isobar/nodes`, `/v1/isobar/node`.

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::catalog::api::Operator;
use crate::catalog::request::{Access, Answer, Call, DELETE, Fault, GET, Outcome, PUT, Resource, Route};
use crate::region::map::*;
use crate::region::raft::{Denial, MemberError, Operation};

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/isobar/nodes",
        body: 0,
        run: |call| Box::pin(list(call)),
        doc: "The members of the cluster, with roles and availability.",
    },
    Route {
        methods: GET,
        path: "/v1/isobar/node/:node",
        body: 0,
        run: |call| Box::pin(inspect(call)),
        doc: "One member, by name or id.",
    },
    Route {
        methods: DELETE,
        path: "/v1/isobar/node/:node",
        body: 0,
        run: |call| Box::pin(remove(call)),
        doc: "Removes a worker that is down; ?force: one that is not.",
    },
    Route {
        methods: PUT,
        path: "/v1/isobar/node/:node/:verb",
        body: 0,
        run: |call| Box::pin(change(call)),
        doc: "promote, demote, drain, pause or activate.",
    },
];

impl Call {
    /// What only a node with a seat of its own can do.
    pub fn operator(&self) -> Result<&Operator, Fault> {
        let none = || Fault::new(StatusCode::NOT_IMPLEMENTED, "this node has no seat in a cluster");
        self.api.operator.get().ok_or_else(none)
    }
}

impl From<Denial> for Fault {
    fn from(denial: Denial) -> Fault {
        let status = match denial {
            Denial::Member(MemberError::Unknown(_)) => StatusCode::NOT_FOUND,
            Denial::Member(_) => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Fault::new(status, denial.to_string())
    }
}

fn shown(call: &Call, member: &Member) -> Value {
    let leader = call.api.seat.leader().is_some_and(|leader| leader.id == member.id);
    let manager = match (member.role, leader, member.alive) {
        (Role::Worker, ..) => "",
        (_, true, _) => "leader",
        (_, _, true) => "reachable",
        _ => "unreachable",
    };
    let availability = match member.availability {
        Availability::Active => "active",
        Availability::Pause => "pause",
        Availability::Drain => "drain",
    };
    json!({
        "ID": member.id,
        "Name": &*member.name,
        "Address": &*member.address,
        "API": &*member.api,
        "Region": &*member.region,
        "Role": if member.role == Role::Manager { "manager" } else { "worker" },
        "Status": if member.alive { "ready" } else { "down" },
        "Availability": availability,
        "ManagerStatus": manager,
        "Self": member.name == *call.api.seat.node_name(),
        "CreateIndex": member.create_index,
        "ModifyIndex": member.modify_index,
    })
}

async fn list(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Read)?;
    call.read(&[Topic::Members], |map| {
        Answer::json(&map.members().map(|member| shown(call, member)).collect::<Vec<_>>())
    })
    .await
}

/// The member of the path: by name, else by id.
fn wanted(call: &Call) -> Result<Arc<Member>, Fault> {
    let wanted = call.arg("Missing node")?;
    let map = call.api.seat.map();
    let by_name = map.members().find(|m| *m.name == *wanted);
    let found = by_name.or_else(|| map.member(wanted.parse().ok()?)).cloned();
    found.ok_or_else(|| Fault::not_found(format!("no such member: {wanted}")))
}

async fn inspect(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Read)?;
    call.api.seat.fresh(call.consistency()?).await?;
    Answer::json(&shown(call, &*wanted(call)?))
}

async fn remove(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Write)?;
    let id = wanted(call)?.id;
    call.operator()?.raft.remove(id, call.params.flag("force")).await?;
    Ok(Answer::done())
}

async fn change(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Write)?;
    let id = wanted(call)?.id;
    let verb = call.args.get(1).map_or("", String::as_str);
    let operation = match verb {
        "promote" => Operation::Promote(id),
        "demote" => Operation::Demote(id),
        "drain" => Operation::Availability(id, Availability::Drain),
        "pause" => Operation::Availability(id, Availability::Pause),
        "activate" => Operation::Availability(id, Availability::Active),
        _ => return Err(Fault::not_found(format!("nothing to do to a node is called {verb:?}"))),
    };
    call.operator()?.raft.operate(operation).await?;
    Ok(Answer::done())
}
