//! What is known of one name: its records, when each was seen, and whether they hold.

use std::net::IpAddr;

use crate::base::Millis;
use crate::model::notation::Family;
use crate::resolve::{Answered, Hold, Kind, Record, Refusal};

/// Records of one name at most, those that answers no longer have included.
const MOST: usize = 8192;

/// What is resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// In lower case.
    pub name: Box<str>,
    /// Which addresses are asked for first; `None`: services.
    pub prefer: Option<Family>,
}

impl Question {
    pub fn host(name: &str, prefer: Family) -> Question {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase().into();
        Question { name, prefer: Some(prefer) }
    }

    pub fn services(name: &str) -> Question {
        Question { prefer: None, ..Question::host(name, Family::V6) }
    }

    pub fn kind(&self) -> Kind {
        match self.prefer {
            Some(Family::V4) => Kind::A,
            Some(Family::V6) => Kind::Aaaa,
            None => Kind::Srv,
        }
    }
}

/// How the last attempt ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    #[default]
    Unknown,
    Valid,
    Failed(Refusal),
}

/// What follows for servers of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing changes.
    Keep,
    /// The records hold.
    Valid,
    /// Nobody knows the name any more; why, as HAProxy says it.
    Lost(&'static str),
}

#[derive(Debug)]
struct Known {
    record: Record,
    seen_ms: Millis,
}

#[derive(Debug, Default)]
pub struct Resolution {
    known: Vec<Known>,
    /// Addresses of targets that came with the last answer.
    pub additional: Vec<(Box<str>, IpAddr)>,
    pub status: Status,
    last_valid_ms: Option<Millis>,
    /// Who gave the last answer.
    pub by: Option<(std::sync::Arc<str>, usize)>,
}

impl Resolution {
    /// What came of an attempt. A record that the answer does not have is kept for `hold obsolete`.
    pub fn take_in(&mut self, result: Result<Answered, Refusal>, hold: &Hold, now: Millis) {
        let answered = match result {
            Ok(answered) => answered,
            Err(refusal) => {
                self.status = Status::Failed(refusal);
                return;
            }
        };
        self.status = Status::Valid;
        self.last_valid_ms = Some(now);
        self.additional = answered.answer.additional;
        self.by = Some((answered.nameserver, answered.place));
        for record in answered.answer.records {
            let place = self.known.iter().position(|known| known.record.is_same(&record));
            match place {
                Some(place) => self.known[place] = Known { record, seen_ms: now },
                None if self.known.len() >= MOST => {}
                None => self.known.push(Known { record, seen_ms: now }),
            }
        }
        self.known.retain(|known| known.seen_ms == now || now - known.seen_ms < hold.obsolete_ms);
    }

    pub fn verdict(&self, hold: &Hold, now: Millis) -> Verdict {
        let Status::Failed(refusal) = self.status else {
            return if self.status == Status::Valid { Verdict::Valid } else { Verdict::Keep };
        };
        let (held_ms, why) = match refusal {
            Refusal::Nx => (hold.nx_ms, "DNS NX status"),
            Refusal::Refused => (hold.refused_ms, "DNS refused status"),
            Refusal::Timeout => (hold.timeout_ms, "DNS timeout status"),
            Refusal::Other => (hold.other_ms, "unspecified DNS error"),
        };
        match self.last_valid_ms {
            Some(valid) if now.saturating_sub(valid) < held_ms => Verdict::Keep,
            _ => Verdict::Lost(why),
        }
    }

    /// How long ago the last good answer came.
    pub fn age_ms(&self, now: Millis) -> Option<u64> {
        self.last_valid_ms.map(|valid| now.saturating_sub(valid))
    }

    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.known.iter().filter_map(|known| match known.record {
            Record::Address(ip) => Some(ip),
            Record::Service { .. } => None,
        })
    }

    /// An address, of this family if there is one.
    pub fn first(&self, prefer: Family) -> Option<IpAddr> {
        self.addresses().find(|ip| prefer.has(ip)).or_else(|| self.addresses().next())
    }

    /// Target, port and weight of each.
    pub fn services(&self) -> impl Iterator<Item = (&str, u16, u16)> {
        self.known.iter().filter_map(|known| match &known.record {
            Record::Service { target, port, weight } => Some((&**target, *port, *weight)),
            Record::Address(_) => None,
        })
    }

    /// The address of a target that came along.
    pub fn address_of(&self, target: &str, prefer: Family) -> Option<IpAddr> {
        let of_target = || self.additional.iter().filter(|(name, _)| **name == *target).map(|(_, ip)| *ip);
        of_target().find(|ip| prefer.has(ip)).or_else(|| of_target().next())
    }
}
