//! The statistics in Prometheus's text format: one group a metric, as the format demands.

use std::fmt::Write;

use super::column::{COLUMNS, Column};
use super::info::{self, InfoField, Process};
use super::row::{Kind, Row, Subject};
use super::value::{Datum, Nature, Value};
use crate::model::{AdminState, OperState, Server};
use crate::stick::{Table, Tables};

/// Check results that a server can be in, in HAProxy's order.
const RESULTS: [&str; 16] = [
    "HANA", "SOCKERR", "L4OK", "L4TOUT", "L4CON", "L6OK", "L6TOUT", "L6RSP", "L7TOUT", "L7RSP", "L7OK",
    "L7OKC", "L7STS", "PROCERR", "PROCTOUT", "PROCOK",
];

const LISTENER_STATES: [&str; 3] = ["WAITING", "OPEN", "FULL"];

const SERVER_STATES: [&str; 5] = ["DOWN", "UP", "MAINT", "DRAIN", "NOLB"];

fn server_state(server: &Server) -> &'static str {
    let admin = server.live.admin();
    match server.live.oper() {
        _ if admin.intersects(AdminState::MAINT) => "MAINT",
        OperState::Stopped => "DOWN",
        OperState::Stopping => "NOLB",
        _ if admin.intersects(AdminState::DRAIN) => "DRAIN",
        _ => "UP",
    }
}

const COUNTERS: [&str; 2] = ["haproxy_process_failed_resolutions", "haproxy_process_total_warnings"];

/// Text that grows by metrics.
pub struct Exposition<'a> {
    pub text: String,
    wants: &'a dyn Fn(&str) -> bool,
    desc_labels: bool,
}

/// One metric while its samples are written.
struct Metric<'a> {
    name: String,
    help: &'a str,
    has_head: bool,
}

impl Metric<'_> {
    fn sample(&mut self, out: &mut String, labels: &[(&str, &str)], value: &str) {
        if !std::mem::replace(&mut self.has_head, true) {
            // Counters are told by their names, in Prometheus as in HAProxy's exporter, which has two of other names.
            let is_counter = self.name.ends_with("_total") || COUNTERS.contains(&&*self.name);
            let kind = if is_counter { "counter" } else { "gauge" };
            let _ = writeln!(out, "# HELP {0} {1}\n# TYPE {0} {kind}", self.name, self.help);
        }
        out.push_str(&self.name);
        for (i, (name, value)) in labels.iter().enumerate() {
            out.push(if i == 0 { '{' } else { ',' });
            let _ = write!(out, "{name}=\"{}\"", escape(value));
        }
        if !labels.is_empty() {
            out.push('}');
        }
        out.push(' ');
        out.push_str(value);
        out.push('\n');
    }
}

/// Quotes, backslashes and line ends in a label.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn number(datum: Option<&Datum<'_>>) -> String {
    match datum.map(|d| &d.value) {
        Some(Value::Float(n)) => format!("{n:.6}"),
        None | Some(Value::Text(_)) => "NaN".into(),
        Some(value) => {
            let mut text = String::new();
            value.write(&mut text);
            text
        }
    }
}

fn flag(is_it: bool) -> &'static str {
    if is_it { "1" } else { "0" }
}

impl<'a> Exposition<'a> {
    /// `wants`: which metrics, by full name.
    pub fn new(wants: &'a dyn Fn(&str) -> bool, desc_labels: bool) -> Self {
        Exposition { text: String::new(), wants, desc_labels }
    }

    /// `haproxy_process_*`.
    pub fn process(&mut self, process: &Process) {
        for InfoField { entry, metric, read } in info::FIELDS {
            let name = format!("haproxy_process_{metric}");
            if metric.is_empty() || !(self.wants)(&name) {
                continue;
            }
            let datum = read(process);
            let mut metric = Metric { name, help: entry.doc, has_head: false };
            let desc = process.description.as_deref();
            let mut labels: Vec<(&str, &str)> = Vec::new();
            match entry.name {
                "node" => labels.push(("node", &process.node)),
                "Build info" => labels.push(("version", &process.version)),
                "description" if desc.is_none() => continue,
                _ => {}
            }
            if let Some(desc) = desc.filter(|_| self.desc_labels || entry.name == "description") {
                labels.push(("desc", desc));
            }
            let value = match entry.name {
                "node" | "Build info" | "description" => "1".to_owned(),
                _ => number(datum.as_ref()),
            };
            metric.sample(&mut self.text, &labels, &value);
        }
    }

    /// `haproxy_sticktable_*`.
    pub fn tables(&mut self, tables: &Tables) {
        type Figure = fn(&Table) -> u32;
        let figures: [(&str, &str, Figure); 2] = [
            ("haproxy_sticktable_size", "Entries that a stick table has room for.", Table::size),
            ("haproxy_sticktable_used", "Entries in a stick table.", Table::used),
        ];
        for (name, help, figure) in figures.into_iter().filter(|(name, ..)| (self.wants)(name)) {
            let mut metric = Metric { name: name.to_owned(), help, has_head: false };
            for table in &tables.list {
                let labels = [("name", &*table.name), ("type", table.kind().name())];
                metric.sample(&mut self.text, &labels, &figure(table).to_string());
            }
        }
    }

    /// `haproxy_frontend_*` and so on, of the rows of a kind.
    pub fn rows(&mut self, kind: Kind, rows: &[Row<'_>]) {
        let mut columns = COLUMNS.iter().filter(|c| c.is_exported(kind)).peekable();
        while let Some(first) = columns.next() {
            let name = match (kind, first.entry.name) {
                (Kind::Server, "act") => "active",
                (Kind::Server, "bck") => "backup",
                _ => first.metric,
            };
            let name = format!("haproxy_{}_{name}", kind.names().2);
            let mut group = vec![first];
            // Columns of one metric stand together (`http_responses_total`).
            while let Some(next) = columns.next_if(|c| c.metric == first.metric) {
                group.push(next);
            }
            if !(self.wants)(&name) {
                continue;
            }
            let help = if first.help.is_empty() { first.entry.doc } else { first.help };
            let mut metric = Metric { name, help, has_head: false };
            for column in group {
                for row in rows.iter().filter(|r| r.kind() == kind) {
                    self.row(&mut metric, column, row);
                }
            }
        }
    }

    fn row(&mut self, metric: &mut Metric<'_>, column: &Column, row: &Row<'_>) {
        let mut labels: Vec<(&str, &str)> = vec![("proxy", &row.proxy.name)];
        if let Some(desc) = row.proxy.description.as_deref().filter(|_| self.desc_labels) {
            labels.push(("desc", desc));
        }
        if let Some(server) = row.server() {
            labels.push(("server", &server.spec.name));
        }
        let name = row.name();
        if row.kind() == Kind::Listener {
            labels.push(("listener", &name));
        }
        let mut states = |out: &mut String, all: &'static [&'static str], value: &dyn Fn(&str) -> String| {
            for state in all {
                labels.push(("state", state));
                metric.sample(out, &labels, &value(state));
                labels.pop();
            }
        };
        let out = &mut self.text;
        match (column.entry.name, row.subject) {
            ("status", Subject::Server(s)) => {
                states(out, &SERVER_STATES, &|state| flag(state == server_state(s)).into());
            }
            ("status", Subject::Listener(..)) => {
                let now = row.status();
                states(out, &LISTENER_STATES, &|state| flag(state == now).into());
            }
            ("status", _) => {
                let stopped = row.proxy.live.stopped.load(std::sync::atomic::Ordering::Relaxed);
                let is_up = if row.kind() == Kind::Backend { row.is_backend_up() } else { !stopped };
                states(out, &["DOWN", "UP"], &|state| flag((state == "UP") == is_up).into());
            }
            ("agg_server_status" | "agg_server_check_status", Subject::Back(_, set, _)) => {
                let count = |state: &str| set.list.iter().filter(|s| server_state(s) == state).count();
                if !set.list.is_empty() {
                    states(out, &SERVER_STATES, &|state| count(state).to_string());
                }
            }
            ("agg_check_status", Subject::Back(_, set, _)) => {
                let count = |code: &str| set.list.iter().filter(|s| result(s) == Some(code)).count();
                if !set.list.is_empty() {
                    states(out, &RESULTS, &|code| count(code).to_string());
                }
            }
            ("check_status", Subject::Server(s)) => {
                if let Some(now) = result(s) {
                    states(out, &RESULTS, &|code| flag(code == now).into());
                }
            }
            _ => {
                if let Some(value) = plain(column, row) {
                    if let Some(class) = column.entry.name.strip_prefix("hrsp_") {
                        labels.push(("code", class));
                    }
                    metric.sample(out, &labels, &value);
                }
            }
        }
    }
}

/// The result of a server's last check, if it is checked.
fn result(server: &Server) -> Option<&'static str> {
    let is_on = server.live.check_enabled.load(std::sync::atomic::Ordering::Relaxed);
    let is_paused = server.live.admin().intersects(AdminState::MAINT);
    (is_on && !is_paused).then(|| server.live.check.with(|check| check.status))
}

/// The value of a metric without states. `None` where HAProxy has no sample, `NaN` where it has no value.
fn plain(column: &Column, row: &Row<'_>) -> Option<String> {
    let datum = column.field(row);
    let is_http_only = matches!(
        column.entry.name,
        "hrsp_1xx"
            | "hrsp_2xx"
            | "hrsp_3xx"
            | "hrsp_4xx"
            | "hrsp_5xx"
            | "hrsp_other"
            | "req_tot"
            | "req_rate_max"
            | "intercepted"
            | "cache_lookups"
            | "cache_hits"
            | "comp_in"
            | "comp_out"
            | "comp_byp"
            | "comp_rsp"
    );
    match column.entry.name {
        _ if is_http_only && !row.is_http() => None,
        "check_code" if datum.is_none() => row.is_checked().then(|| "0".into()),
        "check_duration" if datum.is_none() => None,
        name if name.starts_with("agent_") => None,
        _ => Some(match &datum {
            // Milliseconds become seconds; ages and sums are seconds already.
            Some(Datum { value, nature: Nature::Average | Nature::Max | Nature::Duration, .. })
                if column.metric.ends_with("_seconds") =>
            {
                let ms = match value {
                    Value::U32(n) => f64::from(*n),
                    Value::U64(n) => *n as f64,
                    _ => return None,
                };
                format!("{:.6}", ms / 1000.0)
            }
            datum => number(datum.as_ref()),
        }),
    }
}
