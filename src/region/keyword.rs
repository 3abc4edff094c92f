//! The tables of the `region` and `region-map` sections.

use crate::lang::args::Args;
use crate::lang::registry::{Kind, Registry};
use crate::lang::{Entry, Place, What};

use super::keyword_region as region;
use super::keyword_seat as seat;
use super::reading::Reading;

/// Sections of this room.
#[rustfmt::skip]
pub const SECTIONS: &[Entry] = &[
    Entry::full("region", "<name>", "A region: where it is and what it may take over.", "region eu-west", "isobar"),
    Entry::full("region-map", "", "This node's seat in the cluster that keeps the region map; one section at most.", "region-map", "isobar"),
];

/// Parses one line of a section into `T`.
pub type LineFn<T> = for<'r, 'a> fn(&mut Reading<'r>, &mut T, Args<'a>);

/// One keyword of a section that makes a `T`.
pub struct Keyword<T: 'static> {
    pub entry: Entry,
    /// May stand on several lines.
    pub repeats: bool,
    pub parse: LineFn<T>,
}

const fn once<T>(entry: Entry, parse: LineFn<T>) -> Keyword<T> {
    Keyword { entry, repeats: false, parse }
}

const fn repeated<T>(entry: Entry, parse: LineFn<T>) -> Keyword<T> {
    Keyword { entry, repeats: true, parse }
}

/// What a line that listens names.
const LISTENS: &[Place] =
    &[Place::argument(1, What::Bind), Place::option("crt", What::File), Place::option("ca-file", What::File)];

/// Keywords of `region`.
#[rustfmt::skip]
pub const REGION: &[Keyword<super::spec::RegionSpec>] = &[
    repeated(Entry::full("countries", "<code> ...", "Countries whose clients belong here, as ISO 3166 codes of two letters.", "countries IE GB FR", "isobar"), region::countries),
    repeated(Entry::full("failover", "<region> ...", "Regions that take over, in this order and before all others; without it the nearest does.", "failover us-east ap-south", "isobar"), region::failover),
    once(Entry::full("location", "<latitude> <longitude>", "Where it is, in degrees north and east; distances come from it.", "location 53.35 -6.26", "isobar"), region::location),
    repeated(Entry::full("networks", "<cidr> ...", "Networks whose clients belong here.", "networks 10.1.0.0/16", "isobar"), region::networks),
    once(Entry::full("state", "{ active | passive | drain }", "What it takes: traffic, traffic only when no active region can, or nothing new. Without it the state set at run time holds.", "state active", "isobar"), region::state),
];

/// Keywords of `region-map`.
#[rustfmt::skip]
pub const SEAT: &[Keyword<super::spec::SeatSpec>] = &[
    once(Entry::full("bind", "<address>:<port> [ssl [crt <file>] [ca-file <file>] [verify { none | required }]] [insecure]", "Where the other nodes reach this one. An address other than loopback needs 'ssl' or 'insecure'. 'ssl crt F ca-file F' shows that certificate and believes whom those CAs signed. 'ssl' alone: the cluster has a CA of its own, made by its first node, whose key is in the map, so on every member; nodes join by a token ('join-token', or 'isobar cluster join'), get a certificate of 90 days and renew it by themselves. Such a node needs 'data-dir', and without 'join-token' and 'expect 1' waits for 'isobar cluster init' or 'join'.", "bind 127.0.0.1:7400", "isobar").naming(LISTENS), seat::bind),
    once(Entry::full("data-dir", "<directory>", "Where the map is kept; without it in memory.", "data-dir /var/lib/isobar", "isobar"), seat::data_dir),
    once(Entry::full("datacenter", "<name>", "The name of the datacenter that the API tells its clients, 'dc1' by default.", "datacenter dc1", "isobar"), seat::datacenter),
    once(Entry::full("expect", "<count>", "The first cluster forms once so many nodes have met; 1: of this node alone.", "expect 3", "isobar"), seat::expect),
    once(Entry::full("http-api", "<address>:<port> [ssl crt <file> [ca-file <file>] [verify { none | required }]] [insecure]", "Where the catalog's API listens. Its clients may have an eighth of the process's descriptors (32 to 16384), 64 MB of bodies, 64 MB of long heads and 256 MB of large answers at once, and 128 kB of each connection besides; who takes an answer at less than 64 kB/s for 10 s is cut off. Answers of 1,400 bytes and more are compressed for clients that accept gzip. An address other than loopback needs a token or 'insecure'.", "http-api 127.0.0.1:8500", "isobar").naming(LISTENS), seat::http_api),
    once(Entry::full("join-token", "{ <token> | <secret> }", "With 'bind ... ssl' without 'crt': what admits this node. A token that 'isobar cluster join-token' shows makes it ask the nodes of 'retry-join', which it believes by the token alone. With 'expect' above 1 it is instead a secret of at least 32 characters, the same in each of the first nodes: they prove to each other that they know it, form the cluster, and need it no more. A member needs neither.", "join-token 0123456789abcdef0123456789abcdef", "isobar"), seat::join_token),
    once(Entry::full("liveness-timeout", "<time>", "A node not heard for so long is dead, 3 s by default.", "liveness-timeout 3s", "isobar"), seat::liveness_timeout),
    once(Entry::full("node", "<name> [region <region>]", "The name of this node, unique in the cluster and its host's name by default, and the region it stands in.", "node lb1 region eu-west", "isobar"), seat::node),
    once(Entry::full("profile", "{ lan | wan }", "How far the nodes are apart: timers of the cluster follow it.", "profile wan", "isobar"), seat::profile),
    once(Entry::full("read-token", "<token>", "What readers of the API must show.", "read-token look-only", "isobar"), seat::read_token),
    once(Entry::full("region-timeout", "<time>", "A region none of whose nodes was heard for so long is lost, 5 s by default.", "region-timeout 5s", "isobar"), seat::region_timeout),
    repeated(Entry::full("retry-join", "<host>:<port> ...", "Nodes of the cluster to meet, tried until one answers.", "retry-join 10.1.0.3:7400 10.2.0.2:7400", "isobar"), seat::retry_join),
    once(Entry::full("script-checks", "", "Lets checks run programs: whoever may register a check then runs what they like here.", "script-checks", "isobar"), seat::script_checks),
    once(Entry::full("write-token", "<token>", "What writers of the API must show; it reads too.", "write-token let-me-in", "isobar"), seat::write_token),
];

/// Every section word this room reads.
pub fn section_kinds() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().map(|e| e.name)
}

/// Every nameable thing of the room.
pub fn entries() -> impl Iterator<Item = (Kind, &'static Entry)> {
    let sections = SECTIONS.iter().map(|e| (Kind::Section, e));
    let region = REGION.iter().map(|k| (Kind::In("region"), &k.entry));
    let seat = SEAT.iter().map(|k| (Kind::In("region-map"), &k.entry));
    sections.chain(region).chain(seat)
}

/// Hands all of them to the registry.
pub fn register(registry: &mut Registry) {
    for (kind, entry) in entries() {
        registry.add(kind, [entry]);
    }
}
