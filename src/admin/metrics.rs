//! `http-request use-service prometheus-exporter`: the statistics in Prometheus's text format, under the names of
//! HAProxy's exporter, and Isobar's own metrics (`isobar_*`) after them.

use std::fmt::Write;
use std::sync::PoisonError;

use metrics_exporter_prometheus::PrometheusHandle;
use percent_encoding::percent_decode;

use crate::config::Config;
use crate::lang::Entry;
use crate::model::applet::{Applet, AppletBody, AppletReply, AppletRequest};
use crate::vip::agent::{InstanceStatus, Status};
use crate::vip::machine::State;

use super::control::{Control, Found, not_yet, process, snapshot};
use super::stat::exposition::Exposition;
use super::stat::{Kind, Show};

pub const ENTRY: Entry = Entry::full(
    "prometheus-exporter",
    "",
    "Statistics in Prometheus's format.",
    "http-request use-service prometheus-exporter if { path /metrics }",
    "2.0",
);

/// The service.
pub struct Metrics {
    found: Found,
    own: Option<PrometheusHandle>,
}

impl Metrics {
    /// `own`: the recorder of `isobar_*`, if one is installed.
    pub fn new(found: Found, own: Option<PrometheusHandle>) -> Metrics {
        Metrics { found, own }
    }
}

/// What a scrape asks for in its query string.
#[derive(Clone, Debug, PartialEq)]
struct Query {
    global: bool,
    kinds: Vec<Kind>,
    tables: bool,
    own: bool,
    /// `metrics=`: names wanted, and names not wanted.
    include: Vec<String>,
    exclude: Vec<String>,
    no_maint: bool,
    desc_labels: bool,
}

impl Default for Query {
    fn default() -> Self {
        Query {
            global: true,
            kinds: vec![Kind::Frontend, Kind::Listener, Kind::Backend, Kind::Server],
            tables: true,
            own: true,
            include: Vec::new(),
            exclude: Vec::new(),
            no_maint: false,
            desc_labels: false,
        }
    }
}

impl Query {
    /// `None` for a query that makes no sense.
    fn parse(target: &[u8]) -> Option<Query> {
        let mut query = Query::default();
        let Some(mark) = memchr::memchr(b'?', target) else { return Some(query) };
        let text = target[mark + 1..].split(|b| *b == b'#').next().unwrap_or_default();
        let mut has_scope = false;
        for pair in text.split(|b| *b == b'&').filter(|p| !p.is_empty()) {
            let mut parts = pair.splitn(2, |b| *b == b'=');
            let name = decode(parts.next().unwrap_or_default())?;
            let value = parts.next().map(decode);
            match (name.as_str(), value) {
                (_, Some(None)) => return None,
                ("scope", Some(Some(scope))) => {
                    if !std::mem::replace(&mut has_scope, true) {
                        query.scopes(false);
                    }
                    query.scope(&scope)?;
                }
                ("metrics", Some(Some(list))) => {
                    for name in list.split(',').filter(|n| !n.is_empty() && *n != "-") {
                        match name.strip_prefix('-') {
                            Some(name) => query.exclude.push(name.to_owned()),
                            None => query.include.push(name.to_owned()),
                        }
                    }
                }
                ("scope" | "metrics", None) => return None,
                ("no-maint", _) => query.no_maint = true,
                ("desc-labels", _) => query.desc_labels = true,
                _ => {}
            }
        }
        Some(query)
    }

    fn scopes(&mut self, all: bool) {
        self.global = all;
        self.own = all;
        self.tables = all;
        self.kinds = if all { Query::default().kinds } else { Vec::new() };
    }

    fn scope(&mut self, name: &str) -> Option<()> {
        match name {
            "" => self.scopes(false),
            "*" => self.scopes(true),
            "global" => self.global = true,
            "frontend" => self.kinds.push(Kind::Frontend),
            "listener" => self.kinds.push(Kind::Listener),
            "backend" => self.kinds.push(Kind::Backend),
            "server" => self.kinds.push(Kind::Server),
            "isobar" => self.own = true,
            "sticktable" => self.tables = true,
            // A scope of HAProxy's that has nothing to tell here.
            "resolver" => {}
            _ => return None,
        }
        Some(())
    }

    fn wants(&self, name: &str) -> bool {
        !self.exclude.iter().any(|n| n == name)
            && (self.include.is_empty() || self.include.iter().any(|n| n == name))
    }
}

fn decode(bytes: &[u8]) -> Option<String> {
    let plus: Vec<u8> = bytes.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    percent_decode(&plus).decode_utf8().ok().map(|s| s.into_owned())
}

impl Metrics {
    fn render(&self, control: &dyn Control, query: &Query) -> String {
        let wants = |name: &str| query.wants(name);
        let mut out = Exposition::new(&wants, query.desc_labels);
        if query.global {
            out.process(&process(control));
        }
        let show = Show { hide_maint: query.no_maint, ..Show::default() };
        let snapshot = snapshot(control, show);
        let rows: Vec<_> = snapshot.rows().collect();
        for kind in [Kind::Frontend, Kind::Listener, Kind::Backend, Kind::Server] {
            if query.kinds.contains(&kind) {
                out.rows(kind, &rows);
            }
        }
        if query.tables {
            out.tables(&control.config().tables);
        }
        let mut text = out.text;
        if query.own {
            text.push_str(&routers(&control.vips(), &wants));
            text.push_str(&certificates(&control.config(), &wants));
        }
        if let (true, Some(own)) = (query.own && query.include.is_empty(), &self.own) {
            let _ = write!(text, "{}", own.render());
        }
        text
    }
}

/// A metric of virtual routers: name, type, help, and its labels and value for each.
type Figure = (&'static str, &'static str, &'static str, fn(&InstanceStatus) -> Vec<(String, u64)>);

const STATES: [State; 5] = [State::Init, State::Backup, State::Master, State::Fault, State::Stopped];

fn alone(value: u64) -> Vec<(String, u64)> {
    vec![(String::new(), value)]
}

const ROUTERS: &[Figure] = &[
    ("isobar_vip_state", "gauge", "1 for the state that a virtual router is in.", |one| {
        STATES.map(|state| (format!(",state=\"{}\"", state.name()), u64::from(state == one.state))).to_vec()
    }),
    ("isobar_vip_priority", "gauge", "Priority, with what trackers make of it.", |one| {
        alone(one.effective_priority.into())
    }),
    ("isobar_vip_addresses_held", "gauge", "Addresses of it that are on this node.", |one| {
        alone(one.held.len() as u64)
    }),
    ("isobar_vip_transitions_total", "counter", "Times that it became master, and was no more.", |one| {
        let counters = &one.counters;
        let to = |word: &str, n| (format!(",to=\"{word}\""), n);
        vec![to("master", counters.became_master), to("other", counters.released_master)]
    }),
    (
        "isobar_vip_adverts_total",
        "counter",
        "Adverts sent, received, and dropped for what they said.",
        |one| {
            let counters = &one.counters;
            let of = |word: &str, n| (format!(",kind=\"{word}\""), n);
            vec![
                of("sent", counters.sent),
                of("received", counters.received),
                of("dropped", counters.dropped),
            ]
        },
    ),
    ("isobar_vip_last_transition_seconds", "gauge", "When it entered its state, since 1970.", |one| {
        alone(one.since.as_secs())
    }),
    ("isobar_vip_last_cause_info", "gauge", "Why it entered its state.", |one| {
        vec![(format!(",cause=\"{}\"", escaped(&one.cause)), 1)]
    }),
];

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn routers(status: &Status, wants: &dyn Fn(&str) -> bool) -> String {
    let mut out = String::new();
    if status.instances.is_empty() {
        return out;
    }
    for (name, kind, help, values) in ROUTERS.iter().filter(|(name, ..)| wants(name)) {
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for one in &status.instances {
            let (router, interface) = (escaped(&one.name), escaped(&one.interface));
            for (labels, value) in values(one) {
                let labels = format!("name=\"{router}\",interface=\"{interface}\"{labels}");
                let _ = writeln!(out, "{name}{{{labels}}} {value}");
            }
        }
    }
    out
}

/// When each certificate that was read ends.
fn certificates(config: &Config, wants: &dyn Fn(&str) -> bool) -> String {
    const NAME: &str = "isobar_certificate_not_after_seconds";
    let live = config.tls.lock().unwrap_or_else(PoisonError::into_inner);
    let mut all = live.materials().peekable();
    if all.peek().is_none() || !wants(NAME) {
        return String::new();
    }
    let help = "When a certificate ends, since 1970.";
    all.fold(format!("# HELP {NAME} {help}\n# TYPE {NAME} gauge\n"), |text, of| {
        let (file, until) = (escaped(&of.name), of.certified.until.as_secs());
        text + &format!("{NAME}{{file=\"{file}\"}} {until}\n")
    })
}

impl Applet for Metrics {
    fn log_name(&self) -> &'static str {
        "<PROMEX>"
    }

    fn call(&self, request: &AppletRequest<'_>) -> AppletReply {
        let Some(query) = Query::parse(request.target) else {
            return AppletReply {
                status: 400,
                headers: vec![
                    ("cache-control".into(), "no-cache".into()),
                    ("content-type".into(), "text/plain".into()),
                ],
                body: AppletBody::Bytes("Bad scope or metrics in the query string.\n".into()),
                delay_ms: 0,
                close: true,
            };
        };
        let Some(control) = (self.found)() else { return not_yet() };
        let body = match request.method {
            b"HEAD" => AppletBody::None,
            _ => AppletBody::Bytes(self.render(&*control, &query).into()),
        };
        AppletReply {
            status: 200,
            headers: vec![
                ("cache-control".into(), "no-cache".into()),
                ("content-type".into(), "text/plain; version=0.0.4".into()),
            ],
            body,
            delay_ms: 0,
            close: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::testing::{Fake, RECORDED};
    use crate::model::{CheckState, Took};
    use std::collections::BTreeSet;

    fn scrape(target: &str) -> AppletReply {
        let fake = Fake::new(RECORDED);
        let back = fake.config.proxies[1].back.as_ref().expect("be");
        let check = CheckState { status: "L4CON", took: Took::new(Some(7)), ..CheckState::default() };
        back.servers.with(|set| set.list[0].live.check.store(check.into()));
        let metrics = Metrics::new(fake.found(), None);
        let target = target.as_bytes();
        metrics.call(&AppletRequest {
            method: b"GET",
            target,
            body: b"",
            is_whole: true,
            header: &|_| None,
            proxy: "fe",
            is_admin: false,
        })
    }

    fn text(target: &str) -> String {
        match scrape(target).body {
            AppletBody::Bytes(bytes) => String::from_utf8(bytes.to_vec()).expect("text"),
            body => panic!("{body:?}"),
        }
    }

    #[test]
    fn stick_tables_have_metrics() {
        use crate::config::compile::testing::build_text;
        let text = "backend be\n timeout server 1s\n timeout connect 1s\n stick-table type ip size 100\n";
        let config = build_text(text).0.expect("a configuration").config;
        let wants = |_: &str| true;
        let mut out = Exposition::new(&wants, false);
        out.tables(&config.tables);
        assert!(out.text.contains("haproxy_sticktable_size{name=\"be\",type=\"ip\"} 100\n"), "{}", out.text);
        assert!(out.text.contains("haproxy_sticktable_used{name=\"be\",type=\"ip\"} 0\n"), "{}", out.text);
        assert!(self::text("/metrics?scope=sticktable").is_empty(), "there is none");
    }

    #[test]
    fn virtual_routers_have_metrics() {
        let one = InstanceStatus {
            name: "VI_1".into(),
            interface: "eth0".into(),
            vrid: 51,
            state: State::Master,
            priority: 100,
            effective_priority: 120,
            version: 2,
            interval: std::time::Duration::from_secs(1),
            tracks: Vec::new(),
            held: vec!["10.0.0.1".parse().expect("an address")],
            addresses: vec!["10.0.0.1".parse().expect("an address")],
            since: std::time::Duration::from_secs(7),
            cause: "a \"cause\"".into(),
            master: None,
            counters: crate::vip::agent::Counters { sent: 3, became_master: 2, ..Default::default() },
        };
        let status = Status { instances: vec![one] };
        let shown = routers(&status, &|_| true);
        for line in [
            "isobar_vip_state{name=\"VI_1\",interface=\"eth0\",state=\"MASTER\"} 1",
            "isobar_vip_state{name=\"VI_1\",interface=\"eth0\",state=\"BACKUP\"} 0",
            "isobar_vip_priority{name=\"VI_1\",interface=\"eth0\"} 120",
            "isobar_vip_transitions_total{name=\"VI_1\",interface=\"eth0\",to=\"master\"} 2",
            "isobar_vip_adverts_total{name=\"VI_1\",interface=\"eth0\",kind=\"sent\"} 3",
            "isobar_vip_last_cause_info{name=\"VI_1\",interface=\"eth0\",cause=\"a \\\"cause\\\"\"} 1",
        ] {
            assert!(shown.lines().any(|found| found == line), "{line} is not in\n{shown}");
        }
        assert_eq!(routers(&status, &|_| false), "");
    }

    #[test]
    fn every_line_of_haproxys_exporter_is_there() {
        let ours = text("/metrics");
        let keys: BTreeSet<&str> = ours.lines().filter_map(|l| l.rsplit_once(' ')).map(|(k, _)| k).collect();
        let types: BTreeSet<&str> = ours.lines().filter(|l| l.starts_with("# TYPE")).collect();
        for line in include_str!("golden/metrics.txt").lines() {
            if line.starts_with("# TYPE") {
                assert!(types.contains(line), "{line}");
            } else {
                assert!(keys.contains(line), "{line}");
            }
        }
    }

    #[test]
    fn metrics_are_grouped_and_described_once() {
        let ours = text("/metrics");
        let mut seen = BTreeSet::new();
        let mut last = String::new();
        for line in ours.lines() {
            let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
            let name = name.split(['{', ' ']).next().expect("a name");
            if name != last {
                assert!(seen.insert(name.to_owned()), "{name} comes twice");
                last = name.to_owned();
            }
            if let Some(help) = line.strip_prefix("# HELP ") {
                assert!(help.split_once(' ').is_some_and(|(_, text)| !text.is_empty()), "{line}");
            }
        }
        assert!(ours.contains("\nhaproxy_process_node{node=\"testnode\"} 1\n"));
        assert!(ours.contains("\nhaproxy_process_build_info{version=\"3.4.0\"} 1\n"));
        assert!(ours.contains("\nhaproxy_server_status{proxy=\"be\",server=\"s3\",state=\"MAINT\"} 1\n"));
        assert!(ours.contains("\nhaproxy_backend_agg_server_status{proxy=\"be\",state=\"MAINT\"} 1\n"));
        let checked = "haproxy_server_check_duration_seconds{proxy=\"be\",server=\"s1\"} 0.007000";
        assert!(ours.contains(checked));
        assert!(ours.contains("\nhaproxy_backend_total_time_average_seconds{proxy=\"be\"} 0.000000\n"));
    }

    #[test]
    fn a_query_chooses() {
        assert!(text("/metrics?scope=").is_empty());
        let servers = text("/metrics?scope=server&no-maint");
        assert!(servers.lines().all(|l| l.contains("haproxy_server_")));
        assert!(!servers.contains("server=\"s3\""));
        assert!(text("/metrics?scope=*&scope=&scope=global").contains("haproxy_process_nbthread"));
        let one = text("/metrics?metrics=haproxy_frontend_sessions_total,-haproxy_process_jobs");
        assert_eq!(one.lines().count(), 4);
        assert!(!text("/metrics?metrics=-haproxy_process_jobs").contains("haproxy_process_jobs"));
        assert_eq!(scrape("/metrics?scope=nope").status, 400);
        assert_eq!(scrape("/metrics?scope").status, 400);
        assert_eq!(scrape("/metrics?scope=%ff").status, 400);
    }
}
