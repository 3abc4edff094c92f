//! What the rule language costs a request: an ACL, a header rule, a log line.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use isobar::base::Nanos;
use isobar::base::buf::Buf;
use isobar::http::{H1Options, Parse};
use isobar::lang::{Diagnostics, Span, Word};
use isobar::model::ProxyLive;
use isobar::rules::pattern::{Match, PatternRefs, Reading};
use isobar::rules::{
    Acls, BuildCtx, Candidates, Condition, Ctx, Endpoint, Env, Found, LogFormat, Reply, RuleSet, RuleSetKind,
    Sample, SampleType, Txn,
};

struct Surroundings(ProxyLive);

impl Env for Surroundings {
    fn frontend_name(&self) -> &str {
        "www"
    }
    fn backend_name(&self) -> &str {
        "app"
    }
    fn server_name(&self) -> Option<&str> {
        Some("s1")
    }
    fn listener_name(&self) -> &str {
        ""
    }
    fn ids(&self) -> (u32, u32, u32, u32) {
        (1, 2, 1, 1)
    }
    fn proxy(&self, _: &str) -> Option<&ProxyLive> {
        Some(&self.0)
    }
    fn usable_servers(&self, _: &str) -> Option<u32> {
        Some(1)
    }
    fn server(&self, _: &str, _: &str) -> Option<isobar::rules::ServerState> {
        None
    }
    fn now_ns(&self) -> Nanos {
        5_000_000_000
    }
    fn date_us(&self) -> u64 {
        1_700_000_000_000_000
    }
    fn hostname(&self) -> &str {
        "box"
    }
    fn pid(&self) -> u32 {
        1
    }
    fn random(&self) -> u64 {
        4
    }
    fn connections(&self) -> u32 {
        1
    }
    fn error_page(&self, _: u16, _: &Txn) -> Option<Reply> {
        None
    }
}

const REQUEST: &[u8] = b"GET /images/logo.png?v=12345 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux \
x86_64; rv:109.0) Gecko/20100101 Firefox/115.0\r\nAccept: text/html,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\nCookie: id=12345; theme=dark\r\n\r\n";

fn txn() -> Txn {
    let mut txn = Txn::default();
    txn.req.buf = Buf::take(16384);
    txn.req.buf.push(REQUEST);
    assert_eq!(txn.req.parse_request(&H1Options::default()), Parse::Done);
    txn.has_req = true;
    txn.uri_line = b"GET /images/logo.png?v=12345 HTTP/1.1".to_vec();
    txn.client = Endpoint::Inet(([10, 1, 2, 3], 40_000).into());
    txn.accept_date_us = 1_700_000_000_123_000;
    txn.request_date_us = 1_700_000_000_123_000;
    txn.status = 200;
    txn.bytes_out = 12_345;
    txn.termination = *b"----";
    txn.timers.accepted = 4_000_000_000;
    txn.timers.request_start = 4_000_000_000;
    txn.timers.request_done = 4_001_000_000;
    txn.timers.queue_done = 4_001_000_000;
    txn.timers.connected = 4_002_000_000;
    txn.timers.response = 4_010_000_000;
    txn.timers.closed = 4_020_000_000;
    txn
}

fn words(line: &str) -> Vec<Word> {
    line.split(' ').map(|w| Word::new(w.as_bytes().to_vec(), Span::default())).collect()
}

fn built<R>(build: impl FnOnce(&mut BuildCtx<'_>) -> R) -> R {
    let mut diags = Diagnostics::default();
    let made = BuildCtx::with_nothing(&mut diags, build);
    assert!(!diags.has_alerts(), "{:?}", diags.list);
    made
}

fn conditions(c: &mut Criterion) {
    let (txn, env) = (txn(), Surroundings(ProxyLive::new(1)));
    let mut group = c.benchmark_group("condition");
    let many = (0..500).map(|i| format!("/p{i}/")).collect::<Vec<_>>().join(" ");
    for (name, line) in [
        ("path_beg, one pattern", "if { path_beg /images }".to_owned()),
        ("path_beg, 500 patterns, none matches", format!("if {{ path_beg {many} }}")),
        ("hdr(host) -i, two patterns", "if { hdr(host) -i example.com www.example.com }".to_owned()),
        ("src, two networks", "if { src 192.168.0.0/16 10.0.0.0/8 }".to_owned()),
        ("method and path_end", "if METH_GET { path_end .css .png }".to_owned()),
        ("path_reg", "if { path_reg ^/images/.*\\.png$ }".to_owned()),
    ] {
        let condition =
            built(|ctx| Condition::parse(&words(&line), &Acls::default(), ctx)).expect("a condition");
        group.bench_function(name, |b| b.iter(|| condition.eval(black_box(Ctx { txn: &txn, env: &env }))));
    }
}

/// What many rules about one sample, and lookups in long lists, cost.
fn many(c: &mut Criterion) {
    let (txn, env) = (txn(), Surroundings(ProxyLive::new(1)));
    let ctx = Ctx { txn: &txn, env: &env };
    let mut group = c.benchmark_group("many");
    let rules: Vec<_> = built(|ctx| {
        let mut rule =
            |i| Condition::parse(&words(&format!("if {{ hdr(host) -i h{i}.test }}")), &Acls::default(), ctx);
        (0..1000).map(|i| rule(i).expect("a condition")).collect()
    });
    let conditions: Vec<_> = rules.iter().map(Some).collect();
    let candidates = Candidates::of(&conditions, true);
    group.bench_function("1,000 host rules", |b| {
        b.iter(|| candidates.next(0, black_box(ctx), &mut Found::default()))
    });
    for (name, method, key) in
        [("strings", Match::Str, "77777.example.com"), ("networks", Match::Ip, "10.1.47.3")]
    {
        let list = PatternRefs::default().file(name, true, "").0;
        for i in 0..1_000_000u32 {
            let net = std::net::Ipv4Addr::from(0x0a00_0000 + i * 16);
            let text = if method == Match::Ip {
                format!("{net}/{}", 24 + i % 9)
            } else {
                format!("{i}.example.com")
            };
            list.load(text.as_bytes(), Some(b"value"), 1);
        }
        let reading = Reading { method, ignore_case: false, resolve: false, out: Some(SampleType::Str) };
        let matcher = list.matcher(reading).expect("patterns");
        let sample = match method {
            Match::Ip => Sample::Ipv4(key.parse().expect("an address")),
            _ => Sample::Str(key.as_bytes().into()),
        };
        group.bench_function(format!("a million {name}"), |b| b.iter(|| matcher.value(black_box(&sample))));
    }
}

fn rules(c: &mut Criterion) {
    let env = Surroundings(ProxyLive::new(1));
    let mut group = c.benchmark_group("rules");
    for (name, lines) in [
        ("none", &[][..]),
        ("deny if path_beg", &["deny if { path_beg /private }"][..]),
        ("set-header constant", &["set-header X-Forwarded-Proto https"]),
        ("set-header %[src]", &["set-header X-Real-IP %[src]"]),
        (
            "set-var and an ACL on it",
            &["set-var(txn.host) req.hdr(host),lower", "deny if { var(txn.host) -m str bad.test }"],
        ),
    ] {
        let set = built(|ctx| {
            let mut set = RuleSet::default();
            for line in lines {
                set.push(RuleSetKind::HttpRequest, &words(line), &Acls::default(), ctx);
            }
            set
        });
        group.bench_function(name, |b| {
            b.iter_batched_ref(
                txn,
                |txn| {
                    black_box(set.run(txn, &env, &mut 0));
                },
                BatchSize::SmallInput,
            );
        });
    }
}

fn logs(c: &mut Criterion) {
    let (txn, env) = (txn(), Surroundings(ProxyLive::new(1)));
    let mut out = Vec::with_capacity(1024);
    let mut group = c.benchmark_group("log");
    for (name, format) in
        [("httplog", LogFormat::httplog()), ("tcplog", LogFormat::tcplog()), ("clf", LogFormat::clf())]
    {
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                format.render(black_box(Ctx { txn: &txn, env: &env }), &mut out);
                black_box(out.len())
            });
        });
    }
}

criterion_group!(benches, conditions, many, rules, logs);
criterion_main!(benches);
