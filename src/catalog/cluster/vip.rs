//! Addresses that move between nodes: `/v1/isobar/vips`, `/v1/isobar/vip`. What nodes say of theirs is soft state.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::catalog::api::{Api, VipOrder};
use crate::catalog::request::{Access, Answer, Call, Fault, GET, Outcome, PUT, Resource, Route};
use crate::region::map::Name;
use crate::region::soft::{Kind, Record, Vip};

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/isobar/vips",
        body: 0,
        run: |call| Box::pin(list(call)),
        doc: "The virtual routers of all nodes: state, priority, who holds which address, since when (ms since 1970) and why.",
    },
    Route {
        methods: PUT,
        path: "/v1/isobar/vip/:name/:verb",
        body: 0,
        run: |call| Box::pin(change(call)),
        doc: "On the node that is asked: move (its addresses go to another node; ?here: they come) or priority?value=N.",
    },
];

/// Of all nodes that are heard, by node and name.
pub fn shown(api: &Api) -> Vec<Value> {
    let view = api.seat.soft().view();
    let all = view.of_kind(Kind::Vip).filter_map(|(id, name, record)| match &**record {
        Record::Vip(vip) => Some((view.node(id)?.node.clone(), name, vip)),
        _ => None,
    });
    let row = |(node, name, vip): (Name, &Name, &Vip)| {
        json!({
            "Name": &**name,
            "Node": &*node,
            "Self": node == *api.seat.node_name(),
            "State": &*vip.state,
            "Priority": vip.priority,
            "Interface": &*vip.interface,
            "RouterID": vip.router_id,
            "Addresses": vip.addresses.iter().map(|one| &**one).collect::<Vec<&str>>(),
            "Held": vip.held,
            "Since": vip.since_ms,
            "Cause": &*vip.cause,
            "Master": &*vip.master,
        })
    };
    let mut rows: Vec<Value> = all.map(row).collect();
    rows.sort_by_key(|row| (row["Name"].to_string(), row["Node"].to_string()));
    rows
}

async fn list(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Read)?;
    Answer::json(&shown(&call.api))
}

async fn change(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Write)?;
    let name = call.arg("Missing name")?;
    let verb = call.args.get(1).map_or("", String::as_str);
    let order = match verb {
        "move" if call.params.flag("here") => VipOrder::Here,
        "move" => VipOrder::Away,
        "priority" => {
            let value = call.params.number("value")?.and_then(|n| u8::try_from(n).ok());
            let fits = value.filter(|n| (1..=254).contains(n));
            VipOrder::Priority(fits.ok_or_else(|| Fault::bad_request("?value is a priority from 1 to 254"))?)
        }
        _ => return Err(Fault::not_found(format!("nothing to do to a virtual router is called {verb:?}"))),
    };
    call.api.process.vip(name, order).map_err(|why| Fault::new(StatusCode::CONFLICT, why))?;
    Ok(Answer::done())
}
