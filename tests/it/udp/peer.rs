//! Both ends of flows: servers that answer with their name, clients, and the proxy between them.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::proxy::Builder;
use crate::support::{LogSink, Proxy, place};

/// How long an answer may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(5);

/// What every configuration of these tests begins with.
pub const UDP: &str = "
global
    nbthread 2
    stats socket {dir}/admin.sock level admin
    log {log} local0
defaults
    mode udp
    log global
    option tcplog
    timeout client 20s
    timeout server 20s
frontend ready
    mode http
    no log
    bind {ip}:{port:ready}
    http-request use-service prometheus-exporter if { path /metrics }
    http-request return status 200
";

/// What came to a server, and from where.
type Came = Vec<(SocketAddr, Vec<u8>)>;

/// A server that answers `NAME:what it was sent`, and keeps what that was.
pub struct Server {
    pub addr: SocketAddr,
    came: Arc<Mutex<Came>>,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    pub fn start(name: &'static str) -> Server {
        Server::on(name, SocketAddr::from((place::address(), 0)), true)
    }

    /// One that says nothing.
    pub fn silent() -> Server {
        Server::on("", SocketAddr::from((place::address(), 0)), false)
    }

    fn on(name: &'static str, addr: SocketAddr, answers: bool) -> Server {
        let socket = UdpSocket::bind(addr).expect("bound");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        let addr = socket.local_addr().expect("bound");
        let (came, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (list, stop) = (came.clone(), over.clone());
        let thread = std::thread::spawn(move || {
            let mut room = [0; 65536];
            while !stop.load(Ordering::Relaxed) {
                let Ok((n, from)) = socket.recv_from(&mut room) else { continue };
                list.lock().unwrap().push((from, room[..n].to_vec()));
                if answers {
                    let _ = socket.send_to(&[name.as_bytes(), b":", &room[..n]].concat(), from);
                }
            }
        });
        Server { addr, came, over, thread: Some(thread) }
    }

    /// What came, and from where.
    pub fn came(&self) -> Came {
        self.came.lock().unwrap().clone()
    }

    /// From now on the kernel refuses for it.
    pub fn stop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A client that hears answers of the address it asks alone.
pub struct Client(UdpSocket);

impl Client {
    pub fn new(to: SocketAddr) -> Client {
        Client::from(place::address(), to)
    }

    pub fn from(source: Ipv4Addr, to: SocketAddr) -> Client {
        Client::over(&format!("{source}:0"), to)
    }

    /// From an address with a port.
    pub fn over(source: &str, to: SocketAddr) -> Client {
        let socket = UdpSocket::bind(source).expect("bound");
        socket.connect(to).expect("connected");
        socket.set_read_timeout(Some(SOON)).expect("a timeout");
        Client(socket)
    }

    pub fn addr(&self) -> SocketAddr {
        self.0.local_addr().expect("bound")
    }

    pub fn send(&self, text: &str) {
        self.0.send(text.as_bytes()).expect("sent");
    }

    /// The answer that comes within this time.
    pub fn answer(&self, within: Duration) -> Option<String> {
        let mut room = [0; 65536];
        self.0.set_read_timeout(Some(within)).expect("a timeout");
        match self.0.recv(&mut room) {
            Ok(n) => Some(String::from_utf8_lossy(&room[..n]).into_owned()),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(e) => panic!("{e}"),
        }
    }

    pub fn ask(&self, text: &str) -> String {
        self.send(text);
        self.answer(SOON).unwrap_or_else(|| panic!("no answer to {text}"))
    }

    /// Asks until somebody answers, as clients do.
    pub fn insist(&self, text: &str) -> String {
        for _ in 0..20 {
            self.send(text);
            if let Some(answer) = self.answer(Duration::from_millis(300)) {
                return answer;
            }
        }
        panic!("no answer to {text}")
    }
}

/// A proxy between clients and servers.
pub struct Between {
    pub proxy: Proxy,
    pub log: LogSink,
    pub to: SocketAddr,
}

impl Between {
    /// `{udp}` in the text is a free port of datagrams; `more` gives words of its own.
    pub fn start(text: &str, more: impl FnOnce(Builder) -> Builder) -> Between {
        let (log, port) = (LogSink::start(), place::free_udp_port());
        let builder = Proxy::on(&format!("{UDP}{text}")).with("udp", port).with("log", log.addr());
        let proxy = more(builder).start();
        Between { proxy, log, to: SocketAddr::from((place::address(), port)) }
    }

    /// What a runtime command answers.
    pub fn command(&self, line: &str) -> String {
        let mut stream = UnixStream::connect(self.proxy.dir().join("admin.sock")).expect("connected");
        stream.write_all(format!("{line}\n").as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// A column of `show stat`.
    pub fn stat(&self, proxy: &str, row: &str, column: &str) -> String {
        let text = self.command("show stat");
        let mut lines = text.lines();
        let head = lines.next().unwrap_or("").trim_start_matches("# ");
        let at = head.split(',').position(|name| name == column).expect("a column");
        let line = lines.find(|line| line.starts_with(&format!("{proxy},{row},"))).expect("a row");
        line.split(',').nth(at).unwrap_or("").to_owned()
    }

    /// Waits until a column says so.
    pub fn until(&self, (proxy, row, column): (&str, &str, &str), value: &str) {
        let found = place::wait_until(SOON, || self.stat(proxy, row, column) == value);
        assert!(found, "{proxy}/{row} {column} is {}, not {value}", self.stat(proxy, row, column));
    }

    /// Writes another configuration, with `from` replaced, and waits until it holds.
    pub fn reload(&self, from: &str, to: &str) {
        let file = self.proxy.dir().join("haproxy.cfg");
        let text = std::fs::read_to_string(&file).expect("the configuration");
        assert!(text.contains(from), "{from}");
        let mark = format!("backend mark{}", text.len());
        let text = format!("{}\n{mark}\n    mode tcp\n", text.replace(from, to));
        std::fs::write(&file, text).expect("written");
        self.proxy.signal(nix::sys::signal::Signal::SIGUSR2);
        let name = mark.trim_start_matches("backend ");
        let done = place::wait_until(SOON, || self.command("show stat").contains(name));
        assert!(done, "not reloaded: {}", self.proxy.stderr());
    }
}
