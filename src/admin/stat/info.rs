//! `show info`: the process in HAProxy's field names and order, also exported as `haproxy_process_*`.

use std::sync::atomic::Ordering;

use crate::config::Config;
use crate::lang::Entry;
use crate::lang::entry::Status;
use crate::model::Totals;

use super::value::{Datum, Field, Nature, Origin, Scope, Value, config, limit, metric, small, status, text};

/// What compression does, and may.
#[derive(Clone, Copy, Debug, Default)]
pub struct CompressionFigures {
    /// Bytes of the last second before and after.
    pub rates: (u32, u32),
    pub memory: u64,
    pub limits: crate::filter::compression::Limits,
}

/// The process at one moment. The app gives what only it knows ([`Control::process`](crate::admin::Control)); the rest
/// is filled in by [`crate::admin::control::process`].
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// `Version`: the HAProxy version this release stands in for.
    pub version: String,
    pub release_date: String,
    pub nbthread: u32,
    pub pid: u32,
    pub uptime_us: u64,
    /// Seconds since the epoch, with microseconds.
    pub start_time_us: u64,
    /// Resident memory, shown as pool memory.
    pub memory: u64,
    /// `-m`, in megabytes; 0: none.
    pub memory_limit_mb: u32,
    pub ulimit_n: u32,
    pub maxsock: u32,
    /// Limit of connections now, and the one that descriptors allow.
    pub maxconn: u32,
    pub hard_maxconn: u32,
    pub maxpipes: u32,
    pub pipes_used: u32,
    pub pipes_free: u32,
    pub tasks: u32,
    pub run_queue: u32,
    pub idle_pct: u32,
    pub node: String,
    pub description: Option<String>,
    pub is_stopping: bool,
    pub jobs: u32,
    pub listeners: u32,
    pub dropped_logs: u64,
    /// Peers with a session, and those that are dialled beside them.
    pub connected_peers: u32,
    pub dialled_peers: u32,
    pub spliced_bytes_out: u64,
    pub bytes_out_rate: u64,
    pub warnings: u32,
    pub maxconn_reached: u32,
    pub boot_ms: u32,
    pub conn_rate_limit: u32,
    pub sess_rate_limit: u32,
    /// Of the connections of clients that speak TLS.
    pub tls: TlsFigures,
    pub compression: CompressionFigures,
    /// Filled in for the app, from here on.
    pub curr_conns: u32,
    pub cum_conns: u64,
    pub cum_req: u64,
    pub conn_rate: u32,
    pub max_conn_rate: u64,
    pub sess_rate: u32,
    pub max_sess_rate: u64,
    pub bytes_out: u64,
    pub curr_streams: u64,
    pub cum_streams: u64,
    /// `show info float`: times and rates with fractions.
    pub is_float: bool,
}

impl Process {
    /// Adds what the backends and frontends count.
    pub fn count(&mut self, config: &Config) {
        let mut requests = 0;
        for proxy in &config.proxies {
            if proxy.back.is_some() {
                self.curr_streams += u64::from(proxy.live.back.cur.load(Ordering::Relaxed));
                self.cum_streams += Totals::of(&proxy.live.back.counters).sess_tot;
            }
            if proxy.front.is_some() {
                let totals = Totals::of(&proxy.live.front.counters);
                self.bytes_out += totals.bytes_out;
                requests += totals.http_req;
            }
        }
        // The process may remember requests of frontends that are gone.
        self.cum_req = self.cum_req.max(requests);
    }
}

/// Connections of clients that speak TLS.
#[derive(Clone, Copy, Debug, Default)]
pub struct TlsFigures {
    pub most: u32,
    pub now: u32,
    pub total: u64,
    pub rate: u32,
    pub rate_limit: u32,
    pub rate_max: u64,
    /// Those that no earlier session spared a whole handshake.
    pub key_rate: u32,
    pub key_rate_max: u64,
    /// Look-ups of sessions in the table, and those in vain.
    pub looked_up: (u64, u64),
}

impl TlsFigures {
    fn reused_percent(&self) -> u32 {
        let resumed = self.rate.saturating_sub(self.key_rate);
        (u64::from(resumed) * 100).checked_div(u64::from(self.rate)).map_or(0, |percent| percent as u32)
    }
}

/// A line of `show info`.
pub struct InfoField {
    pub entry: Entry,
    /// Its name in Prometheus after `haproxy_process_`; empty: not exported.
    pub metric: &'static str,
    pub read: for<'a> fn(&'a Process) -> Field<'a>,
}

const fn field(
    name: &'static str,
    metric: &'static str,
    doc: &'static str,
    read: for<'a> fn(&'a Process) -> Field<'a>,
) -> InfoField {
    InfoField { entry: Entry::full(name, "", doc, "show info", "1.5"), metric, read }
}

impl InfoField {
    const fn absent(self) -> InfoField {
        self.note("always 0: this release has none")
    }

    const fn note(self, why: &'static str) -> InfoField {
        InfoField { entry: self.entry.with(Status::Partial(why)), ..self }
    }
}

fn product<'a>(value: &'a str) -> Field<'a> {
    Some(Datum { value: text(value), origin: Origin::Product, nature: Nature::Output, scope: Scope::Service })
}

fn gauge<'a>(n: u32) -> Field<'a> {
    metric(Nature::Gauge, Value::U32(n))
}

fn gauge64<'a>(n: u64) -> Field<'a> {
    metric(Nature::Gauge, Value::U64(n))
}

fn counted<'a>(n: u64) -> Field<'a> {
    metric(Nature::Counter, small(n))
}

fn seconds<'a>(process: &Process, us: u64) -> Field<'a> {
    let value = if process.is_float { Value::Float(us as f64 / 1e6) } else { small(us / 1_000_000) };
    metric(Nature::Duration, value)
}

fn rate<'a>(process: &Process, n: u32) -> Field<'a> {
    metric(Nature::Rate, if process.is_float { Value::Float(n.into()) } else { Value::U32(n) })
}

fn uptime(us: u64) -> String {
    let s = us / 1_000_000;
    format!("{}d {}h{:02}m{:02}s", s / 86_400, s % 86_400 / 3600, s % 3600 / 60, s % 60)
}

const MB: u64 = 1 << 20;

/// In HAProxy's order, which tools count on: new ones go to the end.
pub static FIELDS: &[InfoField] = &[
    field("Name", "", "Name of the product that this one stands in for.", |_| product("HAProxy")),
    field("Version", "", "Version of HAProxy whose behaviour this is.", |p| product(&p.version)),
    field("Release_date", "", "Date of the release.", |p| product(&p.release_date)),
    field("Nbthread", "nbthread", "Data workers.", |p| config(Nature::Gauge, Value::U32(p.nbthread))),
    field("Nbproc", "nbproc", "Processes that carry traffic: always 1.", |_| {
        config(Nature::Gauge, Value::U32(1))
    }),
    field("Process_num", "relative_process_id", "Number of this process: always 1.", |_| {
        Some(Datum {
            value: Value::U32(1),
            origin: Origin::Key,
            nature: Nature::Gauge,
            scope: Scope::Process,
        })
    }),
    field("Pid", "", "Process id.", |p| status(Value::U32(p.pid))),
    field("Uptime", "", "Time since the start, in words.", |p| {
        metric(Nature::Duration, text(uptime(p.uptime_us)))
    }),
    field("Uptime_sec", "uptime_seconds", "Seconds since the start.", |p| seconds(p, p.uptime_us)),
    field("Memmax_MB", "", "Limit of memory in megabytes (-m).", |p| limit(p.memory_limit_mb)),
    field("PoolAlloc_MB", "", "Resident memory in megabytes.", |p| gauge((p.memory / MB) as u32)),
    field("PoolUsed_MB", "", "Resident memory in megabytes.", |p| gauge((p.memory / MB) as u32)),
    field("PoolFailed", "pool_failures_total", "Allocations that failed.", |_| counted(0)).absent(),
    field("Ulimit-n", "max_fds", "Limit of file descriptors.", |p| limit(p.ulimit_n)),
    field("Maxsock", "max_sockets", "Limit of sockets.", |p| limit(p.maxsock)),
    field("Maxconn", "max_connections", "Limit of connections, configured or derived.", |p| limit(p.maxconn)),
    field("Hard_maxconn", "hard_max_connections", "Limit of connections that descriptors allow.", |p| {
        limit(p.hard_maxconn)
    }),
    field("CurrConns", "current_connections", "Client connections now.", |p| gauge(p.curr_conns)),
    field("CumConns", "connections_total", "Client connections so far.", |p| counted(p.cum_conns)),
    field("CumReq", "requests_total", "Requests so far.", |p| counted(p.cum_req)),
    field("MaxSslConns", "max_ssl_connections", "Limit of TLS connections.", |p| {
        metric(Nature::Max, Value::U32(p.tls.most))
    }),
    field("CurrSslConns", "current_ssl_connections", "TLS connections now.", |p| gauge(p.tls.now))
        .note("those of clients; HAProxy counts those to servers too"),
    field("CumSslConns", "ssl_connections_total", "TLS connections so far.", |p| counted(p.tls.total))
        .note("those of clients; HAProxy counts those to servers too"),
    field("Maxpipes", "max_pipes", "Limit of pipes for splicing.", |p| limit(p.maxpipes)),
    field("PipesUsed", "pipes_used_total", "Pipes in use.", |p| gauge(p.pipes_used))
        .note("always 0: pipes are not counted"),
    field("PipesFree", "pipes_free_total", "Pipes kept for reuse.", |p| gauge(p.pipes_free))
        .note("always 0: pipes are not counted"),
    field("ConnRate", "current_connection_rate", "Connections during the last second.", |p| {
        rate(p, p.conn_rate)
    }),
    field("ConnRateLimit", "limit_connection_rate", "Limit of connections a second (maxconnrate).", |p| {
        limit(p.conn_rate_limit)
    }),
    field("MaxConnRate", "max_connection_rate", "Most connections in a second.", |p| {
        metric(Nature::Max, small(p.max_conn_rate))
    }),
    field("SessRate", "current_session_rate", "Sessions during the last second.", |p| rate(p, p.sess_rate)),
    field("SessRateLimit", "limit_session_rate", "Limit of sessions a second (maxsessrate).", |p| {
        limit(p.sess_rate_limit)
    }),
    field("MaxSessRate", "max_session_rate", "Most sessions in a second.", |p| {
        metric(Nature::Rate, small(p.max_sess_rate))
    }),
    field("SslRate", "current_ssl_rate", "TLS connections during the last second.", |p| rate(p, p.tls.rate)),
    field("SslRateLimit", "limit_ssl_rate", "Limit of TLS connections a second (maxsslrate).", |p| {
        limit(p.tls.rate_limit)
    }),
    field("MaxSslRate", "max_ssl_rate", "Most TLS connections in a second.", |p| {
        metric(Nature::Max, small(p.tls.rate_max))
    }),
    field(
        "SslFrontendKeyRate",
        "current_frontend_ssl_key_rate",
        "Full TLS handshakes with clients a second.",
        |p| gauge(p.tls.key_rate),
    ),
    field(
        "SslFrontendMaxKeyRate",
        "max_frontend_ssl_key_rate",
        "Most full TLS handshakes with clients a second.",
        |p| metric(Nature::Max, small(p.tls.key_rate_max)),
    ),
    field(
        "SslFrontendSessionReuse_pct",
        "frontend_ssl_reuse",
        "Percent of TLS handshakes that resumed.",
        |p| gauge(p.tls.reused_percent()),
    ),
    field(
        "SslBackendKeyRate",
        "current_backend_ssl_key_rate",
        "Full TLS handshakes with servers a second.",
        |p| rate(p, 0),
    )
    .absent(),
    field(
        "SslBackendMaxKeyRate",
        "max_backend_ssl_key_rate",
        "Most full TLS handshakes with servers a second.",
        |_| metric(Nature::Max, Value::U32(0)),
    )
    .absent(),
    field("SslCacheLookups", "ssl_cache_lookups_total", "Look-ups in the TLS session cache.", |p| {
        counted(p.tls.looked_up.0)
    }),
    field("SslCacheMisses", "ssl_cache_misses_total", "Look-ups there that found nothing.", |p| {
        counted(p.tls.looked_up.1)
    }),
    field("CompressBpsIn", "http_comp_bytes_in_total", "Bytes given to compression a second.", |p| {
        rate(p, p.compression.rates.0)
    }),
    field("CompressBpsOut", "http_comp_bytes_out_total", "Bytes made by compression a second.", |p| {
        rate(p, p.compression.rates.1)
    }),
    field("CompressBpsRateLim", "limit_http_comp", "Limit of compressed bytes a second.", |p| {
        limit(u32::try_from(p.compression.limits.rate).unwrap_or(u32::MAX))
    }),
    field("ZlibMemUsage", "current_zlib_memory", "Memory of compression.", |p| {
        metric(Nature::Gauge, small(p.compression.memory))
    }),
    field("MaxZlibMemUsage", "max_zlib_memory", "Limit of that memory.", |p| {
        limit(u32::try_from(p.compression.limits.memory).unwrap_or(u32::MAX))
    }),
    field("Tasks", "current_tasks", "Tasks.", |p| gauge(p.tasks)),
    field("Run_queue", "current_run_queue", "Tasks ready to run.", |p| gauge(p.run_queue)),
    field("Idle_pct", "idle_time_percent", "Percent of the last second that workers spent waiting.", |p| {
        metric(Nature::Average, Value::U32(p.idle_pct))
    }),
    field("node", "node", "Name of the node (node).", |p| config(Nature::Output, text(&*p.node))),
    field("description", "description", "What the node is for (description).", |p| {
        p.description.as_deref().and_then(|d| config(Nature::Output, text(d)))
    }),
    field("Stopping", "stopping", "Whether the process is about to end.", |p| gauge(p.is_stopping.into())),
    field("Jobs", "jobs", "Connections and listeners that keep the process alive.", |p| gauge(p.jobs)),
    field("Unstoppable Jobs", "unstoppable_jobs", "Those that do not end with a soft stop.", |_| gauge(0))
        .note("always 0: a soft stop ends every job"),
    field("Listeners", "listeners", "Sockets that listen.", |p| gauge(p.listeners)),
    field("ActivePeers", "active_peers", "Peers in session, or dialled.", |p| {
        gauge(p.connected_peers + p.dialled_peers)
    }),
    field("ConnectedPeers", "connected_peers", "Peers in session.", |p| gauge(p.connected_peers)),
    field("DroppedLogs", "dropped_logs_total", "Log lines that no target took.", |p| {
        metric(Nature::Gauge, small(p.dropped_logs))
    }),
    field("BusyPolling", "busy_polling_enabled", "Whether workers poll without waiting.", |_| gauge(0))
        .note("always 0: workers sleep when there is nothing to do"),
    field("FailedResolutions", "failed_resolutions", "Name resolutions that failed.", |_| gauge(0)).absent(),
    field("TotalBytesOut", "bytes_out_total", "Bytes sent so far.", |p| gauge64(p.bytes_out)),
    field(
        "TotalSplicedBytesOut",
        "spliced_bytes_out_total",
        "Bytes sent through kernel pipes so far.",
        |p| gauge64(p.spliced_bytes_out),
    ),
    field("BytesOutRate", "bytes_out_rate", "Bytes sent during the last second.", |p| {
        metric(Nature::Rate, Value::U64(p.bytes_out_rate))
    })
    .note("always 0: it is not measured"),
    field("DebugCommandsIssued", "", "Debugging commands run so far.", |_| gauge(0))
        .note("always 0: this release has none"),
    field("CumRecvLogs", "recv_logs_total", "Log lines received to be forwarded.", |_| counted(0)).absent(),
    field("Build info", "build_info", "Version.", |p| product(&p.version)),
    field("Memmax_bytes", "max_memory_bytes", "Limit of memory in bytes (-m).", |p| {
        limit(p.memory_limit_mb.saturating_mul(MB as u32))
    }),
    field("PoolAlloc_bytes", "pool_allocated_bytes", "Resident memory in bytes.", |p| gauge64(p.memory)),
    field("PoolUsed_bytes", "pool_used_bytes", "Resident memory in bytes.", |p| gauge64(p.memory)),
    field(
        "Start_time_sec",
        "start_time_seconds",
        "When the process started, in seconds since the epoch.",
        |p| seconds(p, p.start_time_us),
    ),
    field("Tainted", "", "Experimental features in use, as bits.", |_| status(text("0")))
        .note("always 0: this release has no such features"),
    field("TotalWarnings", "total_warnings", "Warnings so far.", |p| counted(p.warnings.into())),
    field("MaxconnReached", "", "Times that the limit of connections was reached.", |p| {
        counted(p.maxconn_reached.into())
    }),
    field("BootTime_ms", "", "Milliseconds from the start until the process was ready.", |p| {
        metric(Nature::Duration, Value::U32(p.boot_ms))
    })
    .note("always 0: it is not measured"),
    field("Niced_tasks", "", "Tasks ready to run whose priority is not the usual one.", |_| gauge(0))
        .note("always 0: tasks have no priorities"),
    field("CurrStreams", "", "Streams now.", |p| gauge64(p.curr_streams)),
    field("CumStreams", "", "Streams so far.", |p| gauge64(p.cum_streams)),
    field("BlockedTrafficWarnings", "", "Warnings of tasks that held up traffic.", |_| gauge(0))
        .note("always 0: this release does not watch for it"),
    field("PatternsAdded", "patterns_added_total", "Patterns added to ACLs and maps.", |_| gauge64(0))
        .absent(),
    field("PatternsFreed", "patterns_freed_total", "Patterns removed from ACLs and maps.", |_| gauge64(0))
        .absent(),
    field("NbThreadGroups", "nb_thread_groups", "Groups of threads: always 1.", |_| {
        config(Nature::Gauge, Value::U32(1))
    }),
];
