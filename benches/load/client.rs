//! The client: a fixed set of connections, one request in flight on each, over HTTP/1.1 or plain TCP.
//!
//! It checks what it can check cheaply: status, announced length, byte counts, no byte too many.

use crate::args::Args;
use crate::cpu::Sample;
use crate::pace::{End, Pace, Plan, Schedule, Stage};
use crate::reply::{self, Body, NoHead};
use crate::socket::{self, Clock, Got, Set};
use crate::tally::Tally;
use serde_json::Value;
use socket2::Socket;
use std::collections::VecDeque;
use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

const BUFFER_LEN: usize = 1 << 20;
/// Bodies are read (and checked for excess) below this and discarded in the kernel above it.
const READ_LEN: u64 = 128 * 1024;
const STDIN: u64 = u64::MAX;
const RETRY_NS: u64 = 5_000_000;
const TICK_NS: u64 = 100_000_000;
const DRAIN_NS: u64 = 15_000_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http,
    /// 128 B that begin with the wanted reply length, answered by that many bytes.
    Tcp,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Down,
    Connecting,
    Idle,
    Head,
    Body,
    /// The response is complete; the proxy has still to close.
    Closing,
}

struct Slot {
    socket: Option<Socket>,
    state: State,
    /// When the request was due.
    due_ns: u64,
    remaining: u64,
    close: bool,
    /// The beginning of a head that came in pieces.
    partial: Vec<u8>,
}

struct Client {
    /// Connections take turns at these.
    targets: Vec<SocketAddr>,
    protocol: Protocol,
    close: bool,
    /// One for all connections, or one for each.
    requests: Vec<Vec<u8>>,
    /// `None`: any.
    reply_len: Option<u64>,
    pids: Vec<u32>,
    plan: Plan,
    pace: Pace,
    stage: Stage,
    stage_began: u64,
    clock: Clock,
    set: Set,
    slots: Vec<Slot>,
    idle: Vec<usize>,
    retry: VecDeque<(u64, usize)>,
    issued: u64,
    busy: usize,
    tally: Tally,
    buffer: Vec<u8>,
}

/// Runs a client to its end and prints its report.
pub fn run(args: &Args, protocol: Protocol) -> Result<(), String> {
    let mut client = Client::from_args(args, protocol)?;
    let report = client.drive();
    println!("{report}");
    Ok(())
}

impl Client {
    fn from_args(args: &Args, protocol: Protocol) -> Result<Self, String> {
        args.required("target")?;
        let targets = args.list("target")?;
        let close = args.flag("close");
        let conns: usize = args.or("conns", 64)?;
        let path = args.text("path").unwrap_or("/128");
        let (requests, reply_len) = match (protocol, args.text("method")) {
            (Protocol::Http, Some(method)) => {
                let body = args.text("body").unwrap_or_default();
                ((0..conns).map(|conn| api_request(method, path, body, conn)).collect(), None)
            }
            (Protocol::Http, None) => {
                let (request, reply_len) = http_request(path, close)?;
                (vec![request], Some(reply_len))
            }
            (Protocol::Tcp, _) => {
                let reply_len: u64 = args.or("reply", 128)?;
                (vec![format!("{reply_len:<127}\n").into_bytes()], Some(reply_len))
            }
        };
        let slot = || Slot {
            socket: None,
            state: State::Down,
            due_ns: 0,
            remaining: 0,
            close: false,
            partial: Vec::new(),
        };
        Ok(Self {
            targets,
            protocol,
            close,
            requests,
            reply_len,
            pids: args.list("pid")?,
            plan: Plan::from_args(args)?,
            pace: args.optional("rate")?.map_or(Pace::Closed, |rate| Pace::Open(Schedule::new(rate))),
            stage: Stage::WarmUp,
            stage_began: 0,
            clock: Clock::start(),
            set: Set::new()?,
            slots: std::iter::repeat_with(slot).take(conns).collect(),
            idle: Vec::new(),
            retry: VecDeque::new(),
            issued: 0,
            busy: 0,
            tally: Tally::new(args.or("slices", 0_u64)? * 1_000_000)?,
            buffer: vec![0; BUFFER_LEN],
        })
    }

    fn drive(&mut self) -> Value {
        if self.plan.end == End::StdinClosed {
            self.set.add(std::io::stdin(), STDIN, false);
        }
        let mut stage_began = self.clock.now_ns();
        if let Pace::Open(schedule) = &mut self.pace {
            schedule.start(stage_began);
        }
        for index in 0..self.slots.len() {
            self.free(index);
        }
        let mut before = Sample::default();
        let mut window = Value::Null;
        let mut next_tick = stage_began + TICK_NS;
        loop {
            let now = self.clock.now_ns();
            let next = self.next_stage(now - stage_began);
            if next != self.stage {
                if next == Stage::Window {
                    before = Sample::take(&self.pids);
                    self.tally.open_window();
                    stage_began = self.clock.now_ns();
                } else {
                    let spent = before.until(&Sample::take(&self.pids));
                    window = self.tally.window((self.clock.now_ns() - stage_began) as f64 / 1e9, &spent);
                    stage_began = now;
                }
                self.stage = next;
                self.stage_began = stage_began;
            }
            if self.stage == Stage::Drain && (self.busy == 0 || now - stage_began > DRAIN_NS) {
                break;
            }
            self.send_due(now);
            if now >= next_tick {
                self.fail_stuck(now);
                next_tick = now + TICK_NS;
            }
            self.turn(now, next_tick, stage_began);
        }
        for _ in 0..self.busy {
            self.tally.failed("unfinished");
        }
        let unsent = if let Pace::Open(schedule) = &self.pace { schedule.backlog.len() } else { 0 };
        self.tally.report(std::mem::take(&mut window), unsent)
    }

    fn next_stage(&self, elapsed_ns: u64) -> Stage {
        match (self.stage, self.plan.end) {
            (Stage::WarmUp, _) if elapsed_ns >= self.plan.warmup_ns => Stage::Window,
            (Stage::Window, End::AfterNs(window_ns)) if elapsed_ns >= window_ns => Stage::Drain,
            (Stage::Window, End::AfterRequests(count))
                if self.tally.total_requests() + self.tally.failures() >= count =>
            {
                Stage::Drain
            }
            (stage, _) => stage,
        }
    }

    /// Waits for events until something else is due, and handles them.
    fn turn(&mut self, now: u64, next_tick: u64, stage_began: u64) {
        let mut until = next_tick;
        match (self.stage, self.plan.end) {
            (Stage::WarmUp, _) => until = until.min(stage_began + self.plan.warmup_ns),
            (Stage::Window, End::AfterNs(window_ns)) => until = until.min(stage_began + window_ns),
            _ => {}
        }
        if let Some((retry_at, _)) = self.retry.front() {
            until = until.min(*retry_at);
        }
        if let (Pace::Open(schedule), true) = (&self.pace, self.stage != Stage::Drain) {
            until = until.min(schedule.next_due_ns());
        }
        let count = self.set.wait(Duration::from_nanos(until.saturating_sub(now)));
        for event in 0..count {
            let (token, _) = self.set.event(event);
            if token == STDIN {
                self.read_stdin();
            } else {
                self.progress(token as usize);
            }
        }
    }

    fn read_stdin(&mut self) {
        if let Ok(0) | Err(_) = std::io::stdin().lock().read(&mut [0; 64]) {
            self.plan.end = End::AfterNs(0);
        }
    }

    /// Sends what the schedule or a retry asks for.
    fn send_due(&mut self, now: u64) {
        while let Some((retry_at, index)) = self.retry.front().copied()
            && retry_at <= now
        {
            self.retry.pop_front();
            self.free(index);
        }
        if self.stage == Stage::Drain {
            return;
        }
        if let Pace::Open(schedule) = &mut self.pace {
            schedule.release(now);
        }
        while let (Pace::Open(schedule), Some(index)) = (&mut self.pace, self.idle.last().copied()) {
            let Some(due_ns) = schedule.backlog.pop_front() else { break };
            self.idle.pop();
            self.begin(index, due_ns);
        }
    }

    /// A slot has nothing to do: give it the next request, if there is one.
    fn free(&mut self, index: usize) {
        if self.slots[index].socket.is_some() {
            self.slots[index].state = State::Idle;
        }
        if self.stage == Stage::Drain || self.issued >= self.plan.limit() {
            return;
        }
        let due_ns = match &mut self.pace {
            Pace::Closed => Some(self.clock.now_ns()),
            Pace::Open(schedule) => schedule.backlog.pop_front(),
        };
        match due_ns {
            Some(due_ns) => self.begin(index, due_ns),
            None => self.idle.push(index),
        }
    }

    fn begin(&mut self, index: usize, due_ns: u64) {
        self.issued += 1;
        self.busy += 1;
        let slot = &mut self.slots[index];
        slot.due_ns = due_ns;
        slot.close = self.close;
        slot.partial.clear();
        let fresh = slot.socket.is_none();
        if fresh {
            match socket::connect(self.targets[index % self.targets.len()]) {
                Ok(socket) => slot.socket = Some(socket),
                Err(error) => return self.fail(index, &format!("connect: {error}")),
            }
            self.tally.connected();
        }
        self.send(index, fresh);
    }

    /// Sends the request; a connection still being made tries again when it is writable.
    fn send(&mut self, index: usize, fresh: bool) {
        let slot = &mut self.slots[index];
        let Some(socket) = &slot.socket else { return };
        let request = &self.requests[index % self.requests.len()];
        match socket::transmit(socket, request) {
            Ok(sent) if sent == request.len() => {
                if fresh {
                    self.set.add(socket, index as u64, false);
                } else if slot.state == State::Connecting {
                    self.set.change(socket, index as u64, false);
                }
                slot.state = if self.protocol == Protocol::Http { State::Head } else { State::Body };
                slot.remaining = self.reply_len.unwrap_or(0);
            }
            Ok(0) if fresh => {
                self.set.add(socket, index as u64, true);
                slot.state = State::Connecting;
            }
            Ok(0) if slot.state == State::Connecting => {
                if let Some(error) = socket::pending_error(socket) {
                    self.fail(index, &format!("connect: {error}"));
                }
            }
            Ok(_) => self.fail(index, "request sent in part"),
            Err(errno) => self.fail(index, &format!("send: {errno}")),
        }
    }

    fn progress(&mut self, index: usize) {
        match self.slots[index].state {
            State::Down => {}
            State::Connecting => self.send(index, false),
            State::Head => self.read_head(index),
            State::Body => self.read_body(index),
            State::Idle | State::Closing => self.read_end(index),
        }
    }

    fn read_head(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        let Some(socket) = &slot.socket else { return };
        let count = match socket::receive(socket, &mut self.buffer) {
            Got::Bytes(count) => count,
            Got::Later => return,
            Got::End if slot.partial.is_empty() => return self.fail(index, "closed before the response"),
            Got::End => return self.fail(index, "closed inside the head"),
            Got::Failed(errno) => return self.fail(index, &format!("receive: {errno}")),
        };
        let fresh = &self.buffer[..count];
        let pieces = !slot.partial.is_empty();
        if pieces {
            slot.partial.extend_from_slice(fresh);
        }
        let bytes: &[u8] = if pieces { &slot.partial } else { fresh };
        let head = match reply::head(bytes) {
            Ok(head) => head,
            Err(NoHead::Partial) => {
                if !pieces {
                    slot.partial.extend_from_slice(fresh);
                }
                return;
            }
            Err(NoHead::Malformed) => return self.fail(index, "malformed response"),
        };
        let body = (bytes.len() - head.head_len) as u64;
        if head.status != 200 {
            return self.fail(index, &format!("status {}", head.status));
        }
        // A chunked body has the length that its path says, for a proxy passes chunks on as they came.
        let Some(body_len) = head.body_len.or(self.reply_len) else {
            return self.fail(index, "chunked where a length was asked for");
        };
        if self.reply_len.is_some_and(|len| body_len != len) || body > body_len {
            return self.fail(index, "wrong length");
        }
        slot.close |= head.close;
        slot.remaining = body_len - body;
        slot.state = State::Body;
        self.tally.received(body);
        if self.slots[index].remaining == 0 {
            self.finish(index);
        }
    }

    fn read_body(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        let Some(socket) = &slot.socket else { return };
        let got = if slot.remaining > READ_LEN {
            let want = usize::try_from(slot.remaining).map_or(BUFFER_LEN, |len| len.min(BUFFER_LEN));
            socket::discard(socket, &mut self.buffer[..want])
        } else {
            socket::receive(socket, &mut self.buffer)
        };
        match got {
            Got::Bytes(count) if count as u64 > slot.remaining => self.fail(index, "too many bytes"),
            Got::Bytes(count) => {
                slot.remaining -= count as u64;
                self.tally.received(count as u64);
                if slot.remaining == 0 {
                    self.finish(index);
                }
            }
            Got::Later => {}
            Got::End => self.fail(index, "closed inside the body"),
            Got::Failed(errno) => self.fail(index, &format!("receive: {errno}")),
        }
    }

    /// Waits for the end of a connection that owes nothing more.
    fn read_end(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        let Some(socket) = &slot.socket else { return };
        let was = slot.state;
        match socket::receive(socket, &mut self.buffer) {
            Got::Later => {}
            Got::End => {
                slot.socket = None;
                slot.state = State::Down;
                if was == State::Closing {
                    self.busy -= 1;
                    self.free(index);
                } else {
                    self.tally.idle_closes += 1;
                }
            }
            Got::Failed(_) if was == State::Idle => {
                slot.socket = None;
                slot.state = State::Down;
                self.tally.idle_closes += 1;
            }
            Got::Bytes(_) if was == State::Idle => {
                slot.socket = None;
                slot.state = State::Down;
                self.tally.failed("bytes without a request");
            }
            Got::Bytes(_) => self.fail(index, "too many bytes"),
            Got::Failed(errno) => self.fail(index, &format!("closing: {errno}")),
        }
    }

    fn finish(&mut self, index: usize) {
        let now = self.clock.now_ns();
        let slot = &mut self.slots[index];
        self.tally.completed(now.saturating_sub(slot.due_ns), now.saturating_sub(self.stage_began));
        match (slot.close, self.protocol) {
            (true, Protocol::Http) => slot.state = State::Closing,
            (true, Protocol::Tcp) => {
                slot.socket = None;
                slot.state = State::Down;
                self.busy -= 1;
                self.free(index);
            }
            (false, _) => {
                self.busy -= 1;
                self.free(index);
            }
        }
    }

    /// Counts a failed request and comes back with a new connection a little later.
    fn fail(&mut self, index: usize, kind: &str) {
        self.tally.failed(kind);
        let slot = &mut self.slots[index];
        slot.socket = None;
        slot.state = State::Down;
        self.busy -= 1;
        self.retry.push_back((self.clock.now_ns() + RETRY_NS, index));
    }

    fn fail_stuck(&mut self, now: u64) {
        for index in 0..self.slots.len() {
            let slot = &self.slots[index];
            let waits = !matches!(slot.state, State::Down | State::Idle);
            if waits && now.saturating_sub(slot.due_ns) > self.plan.stuck_ns {
                self.fail(index, "stuck");
            }
        }
    }
}

/// A GET as a small command-line client sends it, and how long the body is that its path asks for.
fn http_request(path: &str, close: bool) -> Result<(Vec<u8>, u64), String> {
    let body =
        Body::of_path(path).ok_or_else(|| format!("--path: want /BYTES or /CHUNKSxBYTES, not '{path}'"))?;
    let connection = if close { "Connection: close\r\n" } else { "" };
    let text = format!(
        "GET {path} HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: load/1.0\r\nAccept: */*\r\n{connection}\r\n"
    );
    Ok((text.into_bytes(), body.wire_len()))
}

/// A request with a body, whose reply may have any length. `{conn}` is the connection's number in four digits, so that
/// each has a key of its own.
fn api_request(method: &str, path: &str, body: &str, conn: usize) -> Vec<u8> {
    let number = format!("{conn:04}");
    let (path, body) = (path.replace("{conn}", &number), body.replace("{conn}", &number));
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nHost: bench.test\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}
