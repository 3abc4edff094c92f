//! From drafts to a [`Config`]: numbers, names resolved to ids, rules compiled, live cells taken over.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use crate::base::Live;
use crate::lang::{Severity, Span, suggest};
use crate::model::{Caps, Mode, ProxyId, ProxyLive, ServerSet, ServerSpec};
use crate::rules::named::Wanted;
use crate::rules::{Captures, HttpErrors, vars};

use super::super::proxy::{
    Backend, Config, Frontend, Proxy, Rules, ServerTarget, Switch, SwitchTarget, Switching, UseServer,
};
use super::backend::declared;
use super::draft::{Cx, Draft, StateFile, Step};
use super::live::{ServerChange, servers};
use super::needs::Needs;
use super::postcheck;
use super::rule::{self, Program, program};
use super::section::Drafts;
use super::state;
use super::variable;

/// A configuration that was built and not stored yet.
pub struct Built {
    pub config: Config,
    /// Cells that running workers share, and what they are to hold.
    pub server_sets: Vec<(Arc<Live<ServerSet>>, Arc<ServerSet>)>,
    pub server_changes: Vec<ServerChange>,
    /// Proxies whose `maxconn` line changed: it wins over `set maxconn frontend`.
    pub maxconn_changes: Vec<Arc<ProxyLive>>,
    /// Stick tables that run on.
    pub table_changes: Vec<super::stick::Change>,
}

impl Built {
    /// Makes the changes to shared cells. To be called together with the store of the configuration.
    pub fn activate(&mut self, now: crate::base::Millis) {
        crate::rules::vars::introduce(&self.config.proc_vars);
        // First, so that what is dialled by an old line is of an old epoch, and not kept.
        for (cell, set) in self.server_sets.drain(..) {
            cell.store(set);
        }
        for change in self.server_changes.drain(..) {
            change.apply(now);
        }
        for (id, value) in &self.config.proc_vars {
            vars::set_process(*id, Some(value.clone()));
        }
        for live in self.maxconn_changes.drain(..) {
            live.maxconn_override.store(0, Ordering::Relaxed);
        }
        for (table, spec) in self.table_changes.drain(..) {
            table.adopt(&spec);
        }
        for proxy in &self.config.proxies {
            if let Some(back) = &proxy.back {
                back.servers.with(|set| set.refresh(now));
            }
        }
    }
}

/// Which proxy a name means, and what the checks of one proxy need to know of the others.
pub struct Names<'d, 'a> {
    pub drafts: &'d [Draft<'a>],
    pub backends: HashMap<&'d str, usize>,
}

impl<'d, 'a> Names<'d, 'a> {
    fn of(drafts: &'d [Draft<'a>]) -> Self {
        let mut backends = HashMap::new();
        for (i, draft) in drafts.iter().enumerate() {
            if draft.caps().back {
                backends.entry(draft.name).or_insert(i);
            }
        }
        Names { drafts, backends }
    }
}

/// Compiles all drafts. Alerts may have been reported: the caller decides whether the result counts.
pub fn finish<'a>(cx: &mut Cx<'a>, drafts: &Drafts<'a>) -> Built {
    let http_errors = rule::http_errors(cx, &drafts.http_errors);
    let inherited = defaults_rules(cx, drafts, &http_errors);
    let ids = proxy_ids(cx, &drafts.proxies);
    let names = Names::of(&drafts.proxies);
    let mut built = Built {
        config: Config {
            generation: cx.inputs.previous.map_or(0, |p| p.generation) + 1,
            files: cx.inputs.sources.files.iter().map(|f| f.name.as_str().into()).collect(),
            global: cx.global.clone(),
            proxies: Vec::with_capacity(drafts.proxies.len()),
            backends: HashMap::new(),
            frontends: HashMap::new(),
            proc_vars: Vec::new(),
            caches: cx.caches.clone(),
            patterns: Default::default(),
            resolvers: cx.resolvers.clone(),
            tables: Default::default(),
            named_servers: Vec::new(),
            peers: Vec::new(),
            tls: Mutex::default(),
        },
        server_sets: Vec::new(),
        server_changes: Vec::new(),
        maxconn_changes: Vec::new(),
        table_changes: Vec::new(),
    };
    built.config.proc_vars = variable::proc_vars(cx, &http_errors);
    let base = |draft: &Draft<'a>| draft.from.and_then(|i| Some(&drafts.defaults.get(i)?.draft));
    let own: Vec<Needs> = drafts.proxies.iter().map(|d| Needs::of(d, base(d))).collect();
    // Any frontend may send its streams to any backend.
    let backs = drafts.proxies.iter().zip(&own).filter(|(d, _)| d.caps().back);
    let of_backs = backs.fold(Needs::default(), |all, (_, needs)| all.or(*needs));
    let fullconns = fullconns(cx, &names);
    for (((draft, uid), needs), fullconn) in drafts.proxies.iter().zip(ids).zip(own).zip(fullconns) {
        let rules = draft.from.and_then(|i| inherited.get(i)?.as_ref());
        let program = program(cx, draft, draft.caps(), rules, &http_errors);
        postcheck::proxy(cx, draft, &program, &names);
        super::udp::check(cx, draft, &program);
        let needs = if draft.caps().front { needs.or(of_backs) } else { needs };
        let figures = Figures { uid, needs, fullconn };
        let mut proxy = one_proxy(cx, draft, figures, program, &names, &mut built);
        proxy.filters = super::filter::filters(cx, draft, base(draft));
        let id = ProxyId(built.config.proxies.len() as u32);
        if proxy.front.is_some() {
            built.config.frontends.insert(proxy.name.clone(), id);
        }
        if proxy.back.is_some() {
            built.config.backends.insert(proxy.name.clone(), id);
        }
        built.config.proxies.push(proxy);
    }
    let made = super::stick::tables(cx, &drafts.proxies, &drafts.peers);
    (built.config.tables, built.table_changes) = (made.tables, made.changes);
    built.config.peers = super::peers::specs(cx, &drafts.peers, &made.shared);
    built.config.named_servers = named_servers(cx);
    built.config.patterns = std::mem::take(&mut cx.patterns);
    built.config.tls = Mutex::new(super::tls::live(cx, &built.config));
    postcheck::whole(cx, &built.config);
    built
}

/// The servers that expressions name, with their backends.
fn named_servers(cx: &Cx<'_>) -> Vec<(Box<str>, Box<str>)> {
    let named = cx.named.iter().filter_map(|reference| match &reference.wanted {
        Wanted::Server(server) => Some((reference, server)),
        _ => None,
    });
    let backend = |of: &super::draft::Reference<'_>| match &*of.proxy {
        "" => of.from.into(),
        proxy => proxy.into(),
    };
    named.map(|(reference, server)| (backend(reference), server.clone())).collect()
}

/// The rules of each `defaults` section that has some, compiled once for the kind of section that uses it.
fn defaults_rules<'a>(
    cx: &mut Cx<'a>,
    drafts: &Drafts<'a>,
    http_errors: &HttpErrors,
) -> Vec<Option<(Rules, Captures)>> {
    let compile = |(i, defaults): (usize, &super::section::Defaults<'a>)| {
        let draft = &defaults.draft;
        if draft.steps.is_empty() {
            return None;
        }
        let user = drafts.proxies.iter().find(|p| p.from == Some(i));
        let caps = user.map_or(Caps { front: true, back: true }, Draft::caps);
        let program = program(cx, draft, caps, None, http_errors);
        Some((program.rules, program.captures))
    };
    drafts.defaults.iter().enumerate().map(compile).collect()
}

/// Numbers as HAProxy gives them: those of `id` lines, and for the others the first free one from 2 on.
fn proxy_ids(cx: &mut Cx<'_>, drafts: &[Draft<'_>]) -> Vec<u32> {
    let mut taken: HashMap<u32, &Draft<'_>> = HashMap::new();
    for draft in drafts {
        let Some(id) = draft.id else { continue };
        if let Some(other) = taken.insert(id, draft) {
            let message = format!(
                "{} {} reuses same custom id as {} {} (declared at {}).",
                draft.kind.noun(),
                draft.name,
                other.kind.noun(),
                other.name,
                cx.place(other.at)
            );
            cx.diags.alert(draft.at, message);
        }
    }
    let mut next = 2;
    let mut number = |draft: &Draft<'_>| {
        if let Some(id) = draft.id {
            return id;
        }
        while taken.contains_key(&next) {
            next += 1;
        }
        next += 1;
        next - 1
    };
    drafts.iter().map(&mut number).collect()
}

/// What of a section follows from all of them.
#[derive(Clone, Copy)]
struct Figures {
    uid: u32,
    needs: Needs,
    fullconn: u32,
}

fn one_proxy<'a>(
    cx: &mut Cx<'a>,
    draft: &Draft<'a>,
    figures: Figures,
    mut program: Program<'a>,
    names: &Names<'_, 'a>,
    built: &mut Built,
) -> Proxy {
    let set = &draft.set;
    let caps = draft.caps();
    let previous = cx.inputs.previous.and_then(|config| same_proxy(config, draft));
    let is_resized = previous.filter(|p| p.maxconn != set.maxconn);
    built.maxconn_changes.extend(is_resized.map(|p| p.live.clone()));
    let live = previous.map_or_else(
        || {
            let live = ProxyLive::new(cx.inputs.workers);
            live.unpublished.store(draft.unpublished, Ordering::Relaxed);
            Arc::new(live)
        },
        |p| p.live.clone(),
    );
    let mut timeouts = set.timeouts;
    if timeouts.tarpit == 0 {
        timeouts.tarpit = timeouts.connect;
    }
    if caps.back && timeouts.queue == 0 {
        timeouts.queue = timeouts.connect;
    }
    let front = caps.front.then(|| frontend(cx, draft, &mut program, names));
    let back = caps.back.then(|| {
        let before = previous.and_then(|p| p.back.as_ref());
        backend(cx, draft, figures, &mut program, before, built)
    });
    Proxy {
        name: draft.name.into(),
        uid: figures.uid,
        mode: set.mode,
        disabled: set.disabled,
        description: draft.description.clone(),
        timeouts,
        options: set.options.clone(),
        log: program.log,
        rules: program.rules,
        errors: program.errors,
        stats: set.stats.clone().map(|mut stats| {
            stats.admin = !program.stats_admin.is_empty();
            stats.applet = (cx.inputs.services)("stats");
            Arc::new(stats)
        }),
        filters: Vec::new(),
        compression: set.compression.clone().map(Arc::new),
        stats_rules: program.stats_rules,
        stats_admin: program.stats_admin,
        maxconn: set.maxconn,
        live,
        front,
        back,
        needs_uri_line: figures.needs.uri_line,
        needs_local_address: figures.needs.local_address,
        needs_server_address: figures.needs.server_address,
        declared_at: draft.at,
    }
}

/// The running proxy whose live cells a section keeps: same name, same sides.
fn same_proxy<'p>(config: &'p Config, draft: &Draft<'_>) -> Option<&'p Proxy> {
    let caps = draft.caps();
    let of_side = if caps.front { &config.frontends } else { &config.backends };
    let id = of_side.get(draft.name)?;
    let proxy = config.proxies.get(id.0 as usize)?;
    (proxy.front.is_some() == caps.front && proxy.back.is_some() == caps.back).then_some(proxy)
}

fn frontend<'a>(
    cx: &mut Cx<'a>,
    draft: &Draft<'a>,
    program: &mut Program<'a>,
    names: &Names<'_, 'a>,
) -> Frontend {
    let set = &draft.set;
    let mut binds = draft.binds.clone();
    number_binds(&mut binds);
    super::tls::endpoints(cx, draft, &mut binds);
    let mut switching = Vec::new();
    for (args, dynamic, condition) in std::mem::take(&mut program.switching) {
        let target = match dynamic {
            Some(format) => Some(SwitchTarget::Dynamic(format)),
            None if args.str(1).contains('%') => None,
            None => {
                target(cx, draft, names, args.str(1), args.at(1), "use_backend").map(SwitchTarget::Backend)
            }
        };
        switching.extend(target.map(|target| Switch { at: args.at(0), target, condition }));
    }
    let default_backend = set.default_backend.and_then(|word| {
        let id = target(cx, draft, names, word.str(), word.span, "default_backend")?;
        if !draft.servers.is_empty() {
            let message = format!(
                "In proxy '{}', the 'default_backend' rule always has precedence over the servers, which will never \
                 be used.",
                draft.name
            );
            cx.whole(Severity::Warning, word.span, message);
        }
        Some(id)
    });
    let applet = (set.mode == Mode::Haterm).then(|| (cx.inputs.services)("haterm")).flatten();
    Frontend {
        binds,
        backlog: set.backlog,
        rate_limit_sessions: set.rate_limit_sessions,
        switching: Switching::new(switching, std::mem::take(&mut program.forced_switch)),
        default_backend,
        monitor_uri: set.monitor_uri.map(|w| w.bytes().into()),
        monitor_fail: std::mem::take(&mut program.monitor_fail),
        unique_id_format: program.unique_id.take(),
        unique_id_header: set.unique_id_header.map(|w| w.bytes().into()),
        cookie_capture: draft.cookie_capture.clone(),
        req_captures: std::mem::take(&mut program.captures.req),
        res_captures: std::mem::take(&mut program.captures.res),
        applet,
    }
}

/// Numbers of listeners: those of `id`, and for the others the first free one after the one before.
fn number_binds(binds: &mut [super::super::proxy::Bind]) {
    let mut taken: HashSet<u32> = binds.iter().map(|b| b.id).filter(|id| *id != 0).collect();
    let mut next = 1;
    for bind in binds {
        if bind.id == 0 {
            while taken.contains(&next) {
                next += 1;
            }
            bind.id = next;
            taken.insert(next);
        }
        next = bind.id + 1;
    }
}

/// The backend that a `use_backend` or `default_backend` line names.
fn target(
    cx: &mut Cx<'_>,
    draft: &Draft<'_>,
    names: &Names<'_, '_>,
    name: &str,
    at: Span,
    what: &str,
) -> Option<ProxyId> {
    let Some(&i) = names.backends.get(name) else {
        let hint = suggest::hint(name, names.backends.keys().copied());
        let message = format!("Proxy '{}': unable to find required {what}: '{name}'.", draft.name);
        cx.whole_hint(Severity::Alert, at, message, hint);
        return None;
    };
    let other = &names.drafts[i];
    if std::ptr::eq(other, draft) {
        let message = format!("Proxy '{}': loop detected for {what}: '{name}'.", draft.name);
        cx.whole(Severity::Alert, at, message);
        return None;
    }
    let (own, its) = (draft.set.mode, other.set.mode);
    if (own == Mode::Udp) != (its == Mode::Udp) {
        let message = format!(
            "{} speaks {} and {} ({}) does not: datagrams go to datagrams alone (see 'mode').",
            draft.title(),
            if own == Mode::Udp { "udp" } else { "tcp" },
            other.title(),
            cx.place(other.at)
        );
        cx.whole(Severity::Alert, at, message);
        return None;
    }
    let http = Mode::has_messages;
    if http(draft.set.mode) && !http(other.set.mode) {
        let how = if what == "use_backend" { "in a 'use_backend' rule" } else { "as its default backend" };
        let message = format!(
            "http {} ({}) tries to use incompatible tcp {} ({}) {how} (see 'mode').",
            draft.title(),
            cx.place(draft.at),
            other.title(),
            cx.place(other.at)
        );
        cx.whole(Severity::Alert, at, message);
        return None;
    }
    Some(ProxyId(i as u32))
}

fn backend<'a>(
    cx: &mut Cx<'a>,
    draft: &Draft<'a>,
    figures: Figures,
    program: &mut Program<'a>,
    previous: Option<&Backend>,
    built: &mut Built,
) -> Backend {
    let set = &draft.set;
    let state_file = state_file(cx, draft);
    // Only a process that starts has nothing better.
    let saved = match (&state_file, cx.inputs.previous) {
        (Some(file), None) => state::read(cx, draft.name, file),
        _ => state::Saved::new(),
    };
    let list = declared(cx, draft, previous, &saved);
    let mut balance = set.balance.clone();
    if !set.mode.has_messages() && super::balance::needs_http(&balance) {
        balance.method = crate::balance::Method::RoundRobin;
    }
    balance.all_backups = set.options.allbackups;
    // Only servers whose limit moves look at it; a figure that nobody reads must not make the balancer start anew.
    let services = super::service::specs(cx, draft);
    let moves = |spec: &ServerSpec| spec.minconn < spec.maxconn;
    let moves = list.iter().any(|d| moves(&d.spec)) || services.iter().any(|s| moves(&s.template));
    balance.fullconn = if moves { figures.fullconn } else { 0 };
    let (workers, now) = (cx.inputs.workers, cx.inputs.now);
    let merged = servers(&list, &balance, previous, &saved, (workers, now));
    if let Some(next) = merged.next {
        built.server_sets.push((merged.cell.clone(), next));
    }
    built.server_changes.extend(merged.changes);
    Backend {
        balance,
        balance_expr: program.balance_expr.take(),
        forwarded: program.forwarded.take(),
        snis: std::mem::take(&mut program.snis),
        proxy_tlvs: std::mem::take(&mut program.proxy_tlvs),
        servers: merged.cell,
        declared: list.iter().map(|d| d.spec.clone()).collect(),
        services,
        checks: super::checks::numbered(super::checks::specs(cx, draft, &list), figures.uid),
        added_checks: previous.map(|back| back.added_checks.clone()).unwrap_or_default(),
        check_template: super::checks::spec(cx, draft, &super::declared::ServerSettings::default()),
        retries: set.retries,
        retry_on: set.retry_on.clone(),
        fullconn: figures.fullconn,
        source: set.source.clone(),
        source_interface: set.source_interface.map(Arc::from),
        persist: std::mem::take(&mut program.persist),
        desktop_cookie: set.desktop_cookie.map(|name| name.as_bytes().into()),
        use_server: use_servers(cx, draft, program),
        sticking: std::mem::take(&mut program.sticking),
        cookie: set.cookie.clone().filter(|_| set.mode.has_messages()),
        send_name_header: set.send_name_header.map(|w| w.bytes().into()),
        max_keep_alive_queue: set.max_keep_alive_queue,
        state_file,
    }
}

fn use_servers<'a>(cx: &mut Cx<'a>, draft: &Draft<'a>, program: &mut Program<'a>) -> Vec<UseServer> {
    let mut list = Vec::new();
    for (args, dynamic, condition) in std::mem::take(&mut program.use_server) {
        let name = args.str(1);
        let target = match dynamic {
            Some(format) => ServerTarget::Dynamic(format),
            None => {
                if !name.contains('%') && !draft.servers.iter().any(|s| &*s.name == name) {
                    let hint = suggest::hint(name, draft.servers.iter().map(|s| &*s.name));
                    let message = format!(
                        "{} : unable to find server '{name}' referenced in a 'use-server' rule.",
                        draft.title()
                    );
                    cx.whole_hint(Severity::Alert, args.at(1), message, hint);
                }
                ServerTarget::Server(name.into())
            }
        };
        list.push(UseServer { target, condition });
    }
    list
}

/// The file of `load-server-state-from-file`, under `server-state-base`.
fn state_file(cx: &mut Cx<'_>, draft: &Draft<'_>) -> Option<PathBuf> {
    let file = match draft.set.state_file {
        StateFile::None => return None,
        StateFile::Local => PathBuf::from(draft.set.state_file_name.unwrap_or(draft.name)),
        StateFile::Global => match &cx.global.server_state_file {
            Some(file) => file.clone(),
            None => {
                let message = format!(
                    "backend '{}' configured to load server state file from global section 'server-state-file' \
                     directive. Unfortunately, 'server-state-file' is not set!",
                    draft.name
                );
                cx.whole(Severity::Warning, draft.at, message);
                return None;
            }
        },
    };
    Some(match &cx.global.server_state_base {
        Some(base) => base.join(file),
        None => file,
    })
}

/// `fullconn` of each section: as written, else a tenth of the connections that frontends may send it
/// by name.
fn fullconns(cx: &Cx<'_>, names: &Names<'_, '_>) -> Vec<u32> {
    let process = if cx.global.maxconn > 0 { cx.global.maxconn } else { cx.inputs.default_maxconn };
    let mut incoming = vec![0_u64; names.drafts.len()];
    for (i, draft) in names.drafts.iter().enumerate() {
        let caps = draft.caps();
        if !caps.front || draft.set.disabled {
            continue;
        }
        let named = draft.steps.iter().filter_map(|step| match step {
            Step::UseBackend(args) => Some(args.str(1)),
            _ => None,
        });
        let named = named.chain(draft.set.default_backend.map(|word| word.str()));
        let mut targets: HashSet<usize> =
            named.filter_map(|name| names.backends.get(name).copied()).collect();
        if caps.back && draft.set.default_backend.is_none() {
            targets.insert(i);
        }
        let maxconn = u64::from(if draft.set.maxconn > 0 { draft.set.maxconn } else { process });
        targets.into_iter().for_each(|i| incoming[i] += maxconn);
    }
    let tenth = |n: u64| match process {
        // Not known yet: `minconn` has no effect.
        0 => 0,
        _ => u32::try_from(n.div_ceil(10)).unwrap_or(u32::MAX).max(1),
    };
    let own = names.drafts.iter().map(|d| d.set.fullconn);
    own.zip(incoming).map(|(own, incoming)| if own > 0 { own } else { tenth(incoming) }).collect()
}
