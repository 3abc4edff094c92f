//! Administrative states: maintenance and drain, set by the file, by runtime commands and by name resolution.

use std::sync::atomic::Ordering;

use crate::base::Millis;
use crate::model::{AdminState, OperState, Server};

use super::change::{ALERT, Member, NOTICE};
use super::machine::Machine;
use super::message;

impl Member {
    /// `disable server`, `set server state maint`. `why` may be empty (`'disable' on stats page`).
    pub fn maintain(&self, why: &str, now: Millis) {
        self.set_admin(AdminState::FORCED_MAINT, why, now);
        self.clear_admin(AdminState::FORCED_DRAIN, now);
    }

    /// `set server state drain`.
    pub fn drain(&self, now: Millis) {
        self.set_admin(AdminState::FORCED_DRAIN, "", now);
        self.clear_admin(AdminState::FORCED_MAINT, now);
    }

    /// `set server state ready`. (`enable server` clears `FORCED_MAINT` alone.)
    pub fn ready(&self, now: Millis) {
        self.clear_admin(AdminState::FORCED_DRAIN, now);
        self.clear_admin(AdminState::FORCED_MAINT, now);
    }

    /// Sets one flag; nothing happens when it is set already.
    pub fn set_admin(&self, flag: AdminState, why: &str, now: Millis) {
        let lock = self.lock();
        let old = self.live().admin();
        if old.intersects(flag) {
            return;
        }
        let before = self.begin();
        let was_stopping = self.was_stopping();
        let level = if was_stopping { NOTICE } else { ALERT };
        let new = old | flag;
        if new.intersects(AdminState::MAINT) {
            if !old.intersects(AdminState::MAINT) {
                self.enter_maintenance(new, why, level, now);
            } else {
                self.live().set_admin(new);
            }
        } else {
            self.live().set_admin(new);
            self.refresh(now);
            if !old.intersects(AdminState::DRAIN) {
                let requeued = self.hooks.server_down(self, false);
                let is_up = self.live().oper() != OperState::Stopped;
                self.say(NOTICE, &message::drain(self.subject(), why, is_up, self.tally(requeued)));
            }
        }
        self.end(before, now);
        drop(lock);
        self.lead(now);
    }

    fn enter_maintenance(&self, new: AdminState, why: &str, level: u8, now: Millis) {
        let live = self.live();
        let was_down = live.oper() == OperState::Stopped;
        live.health.store(0, Ordering::Relaxed);
        live.set_oper(OperState::Stopped);
        live.slowstart_from_ms.store(0, Ordering::Relaxed);
        live.set_admin(new);
        self.refresh(now);
        if was_down {
            self.say(NOTICE, &message::maintenance(self.subject(), why, None));
            return;
        }
        let requeued = self.hooks.server_down(self, self.shutdown_on_down());
        self.say(level, &message::maintenance(self.subject(), why, Some(self.tally(requeued))));
    }

    /// Clears one flag; nothing happens when it is not set.
    pub fn clear_admin(&self, flag: AdminState, now: Millis) {
        let lock = self.lock();
        let old = self.live().admin();
        if !old.intersects(flag) {
            return;
        }
        let before = self.begin();
        let new = old - flag;
        let leaves = |flags: AdminState| old.intersects(flags) && !new.intersects(flags);
        if leaves(AdminState::MAINT) {
            self.leave_maintenance(flag, new, now);
        } else if new.intersects(AdminState::MAINT) {
            self.live().set_admin(new);
            if let Some(how) = still_maintained(flag) {
                self.say(NOTICE, &message::remains(self.subject(), how));
            }
        }
        self.live().set_admin(new);
        self.refresh(now);
        if !new.intersects(AdminState::MAINT) && old.intersects(AdminState::DRAIN) {
            let is_up = self.live().oper() != OperState::Stopped;
            let text = if leaves(AdminState::DRAIN) {
                message::drained(self.subject(), is_up, old.intersects(AdminState::FORCED_DRAIN))
            } else if new.intersects(AdminState::FORCED_DRAIN) {
                message::remains(self.subject(), "remains in forced drain mode")
            } else {
                message::remains(self.subject(), "remains in drain mode")
            };
            self.say(NOTICE, &text);
        }
        self.end(before, now);
        drop(lock);
        self.lead(now);
    }

    /// Back as it would start: with checks it is up until the next one says otherwise (or as `init-state` says).
    fn leave_maintenance(&self, flag: AdminState, new: AdminState, now: Millis) {
        let live = self.live();
        live.agent.health.store(1, Ordering::Relaxed);
        let mut is_up = true;
        if live.check_enabled.load(Ordering::Relaxed)
            && let Some(check) = &self.check
        {
            let machine = Machine::new(check);
            live.health.store(machine.health, Ordering::Relaxed);
            is_up = machine.oper != OperState::Stopped;
        }
        // Of one that tracks another, that one decides.
        let is_led_down = |leader: &Option<Server>| {
            leader.as_ref().is_some_and(|leader| leader.live.oper() == OperState::Stopped)
        };
        is_up &= !live.leader.with(is_led_down);
        live.set_admin(new);
        if is_up {
            self.rise(now);
        }
        let drains = new.intersects(AdminState::DRAIN);
        let (host, why) = match flag {
            AdminState::FORCED_MAINT => (None, "leaving forced maintenance"),
            AdminState::RESOLVE_MAINT => (self.server.fqdn(), "resolves again"),
            _ => (None, "leaving maintenance"),
        };
        self.say(NOTICE, &message::ready(self.subject(), host.as_deref(), is_up, drains, why));
        self.refresh(now);
        self.hooks.server_up(self, self.shutdown_backups_on_up());
    }
}

/// What is said when one reason for maintenance ends and another one stays.
fn still_maintained(flag: AdminState) -> Option<&'static str> {
    match flag {
        AdminState::FORCED_MAINT => Some("is leaving forced maintenance but remains in maintenance"),
        AdminState::RESOLVE_MAINT => Some("resolves again but remains in maintenance"),
        AdminState::INHERITED_MAINT => Some("remains in forced maintenance"),
        _ => None,
    }
}
