//! Records of the map as Consul's clients read them.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::catalog::request::duration;
use crate::region::map::*;

/// A node: `/v1/catalog/nodes`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NodeView<'a> {
    #[serde(rename = "ID")]
    pub id: &'a str,
    pub node: &'a str,
    pub address: &'a str,
    pub datacenter: &'a str,
    #[serde(serialize_with = "plain_addresses")]
    pub tagged_addresses: &'a TaggedAddresses,
    pub meta: &'a Pairs,
    pub peer_name: &'static str,
    pub create_index: Index,
    pub modify_index: Index,
}

impl<'a> NodeView<'a> {
    pub const FIELDS: &'static [&'static str] = &[
        "ID",
        "Node",
        "Address",
        "Datacenter",
        "TaggedAddresses",
        "TaggedAddresses.*",
        "Meta",
        "Meta.*",
        "PeerName",
        "Partition",
    ];

    pub fn new(node: &'a Node, datacenter: &'a str) -> Self {
        NodeView {
            id: &node.id,
            node: &node.name,
            address: &node.address,
            datacenter,
            tagged_addresses: &node.tagged_addresses,
            meta: &node.meta,
            peer_name: "",
            create_index: node.create_index,
            modify_index: node.modify_index,
        }
    }
}

#[derive(Serialize, Clone, Copy)]
#[serde(rename_all = "PascalCase")]
pub struct WeightsView {
    pub passing: u32,
    pub warning: u32,
}

impl From<Weights> for WeightsView {
    fn from(weights: Weights) -> Self {
        WeightsView { passing: weights.passing, warning: weights.warning }
    }
}

/// A service beside its node: in `/v1/health/service` and `/v1/catalog/node`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceView<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub kind: &'a str,
    #[serde(rename = "ID")]
    pub id: &'a str,
    pub service: &'a str,
    pub tags: &'a [Name],
    pub address: &'a str,
    #[serde(serialize_with = "addresses", skip_serializing_if = "TaggedAddresses::is_empty")]
    pub tagged_addresses: &'a TaggedAddresses,
    pub meta: &'a Pairs,
    pub port: u16,
    pub weights: WeightsView,
    pub enable_tag_override: bool,
    pub proxy: ProxyView,
    pub connect: Nothing,
    pub peer_name: &'static str,
    pub create_index: Index,
    pub modify_index: Index,
}

/// An object without members.
#[derive(Serialize, Clone, Copy, Default)]
pub struct Nothing {}

/// What a service says of its proxy where there is no mesh.
#[derive(Serialize, Clone, Copy, Default)]
#[serde(rename_all = "PascalCase")]
pub struct ProxyView {
    mode: &'static str,
    mesh_gateway: Nothing,
    expose: Nothing,
}

impl<'a> ServiceView<'a> {
    pub const FIELDS: &'static [&'static str] = &[
        "Kind",
        "ID",
        "Service",
        "Tags",
        "Address",
        "TaggedAddresses",
        "TaggedAddresses.*",
        "TaggedAddresses.*.Address",
        "TaggedAddresses.*.Port",
        "Meta",
        "Meta.*",
        "Port",
        "Weights.Passing",
        "Weights.Warning",
        "EnableTagOverride",
        "Datacenter",
        "PeerName",
    ];

    pub fn new(instance: &'a Instance) -> Self {
        ServiceView {
            kind: &instance.kind,
            id: &instance.id,
            service: &instance.service,
            tags: &instance.tags,
            address: &instance.address,
            tagged_addresses: &instance.tagged_addresses,
            meta: &instance.meta,
            port: instance.port,
            weights: instance.weights.into(),
            enable_tag_override: instance.enable_tag_override,
            proxy: ProxyView::default(),
            connect: Nothing::default(),
            peer_name: "",
            create_index: instance.create_index,
            modify_index: instance.modify_index,
        }
    }
}

/// A check: `/v1/health/checks`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CheckView<'a> {
    pub node: &'a str,
    #[serde(rename = "CheckID")]
    pub check_id: &'a str,
    pub name: &'a str,
    pub status: &'static str,
    pub notes: &'a str,
    pub output: &'a str,
    #[serde(rename = "ServiceID")]
    pub service_id: &'a str,
    pub service_name: &'a str,
    pub service_tags: &'a [Name],
    pub r#type: &'static str,
    pub interval: String,
    pub timeout: String,
    pub exposed_port: u16,
    pub peer_name: &'static str,
    pub definition: DefinitionView<'a>,
    pub create_index: Index,
    pub modify_index: Index,
}

impl<'a> CheckView<'a> {
    pub const FIELDS: &'static [&'static str] = &[
        "Node",
        "CheckID",
        "Name",
        "Status",
        "Notes",
        "Output",
        "ServiceID",
        "ServiceName",
        "ServiceTags",
        "Type",
        "Interval",
        "Timeout",
        "ExposedPort",
        "PeerName",
        "Definition.HTTP",
        "Definition.TCP",
        "Definition.UDP",
        "Definition.GRPC",
        "Definition.Method",
    ];

    pub fn new(check: &'a Check) -> Self {
        let shown = |ms: u64| if ms == 0 { String::new() } else { duration::show_ms(ms) };
        let definition = check.definition.as_deref();
        let interval = definition.filter(|d| !matches!(d.probe, Probe::Ttl { .. } | Probe::None));
        CheckView {
            node: &check.node,
            check_id: &check.id,
            name: &check.name,
            status: status(check.status),
            notes: &check.notes,
            output: &check.output,
            service_id: &check.service_id,
            service_name: &check.service,
            service_tags: &check.service_tags,
            r#type: definition.map_or("", |d| kind(&d.probe)),
            interval: interval.map_or(String::new(), |d| shown(d.interval_ms)),
            timeout: interval.map_or(String::new(), |d| shown(d.timeout_ms)),
            exposed_port: 0,
            peer_name: "",
            definition: DefinitionView::new(definition),
            create_index: check.create_index,
            modify_index: check.modify_index,
        }
    }
}

/// How a check is run, with what says nothing left out.
#[derive(Serialize, Default)]
#[serde(rename_all = "PascalCase")]
pub struct DefinitionView<'a> {
    #[serde(rename = "HTTP", skip_serializing_if = "str::is_empty")]
    http: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    method: &'a str,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    header: std::collections::BTreeMap<&'a str, &'a [Name]>,
    #[serde(skip_serializing_if = "str::is_empty")]
    body: &'a str,
    #[serde(rename = "TLSSkipVerify", skip_serializing_if = "is_false")]
    skip_verify: bool,
    #[serde(rename = "TCP", skip_serializing_if = "str::is_empty")]
    tcp: &'a str,
    #[serde(rename = "UDP", skip_serializing_if = "str::is_empty")]
    udp: &'a str,
    #[serde(rename = "GRPC", skip_serializing_if = "str::is_empty")]
    grpc: &'a str,
    #[serde(skip_serializing_if = "<[Name]>::is_empty")]
    script_args: &'a [Name],
    #[serde(skip_serializing_if = "String::is_empty")]
    interval: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    timeout: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    deregister_critical_service_after: String,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl<'a> DefinitionView<'a> {
    fn new(definition: Option<&'a Definition>) -> Self {
        let Some(definition) = definition else { return DefinitionView::default() };
        let shown = |ms: u64| if ms == 0 { String::new() } else { duration::show_ms(ms) };
        let mut view = DefinitionView {
            interval: shown(definition.interval_ms),
            timeout: shown(definition.timeout_ms),
            deregister_critical_service_after: shown(definition.deregister_after_ms),
            ..DefinitionView::default()
        };
        match &definition.probe {
            Probe::Http { url, method, header, body, skip_verify, .. } => {
                (view.http, view.method, view.body, view.skip_verify) = (url, method, body, *skip_verify);
                view.header = header.iter().map(|(name, values)| (&**name, values.as_slice())).collect();
            }
            Probe::Tcp { address, .. } => view.tcp = address,
            Probe::Udp { address } => view.udp = address,
            Probe::Grpc { address, skip_verify, .. } => {
                (view.grpc, view.skip_verify) = (address, *skip_verify);
            }
            Probe::Script { args } => view.script_args = args,
            Probe::None | Probe::Ttl { .. } | Probe::Alias { .. } => {}
        }
        view
    }
}

pub fn status(health: Health) -> &'static str {
    match health {
        Health::Passing => "passing",
        Health::Warning => "warning",
        Health::Critical => "critical",
    }
}

fn kind(probe: &Probe) -> &'static str {
    match probe {
        Probe::None => "",
        Probe::Ttl { .. } => "ttl",
        Probe::Http { .. } => "http",
        Probe::Tcp { .. } => "tcp",
        Probe::Udp { .. } => "udp",
        Probe::Grpc { .. } => "grpc",
        Probe::Alias { .. } => "alias",
        Probe::Script { .. } => "script",
    }
}

/// A service with its node in one object: `/v1/catalog/service`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CatalogServiceView<'a> {
    #[serde(rename = "ID")]
    pub id: &'a str,
    pub node: &'a str,
    pub address: &'a str,
    pub datacenter: &'a str,
    #[serde(serialize_with = "plain_addresses")]
    pub tagged_addresses: &'a TaggedAddresses,
    pub node_meta: &'a Pairs,
    pub service_kind: &'a str,
    #[serde(rename = "ServiceID")]
    pub service_id: &'a str,
    pub service_name: &'a str,
    pub service_tags: &'a [Name],
    pub service_address: &'a str,
    #[serde(serialize_with = "addresses", skip_serializing_if = "TaggedAddresses::is_empty")]
    pub service_tagged_addresses: &'a TaggedAddresses,
    pub service_weights: WeightsView,
    pub service_meta: &'a Pairs,
    pub service_port: u16,
    pub service_enable_tag_override: bool,
    pub service_proxy: ProxyView,
    pub service_connect: Nothing,
    pub peer_name: &'static str,
    pub create_index: Index,
    pub modify_index: Index,
}

impl<'a> CatalogServiceView<'a> {
    pub const FIELDS: &'static [&'static str] = &[
        "ID",
        "Node",
        "Address",
        "Datacenter",
        "TaggedAddresses",
        "TaggedAddresses.*",
        "NodeMeta",
        "NodeMeta.*",
        "ServiceKind",
        "ServiceID",
        "ServiceName",
        "ServiceTags",
        "ServiceAddress",
        "ServiceTaggedAddresses",
        "ServiceTaggedAddresses.*",
        "ServiceTaggedAddresses.*.Address",
        "ServiceTaggedAddresses.*.Port",
        "ServiceWeights.Passing",
        "ServiceWeights.Warning",
        "ServiceMeta",
        "ServiceMeta.*",
        "ServicePort",
        "ServiceEnableTagOverride",
        "PeerName",
    ];

    pub fn new(node: &'a Node, instance: &'a Instance, datacenter: &'a str) -> Self {
        CatalogServiceView {
            id: &node.id,
            node: &node.name,
            address: &node.address,
            datacenter,
            tagged_addresses: &node.tagged_addresses,
            node_meta: &node.meta,
            service_kind: &instance.kind,
            service_id: &instance.id,
            service_name: &instance.service,
            service_tags: &instance.tags,
            service_address: &instance.address,
            service_tagged_addresses: &instance.tagged_addresses,
            service_weights: instance.weights.into(),
            service_meta: &instance.meta,
            service_port: instance.port,
            service_enable_tag_override: instance.enable_tag_override,
            service_proxy: ProxyView::default(),
            service_connect: Nothing::default(),
            peer_name: "",
            create_index: instance.create_index,
            modify_index: instance.modify_index,
        }
    }
}

/// A node's are plain.
fn plain_addresses<S: Serializer>(found: &TaggedAddresses, to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(found.len()))?;
    for (tag, tagged) in found {
        map.serialize_entry(&**tag, &*tagged.address)?;
    }
    map.end()
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tagged<'a> {
    address: &'a str,
    port: u16,
}

/// A service's have a port.
pub fn addresses<S: Serializer>(found: &TaggedAddresses, to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(found.len()))?;
    for (tag, tagged) in found {
        map.serialize_entry(&**tag, &Tagged { address: &tagged.address, port: tagged.port })?;
    }
    map.end()
}
