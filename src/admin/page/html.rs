//! The page as HTML: one table a proxy, from the columns of the statistics. Works without scripts and with the
//! keyboard alone; states are words first and colours second.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::action::{ACTIONS, Outcome};
use super::applet::Options;
use crate::admin::stat::column::{COLUMNS, Column};
use crate::admin::stat::value::{Datum, Value};
use crate::admin::stat::{Kind, Process, Row, Snapshot};
use crate::base::clock;
use crate::config::Proxy;
use crate::config::proxy::StatsSpec;
use crate::model::ServerSet;
use crate::vip::agent::{InstanceStatus, Status};
use crate::vip::machine::State;

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8886;--head:#8882;--up:#2a7d3a;--warn:#a06a00;--down:#b3261e;--off:#6750a4}
body{font:14px/1.4 system-ui,sans-serif;margin:1rem}
h1{font-size:1.3rem;margin:0}h2{font-size:1.1rem;margin:1.5rem 0 .3rem}
table{border-collapse:collapse;font-size:12px;width:100%}
th,td{border:1px solid var(--line);padding:2px 5px;text-align:right;white-space:nowrap}
thead th{background:var(--head);text-align:center}
tbody th{text-align:left;font-weight:600}
tr.frontend,tr.backend{background:var(--head)}
td.state{text-align:left;font-weight:600}
tr.up td.state{color:var(--up)}tr.warn td.state{color:var(--warn)}
tr.down td.state{color:var(--down)}tr.off td.state{color:var(--off)}
.scroll{overflow-x:auto}
details{font-weight:400}summary{cursor:pointer}
dl{display:grid;grid-template-columns:auto auto;gap:0 .8em;margin:.3em 0;font-weight:400}dd{margin:0;text-align:right}
.told{border-left:4px solid var(--warn);padding:.3em .8em}
nav a,nav form{margin-right:1em;display:inline-block}
";

/// Groups of columns, as operators know them: heading, then label and column.
const GROUPS: &[(&str, &[(&str, &str)])] = &[
    ("Queue", &[("Cur", "qcur"), ("Max", "qmax"), ("Limit", "qlimit")]),
    ("Session rate", &[("Cur", "rate"), ("Max", "rate_max"), ("Limit", "rate_lim")]),
    (
        "Sessions",
        &[
            ("Cur", "scur"),
            ("Max", "smax"),
            ("Limit", "slim"),
            ("Total", "stot"),
            ("LbTot", "lbtot"),
            ("Last", "lastsess"),
        ],
    ),
    ("Bytes", &[("In", "bin"), ("Out", "bout")]),
    ("Denied", &[("Req", "dreq"), ("Resp", "dresp")]),
    ("Errors", &[("Req", "ereq"), ("Conn", "econ"), ("Resp", "eresp")]),
    ("Warnings", &[("Retr", "wretr"), ("Redis", "wredis")]),
    (
        "Server",
        &[
            ("Status", "status"),
            ("LastChk", "check_status"),
            ("Wght", "weight"),
            ("Act", "act"),
            ("Bck", "bck"),
            ("Chk", "chkfail"),
            ("Dwn", "chkdown"),
            ("Dwntme", "downtime"),
            ("Thrtle", "throttle"),
        ],
    ),
];

/// What a row shows when it is opened.
const DETAILS: &[(&str, &str)] = &[
    ("Requests", "req_tot"),
    ("Requests a second", "req_rate"),
    ("1xx", "hrsp_1xx"),
    ("2xx", "hrsp_2xx"),
    ("3xx", "hrsp_3xx"),
    ("4xx", "hrsp_4xx"),
    ("5xx", "hrsp_5xx"),
    ("Other", "hrsp_other"),
    ("Answered here", "intercepted"),
    ("Connections", "conn_tot"),
    ("To servers", "connect"),
    ("Reused", "reuse"),
    ("Idle", "srv_icur"),
    ("Client aborts", "cli_abrt"),
    ("Server aborts", "srv_abrt"),
    ("Queue, ms", "qtime"),
    ("Connect, ms", "ctime"),
    ("Response, ms", "rtime"),
    ("Total, ms", "ttime"),
    ("Last check", "last_chk"),
    ("Address", "addr"),
    ("Cookie", "cookie"),
    ("Algorithm", "algo"),
];

fn column(name: &str) -> Option<&'static Column> {
    COLUMNS.iter().find(|c| c.entry.name == name)
}

/// Everything that a page is made of.
pub struct Page<'a> {
    pub snapshot: &'a Snapshot,
    pub process: &'a Process,
    pub spec: &'a StatsSpec,
    pub options: &'a Options,
    pub is_admin: bool,
    pub vips: &'a Status,
}

/// The columns of the tables, looked up once a page.
struct Columns {
    cells: Vec<(&'static str, &'static Column)>,
    details: Vec<(&'static str, &'static Column)>,
}

fn text(column: &Column, row: &Row<'_>) -> Option<String> {
    let Datum { value, .. } = column.field(row)?;
    let mut text = String::new();
    match (column.entry.name, &value) {
        ("lastsess", Value::S32(n)) if *n < 0 => text.push('-'),
        ("lastsess" | "downtime", Value::S32(_) | Value::U32(_)) => {
            value.write(&mut text);
            let seconds = text.parse().unwrap_or(0);
            text = ago(seconds);
        }
        _ => value.write(&mut text),
    }
    Some(text)
}

/// `3d2h`, `5m10s`: the two largest units.
fn ago(seconds: u64) -> String {
    let (d, h, m, s) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{s}s"),
        (0, 0, _) => format!("{m}m{s}s"),
        (0, ..) => format!("{h}h{m}m"),
        _ => format!("{d}d{h}h"),
    }
}

/// The class of a row, by its state.
fn class(row: &Row<'_>) -> &'static str {
    let status = row.status();
    match row.kind() {
        Kind::Frontend => "frontend",
        Kind::Listener => "listener",
        Kind::Backend if status.starts_with("DOWN") => "backend down",
        Kind::Backend => "backend up",
        Kind::Server => match status.split(' ').next().unwrap_or_default() {
            "UP" if status.contains('/') => "warn",
            "DOWN" if status.contains('/') => "warn",
            "UP" => "up",
            "DOWN" => "down",
            "no" => "none",
            _ => "off",
        },
    }
}

impl Page<'_> {
    pub fn render(&self) -> String {
        let find = |list: &[(&'static str, &str)]| {
            let found = list.iter().filter_map(|(label, name)| Some((*label, column(name)?)));
            found.collect::<Vec<_>>()
        };
        let columns = Columns {
            cells: GROUPS.iter().flat_map(|(_, list)| find(list)).collect(),
            details: find(DETAILS),
        };
        let markup = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width";
                    title { "Statistics" @if let Some(node) = self.node() { " of " (node) } }
                    link rel="icon" href="data:,";
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    (self.head())
                    @if !self.vips.instances.is_empty() { (self.routers()) }
                    @for (proxy, set) in self.snapshot.proxies() { (self.proxy(proxy, set, &columns)) }
                }
            }
        };
        markup.into_string()
    }

    fn node(&self) -> Option<&str> {
        self.spec.show_node.as_deref().map(|n| if n.is_empty() { &self.process.node } else { n })
    }

    fn link(&self, extra: &str, change: impl FnOnce(&mut Options)) -> String {
        format!("{}{extra}{}", String::from_utf8_lossy(&self.spec.uri), self.options.suffix(change))
    }

    fn head(&self) -> Markup {
        let p = self.process;
        let seconds = p.uptime_us / 1_000_000;
        html! {
            header {
                h1 { "Isobar" @if !self.spec.hide_version { " (HAProxy " (p.version) ")" } }
                p {
                    "Statistics of process " (p.pid)
                    @if let Some(node) = self.node() { " on " (node) }
                    @if let Some(desc) = &self.spec.show_desc {
                        ": " (if desc.is_empty() { p.description.as_deref().unwrap_or("") } else { desc })
                    }
                }
                p {
                    "Up for " (ago(seconds)) ", " (p.nbthread) " threads. "
                    (p.curr_conns) " of " (p.maxconn) " connections, " (p.conn_rate) " new a second, "
                    (p.cum_req) " requests so far; " (p.idle_pct) " % idle."
                }
            }
            @if let Some(outcome) = self.options.outcome { (self.told(outcome)) }
            nav aria-label="Display" {
                form method="get" action=(String::from_utf8_lossy(&self.spec.uri)) {
                    label { "Proxy " input name="scope" size="12" maxlength="20" value=(self.options.search); }
                }
                @if self.options.hide_down {
                    a href=(self.link("", |o| o.hide_down = false)) { "Show all servers" }
                } @else {
                    a href=(self.link("", |o| o.hide_down = true)) { "Hide servers that are down" }
                }
                @if self.spec.refresh_s.is_some() {
                    @if self.options.no_refresh {
                        a href=(self.link("", |o| o.no_refresh = false)) { "Refresh automatically" }
                    } @else {
                        a href=(self.link("", |o| o.no_refresh = true)) { "Stop refreshing" }
                    }
                }
                a href=(self.link("", |_| {})) { "Refresh" }
                a href=(self.link(";csv", |o| o.no_refresh = true)) { "CSV" }
                a href=(self.link(";json", |o| o.no_refresh = true)) { "JSON" }
            }
        }
    }

    /// Which addresses that move are here, since when and why.
    fn routers(&self) -> Markup {
        let now = clock::wall();
        let list = |one: &InstanceStatus| {
            let held: Vec<_> = one.held.iter().map(ToString::to_string).collect();
            if held.is_empty() { "none".to_owned() } else { held.join(", ") }
        };
        html! {
            section {
                h2 { "Virtual routers" }
                div.scroll {
                    table {
                        thead {
                            tr {
                                @for head in ["Name", "State", "Priority", "Interface", "Holds", "For", "Why", "Master"] {
                                    th scope="col" { (head) }
                                }
                            }
                        }
                        tbody {
                            @for one in &self.vips.instances {
                                tr class=(if one.state == State::Fault { "down" } else if one.state == State::Master { "up" } else { "off" }) {
                                    th scope="row" { (one.name) }
                                    td.state { (one.state.name()) }
                                    td { (one.effective_priority) }
                                    td { (one.interface) }
                                    td { (list(one)) }
                                    td { (ago(now.saturating_sub(one.since).as_secs())) }
                                    td { (one.cause) }
                                    td { (one.master.map_or("-".to_owned(), |(address, _)| address.to_string())) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn told(&self, outcome: Outcome) -> Markup {
        html! {
            p.told role="status" {
                (outcome.text()) " "
                a href=(self.link("", |_| {})) { "OK" }
            }
        }
    }

    fn proxy(&self, proxy: &Proxy, set: Option<&ServerSet>, columns: &Columns) -> Markup {
        let rows = self.snapshot.rows_of(proxy, set);
        let has_form = self.is_admin && rows.iter().any(|r| r.kind() == Kind::Server);
        let table = html! {
            div.scroll {
                table {
                    thead {
                        tr {
                            @if has_form { th rowspan="2" { "Choose" } }
                            th rowspan="2" { "Name" }
                            @for (group, list) in GROUPS { th colspan=(list.len()) { (group) } }
                        }
                        tr {
                            @for (label, column) in &columns.cells {
                                th scope="col" title=(column.entry.doc) { (label) }
                            }
                        }
                    }
                    tbody { @for row in &rows { (self.row(row, has_form, columns)) } }
                }
            }
        };
        html! {
            section {
                h2 id=(proxy.name) {
                    a href={ "#" (proxy.name) } { (proxy.name) }
                    @if let Some(description) = &proxy.description { " – " (description) }
                }
                @if has_form {
                    form method="post" {
                        (table)
                        p {
                            label { "With the chosen servers: "
                                select name="action" {
                                    option value="" {}
                                    @for action in ACTIONS { option value=(action.name) { (action.label) } }
                                }
                            }
                            input type="hidden" name="b" value={ "#" (proxy.uid) };
                            " " button { "Apply" }
                        }
                    }
                } @else { (table) }
            }
        }
    }

    fn row(&self, row: &Row<'_>, has_form: bool, columns: &Columns) -> Markup {
        let name = match row.kind() {
            Kind::Frontend => "Frontend".into(),
            Kind::Backend => "Backend".into(),
            Kind::Server | Kind::Listener => row.name(),
        };
        html! {
            tr class=(class(row)) {
                @if has_form {
                    td {
                        @if row.kind() == Kind::Server {
                            input type="checkbox" name="s" value=(name) aria-label={ "choose " (name) };
                        }
                    }
                }
                th scope="row" id={ (row.proxy.name) "/" (name) } {
                    details {
                        summary { (name) }
                        dl {
                            @for (label, column) in &columns.details {
                                @if let Some(text) = text(column, row).filter(|t| !t.is_empty()) {
                                    dt { (label) } dd { (text) }
                                }
                            }
                        }
                    }
                }
                @for (_, column) in &columns.cells {
                    td class=[(column.entry.name == "status").then_some("state")] {
                        (text(column, row).unwrap_or_default())
                    }
                }
            }
        }
    }
}
