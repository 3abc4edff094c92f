//! What a virtual router is told by its configuration.

use serde::{Deserialize, Serialize};

use crate::base::Nanos;
use crate::base::clock::{MS, SEC};

use super::super::packet::Version;

/// The priority of a router that owns the addresses: it is master whenever it is up, and no tracker changes it.
pub const OWNER: u8 = 255;

/// When neighbours are told of the addresses of a master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcing {
    /// How often in a row: on becoming master and after `delay_ns`.
    pub repeat: u32,
    /// After becoming master they are told once more; 0: they are not.
    pub delay_ns: Nanos,
    /// How often in a row when a router of lower priority was heard.
    pub lower_repeat: u32,
    /// Then again after so long; 0: not.
    pub lower_delay_ns: Nanos,
    /// As long as it is master, so often; 0: never.
    pub refresh_ns: Nanos,
    pub refresh_repeat: u32,
}

impl Default for Announcing {
    fn default() -> Self {
        Announcing {
            repeat: 5,
            delay_ns: 5 * SEC,
            lower_repeat: 5,
            lower_delay_ns: 5 * SEC,
            refresh_ns: 0,
            refresh_repeat: 1,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    pub version: Version,
    /// From 10 ms; whole seconds in version 2.
    pub interval_ns: Nanos,
    /// 1 to 255.
    pub priority: u8,
    /// Whether a master of lower priority is replaced.
    pub preempt: bool,
    /// How long one is left in place before that.
    pub preempt_delay_ns: Nanos,
    /// A master is gone after so many intervals without an advert (and the skew).
    pub down_adverts: u32,
    /// Whether a master answers an advert of lower priority with its own at once (RFC 9568 section 6.4.3).
    pub answers_lower: bool,
    pub announcing: Announcing,
    /// It may be master only while it holds a lease.
    pub fenced: bool,
    /// A fenced master lets go so long before its lease ends: longer than the kernel keeps an address that nobody renews (a
    /// second, and what it takes to notice), so that a frozen agent has none when another may take them.
    pub fence_margin_ns: Nanos,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            version: Version::V2,
            interval_ns: SEC,
            priority: 100,
            preempt: true,
            preempt_delay_ns: 0,
            down_adverts: 3,
            answers_lower: true,
            announcing: Announcing::default(),
            fenced: false,
            fence_margin_ns: 1_500 * MS,
        }
    }
}

impl Settings {
    /// How much longer than others a router of this priority waits. In version 2 the interval does not count (RFC 3768
    /// section 6.1); in version 3 it is the master's (RFC 9568 section 6.1).
    pub fn skew_ns(&self, priority: u8, master_interval_ns: Nanos) -> Nanos {
        let unit = match self.version {
            Version::V2 => SEC,
            Version::V3 => master_interval_ns,
        };
        (256 - u64::from(priority)) * unit / 256
    }

    /// After this long without an advert the master is gone.
    pub fn master_down_ns(&self, priority: u8, master_interval_ns: Nanos) -> Nanos {
        u64::from(self.down_adverts) * master_interval_ns + self.skew_ns(priority, master_interval_ns)
    }

    /// How long addresses are kept after priority 0 was sent, for whoever takes over to speak: the longest skew there is,
    /// and some time to act.
    pub fn handover_ns(&self) -> Nanos {
        self.skew_ns(0, self.interval_ns) + SEC / 10
    }
}
