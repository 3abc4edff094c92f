//! `Txn`: the one record of a transaction that every fetch, rule and log field reads, whatever the version on the wire.
//!
//! The data plane owns it and fills it in; names and live figures that belong to the configuration come through [`Env`].

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;

use crate::base::{Buf, Nanos};
use crate::conn::Tls;
use crate::conn::link::Carriage;
use crate::conn::proxy_protocol::Received;
use crate::filter::cache;
use crate::filter::compression::Algorithm;
use crate::http::Head;
use crate::lang::{FileId, Span};
use crate::model::ProxyLive;
use crate::model::notation::Family;
use crate::os::connection::TcpInfo;
use crate::resolve::Resolvers;

use super::ask::Asking;
use super::captured::Captured;
use super::cast;
use super::sample::Sample;
use super::track::Counters;
use super::vars::{VarId, VarScope, Vars};

/// A peer's or our own end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Endpoint {
    #[default]
    None,
    Inet(SocketAddr),
    Unix,
}

impl Endpoint {
    pub fn inet(self) -> Option<SocketAddr> {
        match self {
            Endpoint::Inet(a) => Some(a),
            _ => None,
        }
    }
}

/// Moments of a transaction in nanoseconds of `base::clock`; 0: not reached.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timers {
    /// Connection accepted; for a later request of the connection, the end of the one before it.
    pub accepted: Nanos,
    /// Duration (not a moment) of handshakes: TLS, PROXY protocol.
    pub handshake: Nanos,
    /// First byte of the request seen; the start of the request's clock.
    pub request_start: Nanos,
    /// Request head complete.
    pub request_done: Nanos,
    /// Left the queue (equals `request_done` when there was none).
    pub queue_done: Nanos,
    /// Connected to the server (or took an idle connection).
    pub connected: Nanos,
    /// Response head complete (tcp: first data).
    pub response: Nanos,
    /// Everything done.
    pub closed: Nanos,
}

/// Everything known of one transaction (a request with its response, or a TCP stream).
#[derive(Debug, Default)]
pub struct Txn {
    pub req: Head,
    /// Empty (`len == 0`) before the response head is there.
    pub res: Head,
    /// The request head was received whole (false in TCP mode).
    pub has_req: bool,
    /// Method, target and version as received, kept before rules change them: what `%r`, `capture.req.*` and
    /// logs show. Bounded by `tune.http.logurilen`.
    pub uri_line: Vec<u8>,
    /// Who the stream is said to come from (`src`, logs), and where to (`dst`): rules may change them.
    pub client: Endpoint,
    pub local: Endpoint,
    /// Both ends of the client's connection (`fc_src`, `fc_dst`), which only rules of the connection change.
    pub conn_client: Endpoint,
    pub conn_local: Endpoint,
    /// Our end of the server's connection (`bc_src`) and the server's (`bc_dst`).
    pub server_local: Endpoint,
    pub server_remote: Endpoint,
    pub timers: Timers,
    /// Wall clock when the connection was accepted (microseconds since the epoch), and at the start of this request.
    pub accept_date_us: u64,
    pub request_date_us: u64,
    pub vars: Vars,
    /// `capture request header`/`capture response header` and `http-request capture`, by slot.
    pub req_captures: Captured,
    pub res_captures: Captured,
    /// `unique-id-format` once made.
    pub unique_id: Option<Box<[u8]>>,
    /// Status sent to the client (0: none yet).
    pub status: u16,
    /// Bytes towards the server and towards the client, heads included.
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// The four termination characters of the log format, `-` where nothing applies.
    pub termination: [u8; 4],
    pub retries: u32,
    pub redispatched: bool,
    pub backend_queue: u32,
    pub server_queue: u32,
    /// Process-wide, frontend, backend, server connections when the request ended (for `%ac/%fc/%bc/%sc`).
    pub actconn: u32,
    pub feconn: u32,
    pub beconn: u32,
    pub srvconn: u32,
    /// `http-request set-log-level`; 255 silent, `None` default.
    pub log_level: Option<u8>,
    /// `set-priority-class`, `set-priority-offset`: the order in queues.
    pub priority: Priority,
    /// What packets to the server are to say.
    pub server_packets: Packets,
    /// `set-retries`.
    pub retries_wanted: Option<u32>,
    /// `early-hint`: the fields of an interim response that is still to be sent.
    /// One without a name stands between two responses.
    pub hints: Vec<ReplyField>,
    /// Where the last rule stands that ended its rule set, and the one that waits.
    pub last_rule: Option<Span>,
    pub waiting_rule: Option<Span>,
    /// `tcp-request connection expect-proxy`.
    pub expects_proxy: bool,
    /// `http-request disable-l7-retry`.
    pub no_repeat: bool,
    /// Header rewrites that did not fit (`rewrite` failures).
    pub failed_rewrites: u32,
    /// A number unique in the process (`%rt` request counter, uuids draw from it too).
    pub request_no: u64,
    /// Body bytes kept beside the head's buffer; in TCP mode what was received and not forwarded yet.
    pub req_body: Bytes,
    pub res_body: Bytes,
    /// The request's body is in memory as far as it fits (`wait-for-body` went on).
    pub body_awaited: bool,
    /// The same of the response's.
    pub response_awaited: bool,
    /// TCP mode: the bytes at hand are no HTTP request, whatever follows.
    pub is_not_http: bool,
    /// What came by HTTP/2 was no request, and has no status (which is logged as 0, not as -1).
    pub is_malformed: bool,
    /// The first bytes are the preface of HTTP/2.
    pub is_http2: bool,
    /// How the response is to be compressed: as far as the request goes, then as the response itself allows.
    pub compressed: Option<Algorithm>,
    /// What the cache knows of the request, and has to do with the response.
    pub cache: Option<Box<cache::Request>>,
    /// The service inside the process that answers.
    pub service: Option<&'static str>,
    /// `inspect-delay` is over, or nothing more can come: rules no longer wait.
    pub inspect_over: bool,
    /// Number of requests before this one on the same client connection.
    pub session_requests: u32,
    /// Bytes that rules added to the heads (less those they removed): bounded by `tune.maxrewrite`.
    pub req_growth: i32,
    pub res_growth: i32,
    /// `capture cookie`.
    pub req_cookie: Option<Box<[u8]>>,
    pub res_cookie: Option<Box<[u8]>>,
    /// Number of this log line in the frontend (`%lc`).
    pub log_no: u64,
    /// The log line is written before the end (`logasap`): figures that still grow get a `+`.
    pub log_early: bool,
    /// Variables and captures set by converters while an expression was evaluated; stored after each rule.
    pub pending: Pending,
    pub sticky: Sticky,
    /// What the stream tracks in stick tables.
    pub counters: Counters,
    /// Why rules wait ([`Outcome::Wait`]).
    pub wait: Wait,
    /// The name whose address a rule wants to know.
    pub looking: Looking,
    /// What a rule wants to know of another service.
    pub asking: Asking,
    /// `http-request set-timeout`: milliseconds for this stream, instead of the configured ones.
    pub timeouts: TimeoutOverrides,
}

/// An order in queues: lower classes first, then who waits longest, by as many milliseconds more or less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Priority {
    pub class: i16,
    pub offset_ms: i32,
}

/// What packets of a connection are to say outside of TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Packets {
    pub mark: Option<u32>,
    pub tos: Option<u8>,
}

/// Persistence by cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sticky {
    /// Unique number of the server that the request asks for; 0: none.
    pub server: u64,
    /// The server was not picked by the balancer.
    pub is_direct: bool,
    /// `force-persist`: it is asked for although it is down, and no other one is.
    pub is_forced: bool,
    /// `ignore-persist`.
    pub is_ignored: bool,
    /// The last two letters of the termination state (manual, section 8.5): what became of the request's cookie, and of
    /// the response's. 0 in backends without persistence.
    pub request: u8,
    pub response: u8,
    /// The dates in the request's cookie, in seconds: when it was set last, and when it was first; 0: not told.
    pub last_s: u64,
    pub first_s: u64,
}

/// What [`Outcome::Wait`] waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// More bytes, until `inspect-delay`.
    #[default]
    Data,
    /// `wait-for-body`: the whole body, or `at_least` bytes of it (0: whole), for at most `time_ms`.
    Body {
        time_ms: u64,
        at_least: u64,
    },
    /// `pause`, which is over when this is [`Wait::Paused`].
    Pause {
        time_ms: u64,
    },
    Paused,
    /// `do-resolve`: the address of [`Txn::looking`].
    Name,
    /// `auth-request`: the answer to the question of [`Txn::asking`].
    Answer,
}

/// What `do-resolve` waits for, and what came of it.
#[derive(Debug, Default)]
pub enum Looking {
    #[default]
    Nothing,
    /// `rule` tells rules apart.
    For {
        rule: usize,
        resolvers: Arc<Resolvers>,
        name: Box<str>,
        prefer: Family,
    },
    Done {
        rule: usize,
        found: Option<IpAddr>,
    },
}

/// Timeouts that rules changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeoutOverrides {
    pub client_ms: Option<u64>,
    pub server_ms: Option<u64>,
    pub tunnel_ms: Option<u64>,
    pub connect_ms: Option<u64>,
    pub queue_ms: Option<u64>,
    pub tarpit_ms: Option<u64>,
}

/// What converters store (`set-var`, `capture-req`...): expressions only read the transaction, so it is kept here until
/// the rule is done.
#[derive(Debug, Default)]
pub struct Pending {
    list: RefCell<Vec<Stored>>,
}

/// A pending value; `None` removes what is there.
pub type Stored = (Store, Option<Sample<'static>>);

/// Where a pending value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    Var(VarId),
    ReqCapture(usize),
    ResCapture(usize),
}

impl Pending {
    pub fn push(&self, store: Store, value: Option<Sample<'static>>) {
        self.list.borrow_mut().push((store, value));
    }

    /// `Some(value)` when a converter set (or with `None` inside: removed) this variable.
    pub fn value(&self, id: VarId) -> Option<Option<Sample<'static>>> {
        let list = self.list.borrow();
        list.iter().rev().find(|(store, _)| *store == Store::Var(id)).map(|(_, v)| v.clone())
    }

    pub fn is_empty(&self) -> bool {
        self.list.borrow().is_empty()
    }

    pub fn take(&self) -> Vec<Stored> {
        std::mem::take(&mut *self.list.borrow_mut())
    }
}

impl Txn {
    /// Sets or (with `None`) removes a variable, wherever its scope lives.
    pub fn set_var(&mut self, id: VarId, value: Option<Sample<'static>>) {
        match value {
            v if id.scope == VarScope::Proc => super::vars::set_process(id, v),
            Some(v) => self.vars.set(id, v),
            None => self.vars.unset(id),
        }
    }

    /// Stores what converters set; rules do this after each rule, logs need not.
    #[inline]
    pub fn settle(&mut self) {
        if !self.pending.list.get_mut().is_empty() {
            self.store_pending();
        }
    }

    fn store_pending(&mut self) {
        for (store, value) in self.pending.take() {
            match store {
                Store::Var(id) => self.set_var(id, value),
                Store::ReqCapture(slot) => self.req_captures.set(slot, value.map(cast::text).as_deref()),
                Store::ResCapture(slot) => self.res_captures.set(slot, value.map(cast::text).as_deref()),
            }
        }
    }
}

/// A server now.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerState {
    pub is_up: bool,
    pub sessions: u32,
    pub queued: u32,
    /// Streams that it still has room for; `None` without a limit.
    pub free: Option<i64>,
    /// As its line says, as an operator set it, and as it counts now.
    pub initial_weight: u32,
    pub user_weight: u32,
    pub weight: u32,
    pub sess_rate: u32,
}

/// Names and live figures that a transaction looks up by reference to the running configuration.
pub trait Env {
    fn frontend_name(&self) -> &str;
    /// The backend, or the frontend while none was chosen.
    fn backend_name(&self) -> &str;
    fn server_name(&self) -> Option<&str>;
    /// `bind ... name`, or `addr:port`.
    fn listener_name(&self) -> &str;
    /// Ids as numbers (`fe_id be_id srv_id so_id`), 0 for none.
    fn ids(&self) -> (u32, u32, u32, u32);
    /// The live cells of a proxy by name; `None` for an unknown one. `""` stands for the current backend.
    fn proxy(&self, name: &str) -> Option<&ProxyLive>;
    /// Usable servers of a backend (`nbsrv`).
    fn usable_servers(&self, backend: &str) -> Option<u32>;
    /// `srv_is_up(be/srv)` and friends: up, and current sessions.
    fn server(&self, backend: &str, server: &str) -> Option<ServerState>;
    /// Streams that the usable servers of a backend still have room for, with their queues or without; `None` where
    /// one of them has no limit, or for an unknown backend.
    fn room(&self, _backend: &str, _with_queues: bool) -> Option<i64> {
        None
    }
    fn has_frontend(&self, _name: &str) -> bool {
        false
    }
    /// The backend of the frontend's `default_backend`.
    fn default_backend(&self) -> Option<&str> {
        None
    }
    /// Connections of the listener that the client came by.
    fn listener_connections(&self) -> u32 {
        0
    }
    /// The process is about to end.
    fn is_stopping(&self) -> bool {
        false
    }
    /// The name of a file of the configuration.
    fn file(&self, _id: FileId) -> Option<&str> {
        None
    }
    /// What the kernel knows of the client's connection; `None` where it is no TCP connection.
    fn client_tcp(&self) -> Option<TcpInfo> {
        None
    }
    /// The same of the server's.
    fn server_tcp(&self) -> Option<TcpInfo> {
        None
    }
    /// The packet that the client's connection began with (`tcp-ss`).
    fn saved_syn(&self) -> Option<Vec<u8>> {
        None
    }
    /// The server's connection has carried a request before this one.
    fn server_is_reused(&self) -> Option<bool> {
        None
    }
    /// Packets to the client say this from here on.
    fn tell_client(&self, _packets: Packets) {}
    /// Writes a line about the transaction to its logs (`do-log`).
    fn log_now(&self, _txn: &Txn) {}
    /// Whether an address is one of this machine's.
    fn is_local(&self, _address: IpAddr) -> bool {
        false
    }
    fn now_ns(&self) -> Nanos;
    /// Wall clock in microseconds since the epoch.
    fn date_us(&self) -> u64;
    fn hostname(&self) -> &str;
    fn pid(&self) -> u32;
    fn random(&self) -> u64;
    /// A request was looked up in the cache.
    fn count_lookup(&self, _found: bool) {}
    /// Connections of the whole process.
    fn connections(&self) -> u32;
    /// The timeouts of the backend as they are configured, and the frontend's for the client.
    fn timeouts(&self) -> TimeoutOverrides {
        TimeoutOverrides::default()
    }
    /// The frontend's own `timeout tarpit`.
    fn frontend_tarpit_ms(&self) -> u64 {
        0
    }
    /// What the client's connection speaks; `None` without TLS.
    fn client_tls(&self) -> Option<&Tls> {
        None
    }
    /// The same of the server's connection.
    fn server_tls(&self) -> Option<&Tls> {
        None
    }
    /// What the client's PROXY header told besides addresses; `None` without one.
    fn received(&self) -> Option<&Received> {
        None
    }
    /// How the client's connection stands.
    fn client_carriage(&self) -> Carriage {
        Carriage::default()
    }
    /// The same of the server's connection.
    fn server_carriage(&self) -> Carriage {
        Carriage::default()
    }
    /// The page that the backend, else the frontend has for a status, rendered; `None`: the built-in one.
    fn error_page(&self, status: u16, txn: &Txn) -> Option<Reply>;
}

/// What a fetch sees. Copied around freely.
#[derive(Clone, Copy)]
pub struct Ctx<'a> {
    pub txn: &'a Txn,
    pub env: &'a dyn Env,
}

/// Name and value.
pub type ReplyField = (Box<[u8]>, Box<[u8]>);

/// A response made by the proxy itself (`deny`, `return`, `redirect`, errors).
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub reason: Option<Box<[u8]>>,
    /// In order; framing fields (`content-length`, `connection`) are added when it is sent, unless a page has its
    /// length among them.
    pub fields: Vec<ReplyField>,
    pub body: ReplyBody,
    /// Close the client's connection after it.
    pub close: bool,
    /// What logs and counters call its status, when that is not `status`.
    pub logged: Option<u16>,
}

#[derive(Clone, Debug, Default)]
pub enum ReplyBody {
    #[default]
    Empty,
    Bytes(Bytes),
    /// An `errorfile`: sent as it is, head included; the connection is closed unless it frames itself.
    Raw(Bytes),
}

/// `silent-drop`: the client is not told; with `rst_ttl` a reset tells whoever stands so many hops on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilentDrop {
    pub rst_ttl: Option<u8>,
}

/// What one rule set decided.
pub enum Outcome {
    /// Go on with the next phase.
    Continue,
    /// `allow`/`accept`: skip the rest of this rule set.
    Stop,
    /// Answer this and end the transaction. `denied` counts it as denied (log flag `PR`).
    Final { reply: Reply, denied: bool },
    /// `use-service`: the applet with this index in the rule set's list answers.
    Service(Arc<dyn crate::model::applet::Applet>),
    /// `tarpit`: hold the connection for `timeout tarpit`, then answer this.
    Tarpit { reply: Reply },
    /// `reject`, and with `drop` `silent-drop`: close without an answer.
    Close { drop: Option<SilentDrop> },
    /// `switch-mode http`: the connection speaks HTTP from here on; `h2`: HTTP/2, whatever it begins with.
    SwitchMode { h2: bool },
    /// Evaluate again when more of the message (or `inspect-delay`'s end) is there.
    Wait,
    /// An action failed inside (`Internal error`, log flag `I`).
    Error,
}

impl Txn {
    /// Cause and phase of the end, the first two termination characters. The other two tell of cookies.
    pub fn set_end(&mut self, flags: [u8; 2]) {
        let letter = |c: u8| if c == 0 { b'-' } else { c };
        let Sticky { request, response, .. } = self.sticky;
        self.termination = [flags[0], flags[1], letter(request), letter(response)];
    }

    /// Another server than the one that the request asked for is to serve it.
    pub fn unstick(&mut self) {
        self.sticky.server = 0;
        self.sticky.is_direct = false;
        if self.sticky.request == b'V' {
            self.sticky.request = b'D';
        }
    }

    /// Forgets everything and keeps what memory is worth keeping for another transaction.
    pub fn recycle(&mut self) {
        // Field by field: the record is too large to be made anew and copied for each request. Naming all of them here
        // lets no new one be forgotten.
        macro_rules! forget {
            (all but $($kept:ident)*: $($field:ident)*) => {
                let Txn { $($kept,)* $($field,)* } = self;
                $(*$field = Default::default();)*
            };
        }
        forget! { all but req res uri_line vars req_captures res_captures:
            has_req client local conn_client conn_local server_local server_remote timers accept_date_us request_date_us
            unique_id status bytes_in bytes_out termination retries
            redispatched backend_queue server_queue actconn feconn beconn srvconn log_level expects_proxy no_repeat
            priority server_packets retries_wanted hints last_rule waiting_rule
            failed_rewrites request_no req_body res_body body_awaited response_awaited compressed cache service is_not_http is_http2
            is_malformed inspect_over
            session_requests req_growth res_growth req_cookie res_cookie log_no log_early pending
            sticky counters wait looking asking timeouts
        }
        for head in [req, res] {
            head.buf = Buf::default();
            head.reset();
        }
        uri_line.clear();
        vars.list.clear();
        req_captures.clear();
        res_captures.clear();
    }
}
