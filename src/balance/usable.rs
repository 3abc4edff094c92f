//! Which servers take part now, with what weight and how much room: what every algorithm asks of a server.

use std::sync::atomic::Ordering;

use crate::base::Millis;
use crate::model::{OperState, Pick, Server};

/// Parts a unit of weight is made of, so that slow start has steps.
pub const WEIGHT_SCALE: u32 = 16;
/// The largest weight of the manual (256) in these parts.
pub const WEIGHT_MAX: u32 = 256 * WEIGHT_SCALE;

/// Who serves: the active servers, else the first usable backup, else (with `option allbackups`) all backups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Serving {
    #[default]
    Nobody,
    Active,
    OneBackup(usize),
    Backups,
}

impl Serving {
    pub fn now(list: &[Server], all_backups: bool) -> Serving {
        let mut backup = None;
        for (i, s) in list.iter().enumerate() {
            if !s.live.is_usable() {
                continue;
            }
            if !s.spec.backup {
                return Serving::Active;
            }
            backup = backup.or(Some(i));
        }
        match backup {
            None => Serving::Nobody,
            Some(_) if all_backups => Serving::Backups,
            Some(i) => Serving::OneBackup(i),
        }
    }

    /// Whether `server`, the `index`th, belongs to those who serve.
    pub fn has(self, index: usize, server: &Server) -> bool {
        server.live.is_usable()
            && match self {
                Serving::Nobody => false,
                Serving::Active => !server.spec.backup,
                Serving::OneBackup(i) => i == index,
                Serving::Backups => server.spec.backup,
            }
    }
}

/// Active and backup servers that are usable, for `act` and `bck` of the statistics and for messages.
pub fn usable_counts(list: &[Server]) -> (u32, u32) {
    list.iter().filter(|s| s.live.is_usable()).fold((0, 0), |(active, backup), s| {
        if s.spec.backup { (active, backup + 1) } else { (active + 1, backup) }
    })
}

/// How far a server is through its slow start: elapsed and total milliseconds. `None` when it is not ramping.
fn ramp(server: &Server, now: Millis) -> Option<(u64, u64)> {
    let from = server.live.slowstart_from_ms.load(Ordering::Relaxed);
    let total = server.spec.slowstart_ms;
    if from == 0
        || total == 0
        || server.live.oper() != OperState::Starting
        || now < from
        || now >= from + total
    {
        return None;
    }
    Some((now - from, total))
}

/// Ends a slow start whose time is over; true while the server is still ramping.
pub fn settle(server: &Server, now: Millis) -> bool {
    if ramp(server, now).is_some() {
        return true;
    }
    if server.live.oper() == OperState::Starting {
        server.live.set_oper(OperState::Running);
        server.live.slowstart_from_ms.store(0, Ordering::Relaxed);
    }
    false
}

/// The weight in [`WEIGHT_SCALE`] parts, 0 for a server that is not usable. It grows in steps from one part to
/// all during a slow start.
pub fn effective_weight(server: &Server, now: Millis) -> u32 {
    if !server.live.is_usable() {
        return 0;
    }
    let scale = match ramp(server, now) {
        Some((elapsed, total)) => ((u64::from(WEIGHT_SCALE) * elapsed + total) / total).min(16) as u32,
        None => WEIGHT_SCALE,
    };
    server.live.user_weight.load(Ordering::Relaxed).min(256) * scale
}

/// Percent of the full speed reached by a server in slow start (`throttle` of the statistics), at least 1.
pub fn throttle(server: &Server, now: Millis) -> Option<u32> {
    ramp(server, now).map(|(elapsed, total)| (100 * elapsed / total).max(1) as u32)
}

/// The limit of concurrent streams that holds now, 0 for none: between `minconn` and `maxconn` in proportion to the
/// backend's load (`backend_cur` of `fullconn`), and reduced during a slow start.
pub fn effective_maxconn(server: &Server, backend_cur: u32, fullconn: u32, now: Millis) -> u32 {
    let most = server.live.maxconn.load(Ordering::Relaxed);
    let least = server.spec.minconn;
    if most == 0 && least == 0 {
        return 0;
    }
    let most = most.max(least);
    let limit = if least == 0 || least == most || backend_cur >= fullconn {
        most
    } else {
        let share = u64::from(backend_cur) * u64::from(most) / u64::from(fullconn);
        least.max(share as u32)
    };
    match ramp(server, now) {
        Some((elapsed, total)) => (u64::from(limit) * elapsed / total).max(1) as u32,
        None => limit,
    }
}

/// A stream given to `server` now would be served at once.
pub fn has_room(server: &Server, pick: &Pick, fullconn: u32) -> bool {
    let limit = effective_maxconn(server, pick.backend_cur, fullconn, pick.now);
    limit == 0 || (server.live.queue.is_empty() && server.live.served.load(Ordering::Relaxed) < limit)
}
