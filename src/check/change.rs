//! Changes of a server's state: what they touch (counters, balancer, queues) and what is said about them.
//!
//! Checks, `observe` and the runtime commands all come through here, under one lock a backend.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use crate::balance::usable_counts;
use crate::base::{Live, Millis, clock};
use crate::lang::Severity;
use crate::model::{AdminState, OperState, ProxyLive, Server, ServerLive, ServerSet};

use super::message::{self, Cause, Subject, Tally};
use super::spec::CheckSpec;

/// Syslog levels of the lines.
pub const EMERG: u8 = 0;
pub const ALERT: u8 = 1;
pub const NOTICE: u8 = 5;
/// How often the followers of a server look again while it changes.
const AGAIN: u32 = 8;

/// What happens outside this room when a server changes. Called with the backend's lock held: implementations must
/// not change servers from within.
pub trait Hooks: Send + Sync {
    /// A line for stderr (`screen`, without the prefix) and for the backend's log targets at syslog `level`.
    fn line(&self, backend: &str, severity: Severity, level: u8, screen: &str, log: &str);

    /// The name of this node (`node` of `global`, or the host's), for `http-check send-state`.
    fn node(&self) -> String {
        String::new()
    }

    /// The server takes no new streams: those in its queue choose again; `shutdown` also ends its streams
    /// (`on-marked-down shutdown-sessions`), which is up to the implementation. Returns how many were moved.
    fn server_down(&self, member: &Member, _shutdown: bool) -> u32 {
        let queue = &member.server.live.queue;
        let waiting = queue.len();
        queue.send_back();
        waiting
    }

    /// The servers that track this one. Called without the lock.
    fn trackers(&self, _member: &Member) -> Vec<Member> {
        Vec::new()
    }

    /// The server takes streams again: it may serve queued ones; `shutdown_backups` ends the streams of backup servers.
    /// Returns how many it took.
    fn server_up(&self, _member: &Member, _shutdown_backups: bool) -> u32 {
        0
    }
}

/// A server as a member of its backend, with everything its changes touch.
#[derive(Clone)]
pub struct Member {
    pub backend: Arc<str>,
    /// `backend`, or `proxy` for a `listen` section.
    pub kind: &'static str,
    pub proxy: Arc<ProxyLive>,
    pub servers: Arc<Live<ServerSet>>,
    pub server: Server,
    /// `None` for a server without `check`.
    pub check: Option<Arc<CheckSpec>>,
    pub hooks: Arc<dyn Hooks>,
}

impl Member {
    pub(super) fn live(&self) -> &ServerLive {
        &self.server.live
    }

    pub(super) fn subject(&self) -> Subject<'_> {
        let spec = &self.server.spec;
        Subject { backend: &self.backend, server: &spec.name, is_backup: spec.backup }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, ()> {
        self.proxy.transition.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tally(&self, requeued: u32) -> Tally {
        let (active, backup) = self.servers.with(|set| usable_counts(&set.list));
        Tally {
            active,
            backup,
            sessions: self.live().served.load(Ordering::Relaxed),
            requeued,
            queued: self.live().queue.len(),
        }
    }

    /// A line at warning level on the screen.
    pub(super) fn say(&self, level: u8, text: &str) {
        self.hooks.line(&self.backend, Severity::Warning, level, text, text);
    }

    pub(super) fn shutdown_on_down(&self) -> bool {
        self.check.as_ref().is_some_and(|c| c.shutdown_on_down)
    }

    pub(super) fn shutdown_backups_on_up(&self) -> bool {
        !self.server.spec.backup && self.check.as_ref().is_some_and(|c| c.shutdown_backups_on_up)
    }

    /// Stops it, whatever its checks say (`set server health down`).
    pub fn set_stopped(&self, cause: &Cause, now: Millis) {
        let lock = self.lock();
        self.live().health.store(0, Ordering::Relaxed);
        self.stop(cause, now);
        drop(lock);
        self.lead(now);
    }

    /// `set server health up`.
    pub fn set_running(&self, cause: &Cause, now: Millis) {
        let lock = self.lock();
        self.full_health();
        self.run(cause, now);
        drop(lock);
        self.lead(now);
    }

    /// `set server health stopping`.
    pub fn set_stopping(&self, cause: &Cause, now: Millis) {
        let lock = self.lock();
        self.full_health();
        self.wind_down(cause, now);
        drop(lock);
        self.lead(now);
    }

    /// Who tracks it follows. To be called without the lock, after its state may have changed.
    pub(super) fn lead(&self, now: Millis) {
        let state = || (self.live().oper(), self.live().admin());
        // Another change may have come in between, and its followers before ours.
        for _ in 0..AGAIN {
            let led = state();
            for tracker in self.hooks.trackers(self) {
                tracker.follow(&self.server, &self.backend, now);
            }
            if state() == led {
                return;
            }
        }
    }

    /// Takes over the state of the server that it tracks.
    pub fn follow(&self, leader: &Server, backend: &str, now: Millis) {
        let via = format!("{backend}/{}", leader.spec.name);
        let said = message::via(&via);
        let admin = leader.live.admin();
        for (own, of_leader) in [
            (AdminState::INHERITED_MAINT, AdminState::MAINT),
            (AdminState::INHERITED_DRAIN, AdminState::DRAIN),
        ] {
            if admin.intersects(of_leader) {
                self.set_admin(own, &said, now);
            } else {
                self.clear_admin(own, now);
            }
        }
        if admin.intersects(AdminState::MAINT) {
            return;
        }
        let lock = self.lock();
        let (before, cause) = (self.live().oper(), Cause::Via(via));
        match leader.live.oper() {
            OperState::Stopped => self.stop(&cause, now),
            OperState::Stopping => self.wind_down(&cause, now),
            OperState::Running | OperState::Starting => self.run(&cause, now),
        }
        let is_other = self.live().oper() != before;
        drop(lock);
        if is_other {
            self.lead(now);
        }
    }

    fn full_health(&self) {
        let spec = &self.server.spec;
        self.live().health.store(spec.rise + spec.fall - 1, Ordering::Relaxed);
    }

    fn is_maintained(&self) -> bool {
        self.live().admin().intersects(AdminState::MAINT)
    }

    /// To be called with the lock held, as all below.
    pub(super) fn stop(&self, cause: &Cause, now: Millis) {
        if self.is_maintained() || self.live().oper() == OperState::Stopped {
            return;
        }
        let was_stopping = self.was_stopping();
        let before = self.begin();
        self.live().set_oper(OperState::Stopped);
        self.live().slowstart_from_ms.store(0, Ordering::Relaxed);
        self.refresh(now);
        let requeued = self.hooks.server_down(self, self.shutdown_on_down());
        // Not an alert when the server took no traffic before.
        let level = if was_stopping { NOTICE } else { ALERT };
        self.say(level, &message::down(self.subject(), cause, self.tally(requeued)));
        self.end(before, now);
    }

    pub(super) fn run(&self, cause: &Cause, now: Millis) {
        if self.is_maintained() || matches!(self.live().oper(), OperState::Running | OperState::Starting) {
            return;
        }
        let before = self.begin();
        self.rise(now);
        self.refresh(now);
        let requeued = self.hooks.server_up(self, self.shutdown_backups_on_up());
        self.say(NOTICE, &message::up(self.subject(), cause, self.tally(requeued)));
        self.end(before, now);
    }

    pub(super) fn wind_down(&self, cause: &Cause, now: Millis) {
        if self.is_maintained() || self.live().oper() == OperState::Stopping {
            return;
        }
        let before = self.begin();
        self.live().set_oper(OperState::Stopping);
        self.refresh(now);
        let requeued = self.hooks.server_down(self, false);
        self.say(NOTICE, &message::stopping(self.subject(), cause, self.tally(requeued)));
        self.end(before, now);
    }

    /// Up, by way of the slow start when it has one.
    pub(super) fn rise(&self, now: Millis) {
        let live = self.live();
        if self.server.spec.slowstart_ms > 0 {
            live.slowstart_from_ms.store(now.max(1), Ordering::Relaxed);
            live.set_oper(OperState::Starting);
        } else {
            live.set_oper(OperState::Running);
        }
    }

    pub(super) fn was_stopping(&self) -> bool {
        self.live().oper() == OperState::Stopping || self.live().admin().intersects(AdminState::DRAIN)
    }

    pub(super) fn refresh(&self, now: Millis) {
        self.servers.load().refresh(now);
    }

    /// Before a change: what [`Member::end`] compares with.
    pub(super) fn begin(&self) -> Before {
        let tally = self.tally(0);
        Before { usable: tally.active + tally.backup, oper: self.live().oper() }
    }

    /// After a change: times, counters and the loss or return of the whole backend.
    pub(super) fn end(&self, before: Before, now: Millis) {
        let live = self.live();
        let oper = live.oper();
        if oper != before.oper {
            let since = live.last_change_ms.swap(now, Ordering::Relaxed);
            if before.oper == OperState::Stopped {
                // Of a state file, it may have begun before this process did.
                let down_ms = clock::elapsed_ms(now, since);
                live.down_ms.fetch_add(down_ms, Ordering::Relaxed);
            } else if oper == OperState::Stopped {
                live.down_trans.fetch_add(1, Ordering::Relaxed);
            }
        }
        let tally = self.tally(0);
        let back = &self.proxy.back;
        match (before.usable, tally.active + tally.backup) {
            (0, 1..) => {
                let since = back.last_change_ms.swap(now, Ordering::Relaxed);
                back.down_ms.fetch_add(now.saturating_sub(since), Ordering::Relaxed);
            }
            (1.., 0) => {
                back.last_change_ms.store(now, Ordering::Relaxed);
                back.down_trans.fetch_add(1, Ordering::Relaxed);
                let (screen, log) = message::no_server(self.kind, &self.backend);
                self.hooks.line(&self.backend, Severity::Alert, EMERG, &screen, &log);
            }
            _ => {}
        }
    }
}

/// How things stood before a change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    usable: u32,
    oper: OperState,
}
