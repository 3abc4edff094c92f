//! `balance leastconn`: the fewest streams for its weight, queued ones counted; equals take turns.

use std::sync::Mutex;
use std::sync::atomic::Ordering;

use crate::base::Millis;
use crate::model::{Balancer, Pick, Server};

use super::order::Order;
use super::spec::Spec;
use super::usable::{self, Serving, WEIGHT_MAX};

#[derive(Debug)]
struct State {
    serving: Serving,
    /// By server, 0: not usable.
    weights: Vec<u32>,
    /// Active, backup.
    groups: [Order; 2],
}

/// The sorting key: idle servers first, then by (streams + 1) / weight.
fn key(server: &Server, weight: u32) -> u64 {
    let inflight = server.live.served.load(Ordering::Relaxed) + server.live.queue.len();
    if inflight == 0 {
        0
    } else {
        (u64::from(inflight) + 1) * u64::from(WEIGHT_MAX) / u64::from(weight.max(1))
    }
}

impl State {
    fn refresh(&mut self, list: &[Server], all_backups: bool, now: Millis) {
        for (i, server) in list.iter().enumerate() {
            let weight = usable::effective_weight(server, now);
            let old = std::mem::replace(&mut self.weights[i], weight);
            let group = &mut self.groups[usize::from(server.spec.backup)];
            if weight == 0 {
                group.remove(i);
            } else if weight != old {
                group.insert(i, key(server, weight));
            }
        }
        self.serving = Serving::now(list, all_backups);
    }

    fn reposition(&mut self, list: &[Server], i: usize) {
        let group = &mut self.groups[usize::from(list[i].spec.backup)];
        if group.contains(i) {
            let key = key(&list[i], self.weights[i]);
            if key != group.key(i) {
                group.insert(i, key);
            }
        }
    }

    fn pick(&mut self, list: &[Server], pick: &Pick, fullconn: u32) -> Option<usize> {
        let group = match self.serving {
            Serving::Nobody => return None,
            Serving::OneBackup(i) => return Some(i),
            Serving::Active => &mut self.groups[0],
            Serving::Backups => &mut self.groups[1],
        };
        // Here a server's own queue counts as room: its streams are part of the key already.
        let accepts = |i: usize| {
            let server = &list[i];
            let limit = usable::effective_maxconn(server, pick.backend_cur, fullconn, pick.now);
            let load = server.live.served.load(Ordering::Relaxed) + server.live.queue.len();
            limit == 0 || load < limit.saturating_add(server.spec.maxqueue)
        };
        let best = group.first()?;
        let chosen = if Some(best) != pick.avoid && accepts(best) {
            best
        } else {
            group
                .first_such(|i| Some(i) != pick.avoid && accepts(i))
                .or_else(|| pick.avoid.filter(|&i| i < list.len() && group.contains(i) && accepts(i)))?
        };
        // To the back of its equals at once: a second worker that picks before the first one has taken its slot
        // gets another server.
        let same = group.key(chosen);
        group.insert(chosen, same);
        Some(chosen)
    }
}

#[derive(Debug)]
pub struct LeastConn {
    all_backups: bool,
    fullconn: u32,
    state: Mutex<State>,
}

impl LeastConn {
    pub fn new(spec: &Spec, list: &[Server], now: Millis) -> LeastConn {
        let mut state = State {
            serving: Serving::Nobody,
            weights: vec![0; list.len()],
            groups: [Order::new(list.len()), Order::new(list.len())],
        };
        state.refresh(list, spec.all_backups, now);
        LeastConn { all_backups: spec.all_backups, fullconn: spec.fullconn, state: Mutex::new(state) }
    }
}

impl Balancer for LeastConn {
    fn refresh(&self, list: &[Server], now: Millis) {
        super::lock(&self.state).refresh(list, self.all_backups, now);
    }

    fn pick(&self, list: &[Server], pick: &Pick) -> Option<usize> {
        super::lock(&self.state).pick(list, pick, self.fullconn)
    }

    fn load_changed(&self, list: &[Server], index: usize, _taken: bool) {
        if index < list.len() {
            super::lock(&self.state).reposition(list, index);
        }
    }
}
