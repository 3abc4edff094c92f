//! The columns of `show stat`: one table for CSV, typed output, JSON, the stats page and Prometheus
//! (management manual 9.1). The order is HAProxy 3.4's and tools count on it: new columns go to the end.

use std::sync::atomic::Ordering;

use crate::balance::usable::throttle;
use crate::lang::Entry;
use crate::lang::entry::Status;
use crate::lang::registry;
use crate::lang::void::is_void;
use crate::model::counters::Span;
use crate::model::{Address, Mode};

use super::health;
use super::row::{Kind, Row, Subject};
use super::value::{
    Datum, Field, Nature, Origin, Scope, Value, average, config, counter, gauge, highest, key, limit, metric,
    output, rate, small, status, text,
};

/// A column.
pub struct Column {
    pub entry: Entry,
    /// Its name in Prometheus after `haproxy_<kind>_`; empty: not exported.
    pub metric: &'static str,
    /// What Prometheus says of it; empty: the entry's text. Times are exported in seconds.
    pub help: &'static str,
    /// Kinds of lines that export it (`F`, `B`, `S`).
    pub kinds: &'static str,
    /// Counted by all workers together, so that HAProxy marks it persistent in typed output.
    pub shared: bool,
    pub read: for<'a> fn(&'a Row<'a>) -> Field<'a>,
}

type Read = for<'a> fn(&'a Row<'a>) -> Field<'a>;

const fn column(name: &'static str, since: &'static str, doc: &'static str, read: Read) -> Column {
    Column {
        entry: Entry::full(name, "", doc, "show stat", since),
        metric: "",
        help: "",
        kinds: "",
        shared: false,
        read,
    }
}

impl Column {
    const fn metric(self, kinds: &'static str, name: &'static str) -> Column {
        Column { kinds, metric: name, ..self }
    }

    const fn help(self, help: &'static str) -> Column {
        Column { help, ..self }
    }

    const fn shared(self) -> Column {
        Column { shared: true, ..self }
    }

    const fn note(self, status: Status) -> Column {
        Column { entry: self.entry.with(status), ..self }
    }

    /// The value in a line.
    pub fn field<'a>(&self, row: &'a Row<'a>) -> Field<'a> {
        if is_void(registry::Kind::StatField, self.entry.name) { None } else { (self.read)(row) }
    }

    pub fn is_exported(&self, kind: Kind) -> bool {
        !self.metric.is_empty() && self.kinds.contains(kind.names().0)
    }
}

/// A counter of all kinds in `$kinds`.
macro_rules! count {
    ($kinds:literal, $field:ident) => {
        |row| if $kinds.contains(row.kind().names().0) { counter(row.totals.$field) } else { None }
    };
}

/// A counter that only proxies in mode http have.
macro_rules! count_http {
    ($kinds:literal, $field:ident) => {
        |row| {
            let has = row.is_http() && $kinds.contains(row.kind().names().0);
            if has { counter(row.totals.$field) } else { None }
        }
    };
}

/// The mean and the maximum of a time, in milliseconds.
macro_rules! mean {
    ($field:ident) => {
        |row| time(row, |row| average(row.totals.mean_us(row.totals.$field) / 1000))
    };
}

macro_rules! longest {
    ($field:ident) => {
        |row| time(row, |row| longest(row.totals.$field))
    };
}

fn time<'a>(row: &'a Row<'a>, read: fn(&'a Row<'a>) -> Field<'a>) -> Field<'a> {
    if row.is_balanced() { read(row) } else { None }
}

fn longest<'a>(span: Span) -> Field<'a> {
    highest(span.max_us / 1000)
}

/// For what this release has none of: zero where HAProxy counts it.
macro_rules! none_of {
    ($kinds:literal) => {
        |row| if $kinds.contains(row.kind().names().0) { counter(0) } else { None }
    };
}

const NO_HTTP2: Status = Status::Partial("always 0: HTTP/2 is not spoken yet");
const NO_HTTP3: Status = Status::Partial("always 0: HTTP/3 is not spoken");

fn age(seconds: Option<u64>) -> i32 {
    seconds.map_or(-1, |s| i32::try_from(s).unwrap_or(i32::MAX))
}

fn address<'a>(address: &Address) -> Value<'a> {
    match address {
        Address::Inet(a) => text(a.to_string()),
        _ => text("unix"),
    }
}

fn for_server<'a>(row: &Row<'a>, read: impl Fn(&'a crate::model::Server) -> Field<'a>) -> Field<'a> {
    row.server().and_then(read)
}

/// In file order of HAProxy's documentation; 114 of them.
pub static COLUMNS: &[Column] = &[
    column("pxname", "1.3", "Name of the proxy.", |row| key(Nature::Name, text(&*row.proxy.name))),
    column("svname", "1.3", "Name of the server; FRONTEND or BACKEND for the proxy itself.", |row| {
        key(Nature::Name, text(row.name()))
    }),
    column("qcur", "1.3", "Streams that wait in the queue now.", |row| match row.subject {
        Subject::Front(..) | Subject::Listener(..) => None,
        Subject::Back(..) => gauge(row.proxy.live.queue.len()),
        Subject::Server(s) => gauge(s.live.queue.len()),
    })
    .metric("BS", "current_queue"),
    column("qmax", "1.3", "Most streams that waited in the queue at once.", |row| match row.subject {
        Subject::Front(..) | Subject::Listener(..) => None,
        Subject::Back(..) => highest(row.proxy.live.queue.max.value()),
        Subject::Server(s) => highest(s.live.queue.max.value()),
    })
    .metric("BS", "max_queue"),
    column("scur", "1.3", "Sessions now.", |row| match row.subject {
        Subject::Server(s) => gauge(s.live.served.load(Ordering::Relaxed)),
        Subject::Front(_, side) | Subject::Back(_, _, side) => gauge(side.cur.load(Ordering::Relaxed)),
        Subject::Listener(_, live) => gauge(live.cur.load(Ordering::Relaxed)),
    })
    .metric("FLBS", "current_sessions"),
    column("smax", "1.3", "Most sessions at once.", |row| match row.subject {
        Subject::Server(s) => highest(s.live.served_max.value()),
        Subject::Front(_, side) | Subject::Back(_, _, side) => highest(side.max.value()),
        Subject::Listener(_, live) => highest(live.max.value()),
    })
    .metric("FLBS", "max_sessions"),
    column(
        "slim",
        "1.3",
        "Limit of sessions: maxconn of a frontend or server, fullconn of a backend.",
        |row| match row.subject {
            Subject::Front(..) => {
                let set = row.proxy.live.maxconn_override.load(Ordering::Relaxed);
                let chosen = [set, row.proxy.maxconn, row.default_maxconn].into_iter().find(|n| *n > 0);
                limit(chosen.unwrap_or(0))
            }
            Subject::Back(back, ..) => limit(back.fullconn),
            Subject::Server(s) => match s.live.maxconn.load(Ordering::Relaxed) {
                0 => None,
                n => limit(n),
            },
            Subject::Listener(bind, _) => limit(bind.maxconn),
        },
    )
    .metric("FLBS", "limit_sessions"),
    column("stot", "1.3", "Sessions so far.", count!("FLBS", sess_tot))
        .metric("FLBS", "sessions_total")
        .shared(),
    column("bin", "1.3", "Bytes of requests so far.", count!("FLBS", bytes_in))
        .metric("FLBS", "bytes_in_total")
        .shared(),
    column("bout", "1.3", "Bytes of responses so far.", count!("FLBS", bytes_out))
        .metric("FLBS", "bytes_out_total")
        .shared(),
    column("dreq", "1.3", "Requests that rules denied.", count!("FLB", denied_req))
        .metric("FLB", "requests_denied_total")
        .shared(),
    column("dresp", "1.3", "Responses that rules denied.", count!("FLBS", denied_resp))
        .metric("FLBS", "responses_denied_total")
        .shared(),
    column("ereq", "1.3", "Requests that were invalid, late or cut short.", count!("FL", err_req))
        .metric("FL", "request_errors_total")
        .shared(),
    column("econ", "1.3", "Connections to servers that failed.", count!("BS", err_conn))
        .metric("BS", "connection_errors_total")
        .shared(),
    column("eresp", "1.3", "Responses that were invalid or cut short.", count!("BS", err_resp))
        .metric("BS", "response_errors_total")
        .shared(),
    column("wretr", "1.3", "Connections that were tried again.", count!("BS", wretr))
        .metric("BS", "retry_warnings_total")
        .shared(),
    column(
        "wredis",
        "1.3",
        "Requests that went to another server after a failed connection.",
        count!("BS", wredis),
    )
    .metric("BS", "redispatch_warnings_total")
    .shared(),
    column("status", "1.3", "State: OPEN, PAUSED, STOP; UP, DOWN, NOLB, DRAIN, MAINT, no check.", |row| {
        status(text(row.status()))
    })
    .metric("FLBS", "status")
    .help("State, 1 for the one that holds."),
    column(
        "weight",
        "1.3",
        "Weight that counts now; of a backend, the sum over the servers that serve.",
        |row| {
            if !row.is_balanced() { None } else { average(row.weight().into()) }
        },
    )
    .metric("BS", "weight"),
    column("act", "1.3", "Active servers that are usable; of a server, whether it is active.", |row| {
        servers(row, row.active_and_backup().0)
    })
    .metric("BS", "active_servers"),
    column("bck", "1.3", "Backup servers that are usable; of a server, whether it is a backup.", |row| {
        servers(row, row.active_and_backup().1)
    })
    .metric("BS", "backup_servers"),
    column("chkfail", "1.3", "Health checks that failed while the server was up.", |row| {
        for_server(row, |s| {
            let is_on = s.live.check_enabled.load(Ordering::Relaxed);
            if is_on { counter(s.live.check_failed.load(Ordering::Relaxed)) } else { None }
        })
    })
    .metric("S", "check_failures_total")
    .shared(),
    column("chkdown", "1.3", "Times it went from up to down.", |row| match row.subject {
        Subject::Front(..) | Subject::Listener(..) => None,
        Subject::Back(_, _, side) => counter(side.down_trans.load(Ordering::Relaxed)),
        Subject::Server(s) if s.live.check_enabled.load(Ordering::Relaxed) => {
            counter(s.live.down_trans.load(Ordering::Relaxed))
        }
        Subject::Server(_) => None,
    })
    .metric("BS", "check_up_down_total")
    .shared(),
    column("lastchg", "1.3", "Seconds since it last went up or down.", |row| {
        let at = match row.subject {
            Subject::Front(..) | Subject::Listener(..) => return None,
            Subject::Back(_, _, side) => &side.last_change_ms,
            Subject::Server(s) => &s.live.last_change_ms,
        };
        metric(Nature::Age, small(row.age(at.load(Ordering::Relaxed)).unwrap_or(0)))
    })
    .metric("BS", "check_last_change_seconds")
    .shared(),
    column("downtime", "1.3", "Seconds spent down.", |row| {
        row.downtime().and_then(|s| metric(Nature::Counter, small(s)))
    })
    .metric("BS", "downtime_seconds_total"),
    column("qlimit", "1.3", "maxqueue of the server.", |row| {
        for_server(row, |s| match s.spec.maxqueue {
            0 => None,
            n => config(Nature::Gauge, Value::U32(n)),
        })
    })
    .metric("S", "queue_limit"),
    column("pid", "1.3", "Number of the process: always 1.", |_| {
        Some(Datum {
            value: Value::U32(1),
            origin: Origin::Key,
            nature: Nature::Gauge,
            scope: Scope::Process,
        })
    }),
    column("iid", "1.3", "Number of the proxy (id).", |row| key(Nature::Gauge, Value::U32(row.proxy.uid))),
    column("sid", "1.3", "Number of the server or listener (id); 0 for the proxy itself.", |row| {
        let number = match row.subject {
            Subject::Server(s) => s.spec.id,
            Subject::Listener(bind, _) => bind.id,
            Subject::Front(..) | Subject::Back(..) => 0,
        };
        key(Nature::Gauge, Value::U32(number))
    }),
    column("throttle", "1.3", "Percent of its speed that a server in slow start has reached.", |row| {
        for_server(row, |s| throttle(s, row.now).and_then(|n| average(n.into())))
    })
    .metric("S", "current_throttle"),
    column("lbtot", "1.3", "Times that balancing chose it.", count!("BS", lbtot))
        .metric("BS", "loadbalanced_total")
        .shared(),
    column("tracked", "1.3", "The server whose state this one follows.", |row| {
        let track = row.server()?.spec.track.as_deref()?;
        config(Nature::Name, text(format!("{}/{}", track.0, track.1)))
    }),
    column("type", "1.3", "Kind of line: 0 frontend, 1 backend, 2 server, 3 listener.", |row| {
        config(Nature::Gauge, Value::U32(row.kind() as u32))
    }),
    column("rate", "1.4", "Sessions during the last second.", |row| match row.subject {
        Subject::Server(s) => rate(s.live.sess_rate.read(row.now)),
        Subject::Front(_, side) | Subject::Back(_, _, side) => rate(side.sess_rate.read(row.now)),
        Subject::Listener(..) => None,
    })
    .metric("FBS", "current_session_rate")
    .shared(),
    column("rate_lim", "1.4", "Limit of new sessions a second (rate-limit sessions).", |row| {
        match row.subject {
            Subject::Front(front, _) => limit(front.rate_limit_sessions),
            _ => None,
        }
    })
    .metric("F", "limit_session_rate"),
    column("rate_max", "1.4", "Most sessions in a second.", |row| match row.subject {
        Subject::Server(s) => highest(s.live.sess_rate_max.value()),
        Subject::Front(_, side) => highest(side.sess_rate_max.value()),
        Subject::Back(_, _, side) => metric(Nature::Gauge, small(side.sess_rate_max.value())),
        Subject::Listener(..) => None,
    })
    .metric("FBS", "max_session_rate"),
    column(
        "check_status",
        "1.4",
        "Result of the last health check: UNK, INI, L4OK, L7STS and so on.",
        |row| health::read(row, |_, check| output(check.status)),
    )
    .metric("S", "check_status")
    .help("Result of the last health check, 1 for the one that holds."),
    column("check_code", "1.4", "Status code that the last health check met.", |row| {
        health::read(row, |_, check| {
            // What has seen an answer, or an end of a program, has a code, if only 0.
            let has_one =
                matches!(check.status, "L7OK" | "L7OKC" | "L7STS" | "PROCERR" | "PROCTOUT" | "PROCOK");
            let code = check.code.or(has_one.then_some(0));
            code.and_then(|c| metric(Nature::Output, Value::U32(c.cast_unsigned())))
        })
    })
    .metric("S", "check_code"),
    column("check_duration", "1.4", "Milliseconds that the last health check took.", |row| {
        health::read(row, |_, check| check.took.ms().and_then(|d| metric(Nature::Duration, Value::U64(d))))
    })
    .metric("S", "check_duration_seconds")
    .help("Seconds that the last health check took."),
    column("hrsp_1xx", "1.4", "Responses with status 100 to 199.", count_http!("FBS", rsp_1xx))
        .metric("FBS", "http_responses_total")
        .help("Responses by class of status.")
        .shared(),
    column("hrsp_2xx", "1.4", "Responses with status 200 to 299.", count_http!("FBS", rsp_2xx))
        .metric("FBS", "http_responses_total")
        .help("Responses by class of status.")
        .shared(),
    column("hrsp_3xx", "1.4", "Responses with status 300 to 399.", count_http!("FBS", rsp_3xx))
        .metric("FBS", "http_responses_total")
        .help("Responses by class of status.")
        .shared(),
    column("hrsp_4xx", "1.4", "Responses with status 400 to 499.", count_http!("FBS", rsp_4xx))
        .metric("FBS", "http_responses_total")
        .help("Responses by class of status.")
        .shared(),
    column("hrsp_5xx", "1.4", "Responses with status 500 to 599.", count_http!("FBS", rsp_5xx))
        .metric("FBS", "http_responses_total")
        .help("Responses by class of status.")
        .shared(),
    column("hrsp_other", "1.4", "Responses with another status.", count_http!("FBS", rsp_other))
        .metric("FBS", "http_responses_total")
        .help("Responses by class of status.")
        .shared(),
    column("hanafail", "1.4", "Failures that observe saw in traffic.", |_| None)
        .note(Status::Partial("always empty")),
    column("req_rate", "1.4", "Requests during the last second.", |row| match row.subject {
        Subject::Front(_, side) => rate(side.req_rate.read(row.now)),
        _ => None,
    })
    .shared(),
    column("req_rate_max", "1.4", "Most requests in a second.", |row| match row.subject {
        Subject::Front(_, side) => highest(side.req_rate_max.value()),
        _ => None,
    })
    .metric("F", "http_requests_rate_max"),
    column("req_tot", "1.4", "Requests so far.", |row| {
        let has = (row.is_http() && row.kind() != Kind::Listener) || row.kind() == Kind::Frontend;
        if has { counter(row.totals.http_req) } else { None }
    })
    .metric("FBS", "http_requests_total")
    .shared(),
    column("cli_abrt", "1.4", "Transfers that the client broke off.", count!("BS", cli_aborts))
        .metric("BS", "client_aborts_total")
        .shared(),
    column("srv_abrt", "1.4", "Transfers that the server broke off.", count!("BS", srv_aborts))
        .metric("BS", "server_aborts_total")
        .shared(),
    column("comp_in", "1.5", "Bytes given to compression.", count!("FB", comp_in))
        .metric("FB", "http_comp_bytes_in_total")
        .shared(),
    column("comp_out", "1.5", "Bytes that compression made of them.", count!("FB", comp_out))
        .metric("FB", "http_comp_bytes_out_total")
        .shared(),
    column("comp_byp", "1.5", "Bytes not compressed for lack of time or room.", count!("FB", comp_byp))
        .metric("FB", "http_comp_bytes_bypassed_total")
        .shared(),
    column("comp_rsp", "1.5", "Responses compressed.", count!("FB", comp_rsp))
        .metric("FB", "http_comp_responses_total")
        .shared(),
    column("lastsess", "1.5", "Seconds since the last session; -1 for none yet.", |row| {
        let at = match row.subject {
            Subject::Front(..) | Subject::Listener(..) => return None,
            Subject::Back(_, _, side) => &side.last_session_ms,
            Subject::Server(s) => &s.live.last_session_ms,
        };
        metric(Nature::Age, Value::S32(age(row.age(at.load(Ordering::Relaxed)))))
    })
    .metric("BS", "last_session_seconds")
    .shared(),
    column("last_chk", "1.5", "What the last health check received, or why it failed.", |row| {
        health::read(row, |_, check| output(check.text.clone()))
    }),
    column("last_agt", "1.5", "What the last agent check received.", |row| {
        health::read_agent(row, |_, agent| output(agent.text.clone()))
    }),
    column(
        "qtime",
        "1.5",
        "Milliseconds in the queue, mean of the last 1024 requests.",
        mean!(queue_time_us),
    )
    .metric("BS", "queue_time_average_seconds")
    .help("Seconds in the queue, mean of the last 1024 requests."),
    column(
        "ctime",
        "1.5",
        "Milliseconds to connect, mean of the last 1024 requests.",
        mean!(connect_time_us),
    )
    .metric("BS", "connect_time_average_seconds")
    .help("Seconds to connect, mean of the last 1024 requests."),
    column(
        "rtime",
        "1.5",
        "Milliseconds to the response, mean of the last 1024 requests.",
        mean!(response_time_us),
    )
    .metric("BS", "response_time_average_seconds")
    .help("Seconds to the response, mean of the last 1024 requests."),
    column("ttime", "1.5", "Milliseconds from request to end, mean of the last 1024.", mean!(total_time_us))
        .metric("BS", "total_time_average_seconds")
        .help("Seconds from request to end, mean of the last 1024."),
    column("agent_status", "1.6", "Result of the last agent check.", |row| {
        health::read_agent(row, |_, agent| output(agent.status))
    })
    .metric("S", "agent_status"),
    column("agent_code", "1.6", "Code that the agent reported.", |row| {
        health::read_agent(row, |_, agent| {
            agent.code.and_then(|c| metric(Nature::Output, Value::U32(c.cast_unsigned())))
        })
    })
    .metric("S", "agent_code"),
    column("agent_duration", "1.6", "Milliseconds that the last agent check took.", |row| {
        health::read_agent(row, |_, agent| metric(Nature::Duration, Value::U64(agent.took.ms().unwrap_or(0))))
    })
    .metric("S", "agent_duration_seconds")
    .help("Seconds that the last agent check took."),
    column("check_desc", "1.7", "check_status in words.", |row| {
        health::read(row, |_, check| output(health::describe(check.status)))
    }),
    column("agent_desc", "1.7", "agent_status in words.", |row| {
        health::read_agent(row, |_, agent| output(health::describe(agent.status)))
    }),
    column("check_rise", "1.7", "Successful checks that bring the server up (rise).", |row| {
        health::read(row, |s, _| config(Nature::Gauge, Value::U32(s.spec.rise)))
    }),
    column("check_fall", "1.7", "Failed checks that bring the server down (fall).", |row| {
        health::read(row, |s, _| config(Nature::Gauge, Value::U32(s.spec.fall)))
    }),
    column("check_health", "1.7", "Where the server stands between 0 and rise + fall - 1.", |row| {
        health::read(row, |s, _| config(Nature::Gauge, Value::U32(s.live.health.load(Ordering::Relaxed))))
    }),
    column("agent_rise", "1.7", "Rise of the agent check.", |row| {
        health::read_agent(row, |_, _| config(Nature::Gauge, Value::U32(1)))
    }),
    column("agent_fall", "1.7", "Fall of the agent check.", |row| {
        health::read_agent(row, |_, _| config(Nature::Gauge, Value::U32(1)))
    }),
    column("agent_health", "1.7", "Standing of the agent check.", |row| {
        health::read_agent(row, |s, _| {
            config(Nature::Gauge, Value::U32(s.live.agent.health.load(Ordering::Relaxed)))
        })
    }),
    column("addr", "1.7", "Address and port, or unix. Not for level user.", |row| {
        if !row.show.legends {
            return None;
        }
        match row.subject {
            Subject::Server(s) if s.is_nowhere() => config(Nature::Gauge, text("")),
            Subject::Server(s) => config(Nature::Gauge, address(&s.address())),
            Subject::Listener(bind, _) => config(Nature::Gauge, address(&bind.address)),
            Subject::Front(..) | Subject::Back(..) => None,
        }
    }),
    column("cookie", "1.7", "Cookie value of the server. Not for level user.", |row| {
        for_server(row, |s| match &s.spec.cookie {
            Some(cookie) if row.show.legends => config(Nature::Name, text(&**cookie)),
            _ => None,
        })
    }),
    column("mode", "1.7", "Mode of the proxy.", |row| {
        let mode = match row.proxy.mode {
            Mode::Tcp => "tcp",
            Mode::Udp => "udp",
            Mode::Http | Mode::Haterm => "http",
            Mode::Other => "unknown",
        };
        config(Nature::Gauge, text(mode))
    }),
    column("algo", "1.7", "Balancing algorithm. Not for level user.", |row| {
        row.algorithm().filter(|_| row.show.legends).and_then(|name| config(Nature::Gauge, text(name)))
    }),
    column("conn_rate", "1.7", "Connections accepted during the last second.", |row| match row.subject {
        Subject::Front(_, side) => rate(side.conn_rate.read(row.now)),
        _ => None,
    })
    .shared(),
    column("conn_rate_max", "1.7", "Most connections accepted in a second.", |row| match row.subject {
        Subject::Front(_, side) => highest(side.conn_rate_max.value()),
        _ => None,
    })
    .metric("F", "connections_rate_max"),
    column("conn_tot", "1.7", "Connections accepted so far.", count!("F", conn_tot))
        .metric("F", "connections_total")
        .shared(),
    column(
        "intercepted",
        "1.7",
        "Requests answered here: redirects, statistics, services.",
        count_http!("F", intercepted),
    )
    .metric("F", "intercepted_requests_total")
    .shared(),
    column(
        "dcon",
        "1.7",
        "Connections that tcp-request connection rules refused.",
        count!("FL", denied_conn),
    )
    .metric("FL", "denied_connections_total")
    .shared(),
    column("dses", "1.7", "Sessions that tcp-request session rules refused.", count!("FL", denied_sess))
        .metric("FL", "denied_sessions_total")
        .shared(),
    column("wrew", "1.9", "Edits of headers that found no room.", count!("FLBS", failed_rewrites))
        .metric("FLBS", "failed_header_rewriting_total")
        .shared(),
    column("connect", "1.9", "Connections to servers that were tried.", count!("BS", connect))
        .metric("BS", "connection_attempts_total")
        .shared(),
    column("reuse", "1.9", "Requests sent over a connection that was open already.", count!("BS", reuse))
        .metric("BS", "connection_reuses_total")
        .shared(),
    column("cache_lookups", "1.9", "Requests looked up in the cache.", count_http!("FB", cache_lookups))
        .metric("FB", "http_cache_lookups_total")
        .shared(),
    column("cache_hits", "1.9", "Requests answered from the cache.", count_http!("FB", cache_hits))
        .metric("FB", "http_cache_hits_total")
        .shared(),
    column("srv_icur", "2.0", "Idle connections to the server.", |row| {
        for_server(row, |s| gauge(s.live.idle.load(Ordering::Relaxed)))
    })
    .metric("S", "idle_connections_current"),
    column("src_ilim", "2.0", "Limit of idle connections (pool-max-conn).", |row| {
        for_server(row, |s| s.spec.pool_max_conn.and_then(limit))
    })
    .metric("S", "idle_connections_limit"),
    column("qtime_max", "2.0", "Longest time in the queue, in milliseconds.", longest!(queue_time_us))
        .metric("BS", "max_queue_time_seconds")
        .help("Longest time in the queue, in seconds."),
    column("ctime_max", "2.0", "Longest time to connect, in milliseconds.", longest!(connect_time_us))
        .metric("BS", "max_connect_time_seconds")
        .help("Longest time to connect, in seconds."),
    column("rtime_max", "2.0", "Longest time to a response, in milliseconds.", longest!(response_time_us))
        .metric("BS", "max_response_time_seconds")
        .help("Longest time to a response, in seconds."),
    column("ttime_max", "2.0", "Longest time from request to end, in milliseconds.", longest!(total_time_us))
        .metric("BS", "max_total_time_seconds")
        .help("Longest time from request to end, in seconds."),
    column("eint", "2.2", "Internal errors.", count!("FLBS", internal_errors))
        .metric("FLBS", "internal_errors_total")
        .shared(),
    column("idle_conn_cur", "2.2", "Idle connections that have served one request.", |row| {
        for_server(row, |s| {
            let proven = s.live.idle_proven.load(Ordering::Relaxed);
            gauge(s.live.idle.load(Ordering::Relaxed).saturating_sub(proven))
        })
    })
    .metric("S", "unsafe_idle_connections_current"),
    column("safe_conn_cur", "2.2", "Idle connections that have served more than one request.", |row| {
        for_server(row, |s| gauge(s.live.idle_proven.load(Ordering::Relaxed)))
    })
    .metric("S", "safe_idle_connections_current"),
    column("used_conn_cur", "2.2", "Connections in use.", |row| {
        for_server(row, |s| gauge(s.live.used.load(Ordering::Relaxed)))
    })
    .metric("S", "used_connections_current"),
    column(
        "need_conn_est",
        "2.2",
        "Connections that are thought to be needed, by those in use of late.",
        |row| for_server(row, |s| gauge(s.live.need.estimate())),
    )
    .metric("S", "need_connections_current"),
    column(
        "uweight",
        "2.4",
        "Weight as configured or set; of a backend, the sum over the servers that serve.",
        |row| {
            if !row.is_balanced() { None } else { average(row.user_weight().into()) }
        },
    )
    .metric("BS", "uweight"),
    column("agg_server_status", "2.5", "Servers by state (Prometheus); 0 here.", |row| aggregate(row))
        .metric("B", "agg_server_status")
        .help("Servers by state."),
    column("agg_server_check_status", "2.5", "Older name of agg_server_status.", |row| aggregate(row))
        .metric("B", "agg_server_check_status")
        .help("Servers by state (older name)."),
    column("agg_check_status", "2.5", "Servers by check result (Prometheus); 0 here.", |row| aggregate(row))
        .metric("B", "agg_check_status")
        .help("Servers by result of the last health check."),
    column("srid", "2.9", "Revision of a server's number, which grows when it is given to another.", |row| {
        for_server(row, |_| metric(Nature::Counter, Value::U32(0)))
    })
    .note(Status::Partial("always 0")),
    column("sess_other", "3.0", "Sessions that are not HTTP.", |row| by_version(row, !row.is_http())),
    column("h1sess", "3.0", "HTTP/1 sessions.", |row| by_version(row, row.is_http())).shared(),
    column("h2sess", "3.0", "HTTP/2 sessions.", none_of!("F")).shared().note(NO_HTTP2),
    column("h3sess", "3.0", "HTTP/3 sessions.", none_of!("F")).shared().note(NO_HTTP3),
    column("req_other", "3.0", "Requests that are not HTTP.", none_of!("F"))
        .shared()
        .note(Status::Partial("always 0: what has requests is HTTP")),
    column("h1req", "3.0", "HTTP/1 requests.", count!("F", http_req)).shared(),
    column("h2req", "3.0", "HTTP/2 requests.", none_of!("F")).shared().note(NO_HTTP2),
    column("h3req", "3.0", "HTTP/3 requests.", none_of!("F")).shared().note(NO_HTTP3),
    column("proto", "3.0", "Protocol of a listener.", |_| None)
        .note(Status::Partial("always empty: listeners have no line of their own")),
    column("priv_idle_cur", "3.2", "Idle connections that belong to one client.", |row| {
        for_server(row, |s| gauge(s.live.idle_private.load(Ordering::Relaxed)))
    })
    .metric("S", "private_idle_connections_current"),
    column("reqbin", "3.3", "Bytes of requests received.", count!("FBS", bytes_in))
        .metric("FBS", "req_bytes_in_total")
        .shared(),
    column("reqbout", "3.3", "Bytes of requests sent on.", count!("FBS", bytes_in))
        .metric("FBS", "req_bytes_out_total")
        .shared()
        .note(Status::Partial("counts the bytes received")),
    column("resbin", "3.3", "Bytes of responses received.", count!("FBS", bytes_out))
        .metric("FBS", "res_bytes_in_total")
        .shared()
        .note(Status::Partial("counts the bytes sent on")),
    column("resbout", "3.3", "Bytes of responses sent on.", count!("FBS", bytes_out))
        .metric("FBS", "res_bytes_out_total")
        .shared(),
];

fn servers<'a>(row: &Row<'_>, n: u32) -> Field<'a> {
    match row.kind() {
        Kind::Frontend | Kind::Listener => None,
        Kind::Backend => gauge(n),
        Kind::Server => status(Value::U32(n)),
    }
}

fn aggregate<'a>(row: &Row<'_>) -> Field<'a> {
    if row.kind() == Kind::Backend { gauge(0) } else { None }
}

fn by_version<'a>(row: &Row<'_>, is_it: bool) -> Field<'a> {
    match row.kind() {
        Kind::Frontend => counter(if is_it { row.totals.sess_tot } else { 0 }),
        _ => None,
    }
}

/// The columns as entries of the registry.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    COLUMNS.iter().map(|c| &c.entry)
}
