//! What little a cluster without a service mesh can say of one: default chains, gateways that entries name, no peers.

use serde_json::{Value, json};

use crate::catalog::record::{self, CONFIG};
use crate::catalog::request::{Access, Answer, Call, Fields, GET, JSON, Outcome, POST, Resource, Route};

/// Bytes of the overrides of a chain.
const OVERRIDES: usize = 64 << 10;

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/catalog/gateway-services/*name",
        body: 0,
        run: |call| Box::pin(gateway_services(call)),
        doc: "The services that the configuration entry of a gateway names.",
    },
    Route {
        methods: GET,
        path: "/v1/discovery-chain/*name",
        body: 0,
        run: |call| Box::pin(chain(call)),
        doc: "The default chain of a service: its own instances.",
    },
    Route {
        methods: POST,
        path: "/v1/discovery-chain/*name",
        body: OVERRIDES,
        run: |call| Box::pin(chain(call)),
        doc: "The same, with OverrideProtocol.",
    },
    Route {
        methods: GET,
        path: "/v1/peerings",
        body: 0,
        run: |call| Box::pin(nothing(call)),
        doc: "The peers of the cluster: always none.",
    },
];

async fn nothing(_: &Call) -> Outcome {
    Ok(Answer::raw(JSON, "[]").with_index(1))
}

async fn gateway_services(call: &Call) -> Outcome {
    let name = call.arg("Missing gateway name")?;
    call.require(Resource::Service, name, Access::Read)?;
    call.read(&[record::topic(CONFIG)], |map| {
        let mut found: Vec<Value> = Vec::new();
        for kind in ["ingress-gateway", "terminating-gateway"] {
            let Some(record) = record::get(map, CONFIG, &format!("{kind}/{name}")) else { continue };
            let entry = Fields::of(record.value.clone())?;
            for listener in entry.objects("Listeners")? {
                for service in listener.objects("Services")? {
                    found.push(json!({
                        "Gateway": { "Name": name }, "Service": { "Name": &*service.text("Name")? },
                        "GatewayKind": kind, "Port": listener.port("Port")?,
                        "Protocol": &*listener.text("Protocol")?,
                        "CreateIndex": record.create_index, "ModifyIndex": record.modify_index,
                    }));
                }
            }
            for service in entry.objects("Services")? {
                found.push(json!({
                    "Gateway": { "Name": name }, "Service": { "Name": &*service.text("Name")? },
                    "GatewayKind": kind, "CreateIndex": record.create_index, "ModifyIndex": record.modify_index,
                }));
            }
        }
        Answer::json(&found)
    })
    .await
}

async fn chain(call: &Call) -> Outcome {
    let name = call.arg("Missing service name")?;
    call.require(Resource::Service, name, Access::Read)?;
    let fields = call.fields()?;
    let protocol = fields.text("OverrideProtocol")?;
    let protocol = if protocol.is_empty() { "tcp".into() } else { protocol };
    let datacenter = &*call.api.settings.datacenter;
    let target = format!("{name}.default.default.{datacenter}");
    let node = format!("resolver:{target}");
    call.read(&[record::topic(CONFIG)], |_| {
        Answer::json(&json!({ "Chain": {
            "ServiceName": name, "Namespace": "default", "Partition": "default", "Datacenter": datacenter,
            "Protocol": &*protocol, "Default": true, "StartNode": node,
            "Nodes": { &*node: {
                "Type": "resolver", "Name": target, "Resolver": { "Default": true, "Target": target },
            } },
            "Targets": { &*target: {
                "ID": target, "Service": name, "Namespace": "default", "Partition": "default",
                "Datacenter": datacenter, "Name": target,
            } },
        } }))
    })
    .await
}
