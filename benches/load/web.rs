//! The client of TLS and HTTP/2: connections that shake hands, anew or resumed, and carry one request after the other or
//! many at once. Closed loop.

use crate::args::Args;
use crate::cpu::Sample;
use crate::pace::{End, Plan, Stage};
use crate::reply::Body;
use crate::socket::{Clock, Set};
use crate::tally::Tally;
use crate::wire::Wire;
use crate::{frames::Frames, plain::Plain};
use rustls::ClientConfig;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const STDIN: u64 = u64::MAX;
const RETRY_NS: u64 = 5_000_000;
const TICK_NS: u64 = 100_000_000;
const DRAIN_NS: u64 = 5_000_000_000;
/// Connections that are opened at once when they are to be held.
const OPENING: usize = 32;

/// What happened to requests of a connection while its bytes were taken.
#[derive(Default)]
pub struct Told {
    /// When those that are answered were due.
    pub done: Vec<u64>,
    pub body_bytes: u64,
    /// The connection is of no use any more.
    pub failed: Option<String>,
    /// It carries no further request.
    pub over: bool,
}

/// What is spoken on a connection.
pub enum Talk {
    Plain(Plain),
    Frames(Box<Frames>),
}

struct Slot {
    wire: Wire,
    talk: Talk,
    began_ns: u64,
    /// When it was last heard of.
    heard_ns: u64,
}

struct Client {
    target: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    /// Requests at once on a connection; 0: HTTP/1.
    streams: usize,
    close: bool,
    hold: bool,
    path: String,
    size: u64,
    pids: Vec<u32>,
    plan: Plan,
    stage: Stage,
    clock: Clock,
    set: Set,
    slots: Vec<Option<Slot>>,
    retry: VecDeque<(u64, usize)>,
    tally: Tally,
    resumed: u64,
    handshakes: u64,
    /// Connections that have had their answer and are held.
    held: usize,
    buffer: Vec<u8>,
}

/// Runs a client to its end and prints its report.
pub fn run(args: &Args) -> Result<(), String> {
    let mut client = Client::from_args(args)?;
    let report = if client.hold { client.hold() } else { client.drive() };
    println!("{report}");
    Ok(())
}

impl Client {
    fn from_args(args: &Args) -> Result<Self, String> {
        let streams: usize = args.or("streams", 0)?;
        let path = args.text("path").unwrap_or("/128").to_owned();
        let size = Body::of_path(&path).ok_or_else(|| format!("--path: '{path}' names no size"))?.size;
        let conns: usize = args.or("conns", 64)?;
        let alpn: &[u8] = if streams > 0 { b"h2" } else { b"http/1.1" };
        Ok(Self {
            target: args.required("target")?.parse().map_err(|_| "--target: no address".to_owned())?,
            tls: args.flag("tls").then(|| crate::wire::config(alpn, args.flag("resume"))),
            streams,
            close: args.flag("close"),
            hold: args.flag("hold"),
            path,
            size,
            pids: args.list("pid")?,
            plan: Plan::from_args(args)?,
            stage: Stage::WarmUp,
            clock: Clock::start(),
            set: Set::new()?,
            slots: std::iter::repeat_with(|| None).take(conns).collect(),
            retry: VecDeque::new(),
            tally: Tally::new(0)?,
            resumed: 0,
            handshakes: 0,
            held: 0,
            buffer: vec![0; 1 << 18],
        })
    }

    fn drive(&mut self) -> Value {
        (0..self.slots.len()).for_each(|index| self.open(index));
        let mut began = self.clock.now_ns();
        let (mut before, mut window) = (Sample::default(), Value::Null);
        loop {
            let now = self.clock.now_ns();
            let next = match (self.stage, self.plan.end) {
                (Stage::WarmUp, _) if now.saturating_sub(began) >= self.plan.warmup_ns => Stage::Window,
                (Stage::Window, End::AfterNs(ns)) if now.saturating_sub(began) >= ns => Stage::Drain,
                (Stage::Window, End::AfterRequests(n)) if self.tally.total_requests() >= n => Stage::Drain,
                (stage, _) => stage,
            };
            if next != self.stage {
                if next == Stage::Window {
                    before = Sample::take(&self.pids);
                    self.tally.open_window();
                } else {
                    let spent = before.until(&Sample::take(&self.pids));
                    window = self.tally.window((self.clock.now_ns() - began) as f64 / 1e9, &spent);
                }
                began = self.clock.now_ns();
                self.stage = next;
            }
            let is_idle = self.slots.iter().all(Option::is_none);
            if self.stage == Stage::Drain && (is_idle || now.saturating_sub(began) > DRAIN_NS) {
                break;
            }
            self.turn(now);
        }
        for _ in self.slots.iter().flatten() {
            self.tally.failed("unfinished");
        }
        let mut report = self.tally.report(window, 0);
        report["resumed"] = json!(self.resumed);
        report["handshakes"] = json!(self.handshakes);
        report
    }

    /// Opens all connections with one request each, tells when all are answered, and keeps them until stdin ends.
    fn hold(&mut self) -> Value {
        let mut next = 0;
        while self.held + (self.tally.failures() as usize) < self.slots.len() {
            while next < self.slots.len() && next < self.held + self.tally.failures() as usize + OPENING {
                self.open(next);
                next += 1;
            }
            self.turn(self.clock.now_ns());
        }
        println!("{}", json!({"open": self.held, "failed": self.tally.failures()}));
        self.set.add(std::io::stdin(), STDIN, false);
        self.plan.end = End::StdinClosed;
        while self.plan.end == End::StdinClosed {
            self.turn(self.clock.now_ns());
        }
        json!({"open": self.slots.iter().flatten().count(), "failed": self.tally.failures()})
    }

    fn turn(&mut self, now: u64) {
        while let Some((at, index)) = self.retry.front().copied()
            && at <= now
        {
            self.retry.pop_front();
            self.open(index);
        }
        let count =
            self.set.wait(Duration::from_nanos(if self.retry.is_empty() { TICK_NS } else { RETRY_NS }));
        for event in 0..count {
            match self.set.event(event).0 {
                STDIN => {
                    if let Ok(0) | Err(_) = std::io::stdin().lock().read(&mut [0; 64]) {
                        self.plan.end = End::AfterNs(0);
                    }
                }
                token => self.progress(token as usize),
            }
        }
        self.fail_stuck(now);
    }

    fn open(&mut self, index: usize) {
        if self.stage == Stage::Drain {
            return;
        }
        let now = self.clock.now_ns();
        let wire = match Wire::open(self.target, self.tls.clone()) {
            Ok(wire) => wire,
            Err(why) => return self.fail(index, &why),
        };
        self.set.add(wire.socket(), index as u64, true);
        self.tally.connected();
        let talk = match self.streams {
            0 => Talk::Plain(Plain::new(&self.path, self.size, self.close)),
            streams => {
                let at_once = if self.hold { 1 } else { streams };
                Talk::Frames(Box::new(Frames::new(&self.path, self.size, at_once)))
            }
        };
        let mut slot = Slot { wire, talk, began_ns: now, heard_ns: now };
        slot.ask(now);
        self.slots[index] = Some(slot);
        self.progress(index);
    }

    /// Moves what can be moved on a connection, and asks for more where something was answered.
    fn progress(&mut self, index: usize) {
        let now = self.clock.now_ns();
        let Some(slot) = &mut self.slots[index] else { return };
        let mut told = Told::default();
        let mut moved = false;
        loop {
            match slot.wire.receive(&mut self.buffer) {
                Ok(0) => break,
                Ok(n) => {
                    moved = true;
                    slot.talk.take(&self.buffer[..n], slot.wire.out(), &mut told);
                    if told.failed.is_some() || told.over {
                        break;
                    }
                }
                Err(why) => {
                    told.failed.get_or_insert(why);
                    break;
                }
            }
        }
        if moved {
            slot.heard_ns = now;
        }
        if let Some(is_resumed) = slot.wire.shook_hands() {
            self.handshakes += 1;
            self.resumed += u64::from(is_resumed);
        }
        let is_last = self.stage == Stage::Drain || self.hold;
        if !is_last && !told.over {
            told.done.iter().for_each(|_| slot.ask(now));
        }
        if told.failed.is_none()
            && let Err(why) = slot.wire.flush()
        {
            told.failed = Some(why);
        }
        self.set.change(slot.wire.socket(), index as u64, slot.wire.wants_room());
        let is_silent = slot.talk.is_idle();
        self.note(index, told, now, is_silent);
    }

    fn note(&mut self, index: usize, told: Told, now: u64, is_silent: bool) {
        self.tally.received(told.body_bytes);
        for due in &told.done {
            self.tally.completed(now.saturating_sub(*due), 0);
        }
        if let Some(why) = told.failed {
            if self.held == self.slots.len() {
                self.slots[index] = None;
            } else {
                self.fail(index, &why);
            }
        } else if told.over && !told.done.is_empty() {
            self.slots[index] = None;
            self.open(index);
        } else if self.hold {
            self.held += told.done.len();
        } else if self.stage == Stage::Drain && is_silent {
            self.slots[index] = None;
        }
    }

    fn fail(&mut self, index: usize, kind: &str) {
        self.tally.failed(kind);
        self.slots[index] = None;
        if !self.hold {
            self.retry.push_back((self.clock.now_ns() + RETRY_NS, index));
        }
    }

    fn fail_stuck(&mut self, now: u64) {
        if self.hold {
            return;
        }
        for index in 0..self.slots.len() {
            let heard = self.slots[index].as_ref().map(|slot| slot.heard_ns);
            if heard.is_some_and(|at| now.saturating_sub(at) > self.plan.stuck_ns) {
                self.fail(index, "stuck");
            }
        }
    }
}

impl Slot {
    /// Another request, or as many as the connection is to carry at first.
    fn ask(&mut self, now: u64) {
        match &mut self.talk {
            // One on a connection of its own counts from when that was opened.
            Talk::Plain(plain) => plain.ask(if plain.close { self.began_ns } else { now }, self.wire.out()),
            Talk::Frames(frames) => frames.ask(now, self.wire.out()),
        }
    }
}

impl Talk {
    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>, told: &mut Told) {
        match self {
            Talk::Plain(plain) => plain.take(bytes, told),
            Talk::Frames(frames) => frames.take(bytes, out, told),
        }
    }

    fn is_idle(&self) -> bool {
        match self {
            Talk::Plain(plain) => plain.is_idle(),
            Talk::Frames(frames) => frames.is_idle(),
        }
    }
}
