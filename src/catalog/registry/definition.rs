//! Services and checks as clients define them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::request::{Call, Fault, Fields};
use crate::region::map::*;

/// Checks run no more often than that, in milliseconds.
const INTERVAL_LEAST_MS: u64 = 1_000;
/// A critical service is not deregistered sooner, in milliseconds.
const DEREGISTER_LEAST_MS: u64 = 60_000;
/// Of metadata: pairs, and bytes of key and value (as Consul has them).
const META: (usize, usize, usize) = (64, 128, 512);
/// The output of a check that is kept, in bytes.
const OUTPUT: usize = 4096;

pub fn health(text: &str) -> Result<Health, Fault> {
    match text {
        "passing" => Ok(Health::Passing),
        "warning" => Ok(Health::Warning),
        "critical" => Ok(Health::Critical),
        other => Err(Fault::bad_request(format!("Invalid check status: {other:?}"))),
    }
}

/// What a check said, no longer than is kept.
pub fn output(text: &str) -> Name {
    let mut end = text.len().min(OUTPUT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].into()
}

pub fn meta(fields: &Fields, name: &str) -> Result<Pairs, Fault> {
    let pairs = fields.pairs(name)?;
    let (count, key_len, value_len) = META;
    if pairs.len() > count {
        return Err(Fault::bad_request(format!("Invalid {name}: more than {count} pairs")));
    }
    for (key, value) in &pairs {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if key.is_empty() || key.len() > key_len || !key.chars().all(word) || value.len() > value_len {
            return Err(Fault::bad_request(format!(
                "Invalid {name}: {key:?} is no key, or its value is too long"
            )));
        }
    }
    Ok(pairs)
}

/// A service out of `Service` of the catalog or the body of an agent's registration, whose `name` differs.
pub fn instance(fields: &Fields, name: &str) -> Result<Instance, Fault> {
    let service = fields.text(name)?;
    if service.is_empty() {
        return Err(Fault::bad_request("Missing service name"));
    }
    let id = fields.text("ID")?;
    let address = fields.text("Address")?;
    if matches!(&*address, "0.0.0.0" | "::" | "[::]") {
        return Err(Fault::bad_request("Invalid service address"));
    }
    Ok(Instance {
        id: if id.is_empty() { service.clone() } else { id },
        service,
        kind: fields.text("Kind")?,
        tags: fields.texts("Tags")?.into(),
        address,
        port: fields.port("Port")?,
        tagged_addresses: fields.tagged_addresses("TaggedAddresses")?,
        meta: meta(fields, "Meta")?,
        weights: weights(fields)?,
        enable_tag_override: fields.flag("EnableTagOverride")?,
        ..Instance::default()
    })
}

fn weights(fields: &Fields) -> Result<Weights, Fault> {
    let Some(given) = fields.object("Weights")? else { return Ok(Weights::default()) };
    let weight = |name: &str, least: u64| match given.number(name)?.unwrap_or(1) {
        n if n >= least && n <= 65_535 => Ok(n as u32),
        n => Err(Fault::bad_request(format!("Invalid Weights.{name}: {n}"))),
    };
    Ok(Weights { passing: weight("Passing", 1)?, warning: weight("Warning", 0)? })
}

/// The checks of a service's registration: `Check`, and each of `Checks`.
pub fn checks_of(call: &Call, fields: &Fields, instance: &Instance) -> Result<Vec<Check>, Fault> {
    let mut given = fields.objects("Checks")?;
    given.splice(0..0, fields.object("Check")?);
    given.retain(|fields| !is_empty(fields));
    let several = given.len() > 1;
    let mut out = Vec::with_capacity(given.len());
    for (n, fields) in given.iter().enumerate() {
        let mut one = check(call, fields)?;
        if one.id.is_empty() {
            one.id = match several {
                true => format!("service:{}:{}", instance.id, n + 1).into(),
                false => format!("service:{}", instance.id).into(),
            };
        }
        if one.name.is_empty() {
            one.name = format!("Service '{}' check", instance.service).into();
        }
        one.service_id = instance.id.clone();
        out.push(one);
    }
    Ok(out)
}

fn is_empty(fields: &Fields) -> bool {
    KINDS.iter().all(|name| !fields.has(name))
}

/// What says how a check is run.
const KINDS: [&str; 12] = [
    "TTL",
    "HTTP",
    "TCP",
    "UDP",
    "GRPC",
    "Args",
    "ScriptArgs",
    "Script",
    "AliasNode",
    "AliasService",
    "H2PING",
    "DockerContainerID",
];

/// A check that this node's agent is to run. Its id may be empty.
pub fn check(call: &Call, fields: &Fields) -> Result<Check, Fault> {
    let status = fields.text("Status")?;
    let id = match fields.text("CheckID")? {
        id if id.is_empty() => fields.text("ID")?,
        id => id,
    };
    Ok(Check {
        id,
        name: fields.text("Name")?,
        status: if status.is_empty() { Health::Critical } else { health(&status)? },
        notes: fields.text("Notes")?,
        output: output(&fields.text("Output")?),
        service_id: fields.text("ServiceID")?,
        definition: Some(Arc::new(definition(call, fields)?)),
        ..Check::default()
    })
}

/// How a check is run, if that is said.
pub fn optional(call: &Call, fields: &Fields) -> Result<Option<Arc<Definition>>, Fault> {
    if is_empty(fields) { Ok(None) } else { Ok(Some(Arc::new(definition(call, fields)?))) }
}

fn definition(call: &Call, fields: &Fields) -> Result<Definition, Fault> {
    let probe = probe(call, fields)?;
    let interval = fields.millis("Interval")?.unwrap_or(0);
    let scheduled = !matches!(probe, Probe::Ttl { .. } | Probe::Alias { .. } | Probe::None);
    if scheduled && interval == 0 {
        let text = "Interval must be > 0 for Script, HTTP, TCP, UDP or gRPC checks";
        return Err(Fault::bad_request(format!("Invalid check: {text}")));
    }
    let deregister = fields.millis("DeregisterCriticalServiceAfter")?.unwrap_or(0);
    let warning = fields.small("FailuresBeforeWarning")?;
    let critical = fields.small("FailuresBeforeCritical")?;
    if warning > critical && critical > 0 {
        return Err(Fault::bad_request(
            "Invalid check: FailuresBeforeWarning is above \
                                       FailuresBeforeCritical",
        ));
    }
    Ok(Definition {
        probe,
        interval_ms: if scheduled { interval.max(INTERVAL_LEAST_MS) } else { 0 },
        timeout_ms: fields.millis("Timeout")?.unwrap_or(0),
        deregister_after_ms: if deregister == 0 { 0 } else { deregister.max(DEREGISTER_LEAST_MS) },
        success_before_passing: fields.small("SuccessBeforePassing")?,
        failures_before_warning: warning,
        failures_before_critical: critical,
    })
}

fn probe(call: &Call, fields: &Fields) -> Result<Probe, Fault> {
    for (name, what) in
        [("H2PING", "HTTP/2 ping"), ("DockerContainerID", "Docker"), ("OSService", "OS service")]
    {
        if fields.value(name).is_some_and(|v| v.as_str().is_none_or(|text| !text.is_empty())) {
            return Err(Fault::bad_request(format!("Invalid check: {what} checks are not supported")));
        }
    }
    if let Some(ms) = fields.millis("TTL")? {
        return if ms > 0 {
            Ok(Probe::Ttl { ms })
        } else {
            Err(Fault::bad_request("Invalid check: TTL must be > 0"))
        };
    }
    let [http, tcp, udp, grpc] = ["HTTP", "TCP", "UDP", "GRPC"].map(|name| fields.text(name));
    let (http, tcp, udp, grpc) = (http?, tcp?, udp?, grpc?);
    let skip_verify = fields.flag("TLSSkipVerify")?;
    if !http.is_empty() {
        let method = fields.text("Method")?;
        return Ok(Probe::Http {
            url: http,
            method: if method.is_empty() { "GET".into() } else { method },
            header: headers(fields)?,
            body: fields.text("Body")?,
            skip_verify,
            no_redirects: fields.flag("DisableRedirects")?,
        });
    }
    if !tcp.is_empty() {
        return Ok(Probe::Tcp { address: tcp, tls: fields.flag("TCPUseTLS")? });
    }
    if !udp.is_empty() {
        return Ok(Probe::Udp { address: udp });
    }
    if !grpc.is_empty() {
        return Ok(Probe::Grpc { address: grpc, tls: fields.flag("GRPCUseTLS")?, skip_verify });
    }
    let args = script(fields)?;
    if !args.is_empty() {
        let off = "Scripts are disabled on this agent; to enable, configure 'enable_script_checks' or \
                   'enable_local_script_checks' to true";
        return if call.api.settings.script_checks {
            Ok(Probe::Script { args })
        } else {
            Err(Fault::bad_request(off))
        };
    }
    let (node, service_id) = (fields.text("AliasNode")?, fields.text("AliasService")?);
    if !node.is_empty() || !service_id.is_empty() {
        let node = if node.is_empty() { call.api.settings.node_name.clone() } else { node };
        return Ok(Probe::Alias { node, service_id });
    }
    Err(Fault::bad_request("Invalid check: it has none of TTL, HTTP, TCP, UDP, GRPC, Args, AliasService"))
}

fn script(fields: &Fields) -> Result<Vec<Name>, Fault> {
    for name in ["Args", "ScriptArgs"] {
        let args = fields.texts(name)?;
        if !args.is_empty() {
            return Ok(args);
        }
    }
    let script = fields.text("Script")?;
    Ok(if script.is_empty() { Vec::new() } else { vec!["sh".into(), "-c".into(), script] })
}

fn headers(fields: &Fields) -> Result<BTreeMap<Name, Vec<Name>>, Fault> {
    let Some(value) = fields.value("Header") else { return Ok(BTreeMap::new()) };
    let wrong = || Fault::bad_request("Request decode failed: Header must be an object of lists of strings");
    let mut out = BTreeMap::new();
    for (name, values) in value.as_object().ok_or_else(wrong)? {
        let text = |v: &serde_json::Value| v.as_str().map(Name::from).ok_or_else(wrong);
        let values: Result<Vec<Name>, Fault> =
            values.as_array().ok_or_else(wrong)?.iter().map(text).collect();
        out.insert(name.as_str().into(), values?);
    }
    Ok(out)
}
