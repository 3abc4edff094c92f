//! Hands the lines of a section that belong to the rule language over to `rules`, in file order.

use std::collections::HashMap;
use std::sync::Arc;

use crate::lang::{Span, Word};
use crate::model::{Caps, Mode};
use crate::rules::{
    Acls, BuildCtx, Captures, Condition, Dir, ErrorPages, Expr, Forwarded, HttpErrors, LogFormat, LogUse,
    RuleSet, RuleSetKind, StickRule, http_errors_section,
};

use super::super::proxy::{LogSpec, PersistRule, Rules};
use super::draft::{Cx, Draft, FormatSource, Kind, Step};
use crate::lang::args::Args;

/// What the rule lines of one section compile to.
#[derive(Default)]
pub struct Program<'a> {
    pub rules: Rules,
    pub errors: ErrorPages,
    pub captures: Captures,
    pub switching: Vec<(Args<'a>, Option<LogFormat>, Option<Condition>)>,
    pub use_server: Vec<(Args<'a>, Option<LogFormat>, Condition)>,
    pub sticking: Vec<StickRule>,
    /// `force-be-switch`.
    pub forced_switch: Vec<Condition>,
    pub monitor_fail: Vec<Condition>,
    pub persist: Vec<PersistRule>,
    pub stats_rules: RuleSet,
    pub stats_admin: Vec<Condition>,
    pub log: LogSpec,
    pub unique_id: Option<Arc<LogFormat>>,
    pub balance_expr: Option<Expr>,
    pub forwarded: Option<Forwarded>,
    /// `sni` of servers by name, and of those that `default-server` stands for by no name.
    pub snis: HashMap<Arc<str>, Expr>,
    /// `set-proxy-v2-tlv-fmt` in the same way.
    pub proxy_tlvs: HashMap<Arc<str>, Vec<(u8, LogFormat)>>,
}

/// The names that servers are asked for with TLS.
fn snis(draft: &Draft<'_>, ctx: &mut BuildCtx<'_>) -> HashMap<Arc<str>, Expr> {
    let lines = draft.servers.iter().map(|server| (server.name.clone(), &server.set.tls));
    let lines = lines.chain([(Arc::from(""), &draft.set.default_server.tls)]);
    let mut snis = HashMap::new();
    for (name, tls) in lines {
        if let Some((text, at)) = &tls.sni
            && let word = Word::new(text.as_bytes().to_vec(), *at)
            && let Some((expr, _)) = Expr::parse(&[word], 0, ctx)
        {
            snis.insert(name, expr);
        }
    }
    snis
}

/// The fields of their own that servers find in PROXY headers.
fn proxy_tlvs(draft: &Draft<'_>, ctx: &mut BuildCtx<'_>) -> HashMap<Arc<str>, Vec<(u8, LogFormat)>> {
    let lines = draft.servers.iter().map(|server| (server.name.clone(), &server.set.proxy_tlvs));
    let lines = lines.chain([(Arc::from(""), &draft.set.default_server.proxy_tlvs)]);
    let mut all = HashMap::new();
    for (name, tlvs) in lines.filter(|(_, tlvs)| !tlvs.is_empty()) {
        let mut list = Vec::new();
        for (kind, text, at) in tlvs {
            let word = Word::new(text.as_bytes().to_vec(), *at);
            list.extend(LogFormat::parse(&word, LogUse::Text, ctx).map(|format| (*kind, format)));
        }
        all.insert(name, list);
    }
    all
}

/// The builder of `rules` for one section. `captures` are its slots so far.
pub fn build_ctx<'c>(
    cx: &'c mut Cx<'_>,
    section: &'c str,
    caps: Caps,
    mode: Mode,
    captures: &'c mut Captures,
    http_errors: &'c HttpErrors,
) -> BuildCtx<'c> {
    BuildCtx {
        diags: &mut cx.diags,
        names: &mut cx.names,
        files: cx.inputs.files,
        mode_http: mode.has_messages(),
        caps,
        section,
        http_errors,
        userlists: &cx.userlists,
        acls: HashMap::new(),
        services: cx.inputs.services,
        resolvers: &cx.resolvers,
        caches: &cx.caches,
        captures,
        maxrewrite: cx.global.tune.maxrewrite,
        bufsize: cx.global.tune.bufsize,
        references: &mut cx.references,
        patterns: &mut cx.patterns,
        tables: &mut cx.tables,
        table_here: "",
        stick_counters: cx.global.tune.stick_counters,
        dir: Dir::Request,
    }
}

/// Every `http-errors` section.
pub fn http_errors<'a>(cx: &mut Cx<'a>, sections: &[&'a crate::lang::Section]) -> HttpErrors {
    let mut pages = HttpErrors::default();
    for section in sections {
        let (title, mut captures) = (format!("http-errors '{}'", section.head.str(1)), Captures::default());
        let caps = Caps { front: true, back: true };
        // The builder looks up sections read so far while it adds one.
        let known = pages.clone();
        let mut ctx = build_ctx(cx, &title, caps, Mode::Http, &mut captures, &known);
        http_errors_section(&mut pages, section, &mut ctx);
    }
    pages
}

/// Compiles the lines of `draft`. Rules of its `defaults` section run before its own.
pub fn program<'a>(
    cx: &mut Cx<'a>,
    draft: &Draft<'a>,
    caps: Caps,
    inherited: Option<&(Rules, Captures)>,
    http_errors: &HttpErrors,
) -> Program<'a> {
    let title = draft.title();
    let mut program = Program::default();
    let mut captures = draft.captures.clone();
    if let Some((rules, slots)) = inherited {
        inherit(&mut program.rules, rules);
        // The slots of the defaults come first: their rules know them by number.
        captures.req.splice(0..0, slots.req.iter().cloned());
        captures.res.splice(0..0, slots.res.iter().cloned());
    }
    let mut ctx = build_ctx(cx, &title, caps, draft.set.mode, &mut captures, http_errors);
    if draft.kind != Kind::Defaults {
        ctx.table_here = draft.name;
    }
    let (mut acls, mut redirects) = (Acls::default(), RuleSet::default());
    let mut seen = Seen::default();
    for step in &draft.steps {
        seen.warn_misplaced(step, &mut ctx);
        one_step(&mut program, step, &mut acls, &mut redirects, &mut ctx);
    }
    // `redirect` lines run after all `http-request` rules of their section, and after its statistics.
    program.rules.redirect = redirects;
    for line in &draft.set.errors {
        error_line(&mut program.errors, *line, &mut ctx);
    }
    // What `defaults` says of logs is looked at where it is used.
    let has_log = draft.kind != Kind::Defaults;
    if has_log {
        program.log = log_spec(draft, caps, &mut ctx);
    }
    let unique_id = draft.set.unique_id_format.filter(|_| caps.front && has_log);
    program.unique_id = unique_id.and_then(|w| LogFormat::parse(w, LogUse::Log, &mut ctx)).map(Arc::new);
    if let crate::balance::Method::Expr(text) = &draft.set.balance.method
        && caps.back
    {
        let word = Word::new(text.as_bytes().to_vec(), draft.set.balance_at.unwrap_or(draft.at));
        program.balance_expr = Expr::parse(&[word], 0, &mut ctx).map(|(expr, _)| expr);
    }
    if caps.back {
        let words = draft.set.forwarded.filter(|_| has_log && draft.set.mode.has_messages());
        program.forwarded = words.and_then(|words| Forwarded::parse(words, &mut ctx));
        program.snis = snis(draft, &mut ctx);
        program.proxy_tlvs = proxy_tlvs(draft, &mut ctx);
    }
    cx.keep_references(draft.name);
    program.rules.seal();
    program.stats_rules.seal();
    program.captures = captures;
    program.rules.tcp_inspect_delay_ms = draft.set.tcp_inspect_delay_ms;
    program.rules.tcp_response_inspect_delay_ms = draft.set.tcp_response_inspect_delay_ms;
    program
}

fn inherit(own: &mut Rules, from: &Rules) {
    own.tcp_connection.extend_from(&from.tcp_connection);
    own.tcp_session.extend_from(&from.tcp_session);
    own.tcp_content.extend_from(&from.tcp_content);
    own.tcp_response.extend_from(&from.tcp_response);
    own.http_request.extend_from(&from.http_request);
    own.http_response.extend_from(&from.http_response);
    own.http_after_response.extend_from(&from.http_after_response);
}

/// Kinds of rules seen so far in a section.
#[derive(Default)]
struct Seen {
    /// By the order in which they run.
    kinds: [bool; 8],
    http_response: bool,
}

impl Seen {
    const KINDS: [&str; 8] = [
        "tcp-request connection",
        "tcp-request session",
        "tcp-request content",
        "monitor fail",
        "http-request",
        "redirect",
        "use_backend",
        "use-server",
    ];

    /// Rules run in the order of their kinds, whatever the order of the lines: a line that looks as if it came later
    /// gets HAProxy's warning.
    fn warn_misplaced(&mut self, step: &Step<'_>, ctx: &mut BuildCtx<'_>) {
        let (rank, args) = match step {
            Step::TcpRequest(args) => {
                let rank = ["connection", "session", "content"].iter().position(|k| *k == args.str(1));
                (rank.unwrap_or(2), args)
            }
            Step::MonitorFail(args) => (3, args),
            Step::HttpRequest(args) => (4, args),
            Step::Redirect(args) => (5, args),
            Step::UseBackend(args) => (6, args),
            Step::UseServer(args) => (7, args),
            Step::HttpResponse(_) => {
                self.http_response = true;
                return;
            }
            Step::TcpResponse(args) if self.http_response => {
                return misplaced("tcp-response content", "http-response", *args, ctx);
            }
            _ => return,
        };
        self.kinds[rank] = true;
        let later = self.kinds.iter().enumerate().skip(rank + 1).find(|(_, seen)| **seen);
        // Switching rules never warn of what is after them.
        if let Some((later, _)) = later.filter(|_| rank < 6) {
            misplaced(Self::KINDS[rank], Self::KINDS[later], *args, ctx);
        }
    }
}

fn misplaced(rule: &str, other: &str, args: Args<'_>, ctx: &mut BuildCtx<'_>) {
    let article = if other.starts_with('h') { "an" } else { "a" };
    let message =
        format!("a '{rule}' rule placed after {article} '{other}' rule will still be processed before.");
    ctx.diags.warning(args.at(0), message);
}

fn one_step<'a>(
    program: &mut Program<'a>,
    step: &Step<'a>,
    acls: &mut Acls,
    redirects: &mut RuleSet,
    ctx: &mut BuildCtx<'_>,
) {
    let rules = &mut program.rules;
    let (set, kind, args) = match step {
        Step::Acl(args) => return acls.define(args.line, ctx),
        Step::TcpRequest(args) => return tcp_request(rules, *args, acls, ctx),
        Step::TcpResponse(args) => {
            if args.str(1) != "content" {
                let message = "'tcp-response' expects 'inspect-delay' or 'content'";
                return ctx.diags.alert(args.at(1), message);
            }
            (&mut rules.tcp_response, RuleSetKind::TcpResponse, args.from(2))
        }
        Step::HttpRequest(args) => (&mut rules.http_request, RuleSetKind::HttpRequest, args.from(1)),
        Step::HttpResponse(args) => (&mut rules.http_response, RuleSetKind::HttpResponse, args.from(1)),
        Step::HttpAfterResponse(args) => {
            (&mut rules.http_after_response, RuleSetKind::HttpAfterResponse, args.from(1))
        }
        Step::StatsHttpRequest(args) => (&mut program.stats_rules, RuleSetKind::HttpRequest, args.from(2)),
        Step::Redirect(args) => return redirects.push_redirect(args.from(1).words, acls, ctx),
        Step::UseBackend(args) => {
            // Where it is wrong, the backend's name is looked at all the same.
            let condition = condition(*args, 2, acls, ctx);
            program.switching.push((*args, dynamic(*args, ctx), condition));
            return;
        }
        Step::UseServer(args) => {
            let condition = condition(*args, 2, acls, ctx).unwrap_or_default();
            program.use_server.push((*args, dynamic(*args, ctx), condition));
            return;
        }
        Step::Stick(args) => {
            let rule = StickRule::parse(args.from(1).words, args.at(0), acls, ctx);
            return program.sticking.extend(rule);
        }
        Step::MonitorFail(args) => return program.monitor_fail.extend(condition(*args, 2, acls, ctx)),
        Step::ForceSwitch(args) => return program.forced_switch.extend(condition(*args, 1, acls, ctx)),
        Step::Persist(args) => {
            let is_forced = args.str(0) == "force-persist";
            let condition = condition(*args, 1, acls, ctx);
            return program.persist.extend(condition.map(|condition| PersistRule { is_forced, condition }));
        }
        Step::StatsAdmin(args) => return program.stats_admin.extend(condition(*args, 2, acls, ctx)),
    };
    set.push(kind, args.words, acls, ctx);
}

/// `tcp-request { connection | session | content } <action>`.
fn tcp_request(rules: &mut Rules, args: Args<'_>, acls: &Acls, ctx: &mut BuildCtx<'_>) {
    let (set, kind) = match args.str(1) {
        "connection" => (&mut rules.tcp_connection, RuleSetKind::TcpConnection),
        "session" => (&mut rules.tcp_session, RuleSetKind::TcpSession),
        "content" => (&mut rules.tcp_content, RuleSetKind::TcpContent),
        other => {
            let message = format!(
                "'tcp-request' expects 'inspect-delay', 'connection', 'session' or 'content', got '{other}'"
            );
            return ctx.diags.alert(args.at(1), message);
        }
    };
    if kind != RuleSetKind::TcpContent && !ctx.caps.front {
        let message =
            format!("'tcp-request {}' is not allowed because {} is not a frontend", args.str(1), ctx.section);
        return ctx.diags.alert(args.at(0), message);
    }
    set.push(kind, args.from(2).words, acls, ctx);
}

/// The condition that begins at word `i`; `None` without one or when it is wrong.
fn condition(args: Args<'_>, i: usize, acls: &Acls, ctx: &mut BuildCtx<'_>) -> Option<Condition> {
    if !matches!(args.str(i), "if" | "unless") {
        return None;
    }
    Condition::parse(args.from(i).words, acls, ctx)
}

/// A target that names its backend or server by a log-format.
fn dynamic(args: Args<'_>, ctx: &mut BuildCtx<'_>) -> Option<LogFormat> {
    let word = args.words.get(1).filter(|w| w.str().contains('%'))?;
    LogFormat::parse(word, LogUse::Text, ctx)
}

fn error_line(pages: &mut ErrorPages, args: Args<'_>, ctx: &mut BuildCtx<'_>) {
    let words = args.from(1).words;
    match args.str(0) {
        "errorfile" => pages.errorfile(words, ctx),
        "errorloc" | "errorloc302" => pages.errorloc(302, words, ctx),
        "errorloc303" => pages.errorloc(303, words, ctx),
        "errorfiles" => pages.errorfiles(words, ctx),
        _ => pages.http_error(words, ctx),
    }
}

fn log_spec(draft: &Draft<'_>, caps: Caps, ctx: &mut BuildCtx<'_>) -> LogSpec {
    let log = &draft.set.log;
    let mut spec = LogSpec {
        targets: log.targets.clone().into(),
        tag: log.tag.clone(),
        // The default line is about the start of a connection.
        needs_end: false,
        ..LogSpec::default()
    };
    if !caps.front {
        return spec;
    }
    if let Some((source, at)) = log.format {
        let source = if !draft.set.mode.has_messages() { tcp_format(source, at, ctx) } else { source };
        spec.format = format(source, ctx).map(Arc::new);
        let needs_end = spec.format.as_ref().is_some_and(|f| f.needs_end());
        spec.needs_end = needs_end && !draft.set.options.log_asap;
    }
    let mut parse =
        |word: Option<&Word>| word.and_then(|w| LogFormat::parse(w, LogUse::Log, ctx)).map(Arc::new);
    spec.error_format = parse(log.error_format);
    spec.sd_format = parse(log.sd_format);
    spec
}

/// HTTP formats make no sense in `mode tcp`.
fn tcp_format<'a>(source: FormatSource<'a>, at: Span, ctx: &mut BuildCtx<'_>) -> FormatSource<'a> {
    let Some(instead) = source.without_http() else { return source };
    let message = format!(
        "'{}' not usable with {} (needs 'mode http'). Falling back to '{}'.",
        source.keyword(),
        ctx.section,
        instead.keyword()
    );
    ctx.diags.warning(at, message);
    instead
}

fn format(source: FormatSource<'_>, ctx: &mut BuildCtx<'_>) -> Option<LogFormat> {
    Some(match source {
        FormatSource::Custom(word) => return LogFormat::parse(word, LogUse::Log, ctx),
        FormatSource::Httplog => LogFormat::httplog(),
        FormatSource::Httpslog => return LogFormat::httpslog(ctx),
        FormatSource::HttplogClf => LogFormat::clf(),
        FormatSource::Tcplog => LogFormat::tcplog(),
        FormatSource::TcplogClf => LogFormat::tcplog_clf(),
    })
}
