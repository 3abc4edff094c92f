//! What a line of statistics is about: a frontend, a backend or a server, with its figures added up at one moment.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::balance::usable::{Serving, WEIGHT_SCALE, effective_weight, usable_counts};
use crate::base::{Millis, clock};
use crate::config::{Backend, Bind, Config, Frontend, Proxy};
use crate::model::proxy::SideLive;
use crate::model::{AdminState, ListenerLive, Mode, OperState, Server, ServerLive, ServerSet, Totals};

/// `type` of `show stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Frontend = 0,
    Backend = 1,
    Server = 2,
    /// Of a frontend with `option socket-stats`.
    Listener = 3,
}

impl Kind {
    /// Letter of typed output, word of JSON, name in Prometheus.
    pub fn names(self) -> (char, &'static str, &'static str) {
        match self {
            Kind::Frontend => ('F', "Frontend", "frontend"),
            Kind::Backend => ('B', "Backend", "backend"),
            Kind::Server => ('S', "Server", "server"),
            Kind::Listener => ('L', "Listener", "listener"),
        }
    }
}

/// The configuration and the server sets of one moment, which rows borrow from.
pub struct Snapshot {
    pub config: Arc<Config>,
    sets: Vec<Option<Arc<ServerSet>>>,
    /// What is told of listeners apart, in the order of their proxies' `bind` lines; by the proxies' numbers.
    listeners: HashMap<u32, Vec<Arc<ListenerLive>>>,
    pub now: Millis,
    pub show: Show,
    /// Limit of connections of frontends that set none.
    default_maxconn: u32,
}

/// What is shown of what there is.
#[derive(Clone, Debug, Default)]
pub struct Show {
    /// Addresses, cookies and algorithms too (`stats show-legends`; level operator).
    pub legends: bool,
    /// `up`: no server that is down.
    pub hide_down: bool,
    /// `no-maint`: no server in maintenance.
    pub hide_maint: bool,
    /// `show stat <proxy> <type> <sid>`: proxy id or -1, bits of kinds or -1, server id or -1.
    pub only: Option<(i64, i64, i64)>,
    /// Names of proxies (`stats scope`); empty: all.
    pub scope: Vec<String>,
    /// Part of the proxies' names, without regard to case (`;scope=`).
    pub search: String,
}

impl Show {
    fn wants_kind(&self, kind: Kind) -> bool {
        self.only.is_none_or(|(_, kinds, _)| kinds & (1 << kind as i64) != 0)
    }

    fn wants_proxy(&self, proxy: &Proxy) -> bool {
        !proxy.disabled
            && (self.scope.is_empty() || self.scope.iter().any(|s| **s == *proxy.name))
            && (self.search.is_empty() || proxy.name.to_lowercase().contains(&self.search.to_lowercase()))
            && self.only.is_none_or(|(id, ..)| id == -1 || id == i64::from(proxy.uid))
    }

    fn wants_server(&self, server: &Server) -> bool {
        let is_maintained = server.live.admin().intersects(AdminState::MAINT);
        let is_down = server.live.oper() == OperState::Stopped
            && (!server.live.check_enabled.load(Ordering::Relaxed)
                || server.live.health.load(Ordering::Relaxed) == 0);
        !(server.spec.is_dispatch() || self.hide_maint && is_maintained)
            && !(self.hide_down && (is_maintained || is_down))
            && self.wants_number(server.spec.id)
    }

    fn wants_number(&self, number: u32) -> bool {
        self.only.is_none_or(|(.., id)| id == -1 || id == i64::from(number))
    }
}

impl Snapshot {
    pub fn new(config: Arc<Config>, default_maxconn: u32, now: Millis, show: Show) -> Snapshot {
        let sets = config.proxies.iter().map(|p| p.back.as_ref().map(|b| b.servers.load())).collect();
        let told = config.proxies.iter().filter(|p| p.options.socket_stats);
        let binds = told.filter_map(|p| Some((p, &p.front.as_ref()?.binds)));
        let of = |(p, binds): (&Proxy, &Vec<Bind>)| {
            (p.uid, binds.iter().map(|bind| p.live.listener(bind.id)).collect())
        };
        let listeners = binds.map(of).collect();
        Snapshot { config, sets, listeners, now, show, default_maxconn }
    }

    /// The lines of each proxy in file order: frontend, servers, backend.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.proxies().flat_map(|(proxy, set)| self.rows_of(proxy, set))
    }

    /// The proxies shown, with their servers.
    pub fn proxies(&self) -> impl Iterator<Item = (&Proxy, Option<&ServerSet>)> {
        let all = self.config.proxies.iter().zip(&self.sets);
        all.filter(|(p, _)| self.show.wants_proxy(p)).map(|(p, s)| (p, s.as_deref()))
    }

    pub fn rows_of<'a>(&'a self, proxy: &'a Proxy, set: Option<&'a ServerSet>) -> Vec<Row<'a>> {
        let mut rows = Vec::new();
        if let Some(front) = &proxy.front
            && self.show.wants_kind(Kind::Frontend)
        {
            rows.push(self.row(proxy, Subject::Front(front, &proxy.live.front)));
        }
        if let (Some(front), Some(lives)) = (&proxy.front, self.listeners.get(&proxy.uid))
            && self.show.wants_kind(Kind::Listener)
        {
            let both = front.binds.iter().zip(lives).filter(|(bind, _)| self.show.wants_number(bind.id));
            rows.extend(both.map(|(bind, live)| self.row(proxy, Subject::Listener(bind, live))));
        }
        if let (Some(back), Some(set)) = (&proxy.back, set) {
            if self.show.wants_kind(Kind::Server) {
                let shown = set.list.iter().filter(|s| self.show.wants_server(s));
                rows.extend(shown.map(|s| self.row(proxy, Subject::Server(s))));
            }
            if self.show.wants_kind(Kind::Backend) {
                rows.push(self.row(proxy, Subject::Back(back, set, &proxy.live.back)));
            }
        }
        rows
    }

    fn row<'a>(&'a self, proxy: &'a Proxy, subject: Subject<'a>) -> Row<'a> {
        let totals = match subject {
            Subject::Front(_, side) | Subject::Back(_, _, side) => Totals::of(&side.counters),
            Subject::Server(server) => Totals::of(&server.live.counters),
            Subject::Listener(_, live) => live.totals(),
        };
        let (now, show, default_maxconn) = (self.now, &self.show, self.default_maxconn);
        Row { proxy, subject, totals, now, show, default_maxconn }
    }
}

#[derive(Clone, Copy)]
pub enum Subject<'a> {
    Front(&'a Frontend, &'a SideLive),
    Back(&'a Backend, &'a ServerSet, &'a SideLive),
    Server(&'a Server),
    Listener(&'a Bind, &'a ListenerLive),
}

/// One line.
pub struct Row<'a> {
    pub proxy: &'a Proxy,
    pub subject: Subject<'a>,
    pub totals: Totals,
    pub now: Millis,
    pub show: &'a Show,
    /// For frontends that set none.
    pub default_maxconn: u32,
}

impl<'a> Row<'a> {
    pub fn kind(&self) -> Kind {
        match self.subject {
            Subject::Front(..) => Kind::Frontend,
            Subject::Back(..) => Kind::Backend,
            Subject::Server(_) => Kind::Server,
            Subject::Listener(..) => Kind::Listener,
        }
    }

    pub fn name(&self) -> Cow<'a, str> {
        match self.subject {
            Subject::Front(..) => "FRONTEND".into(),
            Subject::Back(..) => "BACKEND".into(),
            Subject::Server(server) => (*server.spec.name).into(),
            Subject::Listener(bind, _) => match &bind.name {
                Some(name) => (**name).into(),
                None => format!("sock-{}", bind.id).into(),
            },
        }
    }

    pub fn server(&self) -> Option<&'a Server> {
        match self.subject {
            Subject::Server(server) => Some(server),
            _ => None,
        }
    }

    pub fn side(&self) -> Option<&'a SideLive> {
        match self.subject {
            Subject::Front(_, side) | Subject::Back(_, _, side) => Some(side),
            Subject::Server(_) | Subject::Listener(..) => None,
        }
    }

    /// A backend or a server: something that traffic is balanced to.
    pub fn is_balanced(&self) -> bool {
        matches!(self.kind(), Kind::Backend | Kind::Server)
    }

    pub fn is_http(&self) -> bool {
        matches!(self.proxy.mode, Mode::Http | Mode::Haterm)
    }

    /// Whether health checks run on the server now (they pause in maintenance).
    pub fn is_checked(&self) -> bool {
        self.server().is_some_and(|s| {
            s.live.check_enabled.load(Ordering::Relaxed) && !s.live.admin().intersects(AdminState::MAINT)
        })
    }

    /// Seconds since a moment of `base::clock`, which is 0 for never.
    pub fn age(&self, at: Millis) -> Option<u64> {
        // What a state file tells may be before the process began.
        (at > 0).then(|| clock::elapsed_ms(self.now, at) / 1000)
    }

    /// Effective weight on the scale of the configuration: of the server, or of the servers that serve.
    pub fn weight(&self) -> u32 {
        let parts = match self.subject {
            Subject::Front(..) | Subject::Listener(..) => 0,
            Subject::Back(back, set, _) => {
                let serving = Serving::now(&set.list, back.balance.all_backups);
                let those = set.list.iter().enumerate().filter(|(i, s)| serving.has(*i, s));
                those.map(|(_, s)| effective_weight(s, self.now)).sum()
            }
            // A server that takes no traffic still shows the weight that it would have.
            Subject::Server(s) if !s.live.is_usable() => {
                s.live.user_weight.load(Ordering::Relaxed) * WEIGHT_SCALE
            }
            Subject::Server(s) => effective_weight(s, self.now),
        };
        parts.div_ceil(WEIGHT_SCALE)
    }

    /// Weight as set by the operator.
    pub fn user_weight(&self) -> u32 {
        match self.subject {
            Subject::Front(..) | Subject::Listener(..) => 0,
            Subject::Back(back, set, _) => {
                let serving = Serving::now(&set.list, back.balance.all_backups);
                let those = set.list.iter().enumerate().filter(|(i, s)| serving.has(*i, s));
                those.map(|(_, s)| s.live.user_weight.load(Ordering::Relaxed)).sum()
            }
            Subject::Server(s) => s.live.user_weight.load(Ordering::Relaxed),
        }
    }

    /// Usable active and backup servers; for a server which of the two it is.
    pub fn active_and_backup(&self) -> (u32, u32) {
        match self.subject {
            Subject::Front(..) | Subject::Listener(..) => (0, 0),
            Subject::Back(_, set, _) => usable_counts(&set.list),
            Subject::Server(s) => (u32::from(!s.spec.backup), u32::from(s.spec.backup)),
        }
    }

    /// `status`, as text.
    pub fn status(&self) -> String {
        match self.subject {
            Subject::Front(..) => {
                let live = &self.proxy.live;
                if live.stopped.load(Ordering::Relaxed) {
                    "STOP".into()
                } else if live.paused.load(Ordering::Relaxed) {
                    "PAUSED".into()
                } else {
                    "OPEN".into()
                }
            }
            Subject::Back(_, set, _) => {
                let mut text = String::from(if self.is_backend_up() { "UP" } else { "DOWN" });
                if self.show.hide_down || self.show.hide_maint {
                    let up = set.list.iter().filter(|s| s.live.oper() != OperState::Stopped).count();
                    text += &format!(" ({up}/{})", set.list.len());
                }
                text
            }
            Subject::Server(server) => server_status(server),
            Subject::Listener(bind, live) => {
                let is_full = bind.maxconn > 0 && live.cur.load(Ordering::Relaxed) >= bind.maxconn;
                if is_full { "FULL".into() } else { "OPEN".into() }
            }
        }
    }

    /// Some server can serve, or there is none at all.
    pub fn is_backend_up(&self) -> bool {
        match self.subject {
            Subject::Back(_, set, _) => set.list.is_empty() || self.weight() > 0,
            _ => false,
        }
    }

    /// Seconds without a usable server (backend), or down (server).
    pub fn downtime(&self) -> Option<u64> {
        let (down_ms, since, is_down) = match self.subject {
            Subject::Back(_, set, side) if !set.list.is_empty() => {
                (&side.down_ms, &side.last_change_ms, !self.is_backend_up())
            }
            Subject::Server(s) if s.live.check_enabled.load(Ordering::Relaxed) => {
                (&s.live.down_ms, &s.live.last_change_ms, s.live.oper() == OperState::Stopped)
            }
            _ => return None,
        };
        let since = since.load(Ordering::Relaxed);
        let now = if is_down { clock::elapsed_ms(self.now, since) } else { 0 };
        Some((down_ms.load(Ordering::Relaxed) + now) / 1000)
    }

    /// `algo`.
    pub fn algorithm(&self) -> Option<&'static str> {
        let Subject::Back(back, ..) = self.subject else { return None };
        Some(back.balance.method.name())
    }
}

fn asks_agent(live: &ServerLive) -> bool {
    live.agent.enabled.load(Ordering::Relaxed)
}

/// Its agent says that it is down.
fn is_held_down(live: &ServerLive) -> bool {
    asks_agent(live) && live.agent.health.load(Ordering::Relaxed) == 0
}

/// `status` of a server: with checks running, how far it is from the opposite state.
fn server_status(server: &Server) -> String {
    let live = &server.live;
    let admin = live.admin();
    if admin.contains(AdminState::RESOLVE_MAINT) {
        return "MAINT (resolution)".into();
    }
    let is_inherited = admin.contains(AdminState::INHERITED_MAINT);
    if let Some(track) = server.spec.track.as_deref().filter(|_| is_inherited) {
        return format!("MAINT (via {}/{})", track.0, track.1);
    }
    if admin.intersects(AdminState::MAINT) {
        return "MAINT".into();
    }
    // Of one that tracks another, the checks of that one count.
    let leader = live.leader.with(|leader| leader.clone());
    let checked = leader.as_ref().unwrap_or(server);
    let is_checked = checked.live.check_enabled.load(Ordering::Relaxed);
    let health = checked.live.health.load(Ordering::Relaxed);
    let (rise, fall) = (checked.spec.rise, checked.spec.fall);
    let is_whole = !is_checked || health + 1 >= rise + fall;
    let up = |word: &str| {
        if is_whole {
            word.to_owned()
        } else {
            format!("{word} {}/{fall}", (health + 1).saturating_sub(rise))
        }
    };
    match live.oper() {
        OperState::Stopped if is_held_down(live) => "DOWN (agent)".into(),
        OperState::Stopped if is_checked && health > 0 => format!("DOWN {health}/{rise}"),
        OperState::Stopped => "DOWN".into(),
        OperState::Stopping => up("NOLB"),
        _ if admin.intersects(AdminState::DRAIN) && asks_agent(live) => "DRAIN (agent)".into(),
        _ if admin.intersects(AdminState::DRAIN) => up("DRAIN"),
        _ if !is_checked => "no check".into(),
        _ => up("UP"),
    }
}
