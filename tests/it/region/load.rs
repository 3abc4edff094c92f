//! Clients that ask without rest, and keep when each request began and ended and how.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::api::Api;
use crate::support::place::wait_until;

/// Between two requests of a client.
const REST: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// One for all requests, as long as the other side keeps it.
    Kept,
    /// One for each.
    New,
}

/// A request that was answered or not.
#[derive(Clone, Debug)]
pub struct Asked {
    pub whom: SocketAddr,
    pub began: Instant,
    pub ended: Instant,
    /// The body of a 200, else what came instead.
    pub answer: Result<String, String>,
}

/// Runs until it is dropped. The clients are in the namespace of the thread that adds them.
#[derive(Default)]
pub struct Load {
    over: Arc<AtomicBool>,
    asked: Arc<Mutex<Vec<Asked>>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn add(&mut self, whom: SocketAddr, connections: Connections) {
        let (over, asked) = (self.over.clone(), self.asked.clone());
        self.clients.push(std::thread::spawn(move || {
            let mut api = Api::new(whom);
            while !over.load(Ordering::Relaxed) {
                if connections == Connections::New {
                    api = Api::new(whom);
                }
                let began = Instant::now();
                let answer = match api.get("/") {
                    Ok(reply) if reply.status == 200 => Ok(reply.body),
                    Ok(reply) => Err(reply.status.to_string()),
                    Err(failed) => Err(format!("{failed:?}")),
                };
                asked.lock().unwrap().push(Asked { whom, began, ended: Instant::now(), answer });
                std::thread::sleep(REST);
            }
        }));
    }

    /// Requests that began at that moment or later and are over.
    pub fn since(&self, moment: Instant) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().filter(|asked| asked.began >= moment).cloned().collect()
    }

    /// The next so many requests.
    pub fn next(&self, count: usize, at_most: Duration) -> Vec<Asked> {
        let moment = Instant::now();
        let enough = wait_until(at_most, || self.since(moment).len() >= count);
        let asked = self.since(moment);
        assert!(enough, "{} of {count} requests in {at_most:?}", asked.len());
        asked
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.clients.drain(..).for_each(|client| drop(client.join()));
    }
}

/// Those that failed.
pub fn failed(asked: &[Asked]) -> Vec<&Asked> {
    asked.iter().filter(|asked| asked.answer.is_err()).collect()
}

/// The part of the answers, in percent, that begin so.
pub fn percent(asked: &[Asked], prefix: &str) -> f64 {
    let answers = || asked.iter().filter_map(|asked| asked.answer.as_ref().ok());
    let count = answers().filter(|answer| answer.starts_with(prefix)).count();
    100.0 * count as f64 / answers().count().max(1) as f64
}
