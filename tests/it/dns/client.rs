//! `dig`, and queries by hand.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::Proxy;
use crate::support::place::wait_until;

pub const SOON: Duration = Duration::from_secs(20);

/// What `dig` prints. Without it the test cannot be.
pub fn dig(server: SocketAddr, words: &[&str]) -> String {
    let out = Command::new("dig")
        .arg(format!("@{}", server.ip()))
        .args(["-p", &server.port().to_string(), "+tries=1", "+time=3"])
        .args(words)
        .output()
        .expect("dig of bind9-dnsutils");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// The lines of `dig +short`, sorted.
pub fn short(server: SocketAddr, words: &[&str]) -> Vec<String> {
    let mut all = vec!["+short"];
    all.extend(words);
    let mut lines: Vec<String> = dig(server, &all).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn put(url: &str, body: &str) -> bool {
    let words = ["-s", "-f", "-m", "5", "-o", "/dev/null", "-X", "PUT", "-d", body, url];
    Command::new("curl").args(words).status().expect("curl").success()
}

/// A host that says that it lives.
pub struct Host {
    alive: Arc<AtomicBool>,
    heart: Option<JoinHandle<()>>,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.alive.store(false, Ordering::Release);
        if let Some(heart) = self.heart.take() {
            let _ = heart.join();
        }
    }
}

/// A node with a region map of its own.
pub struct Node {
    pub proxy: Proxy,
}

impl Node {
    /// `lines`: of the `dns` section; `more`: further sections.
    pub fn start(lines: &str, more: &str) -> Node {
        let text = format!(
            "region eu\n    location 53.3 -6.3\n    networks 203.0.113.0/24\n\
             region us-east\n    location 40.7 -74.0\n    networks 198.51.100.0/24\n\
             region-map\n    node here region eu\n    http-api {{ip}}:{{port:api}}\n\
             {more}\
             dns x\n    bind {{ip}}:{{port:dns}}\n{lines}"
        );
        let node = Node { proxy: Proxy::on(&text).spawn() };
        // The addresses of the map's API are open before those of DNS.
        assert!(wait_until(SOON, || TcpStream::connect(node.dns()).is_ok()), "{}", node.proxy.stderr());
        node
    }

    pub fn dns(&self) -> SocketAddr {
        self.proxy.addr("dns")
    }

    fn put(&self, path: &str, body: &str) -> bool {
        let url = format!("http://{}{path}", self.proxy.addr("api"));
        put(&url, body)
    }

    /// A host outside of the cluster that lives in a region until it is dropped.
    pub fn host(&self, region: &str) -> Host {
        let url = format!("http://{}/v1/isobar/agent/alive", self.proxy.addr("api"));
        let id = format!("00000000-0000-0000-0000-0000000000{:02x}", region.len());
        let body = format!(
            "{{\"Node\": \"host-{region}\", \"ID\": \"{id}\", \"Address\": \"127.0.0.1\", \"Region\": \"{region}\", \"Digest\": \"\"}}"
        );
        assert!(wait_until(SOON, || put(&url, &body)), "{}", self.proxy.stderr());
        let alive = Arc::new(AtomicBool::new(true));
        let beating = alive.clone();
        let heart = std::thread::spawn(move || {
            while beating.load(Ordering::Acquire) {
                put(&url, &body);
                std::thread::sleep(Duration::from_millis(300));
            }
        });
        Host { alive, heart: Some(heart) }
    }

    /// Registers an instance of a service on the host of a region.
    pub fn register(&self, service: &str, region: &str, id: &str, address: &str, status: &str) {
        let body = format!(
            "{{\"Node\": \"host-{region}\", \"Address\": \"127.0.0.1\", \"SkipNodeUpdate\": true, \
             \"Service\": {{\"Service\": \"{service}\", \"ID\": \"{id}\", \"Address\": \"{address}\", \"Port\": 8080}}, \
             \"Check\": {{\"CheckID\": \"{id}\", \"Name\": \"{id}\", \"ServiceID\": \"{id}\", \"Status\": \"{status}\"}}}}"
        );
        assert!(wait_until(SOON, || self.put("/v1/catalog/register", &body)), "registered");
    }

    /// Waits until `dig +short` says this.
    pub fn becomes(&self, words: &[&str], expected: &[&str]) {
        let mut last = Vec::new();
        let same = wait_until(SOON, || {
            last = short(self.dns(), words);
            last == *expected
        });
        assert!(same, "{words:?}: {last:?}, not {expected:?}\n{}", self.proxy.stderr());
    }
}
