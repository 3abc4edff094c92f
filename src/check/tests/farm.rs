//! What the tests share: a backend that keeps what is said, and listeners that answer as they are told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::balance::{Method, Spec, build};
use crate::base::{Live, clock};
use crate::check::lane;
use crate::check::probe::{Situation, probe};
use crate::check::*;
use crate::lang::{Diagnostics, Severity};
use crate::model::{Address, ProxyLive, Server, ServerLive, ServerSet, ServerSpec};
use crate::rules::BuildCtx;

/// Keeps what is said.
#[derive(Default)]
pub(super) struct Lines(Mutex<Vec<(Severity, u8, String)>>);

impl Lines {
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
            .into_iter()
            .map(|(_, level, text)| format!("<{level}>{text}"))
            .collect()
    }
}

impl Hooks for Lines {
    fn line(&self, _backend: &str, severity: Severity, level: u8, screen: &str, log: &str) {
        assert!(screen == log || severity == Severity::Alert);
        self.0.lock().unwrap().push((severity, level, log.to_owned()));
    }

    fn node(&self) -> String {
        "n1".to_owned()
    }
}

pub(super) struct Farm {
    pub(super) servers: Arc<Live<ServerSet>>,
    pub(super) proxy: Arc<ProxyLive>,
    pub(super) lines: Arc<Lines>,
}

impl Farm {
    pub(super) fn new(specs: Vec<ServerSpec>) -> Farm {
        let list: Vec<Server> = specs
            .into_iter()
            .map(|mut spec| {
                spec.has_check = true;
                let live = Arc::new(ServerLive::new(&spec, 1, clock::now_ms()));
                Server { spec: Arc::new(spec), live }
            })
            .collect();
        let balancer = build(&Spec::new(Method::RoundRobin), &list, clock::now_ms());
        let servers = Arc::new(Live::new(ServerSet { list, balancer }));
        Farm { servers, proxy: Arc::new(ProxyLive::new(1)), lines: Arc::new(Lines::default()) }
    }

    pub(super) fn member(&self, i: usize, check: &CheckSpec) -> Member {
        Member {
            backend: "be".into(),
            kind: "backend",
            proxy: self.proxy.clone(),
            servers: self.servers.clone(),
            server: self.server(i),
            check: Some(Arc::new(check.clone())),
            hooks: self.lines.clone(),
        }
    }

    pub(super) fn server(&self, i: usize) -> Server {
        self.servers.with(|set| set.list[i].clone())
    }

    pub(super) fn start(&self, check: &CheckSpec) -> Checks {
        let members = (0..self.servers.with(|s| s.list.len())).map(|i| self.member(i, check)).collect();
        Checks::start(members, &Settings::default(), Checks::default())
    }

    pub(super) async fn until(&self, what: &str, ready: impl Fn(&Farm) -> bool) {
        for _ in 0..500 {
            if ready(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}; said {:?}", self.lines.take());
    }
}

pub(super) fn spec_at(name: &str, id: u32, address: std::net::SocketAddr) -> ServerSpec {
    ServerSpec::new(name, id, Address::Inet(address))
}

/// What a listener does with its clients; changed while it runs.
pub(super) type Reply = Arc<Mutex<&'static [u8]>>;

pub(super) const HANG: &[u8] = b"hang";
pub(super) const RESET: &[u8] = b"reset";
pub(super) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-Test: a,b\r\n\r\nhello world";
pub(super) const ERROR: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
pub(super) const MISSING: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

pub(super) async fn listen(reply: &'static [u8]) -> (std::net::SocketAddr, Reply) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let reply: Reply = Arc::new(Mutex::new(reply));
    let shared = reply.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let shared = shared.clone();
            tokio::spawn(async move {
                let mut request = [0; 1024];
                let _ = client.read(&mut request).await;
                let reply = *shared.lock().unwrap();
                if reply == HANG {
                    tokio::time::sleep(Duration::from_secs(20)).await;
                } else if reply == RESET {
                    let _ = client.set_zero_linger();
                } else {
                    let _ = client.write_all(reply).await;
                }
            });
        }
    });
    (address, reply)
}

/// An address where nobody listens.
pub(super) async fn closed() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

pub(super) fn rules(lines: &[&str]) -> Rules {
    let mut rules = Rules::default();
    read(&mut rules, lines);
    rules
}

/// Reads lines into rules that may have some already.
pub(super) fn read(rules: &mut Rules, lines: &[&str]) {
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        read_line(rules, &words).unwrap();
    }
}

/// Reads a line whose formats and expressions name nothing of a configuration.
pub(super) fn read_line(rules: &mut Rules, words: &[&str]) -> Result<(), Fault> {
    BuildCtx::with_nothing(&mut Diagnostics::default(), |ctx| match (words[0], words[1]) {
        ("option", "httpchk") => rules.option_httpchk(&words[2..], ctx).map(drop),
        ("option", "tcp-check") => {
            rules.option_tcp_check();
            Ok(())
        }
        ("option", name) => rules.option_protocol(name, &words[2..]),
        ("http-check", _) => rules.http_check(&words[1..], ctx),
        _ => rules.tcp_check(&words[1..], ctx),
    })
}

pub(super) fn check(lines: &[&str]) -> CheckSpec {
    let mut spec = CheckSpec { inter_ms: 300, timeout_check_ms: 200, ..CheckSpec::default() };
    rules(lines).finish(&mut spec);
    spec
}

/// What a check finds of an address.
pub(super) async fn finding(spec: &CheckSpec, address: Address) -> Finding {
    let (tell, told) = tokio::sync::oneshot::channel();
    let spec = spec.clone();
    lane::run(move |rt| {
        rt.spawn(async move {
            let situation = Situation { address: &address, is_up: true, state: None, member: None };
            let _ = tell.send(probe(&spec, &situation).await);
        });
    });
    told.await.unwrap()
}

pub(super) async fn find(spec: &CheckSpec, address: std::net::SocketAddr) -> String {
    let finding = finding(spec, Address::Inet(address)).await;
    assert!(finding.duration_ms.is_some());
    format!("{} {} {}", finding.status.code(), finding.number.unwrap_or(0), finding.info)
        .trim_end()
        .to_owned()
}
