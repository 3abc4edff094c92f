//! A process with a `peers` section, whose runtime API is asked.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::support::place::{free_port, wait_until};
use crate::support::{Proxy, place};

/// How long two may take to find each other again and to tell what they know.
pub const SOON: Duration = Duration::from_secs(40);

const TEXT: &str = r#"
global
    stats socket {dir}/sock level admin
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 2s
peers mine
    {lines}
    table pt type string len 24 size 10k expire 10m store gpc0,http_req_rate(10s)
backend t_ip
    stick-table type ip size 10k expire 10m peers mine store gpt0,gpc0,gpc0_rate(10s),conn_cnt,sess_cnt,http_req_cnt,http_req_rate(10s),bytes_out_cnt,gpc1
backend t_ip6
    stick-table type ipv6 size 10k expire 10m peers mine store gpt(3),gpc(4),gpc_rate(2,10s)
backend t_bin
    stick-table type binary len 20 size 10k expire 10m peers mine store gpc0
backend t_int
    stick-table type integer size 1100k expire 10m peers mine store gpc0,bytes_in_cnt
frontend fe
    bind {ip}:{port:fe}
    http-request track-sc0 req.hdr(x-ip) table t_ip if { req.hdr(x-ip) -m found }
    http-request track-sc1 req.hdr(x-ip6) table t_ip6 if { req.hdr(x-ip6) -m found }
    http-request track-sc2 req.hdr(x-str) table mine/pt if { req.hdr(x-str) -m found }
    http-request track-sc2 req.hdr(x-b64),b64dec table t_bin if { req.hdr(x-b64) -m found }
    http-request sc-inc-gpc0(0) if { req.hdr(x-ip) -m found }
    http-request sc-inc-gpc0(2) if { req.hdr(x-str) -m found } || { req.hdr(x-b64) -m found }
    http-request sc-set-gpt0(0) 7 if { req.hdr(x-ip) -m found }
    http-request sc-inc-gpc(0,1) if { req.hdr(x-ip6) -m found }
    http-request sc-inc-gpc(3,1) if { req.hdr(x-ip6) -m found }
    default_backend bk
backend bk
    stick-table type string len 32 size 10k expire 10m peers mine
    stick on req.hdr(x-stick)
    server s1 {ip}:{port:origin}
    server s2 {ip}:{port:origin}
    server server-three {ip}:{port:origin}
frontend origin
    bind {ip}:{port:origin}
    http-request return status 200 content-type text/plain string ok
"#;

/// The ports of two peers, A and B.
#[derive(Clone, Copy)]
pub struct Ports {
    pub a: u16,
    pub b: u16,
}

impl Ports {
    pub fn new() -> Ports {
        Ports { a: free_port(), b: free_port() }
    }

    pub fn lines(self) -> String {
        let ip = place::address();
        format!("peer A {ip}:{}\n    peer B {ip}:{}", self.a, self.b)
    }
}

pub struct Node {
    pub proxy: Proxy,
}

impl Node {
    /// A process of this name with these lines about peers; of Isobar where no other binary is given.
    pub fn start(name: &str, lines: &str, binary: Option<PathBuf>) -> Node {
        let builder = Proxy::on(TEXT).with("lines", lines).arg("-L").arg(name);
        let builder = match binary {
            Some(binary) => builder.binary(binary),
            None => builder,
        };
        Node { proxy: builder.start() }
    }

    /// What the runtime API answers.
    pub fn cli(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(self.proxy.dir().join("sock")).expect("connect");
        stream.write_all(format!("{command}\n").as_bytes()).expect("write");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("read");
        text
    }

    /// Sets entries of `t_int`.
    pub fn set(&self, entries: impl IntoIterator<Item = (u32, u64)>) {
        let mut batch = Vec::new();
        let mut entries = entries.into_iter().peekable();
        while let Some((key, value)) = entries.next() {
            batch.push(format!("set table t_int key {key} data.gpc0 {value}"));
            if batch.len() == 100 || entries.peek().is_none() {
                self.cli(&batch.join(";"));
                batch.clear();
            }
        }
    }

    /// `gpc0` of the entries of `t_int`.
    pub fn integers(&self) -> BTreeMap<u32, u64> {
        let of = |line: &str, name: &str| {
            let word = line.split(' ').find_map(|word| word.strip_prefix(name)?.parse().ok());
            word.unwrap_or(0_u64)
        };
        let text = self.cli("show table t_int");
        let lines = text.lines().filter(|line| line.contains("key="));
        lines.map(|line| (of(line, "key=") as u32, of(line, "gpc0="))).collect()
    }

    /// How many entries a table has.
    pub fn used(&self, table: &str) -> usize {
        // Without a name only the heads of tables are told: nobody walks through a million entries for it.
        let (text, name) = (self.cli("show table"), format!("# table: {table},"));
        let used =
            text.lines().find(|line| line.starts_with(&name)).and_then(|line| line.split("used:").nth(1));
        used.and_then(|used| used.trim().parse().ok()).unwrap_or(0)
    }

    /// A table without what differs from process to process.
    pub fn table(&self, name: &str) -> Vec<String> {
        let text = self.cli(&format!("show table {name}"));
        let lines = text.lines().filter(|line| line.contains("key="));
        let kept = |word: &&str| {
            let differs = ["0x", "exp=", "use=", "shard="].iter().any(|start| word.starts_with(start));
            !differs && !word.contains("_rate(")
        };
        let mut lines: Vec<String> =
            lines.map(|line| line.split(' ').filter(kept).collect::<Vec<_>>().join(" ")).collect();
        lines.sort();
        lines
    }

    /// Sends a request with headers and reads the answer.
    pub fn request(&self, headers: &str) {
        let mut stream = std::net::TcpStream::connect(self.proxy.addr("fe")).expect("connect");
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).expect("write");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("read");
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }

    /// How many sessions with its peer there were.
    pub fn sessions(&self) -> u32 {
        let text = self.cli("show peers");
        let counts =
            text.split("new_conn=").skip(1).filter_map(|rest| rest.split(' ').next()?.parse::<u32>().ok());
        counts.sum()
    }

    pub fn is_established(&self) -> bool {
        self.cli("show peers").contains("last_status=ESTA")
    }
}

/// Waits until this holds; else says what both say of their peers.
#[track_caller]
pub fn soon(a: &Node, b: &Node, what: &str, holds: impl FnMut() -> bool) {
    let held = wait_until(SOON, holds);
    assert!(held, "{what}\n{}\n{}", a.cli("show peers"), b.cli("show peers"));
}
