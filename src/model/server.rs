//! Servers: what the configuration says of one (`ServerSpec`), what is true now (`ServerLive`), and the set of a backend.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering};

use bitflags::bitflags;
use ipnet::IpNet;

use crate::base::{Latency, Live, Millis, Shards, rate::Rate};
use crate::tls::Upstream;

use super::address::Address;
use super::agent::{AgentLive, AgentSpec};
use super::balancer::{Balancer, NoBalancer};
use super::check_state::CheckState;
use super::counters::{Peak, ServerCounters};
use super::need::Need;
use super::notation::Family;
use super::queue::WaitQueue;

bitflags! {
    /// Why an operator (or the file) keeps a server from traffic. Bit values are HAProxy's (`show servers state`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct AdminState: u8 {
        /// `disable server` / `set server state maint`.
        const FORCED_MAINT = 0x01;
        /// Maintenance inherited from a tracked server.
        const INHERITED_MAINT = 0x02;
        /// `disabled` in the file.
        const CONFIG_MAINT = 0x04;
        /// `set server state drain`.
        const FORCED_DRAIN = 0x08;
        const INHERITED_DRAIN = 0x10;
        /// Its name does not resolve.
        const RESOLVE_MAINT = 0x20;
        /// Its name is another one than that of the file.
        const FQDN_CHANGED = 0x40;
        /// `CONFIG_MAINT` only tells where the maintenance came from: `enable server` ends it.
        const MAINT = 0x01 | 0x02 | 0x20;
        const DRAIN = 0x08 | 0x10;
    }
}

bitflags! {
    /// What a PROXY header of version 2 tells besides addresses (`proxy-v2-options`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct ProxyFields: u8 {
        const SSL = 0x01;
        /// The others of TLS stand within its field.
        const CN = 0x02;
        const CIPHER = 0x04;
        const SIG = 0x08;
        const KEY = 0x10;
        const AUTHORITY = 0x20;
        const CRC32C = 0x40;
        const UNIQUE_ID = 0x80;
    }
}

/// Operational state, values as in `show servers state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OperState {
    Stopped = 0,
    /// Slow start.
    Starting = 1,
    Running = 2,
    /// Up, but checks asked for soft stop (`http-check disable-on-404`).
    Stopping = 3,
}

impl OperState {
    pub fn from_u8(v: u8) -> Self {
        match v {
            0 => OperState::Stopped,
            1 => OperState::Starting,
            3 => OperState::Stopping,
            _ => OperState::Running,
        }
    }
}

/// `hash-key`: what places a server on the ring of `hash-type consistent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum HashKey {
    /// The low 28 bits of `id`.
    #[default]
    Id,
    /// All of `id`.
    Id32,
    Addr,
    AddrPort,
}

/// What the configuration says of a server, as far as balancing and connecting need it.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSpec {
    pub name: Arc<str>,
    /// `id` of the manual (puid), unique in its backend.
    pub id: u32,
    pub address: Address,
    /// The name as written, when the address came from one.
    pub hostname: Option<Arc<str>>,
    /// `_service._protocol.name`: where its name, port and weight come from.
    pub srv_record: Option<Arc<str>>,
    /// `resolvers`: its name is resolved again and again.
    pub resolving: Option<Arc<Resolving>>,
    /// `server ... :+100` or no port: added to (or taken from) the client's destination port.
    pub port_offset: Option<i32>,
    /// `0.0.0.0` or `::`: connections go on to where the client went, or a rule said that it did (`set-dst`).
    pub goes_on: bool,
    /// 0 to 256.
    pub weight: u32,
    pub backup: bool,
    pub maxconn: u32,
    pub minconn: u32,
    pub maxqueue: u32,
    pub slowstart_ms: u64,
    pub disabled: bool,
    /// Idle connections kept at most; `None` for no limit (`pool-max-conn -1`).
    pub pool_max_conn: Option<u32>,
    /// `pool-low-conn`: so many more idle connections are kept than were in use at once.
    pub pool_low_conn: u32,
    pub pool_purge_delay_ms: u64,
    /// `max-reuse`.
    pub max_reuse: Option<u32>,
    /// It speaks HTTP/2 from the first byte on.
    pub proto_h2: bool,
    /// `ws`.
    pub websockets: Websockets,
    /// 0, 1 or 2 (`send-proxy`, `send-proxy-v2`).
    pub send_proxy: u8,
    /// `proxy-v2-options`.
    pub proxy_fields: ProxyFields,
    /// `set-proxy-v2-tlv-fmt`: kinds, and formats as written.
    pub proxy_tlvs: Arc<[(u8, Box<str>)]>,
    /// `socks4`: connections go through this proxy.
    pub socks4: Option<SocketAddr>,
    pub source: Option<Address>,
    pub interface: Option<Arc<str>>,
    pub cookie: Option<Arc<str>>,
    /// `redir`: where GET and HEAD are sent instead.
    pub redir: Option<Arc<str>>,
    pub tcp_ut_ms: u32,
    /// It is not stored in stick tables.
    pub non_stick: bool,
    pub has_check: bool,
    /// `agent-check`.
    pub agent: Option<Arc<AgentSpec>>,
    /// `track`: the backend and the server whose state it takes over.
    pub track: Option<Arc<(Box<str>, Box<str>)>>,
    pub rise: u32,
    pub fall: u32,
    pub hash_key: HashKey,
    /// `ssl`.
    pub tls: Option<ServerTls>,
    /// `no-ssl`: behind an `ssl` of `default-server` TLS is ready, and spoken from `set server ssl on` on.
    pub tls_is_off: bool,
}

/// How the name of a server is resolved while running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolving {
    /// `resolvers`.
    pub resolvers: Arc<str>,
    /// `resolve-prefer`.
    pub prefer: Family,
    /// `resolve-net`.
    pub nets: Vec<IpNet>,
    /// `resolve-opts`.
    pub allow_dup_ip: bool,
    pub ignore_weight: bool,
}

/// The version of HTTP that WebSockets are asked for with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Websockets {
    /// That of other requests; HTTP/1.1 of a server that offers both with TLS.
    #[default]
    Auto,
    H1,
    H2,
}

/// How TLS is spoken to a server.
#[derive(Clone, Debug)]
pub struct ServerTls {
    pub upstream: Upstream,
    /// `alpn` has `h2`: which version of HTTP is spoken is known after the handshake.
    pub offers_h2: bool,
    /// It has `http/1.1`, too.
    pub offers_h1: bool,
    /// Of the words and of what the files hold that they name.
    pub fingerprint: u64,
}

impl PartialEq for ServerTls {
    fn eq(&self, other: &ServerTls) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl ServerSpec {
    /// What stands for the address of `dispatch`, which is a server without a name of its own.
    pub const DISPATCH: &'static str = "<NOSRV>";

    pub fn is_dispatch(&self) -> bool {
        &*self.name == Self::DISPATCH
    }

    pub fn new(name: &str, id: u32, address: Address) -> Self {
        ServerSpec { name: name.into(), id, address, ..ServerSpec::default() }
    }
}

/// A line without options, at no address.
impl Default for ServerSpec {
    fn default() -> Self {
        ServerSpec {
            name: "".into(),
            id: 0,
            address: Address::Inet(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0)),
            hostname: None,
            srv_record: None,
            resolving: None,
            port_offset: None,
            goes_on: false,
            weight: 1,
            backup: false,
            maxconn: 0,
            minconn: 0,
            maxqueue: 0,
            slowstart_ms: 0,
            disabled: false,
            pool_max_conn: None,
            pool_low_conn: 0,
            pool_purge_delay_ms: 5000,
            max_reuse: None,
            proto_h2: false,
            websockets: Websockets::Auto,
            send_proxy: 0,
            proxy_fields: ProxyFields::default(),
            proxy_tlvs: Arc::default(),
            socks4: None,
            source: None,
            interface: None,
            cookie: None,
            redir: None,
            tcp_ut_ms: 0,
            non_stick: false,
            has_check: false,
            agent: None,
            track: None,
            rise: 2,
            fall: 3,
            hash_key: HashKey::Id,
            tls: None,
            tls_is_off: false,
        }
    }
}

/// What is true of a server now. Kept by backend and name across configuration changes.
#[derive(Debug)]
pub struct ServerLive {
    /// Unique in the process; never used again.
    pub uid: u64,
    /// Streams that wait for this very server.
    pub queue: WaitQueue,
    oper: AtomicU8,
    admin: AtomicU8,
    /// Weight set by the operator (0..256); starts as the spec's.
    pub user_weight: AtomicU32,
    /// `set server maxconn`; starts as the spec's.
    pub maxconn: AtomicU32,
    /// `set server addr`: `None` as in the spec.
    pub address: Live<Option<Address>>,
    /// A name that a record or `set server fqdn` gave it.
    pub fqdn: Live<Option<Arc<str>>>,
    /// Streams served now (slots against `maxconn`).
    pub served: AtomicU32,
    pub served_max: Peak,
    /// Idle connections pooled over all workers, and connections open for a stream.
    pub idle: AtomicU32,
    /// The idle ones that have served more than one request.
    pub idle_proven: AtomicU32,
    /// Idle connections that belong to one client; they are not among `idle`.
    pub idle_private: AtomicU32,
    /// The idle ones by the worker that holds them.
    pub idle_by: Shards<AtomicU32>,
    pub used: AtomicU32,
    pub need: Need,
    pub sess_rate: Rate,
    pub sess_rate_max: Peak,
    pub counters: Shards<ServerCounters>,
    /// rise/fall counter as in `show servers state` (0..rise+fall-1).
    pub health: AtomicU32,
    pub check: Live<CheckState>,
    /// `set server check-addr` and `check-port`, instead of what the file says; 0: none.
    pub check_addr: Live<Option<IpAddr>>,
    pub check_port: AtomicU32,
    /// `disable health`, `enable health`.
    pub check_enabled: AtomicBool,
    pub check_failed: AtomicU64,
    pub down_trans: AtomicU64,
    pub down_ms: AtomicU64,
    pub last_change_ms: AtomicU64,
    pub last_session_ms: AtomicU64,
    /// Start of slow start (ms of base::clock), 0 when not ramping.
    pub slowstart_from_ms: AtomicU64,
    pub agent: AgentLive,
    /// Of its responses, for `balance peak-ewma` alone.
    pub latency: Latency,
    /// The server at the end of the chain that it tracks (`track`).
    pub leader: Live<Option<Server>>,
    /// Consecutive errors seen by `observe`.
    pub observed_errors: AtomicI64,
    /// Who wants to know what traffic shows of the server (`observe`); `None` without `observe`.
    observer: Live<Option<Arc<dyn Observer>>>,
    /// There is an observer: spares streams the look into its cell.
    is_observed: AtomicBool,
    /// `set server ssl`, as [`TlsSwitch`].
    tls_switch: AtomicU8,
    /// Grows when connections made before are not to be used any more; see [`ServerLive::begin_epoch`].
    epoch: AtomicU32,
}

/// Whether TLS is spoken to a server that is ready for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsSwitch {
    /// As its line says.
    Line = 0,
    On = 1,
    Off = 2,
}

/// Why connections to a server are not to be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Its address changed: connections under way may finish, none of them is kept.
    Moved = 0,
    /// `shutdown sessions server`.
    Killed = 1,
    /// `on-marked-down shutdown-sessions`.
    Down = 2,
    /// `on-marked-up shutdown-backup-sessions` of another server.
    Up = 3,
}

/// What a stream saw of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Connected,
    ConnectFailed,
    /// Status 100 to 499, 501 or 505.
    GoodResponse,
    WrongStatus,
    BadHeaders,
    BadResponse,
    ReadError,
    ReadTimeout,
    /// The server closed before it answered.
    Closed,
}

/// Takes in what streams see of a server. Called on data workers: cheap unless a limit is reached.
pub trait Observer: Send + Sync + std::fmt::Debug {
    fn seen(&self, what: Seen);
}

impl ServerLive {
    pub fn new(spec: &ServerSpec, workers: usize, now: Millis) -> Self {
        let disabled = AdminState::CONFIG_MAINT | AdminState::FORCED_MAINT;
        let admin = if spec.disabled { disabled } else { AdminState::empty() };
        let oper = if spec.disabled { OperState::Stopped } else { OperState::Running };
        static UID: AtomicU64 = AtomicU64::new(1);
        ServerLive {
            uid: UID.fetch_add(1, Ordering::Relaxed),
            queue: WaitQueue::default(),
            oper: AtomicU8::new(oper as u8),
            admin: AtomicU8::new(admin.bits()),
            user_weight: AtomicU32::new(spec.weight),
            maxconn: AtomicU32::new(spec.maxconn),
            address: Live::new(None),
            fqdn: Live::new(None),
            served: AtomicU32::new(0),
            served_max: Peak::default(),
            idle: AtomicU32::new(0),
            idle_proven: AtomicU32::new(0),
            idle_private: AtomicU32::new(0),
            idle_by: Shards::new(workers),
            used: AtomicU32::new(0),
            need: Need::default(),
            sess_rate: Rate::default(),
            sess_rate_max: Peak::default(),
            counters: Shards::new(workers),
            health: AtomicU32::new(if spec.disabled { 0 } else { spec.rise }),
            check: Live::new(CheckState { status: "INI", ..CheckState::default() }),
            check_addr: Live::new(None),
            check_port: AtomicU32::new(0),
            check_enabled: AtomicBool::new(spec.has_check),
            check_failed: AtomicU64::new(0),
            down_trans: AtomicU64::new(0),
            down_ms: AtomicU64::new(0),
            last_change_ms: AtomicU64::new(now),
            last_session_ms: AtomicU64::new(0),
            slowstart_from_ms: AtomicU64::new(0),
            agent: AgentLive::new(spec.agent.is_some()),
            latency: Latency::default(),
            leader: Live::new(None),
            observed_errors: AtomicI64::new(0),
            observer: Live::new(None),
            is_observed: AtomicBool::new(false),
            tls_switch: AtomicU8::new(TlsSwitch::Line as u8),
            epoch: AtomicU32::new(0),
        }
    }

    /// Sets who is told what streams see of the server.
    pub fn observe(&self, observer: Option<Arc<dyn Observer>>) {
        self.is_observed.store(observer.is_some(), Ordering::Relaxed);
        self.observer.store(Arc::new(observer));
    }

    /// A stream saw this of the server.
    pub fn seen(&self, what: Seen) {
        if self.is_observed.load(Ordering::Relaxed) {
            self.observer.with(|observer| {
                if let Some(observer) = observer {
                    observer.seen(what);
                }
            });
        }
    }

    /// Of the connections made from now on.
    pub fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// `set server ssl`.
    pub fn switch_tls(&self, switch: TlsSwitch) {
        self.tls_switch.store(switch as u8, Ordering::Relaxed);
        self.begin_epoch(Cut::Moved);
    }

    pub fn tls_switch(&self) -> TlsSwitch {
        match self.tls_switch.load(Ordering::Relaxed) {
            1 => TlsSwitch::On,
            2 => TlsSwitch::Off,
            _ => TlsSwitch::Line,
        }
    }

    /// Connections of earlier epochs are not to be used again.
    pub fn begin_epoch(&self, why: Cut) {
        let next = |old: u32| Some((old & !3).wrapping_add(4) | why as u32);
        let _ = self.epoch.fetch_update(Ordering::AcqRel, Ordering::Relaxed, next);
    }

    /// Why a connection of `epoch` is not to be used any more; `None` while it may be.
    pub fn cut(&self, epoch: u32) -> Option<Cut> {
        let now = self.epoch();
        (now != epoch).then_some(match now & 3 {
            0 => Cut::Moved,
            1 => Cut::Killed,
            2 => Cut::Down,
            _ => Cut::Up,
        })
    }

    pub fn oper(&self) -> OperState {
        OperState::from_u8(self.oper.load(Ordering::Acquire))
    }

    pub fn set_oper(&self, state: OperState) {
        self.oper.store(state as u8, Ordering::Release);
    }

    pub fn admin(&self) -> AdminState {
        AdminState::from_bits_truncate(self.admin.load(Ordering::Acquire))
    }

    pub fn set_admin(&self, state: AdminState) {
        self.admin.store(state.bits(), Ordering::Release);
    }

    /// May take new traffic by balancing: up, not in maintenance, not draining, weight not null.
    pub fn is_usable(&self) -> bool {
        self.is_up()
            && self.oper() != OperState::Stopping
            && !self.admin().intersects(AdminState::DRAIN)
            && self.user_weight.load(Ordering::Relaxed) > 0
    }

    /// Not stopped and not in maintenance: may still serve persistent traffic.
    pub fn is_up(&self) -> bool {
        self.oper() != OperState::Stopped && !self.admin().intersects(AdminState::MAINT)
    }
}

/// One server of a backend: immutable spec, shared live cell.
#[derive(Clone, Debug)]
pub struct Server {
    pub spec: Arc<ServerSpec>,
    pub live: Arc<ServerLive>,
}

impl Server {
    /// Where to connect now.
    pub fn address(&self) -> Address {
        self.live.address.since_first(Option::clone).flatten().unwrap_or_else(|| self.spec.address.clone())
    }

    /// The name that its address comes from now.
    pub fn fqdn(&self) -> Option<Arc<str>> {
        self.live.fqdn.with(|fqdn| fqdn.clone()).or_else(|| self.spec.hostname.clone())
    }

    /// Its name does not resolve: it has no address.
    pub fn is_nowhere(&self) -> bool {
        self.live.admin().intersects(AdminState::RESOLVE_MAINT)
    }

    /// Moves it to another address. Connections under way may finish, none of them is kept.
    pub fn move_to(&self, address: Address) {
        self.live.address.store(Arc::new(Some(address)));
        self.live.begin_epoch(Cut::Moved);
    }

    /// How TLS is spoken to it now, if it is.
    pub fn tls(&self) -> Option<&ServerTls> {
        let is_on = match self.live.tls_switch() {
            TlsSwitch::On => true,
            TlsSwitch::Off => false,
            TlsSwitch::Line => !self.spec.tls_is_off,
        };
        self.spec.tls.as_ref().filter(|_| is_on)
    }
}

/// The servers of a backend in file order with their balancing algorithm; replaced whole when a server is added or
/// removed, because the file, the region map, DNS and `add server` all change it.
#[derive(Debug)]
pub struct ServerSet {
    pub list: Vec<Server>,
    pub balancer: Box<dyn Balancer>,
}

impl Default for ServerSet {
    fn default() -> Self {
        ServerSet { list: Vec::new(), balancer: Box::new(NoBalancer) }
    }
}

impl ServerSet {
    pub fn by_name(&self, name: &str) -> Option<(usize, &Server)> {
        self.list.iter().enumerate().find(|(_, s)| &*s.spec.name == name)
    }

    /// To be called after a state or weight changed.
    pub fn refresh(&self, now: Millis) {
        self.balancer.refresh(&self.list, now);
    }
}
