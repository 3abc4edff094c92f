//! Clients that put, read, compare and set, lock and register, at every node, and keep what they saw.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::api::{Api, Failed, Reply};
use super::linear::{Event, Op, Outcome, State};

/// A request that takes longer is given up, its outcome unknown.
const PATIENCE: Duration = Duration::from_secs(3);
/// Keys in use at once; and operations on them, about, before there are new ones: longer histories take long to check.
const KEYS: u64 = 4;
const OPS_PER_KEY: u64 = 48;

/// Numbers that follow from a seed (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// What the clients share.
pub struct Traffic {
    /// Of each node; it may move.
    apis: RwLock<Vec<SocketAddr>>,
    pub over: AtomicBool,
    began: Instant,
    ops: AtomicU64,
    values: AtomicU64,
    history: Mutex<BTreeMap<String, Vec<Event>>>,
}

impl Traffic {
    pub fn new(apis: Vec<SocketAddr>) -> Traffic {
        Traffic {
            apis: RwLock::new(apis),
            over: AtomicBool::new(false),
            began: Instant::now(),
            ops: AtomicU64::new(0),
            values: AtomicU64::new(0),
            history: Mutex::default(),
        }
    }

    /// The events of each key.
    pub fn history(&self) -> BTreeMap<String, Vec<Event>> {
        self.history.lock().unwrap().clone()
    }

    /// Where a node is asked from now on.
    pub fn moved(&self, node: usize, api: SocketAddr) {
        self.apis.write().unwrap()[node] = api;
    }

    pub fn api(&self, node: usize) -> SocketAddr {
        self.apis.read().unwrap()[node]
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// In nanoseconds since it began.
    pub fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    fn value(&self) -> u64 {
        self.values.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn key(&self, dice: &mut Dice) -> String {
        let age = self.ops.fetch_add(1, Ordering::Relaxed) / (KEYS * OPS_PER_KEY);
        // A service in place of every fourth key.
        match dice.below(KEYS) {
            0 => format!("svc-{age}"),
            n => format!("key-{age}-{n}"),
        }
    }
}

/// A client's connections, to nodes that may move.
pub struct Doors<'a> {
    traffic: &'a Traffic,
    apis: Vec<Api>,
}

impl<'a> Doors<'a> {
    pub fn new(traffic: &'a Traffic) -> Doors<'a> {
        let apis = traffic.apis.read().unwrap().iter().map(|&a| Api::new(a).patience(PATIENCE)).collect();
        Doors { traffic, apis }
    }

    pub fn count(&self) -> usize {
        self.apis.len()
    }

    pub fn at(&mut self, node: usize) -> &mut Api {
        let place = self.traffic.api(node);
        if self.apis[node].address() != place {
            self.apis[node] = Api::new(place).patience(PATIENCE);
        }
        &mut self.apis[node]
    }
}

/// A client with a session for its locks, and what it saw last of each key.
pub struct Client<'a> {
    traffic: &'a Traffic,
    me: u8,
    /// Of every client, by number.
    sessions: Vec<String>,
    nodes: Doors<'a>,
    seen: BTreeMap<String, (u64, u64)>,
}

/// A node of the catalog that is no process: it neither dies nor leaves, so that sessions of it end by their own time.
pub const FAR: &str = "far";

/// Puts that node into the catalog.
pub fn place(api: &mut Api) {
    let body = format!(r#"{{"Node":"{FAR}","Address":"192.0.2.1"}}"#);
    let reply = api.put("/v1/catalog/register", &body).expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.body);
}

/// A session that no node's death ends.
pub fn session(api: &mut Api) -> String {
    let body = format!(r#"{{"Node":"{FAR}","Checks":[],"LockDelay":"0s"}}"#);
    let reply = api.put("/v1/session/create", &body).expect("a session");
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["ID"].as_str().expect("an id").to_owned()
}

impl<'a> Client<'a> {
    pub fn new(traffic: &'a Traffic, me: u8, sessions: &[String]) -> Client<'a> {
        let nodes = Doors::new(traffic);
        Client { traffic, me, sessions: sessions.to_vec(), nodes, seen: BTreeMap::new() }
    }

    /// One operation after another until it is over.
    pub fn work(mut self, seed: u64) {
        let mut dice = Dice(seed);
        while !self.traffic.is_over() {
            let node = dice.below(self.nodes.count() as u64) as usize;
            let key = self.traffic.key(&mut dice);
            let op = self.choose(&key, &mut dice);
            let consistent = dice.below(4) == 0;
            self.perform(node, &key, op, consistent);
            std::thread::sleep(Duration::from_millis(dice.below(10)));
        }
    }

    /// Reads a key, whatever it takes: the last event of its history.
    pub fn conclude(&mut self, key: &str, until: Instant) {
        let nodes = self.nodes.count();
        for node in (0..nodes).cycle() {
            if self.perform(node, key, Op::Read, false) {
                return;
            }
            assert!(Instant::now() < until, "{key} cannot be read");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn choose(&mut self, key: &str, dice: &mut Dice) -> Op {
        let value = self.traffic.value();
        match dice.below(if key.starts_with("svc") { 8 } else { 14 }) {
            0..=3 => Op::Read,
            4..=6 => Op::Put(value),
            7 => Op::Delete,
            8..=10 => Op::Cas(self.seen.get(key).map(|(value, _)| *value), value),
            11 | 12 => Op::Acquire(self.me, value),
            _ => Op::Release(self.me, value),
        }
    }

    /// Whether it was answered. What certainly did nothing leaves no event.
    fn perform(&mut self, node: usize, key: &str, op: Op, consistent: bool) -> bool {
        let called = self.traffic.now();
        let reply = if key.starts_with("svc") {
            self.ask_catalog(node, key, op, consistent)
        } else {
            self.ask_keys(node, key, op, consistent)
        };
        let returned = self.traffic.now();
        let outcome = match reply {
            Err(Failed::Unreachable) => return false,
            Err(Failed::Unknown) => Outcome::Unknown,
            Ok(reply) => self.outcome(key, op, &reply),
        };
        let answered = outcome != Outcome::Unknown;
        if answered || op != Op::Read {
            let event = Event { client: self.me, node, called, returned, op, outcome };
            self.traffic.history.lock().unwrap().entry(key.to_owned()).or_default().push(event);
        }
        answered
    }

    fn ask_keys(&mut self, node: usize, key: &str, op: Op, consistent: bool) -> Result<Reply, Failed> {
        let index = self.seen.get(key).map_or(0, |(_, index)| *index);
        let mine = &self.sessions[usize::from(self.me)];
        let api = self.nodes.at(node);
        let path = format!("/v1/kv/{key}");
        match op {
            Op::Read if consistent => api.get(&format!("{path}?consistent")),
            Op::Read => api.get(&path),
            Op::Put(value) => api.put(&path, &value.to_string()),
            Op::Cas(_, value) => api.put(&format!("{path}?cas={index}"), &value.to_string()),
            Op::Delete => api.call("DELETE", &path, ""),
            Op::Acquire(_, value) => api.put(&format!("{path}?acquire={mine}"), &value.to_string()),
            Op::Release(_, value) => api.put(&format!("{path}?release={mine}"), &value.to_string()),
        }
    }

    /// A service with one instance, whose port is its value, on a node of its own.
    fn ask_catalog(&mut self, node: usize, key: &str, op: Op, consistent: bool) -> Result<Reply, Failed> {
        let api = self.nodes.at(node);
        match op {
            Op::Read if consistent => api.get(&format!("/v1/catalog/service/{key}?consistent")),
            Op::Read => api.get(&format!("/v1/catalog/service/{key}")),
            Op::Put(value) => {
                let service = format!(r#"{{"ID":"{key}","Service":"{key}","Meta":{{"value":"{value}"}}}}"#);
                let body = format!(r#"{{"Node":"{FAR}","Address":"192.0.2.1","Service":{service}}}"#);
                api.put("/v1/catalog/register", &body)
            }
            _ => {
                let body = format!(r#"{{"Node":"{FAR}","ServiceID":"{key}"}}"#);
                api.put("/v1/catalog/deregister", &body)
            }
        }
    }

    fn outcome(&mut self, key: &str, op: Op, reply: &Reply) -> Outcome {
        match (op, reply.status) {
            (Op::Read, 200 | 404) => Outcome::Saw(self.state(key, reply)),
            (_, 200) => match reply.body.trim() {
                "true" | "" => Outcome::Held(true),
                "false" => Outcome::Held(false),
                other => panic!("{op:?} of {key}: {other}"),
            },
            // 429: a member that cannot write its log; what it passed on may have been done.
            (_, 429 | 500..=599) => Outcome::Unknown,
            (_, status) => panic!("{op:?} of {key}: {status} {}", reply.body),
        }
    }

    fn state(&mut self, key: &str, reply: &Reply) -> State {
        self.seen.remove(key);
        if reply.status == 404 {
            return State::default();
        }
        let json = reply.json();
        let Some(entry) = json.get(0) else { return State::default() };
        if key.starts_with("svc") {
            let text = entry["ServiceMeta"]["value"].as_str().expect("a value");
            return State { value: text.parse().ok(), holder: None };
        }
        let value = decode(&entry["Value"]);
        self.seen.insert(key.into(), (value, entry["ModifyIndex"].as_u64().expect("an index")));
        let session = entry["Session"].as_str();
        let holder =
            session.map(|id| self.sessions.iter().position(|s| s == id).expect("a known session") as u8);
        State { value: Some(value), holder }
    }
}

fn decode(value: &Value) -> u64 {
    use base64::Engine;
    let text = value.as_str().expect("a value");
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
    String::from_utf8_lossy(&bytes).parse().expect("a number")
}
