//! Clients that want locks: with sessions that have a TTL, which they renew until they let go or die.

use std::time::Duration;

use super::api::{Failed, Reply};
use super::locks::{Life, Note, Said, TTL, What};
use super::traffic::{Dice, Doors, FAR, Traffic};

/// Locks, and who wants each.
pub const LOCKS: usize = 3;
pub const EACH: usize = 2;

/// The most time between two renewals, in milliseconds.
const RENEWS: u64 = 3000;
/// For how long a lock is held, at most.
const HOLDS: u64 = 3500;

struct Contender<'a> {
    traffic: &'a Traffic,
    doors: Doors<'a>,
    dice: Dice,
    key: usize,
}

/// One life after another until the trial is over.
pub fn contend(traffic: &Traffic, key: usize, seed: u64) -> Vec<Life> {
    let mut one = Contender { traffic, doors: Doors::new(traffic), dice: Dice(seed), key };
    let mut lives = Vec::new();
    while !traffic.is_over() {
        match one.begin() {
            Some(mut life) => {
                one.live(&mut life);
                lives.push(life);
            }
            None => std::thread::sleep(Duration::from_millis(100)),
        }
    }
    lives
}

impl Contender<'_> {
    /// A request to any node, and between which times it was.
    fn call(&mut self, method: &str, path: &str, body: &str) -> (u64, u64, Result<Reply, Failed>) {
        let node = self.dice.below(self.doors.count() as u64) as usize;
        let called = self.traffic.now();
        let reply = self.doors.at(node).call(method, path, body);
        (called, self.traffic.now(), reply)
    }

    fn ms(&mut self, least: u64, most: u64) -> u64 {
        (least + self.dice.below(most - least)) * 1_000_000
    }

    /// A session. One of which nothing is heard ends by itself, and holds nothing.
    fn begin(&mut self) -> Option<Life> {
        let behavior = if self.dice.below(2) == 0 { "release" } else { "delete" };
        let body =
            format!(r#"{{"Node":"{FAR}","Checks":[],"TTL":"10s","LockDelay":"1s","Behavior":"{behavior}"}}"#);
        let (created, _, reply) = self.call("PUT", "/v1/session/create", &body);
        let reply = reply.ok().filter(|reply| reply.status == 200)?;
        let session = reply.json()["ID"].as_str().expect("an id").to_owned();
        Some(Life { key: self.key, session, created, notes: Vec::new() })
    }

    fn live(&mut self, life: &mut Life) {
        let mut promised = life.created + TTL.as_nanos() as u64;
        let mut renew = self.traffic.now() + self.ms(500, RENEWS);
        let mut until = None;
        while !self.traffic.is_over() && self.traffic.now() < promised {
            if self.traffic.now() >= renew {
                match self.renew(life) {
                    (_, Said::Gone) => return,
                    (called, Said::Yes) => {
                        promised = called + TTL.as_nanos() as u64;
                        renew = self.traffic.now() + self.ms(500, RENEWS);
                    }
                    // Soon, for it is promised no more than before.
                    _ => renew = self.traffic.now() + self.ms(50, 200),
                }
            }
            match until {
                Some(until) if self.traffic.now() >= until => return self.conclude(life),
                Some(_) => {}
                None => match self.acquire(life) {
                    Said::Gone => return,
                    Said::Yes => until = Some(self.traffic.now() + self.ms(10, HOLDS)),
                    Said::No => self.look(life),
                    Said::Unknown => {}
                },
            }
            std::thread::sleep(Duration::from_nanos(self.ms(40, 160)));
        }
    }

    /// Dies as often as it lets go.
    fn conclude(&mut self, life: &mut Life) {
        let path = match self.dice.below(4) {
            0 => (format!("/v1/kv/lock-{}?release={}", self.key, life.session), What::Release),
            1 => (format!("/v1/session/destroy/{}", life.session), What::Destroy),
            _ => {
                let now = self.traffic.now();
                life.notes.push(Note { called: now, returned: now, what: What::Die });
                // With its connections.
                self.doors = Doors::new(self.traffic);
                return std::thread::sleep(Duration::from_nanos(self.ms(100, 2000)));
            }
        };
        let (path, what) = path;
        let (called, returned, _) = self.call("PUT", &path, "");
        life.notes.push(Note { called, returned, what });
    }

    fn renew(&mut self, life: &mut Life) -> (u64, Said) {
        let (called, returned, reply) = self.call("PUT", &format!("/v1/session/renew/{}", life.session), "");
        let said = match reply {
            Ok(reply) if reply.status == 200 => Said::Yes,
            Ok(reply) if reply.status == 404 => Said::Gone,
            Err(Failed::Unreachable) => return (called, Said::Unknown),
            _ => Said::Unknown,
        };
        life.notes.push(Note { called, returned, what: What::Renew(said) });
        (called, said)
    }

    fn acquire(&mut self, life: &mut Life) -> Said {
        let path = format!("/v1/kv/lock-{}?acquire={}", self.key, life.session);
        let (called, returned, reply) = self.call("PUT", &path, "mine");
        let said = match reply {
            Ok(reply) if reply.status == 200 && reply.body.trim() == "true" => Said::Yes,
            Ok(reply) if reply.status == 200 => Said::No,
            Ok(reply) if reply.body.contains("invalid session") => Said::Gone,
            // It was not sent.
            Err(Failed::Unreachable) => return Said::Unknown,
            _ => Said::Unknown,
        };
        life.notes.push(Note { called, returned, what: What::Acquire(said) });
        said
    }

    /// Who holds the lock.
    fn look(&mut self, life: &mut Life) {
        let (called, returned, reply) = self.call("GET", &format!("/v1/kv/lock-{}", self.key), "");
        let Ok(reply) = reply else { return };
        let holder = match reply.status {
            200 => reply.json()[0]["Session"].as_str().map(str::to_owned),
            404 => None,
            _ => return,
        };
        life.notes.push(Note { called, returned, what: What::Look(holder) });
    }
}
