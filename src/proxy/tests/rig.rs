//! `Rig`: a data worker on a configuration text, driven by hand, with the far end of each of its connections in the
//! test's hand. It speaks bytes alone, so that what is tested with it says nothing of how the data plane is built.
//!
//! ```ignore
//! let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
//! let mut client = rig.client();
//! client.send(GET);                       // ... and the worker has done all it can
//! let mut server = rig.server("s1");      // the connection that it opened
//! assert!(server.take().starts_with("GET / HTTP/1.1\r\n"));
//! server.send(OK);
//! assert_eq!(answers(&client.take()), [200]);
//! rig.pass(10_000);                       // time is what the test says
//! assert_eq!(rig.log(), ["p/s1 200 -- 0"]);
//! ```

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};

use crate::base::clock::MS;
use crate::config::compile::testing::{build_on, messages};
use crate::config::{Built, Config, Proxy};
use crate::model::counters::Totals;
use crate::model::{Address, Server};
use crate::os::socket::Peer;
use crate::proxy::listener::ListenerCell;
use crate::proxy::{Shared, Worker};
use crate::rt::Rt;

/// A request without a body, and a response that keeps the connection.
pub const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What precedes each text: lines are told to the rig, nobody waits for ever, and servers take turns.
const HTTP: &str = "\
    mode http
    log-format \"%b/%s %ST %ts %rc\"
";
const TCP: &str = "\
    mode tcp
    log-format \"%b/%s %ts %rc %U>%B\"
";
const BOTH: &str = "\
    log global
    balance roundrobin
    timeout client 10s
    timeout server 20s
    timeout connect 3s
";

/// The statuses of the responses in what was read.
pub fn answers(text: &str) -> Vec<u16> {
    text.split("HTTP/1.1 ").skip(1).map(|rest| rest[..3].parse().expect("a status")).collect()
}

/// What a connection to a server meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reception {
    /// It stands at once.
    #[default]
    Open,
    /// The call fails.
    Fails(ErrorKind),
    /// It is refused while it is waited for.
    Refused,
    /// It stays under way until the test takes its end and reads.
    Hangs,
}

/// A server's address: how it receives, and whom it has received.
#[derive(Default)]
struct Door {
    reception: Reception,
    opened: usize,
    arrived: Vec<UnixStream>,
}

impl Door {
    fn open(&mut self) -> io::Result<OwnedFd> {
        if let Reception::Fails(kind) = self.reception {
            return Err(kind.into());
        }
        self.opened += 1;
        let (ours, far) = pair();
        match self.reception {
            Reception::Refused => drop(far),
            Reception::Hangs => {
                // Nothing can be written until what is in the way is read.
                while (&ours).write(&[b'~'; 4096]).is_ok() {}
                self.arrived.push(far);
            }
            _ => self.arrived.push(far),
        }
        Ok(ours.into())
    }
}

fn pair() -> (UnixStream, UnixStream) {
    let (ours, far) = UnixStream::pair().expect("a socket pair");
    for end in [&ours, &far] {
        end.set_nonblocking(true).expect("O_NONBLOCK");
    }
    (ours, far)
}

/// A worker and everybody it speaks to.
pub struct Rig {
    pub worker: &'static Worker,
    pub shared: Arc<Shared>,
    config: RefCell<Arc<Config>>,
    base: String,
    listeners: RefCell<HashMap<String, Rc<ListenerCell>>>,
    doors: Rc<RefCell<HashMap<SocketAddr, Door>>>,
    lines: UnixDatagram,
    clients: Cell<u16>,
    _retired: Receiver<Arc<Config>>,
}

impl Rig {
    /// A worker on `text`, behind `defaults` in HTTP mode.
    pub fn new(text: &str) -> Rig {
        Rig::start("", HTTP, text)
    }

    /// A worker on one `listen p` of these lines.
    pub fn listen(lines: &[&str]) -> Rig {
        Rig::new(&format!("listen p\n bind :80\n {}\n", lines.join("\n ")))
    }

    /// The same with lines of `global`.
    pub fn listen_in(global: &str, lines: &[&str]) -> Rig {
        Rig::start(global, HTTP, &format!("listen p\n bind :80\n {}\n", lines.join("\n ")))
    }

    /// A worker on `text`, behind `defaults` in TCP mode.
    pub fn tcp(text: &str) -> Rig {
        Rig::start("", TCP, text)
    }

    /// A worker on one `listen p` of these lines, in TCP mode.
    pub fn listen_tcp(lines: &[&str]) -> Rig {
        Rig::tcp(&format!("listen p\n bind :80\n {}\n", lines.join("\n ")))
    }

    fn start(global: &str, mode: &str, text: &str) -> Rig {
        let (ours, lines) = UnixDatagram::pair().expect("a socket pair");
        lines.set_nonblocking(true).expect("O_NONBLOCK");
        // The worker writes to it for as long as the thread lives.
        let log = ours.into_raw_fd();
        let base =
            format!("global\n log fd@{log} len 8192 format raw local0\n{global}\ndefaults\n{mode}{BOTH}\n");
        let rt = Rt::start_by_hand();
        let built = built(&format!("{base}{text}"), None, rt);
        Rig::on(rt, Arc::new(built.config), base, lines)
    }

    /// Another worker on the configuration of `other`, for a thread of its own.
    pub fn beside(config: Arc<Config>) -> Rig {
        let (_, lines) = UnixDatagram::pair().expect("a socket pair");
        Rig::on(Rt::start_by_hand(), config, String::new(), lines)
    }

    fn on(rt: &'static Rt, config: Arc<Config>, base: String, lines: UnixDatagram) -> Rig {
        let (retire, retired) = channel();
        let shared = Shared::new(1000, "host".to_owned());
        let worker = Worker::on(rt, shared.clone(), config.clone(), retire);
        let doors: Rc<RefCell<HashMap<SocketAddr, Door>>> = Rc::default();
        let theirs = doors.clone();
        rt.dial_with(move |to| match to {
            Peer::Inet(address) => theirs.borrow_mut().entry(address).or_default().open(),
            Peer::Unix => Err(ErrorKind::NotFound.into()),
        });
        Rig {
            worker,
            shared,
            config: RefCell::new(config),
            base,
            listeners: RefCell::default(),
            doors,
            lines,
            clients: Cell::new(0),
            _retired: retired,
        }
    }

    /// Loads another text on top of the one that runs.
    pub fn reload(&self, text: &str) {
        let text = format!("{}{text}", self.base);
        let built = built(&text, Some(&self.config()), self.worker.rt);
        let config = Arc::new(built.config);
        for (name, cell) in &*self.listeners.borrow() {
            match config.frontends.get(name.as_str()) {
                Some(id) => cell.proxy.set(*id),
                None => cell.stopped.set(true),
            }
        }
        self.worker.replace(config.clone());
        *self.config.borrow_mut() = config;
    }

    pub fn config(&self) -> Arc<Config> {
        self.config.borrow().clone()
    }

    fn with_proxy<R>(&self, name: &str, f: impl FnOnce(&Proxy) -> R) -> R {
        f(self.config().proxies.iter().find(|p| &*p.name == name).expect(name))
    }

    /// A client of the first frontend.
    pub fn client(&self) -> Wire {
        let config = self.config();
        let first = config.proxies.iter().find(|p| p.front.is_some()).expect("a frontend");
        self.client_of(&first.name)
    }

    /// A client of this frontend.
    pub fn client_of(&self, frontend: &str) -> Wire {
        self.try_client(frontend).expect("a slot for one more client")
    }

    /// A client of this frontend, unless some limit of connections is reached.
    pub fn try_client(&self, frontend: &str) -> Option<Wire> {
        let cell = self.listener(frontend);
        let slot = self.worker.client_slot(&cell)?;
        let (ours, far) = pair();
        self.clients.set(self.clients.get() + 1);
        let peer = Peer::Inet(([192, 0, 2, 1], 40_000 + self.clients.get()).into());
        self.worker.accepted(&cell, ours.into(), peer, slot);
        self.worker.rt.settle();
        Some(Wire { rt: self.worker.rt, stream: far, ended: false })
    }

    fn listener(&self, frontend: &str) -> Rc<ListenerCell> {
        let make = || {
            Rc::new(ListenerCell {
                id: 1,
                proxy: Cell::new(*self.config().frontends.get(frontend).expect(frontend)),
                bind: Cell::new(0),
                stopped: Cell::new(false),
                task: Cell::new(0),
                live: RefCell::default(),
            })
        };
        self.listeners.borrow_mut().entry(frontend.to_owned()).or_insert_with(make).clone()
    }

    /// A server as the configuration has it, by name.
    pub fn of(&self, name: &str) -> Server {
        let config = self.config();
        let mut sets = config.proxies.iter().filter_map(|p| p.back.as_ref()).map(|b| b.servers.load());
        sets.find_map(|set| set.by_name(name).map(|(_, s)| s.clone())).expect(name)
    }

    fn door<R>(&self, name: &str, f: impl FnOnce(&mut Door) -> R) -> R {
        let Address::Inet(address) = self.of(name).address() else { panic!("{name} has no address") };
        f(self.doors.borrow_mut().entry(address).or_default())
    }

    /// The next connection that was opened to this server.
    pub fn server(&self, name: &str) -> Wire {
        self.try_server(name).unwrap_or_else(|| panic!("no new connection to {name}"))
    }

    pub fn try_server(&self, name: &str) -> Option<Wire> {
        let stream = self.door(name, |door| (!door.arrived.is_empty()).then(|| door.arrived.remove(0)))?;
        Some(Wire { rt: self.worker.rt, stream, ended: false })
    }

    /// Connections that were opened to this server so far.
    pub fn opened(&self, name: &str) -> usize {
        self.door(name, |door| door.opened)
    }

    /// What connections to this server meet from now on.
    pub fn receive(&self, name: &str, reception: Reception) {
        self.door(name, |door| door.reception = reception);
    }

    /// Sends a request, answers it as the server, and gives the server's connection and what the client got.
    pub fn exchange(&self, client: &mut Wire, name: &str) -> (Wire, String) {
        client.send(GET);
        let mut server = self.server(name);
        server.take();
        server.send(OK);
        (server, client.take())
    }

    /// Lets milliseconds pass.
    pub fn pass(&self, ms: u64) {
        self.worker.rt.pass_ms(ms);
    }

    pub fn settle(&self) {
        self.worker.rt.settle();
    }

    /// The lines that were logged since the last call.
    pub fn log(&self) -> Vec<String> {
        self.settle();
        let mut line = [0; 8193];
        let mut lines = Vec::new();
        while let Ok(n) = self.lines.recv(&mut line) {
            lines.push(String::from_utf8_lossy(&line[..n]).trim_end().to_owned());
        }
        lines
    }

    /// What a frontend has counted.
    pub fn front(&self, name: &str) -> Totals {
        self.with_proxy(name, |p| Totals::of(&p.live.front.counters))
    }

    /// What a backend has counted.
    pub fn back(&self, name: &str) -> Totals {
        self.with_proxy(name, |p| Totals::of(&p.live.back.counters))
    }

    /// What a server has counted.
    pub fn count(&self, name: &str) -> Totals {
        Totals::of(&self.of(name).live.counters)
    }

    /// Idle connections to a server.
    pub fn idle(&self, name: &str) -> u32 {
        self.of(name).live.idle.load(Ordering::Relaxed)
    }

    /// Streams that a server has.
    pub fn served(&self, name: &str) -> u32 {
        self.of(name).live.served.load(Ordering::Relaxed)
    }

    /// The listener of this frontend is closed; the frontend stays.
    pub fn shut(&self, frontend: &str) {
        self.listener(frontend).stopped.set(true);
        self.worker.rt.wake_all();
        self.settle();
    }

    /// The process begins to stop.
    pub fn stop(&self) {
        self.shared.stop(self.worker.rt.now(), self.config().global.close_spread_ms);
        self.worker.rt.wake_all();
        self.settle();
    }
}

fn built(text: &str, previous: Option<&Config>, rt: &Rt) -> Built {
    let (built, diags) = build_on(text, previous);
    let mut built = built.unwrap_or_else(|| panic!("{:?}", messages(&diags)));
    built.activate(rt.now() / MS);
    built
}

/// The far end of one of the worker's connections.
pub struct Wire {
    rt: &'static Rt,
    stream: UnixStream,
    ended: bool,
}

impl Wire {
    /// Sends bytes, all of them; the worker then does what it can.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let mut bytes = bytes.as_ref();
        while !bytes.is_empty() {
            let n = self.offer(bytes);
            assert!(n > 0, "the worker does not take it");
            bytes = &bytes[n..];
        }
    }

    /// Sends what is taken of these bytes, and tells how many that were.
    pub fn offer(&mut self, bytes: impl AsRef<[u8]>) -> usize {
        let bytes = bytes.as_ref();
        let mut taken = 0;
        while taken < bytes.len() {
            match self.stream.write(&bytes[taken..]) {
                Ok(n) => taken += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => panic!("the worker has closed: {e}"),
            }
            self.rt.settle();
        }
        taken
    }

    /// Sends bytes, which the worker does not look at yet.
    pub fn put(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the worker takes them");
    }

    /// Everything that the worker has sent since the last call.
    pub fn take(&mut self) -> String {
        String::from_utf8_lossy(&self.take_bytes()).into_owned()
    }

    pub fn take_bytes(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut room = [0; 65536];
        loop {
            self.rt.settle();
            match self.stream.read(&mut room) {
                Ok(0) => self.ended = true,
                Ok(n) => {
                    all.extend_from_slice(&room[..n]);
                    continue;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.ended = true,
            }
            return all;
        }
    }

    /// The worker has ended the connection, and left nothing to read.
    pub fn has_ended(&mut self) -> bool {
        let left = self.take();
        assert_eq!(left, "", "there was something to read");
        self.ended
    }

    /// Takes what kept a hanging connection from being established.
    pub fn establish(&mut self) {
        let mut room = [0; 4096];
        while self.stream.read(&mut room).is_ok_and(|n| n > 0 && room[0] == b'~') {}
        self.rt.settle();
    }

    /// Ends this direction.
    pub fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("a connection");
        self.rt.settle();
    }

    /// Closes the connection.
    pub fn leave(self) {
        let rt = self.rt;
        drop(self);
        rt.settle();
    }

    /// Ends it so that the worker finds it reset: unread bytes are lost.
    pub fn reset(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        self.leave();
    }
}
