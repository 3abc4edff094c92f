//! Scripted origin servers: they answer canned bytes, die where told, and keep what they received.

use std::io::Write;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::message::{Broken, Message, Reader};
use super::place;

/// What an origin does next on a connection.
#[derive(Clone, Debug)]
pub enum Step {
    Send(Vec<u8>),
    /// Sends the bytes one by one with a pause before each.
    Drip(Vec<u8>, Duration),
    Sleep(Duration),
    Close,
    /// Closes with a TCP reset.
    Reset,
    /// Keeps the connection open and silent until the peer closes it.
    Hang,
}

/// A message that reached the origin, or why none could be read.
#[derive(Clone, Debug)]
pub struct Received {
    pub message: Result<Message, Broken>,
    /// Connections are counted from 0, and messages in each of them too.
    pub connection: usize,
    pub nth: usize,
}

type Answer = dyn Fn(&Message) -> Vec<Step> + Send + Sync;
type Early = dyn Fn(&Message) -> Option<Vec<Step>> + Send + Sync;
type Talk = dyn Fn(TcpStream, usize, &Mutex<Vec<Received>>) + Send + Sync;

/// A server on an address of its own; it stops on drop.
pub struct Origin {
    addr: SocketAddr,
    state: Arc<State>,
    open: Option<Arc<AtomicBool>>,
}

struct State {
    talk: Box<Talk>,
    seen: Mutex<Vec<Received>>,
    streams: Mutex<Vec<TcpStream>>,
    accepted: AtomicUsize,
    live: AtomicUsize,
    most: AtomicUsize,
}

impl Origin {
    /// Answers each request with what `answer` says, once its body has been read.
    pub fn serve(answer: impl Fn(&Message) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::serve_early(|_| None, answer)
    }

    /// Like [`Origin::serve`], and `early` may answer when only the head has come; the body is then not read.
    pub fn serve_early(
        early: impl Fn(&Message) -> Option<Vec<Step>> + Send + Sync + 'static,
        answer: impl Fn(&Message) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Box::new(move |stream, connection, seen| {
            converse(&stream, connection, &early, &answer, seen);
        }))
    }

    /// Answers every request with these bytes.
    pub fn canned(response: impl Into<Vec<u8>>) -> Self {
        let response = response.into();
        Self::serve(move |_| vec![Step::Send(response.clone())])
    }

    /// A 200 whose body and `x-origin` header are the name; keeps connections alive.
    pub fn named(name: &str) -> Self {
        Self::canned(ok(name))
    }

    /// The same on another address.
    pub fn named_on(ip: IpAddr, name: &str) -> Self {
        let response = ok(name).into_bytes();
        let answer = move |_: &Message| vec![Step::Send(response.clone())];
        Self::start_on(
            ip,
            Box::new(move |stream, connection, seen| converse(&stream, connection, &|_| None, &answer, seen)),
        )
    }

    /// Full control: `talk` gets each connection and its number.
    pub fn raw(talk: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> Self {
        Self::start(Box::new(move |stream, connection, _| talk(stream, connection)))
    }

    fn start(talk: Box<Talk>) -> Self {
        Self::start_on(place::address().into(), talk)
    }

    fn start_on(ip: IpAddr, talk: Box<Talk>) -> Self {
        let state = Arc::new(State {
            talk,
            seen: Mutex::default(),
            streams: Mutex::default(),
            accepted: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind((ip, 0)).expect("a port for an origin");
        let addr = listener.local_addr().expect("bound");
        let mut origin = Origin { addr, state, open: None };
        origin.accept_on(listener);
        origin
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Takes what was received since the last call.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.state.seen.lock().unwrap())
    }

    /// How many messages (or broken ones) have been received and not taken.
    pub fn count(&self) -> usize {
        self.state.seen.lock().unwrap().len()
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub fn live(&self) -> usize {
        self.state.live.load(Ordering::SeqCst)
    }

    /// The most connections that were open at once.
    pub fn most(&self) -> usize {
        self.state.most.load(Ordering::SeqCst)
    }

    /// Stops listening and resets every connection.
    pub fn kill(&mut self) {
        let Some(open) = self.open.take() else { return };
        open.store(false, Ordering::SeqCst);
        let _ = TcpStream::connect(self.addr);
        for stream in self.state.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        place::wait_until(Duration::from_secs(5), || TcpStream::connect(self.addr).is_err());
    }

    /// Listens again on the same address.
    pub fn revive(&mut self) {
        if self.open.is_none() {
            let mut listener = TcpListener::bind(self.addr);
            place::wait_until(Duration::from_secs(5), || {
                if listener.is_err() {
                    listener = TcpListener::bind(self.addr);
                }
                listener.is_ok()
            });
            self.accept_on(listener.expect("the same port again"));
        }
    }

    fn accept_on(&mut self, listener: TcpListener) {
        let open = Arc::new(AtomicBool::new(true));
        self.open = Some(open.clone());
        let state = self.state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if !open.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let _ = stream.set_nodelay(true);
                let connection = state.accepted.fetch_add(1, Ordering::SeqCst);
                state.streams.lock().unwrap().extend(stream.try_clone());
                let live = state.live.fetch_add(1, Ordering::SeqCst) + 1;
                state.most.fetch_max(live, Ordering::SeqCst);
                let state = state.clone();
                std::thread::spawn(move || {
                    let held = stream.try_clone();
                    (state.talk)(stream, connection, &state.seen);
                    // The clone kept in `streams` would hold the connection open.
                    if let Ok(held) = held {
                        forget(&state.streams, &held);
                    }
                    state.live.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads requests and answers them until the connection or the script ends.
fn converse(
    stream: &TcpStream,
    connection: usize,
    early: &Early,
    answer: &Answer,
    seen: &Mutex<Vec<Received>>,
) {
    let Ok(read_half) = stream.try_clone() else { return };
    let mut reader = Reader::new(read_half);
    for nth in 0.. {
        let head = reader.within(IDLE).request_head();
        let script = head.as_ref().ok().and_then(early);
        let early_answer = script.is_some();
        let message = match head {
            Ok(mut message) if !early_answer => {
                if message.field("expect").is_some_and(|e| e.eq_ignore_ascii_case("100-continue")) {
                    let _ = (&*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                reader.within(IDLE).request_body(&mut message).map(|()| message)
            }
            head => head,
        };
        if message == Err(Broken::Closed) {
            return;
        }
        let script = script.or_else(|| message.as_ref().ok().map(answer));
        // An old version without keep-alive is kept open too: to close in silence would race with reuse.
        let alive = message.as_ref().is_ok_and(|m| !m.has_token("connection", "close"));
        seen.lock().unwrap().push(Received { message, connection, nth });
        let Some(script) = script else { return };
        if !play(stream, script) || !alive || early_answer {
            return;
        }
    }
}

/// Takes the steps; false when the connection is over.
pub fn play(stream: &TcpStream, script: Vec<Step>) -> bool {
    let mut out = stream;
    for step in script {
        match step {
            Step::Send(bytes) => {
                if out.write_all(&bytes).is_err() {
                    return false;
                }
            }
            Step::Drip(bytes, pause) => {
                for byte in bytes {
                    std::thread::sleep(pause);
                    if out.write_all(&[byte]).is_err() {
                        return false;
                    }
                }
            }
            Step::Sleep(time) => std::thread::sleep(time),
            Step::Close => return false,
            Step::Reset => {
                let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
                return false;
            }
            Step::Hang => {
                if let Ok(half) = stream.try_clone() {
                    Reader::new(half).within(IDLE).rest();
                }
                return false;
            }
        }
    }
    true
}

/// A keep-alive 200 with this body, which `x-origin` repeats.
pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-Origin: {body}\r\n\r\n{body}", body.len())
}

/// Drops the other handles of a connection; with no linger set this sends FIN, else a reset.
fn forget(streams: &Mutex<Vec<TcpStream>>, done: &TcpStream) {
    let peer = done.peer_addr().ok();
    streams.lock().unwrap().retain(|kept| kept.peer_addr().ok() != peer);
}

/// How long an origin waits for a peer that says nothing.
const IDLE: Duration = Duration::from_secs(30);
