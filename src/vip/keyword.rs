//! The table of the `vrrp` section.

use crate::lang::Entry;
use crate::lang::args::Args;
use crate::lang::registry::{Kind, Registry};

use super::line::{self, Draft, Reading};

#[rustfmt::skip]
pub const SECTIONS: &[Entry] = &[
    Entry::full("vrrp", "<name>", "A virtual router: addresses that the best of several nodes has (RFC 9568). As an instance of Keepalived, with which it works in a pair.", "vrrp VI_1", "isobar"),
];

/// Parses one line of a section.
pub type LineFn = for<'a> fn(&mut Reading<'_>, &mut Draft, Args<'a>);

/// One keyword of the section.
pub struct Keyword {
    pub entry: Entry,
    /// May stand on several lines.
    pub repeats: bool,
    pub parse: LineFn,
}

const fn once(entry: Entry, parse: LineFn) -> Keyword {
    Keyword { entry, repeats: false, parse }
}

const fn repeated(entry: Entry, parse: LineFn) -> Keyword {
    Keyword { entry, repeats: true, parse }
}

#[rustfmt::skip]
pub const VRRP: &[Keyword] = &[
    repeated(Entry::full("address", "<address>[/<prefix>] [interface <name>] [label <label>] [silent]", "An address that moves. 'silent': adverts do not name it, for addresses of the other family or more than an advert holds.", "address 192.168.1.200", "isobar"), line::address),
    once(Entry::full("advert-interval", "<time>", "How often the master speaks, 1 s by default: whole seconds in version 2, hundredths from 10 ms to 40.95 s in version 3.", "advert-interval 1s", "isobar"), line::advert_interval),
    once(Entry::full("fenced", "[<time>]", "The addresses are held under a lease of the region map (at least three voters), of 5 s unless told otherwise: however the network splits, no two nodes have them. A node that dies is followed only once its lease is over, and a master of lower priority stays.", "fenced", "isobar"), line::fenced),
    once(Entry::full("group", "<name>", "Sections with one group are master together or not at all.", "group edge", "isobar"), line::group),
    once(Entry::full("heartbeat", "<address>:<port> key <text> [every <time>]", "Another Isobar node that has this section: small authenticated packets over UDP, every 15 ms unless told otherwise, from and to this port. When the master falls silent there for three of them, or says that it leaves, the other takes over at once; the timers of VRRP stay as they are.", "heartbeat 10.0.0.2:7112 key 0123456789abcdef", "isobar"), line::heartbeat),
    once(Entry::full("interface", "<name>", "Where adverts are sent and heard, and addresses live.", "interface eth0", "isobar"), line::interface),
    once(Entry::full("no-preempt", "", "A master of lower priority stays.", "no-preempt", "isobar"), line::no_preempt),
    repeated(Entry::full("on", "{ master | backup | fault | stop | any } [retries <number>] [within <time>] <program> [<argument> ...]", "A program that is run on entering the state. 'any' gets four arguments more: INSTANCE, the name, the state and the priority. With 'retries' one that fails is run again, a second later; with 'within' all its runs end after this time. The log tells how it went, and the next transition ends one that has not succeeded yet. For clouds, where a program moves the address.", "on master retries 5 within 30s /etc/isobar/move-address", "isobar"), line::on),
    once(Entry::full("password", "<text>", "Version 2: at most 8 characters that adverts carry in clear (RFC 2338). It guards against mistakes, not against anybody.", "password 1111", "isobar"), line::password),
    repeated(Entry::full("peer", "<address> ...", "Adverts go to these routers one by one, where there is no multicast.", "peer 10.0.0.2 10.0.0.3", "isobar"), line::peer),
    once(Entry::full("preempt-delay", "<time>", "How long a master of lower priority stays.", "preempt-delay 30s", "isobar"), line::preempt_delay),
    once(Entry::full("priority", "<number>", "Who is master: the highest, from 1 to 254; 100 by default. 255 owns the addresses.", "priority 150", "isobar"), line::priority),
    once(Entry::full("router-id", "<number>", "Which virtual router of the network it is, from 1 to 255 (VRID). The same on all nodes.", "router-id 51", "isobar"), line::router_id),
    once(Entry::full("source", "<address>", "What adverts come from; without it an address of the interface that does not move.", "source 10.0.0.1", "isobar"), line::source),
    repeated(Entry::full("track", "{ backend <name> | frontend <name> | interface <name> | process <name> | file <path> | script <program> | service <name> | region-map } [weight <number>] [reverse]", "What the priority depends on: a backend with a usable server, a frontend that is open, a link, a running process, a number in a file, a service of the region map with an instance that is not critical, a region map that has a leader, a program that succeeds (run every second; quoted, with its arguments, by a shell if it has operators). Without a weight the addresses leave this node when it is down. A weight above 0 is added while it is up, one below 0 while it is down.", "track interface lo", "isobar"), line::track),
    once(Entry::full("version", "{ 2 | 3 }", "Of VRRP: 2 by default, always 3 over IPv6.", "version 3", "isobar"), line::version),
];

/// Every section word this room reads.
pub fn section_kinds() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().map(|e| e.name)
}

/// Hands all of them to the registry.
pub fn register(registry: &mut Registry) {
    registry.add(Kind::Section, SECTIONS);
    registry.add(Kind::In("vrrp"), VRRP.iter().map(|k| &k.entry));
}
